// libs: va_op
// test_softcap.c: c tanh(x / c) against its reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

#include <math.h>

static void test_shapes(void **state) {
    static const int64_t widths[] = {1, 3, 36, 131, 257};
    for (int64_t i = 0; i < VA_COUNT(widths); i++) {
        op_case c = {.op = VA_OP_SOFTCAP,
                     .attr = {.softcap = i % 2 ? 30 : 1.25f},
                     .x = {OP_F32_2(3, widths[i])},
                     .k = i == 2 ? 17 : 1 + i,
                     .no_tangent = i == 3,
                     .accumulate = i != 4};
        op_check_all(*state, &c);
    }
}

// Relative to each value, through 0 and far beyond the cap.
static void test_precision(void **state) {
    enum { N = 20003 };
    float *x = malloc(N * sizeof *x);
    for (int i = 0; i < N; i++)
        x[i] = (float)(i - N / 2) * 0.01f;
    x[0] = -1e30f;
    x[1] = 1e-20f;
    x[N - 1] = 3e38f;
    va_tensor in[VA_OP_MAX_IN] = {OP_F32_2(1, N)}, y;
    va_op_attr attr = {.softcap = 30};
    float *got = op_run_forward(*state, VA_OP_SOFTCAP, &attr, in, (const void *[]){x}, &y);
    for (int i = 0; i < N; i++) {
        double expected = 30 * tanh((double)x[i] / 30);
        assert_true(fabs(got[i] - expected) <= 4e-7 * fabs(expected));
    }
    free(got);
    free(x);
}

// x of exactly 0 and of hundreds of caps: the detached ratio is 1 and 1/|z|.
static void test_far_slopes(void **state) {
    static const double sigma[] = {1e-30, 1e-3, 1e4};
    for (int64_t i = 0; i < VA_COUNT(sigma); i++) {
        op_case c = {.op = VA_OP_SOFTCAP,
                     .attr = {.softcap = 2},
                     .x = {OP_F32_2(3, 64)},
                     .sigma = {sigma[i]}};
        op_check_device(*state, &c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_precision),
        cmocka_unit_test(test_far_slopes),
    };
    return cmocka_run_group_tests_name("softcap", tests, op_test_setup, op_test_teardown);
}
