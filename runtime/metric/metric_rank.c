// metric_rank.c: Spearman's rank correlation.
//
// Ranks are kept as whole numbers, twice the rank less its mean, so that ties between permutations
// are ties and nothing else.
// SPDX-License-Identifier: Apache-2.0
#include "metric_priv.h"
#include "vkalign/metric.h"

#include <stdlib.h>

enum { MAX_PAIRS = 1000000 }; // sums of squared doubled ranks stay below 2^63

typedef struct ranked {
    double value;
    int64_t index;
} ranked;

static int by_value(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value;
}

// rank[i] = 2 rank of x[i] - (n + 1), ties at their mean; the sum is 0.
static va_status rank_values(va_ctx *ctx, va_arena *arena, const char *what, const double *x,
                             int64_t n, int64_t **rank) {
    va_status st = VA_OK;
    ranked *r;
    VA_TRY(va_metric_check_finite(ctx, what, x, n));
    VA_TRY_ALLOC(ctx, r, VA_NEW_ARRAY(arena, ranked, n));
    VA_TRY_ALLOC(ctx, *rank, VA_NEW_ARRAY(arena, int64_t, n));
    for (int64_t i = 0; i < n; i++)
        r[i] = (ranked){x[i], i};
    qsort(r, (size_t)n, sizeof *r, by_value);
    if (r[0].value == r[n - 1].value) {
        st = va_fail(ctx, VA_ERR_NUMERIC, "all %lld of %s are equal: they have no ranking",
                     (long long)n, what);
        goto done;
    }
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && r[end].value == r[i].value; end++)
            ;
        for (int64_t k = i; k < end; k++) // ranks i + 1 to end
            (*rank)[r[k].index] = i + 1 + end - (n + 1);
    }
done:
    return st;
}

static int64_t product(const int64_t *a, const int64_t *b, int64_t n) {
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

// Pairings that complete `sum`, of a[i..n) with what is left of b, and reach |observed|.
static int64_t count_as_far(const int64_t *a, int64_t *b, int64_t i, int64_t n, int64_t sum,
                            int64_t observed) {
    int64_t count = 0;
    if (i == n)
        return llabs(sum) >= observed;
    for (int64_t k = i; k < n; k++) {
        int64_t t = b[i];
        b[i] = b[k];
        b[k] = t;
        count += count_as_far(a, b, i + 1, n, sum + a[i] * b[i], observed);
        b[k] = b[i];
        b[i] = t;
    }
    return count;
}

static double exact_p(const int64_t *a, int64_t *b, int64_t n) {
    int64_t total = 1;
    for (int64_t i = 2; i <= n; i++)
        total *= i;
    return (double)count_as_far(a, b, 0, n, 0, llabs(product(a, b, n))) / (double)total;
}

// t with n - 2 degrees of freedom is the cosine's null in n - 1 dimensions. Of n! pairings two at
// the least reach |rho| = 1: without ties the order and its reverse, with ties their exchange.
static va_status approximate_p(va_ctx *ctx, double rho, int64_t n, double *p) {
    va_status st = VA_OK;
    int sign;
    VA_TRY(va_metric_cosine_p(ctx, rho, n - 1, p));
    *p = fmax(*p, 2 * exp(-lgamma_r((double)n + 1, &sign)));
done:
    return st;
}

va_status va_metric_spearman(va_ctx *ctx, const double *x, const double *y, int64_t n, double *rho,
                             double *p) {
    va_status st = VA_OK;
    va_arena *arena = NULL;
    int64_t *a, *b;
    if (n < 2 || n > MAX_PAIRS)
        return va_fail(ctx, VA_ERR_USAGE, "expected 2 to %d pairs to rank, got %lld",
                       (int)MAX_PAIRS, (long long)n);
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY(rank_values(ctx, arena, "the first values", x, n, &a));
    VA_TRY(rank_values(ctx, arena, "the second values", y, n, &b));
    const double norm = sqrt((double)product(a, a, n)) * sqrt((double)product(b, b, n));
    const double r = fmax(-1, fmin(1, (double)product(a, b, n) / norm));
    if (p && n <= VA_METRIC_SPEARMAN_EXACT_N)
        *p = exact_p(a, b, n);
    else if (p)
        VA_TRY(approximate_p(ctx, r, n, p));
    *rho = r;
done:
    va_arena_destroy(&arena);
    return st;
}
