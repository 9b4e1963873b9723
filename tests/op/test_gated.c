// libs: va_op
// test_gated.c: the first half of a gated MLP against its reference, with W_eff and without.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

#define WEIGHT(type, n0, n1)                                                                       \
    {                                                                                              \
        .dtype = type, .n_dim = 2, .shape = { n0, n1 }                                             \
    }

static const va_act acts[] = {VA_ACT_GELU_TANH, VA_ACT_GELU, VA_ACT_SILU,    VA_ACT_RELU,
                              VA_ACT_PHI_TANH,  VA_ACT_PHI,  VA_ACT_SIGMOID, VA_ACT_STEP};

static void test_formulas_and_nan(void **state) {
    for (int64_t a = 0; a < VA_COUNT(acts); a++) {
        op_case c = {.op = VA_OP_GATED,
                     .attr = {.act = acts[a]},
                     .x = {OP_F32_2(3, 11), WEIGHT(VA_F32, 7, 11), WEIGHT(VA_F32, 7, 11)},
                     .sigma = {1, 0.4, 0.4},
                     .accumulate = (uint32_t)a & 1};
        op_check_all(*state, &c);
    }
}

// Odd sizes on every side, one vector to many, dtypes that differ between the weights.
static void test_shapes(void **state) {
    static const struct {
        int64_t M, k, d, F;
        va_dtype gate, up;
    } cases[] = {
        {1, 1, 1, 1, VA_F32, VA_F32},        {1, 3, 3, 5, VA_BF16, VA_BF16},
        {2, 17, 36, 131, VA_BF16, VA_BF16},  {7, 3, 131, 36, VA_F16, VA_F16},
        {3, 40, 64, 257, VA_F32, VA_BF16},   {5, 16, 66, 64, VA_F16, VA_F32},
        {2, 33, 64, 129, VA_Q8_0, VA_Q8_0},  {3, 5, 256, 37, VA_Q6_K, VA_Q4_0},
        {1, 21, 96, 131, VA_BF16, VA_Q8_0},  {3, 2, 32, 65, VA_Q8_0, VA_F32},
        {1, 130, 130, 131, VA_BF16, VA_F16},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        const int64_t F = cases[i].F, d = cases[i].d;
        op_case c = {
            .op = VA_OP_GATED,
            .attr = {.act = acts[i % 4]},
            .x = {OP_F32_2(cases[i].M, d), WEIGHT(cases[i].gate, F, d), WEIGHT(cases[i].up, F, d)},
            .k = cases[i].k,
            .sigma = {1, 0.2, 0.2},
            .accumulate = (uint32_t)i & 1,
            .tolerance = 5e-6, // two sums of up to 257 terms one after the other
            .seed = (uint64_t)i};
        op_check_device(*state, &c);
    }
}

// A factor of what comes in; there is no W_eff then.
static void test_factor(void **state) {
    for (int64_t i = 0; i < 3; i++) {
        op_case c = {.op = VA_OP_GATED,
                     .x = {OP_F32_2(3, 36), WEIGHT(VA_BF16, 131, 36), WEIGHT(VA_F32, 131, 36)},
                     .k = i == 0 ? 1 : 17,
                     .sigma = {1, 0.2, 0.2},
                     .accumulate = i == 2,
                     .factors = VA_FACTOR_IN,
                     .tolerance = 5e-6};
        op_check_device(*state, &c);
    }
}

static void test_absent(void **state) {
    op_case c = {.op = VA_OP_GATED,
                 .x = {OP_F32_2(5, 24), WEIGHT(VA_F32, 7, 24), WEIGHT(VA_F32, 7, 24)},
                 .no_tangent = 1};
    op_check_device(*state, &c);
}

// Where no derivative is wanted, forward leaves nothing behind. Integers, so that the sums are
// exact.
static void test_forward_alone(void **state) {
    enum { M = 5, D = 9, F = 131 };
    float x[M * D], w[2][F * D];
    for (int i = 0; i < M * D; i++)
        x[i] = (float)(i * 7 % 11 - 5);
    for (int i = 0; i < F * D; i++) {
        w[0][i] = (float)(i * 31 % 17 - 8);
        w[1][i] = (float)(i * 13 % 19 - 9);
    }
    va_tensor in[VA_OP_MAX_IN] = {OP_F32_2(M, D), OP_F32_2(F, D), OP_F32_2(F, D)}, y;
    va_op_attr attr = {.act = VA_ACT_RELU};
    float *got =
        op_run_forward(*state, VA_OP_GATED, &attr, in, (const void *[]){x, w[0], w[1]}, &y);
    for (int i = 0; i < M * F; i++) {
        float sum[2] = {0, 0};
        for (int j = 0; j < 2 * D; j++)
            sum[j / D] += x[i / F * D + j % D] * w[j / D][i % F * D + j % D];
        assert_true(got[i] == (sum[0] > 0 ? sum[0] * sum[1] : 0));
    }
    free(got);
}

// W_eff in two ranges: more rows than a loop of lavapipe's may take, and 22 MB of each of three
// areas; the second range of a packed weight of odd rows begins where it can be bound.
static void test_ranges(void **state) {
    static const struct {
        va_dtype dtype;
        int64_t F, d;
    } cases[] = {{VA_BF16, 66001, 5}, {VA_F32, 66001, 4}, {VA_Q8_0, 17503, 320}};
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        const int64_t F = cases[i].F, d = cases[i].d;
        op_case c = {
            .op = VA_OP_GATED,
            .x = {OP_F32_2(2, d), WEIGHT(cases[i].dtype, F, d), WEIGHT(cases[i].dtype, F, d)},
            .k = 3,
            .sigma = {1, 0.5, 0.5},
            .accumulate = 1,
            .tolerance = 4e-5}; // sums of 66001 terms in vjp: eps sqrt(n) and some
        op_check_device(*state, &c);
    }
}

// 68 products of 240,001 are 65 MB: two chunks of tokens, the second of four.
static void test_chunks(void **state) {
    op_case c = {.op = VA_OP_GATED,
                 .attr = {.act = VA_ACT_RELU},
                 .x = {OP_F32_2(68, 2), WEIGHT(VA_BF16, 240001, 2), WEIGHT(VA_BF16, 240001, 2)},
                 .k = 1,
                 .accumulate = 1,
                 .tolerance = 6e-5}; // sums of 240001 terms in vjp
    op_check_device(*state, &c);
}

// What memory the paths take, and from which k on there is a W_eff. Known without a device.
static void test_scratch(void **state) {
    (void)state;
    enum { F = 10240, D = 2560, MIB = 1 << 20, UNPACKED = 32 * MIB / (4 * D) / 64 * 64 * (4 * D) };
    enum { MATMUL = 16 * MIB }; // at most, of a matmul of 128 rows
    va_op_attr attr = {0};
    va_op_call c = {.attr = &attr,
                    .k = 127,
                    .x = {OP_F32_2(1, D), WEIGHT(VA_BF16, F, D), WEIGHT(VA_BF16, F, D)}};
    const va_op *op = va_op_get(VA_OP_GATED);
    const double one = 2.0 * F * D;
    const int64_t forward = op->scratch_bytes(&c, VA_FORWARD) - F * 4;
    assert_true(forward >= 0 && forward < MATMUL);
    assert_true(op->scratch_bytes(&c, VA_JVP) < MATMUL);
    assert_true(op->cost(&c, VA_VJP).flop == 2 * 127 * one);
    c.k = 128;
    const int64_t wide = op->scratch_bytes(&c, VA_JVP);
    assert_true(wide > 60 * MIB && wide <= 64 * MIB + MATMUL);
    assert_true(op->cost(&c, VA_VJP).flop == 128 * one + 1.5 * one);
    c.x[1].dtype = c.x[2].dtype = VA_Q8_0;
    const int64_t packed = op->scratch_bytes(&c, VA_JVP);
    assert_true(packed > 60 * MIB && packed <= 64 * MIB + MATMUL);
    c.mode = VA_DETACHED; // no W_eff: W_up's unpacked rows
    assert_true(op->scratch_bytes(&c, VA_JVP) >= UNPACKED);
    assert_true(op->scratch_bytes(&c, VA_VJP) < UNPACKED + MATMUL);
    assert_true(op->cost(&c, VA_VJP).flop == 128 * one);
    c.x[0].shape[0] = 1000; // however many vectors there are
    assert_true(op->scratch_bytes(&c, VA_VJP) <= (32 + 42) * MIB);
    assert_true(op->scratch_bytes(&c, VA_FORWARD) <= (32 + 42 + 64) * MIB);
}

static void test_refusals(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    const va_op *op = va_op_get(VA_OP_GATED);
    va_tensor y, aux, x[VA_OP_MAX_IN] = {OP_F32_2(3, 48), OP_F32_2(4, 48), OP_F32_2(5, 48)};
    va_op_attr attr = {0}, unknown = {.act = (va_act)99};
    assert_error(ctx, VA_ERR_SHAPE, "gated: W_up: expected [4, 48]",
                 op->infer(ctx, &attr, x, &y, &aux));
    x[2].shape[0] = 4;
    assert_error(ctx, VA_ERR_SHAPE, "gated: unknown activation 99",
                 op->infer(ctx, &unknown, x, &y, &aux));
    x[1].shape[1] = 47;
    assert_error(ctx, VA_ERR_SHAPE, "gated: W_gate: expected [any, 48]",
                 op->infer(ctx, &attr, x, &y, &aux));
    x[1].shape[1] = 48;
    x[1].dtype = VA_Q8_0;
    assert_error(ctx, VA_ERR_SHAPE,
                 "gated: W_gate: expected rows of whole Q8_0 blocks of 32, got 48 elements",
                 op->infer(ctx, &attr, x, &y, &aux));
    x[1].dtype = VA_F32;
    va_op_call call = {.gpu = *state, .attr = &attr, .x = {x[0], x[1], x[2]}};
    assert_error(ctx, VA_ERR_SHAPE, "gated: input 0 is needed and absent", op->forward(&call));
}

// Both paths at any k, and the matmul kernels of GPUs wherever this runs. matmul NULL: the kernel
// that VA_MATMUL asks for from outside, if any.
static int setup_path(void **state, const char *path, const char *matmul) {
    setenv("VA_GATED", path, 1);
    if (matmul)
        setenv("VA_MATMUL", matmul, 1);
    return op_test_setup(state);
}

static int setup_narrow(void **state) {
    return setup_path(state, "narrow", NULL);
}

static int setup_wide(void **state) {
    return setup_path(state, "wide", NULL);
}

static int setup_narrow_scalar(void **state) {
    return setup_path(state, "narrow", "scalar");
}

static int setup_wide_scalar(void **state) {
    return setup_path(state, "wide", "scalar");
}

static int teardown(void **state) {
    unsetenv("VA_GATED");
    return op_test_teardown(state);
}

static int teardown_scalar(void **state) {
    unsetenv("VA_MATMUL");
    return teardown(state);
}

int main(void) {
    const struct CMUnitTest own[] = {
        cmocka_unit_test(test_scratch),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_factor),        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_forward_alone),
    };
    const struct CMUnitTest narrow[] = {
        cmocka_unit_test(test_formulas_and_nan),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_chunks),
    };
    const struct CMUnitTest narrow_scalar[] = {
        // without chunks: minutes on a processor
        cmocka_unit_test(test_formulas_and_nan),
        cmocka_unit_test(test_shapes),
    };
    const struct CMUnitTest wide[] = {
        cmocka_unit_test(test_formulas_and_nan), cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_factor),           cmocka_unit_test(test_absent),
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests_name("gated", own, op_test_setup, op_test_teardown) +
           cmocka_run_group_tests_name("gated, narrow", narrow, setup_narrow, teardown) +
           cmocka_run_group_tests_name("gated, wide", wide, setup_wide, teardown) +
           cmocka_run_group_tests_name("gated, narrow, scalar", narrow_scalar, setup_narrow_scalar,
                                       teardown_scalar) +
           cmocka_run_group_tests_name("gated, wide, scalar", wide, setup_wide_scalar,
                                       teardown_scalar);
}
