// Directions that others made: a vector in a file, a classifier of a pack; what is refused of them.
// SPDX-License-Identifier: Apache-2.0
#include "run_check.h"

#include "vkalign/probe.h"

#define PACK VA_FIXTURES "/pack"

static const char experiment[] =
    "version: 1\n"
    "name: others\n"
    "model: {path: \"" MODEL "\", layers: [2]}\n"
    "concepts:\n"
    "  - name: Physical\n"
    "    layer: 1\n"
    "    positives: [stone, water, tree, hand]\n"
    "    hard_negatives: [number, idea, run, fast]\n"
    "  - name: Abstract\n"
    "    positives: [number, idea, law, truth]\n"
    "    hard_negatives: [stone, water, tree, hand]\n"
    "prompts: [\"The concept of {concept} means\"]\n"
    "directions:\n"
    "  file: {kind: file, site: \"norm:{layer}@last\", path: \"v-{concept}-{layer}.npy\"}\n"
    "  pack: {kind: pack, site: \"norm:{layer}@last\", path: \"" PACK "\"}\n"
    "metrics:\n"
    "  - {name: others, of: [file, pack]}\n";

static outcome out;
static const char *yaml;

static void fill(int c, float v[D]) {
    for (int i = 0; i < D; i++)
        v[i] = (float)(c ? i - 7 : 3 + i % 5);
}

static int setup_group(void **state) {
    run_setup(state);
    float v[D];
    for (int c = 0; c < 2; c++) {
        fill(c, v);
        write_vector(c ? "v-Abstract-2.npy" : "v-Physical-2.npy", v, D);
    }
    yaml = write_text("o.yaml", experiment);
    run_experiment(&out, yaml, "out", NULL);
    return 0;
}

static int teardown_group(void **state) {
    close_outcome(&out);
    return run_teardown(state);
}

static void test_file(void **state) {
    (void)state;
    float v[D];
    for (int c = 0; c < 2; c++) {
        const char *unit = c ? "file/Abstract/layer2" : "file/Physical/layer2";
        fill(c, v);
        const float *got = saved(&out, unit, D);
        expect_close(cosine(got, v, D), 1, 1e-7);
        expect_close(sqrt(dot(got, got, D)), 1, 1e-6);
        expect_close(number(direction(&out, unit), "norm"), sqrt(dot(v, v, D)), 1e-5);
    }
}

// The mean gradient of Physical's logit over all of its items.
static void mean_gradient(float slope[D]) {
    static const char *const items[] = {"stone",  "water", "tree", "hand",
                                        "number", "idea",  "run",  "fast"};
    float X[VA_COUNT(items) * D];
    va_mlp mlp;
    for (int64_t i = 0; i < VA_COUNT(items); i++) {
        const char *path = path_of(env.dir, "x.npy");
        int n_dim;
        int64_t shape[VA_MAX_DIM];
        float *x;
        cli_run(&env.p, 0, NULL,
                CLI_ARGS("forward", "--model", MODEL, "--text",
                         va_arena_printf(env.arena, "The concept of %s means", items[i]), "--site",
                         "norm:2@last", "--out", path));
        assert_ok(env.ctx, va_npy_load(env.ctx, env.arena, path, &n_dim, shape, &x));
        assert_true(n_dim == 1 && shape[0] == D);
        memcpy(X + i * D, x, D * sizeof *x);
    }
    assert_ok(env.ctx,
              va_mlp_load(env.ctx, env.arena, PACK "/layer1/Physical_classifier.pt", &mlp));
    assert_ok(env.ctx, va_mlp_direction(env.ctx, &mlp, VA_MLP_MEAN_GRADIENT, X, VA_COUNT(items),
                                        slope, NULL));
}

// The top right singular vector by torch; the logit rises along it on the concept's own items.
static void test_pack(void **state) {
    (void)state;
    static const char *const concepts[] = {"Physical", "Abstract"};
    float slope[D];
    va_safetensors *st;
    assert_ok(env.ctx, va_safetensors_open(env.ctx, PACK "/expected.safetensors", &st));
    for (int c = 0; c < 2; c++) {
        const char *unit = va_arena_printf(env.arena, "pack/%s/layer2", concepts[c]);
        const float *want = floats(va_safetensors_find(st, concepts[c]), D);
        expect_close(fabs(dot(saved(&out, unit, D), want, D)), 1, 1e-6);
    }
    va_safetensors_close(&st);
    mean_gradient(slope);
    assert_true(dot(slope, saved(&out, "pack/Physical/layer2", D), D) > 0);
    expect_text(text(direction(&out, "pack/Physical/layer2"), "path"),
                "pack/layer1/Physical_classifier.pt");
    expect_text(text(direction(&out, "pack/Abstract/layer2"), "path"), "pack/layer0/Abstract.pt");
}

static void test_cosine(void **state) {
    (void)state;
    const va_json *m =
        item(va_json_get(item(va_json_get(out.results, "results"), 0), "metrics"), 0);
    expect_close(
        number(m, "cosine"),
        cosine(saved(&out, "file/Physical/layer2", D), saved(&out, "pack/Physical/layer2", D), D),
        1e-6);
}

// A changed file is read again, the rest is taken from the cache.
static void test_changed_file(void **state) {
    (void)state;
    outcome again;
    float v[D] = {0};
    v[3] = -2;
    write_vector("v-Physical-2.npy", v, D);
    run_experiment(&again, yaml, "again", NULL);
    assert_int_equal(reused(&again), n_units(&again) - 1);
    expect_close(saved(&again, "file/Physical/layer2", D)[3], -1, 1e-7);
    close_outcome(&again);
}

// Each file that was read stands in the results once, with what it held.
static void test_inputs(void **state) {
    (void)state;
    const char *const paths[] = {yaml, path_of(env.dir, "v-Physical-2.npy"),
                                 path_of(env.dir, "v-Abstract-2.npy"),
                                 PACK "/layer1/Physical_classifier.pt", PACK "/layer0/Abstract.pt"};
    outcome o;
    run_experiment(&o, yaml, "inputs", NULL);
    const va_json *list = va_json_get(va_json_get(o.results, "metadata"), "inputs");
    assert_int_equal(va_json_count(list), VA_COUNT(paths));
    for (int64_t i = 0; i < VA_COUNT(paths); i++) {
        char hex[65];
        assert_ok(env.ctx, va_file_sha256(env.ctx, paths[i], hex));
        assert_string_equal(text(item(list, i), "path"), paths[i]);
        assert_string_equal(text(item(list, i), "sha256"), hex);
    }
    close_outcome(&o);
}

// A file that is not there, or cannot be a direction, ends the run before it begins, also one that
// only a later variant of a sweep takes.
static void test_refused(void **state) {
    (void)state;
    const char *to = path_of(env.dir, "refused");
    const float zero[D] = {0}, narrow[3] = {1, 2, 3};
    const char *const set = "directions.file.path=nowhere-{concept}.npy";
    const char *sweep =
        write_text("s.yaml", va_arena_printf(env.arena,
                                             "%smatrix: {directions.file.path: "
                                             "[\"v-{concept}-{layer}.npy\", nowhere.npy]}\n",
                                             experiment));
    cli_run(&env.p, 2, NULL, CLI_ARGS("run", yaml, "--out", to, "--set", set, "--quiet"));
    assert_int_equal(cli_count_lines(env.p.err), 3); // a line for each file, and their number
    expect_text(env.p.err, "--set: directions.file.path: nowhere-Physical.npy");
    cli_run(&env.p, 2, NULL, CLI_ARGS("run", sweep, "--out", to));
    expect_text(env.p.err, "s.yaml:18:60: ");
    expect_text(env.p.err, "nowhere.npy");
    write_vector("v-Physical-2.npy", zero, D);
    cli_run(&env.p, 2, NULL, CLI_ARGS("run", yaml, "--out", to));
    expect_text(env.p.err, "v-Physical-2.npy");
    write_vector("v-Physical-2.npy", narrow, 3);
    cli_run(&env.p, 2, NULL, CLI_ARGS("validate", yaml));
    expect_text(env.p.err, "v-Physical-2.npy: expected 24 dimensions, as norm:2@last has, got 3");
    assert_false(va_path_exists(to));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),   cmocka_unit_test(test_pack),
        cmocka_unit_test(test_cosine), cmocka_unit_test(test_changed_file),
        cmocka_unit_test(test_inputs), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
