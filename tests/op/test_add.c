// libs: va_op
// test_add.c: the sum against its reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

static void test_shapes(void **state) {
    static const int64_t widths[] = {1, 3, 36, 131, 257};
    for (int64_t i = 0; i < VA_COUNT(widths); i++) {
        op_case c = {.op = VA_OP_ADD, .x = {OP_F32_2(3, widths[i]), OP_F32_2(3, widths[i])}};
        c.k = i == 2 ? 17 : i;
        op_check_all(*state, &c);
    }
    op_case heads = {.op = VA_OP_ADD, .x = {OP_F32_3(5, 6, 7), OP_F32_3(5, 6, 7)}, .k = 1};
    op_check_all(*state, &heads);
}

static void test_absent_and_accumulated(void **state) {
    for (uint32_t mask = 0; mask < 4; mask++) {
        op_case c = {.op = VA_OP_ADD,
                     .x = {OP_F32_2(3, 36), OP_F32_2(3, 36)},
                     .no_tangent = mask,
                     .accumulate = 3 ^ mask};
        op_check_device(*state, &c);
    }
}

static void test_refuses_other_shapes(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    va_tensor y, aux, x[VA_OP_MAX_IN] = {OP_F32_2(3, 5), OP_F32_2(5, 3)};
    va_op_attr attr = {0};
    assert_error(ctx, VA_ERR_SHAPE, "add: b: expected [3, 5] F32, got [5, 3] F32",
                 va_op_get(VA_OP_ADD)->infer(ctx, &attr, x, &y, &aux));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_absent_and_accumulated),
        cmocka_unit_test(test_refuses_other_shapes),
    };
    return cmocka_run_group_tests_name("add", tests, op_test_setup, op_test_teardown);
}
