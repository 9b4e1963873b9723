// test_metric.c: metrics against scipy and scikit-learn, under a true null, with planted
// directions. libs: va_metric va_io SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/io.h"
#include "vkalign/metric.h"

#include <math.h>

// scipy's own two routes to the null agree to 1e-9 (tests/reference/make_stats.py).
static const double NULL_TOLERANCE = 1e-9;
// A handful of roundings.
static const double TOLERANCE = 1e-13;
// Kolmogorov-Smirnov: for uniform values sqrt(n) D exceeds b with probability 2 exp(-2 b^2), 1e-6
// here; the wrong dimension, 3 for 2 or 4 for 3, goes beyond it.
static const double KS_BOUND = 2.7;

static void assert_near(double got, double expected, double tolerance) {
    if (!(fabs(got - expected) <= tolerance * fmax(fabs(expected), 1e-300)))
        fail_msg("expected %.17g, got %.17g", expected, got);
}

static double number(const va_json *obj, const char *key) {
    double v = NAN;
    if (!va_json_as_double(va_json_get(obj, key), &v))
        fail_msg("no number '%s'", key);
    return v;
}

static int64_t numbers(const va_json *obj, const char *key, double *out, int64_t cap) {
    int64_t n = 0;
    for (const va_json *v = va_json_first(va_json_get(obj, key)); v; v = va_json_next(v), n++) {
        assert_true(n < cap);
        assert_true(va_json_as_double(v, &out[n]));
    }
    assert_true(n > 0);
    return n;
}

static va_json *load(va_ctx *ctx, const char *name) {
    char path[VA_TEST_PATH];
    va_json *root = NULL;
    assert_ok(ctx, va_json_load(ctx, va_test_fixture(path, name), 0, &root));
    return root;
}

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

// -- under a true null -----------------------------------------------------------------------

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

// sqrt(n) times the largest distance of the empirical distribution from the uniform one.
static double ks_uniform(double *p, int64_t n) {
    double distance = 0;
    qsort(p, (size_t)n, sizeof *p, by_value);
    for (int64_t i = 0; i < n; i++) {
        double below = (double)i / (double)n, upto = (double)(i + 1) / (double)n;
        distance = fmax(distance, fmax(fabs(p[i] - below), fabs(p[i] - upto)));
    }
    return distance * sqrt((double)n);
}

static double random_cosine(va_ctx *ctx, va_rng *rng, const float *u, float *x, int64_t d) {
    double c = NAN;
    for (int64_t i = 0; i < d; i++)
        x[i] = (float)va_rng_normal(rng);
    assert_ok(ctx, va_metric_cosine(ctx, u, x, d, &c));
    return c;
}

static void p_values_are_uniform_under_the_null(void **state) {
    (void)state;
    enum { N_SETS = 3000, N = 5 };
    va_ctx *ctx = va_test_ctx();
    static const int64_t dims[] = {2, 3, 37, 256};
    static double one[N_SETS], wrong[N_SETS], mean[N_SETS], fisher[N_SETS];
    float u[256], x[256];
    for (int64_t k = 0; k < VA_COUNT(dims); k++) {
        int64_t d = dims[k];
        va_rng rng = va_rng_make(20, (uint64_t)d);
        for (int64_t i = 0; i < d; i++)
            u[i] = i % 3 ? 0.5f : -2.0f;
        for (int64_t s = 0; s < N_SETS; s++) {
            double c[N], p[N];
            for (int64_t i = 0; i < N; i++) {
                c[i] = random_cosine(ctx, &rng, u, x, d);
                assert_ok(ctx, va_metric_cosine_p(ctx, c[i], d, &p[i]));
            }
            one[s] = p[0];
            assert_ok(ctx, va_metric_cosine_p(ctx, c[0], d + 1, &wrong[s]));
            assert_ok(ctx, va_metric_fisher(ctx, p, N, NULL, &fisher[s]));
            if (d > 16)
                assert_ok(ctx, va_metric_mean_test(ctx, c, N, d, NULL, &mean[s]));
        }
        assert_true(ks_uniform(one, N_SETS) < KS_BOUND);
        assert_true(ks_uniform(wrong, N_SETS) > KS_BOUND || d > 16);
        assert_true(ks_uniform(fisher, N_SETS) < KS_BOUND);
        if (d > 16)
            assert_true(ks_uniform(mean, N_SETS) < KS_BOUND);
    }
    va_ctx_destroy(&ctx);
}

static void planted_direction_is_found(void **state) {
    (void)state;
    enum { D = 2560, N = 5 };
    va_ctx *ctx = va_test_ctx();
    va_rng rng = va_rng_make(4, 0);
    static float u[D], x[D];
    for (int64_t i = 0; i < D; i++)
        u[i] = (float)va_rng_normal(&rng);
    double c[N], p[N], adjusted[N], mean = NAN, combined = NAN;
    for (int64_t k = 0; k < N; k++) {
        c[k] = random_cosine(ctx, &rng, u, x, D);
        if (k == 2) { // one planted among noise
            for (int64_t i = 0; i < D; i++)
                x[i] -= 0.2f * u[i];
            assert_ok(ctx, va_metric_cosine(ctx, x, u, D, &c[k]));
            assert_true(c[k] < -0.1);
        }
        assert_ok(ctx, va_metric_cosine_p(ctx, c[k], D, &p[k]));
    }
    assert_ok(ctx, va_metric_adjust(ctx, VA_METRIC_HOLM, p, N, adjusted));
    for (int64_t k = 0; k < N; k++)
        assert_true(k == 2 ? adjusted[k] < 1e-6 : adjusted[k] > 0.01);
    assert_ok(ctx, va_metric_fisher(ctx, p, N, NULL, &combined));
    assert_true(combined < 1e-6);
    for (int64_t k = 0; k < N; k++) // a small shift in all: none alone, the mean does
        c[k] = 0.03;
    assert_ok(ctx, va_metric_cosine_p(ctx, c[0], D, &p[0]));
    assert_ok(ctx, va_metric_mean_test(ctx, c, N, D, NULL, &mean));
    assert_true(p[0] > 0.05 && mean < 0.001);
    va_ctx_destroy(&ctx);
}

// The published five cosines: the mean is where chance puts it one time in seventeen.
static void published_mean_is_within_chance(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    const double c[] = {-.0377, -.0318, -.0229, -.0062, .0052};
    double z = NAN, p = NAN;
    assert_ok(ctx, va_metric_mean_test(ctx, c, 5, 2560, &z, &p));
    assert_near(z, -0.01868 * sqrt(5 * 2560.0), 1e-12);
    assert_true(fabs(p - erfc(-z / M_SQRT2)) < 2e-4); // the correction is of order 1/(n d)
    assert_true(p > 0.03 && p < 0.04);
    va_ctx_destroy(&ctx);
}

// Rows +-e_i spread alike in all directions: the covariance null is then the analytic one.
static void covariance_null(void **state) {
    (void)state;
    enum { D = 12, N = 2 * D, DRAWS = 3000 };
    va_ctx *ctx = va_test_ctx();
    float rows[N * D] = {0}, u[D];
    static double c[DRAWS], p[DRAWS];
    va_rng rng = va_rng_make(9, 1);
    for (int64_t i = 0; i < D; i++) {
        u[i] = (float)(i + 1);
        rows[(2 * i) * D + i] = 5; // the mean, 2 e_i, counts for nothing
        rows[(2 * i + 1) * D + i] = -5;
    }
    for (int64_t i = 0; i < N * D; i++)
        rows[i] += 2;
    assert_ok(ctx, va_metric_covariance_null(ctx, rows, N, D, u, &rng, DRAWS, c));
    for (int64_t i = 0; i < DRAWS; i++)
        assert_ok(ctx, va_metric_cosine_p(ctx, c[i], D, &p[i]));
    assert_true(ks_uniform(p, DRAWS) < KS_BOUND);
    // One line: every draw lies along it.
    for (int64_t i = 0; i < N * D; i++)
        rows[i] = (float)(i / D) * (i % D == 3 ? 1.0f : 0.0f);
    assert_ok(ctx, va_metric_covariance_null(ctx, rows, N, D, u, &rng, 20, c));
    for (int64_t i = 0; i < 20; i++)
        assert_near(fabs(c[i]), 4 / sqrt(650), 1e-9); // u_3 / |u|, |u|^2 = 1 + ... + 144
    for (int64_t i = 0; i < N * D; i++)
        rows[i] = 1;
    assert_error(ctx, VA_ERR_NUMERIC, "do not differ",
                 va_metric_covariance_null(ctx, rows, N, D, u, &rng, 20, c));
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
        cmocka_unit_test(null_equals_scipy),
        cmocka_unit_test(null_equals_closed_forms),
        cmocka_unit_test(summaries_equal_numpy),
        cmocka_unit_test(every_edge_opens_its_bin),
        cmocka_unit_test(corrections_equal_scipy),
        cmocka_unit_test(scores_equal_sklearn),
        cmocka_unit_test(p_values_are_uniform_under_the_null),
        cmocka_unit_test(planted_direction_is_found),
        cmocka_unit_test(published_mean_is_within_chance),
        cmocka_unit_test(covariance_null),
        cmocka_unit_test(cosines_of_known_vectors),
        cmocka_unit_test(special_functions),
        cmocka_unit_test(bad_calls_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
