// svd_subspace.c: block subspace iteration with Rayleigh-Ritz extraction.
//
// One iteration on an orthonormal block V [b, n], b > k where there is room:
//   Y = A V;  Q = orth(Y);  Z = A' Q;  Z = Qz Rz,  Rz = X S W' (small SVD);  V = Qz X,  U = Q W.
// Then A' u = s v holds by construction and A v, which the next iteration forms anyway, tells the
// residual ||A v - s u||. Errors shrink by (sigma_{b+1} / sigma_j)^2 in an iteration.
// Reference: N. Halko, P. G. Martinsson, J. A. Tropp, "Finding structure with randomness", SIAM
// Review 53 (2011), algorithms 4.4 and 5.1; G. W. Stewart on Rayleigh-Ritz, Matrix Algorithms II,
// chapter 6.
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <math.h>
#include <string.h>

typedef struct subspace {
    svd_job *job;
    int64_t b;
    double *V;         // [b, n]
    double *U, *Y;     // [b, m]
    double *S;         // [b]
    double *R, *W, *X; // [b, b]
    double best;       // smallest residual so far
    int64_t best_at;   // and its iteration
} subspace;

static va_status start(subspace *s, svd_job *job) {
    va_status st = VA_OK;
    const int64_t b = job->params.block;
    *s = (subspace){.job = job, .b = b, .best = INFINITY};
    VA_TRY_ALLOC(job->ctx, s->V, va_svd_array(job, b, job->n));
    VA_TRY_ALLOC(job->ctx, s->U, va_svd_array(job, b, job->m));
    VA_TRY_ALLOC(job->ctx, s->Y, va_svd_array(job, b, job->m));
    VA_TRY_ALLOC(job->ctx, s->S, va_svd_array(job, b, 1));
    VA_TRY_ALLOC(job->ctx, s->R, va_svd_array(job, b, b));
    VA_TRY_ALLOC(job->ctx, s->W, va_svd_array(job, b, b));
    VA_TRY_ALLOC(job->ctx, s->X, va_svd_array(job, b, b));
    va_rng rng = va_rng_make(job->params.seed, va_hash64("svd.subspace"));
    for (int64_t i = 0; i < b * job->n; i++)
        s->V[i] = va_rng_normal(&rng);
    VA_TRY(va_svd_orthonormalise(job->ctx, s->V, b, job->n, NULL));
done:
    return st;
}

// ||A v - s u|| of the wanted triplets, with A V in Y: the largest, and how many are small enough.
static double largest_residual(const subspace *s, int64_t *n_converged) {
    double largest = 0;
    int64_t m = s->job->m;
    *n_converged = 0;
    for (int64_t j = 0; j < s->job->k; j++) {
        double sum = 0;
        for (int64_t i = 0; i < m; i++) {
            double r = s->Y[j * m + i] - s->S[j] * s->U[j * m + i];
            sum += r * r;
        }
        largest = fmax(largest, sqrt(sum));
        *n_converged += sqrt(sum) <= s->job->params.tolerance * s->S[0];
    }
    return largest;
}

// From Y = A V to the Ritz triplets.
static va_status rayleigh_ritz(subspace *s) {
    va_status st = VA_OK;
    svd_job *job = s->job;
    VA_TRY(va_svd_orthonormalise(job->ctx, s->Y, s->b, job->m, NULL));
    VA_TRY(va_svd_apply_t(job, s->Y, s->b, s->V));
    VA_TRY(va_svd_orthonormalise(job->ctx, s->V, s->b, job->n, s->R));
    // R in column order is its transpose in row order: Rz' = W S X'.
    VA_TRY(va_svd_lapack(job->ctx, s->R, s->b, s->b, s->W, s->S, s->X));
    VA_TRY(va_svd_combine(job->ctx, s->V, s->b, job->n, s->X, s->b, s->b));
    VA_TRY(va_svd_combine(job->ctx, s->Y, s->b, job->m, s->W, s->b, s->b));
    memcpy(s->U, s->Y, (size_t)(s->b * job->m) * sizeof *s->U);
done:
    return st;
}

// Rounding in the map keeps residuals from falling further: near the float32 floor and no better
// for a while.
static bool stagnates(subspace *s, double residual, int64_t iteration) {
    const double progress = 0.9;
    const int64_t patience = 8;
    if (residual < progress * s->best) {
        s->best = residual;
        s->best_at = iteration;
    }
    return residual <= VA_SVD_FLOOR * s->S[0] && iteration - s->best_at >= patience;
}

va_status va_svd_subspace(svd_job *job) {
    va_status st = VA_OK;
    subspace s;
    VA_TRY(start(&s, job));
    for (int64_t i = 0; i < job->params.max_iterations; i++) {
        VA_TRY(va_svd_step(job, i, job->params.max_iterations));
        VA_TRY(va_svd_apply(job, s.V, s.b, s.Y));
        if (i > 0) {
            int64_t n_converged;
            double residual = largest_residual(&s, &n_converged);
            va_svd_record(job, va_svd_relative(residual, s.S[0]), n_converged);
            job->is_final = stagnates(&s, residual, i) ||
                            residual <= VA_SVD_SAFETY * job->params.tolerance * s.S[0];
            if (job->is_final)
                break;
        }
        VA_TRY(rayleigh_ritz(&s));
    }
    memcpy(job->U, s.U, (size_t)(job->k * job->m) * sizeof *s.U);
    memcpy(job->V, s.V, (size_t)(job->k * job->n) * sizeof *s.V);
    memcpy(job->S, s.S, (size_t)job->k * sizeof *s.S);
done:
    return st;
}
