// test_metric_subspaces.c: principal angles against mpmath, and what chance makes of subspaces.
// libs: va_metric va_io
// SPDX-License-Identifier: Apache-2.0
#include "stats_case.h"

#include "vkalign/metric.h"

enum { MAX_VALUES = 256 };
// Sums of a few hundred products in double.
static const double TOLERANCE = 1e-12;
// scipy's distributions (tests/reference/make_stats.py).
static const double NULL_TOLERANCE = 1e-9;

static void angles_equal_forty_digits(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/compare.json");
    int64_t n_cases = 0;
    for (const va_json *c = va_json_first(va_json_get(root, "frames")); c;
         c = va_json_next(c), n_cases++) {
        float u[MAX_VALUES], v[MAX_VALUES];
        double expected[8], cosines[8], angles[8];
        va_metric_rows U = rows_of(c, "U", u, MAX_VALUES), V = rows_of(c, "V", v, MAX_VALUES);
        int64_t m = numbers(c, "angles", expected, 8);
        assert_int_equal(m, VA_MIN(U.n, V.n));
        assert_ok(ctx, va_metric_principal_angles(ctx, &U, &V, cosines, angles));
        for (int64_t i = 0; i < m; i++) { // small angles too: absolute is the harder there
            assert_close(angles[i], expected[i], 1e-14);
            assert_close(cosines[i], cos(expected[i]), 1e-14);
            assert_true(i == 0 || (angles[i] >= angles[i - 1] && cosines[i] <= cosines[i - 1]));
        }
        assert_close(va_metric_overlap(cosines, m), number(c, "overlap"), TOLERANCE);
    }
    assert_true(n_cases > 8);
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void bad_frames_are_errors(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    float x[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    float sum[9] = {.1f, .7f, -.3f, .2f, .5f, .9f}, zero[6] = {1, 2, 3}, nan[6] = {1, 2, 3, 4, NAN};
    for (int k = 0; k < 3; k++)
        sum[6 + k] = sum[k] + sum[3 + k]; // but for rounding
    const va_metric_rows one = {x, 1, 3}, flat = {x, 1, 2};
    double c[3] = {7, 7, 7};
    assert_error(ctx, VA_ERR_NUMERIC, "second frame: expected 3 independent rows, got rank 2",
                 va_metric_principal_angles(ctx, &one, &(va_metric_rows){sum, 3, 3}, c, NULL));
    assert_error(ctx, VA_ERR_NUMERIC, "first frame, row 1: a zero vector",
                 va_metric_principal_angles(ctx, &(va_metric_rows){zero, 2, 3}, &one, c, NULL));
    assert_error(ctx, VA_ERR_NUMERIC, "second frame, row 1",
                 va_metric_principal_angles(ctx, &one, &(va_metric_rows){nan, 2, 3}, c, NULL));
    assert_error(ctx, VA_ERR_SHAPE, "3 and 2",
                 va_metric_principal_angles(ctx, &one, &flat, c, NULL));
    assert_error(ctx, VA_ERR_SHAPE, "first frame: 3 rows in 2",
                 va_metric_principal_angles(ctx, &(va_metric_rows){x, 3, 2}, &flat, c, NULL));
    assert_error(ctx, VA_ERR_USAGE, "one row",
                 va_metric_principal_angles(ctx, &(va_metric_rows){x, 0, 3}, &one, c, NULL));
    assert_error(
        ctx, VA_ERR_SHAPE, "too large",
        va_metric_principal_angles(ctx, &(va_metric_rows){x, 1 << 20, INT64_MAX}, &one, c, NULL));
    assert_true(c[0] == 7 && isnan(va_metric_overlap(c, 0)));
    assert_ok(ctx, va_metric_principal_angles(ctx, &one, &one, NULL, NULL));
    va_ctx_destroy(&ctx);
}

static double smallest_of(const double *x, int64_t n) {
    double smallest = x[0];
    for (int64_t i = 1; i < n; i++)
        smallest = fmin(smallest, x[i]);
    return smallest;
}

// Wishart draws against Haar frames by QR. 63 comparisons: 4.5 standard errors by chance 1 in 2300.
static void random_subspaces_equal_haar_frames(void **state) {
    (void)state;
    enum { DRAWS = 20000 };
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/compare.json");
    static double overlaps[DRAWS], cosines[DRAWS * 4], largest[DRAWS], smallest[DRAWS];
    va_rng rng = va_rng_make(3, 0);
    int64_t n_cases = 0;
    for (const va_json *c = va_json_first(va_json_get(root, "subspace_chance")); c;
         c = va_json_next(c), n_cases++) {
        va_metric_subspaces dims = {(int64_t)number(c, "r"), (int64_t)number(c, "s"),
                                    (int64_t)number(c, "d")};
        const int64_t m = VA_MIN(dims.r, dims.s);
        const double n = number(c, "n"), std = va_metric_overlap_std(&dims);
        assert_close(va_metric_overlap_mean(&dims), number(c, "mean"), 4.5 * std / sqrt(n));
        assert_near(std, number(c, "std"), 0.02); // 4.5 standard errors, and skewed ones have wider
        assert_ok(ctx, va_metric_subspace_null(ctx, &dims, &rng, DRAWS, overlaps, cosines));
        for (int64_t i = 0; i < DRAWS; i++) {
            largest[i] = cosines[i * m];
            smallest[i] = cosines[i * m + m - 1];
            assert_true(largest[i] >= smallest[i]);
        }
        assert_true(quantile_distance(overlaps, DRAWS, c, "overlap", n) < 4.5);
        if (dims.r + dims.s > dims.d) // they must meet
            assert_true(smallest_of(largest, DRAWS) > 1 - 1e-7);
        else
            assert_true(quantile_distance(largest, DRAWS, c, "largest", n) < 4.5);
        assert_true(quantile_distance(smallest, DRAWS, c, "smallest", n) < 4.5);
    }
    assert_true(n_cases == 7);
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void overlap_of_a_line_equals_scipy(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/compare.json");
    double p = NAN, q = NAN;
    for (const va_json *c = va_json_first(va_json_get(root, "overlap_p")); c; c = va_json_next(c)) {
        va_metric_subspaces dims = {1, (int64_t)number(c, "m"), (int64_t)number(c, "d")};
        double overlap = number(c, "overlap");
        assert_ok(ctx, va_metric_overlap_p(ctx, overlap, &dims, &p));
        if (number(c, "p") > 1e-290)
            assert_near(p, number(c, "p"), NULL_TOLERANCE);
        if (dims.s == 1) {
            assert_ok(ctx, va_metric_cosine_p(ctx, sqrt(overlap), dims.d, &q));
            assert_true(fabs(p - q) <= TOLERANCE);
        }
    }
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void bad_dimensions_are_errors(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_rng rng = va_rng_make(1, 1);
    double p = 7;
    const va_metric_subspaces none = {0, 1, 5}, wide = {1, 6, 5}, two = {2, 2, 5}, all = {1, 5, 5};
    assert_true(isnan(va_metric_overlap_mean(&none)) && isnan(va_metric_overlap_std(&wide)));
    assert_error(ctx, VA_ERR_USAGE, "0 and 1 in 5", va_metric_overlap_p(ctx, .5, &none, &p));
    assert_error(ctx, VA_ERR_USAGE, "a line", va_metric_overlap_p(ctx, .5, &two, &p));
    assert_error(ctx, VA_ERR_USAGE, "a line", va_metric_overlap_p(ctx, 1, &all, &p));
    assert_error(ctx, VA_ERR_NUMERIC, "overlap",
                 va_metric_overlap_p(ctx, NAN, &(va_metric_subspaces){1, 2, 5}, &p));
    assert_error(ctx, VA_ERR_USAGE, "1 and 6 in 5",
                 va_metric_subspace_null(ctx, &wide, &rng, 1, &p, NULL));
    assert_error(ctx, VA_ERR_USAGE, "a draw",
                 va_metric_subspace_null(ctx, &two, &rng, 0, &p, NULL));
    assert_error(ctx, VA_ERR_USAGE, "order 100000",
                 va_metric_subspace_null(ctx, &(va_metric_subspaces){100000, 100000, 1000000}, &rng,
                                         1, &p, NULL));
    assert_error(ctx, VA_ERR_USAGE, "2 directions",
                 va_metric_agreement_null(ctx, 1, 5, &rng, 1, &p, NULL));
    assert_true(p == 7);
    assert_ok(ctx, va_metric_subspace_null(ctx, &all, &rng, 1, &p, NULL));
    assert_true(p == 1 && va_metric_overlap_mean(&all) == 1 && va_metric_overlap_std(&all) == 0);
    va_ctx_destroy(&ctx);
}

static void random_agreement_equals_random_vectors(void **state) {
    (void)state;
    enum { DRAWS = 20000 };
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/compare.json");
    static double means[DRAWS], mean_abs[DRAWS];
    va_rng rng = va_rng_make(8, 0);
    for (const va_json *c = va_json_first(va_json_get(root, "agreement_chance")); c;
         c = va_json_next(c)) {
        int64_t n = (int64_t)number(c, "n"), d = (int64_t)number(c, "d");
        double reference = number(c, "draws");
        assert_ok(ctx, va_metric_agreement_null(ctx, n, d, &rng, DRAWS, means, mean_abs));
        assert_true(quantile_distance(means, DRAWS, c, "mean", reference) < 4.5);
        assert_true(quantile_distance(mean_abs, DRAWS, c, "mean_abs", reference) < 4.5);
        float any[64 * 10];
        for (int64_t i = 0; i < n * d; i++)
            any[i] = (float)va_rng_normal(&rng);
        va_metric_agreement a; // what chance is stands beside any directions
        assert_ok(ctx, va_metric_agree(ctx, &(va_metric_rows){any, n, d}, &a));
        assert_near(a.chance_std, number(c, "std"), 0.02);
        assert_near(a.chance_abs_std, number(c, "abs_std"), 0.02);
        assert_close(a.chance_abs, number(c, "abs_mean"), 4.5 * a.chance_abs_std / sqrt(reference));
    }
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(angles_equal_forty_digits),
        cmocka_unit_test(bad_frames_are_errors),
        cmocka_unit_test(random_subspaces_equal_haar_frames),
        cmocka_unit_test(overlap_of_a_line_equals_scipy),
        cmocka_unit_test(bad_dimensions_are_errors),
        cmocka_unit_test(random_agreement_equals_random_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
