// test_matrix.c: sweeps: which variants an experiment with a matrix has, and what is refused.
// libs: va_experiment
// SPDX-License-Identifier: Apache-2.0
#include "experiment_case.h"

#include "plan.h"

static const char valid[] =
    "version: 1\n"                                                             // 1
    "name: test\n"                                                             // 2
    "model: {path: MODEL, layers: [2]}\n"                                      // 3
    "concepts:\n"                                                              // 4
    "  - {name: Dog, positives: [a, b, c, d], hard_negatives: [e, f, g, h]}\n" // 5
    "prompts: [\"The {concept} is\"]\n"                                        // 6
    "directions:\n"                                                            // 7
    "  jac: {kind: jacobian, to: \"norm:{layer}@last\"}\n"                     // 8
    "  near: {kind: mlp, site: \"norm:{layer}@last\", epochs: 9}\n"            // 9
    "  next: {kind: mlp, site: \"norm:{layer}@last\", epochs: 9}\n"            // 10
    "metrics:\n"                                                               // 11
    "  - {name: alignment, of: [jac, near]}\n"                                 // 12
    "seed: 1\n"                                                                // 13
    "matrix:\n";                                                               // 14; rows from 15

static void write_matrix(fixture *f, const char *rows) {
    char text[4096];
    snprintf(text, sizeof text, "%s%s", valid, rows);
    write_experiment(f, text);
}

static va_status load_variant(fixture *f, int64_t variant, va_experiment **e) {
    const va_experiment_params params = {.path = f->path, .variant = variant};
    return va_experiment_load(f->ctx, &params, e);
}

static void variants_are_all_combinations(void **state) {
    fixture *f = *state;
    static const char *const modes[] = {"exact", "detached"};
    static const int64_t epochs[] = {2, 3, 5};
    write_matrix(f, "  directions.jac.mode: [exact, detached]\n"
                    "  \"directions.near.epochs, directions.next.epochs\": [2, 3, 5]\n");
    for (int64_t i = 0; i < 6; i++) {
        va_experiment *e = NULL;
        char name[64];
        snprintf(name, sizeof name, "mode=%s,epochs=%d", modes[i / 3], (int)epochs[i % 3]);
        assert_ok(f->ctx, load_variant(f, i, &e));
        assert_int_equal(va_experiment_variant_count(e), 6);
        assert_string_equal(va_experiment_variant_name(e), name);
        assert_int_equal(e->spec.directions[0].mode, i / 3);
        assert_int_equal(e->spec.directions[1].epochs, epochs[i % 3]);
        assert_int_equal(e->spec.directions[2].epochs, epochs[i % 3]);
        assert_int_equal(e->variant.n_set, 2);
        assert_string_equal(e->variant.set[0].path, "directions.jac.mode");
        assert_string_equal(e->variant.set[0].value->text, modes[i / 3]);
        assert_null(strstr(e->resolved, "matrix")); // it is one experiment now
        va_experiment_free(&e);
    }
}

static void without_a_matrix_there_is_one(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    char *text = replace(valid, "matrix:\n", "");
    accept_text(f, text, &e);
    assert_int_equal(va_experiment_variant_count(e), 1);
    assert_string_equal(va_experiment_variant_name(e), "");
    va_experiment_free(&e);
    free(text);
}

// Lists and maps are values too, and a key may be new.
static void values_of_any_kind(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    write_matrix(f, "  model.layers: [[1], [2, 3]]\n"
                    "  chance: [{draws: 50}, {draws: 60}]\n");
    assert_ok(f->ctx, load_variant(f, 3, &e));
    assert_string_equal(va_experiment_variant_name(e), "layers=2,chance=2");
    assert_int_equal(e->spec.n_layers, 2);
    assert_int_equal(e->spec.chance.draws, 60);
    va_experiment_free(&e);
}

// Every variant has a folder of its own, with a name that a folder can have.
static void names_differ(void **state) {
    fixture *f = *state;
    static const struct {
        const char *rows, *names[3];
    } sweeps[] = {
        {"  seed: [7, 8, 7]\n", {"seed=7~1", "seed=8", "seed=7~3"}},
        {"  question: [a b, \"a/b\", a=b]\n",
         {"question=a-b~1", "question=a-b~2", "question=a-b~3"}},
        {"  question: [0123456789012345678901234567890123456789x,\n"
         "    0123456789012345678901234567890123456789y, z]\n",
         {"question=0123456789012345678901234567890123456789~1",
          "question=0123456789012345678901234567890123456789~2", "question=z"}},
        {"  question: [x01234567890123456789012345678901234567\xC3\xA9, \"a\\nb\", \"\"]\n",
         {"question=x01234567890123456789012345678901234567", "question=a-b", "question="}},
    };
    for (int64_t k = 0; k < VA_COUNT(sweeps); k++) {
        write_matrix(f, sweeps[k].rows);
        for (int64_t i = 0; i < 3; i++) {
            va_experiment *e = NULL;
            assert_ok(f->ctx, load_variant(f, i, &e));
            assert_string_equal(va_experiment_variant_name(e), sweeps[k].names[i]);
            va_experiment_free(&e);
        }
    }
}

static void refuses(void **state) {
    fixture *f = *state;
    static const struct {
        const char *rows;
        int line;
        const char *message, *hint;
    } bad[] = {
        {"  seed: 3\n", 15, "matrix.seed: expected a list of values", ""},
        {"  seed: []\n", 15, "matrix.seed: expected a list of values", ""},
        {"  {}\n", 15, "matrix: expected a map of dotted keys", ""},
        {"  [seed]\n", 15, "matrix: expected a map of dotted keys", ""},
        {"  output: [a, b]\n", 15, "'output' cannot be swept", ""},
        {"  name: [a, b]\n", 15, "'name' cannot be swept", ""},
        {"  version: [1]\n", 15, "'version' cannot be swept", ""},
        {"  \"seed, output\": [1, 2]\n", 15, "matrix.seed, output: 'output' cannot be swept", ""},
        {"  matrix.x: [1, 2]\n", 15, "'matrix.x' cannot be swept", ""},
        {"  \", \": [1, 2]\n", 15, "matrix: expected a dotted key, got ', '", ""},
        {"  name.x: [1]\n", 15, "'name.x' cannot be swept", ""},
        {"  seed.x: [1]\n", 15, "seed.x: 'seed' is not a map", ""},
        {"  prompts.x: [1]\n", 15, "prompts.x: 'prompts' is not a map", ""},
        {"  seed: [1]\n  directions.jac.moed: [exact]\n", 16, "directions.jac: unknown key 'moed'",
         "did you mean 'mode'?"},
        {"  chanse.draws: [50]\n", 15, "unknown key 'chanse'", "did you mean 'chance'?"},
        {"  seed: [1]\n  directions.jac.mode: [exat]\n", 16, "got 'exat'", "did you mean 'exact'?"},
        {"  directions.new.kind: [mlp]\n", 15, "directions.new.site: missing", ""},
    };
    for (int64_t i = 0; i < VA_COUNT(bad); i++) {
        va_experiment *e = NULL;
        const va_diagnostic *d;
        char text[4096];
        snprintf(text, sizeof text, "%s%s", valid, bad[i].rows);
        const char *hint = refuse_one(f, text, bad[i].line, bad[i].message, &e);
        assert_string_equal(hint, bad[i].hint);
        assert_int_equal(va_experiment_diagnostics(e, &d), 1);
        assert_string_equal(d[0].file, f->path);
        va_experiment_free(&e);
    }
}

static void refuses_too_many(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    va_strbuf rows = {0};
    static const char *const keys[] = {"seed", "chance.draws", "chance.resamples"};
    for (int64_t k = 0; k < 3; k++) {
        va_strbuf_printf(&rows, "  %s: [", keys[k]);
        for (int i = 0; i < 11; i++)
            va_strbuf_printf(&rows, "%s%d", i ? ", " : "", 100 + i);
        va_strbuf_puts(&rows, "]\n");
    }
    write_matrix(f, rows.data);
    assert_int_equal(load(f, NULL, 0, &e), VA_ERR_SPEC); // 1331
    assert_true(has_diagnostic(e, 15, "matrix: expected at most 1000 combinations"));
    va_experiment_free(&e);
    va_strbuf_free(&rows);
}

// A name that is longer than a folder's may be.
static void refuses_long_names(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    write_matrix(f,
                 "  question: [0123456789012345678901234567890123456789]\n"
                 "  chance.draws: [100]\n"
                 "  \"directions.near.site\": [\"norm:0000000000000000000000000000000002@last\"]\n"
                 "  \"directions.next.site\": [\"norm:0000000000000000000000000000000002@last\"]\n"
                 "  \"directions.jac.to\": [\"norm:00000000000000000000000000000000002@last\"]\n"
                 "  \"directions.jac.from\": [\"resid:000000000000000000000000000001@all\"]\n");
    assert_int_equal(load(f, NULL, 0, &e), VA_ERR_SPEC);
    assert_true(has_diagnostic(e, 15, "matrix: a name has at most 200 bytes"));
    va_experiment_free(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(variants_are_all_combinations),
        TEST(without_a_matrix_there_is_one),
        TEST(values_of_any_kind),
        TEST(names_differ),
        TEST(refuses),
        TEST(refuses_too_many),
        TEST(refuses_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
