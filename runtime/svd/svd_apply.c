// svd_apply.c: the map on blocks of host vectors, and what a solve tells on its way.
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <math.h>
#include <stdlib.h>

double *va_svd_array(svd_job *job, int64_t count, int64_t length) {
    int64_t elems;
    return va_mul_i64(count, length, &elems) ? VA_NEW_ARRAY(job->arena, double, elems) : NULL;
}

// -- the map ----------------------------------------------------------------------------------

static void round_to(float *to, const double *from, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        to[i] = (float)from[i];
}

va_status va_svd_widen(svd_job *job, const float *from, int64_t count, int64_t length, double *to) {
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

void va_svd_free_staging(svd_job *job) {
    free(job->staging.x);
    free(job->staging.y);
    job->staging = (svd_staging){0};
}

// Room for a whole block, or for the largest that one call of the map takes.
static va_status grow_staging(svd_job *job, int64_t k) {
    va_status st = VA_OK;
    int64_t chunk = VA_MIN(k, va_linmap_max_k(job->map)), bytes;
    svd_staging *s = &job->staging;
    if (chunk <= s->chunk)
        return VA_OK;
    va_svd_free_staging(job);
    if (!va_mul_i64(chunk, 4 * VA_MAX(job->m, job->n), &bytes))
        return va_fail(job->ctx, VA_ERR_SHAPE, "%lld vectors overflow", (long long)chunk);
    VA_TRY_ALLOC(job->ctx, s->x, malloc((size_t)(chunk * job->n) * sizeof *s->x));
    VA_TRY_ALLOC(job->ctx, s->y, malloc((size_t)(chunk * job->m) * sizeof *s->y));
    s->chunk = chunk;
done:
    return st;
}

static va_status apply_either(svd_job *job, bool transposed, const double *from, int64_t k,
                              double *to) {
    va_status st = grow_staging(job, k);
    svd_staging *s = &job->staging;
    if (st != VA_OK)
        return st;
    float *source = transposed ? s->y : s->x, *target = transposed ? s->x : s->y;
    int64_t n_from = transposed ? job->m : job->n, n_to = transposed ? job->n : job->m;
    for (int64_t first = 0; first < k; first += s->chunk) {
        int64_t count = VA_MIN(s->chunk, k - first);
        round_to(source, from + first * n_from, count * n_from);
        VA_TRY(transposed ? va_linmap_apply_t_host(job->map, source, count, target)
                          : va_linmap_apply_host(job->map, source, count, target));
        VA_TRY(va_svd_widen(job, target, count, n_to, to + first * n_to));
    }
    job->result->iterations++;
    job->result->vectors += k;
done:
    return st;
}

va_status va_svd_apply(svd_job *job, const double *X, int64_t k, double *Y) {
    return apply_either(job, false, X, k, Y);
}

va_status va_svd_apply_t(svd_job *job, const double *Y, int64_t k, double *X) {
    return apply_either(job, true, Y, k, X);
}

// -- progress and history ---------------------------------------------------------------------

void va_svd_report(svd_job *job, int64_t done_count, int64_t total, bool finished) {
    const va_progress p = {.label = va_linmap_label(job->map),
                           .done = done_count,
                           .total = total,
                           .elapsed_s = va_time_s() - job->start_s,
                           .finished = finished};
    va_progress_report(job->ctx, &p);
}

va_status va_svd_step(svd_job *job, int64_t done_count, int64_t total) {
    va_svd_report(job, done_count, total, false);
    return va_check_interrupt(job->ctx);
}

double va_svd_relative(double residual, double sigma_1) {
    return residual == 0 ? 0 : sigma_1 > 0 ? residual / sigma_1 : 1;
}

// A full history drops every other entry and takes every other step from then on.
void va_svd_record(svd_job *job, double residual, int64_t n_converged) {
    va_svd_result *r = job->result;
    if (job->n_steps++ % job->record_every != 0)
        return;
    r->history[r->n_history++] = (va_svd_progress){.iterations = r->iterations,
                                                   .vectors = r->vectors,
                                                   .residual = residual,
                                                   .n_converged = n_converged};
    if (r->n_history < VA_SVD_HISTORY - 1) // the last place is for the final residuals
        return;
    job->record_every *= 2;
    r->n_history = (r->n_history + 1) / 2;
    for (int64_t i = 1; i < r->n_history; i++)
        r->history[i] = r->history[2 * i];
}
