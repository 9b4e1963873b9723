// libs: va_op
// test_select.c: rows of each sequence, or their mean, against the reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

static void test_shapes(void **state) {
    static const struct {
        int64_t n_seq, T, first, count, width, k;
    } sizes[] = {{1, 1, 0, 1, 1, 1},    {1, 7, 6, 1, 36, 3},  {3, 5, 0, 5, 3, 3},
                 {2, 5, 1, 3, 131, 17}, {3, 4, 2, 2, 257, 1}, {1, 9, 0, 4, 36, 3}};
    for (int64_t i = 0; i < VA_COUNT(sizes); i++)
        for (int mean = 0; mean < 2; mean++) {
            op_case c = {.op = VA_OP_SELECT,
                         .attr = {.seq_len = sizes[i].T,
                                  .first = sizes[i].first,
                                  .count = sizes[i].count,
                                  .mean = mean},
                         .x = {OP_F32_2(sizes[i].n_seq * sizes[i].T, sizes[i].width)},
                         .k = sizes[i].k,
                         .accumulate = 1};
            op_check_all(*state, &c);
        }
}

static void test_heads_and_absent(void **state) {
    op_case c = {.op = VA_OP_SELECT,
                 .attr = {.seq_len = 3, .first = 1, .count = 2},
                 .x = {OP_F32_3(6, 2, 5)}};
    op_check_all(*state, &c);
    c.no_tangent = 1;
    op_check_device(*state, &c);
}

static void test_refusals(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    const va_op *op = va_op_get(VA_OP_SELECT);
    va_tensor y, aux, x[VA_OP_MAX_IN] = {OP_F32_2(10, 3)};
    va_op_attr beyond = {.seq_len = 5, .first = 3, .count = 3};
    assert_error(ctx, VA_ERR_SHAPE, "select: rows 3 to 5 of sequences of 5",
                 op->infer(ctx, &beyond, x, &y, &aux));
    va_op_attr negative = {.seq_len = 5, .first = -1, .count = 1};
    assert_error(ctx, VA_ERR_SHAPE, "select: rows", op->infer(ctx, &negative, x, &y, &aux));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_heads_and_absent),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("select", tests, op_test_setup, op_test_teardown);
}
