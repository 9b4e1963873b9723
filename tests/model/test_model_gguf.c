// A model whose tensors lie in a GGUF file, quantised: the same numbers, bit for bit, as from a
// folder that holds the dequantised weights; and what is refused. libs: va_model
// SPDX-License-Identifier: Apache-2.0
#include "gguf_bytes.h"
#include "test_gpu.h"

// To put a GGUF file under the configuration of a folder.
#include "model_priv.h"

static struct {
    va_ctx *ctx;
    va_gpu *gpu;
} env;

enum { T = 6, MAX_TENSORS = 64, F32 = 0, Q4_0 = 2, Q8_0 = 8 };
static const int32_t ids[T] = {2, 17, 40, 99, 3, 64};

typedef struct fixture {
    char dir[VA_TEST_PATH], gguf[VA_TEST_PATH];
    va_arena *arena;
    va_file_tensor plain[MAX_TENSORS];  // as f32
    va_file_tensor packed[MAX_TENSORS]; // the same numbers as the GGUF file has them
    int64_t n;
    uint64_t file_type; // a value of the metadata
} fixture;

// Random codes, scales of about 0.01; of what was f32.
static void quantise(fixture *f, int64_t i, va_dtype dtype) {
    va_file_tensor *t = &f->packed[i];
    va_rng rng = va_rng_make(11, (uint64_t)i);
    t->dtype = dtype;
    t->size_bytes = va_dtype_size(dtype, t->n_elem);
    uint8_t *data = va_arena_alloc(f->arena, t->size_bytes);
    float *plain = VA_NEW_ARRAY(f->arena, float, t->n_elem);
    for (int64_t b = 0; b < t->size_bytes; b++)
        data[b] = (uint8_t)va_rng_u32(&rng);
    for (int64_t b = 0; b < t->size_bytes; b += va_dtype_bytes(dtype)) {
        const uint16_t scale = va_f32_to_f16((float)(0.01 * va_rng_normal(&rng)));
        memcpy(data + b, &scale, sizeof scale);
    }
    va_convert_to_f32(plain, data, dtype, t->n_elem);
    t->data = data;
    f->plain[i].data = plain;
}

static void put_tensor(va_strbuf *b, const va_file_tensor *t, int64_t *offset) {
    gguf_put_string(b, t->name);
    gguf_put(b, (uint64_t)t->n_dim, 4);
    for (int k = t->n_dim - 1; k >= 0; k--)
        gguf_put(b, (uint64_t)t->shape[k], 8);
    gguf_put(b, t->dtype == VA_Q8_0 ? Q8_0 : t->dtype == VA_Q4_0 ? Q4_0 : F32, 4);
    gguf_put(b, (uint64_t)*offset, 8);
    *offset += (t->size_bytes + 31) / 32 * 32;
}

static void write_gguf(fixture *f) {
    va_strbuf b = {0};
    int64_t offset = 0;
    va_strbuf_puts(&b, "GGUF");
    gguf_put(&b, 3, 4);
    gguf_put(&b, (uint64_t)f->n, 8);
    gguf_put(&b, 1, 8);
    gguf_put_string(&b, "general.file_type");
    gguf_put(&b, 10, 4); // UINT64
    gguf_put(&b, f->file_type, 8);
    for (int64_t i = 0; i < f->n; i++)
        put_tensor(&b, &f->packed[i], &offset);
    for (int64_t i = 0; i < f->n; i++) {
        while (b.len % 32 != 0)
            gguf_put(&b, 0, 1);
        va_strbuf_append(&b, f->packed[i].data, f->packed[i].size_bytes);
    }
    assert_false(b.failed);
    assert_ok(env.ctx, va_file_write(env.ctx, f->gguf, b.data, b.len));
    va_strbuf_free(&b);
}

static int setup_files(void **state) {
    fixture *f = calloc(1, sizeof *f);
    char plain[VA_TEST_PATH], path[VA_TEST_PATH];
    va_safetensors *source;
    va_map config;
    va_test_temp_dir(f->dir);
    va_test_join(f->gguf, f->dir, "m.gguf");
    f->arena = va_arena_create();
    va_test_fixture(plain, "gemma3-plain");
    assert_ok(env.ctx, va_map_open(env.ctx, va_test_join(path, plain, "config.json"), &config));
    assert_ok(env.ctx, va_file_write(env.ctx, va_test_join(path, f->dir, "config.json"),
                                     config.data, config.size_bytes));
    va_map_close(&config);
    assert_ok(env.ctx, va_safetensors_open(env.ctx, va_test_join(path, plain, "model.safetensors"),
                                           &source));
    f->n = va_safetensors_count(source);
    assert_in_range(f->n, 1, MAX_TENSORS);
    for (int64_t i = 0; i < f->n; i++) {
        const va_file_tensor *t = va_safetensors_at(source, i);
        void *copy = va_arena_alloc(f->arena, t->size_bytes);
        f->plain[i] = *t;
        f->plain[i].name = va_arena_strdup(f->arena, t->name);
        f->plain[i].data = memcpy(copy, t->data, (size_t)t->size_bytes);
        f->packed[i] = f->plain[i];
        if (t->n_dim == 2 && t->shape[1] % 32 == 0)
            quantise(f, i, i % 2 ? VA_Q4_0 : VA_Q8_0);
    }
    va_safetensors_close(&source);
    assert_ok(env.ctx,
              va_safetensors_write(env.ctx, va_test_join(path, f->dir, "model.safetensors"),
                                   f->plain, f->n, NULL, 0));
    write_gguf(f);
    *state = f;
    return 0;
}

static int teardown_files(void **state) {
    fixture *f = *state;
    va_arena_destroy(&f->arena);
    va_test_temp_remove(f->dir);
    free(f);
    return 0;
}

static va_model *open_model(fixture *f, bool is_gguf) {
    va_model *m;
    assert_ok(env.ctx, va_model_open(env.ctx, f->dir, &m));
    assert_ok(env.ctx, va_model_attach(m, env.gpu));
    if (is_gguf) {
        model_files_close(&m->files);
        assert_ok(env.ctx, model_files_open(env.ctx, f->gguf, true, &m->files));
    }
    return m;
}

static va_status make_prompt(va_model *m, va_prompt **p) {
    static const va_site sites[] = {{.kind = VA_SITE_EMBED, .position = VA_POS_ALL},
                                    {.kind = VA_SITE_LOGITS, .layer = 3, .position = VA_POS_LAST},
                                    {.kind = VA_SITE_NORM, .layer = 3, .position = VA_POS_LAST}};
    const va_prompt_params params = {
        .ids = ids, .seq_len = T, .sites = sites, .n_sites = 3, .derivatives = true};
    return va_prompt_create(m, &params, p);
}

static float *site_values(fixture *f, va_prompt *p, int64_t i, int64_t *n) {
    int64_t rows, width;
    va_prompt_site_shape(p, i, &rows, &width);
    *n = rows * width;
    float *x = VA_NEW_ARRAY(f->arena, float, *n);
    assert_ok(env.ctx, va_prompt_read(p, i, x));
    return x;
}

static float *jx_values(fixture *f, va_prompt *p, int64_t n) {
    va_linmap *map;
    float *x = VA_NEW_ARRAY(f->arena, float, n);
    assert_ok(env.ctx, va_prompt_linmap(p, 0, 1, VA_EXACT, NULL, &map));
    assert_ok(env.ctx, va_prompt_jx(p, 0, 1, map, x));
    va_linmap_destroy(&map);
    return x;
}

// The embedding table is both: rows of it are unpacked on the host, as the unembedding it is
// packed.
static void test_same_numbers(void **state) {
    fixture *f = *state;
    va_model *m[2];
    va_prompt *p[2];
    int64_t bytes[2], n[2];
    for (int i = 0; i < 2; i++) {
        m[i] = open_model(f, i == 1);
        assert_ok(env.ctx, make_prompt(m[i], &p[i]));
        assert_ok(env.ctx, va_model_weight_bytes(m[i], 3, true, &bytes[i]));
    }
    for (int64_t s = 0; s < 3; s++) {
        const float *a = site_values(f, p[0], s, &n[0]), *b = site_values(f, p[1], s, &n[1]);
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(a, b, (size_t)n[0] * sizeof *a);
    }
    site_values(f, p[0], 1, &n[0]);
    assert_memory_equal(jx_values(f, p[0], n[0]), jx_values(f, p[1], n[0]),
                        (size_t)n[0] * sizeof(float));
    assert_true(bytes[1] < bytes[0] * 2 / 3); // down_proj has rows of 48, left as f32
    for (int i = 0; i < 2; i++) {
        va_prompt_destroy(&p[i]);
        va_model_close(&m[i]);
    }
}

static void expect_refusal(fixture *f, va_status code, const char *message) {
    va_prompt *p;
    write_gguf(f);
    va_model *m = open_model(f, true);
    assert_error(env.ctx, code, message, make_prompt(m, &p));
    va_model_close(&m);
}

static va_file_tensor *find(fixture *f, const char *name) {
    for (int64_t i = 0; i < f->n; i++)
        if (strcmp(f->packed[i].name, name) == 0)
            return &f->packed[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void test_infinite_scale(void **state) {
    fixture *f = *state;
    va_file_tensor *t = find(f, "model.layers.1.mlp.up_proj.weight");
    assert_true(va_dtype_quantised(t->dtype));
    const int64_t block = 7;
    uint8_t *scale = (uint8_t *)(uintptr_t)t->data + block * va_dtype_bytes(t->dtype);
    scale[0] = 0, scale[1] = 0xFC;
    expect_refusal(f, VA_ERR_NUMERIC,
                   "tensor model.layers.1.mlp.up_proj.weight holds NaN or infinity at flat index "
                   "224");
}

static void test_infinite_embedding(void **state) {
    fixture *f = *state;
    va_file_tensor *t = find(f, "model.embed_tokens.weight");
    uint8_t *scale = (uint8_t *)(uintptr_t)t->data + ids[1] * va_dtype_size(t->dtype, 32);
    scale[0] = 1, scale[1] = 0x7C; // NaN, in the row of the second token
    expect_refusal(f, VA_ERR_NUMERIC,
                   "tensor model.embed_tokens.weight holds NaN or infinity at flat index 544");
}

static void test_quantised_vector(void **state) {
    fixture *f = *state;
    quantise(f, find(f, "model.norm.weight") - f->packed, VA_Q8_0);
    expect_refusal(f, VA_ERR_SHAPE,
                   "tensor model.norm.weight: expected [32] F32 (or BF16, F16), got [32] Q8_0");
}

// A value that no tensor shows is part of what a model is.
static void test_hash(void **state) {
    fixture *f = *state;
    char hex[3][65];
    for (int i = 0; i < 3; i++) {
        f->file_type = i / 2;
        write_gguf(f);
        va_model *m = open_model(f, true);
        assert_ok(env.ctx, va_model_hash(m, 3, true, hex[i]));
        va_model_close(&m);
    }
    assert_string_equal(hex[0], hex[1]);
    assert_string_not_equal(hex[0], hex[2]);
}

// -- opening --------------------------------------------------------------------------------------

static va_status open_path(const char *path) {
    va_model *m;
    const va_status st = va_model_open(env.ctx, path, &m);
    assert_true((st == VA_OK) == (m != NULL));
    va_model_close(&m);
    return st;
}

static void test_refused_files(void **state) {
    fixture *f = *state;
    va_strbuf b = {0};
    char path[VA_TEST_PATH];
    assert_error(env.ctx, VA_ERR_FORMAT, "m.gguf: general.architecture: expected a string",
                 open_path(f->gguf));
    va_test_join(path, f->dir, "config.json");
    assert_error(env.ctx, VA_ERR_FORMAT, "config.json: expected the magic GGUF", open_path(path));
    va_test_join(path, f->dir, "none");
    assert_error(env.ctx, VA_ERR_FILE, "none: expected a model folder", open_path(path));
    va_strbuf_puts(&b, "GGUF");
    gguf_put(&b, 3, 4);
    gguf_put(&b, 0, 8);
    gguf_put(&b, 1, 8);
    gguf_put_string(&b, "split.count");
    gguf_put(&b, 2, 4); // UINT16
    gguf_put(&b, 3, 2);
    assert_ok(env.ctx, va_file_write(env.ctx, f->gguf, b.data, b.len));
    va_strbuf_free(&b);
    assert_error(env.ctx, VA_ERR_UNSUPPORTED, "expected a whole model, got one of 3 parts",
                 open_path(f->gguf));
}

static int setup(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    env.gpu = va_test_gpu(env.ctx);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_gpu_close(&env.gpu);
    va_ctx_destroy(&env.ctx);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_files, teardown_files)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_same_numbers),     TEST(test_infinite_scale), TEST(test_infinite_embedding),
        TEST(test_quantised_vector), TEST(test_hash),           TEST(test_refused_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
