// run --check: bounds that the results keep or do not, and those that they cannot; results that
// could not be measured in full.
// SPDX-License-Identifier: Apache-2.0
#include "run_check.h"

static const char *write_expecting(const char *expect) {
    return write_text("e.yaml",
                      va_arena_printf(env.arena, "%sexpect:\n%s", cli_experiment, expect));
}

static void test_all_hold(void **state) {
    (void)state;
    const char *yaml =
        write_expecting("  - {metric: alignment, statistic: value, min: -1, max: 1}\n"
                        "  - {metric: alignment, statistic: mean_abs, min: 0}\n"
                        "  - {metric: matched, statistic: p, concept: Physical,\n"
                        "     min: 1.0e-12}\n");
    const char *out = path_of(env.dir, "hold");
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", yaml, "--out", out, "--check"));
    expect_text(env.p.out, "all 4 expectations hold\n"); // `value` is of either concept
    outcome o;
    open_outcome(&o, out);
    const va_json *list = va_json_get(o.results, "expectations");
    assert_int_equal(va_json_count(list), 4);
    for (int i = 0; i < 2; i++) {
        const va_json *r = item(va_json_get(o.results, "results"), i);
        assert_string_equal(text(item(list, i), "concept"), text(r, "concept"));
        assert_true(number(item(list, i), "got") == number(r, "alignment"));
        assert_true(truth(item(list, i), "holds"));
    }
    assert_true(number(item(list, 2), "got") ==
                number(va_json_get(o.results, "statistics"), "mean_abs"));
    close_outcome(&o);
}

// Status 1, how many, and all results are there; without --check the run is a success.
static void test_one_does_not(void **state) {
    (void)state;
    const char *yaml =
        write_expecting("  - {metric: alignment, statistic: abs, max: 1}\n"
                        "  - {metric: matched, statistic: abs, concept: Abstract, min: 1.5}\n");
    const char *out = path_of(env.dir, "not");
    cli_run(&env.p, 1, NULL, CLI_ARGS("run", yaml, "--out", out, "--check"));
    expect_text(env.p.err, "1 of 3 expectations do not hold");
    expect_text(env.p.err, out);
    assert_true(va_path_exists(path_of(out, "report.md")));
    outcome o;
    open_outcome(&o, out);
    const va_json *e = item(va_json_get(o.results, "expectations"), 2);
    assert_false(truth(e, "holds"));
    assert_string_equal(text(e, "concept"), "Abstract");
    assert_true(number(e, "min") == 1.5 && number(e, "got") <= 1);
    close_outcome(&o);
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", yaml, "--out", out, "--json"));
    expect_text(env.p.out, "\"expected\": 3");
    expect_text(env.p.out, "\"held\": 2");
}

// Of a sweep the bounds are held against every variant.
static void test_sweep(void **state) {
    (void)state;
    const char *yaml = write_expecting("  - {metric: alignment, statistic: mean_abs, max: 1}\n"
                                       "matrix: {seed: [3, 4]}\n");
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", yaml, "--out", path_of(env.dir, "sweep"), "--check"));
    expect_text(env.p.out, "all 2 expectations hold\n");
}

// Nothing is run for bounds that cannot be held against anything.
static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *expect, *message;
    } cases[] = {
        {"  - {metric: aligment, statistic: mean, max: 1}\n", "there is no metric 'aligment'"},
        {"  - {metric: alignment, statistic: mean}\n", "has neither min nor max"},
        {"  - {metric: alignment, statistic: mean, min: 1, max: 0}\n", "min 1 is above max 0"},
        {"  - {metric: alignment, statistic: value, concept: Nope, max: 1}\n",
         "there is no concept 'Nope'"},
        {"  - {metric: alignment, statistic: value, layer: 7, max: 1}\n",
         "layer 7 is not in model.layers"},
        {"  - {metric: alignment, statistic: low, max: 1}\n",
         "low of metric 'alignment': it has no bootstrap over items"},
        {"  - {metric: alignment, statistic: median, max: 1}\n", "median"},
    };
    const char *out = path_of(env.dir, "refused");
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        cli_run(&env.p, 2, NULL,
                CLI_ARGS("run", write_expecting(cases[i].expect), "--out", out, "--check"));
        expect_text(env.p.err, "e.yaml:26:");
        expect_text(env.p.err, cases[i].message);
    }
    cli_run(&env.p, 2, NULL,
            CLI_ARGS("run", write_text("x.yaml", cli_experiment), "--out", out, "--check"));
    assert_int_equal(cli_count_lines(env.p.err), 1);
    expect_text(env.p.err, "x.yaml: --check: the experiment has no `expect`");
    assert_false(va_path_exists(out));
}

// A number that could not be measured is not within its bounds.
static void test_not_measured(void **state) {
    (void)state;
    const char *yaml = write_expecting("  - {metric: matched, statistic: value, max: 1}\n");
    const char *out = path_of(env.dir, "unmeasured");
    cli_run(&env.p, 1, NULL,
            CLI_ARGS("run", yaml, "--out", out, "--check", "--set",
                     "directions.near.learning_rate=10", "--set", "directions.near.epochs=60",
                     "--set", "directions.near.weight_decay=10"));
    outcome o;
    open_outcome(&o, out);
    const va_json *list = va_json_get(o.results, "expectations");
    assert_true(va_json_count(list) == 1 && !truth(item(list, 0), "holds"));
    close_outcome(&o);
}

// At the first token all texts are alike, so that nothing can be drawn as they are spread: the
// number stands, the level says why it is missing, nothing differs from chance, and the status
// is 1.
static void test_failed_null(void **state) {
    (void)state;
    const char *out = path_of(env.dir, "no-spread");
    cli_run(&env.p, 1, NULL,
            CLI_ARGS("run", write_text("n.yaml", cli_experiment), "--out", out, "--set",
                     "directions.near.site=norm:{layer}@0", "--set",
                     "metrics=[{name: m, of: [jac, near], across_sites: true, nulls: [analytic, "
                     "covariance]}]"));
    expect_text(env.p.err, "2 results could not be measured in full");
    assert_true(va_path_exists(path_of(out, "units"))); // not thrown away
    outcome o;
    open_outcome(&o, out);
    for (int i = 0; i < 2; i++) {
        const va_json *r = item(va_json_get(o.results, "results"), i);
        const va_json *m = item(va_json_get(r, "metrics"), 0);
        const va_json *nulls = va_json_get(m, "nulls");
        assert_string_equal(text(r, "status"), "failed");
        expect_text(text(r, "error"), "m: no chance level covariance: the rows do not differ");
        expect_text(text(va_json_get(nulls, "covariance"), "error"), "the rows do not differ");
        assert_true(number(va_json_get(nulls, "analytic"), "p_value") <= 1);
        assert_true(number(m, "value") == number(r, "alignment"));
        assert_true(number(m, "p_adjusted") == 1 && !truth(m, "differs_from_chance"));
    }
    close_outcome(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_hold),     cmocka_unit_test(test_one_does_not),
        cmocka_unit_test(test_sweep),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_not_measured), cmocka_unit_test(test_failed_null),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
