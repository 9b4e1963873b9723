// libs: va_op
// test_linear_quant.c: the product with a quantised weight: unpacked exactly, whatever the kernel.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

#include <math.h>

#define WEIGHT(type, n0, n1)                                                                       \
    {                                                                                              \
        .dtype = type, .n_dim = 2, .shape = { n0, n1 }                                             \
    }

static const va_dtype quantised[] = {VA_Q8_0, VA_Q4_0, VA_Q4_K, VA_Q5_K, VA_Q6_K};

// Rows of 1 to 5 blocks, odd numbers of everything else: rows begin at every place within a word
// and within the device's alignment.
static void test_shapes(void **state) {
    static const struct {
        int64_t M, k, blocks, n_out;
    } sizes[] = {{1, 1, 1, 1}, {3, 5, 3, 37}, {1, 17, 5, 131}, {7, 3, 2, 65}};
    for (int64_t t = 0; t < VA_COUNT(quantised); t++)
        for (int64_t i = 0; i < VA_COUNT(sizes); i++) {
            int64_t n_in = sizes[i].blocks * va_dtype_block(quantised[t]);
            op_case c = {
                .op = VA_OP_LINEAR,
                .x = {OP_F32_2(sizes[i].M, n_in), WEIGHT(quantised[t], sizes[i].n_out, n_in)},
                .k = sizes[i].k,
                .tolerance = 5e-6, // sums of 1280 terms
                .seed = (uint64_t)(i * 5 + t)};
            op_check_device(*state, &c);
        }
}

static void test_heads_and_bias(void **state) {
    op_case split = {.op = VA_OP_LINEAR,
                     .attr = {.heads = 6},
                     .x = {OP_F32_2(5, 256),
                           WEIGHT(VA_Q6_K, 60, 256),
                           {.dtype = VA_BF16, .n_dim = 1, .shape = {60}},
                           OP_F32_3(5, 6, 10)},
                     .accumulate = 1};
    op_check_device(*state, &split);
    op_case merge = {
        .op = VA_OP_LINEAR, .x = {OP_F32_3(5, 6, 16), WEIGHT(VA_Q8_0, 24, 96)}, .accumulate = 1};
    op_check_device(*state, &merge);
}

// 41 MB and 39 MB of f32, more than one range; where rows are cut, the packed ones begin at odd
// multiples of two bytes.
static void test_ranges(void **state) {
    static const struct {
        va_dtype dtype;
        int64_t n_out, n_in;
    } cases[] = {{VA_Q6_K, 40001, 256}, {VA_Q4_0, 101, 96 * 1001}};
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        op_case c = {.op = VA_OP_LINEAR,
                     .x = {OP_F32_2(1, cases[i].n_in),
                           WEIGHT(cases[i].dtype, cases[i].n_out, cases[i].n_in)},
                     .k = 1,
                     .accumulate = 1,
                     .tolerance = 5e-5}; // sums of up to 96096 terms
        op_check_device(*state, &c);
    }
}

// Scales of every kind that a half has: both zeros, subnormal, largest, both signs.
static void set_scales(uint8_t *raw, va_dtype dtype, int64_t n_blocks, va_rng *rng) {
    static const uint16_t scales[] = {0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF, 0xFBFF, 0x3C00};
    const int64_t bytes = va_dtype_bytes(dtype), first = dtype == VA_Q6_K ? bytes - 2 : 0;
    for (int64_t b = 0; b < n_blocks; b++)
        for (int s = 0; s < 2; s++) {
            uint16_t scale = scales[va_rng_below(rng, VA_COUNT(scales))];
            if (b % 2)
                scale = (uint16_t)(va_rng_below(rng, 0x7C00) | va_rng_below(rng, 2) << 15);
            if (s == 0 || dtype == VA_Q4_K || dtype == VA_Q5_K)
                memcpy(raw + b * bytes + first + 2 * s, &scale, 2);
        }
}

// What a kernel may lose of a row of an f32 weight: nothing, but on matrix cores, which take 22
// bits below the row's largest element.
static double kept_error(const float *row, int64_t n) {
    const char *kernel = getenv("VA_MATMUL");
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)row[i]));
    return kernel && !strncmp(kernel, "coopmat", 7) ? ldexp(most, -22) : 0;
}

// Unit vectors for x: y is W, and each of its elements a sum with one term that is not zero. So the
// device has unpacked the very numbers of the host.
static void test_exact(void **state) {
    enum { N_IN = 256, N_OUT = 77 };
    float *x = calloc(N_IN * N_IN, sizeof *x), *w = calloc(N_OUT * N_IN, sizeof *w);
    uint8_t *raw = malloc(N_OUT * N_IN * 2);
    for (int i = 0; i < N_IN; i++)
        x[i * N_IN + i] = 1;
    for (int64_t t = 0; t < VA_COUNT(quantised); t++) {
        va_rng rng = va_rng_make(3, (uint64_t)t);
        va_tensor in[VA_OP_MAX_IN] = {OP_F32_2(N_IN, N_IN), WEIGHT(quantised[t], N_OUT, N_IN)}, y;
        va_op_attr attr = {0};
        for (int64_t b = 0; b < va_tensor_bytes(&in[1]); b++)
            raw[b] = (uint8_t)va_rng_u32(&rng);
        set_scales(raw, quantised[t], N_OUT * N_IN / va_dtype_block(quantised[t]), &rng);
        va_convert_to_f32(w, raw, quantised[t], N_OUT * N_IN);
        float *got = op_run_forward(*state, VA_OP_LINEAR, &attr, in, (const void *[]){x, raw}, &y);
        for (int64_t o = 0; o < N_OUT; o++) {
            const double allowed = kept_error(w + o * N_IN, N_IN);
            for (int64_t i = 0; i < N_IN; i++)
                assert_true(fabs((double)got[i * N_OUT + o] - w[o * N_IN + i]) <= allowed);
        }
        free(got);
    }
    free(raw);
    free(w);
    free(x);
}

// 135 MB packed: larger than one binding of lavapipe. Integers, so that the sums are exact.
static void test_many_bindings(void **state) {
    enum { N_OUT = 124100, N_IN = 1024, BLOCK = 32, BYTES = 34, ROW = N_IN / BLOCK * BYTES };
    uint8_t *raw = malloc((size_t)N_OUT * ROW);
    float x[N_IN];
    assert_non_null(raw);
    for (int i = 0; i < N_IN; i++)
        x[i] = (float)(i * 7 % 11 - 5);
    for (int64_t e = 0; e < (int64_t)N_OUT * N_IN; e++) {
        uint8_t *block = raw + e / BLOCK * BYTES;
        memcpy(block, &(uint16_t){0x3C00}, 2);
        block[2 + e % BLOCK] = (uint8_t)(e * 31 % 127 - 63);
    }
    va_tensor in[VA_OP_MAX_IN] = {OP_F32_2(1, N_IN), WEIGHT(VA_Q8_0, N_OUT, N_IN)}, y;
    va_op_attr attr = {0};
    float *got = op_run_forward(*state, VA_OP_LINEAR, &attr, in, (const void *[]){x, raw}, &y);
    for (int64_t o = 0; o < N_OUT; o++) {
        int64_t sum = 0;
        for (int64_t i = 0; i < N_IN; i++)
            sum += (i * 7 % 11 - 5) * ((o * N_IN + i) * 31 % 127 - 63);
        assert_true(got[o] == (float)sum);
    }
    free(got);
    free(raw);
}

static int64_t scratch_of(const va_op_call *c, va_dtype dtype, va_pass pass) {
    va_op_call of = *c;
    of.x[1].dtype = dtype;
    return va_op_get(VA_OP_LINEAR)->scratch_bytes(&of, pass);
}

// What unpacked rows take: the kernels see f32.
static int64_t unpacked(const va_op_call *c, va_pass pass) {
    return scratch_of(c, VA_Q4_K, pass) - scratch_of(c, VA_F32, pass);
}

// Scratch is known without a device and bounded, but for rows that are longer than the bound.
static void test_scratch(void **state) {
    (void)state;
    enum { MIB = 1 << 20 };
    va_op_attr attr = {0};
    va_op_call c = {.attr = &attr, .k = 1, .x = {OP_F32_2(100, 4096), WEIGHT(VA_Q4_K, 11, 4096)}};
    assert_int_equal(unpacked(&c, VA_FORWARD), 11 * 4096 * 4);
    c.x[1].shape[0] = 1000000;
    assert_int_equal(unpacked(&c, VA_JVP), 32 * MIB);
    assert_int_equal(unpacked(&c, VA_VJP), 32 * MIB);
    // Packed rows of A, sums of parts, a scale for each row of W.
    assert_true(scratch_of(&c, VA_BF16, VA_JVP) < 42 * MIB + 4 * 1000000);
    assert_true(scratch_of(&c, VA_BF16, VA_VJP) < 42 * MIB);
    c.k = 100000;
    assert_true(scratch_of(&c, VA_BF16, VA_VJP) < 42 * MIB);
    c.k = 1;
    c.x[0].shape[1] = c.x[1].shape[1] = 10 * MIB;
    assert_int_equal(scratch_of(&c, VA_Q4_K, VA_FORWARD), 40 * MIB);
    assert_int_equal(scratch_of(&c, VA_BF16, VA_FORWARD), 0);
}

static void test_refusals(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    va_tensor y, aux, x[VA_OP_MAX_IN] = {OP_F32_2(3, 48), WEIGHT(VA_Q8_0, 4, 48)};
    va_op_attr attr = {0};
    assert_int_equal(va_tensor_bytes(&x[1]), -1);
    assert_error(ctx, VA_ERR_SHAPE,
                 "linear: W: expected rows of whole Q8_0 blocks of 32, got 48 elements",
                 va_op_get(VA_OP_LINEAR)->infer(ctx, &attr, x, &y, &aux));
    x[0].shape[1] = x[1].shape[1] = 64;
    x[2] = va_tensor_make(VA_Q8_0, 1, (int64_t[]){4});
    assert_error(ctx, VA_ERR_SHAPE, "linear: bias: expected [4] F32, F16 or BF16, got [4] Q8_0",
                 va_op_get(VA_OP_LINEAR)->infer(ctx, &attr, x, &y, &aux));
    x[0] = x[1];
    x[1] = va_tensor_make(VA_U32, 1, (int64_t[]){4});
    assert_error(ctx, VA_ERR_SHAPE, "embed: table: expected [any, any] F32, F16 or BF16",
                 va_op_get(VA_OP_EMBED)->infer(ctx, &attr, x, &y, &aux));
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
        cmocka_unit_test(test_shapes),   cmocka_unit_test(test_heads_and_bias),
        cmocka_unit_test(test_ranges),   cmocka_unit_test(test_exact),
        cmocka_unit_test(test_scratch),  cmocka_unit_test(test_many_bindings),
        cmocka_unit_test(test_refusals),
    };
    const struct CMUnitTest scalar[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_heads_and_bias),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_exact),
    };
    return cmocka_run_group_tests_name("quantised", tests, op_test_setup, op_test_teardown) +
           cmocka_run_group_tests_name("quantised, scalar", scalar, setup_scalar, teardown_scalar);
}
