// The experiments that ship: all valid; layer0 runs, and its concept vectors J x are those of torch
// in float64 (tests/fixtures/layer0). Not on SwiftShader, where training takes minutes.
// drivers: lavapipe
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"

#include <glob.h>
#include <math.h>

#define EXPERIMENTS VA_SOURCE_DIR "/experiments"
// Far above what a run takes (the README tells), so that a loaded machine does not fail it.
static const double MAX_SECONDS = 200;
static const int64_t MAX_BYTES = 500000000;
// Relative error of J x in f32 (DESIGN section 7).
static const double TOLERANCE = 1e-4;

static struct {
    va_ctx *ctx;
    cli_process p;
    char dir[VA_TEST_PATH], out[VA_TEST_PATH];
    va_json *results;
    va_safetensors *vectors, *expected;
} env;

static int setup_group(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_test_gpu_close(&gpu);
    va_test_temp_dir(env.dir);
    va_test_join(env.out, env.dir, "out");
    cli_run(&env.p, 0, "VA_VALIDATION=0",
            CLI_ARGS("run", EXPERIMENTS "/layer0.yaml", "--out", env.out));
    assert_ok(env.ctx,
              va_json_load(env.ctx, va_test_join(path, env.out, "results.json"), 0, &env.results));
    assert_ok(env.ctx,
              va_safetensors_open(env.ctx, va_test_join(path, env.out, "vectors.safetensors"),
                                  &env.vectors));
    assert_ok(env.ctx, va_safetensors_open(env.ctx, VA_FIXTURES "/layer0/expected.safetensors",
                                           &env.expected));
    return 0;
}

static int teardown_group(void **state) {
    (void)state;
    va_json_free(&env.results);
    va_safetensors_close(&env.vectors);
    va_safetensors_close(&env.expected);
    va_test_temp_remove(env.dir);
    va_ctx_destroy(&env.ctx);
    return 0;
}

static void test_all_valid(void **state) {
    (void)state;
    cli_process p;
    glob_t files;
    assert_int_equal(glob(EXPERIMENTS "/*.yaml", 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= 1);
    for (size_t i = 0; i < files.gl_pathc; i++)
        cli_run(&p, 0, "VK_ICD_FILENAMES=/nonexistent", CLI_ARGS("validate", files.gl_pathv[i]));
    globfree(&files);
}

static double number(const va_json *o, const char *key) {
    double v = NAN;
    assert_true(va_json_as_double(va_json_get(o, key), &v));
    return v;
}

static void test_budget(void **state) {
    (void)state;
    print_message("layer0: %.1f s, %lld bytes of host memory\n", env.p.seconds,
                  (long long)env.p.peak_bytes);
    assert_true(env.p.seconds < MAX_SECONDS);
    assert_true(env.p.peak_bytes < MAX_BYTES);
}

// What --dry-run says of device memory, on a machine without a device, is what it takes.
static void test_device_memory(void **state) {
    (void)state;
    cli_process p;
    va_json *dry;
    cli_run(&p, 0, "VK_ICD_FILENAMES=/nonexistent",
            CLI_ARGS("run", EXPERIMENTS "/layer0.yaml", "--dry-run", "--json"));
    assert_ok(env.ctx, va_json_parse(env.ctx, "stdout", p.out, (int64_t)strlen(p.out), &dry));
    const double planned = number(va_json_get(dry, "plan"), "device_bytes");
    const va_json *meta = va_json_get(env.results, "metadata");
    const double taken = number(va_json_get(meta, "device"), "peak_bytes");
    if (!(fabs(planned - taken) <= 0.05 * taken))
        fail_msg("planned %.0f bytes, taken %.0f", planned, taken);
    va_json_free(&dry);
}

// Relative error of a vector of unit length times its norm against the expected J x.
static double error_of(const va_json *direction) {
    char name[64];
    snprintf(name, sizeof name, "%s.jx.exact",
             va_json_as_string(va_json_get(direction, "concept")));
    const va_file_tensor *want = va_safetensors_find(env.expected, name);
    const va_file_tensor *got =
        va_safetensors_find(env.vectors, va_json_as_string(va_json_get(direction, "name")));
    assert_non_null(want);
    assert_non_null(got);
    assert_int_equal(got->n_elem, want->n_elem);
    double sum = 0, of = 0, norm = number(direction, "norm");
    for (int64_t i = 0; i < want->n_elem; i++) {
        float g, w;
        memcpy(&g, (const char *)got->data + 4 * i, 4);
        memcpy(&w, (const char *)want->data + 4 * i, 4);
        sum += (norm * g - w) * (norm * g - w);
        of += (double)w * w;
    }
    return sqrt(sum / of);
}

static void test_concept_vectors(void **state) {
    (void)state;
    int64_t n = 0;
    const va_json *d = va_json_first(va_json_get(env.results, "directions"));
    for (; d; d = va_json_next(d)) {
        if (strcmp(va_json_as_string(va_json_get(d, "kind")), "jacobian") != 0)
            continue;
        assert_true(error_of(d) < TOLERANCE);
        n++;
    }
    assert_int_equal(n, 5);
}

// The model's card gives F1 above .95 by logistic regression; the classifiers here see one split.
static void test_classifiers(void **state) {
    (void)state;
    int64_t n = 0;
    const va_json *d = va_json_first(va_json_get(env.results, "directions"));
    for (; d; d = va_json_next(d)) {
        const va_json *c = va_json_get(d, "classifier");
        if (!c)
            continue;
        assert_true(number(c, "f1") > 0.85 && number(c, "f1") > number(c, "f1_all_positive"));
        assert_true(number(c, "auroc") > 0.95);
        n++;
    }
    assert_int_equal(n, 10);
}

static void test_results(void **state) {
    (void)state;
    int64_t n = 0;
    const va_json *r = va_json_first(va_json_get(env.results, "results"));
    for (; r; r = va_json_next(r), n++) {
        assert_string_equal(va_json_as_string(va_json_get(r, "status")), "success");
        assert_int_equal(va_json_count(va_json_get(r, "metrics")), 2);
        assert_true(fabs(number(r, "alignment")) <= 1);
    }
    assert_int_equal(n, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_valid),       cmocka_unit_test(test_budget),
        cmocka_unit_test(test_device_memory),   cmocka_unit_test(test_results),
        cmocka_unit_test(test_concept_vectors), cmocka_unit_test(test_classifiers),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
