// libs: va_op
// test_rope.c: rotary position embedding against its reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

static op_case rope_case(int64_t n_seq, int64_t T, int64_t H, int64_t D, int64_t R) {
    return (op_case){.op = VA_OP_ROPE,
                     .attr = {.seq_len = T},
                     .x = {OP_F32_3(n_seq * T, H, D), OP_F32_3(T, R / 2, 2)}};
}

static void test_shapes(void **state) {
    static const struct {
        int64_t n_seq, T, H, D, R, k;
    } sizes[] = {{1, 1, 1, 2, 2, 1},  {1, 7, 6, 10, 10, 3}, {3, 5, 3, 36, 36, 17},
                 {2, 4, 2, 11, 6, 3}, {1, 3, 1, 131, 2, 1}, {1, 2, 2, 256, 256, 3}};
    for (int64_t i = 0; i < VA_COUNT(sizes); i++) {
        op_case c = rope_case(sizes[i].n_seq, sizes[i].T, sizes[i].H, sizes[i].D, sizes[i].R);
        c.k = sizes[i].k;
        c.accumulate = 1;
        op_check_all(*state, &c);
    }
}

static void test_absent(void **state) {
    op_case c = rope_case(1, 5, 2, 8, 8);
    c.no_tangent = 1;
    op_check_device(*state, &c);
}

static void test_refusals(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    const va_op *op = va_op_get(VA_OP_ROPE);
    va_tensor y, aux;
    op_case wide = rope_case(1, 5, 2, 8, 10);
    assert_error(ctx, VA_ERR_SHAPE, "rope: expected at most 4 rotated pairs, got 5",
                 op->infer(ctx, &wide.attr, wide.x, &y, &aux));
    op_case cut = rope_case(1, 5, 2, 8, 8);
    cut.x[0].shape[0] = 7;
    assert_error(ctx, VA_ERR_SHAPE, "rope: expected whole sequences of seq_len 5, got 7 rows",
                 op->infer(ctx, &cut.attr, cut.x, &y, &aux));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("rope", tests, op_test_setup, op_test_teardown);
}
