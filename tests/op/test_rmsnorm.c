// libs: va_op
// test_rmsnorm.c: root-mean-square normalisation against its reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

#define WEIGHT(type, n)                                                                            \
    {                                                                                              \
        .dtype = type, .n_dim = 1, .shape = { n }                                                  \
    }

static void test_widths(void **state) {
    static const int64_t widths[] = {1, 3, 36, 131, 257};
    for (int64_t i = 0; i < VA_COUNT(widths); i++) {
        op_case c = {.op = VA_OP_RMSNORM,
                     // at width 1 J is 0 but for eps, so eps is large there
                     .attr = {.eps = i == 0 ? 0.5f : 1e-6f, .weight_offset = (float)(i % 2)},
                     .x = {OP_F32_2(3, widths[i]), WEIGHT(VA_F32, widths[i])},
                     .k = i == 1 ? 17 : 1 + i % 3,
                     .accumulate = 1};
        op_check_all(*state, &c);
    }
}

static void test_heads_and_dtypes(void **state) {
    static const va_dtype dtypes[] = {VA_F32, VA_BF16, VA_F16};
    for (int64_t t = 0; t < VA_COUNT(dtypes); t++)
        for (int64_t D = 11; D <= 12; D++) { // by ones and by fours
            op_case c = {.op = VA_OP_RMSNORM,
                         .attr = {.eps = 0.05f, .weight_offset = 1},
                         .x = {OP_F32_3(5, 6, D), WEIGHT(dtypes[t], D)},
                         .k = 3,
                         .no_tangent = t == 2 && D == 11,
                         .accumulate = t == 1};
            op_check_all(*state, &c);
        }
}

// One norm over all heads of a row, as OLMo 2 has it.
static void test_whole_rows(void **state) {
    op_case c = {.op = VA_OP_RMSNORM,
                 .attr = {.eps = 0.05f},
                 .x = {OP_F32_3(5, 4, 10), WEIGHT(VA_F32, 40)},
                 .k = 3,
                 .accumulate = 1};
    op_check_all(*state, &c);
}

// Values far from 1, where r^2 or r^3 alone would leave f32's range.
static void test_scales(void **state) {
    static const double sigma[] = {1e-12, 1e-4, 1e4, 1e15};
    for (int64_t i = 0; i < VA_COUNT(sigma); i++) {
        op_case c = {.op = VA_OP_RMSNORM,
                     .attr = {.eps = 1e-6f},
                     .x = {OP_F32_2(4, 96), WEIGHT(VA_F32, 96)},
                     .sigma = {sigma[i], 1}};
        op_check_device(*state, &c);
    }
}

static void test_model_width(void **state) {
    op_case c = {.op = VA_OP_RMSNORM,
                 .attr = {.eps = 1e-6f, .weight_offset = 1},
                 .x = {OP_F32_2(2, 2560), WEIGHT(VA_BF16, 2560)},
                 .sigma = {30, 1}};
    op_check_device(*state, &c);
}

static void test_refusals(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    va_tensor y, aux, x[VA_OP_MAX_IN] = {OP_F32_2(3, 5), OP_F32_1(4)};
    va_op_attr attr = {.eps = 1e-6f};
    assert_error(ctx, VA_ERR_SHAPE, "rmsnorm: w: expected [5] F32, F16 or BF16, got [4] F32",
                 va_op_get(VA_OP_RMSNORM)->infer(ctx, &attr, x, &y, &aux));
    x[0] = (va_tensor)OP_F32_3(3, 2, 5);
    assert_error(ctx, VA_ERR_SHAPE, "rmsnorm: w: expected [5] F32, F16 or BF16, got [4] F32",
                 va_op_get(VA_OP_RMSNORM)->infer(ctx, &attr, x, &y, &aux));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths),      cmocka_unit_test(test_heads_and_dtypes),
        cmocka_unit_test(test_whole_rows),  cmocka_unit_test(test_scales),
        cmocka_unit_test(test_model_width), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("rmsnorm", tests, op_test_setup, op_test_teardown);
}
