// libs: va_op
// test_matmul_pack.c: A in three bf16 is A: the operand of products on matrix cores of bf16, which
// few devices have to multiply with. Any device splits it.
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"
#include "op_check.h"

#include <float.h>
#include <math.h>

// The last rows and columns of A are outside the product, and what is packed is rounded up.
enum { A_ROWS = 12, A_STRIDE = 151, ROW0 = 1, N_ROWS = 10, A_0 = 2, N_INNER = 147 };
enum { N_PACKED = 32, K_PACKED = 192, TERMS = 3, LOCAL = 64 };
enum { F_ROWS = 2, F_STRIDE = 160, F_0 = 3, N_FACTORS = (A_ROWS / F_ROWS + 1) * F_STRIDE };

static const matmul_push push = {.n_rows = N_ROWS,
                                 .n_inner = N_INNER,
                                 .row0 = ROW0,
                                 .a_stride = A_STRIDE,
                                 .a_0 = A_0,
                                 .fa_rows = F_ROWS,
                                 .fa_stride = F_STRIDE,
                                 .fa_0 = F_0,
                                 .k_packed = K_PACKED,
                                 .n_packed = N_PACKED};

// Of A's rows, from both ends of what an f32 holds; where rows are lifted and where not.
static const int exponents[A_ROWS] = {0, -120, -65, -64, -30, 0, 5, 40, 100, 125, 0, 0};
static float a[A_ROWS * A_STRIDE], factor[N_FACTORS], undo[N_PACKED];
static uint16_t packed[N_PACKED * TERMS * K_PACKED];

static void fill(void) {
    va_rng r = va_rng_make(3, 1);
    for (int i = 0; i < VA_COUNT(a); i++) {
        const double sign = va_rng_below(&r, 2) ? 1 : -1;
        const double bits = 1 + (double)va_rng_below(&r, 1 << 23) * 0x1p-23;
        a[i] = (float)ldexp(sign * bits, exponents[i / A_STRIDE] - i % 3);
    }
    for (int i = 0; i < N_FACTORS; i++) // which no product is rounded by
        factor[i] = (float)ldexp(i % 5 ? 1 : -1, i % 4 - 2);
}

static void pack(va_gpu *gpu, bool has_factor) {
    va_ctx *ctx = va_gpu_ctx(gpu);
    const void *data[] = {a, a, factor, NULL, NULL}; // the second, a scale, is not read
    const int64_t bytes[] = {sizeof a, 4, sizeof factor, sizeof packed, sizeof undo};
    va_buffer *b[5];
    const va_kernel kernel = {.shader = "op/matmul_pack.PACK_BF16",
                              .n_bind = 5,
                              .write_mask = 1u << 3 | 1u << 4,
                              .push_bytes = sizeof push,
                              .n_spec = 4,
                              .spec = {VA_BF16, LOCAL, 0, has_factor}};
    va_dispatch d = {.kernel = &kernel, .push = &push};
    for (int i = 0; i < VA_COUNT(b); i++) {
        assert_ok(ctx, va_buffer_create(gpu, bytes[i], "packed rows", &b[i]));
        if (data[i])
            assert_ok(ctx, va_gpu_upload(gpu, va_buffer_all(b[i]), data[i]));
        else
            assert_ok(ctx, va_gpu_fill(gpu, va_buffer_all(b[i]), 0x7fc07fc0));
        d.bind[i] = va_buffer_all(b[i]);
    }
    va_gpu_groups(gpu, N_PACKED, 1, d.groups);
    assert_ok(ctx, va_gpu_dispatch(gpu, &d));
    assert_ok(ctx, va_gpu_download(gpu, va_buffer_all(b[3]), packed));
    assert_ok(ctx, va_gpu_download(gpu, va_buffer_all(b[4]), undo));
    for (int i = 0; i < VA_COUNT(b); i++)
        va_buffer_destroy(&b[i]);
}

static uint16_t term_at(int row, int t, int i) {
    return packed[(row * TERMS + t) * K_PACKED + i];
}

static float *a_at(int row, int i) {
    return &a[(ROW0 + row) * A_STRIDE + A_0 + i];
}

static double value_of(uint16_t bf16) {
    uint32_t bits = (uint32_t)bf16 << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

// What the terms stand for: exactly their sum.
static double sum_at(int row, int i) {
    double sum = 0;
    for (int t = TERMS; t-- > 0;)
        sum += value_of(term_at(row, t, i));
    return sum * undo[row];
}

// Largest first, as products are summed from the last on; none denormal, which matrix cores may
// take for 0.
static void check_terms(int row, int i) {
    uint16_t before = 0x7f80;
    for (int t = 0; t < TERMS; t++) {
        const uint16_t magnitude = term_at(row, t, i) & 0x7fff;
        assert_true(magnitude == 0 || (magnitude >= 0x0080 && magnitude < before));
        before = magnitude;
    }
}

static void test_exact(void **state) {
    for (int has_factor = 0; has_factor < 2; has_factor++) {
        fill();
        pack(*state, has_factor);
        for (int row = 0; row < N_ROWS; row++)
            for (int i = 0; i < N_INNER; i++) {
                const int f = (ROW0 + row) / F_ROWS * F_STRIDE + F_0 + A_0 + i;
                check_terms(row, i);
                assert_true(sum_at(row, i) == *a_at(row, i) * (has_factor ? factor[f] : 1.0));
            }
    }
}

// What fills the last tile adds nothing to any sum.
static void test_padding(void **state) {
    fill();
    pack(*state, false);
    for (int row = 0; row < N_PACKED; row++) {
        assert_true(isfinite(undo[row]));
        for (int i = row < N_ROWS ? N_INNER : 0; i < K_PACKED; i++)
            for (int t = 0; t < TERMS; t++)
                assert_int_equal(term_at(row, t, i), 0);
    }
}

// No weight makes a row overflow that did not before: only what is below 2^-64 is made larger.
static void test_lift(void **state) {
    fill();
    pack(*state, false);
    for (int row = 0; row < N_ROWS; row++)
        assert_true(undo[row] == (exponents[ROW0 + row] < -64 ? 0x1p-32f : 1));
}

static void test_special(void **state) {
    fill();
    static const float special[] = {INFINITY, -INFINITY, NAN, FLT_MAX, -FLT_MAX,
                                    0,        -0.0f,     1,   -2.5,    0x1.fffffep0f};
    for (int i = 0; i < VA_COUNT(special); i++)
        *a_at(4, i) = special[i];
    pack(*state, false);
    for (int i = 0; i < VA_COUNT(special); i++) {
        const double got = sum_at(4, i), expected = special[i];
        assert_true(isnan(expected) ? isnan(got) : got == expected);
        if (isfinite(expected))
            check_terms(4, i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_lift),
        cmocka_unit_test(test_special),
    };
    return cmocka_run_group_tests(tests, op_test_setup, op_test_teardown);
}
