// test_experiment.c: experiment files: what is accepted, what is refused where and how; the plan.
// libs: va_experiment
// SPDX-License-Identifier: Apache-2.0
#include "experiment_case.h"

// A valid experiment on a fixture's model; cases below replace one piece of it.
static const char valid[] =
    "version: 1\n"                                                          // 1
    "name: test\n"                                                          // 2
    "model: {path: MODEL, layers: [2, 4]}\n"                                // 3
    "concepts:\n"                                                           // 4
    "  - name: Dog\n"                                                       // 5
    "    definition: an animal that barks\n"                                // 6
    "    positives: [a, b, c, d]\n"                                         // 7
    "    hard_negatives: [e, f]\n"                                          // 8
    "    random_negatives: [g, h]\n"                                        // 9
    "prompts: [\"The concept of {concept} means\"]\n"                       // 10
    "templates: [\"{item} is\", \"What is {item}?\"]\n"                     // 11
    "directions:\n"                                                         // 12
    "  jac: {kind: jacobian, from: embed@all, to: \"norm:{layer}@last\"}\n" // 13
    "  far: {kind: mlp, site: \"norm:last@mean\"}\n"                        // 14
    "  near: {kind: mlp, site: \"norm:{layer}@last\", epochs: 2}\n"         // 15
    "metrics:\n"                                                            // 16
    "  - {name: alignment, of: [jac, far], across_sites: true}\n"           // 17
    "  - {name: matched, of: [jac, near]}\n"                                // 18
    "seed: 3\n";                                                            // 19

static const case_row cases[] = {
    {"version: 1", "version: 2", 1, "version: expected a number from 1 to 1, got 2"},
    {"version: 1\n", "", 1, "version: missing"},
    {"name: test", "name: ''", 2, "name: expected a string that is not empty"},
    {"seed: 3", "sead: 3", 19, "unknown key 'sead'"},
    {"seed: 3", "seed: three", 19, "seed: expected an integer, got 'three'"},
    {"seed: 3", "seed: -1", 19, "seed: expected a number from 0 to"},
    {"layers: [2, 4]", "layers: []", 3, "model.layers: expected at least 1 entry, got 0"},
    {"layers: [2, 4]", "layers: 2", 3, "model.layers: expected a list of integers"},
    {"layers: [2, 4]", "layers: [2, 5]", 3, "layer 5 is out of range"},
    {"positives: [a, b, c, d]", "positives: []", 7, "expected at least 4 entries, got 0"},
    {"positives: [a, b, c, d]", "positive: [a, b, c, d]", 5, "concepts[0].positives: missing"},
    {"positives: [a, b, c, d]", "positives: [a, b, c, e]", 5, "'e' is both positive and negative"},
    {"[g, h]", "[g]", 5, "expected at least 4 negatives for a classifier, got 3"},
    {"[g, h]", "[g, []]", 9, "concepts[0].random_negatives[1]: expected a string, or a list"},
    {"[g, h]", "[g, [h, [i]]]", 9, "concepts[0].random_negatives[1]: expected a string that"},
    {"[g, h]", "[[g, h]]", 5, "expected at least 4 negatives for a classifier, got 3"},
    {"of {concept} means", "of dogs means", 10, "prompts[0]: expected {concept} in the text"},
    {"\"{item} is\"", "\"it is\"", 11, "templates[0]: expected {item} in the text"},
    {"kind: jacobian", "kind: jacobain", 13, "directions.jac.kind: expected one of jacobian, mlp"},
    {"kind: jacobian, ", "", 13, "directions.jac: expected a map with 'kind'"},
    {"norm:{layer}@last\"}", "norn:{layer}@last\"}", 13, "directions.jac.to"},
    {"norm:{layer}@last\"}", "norm:{layer}@all\"}", 13, "expected one position, got @all"},
    {"from: embed@all", "from: \"resid:9@all\"", 13, "directions.jac"},
    {"from: embed@all", "mode: frozen", 13, "mode: expected one of exact, detached, got 'frozen'"},
    {"epochs: 2", "epochs: 0", 15, "epochs: expected a number from 1 to"},
    {"epochs: 2", "hidden: [8]", 15, "hidden: expected at least 2 entries, got 1"},
    {"epochs: 2", "hidden: [8, 4, 2]", 15, "hidden: expected 2 widths, got 3"},
    {"[jac, far], across_sites: true", "[jac, far]", 17, "lives at"},
    {"[jac, far], across_sites: true", "[jac, gone]", 17, "there is no direction 'gone'"},
    {"[jac, near]", "[jac, near], nulls: [analytic, analytic, covariance, random, permutation]", 18,
     "nulls: expected at most 4 entries, got 5"},
    {"name: Dog", "name: a/b", 5, "a name cannot hold '/'"},
    {"[jac, near]", "[jac]", 18, "expected two directions, got 1"},
    {"[jac, near]", "[jac, near], nulls: [bootstrap]", 18, "expected one of analytic, covariance"},
    {"[jac, near]", "[jac, near], nulls: [analytic, analytic]", 18, "stands there twice"},
    {"[jac, near]", "[jac, jac], nulls: [covariance]", 18,
     "needs a direction that learns from items"},
    {"name: matched", "name: alignment", 18, "'alignment' stands there twice"},
};

static void test_plan(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    write_experiment(f, valid);
    assert_ok(f->ctx, load(f, NULL, 0, &e));
    va_plan_summary p = va_experiment_plan(e);
    assert_int_equal(p.n_results, 2);            // one concept, two layers, one prompt
    assert_int_equal(p.n_directions, 2 + 1 + 2); // jac and near by layer, far once
    assert_int_equal(p.n_captures, 8 * 2 + 1);   // items times templates, and the definition
    assert_int_equal(p.n_units, 1 + 5);
    assert_true(p.flop > 0 && p.weight_bytes > 0 && p.device_bytes > p.weight_bytes);
    assert_string_equal(va_experiment_output(e), "results");
    va_experiment_free(&e);
}

static void test_mistakes(void **state) {
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_experiment *e = NULL;
        char *text = replace(valid, cases[i].old, cases[i].new);
        write_experiment(f, text);
        free(text);
        assert_int_equal(load(f, NULL, 0, &e), VA_ERR_SPEC);
        if (!has_diagnostic(e, cases[i].line, cases[i].message))
            fail_msg("'%s': expected line %d: %s", cases[i].new, cases[i].line, cases[i].message);
        va_experiment_free(&e);
    }
}

static void test_all_mistakes_at_once(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    const va_diagnostic *d;
    char *one = replace(valid, "seed: 3", "sead: 3");
    char *two = replace(one, "kind: jacobian", "kind: jacobain");
    write_experiment(f, two);
    assert_int_equal(load(f, NULL, 0, &e), VA_ERR_SPEC);
    assert_int_equal(va_experiment_diagnostics(e, &d), 2);
    assert_string_equal(d[1].hint[0] ? d[1].hint : d[0].hint, "did you mean 'jacobian'?");
    va_experiment_free(&e);
    free(one);
    free(two);
}

static void test_overrides(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    const va_diagnostic *d;
    static const char *const good[] = {"model.layers=[1]", "output=elsewhere",
                                       "directions.near.epochs=7"};
    static const char *const bad[] = {"model.layers=[1, x]", "nonsense", "name.x=1"};
    write_experiment(f, valid);
    assert_ok(f->ctx, load(f, good, VA_COUNT(good), &e));
    assert_int_equal(va_experiment_plan(e).n_results, 1);
    assert_string_equal(va_experiment_output(e), "elsewhere");
    va_experiment_free(&e);
    for (int64_t i = 0; i < VA_COUNT(bad); i++) {
        assert_int_equal(load(f, &bad[i], 1, &e), VA_ERR_SPEC);
        assert_int_equal(va_experiment_diagnostics(e, &d), 1);
        assert_string_equal(d[0].file, "--set");
        va_experiment_free(&e);
    }
}

// An alias's node stands in two places; an override changes it in one.
static void test_override_of_an_alias(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    const va_diagnostic *d;
    static const char *const set[] = {"directions.near.epochs=0"};
    char *one = replace(valid, "far: {", "far: &f {");
    char *two =
        replace(one, "near: {kind: mlp, site: \"norm:{layer}@last\", epochs: 2}", "near: *f");
    write_experiment(f, two);
    assert_int_equal(load(f, set, 1, &e), VA_ERR_SPEC);
    assert_int_equal(va_experiment_diagnostics(e, &d), 1);
    assert_non_null(strstr(d[0].message, "directions.near.epochs: expected a number from 1"));
    va_experiment_free(&e);
    free(one);
    free(two);
}

static void test_files(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    va_experiment_params missing = {.path = "/nonexistent/x.yaml"};
    assert_error(f->ctx, VA_ERR_FILE, "/nonexistent/x.yaml",
                 va_experiment_load(f->ctx, &missing, &e));
    va_experiment_free(&e);
    assert_ok(f->ctx, va_file_write(f->ctx, f->path, "", 0));
    assert_error(f->ctx, VA_ERR_SPEC, "x.yaml", load(f, NULL, 0, &e));
    assert_int_equal(va_experiment_variant_count(e), 1);
    assert_string_equal(va_experiment_variant_name(e), "");
    va_experiment_free(&e);
    char *text = replace(valid, "MODEL", "/nonexistent/model");
    assert_ok(f->ctx, va_file_write(f->ctx, f->path, text, (int64_t)strlen(text)));
    free(text);
    assert_error(f->ctx, VA_ERR_FILE, "/nonexistent/model", load(f, NULL, 0, &e));
    va_experiment_free(&e);
}

// Concepts in a file of their own: mistakes carry that file's name and line.
static void test_concepts_file(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    const va_diagnostic *d;
    char path[VA_TEST_PATH];
    static const char concepts[] = "- {name: Dog, positives: [a, b, c, d],\n"
                                   "   hard_negatives: [e, f, g, h], colour: red}\n";
    const char *from = strstr(valid, "concepts:"), *to = strstr(valid, "prompts:");
    char text[2048];
    snprintf(text, sizeof text, "%.*sconcepts: {file: c.yaml}\n%s", (int)(from - valid), valid, to);
    write_experiment(f, text);
    assert_ok(f->ctx, va_file_write(f->ctx, va_test_join(path, f->dir, "c.yaml"), concepts,
                                    sizeof concepts - 1));
    assert_int_equal(load(f, NULL, 0, &e), VA_ERR_SPEC);
    assert_int_equal(va_experiment_diagnostics(e, &d), 1);
    assert_string_equal(d[0].file, path);
    assert_int_equal(d[0].line, 2);
    va_experiment_free(&e);
}

// ["item0", "item1", ...]; free it.
static char *many(const char *before, const char *item, int n) {
    va_strbuf list = {0};
    va_strbuf_printf(&list, "%s[", before);
    for (int i = 0; i < n; i++)
        va_strbuf_printf(&list, "%s\"%s%d\"", i ? ", " : "", item, i);
    va_strbuf_puts(&list, "]");
    assert_false(list.failed);
    return list.data;
}

static void check_too_large(fixture *f, const char *set, int line, const char *message) {
    va_experiment *e = NULL;
    double start = va_time_s();
    assert_int_equal(load(f, &set, set ? 1 : 0, &e), VA_ERR_SPEC);
    assert_true(has_diagnostic(e, line, message));
    assert_true(va_time_s() - start < 10);
    va_experiment_free(&e);
}

// Lists are compared with one another and multiply: what would take hours is refused at once.
static void test_too_large(void **state) {
    fixture *f = *state;
    static const char negatives[] = "hard_negatives: [e, f]",
                      prompts[] = "[\"The concept of {concept} means\"]";
    char long_name[260] = "name: ";
    char *list = many("hard_negatives: ", "x", 10001), *text = replace(valid, negatives, list);
    write_experiment(f, text);
    check_too_large(f, NULL, 8, "hard_negatives: expected at most 10000 entries, got 10001");
    free(list);
    free(text);

    list = many("hard_negatives: ", "x", 10000);
    text = replace(valid, negatives, list);
    write_experiment(f, text);
    char *set = many("templates=", "{item}", 100);
    check_too_large(f, set, 0, "makes 1e+06 texts for classifiers, expected at most 1e+06");
    free(set);
    free(list);
    free(text);

    list = many("", "{concept}", 10000);
    text = replace(valid, prompts, list);
    write_experiment(f, text);
    check_too_large(f, "model.layers=[0, 1, 2, 3]", 0, "makes 1.2e+05 directions to find");
    free(list);
    free(text);

    memset(long_name + 6, 'x', 201);
    text = replace(valid, "name: Dog", long_name);
    write_experiment(f, text);
    check_too_large(f, NULL, 5, "a name has at most 200 bytes, got 201");
    free(text);
}

// One short template with many places for a long item is not short when filled in.
static void test_text_that_explodes(void **state) {
    fixture *f = *state;
    va_strbuf set = {0};
    va_strbuf_puts(&set, "templates=[\"");
    for (int i = 0; i < 20000; i++)
        va_strbuf_puts(&set, "{item}");
    va_strbuf_puts(&set, "\"]");
    char *item = calloc(1, 6000);
    assert_non_null(item);
    memset(item, 'x', 5999);
    memcpy(item, "hard_negatives: [e, ", 20);
    item[5998] = ']';
    char *text = replace(valid, "hard_negatives: [e, f]", item);
    write_experiment(f, text);
    check_too_large(f, set.data, 0, "bytes of text, expected at most 1e+08");
    free(text);
    free(item);
    va_strbuf_free(&set);
}

// The committed schema is the one that the table prints.
static void test_schema_is_current(void **state) {
    fixture *f = *state;
    va_strbuf text = {0};
    va_map map;
    va_experiment_schema(&text);
    assert_ok(f->ctx, va_map_open(f->ctx, VA_SOURCE_DIR "/experiments/schema.json", &map));
    assert_int_equal(map.size_bytes, text.len);
    assert_memory_equal(map.data, text.data, (size_t)text.len);
    va_map_close(&map);
    va_strbuf_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mistakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_mistakes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overrides, setup, teardown),
        cmocka_unit_test_setup_teardown(test_override_of_an_alias, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_concepts_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_that_explodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schema_is_current, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
