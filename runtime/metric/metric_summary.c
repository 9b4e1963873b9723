// metric_summary.c: summary statistics and histograms.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static va_status check_values(va_ctx *ctx, const double *x, int64_t n) {
    if (n < 1)
        return va_fail(ctx, VA_ERR_USAGE, "expected one value or more, got %lld", (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return va_fail(ctx, VA_ERR_NUMERIC, "value %lld of %lld is not finite", (long long)i,
                           (long long)n);
    return VA_OK;
}

static double mean_of(const double *x, int64_t n) {
    double mean = 0, rest = 0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        rest += x[i] - mean;
    return mean + rest / (double)n; // what the first pass lost to rounding
}

va_status va_metric_summarize(va_ctx *ctx, const double *x, int64_t n, va_metric_summary *out) {
    va_status st = VA_OK;
    double *sorted = NULL;
    VA_TRY(check_values(ctx, x, n));
    VA_TRY_ALLOC(ctx, sorted, calloc((size_t)n, sizeof *sorted));
    memcpy(sorted, x, (size_t)n * sizeof *x);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    va_metric_summary s = {.n = n, .min = sorted[0], .max = sorted[n - 1]};
    s.mean = mean_of(x, n);
    s.range = s.max - s.min;
    s.median = n % 2 ? sorted[n / 2] : sorted[n / 2 - 1] / 2 + sorted[n / 2] / 2;
    double square = 0;
    for (int64_t i = 0; i < n; i++) {
        square += (x[i] - s.mean) * (x[i] - s.mean);
        s.mean_abs += fabs(x[i]) / (double)n;
    }
    s.std = sqrt(square / (double)n);
    if (!isfinite(s.std) || !isfinite(s.range)) {
        st = va_fail(ctx, VA_ERR_NUMERIC, "values from %g to %g are too far apart", s.min, s.max);
        goto done;
    }
    *out = s;
done:
    free(sorted);
    return st;
}

double va_metric_histogram_edge(int64_t n_bins, int64_t i) {
    return i == n_bins ? 1 : -1 + (double)i * (2 / (double)n_bins);
}

va_status va_metric_histogram(va_ctx *ctx, const double *x, int64_t n, int64_t n_bins,
                              int64_t *counts) {
    if (n_bins < 1 || n_bins > 1000000)
        return va_fail(ctx, VA_ERR_USAGE, "expected 1 to 1000000 bins, got %lld",
                       (long long)n_bins);
    memset(counts, 0, (size_t)n_bins * sizeof *counts);
    for (int64_t i = 0; i < n; i++) {
        if (!(x[i] >= -1 && x[i] <= 1))
            return va_fail(ctx, VA_ERR_NUMERIC, "value %lld: expected [-1, 1], got %g",
                           (long long)i, x[i]);
        int64_t bin = (int64_t)((x[i] + 1) / 2 * (double)n_bins);
        bin = VA_MIN(bin, n_bins - 1);
        if (x[i] < va_metric_histogram_edge(n_bins, bin)) // rounding: the edges decide
            bin--;
        else if (bin + 1 < n_bins && x[i] >= va_metric_histogram_edge(n_bins, bin + 1))
            bin++;
        counts[bin]++;
    }
    return VA_OK;
}
