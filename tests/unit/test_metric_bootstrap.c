// test_metric_bootstrap.c: what resamples look like, and how often their intervals hold the truth.
// libs: va_metric
// SPDX-License-Identifier: Apache-2.0
#include "uniform_check.h"

#include "vkalign/metric.h"
#include "vkalign/metric_resample.h"

// -- resamples -------------------------------------------------------------------------------

typedef struct seen {
    int64_t calls, total, most;
    int64_t count[8]; // of each item
    bool whole;       // groups {0, 1, 2}, {3}, {4, 5} come with all their items, in order
} seen;

static va_status look(void *user, const int64_t *items, int64_t n, double *value) {
    static const int64_t first[] = {0, 0, 0, 3, 4, 4};
    seen *s = user;
    for (int64_t i = 0; i < n; i++) {
        assert_in_range(items[i], 0, 5);
        s->count[items[i]]++;
        if (items[i] != first[items[i]] && (i == 0 || items[i - 1] != items[i] - 1))
            s->whole = false;
    }
    s->calls++;
    s->total += n;
    s->most = VA_MAX(s->most, n);
    *value = (double)s->count[0];
    return VA_OK;
}

static seen resample(va_ctx *ctx, va_metric_resample how, int64_t n_resamples) {
    static const int64_t sizes[] = {3, 1, 2};
    const bool groups = how != VA_METRIC_RESAMPLE_ITEMS;
    seen s = {.whole = true};
    va_rng rng = va_rng_make(5, (uint64_t)how);
    va_metric_interval out;
    assert_ok(ctx,
              va_metric_bootstrap(ctx,
                                  &(va_metric_bootstrap_params){.n_items = 6,
                                                                .resample = how,
                                                                .group_size = groups ? sizes : NULL,
                                                                .n_groups = groups ? 3 : 0,
                                                                .n_resamples = n_resamples,
                                                                .kind = VA_METRIC_PERCENTILE,
                                                                .measure = look,
                                                                .user = &s},
                                  &rng, NULL, &out));
    assert_int_equal(s.calls, n_resamples + 1);
    return s;
}

// Each item comes up once in a resample, on average; only whole groups keep their order.
static void resamples_draw_what_they_should(void **state) {
    (void)state;
    enum { N = 6000 };
    va_ctx *ctx = va_test_ctx();
    seen items = resample(ctx, VA_METRIC_RESAMPLE_ITEMS, N);
    seen groups = resample(ctx, VA_METRIC_RESAMPLE_GROUPS, N);
    seen both = resample(ctx, VA_METRIC_RESAMPLE_BOTH, N);
    assert_int_equal(items.total, 6 * (N + 1));
    assert_true(items.most == 6 && groups.most == 9 && both.most == 9);
    assert_true(groups.whole && !both.whole && !items.whole);
    assert_true(groups.count[0] == groups.count[1] && groups.count[0] == groups.count[2]);
    assert_true(groups.count[4] == groups.count[5] && both.count[4] != both.count[5]);
    // Counts of an item have variance 5/6 (items), 2/3 (groups), and at most 2/3 + 2/3 (both).
    for (int i = 0; i < 6; i++) {
        assert_close((double)items.count[i], N + 1, 4.5 * sqrt(5.0 / 6 * N));
        assert_close((double)groups.count[i], N + 1, 4.5 * sqrt(2.0 / 3 * N));
        assert_close((double)both.count[i], N + 1, 4.5 * sqrt(4.0 / 3 * N));
    }
    assert_string_equal(va_metric_resample_name(VA_METRIC_RESAMPLE_BOTH), "groups-then-items");
    va_ctx_destroy(&ctx);
}

// The draws of a mean have the mean of the data and its variance (ddof 0) over n; the same seed
// gives the same draws.
static void draws_of_a_mean_have_its_moments(void **state) {
    (void)state;
    enum { N = 9, DRAWS = 20000 };
    va_ctx *ctx = va_test_ctx();
    double x[N] = {3, -1, 4, 1, -5, 9, 2, -6, 5};
    static double draws[DRAWS], again[DRAWS];
    va_metric_summary data, drawn;
    va_metric_interval out;
    const va_metric_bootstrap_params params = {
        .n_items = N, .n_resamples = DRAWS, .measure = va_metric_item_mean, .user = x};
    va_rng rng = va_rng_make(2, 7), same = va_rng_make(2, 7);
    assert_ok(ctx, va_metric_bootstrap(ctx, &params, &rng, draws, &out));
    assert_ok(ctx, va_metric_bootstrap(ctx, &params, &same, again, &out));
    assert_memory_equal(draws, again, sizeof draws);
    assert_ok(ctx, va_metric_summarize(ctx, x, N, &data));
    assert_ok(ctx, va_metric_summarize(ctx, draws, DRAWS, &drawn));
    const double std = data.std / sqrt(N);
    assert_close(drawn.mean, data.mean, 4.5 * std / sqrt(DRAWS));
    assert_near(drawn.std, std, 4.5 / sqrt(2 * DRAWS));
    assert_near(out.std_error, drawn.std, 1e-4); // ddof 1
    va_ctx_destroy(&ctx);
}

// -- coverage --------------------------------------------------------------------------------

enum { SETS = 1000, RESAMPLES = 500 };

typedef struct coverage {
    double held, below, above; // shares of sets: the truth in, below, above the interval
} coverage;

static void tally(coverage *c, const va_metric_interval *in, double truth) {
    c->held += (truth >= in->low && truth <= in->high) / (double)SETS;
    c->below += (truth < in->low) / (double)SETS;
    c->above += (truth > in->high) / (double)SETS;
}

// Sets of n values by draw(); the truth is the mean of what they are drawn from.
static coverage cover_mean(va_ctx *ctx, va_metric_interval_kind kind, double level, int64_t n,
                           bool skewed) {
    coverage c = {0};
    va_rng data = va_rng_make(100, skewed), rng = va_rng_make(101, kind);
    double x[64];
    for (int64_t s = 0; s < SETS; s++) {
        va_metric_interval in;
        for (int64_t i = 0; i < n; i++)
            x[i] = skewed ? -log(1 - va_rng_uniform(&data)) : va_rng_normal(&data);
        assert_ok(ctx,
                  va_metric_bootstrap(ctx,
                                      &(va_metric_bootstrap_params){.n_items = n,
                                                                    .n_resamples = RESAMPLES,
                                                                    .kind = kind,
                                                                    .level = level,
                                                                    .measure = va_metric_item_mean,
                                                                    .user = x},
                                      &rng, NULL, &in));
        tally(&c, &in, skewed ? 1 : 0);
    }
    print_message("  %s, level %g, %s: held %.3f, truth below %.3f, above %.3f\n",
                  va_metric_interval_name(kind), level, skewed ? "exponential" : "normal", c.held,
                  c.below, c.above);
    return c;
}

static double binomial_error(double p) {
    return sqrt(p * (1 - p) / SETS);
}

// n = 50 normal values: percentile and BCa intervals are about mean +- 1.96 sd / sqrt(n), sd with
// ddof 0, and hold the truth as often as |t(49)| <= 1.96 sqrt(49/50): .942 (scipy). The binomial
// error of 1000 sets is .007.
static void intervals_hold_a_normal_mean(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    for (int kind = 0; kind < 2; kind++) {
        coverage c = cover_mean(ctx, (va_metric_interval_kind)kind, 0.95, 50, false);
        assert_close(c.held, 0.942, 4 * binomial_error(0.942));
        assert_true(c.held > 0.93 && c.held < 0.97);
        assert_close(c.below, c.above, 4 * sqrt(0.058 / SETS));
    }
    coverage narrow = cover_mean(ctx, VA_METRIC_PERCENTILE, 0.8, 50, false);
    assert_close(narrow.held, 0.79, 4 * binomial_error(0.79)); // and a level is a level
    va_ctx_destroy(&ctx);
}

// Exponential values, skewness 2: both hold less than they say, and the percentile interval has
// the truth above it far more often than below; BCa moves towards the tail.
static void bca_is_better_balanced_when_skewed(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    coverage bca = cover_mean(ctx, VA_METRIC_BCA, 0.95, 50, true);
    coverage percentile = cover_mean(ctx, VA_METRIC_PERCENTILE, 0.95, 50, true);
    assert_true(bca.held > 0.9 && bca.held < 0.96);
    assert_true(percentile.above - percentile.below > 4 * sqrt(0.05 / SETS)); // not by chance
    assert_close(bca.above, bca.below, 4 * sqrt(0.08 / SETS));
    assert_true(fabs(bca.above - bca.below) < percentile.above - percentile.below);
    va_ctx_destroy(&ctx);
}

// GROUPS groups of SIZE items that share an effect with the variance of an item's own.
static coverage cover_groups(va_ctx *ctx, va_metric_resample how, va_metric_interval_kind kind) {
    enum { GROUPS = 20, SIZE = 3 };
    coverage c = {0};
    int64_t sizes[GROUPS];
    va_rng data = va_rng_make(102, 0), rng = va_rng_make(103, how);
    double x[GROUPS * SIZE];
    const bool groups = how != VA_METRIC_RESAMPLE_ITEMS;
    for (int64_t s = 0; s < SETS; s++) {
        va_metric_interval in;
        for (int64_t g = 0; g < GROUPS; g++) {
            const double effect = va_rng_normal(&data);
            sizes[g] = SIZE;
            for (int64_t i = 0; i < SIZE; i++)
                x[g * SIZE + i] = effect + va_rng_normal(&data);
        }
        assert_ok(ctx, va_metric_bootstrap(
                           ctx,
                           &(va_metric_bootstrap_params){.n_items = GROUPS * SIZE,
                                                         .resample = how,
                                                         .group_size = groups ? sizes : NULL,
                                                         .n_groups = groups ? GROUPS : 0,
                                                         .n_resamples = RESAMPLES,
                                                         .kind = kind,
                                                         .measure = va_metric_item_mean,
                                                         .user = x},
                           &rng, NULL, &in));
        tally(&c, &in, 0);
    }
    print_message("  %s, resampling %s: held %.3f\n", va_metric_interval_name(kind),
                  va_metric_resample_name(how), c.held);
    return c;
}

// The variance of the mean is (1 + 1/3)/20. Whole groups give it times 19/20: |t(19)| <= 1.96
// sqrt(.95) has probability .929 (scipy). Items within them drawn too add 2/3 of 1/3 / 20, 1.117 of
// it in all: .948. Items alone miss what a group shares, (2 - .067)/60 for .067:
// |N(0, 1)| <= 1.96 sqrt(.483) has .827. The same sets serve all.
static void intervals_hold_a_mean_over_groups(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    for (int kind = 0; kind < 2; kind++) {
        const va_metric_interval_kind k = (va_metric_interval_kind)kind;
        coverage groups = cover_groups(ctx, VA_METRIC_RESAMPLE_GROUPS, k);
        coverage both = cover_groups(ctx, VA_METRIC_RESAMPLE_BOTH, k);
        assert_close(groups.held, 0.929, 4 * binomial_error(0.929));
        assert_close(both.held, 0.948, 4 * binomial_error(0.948));
        assert_true(both.held > groups.held);
    }
    coverage items = cover_groups(ctx, VA_METRIC_RESAMPLE_ITEMS, VA_METRIC_PERCENTILE);
    assert_close(items.held, 0.827, 4 * binomial_error(0.827));
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resamples_draw_what_they_should),
        cmocka_unit_test(draws_of_a_mean_have_its_moments),
        cmocka_unit_test(intervals_hold_a_normal_mean),
        cmocka_unit_test(bca_is_better_balanced_when_skewed),
        cmocka_unit_test(intervals_hold_a_mean_over_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
