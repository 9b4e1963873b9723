// metric_covariance.c: directions spread as activations are: the covariance null of a cosine.
//
// With C = sum_i (x_i - mean)(x_i - mean)' = sum_k lambda_k v_k v_k', r = sum_k sqrt(lambda_k) z_k
// v_k is N(0, C) for z ~ N(0, I), and
//     cos(r, u) = sum_k sqrt(lambda_k) z_k <v_k, u> / (|u| sqrt(sum_k lambda_k z_k^2)).
// The eigenvectors come from the smaller of C [d, d] and the Gram matrix [n, n].
// SPDX-License-Identifier: Apache-2.0
#include "metric_priv.h"
#include "vkalign/metric.h"

#include <lapacke.h>

struct va_metric_spread {
    int64_t k, d;  // eigenvalues that are not rounding
    double *root;  // [k] sqrt(lambda_k)
    double *basis; // [k, d] v_k
};

// The rows less their mean; transposed: [d, n].
static void centre(const float *rows, int64_t n, int64_t d, bool transposed, double *out) {
    for (int64_t k = 0; k < d; k++) {
        double mean = 0;
        for (int64_t i = 0; i < n; i++)
            mean += rows[i * d + k];
        mean /= (double)n;
        for (int64_t i = 0; i < n; i++)
            out[transposed ? k * n + i : i * d + k] = rows[i * d + k] - mean;
    }
}

// G = M M' of M [m, width] -> eigenvectors in the rows of G, values ascending.
static va_status eigen(va_ctx *ctx, const double *M, int64_t m, int64_t width, double *G,
                       double *values) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j <= i; j++)
            G[i * m + j] = G[j * m + i] = va_metric_dot(M + i * width, M + j * width, width);
    const lapack_int size = (lapack_int)m;
    lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', size, G, size, values);
    if (info == 0)
        return VA_OK;
    return va_fail(ctx, info == LAPACK_WORK_MEMORY_ERROR ? VA_ERR_MEMORY : VA_ERR_NUMERIC,
                   "LAPACK dsyevd failed (info %lld)", (long long)info);
}

// v_k of the eigenvector q_k: itself, or, of the Gram matrix of the rows X [n, d], X' q_k / root.
static void take_vector(const double *q, const double *X, int64_t n, int64_t d, double root,
                        double *v) {
    for (int64_t j = 0; j < d; j++)
        v[j] = X ? 0 : q[j];
    for (int64_t i = 0; X && i < n; i++)
        for (int64_t j = 0; j < d; j++)
            v[j] += q[i] / root * X[i * d + j];
}

static va_status check_rows(va_ctx *ctx, const float *rows, int64_t n, int64_t d) {
    int64_t n_elem;
    if (n < 2 || d < 1)
        return va_fail(ctx, VA_ERR_USAGE, "expected 2 rows or more of a column, got [%lld, %lld]",
                       (long long)n, (long long)d);
    if (!va_mul_i64(n, d, &n_elem) || VA_MIN(n, d) > 46340)
        return va_fail(ctx, VA_ERR_MEMORY, "%lld rows of %lld are too many", (long long)n,
                       (long long)d);
    for (int64_t i = 0; i < n_elem; i++)
        if (!isfinite(rows[i]))
            return va_fail(ctx, VA_ERR_NUMERIC, "the rows do not differ, or are not finite");
    return VA_OK;
}

va_status va_metric_spread_make(va_ctx *ctx, va_arena *arena, const float *rows, int64_t n,
                                int64_t d, va_metric_spread **spread) {
    va_status st = VA_OK;
    va_arena *temp = va_arena_create();
    const int64_t m = VA_MIN(n, d);
    double *M, *G, *values;
    va_metric_spread *s;
    VA_TRY(check_rows(ctx, rows, n, d));
    VA_TRY_ALLOC(ctx, M, temp ? VA_NEW_ARRAY(temp, double, n *d) : NULL);
    VA_TRY_ALLOC(ctx, G, VA_NEW_ARRAY(temp, double, m *m));
    VA_TRY_ALLOC(ctx, values, VA_NEW_ARRAY(temp, double, m));
    centre(rows, n, d, d < n, M);
    VA_TRY(eigen(ctx, M, m, VA_MAX(n, d), G, values));
    const double most = values[m - 1];
    if (!(most > 0))
        VA_TRY(va_fail(ctx, VA_ERR_NUMERIC, "the rows do not differ, or are not finite"));
    VA_TRY_ALLOC(ctx, s, VA_NEW(arena, va_metric_spread));
    s->d = d;
    VA_TRY_ALLOC(ctx, s->root, VA_NEW_ARRAY(arena, double, m));
    VA_TRY_ALLOC(ctx, s->basis, VA_NEW_ARRAY(arena, double, m *d));
    for (int64_t i = m - 1; i >= 0 && values[i] > 1e-14 * (double)m * most; i--) {
        s->root[s->k] = sqrt(values[i]);
        take_vector(G + i * m, d < n ? NULL : M, n, d, s->root[s->k], s->basis + s->k * d);
        s->k++;
    }
    *spread = s;
done:
    va_arena_destroy(&temp);
    return st;
}

va_status va_metric_spread_null(va_ctx *ctx, const va_metric_spread *s, const float *u, va_rng *rng,
                                int64_t n_draws, double *cosines) {
    va_status st = VA_OK;
    va_arena *temp = va_arena_create();
    double *along, norm;
    if (n_draws < 1)
        VA_TRY(va_fail(ctx, VA_ERR_USAGE, "expected a draw, got %lld", (long long)n_draws));
    VA_TRY(va_metric_norm(ctx, u, s->d, &norm));
    if (norm == 0)
        VA_TRY(va_fail(ctx, VA_ERR_NUMERIC, "the direction is zero"));
    VA_TRY_ALLOC(ctx, along, temp ? VA_NEW_ARRAY(temp, double, s->k) : NULL);
    for (int64_t k = 0; k < s->k; k++)
        for (int64_t j = 0; j < s->d; j++)
            along[k] += s->basis[k * s->d + j] * u[j] / norm;
    for (int64_t i = 0; i < n_draws; i++) {
        double dot = 0, square = 0;
        for (int64_t k = 0; k < s->k; k++) {
            const double r = s->root[k] * va_rng_normal(rng);
            dot += r * along[k];
            square += r * r;
        }
        cosines[i] = fmax(-1, fmin(1, dot / sqrt(square)));
    }
done:
    va_arena_destroy(&temp);
    return st;
}
