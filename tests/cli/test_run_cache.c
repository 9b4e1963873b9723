// The cache of units: work that any experiment has done is taken from it, and only that; it never
// stands in the way of a run.
// SPDX-License-Identifier: Apache-2.0
#include "run_check.h"

#include <glob.h>
#include <sys/stat.h>

enum { N_UNITS = 7 }; // a capture, two Jacobians, two classifiers far and near

static struct {
    const char *yaml;
    outcome first; // fills the cache
    double seconds;
} it;

static int setup_group(void **state) {
    run_setup(state);
    char *far = cli_replace(cli_experiment, "epochs: 2", "epochs: 30");
    char *near = cli_replace(far, "epochs: 2}", "epochs: 30}");
    it.yaml = write_text("x.yaml", near);
    free(far);
    free(near);
    run_experiment(&it.first, it.yaml, "first", NULL);
    assert_int_equal(reused(&it.first), 0);
    it.seconds = number(va_json_get(it.first.results, "metadata"), "seconds");
    return 0;
}

static int teardown_group(void **state) {
    close_outcome(&it.first);
    return run_teardown(state);
}

// -- helpers --------------------------------------------------------------------------------------

// Runs with one more option and value (NULL: none) and expects so many units from the cache.
static void expect_reused(const char *yaml, const char *env_var, const char *option,
                          const char *value, int64_t n) {
    outcome o;
    const char *to = path_of(env.dir, "out");
    cli_run(&env.p, 0, env_var, CLI_ARGS("run", yaml, "--out", to, option, value));
    open_outcome(&o, to);
    if (reused(&o) != n)
        fail_msg("%s %s: expected %lld units of the cache, got %lld", option ? option : "",
                 value ? value : "", (long long)n, (long long)reused(&o));
    close_outcome(&o);
}

static void expect_first_vectors(void) {
    assert_true(cli_same_bytes(path_of(it.first.dir, "vectors.safetensors"),
                               path_of(env.dir, "out/vectors.safetensors")));
}

static int64_t list_cache(glob_t *files) {
    const int code = glob(path_of(env.dir, "vkalign/units/*"), 0, NULL, files);
    assert_true(code == 0 || code == GLOB_NOMATCH);
    return code == 0 ? (int64_t)files->gl_pathc : 0;
}

static int64_t count_cache(void) {
    glob_t files;
    const int64_t n = list_cache(&files);
    if (n)
        globfree(&files);
    return n;
}

// -- what is taken --------------------------------------------------------------------------------

static void test_second_run(void **state) {
    (void)state;
    assert_int_equal(count_cache(), N_UNITS);
    expect_reused(it.yaml, NULL, NULL, NULL, N_UNITS);
    expect_first_vectors();
    outcome o;
    open_outcome(&o, path_of(env.dir, "out"));
    const double seconds = number(va_json_get(o.results, "metadata"), "seconds");
    if (!(seconds < it.seconds / 2))
        fail_msg("%.2f s from the cache, %.2f s without", seconds, it.seconds);
    for (int64_t i = 0; i < 2; i++)
        assert_true(number(item(va_json_get(o.results, "results"), i), "alignment") ==
                    number(item(va_json_get(it.first.results, "results"), i), "alignment"));
    close_outcome(&o);
    assert_int_equal(count_cache(), N_UNITS);
    char *log = cli_load(path_of(env.dir, "out/log.jsonl"), NULL);
    assert_int_equal(cli_count_lines(log), N_UNITS); // what was taken is told too
    for (const char *at = log; *at; at = strchr(at, '\n') + 1)
        if (!strstr(at, "\"cached\"") || strstr(at, "\"cached\"") > strchr(at, '\n'))
            fail_msg("expected a cached unit: %s", at);
    free(log);
}

// Names, questions and the order of things are no work.
static void test_other_experiment(void **state) {
    (void)state;
    char *text = cli_load(it.yaml, NULL), *a = cli_replace(text, "  near: ", "  close: ");
    char *b = cli_replace(a, "[jac, near]", "[jac, close]");
    char *c = cli_replace(b, "name: quick", "name: another");
    const char *other = write_text("other.yaml", c);
    free(text), free(a), free(b), free(c);
    expect_reused(other, NULL, NULL, NULL, N_UNITS);
    assert_true(
        cli_same_bytes(path_of(env.dir, "out/classifiers/close/Physical/layer2.safetensors"),
                       path_of(it.first.dir, "classifiers/near/Physical/layer2.safetensors")));
    expect_reused(it.yaml, NULL, "--set", "chance.draws=100", N_UNITS);
}

// What a unit depends on: the capture on the texts, classifiers on all, derivatives on the prompt.
static void test_changes(void **state) {
    (void)state;
    char *text = cli_load(it.yaml, NULL), *a = cli_replace(text, "[stone, water", "[stone, sea");
    const char *other = write_text("changed.yaml", a);
    free(text), free(a);
    expect_reused(other, NULL, NULL, NULL, 4); // two Jacobians, Abstract's classifiers
    expect_reused(it.yaml, NULL, "--set", "seed=9", 3);
    expect_reused(it.yaml, NULL, "--set", "prompts=[\"The word {concept} is\"]", N_UNITS - 2);
    expect_reused(it.yaml, NULL, "--set", "directions.jac.mode=detached", N_UNITS - 2);
    expect_reused(it.yaml, NULL, "--set", "directions.near.held_out=0.4", N_UNITS - 2);
    expect_reused(it.yaml, NULL, "--set", "model.path=" VA_FIXTURES "/gguf-models/llama-q8_0.gguf",
                  0);
    expect_reused(it.yaml, NULL, NULL, NULL, N_UNITS); // still there
    expect_first_vectors();
}

static void test_no_cache(void **state) {
    (void)state;
    const int64_t n = count_cache();
    expect_reused(it.yaml, NULL, "--no-cache", NULL, 0);
    expect_first_vectors();
    outcome o;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("run", it.yaml, "--no-cache", "--out", path_of(env.dir, "out"), "--set",
                     "seed=77"));
    open_outcome(&o, path_of(env.dir, "out"));
    close_outcome(&o);
    assert_int_equal(count_cache(), n); // nothing of the new seed
}

// -- what stands in the way -----------------------------------------------------------------------

// Damaged in any way, an entry is computed again and replaced.
static void test_damaged(void **state) {
    (void)state;
    glob_t files;
    const int64_t n = list_cache(&files);
    for (int64_t i = 0; i < n; i++) {
        int64_t size;
        char *data = cli_load(files.gl_pathv[i], &size);
        data[size - 3] ^= 0x20;
        assert_int_equal(unlink(files.gl_pathv[i]), 0); // the first run's files are the same ones
        cli_store(files.gl_pathv[i], data, i % 3 == 0 ? size : i % 3 == 1 ? size / 2 : 0);
        free(data);
    }
    globfree(&files);
    expect_reused(it.yaml, NULL, NULL, NULL, 0);
    expect_first_vectors();
    expect_reused(it.yaml, NULL, NULL, NULL, N_UNITS);
    expect_first_vectors();
}

// Folders that cannot be made or written, and none at all.
static void test_unwritable(void **state) {
    (void)state;
    write_text("file", "in the way");
    const char *way = va_arena_printf(env.arena, "XDG_CACHE_HOME=%s/file", env.dir);
    expect_reused(it.yaml, way, NULL, NULL, 0);
    assert_null(strstr(env.p.err, "warning")); // nor is it the user's business
    expect_first_vectors();
    expect_reused(it.yaml, "XDG_CACHE_HOME=/proc/nowhere", NULL, NULL, 0);
    expect_first_vectors();
}

// A copy of the model's files in DIR/model.
static const char *copy_model(void) {
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors"};
    const char *model = path_of(env.dir, "model");
    assert_int_equal(mkdir(model, 0777), 0);
    for (int64_t i = 0; i < VA_COUNT(names); i++) {
        int64_t size;
        char *data = cli_load(path_of(MODEL, names[i]), &size);
        cli_store(path_of(model, names[i]), data, size);
        free(data);
    }
    return model;
}

// The same weights in another folder are the same; one that is NaN makes others of them, and ends
// the run before there is an output folder.
static void test_weights(void **state) {
    (void)state;
    const char *model = copy_model(), *out = path_of(env.dir, "broken");
    const char *path = path_of(model, "model.safetensors");
    const char *set = va_arena_printf(env.arena, "model.path=%s", model);
    int64_t size;
    uint64_t header;
    expect_reused(it.yaml, NULL, "--set", set, N_UNITS);
    char *data = cli_load(path, &size);
    memcpy(&header, data, sizeof header);
    memset(data + 8 + header + 38928, 0xff, 2); // model.layers.0.input_layernorm.weight, bf16
    cli_store(path, data, size);
    free(data);
    cli_run(&env.p, 3, NULL, CLI_ARGS("run", it.yaml, "--out", out, "--set", set, "--quiet"));
    expect_text(env.p.err, "model.layers.0.input_layernorm.weight");
    assert_int_equal(cli_count_lines(env.p.err), 1);
    assert_false(va_path_exists(out));
}

// After Ctrl-C a plain run goes on from what was finished.
static void test_interrupted(void **state) {
    (void)state;
    const char *out = path_of(env.dir, "interrupted");
    const char *const args[] = {"run", it.yaml, "--out", out, "--set", "seed=21", NULL};
    const int64_t before = count_cache();
    cli_start(&env.p, NULL, args);
    while (count_cache() < before + 1 && cli_running(&env.p))
        cli_sleep_ms(1);
    kill(env.p.pid, SIGINT);
    const int status = cli_wait(&env.p);
    if (status != 130)
        fail_msg("expected exit status 130, got %d: %s", status, env.p.err);
    const int64_t n_done = count_cache() - before;
    assert_true(n_done >= 1 && n_done < 4);
    outcome o;
    cli_run(&env.p, 0, NULL, args);
    open_outcome(&o, out);
    assert_int_equal(reused(&o), 3 + n_done); // what knows no seed, and what was done of this one
    close_outcome(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_run), cmocka_unit_test(test_other_experiment),
        cmocka_unit_test(test_changes),    cmocka_unit_test(test_no_cache),
        cmocka_unit_test(test_damaged),    cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_weights),    cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
