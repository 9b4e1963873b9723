// svd_top.c: the top right singular vector of a small host matrix, when the others are not wanted.
// G = M M', M the matrix with its smaller side first; G u = sigma_1^2 u; v = M' u / sigma_1, or u.
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// In eight parts, which the processor adds side by side.
static double dot(const double *a, const double *b, int64_t n) {
    enum { PARTS = 8 };
    double part[PARTS] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + PARTS <= n; i += PARTS)
        for (int k = 0; k < PARTS; k++)
            part[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (int k = 0; k < PARTS; k++)
        sum += part[k];
    return sum;
}

// M [r, l] with r <= l, A or its transpose, and the largest magnitude.
static va_status load(va_ctx *ctx, const double *A, int64_t m, int64_t n, double *M,
                      double *largest) {
    *largest = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            const double x = A[i * n + j];
            if (!isfinite(x))
                return va_fail(ctx, VA_ERR_NUMERIC, "matrix element [%lld, %lld] is %g",
                               (long long)i, (long long)j, x);
            *largest = fmax(*largest, fabs(x));
            M[m <= n ? i * n + j : j * m + i] = x;
        }
    if (*largest == 0)
        return va_fail(ctx, VA_ERR_NUMERIC, "a zero matrix [%lld, %lld] has no singular vectors",
                       (long long)m, (long long)n);
    return VA_OK;
}

// u [r], the unit vector of G's largest eigenvalue. G [r, r] is destroyed; its lower triangle is
// read (LAPACK's upper one, by columns).
static va_status top_eigenvector(va_ctx *ctx, double *G, int64_t r, double *u) {
    va_status st = VA_OK;
    lapack_int n = (lapack_int)r, found = 0, support[2];
    double *values;
    VA_TRY_ALLOC(ctx, values, malloc((size_t)r * sizeof *values));
    lapack_int info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'U', n, G, n, 0, 0, n, n, 0,
                                     &found, values, u, n, support);
    if (info != 0 || found != 1)
        VA_TRY(va_fail(ctx, info == LAPACK_WORK_MEMORY_ERROR ? VA_ERR_MEMORY : VA_ERR_NUMERIC,
                       "LAPACK dsyevr failed (info %lld)", (long long)info));
done:
    free(values);
    return st;
}

static void normalise(double *v, int64_t n) {
    const double length = sqrt(dot(v, v, n));
    for (int64_t i = 0; i < n; i++)
        v[i] /= length;
}

// sigma [k] of M [r, l], which is destroyed.
static va_status all_values(va_ctx *ctx, double *M, int64_t r, int64_t l, double *sigma,
                            int64_t k) {
    va_status st = VA_OK;
    double *U = NULL, *S = NULL, *V = NULL;
    VA_TRY_ALLOC(ctx, U, calloc((size_t)(r * r), sizeof *U));
    VA_TRY_ALLOC(ctx, S, calloc((size_t)r, sizeof *S));
    VA_TRY_ALLOC(ctx, V, calloc((size_t)(r * l), sizeof *V));
    VA_TRY(va_svd_lapack(ctx, M, r, l, U, S, V));
    memcpy(sigma, S, (size_t)k * sizeof *sigma);
done:
    free(U);
    free(S);
    free(V);
    return st;
}

va_status va_svd_host_top(va_ctx *ctx, const double *A, int64_t m, int64_t n, double *v,
                          double *sigma, int64_t k) {
    va_status st = VA_OK;
    const int64_t r = VA_MIN(m, n), l = VA_MAX(m, n);
    double *M = NULL, *G = NULL, *u = NULL, largest;
    int64_t elems;
    if (r < 1 || k < 0 || k > r || !va_mul_i64(m, n, &elems) || elems > INT32_MAX)
        return va_fail(ctx, VA_ERR_USAGE,
                       "svd: expected m, n >= 1, k of at most the smaller and m n below 2^31, got "
                       "%lld, %lld, %lld",
                       (long long)m, (long long)n, (long long)k);
    VA_TRY_ALLOC(ctx, M, calloc((size_t)elems, sizeof *M));
    VA_TRY_ALLOC(ctx, G, calloc((size_t)(r * r), sizeof *G));
    VA_TRY_ALLOC(ctx, u, calloc((size_t)r, sizeof *u));
    VA_TRY(load(ctx, A, m, n, M, &largest));
    for (int64_t i = 0; i < elems; i++)
        M[i] /= largest; // so that no square over- or underflows that matters
    for (int64_t i = 0; i < r; i++)
        for (int64_t j = 0; j <= i; j++)
            G[i * r + j] = dot(M + i * l, M + j * l, l);
    VA_TRY(top_eigenvector(ctx, G, r, u));
    memset(v, 0, (size_t)n * sizeof *v);
    for (int64_t i = 0; i < r; i++)
        for (int64_t j = 0; m <= n && j < n; j++)
            v[j] += u[i] * M[i * l + j];
    if (m > n)
        memcpy(v, u, (size_t)n * sizeof *v);
    normalise(v, n);
    if (k > 0)
        VA_TRY(all_values(ctx, M, r, l, sigma, k));
    for (int64_t j = 0; j < k; j++)
        sigma[j] *= largest;
done:
    free(M);
    free(G);
    free(u);
    return st;
}
