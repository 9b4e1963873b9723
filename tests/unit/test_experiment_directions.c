// test_experiment_directions.c: what the kinds of directions and the sources of concepts refuse,
// and where they say so.
// libs: va_experiment
// SPDX-License-Identifier: Apache-2.0
#include "experiment_case.h"

static const char valid[] =
    "version: 1\n"                                                                    // 1
    "name: test\n"                                                                    // 2
    "model: {path: MODEL, layers: [2, 4]}\n"                                          // 3
    "concepts:\n"                                                                     // 4
    "  - {name: Dog, positives: [a, b, c, d], hard_negatives: [e, f, g, h]}\n"        // 5
    "prompts: [\"The {concept} is\", \"A {concept} means\"]\n"                        // 6
    "templates: [\"{item} is\", \"What is {item}?\"]\n"                               // 7
    "directions:\n"                                                                   // 8
    "  jac: {kind: jacobian, to: \"norm:{layer}@last\"}\n"                            // 9
    "  right: {kind: jacobian, from: \"resid:1@last\", to: \"norm:{layer}@last\",\n"  // 10
    "    reduce: right, rank: 3}\n"                                                   // 11
    "  token: {kind: jacobian, from: \"resid:1@last\", to: \"logits@last\",\n"        // 12
    "    reduce: gradient, token: 'a', versus: 'b'}\n"                                // 13
    "  back: {kind: jacobian, from: \"resid:1@last\", to: \"norm:{layer}@last\",\n"   // 14
    "    reduce: pullback, of: probe}\n"                                              // 15
    "  mean: {kind: jacobian, from: \"resid:1@last\", to: \"norm:{layer}@last\",\n"   // 16
    "    average: true}\n"                                                            // 17
    "  near: {kind: mlp, site: \"norm:{layer}@last\", hidden: [8, 4], seeds: 2}\n"    // 18
    "  far: {kind: difference, site: \"norm:last@mean\"}\n"                           // 19
    "  pca: {kind: pca, site: \"norm:{layer}@last\", rank: 3}\n"                      // 20
    "  lda: {kind: lda, site: \"norm:{layer}@last\", shrinkage: 0.5}\n"               // 21
    "  probe: {kind: logistic, site: \"norm:{layer}@last\", l2: 2}\n"                 // 22
    "  ext: {kind: file, path: \"v/{concept}.npy\", site: \"norm:{layer}@last\"}\n"   // 23
    "  pack: {kind: pack, path: p, site: \"norm:{layer}@last\", direction: w1_svd}\n" // 24
    "metrics:\n"                                                                      // 25
    "  - {name: alignment, of: [jac, probe]}\n";                                      // 26

static void make_folder(fixture *f, const char *name) {
    char path[VA_TEST_PATH];
    assert_ok(f->ctx, va_make_dirs(f->ctx, va_test_join(path, f->dir, name)));
}

// A classifier of the fixture's pack, under another name.
static void write_classifier(fixture *f, const char *name) {
    char path[VA_TEST_PATH];
    va_map map = {0};
    assert_ok(f->ctx, va_map_open(f->ctx, va_test_fixture(path, "pack/layer0/Abstract.pt"), &map));
    assert_ok(f->ctx,
              va_file_write(f->ctx, va_test_join(path, f->dir, name), map.data, map.size_bytes));
    va_map_close(&map);
}

static int setup_files(void **state) {
    setup(state);
    fixture *f = *state;
    make_folder(f, "v");
    make_folder(f, "p/layer0");
    write_vectors(f, "v/Dog.npy", 0, D_MODEL, 1);
    write_classifier(f, "p/layer0/Dog.pt");
    return 0;
}

static void accepts_every_kind(void **state) {
    va_experiment *e = NULL;
    accept_text(*state, valid, &e);
    va_experiment_free(&e);
}

static const case_row cases[] = {
    // keys of another kind, or of another reduction
    {"to: \"norm:{layer}@last\"}", "to: \"norm:{layer}@last\", token: a}", 9,
     "directions.jac.token: expected nothing unless reduce is gradient"},
    {"to: \"norm:{layer}@last\"}", "to: \"norm:{layer}@last\", versus: a}", 9,
     "directions.jac.versus: expected nothing unless reduce is gradient"},
    {"to: \"norm:{layer}@last\"}", "to: \"norm:{layer}@last\", of: probe}", 9,
     "directions.jac.of: expected nothing unless reduce is pullback"},
    {"to: \"norm:{layer}@last\"}", "to: \"norm:{layer}@last\", rank: 2}", 9,
     "directions.jac.rank: expected 1 unless reduce is right or left"},
    {"to: \"norm:{layer}@last\"}", "to: \"norm:{layer}@last\", reduce: norm}", 9,
     "directions.jac.reduce: expected one of jx, right, left, gradient, pullback, got 'norm'"},
    {"to: \"norm:{layer}@last\"}", "to: \"norm:{layer}@last\", seeds: 2}", 9,
     "directions.jac: unknown key 'seeds'"},
    {"l2: 2", "rank: 2", 22, "directions.probe: unknown key 'rank'"},
    {"l2: 2", "l2: 0", 22, "directions.probe.l2: expected a number from 1e-09"},
    {"shrinkage: 0.5", "l2: 2", 21, "directions.lda: unknown key 'l2'"},
    {"shrinkage: 0.5", "shrinkage: 1.5", 21, "shrinkage: expected a number from -1 to 1, got 1.5"},
    {"shrinkage: 0.5", "shrinkage: -0.5", 21,
     "directions.lda.shrinkage: expected -1 or a number from 0 to 1, got -0.5"},
    {"direction: w1_svd", "epochs: 2", 24, "directions.pack: unknown key 'epochs'"},
    {"path: p, ", "", 24, "directions.pack.path: missing"},
    {"norm:last@mean\"}", "norm:last@mean\", held_out: 0.95}", 19, "held_out: expected a number"},
    {"seeds: 2", "seeds: 0", 18, "directions.near.seeds: expected a number from 1 to 100, got 0"},
    // positions
    {"resid:1@last\", to: \"norm:{layer}@last\",\n    reduce: right",
     "resid:1@all\", to: \"norm:{layer}@last\",\n    reduce: right", 10,
     "directions.right.from: expected one position, got @all"},
    {"resid:1@last\", to: \"norm:{layer}@last\",\n    average",
     "embed@all\", to: \"norm:{layer}@last\",\n    average", 16,
     "directions.mean.from: expected one position, got @all"},
    {"norm:last@mean", "norm:last@all", 19, "directions.far.site: expected one position, got @all"},
    // gradients
    {"token: 'a'", "token: ''", 12, "directions.token.token: expected the text of one token"},
    {"token: 'a'", "token: 'a b c d'", 12, "directions.token.token: expected one token, 'a b c d'"},
    {"versus: 'b'", "versus: 'a b c d'", 12, "directions.token.versus: expected one token"},
    {"versus: 'b'", "versus: 'a'", 12, "directions.token.versus: expected another token than"},
    {"logits@last", "norm:last@last", 12, "directions.token.to: expected logits for a gradient"},
    // pullbacks
    {"of: probe}", "of: prboe}", 14, "directions.back.of: there is no direction 'prboe'"},
    {"of: probe}", "of: far}", 14,
     "directions.back.of: 'far' lives at norm:last@mean, and `to` is norm:{layer}@last"},
    {"of: probe}", "of: pca}", 14, "directions.back.of: expected a direction of rank 1"},
    {"of: probe}", "of: jac}", 14, "directions.back.of: expected a direction from data or a file"},
    {", of: probe}", "}", 14, "directions.back.of: expected the direction pulled back"},
    // ranks that the model or the items do not have
    {"reduce: right, rank: 3", "reduce: right, rank: 1000", 10, "directions.right.rank: 1000"},
    {"seeds: 2", "rank: 9", 18, "directions.near.rank: 9 exceeds the first hidden layer's (8)"},
    {"seeds: 2", "rank: 2, direction: weighted_w1", 18,
     "directions.near.rank: expected 1 unless direction is w1_svd"},
    {"direction: w1_svd", "rank: 2, direction: mean_gradient", 24,
     "directions.pack.rank: expected 1 unless direction is w1_svd"},
    {"rank: 3}\n  lda", "rank: 7}\n  lda", 20,
     "directions.pca.rank: 7 exceeds the training pairs of a concept (6)"},
    // items
    {"positives: [a, b, c, d]", "positives: [a, b, c, c]", 5,
     "expected at least 4 different positives for a classifier, got 3"},
    {"hard_negatives: [e, f, g, h]", "hard_negatives: [e, f, g], random_negatives: [g]", 5,
     "expected at least 4 negatives for a classifier, got 3"},
};

static void refuses_directions(void **state) {
    check_cases(*state, valid, cases, VA_COUNT(cases));
}

// -- files of other makers -----------------------------------------------------------------------

// What stands in them is looked at before anything runs; of one file there is one mistake, however
// many concepts and layers take it.
static void refuses_files(void **state) {
    fixture *f = *state;
    static const case_row rows[] = {
        {"v/{concept}.npy", "w/{concept}.npy", 23, "w/Dog.npy: "},
        {"v/{concept}.npy", "v/{concept}-{layer}.npy", 23, "v/Dog-4.npy: "},
        {"v/{concept}.npy", "text.npy", 23, "text.npy: "},
        {"v/{concept}.npy", "zero.npy", 23, "zero.npy: "},
        {"v/{concept}.npy", "narrow.npy", 23,
         "narrow.npy: expected 24 dimensions, as norm:2@last has, got 23"},
        {"v/{concept}.npy", "two.npy", 23, "two.npy: expected one vector, got 2"},
        {"npy\", site: \"norm:{layer}@last", "npy\", site: \"logits@last", 23,
         "v/Dog.npy: expected 811 dimensions, as logits:4@last has, got 24"},
        {"path: p", "path: q", 24, "q/layer0/Dog_classifier.pt: "},
        {"path: p", "path: bad", 24, "bad/layer0/Dog.pt: "},
        {"path: p, site: \"norm:{layer}@last", "path: p, site: \"logits@last", 24,
         "p/layer0/Dog.pt: expected 811 dimensions, as logits:4@last has, got 24"},
    };
    make_folder(f, "bad/layer0");
    write_beside(f, "bad/layer0/Dog.pt", "no checkpoint");
    write_beside(f, "text.npy", "no array");
    write_vectors(f, "zero.npy", 0, D_MODEL, 0);
    write_vectors(f, "narrow.npy", 0, D_MODEL - 1, 1);
    write_vectors(f, "two.npy", 2, D_MODEL, 1);
    write_vectors(f, "v/Dog-2.npy", 1, D_MODEL, 1); // [1, d] is one vector too
    check_cases(f, valid, rows, VA_COUNT(rows));
}

static void suggests_names(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    static const case_row rows[] = {
        {"of: probe}", "of: prboe}", 14, "there is no direction 'prboe'"},
        {"[jac, probe]", "[jac, porbe]", 26, "there is no direction 'porbe'"},
    };
    for (int64_t i = 0; i < VA_COUNT(rows); i++) {
        char *text = replace(valid, rows[i].old, rows[i].new);
        assert_string_equal(refuse_one(f, text, rows[i].line, rows[i].message, &e),
                            "did you mean 'probe'?");
        va_experiment_free(&e);
        free(text);
    }
}

// -- concepts that stand elsewhere ---------------------------------------------------------------

#define ONTOLOGY VA_SOURCE_DIR "/experiments/concepts/ontology"
static const char inline_concepts[] =
    "\n  - {name: Dog, positives: [a, b, c, d], hard_negatives: [e, f, g, h]}\n";

static char *with_concepts(const char *source) {
    char new[VA_TEST_PATH];
    snprintf(new, sizeof new, " %s\n", source);
    return replace(valid, inline_concepts, new);
}

static void refuses_sources(void **state) {
    fixture *f = *state;
    static const struct {
        const char *source, *message;
    } rows[] = {
        {"{file: c.yaml, ontology: [" ONTOLOGY "], names: [Animal]}", "concepts: expected a list"},
        {"{seed: 1}", "concepts: expected a list, {file: F} or"},
        {"{ontology: [" ONTOLOGY "]}", "concepts.names: missing"},
        {"{file: c.yaml, names: [Dog]}", "concepts.names: for an ontology"},
        {"{ontology: [], names: [Animal]}", "concepts.ontology: expected at least 1 entry"},
        {"{ontology: [" ONTOLOGY "], names: [Physicl]}", "did you mean 'Physical'?"},
        {"{ontology: [" ONTOLOGY "], names: [Physical, Physical]}", "stands there twice"},
        {"{ontology: [" ONTOLOGY "], names: [Physical], positives: 3}", "number from 4"},
        {"{ontology: [" ONTOLOGY "], names: [Of]}", "expected at least 4 positives, got"},
    };
    for (int64_t i = 0; i < VA_COUNT(rows); i++) {
        va_experiment *e = NULL;
        char *text = with_concepts(rows[i].source);
        write_experiment(f, text);
        if (load(f, NULL, 0, &e) != VA_ERR_SPEC || !has_diagnostic(e, 4, rows[i].message))
            fail_msg("%s: expected: %s", rows[i].source, rows[i].message);
        va_experiment_free(&e);
        free(text);
    }
}

// What the file is to blame for ends with the file's class of error, and is a diagnostic too.
static void source_files_that_cannot_be_used(void **state) {
    fixture *f = *state;
    static const struct {
        const char *source;
        va_status status;
        const char *message;
    } rows[] = {
        {"{file: gone.jsonl}", VA_ERR_FILE, "gone.jsonl"},
        {"{file: gone.yaml}", VA_ERR_FILE, "gone.yaml"},
        {"{ontology: [gone], names: [Animal]}", VA_ERR_FILE, "gone"},
        {"{file: bad.jsonl}", VA_ERR_FORMAT, "bad.jsonl:2"},
    };
    write_beside(f, "bad.jsonl",
                 "{\"name\": \"Dog\", \"positives\": [\"a\", \"b\", \"c\", \"d\"]}\n{");
    for (int64_t i = 0; i < VA_COUNT(rows); i++) {
        va_experiment *e = NULL;
        char *text = with_concepts(rows[i].source);
        write_experiment(f, text);
        assert_error(f->ctx, rows[i].status, rows[i].message, load(f, NULL, 0, &e));
        assert_true(has_diagnostic(e, 4, rows[i].message));
        va_experiment_free(&e);
        free(text);
    }
}

// Paths of --set are relative to the working directory, those of the file to its folder.
static void paths_of_set(void **state) {
    fixture *f = *state;
    va_experiment *e = NULL;
    static const char *const set[] = {"concepts.ontology=[nowhere]"};
    char *text = with_concepts("{ontology: [beside], names: [Physical]}");
    write_experiment(f, text);
    assert_int_equal(load(f, NULL, 0, &e), VA_ERR_FILE);
    assert_non_null(strstr(va_error_message(f->ctx), f->dir));
    va_experiment_free(&e);
    assert_int_equal(load(f, set, 1, &e), VA_ERR_FILE);
    assert_null(strstr(va_error_message(f->ctx), f->dir));
    va_experiment_free(&e);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_files, teardown)
        TEST(accepts_every_kind), TEST(refuses_directions), TEST(refuses_files),
        TEST(suggests_names),     TEST(refuses_sources),    TEST(source_files_that_cannot_be_used),
        TEST(paths_of_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
