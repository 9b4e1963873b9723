// libs: va_op
// test_linear.c: the product with a weight against its reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

#include <math.h>

#define WEIGHT(type, n0, n1)                                                                       \
    {                                                                                              \
        .dtype = type, .n_dim = 2, .shape = { n0, n1 }                                             \
    }
#define BIAS(type, n0)                                                                             \
    {                                                                                              \
        .dtype = type, .n_dim = 1, .shape = { n0 }                                                 \
    }

// Odd sizes on every side, rows from one to many, every dtype.
static void test_shapes(void **state) {
    static const struct {
        int64_t M, k, n_in, n_out;
    } sizes[] = {{1, 1, 1, 1},   {1, 3, 3, 5},    {2, 17, 36, 131}, {7, 3, 131, 36},
                 {1, 1, 257, 9}, {5, 17, 64, 64}, {3, 3, 131, 257}, {9, 1, 24, 40}};
    static const va_dtype dtypes[] = {VA_F32, VA_BF16, VA_F16};
    for (int64_t i = 0; i < VA_COUNT(sizes); i++)
        for (int64_t t = 0; t < VA_COUNT(dtypes); t++) {
            op_case c = {.op = VA_OP_LINEAR,
                         .x = {OP_F32_2(sizes[i].M, sizes[i].n_in),
                               WEIGHT(dtypes[t], sizes[i].n_out, sizes[i].n_in)},
                         .k = sizes[i].k,
                         .seed = (uint64_t)(i * 3 + t)};
            op_check_device(*state, &c);
        }
}

static void test_formulas_and_nan(void **state) {
    op_case c = {.op = VA_OP_LINEAR,
                 .x = {OP_F32_2(3, 11), WEIGHT(VA_F32, 7, 11), BIAS(VA_F32, 7)}};
    op_check_all(*state, &c);
    c.x[3] = (va_tensor)OP_F32_2(3, 7);
    op_check_all(*state, &c);
}

// Heads on either side, bias of every dtype, accumulation.
static void test_heads_and_bias(void **state) {
    static const va_dtype dtypes[] = {VA_F32, VA_BF16, VA_F16};
    for (int64_t t = 0; t < VA_COUNT(dtypes); t++) {
        op_case split = {.op = VA_OP_LINEAR,
                         .attr = {.heads = 6},
                         .x = {OP_F32_2(5, 24), WEIGHT(VA_BF16, 60, 24), BIAS(dtypes[t], 60)},
                         .accumulate = 1};
        op_check_device(*state, &split);
        op_case merge = {.op = VA_OP_LINEAR,
                         .x = {OP_F32_3(5, 6, 10), WEIGHT(dtypes[t], 24, 60)},
                         .accumulate = 1};
        op_check_device(*state, &merge);
    }
    op_case absent = {
        .op = VA_OP_LINEAR, .x = {OP_F32_2(5, 24), WEIGHT(VA_F32, 7, 24)}, .no_tangent = 1};
    op_check_device(*state, &absent);
}

// What is added: every dtype of the weight, with and without a bias, heads and either tangent, and
// shapes for each of the kernels and their parts.
static void test_residual(void **state) {
    static const va_dtype dtypes[] = {VA_F32, VA_BF16, VA_F16};
    static const struct {
        int64_t M, k, n_in, n_out;
    } sizes[] = {{1, 1, 3, 5}, {5, 17, 64, 64}, {9, 3, 131, 257}, {2, 40, 1032, 72}};
    for (int64_t t = 0; t < VA_COUNT(dtypes); t++)
        for (int64_t i = 0; i < VA_COUNT(sizes); i++) {
            op_case c = {.op = VA_OP_LINEAR,
                         .x = {OP_F32_2(sizes[i].M, sizes[i].n_in),
                               WEIGHT(dtypes[t], sizes[i].n_out, sizes[i].n_in),
                               {0},
                               OP_F32_2(sizes[i].M, sizes[i].n_out)},
                         .k = sizes[i].k,
                         .accumulate = 1u << (i % 2 ? 0 : 3),
                         .tolerance = 5e-6, // sums of 1032 terms
                         .seed = (uint64_t)(i * 3 + t)};
            op_check_device(*state, &c);
        }
    static const uint32_t none[] = {0, 1 << 0, 1 << 3, 1 << 0 | 1 << 3};
    for (int64_t i = 0; i < VA_COUNT(none); i++) {
        op_case c = {
            .op = VA_OP_LINEAR,
            .attr = {.heads = 6},
            .x = {OP_F32_2(5, 24), WEIGHT(VA_BF16, 60, 24), BIAS(VA_F16, 60), OP_F32_3(5, 6, 10)},
            .no_tangent = none[i],
            .accumulate = 1 << 0 | 1 << 3};
        op_check_device(*state, &c);
    }
}

// Factors of what comes in and of what goes out, for each of the kernels and their parts.
static void test_factors(void **state) {
    static const va_dtype dtypes[] = {VA_F32, VA_BF16, VA_Q8_0};
    static const struct {
        int64_t M, k, n_in, n_out;
    } sizes[] = {{1, 1, 32, 5}, {5, 17, 64, 64}, {9, 3, 160, 257}, {2, 40, 1056, 72}};
    for (int64_t t = 0; t < VA_COUNT(dtypes); t++)
        for (int64_t i = 0; i < VA_COUNT(sizes); i++)
            for (uint32_t f = VA_FACTOR_IN; f <= (VA_FACTOR_IN | VA_FACTOR_OUT); f++) {
                op_case c = {.op = VA_OP_LINEAR,
                             .x = {OP_F32_2(sizes[i].M, sizes[i].n_in),
                                   WEIGHT(dtypes[t], sizes[i].n_out, sizes[i].n_in)},
                             .k = sizes[i].k,
                             .accumulate = i % 2 ? 0 : 1 << 0 | 1 << 3,
                             .factors = f,
                             .tolerance = 5e-6, // sums of 1056 terms
                             .seed = (uint64_t)(i * 3 + t)};
                if (t > 0) // which no factor multiplies
                    c.x[3] = (va_tensor)OP_F32_2(sizes[i].M, sizes[i].n_out);
                op_check_device(*state, &c);
            }
    op_case odd = {.op = VA_OP_LINEAR,
                   .x = {OP_F32_2(7, 131), WEIGHT(VA_F16, 37, 131)},
                   .k = 11,
                   .factors = VA_FACTOR_IN | VA_FACTOR_OUT};
    op_check_device(*state, &odd);
}

// More rows than are multiplied by their factor at once, and ranges of the inner index, aligned.
static void test_factors_by_parts(void **state) {
    op_case rows = {.op = VA_OP_LINEAR,
                    .x = {OP_F32_2(6, 200000), WEIGHT(VA_F32, 5, 200000)},
                    .k = 8,
                    .factors = VA_FACTOR_IN,
                    .tolerance = 6e-5}; // sums of 200000 terms: eps sqrt(n) and some
    op_check_device(*state, &rows);
    op_case ranges = {.op = VA_OP_LINEAR,
                      .x = {OP_F32_2(2, 8), WEIGHT(VA_BF16, 66048, 8)},
                      .k = 3,
                      .accumulate = 1,
                      .factors = VA_FACTOR_IN | VA_FACTOR_OUT,
                      .tolerance = 4e-5}; // sums of 66048 terms
    op_check_device(*state, &ranges);
}

// Many rows and columns: the kernels' large tiles, and cuts along the rows.
static void test_large(void **state) {
    op_case c = {.op = VA_OP_LINEAR,
                 .x = {OP_F32_2(11, 133), WEIGHT(VA_BF16, 1027, 133)},
                 .k = 97,
                 .accumulate = 1,
                 .tolerance = 5e-6}; // sums of 1027 terms in vjp
    op_check_device(*state, &c);
}

// Few rows over a long inner index and the largest tiles, both ways.
static void test_tile_edges(void **state) {
    static const struct {
        int64_t M, k, n_in, n_out;
    } sizes[] = {{1, 1, 700, 2100},
                 {3, 5, 1030, 130},
                 {13, 1, 130, 517},
                 {11, 97, 1025, 40},
                 {5, 13, 1032, 1032}}; // large enough for a processor's largest tile
    for (int64_t i = 0; i < VA_COUNT(sizes); i++) {
        op_case c = {.op = VA_OP_LINEAR,
                     .x = {OP_F32_2(sizes[i].M, sizes[i].n_in),
                           WEIGHT(VA_BF16, sizes[i].n_out, sizes[i].n_in)},
                     .k = sizes[i].k,
                     .accumulate = 1,
                     .tolerance = 5e-6}; // sums of 2100 terms
        op_check_device(*state, &c);
    }
}

// Heavy cancellation: the error stays below n eps sum |x w|, whatever the kernel.
static void test_cancellation(void **state) {
    enum { N = 2560 };
    float *x = calloc(N, sizeof *x), *w = calloc(N, sizeof *w);
    double sum = 0, magnitude = 0;
    va_rng rng = va_rng_make(7, 7);
    for (int i = 0; i < N; i++) {
        x[i] = (float)(1e4 * va_rng_normal(&rng));
        w[i] = (i % 2 ? 1.f : -1.f) * (float)fabs(va_rng_normal(&rng));
        sum += (double)x[i] * w[i];
        magnitude += fabs((double)x[i] * w[i]);
    }
    va_tensor in[VA_OP_MAX_IN] = {OP_F32_2(1, N), OP_F32_2(1, N)}, y;
    va_op_attr attr = {0};
    float *got = op_run_forward(*state, VA_OP_LINEAR, &attr, in, (const void *[]){x, w}, &y);
    assert_true(fabs(got[0] - sum) <= 6e-8 * sqrt(N) * magnitude);
    free(got);
    free(x);
    free(w);
}

// 136 MB: larger than one binding of lavapipe, cut into ranges of rows there.
static void test_weight_of_many_bindings(void **state) {
    op_case c = {.op = VA_OP_LINEAR,
                 .x = {OP_F32_2(1, 999), WEIGHT(VA_F32, 34000, 999), {0}, OP_F32_2(1, 34000)},
                 .k = 1,
                 .accumulate = 1,
                 .tolerance = 3e-5}; // sums of 34000 terms in vjp: eps sqrt(n) and some
    op_check_device(*state, &c);
}

// The same in 16 bits with rows of odd length, where a range must begin on a whole word. Integers,
// so that the sums are exact.
static void test_packed_weight_of_many_bindings(void **state) {
    enum { N_OUT = 68000, N_IN = 999 };
    uint16_t *w = malloc(sizeof *w * N_OUT * N_IN);
    float x[N_IN];
    for (int i = 0; i < N_IN; i++)
        x[i] = (float)(i * 7 % 11 - 5);
    for (int64_t e = 0; e < (int64_t)N_OUT * N_IN; e++)
        w[e] = va_f32_to_bf16((float)(e * 31 % 127 - 63));
    va_tensor in[VA_OP_MAX_IN] = {OP_F32_2(1, N_IN), WEIGHT(VA_BF16, N_OUT, N_IN)}, y;
    va_op_attr attr = {0};
    float *got = op_run_forward(*state, VA_OP_LINEAR, &attr, in, (const void *[]){x, w}, &y);
    for (int64_t o = 0; o < N_OUT; o++) {
        int64_t sum = 0;
        for (int64_t i = 0; i < N_IN; i++)
            sum += (i * 7 % 11 - 5) * ((o * N_IN + i) * 31 % 127 - 63);
        assert_true(got[o] == (float)sum);
    }
    free(got);
    free(w);
}

static void test_refusals(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    const va_op *op = va_op_get(VA_OP_LINEAR);
    va_tensor y, aux, x[VA_OP_MAX_IN] = {OP_F32_2(3, 5), OP_F32_2(4, 6)};
    va_op_attr attr = {0}, heads = {.heads = 3};
    assert_error(ctx, VA_ERR_SHAPE, "linear: W: expected [any, 5]",
                 op->infer(ctx, &attr, x, &y, &aux));
    x[1].shape[1] = 5;
    assert_error(ctx, VA_ERR_SHAPE, "4 outputs do not make 3 heads",
                 op->infer(ctx, &heads, x, &y, &aux));
    x[3] = (va_tensor)OP_F32_2(3, 5);
    assert_error(ctx, VA_ERR_SHAPE, "linear: residual: expected [3, 4] F32, got [3, 5] F32",
                 op->infer(ctx, &attr, x, &y, &aux));
    x[3] = (va_tensor){0};
    x[1].dtype = VA_F64;
    assert_error(ctx, VA_ERR_SHAPE, "F64", op->infer(ctx, &attr, x, &y, &aux));
    x[1].dtype = VA_F32;
    va_op_call call = {.gpu = *state, .attr = &attr, .x = {x[0], x[1]}};
    assert_error(ctx, VA_ERR_SHAPE, "linear: input 0 is needed and absent", op->forward(&call));
    const va_op_attr add_attr = {0};
    va_op_call add = {
        .gpu = *state, .attr = &add_attr, .x = {x[0], x[0]}, .k = 1, .dy = x[0], .in_factor = x[0]};
    add.dy.mem = (va_slice){.buffer = (void *)&add, .size_bytes = 60}; // looked at, never used
    assert_error(ctx, VA_ERR_SHAPE, "add: takes no factor of its input",
                 va_op_get(VA_OP_ADD)->jvp(&add));
}

// The kernels of GPUs (runtime/op/op_matmul.c), wherever this runs.
static int setup_scalar(void **state) {
    setenv("VA_MATMUL", "scalar", 1);
    return op_test_setup(state);
}

static int teardown_scalar(void **state) {
    unsetenv("VA_MATMUL");
    return op_test_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_formulas_and_nan),
        cmocka_unit_test(test_heads_and_bias),
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_factors),
        cmocka_unit_test(test_factors_by_parts),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_tile_edges),
        cmocka_unit_test(test_cancellation),
        cmocka_unit_test(test_weight_of_many_bindings),
        cmocka_unit_test(test_packed_weight_of_many_bindings),
        cmocka_unit_test(test_refusals),
    };
    const struct CMUnitTest scalar[] = {
        cmocka_unit_test(test_shapes),     cmocka_unit_test(test_formulas_and_nan),
        cmocka_unit_test(test_large),      cmocka_unit_test(test_heads_and_bias),
        cmocka_unit_test(test_residual),   cmocka_unit_test(test_factors),
        cmocka_unit_test(test_tile_edges), cmocka_unit_test(test_packed_weight_of_many_bindings),
    };
    return cmocka_run_group_tests_name("linear", tests, op_test_setup, op_test_teardown) +
           cmocka_run_group_tests_name("linear, scalar", scalar, setup_scalar, teardown_scalar);
}
