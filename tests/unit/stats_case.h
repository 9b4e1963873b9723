// stats_case.h: reading the references of tests/fixtures/stats.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_STATS_CASE_H
#define VA_STATS_CASE_H

#include "uniform_check.h"

#include "vkalign/io.h"
#include "vkalign/metric_compare.h"

static inline double number(const va_json *obj, const char *key) {
    double v = NAN;
    if (!va_json_as_double(va_json_get(obj, key), &v))
        fail_msg("no number '%s'", key);
    return v;
}

static inline int64_t numbers(const va_json *obj, const char *key, double *out, int64_t cap) {
    int64_t n = 0;
    for (const va_json *v = va_json_first(va_json_get(obj, key)); v; v = va_json_next(v), n++) {
        assert_true(n < cap);
        assert_true(va_json_as_double(v, &out[n]));
    }
    assert_true(n > 0);
    return n;
}

static inline va_json *load(va_ctx *ctx, const char *name) {
    char path[VA_TEST_PATH];
    va_json *root = NULL;
    assert_ok(ctx, va_json_load(ctx, va_test_fixture(path, name), 0, &root));
    return root;
}

// A matrix written as a list of rows of equal length.
static inline va_metric_rows rows_of(const va_json *obj, const char *key, float *x, int64_t cap) {
    const va_json *list = va_json_get(obj, key);
    va_metric_rows rows = {x, va_json_count(list), va_json_count(va_json_first(list))};
    int64_t i = 0;
    for (const va_json *r = va_json_first(list); r; r = va_json_next(r))
        for (const va_json *v = va_json_first(r); v; v = va_json_next(v), i++) {
            double value = NAN;
            assert_true(i < cap && va_json_as_double(v, &value));
            x[i] = (float)value;
        }
    assert_true(i > 0 && i == rows.n * rows.d);
    return rows;
}

// The largest distance of the share of values up to each quantile from its level, in standard
// errors of both samples together.
static inline double quantile_distance(const double *x, int64_t n, const va_json *obj,
                                       const char *key, double n_reference) {
    double levels[8], quantiles[8], worst = 0;
    int64_t n_levels = numbers(obj, "levels", levels, 8);
    assert_int_equal(numbers(obj, key, quantiles, 8), n_levels);
    for (int64_t k = 0; k < n_levels; k++) {
        double upto = 0;
        for (int64_t i = 0; i < n; i++)
            upto += x[i] <= quantiles[k];
        double error = sqrt(levels[k] * (1 - levels[k]) * (1 / (double)n + 1 / n_reference));
        worst = fmax(worst, fabs(upto / (double)n - levels[k]) / error);
    }
    return worst;
}

#endif
