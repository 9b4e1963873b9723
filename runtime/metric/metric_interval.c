// metric_interval.c: from bootstrap draws to intervals, and from draws of a null to p-values.
// SPDX-License-Identifier: Apache-2.0
#include "metric_priv.h"
#include "vkalign/metric.h"
#include "vkalign/metric_resample.h"

#include <assert.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

static const char *const interval_names[] = {
#define VA_X(name, text) text,
    VA_METRIC_INTERVAL_LIST(VA_X)
#undef VA_X
};
static const char *const tail_names[] = {
#define VA_X(name, text) text,
    VA_METRIC_TAIL_LIST(VA_X)
#undef VA_X
};

const char *va_metric_interval_name(va_metric_interval_kind kind) {
    assert((int64_t)kind < VA_COUNT(interval_names));
    return interval_names[kind];
}

const char *va_metric_tail_name(va_metric_tail tail) {
    assert((int64_t)tail < VA_COUNT(tail_names));
    return tail_names[tail];
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

// Quantile q of sorted values, linear between order statistics.
static double quantile(const double *sorted, int64_t n, double q) {
    double at = q * (double)(n - 1);
    int64_t i = VA_MIN((int64_t)at, n - 2);
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

static double deviation(const double *x, int64_t n) {
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    return sqrt(square / (double)(n - 1));
}

static va_status find_z0(va_ctx *ctx, const va_metric_draws *d, double *z0) {
    double below = 0;
    for (int64_t i = 0; i < d->n_draws; i++)
        below += d->draws[i] < d->estimate ? 1 : d->draws[i] == d->estimate ? 0.5 : 0;
    if (below == 0 || below == (double)d->n_draws)
        return va_fail(ctx, VA_ERR_NUMERIC,
                       "no BCa interval: all %lld draws are %s the estimate %g",
                       (long long)d->n_draws, below == 0 ? "above" : "below", d->estimate);
    *z0 = va_metric_normal_quantile(below / (double)d->n_draws);
    return VA_OK;
}

static va_status find_acceleration(va_ctx *ctx, const va_metric_draws *d, double *acceleration) {
    double mean = 0, square = 0, cube = 0;
    for (int64_t i = 0; i < d->n_jackknife; i++)
        mean += d->jackknife[i] / (double)d->n_jackknife;
    for (int64_t i = 0; i < d->n_jackknife; i++) {
        double e = mean - d->jackknife[i];
        square += e * e;
        cube += e * e * e;
    }
    const double noise = 4 * DBL_EPSILON * mean; // of equal values about their mean
    if (square <= (double)d->n_jackknife * noise * noise || !isfinite(cube))
        return va_fail(ctx, VA_ERR_NUMERIC,
                       "no BCa interval: leaving out any of %lld units gives %g",
                       (long long)d->n_jackknife, mean);
    *acceleration = cube / (6 * square * sqrt(square));
    return VA_OK;
}

// The level at which BCa reads the draws for a percentile's z.
static va_status adjusted_level(va_ctx *ctx, const va_metric_interval *in, double z,
                                double *level) {
    const double shifted = in->z0 + z, denominator = 1 - in->acceleration * shifted;
    if (!(denominator > 0))
        return va_fail(ctx, VA_ERR_NUMERIC, "no BCa interval: acceleration %g at z0 %g",
                       in->acceleration, in->z0);
    *level = va_metric_normal_cdf(in->z0 + shifted / denominator);
    return VA_OK;
}

static va_status check_input(va_ctx *ctx, const va_metric_draws *d, double level) {
    va_status st = VA_OK;
    const bool bca = d->kind == VA_METRIC_BCA;
    if (d->n_draws < 2 || (bca && d->n_jackknife < 2))
        return va_fail(ctx, VA_ERR_USAGE, "expected 2 draws and 2 units or more, got %lld and %lld",
                       (long long)d->n_draws, (long long)d->n_jackknife);
    if (!(level > 0 && level < 1))
        return va_fail(ctx, VA_ERR_USAGE, "expected a level in (0, 1), got %g", level);
    VA_TRY(va_metric_check_finite(ctx, "estimate", &d->estimate, 1));
    VA_TRY(va_metric_check_finite(ctx, "draws", d->draws, d->n_draws));
    if (bca)
        VA_TRY(va_metric_check_finite(ctx, "jackknife", d->jackknife, d->n_jackknife));
done:
    return st;
}

va_status va_metric_interval_of(va_ctx *ctx, const va_metric_draws *d, va_metric_interval *out) {
    va_status st = VA_OK;
    const double level = d->level == 0 ? 0.95 : d->level;
    double low = (1 - level) / 2, high = 1 - low, *sorted = NULL;
    va_metric_interval in = {.estimate = d->estimate};
    VA_TRY(check_input(ctx, d, level));
    if (d->kind == VA_METRIC_BCA) {
        const double z = va_metric_normal_quantile(low);
        VA_TRY(find_z0(ctx, d, &in.z0));
        VA_TRY(find_acceleration(ctx, d, &in.acceleration));
        VA_TRY(adjusted_level(ctx, &in, z, &low));
        VA_TRY(adjusted_level(ctx, &in, -z, &high));
    }
    VA_TRY_ALLOC(ctx, sorted, calloc((size_t)d->n_draws, sizeof *sorted));
    memcpy(sorted, d->draws, (size_t)d->n_draws * sizeof *sorted);
    qsort(sorted, (size_t)d->n_draws, sizeof *sorted, by_value);
    in.low = quantile(sorted, d->n_draws, low);
    in.high = quantile(sorted, d->n_draws, high);
    in.std_error = deviation(sorted, d->n_draws);
    VA_TRY(va_metric_check_finite(ctx, "spread of the draws", &in.std_error, 1));
    *out = in;
done:
    free(sorted);
    return st;
}

va_status va_metric_tail_p(va_ctx *ctx, va_metric_tail tail, double observed, const double *null,
                           int64_t n, double *p) {
    va_status st = VA_OK;
    int64_t greater = 0, less = 0;
    if (tail == VA_METRIC_TAIL_ABS)
        return va_metric_permutation_p(ctx, observed, null, n, p);
    if (n < 1)
        return va_fail(ctx, VA_ERR_USAGE, "expected one draw from the null or more, got %lld",
                       (long long)n);
    VA_TRY(va_metric_check_finite(ctx, "observed value", &observed, 1));
    VA_TRY(va_metric_check_finite(ctx, "draws", null, n));
    for (int64_t i = 0; i < n; i++) {
        greater += null[i] >= observed;
        less += null[i] <= observed;
    }
    const int64_t count = tail == VA_METRIC_TAIL_GREATER ? greater
                          : tail == VA_METRIC_TAIL_LESS  ? less
                                                         : VA_MIN(greater, less);
    const double one_sided = ((double)count + 1) / ((double)n + 1);
    *p = tail == VA_METRIC_TAIL_EITHER ? fmin(1, 2 * one_sided) : one_sided;
done:
    return st;
}
