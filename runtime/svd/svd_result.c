// svd_result.c: what a solver found, as it is handed out: rounded, oriented, and judged by the
// residuals of the very vectors that are returned.
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <float.h>
#include <math.h>

va_status va_svd_result_create(va_ctx *ctx, va_arena *arena, int64_t k, int64_t m, int64_t n,
                               va_svd_result *r) {
    va_status st = VA_OK;
    int64_t km, kn;
    *r = (va_svd_result){.k = k, .m = m, .n = n};
    if (!va_mul_i64(k, m, &km) || !va_mul_i64(k, n, &kn))
        return va_fail(ctx, VA_ERR_SHAPE, "%lld singular vectors overflow", (long long)k);
    VA_TRY_ALLOC(ctx, r->sigma, VA_NEW_ARRAY(arena, double, k));
    VA_TRY_ALLOC(ctx, r->residual, VA_NEW_ARRAY(arena, double, k));
    VA_TRY_ALLOC(ctx, r->is_converged, VA_NEW_ARRAY(arena, bool, k));
    VA_TRY_ALLOC(ctx, r->U, VA_NEW_ARRAY(arena, float, km));
    VA_TRY_ALLOC(ctx, r->V, VA_NEW_ARRAY(arena, float, kn));
    VA_TRY_ALLOC(ctx, r->history, VA_NEW_ARRAY(arena, va_svd_progress, VA_SVD_HISTORY));
done:
    return st;
}

// The sign rule of svd.h.
static bool is_negative(const double *v, int64_t n) {
    double largest = 0;
    int64_t i = 0;
    for (int64_t c = 0; c < n; c++)
        largest = fmax(largest, fabs(v[c]));
    while (fabs(v[i]) < 0.999 * largest)
        i++;
    return v[i] < 0;
}

void va_svd_store(const double *U, const double *S, const double *V, va_svd_result *r) {
    double floor = (double)VA_MAX(r->m, r->n) * (double)FLT_EPSILON * S[0];
    r->rank = 0;
    for (int64_t j = 0; j < r->k; j++) {
        double sign = is_negative(V + j * r->n, r->n) ? -1 : 1;
        for (int64_t i = 0; i < r->n; i++)
            r->V[j * r->n + i] = (float)(sign * V[j * r->n + i]);
        for (int64_t i = 0; i < r->m; i++)
            r->U[j * r->m + i] = (float)(sign * U[j * r->m + i]);
        r->sigma[j] = S[j];
        r->rank += S[j] > floor;
    }
}

static double squared_distance(const double *a, double s, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (a[i] - s * b[i]) * (a[i] - s * b[i]);
    return sum;
}

void va_svd_judge(const double *AV, const double *AtU, double tolerance, va_svd_result *r) {
    r->converged = true;
    r->tolerance = tolerance;
    for (int64_t j = 0; j < r->k; j++) {
        const float *u = r->U + j * r->m, *v = r->V + j * r->n;
        r->residual[j] = sqrt(squared_distance(AV + j * r->m, r->sigma[j], u, r->m) +
                              squared_distance(AtU + j * r->n, r->sigma[j], v, r->n));
        r->is_converged[j] = r->residual[j] <= tolerance * r->sigma[0];
        r->converged = r->converged && r->is_converged[j];
    }
}

va_status va_svd_measure(svd_job *job) {
    va_status st = VA_OK;
    va_svd_result *r = job->result;
    double *V, *U, *AV, *AtU;
    va_arena *arena = NULL;
    VA_TRY_ALLOC(job->ctx, arena, va_arena_create());
    VA_TRY_ALLOC(job->ctx, V, VA_NEW_ARRAY(arena, double, r->k * r->n));
    VA_TRY_ALLOC(job->ctx, U, VA_NEW_ARRAY(arena, double, r->k * r->m));
    VA_TRY_ALLOC(job->ctx, AV, VA_NEW_ARRAY(arena, double, r->k * r->m));
    VA_TRY_ALLOC(job->ctx, AtU, VA_NEW_ARRAY(arena, double, r->k * r->n));
    va_svd_store(job->U, job->S, job->V, r);
    for (int64_t i = 0; i < r->k * r->n; i++)
        V[i] = r->V[i];
    for (int64_t i = 0; i < r->k * r->m; i++)
        U[i] = r->U[i];
    VA_TRY(va_svd_apply(job, V, r->k, AV));
    VA_TRY(va_svd_apply_t(job, U, r->k, AtU));
    va_svd_judge(AV, AtU, job->params.tolerance, r);
    job->measured = true;
done:
    va_arena_destroy(&arena);
    return st;
}

// -- what did not converge --------------------------------------------------------------------

static void list_triplets(const va_svd_result *r, va_strbuf *text) {
    enum { SHOWN = 8 };
    int64_t n = 0;
    for (int64_t j = 0; j < r->k; j++) {
        if (r->is_converged[j])
            continue;
        if (n < SHOWN)
            va_strbuf_printf(text, "%s%lld (%.3g)", n ? ", " : "", (long long)j + 1,
                             va_svd_relative(r->residual[j], r->sigma[0]));
        n++;
    }
    if (n > SHOWN)
        va_strbuf_printf(text, " and %lld more", (long long)(n - SHOWN));
}

static double largest_residual(const va_svd_result *r) {
    double largest = 0;
    for (int64_t j = 0; j < r->k; j++)
        largest = fmax(largest, r->residual[j]);
    return va_svd_relative(largest, r->sigma[0]);
}

static void advise(const svd_job *job, va_strbuf *text) {
    const va_svd_params *p = &job->params;
    if (job->is_final && largest_residual(job->result) > 100 * VA_SVD_FLOOR)
        va_strbuf_puts(text, "the map's two directions contradict each other: is A' the transpose "
                             "of A?");
    else if (job->is_final)
        va_strbuf_puts(text, "the float32 map gives no more: raise the tolerance");
    else if (p->method == VA_SVD_GOLUB_KAHAN)
        va_strbuf_printf(text, "raise max_iterations (%lld), basis (%lld) or the tolerance",
                         (long long)p->max_iterations, (long long)p->basis);
    else if (p->method == VA_SVD_SUBSPACE)
        va_strbuf_printf(text, "raise max_iterations (%lld), block (%lld) or the tolerance",
                         (long long)p->max_iterations, (long long)p->block);
    else
        va_strbuf_printf(text, "raise max_iterations (%lld) or the tolerance, or use golub-kahan",
                         (long long)p->max_iterations);
}

void va_svd_warn(const svd_job *job) {
    const va_svd_result *r = job->result;
    va_strbuf triplets = {0}, advice = {0};
    int64_t n = 0;
    for (int64_t j = 0; j < r->k; j++)
        n += !r->is_converged[j];
    list_triplets(r, &triplets);
    advise(job, &advice);
    va_log(job->ctx, VA_LOG_WARN,
           "svd of %s: %lld of %lld triplets did not converge in %lld applications by %s: wanted "
           "residuals of %.3g sigma_1, got %s; %s",
           va_linmap_label(job->map), (long long)n, (long long)r->k, (long long)r->iterations,
           va_svd_method_name(job->params.method), job->params.tolerance,
           triplets.data ? triplets.data : "?", advice.data ? advice.data : "");
    va_strbuf_free(&advice);
    va_strbuf_free(&triplets);
}
