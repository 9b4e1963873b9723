// vkalign relation on the shipped model: what it prints, writes and refuses.
// drivers: lavapipe
// SPDX-License-Identifier: Apache-2.0
#include "cli_process.h"

#include "test_gpu.h"
#include "vkalign/io.h"

#include <math.h>

#define TINY VA_SOURCE_DIR "/experiments/models/tiny-gemma3"
#define PLAIN VA_FIXTURES "/gemma3-plain"

// Words of tiny-gemma3's ontology with their classes.
static const char data[] = "prompts: [\"{subject} is a kind of\"]\n"
                           "n_train: 8\n"
                           "seed: 1\n"
                           "examples:\n"
                           "  - {subject: A dog, object: animal}\n"
                           "  - {subject: A cat, object: animal}\n"
                           "  - {subject: A horse, object: animal}\n"
                           "  - {subject: A wolf, object: animal}\n"
                           "  - {subject: A tree, object: plant}\n"
                           "  - {subject: An oak, object: plant}\n"
                           "  - {subject: A rose, object: plant}\n"
                           "  - {subject: A fern, object: plant}\n"
                           "  - {subject: A hammer, object: tool}\n"
                           "  - {subject: A saw, object: tool}\n"
                           "  - {subject: A knife, object: tool}\n"
                           "  - {subject: A needle, object: tool}\n"
                           "  - {subject: A triangle, object: shape}\n"
                           "  - {subject: A circle, object: shape}\n"
                           "  - {subject: A square, object: shape}\n"
                           "  - {subject: A cube, object: shape}\n"
                           "  - {subject: An hour, object: unit}\n"
                           "  - {subject: Melting, object: physical change}\n"
                           "  - {subject: Freezing, object: physical change}\n"
                           "  - {subject: A car, object: vehicle}\n"
                           "  - {subject: A ship, object: vehicle}\n"
                           "  - {subject: A bus, object: vehicle}\n";

static struct {
    va_ctx *ctx;
    char dir[VA_TEST_PATH], file[VA_TEST_PATH], out[VA_TEST_PATH];
} env;

static int setup(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_gpu_close(&gpu);
    va_test_temp_dir(env.dir);
    va_test_join(env.file, env.dir, "r.yaml");
    va_test_join(env.out, env.dir, "r.safetensors");
    cli_store(env.file, data, (int64_t)strlen(data));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_temp_remove(env.dir);
    va_ctx_destroy(&env.ctx);
    return 0;
}

static const va_json *get(const va_json *doc, const char *a, const char *b, const char *c) {
    const va_json *v = va_json_get(doc, a);
    v = b ? va_json_get(v, b) : v;
    v = c ? va_json_get(v, c) : v;
    if (!v)
        fail_msg("no %s %s %s", a, b ? b : "", c ? c : "");
    return v;
}

static double number(const va_json *v) {
    double x = NAN;
    assert_true(va_json_as_double(v, &x));
    return x;
}

static double faithful(const va_json *doc, const char *decoder) {
    return number(va_json_get(get(doc, "faithfulness", decoder, "says_next"), "rate"));
}

static double causal(const va_json *doc, const char *edit) {
    return number(get(doc, "causality", edit, "rate"));
}

// -- what comes out -------------------------------------------------------------------------------

// The relation is there, and chance is not.
static void check_document(const va_json *doc) {
    static const char *const others[] = {"bias",          "identity", "translation",
                                         "other prompts", "majority", "shuffled"};
    assert_true(number(get(doc, "training_pairs", NULL, NULL)) == 8);
    assert_true(number(get(doc, "test_pairs", NULL, NULL)) == 14);
    assert_true(number(get(doc, "beta", NULL, NULL)) > 0);
    assert_true(number(get(doc, "model_says_object", "rate", NULL)) >= 0.8);
    assert_true(faithful(doc, "lre") >= 0.5);
    for (int64_t i = 0; i < VA_COUNT(others); i++)
        if (!(faithful(doc, others[i]) <= faithful(doc, "lre") - 0.2))
            fail_msg("%s: %g, lre %g", others[i], faithful(doc, others[i]), faithful(doc, "lre"));
    assert_true(causal(doc, "lre") >= 0.5);
    assert_true(causal(doc, "random") <= causal(doc, "lre") - 0.3);
    assert_true(va_json_count(get(doc, "sigma", NULL, NULL)) >= 8);
}

static const float *tensor(va_safetensors *s, const char *name, int n_dim, int64_t n0, int64_t n1) {
    const va_file_tensor *t = va_safetensors_find(s, name);
    if (!t)
        fail_msg("no tensor %s", name);
    assert_int_equal(t->dtype, VA_F32);
    assert_int_equal(t->n_dim, n_dim);
    assert_int_equal(t->shape[0], n0);
    assert_true(n_dim == 1 || t->shape[1] == n1);
    return t->data;
}

// The parts agree: W v = sigma u.
static void check_file(const va_json *doc) {
    enum { D = 160 };
    va_safetensors *s;
    assert_ok(env.ctx, va_safetensors_open(env.ctx, env.out, &s));
    const int64_t k = va_json_count(get(doc, "sigma", NULL, NULL));
    const float *W = tensor(s, "weight", 2, D, D), *U = tensor(s, "U", 2, k, D);
    const float *V = tensor(s, "V", 2, k, D), *S = tensor(s, "S", 1, k, 0);
    tensor(s, "bias", 1, D, 0);
    tensor(s, "mean_subject", 1, D, 0);
    tensor(s, "mean_object", 1, D, 0);
    assert_true(fabs(tensor(s, "beta", 1, 1, 0)[0] - number(get(doc, "beta", NULL, NULL))) < 1e-6);
    assert_string_equal(va_safetensors_metadata(s, "layer"), "2");
    assert_string_equal(va_safetensors_metadata(s, "mode"), "exact");
    assert_string_equal(va_safetensors_metadata(s, "training_pairs"), "8");
    for (int64_t i = 0; i < D; i++) {
        double sum = 0;
        for (int64_t j = 0; j < D; j++)
            sum += (double)W[i * D + j] * V[j];
        assert_true(fabs(sum - (double)S[0] * U[i]) <= 1e-4 * S[0]);
    }
    va_safetensors_close(&s);
}

static void test_result(void **state) {
    (void)state;
    static cli_process p, again;
    va_json *doc;
    cli_run(&p, 0, NULL,
            CLI_ARGS("relation", "--json", "--model", TINY, "--data", env.file, "--layer", "2",
                     "--out", env.out));
    assert_ok(env.ctx, va_json_parse(env.ctx, "stdout", p.out, (int64_t)strlen(p.out), &doc));
    check_document(doc);
    check_file(doc);
    char first[VA_TEST_PATH];
    assert_int_equal(rename(env.out, va_test_join(first, env.dir, "first.safetensors")), 0);
    cli_run(&again, 0, NULL,
            CLI_ARGS("relation", "-q", "--model", TINY, "--data", env.file, "--layer", "2", "--out",
                     env.out));
    assert_true(cli_same_bytes(first, env.out));
    assert_non_null(strstr(again.out, "8 training and 14 test pairs, layer 2, exact"));
    assert_non_null(strstr(again.out, "lre of another test pair, over all pairings"));
    va_json_free(&doc);
}

// Given beta and rank, detached.
static void test_options(void **state) {
    (void)state;
    static cli_process p;
    va_json *doc;
    cli_run(&p, 0, NULL,
            CLI_ARGS("relation", "--json", "--model", TINY, "--data", env.file, "--mode",
                     "detached", "--layer", "1", "--beta", "2", "--rank", "3"));
    assert_ok(env.ctx, va_json_parse(env.ctx, "stdout", p.out, (int64_t)strlen(p.out), &doc));
    assert_true(number(get(doc, "beta", NULL, NULL)) == 2);
    assert_true(number(get(doc, "rank", NULL, NULL)) == 3);
    assert_int_equal(va_json_count(get(doc, "sigma", NULL, NULL)), 3);
    assert_string_equal(va_json_as_string(get(doc, "mode", NULL, NULL)), "detached");
    va_json_free(&doc);
}

// -- what is refused ------------------------------------------------------------------------------

static void refuse(int status, const char *message, const char *const *args) {
    static cli_process p;
    cli_run(&p, status, NULL, args);
    if (!strstr(p.err, message))
        fail_msg("expected '%s' in: %s", message, p.err);
    assert_int_equal(cli_count_lines(p.err), 1);
}

static void test_mistakes(void **state) {
    (void)state;
    char wrong[VA_TEST_PATH];
    char *text = cli_replace(data, "n_train: 8", "n_train: 21");
    cli_store(va_test_join(wrong, env.dir, "wrong.yaml"), text, (int64_t)strlen(text));
    free(text);
    refuse(2, "expected --model DIR", CLI_ARGS("relation", "--data", env.file));
    refuse(2, "expected --data FILE", CLI_ARGS("relation", "--model", TINY));
    refuse(2, "wrong.yaml:2:10: n_train: expected an integer from 1 to 20, got '21'",
           CLI_ARGS("relation", "--model", TINY, "--data", wrong));
    refuse(3, "absent.yaml", CLI_ARGS("relation", "--model", TINY, "--data", "absent.yaml"));
    refuse(2, "--layer: expected an integer from 0 to 7, got '8'",
           CLI_ARGS("relation", "--model", TINY, "--data", env.file, "--layer", "8"));
    refuse(2, "--rank: expected an integer from 1 to 160, got '0'",
           CLI_ARGS("relation", "--model", TINY, "--data", env.file, "--rank", "0"));
    refuse(2, "--beta: expected a number above 0",
           CLI_ARGS("relation", "--model", TINY, "--data", env.file, "--beta", "-1"));
    refuse(2, "has no tokenizer.json, which a relation needs",
           CLI_ARGS("relation", "--model", PLAIN, "--data", env.file));
}

static void test_help(void **state) {
    (void)state;
    static cli_process p;
    cli_run(&p, 0, NULL, CLI_ARGS("relation", "--help"));
    assert_non_null(strstr(p.out, "usage: vkalign relation"));
    assert_non_null(strstr(p.out, "--data FILE"));
    assert_non_null(strstr(p.out, "arXiv 2308.09124"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests_name("relation", tests, setup, teardown);
}
