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

// gram[i * n + j] = <x_i - mean, x_j - mean>, along[i] = <x_i - mean, u>, from centred rows.
static void gram_of(const double *rows, const float *u, int64_t n, int64_t d, double *gram,
                    double *along) {
    for (int64_t i = 0; i < n; i++) {
        along[i] = 0;
        for (int64_t k = 0; k < d; k++)
            along[i] += rows[i * d + k] * u[k];
        for (int64_t j = 0; j <= i; j++) {
            double dot = 0;
            for (int64_t k = 0; k < d; k++)
                dot += rows[i * d + k] * rows[j * d + k];
            gram[i * n + j] = gram[j * n + i] = dot;
        }
    }
}

static void centre(const float *rows, int64_t n, int64_t d, double *out) {
    for (int64_t k = 0; k < d; k++) {
        double mean = 0;
        for (int64_t i = 0; i < n; i++)
            mean += rows[i * d + k];
        mean /= (double)n;
        for (int64_t i = 0; i < n; i++)
            out[i * d + k] = rows[i * d + k] - mean;
    }
}

// <r, u> / |r| of one draw; |u| = 1 is divided out by the caller.
static double draw(va_rng *rng, const double *gram, const double *along, int64_t n, double *z) {
    double dot = 0, square = 0;
    for (int64_t i = 0; i < n; i++) {
        z[i] = va_rng_normal(rng);
        dot += z[i] * along[i];
    }
    for (int64_t i = 0; i < n; i++) {
        double row = 0;
        for (int64_t j = 0; j < n; j++)
            row += gram[i * n + j] * z[j];
        square += z[i] * row;
    }
    return dot / sqrt(square);
}

va_status va_metric_covariance_null(va_ctx *ctx, const float *rows, int64_t n, int64_t d,
                                    const float *u, va_rng *rng, int64_t n_draws, double *cosines) {
    va_status st = VA_OK;
    double *centred = NULL, *gram, *along, *z, norm_u;
    va_arena *arena = NULL;
    if (n < 2 || d < 1 || n_draws < 1)
        return va_fail(ctx, VA_ERR_USAGE, "expected 2 rows or more and a draw, got %lld and %lld",
                       (long long)n, (long long)n_draws);
    VA_TRY(va_metric_norm(ctx, u, d, &norm_u));
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    int64_t n_elem, n_gram;
    if (!va_mul_i64(n, d, &n_elem) || !va_mul_i64(n, n, &n_gram)) {
        st = va_fail(ctx, VA_ERR_MEMORY, "%lld rows of %lld are too many", (long long)n,
                     (long long)d);
        goto done;
    }
    VA_TRY_ALLOC(ctx, centred, VA_NEW_ARRAY(arena, double, n_elem));
    VA_TRY_ALLOC(ctx, gram, VA_NEW_ARRAY(arena, double, n_gram));
    VA_TRY_ALLOC(ctx, along, VA_NEW_ARRAY(arena, double, n));
    VA_TRY_ALLOC(ctx, z, VA_NEW_ARRAY(arena, double, n));
    centre(rows, n, d, centred);
    gram_of(centred, u, n, d, gram, along);
    double trace = 0;
    for (int64_t i = 0; i < n; i++)
        trace += gram[i * n + i];
    if (!isfinite(trace) || trace <= 0 || norm_u == 0) {
        st = va_fail(ctx, VA_ERR_NUMERIC, "the %s",
                     norm_u == 0 ? "direction is zero" : "rows do not differ, or are not finite");
        goto done;
    }
    for (int64_t k = 0; k < n_draws; k++) {
        double c = draw(rng, gram, along, n, z) / norm_u;
        if (isnan(c)) {
            st = va_fail(ctx, VA_ERR_NUMERIC, "a draw from the rows' covariance has no direction");
            goto done;
        }
        cosines[k] = fmax(-1, fmin(1, c));
    }
done:
    va_arena_destroy(&arena);
    return st;
}
