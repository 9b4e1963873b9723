// libs: va_op
// test_scale.c: multiplication by a constant against its reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

static void test_shapes(void **state) {
    static const int64_t widths[] = {1, 3, 36, 131, 257};
    for (int64_t i = 0; i < VA_COUNT(widths); i++) {
        op_case c = {.op = VA_OP_SCALE,
                     .attr = {.factor = i == 0 ? 0 : -50.596443f},
                     .x = {OP_F32_2(3, widths[i])},
                     .k = i == 2 ? 17 : 1 + i,
                     .no_tangent = i == 3,
                     .accumulate = i % 2};
        op_check_all(*state, &c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes)};
    return cmocka_run_group_tests_name("scale", tests, op_test_setup, op_test_teardown);
}
