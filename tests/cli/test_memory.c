// --dry-run and --memory: what is planned without a device is what a run takes, and maps whose
// matrix is larger than the memory allowed are solved and written all the same. Not on SwiftShader,
// where that takes minutes.
// drivers: lavapipe
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"

#include <math.h>

#define SHIPPED VA_SOURCE_DIR "/experiments/models/tiny-gemma3"
#define TEXT "The concept of Physical means"

static struct {
    va_ctx *ctx;
    cli_process p;
    char dir[VA_TEST_PATH], out[VA_TEST_PATH];
} env;

static int setup(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_test_gpu_close(&gpu);
    va_test_temp_dir(env.dir);
    va_test_join(env.out, env.dir, "out.safetensors");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_temp_remove(env.dir);
    va_ctx_destroy(&env.ctx);
    return 0;
}

static va_json *parse_out(void) {
    va_json *doc;
    assert_ok(env.ctx,
              va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out), &doc));
    return doc;
}

static int64_t int_at(const va_json *object, const char *key) {
    int64_t value = -1;
    if (!va_json_as_int(va_json_get(object, key), &value))
        fail_msg("no whole number '%s'", key);
    return value;
}

// One derivative, two options more at most.
typedef struct request {
    const char *verb, *from, *to, *opt[2][2];
} request;

enum { MAX_ARGS = 20 };

static void arguments(const request *r, bool dry, const char *args[MAX_ARGS]) {
    int n = 0;
    const char *const base[] = {r->verb,  "--json", "--quiet", "--model", SHIPPED, "--text", TEXT,
                                "--from", r->from,  "--to",    r->to,     "--out", env.out};
    for (int64_t i = 0; i < VA_COUNT(base); i++)
        args[n++] = base[i];
    for (int i = 0; i < 2 && r->opt[i][0]; i++)
        args[n++] = r->opt[i][0], args[n++] = r->opt[i][1];
    if (dry)
        args[n++] = "--dry-run";
    args[n] = NULL;
    assert_true(n < MAX_ARGS);
}

static int64_t file_bytes(void) {
    va_map map;
    assert_ok(env.ctx, va_map_open(env.ctx, env.out, &map));
    const int64_t size = map.size_bytes;
    va_map_close(&map);
    return size;
}

// The plan, made without a driver, and the run after it.
static void expect_planned(const request *r) {
    const char *args[MAX_ARGS];
    arguments(r, true, args);
    cli_run(&env.p, 0, "VK_ICD_FILENAMES=/none", args);
    va_json *dry = parse_out();
    const va_json *plan = va_json_get(dry, "plan");
    const int64_t planned = int_at(plan, "peak_bytes");
    assert_int_equal(planned, int_at(plan, "weight_bytes") + int_at(plan, "value_bytes") +
                                  int_at(plan, "sweep_bytes") + int_at(plan, "end_bytes"));
    assert_true(int_at(plan, "vectors_per_sweep") >= 1);
    assert_int_equal(va_test_count_files(env.dir), 0);
    arguments(r, false, args);
    cli_run(&env.p, 0, NULL, args);
    va_json *doc = parse_out();
    const int64_t taken = int_at(doc, "device_peak_bytes");
    if (!(fabs((double)(planned - taken)) <= 0.05 * (double)taken))
        fail_msg("%s %s -> %s %s: planned %lld bytes, taken %lld", r->verb, r->from, r->to,
                 r->opt[0][0] ? r->opt[0][1] : "", (long long)planned, (long long)taken);
    const int64_t header = file_bytes() - int_at(plan, "out_bytes");
    assert_true(header > 0 && header < 4096);
    assert_int_equal(remove(env.out), 0);
    va_json_free(&dry);
    va_json_free(&doc);
}

static void test_plans(void **state) {
    (void)state;
    static const request requests[] = {
        {"jacobian", "embed@all", "norm:last@last", {{NULL}}},
        {"jacobian", "embed@all", "norm:2@last", {{"--memory", "2.5M"}}},
        {"jacobian", "embed@last", "resid:3@all", {{"--memory", "2400k"}}},
        {"jacobian", "embed@all", "norm:4@last", {{"--mode", "detached"}}},
        {"jacobian", "resid:*@all", "norm:last@last", {{NULL}}},
        {"jacobian", "resid:*@all", "norm:3@last", {{"--memory", "4M"}}},
        {"jacobian", "embed@all", "logits", {{"--tokens", "5,17"}}},
        {"svd", "embed@all", "norm:last@last", {{"-k", "8"}}},
        {"svd", "embed@all", "norm:2@last", {{"-k", "8"}, {"--memory", "1.9M"}}},
        {"svd", "embed@last", "resid:2@all", {{"-k", "16"}}},
        {"svd", "embed@all", "norm:2@last", {{"-k", "8"}, {"--method", "subspace"}}},
    };
    for (int64_t i = 0; i < VA_COUNT(requests); i++)
        expect_planned(&requests[i]);
}

// A whole experiment: captures, classifiers, Jacobians.
static void test_experiment(void **state) {
    (void)state;
    char file[VA_TEST_PATH], out[VA_TEST_PATH];
    cli_store(va_test_join(file, env.dir, "quick.yaml"), cli_experiment,
              (int64_t)strlen(cli_experiment));
    cli_run(&env.p, 0, "VK_ICD_FILENAMES=/none", CLI_ARGS("run", file, "--dry-run", "--json"));
    va_json *dry = parse_out();
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("run", file, "--no-cache", "--json", "--quiet", "--out",
                     va_test_join(out, env.dir, "out")));
    va_json *doc = parse_out();
    const int64_t planned = int_at(va_json_get(dry, "plan"), "device_bytes");
    const int64_t taken = int_at(doc, "device_peak_bytes");
    if (!(fabs((double)(planned - taken)) <= 0.05 * (double)taken))
        fail_msg("planned %lld bytes, taken %lld", (long long)planned, (long long)taken);
    va_json_free(&dry);
    va_json_free(&doc);
}

// Too little: status 4 and the bytes that would do, with a device or without; they do.
static void test_too_little(void **state) {
    (void)state;
    static const char *const verbs[] = {"jacobian", "svd"};
    for (int64_t i = 0; i < VA_COUNT(verbs); i++) {
        request r = {verbs[i], "embed@all", "norm:2@last", {{"--memory", "1M"}}};
        const char *args[MAX_ARGS];
        char bytes[32];
        long long need;
        for (int dry = 0; dry < 2; dry++) {
            arguments(&r, dry, args);
            cli_run(&env.p, 4, dry ? "VK_ICD_FILENAMES=/none" : NULL, args);
            const char *at = strstr(env.p.err, "not even one vector fits: expected ");
            assert_non_null(at);
            assert_non_null(strstr(at, "weights 1.23 MB"));
            assert_non_null(strstr(at, "got 1 MB"));
            assert_int_equal(sscanf(at, "not even one vector fits: expected %lld bytes", &need), 1);
        }
        snprintf(bytes, sizeof bytes, "%lld", need - 1);
        r.opt[0][1] = bytes;
        arguments(&r, true, args);
        cli_run(&env.p, 4, NULL, args);
        snprintf(bytes, sizeof bytes, "%lld", need);
        expect_planned(&r);
    }
}

// A forward pass has no plan: the device refuses.
static void test_forward_too_large(void **state) {
    (void)state;
    cli_run(&env.p, 4, NULL,
            CLI_ARGS("forward", "--model", SHIPPED, "--text", TEXT, "--site", "norm:last", "--out",
                     env.out, "--memory", "1M"));
    assert_non_null(strstr(env.p.err, "over the limit asked for"));
    assert_int_equal(va_test_count_files(env.dir), 0);
}

// A matrix of 15 MB in 4 MB of device memory: the file's rows are the derivative's, and the
// singular values are found without it.
static void test_larger_than_memory(void **state) {
    (void)state;
    enum { T = 12, N = T * 160 };
    char ids[128] = "2";
    int64_t peak;
    for (int i = 1; i < T; i++)
        snprintf(ids + strlen(ids), sizeof ids - strlen(ids), ",%d", 300 + 7 * i);
    const char *const base[] = {"--json", "--quiet",   "--model", SHIPPED,       "--ids",    ids,
                                "--from", "embed@all", "--to",    "resid:2@all", "--memory", "4M"};
    const char *args[MAX_ARGS] = {"jacobian", "--out", env.out};
    memcpy(args + 3, base, sizeof base);
    cli_run(&env.p, 0, NULL, args);
    va_json *doc = parse_out();
    double norm;
    peak = int_at(doc, "device_peak_bytes");
    assert_true(peak <= 4000000 && peak > 3500000);
    assert_true(va_json_as_double(va_json_get(doc, "frobenius_norm"), &norm));
    va_json_free(&doc);
    va_safetensors *st;
    assert_ok(env.ctx, va_safetensors_open(env.ctx, env.out, &st));
    const va_file_tensor *J = va_safetensors_find(st, "J");
    assert_int_equal(J->n_elem, (int64_t)N * N);
    double sum = 0;
    for (int64_t i = 0; i < J->n_elem; i++) {
        float x;
        memcpy(&x, (const uint8_t *)J->data + 4 * i, sizeof x);
        sum += (double)x * x;
    }
    assert_true(fabs(sqrt(sum) - norm) <= 1e-9 * norm);

    const char *svd[MAX_ARGS] = {"svd", "-k", "2", "--out", env.out};
    char vectors[VA_TEST_PATH];
    svd[4] = va_test_join(vectors, env.dir, "svd.safetensors");
    memcpy(svd + 5, base, sizeof base);
    cli_run(&env.p, 0, NULL, svd);
    doc = parse_out();
    assert_true(int_at(doc, "device_peak_bytes") <= 4000000);
    va_json_free(&doc);
    va_safetensors *r;
    assert_ok(env.ctx, va_safetensors_open(env.ctx, vectors, &r));
    float sigma, *v = malloc(N * sizeof *v), *row = malloc(N * sizeof *row);
    memcpy(&sigma, va_safetensors_find(r, "S")->data, sizeof sigma);
    memcpy(v, va_safetensors_find(r, "V")->data, N * sizeof *v);
    double squares = 0; // of J v
    for (int64_t i = 0; i < N; i++) {
        double dot = 0;
        memcpy(row, (const uint8_t *)J->data + i * N * 4, N * sizeof *row);
        for (int64_t j = 0; j < N; j++)
            dot += (double)row[j] * v[j];
        squares += dot * dot;
    }
    assert_true(fabs(sqrt(squares) - (double)sigma) <= 1e-4 * (double)sigma);
    free(v), free(row);
    va_safetensors_close(&r);
    va_safetensors_close(&st);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_plans),
        TEST(test_experiment),
        TEST(test_too_little),
        TEST(test_forward_too_large),
        TEST(test_larger_than_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
