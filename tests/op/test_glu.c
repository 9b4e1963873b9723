// libs: va_op
// test_glu.c: gated activations against their reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

#include <math.h>

static const va_act acts[] = {VA_ACT_GELU_TANH, VA_ACT_GELU, VA_ACT_SILU,    VA_ACT_RELU,
                              VA_ACT_PHI_TANH,  VA_ACT_PHI,  VA_ACT_SIGMOID, VA_ACT_STEP};

static void test_shapes(void **state) {
    static const int64_t widths[] = {1, 3, 36, 131, 257};
    for (int64_t a = 0; a < VA_COUNT(acts); a++)
        for (int64_t i = 0; i < VA_COUNT(widths); i++) {
            op_case c = {.op = VA_OP_GLU,
                         .attr = {.act = acts[a]},
                         .x = {OP_F32_2(3, widths[i]), OP_F32_2(3, widths[i])},
                         .k = i == 3 ? 17 : 1 + i % 3,
                         .accumulate = (uint32_t)i & 3};
            op_check_all(*state, &c);
        }
}

static void test_absent(void **state) {
    for (uint32_t mask = 0; mask < 4; mask++) {
        op_case c = {.op = VA_OP_GLU,
                     .x = {OP_F32_2(5, 36), OP_F32_2(5, 36)},
                     .no_tangent = mask,
                     .accumulate = 3};
        op_check_device(*state, &c);
    }
}

static double act_ref(va_act act, double g) {
    switch (act) {
    case VA_ACT_GELU_TANH:
        return g / (1 + exp(-2 * sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)));
    case VA_ACT_GELU:
        return 0.5 * g * erfc(-g / sqrt(2));
    case VA_ACT_SILU:
        return g / (1 + exp(-g));
    case VA_ACT_RELU:
        return g > 0 ? g : 0;
    case VA_ACT_PHI_TANH:
        return 1 / (1 + exp(-2 * sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)));
    case VA_ACT_PHI:
        return 0.5 * erfc(-g / sqrt(2));
    case VA_ACT_SIGMOID:
        return 1 / (1 + exp(-g));
    default:
        return g > 0;
    }
}

// Every gate from -20 to 20: absolute error below 2e-7 of max(1, |g|); relative error too, which in
// the tails is that of exp's argument, at most 46 here: four roundings of 6e-8 times 46. Finite far
// outside.
static void test_precision(void **state) {
    enum { N = 40001 };
    float *gate = malloc(N * sizeof *gate), *up = malloc(N * sizeof *up);
    va_tensor x[VA_OP_MAX_IN] = {OP_F32_2(1, N), OP_F32_2(1, N)}, y;
    for (int i = 0; i < N; i++) {
        gate[i] = (float)(i - N / 2) * 1e-3f;
        up[i] = 1;
    }
    gate[0] = -1e30f;
    gate[N - 1] = 1e30f;
    for (int64_t a = 0; a < VA_COUNT(acts); a++) {
        va_op_attr attr = {.act = acts[a]};
        float *got = op_run_forward(*state, VA_OP_GLU, &attr, x, (const void *[]){gate, up}, &y);
        for (int i = 0; i < N; i++) {
            double expected = act_ref(acts[a], gate[i]);
            double error = fabs(got[i] - expected);
            assert_true(error <= 2e-7 * fmax(1, fabs((double)gate[i])));
            assert_true(error <= 1.2e-5 * fabs(expected) || fabs(expected) < 1e-20);
        }
        free(got);
    }
    free(gate);
    free(up);
}

// Slopes far out are 0 or 1, not 0 times infinity.
static void test_far_slopes(void **state) {
    for (int64_t a = 0; a < VA_COUNT(acts); a++) {
        op_case c = {.op = VA_OP_GLU,
                     .attr = {.act = acts[a]},
                     .x = {OP_F32_2(3, 64), OP_F32_2(3, 64)},
                     .sigma = {300, 1},
                     // |g| of a silu near 0 loses what f32 gives g (1 - s): g x 6e-8
                     .tolerance = 5e-6};
        op_check_device(*state, &c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_precision),
        cmocka_unit_test(test_far_slopes),
    };
    return cmocka_run_group_tests_name("glu", tests, op_test_setup, op_test_teardown);
}
