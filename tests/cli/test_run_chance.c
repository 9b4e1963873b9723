// What a run says of chance, computed again from what it wrote: p-values in closed form, and from
// the directions that were found again from permuted labels and from items drawn with replacement,
// which lie in the cache of units; corrections; intervals.
// SPDX-License-Identifier: Apache-2.0
#include "run_check.h"

#include "chance_experiment.h"

#include "vkalign/metric.h"
#include "vkalign/metric_resample.h"

#include <glob.h>

enum { N_CONCEPT = 3, N_PERMUTED = 99, N_RESAMPLED = 100, N_DRAWS = 200, MAX_FILES = 16 };

static const double ALPHA = 0.05;

// Directions found again, [N_CONCEPT, n, D], of one direction at one layer.
typedef struct drawn {
    const float *frames;
    int64_t n;
} drawn;

static struct {
    drawn file[MAX_FILES];
    int n_files;
    outcome out;
} it;

// All of rank 1 that are in the cache.
static void read_drawn(void) {
    glob_t files;
    assert_int_equal(glob(path_of(env.dir, "vkalign/units/*.safetensors"), 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        va_safetensors *st;
        assert_ok(env.ctx, va_safetensors_open(env.ctx, files.gl_pathv[i], &st));
        const va_file_tensor *t = va_safetensors_find(st, "frames");
        if (t && t->shape[2] == 1) {
            assert_true(it.n_files < MAX_FILES && t->shape[0] == N_CONCEPT && t->shape[3] == D);
            it.file[it.n_files++] = (drawn){floats(t, t->n_elem), t->shape[1]};
        }
        va_safetensors_close(&st);
    }
    globfree(&files);
    // difference and logistic at two layers, each permuted and resampled
    assert_int_equal(it.n_files, 8);
}

static int setup_group(void **state) {
    run_setup(state);
    run_experiment(&it.out, write_text("c.yaml", chance_experiment), "out", NULL);
    read_drawn();
    return 0;
}

static int teardown_group(void **state) {
    close_outcome(&it.out);
    return run_teardown(state);
}

// -- the results ----------------------------------------------------------------------------------

// Objects of a metric, in the order of the results.
static int64_t metrics_of(const char *name, const va_json **list, const char **concept_name) {
    int64_t n = 0;
    const va_json *r = va_json_first(va_json_get(it.out.results, "results"));
    for (; r; r = va_json_next(r)) {
        const va_json *m = va_json_first(va_json_get(r, "metrics"));
        for (; m; m = va_json_next(m))
            if (strcmp(text(m, "name"), name) == 0) {
                if (concept_name)
                    concept_name[n] = text(r, "concept");
                list[n++] = m;
            }
    }
    return n;
}

static const va_json *null_of(const va_json *metric, const char *name) {
    const va_json *o = va_json_get(va_json_get(metric, "nulls"), name);
    if (!o)
        fail_msg("there is no null '%s'", name);
    return o;
}

static const float *side(const va_json *metric, int k) {
    return saved(&it.out, va_json_as_string(item(va_json_get(metric, "directions"), k)), D);
}

static int64_t concept_index(const char *name) {
    static const char *const names[N_CONCEPT] = {"Planted", "Physical", "Abstract"};
    for (int64_t i = 0; i < N_CONCEPT; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fail_msg("unknown concept '%s'", name);
    return -1;
}

// -- closed form ----------------------------------------------------------------------------------

static void test_analytic(void **state) {
    (void)state;
    static const char *const names[] = {"alignment", "methods"};
    const va_json *m[32];
    double p, critical;
    assert_ok(env.ctx, va_metric_cosine_critical(env.ctx, ALPHA, D, &critical));
    for (int k = 0; k < 2; k++) {
        const int64_t n = metrics_of(names[k], m, NULL);
        assert_int_equal(n, k ? 6 : 18);
        for (int64_t i = 0; i < n; i++) {
            const va_json *null = null_of(m[i], "analytic");
            const double c = cosine(side(m[i], 0), side(m[i], 1), D);
            expect_close(number(m[i], "value"), c, 1e-6);
            assert_ok(env.ctx, va_metric_cosine_p(env.ctx, number(m[i], "value"), D, &p));
            assert_true(number(null, "p_value") == p);
            expect_close(number(null, "std"), 1 / sqrt(D), 1e-12);
            assert_true(number(null, "high") == critical && number(null, "low") == -critical);
            assert_true((fabs(c) > critical) == (p < ALPHA));
        }
    }
}

// -- permuted labels ------------------------------------------------------------------------------

// Draws of a metric with the second direction replaced; whether their mean is that of the null.
static bool draws_fit(const drawn *d, const va_json *m, int64_t concept_at, const va_json *null,
                      double draws[N_PERMUTED]) {
    double mean = 0;
    for (int64_t i = 0; i < N_PERMUTED; i++) {
        draws[i] = cosine(side(m, 0), d->frames + (concept_at * d->n + i) * D, D);
        mean += draws[i] / N_PERMUTED;
    }
    return fabs(mean - number(null, "mean")) < 1e-7;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// p = (1 + how many draws are as far out) / (1 + n), and the range of the inner 95 %. Of so few
// items some permutations are the labels as they were: as far out, but for rounding.
static void expect_null(const va_json *m, const va_json *null, double draws[N_PERMUTED]) {
    double square = 0, mean = number(null, "mean");
    int k = 0;
    for (int i = 0; i < N_PERMUTED; i++) {
        k += fabs(draws[i]) >= fabs(number(m, "value")) - 1e-6;
        square += (draws[i] - mean) * (draws[i] - mean) / N_PERMUTED;
    }
    expect_close(number(null, "p_value"), (k + 1.) / (N_PERMUTED + 1), 1e-12);
    expect_close(number(null, "std"), sqrt(square), 1e-6);
    qsort(draws, N_PERMUTED, sizeof *draws, by_value);
    expect_close(number(null, "low"), draws[2], 1e-6); // floor(0.025 * 98)
    expect_close(number(null, "high"), draws[N_PERMUTED - 3], 1e-6);
    assert_int_equal(number(null, "n_draws"), N_PERMUTED);
}

static void test_permutation(void **state) {
    (void)state;
    static const char *const names[] = {"alignment", "methods"};
    const va_json *m[32];
    const char *concept_name[32];
    double draws[N_PERMUTED], kept[N_PERMUTED];
    for (int k = 0; k < 2; k++) {
        const int64_t n = metrics_of(names[k], m, concept_name);
        for (int64_t i = 0; i < n; i++) {
            const va_json *null = null_of(m[i], "permutation");
            int n_fit = 0;
            for (int f = 0; f < it.n_files; f++)
                if (it.file[f].n == N_PERMUTED &&
                    draws_fit(&it.file[f], m[i], concept_index(concept_name[i]), null, draws)) {
                    memcpy(kept, draws, sizeof kept);
                    n_fit++;
                }
            assert_int_equal(n_fit, 1);
            expect_null(m[i], null, kept);
        }
    }
}

// Where the positives share a word that the negatives lack, two methods find one direction; found
// from permuted labels they have nothing in common, and no p is below 1 / (n + 1).
static void test_planted(void **state) {
    (void)state;
    const va_json *m[32];
    const char *concept_name[32];
    const int64_t n = metrics_of("methods", m, concept_name);
    int n_seen = 0;
    for (int64_t i = 0; i < n; i++) {
        if (strcmp(concept_name[i], "Planted") != 0)
            continue;
        const va_json *null = null_of(m[i], "permutation");
        assert_true(number(m[i], "value") > 0.9);
        expect_close(number(null, "p_value"), 1. / (N_PERMUTED + 1), 1e-12);
        // 4 standard errors of the mean of so many draws
        expect_close(number(null, "mean"), 0, 4 * number(null, "std") / sqrt(N_PERMUTED));
        assert_true(truth(m[i], "differs_from_chance"));
        n_seen++;
    }
    assert_int_equal(n_seen, 2);
    // and on held-out items they tell nothing: .5 on average
    const int64_t n_transfer = metrics_of("transfer", m, concept_name);
    double mean = 0;
    for (int64_t i = 0; i < n_transfer; i++)
        mean += number(null_of(m[i], "permutation"), "mean") / (double)n_transfer;
    expect_close(mean, 0.5, 0.1);
}

// -- draws ----------------------------------------------------------------------------------------

static void test_drawn_directions(void **state) {
    (void)state;
    static const char *const names[] = {"random", "covariance"};
    const va_json *m[32];
    const int64_t n = metrics_of("alignment", m, NULL);
    double mean_std = 0;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 2; k++) {
            const va_json *null = null_of(m[i], names[k]);
            const double count = number(null, "p_value") * (N_DRAWS + 1);
            expect_close(count, round(count), 1e-9);
            assert_true(count >= 1 && count <= N_DRAWS + 1);
            assert_int_equal(number(null, "n_draws"), N_DRAWS);
            assert_true(number(null, "low") < 0 && number(null, "high") > 0);
            mean_std += k ? 0 : number(null, "std") / (double)n;
        }
    // of 18 standard deviations of 200 draws: the error of their mean is below 2 % of it
    expect_close(mean_std, 1 / sqrt(D), 0.08 / sqrt(D));
}

// -- corrections ----------------------------------------------------------------------------------

static void expect_adjusted(const char *name, const char *const *nulls, int n_nulls) {
    const va_json *m[32], *sum = statistics(&it.out, name);
    double p[32], adjusted[32], worst[32] = {0}, least = 1;
    const int64_t n = metrics_of(name, m, NULL);
    int64_t n_significant = 0;
    for (int k = 0; k < n_nulls; k++) {
        int64_t n_by_null = 0;
        for (int64_t i = 0; i < n; i++)
            p[i] = number(null_of(m[i], nulls[k]), "p_value");
        assert_ok(env.ctx, va_metric_adjust(env.ctx, VA_METRIC_BH, p, n, adjusted));
        for (int64_t i = 0; i < n; i++) {
            assert_true(number(null_of(m[i], nulls[k]), "p_adjusted") == adjusted[i]);
            worst[i] = fmax(worst[i], adjusted[i]);
            n_by_null += adjusted[i] <= ALPHA;
        }
        assert_int_equal(number(null_of(sum, nulls[k]), "n_significant"), n_by_null);
    }
    for (int64_t i = 0; i < n; i++) { // by every null
        assert_true(number(m[i], "p_adjusted") == worst[i]);
        assert_int_equal(truth(m[i], "differs_from_chance"), worst[i] <= ALPHA);
        n_significant += worst[i] <= ALPHA;
        least = fmin(least, worst[i]);
    }
    assert_true(number(sum, "n_tests") == n && number(sum, "n_significant") == n_significant);
    assert_true(number(sum, "min_p_adjusted") == least);
    assert_int_equal(truth(sum, "differs_from_chance"), n_significant > 0);
}

static void test_correction(void **state) {
    (void)state;
    static const char *const all[] = {"analytic", "random", "covariance", "permutation"};
    static const char *const two[] = {"analytic", "permutation"};
    expect_adjusted("alignment", all, 4);
    expect_adjusted("methods", two, 2);
    expect_adjusted("overlap", two, 2);
    expect_adjusted("transfer", (const char *const[]){"random", "permutation"}, 2);
    expect_adjusted("activations", (const char *const[]){"permutation"}, 1);
}

// -- intervals ------------------------------------------------------------------------------------

// The percentiles of the metric over items drawn with replacement: of one side, or of both by the
// same draws. Exactly one choice of the files explains them.
static bool interval_fits(const va_json *m, int64_t concept_at, const drawn *a, const drawn *b) {
    double draws[N_RESAMPLED];
    va_metric_interval want;
    const va_json *o = va_json_get(m, "interval_items");
    for (int64_t i = 0; i < N_RESAMPLED; i++) {
        const int64_t at = (concept_at * N_RESAMPLED + i) * D;
        draws[i] = cosine(a ? a->frames + at : side(m, 0), b->frames + at, D);
    }
    assert_ok(env.ctx, va_metric_interval_of(env.ctx,
                                             &(va_metric_draws){.kind = VA_METRIC_PERCENTILE,
                                                                .level = 0.95,
                                                                .estimate = number(m, "value"),
                                                                .draws = draws,
                                                                .n_draws = N_RESAMPLED},
                                             &want));
    return fabs(number(o, "low") - want.low) < 1e-6 && fabs(number(o, "high") - want.high) < 1e-6 &&
           fabs(number(o, "std_error") - want.std_error) < 1e-6;
}

static void test_items(void **state) {
    (void)state;
    static const char *const names[] = {"alignment", "methods"};
    const va_json *m[32];
    const char *concept_name[32];
    for (int k = 0; k < 2; k++) {
        const int64_t n = metrics_of(names[k], m, concept_name);
        for (int64_t i = 0; i < n; i++) {
            const va_json *o = va_json_get(m[i], "interval_items");
            const int64_t at = concept_index(concept_name[i]);
            int n_fit = 0;
            for (int a = 0; a < (k ? it.n_files : 1); a++)
                for (int b = 0; b < it.n_files; b++)
                    if ((!k || it.file[a].n == N_RESAMPLED) && it.file[b].n == N_RESAMPLED &&
                        interval_fits(m[i], at, k ? &it.file[a] : NULL, &it.file[b]))
                        n_fit++;
            assert_int_equal(n_fit, k ? 2 : 1); // a cosine is the same either way
            assert_true(number(o, "low") < number(o, "high"));
            if (strcmp(concept_name[i], "Planted") == 0 && k)
                assert_true(number(o, "low") <= number(m[i], "value") &&
                            number(o, "high") >= number(m[i], "value"));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_analytic),   cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_planted),    cmocka_unit_test(test_drawn_directions),
        cmocka_unit_test(test_correction), cmocka_unit_test(test_items),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
