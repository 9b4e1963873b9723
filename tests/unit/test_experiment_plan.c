// test_experiment_plan.c: an experiment's units: how many, how they are found again, and what
// their keys depend on.
// libs: va_experiment
// SPDX-License-Identifier: Apache-2.0
#include "experiment_case.h"

#include "plan.h"

static const char valid[] =
    "version: 1\n"
    "name: test\n"
    "model: {path: MODEL, layers: [2, 4]}\n"
    "concepts:\n"
    "  - {name: Dog, positives: [a, b, c, d], hard_negatives: [e, f, g, h]}\n"
    "  - {name: Cat, positives: [i, j, k, l], hard_negatives: [m, n, o, p, q]}\n"
    "prompts: [\"The {concept} is\", \"A {concept} means\", \"Any {concept}\"]\n"
    "templates: [\"{item} is\"]\n"
    "directions:\n"
    "  back: {kind: jacobian, from: \"resid:1@last\", to: \"norm:{layer}@last\",\n"
    "    reduce: pullback, of: near}\n"
    "  jac: {kind: jacobian, to: \"norm:{layer}@last\", mode: exact}\n"
    "  mean: {kind: jacobian, from: \"resid:1@last\", to: \"norm:2@last\", average: true}\n"
    "  near: {kind: mlp, site: \"norm:{layer}@last\", hidden: [8, 4], seeds: 3, epochs: 5}\n"
    "  top: {kind: logistic, site: \"norm:last@last\", l2: 1}\n"
    "  ext: {kind: file, path: \"{concept}.npy\", site: \"norm:{layer}@last\"}\n"
    "  pca: {kind: pca, site: \"norm:{layer}@last\", rank: 2}\n"
    "metrics:\n"
    "  - {name: a, of: [jac, near], nulls: [permutation], bootstrap: [items]}\n"
    "  - {name: b, of: [top, ext], across_sites: true, bootstrap: [items]}\n"
    "seed: 3\n"
    "output: out\n";

static int setup_files(void **state) {
    setup(state);
    write_vectors(*state, "Dog.npy", 0, D_MODEL, 1);
    write_vectors(*state, "Cat.npy", 0, D_MODEL, 2);
    return 0;
}

enum { N_CONCEPTS = 2, N_LAYERS = 2, N_PROMPTS = 3, N_SEEDS = 3 };

static void counts_units(void **state) {
    va_experiment *e = NULL;
    accept_text(*state, valid, &e);
    const va_plan *p = &e->plan;
    int64_t n[4] = {0};
    for (int64_t i = 0; i < p->n_units; i++)
        n[p->units[i].kind]++;
    assert_int_equal(n[VA_UNIT_CAPTURE], 1); // 17 texts
    assert_int_equal(n[VA_UNIT_DIRECTION],
                     N_CONCEPTS * (2 * N_LAYERS * N_PROMPTS /* back, jac */ + 1 /* mean */ +
                                   N_LAYERS * N_SEEDS + 1 /* top */ + 2 * N_LAYERS /* ext, pca */));
    assert_int_equal(n[VA_UNIT_PERMUTED], N_LAYERS);      // near
    assert_int_equal(n[VA_UNIT_RESAMPLED], N_LAYERS + 1); // near, top
    const va_plan_summary s = va_experiment_plan(e);
    assert_int_equal(s.n_units, p->n_units);
    assert_int_equal(s.n_directions, n[VA_UNIT_DIRECTION]);
    assert_int_equal(s.n_results, N_CONCEPTS * N_LAYERS * N_PROMPTS);
    va_experiment_free(&e);
}

// A number that depends on neither layer nor prompt stands at the first of them.
static void counts_results(void **state) {
    static const struct {
        const char *metrics;
        int64_t n;
    } rows[] = {
        {"metrics:\n  - {name: a, of: [top, mean], across_sites: true}\n", 1},
        {"metrics:\n  - {name: a, of: [near, ext]}\n", N_LAYERS},
        {"metrics:\n  - {name: a, of: [jac, mean], across_sites: true}\n", N_LAYERS * N_PROMPTS},
    };
    for (int64_t i = 0; i < VA_COUNT(rows); i++) {
        va_experiment *e = NULL;
        char text[4096];
        const char *from = strstr(valid, "metrics:"), *to = strstr(valid, "seed: 3");
        snprintf(text, sizeof text, "%.*s%s%s", (int)(from - valid), valid, rows[i].metrics, to);
        accept_text(*state, text, &e);
        assert_int_equal(va_experiment_plan(e).n_results, N_CONCEPTS * rows[i].n);
        va_experiment_free(&e);
    }
}

// Prompts of one length cost the same, longer ones more; layers and directions are apart.
static void costs_follow_shapes(void **state) {
    va_experiment *e = NULL;
    accept_text(*state, valid, &e);
    enum { JAC = 1 };
#define COST(c, layer, prompt) e->plan.units[va_plan_find(e, JAC, c, layer, prompt, 0)].flop
    const va_plan_prompt *p = e->plan.prompts; // [concepts, prompts]
    for (int64_t i = 0; i < N_CONCEPTS * N_PROMPTS; i++)
        for (int64_t j = 0; j < N_CONCEPTS * N_PROMPTS; j++) {
            const double a = COST(i / N_PROMPTS, 0, i % N_PROMPTS);
            const double b = COST(j / N_PROMPTS, 0, j % N_PROMPTS);
            assert_true(a > 0 && (p[i].n_ids < p[j].n_ids) == (a < b));
        }
    assert_true(COST(0, 0, 0) < COST(0, 1, 0));
#undef COST
    va_experiment_free(&e);
}

static void assert_unit(const va_experiment *e, int64_t unit, const char *name) {
    assert_in_range(unit, 0, e->plan.n_units - 1);
    assert_string_equal(e->plan.units[unit].name, name);
}

static void finds_units_by_name(void **state) {
    va_experiment *e = NULL;
    accept_text(*state, valid, &e);
    enum { BACK, JAC, MEAN, NEAR, TOP, EXT, PCA };
    assert_unit(e, va_plan_find(e, JAC, 0, 0, 0, 0), "jac/Dog/layer2/prompt0");
    assert_unit(e, va_plan_find(e, JAC, 1, 1, 2, 0), "jac/Cat/layer4/prompt2");
    assert_unit(e, va_plan_find(e, BACK, 1, 0, 1, 0), "back/Cat/layer2/prompt1");
    assert_unit(e, va_plan_find(e, MEAN, 1, 1, 2, 0), "mean/Cat");
    assert_unit(e, va_plan_find(e, NEAR, 0, 1, 2, 0), "near/Dog/layer4");
    assert_unit(e, va_plan_find(e, NEAR, 1, 0, 2, 2), "near/Cat/layer2/seed2");
    assert_unit(e, va_plan_find(e, TOP, 1, 1, 1, 0), "top/Cat");
    assert_unit(e, va_plan_find(e, EXT, 1, 1, 1, 0), "ext/Cat/layer4");
    assert_unit(e, va_plan_find_drawn(e, VA_UNIT_PERMUTED, NEAR, 1), "near/permuted/layer4");
    assert_unit(e, va_plan_find_drawn(e, VA_UNIT_RESAMPLED, NEAR, 0), "near/resampled/layer2");
    assert_unit(e, va_plan_find_drawn(e, VA_UNIT_RESAMPLED, TOP, 1), "top/resampled");
    assert_int_equal(va_plan_find_drawn(e, VA_UNIT_PERMUTED, TOP, 0), -1);
    assert_int_equal(va_plan_find_drawn(e, VA_UNIT_RESAMPLED, PCA, 0), -1);
    // what is pulled back is there before
    assert_true(va_plan_find(e, NEAR, 1, 1, 0, 0) < va_plan_find(e, BACK, 0, 0, 0, 0));
    va_experiment_free(&e);
}

// Every place has a unit of its own, and every unit a place.
static void finds_every_unit_once(void **state) {
    va_experiment *e = NULL;
    accept_text(*state, valid, &e);
    bool *seen = calloc((size_t)e->plan.n_units, sizeof *seen);
    int64_t n = 0;
    for (int64_t d = 0; d < e->spec.n_directions; d++) {
        const va_unit_block *b = &e->plan.blocks[d];
        for (int64_t i = 0; i < N_CONCEPTS * b->n_layers * b->n_prompts * b->n_seeds; i++) {
            const int64_t seed = i % b->n_seeds, prompt = i / b->n_seeds % b->n_prompts;
            const int64_t layer = i / b->n_seeds / b->n_prompts % b->n_layers;
            const int64_t c = i / b->n_seeds / b->n_prompts / b->n_layers;
            const int64_t unit = va_plan_find(e, d, c, layer, prompt, seed);
            const va_unit *u = &e->plan.units[unit];
            assert_false(seen[unit]);
            seen[unit] = true;
            assert_true(u->kind == VA_UNIT_DIRECTION && u->direction == d);
            assert_true(u->concept_index == c && u->seed == seed);
            assert_int_equal(u->layer, b->n_layers > 1 ? e->spec.layers[layer] : -1);
            assert_int_equal(u->prompt, b->n_prompts > 1 ? prompt : -1);
            n++;
        }
    }
    assert_int_equal(n, va_experiment_plan(e).n_directions);
    free(seen);
    va_experiment_free(&e);
}

// -- keys ----------------------------------------------------------------------------------------

typedef struct keys {
    char (*hex)[65]; // [n]
    char (*name)[64];
    int64_t n;
} keys;

static keys keys_of(fixture *f, const char *text) {
    va_experiment *e = NULL;
    accept_text(f, text, &e);
    keys k = {.n = e->plan.n_units};
    k.hex = calloc((size_t)k.n, sizeof *k.hex);
    k.name = calloc((size_t)k.n, sizeof *k.name);
    for (int64_t i = 0; i < k.n; i++) {
        assert_ok(f->ctx, va_plan_key(e, i, k.hex[i]));
        assert_int_equal(strlen(k.hex[i]), 64);
        snprintf(k.name[i], sizeof k.name[i], "%s", e->plan.units[i].name);
        for (int64_t j = 0; j < i; j++) // in one experiment no two are alike
            if (strcmp(k.hex[i], k.hex[j]) == 0)
                fail_msg("%s and %s have one key", k.name[i], k.name[j]);
    }
    va_experiment_free(&e);
    return k;
}

static void free_keys(keys *k) {
    free(k->hex);
    free(k->name);
}

static bool starts_with_one_of(const char *name, const char *list) {
    char copy[256];
    snprintf(copy, sizeof copy, "%s", list);
    for (char *save = NULL, *one = strtok_r(copy, " ", &save); one;
         one = strtok_r(NULL, " ", &save))
        if (strncmp(name, one, strlen(one)) == 0 || strcmp(one, "*") == 0)
            return true;
    return false;
}

// A change, and the units (the beginnings of their names) that it makes others of; names and their
// number stay.
#define OF_ITEMS(c) "capture near/" c " near/p near/r top/" c " top/r pca/" c " back/" c
#define PROMPT_0(d, c) d "/" c "/layer2/prompt0 " d "/" c "/layer4/prompt0 "
static const struct {
    const char *old, *new, *changed;
} changes[] = {
    {"name: test", "name: other", ""},
    {"output: out", "output: elsewhere", ""},
    {"output: out", "question: why", ""},
    {"{name: b, of: [top", "{name: c, kind: cosine, of: [top", ""},
    {"seed: 3", "chance: {draws: 99, alpha: 0.01}\nseed: 3", ""},
    {"seed: 3", "chance: {permutations: 99}\nseed: 3", "near/permuted"},
    {"seed: 3", "chance: {resamples: 99}\nseed: 3", "near/resampled top/resampled"},
    {"seed: 3", "seed: 4", "near top pca back"},
    {"[a, b, c, d]", "[b, a, c, d]", OF_ITEMS("Dog")}, // items are numbered
    {"[a, b, c, d]", "[z, b, c, d]", OF_ITEMS("Dog")},
    {"[i, j, k, l], hard_negatives: [m,", "[m, j, k, l], hard_negatives: [i,", OF_ITEMS("Cat")},
    {"k, l], hard_negatives: [m,", "k, l, m], hard_negatives: [", // another label, nothing else
     "near/Cat near/p near/r top/Cat top/r pca/Cat back/Cat"},
    {"{item} is", "{item} was", "capture near top pca back"},
    {"The {concept} is", "This {concept} is",
     PROMPT_0("jac", "Dog") PROMPT_0("jac", "Cat") PROMPT_0("back", "Dog")
         PROMPT_0("back", "Cat") "mean"},
    {"mode: exact", "mode: detached", "jac"},
    {"mode: exact", "from: \"resid:1@all\"", "jac"},
    {"average: true", "average: true, mode: detached", "mean"},
    {"epochs: 5", "epochs: 6", "near back"},
    {"epochs: 5", "epochs: 5, batch: 7", "near back"},
    {"epochs: 5", "epochs: 5, learning_rate: 0.002", "near back"},
    {"epochs: 5", "epochs: 5, weight_decay: 0.02", "near back"},
    {"epochs: 5", "epochs: 5, dropout: 0", "near back"},
    {"epochs: 5", "epochs: 5, direction: mean_gradient", "near back"},
    {"epochs: 5", "epochs: 5, held_out: 0.5", "near back"},
    {"hidden: [8, 4]", "hidden: [8, 5]", "near back"},
    {"l2: 1", "l2: 2", "top"},
    {"l2: 1", "held_out: 0.4", "top"},
    {"rank: 2", "rank: 3", "pca"},
    {"\"resid:1@last\", to: \"norm:2@last\"", "\"resid:0@last\", to: \"norm:2@last\"", "mean"},
};

static void keys_tell_what_changed(void **state) {
    fixture *f = *state;
    keys before = keys_of(f, valid);
    for (int64_t i = 0; i < VA_COUNT(changes); i++) {
        char *text = replace(valid, changes[i].old, changes[i].new);
        keys after = keys_of(f, text);
        assert_int_equal(before.n, after.n);
        for (int64_t u = 0; u < after.n; u++) {
            const bool expected = starts_with_one_of(after.name[u], changes[i].changed);
            assert_string_equal(before.name[u], after.name[u]);
            if ((strcmp(before.hex[u], after.hex[u]) != 0) != expected)
                fail_msg("%s -> %s: the key of %s was expected to %s", changes[i].old,
                         changes[i].new, after.name[u], expected ? "change" : "stay");
        }
        free_keys(&after);
        free(text);
    }
    free_keys(&before);
}

static void keys_know_a_files_content(void **state) {
    fixture *f = *state;
    keys before = keys_of(f, valid);
    write_vectors(f, "Dog.npy", 0, D_MODEL, 3);
    keys after = keys_of(f, valid);
    for (int64_t u = 0; u < after.n; u++)
        assert_int_equal(strcmp(before.hex[u], after.hex[u]) != 0,
                         strncmp(after.name[u], "ext/Dog", 7) == 0);
    free_keys(&before);
    free_keys(&after);
    va_experiment *e = NULL;
    char hex[65], path[VA_TEST_PATH];
    accept_text(f, valid, &e);
    assert_int_equal(remove(va_test_join(path, f->dir, "Cat.npy")), 0);
    assert_error(f->ctx, VA_ERR_FILE, "Cat.npy",
                 va_plan_key(e, va_plan_find(e, 5, 1, 0, 0, 0), hex));
    va_experiment_free(&e);
}

// The same work in another experiment: under other names, among other directions and layers.
static void keys_are_the_same_for_the_same_work(void **state) {
    fixture *f = *state;
    static const char other[] =
        "version: 1\n"
        "name: other\n"
        "model: {path: MODEL, layers: [0, 4]}\n"
        "concepts:\n"
        "  - {name: Cat, positives: [i, j, k, l], hard_negatives: [m, n], "
        "random_negatives: [o, p, q]}\n"
        "prompts: [\"Any {concept}\"]\n"
        "templates: [\"{item} is\"]\n"
        "directions:\n"
        "  x: {kind: mlp, site: \"norm:{layer}@last\", hidden: [8, 4], seeds: 1, epochs: 5}\n"
        "  y: {kind: jacobian, from: embed@all, to: \"norm:{layer}@last\"}\n"
        "metrics:\n"
        "  - {name: z, of: [y, x]}\n"
        "seed: 5\n";
    static const char *const pairs[][2] = {
        {"near/Cat/layer4/seed2", "x/Cat/layer4"}, // seed 3 + 2
        {"jac/Cat/layer4/prompt2", "y/Cat/layer4/prompt0"},
    };
    keys a = keys_of(f, valid), b = keys_of(f, other);
    for (int64_t k = 0; k < VA_COUNT(pairs); k++) {
        const char *hex[2] = {"a", "b"};
        for (int64_t i = 0; i < a.n; i++)
            if (strcmp(a.name[i], pairs[k][0]) == 0)
                hex[0] = a.hex[i];
        for (int64_t i = 0; i < b.n; i++)
            if (strcmp(b.name[i], pairs[k][1]) == 0)
                hex[1] = b.hex[i];
        assert_string_equal(hex[0], hex[1]);
    }
    free_keys(&a);
    free_keys(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_files, teardown)
        TEST(counts_units),
        TEST(counts_results),
        TEST(costs_follow_shapes),
        TEST(finds_units_by_name),
        TEST(finds_every_unit_once),
        TEST(keys_tell_what_changed),
        TEST(keys_know_a_files_content),
        TEST(keys_are_the_same_for_the_same_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
