// mlp_direction.c: what a classifier says of its input space, on the host, in double.
//   g1[r, j]      = d logit / d z1_j at row r, 0 where the ReLU of hidden unit j is off
//   mean gradient = W1' mean_r g1[r, :]
//   importance_j  = mean_r |g1[r, j]|
// Directions: the top right singular vector of W1 or of diag(importance) W1, or the mean gradient.
// SPDX-License-Identifier: Apache-2.0
#include "mlp_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Means over rows of g1 and |g1|, [h1] each.
typedef struct unit_means {
    double *signed_mean, *importance;
} unit_means;

// g1 [h1] of the row whose activations mlp_logit left.
static void unit_gradient(const va_mlp *mlp, const double *a1, const double *a2, double *g1) {
    memset(g1, 0, (size_t)mlp->h1 * sizeof *g1);
    for (int64_t v = 0; v < mlp->h2; v++) {
        if (!(a2[v] > 0))
            continue;
        for (int64_t u = 0; u < mlp->h1; u++)
            g1[u] += (double)mlp->W3[v] * mlp->W2[v * mlp->h1 + u];
    }
    for (int64_t u = 0; u < mlp->h1; u++)
        if (!(a1[u] > 0))
            g1[u] = 0;
}

// false when memory runs out. The means are of one allocation, to be freed by signed_mean.
static bool average_units(const va_mlp *mlp, const float *X, int64_t n, unit_means *m) {
    const int64_t d = mlp->d, h1 = mlp->h1;
    double *work = malloc((size_t)(d + 2 * h1 + mlp->h2) * sizeof *work);
    m->signed_mean = calloc((size_t)(2 * h1), sizeof *m->signed_mean);
    m->importance = m->signed_mean ? m->signed_mean + h1 : NULL;
    if (work && m->signed_mean) {
        double *a1 = work + d, *a2 = a1 + h1, *g1 = a2 + mlp->h2;
        for (int64_t r = 0; r < n; r++) {
            mlp_logit(mlp, X + r * d, work);
            unit_gradient(mlp, a1, a2, g1);
            for (int64_t u = 0; u < h1; u++) {
                m->signed_mean[u] += g1[u] / (double)n;
                m->importance[u] += fabs(g1[u]) / (double)n;
            }
        }
    }
    const bool ok = work && m->signed_mean;
    free(work);
    return ok;
}

// The gradient is linear in what reaches layer 1, so W1 is applied once, to the mean over rows.
static void input_gradient(const va_mlp *mlp, const double *g1, double *gradient) {
    memset(gradient, 0, (size_t)mlp->d * sizeof *gradient);
    for (int64_t u = 0; u < mlp->h1; u++)
        for (int64_t i = 0; i < mlp->d; i++)
            gradient[i] += g1[u] * mlp->W1[u * mlp->d + i];
}

void va_mlp_mean_gradient(const va_mlp *mlp, const float *X, int64_t n, double *gradient) {
    unit_means m;
    if (average_units(mlp, X, n, &m))
        input_gradient(mlp, m.signed_mean, gradient);
    else
        for (int64_t i = 0; i < mlp->d; i++)
            gradient[i] = NAN;
    free(m.signed_mean);
}

// The top right singular vector of diag(weight) W1; weight NULL: of W1.
static va_status top_vector(va_ctx *ctx, va_arena *temp, const va_mlp *mlp, const double *weight,
                            double *v, double *sigma) {
    va_status st = VA_OK;
    const int64_t d = mlp->d, h1 = mlp->h1, k = VA_MIN(h1, d);
    double *A;
    VA_TRY_ALLOC(ctx, A, VA_NEW_ARRAY(temp, double, h1 *d)); // W1 has as many elements
    for (int64_t u = 0; u < h1; u++)
        for (int64_t i = 0; i < d; i++)
            A[u * d + i] = (weight ? weight[u] : 1) * mlp->W1[u * d + i];
    VA_TRY(va_svd_host_top(ctx, A, h1, d, v, sigma, sigma ? k : 0));
done:
    return st;
}

static va_status normalise(va_ctx *ctx, const double *x, int64_t n, double *unit) {
    double largest = 0, sum = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(x[i]));
    if (!(largest > 0 && isfinite(largest)))
        return va_fail(ctx, VA_ERR_NUMERIC,
                       "the logit's mean gradient has largest component %g: no direction", largest);
    for (int64_t i = 0; i < n; i++)
        sum += x[i] / largest * (x[i] / largest);
    for (int64_t i = 0; i < n; i++)
        unit[i] = x[i] / largest / sqrt(sum);
    return VA_OK;
}

// v [d] of the kind, of either sign.
static va_status find_direction(va_ctx *ctx, va_arena *temp, const va_mlp *mlp,
                                va_mlp_direction_kind kind, const unit_means *m,
                                const double *gradient, double *v, double *sigma) {
    switch (kind) {
    case VA_MLP_W1_SVD:
        return top_vector(ctx, temp, mlp, NULL, v, sigma);
    case VA_MLP_WEIGHTED_W1:
        return top_vector(ctx, temp, mlp, m->importance, v, sigma);
    case VA_MLP_MEAN_GRADIENT:
        return sigma ? va_fail(ctx, VA_ERR_USAGE, "the mean gradient has no singular values")
                     : normalise(ctx, gradient, mlp->d, v);
    }
    return va_fail(ctx, VA_ERR_USAGE, "expected a kind of direction from 0 to %d, got %d",
                   VA_MLP_WEIGHTED_W1, (int)kind);
}

va_status va_mlp_direction(va_ctx *ctx, const va_mlp *mlp, va_mlp_direction_kind kind,
                           const float *X, int64_t n, float *direction, double *sigma) {
    va_status st = VA_OK;
    unit_means m = {0};
    va_arena *temp = NULL;
    double *gradient, *v, along = 0;
    if (n < 1)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "principal direction: expected at least one row, got %lld", (long long)n);
    VA_TRY(mlp_check_finite(ctx, "principal direction", mlp));
    VA_TRY_ALLOC(ctx, temp, va_arena_create());
    VA_TRY_ALLOC(ctx, gradient, VA_NEW_ARRAY(temp, double, mlp->d));
    VA_TRY_ALLOC(ctx, v, VA_NEW_ARRAY(temp, double, mlp->d));
    if (!average_units(mlp, X, n, &m))
        VA_TRY(va_fail(ctx, VA_ERR_MEMORY, "principal direction: out of host memory"));
    input_gradient(mlp, m.signed_mean, gradient);
    st = find_direction(ctx, temp, mlp, kind, &m, gradient, v, sigma);
    if (st != VA_OK)
        VA_TRY(va_fail_in(ctx, st, "principal direction"));
    for (int64_t i = 0; i < mlp->d; i++)
        along += gradient[i] * v[i];
    if (!isfinite(along))
        VA_TRY(va_fail(ctx, VA_ERR_NUMERIC,
                       "principal direction: the logit's mean gradient is not finite"));
    for (int64_t i = 0; i < mlp->d; i++)
        direction[i] = (float)(along < 0 ? -v[i] : v[i]);
done:
    free(m.signed_mean);
    va_arena_destroy(&temp);
    return st;
}
