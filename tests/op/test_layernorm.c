// libs: va_op
// test_layernorm.c: layer normalisation against its reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

#define WEIGHT(type, n)                                                                            \
    {                                                                                              \
        .dtype = type, .n_dim = 1, .shape = { n }                                                  \
    }

static void test_widths(void **state) {
    static const int64_t widths[] = {1, 3, 36, 131, 257};
    for (int64_t i = 0; i < VA_COUNT(widths); i++) {
        op_case c = {
            .op = VA_OP_LAYERNORM,
            .attr = {.eps = i < 2 ? 0.5f : 1e-5f}, // at width 1 y is the bias alone
            .x = {OP_F32_2(3, widths[i]), WEIGHT(VA_F32, widths[i]), WEIGHT(VA_F32, widths[i])},
            .k = i == 1 ? 17 : 1 + i % 3,
            .accumulate = 1,
            .floor = i == 0 ? 1 : 0};
        op_check_all(*state, &c);
    }
}

static void test_dtypes(void **state) {
    static const va_dtype dtypes[] = {VA_F32, VA_BF16, VA_F16};
    for (int64_t t = 0; t < VA_COUNT(dtypes); t++) {
        op_case c = {.op = VA_OP_LAYERNORM,
                     .attr = {.eps = 0.05f},
                     .x = {OP_F32_2(5, 22), WEIGHT(dtypes[t], 22), WEIGHT(dtypes[2 - t], 22)},
                     .k = 3,
                     .no_tangent = t == 2,
                     .accumulate = t == 1};
        op_check_all(*state, &c);
    }
}

static void test_without_bias(void **state) {
    op_case c = {
        .op = VA_OP_LAYERNORM, .attr = {.eps = 1e-5f}, .x = {OP_F32_2(4, 24), WEIGHT(VA_F32, 24)}};
    op_check_all(*state, &c);
}

// Values far from 1, where r^2 or r^3 alone would leave f32's range.
static void test_scales(void **state) {
    static const double sigma[] = {1e-12, 1e-4, 1e4, 1e15};
    for (int64_t i = 0; i < VA_COUNT(sigma); i++) {
        op_case c = {.op = VA_OP_LAYERNORM,
                     .attr = {.eps = 1e-5f},
                     .x = {OP_F32_2(4, 96), WEIGHT(VA_F32, 96), WEIGHT(VA_F32, 96)},
                     .sigma = {sigma[i], 1}};
        op_check_device(*state, &c);
    }
}

// A row of 1000 + {0, 1}: sums of squares would leave nothing of its deviations.
static void test_large_mean(void **state) {
    enum { N = 64 };
    float x[N], w[N], *y;
    va_tensor shape[VA_OP_MAX_IN] = {OP_F32_2(1, N), OP_F32_1(N)}, out;
    for (int i = 0; i < N; i++) {
        x[i] = 1000 + (float)(i % 2);
        w[i] = 1;
    }
    const va_op_attr attr = {.eps = 1e-5f};
    y = op_run_forward(*state, VA_OP_LAYERNORM, &attr, shape, (const void *[]){x, w}, &out);
    for (int i = 0; i < N; i++)
        assert_float_equal(y[i], (i % 2 ? 0.5 : -0.5) / 0.50001, 2e-5);
    free(y);
}

static void test_refusals(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    va_tensor y, aux, x[VA_OP_MAX_IN] = {OP_F32_2(3, 5), OP_F32_1(5), OP_F32_1(4)};
    va_op_attr attr = {.eps = 1e-5f};
    assert_error(ctx, VA_ERR_SHAPE, "layernorm: bias: expected [5] F32, F16 or BF16, got [4] F32",
                 va_op_get(VA_OP_LAYERNORM)->infer(ctx, &attr, x, &y, &aux));
    x[2] = (va_tensor){0};
    attr.eps = -1;
    assert_error(ctx, VA_ERR_SHAPE, "layernorm: expected eps >= 0, got -1",
                 va_op_get(VA_OP_LAYERNORM)->infer(ctx, &attr, x, &y, &aux));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths),       cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_without_bias), cmocka_unit_test(test_scales),
        cmocka_unit_test(test_large_mean),   cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("layernorm", tests, op_test_setup, op_test_teardown);
}
