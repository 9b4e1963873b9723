// test_metric_compare.c: CKA, Spearman and agreement against numpy and scipy.
// libs: va_metric va_io
// SPDX-License-Identifier: Apache-2.0
#include "stats_case.h"

#include "vkalign/metric_compare.h"

enum { MAX_VALUES = 256 };
// Sums of a few hundred products in double.
static const double TOLERANCE = 1e-12;
// scipy's distributions (tests/reference/make_stats.py).
static const double NULL_TOLERANCE = 1e-9;

// -- activations -----------------------------------------------------------------------------

static void cka_equals_numpy(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/compare.json");
    int64_t n_unbiased = 0;
    for (const va_json *c = va_json_first(va_json_get(root, "cka")); c; c = va_json_next(c)) {
        float x[MAX_VALUES], y[MAX_VALUES];
        va_metric_rows X = rows_of(c, "X", x, MAX_VALUES), Y = rows_of(c, "Y", y, MAX_VALUES);
        double cka = NAN;
        assert_ok(ctx, va_metric_cka(ctx, VA_METRIC_CKA_BIASED, &X, &Y, &cka));
        assert_close(cka, number(c, "biased"), TOLERANCE);
        if (va_json_is_null(va_json_get(c, "unbiased"))) {
            assert_error(ctx, VA_ERR_USAGE, "4 rows",
                         va_metric_cka(ctx, VA_METRIC_CKA_UNBIASED, &X, &Y, &cka));
            continue;
        }
        assert_ok(ctx, va_metric_cka(ctx, VA_METRIC_CKA_UNBIASED, &X, &Y, &cka));
        assert_close(cka, number(c, "unbiased"), TOLERANCE);
        assert_ok(ctx, va_metric_cka(ctx, VA_METRIC_CKA_UNBIASED, &X, &X, &cka));
        assert_close(cka, 1, TOLERANCE);
        n_unbiased++;
    }
    assert_true(n_unbiased >= 5);
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

// Wide activations that have nothing to do with each other: only the unbiased form says so.
static void unbiased_cka_is_zero_by_chance(void **state) {
    (void)state;
    enum { N = 16, D = 64, SETS = 400 };
    va_ctx *ctx = va_test_ctx();
    va_rng rng = va_rng_make(12, 0);
    static float x[N * D], y[N * D];
    const va_metric_rows X = {x, N, D}, Y = {y, N, D};
    double mean[2] = {0}, square = 0;
    for (int64_t s = 0; s < SETS; s++) {
        double cka[2];
        for (int64_t i = 0; i < N * D; i++) {
            x[i] = (float)va_rng_normal(&rng);
            y[i] = (float)va_rng_normal(&rng);
        }
        assert_ok(ctx, va_metric_cka(ctx, VA_METRIC_CKA_BIASED, &X, &Y, &cka[0]));
        assert_ok(ctx, va_metric_cka(ctx, VA_METRIC_CKA_UNBIASED, &X, &Y, &cka[1]));
        for (int k = 0; k < 2; k++)
            mean[k] += cka[k] / SETS;
        square += cka[1] * cka[1] / SETS;
    }
    assert_true(mean[0] > 0.7);
    assert_true(fabs(mean[1]) < 4 * sqrt(square / SETS) && square < 0.05);
    va_ctx_destroy(&ctx);
}

static void bad_activations_are_errors(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 9}, same[8], inf[8] = {1, INFINITY}, eye[16] = {0};
    double cka = 7;
    for (int i = 0; i < 8; i++)
        same[i] = 0.1f;
    for (int i = 0; i < 4; i++)
        eye[5 * i] = 1;
    const va_metric_rows X = {x, 4, 2}, three = {x, 3, 2}, S = {same, 4, 2}, E = {eye, 4, 4};
    assert_error(ctx, VA_ERR_SHAPE, "4 and 3",
                 va_metric_cka(ctx, VA_METRIC_CKA_BIASED, &X, &three, &cka));
    assert_error(ctx, VA_ERR_NUMERIC, "second matrix do not differ",
                 va_metric_cka(ctx, VA_METRIC_CKA_BIASED, &X, &S, &cka));
    assert_error(ctx, VA_ERR_NUMERIC, "first matrix has a component",
                 va_metric_cka(ctx, VA_METRIC_CKA_BIASED, &(va_metric_rows){inf, 4, 2}, &X, &cka));
    // Rows all as far from each other: their Gram matrix is nothing but diagonal and mean.
    assert_error(ctx, VA_ERR_NUMERIC, "second matrix is zero",
                 va_metric_cka(ctx, VA_METRIC_CKA_UNBIASED, &X, &E, &cka));
    assert_error(ctx, VA_ERR_USAGE, "2 rows",
                 va_metric_cka(ctx, VA_METRIC_CKA_BIASED, &(va_metric_rows){x, 1, 2},
                               &(va_metric_rows){x, 1, 2}, &cka));
    assert_error(ctx, VA_ERR_USAGE, "draws",
                 va_metric_cka_null(ctx, VA_METRIC_CKA_BIASED, &X, &X, NULL, -1, &cka, NULL));
    assert_true(cka == 7);
    va_ctx_destroy(&ctx);
}

// -- rankings and agreement ------------------------------------------------------------------

static void spearman_equals_scipy(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/compare.json");
    int64_t n_exact = 0, n_approximate = 0;
    for (const va_json *c = va_json_first(va_json_get(root, "spearman")); c; c = va_json_next(c)) {
        double x[32], y[32], rho = NAN, p = NAN, other = NAN;
        int64_t n = numbers(c, "x", x, 32);
        assert_int_equal(numbers(c, "y", y, 32), n);
        assert_ok(ctx, va_metric_spearman(ctx, x, y, n, &rho, &p));
        assert_close(rho, number(c, "rho"), TOLERANCE);
        bool exact = n <= VA_METRIC_SPEARMAN_EXACT_N; // counts over n!: the same to the last bit
        assert_near(p, number(c, "p"), exact ? 0 : NULL_TOLERANCE);
        *(exact ? &n_exact : &n_approximate) += 1;
        for (int64_t i = 0; i < n; i++) // monotone: only ranks count
            x[i] = exp(-x[i]);
        assert_ok(ctx, va_metric_spearman(ctx, y, x, n, &other, NULL));
        assert_close(other, -rho, TOLERANCE);
    }
    assert_true(n_exact > 10 && n_approximate > 5);
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void bad_rankings_are_errors(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    const double x[] = {1, 2, 3}, same[] = {4, 4, 4}, nan[] = {1, NAN, 2}, inf[] = {1, 2, INFINITY};
    double order[12], rho = 7, p = 7;
    assert_error(ctx, VA_ERR_NUMERIC, "all 3 of the second values are equal",
                 va_metric_spearman(ctx, x, same, 3, &rho, &p));
    assert_error(ctx, VA_ERR_NUMERIC, "first values: number 1 of 3",
                 va_metric_spearman(ctx, nan, x, 3, &rho, &p));
    assert_error(ctx, VA_ERR_NUMERIC, "number 2 of 3",
                 va_metric_spearman(ctx, x, inf, 3, &rho, &p));
    assert_error(ctx, VA_ERR_USAGE, "got 1", va_metric_spearman(ctx, x, x, 1, &rho, &p));
    assert_error(ctx, VA_ERR_USAGE, "got 1000001",
                 va_metric_spearman(ctx, x, x, 1000001, &rho, &p));
    assert_true(rho == 7 && p == 7);
    for (int i = 0; i < 12; i++)
        order[i] = i;
    assert_ok(ctx, va_metric_spearman(ctx, order, order, 12, &rho, &p));
    assert_near(rho, 1, 0);
    assert_near(p, 2 / 479001600.0, 1e-12); // 2 / 12!, where t says 0
    va_ctx_destroy(&ctx);
}

static void agreement_equals_numpy(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/compare.json");
    for (const va_json *c = va_json_first(va_json_get(root, "agreement")); c; c = va_json_next(c)) {
        float x[MAX_VALUES];
        va_metric_rows X = rows_of(c, "X", x, MAX_VALUES);
        va_metric_agreement a;
        assert_ok(ctx, va_metric_agree(ctx, &X, &a));
        assert_int_equal(a.n_pairs, X.n * (X.n - 1) / 2);
        assert_close(a.mean, number(c, "mean"), TOLERANCE);
        assert_close(a.mean_abs, number(c, "mean_abs"), TOLERANCE);
        assert_close(a.min, number(c, "min"), TOLERANCE);
        assert_close(a.max, number(c, "max"), TOLERANCE);
    }
    float zero[4] = {1, 2};
    va_metric_agreement a;
    assert_error(ctx, VA_ERR_NUMERIC, "directions, row 1",
                 va_metric_agree(ctx, &(va_metric_rows){zero, 2, 2}, &a));
    assert_error(ctx, VA_ERR_USAGE, "2 directions",
                 va_metric_agree(ctx, &(va_metric_rows){zero, 1, 2}, &a));
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void icc_equals_analysis_of_variance(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/compare.json");
    double icc = 7, p = 7;
    for (const va_json *c = va_json_first(va_json_get(root, "icc")); c; c = va_json_next(c)) {
        float rounded[MAX_VALUES];
        double x[MAX_VALUES];
        va_metric_rows shape = rows_of(c, "x", rounded, MAX_VALUES);
        int64_t n = 0;
        for (const va_json *r = va_json_first(va_json_get(c, "x")); r; r = va_json_next(r))
            for (const va_json *v = va_json_first(r); v; v = va_json_next(v))
                assert_true(va_json_as_double(v, &x[n++]));
        assert_ok(ctx, va_metric_icc(ctx, x, shape.n, shape.d, &icc, &p));
        assert_close(icc, number(c, "icc"), TOLERANCE);
        assert_near(p, number(c, "p"), NULL_TOLERANCE);
    }
    const double equal[] = {.1, .1, .1, .1}, nan[] = {1, 2, 3, NAN}, apart[] = {1, 1, 2, 2};
    icc = p = 7;
    assert_error(ctx, VA_ERR_NUMERIC, "do not differ", va_metric_icc(ctx, equal, 2, 2, &icc, &p));
    assert_error(ctx, VA_ERR_NUMERIC, "number 3", va_metric_icc(ctx, nan, 2, 2, &icc, &p));
    assert_error(ctx, VA_ERR_USAGE, "twice", va_metric_icc(ctx, nan, 3, 1, &icc, &p));
    assert_true(icc == 7 && p == 7);
    assert_ok(ctx, va_metric_icc(ctx, apart, 2, 2, &icc, &p));
    assert_true(icc == 1 && p == 0);
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cka_equals_numpy),
        cmocka_unit_test(unbiased_cka_is_zero_by_chance),
        cmocka_unit_test(bad_activations_are_errors),
        cmocka_unit_test(spearman_equals_scipy),
        cmocka_unit_test(bad_rankings_are_errors),
        cmocka_unit_test(agreement_equals_numpy),
        cmocka_unit_test(icc_equals_analysis_of_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
