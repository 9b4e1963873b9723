// A model without files: its weights have the mean and deviation told, its forward pass is finite
// and follows the seed.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"
#include "test_gpu.h"

#include <math.h>
#include <string.h>

static struct {
    va_ctx *ctx;
    va_gpu *gpu;
    char gemma[1 << 14], llama[1 << 14];
} env;

static void load_text(const char *fixture, char *text, size_t size) {
    char path[VA_TEST_PATH];
    snprintf(path, sizeof path, "%s/%s/config.json", VA_FIXTURES, fixture);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    const size_t n = fread(text, 1, size - 1, f);
    assert_true(n > 0 && n < size - 1);
    text[n] = '\0';
    fclose(f);
}

static int setup(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    env.gpu = va_test_gpu(env.ctx);
    load_text("gemma3-plain", env.gemma, sizeof env.gemma);
    load_text("llama-plain", env.llama, sizeof env.llama);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_gpu_close(&env.gpu);
    va_ctx_destroy(&env.ctx);
    return 0;
}

static va_model *open_random(const char *config, uint64_t seed) {
    va_model *m;
    assert_ok(env.ctx, va_model_open_random(env.ctx, "random", config, seed, &m));
    assert_ok(env.ctx, va_model_attach(m, env.gpu));
    return m;
}

static const int32_t ids[] = {3, 1, 4, 1, 5};
static const va_site last = {.kind = VA_SITE_LOGITS, .layer = -1, .position = VA_POS_ALL};

// Logits at all positions; *n of them, malloc'ed.
static float *forward(va_model *m, int64_t *n) {
    const va_prompt_params params = {
        .ids = ids, .seq_len = VA_COUNT(ids), .sites = &last, .n_sites = 1};
    va_prompt *prompt;
    int64_t rows, width;
    assert_ok(env.ctx, va_prompt_create(m, &params, &prompt));
    va_prompt_site_shape(prompt, 0, &rows, &width);
    *n = rows * width;
    float *out = malloc((size_t)*n * sizeof *out);
    assert_non_null(out);
    assert_ok(env.ctx, va_prompt_read(prompt, 0, out)); // refuses what is not finite
    va_prompt_destroy(&prompt);
    return out;
}

static void test_forward(void **state) {
    (void)state;
    const char *const configs[] = {env.gemma, env.llama};
    for (int c = 0; c < 2; c++) {
        const uint64_t seeds[] = {1, 1, 2};
        float *out[3];
        int64_t n = 0;
        for (int i = 0; i < 3; i++) {
            va_model *m = open_random(configs[c], seeds[i]);
            out[i] = forward(m, &n);
            va_model_close(&m);
        }
        assert_memory_equal(out[0], out[1], (size_t)n * sizeof(float));
        assert_memory_not_equal(out[0], out[2], (size_t)n * sizeof(float));
        double squares = 0;
        for (int64_t i = 0; i < n; i++)
            squares += (double)out[0][i] * (double)out[0][i];
        assert_true(sqrt(squares / (double)n) > 0.1 && sqrt(squares / (double)n) < 10);
        for (int i = 0; i < 3; i++)
            free(out[i]);
    }
}

// Mean and deviation of one weight on the device, within five standard errors.
static void check_weight(const model_weight *w, double mean, double deviation) {
    const int64_t n = va_tensor_elems(&w->tensor);
    uint16_t *data = malloc((size_t)va_tensor_bytes(&w->tensor));
    double sum = 0, squares = 0;
    assert_non_null(data);
    assert_int_equal(w->tensor.dtype, VA_BF16);
    assert_ok(env.ctx, va_gpu_download(env.gpu, w->tensor.mem, data));
    for (int64_t i = 0; i < n; i++)
        sum += (double)va_bf16_to_f32(data[i]);
    for (int64_t i = 0; i < n; i++)
        squares += pow((double)va_bf16_to_f32(data[i]) - sum / (double)n, 2);
    if (fabs(sum / (double)n - mean) > 5 * deviation / sqrt((double)n) ||
        fabs(sqrt(squares / (double)n) - deviation) > 5 * deviation * sqrt(0.2 / (double)n) + 1e-3)
        fail_msg("%s: expected mean %g, deviation %g, got %g and %g", w->name, mean, deviation,
                 sum / (double)n, sqrt(squares / (double)n));
    free(data);
}

static void test_weights(void **state) {
    (void)state;
    for (int gemma = 0; gemma < 2; gemma++) {
        va_model *m = open_random(gemma ? env.gemma : env.llama, 5);
        int64_t n, n_norm = 0;
        free(forward(m, &n));
        assert_true(m->n_weights > 10);
        for (int64_t i = 0; i < m->n_weights; i++) {
            const model_weight *w = &m->weights[i];
            const bool norm = w->tensor.n_dim == 1;
            n_norm += norm;
            if (norm)
                assert_non_null(strstr(w->name, "norm"));
            check_weight(w, norm && !gemma ? 1 : 0,
                         norm ? 0.1 : 1 / sqrt((double)w->tensor.shape[1]));
        }
        assert_true(n_norm > 2);
        va_model_close(&m);
    }
}

// The embedding's rows are those of the whole table, which a tied unembedding holds.
static void test_tied_rows(void **state) {
    (void)state;
    va_model *m = open_random(env.gemma, 5);
    const int64_t d = m->config.d_model;
    int64_t n;
    va_tensor table = {0};
    uint16_t device[1024], host[1024];
    assert_true(m->config.tied_embeddings && d <= VA_COUNT(host) && d % 2 == 0);
    free(forward(m, &n));
    for (int64_t i = 0; i < m->n_weights; i++)
        if (strcmp(m->weights[i].name, m->config.embed_weight) == 0)
            table = m->weights[i].tensor;
    assert_int_equal(table.n_dim, 2);
    assert_ok(env.ctx, va_gpu_download(env.gpu, va_slice_at(table.mem, 2 * 7 * d, 2 * d), device));
    const va_file_tensor *file;
    assert_ok(env.ctx, model_find_embedding(m, &file));
    assert_ok(env.ctx, model_embedding_row(m, file, 7, VA_BF16, host));
    assert_memory_equal(device, host, (size_t)(2 * d));
    va_model_close(&m);
}

static va_status no_rows(void *user, int64_t first, int64_t count, const float *rows) {
    (void)user, (void)first, (void)count, (void)rows;
    return VA_OK;
}

static void test_refused(void **state) {
    (void)state;
    va_model *m = open_random(env.llama, 5), *none;
    char hex[65];
    float gain[1024];
    bool centred;
    assert_int_equal(va_model_hash(m, 1, false, hex), VA_ERR_USAGE);
    assert_int_equal(va_model_table_rows(m, VA_TABLE_EMBED, no_rows, NULL), VA_ERR_USAGE);
    assert_int_equal(va_model_norm_gain(m, gain, &centred), VA_ERR_USAGE);
    assert_non_null(strstr(va_error_message(env.ctx), "got random weights"));
    assert_null(va_model_tokenizer(m));
    assert_true(va_model_param_count(m) > 1000);
    va_model_close(&m);
    assert_int_equal(va_model_open_random(env.ctx, "bad", "{\"model_type\": \"none\"}", 0, &none),
                     VA_ERR_UNSUPPORTED);
    assert_int_equal(va_model_open_random(env.ctx, "bad", "[", 0, &none), VA_ERR_FORMAT);
    assert_null(none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward), cmocka_unit_test(test_weights),
        cmocka_unit_test(test_tied_rows), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
