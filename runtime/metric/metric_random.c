// metric_random.c: random directions, and the random matrices behind the nulls of subspaces.
// SPDX-License-Identifier: Apache-2.0
#include "metric_priv.h"
#include "vkalign/metric_resample.h"

#include <float.h>

// Chi-square with m degrees of freedom, m >= 1: Gamma(m/2) by rejection (Marsaglia, Tsang, "A
// simple method for generating gamma variables", ACM TOMS 26, 2000), which needs a shape of 1.
static double chi_square(va_rng *rng, int64_t m) {
    if (m == 1) {
        double z = va_rng_normal(rng);
        return z * z;
    }
    const double d = (double)m / 2 - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double z = va_rng_normal(rng), v = 1 + c * z;
        if (v <= 0)
            continue;
        v = v * v * v;
        if (log(1 - va_rng_uniform(rng)) < z * z / 2 + d * (1 - v + log(v)))
            return 2 * d * v;
    }
}

void va_metric_bartlett(va_rng *rng, int64_t k, int64_t m, double *L) {
    const int64_t width = VA_MIN(k, m);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < width; j++)
            L[i * width + j] = j > i    ? 0
                               : j == i ? sqrt(chi_square(rng, m - i))
                                        : va_rng_normal(rng);
}

// A Gaussian vector is as likely to point anywhere.
static double draw_direction(va_rng *rng, double *z, int64_t d) {
    for (int64_t k = 0; k < d; k++)
        z[k] = va_rng_normal(rng);
    return sqrt(va_metric_dot(z, z, d));
}

va_status va_metric_random_directions(va_ctx *ctx, double norm, int64_t d, va_rng *rng, int64_t n,
                                      float *rows) {
    va_status st = VA_OK;
    va_arena *arena = NULL;
    double *z;
    if (!(norm > 0 && norm <= FLT_MAX))
        return va_fail(ctx, VA_ERR_NUMERIC, "expected a norm in (0, %g], got %g", (double)FLT_MAX,
                       norm);
    if (d < 1 || n < 1)
        return va_fail(ctx, VA_ERR_USAGE, "expected a direction or more, got %lld of %lld",
                       (long long)n, (long long)d);
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY_ALLOC(ctx, z, VA_NEW_ARRAY(arena, double, d));
    for (int64_t i = 0; i < n; i++) {
        double length;
        do
            length = draw_direction(rng, z, d);
        while (length == 0);
        for (int64_t k = 0; k < d; k++)
            rows[i * d + k] = (float)(z[k] / length * norm);
    }
done:
    va_arena_destroy(&arena);
    return st;
}
