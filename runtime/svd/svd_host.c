// svd_host.c: dense linear algebra on the host, through LAPACK, in double.
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool fits_lapack(int64_t a, int64_t b) {
    const int64_t limit = sizeof(lapack_int) == 8 ? INT64_MAX : INT32_MAX;
    int64_t product;
    return va_mul_i64(a, b, &product) && product <= limit;
}

static va_status failed(va_ctx *ctx, const char *routine, lapack_int info) {
    return va_fail(ctx, info == LAPACK_WORK_MEMORY_ERROR ? VA_ERR_MEMORY : VA_ERR_NUMERIC,
                   "LAPACK %s failed (info %lld)", routine, (long long)info);
}

va_status va_svd_orthonormalise(va_ctx *ctx, double *Q, int64_t k, int64_t n, double *R) {
    va_status st = VA_OK;
    double *tau = NULL;
    if (!fits_lapack(k, n))
        return va_fail(ctx, VA_ERR_SHAPE, "[%lld, %lld] is too large for LAPACK", (long long)k,
                       (long long)n);
    VA_TRY_ALLOC(ctx, tau, calloc((size_t)k, sizeof *tau));
    lapack_int ln = (lapack_int)n, lk = (lapack_int)k;
    lapack_int info = LAPACKE_dgeqrf(LAPACK_COL_MAJOR, ln, lk, Q, ln, tau);
    if (info != 0)
        VA_TRY(failed(ctx, "dgeqrf", info));
    for (int64_t j = 0; R && j < k; j++)
        for (int64_t i = 0; i < k; i++)
            R[j * k + i] = i <= j ? Q[j * n + i] : 0;
    info = LAPACKE_dorgqr(LAPACK_COL_MAJOR, ln, lk, lk, Q, ln, tau);
    if (info != 0)
        VA_TRY(failed(ctx, "dorgqr", info));
done:
    free(tau);
    return st;
}

va_status va_svd_lapack(va_ctx *ctx, double *M, int64_t rows, int64_t cols, double *U, double *S,
                        double *V) {
    va_status st = VA_OK;
    int64_t r = VA_MIN(rows, cols);
    double *Ut = NULL;
    if (!fits_lapack(rows, cols))
        return va_fail(ctx, VA_ERR_SHAPE, "[%lld, %lld] is too large for LAPACK", (long long)rows,
                       (long long)cols);
    VA_TRY_ALLOC(ctx, Ut, malloc((size_t)(r * rows) * sizeof *Ut));
    // In column order M is its transpose, V S U'; so LAPACK's left factor is V and its right U'.
    lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', (lapack_int)cols, (lapack_int)rows, M,
                                     (lapack_int)cols, S, V, (lapack_int)cols, Ut, (lapack_int)r);
    if (info != 0)
        VA_TRY(failed(ctx, "dgesdd", info));
    for (int64_t j = 0; j < r; j++)
        for (int64_t i = 0; i < rows; i++)
            U[j * rows + i] = Ut[i * r + j];
done:
    free(Ut);
    return st;
}

va_status va_svd_host_frame(va_ctx *ctx, const double *A, int64_t m, int64_t n, int64_t k,
                            double *V, double *sigma) {
    va_status st = VA_OK;
    const int64_t r = VA_MIN(m, n);
    double *M = NULL, *U = NULL, *S = NULL, *all = NULL;
    if (k < 1 || k > r || !fits_lapack(m, n))
        return va_fail(ctx, VA_ERR_USAGE,
                       "svd: expected 1 to %lld vectors of [%lld, %lld], got %lld", (long long)r,
                       (long long)m, (long long)n, (long long)k);
    VA_TRY_ALLOC(ctx, M, malloc((size_t)(m * n) * sizeof *M));
    VA_TRY_ALLOC(ctx, U, malloc((size_t)(r * m) * sizeof *U));
    VA_TRY_ALLOC(ctx, S, malloc((size_t)r * sizeof *S));
    VA_TRY_ALLOC(ctx, all, malloc((size_t)(r * n) * sizeof *all));
    for (int64_t i = 0; i < m * n; i++) {
        if (!isfinite(A[i]))
            VA_TRY(va_fail(ctx, VA_ERR_NUMERIC, "matrix element [%lld, %lld] is %g",
                           (long long)(i / n), (long long)(i % n), A[i]));
        M[i] = A[i];
    }
    VA_TRY(va_svd_lapack(ctx, M, m, n, U, S, all));
    if (S[0] == 0)
        VA_TRY(va_fail(ctx, VA_ERR_NUMERIC, "a zero matrix [%lld, %lld] has no singular vectors",
                       (long long)m, (long long)n));
    memcpy(V, all, (size_t)(k * n) * sizeof *V);
    memcpy(sigma, S, (size_t)k * sizeof *sigma);
done:
    free(M);
    free(U);
    free(S);
    free(all);
    return st;
}
