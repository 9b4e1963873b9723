// metric_cka.c: linear centred kernel alignment, biased and unbiased, and its null.
//
// Both are <A, B> / (|A| |B|) of centred Gram matrices. HSIC_1 of Song et al. is the inner product
// of U-centred ones over n (n - 3) (Szekely, Rizzo, Ann. Statist. 42, 2014, section 3): the
// diagonal is left out, and row sums are over n - 2.
// SPDX-License-Identifier: Apache-2.0
#include "metric_priv.h"

#include <float.h>

static va_status check_rows(va_ctx *ctx, va_metric_cka_kind kind, const va_metric_rows *X,
                            const va_metric_rows *Y) {
    const int64_t least = kind == VA_METRIC_CKA_UNBIASED ? 4 : 2;
    if (X->n != Y->n)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "CKA needs the same rows on both sides, got %lld and %lld", (long long)X->n,
                       (long long)Y->n);
    if (X->n < least || X->d < 1 || Y->d < 1)
        return va_fail(
            ctx, VA_ERR_USAGE, "CKA needs %lld rows or more, got [%lld, %lld] and [%lld, %lld]",
            (long long)least, (long long)X->n, (long long)X->d, (long long)Y->n, (long long)Y->d);
    return VA_OK;
}

// centred: [n, d], the rows less their mean, so that little is lost in the Gram matrix.
// VA_ERR_NUMERIC when they do not differ, rounding of the mean aside.
static va_status centre(va_ctx *ctx, const char *what, const va_metric_rows *rows,
                        double *centred) {
    double square = 0, spread = 0;
    for (int64_t k = 0; k < rows->d; k++) {
        double mean = 0;
        for (int64_t i = 0; i < rows->n; i++)
            mean += rows->x[i * rows->d + k];
        mean /= (double)rows->n;
        for (int64_t i = 0; i < rows->n; i++) {
            double x = rows->x[i * rows->d + k];
            centred[i * rows->d + k] = x - mean;
            square += x * x;
            spread += (x - mean) * (x - mean);
        }
    }
    if (!isfinite(square))
        return va_fail(ctx, VA_ERR_NUMERIC, "%s has a component that is not finite", what);
    if (spread <= 16 * DBL_EPSILON * DBL_EPSILON * square)
        return va_fail(ctx, VA_ERR_NUMERIC, "the rows of %s do not differ", what);
    return VA_OK;
}

// G is symmetric with a zero diagonal.
static void u_centre(double *G, int64_t n, double *sums) {
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        sums[i] = 0;
        for (int64_t j = 0; j < n; j++)
            sums[i] += G[i * n + j];
        total += sums[i];
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            if (i != j)
                G[i * n + j] += (total / (double)(n - 1) - sums[i] - sums[j]) / (double)(n - 2);
}

// G: [n, n] out, the centred Gram matrix over its Frobenius norm.
static va_status unit_gram(va_ctx *ctx, va_arena *arena, va_metric_cka_kind kind, const char *what,
                           const va_metric_rows *rows, double **G) {
    va_status st = VA_OK;
    const int64_t n = rows->n, d = rows->d;
    const bool unbiased = kind == VA_METRIC_CKA_UNBIASED;
    int64_t n_elem, n_gram;
    double *centred, *sums, *g;
    if (!va_mul_i64(n, d, &n_elem) || !va_mul_i64(n, n, &n_gram))
        return va_fail(ctx, VA_ERR_MEMORY, "%lld rows of %lld are too many", (long long)n,
                       (long long)d);
    VA_TRY_ALLOC(ctx, centred, VA_NEW_ARRAY(arena, double, n_elem));
    VA_TRY_ALLOC(ctx, g, VA_NEW_ARRAY(arena, double, n_gram));
    VA_TRY_ALLOC(ctx, sums, VA_NEW_ARRAY(arena, double, n));
    VA_TRY(centre(ctx, what, rows, centred));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            g[i * n + j] = g[j * n + i] = va_metric_dot(centred + i * d, centred + j * d, d);
    const double before = sqrt(va_metric_dot(g, g, n_gram));
    for (int64_t i = 0; unbiased && i < n; i++)
        g[i * n + i] = 0;
    if (unbiased)
        u_centre(g, n, sums);
    const double norm = sqrt(va_metric_dot(g, g, n_gram));
    if (!isnormal(norm) || norm <= 16 * DBL_EPSILON * (double)n * before)
        return va_fail(ctx, VA_ERR_NUMERIC, "the centred Gram matrix of %s is %s", what,
                       isfinite(norm) ? "zero" : "not finite");
    for (int64_t i = 0; i < n_gram; i++)
        g[i] /= norm;
    *G = g;
done:
    return st;
}

static double shuffled_product(const double *A, const double *B, const int64_t *order, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double *row = B + order[i] * n;
        for (int64_t j = 0; j < i; j++)
            sum += 2 * A[i * n + j] * row[order[j]];
        sum += A[i * n + i] * row[order[i]];
    }
    return sum;
}

va_status va_metric_cka_null(va_ctx *ctx, va_metric_cka_kind kind, const va_metric_rows *X,
                             const va_metric_rows *Y, va_rng *rng, int64_t n_draws, double *cka,
                             double *draws) {
    va_status st = VA_OK;
    va_arena *arena = NULL;
    const int64_t n = X->n;
    double *A, *B;
    int64_t *order;
    VA_TRY(check_rows(ctx, kind, X, Y));
    if (n_draws < 0)
        return va_fail(ctx, VA_ERR_USAGE, "expected no draws or more, got %lld",
                       (long long)n_draws);
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY(unit_gram(ctx, arena, kind, "the first matrix", X, &A));
    VA_TRY(unit_gram(ctx, arena, kind, "the second matrix", Y, &B));
    VA_TRY_ALLOC(ctx, order, VA_NEW_ARRAY(arena, int64_t, n));
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    const double found = shuffled_product(A, B, order, n); // in order as yet
    for (int64_t k = 0; k < n_draws; k++) {
        VA_TRY(va_check_interrupt(ctx));
        va_rng_shuffle(rng, order, n);
        draws[k] = shuffled_product(A, B, order, n);
    }
    if (cka) // rounding may step outside
        *cka = fmax(kind == VA_METRIC_CKA_UNBIASED ? -1 : 0, fmin(1, found));
done:
    va_arena_destroy(&arena);
    return st;
}

va_status va_metric_cka(va_ctx *ctx, va_metric_cka_kind kind, const va_metric_rows *X,
                        const va_metric_rows *Y, double *cka) {
    return va_metric_cka_null(ctx, kind, X, Y, NULL, 0, cka, NULL);
}
