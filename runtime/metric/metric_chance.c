// metric_chance.c: what chance makes of subspaces and of sets of directions.
// SPDX-License-Identifier: Apache-2.0
#include "metric_priv.h"
#include "vkalign/metric.h"

#include <lapacke.h>

enum { MAX_ORDER = 8192 }; // of a random matrix: half a gigabyte, and minutes a draw

static bool dims_fit(const va_metric_subspaces *dims) {
    return dims->d >= 2 && dims->r >= 1 && dims->s >= 1 && dims->r <= dims->d && dims->s <= dims->d;
}

static va_status check_dims(va_ctx *ctx, const va_metric_subspaces *dims) {
    if (dims_fit(dims))
        return VA_OK;
    return va_fail(ctx, VA_ERR_USAGE,
                   "expected subspaces of 1 to d dimensions, d >= 2, got %lld and %lld in %lld",
                   (long long)dims->r, (long long)dims->s, (long long)dims->d);
}

static va_status check_draws(va_ctx *ctx, int64_t order, int64_t n_draws) {
    if (n_draws < 1)
        return va_fail(ctx, VA_ERR_USAGE, "expected a draw or more, got %lld", (long long)n_draws);
    if (order > MAX_ORDER)
        return va_fail(ctx, VA_ERR_USAGE, "cannot draw random matrices of order %lld, at most %d",
                       (long long)order, (int)MAX_ORDER);
    return VA_OK;
}

double va_metric_overlap_mean(const va_metric_subspaces *dims) {
    return dims_fit(dims) ? (double)VA_MAX(dims->r, dims->s) / (double)dims->d : NAN;
}

double va_metric_overlap_std(const va_metric_subspaces *dims) {
    const double r = (double)dims->r, s = (double)dims->s, d = (double)dims->d;
    if (!dims_fit(dims))
        return NAN;
    return sqrt(2 * r * (d - r) / d * s * (d - s) / d / ((d - 1) * (d + 2))) / fmin(r, s);
}

va_status va_metric_overlap_p(va_ctx *ctx, double overlap, const va_metric_subspaces *dims,
                              double *p) {
    va_status st = VA_OK;
    const int64_t larger = VA_MAX(dims->r, dims->s);
    VA_TRY(check_dims(ctx, dims));
    if (VA_MIN(dims->r, dims->s) != 1 || larger == dims->d)
        return va_fail(ctx, VA_ERR_USAGE,
                       "expected a line and a subspace of 1 to d - 1 dimensions, got %lld and %lld "
                       "in %lld",
                       (long long)dims->r, (long long)dims->s, (long long)dims->d);
    if (!(overlap >= 0 && overlap <= 1))
        return va_fail(ctx, VA_ERR_NUMERIC, "expected an overlap in [0, 1], got %g", overlap);
    double value = va_metric_beta_inc((double)(dims->d - larger) / 2, (double)larger / 2,
                                      1 - overlap, overlap);
    if (isnan(value))
        return va_fail(ctx, VA_ERR_NUMERIC, "no p-value for overlap %g in %lld dimensions", overlap,
                       (long long)dims->d);
    *p = fmax(0, fmin(1, value));
done:
    return st;
}

// M += L L', L [k, width].
static void add_square(double *M, const double *L, int64_t k, int64_t width) {
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++)
            M[i * k + j] +=
                va_metric_dot(L + i * width, L + j * width, VA_MIN(width, VA_MIN(i, j) + 1));
}

// cos^2 of one draw, ascending: the eigenvalues of A x = lambda (A + B) x. A, C, L: [m, m] scratch.
static va_status draw_squares(va_ctx *ctx, va_rng *rng, const int64_t dof[2], int64_t m,
                              double *const scratch[3], double *squares) {
    double *A = scratch[0], *C = scratch[1], *L = scratch[2];
    for (int64_t i = 0; i < m * m; i++)
        A[i] = 0;
    va_metric_bartlett(rng, m, dof[0], L);
    add_square(A, L, m, VA_MIN(m, dof[0]));
    for (int64_t i = 0; i < m * m; i++)
        C[i] = A[i];
    va_metric_bartlett(rng, m, dof[1], L);
    add_square(C, L, m, VA_MIN(m, dof[1]));
    lapack_int n = (lapack_int)m;
    lapack_int info = LAPACKE_dsygv(LAPACK_COL_MAJOR, 1, 'N', 'L', n, A, n, C, n, squares);
    if (info != 0)
        return va_fail(ctx, info == LAPACK_WORK_MEMORY_ERROR ? VA_ERR_MEMORY : VA_ERR_NUMERIC,
                       "LAPACK dsygv failed (info %lld)", (long long)info);
    return VA_OK;
}

va_status va_metric_subspace_null(va_ctx *ctx, const va_metric_subspaces *dims, va_rng *rng,
                                  int64_t n_draws, double *overlaps, double *cosines) {
    va_status st = VA_OK;
    va_arena *arena = NULL;
    const int64_t m = VA_MIN(dims->r, dims->s), larger = VA_MAX(dims->r, dims->s);
    const int64_t dof[2] = {larger, dims->d - larger};
    double *scratch[3], *c;
    VA_TRY(check_dims(ctx, dims));
    VA_TRY(check_draws(ctx, m, n_draws));
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    for (int i = 0; i < 3; i++)
        VA_TRY_ALLOC(ctx, scratch[i], VA_NEW_ARRAY(arena, double, m *m));
    VA_TRY_ALLOC(ctx, c, VA_NEW_ARRAY(arena, double, m));
    for (int64_t k = 0; k < n_draws; k++) {
        VA_TRY(va_check_interrupt(ctx));
        for (int64_t i = 0; i < m; i++)
            c[i] = 1; // one subspace is everything
        if (dof[1] > 0)
            VA_TRY(draw_squares(ctx, rng, dof, m, scratch, c));
        for (int64_t i = 0; i < m; i++)
            c[i] = sqrt(fmax(0, fmin(1, c[i])));
        if (overlaps)
            overlaps[k] = va_metric_overlap(c, m);
        for (int64_t i = 0; cosines && i < m; i++)
            cosines[k * m + i] = c[m - 1 - i];
    }
done:
    va_arena_destroy(&arena);
    return st;
}

va_status va_metric_agreement_null(va_ctx *ctx, int64_t n, int64_t d, va_rng *rng, int64_t n_draws,
                                   double *means, double *mean_abs) {
    va_status st = VA_OK;
    va_arena *arena = NULL;
    const int64_t width = VA_MIN(n, d);
    double *L;
    if (n < 2 || d < 2)
        return va_fail(ctx, VA_ERR_USAGE,
                       "expected 2 directions in 2 dimensions or more, got %lld "
                       "in %lld",
                       (long long)n, (long long)d);
    VA_TRY(check_draws(ctx, n, n_draws));
    const double n_pairs = (double)n * (double)(n - 1) / 2;
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY_ALLOC(ctx, L, VA_NEW_ARRAY(arena, double, n *width));
    for (int64_t k = 0; k < n_draws; k++) {
        double sum = 0, sum_abs = 0;
        VA_TRY(va_check_interrupt(ctx));
        va_metric_bartlett(rng, n, d, L);
        for (int64_t i = 0; i < n; i++) {
            double norm = sqrt(va_metric_dot(L + i * width, L + i * width, width));
            for (int64_t j = 0; j < width; j++)
                L[i * width + j] /= norm;
            for (int64_t j = 0; j < i; j++) {
                double c = va_metric_dot(L + i * width, L + j * width, VA_MIN(width, j + 1));
                sum += c;
                sum_abs += fabs(c);
            }
        }
        if (means)
            means[k] = sum / n_pairs;
        if (mean_abs)
            mean_abs[k] = sum_abs / n_pairs;
    }
done:
    va_arena_destroy(&arena);
    return st;
}
