// metric_cosine.c: cosines of directions, and what chance makes of them.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/metric.h"

#include <math.h>
#include <stdlib.h>

va_status va_metric_norm(va_ctx *ctx, const float *x, int64_t d, double *norm) {
    double sum = 0;
    for (int64_t i = 0; i < d; i++)
        sum += (double)x[i] * x[i]; // at most 1e77 d: no overflow
    if (!isfinite(sum))
        return va_fail(ctx, VA_ERR_NUMERIC,
                       "a vector of %lld components has one that is not finite", (long long)d);
    *norm = sqrt(sum);
    return VA_OK;
}

va_status va_metric_cosine(va_ctx *ctx, const float *a, const float *b, int64_t d, double *cosine) {
    va_status st = VA_OK;
    double norm_a, norm_b, dot = 0;
    VA_TRY(va_metric_norm(ctx, a, d, &norm_a));
    VA_TRY(va_metric_norm(ctx, b, d, &norm_b));
    if (norm_a == 0 || norm_b == 0)
        return va_fail(ctx, VA_ERR_NUMERIC,
                       "the %s of two vectors of %lld components is zero: it has "
                       "no direction",
                       norm_a == 0 ? "first" : "second", (long long)d);
    for (int64_t i = 0; i < d; i++)
        dot += (double)a[i] * b[i];
    *cosine = fmax(-1, fmin(1, dot / norm_a / norm_b)); // rounding may step outside
done:
    return st;
}

static double cosine_p(double c, int64_t d) {
    c = fabs(c);
    return va_metric_beta_inc(((double)d - 1) / 2, 0.5, (1 - c) * (1 + c), c * c);
}

static va_status check_d(va_ctx *ctx, int64_t d) {
    if (d >= 2)
        return VA_OK;
    return va_fail(ctx, VA_ERR_USAGE, "random directions need 2 dimensions or more, got %lld",
                   (long long)d);
}

va_status va_metric_cosine_p(va_ctx *ctx, double cosine, int64_t d, double *p) {
    va_status st = VA_OK;
    VA_TRY(check_d(ctx, d));
    if (!(fabs(cosine) <= 1))
        return va_fail(ctx, VA_ERR_NUMERIC, "expected a cosine in [-1, 1], got %g", cosine);
    double value = cosine_p(cosine, d);
    if (isnan(value))
        return va_fail(ctx, VA_ERR_NUMERIC, "no p-value for cosine %g in %lld dimensions", cosine,
                       (long long)d);
    *p = fmax(0, fmin(1, value));
done:
    return st;
}

double va_metric_cosine_std(int64_t d) {
    return d >= 2 ? 1 / sqrt((double)d) : NAN;
}

// Gamma(d/2) / (sqrt(pi) Gamma((d + 1)/2))
double va_metric_cosine_mean_abs(int64_t d) {
    int sign;
    double half = (double)d / 2;
    return d >= 2 ? exp(lgamma_r(half, &sign) - lgamma_r(half + 0.5, &sign)) * M_2_SQRTPI / 2 : NAN;
}

va_status va_metric_cosine_critical(va_ctx *ctx, double alpha, int64_t d, double *cosine) {
    va_status st = VA_OK;
    VA_TRY(check_d(ctx, d));
    if (!(alpha > 0 && alpha <= 1))
        return va_fail(ctx, VA_ERR_USAGE, "expected a level in (0, 1], got %g", alpha);
    double low = 0, high = 1; // p falls from 1 to 0 between them
    for (int i = 0; i < 200 && low < high; i++) {
        double middle = low + (high - low) / 2;
        if (middle == low || middle == high)
            break;
        if (cosine_p(middle, d) > alpha)
            low = middle;
        else
            high = middle;
    }
    *cosine = high;
done:
    return st;
}
