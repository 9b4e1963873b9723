// frames.c: several directions of one method, the most important first: orthonormal frames.
// SPDX-License-Identifier: Apache-2.0
#include "mlp_priv.h"
#include "vkalign/probe_linear.h"

#include <float.h>
#include <math.h>
#include <string.h>

// V [rank, d] in double to rows, each turned so that it rises with `along`.
static void orient(const double *V, const double *along, int64_t rank, int64_t d, float *rows) {
    for (int64_t k = 0; k < rank; k++) {
        double dot = 0;
        for (int64_t i = 0; i < d; i++)
            dot += along[i] * V[k * d + i];
        for (int64_t i = 0; i < d; i++)
            rows[k * d + i] = (float)(dot < 0 ? -V[k * d + i] : V[k * d + i]);
    }
}

static va_status check_rank(va_ctx *ctx, const char *what, int64_t rank, int64_t most) {
    if (rank >= 1 && rank <= most)
        return VA_OK;
    return va_fail(ctx, VA_ERR_USAGE, "%s: expected a rank from 1 to %lld, got %lld", what,
                   (long long)most, (long long)rank);
}

// Singular values that are rounding alone have arbitrary vectors. A [m, d].
static va_status check_sigma(va_ctx *ctx, const char *what, const double *sigma, int64_t rank,
                             int64_t m, int64_t d) {
    const double least = sigma[0] * DBL_EPSILON * (double)VA_MAX(m, d);
    int64_t n = 0;
    while (n < rank && sigma[n] > least)
        n++;
    if (n == rank)
        return VA_OK;
    return va_fail(ctx, VA_ERR_NUMERIC, "%s: expected at least %lld independent ones, found %lld",
                   what, (long long)rank, (long long)n);
}

va_status va_mlp_frame(va_ctx *ctx, const va_mlp *mlp, const float *X, int64_t n, int64_t rank,
                       float *rows, double *sigma) {
    va_status st = VA_OK;
    const int64_t h1 = mlp->h1, d = mlp->d;
    va_arena *arena = va_arena_create();
    double *A, *V, *gradient;
    VA_TRY_ALLOC(ctx, arena, arena);
    if (n < 1)
        VA_TRY(va_fail(ctx, VA_ERR_SHAPE, "classifier's frame: expected at least one row, got %lld",
                       (long long)n));
    VA_TRY(check_rank(ctx, "classifier's frame", rank, VA_MIN(h1, d)));
    VA_TRY(mlp_check_finite(ctx, "classifier's frame", mlp));
    VA_TRY_ALLOC(ctx, A, VA_NEW_ARRAY(arena, double, h1 *d));
    VA_TRY_ALLOC(ctx, V, VA_NEW_ARRAY(arena, double, rank *d));
    VA_TRY_ALLOC(ctx, gradient, VA_NEW_ARRAY(arena, double, d));
    for (int64_t i = 0; i < h1 * d; i++)
        A[i] = mlp->W1[i];
    VA_TRY(va_svd_host_frame(ctx, A, h1, d, rank, V, sigma));
    VA_TRY(check_sigma(ctx, "classifier's frame", sigma, rank, h1, d));
    va_mlp_mean_gradient(mlp, X, n, gradient);
    if (isnan(gradient[0])) // which is how it says so
        VA_TRY(va_fail(ctx, VA_ERR_MEMORY, "classifier's frame: out of host memory"));
    orient(V, gradient, rank, d, rows);
done:
    va_arena_destroy(&arena);
    return st;
}

// Rows of the i-th positive less the i-th negative, [min(n1, n0), d]; along: their sum.
static int64_t paired_differences(const float *X, int64_t d, const va_fit_problem *p, double *D,
                                  double *along) {
    int64_t seen[2] = {0, 0};
    for (int64_t r = 0; r < p->n; r++) {
        const int label = p->labels[r] > 0;
        const float *x = X + p->rows[r] * d;
        double *row = D + seen[label]++ * d;
        for (int64_t i = 0; i < d; i++)
            row[i] += label ? x[i] : -x[i];
    }
    const int64_t n = VA_MIN(seen[0], seen[1]);
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < d; i++)
            along[i] += D[r * d + i];
    return n;
}

va_status va_linear_components(va_ctx *ctx, const float *X, int64_t d,
                               const va_fit_problem *problem, int64_t rank, float *rows,
                               double *sigma) {
    va_status st = VA_OK;
    va_arena *arena = va_arena_create();
    double *D, *V, *along;
    VA_TRY_ALLOC(ctx, arena, arena);
    VA_TRY_ALLOC(ctx, D, VA_NEW_ARRAY(arena, double, problem->n *d));
    VA_TRY_ALLOC(ctx, along, VA_NEW_ARRAY(arena, double, d));
    const int64_t n = paired_differences(X, d, problem, D, along);
    VA_TRY(check_rank(ctx, "principal components", rank, VA_MIN(n, d)));
    VA_TRY_ALLOC(ctx, V, VA_NEW_ARRAY(arena, double, rank *d));
    VA_TRY(va_svd_host_frame(ctx, D, n, d, rank, V, sigma));
    VA_TRY(check_sigma(ctx, "principal components", sigma, rank, n, d));
    orient(V, along, rank, d, rows);
done:
    va_arena_destroy(&arena);
    return st;
}
