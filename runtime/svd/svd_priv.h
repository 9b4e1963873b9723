// svd_priv.h: what the solvers in runtime/svd share.
//
// Blocks of host vectors are double, vector-major [k, n], which LAPACK reads as an n by k matrix in
// column order. The map itself works in float32: what is given to it is rounded first.
// SPDX-License-Identifier: Apache-2.0
#ifndef SVD_PRIV_H
#define SVD_PRIV_H

#include "vkalign/svd.h"

// float32 vectors on their way to and from the map; grows with the blocks.
typedef struct svd_staging {
    float *x, *y; // [chunk, n], [chunk, m]
    int64_t chunk;
} svd_staging;

// A solve under way. A solver fills U, S and V for the first k triplets.
typedef struct svd_job {
    va_ctx *ctx;
    va_arena *arena; // of the job, for work arrays
    va_linmap *map;
    va_svd_params params; // defaults filled in
    int64_t m, n, k;
    double *U; // [k, m]
    double *S; // [k] descending
    double *V; // [k, n]
    svd_staging staging;
    va_svd_result *result; // counts and history as they grow
    bool measured;         // the result holds U, S, V and their residuals
    bool is_final;         // further steps would not help; false at the limit of steps
    int64_t n_steps;       // seen by va_svd_record
    int64_t record_every;  // 1, 2, 4, ...
    double start_s;        // va_time_s()
} svd_job;

// A solver judges by the residual it sees; the final one, of rounded vectors, is a little larger.
#define VA_SVD_SAFETY 0.7
// Residuals below this times sigma_1 may stop falling for the rounding of the map alone. Further
// up, slow progress is a matter of the spectrum.
#define VA_SVD_FLOOR 1e-5

// -- svd_apply.c ----------------------------------------------------------------------------------

double *va_svd_array(svd_job *job, int64_t count, int64_t length); // NULL when out of memory
// Y [k, m] = A X [k, n] and the transpose; VA_ERR_NUMERIC when the map gives NaN or infinity.
va_status va_svd_apply(svd_job *job, const double *X, int64_t k, double *Y);
va_status va_svd_apply_t(svd_job *job, const double *Y, int64_t k, double *X);
void va_svd_free_staging(svd_job *job);
// What the map gave, widened to double; anything non-finite is an error.
va_status va_svd_widen(svd_job *job, const float *from, int64_t count, int64_t length, double *to);
void va_svd_report(svd_job *job, int64_t done, int64_t total, bool finished);
va_status va_svd_step(svd_job *job, int64_t done, int64_t total); // progress and interrupt
// residual / sigma_1; 0 where there is no residual, 1 while no singular value was found.
double va_svd_relative(double residual, double sigma_1);
// One more step of the history: a residual relative to sigma_1.
void va_svd_record(svd_job *job, double residual, int64_t n_converged);

// -- svd_result.c ---------------------------------------------------------------------------------

va_status va_svd_result_create(va_ctx *ctx, va_arena *arena, int64_t k, int64_t m, int64_t n,
                               va_svd_result *r);
// Rounds, applies the sign rule, counts the rank.
void va_svd_store(const double *U, const double *S, const double *V, va_svd_result *r);
// residual and is_converged from A V [k, m] and A' U [k, n] of the stored vectors.
void va_svd_judge(const double *AV, const double *AtU, double tolerance, va_svd_result *r);
// Stores the job's triplets and judges them by applying the map to the rounded vectors.
va_status va_svd_measure(svd_job *job);
void va_svd_warn(const svd_job *job); // about what did not converge

// -- svd_host.c: LAPACK ---------------------------------------------------------------------------

// Q [k, n] in place: Householder QR, k <= n; rank-deficient blocks are completed to orthonormal
// ones. R, if wanted, [k, k] in column order.
va_status va_svd_orthonormalise(va_ctx *ctx, double *Q, int64_t k, int64_t n, double *R);
// SVD of M [rows, cols] row-major (destroyed): U [r, rows], S [r], V [r, cols], r = min(rows,
// cols).
va_status va_svd_lapack(va_ctx *ctx, double *M, int64_t rows, int64_t cols, double *U, double *S,
                        double *V);

// -- svd_basis.c: bases that grow -----------------------------------------------------------------

double va_svd_dot(const double *a, const double *b, int64_t n);
// Rows 0 .. b-1 of Q [k, n] become sum_a R[row, a] Q[a], R [b, ld] row-major, b <= k.
va_status va_svd_combine(va_ctx *ctx, double *Q, int64_t k, int64_t n, const double *R, int64_t ld,
                         int64_t b);
// Rows first .. first+count-1 of Q [first + count, n] are new vectors z_j after an orthonormal
// basis. Each becomes a unit vector orthogonal to all rows before it, with
//     z_j = sum_a coef[j, a] Q[a],  coef [count, ld] row-major.
// Of what is not longer than lost nothing is left but rounding: a random direction takes its place,
// with coefficient 0, and n_random grows. Only the first `room` vectors are kept (the space may
// have no more); the others are scratch afterwards, but their coefficients are right.
typedef struct svd_extension {
    int64_t first, count, room, n;
    double lost;
    double *coef;
    int64_t ld;
    va_rng *rng;
    int64_t *n_random;
} svd_extension;
void va_svd_extend(double *Q, const svd_extension *e);

va_status va_svd_golub_kahan(svd_job *job);
va_status va_svd_subspace(svd_job *job);
va_status va_svd_power(svd_job *job);
va_status va_svd_dense(svd_job *job);

#endif
