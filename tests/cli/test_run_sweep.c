// Sweeps: an experiment with a matrix runs every combination in a folder of its own.
// SPDX-License-Identifier: Apache-2.0
#include "run_check.h"

static const char modes_and_seeds[] = "matrix:\n"
                                      "  directions.jac.mode: [exact, detached]\n"
                                      "  seed: [3, 4]\n";
static const char *const variants[] = {"mode=exact,seed=3", "mode=exact,seed=4",
                                       "mode=detached,seed=3", "mode=detached,seed=4"};
enum { N_UNITS = 7 };

// The quick experiment with a matrix, DIR/name.
static const char *write_sweep(const char *name, const char *matrix) {
    return write_text(name, va_arena_printf(env.arena, "%s%s", cli_experiment, matrix));
}

static va_json *load_sweep(const char *folder) {
    va_json *root;
    assert_ok(env.ctx, va_json_load(env.ctx, path_of(folder, "sweep.json"), 0, &root));
    return root;
}

static void test_variants(void **state) {
    (void)state;
    const char *yaml = write_sweep("s.yaml", modes_and_seeds), *out = path_of(env.dir, "out");
    outcome o;
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", yaml, "--out", out, "--json"));
    expect_text(env.p.out, "\"variants\": 4");
    expect_text(env.p.out, "\"units\": 28");
    // the capture is shared by all, Jacobians by seeds, classifiers by modes
    expect_text(env.p.out, "\"reused\": 15");
    va_json *root = load_sweep(out);
    const va_json *list = va_json_get(root, "variants");
    assert_int_equal(va_json_count(list), VA_COUNT(variants));
    for (int64_t i = 0; i < VA_COUNT(variants); i++) {
        const va_json *v = item(list, i);
        assert_string_equal(text(v, "name"), variants[i]);
        assert_string_equal(text(v, "status"), "success");
        assert_string_equal(text(va_json_get(v, "set"), "seed"), i % 2 ? "4" : "3");
        assert_string_equal(text(va_json_get(v, "set"), "directions.jac.mode"),
                            i / 2 ? "detached" : "exact");
        open_outcome(&o, path_of(out, variants[i]));
        assert_int_equal(number(va_json_get(o.results, "metadata"), "seed"), i % 2 ? 4 : 3);
        assert_true(number(va_json_get(v, "statistics"), "mean") ==
                    number(va_json_get(o.results, "statistics"), "mean"));
        close_outcome(&o);
    }
    va_json_free(&root);
    // a variant is the experiment with its values set
    const char *single = path_of(env.dir, "single");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("run", write_text("x.yaml", cli_experiment), "--no-cache", "--out", single,
                     "--set", "seed=4", "--set", "directions.jac.mode=detached"));
    assert_true(cli_same_bytes(path_of(single, "vectors.safetensors"),
                               path_of(path_of(out, variants[3]), "vectors.safetensors")));
}

// Nothing is run or written; every variant is checked.
static void test_plan(void **state) {
    (void)state;
    const char *yaml = write_sweep("s.yaml", modes_and_seeds), *out = path_of(env.dir, "dry");
    cli_run(&env.p, 0, "VK_ICD_FILENAMES=/nonexistent",
            CLI_ARGS("run", yaml, "--out", out, "--dry-run", "--json"));
    expect_text(env.p.out, "\"variants\": 4");
    expect_text(env.p.out, variants[3]);
    expect_text(env.p.out, "\"units\": 28");
    assert_false(va_path_exists(out));
    cli_run(&env.p, 0, "VK_ICD_FILENAMES=/nonexistent",
            CLI_ARGS("run", yaml, "--out", out, "--dry-run"));
    expect_text(env.p.out, "variants    4\n  mode=exact,seed=3 ");
    for (int64_t i = 0; i < VA_COUNT(variants); i++)
        expect_text(env.p.out, variants[i]);
    expect_text(env.p.out, " 28 units, ");
    expect_text(env.p.out, "units       7: "); // the first one's plan
    cli_run(&env.p, 0, "VK_ICD_FILENAMES=/nonexistent", CLI_ARGS("validate", yaml));
    expect_text(env.p.out, "valid; 4 variants, 28 units, 8 results");
}

// --set changes what all variants share, and the matrix itself.
static void test_set(void **state) {
    (void)state;
    const char *yaml = write_sweep("s.yaml", modes_and_seeds), *out = path_of(env.dir, "set");
    outcome o;
    cli_run(
        &env.p, 0, NULL,
        CLI_ARGS("run", yaml, "--out", out, "--set", "question=Now?", "--set", "matrix.seed=[11]"));
    for (int i = 0; i < 2; i++) {
        open_outcome(&o, path_of(out, i ? "mode=detached,seed=11" : "mode=exact,seed=11"));
        assert_string_equal(text(va_json_get(o.results, "metadata"), "question"), "Now?");
        close_outcome(&o);
    }
    va_json *root = load_sweep(out);
    assert_int_equal(va_json_count(va_json_get(root, "variants")), 2);
    va_json_free(&root);
}

// Keys with commas take a value together.
static void test_together(void **state) {
    (void)state;
    const char *yaml = write_sweep("t.yaml", "matrix:\n"
                                             "  directions.far.epochs, directions.near.epochs: "
                                             "[1, 3]\n");
    const char *out = path_of(env.dir, "together");
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", yaml, "--out", out));
    for (int i = 0; i < 2; i++) {
        const char *folder = path_of(out, i ? "epochs=3" : "epochs=1");
        char *resolved = cli_load(path_of(folder, "experiment.yaml"), NULL);
        const char *first = strstr(resolved, i ? "epochs: 3" : "epochs: 1");
        assert_non_null(first);
        assert_non_null(strstr(first + 1, i ? "epochs: 3" : "epochs: 1"));
        assert_null(strstr(resolved, "matrix"));
        free(resolved);
    }
}

// Values that would share a folder do not.
static void test_names(void **state) {
    (void)state;
    const char *yaml =
        write_sweep("n.yaml", "matrix:\n"
                              "  question: [\"a long question that goes on and on: yes?\",\n"
                              "             \"a long question that goes on and on: no?\",\n"
                              "             Short?]\n");
    const char *out = path_of(env.dir, "names");
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", yaml, "--out", out));
    va_json *root = load_sweep(out);
    const va_json *list = va_json_get(root, "variants");
    assert_string_equal(text(item(list, 2), "name"), "question=Short?");
    for (int i = 0; i < 3; i++) {
        outcome o;
        open_outcome(&o, path_of(out, text(item(list, i), "name")));
        expect_text(text(va_json_get(o.results, "metadata"), "question"), i == 0   ? "yes?"
                                                                          : i == 1 ? "no?"
                                                                                   : "Short?");
        close_outcome(&o);
    }
    va_json_free(&root);
}

// A variant of which some units fail: status 1, the others are there.
static void test_failed_variant(void **state) {
    (void)state;
    char *text_of =
        cli_replace(cli_experiment, "near: {kind: mlp,", "near: {kind: mlp, weight_decay: 10,");
    char *yaml_text = cli_replace(text_of, "hidden: [16, 8], epochs: 2}\nmetrics",
                                  "hidden: [16, 8], epochs: 60}\nmetrics");
    const char *yaml = write_text(
        "f.yaml", va_arena_printf(env.arena,
                                  "%smatrix: {directions.near.learning_rate: [10, .01]}\n"
                                  "expect: [{metric: matched, statistic: value, max: 1}]\n",
                                  yaml_text));
    const char *out = path_of(env.dir, "failed");
    free(text_of), free(yaml_text);
    cli_run(&env.p, 1, NULL, CLI_ARGS("run", yaml, "--out", out));
    expect_text(env.p.err, "2 of 14 units and 2 results failed; the others are saved in ");
    expect_text(env.p.out, "14 units ("); // told nevertheless, after the answer
    expect_text(env.p.out, "2 variants, each with its own report.");
    va_json *root = load_sweep(out);
    const va_json *list = va_json_get(root, "variants");
    assert_string_equal(text(item(list, 0), "status"), "failed");
    assert_string_equal(text(item(list, 1), "status"), "success");
    assert_string_equal(text(item(list, 1), "name"), "learning_rate=.01");
    va_json_free(&root);
    assert_true(va_path_exists(path_of(out, "learning_rate=.01/report.md")));
    cli_run(&env.p, 1, NULL, CLI_ARGS("run", yaml, "--out", out, "--resume", "--json"));
    expect_text(env.p.out, "\"reused\": 12");
    // bounds are held against what there is; a metric without any result breaks them once
    cli_run(&env.p, 1, NULL, CLI_ARGS("run", yaml, "--out", out, "--check"));
    expect_text(env.p.err, "2 of 14 units and 2 results failed; ");
    expect_text(env.p.err, "; 1 of 3 expectations do not hold\n");
}

// Folders of an earlier matrix are told of and stay.
static void test_other_folders(void **state) {
    (void)state;
    const char *yaml = write_sweep("o.yaml", "matrix: {seed: [3, 4]}\n");
    const char *out = path_of(env.dir, "others"), *args[] = {"run", yaml, "--out", out, "-v", NULL};
    cli_run(&env.p, 0, NULL, args);
    assert_null(strstr(env.p.err, "not of this sweep"));
    write_sweep("o.yaml", "matrix: {seed: [4, 5]}\n");
    cli_run(&env.p, 0, NULL, args);
    expect_text(env.p.err, "others: folders that are not of this sweep: seed=3\n");
    assert_true(va_path_exists(path_of(out, "seed=3/report.md")));
}

// What is left to do is counted over all variants.
static void test_interrupted(void **state) {
    (void)state;
    char *long_text = cli_replace(cli_experiment, "epochs: 2}\nmetrics", "epochs: 400}\nmetrics");
    const char *yaml =
        write_text("i.yaml", va_arena_printf(env.arena, "%smatrix: {seed: [31, 32]}\n", long_text));
    const char *out = path_of(env.dir, "interrupted");
    free(long_text);
    cli_start(&env.p, NULL, CLI_ARGS("run", yaml, "--out", out, "--no-cache"));
    while (!va_path_exists(path_of(out, "seed=31/units/00000.safetensors")) && cli_running(&env.p))
        cli_sleep_ms(1);
    kill(env.p.pid, SIGINT);
    if (cli_wait(&env.p) != 130)
        fail_msg("expected exit status 130, got %d: %s", env.p.status, env.p.err);
    expect_text(env.p.err, "of 14 units are saved");
}

// Mistakes name their place before anything runs, also those of a later variant alone.
static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *matrix, *message;
    } cases[] = {
        {"matrix: {directions.jac.mod: [exact]}\n", "m.yaml:25:10: "},
        {"matrix: {directions.jac.mod: [exact]}\n", "did you mean 'mode'?"},
        {"matrix: {directions.jak.mode: [exact]}\n", "m.yaml:25:10: "},
        {"matrix: {directions.jac.mode: [exact, exakt]}\n", "m.yaml:25:39: "},
        {"matrix: {seed: [1, -1]}\n", "m.yaml:25:20: "},
        {"matrix: {seed: 3}\n", "m.yaml:25:16: matrix.seed: expected a list of values"},
        {"matrix: {seed: []}\n", "matrix.seed: expected a list of values"},
        {"matrix: {output: [a, b]}\n", "m.yaml:25:10: matrix.output: 'output' cannot be swept"},
        {"matrix: [1, 2]\n", "matrix: expected a map of dotted keys to lists of values"},
        {"matrix: {}\n", "matrix: expected a map of dotted keys to lists of values"},
    };
    const char *out = path_of(env.dir, "mistakes");
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        const char *yaml = write_sweep("m.yaml", cases[i].matrix);
        cli_run(&env.p, 2, NULL, CLI_ARGS("run", yaml, "--out", out));
        expect_text(env.p.err, cases[i].message);
        cli_run(&env.p, 2, NULL, CLI_ARGS("validate", yaml));
        expect_text(env.p.err, cases[i].message);
        assert_false(va_path_exists(out));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants),    cmocka_unit_test(test_plan),
        cmocka_unit_test(test_set),         cmocka_unit_test(test_together),
        cmocka_unit_test(test_names),       cmocka_unit_test(test_failed_variant),
        cmocka_unit_test(test_mistakes),    cmocka_unit_test(test_other_folders),
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
