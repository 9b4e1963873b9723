// test_metric.c: metrics against scipy and scikit-learn, under a true null, with planted
// directions.
// libs: va_metric va_io
// SPDX-License-Identifier: Apache-2.0
#include "stats_case.h"

#include "vkalign/metric.h"

// scipy's own two routes to the null agree to 1e-9 (tests/reference/make_stats.py).
static const double NULL_TOLERANCE = 1e-9;
// A handful of roundings.
static const double TOLERANCE = 1e-13;

static void null_equals_scipy(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/stats.json");
    int64_t n = 0;
    for (const va_json *c = va_json_first(va_json_get(root, "cosine_null")); c;
         c = va_json_next(c), n++) {
        double p = NAN;
        assert_ok(ctx, va_metric_cosine_p(ctx, number(c, "cos"), (int64_t)number(c, "d"), &p));
        assert_near(p, number(c, "p"), NULL_TOLERANCE);
    }
    assert_true(n > 50);
    for (const va_json *c = va_json_first(va_json_get(root, "cosine_null_moments")); c;
         c = va_json_next(c)) {
        int64_t d = (int64_t)number(c, "d");
        double critical = NAN;
        assert_near(va_metric_cosine_std(d), number(c, "std"), TOLERANCE);
        assert_near(va_metric_cosine_mean_abs(d), number(c, "mean_abs"), NULL_TOLERANCE);
        assert_ok(ctx, va_metric_cosine_critical(ctx, 0.05, d, &critical));
        assert_near(critical, number(c, "abs_cos_at_p_0.05"), NULL_TOLERANCE);
    }
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

// P(|cos| >= c) is known in closed form in 2, 3 and 4 dimensions.
static void null_equals_closed_forms(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    for (int i = 0; i <= 1000; i++) {
        double c = i / 1000.0, p = NAN, angle = acos(c);
        assert_ok(ctx, va_metric_cosine_p(ctx, c, 2, &p));
        assert_true(fabs(p - 2 / M_PI * angle) < 1e-12);
        assert_ok(ctx, va_metric_cosine_p(ctx, -c, 3, &p));
        assert_true(fabs(p - (1 - c)) < 1e-12);
        assert_ok(ctx, va_metric_cosine_p(ctx, c, 4, &p));
        assert_true(fabs(p - 2 / M_PI * (angle - c * sin(angle))) < 1e-12);
    }
    // Far dimensions: cos sqrt(d) is normal up to terms of order 1/d.
    double p = NAN;
    assert_ok(ctx, va_metric_cosine_p(ctx, 2e-4, 100000000, &p));
    assert_near(p, erfc(2 / M_SQRT2), 1e-6);
    va_ctx_destroy(&ctx);
}

static void summaries_equal_numpy(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/stats.json");
    for (const va_json *c = va_json_first(va_json_get(root, "summaries")); c; c = va_json_next(c)) {
        double x[64];
        int64_t n = numbers(c, "values", x, 64);
        va_metric_summary s;
        assert_ok(ctx, va_metric_summarize(ctx, x, n, &s));
        double scale = fmax(fabs(s.min), fabs(s.max)); // roundings are relative to the values
        assert_int_equal(s.n, n);
        assert_near(s.median, number(c, "median"), TOLERANCE);
        assert_near(s.min, number(c, "min"), 0);
        assert_near(s.max, number(c, "max"), 0);
        assert_near(s.range, number(c, "max") - number(c, "min"), 0);
        assert_true(fabs(s.mean - number(c, "mean")) <= 1e-15 * scale);
        assert_true(fabs(s.std - number(c, "std_ddof0")) <= 1e-15 * scale);
        assert_near(s.mean_abs, number(c, "mean_abs"), TOLERANCE);
    }
    for (const va_json *c = va_json_first(va_json_get(root, "histograms")); c;
         c = va_json_next(c)) {
        double x[64], edges[64], expected[64];
        int64_t n = numbers(c, "values", x, 64), counts[64];
        int64_t n_bins = numbers(c, "counts", expected, 64);
        assert_int_equal(numbers(c, "edges", edges, 64), n_bins + 1);
        assert_ok(ctx, va_metric_histogram(ctx, x, n, n_bins, counts));
        for (int64_t i = 0; i < n_bins; i++)
            assert_int_equal(counts[i], (int64_t)expected[i]);
        for (int64_t i = 0; i <= n_bins; i++)
            assert_true(fabs(va_metric_histogram_edge(n_bins, i) - edges[i]) < 1e-15);
    }
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void every_edge_opens_its_bin(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    for (int64_t n_bins = 1; n_bins < 200; n_bins++) {
        for (int64_t i = 0; i <= n_bins; i++) {
            double x = va_metric_histogram_edge(n_bins, i);
            int64_t counts[200];
            assert_ok(ctx, va_metric_histogram(ctx, &x, 1, n_bins, counts));
            assert_int_equal(counts[VA_MIN(i, n_bins - 1)], 1);
        }
    }
    va_ctx_destroy(&ctx);
}

static void corrections_equal_scipy(void **state) {
    (void)state;
    static const struct {
        va_metric_correction c;
        const char *key;
    } table[] = {{VA_METRIC_BH, "bh"},
                 {VA_METRIC_BY, "by"},
                 {VA_METRIC_HOLM, "holm"},
                 {VA_METRIC_BONFERRONI, "bonferroni"}};
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/stats.json");
    for (const va_json *c = va_json_first(va_json_get(root, "corrections")); c;
         c = va_json_next(c)) {
        for (int64_t k = 0; k < VA_COUNT(table); k++) {
            double p[64], expected[64];
            int64_t n = numbers(c, "p", p, 64);
            assert_int_equal(numbers(c, table[k].key, expected, 64), n);
            assert_ok(ctx, va_metric_adjust(ctx, table[k].c, p, n, p)); // in place
            for (int64_t i = 0; i < n; i++)
                assert_near(p[i], expected[i], TOLERANCE);
        }
    }
    assert_string_equal(va_metric_correction_name(VA_METRIC_HOLM), "holm");
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void scores_equal_sklearn(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "classifier/scores.json");
    int64_t n_auroc = 0, n_cases = 0;
    for (const va_json *c = va_json_first(root); c; c = va_json_next(c), n_cases++) {
        double scores[512], numeric[512], auroc = NAN;
        bool labels[512];
        int64_t n = numbers(c, "scores", scores, 512);
        assert_int_equal(numbers(c, "labels", numeric, 512), n);
        for (int64_t i = 0; i < n; i++)
            labels[i] = numeric[i] != 0;
        va_metric_scores s;
        assert_ok(ctx, va_metric_classify(ctx, scores, labels, n, number(c, "threshold"), &s));
        assert_int_equal(s.tp + s.fp + s.tn + s.fn, n);
        assert_true(fabs(s.accuracy - number(c, "accuracy")) < TOLERANCE);
        assert_true(fabs(s.precision - number(c, "precision")) < TOLERANCE);
        assert_true(fabs(s.recall - number(c, "recall")) < TOLERANCE);
        assert_true(fabs(s.f1 - number(c, "f1")) < TOLERANCE);
        if (va_json_is_null(va_json_get(c, "auroc"))) {
            assert_error(ctx, VA_ERR_NUMERIC, "both classes",
                         va_metric_auroc(ctx, scores, labels, n, &auroc));
            continue;
        }
        n_auroc++;
        assert_ok(ctx, va_metric_auroc(ctx, scores, labels, n, &auroc));
        assert_true(fabs(auroc - number(c, "auroc")) < TOLERANCE);
    }
    assert_true(n_auroc > 3 && n_cases > n_auroc);
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

// -- edges -----------------------------------------------------------------------------------

static void cosines_of_known_vectors(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    const float a[] = {3e38f, 0, 3e38f}, b[] = {1e-45f, 0, 0}, zero[3] = {0};
    const float nan[] = {1, NAN, 0}, inf[] = {INFINITY, 0, 0};
    double c = NAN;
    assert_ok(ctx, va_metric_cosine(ctx, a, b, 3, &c)); // neither overflow nor underflow
    assert_near(c, M_SQRT1_2, 1e-15);
    assert_ok(ctx, va_metric_cosine(ctx, a, a, 3, &c));
    assert_true(c <= 1);
    assert_near(c, 1, 1e-15);
    assert_error(ctx, VA_ERR_NUMERIC, "second", va_metric_cosine(ctx, a, zero, 3, &c));
    assert_error(ctx, VA_ERR_NUMERIC, "first", va_metric_cosine(ctx, zero, a, 3, &c));
    assert_error(ctx, VA_ERR_NUMERIC, "finite", va_metric_cosine(ctx, a, nan, 3, &c));
    assert_error(ctx, VA_ERR_NUMERIC, "finite", va_metric_cosine(ctx, inf, a, 3, &c));
    assert_error(ctx, VA_ERR_NUMERIC, "zero", va_metric_cosine(ctx, a, a, 0, &c));
    va_ctx_destroy(&ctx);
}

static void special_functions(void **state) {
    (void)state;
    for (int i = 1; i < 100; i++) { // I_x(a, 1) = x^a, I_x(1, b) = 1 - (1 - x)^b
        double x = i / 100.0;
        assert_near(va_metric_beta_inc(7.5, 1, x, 1 - x), pow(x, 7.5), 1e-12);
        assert_near(va_metric_beta_inc(1, 3.25, x, 1 - x), 1 - pow(1 - x, 3.25), 1e-12);
    }
    assert_near(va_metric_chi2_sf(3, 1), exp(-1.5), 1e-14);
    assert_near(va_metric_chi2_sf(10, 3), exp(-5) * (1 + 5 + 12.5), 1e-13);
    assert_near(va_metric_chi2_sf(2000, 1), 0, 0); // exp(-1000) underflows
    assert_near(va_metric_chi2_sf(0, 4), 1, 0);
    assert_near(va_metric_chi2_sf(1e-3, 200), 1, 1e-12);
    assert_true(isnan(va_metric_chi2_sf(-1, 2)) && isnan(va_metric_beta_inc(0, 1, .5, .5)));
}

static void bad_calls_are_errors(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    const double nan[] = {0.1, NAN}, high[] = {0.5, 1.5}, fine[] = {0.2, 0.4};
    const bool labels[] = {true, false};
    double out[2];
    int64_t counts[4];
    va_metric_summary s;
    va_metric_scores scores;
    assert_error(ctx, VA_ERR_USAGE, "dimensions", va_metric_cosine_p(ctx, 0.5, 1, out));
    assert_error(ctx, VA_ERR_NUMERIC, "cosine", va_metric_cosine_p(ctx, 1.01, 5, out));
    assert_error(ctx, VA_ERR_NUMERIC, "cosine", va_metric_cosine_p(ctx, NAN, 5, out));
    assert_error(ctx, VA_ERR_USAGE, "level", va_metric_cosine_critical(ctx, 0, 5, out));
    assert_error(ctx, VA_ERR_USAGE, "one value", va_metric_summarize(ctx, fine, 0, &s));
    assert_error(ctx, VA_ERR_NUMERIC, "value 1", va_metric_summarize(ctx, nan, 2, &s));
    assert_error(ctx, VA_ERR_NUMERIC, "value 1", va_metric_histogram(ctx, high, 2, 4, counts));
    assert_error(ctx, VA_ERR_NUMERIC, "value 1", va_metric_histogram(ctx, nan, 2, 4, counts));
    assert_error(ctx, VA_ERR_USAGE, "bins", va_metric_histogram(ctx, fine, 2, 0, counts));
    assert_error(ctx, VA_ERR_NUMERIC, "p-value 1",
                 va_metric_adjust(ctx, VA_METRIC_BH, nan, 2, out));
    assert_error(ctx, VA_ERR_NUMERIC, "p-value 1", va_metric_fisher(ctx, high, 2, NULL, out));
    assert_error(ctx, VA_ERR_USAGE, "one p-value", va_metric_fisher(ctx, fine, 0, NULL, out));
    assert_error(ctx, VA_ERR_USAGE, "few", va_metric_mean_test(ctx, fine, 2, 10, NULL, out));
    assert_error(ctx, VA_ERR_NUMERIC, "cosine 1", va_metric_mean_test(ctx, high, 2, 99, NULL, out));
    assert_error(ctx, VA_ERR_NUMERIC, "score 1", va_metric_auroc(ctx, nan, labels, 2, out));
    assert_error(ctx, VA_ERR_USAGE, "score", va_metric_classify(ctx, fine, labels, 0, 0, &scores));
    assert_error(ctx, VA_ERR_NUMERIC, "finite", va_metric_permutation_p(ctx, 0.1, nan, 2, out));
    assert_ok(ctx, va_metric_permutation_p(ctx, -0.2, fine, 2, out));
    assert_near(out[0], 1, 0);
    assert_ok(ctx, va_metric_permutation_p(ctx, 0.5, fine, 2, out));
    assert_near(out[0], 1.0 / 3, 1e-15);
    assert_ok(ctx, va_metric_mean_test(ctx, fine, 1, 3, NULL, out)); // exact for one
    assert_near(out[0], 0.8, 1e-12);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_equals_scipy),        cmocka_unit_test(null_equals_closed_forms),
        cmocka_unit_test(summaries_equal_numpy),    cmocka_unit_test(every_edge_opens_its_bin),
        cmocka_unit_test(corrections_equal_scipy),  cmocka_unit_test(scores_equal_sklearn),
        cmocka_unit_test(cosines_of_known_vectors), cmocka_unit_test(special_functions),
        cmocka_unit_test(bad_calls_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
