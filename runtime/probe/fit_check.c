// fit_check.c: what every fit asks of its rows and labels.
// SPDX-License-Identifier: Apache-2.0
#include "fit_check.h"

#include <math.h>

va_status fit_check_rows(va_ctx *ctx, const char *what, const float *X, int64_t n, int64_t d) {
    int64_t n_elem, bytes;
    if (n < 1 || d < 1)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "%s: expected at least one row and column, got [%lld, %lld]", what,
                       (long long)n, (long long)d);
    if (!va_mul_i64(n, d, &n_elem) || !va_mul_i64(n_elem, (int64_t)sizeof *X, &bytes))
        return va_fail(ctx, VA_ERR_SHAPE, "%s: [%lld, %lld] is too large", what, (long long)n,
                       (long long)d);
    for (int64_t i = 0; i < n_elem; i++)
        if (!isfinite(X[i]))
            return va_fail(ctx, VA_ERR_NUMERIC,
                           "%s: expected finite activations, got %g at row %lld, column %lld", what,
                           (double)X[i], (long long)(i / d), (long long)(i % d));
    return VA_OK;
}

static va_status check_problem(va_ctx *ctx, const char *what, int64_t p,
                               const va_fit_problem *problem, int64_t n_x) {
    int64_t n_ones = 0;
    if (problem->n < 2)
        return va_fail(ctx, VA_ERR_SHAPE, "%s %lld: expected at least two rows, got %lld", what,
                       (long long)p, (long long)problem->n);
    for (int64_t r = 0; r < problem->n; r++) {
        float y = problem->labels[r];
        if (problem->rows[r] < 0 || problem->rows[r] >= n_x)
            return va_fail(ctx, VA_ERR_SHAPE,
                           "%s %lld: expected rows of 0 to %lld, got %lld at place %lld", what,
                           (long long)p, (long long)(n_x - 1), (long long)problem->rows[r],
                           (long long)r);
        if (y != 0 && y != 1)
            return va_fail(ctx, VA_ERR_SHAPE,
                           "%s %lld: expected labels of 0 or 1, got %g at place %lld", what,
                           (long long)p, (double)y, (long long)r);
        n_ones += y == 1;
    }
    if (n_ones == 0 || n_ones == problem->n)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "%s %lld: expected labels of both classes, got %lld times %d", what,
                       (long long)p, (long long)problem->n, n_ones > 0);
    return VA_OK;
}

va_status fit_check_problems(va_ctx *ctx, const char *what, const va_fit_problem *problems,
                             int64_t n_problems, int64_t n_x) {
    if (n_problems < 1)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: expected at least one problem, got %lld", what,
                       (long long)n_problems);
    for (int64_t p = 0; p < n_problems; p++) {
        va_status st = check_problem(ctx, what, p, &problems[p], n_x);
        if (st != VA_OK)
            return st;
    }
    return VA_OK;
}
