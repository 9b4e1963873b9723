// metric_test.c: tests of many cosines at once, and corrections for many tests.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/metric.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static va_status check_p(va_ctx *ctx, const double *p, int64_t n) {
    if (n < 1)
        return va_fail(ctx, VA_ERR_USAGE, "expected one p-value or more, got %lld", (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (!(p[i] >= 0 && p[i] <= 1))
            return va_fail(ctx, VA_ERR_NUMERIC, "p-value %lld: expected [0, 1], got %g",
                           (long long)i, p[i]);
    return VA_OK;
}

va_status va_metric_fisher(va_ctx *ctx, const double *p, int64_t n, double *statistic,
                           double *combined) {
    va_status st = VA_OK;
    VA_TRY(check_p(ctx, p, n));
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum -= 2 * log(p[i]);
    if (statistic)
        *statistic = sum;
    *combined = va_metric_chi2_sf(sum, n);
done:
    return st;
}

va_status va_metric_mean_test(va_ctx *ctx, const double *cosines, int64_t n, int64_t d, double *z,
                              double *p) {
    va_status st = VA_OK;
    double mean = 0;
    if (n < 1 || d < 2 || (n > 1 && (double)n * ((double)d + 2) < 100))
        return va_fail(ctx, VA_ERR_USAGE,
                       "%lld cosines in %lld dimensions are too few for a test of their mean",
                       (long long)n, (long long)d);
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs(cosines[i]) <= 1))
            return va_fail(ctx, VA_ERR_NUMERIC, "cosine %lld: expected [-1, 1], got %g",
                           (long long)i, cosines[i]);
        mean += cosines[i] / (double)n;
    }
    double score = mean * sqrt((double)n * (double)d);
    if (z)
        *z = score;
    if (n == 1)
        return va_metric_cosine_p(ctx, cosines[0], d, p);
    // P(|Z| >= t) = erfc(t / sqrt 2) + (k4 / 12) (t^3 - 3 t) phi(t), k4 the excess kurtosis
    double t = fabs(score), k4 = -6 / ((double)n * ((double)d + 2));
    double phi = exp(-t * t / 2) * M_2_SQRTPI / 2 * M_SQRT1_2;
    double tail = erfc(t * M_SQRT1_2) + k4 / 12 * (t * t * t - 3 * t) * phi;
    *p = fmax(0, fmin(1, tail));
    return st;
}

va_status va_metric_permutation_p(va_ctx *ctx, double observed, const double *null, int64_t n,
                                  double *p) {
    int64_t at_least = 0;
    if (n < 1)
        return va_fail(ctx, VA_ERR_USAGE, "expected one draw from the null or more, got %lld",
                       (long long)n);
    bool finite = isfinite(observed);
    for (int64_t i = 0; i < n; i++) {
        finite = finite && isfinite(null[i]);
        at_least += fabs(null[i]) >= fabs(observed);
    }
    if (!finite)
        return va_fail(ctx, VA_ERR_NUMERIC, "the observed value or a draw is not finite");
    *p = ((double)at_least + 1) / ((double)n + 1);
    return VA_OK;
}

static const char *const correction_names[] = {
#define VA_X(name, text) text,
    VA_METRIC_CORRECTION_LIST(VA_X)
#undef VA_X
};

const char *va_metric_correction_name(va_metric_correction c) {
    assert((int64_t)c < VA_COUNT(correction_names));
    return correction_names[c];
}

typedef struct ranked {
    double p;
    int64_t index;
} ranked;

static int by_p(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

// Running maximum of (n - rank) p from the smallest p up.
static void step_down(const ranked *r, int64_t n, double *adjusted) {
    double running = 0;
    for (int64_t k = 0; k < n; k++) {
        running = fmax(running, fmin(1, (double)(n - k) * r[k].p));
        adjusted[r[k].index] = running;
    }
}

// Running minimum of factor n p / rank from the largest p down.
static void step_up(const ranked *r, int64_t n, double factor, double *adjusted) {
    double running = 1;
    for (int64_t k = n - 1; k >= 0; k--) {
        running = fmin(running, factor * (double)n * r[k].p / (double)(k + 1));
        adjusted[r[k].index] = running;
    }
}

va_status va_metric_adjust(va_ctx *ctx, va_metric_correction c, const double *p, int64_t n,
                           double *adjusted) {
    va_status st = VA_OK;
    ranked *r = NULL;
    VA_TRY(check_p(ctx, p, n));
    VA_TRY_ALLOC(ctx, r, calloc((size_t)n, sizeof *r));
    double harmonic = 0;
    for (int64_t i = 0; i < n; i++) {
        r[i] = (ranked){p[i], i};
        harmonic += 1 / (double)(i + 1);
    }
    qsort(r, (size_t)n, sizeof *r, by_p);
    switch (c) {
    case VA_METRIC_BH:
        step_up(r, n, 1, adjusted);
        break;
    case VA_METRIC_BY:
        step_up(r, n, harmonic, adjusted);
        break;
    case VA_METRIC_HOLM:
        step_down(r, n, adjusted);
        break;
    case VA_METRIC_BONFERRONI:
        for (int64_t i = 0; i < n; i++)
            adjusted[i] = fmin(1, (double)n * p[i]);
        break;
    }
done:
    free(r);
    return st;
}
