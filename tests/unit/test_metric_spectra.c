// test_metric_spectra.c: ranks of spectra and how alike two are, against closed forms, numpy and
// scipy.
// libs: va_metric va_io
// SPDX-License-Identifier: Apache-2.0
#include "stats_case.h"

#include "vkalign/metric_compare.h"

enum { MAX_VALUES = 32 };

static bool close_to(double got, double expected) {
    return fabs(got - expected) <= 1e-12 * expected;
}

static void ranks_of_known_spectra(void **state) {
    (void)state;
    static const double flat[5] = {2, 2, 2, 2, 2}, one[4] = {0, 7, 0, 0}, mixed[3] = {1, 3, 2};
    static const double zero[3] = {0}, tiny[2] = {1e-200, 1e-200}, large[2] = {1e200, 1e200};
    assert_true(close_to(va_metric_participation_ratio(flat, 5), 5));
    assert_true(close_to(va_metric_entropy_rank(flat, 5), 5));
    assert_true(close_to(va_metric_stable_rank(20, 2), 5));
    assert_true(close_to(va_metric_participation_ratio(one, 4), 1));
    assert_true(close_to(va_metric_entropy_rank(one, 4), 1));
    assert_true(close_to(va_metric_participation_ratio(mixed, 3), 14.0 * 14 / (1 + 81 + 16)));
    const double p[3] = {1.0 / 14, 9.0 / 14, 4.0 / 14};
    assert_true(close_to(va_metric_entropy_rank(mixed, 3),
                         pow(p[0], -p[0]) * pow(p[1], -p[1]) * pow(p[2], -p[2])));
    assert_true(close_to(va_metric_stable_rank(14, 3), 14.0 / 9));
    assert_true(close_to(va_metric_participation_ratio(tiny, 2), 2));
    assert_true(close_to(va_metric_entropy_rank(large, 2), 2));
    assert_true(isnan(va_metric_participation_ratio(zero, 3)));
    assert_true(isnan(va_metric_entropy_rank(zero, 3)));
    assert_true(isnan(va_metric_stable_rank(0, 0)));
}

static double divergence(va_ctx *ctx, const double *a, const double *b, int64_t n) {
    va_metric_spectra s;
    assert_ok(ctx, va_metric_compare_spectra(ctx, a, n, b, n, NULL, NULL, &s));
    return s.divergence;
}

// p = (1, 0) and q = (1/2, 1/2): 1/2 (log2 4/3 + 1/2 log2 2/3 + 1/2 log2 2) = 3/2 - 3/4 log2 3.
static void worked_example(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    static const double one[2] = {3, 0}, even[2] = {5, 5}, twice[3] = {6, 4, 2}, by[3] = {3, 2, 1};
    static const double near[2] = {1 + 1e-5, 1};
    double flat[64], spike[64] = {1};
    va_metric_spectra s;
    double a[2], b[2];
    assert_ok(ctx, va_metric_compare_spectra(ctx, one, 2, even, 2, a, b, &s));
    assert_close(s.divergence, 1.5 - 0.75 * log2(3), 1e-15);
    assert_true(s.a.stable_rank == 1 && s.a.participation_ratio == 1 && s.a.entropy_rank == 1);
    assert_true(s.b.stable_rank == 2 && close_to(s.b.entropy_rank, 2));
    assert_true(a[0] == 1 && a[1] == 0 && b[0] == 1 && b[1] == 1);
    assert_true(divergence(ctx, even, one, 2) == s.divergence);
    assert_true(divergence(ctx, twice, by, 3) == 0); // of one shape
    // p = 1/2 +- delta/2 with delta = 1e-5: delta^2 / (8 ln 2) to second order
    assert_close(divergence(ctx, near, even, 2) / (1e-10 / (8 * log(2))), 1, 1e-4);
    for (int i = 0; i < 64; i++)
        flat[i] = 1;
    assert_true(divergence(ctx, flat, spike, 64) > 0.9 && divergence(ctx, flat, spike, 64) < 1);
    va_ctx_destroy(&ctx);
}

static void check_side(const va_json *c, const char *ranks_key, const char *normalised_key,
                       const va_metric_spectrum *s, const double *normalised, int64_t n) {
    double ranks[3], expected[MAX_VALUES];
    assert_int_equal(numbers(c, ranks_key, ranks, 3), 3);
    assert_true(close_to(s->stable_rank, ranks[0]));
    assert_true(close_to(s->participation_ratio, ranks[1]));
    assert_true(close_to(s->entropy_rank, ranks[2]));
    assert_int_equal(numbers(c, normalised_key, expected, MAX_VALUES), n);
    for (int64_t i = 0; i < n; i++)
        assert_close(normalised[i], expected[i], 1e-15);
}

static void comparison_equals_scipy(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/compare.json");
    int n_cases = 0;
    for (const va_json *c = va_json_first(va_json_get(root, "spectra")); c; c = va_json_next(c)) {
        double a[MAX_VALUES], b[MAX_VALUES], a_normalised[MAX_VALUES], b_normalised[MAX_VALUES];
        const int64_t n_a = numbers(c, "a", a, MAX_VALUES), n_b = numbers(c, "b", b, MAX_VALUES);
        va_metric_spectra s;
        assert_ok(ctx,
                  va_metric_compare_spectra(ctx, a, n_a, b, n_b, a_normalised, b_normalised, &s));
        check_side(c, "a_ranks", "a_normalised", &s.a, a_normalised, n_a);
        check_side(c, "b_ranks", "b_normalised", &s.b, b_normalised, n_b);
        assert_close(s.divergence, number(c, "divergence"), 1e-13);
        n_cases++;
    }
    assert_int_equal(n_cases, 4);
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void refusals(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    static const double good[3] = {3, 2, 1}, rising[3] = {3, 1, 2}, below[3] = {1, 0, -1};
    static const double zero[3] = {0}, bad[3] = {2, NAN, 1}, infinite[3] = {INFINITY, 1, 1};
    static const struct {
        const double *a;
        int64_t n;
        va_status st;
        const char *text;
    } cases[] = {
        {rising, 3, VA_ERR_USAGE,
         "first spectrum: expected values >= 0 in descending order, got 2"},
        {below, 3, VA_ERR_USAGE, "got -1 at 2"},
        {zero, 3, VA_ERR_NUMERIC, "first spectrum: all values are 0"},
        {bad, 3, VA_ERR_NUMERIC, "first spectrum: number 1 of 3 is not finite"},
        {infinite, 3, VA_ERR_NUMERIC, "first spectrum: number 0 of 3 is not finite"},
        {good, 2, VA_ERR_SHAPE, "expected as many values of both, got 2 and 3"},
        {good, 0, VA_ERR_USAGE, "expected one value or more, got 0 and 3"},
    };
    va_metric_spectra s = {.divergence = 7};
    for (int64_t i = 0; i < VA_COUNT(cases); i++)
        assert_error(
            ctx, cases[i].st, cases[i].text,
            va_metric_compare_spectra(ctx, cases[i].a, cases[i].n, good, 3, NULL, NULL, &s));
    assert_error(ctx, VA_ERR_USAGE, "second spectrum",
                 va_metric_compare_spectra(ctx, good, 3, rising, 3, NULL, NULL, &s));
    assert_true(s.divergence == 7); // untouched
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_of_known_spectra),
        cmocka_unit_test(worked_example),
        cmocka_unit_test(comparison_equals_scipy),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("spectra", tests, NULL, NULL);
}
