// A run from outside: every file of the output folder, the numbers in it recomputed, determinism.
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"
#include "vkalign/metric.h"
#include "vkalign/probe.h"

#include <math.h>
#include <sys/stat.h>

static struct {
    va_ctx *ctx;
    cli_process p;
    char dir[VA_TEST_PATH], yaml[VA_TEST_PATH], out[VA_TEST_PATH]; // out: of one whole run
    va_json *results;
    va_safetensors *vectors;
} env;

static const char *out_path(char path[VA_TEST_PATH], const char *name) {
    return va_test_join(path, env.out, name);
}

// One run, whose output the tests below look at.
static int setup_group(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_test_gpu_close(&gpu);
    va_test_temp_dir(env.dir);
    setenv("XDG_CACHE_HOME", env.dir, 1); // pipelines compiled once for all runs here
    cli_store(va_test_join(env.yaml, env.dir, "x.yaml"), cli_experiment,
              (int64_t)strlen(cli_experiment));
    va_test_join(env.out, env.dir, "out");
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", env.yaml, "--no-cache", "--out", env.out));
    assert_ok(env.ctx, va_json_load(env.ctx, out_path(path, "results.json"), 0, &env.results));
    assert_ok(env.ctx,
              va_safetensors_open(env.ctx, out_path(path, "vectors.safetensors"), &env.vectors));
    return 0;
}

static int teardown_group(void **state) {
    (void)state;
    va_json_free(&env.results);
    va_safetensors_close(&env.vectors);
    va_test_temp_remove(env.dir);
    va_ctx_destroy(&env.ctx);
    return 0;
}

// -- reading results ------------------------------------------------------------------------------

static double number(const va_json *o, const char *key) {
    double v;
    if (!va_json_as_double(va_json_get(o, key), &v))
        fail_msg("expected a number '%s'", key);
    return v;
}

static const char *text(const va_json *o, const char *key) {
    const char *s = va_json_as_string(va_json_get(o, key));
    if (!s)
        fail_msg("expected a text '%s'", key);
    return s;
}

static const va_json *item(const va_json *list, int64_t i) {
    const va_json *v = va_json_first(list);
    while (v && i-- > 0)
        v = va_json_next(v);
    assert_non_null(v);
    return v;
}

static const va_file_tensor *vector(const char *name) {
    const va_file_tensor *t = va_safetensors_find(env.vectors, name);
    if (!t)
        fail_msg("vectors.safetensors: '%s' is missing", name);
    assert_int_equal(t->dtype, VA_F32);
    assert_int_equal(t->n_dim, 1);
    return t;
}

static double dot(const va_file_tensor *a, const va_file_tensor *b) {
    double sum = 0;
    assert_int_equal(a->n_elem, b->n_elem);
    for (int64_t i = 0; i < a->n_elem; i++) {
        float x, y;
        memcpy(&x, (const char *)a->data + 4 * i, 4);
        memcpy(&y, (const char *)b->data + 4 * i, 4);
        sum += (double)x * y;
    }
    return sum;
}

// -- tests ----------------------------------------------------------------------------------------

static void test_files(void **state) {
    (void)state;
    static const char *const names[] = {"results.json",        "report.md",       "report.html",
                                        "vectors.safetensors", "experiment.yaml", "log.jsonl"};
    static const char *const classifiers[] = {"far/Physical", "far/Abstract",
                                              "near/Physical/layer2", "near/Abstract/layer2"};
    char path[VA_TEST_PATH], name[64];
    for (int64_t i = 0; i < VA_COUNT(names); i++)
        if (!va_path_exists(out_path(path, names[i])))
            fail_msg("%s is missing", path);
    for (int64_t i = 0; i < VA_COUNT(classifiers); i++) {
        snprintf(name, sizeof name, "classifiers/%s.safetensors", classifiers[i]);
        if (!va_path_exists(out_path(path, name)))
            fail_msg("%s is missing", path);
    }
    // and nothing else: no units, no temporary files
    assert_int_equal(va_test_count_files(env.out), VA_COUNT(names) + 1);
    assert_int_equal(va_test_count_files(out_path(path, "classifiers")), 2);
    assert_int_equal(va_test_count_files(out_path(path, "classifiers/far")), 2);
    char *log = cli_load(out_path(path, "log.jsonl"), NULL);
    assert_int_equal(cli_count_lines(log), 7); // a capture, 2 jac, 2 far, 2 near
    free(log);
    assert_non_null(strstr(env.p.out, "7 units in "));
}

static void test_metadata(void **state) {
    (void)state;
    const va_json *m = va_json_get(env.results, "metadata");
    assert_string_equal(text(m, "name"), "quick");
    assert_string_equal(text(m, "question"), "Is it quick?");
    assert_true(number(m, "seed") == 3 && number(m, "seconds") > 0);
    assert_true(number(m, "n_units") == 7 && number(m, "n_units_failed") == 0);
    assert_int_equal(number(m, "n_units_reused"), 0);
    assert_true(number(m, "first_dispatch_s") > 0);
    assert_true(number(m, "first_dispatch_s") < number(m, "seconds") + 1); // before the run begins
    assert_int_equal(strlen(text(va_json_get(m, "model"), "sha256")), 64);
    assert_int_equal(number(va_json_get(m, "model"), "d_model"), 24);
    assert_true(number(va_json_get(m, "device"), "peak_bytes") > 0);
    char hex[65];
    assert_ok(env.ctx, va_file_sha256(env.ctx, env.yaml, hex));
    assert_string_equal(text(item(va_json_get(m, "inputs"), 0), "sha256"), hex);
}

// The fields that readers of the published results look for.
static void test_published_fields(void **state) {
    (void)state;
    static const char *const concepts[] = {"Physical", "Abstract"};
    const va_json *list = va_json_get(env.results, "results");
    assert_int_equal(va_json_count(list), 2);
    for (int64_t i = 0; i < 2; i++) {
        const va_json *r = item(list, i);
        char prompt[64];
        snprintf(prompt, sizeof prompt, "The concept of %s means", concepts[i]);
        assert_string_equal(text(r, "concept"), concepts[i]);
        assert_string_equal(text(r, "prompt"), prompt);
        assert_string_equal(text(r, "status"), "success");
        assert_true(va_json_is_null(va_json_get(r, "error")));
        assert_int_equal(number(r, "layer"), i == 0 ? 1 : 0); // the ontology's
        assert_int_equal(number(r, "model_layer"), 2);
        assert_true(number(r, "jacobian_time") > 0 && number(r, "jacobian_norm") > 0);
        // a right singular vector is of unit length before it is normalised again
        assert_true(fabs(number(r, "classifier_norm") - 1) < 1e-5);
        assert_true(number(r, "alignment") == number(item(va_json_get(r, "metrics"), 0), "cosine"));
    }
}

static void test_vectors(void **state) {
    (void)state;
    const va_json *list = va_json_get(env.results, "directions");
    assert_int_equal(va_json_count(list), 6);
    assert_int_equal(va_safetensors_count(env.vectors), 6);
    for (int64_t i = 0; i < 6; i++) {
        const va_json *o = item(list, i);
        const va_file_tensor *v = vector(text(o, "name"));
        char hex[65];
        va_sha256 *h = va_sha256_create();
        va_sha256_update(h, v->data, v->size_bytes);
        va_sha256_finish(&h, hex);
        assert_string_equal(text(o, "sha256"), hex);
        assert_string_equal(text(o, "status"), "success");
        assert_int_equal(v->n_elem, 24);
        assert_true(fabs(sqrt(dot(v, v)) - 1) < 1e-6); // float32 rounding of 24 components
    }
}

// Cosines and p-values again, from the saved vectors.
static void test_cosines(void **state) {
    (void)state;
    const va_json *r = va_json_first(va_json_get(env.results, "results"));
    for (; r; r = va_json_next(r))
        for (int64_t m = 0; m < 2; m++) {
            const va_json *metric = item(va_json_get(r, "metrics"), m);
            const va_json *null = va_json_get(va_json_get(metric, "nulls"), "analytic");
            const va_json *names = va_json_get(metric, "directions");
            const va_file_tensor *a = vector(va_json_as_string(item(names, 0)));
            const va_file_tensor *b = vector(va_json_as_string(item(names, 1)));
            double cosine = number(metric, "cosine"), p;
            bool across;
            // in double, over unit vectors of rounded components
            assert_true(fabs(dot(a, b) - cosine) < 1e-6);
            assert_true(number(metric, "abs_cosine") == fabs(cosine));
            assert_ok(env.ctx, va_metric_cosine_p(env.ctx, cosine, 24, &p));
            assert_true(fabs(p - number(null, "p_value")) < 1e-12);
            assert_true(fabs(number(null, "std") - 1 / sqrt(24)) < 1e-12);
            assert_true(number(null, "p_adjusted") >= p);
            assert_true(va_json_as_bool(va_json_get(metric, "across_sites"), &across));
            assert_true(across == (m == 0));
        }
}

static void test_statistics(void **state) {
    (void)state;
    const va_json *results = va_json_get(env.results, "results");
    const va_json *s = va_json_get(env.results, "statistics");
    double a = number(item(results, 0), "alignment"), b = number(item(results, 1), "alignment");
    assert_int_equal(va_json_count(va_json_get(s, "by_metric")), 2);
    assert_string_equal(text(s, "name"), "alignment");
    assert_int_equal(number(s, "n"), 2);
    assert_true(fabs(number(s, "mean") - (a + b) / 2) < 1e-12);
    assert_true(fabs(number(s, "median") - (a + b) / 2) < 1e-12);
    assert_true(fabs(number(s, "std") - fabs(a - b) / 2) < 1e-12); // divisor n
    assert_true(fabs(number(s, "mean_abs") - (fabs(a) + fabs(b)) / 2) < 1e-12);
    assert_true(number(s, "min") == fmin(a, b) && number(s, "max") == fmax(a, b));
    const va_json *h = va_json_get(s, "histogram"), *edges = va_json_get(h, "edges");
    int64_t n = va_json_count(va_json_get(h, "counts"));
    double sum = 0, edge, count;
    assert_int_equal(va_json_count(edges), n + 1);
    for (int64_t i = 0; i < n; i++) {
        assert_true(va_json_as_double(item(va_json_get(h, "counts"), i), &count));
        assert_true(va_json_as_double(item(edges, i), &edge));
        assert_true(fabs(edge - (2.0 * (double)i / (double)n - 1)) < 1e-12);
        sum += count;
    }
    assert_true(sum == 2);
}

// The saved classifier gives the saved direction (its sign needs the training rows).
static void test_classifier(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    va_arena *arena = va_arena_create();
    va_mlp mlp;
    float v[24];
    static const float row[24] = {1};
    out_path(path, "classifiers/near/Physical/layer2.safetensors");
    assert_ok(env.ctx, va_mlp_load(env.ctx, arena, path, &mlp));
    assert_true(mlp.d == 24 && mlp.h1 == 16 && mlp.h2 == 8);
    assert_ok(env.ctx, va_mlp_direction(env.ctx, &mlp, VA_MLP_W1_SVD, row, 1, v, NULL));
    const va_file_tensor t = {.dtype = VA_F32, .n_elem = 24, .data = v};
    assert_true(fabs(fabs(dot(&t, vector("near/Physical/layer2"))) - 1) < 1e-6);
    va_arena_destroy(&arena);
}

// The same bits again, from the file as resolved and from another folder.
static void test_resolved_experiment_repeats(void **state) {
    (void)state;
    char yaml[VA_TEST_PATH], moved[VA_TEST_PATH], out[VA_TEST_PATH], a[VA_TEST_PATH],
        b[VA_TEST_PATH];
    int64_t size;
    va_json *again, *doc;
    char *data = cli_load(out_path(yaml, "experiment.yaml"), &size);
    va_test_join(moved, env.dir, "resolved");
    assert_int_equal(mkdir(moved, 0777), 0);
    va_test_join(yaml, moved, "r.yaml");
    cli_store(yaml, data, size);
    free(data);
    va_test_join(out, moved, "o");
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", yaml, "--no-cache", "--out", out, "--json"));
    assert_ok(env.ctx, va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out),
                                     &doc)); // refuses anything after one document
    assert_string_equal(text(doc, "out"), out);
    assert_int_equal(number(doc, "units"), 7);
    va_json_free(&doc);
    assert_true(cli_same_bytes(out_path(a, "vectors.safetensors"),
                               va_test_join(b, out, "vectors.safetensors")));
    assert_true(
        cli_same_bytes(out_path(a, "experiment.yaml"), va_test_join(b, out, "experiment.yaml")));
    assert_ok(env.ctx, va_json_load(env.ctx, va_test_join(b, out, "results.json"), 0, &again));
    for (int64_t i = 0; i < 2; i++)
        assert_true(number(item(va_json_get(again, "results"), i), "alignment") ==
                    number(item(va_json_get(env.results, "results"), i), "alignment"));
    va_json_free(&again);
}

// A unit that fails is reported, the others are saved, and the next run tries it again.
static void test_failed_unit(void **state) {
    (void)state;
    char yaml[VA_TEST_PATH], out[VA_TEST_PATH], path[VA_TEST_PATH];
    // a step this large makes the weights overflow
    char *bad = cli_replace(cli_experiment, "@mean\", hidden: [16, 8], epochs: 2",
                            "@mean\", hidden: [16, 8], epochs: 60, learning_rate: 10, "
                            "weight_decay: 10");
    cli_store(va_test_join(yaml, env.dir, "bad.yaml"), bad, (int64_t)strlen(bad));
    free(bad);
    va_test_join(out, env.dir, "bad");
    cli_run(&env.p, 1, NULL, CLI_ARGS("run", yaml, "--no-cache", "--out", out));
    assert_non_null(strstr(env.p.err, "2 of 7 units failed"));
    va_json *results;
    assert_ok(env.ctx, va_json_load(env.ctx, va_test_join(path, out, "results.json"), 0, &results));
    const va_json *r = item(va_json_get(results, "results"), 0);
    assert_string_equal(text(r, "status"), "failed");
    assert_non_null(strstr(text(r, "error"), "far/Physical"));
    assert_null(va_json_get(r, "alignment"));
    assert_int_equal(number(va_json_get(results, "statistics"), "n"), 0);
    va_json_free(&results);
    char *report = cli_load(va_test_join(path, out, "report.md"), NULL);
    assert_non_null(strstr(report, "nothing could be measured"));
    assert_non_null(strstr(report, "| far/Physical | "));
    free(report);
    cli_run(&env.p, 1, NULL,
            CLI_ARGS("run", yaml, "--no-cache", "--out", out, "--resume", "--json"));
    assert_non_null(strstr(env.p.out, "\"reused\": 5"));
}

static void test_report_again(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    char *before = cli_load(out_path(path, "report.html"), NULL);
    assert_int_equal(unlink(path), 0);
    cli_run(&env.p, 0, NULL, CLI_ARGS("report", env.out));
    char *after = cli_load(path, NULL);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

// -- devices and folders --------------------------------------------------------------------------

static void test_without_device(void **state) {
    (void)state;
    char out[VA_TEST_PATH];
    va_json *doc;
    va_test_join(out, env.dir, "none");
    cli_run(&env.p, 0, "VK_ICD_FILENAMES=/nonexistent",
            CLI_ARGS("run", env.yaml, "--no-cache", "--out", out, "--dry-run", "--json"));
    assert_ok(env.ctx,
              va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out), &doc));
    assert_int_equal(number(va_json_get(doc, "plan"), "units"), 7);
    va_json_free(&doc);
    cli_run(&env.p, 4, "VK_ICD_FILENAMES=/nonexistent",
            CLI_ARGS("run", env.yaml, "--no-cache", "--out", out, "--quiet"));
    assert_int_equal(cli_count_lines(env.p.err), 1);
    assert_non_null(strstr(env.p.err, "VK_ICD_FILENAMES"));
    cli_run(&env.p, 4, NULL,
            CLI_ARGS("run", env.yaml, "--no-cache", "--out", out, "--device", "no such device"));
    assert_int_equal(cli_count_lines(env.p.err), 1);
    assert_false(va_path_exists(out));
}

// The same experiment on a quantised GGUF file: its results say of which weights they are.
static void test_quantised(void **state) {
    (void)state;
    char out[VA_TEST_PATH], path[VA_TEST_PATH];
    bool dequantised = false;
    va_json *results;
    char *report;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("run", env.yaml, "--no-cache", "--out", va_test_join(out, env.dir, "gguf"),
                     "--set", "model.path=" VA_FIXTURES "/gguf-models/llama-q8_0.gguf"));
    assert_ok(env.ctx, va_json_load(env.ctx, va_test_join(path, out, "results.json"), 0, &results));
    const va_json *model = va_json_get(va_json_get(results, "metadata"), "model");
    assert_string_equal(text(model, "family"), "llama");
    assert_string_equal(text(model, "dtype"), "F32+Q8_0");
    assert_true(va_json_as_bool(va_json_get(model, "dequantised"), &dequantised) && dequantised);
    assert_null(
        va_json_get(va_json_get(va_json_get(env.results, "metadata"), "model"), "dequantised"));
    report = cli_load(va_test_join(path, out, "report.md"), NULL);
    assert_non_null(strstr(report, "F32+Q8_0 (dequantised"));
    free(report);
    va_json_free(&results);
}

static void test_bad_out(void **state) {
    (void)state;
    char under[VA_TEST_PATH];
    va_test_join(under, env.yaml, "out"); // a file as parent
    const char *const outs[] = {env.yaml, under, "/proc/va-test"};
    const char *const named[] = {env.yaml, env.yaml, "/proc/va-test"}; // what stands in the way
    for (int64_t i = 0; i < VA_COUNT(outs); i++) {
        cli_run(&env.p, 3, NULL,
                CLI_ARGS("run", env.yaml, "--no-cache", "--out", outs[i], "--quiet"));
        assert_int_equal(cli_count_lines(env.p.err), 1);
        assert_non_null(strstr(env.p.err, named[i]));
    }
    char *yaml = cli_load(env.yaml, NULL);
    assert_string_equal(yaml, cli_experiment); // untouched
    free(yaml);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_published_fields),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_cosines),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_classifier),
        cmocka_unit_test(test_resolved_experiment_repeats),
        cmocka_unit_test(test_failed_unit),
        cmocka_unit_test(test_report_again),
        cmocka_unit_test(test_without_device),
        cmocka_unit_test(test_quantised),
        cmocka_unit_test(test_bad_out),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
