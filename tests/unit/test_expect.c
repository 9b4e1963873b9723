// test_expect.c: bounds held against a tree of results; what is said of draws by chance, against a
// count by hand.
// libs: va_experiment
// SPDX-License-Identifier: Apache-2.0
#include "experiment_case.h"

#include <math.h>

#include "measure.h"
#include "series.h"

static const char valid[] =
    "version: 1\n"
    "name: test\n"
    "model: {path: MODEL, layers: [2, 4]}\n"
    "concepts:\n"
    "  - {name: Dog, positives: [a, b, c, d], hard_negatives: [e, f, g, h]}\n"
    "  - {name: Cat, positives: [i, j, k, l], hard_negatives: [m, n, o, p]}\n"
    "  - {name: Eel, positives: [q, r, s, t], hard_negatives: [u, v, w, x]}\n"
    "prompts: [\"The {concept} is\", \"A {concept} means\"]\n"
    "directions:\n"
    "  jac: {kind: jacobian, to: \"norm:{layer}@last\"}\n"
    "  near: {kind: mlp, site: \"norm:{layer}@last\"}\n"
    "metrics:\n"
    "  - {name: cos, of: [jac, near], bootstrap: [items], nulls: [random, permutation]}\n"
    "  - {name: rank, kind: spearman, of: [cos, cos]}\n"
    "chance: {alpha: 0.2}\n"
    "expect:\n"
    "  - {EXPECT}\n";

// What a run would have written, as far as bounds are about it.
static const char results[] =
    "{\"results\": ["
    " {\"concept\": \"Dog\", \"model_layer\": 2, \"prompt\": \"P\", \"metrics\": ["
    "  {\"name\": \"cos\", \"value\": -0.5, \"p_adjusted\": 0.04,"
    "   \"nulls\": {\"random\": {\"p_value\": 0.01}, \"permutation\": {\"p_value\": 0.03}},"
    "   \"interval_items\": {\"low\": -0.7, \"high\": -0.2}}]},"
    " {\"concept\": \"Dog\", \"model_layer\": 4, \"prompt\": \"P\", \"metrics\": ["
    "  {\"name\": \"cos\", \"value\": 0.25, \"p_adjusted\": 0.5,"
    "   \"nulls\": {\"random\": {\"p_value\": 0.4}, \"permutation\": {\"p_value\": 0.2}},"
    "   \"interval_items\": {\"low\": 0.1, \"high\": 0.5}}]},"
    " {\"concept\": \"Cat\", \"model_layer\": 2, \"prompt\": \"Q\", \"metrics\": ["
    "  {\"name\": \"other\", \"value\": 9},"
    "  {\"name\": \"cos\", \"value\": 0.75, \"p_adjusted\": 0.01}]},"
    " {\"concept\": \"Eel\", \"model_layer\": 2, \"prompt\": \"Q\", \"metrics\": []}],"
    " \"statistics\": {\"by_metric\": ["
    "  {\"name\": \"cos\", \"mean\": 0.125, \"std\": 0.3, \"min\": -0.5, \"max\": 0.75,"
    "   \"mean_abs\": 0.5, \"n_significant\": 2,"
    "   \"by_layer\": [{\"model_layer\": 2, \"mean\": 0.3}, {\"model_layer\": 4, \"mean\": 0.25}],"
    "   \"by_concept\": [{\"concept\": \"Dog\", \"model_layer\": 2, \"mean\": -0.4},"
    "    {\"concept\": \"Dog\", \"model_layer\": 4, \"mean\": 0.2},"
    "    {\"concept\": \"Cat\", \"model_layer\": 2, \"mean\": 0.7}]},"
    "  {\"name\": \"rank\", \"mean\": 0.6, \"entries\": ["
    "   {\"model_layer\": 2, \"value\": 1, \"p_value\": 0.3},"
    "   {\"model_layer\": 4, \"value\": 0.2, \"p_value\": 0.6}]}]}}";

static const struct {
    const char *expect;
    int64_t n, n_held;
    double got; // of the first
} rows[] = {
    {"metric: cos, statistic: value, min: -0.5, max: 0.75", 3, 3, -0.5}, // bounds are allowed
    {"metric: cos, statistic: value, min: -0.49", 3, 2, -0.5},
    {"metric: cos, statistic: value, max: 0.74", 3, 2, -0.5},
    {"metric: cos, statistic: abs, min: 0.3", 3, 2, 0.5},
    {"metric: cos, statistic: value, concept: Dog, min: 0", 2, 1, -0.5},
    {"metric: cos, statistic: value, layer: 4, min: 0", 1, 1, 0.25},
    {"metric: cos, statistic: value, concept: Cat, layer: 4, min: 0", 1, 0, NAN}, // not measured
    {"metric: cos, statistic: value, concept: Eel, min: -1", 1, 0, NAN},
    {"metric: cos, statistic: p, concept: Dog, layer: 2, max: 0.02", 1, 0, 0.03}, // worst null
    {"metric: cos, statistic: p, concept: Dog, layer: 2, max: 0.03", 1, 1, 0.03},
    {"metric: cos, statistic: p, concept: Dog, layer: 4, max: 0.3", 1, 0, 0.4},
    {"metric: cos, statistic: p, concept: Cat, max: 1", 1, 0, NAN}, // that result has none
    {"metric: cos, statistic: p_adjusted, max: 0.1", 3, 2, 0.04},
    {"metric: cos, statistic: low, concept: Dog, min: 0", 2, 1, -0.7},
    {"metric: cos, statistic: high, concept: Dog, layer: 2, max: 0", 1, 1, -0.2},
    {"metric: cos, statistic: mean, min: 0.1, max: 0.2", 1, 1, 0.125},
    {"metric: cos, statistic: std, max: 0.2", 1, 0, 0.3},
    {"metric: cos, statistic: mean_abs, min: 0.5", 1, 1, 0.5},
    {"metric: cos, statistic: min, min: -0.4", 1, 0, -0.5},
    {"metric: cos, statistic: max, max: 0.75", 1, 1, 0.75},
    {"metric: cos, statistic: n_significant, min: 3", 1, 0, 2},
    {"metric: cos, statistic: mean, layer: 4, max: 0.25", 1, 1, 0.25},
    {"metric: cos, statistic: mean, concept: Dog, min: 0", 2, 1, -0.4},
    {"metric: cos, statistic: mean, concept: Dog, layer: 4, min: 0", 1, 1, 0.2},
    {"metric: cos, statistic: mean, concept: Eel, min: -1", 1, 0, NAN},
    {"metric: rank, statistic: value, min: 0.5", 2, 1, 1},
    {"metric: rank, statistic: value, layer: 4, min: 0.5", 1, 0, 0.2},
    {"metric: rank, statistic: mean, min: 0.5", 1, 1, 0.6},
    {"metric: rank, statistic: p, max: 0.3", 2, 1, 0.3},
};

static void holds_bounds(void **state) {
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(rows); i++) {
        va_experiment *e = NULL;
        va_json *root = NULL;
        double got = NAN;
        bool first = false;
        char *text = replace(valid, "EXPECT", rows[i].expect);
        accept_text(f, text, &e);
        free(text);
        va_run run = {.ctx = f->ctx, .e = e};
        assert_ok(f->ctx,
                  va_json_parse(f->ctx, "results", results, (int64_t)strlen(results), &root));
        assert_ok(f->ctx, va_run_expectations(&run, root));
        const va_json *list = va_json_get(root, "expectations");
        if (run.summary.n_expected != rows[i].n || run.summary.n_held != rows[i].n_held)
            fail_msg("%s: %d of %d held", rows[i].expect, (int)run.summary.n_held,
                     (int)run.summary.n_expected);
        assert_int_equal(va_json_count(list), rows[i].n);
        va_json_as_double(va_json_get(va_json_first(list), "got"), &got);
        if (!(got == rows[i].got || (isnan(got) && isnan(rows[i].got))))
            fail_msg("%s: got %g", rows[i].expect, got);
        assert_true(va_json_as_bool(va_json_get(va_json_first(list), "holds"), &first));
        va_json_free(&root);
        va_experiment_free(&e);
    }
}

// Each entry says what it is about and whether it holds.
static void says_what_was_compared(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    va_json *root = NULL;
    int64_t layer = 0;
    bool holds = true;
    char *text = replace(valid, "EXPECT", "metric: cos, statistic: value, concept: Dog, min: 0");
    accept_text(f, text, &e);
    free(text);
    va_run run = {.ctx = f->ctx, .e = e};
    assert_ok(f->ctx, va_json_parse(f->ctx, "results", results, (int64_t)strlen(results), &root));
    assert_ok(f->ctx, va_run_expectations(&run, root));
    const va_json *one = va_json_first(va_json_get(root, "expectations"));
    assert_string_equal(va_json_as_string(va_json_get(one, "metric")), "cos");
    assert_string_equal(va_json_as_string(va_json_get(one, "statistic")), "value");
    assert_string_equal(va_json_as_string(va_json_get(one, "concept")), "Dog");
    assert_string_equal(va_json_as_string(va_json_get(one, "prompt")), "P");
    assert_true(va_json_as_int(va_json_get(one, "model_layer"), &layer) && layer == 2);
    assert_true(va_json_as_bool(va_json_get(one, "holds"), &holds) && !holds);
    assert_null(va_json_get(one, "max"));
    one = va_json_next(one);
    assert_true(va_json_as_int(va_json_get(one, "model_layer"), &layer) && layer == 4);
    assert_true(va_json_as_bool(va_json_get(one, "holds"), &holds) && holds);
    va_json_free(&root);
    va_experiment_free(&e);
}

// -- draws ---------------------------------------------------------------------------------------

static double number(const va_json *o, const char *key) {
    double v = NAN;
    assert_true(va_json_as_double(va_json_get(o, key), &v));
    return v;
}

// 21 draws -1, -.9 ... 1 in another order; alpha .2 cuts 2 of them off at each end, or 4 above.
static void check_draws(fixture *f, va_metric_tail tail, double value, double centre, double p,
                        int64_t n_failed) {
    va_experiment *e = NULL;
    double draws[21];
    for (int i = 0; i < 21; i++)
        draws[i] = (i * 8 % 21 - 10) / 10.0;
    char *text = replace(valid, "expect:\n  - {EXPECT}\n", "");
    accept_text(f, text, &e);
    free(text);
    va_run run = {.ctx = f->ctx, .e = e};
    va_measure m = {.run = &run, .value = value, .out = va_json_object()};
    va_json *null = va_measure_null(&m, "random");
    assert_ok(f->ctx, va_measure_draws(&m, null, tail, centre, draws, 21, n_failed));
    assert_ptr_equal(va_json_get(va_json_get(m.out, "nulls"), "random"), null);
    assert_true(fabs(number(null, "p_value") - p) < 1e-15);
    const bool above = tail == VA_METRIC_TAIL_GREATER;
    assert_true(fabs(number(null, "low") + (above ? 1 : 0.8)) < 1e-15);
    assert_true(fabs(number(null, "high") - (above ? 0.6 : 0.8)) < 1e-15);
    assert_true(fabs(number(null, "mean")) < 1e-15);
    // sum of squares 2 (.01 + .04 + ... + 1) = 7.7
    assert_true(fabs(number(null, "std") - sqrt(7.7 / 21)) < 1e-15);
    assert_true(number(null, "n_draws") == 21);
    va_json_free(&m.out);
    va_experiment_free(&e);
}

static void counts_draws(void **state) {
    fixture *f = *state;
    check_draws(f, VA_METRIC_TAIL_ABS, 0.85, 0, 5 / 22.0, 0); // -1, -.9, .9, 1
    check_draws(f, VA_METRIC_TAIL_ABS, -0.85, 0, 5 / 22.0, 0);
    check_draws(f, VA_METRIC_TAIL_ABS, 1.5, 0, 1 / 22.0, 0);        // never 0
    check_draws(f, VA_METRIC_TAIL_GREATER, 0.85, 0, 3 / 22.0, 0);   // .9, 1
    check_draws(f, VA_METRIC_TAIL_GREATER, -0.85, 0, 20 / 22.0, 0); // all but -1, -.9
    check_draws(f, VA_METRIC_TAIL_GREATER, 0.85, 0, 6 / 25.0, 3);   // and three that failed
    // around .5: as far as .25 or farther are all from -1 to .2, and .8, .9, 1
    check_draws(f, VA_METRIC_TAIL_ABS, 0.75, 0.5, 17 / 22.0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(holds_bounds),
        TEST(says_what_was_compared),
        TEST(counts_draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
