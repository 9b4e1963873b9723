// svd_power.c: power iteration on A'A, one triplet after another, with deflation.
//
// Triplet j starts from a random v and repeats u = A v / |A v|, v = A' u / s with s = |A' u|, both
// kept orthogonal to the triplets found before. The residual is ||A v - s u||; errors shrink by
// (sigma_{j+1} / sigma_j)^2 in a step.
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Makes v orthogonal to the first `count` rows of Q: twice is enough in double.
static void deflate(double *v, const double *Q, int64_t count, int64_t n) {
    for (int pass = 0; pass < 2; pass++)
        for (int64_t a = 0; a < count; a++) {
            double c = va_svd_dot(v, Q + a * n, n);
            for (int64_t i = 0; i < n; i++)
                v[i] -= c * Q[a * n + i];
        }
}

// Deflates and normalises v; returns its length before normalisation. A vector that vanishes is
// replaced by a random one orthogonal to the rest, and its length is 0.
static double next_vector(double *v, const double *Q, int64_t count, int64_t n, va_rng *rng) {
    double before = sqrt(va_svd_dot(v, v, n));
    deflate(v, Q, count, n);
    double length = sqrt(va_svd_dot(v, v, n)), norm = length;
    if (!(length > 1e-12 * before)) {
        length = 0;
        for (norm = 0; norm < 1e-3; norm = sqrt(va_svd_dot(v, v, n))) {
            for (int64_t i = 0; i < n; i++)
                v[i] = va_rng_normal(rng);
            deflate(v, Q, count, n);
        }
    }
    for (int64_t i = 0; i < n; i++)
        v[i] /= norm;
    return length;
}

// A triplet in the making and what it has come to.
typedef struct search {
    double *u, *v, *w; // u and v in the job's arrays; w [m]
    double s, best;
    int64_t best_at;
    bool is_converged;
} search;

// What the triplets so far came to.
typedef struct tally {
    int64_t n_converged;
    bool hit_limit; // by one that did not converge
} tally;

// Judges the triplet by its residual; true when there is no more to do.
static bool judge(svd_job *job, const tally *before, search *t, int64_t step, double sigma_1) {
    double sum = 0;
    for (int64_t i = 0; i < job->m; i++) {
        double r = t->w[i] - t->s * t->u[i];
        sum += r * r;
    }
    double residual = sqrt(sum);
    if (residual < 0.9 * t->best) {
        t->best = residual;
        t->best_at = step;
    }
    t->is_converged = residual <= job->params.tolerance * sigma_1;
    const bool stagnates = residual <= VA_SVD_FLOOR * sigma_1 && step - t->best_at >= 8;
    va_svd_record(job, va_svd_relative(residual, sigma_1), before->n_converged + t->is_converged);
    // What deflation takes out of a later triplet's products are the residuals of those before it.
    const double target = VA_SVD_SAFETY / sqrt((double)job->k) * job->params.tolerance;
    return stagnates || residual <= target * sigma_1;
}

static va_status find_triplet(svd_job *job, int64_t j, double *w, tally *so_far) {
    va_status st = VA_OK;
    search t = {.u = job->U + j * job->m, .v = job->V + j * job->n, .w = w, .best = INFINITY};
    va_rng rng = va_rng_make(job->params.seed, va_hash64("svd.power") + (uint64_t)j);
    bool is_done = false;
    memset(t.v, 0, (size_t)job->n * sizeof *t.v);
    next_vector(t.v, job->V, j, job->n, &rng); // a zero vector becomes a random one
    for (int64_t step = 0; step < job->params.max_iterations && !is_done; step++) {
        VA_TRY(va_svd_step(job, j * job->params.max_iterations + step,
                           job->k * job->params.max_iterations));
        VA_TRY(va_svd_apply(job, t.v, 1, t.w));
        deflate(t.w, job->U, j, job->m);
        is_done = step > 0 && judge(job, so_far, &t, step, j == 0 ? t.s : fmax(t.s, job->S[0]));
        if (is_done)
            break;
        memcpy(t.u, t.w, (size_t)job->m * sizeof *t.u);
        next_vector(t.u, job->U, j, job->m, &rng);
        VA_TRY(va_svd_apply_t(job, t.u, 1, t.v));
        t.s = next_vector(t.v, job->V, j, job->n, &rng);
    }
    job->S[j] = t.s;
    so_far->n_converged += t.is_converged;
    so_far->hit_limit = so_far->hit_limit || (!is_done && !t.is_converged);
done:
    return st;
}

// Near-equal values may be found in the wrong order.
static void sort_triplets(svd_job *job) {
    for (int64_t i = 1; i < job->k; i++)
        for (int64_t j = i; j > 0 && job->S[j] > job->S[j - 1]; j--) {
            double *a = job->S + j - 1;
            double t = a[0];
            a[0] = a[1];
            a[1] = t;
            for (int64_t c = 0; c < job->m; c++) {
                t = job->U[j * job->m + c];
                job->U[j * job->m + c] = job->U[(j - 1) * job->m + c];
                job->U[(j - 1) * job->m + c] = t;
            }
            for (int64_t c = 0; c < job->n; c++) {
                t = job->V[j * job->n + c];
                job->V[j * job->n + c] = job->V[(j - 1) * job->n + c];
                job->V[(j - 1) * job->n + c] = t;
            }
        }
}

va_status va_svd_power(svd_job *job) {
    va_status st = VA_OK;
    tally so_far = {0};
    double *w;
    VA_TRY_ALLOC(job->ctx, w, va_svd_array(job, 1, job->m));
    for (int64_t j = 0; j < job->k; j++)
        VA_TRY(find_triplet(job, j, w, &so_far));
    job->is_final = !so_far.hit_limit;
    sort_triplets(job);
done:
    return st;
}
