// linear_host.c: inner products and Cholesky on the host, in double.
// SPDX-License-Identifier: Apache-2.0
#include "linear_priv.h"

#include <lapacke.h>

// Two lanes, added at the end: the order of a sum is fixed, whatever the compiler makes of it.
typedef double lanes __attribute__((vector_size(LINEAR_LANES * sizeof(double))));

int64_t linear_stride(int64_t n) {
    return (n + LINEAR_LANES - 1) / LINEAR_LANES * LINEAR_LANES;
}

double *linear_matrix(va_arena *arena, int64_t rows, int64_t cols) {
    int64_t n;
    return va_mul_i64(rows, cols, &n) ? VA_NEW_ARRAY(arena, double, n) : NULL;
}

static double total(lanes x) {
    return x[0] + x[1];
}

double linear_dot(const double *a, const double *b, int64_t stride) {
    const lanes *x = (const lanes *)a, *y = (const lanes *)b;
    lanes s[4] = {{0}};
    int64_t n = stride / LINEAR_LANES, k = 0;
    for (; k + 4 <= n; k += 4)
        for (int j = 0; j < 4; j++)
            s[j] += x[k + j] * y[k + j];
    for (; k < n; k++)
        s[0] += x[k] * y[k];
    return total((s[0] + s[1]) + (s[2] + s[3]));
}

void linear_axpy(double alpha, const double *x, double *y, int64_t stride) {
    const lanes *from = (const lanes *)x;
    lanes *to = (lanes *)y;
    for (int64_t k = 0; k < stride / LINEAR_LANES; k++)
        to[k] += alpha * from[k];
}

// Inner products of rows a[0..1] and b[0..3]: eight sums, as many as stay in registers.
static void tile(const double *const a[2], const double *const b[4], int64_t stride,
                 double sum[2][4]) {
    const lanes *a0 = (const lanes *)a[0], *a1 = (const lanes *)a[1];
    const lanes *b0 = (const lanes *)b[0], *b1 = (const lanes *)b[1];
    const lanes *b2 = (const lanes *)b[2], *b3 = (const lanes *)b[3];
    lanes s00 = {0}, s01 = {0}, s02 = {0}, s03 = {0}, s10 = {0}, s11 = {0}, s12 = {0}, s13 = {0};
    for (int64_t k = 0; k < stride / LINEAR_LANES; k++) {
        lanes x = a0[k], y = a1[k];
        s00 += x * b0[k];
        s01 += x * b1[k];
        s02 += x * b2[k];
        s03 += x * b3[k];
        s10 += y * b0[k];
        s11 += y * b1[k];
        s12 += y * b2[k];
        s13 += y * b3[k];
    }
    const lanes s[2][4] = {{s00, s01, s02, s03}, {s10, s11, s12, s13}};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
            sum[i][j] = total(s[i][j]);
}

// Rows past the end repeat the last one and are not written. Blocks of b stay in the cache.
static void gram_block(const double *rows, int64_t n, int64_t stride, int64_t b_first,
                       int64_t b_end, double *G) {
    for (int64_t i = b_first / 2 * 2; i < n; i += 2) {
        const double *a[2] = {rows + i * stride, rows + VA_MIN(i + 1, n - 1) * stride};
        for (int64_t j = b_first; j < VA_MIN(b_end, i + 2); j += 4) {
            const double *b[4];
            double sum[2][4];
            for (int c = 0; c < 4; c++)
                b[c] = rows + VA_MIN(j + c, n - 1) * stride;
            tile(a, b, stride, sum);
            for (int r = 0; r < 2; r++)
                for (int c = 0; c < 4; c++)
                    if (i + r < n && j + c <= i + r)
                        G[(i + r) * n + j + c] = G[(j + c) * n + i + r] = sum[r][c];
        }
    }
}

void linear_gram(const double *rows, int64_t n, int64_t stride, double *G) {
    const int64_t cache_doubles = 32 * 1024;
    const int64_t block = VA_MAX(4, cache_doubles / stride / 4 * 4);
    for (int64_t b = 0; b < n; b += block)
        gram_block(rows, n, stride, b, VA_MIN(b + block, n), G);
}

va_status linear_transpose(va_ctx *ctx, va_arena *scratch, const double *A, int64_t n, int64_t d,
                           double **At) {
    va_status st = VA_OK;
    const int64_t stride = linear_stride(d), to = linear_stride(n);
    VA_TRY_ALLOC(ctx, *At, linear_matrix(scratch, d, to));
    for (int64_t i0 = 0; i0 < n; i0 += 8)
        for (int64_t j = 0; j < d; j++)
            for (int64_t i = i0; i < VA_MIN(i0 + 8, n); i++)
                (*At)[j * to + i] = A[i * stride + j];
done:
    return st;
}

static va_status fits_lapack(va_ctx *ctx, int64_t n) {
    if (n > (sizeof(lapack_int) == 8 ? INT64_MAX : INT32_MAX))
        return va_fail(ctx, VA_ERR_SHAPE, "[%lld, %lld] is too large for LAPACK", (long long)n,
                       (long long)n);
    return VA_OK;
}

va_status linear_factor(va_ctx *ctx, double *M, int64_t n, bool *positive) {
    va_status st = VA_OK;
    VA_TRY(fits_lapack(ctx, n));
    lapack_int info = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', (lapack_int)n, M, (lapack_int)n);
    if (info < 0)
        return va_fail(ctx, VA_ERR_NUMERIC, "LAPACK dpotrf failed (info %lld)", (long long)info);
    *positive = info == 0;
done:
    return st;
}

va_status linear_solve(va_ctx *ctx, const double *M, int64_t n, double *x) {
    const lapack_int size = (lapack_int)n;
    lapack_int info = LAPACKE_dpotrs(LAPACK_COL_MAJOR, 'L', size, 1, M, size, x, size);
    return info == 0
               ? VA_OK
               : va_fail(ctx, VA_ERR_NUMERIC, "LAPACK dpotrs failed (info %lld)", (long long)info);
}
