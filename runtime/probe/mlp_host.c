// mlp_host.c: a multilayer perceptron on the host, in double: logits, gradients, principal
// direction. SPDX-License-Identifier: Apache-2.0
#include "mlp_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

mlp_host_layer mlp_layer_of(const va_mlp *mlp, int l) {
    const mlp_host_layer layer[MLP_LAYERS] = {
        {mlp->W1, mlp->b1}, {mlp->W2, mlp->b2}, {mlp->W3, mlp->b3}};
    return layer[l];
}

va_status mlp_alloc(va_ctx *ctx, va_arena *arena, int64_t d, int64_t h1, int64_t h2, va_mlp *mlp) {
    va_status st = VA_OK;
    int64_t n1, n2;
    *mlp = (va_mlp){.d = d, .h1 = h1, .h2 = h2};
    if (!va_mul_i64(h1, d, &n1) || !va_mul_i64(h2, h1, &n2))
        return va_fail(ctx, VA_ERR_SHAPE, "a network %lld-%lld-%lld-1 is too large", (long long)d,
                       (long long)h1, (long long)h2);
    VA_TRY_ALLOC(ctx, mlp->W1, VA_NEW_ARRAY(arena, float, n1));
    VA_TRY_ALLOC(ctx, mlp->b1, VA_NEW_ARRAY(arena, float, h1));
    VA_TRY_ALLOC(ctx, mlp->W2, VA_NEW_ARRAY(arena, float, n2));
    VA_TRY_ALLOC(ctx, mlp->b2, VA_NEW_ARRAY(arena, float, h2));
    VA_TRY_ALLOC(ctx, mlp->W3, VA_NEW_ARRAY(arena, float, h2));
    VA_TRY_ALLOC(ctx, mlp->b3, VA_NEW_ARRAY(arena, float, 1));
done:
    return st;
}

static va_status check_finite(va_ctx *ctx, const char *where, int l, const char *what,
                              const float *w, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(w[i]))
            return va_fail(ctx, VA_ERR_NUMERIC,
                           "%s: expected finite weights, got %g at %d.%s[%lld]", where,
                           (double)w[i], 3 * l, what, (long long)i);
    return VA_OK;
}

va_status mlp_check_finite(va_ctx *ctx, const char *where, const va_mlp *mlp) {
    va_status st = VA_OK;
    const int64_t width[] = {mlp->d, mlp->h1, mlp->h2, 1};
    for (int l = 0; l < MLP_LAYERS; l++) {
        mlp_host_layer layer = mlp_layer_of(mlp, l);
        VA_TRY(check_finite(ctx, where, l, "weight", layer.w, width[l] * width[l + 1]));
        VA_TRY(check_finite(ctx, where, l, "bias", layer.b, width[l + 1]));
    }
done:
    return st;
}

// y[o] = b[o] + sum_i W[o, i] x[i]
static void affine(const float *W, const float *b, int64_t n_out, int64_t n_in, const double *x,
                   double *y) {
    for (int64_t o = 0; o < n_out; o++) {
        double sum = b[o];
        for (int64_t i = 0; i < n_in; i++)
            sum += W[o * n_in + i] * x[i];
        y[o] = sum;
    }
}

static void relu(double *z, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        z[i] = z[i] < 0 ? 0 : z[i]; // NaN stays NaN
}

// work [d + h1 + h2] keeps x and both activations.
static double logit(const va_mlp *mlp, const float *x, double *work) {
    double *a1 = work + mlp->d, *a2 = a1 + mlp->h1, z;
    for (int64_t i = 0; i < mlp->d; i++)
        work[i] = x[i];
    affine(mlp->W1, mlp->b1, mlp->h1, mlp->d, work, a1);
    relu(a1, mlp->h1);
    affine(mlp->W2, mlp->b2, mlp->h2, mlp->h1, a1, a2);
    relu(a2, mlp->h2);
    affine(mlp->W3, mlp->b3, 1, mlp->h2, a2, &z);
    return z;
}

void va_mlp_logits(const va_mlp *mlp, const float *X, int64_t n, float *logits) {
    double *work = malloc((size_t)(mlp->d + mlp->h1 + mlp->h2) * sizeof *work);
    for (int64_t r = 0; r < n; r++)
        logits[r] = work ? (float)logit(mlp, X + r * mlp->d, work) : NAN;
    free(work);
}

// Adds d logit / d a1 where a1 > 0 to sum [h1], for the activations that logit() left.
static void add_gradient(const va_mlp *mlp, const double *a1, const double *a2, double *g1,
                         double *sum) {
    memset(g1, 0, (size_t)mlp->h1 * sizeof *g1);
    for (int64_t v = 0; v < mlp->h2; v++) {
        if (!(a2[v] > 0))
            continue;
        for (int64_t u = 0; u < mlp->h1; u++)
            g1[u] += (double)mlp->W3[v] * mlp->W2[v * mlp->h1 + u];
    }
    for (int64_t u = 0; u < mlp->h1; u++)
        if (a1[u] > 0)
            sum[u] += g1[u];
}

// The gradient is linear in what reaches layer 1, so W1 is applied once, to the sum over rows.
void va_mlp_mean_gradient(const va_mlp *mlp, const float *X, int64_t n, double *gradient) {
    int64_t d = mlp->d, h1 = mlp->h1;
    double *work = calloc((size_t)(d + 3 * h1 + mlp->h2), sizeof *work);
    if (!work) {
        for (int64_t i = 0; i < d; i++)
            gradient[i] = NAN;
        return;
    }
    double *a1 = work + d, *a2 = a1 + h1, *g1 = a2 + mlp->h2, *sum = g1 + h1;
    for (int64_t r = 0; r < n; r++) {
        logit(mlp, X + r * d, work);
        add_gradient(mlp, a1, a2, g1, sum);
    }
    memset(gradient, 0, (size_t)d * sizeof *gradient);
    for (int64_t u = 0; u < h1; u++)
        for (int64_t i = 0; i < d; i++)
            gradient[i] += sum[u] / (double)n * mlp->W1[u * d + i];
    free(work);
}

va_status va_mlp_direction(va_ctx *ctx, va_arena *arena, const va_mlp *mlp, const float *X,
                           int64_t n, float *direction, double *sigma) {
    va_status st = VA_OK;
    int64_t k = VA_MIN(mlp->h1, mlp->d);
    va_svd_result svd;
    double *gradient, along = 0;
    if (n < 1)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "principal direction: expected at least one row, got %lld", (long long)n);
    VA_TRY(mlp_check_finite(ctx, "principal direction", mlp));
    VA_TRY(va_svd_host(ctx, arena, mlp->W1, mlp->h1, mlp->d, sigma ? k : 1, &svd));
    if (sigma)
        memcpy(sigma, svd.sigma, (size_t)k * sizeof *sigma);
    VA_TRY_ALLOC(ctx, gradient, VA_NEW_ARRAY(arena, double, mlp->d));
    va_mlp_mean_gradient(mlp, X, n, gradient);
    for (int64_t i = 0; i < mlp->d; i++)
        along += gradient[i] * svd.V[i];
    if (!isfinite(along))
        VA_TRY(va_fail(ctx, VA_ERR_NUMERIC,
                       "principal direction: the logit's mean gradient is not finite"));
    for (int64_t i = 0; i < mlp->d; i++)
        direction[i] = along < 0 ? -svd.V[i] : svd.V[i];
done:
    return st;
}
