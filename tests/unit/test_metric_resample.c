// test_metric_resample.c: bootstrap intervals, p-values from draws and power, against scipy.
// libs: va_metric va_io
// SPDX-License-Identifier: Apache-2.0
#include "stats_case.h"

#include "vkalign/metric.h"
#include "vkalign/metric_resample.h"

// Values of order 1 through sums of a few hundred.
static const double TOLERANCE = 1e-12;

static void intervals_equal_scipy(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/resample.json");
    static const char *const keys[] = {"bca", "percentile"};
    int64_t n_cases = 0;
    for (const va_json *c = va_json_first(va_json_get(root, "intervals")); c;
         c = va_json_next(c), n_cases++) {
        double draws[512], jackknife[64], expected[3];
        va_metric_draws in = {.level = number(c, "level"),
                              .estimate = number(c, "estimate"),
                              .draws = draws,
                              .n_draws = numbers(c, "draws", draws, 512),
                              .jackknife = jackknife,
                              .n_jackknife = numbers(c, "jackknife", jackknife, 64)};
        for (int k = 0; k < 2; k++) {
            va_metric_interval out;
            in.kind = k ? VA_METRIC_PERCENTILE : VA_METRIC_BCA;
            assert_string_equal(va_metric_interval_name(in.kind), keys[k]);
            assert_ok(ctx, va_metric_interval_of(ctx, &in, &out));
            assert_int_equal(numbers(c, keys[k], expected, 3), 2);
            assert_close(out.low, expected[0], TOLERANCE);
            assert_close(out.high, expected[1], TOLERANCE);
            assert_near(out.std_error, number(c, "std_error"), TOLERANCE);
            assert_near(out.estimate, in.estimate, 0);
        }
    }
    assert_true(n_cases == 4);
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void tails_equal_counts(void **state) {
    (void)state;
    static const va_metric_tail tails[] = {VA_METRIC_TAIL_ABS, VA_METRIC_TAIL_GREATER,
                                           VA_METRIC_TAIL_LESS, VA_METRIC_TAIL_EITHER};
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/resample.json");
    for (const va_json *c = va_json_first(va_json_get(root, "tails")); c; c = va_json_next(c)) {
        double null[64], p = NAN;
        int64_t n = numbers(c, "null", null, 64);
        for (int64_t k = 0; k < VA_COUNT(tails); k++) {
            assert_ok(ctx, va_metric_tail_p(ctx, tails[k], number(c, "observed"), null, n, &p));
            assert_near(p, number(c, va_metric_tail_name(tails[k])), 1e-15);
        }
    }
    const double nan[] = {1, NAN};
    double p = 7;
    for (int64_t k = 0; k < VA_COUNT(tails); k++) {
        assert_error(ctx, VA_ERR_USAGE, "one draw", va_metric_tail_p(ctx, tails[k], 1, nan, 0, &p));
        assert_error(ctx, VA_ERR_NUMERIC, "finite", va_metric_tail_p(ctx, tails[k], 1, nan, 2, &p));
        assert_error(ctx, VA_ERR_NUMERIC, "finite",
                     va_metric_tail_p(ctx, tails[k], INFINITY, nan, 1, &p));
    }
    assert_true(p == 7);
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void power_equals_noncentral_t(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/resample.json");
    double power = 7, other = NAN;
    int64_t n_cases = 0;
    for (const va_json *c = va_json_first(va_json_get(root, "power")); c;
         c = va_json_next(c), n_cases++) {
        int64_t d = (int64_t)number(c, "d");
        assert_ok(ctx,
                  va_metric_cosine_power(ctx, number(c, "shift"), number(c, "alpha"), d, &power));
        assert_close(power, number(c, "power"), 1e-8); // where scipy's t and F agree
        assert_ok(ctx,
                  va_metric_cosine_power(ctx, -number(c, "shift"), number(c, "alpha"), d, &other));
        assert_near(other, power, 0);
    }
    assert_true(n_cases > 20);
    power = 7;
    assert_error(ctx, VA_ERR_USAGE, "shift", va_metric_cosine_power(ctx, NAN, .05, 5, &power));
    assert_error(ctx, VA_ERR_USAGE, "level", va_metric_cosine_power(ctx, 1, 0, 5, &power));
    assert_error(ctx, VA_ERR_USAGE, "dimensions", va_metric_cosine_power(ctx, 1, .05, 1, &power));
    assert_true(power == 7);
    assert_ok(ctx, va_metric_cosine_power(ctx, 1000, .05, 64, &power));
    assert_near(power, 1, 1e-9);
    assert_ok(ctx, va_metric_cosine_power(ctx, 1, 1, 64, &power)); // always found
    assert_near(power, 1, TOLERANCE);
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

static void normal_quantiles_equal_scipy(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_json *root = load(ctx, "stats/resample.json");
    for (const va_json *c = va_json_first(va_json_get(root, "normal_quantile")); c;
         c = va_json_next(c)) {
        double z = va_metric_normal_quantile(number(c, "p"));
        assert_close(z, number(c, "z"), TOLERANCE);
        assert_close(va_metric_normal_cdf(z), number(c, "p"), 1e-15);
    }
    assert_true(isnan(va_metric_normal_quantile(0)) && isnan(va_metric_normal_quantile(1)));
    va_json_free(&root);
    va_ctx_destroy(&ctx);
}

// Every row has the length asked for, and points as uniformly random directions do.
static void random_directions_are_uniform(void **state) {
    (void)state;
    enum { D = 5, N = 3000 };
    va_ctx *ctx = va_test_ctx();
    static float rows[N * D];
    static double p[N];
    const float u[D] = {1, -2, 0.5f, 0, 3};
    va_rng rng = va_rng_make(31, 0);
    assert_ok(ctx, va_metric_random_directions(ctx, 12.5, D, &rng, N, rows));
    for (int64_t i = 0; i < N; i++) {
        double norm, c;
        assert_ok(ctx, va_metric_norm(ctx, rows + i * D, D, &norm));
        assert_near(norm, 12.5, 1e-7);
        assert_ok(ctx, va_metric_cosine(ctx, rows + i * D, u, D, &c));
        assert_ok(ctx, va_metric_cosine_p(ctx, c, D, &p[i]));
    }
    assert_true(ks_uniform(p, N) < KS_999);
    assert_error(ctx, VA_ERR_NUMERIC, "norm",
                 va_metric_random_directions(ctx, 0, D, &rng, 1, rows));
    assert_error(ctx, VA_ERR_NUMERIC, "norm",
                 va_metric_random_directions(ctx, NAN, D, &rng, 1, rows));
    assert_error(ctx, VA_ERR_NUMERIC, "norm",
                 va_metric_random_directions(ctx, 1e39, D, &rng, 1, rows));
    assert_error(ctx, VA_ERR_USAGE, "got 1 of 0",
                 va_metric_random_directions(ctx, 1, 0, &rng, 1, rows));
    va_ctx_destroy(&ctx);
}

// -- edges -----------------------------------------------------------------------------------

static va_status no_spread(void *user, const int64_t *items, int64_t n, double *value) {
    (void)user, (void)items, (void)n;
    *value = 0.1;
    return VA_OK;
}

static va_status fails_on_repeats(void *user, const int64_t *items, int64_t n, double *value) {
    for (int64_t i = 1; i < n; i++)
        if (items[i] == items[0])
            return va_fail(user, VA_ERR_NUMERIC, "item %lld twice", (long long)items[0]);
    *value = 1;
    return VA_OK;
}

static va_status not_a_number(void *user, const int64_t *items, int64_t n, double *value) {
    (void)user, (void)items, (void)n;
    *value = NAN;
    return VA_OK;
}

static void bad_bootstraps_are_errors(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    double x[6] = {1, 5, 2, 4, 3, 9};
    static const int64_t sizes[] = {2, 3, 2}, empty[] = {0, 6}, fine[] = {2, 4};
    va_rng rng = va_rng_make(1, 0);
    va_metric_interval out = {.low = 7};
    const va_metric_bootstrap_params good = {
        .n_items = 6, .measure = va_metric_item_mean, .user = x, .n_resamples = 50};
    va_metric_bootstrap_params p = good;
#define REFUSED(code, text)                                                                        \
    assert_error(ctx, code, text, va_metric_bootstrap(ctx, &p, &rng, NULL, &out))
    p.n_items = 1;
    REFUSED(VA_ERR_USAGE, "items, got 1");
    p = good, p.measure = NULL;
    REFUSED(VA_ERR_USAGE, "needs a statistic");
    p = good, p.n_resamples = 1;
    REFUSED(VA_ERR_USAGE, "resamples, got 1");
    p = good, p.n_resamples = INT64_MAX;
    REFUSED(VA_ERR_USAGE, "2 to 10000000 resamples");
    p = good, p.level = 1;
    REFUSED(VA_ERR_USAGE, "level");
    p = good, p.n_groups = 2;
    REFUSED(VA_ERR_USAGE, "resampling items: expected no groups");
    p = good, p.resample = VA_METRIC_RESAMPLE_GROUPS;
    REFUSED(VA_ERR_USAGE, "resampling groups: expected 2 groups");
    p.group_size = sizes, p.n_groups = 3;
    REFUSED(VA_ERR_USAGE, "group 2: expected 1 to 1 items, got 2");
    p.group_size = empty, p.n_groups = 2;
    REFUSED(VA_ERR_USAGE, "group 0: expected 1 to 6 items, got 0");
    p.group_size = sizes;
    REFUSED(VA_ERR_USAGE, "groups of 6 items in all, got 5");
    p.group_size = fine, p.measure = no_spread;
    REFUSED(VA_ERR_NUMERIC, "leaving out any of 2 units");
    p = good, p.measure = not_a_number;
    REFUSED(VA_ERR_NUMERIC, "all items");
    p = good, p.measure = fails_on_repeats, p.user = ctx;
    REFUSED(VA_ERR_NUMERIC, "resample ");
    assert_true(out.low == 7);
    va_interrupt(ctx);
    p = good;
    REFUSED(VA_ERR_INTERRUPTED, "");
#undef REFUSED
    va_ctx_destroy(&ctx);
}

static void bad_draws_are_errors(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    const double draws[] = {1, 2, 3}, nan[] = {1, NAN, 3};
    va_metric_interval out;
    const va_metric_draws good = {
        .estimate = 2, .draws = draws, .n_draws = 3, .jackknife = draws, .n_jackknife = 3};
    va_metric_draws d = good;
    assert_ok(ctx, va_metric_interval_of(ctx, &d, &out));
    assert_true(out.z0 == 0 && out.acceleration == 0 && out.low < 1.1 && out.high > 2.9);
    d.estimate = 3.5;
    assert_error(ctx, VA_ERR_NUMERIC, "all 3 draws are below",
                 va_metric_interval_of(ctx, &d, &out));
    d.estimate = 0;
    assert_error(ctx, VA_ERR_NUMERIC, "all 3 draws are above",
                 va_metric_interval_of(ctx, &d, &out));
    d = good, d.draws = nan;
    assert_error(ctx, VA_ERR_NUMERIC, "draws: number 1", va_metric_interval_of(ctx, &d, &out));
    d = good, d.jackknife = nan;
    assert_error(ctx, VA_ERR_NUMERIC, "jackknife: number 1", va_metric_interval_of(ctx, &d, &out));
    d = good, d.estimate = INFINITY;
    assert_error(ctx, VA_ERR_NUMERIC, "estimate", va_metric_interval_of(ctx, &d, &out));
    d = good, d.n_draws = 1;
    assert_error(ctx, VA_ERR_USAGE, "2 draws", va_metric_interval_of(ctx, &d, &out));
    d = good, d.level = NAN;
    assert_error(ctx, VA_ERR_USAGE, "level", va_metric_interval_of(ctx, &d, &out));
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_equal_scipy),
        cmocka_unit_test(tails_equal_counts),
        cmocka_unit_test(power_equals_noncentral_t),
        cmocka_unit_test(normal_quantiles_equal_scipy),
        cmocka_unit_test(random_directions_are_uniform),
        cmocka_unit_test(bad_bootstraps_are_errors),
        cmocka_unit_test(bad_draws_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
