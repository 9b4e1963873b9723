// test_experiment_metrics.c: what the kinds of metrics, their chance, and expectations refuse, and
// where they say so.
// libs: va_experiment
// SPDX-License-Identifier: Apache-2.0
#include "experiment_case.h"

#include "plan.h"

static const char valid[] =
    "version: 1\n"                                                                 // 1
    "name: test\n"                                                                 // 2
    "model: {path: MODEL, layers: [2, 4]}\n"                                       // 3
    "concepts:\n"                                                                  // 4
    "  - {name: Dog, positives: [a, b, c, d], hard_negatives: [e, f, g, h]}\n"     // 5
    "  - {name: Cat, positives: [i, j, k, l], hard_negatives: [m, n, o, p]}\n"     // 6
    "  - {name: Eel, positives: [q, r, s, t], hard_negatives: [u, v, w, x]}\n"     // 7
    "prompts: [\"The {concept} is\", \"A {concept} means\", \"Any {concept}\"]\n"  // 8
    "directions:\n"                                                                // 9
    "  jac: {kind: jacobian, to: \"norm:{layer}@last\"}\n"                         // 10
    "  left: {kind: jacobian, to: \"norm:{layer}@last\", reduce: left, rank: 3}\n" // 11
    "  near: {kind: mlp, site: \"norm:{layer}@last\", hidden: [8, 4], seeds: 2}\n" // 12
    "  top: {kind: difference, site: \"norm:last@last\"}\n"                        // 13
    "  pca: {kind: pca, site: \"norm:{layer}@last\", rank: 2}\n"                   // 14
    "  lda: {kind: lda, site: \"norm:{layer}@last\", held_out: 0.4}\n"             // 15
    "  ext: {kind: file, path: v.npy, site: \"norm:{layer}@last\"}\n"              // 16
    "  words: {kind: difference, site: \"logits@last\"}\n"                         // 17
    "metrics:\n"                                                                   // 18
    "  - {name: cos, of: [jac, near], nulls: [analytic, random, covariance, permutation],\n"
    "     bootstrap: [items, prompts]}\n"                                                // 20
    "  - {name: sub, kind: subspace, of: [left, pca], nulls: [analytic, permutation],\n" // 21
    "     ranks: [1, 2], bootstrap: [items]}\n"                                          // 22
    "  - {name: spec, kind: spectrum, of: [left, pca]}\n"                                // 23
    "  - {name: cka, kind: cka, of: [near, top], nulls: [permutation]}\n"                // 24
    "  - {name: move, kind: transfer, of: [jac, lda], nulls: [random]}\n"                // 25
    "  - {name: agree, kind: agreement, of: [jac], over: prompts}\n"                     // 26
    "  - {name: rank, kind: spearman, of: [cos, move]}\n"                                // 27
    "  - {name: made, of: [ext, lda], nulls: []}\n"                                      // 28
    "expect:\n"                                                                          // 29
    "  - {metric: cos, statistic: mean, min: -1, max: 1}\n"                              // 30
    "  - {metric: sub rank 2, statistic: p, concept: Dog, layer: 2, max: 1}\n";          // 31

static int setup_file(void **state) {
    setup(state);
    write_vectors(*state, "v.npy", 0, D_MODEL, 1);
    return 0;
}

static void accepts_every_kind(void **state) {
    va_experiment *e = NULL;
    accept_text(*state, valid, &e);
    assert_int_equal(e->spec.n_metrics, 9); // one for each rank
    assert_string_equal(e->spec.metrics[1].name, "sub rank 1");
    assert_string_equal(e->spec.metrics[2].name, "sub rank 2");
    assert_int_equal(e->spec.metrics[2].ranks[0], 2);
    assert_int_equal(e->spec.metrics[3].n_ranks, 0);
    assert_int_equal(e->spec.expect[1].index, 2);
    assert_int_equal(e->spec.metrics[6].nulls.n, 1); // analytic, as the kind has it
    assert_int_equal(e->spec.metrics[8].nulls.n, 0); // none, as it was asked for
    va_experiment_free(&e);
}

static const case_row cases[] = {
    {"kind: cka", "kind: ckb", 24, "metrics[3].kind: expected one of cosine, subspace, spectrum"},
    {"kind: agreement, of: [jac]", "kind: agreement, of: [jac, near]", 26,
     "metric 'agree': expected one direction, got 2"},
    {"of: [cos, move]", "of: [cos]", 27, "metric 'rank': expected two metrics, got 1"},
    {"of: [cos, move]", "of: [cos, jac]", 27, "metric 'rank': there is no metric 'jac'"},
    {"of: [cos, move]", "of: [cos, agree]", 27,
     "expected metrics with one number for each concept"},
    {"of: [cos, move]", "of: [cos, rank]", 27, "expected metrics with one number for each concept"},
    {"  - {name: Eel, positives: [q, r, s, t], hard_negatives: [u, v, w, x]}\n", "", 26,
     "metric 'rank': expected at least 3 concepts to rank, got 2"},
    {"of: [jac], over: prompts", "of: [near], over: prompts", 26,
     "metric 'agree': expected at least two prompts of 'near', got 1"},
    {"of: [jac], over: prompts", "of: [jac], over: seeds", 26,
     "metric 'agree': expected at least two seeds of 'jac', got 1"},
    {"of: [jac], over: prompts", "of: [top], over: layers", 26,
     "metric 'agree': expected at least two layers of 'top', got 1"},
    {"of: [jac], over: prompts", "of: [left], over: prompts", 26,
     "metric 'agree': expected a direction of rank 1"},
    {"over: prompts", "over: prompts, bootstrap: [prompts]", 26,
     "metric 'agree': bootstrap is for metrics with one number for each concept"},
    {"of: [ext, lda]", "of: [ext, pca]", 28, "kind subspace compares frames"},
    {"of: [ext, lda]", "of: [ext, top]", 28, "'ext' lives at norm:{layer}@last and 'top' at"},
    {"of: [ext, lda]", "of: [ext, words], across_sites: true", 28, "they cannot be compared"},
    // frames
    {"ranks: [1, 2]", "ranks: [1, 2, 3]", 21, "metric 'sub': ranks[2]: 3 exceeds the frames' 2"},
    {"of: [ext, lda]", "of: [ext, lda], ranks: [1]", 28, "metric 'made': ranks are for kind subs"},
    {"spectrum, of: [left, pca]", "spectrum, of: [left, lda]", 23,
     "metric 'spec': expected frames"},
    {"spectrum, of: [left, pca]", "spectrum, of: [jac, pca]", 23, "metric 'spec': expected frames"},
    {"cka, of: [near, top]", "cka, of: [near, ext]", 24, "expected two that learn"},
    {"transfer, of: [jac, lda]", "transfer, of: [near, lda]", 25,
     "metric 'move': 'near' holds 0.2 of the items out and 'lda' 0.4, so that it has learnt from"},
    {"transfer, of: [jac, lda]", "transfer, of: [lda, jac]", 25,
     "the second direction must be one"},
    {"ranks: [1, 2]", "ranks: [1, 2, 1]", 21, "metrics: 'sub rank 1' stands there twice"},
    {"name: cka", "name: sub rank 1", 24, "metrics: 'sub rank 1' stands there twice"},
    // nulls
    {"spectrum, of: [left, pca]", "spectrum, of: [left, pca], nulls: [analytic]", 23,
     "metric 'spec': kind spectrum has no null 'analytic'"},
    {"near, top], nulls: [permutation]", "near, top], nulls: [random]", 24,
     "metric 'cka': kind cka has no null 'random'"},
    {"jac, lda], nulls: [random]", "jac, lda], nulls: [analytic]", 25,
     "metric 'move': kind transfer has no null 'analytic'"},
    {"jac, lda], nulls: [random]", "jac, lda], nulls: [permutation]", 25,
     "metric 'move': the permutation null needs a direction that learns"},
    {"of: [jac], over", "of: [jac], nulls: [permutation], over", 26,
     "metric 'agree': kind agreement has no null 'permutation'"},
    {"of: [cos, move]", "of: [cos, move], nulls: [random]", 27, "spearman has no null 'random'"},
    {"[ext, lda], nulls: []", "[ext, jac], nulls: [permutation]", 28,
     "metric 'made': the permutation null needs a direction that learns"},
    {"[ext, lda], nulls: []", "[ext, jac], nulls: [covariance]", 28,
     "metric 'made': the covariance null needs a direction that learns"},
    // bootstrap
    {", \"Any {concept}\"]", "]", 19, "metric 'cos': bootstrap prompts needs a direction that"},
    {"[ext, lda], nulls: []", "[ext, lda], bootstrap: [prompts]", 28, "bootstrap prompts needs a"},
    {"[ext, lda], nulls: []", "[ext, jac], bootstrap: [items]", 28, "bootstrap items needs kind"},
    {"jac, lda], nulls: [random]", "jac, lda], bootstrap: [items]", 25,
     "bootstrap items needs kind"},
    {"[items, prompts]", "[items, items]", 19, "metric 'cos': a bootstrap stands there twice"},
    {"[items, prompts]", "[items, seeds]", 20, "bootstrap[1]: expected one of items, prompts"},
    // chance
    {"expect:", "chance: {permutations: 18}\nexpect:", 29,
     "chance.permutations: expected a number"},
    {"expect:", "chance: {draws: 1e7}\nexpect:", 29,
     "chance.draws: expected an integer, got '1e7'"},
    {"expect:", "chance: {alpha: 0}\nexpect:", 29, "chance.alpha: expected a number from 1e-06"},
    {"expect:", "chance: {level: 1}\nexpect:", 29, "chance.level: expected a number from 0.5"},
    {"expect:", "chance: {correction: fdr}\nexpect:", 29,
     "chance.correction: expected one of benj"},
    {"expect:", "chance: {permutation: 20}\nexpect:", 29, "chance: unknown key 'permutation'"},
};

static void refuses_metrics(void **state) {
    check_cases(*state, valid, cases, VA_COUNT(cases));
}

// Each alone in the place of line 30.
static const struct {
    const char *expect, *message; // NULL: fine
} expectations[] = {
    {"metric: cso, statistic: mean, min: 0", "there is no metric 'cso'"},
    {"metric: sub, statistic: mean, min: 0", "there is no metric 'sub'"},
    {"metric: cos, statistic: median, min: 0", "statistic: expected one of value, abs, p"},
    {"metric: cos, statistic: value, concept: Dgo, min: 0", "there is no concept 'Dgo'"},
    {"metric: cos, statistic: value, layer: 3, min: 0", "layer 3 is not in model.layers"},
    {"metric: cos, statistic: value", "'cos' has neither min nor max"},
    {"metric: cos, statistic: value, min: 0.5, max: 0.25", "min 0.5 is above max 0.25"},
    {"metric: cos, statistic: value, min: x", "expect[0].min: expected a number, got 'x'"},
    {"metric: cos, statistic: low, concept: Dog, layer: 4, min: -1", NULL},
    {"metric: move, statistic: low, min: -1",
     "low of metric 'move': it has no bootstrap over items"},
    {"metric: made, statistic: p, max: 1", "p of metric 'made': it has no nulls"},
    {"metric: made, statistic: n_significant, min: 0", "it has no nulls"},
    {"metric: made, statistic: mean, concept: Dog, min: 0", "a concept has no several prompts"},
    {"metric: made, statistic: mean, layer: 2, min: 0", NULL},
    {"metric: cos, statistic: n_significant, concept: Dog, min: 0", NULL},
    {"metric: cos, statistic: std, concept: Dog, layer: 2, max: 1", NULL},
    {"metric: agree, statistic: std, max: 1", "std of metric 'agree': it has no such number"},
    {"metric: agree, statistic: mean, concept: Dog, layer: 2, min: 0", NULL},
    {"metric: agree, statistic: min, layer: 2, min: 0", NULL},
    {"metric: agree, statistic: min, min: 0", "min of metric 'agree': it has no such number"},
    {"metric: rank, statistic: value, concept: Dog, min: 0", "it is over all concepts"},
    {"metric: rank, statistic: p_adjusted, layer: 4, max: 1", NULL},
    {"metric: rank, statistic: mean, layer: 4, max: 1", "it has no such number"},
};

static void refuses_expectations(void **state) {
    fixture *f = *state;
    for (int64_t i = 0; i < VA_COUNT(expectations); i++) {
        char line[256];
        va_experiment *e = NULL;
        snprintf(line, sizeof line, "  - {%s}\n", expectations[i].expect);
        char *text = replace(valid, "  - {metric: cos, statistic: mean, min: -1, max: 1}\n", line);
        if (expectations[i].message)
            refuse_one(f, text, 30, expectations[i].message, &e);
        else
            accept_text(f, text, &e);
        va_experiment_free(&e);
        free(text);
    }
}

static void suggests_names(void **state) {
    fixture *f = *state;
    static const case_row rows[] = {
        {"of: [cos, move]", "of: [cos, mvoe]", 27, "did you mean 'move'?"},
        {"metric: cos,", "metric: cso,", 30, "did you mean 'cos'?"},
        {"concept: Dog", "concept: Dgo", 31, "did you mean 'Dog'?"},
        {"kind: spectrum", "kind: spectrun", 23, "did you mean 'spectrum'?"},
        {"statistic: mean", "statistic: maen", 30, "did you mean 'mean'?"},
    };
    for (int64_t i = 0; i < VA_COUNT(rows); i++) {
        va_experiment *e = NULL;
        char *text = replace(valid, rows[i].old, rows[i].new);
        assert_string_equal(refuse_one(f, text, rows[i].line, "", &e), rows[i].message);
        va_experiment_free(&e);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_file, teardown)
        TEST(accepts_every_kind),
        TEST(refuses_metrics),
        TEST(refuses_expectations),
        TEST(suggests_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
