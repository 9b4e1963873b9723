// metric_agreement.c: do repeated runs agree, in direction or in number?
// SPDX-License-Identifier: Apache-2.0
#include "metric_priv.h"
#include "vkalign/metric.h"

#include <float.h>

va_status va_metric_check_finite(va_ctx *ctx, const char *what, const double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return va_fail(ctx, VA_ERR_NUMERIC, "%s: number %lld of %lld is not finite", what,
                           (long long)i, (long long)n);
    return VA_OK;
}

va_status va_metric_agree(va_ctx *ctx, const va_metric_rows *directions, va_metric_agreement *out) {
    va_status st = VA_OK;
    va_arena *arena = NULL;
    const int64_t n = directions->n, d = directions->d;
    va_metric_agreement a = {.min = 1, .max = -1};
    int64_t n_elem;
    double *unit;
    if (n < 2 || d < 2)
        return va_fail(ctx, VA_ERR_USAGE,
                       "expected 2 directions in 2 dimensions or more, got %lld in %lld",
                       (long long)n, (long long)d);
    if (!va_mul_i64(n, d, &n_elem) || !va_mul_i64(n, n - 1, &a.n_pairs))
        return va_fail(ctx, VA_ERR_MEMORY, "%lld rows of %lld are too many", (long long)n,
                       (long long)d);
    a.n_pairs /= 2;
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY_ALLOC(ctx, unit, VA_NEW_ARRAY(arena, double, n_elem));
    VA_TRY(va_metric_unit_rows(ctx, "directions", directions, unit));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            double c = fmax(-1, fmin(1, va_metric_dot(unit + i * d, unit + j * d, d)));
            a.mean += c / (double)a.n_pairs;
            a.mean_abs += fabs(c) / (double)a.n_pairs;
            a.min = fmin(a.min, c);
            a.max = fmax(a.max, c);
        }
    a.chance_std = va_metric_cosine_std(d) / sqrt((double)a.n_pairs);
    a.chance_abs = va_metric_cosine_mean_abs(d);
    a.chance_abs_std = sqrt((1 / (double)d - a.chance_abs * a.chance_abs) / (double)a.n_pairs);
    *out = a;
done:
    va_arena_destroy(&arena);
    return st;
}

// Mean squares between the means of targets and within targets.
static void mean_squares(const double *x, int64_t n, int64_t k, double grand, double *between,
                         double *within) {
    double outer = 0, inner = 0;
    for (int64_t i = 0; i < n; i++) {
        double mean = 0;
        for (int64_t j = 0; j < k; j++)
            mean += x[i * k + j] / (double)k;
        outer += (mean - grand) * (mean - grand);
        for (int64_t j = 0; j < k; j++)
            inner += (x[i * k + j] - mean) * (x[i * k + j] - mean);
    }
    *between = (double)k * outer / (double)(n - 1);
    *within = inner / ((double)n * (double)(k - 1));
}

va_status va_metric_icc(va_ctx *ctx, const double *x, int64_t n, int64_t k, double *icc,
                        double *p) {
    va_status st = VA_OK;
    int64_t total;
    double grand = 0, largest = 0, between, within;
    if (n < 2 || k < 2 || !va_mul_i64(n, k, &total))
        return va_fail(ctx, VA_ERR_USAGE,
                       "expected 2 targets measured twice or more, got %lld, %lld", (long long)n,
                       (long long)k);
    VA_TRY(va_metric_check_finite(ctx, "measurements", x, total));
    for (int64_t i = 0; i < total; i++) {
        grand += x[i] / (double)total;
        largest = fmax(largest, fabs(x[i]));
    }
    mean_squares(x, n, k, grand, &between, &within);
    const double noise = 8 * DBL_EPSILON * largest; // of the means
    if (!isfinite(between) || !isfinite(within) || between + within <= noise * noise)
        return va_fail(ctx, VA_ERR_NUMERIC, "measurements that %s have no intraclass correlation",
                       isfinite(between + within) ? "do not differ" : "are too far apart");
    const double d1 = (double)(n - 1), d2 = (double)n * (double)(k - 1);
    if (p) { // P(F >= f) = I_{d2 / (d2 + d1 f)}(d2 / 2, d1 / 2)
        const double sum = d1 * between + d2 * within;
        const double tail =
            va_metric_beta_inc(d2 / 2, d1 / 2, d2 * within / sum, d1 * between / sum);
        if (isnan(tail))
            return va_fail(ctx, VA_ERR_NUMERIC, "no p-value for F = %g / %g", between, within);
        *p = fmax(0, fmin(1, tail));
    }
    *icc = (between - within) / (between + (double)(k - 1) * within);
done:
    return st;
}
