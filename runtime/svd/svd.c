// svd.c: the front of the singular value solvers: parameters, defaults, final residuals and signs.
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const method_names[] = {
#define VA_X(id, name, text) name,
    VA_SVD_METHOD_LIST(VA_X)
#undef VA_X
};

const char *va_svd_method_name(va_svd_method m) {
    return (int)m >= 0 && m < VA_SVD_METHOD_COUNT ? method_names[m] : "(unknown)";
}

bool va_svd_method_parse(const char *name, va_svd_method *m) {
    for (int i = 0; i < VA_SVD_METHOD_COUNT; i++)
        if (strcmp(name, method_names[i]) == 0) {
            *m = (va_svd_method)i;
            return true;
        }
    return false;
}

double *va_svd_array(svd_job *job, int64_t count, int64_t length) {
    int64_t elems;
    return va_mul_i64(count, length, &elems) ? VA_NEW_ARRAY(job->arena, double, elems) : NULL;
}

static void report_progress(svd_job *job, int64_t done_count, int64_t total, bool finished) {
    const va_progress p = {.label = va_linmap_label(job->map),
                           .done = done_count,
                           .total = total,
                           .elapsed_s = va_time_s() - job->start_s,
                           .finished = finished};
    va_progress_report(job->ctx, &p);
}

va_status va_svd_step(svd_job *job, int64_t done_count, int64_t total) {
    report_progress(job, done_count, total, false);
    return va_check_interrupt(job->ctx);
}

// -- the map on host vectors ------------------------------------------------------------------

static void round_to(float *to, const double *from, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        to[i] = (float)from[i];
}

// Widens what the map gave; anything non-finite is an error.
static va_status widen(svd_job *job, const float *from, int64_t count, int64_t length, double *to) {
    for (int64_t i = 0; i < count * length; i++) {
        if (!isfinite(from[i]))
            return va_fail(job->ctx, VA_ERR_NUMERIC,
                           "map %s gave %g at element %lld of a vector of length %lld",
                           va_linmap_label(job->map), (double)from[i], (long long)(i % length),
                           (long long)length);
        to[i] = from[i];
    }
    return VA_OK;
}

// Staging is as large as one call of the map takes, so a block is passed through it in chunks.
static va_status apply_either(svd_job *job, bool transposed, const double *from, int64_t k,
                              double *to) {
    va_status st = VA_OK;
    int64_t chunk = VA_MIN(va_linmap_max_k(job->map), 32);
    float **source = transposed ? &job->y : &job->x, **target = transposed ? &job->x : &job->y;
    int64_t n_from = transposed ? job->m : job->n, n_to = transposed ? job->n : job->m;
    if (!job->x)
        VA_TRY_ALLOC(job->ctx, job->x, VA_NEW_ARRAY(job->arena, float, chunk * job->n));
    if (!job->y)
        VA_TRY_ALLOC(job->ctx, job->y, VA_NEW_ARRAY(job->arena, float, chunk * job->m));
    for (int64_t first = 0; first < k; first += chunk) {
        int64_t count = VA_MIN(chunk, k - first);
        round_to(*source, from + first * n_from, count * n_from);
        VA_TRY(transposed ? va_linmap_apply_t_host(job->map, *source, count, *target)
                          : va_linmap_apply_host(job->map, *source, count, *target));
        VA_TRY(widen(job, *target, count, n_to, to + first * n_to));
    }
    job->iterations++;
done:
    return st;
}

va_status va_svd_apply(svd_job *job, const double *X, int64_t k, double *Y) {
    return apply_either(job, false, X, k, Y);
}

va_status va_svd_apply_t(svd_job *job, const double *Y, int64_t k, double *X) {
    return apply_either(job, true, Y, k, X);
}

va_status va_svd_dense(svd_job *job) {
    va_status st = VA_OK;
    int64_t elems, r = VA_MIN(job->m, job->n);
    float *A = NULL;
    double *M = NULL, *U = NULL, *S = NULL, *V = NULL;
    if (!va_mul_i64(job->m, job->n, &elems) || elems > INT64_MAX / 8)
        return va_fail(job->ctx, VA_ERR_SHAPE, "the matrix's size overflows");
    VA_TRY_ALLOC(job->ctx, A, malloc((size_t)elems * sizeof *A));
    VA_TRY_ALLOC(job->ctx, M, malloc((size_t)elems * sizeof *M));
    VA_TRY_ALLOC(job->ctx, U, malloc((size_t)(r * job->m) * sizeof *U));
    VA_TRY_ALLOC(job->ctx, V, malloc((size_t)(r * job->n) * sizeof *V));
    VA_TRY_ALLOC(job->ctx, S, malloc((size_t)r * sizeof *S));
    VA_TRY(va_linmap_dense(job->map, A));
    VA_TRY(widen(job, A, job->m, job->n, M));
    VA_TRY(va_svd_lapack(job->ctx, M, job->m, job->n, U, S, V));
    memcpy(job->U, U, (size_t)(job->k * job->m) * sizeof *U);
    memcpy(job->V, V, (size_t)(job->k * job->n) * sizeof *V);
    memcpy(job->S, S, (size_t)job->k * sizeof *S);
done:
    free(S);
    free(V);
    free(U);
    free(M);
    free(A);
    return st;
}

// -- results ----------------------------------------------------------------------------------

static va_status allocate_result(va_ctx *ctx, va_arena *arena, int64_t k, int64_t m, int64_t n,
                                 va_svd_result *r) {
    va_status st = VA_OK;
    int64_t km, kn;
    *r = (va_svd_result){.k = k, .m = m, .n = n};
    if (!va_mul_i64(k, m, &km) || !va_mul_i64(k, n, &kn))
        return va_fail(ctx, VA_ERR_SHAPE, "%lld singular vectors overflow", (long long)k);
    VA_TRY_ALLOC(ctx, r->sigma, VA_NEW_ARRAY(arena, double, k));
    VA_TRY_ALLOC(ctx, r->residual, VA_NEW_ARRAY(arena, double, k));
    VA_TRY_ALLOC(ctx, r->U, VA_NEW_ARRAY(arena, float, km));
    VA_TRY_ALLOC(ctx, r->V, VA_NEW_ARRAY(arena, float, kn));
done:
    return st;
}

static bool is_negative(const double *v, int64_t n) {
    int64_t largest = 0;
    for (int64_t i = 1; i < n; i++)
        if (fabs(v[i]) > fabs(v[largest]))
            largest = i;
    return v[largest] < 0;
}

// Rounds, applies the sign rule, counts the rank.
static void store_result(const double *U, const double *S, const double *V, va_svd_result *r) {
    for (int64_t j = 0; j < r->k; j++) {
        double sign = is_negative(V + j * r->n, r->n) ? -1 : 1;
        for (int64_t i = 0; i < r->n; i++)
            r->V[j * r->n + i] = (float)(sign * V[j * r->n + i]);
        for (int64_t i = 0; i < r->m; i++)
            r->U[j * r->m + i] = (float)(sign * U[j * r->m + i]);
        r->sigma[j] = S[j];
        double floor = (double)VA_MAX(r->m, r->n) * (double)FLT_EPSILON * S[0];
        r->rank += S[j] > floor;
    }
}

static double squared_distance(const double *a, double s, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (a[i] - s * b[i]) * (a[i] - s * b[i]);
    return sum;
}

// residual[j] from A V and A' U of the stored vectors.
static void store_residuals(const double *AV, const double *AtU, va_svd_result *r) {
    for (int64_t j = 0; j < r->k; j++)
        r->residual[j] = sqrt(squared_distance(AV + j * r->m, r->sigma[j], r->U + j * r->m, r->m) +
                              squared_distance(AtU + j * r->n, r->sigma[j], r->V + j * r->n, r->n));
}

// Applies the map once more, to the rounded vectors that are handed out.
static va_status measure(svd_job *job, va_svd_result *r) {
    va_status st = VA_OK;
    double *AV, *AtU;
    for (int64_t i = 0; i < r->k * r->n; i++)
        job->V[i] = r->V[i];
    for (int64_t i = 0; i < r->k * r->m; i++)
        job->U[i] = r->U[i];
    VA_TRY_ALLOC(job->ctx, AV, va_svd_array(job, r->k, r->m));
    VA_TRY_ALLOC(job->ctx, AtU, va_svd_array(job, r->k, r->n));
    VA_TRY(va_svd_apply(job, job->V, r->k, AV));
    VA_TRY(va_svd_apply_t(job, job->U, r->k, AtU));
    store_residuals(AV, AtU, r);
    double worst = 0;
    for (int64_t j = 0; j < r->k; j++)
        worst = fmax(worst, r->residual[j]);
    r->converged = worst <= job->params.tolerance * r->sigma[0];
    if (!r->converged)
        va_log(job->ctx, VA_LOG_WARN,
               "singular values of %s: largest residual %.3g sigma_1 after %lld applications, "
               "wanted %.3g",
               va_linmap_label(job->map), worst / r->sigma[0], (long long)job->iterations,
               job->params.tolerance);
done:
    return st;
}

// -- entry points -----------------------------------------------------------------------------

static va_status check_params(svd_job *job) {
    va_svd_params *p = &job->params;
    if (p->k < 1 || p->method < 0 || p->method >= VA_SVD_METHOD_COUNT || !(p->tolerance >= 0) ||
        p->max_iterations < 0 || p->oversample < 0)
        return va_fail(job->ctx, VA_ERR_USAGE,
                       "svd: expected k >= 1, a known method, tolerance, iterations and oversample "
                       ">= 0; got %lld, %d, %g, %lld, %lld",
                       (long long)p->k, (int)p->method, p->tolerance, (long long)p->max_iterations,
                       (long long)p->oversample);
    job->k = VA_MIN(p->k, VA_MIN(job->m, job->n));
    if (job->k < p->k)
        va_log(job->ctx, VA_LOG_WARN,
               "svd: %lld triplets asked of a %lld x %lld map, which has %lld", (long long)p->k,
               (long long)job->m, (long long)job->n, (long long)job->k);
    p->tolerance = p->tolerance > 0 ? p->tolerance : 1e-5;
    p->max_iterations = p->max_iterations > 0 ? p->max_iterations : 200;
    return VA_OK;
}

va_status va_svd(va_ctx *ctx, va_arena *arena, va_linmap *map, const va_svd_params *params,
                 va_svd_result *result) {
    static va_status (*const solvers[])(svd_job *) = {
        [VA_SVD_SUBSPACE] = va_svd_subspace,
        [VA_SVD_POWER] = va_svd_power,
        [VA_SVD_DENSE] = va_svd_dense,
    };
    va_status st = VA_OK;
    va_linmap_shape s = va_linmap_get_shape(map);
    svd_job job = {.ctx = ctx,
                   .map = map,
                   .params = *params,
                   .m = s.T_out * s.d_out,
                   .n = s.T_in * s.d_in,
                   .start_s = va_time_s()};
    VA_TRY(check_params(&job));
    VA_TRY(allocate_result(ctx, arena, job.k, job.m, job.n, result));
    VA_TRY_ALLOC(ctx, job.arena, va_arena_create());
    VA_TRY_ALLOC(ctx, job.U, va_svd_array(&job, job.k, job.m));
    VA_TRY_ALLOC(ctx, job.S, va_svd_array(&job, job.k, 1));
    VA_TRY_ALLOC(ctx, job.V, va_svd_array(&job, job.k, job.n));
    VA_TRY(solvers[job.params.method](&job));
    store_result(job.U, job.S, job.V, result);
    VA_TRY(measure(&job, result));
    result->iterations = job.iterations;
    report_progress(&job, job.k, job.k, true);
done:
    va_arena_destroy(&job.arena);
    return st;
}

// AV [k, m] and AtU [k, n] of the stored vectors by plain loops.
static void apply_host_matrix(const float *A, const va_svd_result *r, double *AV, double *AtU) {
    for (int64_t j = 0; j < r->k; j++)
        for (int64_t i = 0; i < r->m; i++) {
            double sum = 0, u = r->U[j * r->m + i];
            for (int64_t c = 0; c < r->n; c++) {
                sum += (double)A[i * r->n + c] * r->V[j * r->n + c];
                AtU[j * r->n + c] += (double)A[i * r->n + c] * u;
            }
            AV[j * r->m + i] = sum;
        }
}

va_status va_svd_host(va_ctx *ctx, va_arena *arena, const float *A, int64_t m, int64_t n, int64_t k,
                      va_svd_result *result) {
    va_status st = VA_OK;
    svd_job job = {.ctx = ctx, .m = m, .n = n};
    int64_t elems, r = VA_MIN(m, n);
    if (m < 1 || n < 1 || k < 1 || !va_mul_i64(m, n, &elems))
        return va_fail(ctx, VA_ERR_USAGE, "svd: expected k, m, n >= 1, got %lld, %lld, %lld",
                       (long long)k, (long long)m, (long long)n);
    VA_TRY(allocate_result(ctx, arena, VA_MIN(k, r), m, n, result));
    VA_TRY_ALLOC(ctx, job.arena, va_arena_create());
    double *M, *U, *S, *V, *AV, *AtU;
    VA_TRY_ALLOC(ctx, M, va_svd_array(&job, m, n));
    VA_TRY_ALLOC(ctx, U, va_svd_array(&job, r, m));
    VA_TRY_ALLOC(ctx, S, va_svd_array(&job, r, 1));
    VA_TRY_ALLOC(ctx, V, va_svd_array(&job, r, n));
    VA_TRY_ALLOC(ctx, AV, va_svd_array(&job, result->k, m));
    VA_TRY_ALLOC(ctx, AtU, va_svd_array(&job, result->k, n));
    for (int64_t i = 0; i < elems; i++) {
        if (!isfinite(A[i]))
            VA_TRY(va_fail(ctx, VA_ERR_NUMERIC, "matrix element [%lld, %lld] is %g",
                           (long long)(i / n), (long long)(i % n), (double)A[i]));
        M[i] = A[i];
    }
    VA_TRY(va_svd_lapack(ctx, M, m, n, U, S, V));
    store_result(U, S, V, result);
    apply_host_matrix(A, result, AV, AtU);
    store_residuals(AV, AtU, result);
    result->converged = true; // LAPACK fails otherwise
done:
    va_arena_destroy(&job.arena);
    return st;
}
