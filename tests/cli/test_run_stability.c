// One experiment three times: the same numbers from the same seed, whether computed anew or taken
// from the cache; and metrics over several results recomputed from the saved vectors.
// SPDX-License-Identifier: Apache-2.0
#include "run_check.h"

#include "chance_experiment.h"

static const char *const concepts[] = {"Planted", "Physical", "Abstract"};
static outcome out;
static const char *yaml;

static int setup_group(void **state) {
    run_setup(state);
    yaml = write_text("c.yaml", chance_experiment);
    run_experiment(&out, yaml, "out", NULL);
    return 0;
}

static int teardown_group(void **state) {
    close_outcome(&out);
    return run_teardown(state);
}

// -- determinism ----------------------------------------------------------------------------------

// What two runs of one experiment may differ in.
static bool may_differ(const char *key) {
    static const char *const keys[] = {"created",    "seconds",         "forward_time",
                                       "map_time",   "jacobian_time",   "n_units_reused",
                                       "peak_bytes", "first_dispatch_s"};
    for (int64_t i = 0; key && i < VA_COUNT(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

// The first of a list that may not differ; some of the others are not always there.
static const va_json *that_count(const va_json *item) {
    while (item && may_differ(va_json_key(item)))
        item = va_json_next(item);
    return item;
}

static void expect_same(const va_json *a, const va_json *b) {
    const char *key = va_json_key(a) ? va_json_key(a) : "(item)";
    if (strcmp(va_json_type(a), va_json_type(b)) != 0)
        fail_msg("'%s' differs", key);
    double x, y;
    if (va_json_as_double(a, &x) && va_json_as_double(b, &y) && x != y)
        fail_msg("'%s': %.17g and %.17g", key, x, y);
    if (va_json_as_string(a) && strcmp(va_json_as_string(a), va_json_as_string(b)) != 0)
        fail_msg("'%s': '%s' and '%s'", key, va_json_as_string(a), va_json_as_string(b));
    a = that_count(va_json_first(a)), b = that_count(va_json_first(b));
    for (; a && b; a = that_count(va_json_next(a)), b = that_count(va_json_next(b))) {
        if (va_json_key(a))
            assert_string_equal(va_json_key(a), va_json_key(b));
        expect_same(a, b);
    }
    if (a || b)
        fail_msg("'%s': one has more items", key);
}

static void expect_repeats(const char *name, const char *option, bool from_cache) {
    outcome again;
    run_experiment(&again, yaml, name, option);
    assert_int_equal(reused(&again), from_cache ? n_units(&again) : 0);
    expect_same(out.results, again.results);
    assert_true(cli_same_bytes(path_of(out.dir, "vectors.safetensors"),
                               path_of(again.dir, "vectors.safetensors")));
    close_outcome(&again);
}

static void test_repeats(void **state) {
    (void)state;
    assert_int_equal(reused(&out), 0);
    expect_repeats("anew", "--no-cache", false);
    expect_repeats("cached", NULL, true);
}

// Another seed draws otherwise, and moves what is learnt; derivatives stay.
static void test_other_seed(void **state) {
    (void)state;
    const char *to = path_of(env.dir, "seed");
    outcome other;
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", yaml, "--out", to, "--set", "seed=6"));
    open_outcome(&other, to);
    const float *a = saved(&out, "logistic/Physical/layer1", D);
    const float *b = saved(&other, "logistic/Physical/layer1", D);
    assert_true(cosine(a, b, D) < 0.9999);
    // its second training is this one's first but one
    b = saved(&out, "logistic/Physical/layer1/seed1", D);
    expect_close(cosine(saved(&other, "logistic/Physical/layer1", D), b, D), 1, 1e-6);
    a = saved(&out, "jx/Physical/layer1/prompt0", D);
    b = saved(&other, "jx/Physical/layer1/prompt0", D);
    assert_memory_equal(a, b, D * sizeof *a);
    close_outcome(&other);
}

// -- over several results -------------------------------------------------------------------------

// The mean cosine of all pairs of the n saved directions `name` with the numbers 0 to n - 1 in it.
static void expect_agreement(const va_json *entry, const char *const *names, int n) {
    double sum = 0, sum_abs = 0, least = 1, most = -1;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) {
            const double c = cosine(saved(&out, names[i], D), saved(&out, names[j], D), D);
            sum += c;
            sum_abs += fabs(c);
            least = fmin(least, c);
            most = fmax(most, c);
        }
    const int n_pairs = n * (n - 1) / 2;
    expect_close(number(entry, "mean"), sum / n_pairs, 1e-6);
    expect_close(number(entry, "value"), sum / n_pairs, 1e-6);
    expect_close(number(entry, "mean_abs"), sum_abs / n_pairs, 1e-6);
    expect_close(number(entry, "min"), least, 1e-6);
    expect_close(number(entry, "max"), most, 1e-6);
    assert_int_equal(number(entry, "n"), n);
    assert_true(number(entry, "p_value") > 0 && number(entry, "p_value") <= 1);
}

static void expect_agreements(const char *metric, int n_entries, int n,
                              const char *(*name)(int entry, int k)) {
    const va_json *list = va_json_get(statistics(&out, metric), "entries");
    double mean = 0;
    assert_int_equal(va_json_count(list), n_entries);
    for (int i = 0; i < n_entries; i++) {
        const char *names[3];
        for (int k = 0; k < n; k++)
            names[k] = name(i, k);
        expect_agreement(item(list, i), names, n);
        mean += number(item(list, i), "value") / n_entries;
    }
    expect_close(number(statistics(&out, metric), "mean"), mean, 1e-9);
}

static const char *of_prompt(int entry, int k) { // entries by concept, then layer
    return va_arena_printf(env.arena, "jx/%s/layer%d/prompt%d", concepts[entry / 2], 1 + entry % 2,
                           k);
}

static const char *of_layer(int entry, int k) { // by concept, then prompt
    return va_arena_printf(env.arena, "jx/%s/layer%d/prompt%d", concepts[entry / 3], 1 + k,
                           entry % 3);
}

static const char *of_seed(int entry, int k) {
    return va_arena_printf(env.arena, k ? "logistic/%s/layer%d/seed%d" : "logistic/%s/layer%d",
                           concepts[entry / 2], 1 + entry % 2, k);
}

static void test_agreement(void **state) {
    (void)state;
    expect_agreements("over prompts", 6, 3, of_prompt);
    expect_agreements("over layers", 9, 2, of_layer);
    expect_agreements("over seeds", 6, 3, of_seed);
}

static double value_of(const char *metric, const char *concept_name, int layer, int prompt) {
    const va_json *r = va_json_first(va_json_get(out.results, "results"));
    int seen = 0;
    for (; r; r = va_json_next(r))
        if (strcmp(text(r, "concept"), concept_name) == 0 && number(r, "model_layer") == layer &&
            seen++ == prompt)
            return number(with(va_json_get(r, "metrics"), "name", metric), "value");
    fail_msg("no result");
    return NAN;
}

static void ranks(const double *x, double *rank) { // no two are equal here
    for (int i = 0; i < 3; i++) {
        rank[i] = 1;
        for (int j = 0; j < 3; j++)
            rank[i] += x[j] < x[i];
    }
}

// `methods` depends on no prompt: its number at the layer stands for all prompts.
static void test_spearman(void **state) {
    (void)state;
    const va_json *list = va_json_get(statistics(&out, "ranks"), "entries");
    assert_int_equal(va_json_count(list), 6);
    for (int i = 0; i < 6; i++) {
        double x[3], y[3], a[3], b[3], sum = 0;
        const int layer = 1 + i / 3, prompt = i % 3;
        for (int c = 0; c < 3; c++) {
            x[c] = value_of("alignment", concepts[c], layer, prompt);
            y[c] = value_of("methods", concepts[c], layer, 0);
        }
        ranks(x, a);
        ranks(y, b);
        for (int c = 0; c < 3; c++)
            sum += (a[c] - b[c]) * (a[c] - b[c]);
        expect_close(number(item(list, i), "rho"), 1 - 6 * sum / 24, 1e-12);
        assert_int_equal(number(item(list, i), "model_layer"), layer);
    }
}

// Each concept's mean over prompts, which its interval holds, and how many share its sign.
static void test_over_prompts(void **state) {
    (void)state;
    const va_json *list = va_json_get(statistics(&out, "alignment"), "by_concept");
    assert_int_equal(va_json_count(list), 6);
    for (int i = 0; i < 6; i++) {
        const va_json *o = item(list, i), *interval = va_json_get(o, "interval_prompts");
        double sum = 0, same = 0;
        const int layer = 1 + i / 3;
        assert_string_equal(text(o, "concept"), concepts[i % 3]);
        for (int p = 0; p < 3; p++)
            sum += value_of("alignment", concepts[i % 3], layer, p);
        for (int p = 0; p < 3; p++)
            same += (value_of("alignment", concepts[i % 3], layer, p) > 0) == (sum > 0);
        expect_close(number(o, "mean"), sum / 3, 1e-12);
        expect_close(number(o, "same_sign"), same / 3, 1e-12);
        assert_true(number(interval, "low") <= sum / 3 && number(interval, "high") >= sum / 3);
        // a mean of resamples lies between the least and the largest
        assert_true(number(interval, "low") >= number(o, "min") - 1e-12);
        assert_true(number(interval, "high") <= number(o, "max") + 1e-12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeats),      cmocka_unit_test(test_other_seed),
        cmocka_unit_test(test_agreement),    cmocka_unit_test(test_spearman),
        cmocka_unit_test(test_over_prompts),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
