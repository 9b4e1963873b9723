// svd_priv.h: what the solvers in runtime/svd share.
//
// Blocks of host vectors are double, vector-major [k, n], which LAPACK reads as an n by k matrix in
// column order. The map itself works in float32: what is given to it is rounded first.
// SPDX-License-Identifier: Apache-2.0
#ifndef SVD_PRIV_H
#define SVD_PRIV_H

#include "vkalign/svd.h"

// A solve under way. A solver fills U, S and V for the first k triplets.
typedef struct svd_job {
    va_ctx *ctx;
    va_arena *arena; // of the job, for work arrays
    va_linmap *map;
    va_svd_params params; // defaults filled in
    int64_t m, n, k;
    double *U;          // [k, m]
    double *S;          // [k] descending
    double *V;          // [k, n]
    int64_t iterations; // applications to blocks so far
    float *x, *y;       // [block, n], [block, m] staging, block vectors at once
    double start_s;     // va_time_s()
} svd_job;

// A solver judges by the residual it sees; the final one, of rounded vectors, is a little larger.
#define VA_SVD_SAFETY 0.7

double *va_svd_array(svd_job *job, int64_t count, int64_t length); // NULL when out of memory
// Y [k, m] = A X [k, n] and the transpose; VA_ERR_NUMERIC when the map gives NaN or infinity.
va_status va_svd_apply(svd_job *job, const double *X, int64_t k, double *Y);
va_status va_svd_apply_t(svd_job *job, const double *Y, int64_t k, double *X);
va_status va_svd_step(svd_job *job, int64_t done, int64_t total); // progress and interrupt

// Q [k, n] in place: Householder QR, k <= n; rank-deficient blocks are completed to orthonormal
// ones. R, if wanted, [k, k] in column order.
va_status va_svd_orthonormalise(va_ctx *ctx, double *Q, int64_t k, int64_t n, double *R);
// SVD of M [rows, cols] row-major (destroyed): U [r, rows], S [r], V [r, cols], r = min(rows,
// cols).
va_status va_svd_lapack(va_ctx *ctx, double *M, int64_t rows, int64_t cols, double *U, double *S,
                        double *V);
// Y [k, n] = sum_a X[a] R[b, a] for b < k: R [k, k] row b holds the weights of result b.
void va_svd_combine(const double *X, const double *R, int64_t k, int64_t n, double *Y);

double va_svd_dot(const double *a, const double *b, int64_t n);

va_status va_svd_subspace(svd_job *job);
va_status va_svd_power(svd_job *job);
va_status va_svd_dense(svd_job *job);

#endif
