// libs: va_base
// test_measures.c: the error measures of tests/support, which every tolerance rests on.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <math.h>

static void test_max_error(void **state) {
    (void)state;
    const double expected[3] = {1, -4, 0.5};
    assert_true(va_test_max_error((const float[]){1, -4, 0.5f}, expected, 3) == 0);
    assert_true(va_test_max_error((const float[]){1, -4, 1.5f}, expected, 3) == 0.25);
    assert_true(va_test_max_error((const float[]){1, 4, 0.5f}, expected, 3) == 2);
    assert_true(va_test_max_error((const float[]){0, 3}, (const double[]){0, 0}, 2) == 3);
    assert_true(va_test_max_error_f32((const float[]){3}, (const float[]){2}, 1) == 0.5);
}

static void test_frobenius_error(void **state) {
    (void)state;
    const double expected[2] = {3, 4};
    assert_true(va_test_frobenius_error((const float[]){3, 4}, expected, 2) == 0);
    assert_true(va_test_frobenius_error((const float[]){3, 9}, expected, 2) == 1);
    assert_true(va_test_frobenius_error((const float[]){0, 3}, (const double[]){0, 0}, 2) == 3);
    assert_true(va_test_frobenius_error_f32((const float[]){6, 8}, (const float[]){3, 4}, 2) == 1);
}

static void test_nothing_infinite_passes(void **state) {
    (void)state;
    static const float odd[3] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        const float got[2] = {1, odd[i]};
        const double same[2] = {1, odd[i]}, finite[2] = {1, 1};
        assert_true(isinf(va_test_max_error(got, same, 2)));
        assert_true(isinf(va_test_max_error(got, finite, 2)));
        assert_true(isinf(va_test_frobenius_error(got, same, 2)));
        assert_true(isinf(va_test_frobenius_error_f32((const float[]){1, 1}, got, 2)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_error),
        cmocka_unit_test(test_frobenius_error),
        cmocka_unit_test(test_nothing_infinite_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
