// mlp_host.c: a multilayer perceptron on the host: its arrays, and logits in double.
// SPDX-License-Identifier: Apache-2.0
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

va_status mlp_copy(va_ctx *ctx, va_arena *arena, const va_mlp *from, va_mlp *to) {
    va_status st = VA_OK;
    const int64_t width[] = {from->d, from->h1, from->h2, 1};
    VA_TRY(mlp_alloc(ctx, arena, from->d, from->h1, from->h2, to));
    for (int l = 0; l < MLP_LAYERS; l++) {
        mlp_host_layer src = mlp_layer_of(from, l), dst = mlp_layer_of(to, l);
        memcpy(dst.w, src.w, (size_t)(width[l] * width[l + 1]) * sizeof *dst.w);
        memcpy(dst.b, src.b, (size_t)width[l + 1] * sizeof *dst.b);
    }
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

// y[o] = b[o] + sum_i W[o, i] x[i], each sum in eight parts: the processor adds them side by side.
static void affine(const float *W, const float *b, int64_t n_out, int64_t n_in, const double *x,
                   double *y) {
    enum { PARTS = 8 };
    for (int64_t o = 0; o < n_out; o++) {
        const float *w = W + o * n_in;
        double part[PARTS] = {0}, sum = b[o];
        int64_t i = 0;
        for (; i + PARTS <= n_in; i += PARTS)
            for (int k = 0; k < PARTS; k++)
                part[k] += w[i + k] * x[i + k];
        for (; i < n_in; i++)
            sum += w[i] * x[i];
        for (int k = 0; k < PARTS; k++)
            sum += part[k];
        y[o] = sum;
    }
}

static void relu(double *z, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        z[i] = z[i] < 0 ? 0 : z[i]; // NaN stays NaN
}

double mlp_logit(const va_mlp *mlp, const float *x, double *work) {
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
        logits[r] = work ? (float)mlp_logit(mlp, X + r * mlp->d, work) : NAN;
    free(work);
}
