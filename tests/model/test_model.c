// The model layer: what is refused and how, batches, new ids, concepts, hashes, memory.
// SPDX-License-Identifier: Apache-2.0
// libs: va_model
#include "test_gpu.h"

#include "vkalign/model.h"

#include <math.h>
#include <unistd.h>

static struct {
    va_ctx *ctx;
    va_gpu *gpu;
} env;

// -- a model folder that a test may spoil ---------------------------------------------------------

typedef struct folder {
    char dir[VA_TEST_PATH];
    va_safetensors *source; // of gemma3-plain (f32)
    va_file_tensor *tensors;
    int64_t n;
    va_arena *arena;
} folder;

static void copy_file(const char *from_dir, const char *to_dir, const char *name) {
    char from[VA_TEST_PATH], to[VA_TEST_PATH];
    va_map map;
    assert_ok(env.ctx, va_map_open(env.ctx, va_test_join(from, from_dir, name), &map));
    assert_ok(env.ctx,
              va_file_write(env.ctx, va_test_join(to, to_dir, name), map.data, map.size_bytes));
    va_map_close(&map);
}

static int setup_folder(void **state) {
    folder *f = calloc(1, sizeof *f);
    char plain[VA_TEST_PATH], path[VA_TEST_PATH];
    va_test_temp_dir(f->dir);
    f->arena = va_arena_create();
    va_test_fixture(plain, "gemma3-plain");
    copy_file(plain, f->dir, "config.json");
    assert_ok(env.ctx, va_safetensors_open(env.ctx, va_test_join(path, plain, "model.safetensors"),
                                           &f->source));
    f->n = va_safetensors_count(f->source);
    f->tensors = VA_NEW_ARRAY(f->arena, va_file_tensor, f->n);
    for (int64_t i = 0; i < f->n; i++) {
        const va_file_tensor *t = va_safetensors_at(f->source, i);
        f->tensors[i] = *t;
        float *data = VA_NEW_ARRAY(f->arena, float, t->n_elem);
        memcpy(data, t->data, (size_t)t->size_bytes);
        f->tensors[i].data = data;
    }
    *state = f;
    return 0;
}

static int teardown_folder(void **state) {
    folder *f = *state;
    va_safetensors_close(&f->source);
    va_arena_destroy(&f->arena);
    va_test_temp_remove(f->dir);
    free(f);
    return 0;
}

static va_file_tensor *tensor(folder *f, const char *name) {
    for (int64_t i = 0; i < f->n; i++)
        if (strcmp(f->tensors[i].name, name) == 0)
            return &f->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static float *values(folder *f, const char *name) {
    return (float *)(uintptr_t)tensor(f, name)->data;
}

static void write_weights(folder *f) {
    char path[VA_TEST_PATH];
    assert_ok(env.ctx,
              va_safetensors_write(env.ctx, va_test_join(path, f->dir, "model.safetensors"),
                                   f->tensors, f->n, NULL, 0));
}

// -- prompts --------------------------------------------------------------------------------------

static const int32_t ids[] = {2, 17, 40, 99, 3, 64};
enum { T = 6 };

static va_site site(const char *text) {
    va_site s;
    assert_ok(env.ctx, va_site_parse(env.ctx, text, -1, &s));
    return s;
}

static va_status try_prompt(va_model *m, const char *from, const char *to, const int32_t *tokens,
                            int64_t n_tokens, va_prompt **p) {
    const va_site sites[] = {site(from), site(to)};
    const va_prompt_params params = {.ids = tokens,
                                     .seq_len = n_tokens,
                                     .sites = sites,
                                     .n_sites = 2,
                                     .derivatives = true,
                                     .concept_first = 2,
                                     .concept_count = 3};
    return va_prompt_create(m, &params, p);
}

static va_model *open_plain(void) {
    char dir[VA_TEST_PATH];
    va_model *m;
    assert_ok(env.ctx, va_model_open(env.ctx, va_test_fixture(dir, "gemma3-plain"), &m));
    assert_ok(env.ctx, va_model_attach(m, env.gpu));
    return m;
}

static float *read_site(va_arena *arena, va_prompt *p, int64_t i, int64_t n_seq) {
    int64_t rows, width;
    va_prompt_site_shape(p, i, &rows, &width);
    float *x = VA_NEW_ARRAY(arena, float, n_seq *rows *width);
    assert_ok(env.ctx, va_prompt_read(p, i, x));
    return x;
}

static void test_refused_prompts(void **state) {
    (void)state;
    static const int32_t outside[] = {2, 100, 3, 4, 5, 6}, negative[] = {2, -1, 3, 4, 5, 6};
    const struct {
        const char *from, *to;
        const int32_t *tokens;
        int64_t n;
        const char *message;
    } cases[] = {
        {"embed@all", "norm:last", outside, T, "token 1 has id 100, the vocabulary is 0 to 99"},
        {"embed@all", "norm:last", negative, T, "token 1 has id -1"},
        {"embed@all", "norm:last", ids, 0, "at least one token"},
        {"embed@all", "norm:last", ids, 4000, "the model's context is 2048"},
        {"embed@all", "norm:last@6", ids, T, "norm:3@6 is outside the prompt of 6 tokens"},
        {"embed@-7", "norm:last", ids, T, "embed@-7 is outside the prompt"},
        {"embed@all", "norm:4", ids, T, "the model has 3 blocks"},
        {"embed@all", "attn:3", ids, T, "the model has 3 blocks"},
        {"embed@concept", "norm:last", ids, 4, "embed@concept is outside the prompt"},
    };
    va_model *m = open_plain();
    va_prompt *p;
    for (int64_t i = 0; i < VA_COUNT(cases); i++)
        assert_error(env.ctx, VA_ERR_USAGE, cases[i].message,
                     try_prompt(m, cases[i].from, cases[i].to, cases[i].tokens, cases[i].n, &p));
    const va_site s = site("embed@concept");
    const va_prompt_params none = {.ids = ids, .seq_len = T, .sites = &s, .n_sites = 1};
    assert_error(env.ctx, VA_ERR_USAGE, "the concept's name is not in the prompt",
                 va_prompt_create(m, &none, &p));
    va_model_close(&m);
}

static void test_refused_maps(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"norm:2", "resid:3", "norm:2@last does not come before resid:3@last"},
        {"resid:2", "resid:2@all", "does not come before"},
        {"logits", "norm:3", "does not come before"},
        {"embed@mean", "norm:3", "expected positions, not a mean"},
    };
    va_model *m = open_plain();
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_prompt *p;
        va_linmap *map;
        assert_ok(env.ctx, try_prompt(m, cases[i].from, cases[i].to, ids, T, &p));
        assert_error(env.ctx, VA_ERR_USAGE, cases[i].message,
                     va_prompt_linmap(p, 0, 1, VA_EXACT, NULL, &map));
        va_prompt_destroy(&p);
    }
    va_prompt *p;
    va_linmap *map;
    assert_ok(env.ctx, try_prompt(m, "embed@all", "norm:3", ids, T, &p));
    assert_error(env.ctx, VA_ERR_MEMORY, "for the temporaries of a sweep, got 100 B",
                 va_prompt_linmap(p, 0, 1, VA_EXACT, &(va_map_budget){.sweep_bytes = 100}, &map));
    assert_error(env.ctx, VA_ERR_MEMORY, "larger than the 100 B that one binding holds",
                 va_prompt_linmap(p, 0, 1, VA_EXACT, &(va_map_budget){.range_bytes = 100}, &map));
    va_prompt_destroy(&p);
    va_model_close(&m);
}

static void test_needs_device(void **state) {
    (void)state;
    char dir[VA_TEST_PATH];
    va_model *m;
    va_prompt *p;
    assert_ok(env.ctx, va_model_open(env.ctx, va_test_fixture(dir, "gemma3-plain"), &m));
    assert_error(env.ctx, VA_ERR_USAGE, "va_model_attach",
                 try_prompt(m, "embed", "norm:1", ids, T, &p));
    va_model_close(&m);
}

// -- spoiled files --------------------------------------------------------------------------------

static va_status open_and_run(folder *f) {
    va_status st = VA_OK;
    va_model *m = NULL;
    va_prompt *p = NULL;
    VA_TRY(va_model_open(env.ctx, f->dir, &m));
    VA_TRY(va_model_attach(m, env.gpu));
    VA_TRY(try_prompt(m, "embed@all", "logits", ids, T, &p));
done:
    va_prompt_destroy(&p);
    va_model_close(&m);
    return st;
}

static void test_whole_copy(void **state) {
    folder *f = *state;
    write_weights(f);
    assert_ok(env.ctx, open_and_run(f));
}

static void test_missing_tensor(void **state) {
    folder *f = *state;
    tensor(f, "model.layers.1.mlp.up_proj.weight")->name = "something.else";
    write_weights(f);
    assert_error(env.ctx, VA_ERR_FORMAT, "lack tensor model.layers.1.mlp.up_proj.weight",
                 open_and_run(f));
}

static void test_wrong_shape(void **state) {
    folder *f = *state;
    va_file_tensor *t = tensor(f, "model.layers.2.self_attn.o_proj.weight");
    t->n_dim = 1;
    t->shape[0] = t->n_elem;
    write_weights(f);
    assert_error(env.ctx, VA_ERR_SHAPE, "model.layers.2.self_attn.o_proj.weight: expected [32, 32]",
                 open_and_run(f));
}

static void test_wrong_dtype(void **state) {
    folder *f = *state;
    tensor(f, "model.norm.weight")->dtype = VA_I32;
    write_weights(f);
    assert_error(env.ctx, VA_ERR_SHAPE, "model.norm.weight: expected [32]", open_and_run(f));
}

static void test_vocabulary_mismatch(void **state) {
    folder *f = *state;
    va_file_tensor *t = tensor(f, "model.embed_tokens.weight");
    t->shape[0] = 99;
    write_weights(f);
    assert_error(env.ctx, VA_ERR_SHAPE, "model.embed_tokens.weight: expected [100, 32]",
                 open_and_run(f));
}

static void test_nan_weight(void **state) {
    folder *f = *state;
    values(f, "model.layers.0.mlp.gate_proj.weight")[777] = NAN;
    write_weights(f);
    assert_error(env.ctx, VA_ERR_NUMERIC,
                 "model.layers.0.mlp.gate_proj.weight holds NaN or infinity at flat index 777",
                 open_and_run(f));
}

static void test_infinite_last_element(void **state) {
    folder *f = *state;
    values(f, "model.layers.2.mlp.down_proj.weight")[32 * 48 - 1] = -INFINITY;
    write_weights(f);
    assert_error(env.ctx, VA_ERR_NUMERIC, "flat index 1535", open_and_run(f));
}

// Only the rows in use are looked at: what is not needed is not read.
static void test_nan_embedding_row(void **state) {
    folder *f = *state;
    va_site s = site("resid:1@all");
    va_model *m;
    va_prompt *p;
    values(f, "model.embed_tokens.weight")[40 * 32 + 5] = NAN;
    write_weights(f);
    assert_ok(env.ctx, va_model_open(env.ctx, f->dir, &m));
    assert_ok(env.ctx, va_model_attach(m, env.gpu));
    va_prompt_params params = {.ids = ids, .seq_len = T, .sites = &s, .n_sites = 1};
    assert_error(env.ctx, VA_ERR_NUMERIC,
                 "model.embed_tokens.weight holds NaN or infinity at flat "
                 "index 1285",
                 va_prompt_create(m, &params, &p));
    params.seq_len = 2; // 2, 17
    assert_ok(env.ctx, va_prompt_create(m, &params, &p));
    va_prompt_destroy(&p);
    va_model_close(&m);
}

static void test_overflow_is_refused(void **state) {
    folder *f = *state;
    va_site s = site("logits@all");
    va_model *m;
    va_prompt *p;
    float logits[T * 100], *norm = values(f, "model.norm.weight");
    for (int i = 0; i < 32; i++)
        norm[i] = 3e38f;
    write_weights(f);
    assert_ok(env.ctx, va_model_open(env.ctx, f->dir, &m));
    assert_ok(env.ctx, va_model_attach(m, env.gpu));
    const va_prompt_params params = {.ids = ids, .seq_len = T, .sites = &s, .n_sites = 1};
    assert_ok(env.ctx, va_prompt_create(m, &params, &p));
    assert_error(env.ctx, VA_ERR_NUMERIC, "logits:3@all holds NaN or infinity",
                 va_prompt_read(p, 0, logits));
    va_prompt_destroy(&p);
    va_model_close(&m);
}

// The forward pass that follows the weights gives the bits of one that waits for them, and is not
// run twice.
static void test_run_while_uploading(void **state) {
    folder *f = *state;
    va_site s = site("logits@all");
    float logits[2][T * 100];
    write_weights(f);
    for (int run = 0; run < 2; run++) {
        va_model *m;
        va_prompt *p;
        assert_ok(env.ctx, va_model_open(env.ctx, f->dir, &m));
        assert_ok(env.ctx, va_model_attach(m, env.gpu));
        const int64_t before = va_gpu_dispatch_count(env.gpu);
        const va_prompt_params params = {
            .ids = ids, .seq_len = T, .sites = &s, .n_sites = 1, .run = run};
        assert_ok(env.ctx, va_prompt_create(m, &params, &p));
        const int64_t created = va_gpu_dispatch_count(env.gpu);
        assert_ok(env.ctx, va_prompt_read(p, 0, logits[run]));
        assert_int_equal(created > before, run);
        assert_int_equal(va_gpu_dispatch_count(env.gpu) > created, !run);
        va_prompt_destroy(&p);
        va_model_close(&m);
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
}

static void test_hash(void **state) {
    folder *f = *state;
    char first[65], again[65], norms[65], later[65];
    for (int round = 0; round < 3; round++) {
        va_model *m;
        if (round == 2)
            values(f, "model.layers.2.mlp.down_proj.weight")[0] += 1;
        write_weights(f);
        assert_ok(env.ctx, va_model_open(env.ctx, f->dir, &m));
        assert_ok(env.ctx, va_model_hash(m, 3, false, round == 0 ? first : again));
        assert_ok(env.ctx, va_model_hash(m, 2, false, round == 0 ? norms : later));
        va_model_close(&m);
        assert_int_equal(round == 0 || strcmp(first, again) == 0, round < 2);
    }
    assert_string_equal(norms, later); // block 2 is not among two blocks
    assert_string_not_equal(first, norms);
}

// -- values ---------------------------------------------------------------------------------------

// Every position is what @all has there.
static void test_positions(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t first, count;
    } cases[] = {{"@last", 5, 1}, {"@0", 0, 1}, {"@3", 3, 1}, {"@-2", 4, 1}, {"@concept", 2, 3}};
    static const char *const kinds[] = {"resid:2", "norm:3", "logits:3", "mlp:1"};
    va_arena *arena = va_arena_create();
    va_model *m = open_plain();
    for (int64_t k = 0; k < VA_COUNT(kinds); k++) {
        va_site sites[VA_COUNT(cases) + 2];
        char text[64];
        va_prompt *p;
        snprintf(text, sizeof text, "%s@all", kinds[k]);
        sites[VA_COUNT(cases)] = site(text);
        snprintf(text, sizeof text, "%s@mean", kinds[k]);
        sites[VA_COUNT(cases) + 1] = site(text);
        for (int64_t i = 0; i < VA_COUNT(cases); i++) {
            snprintf(text, sizeof text, "%s%s", kinds[k], cases[i].text);
            sites[i] = site(text);
        }
        const va_prompt_params params = {.ids = ids,
                                         .seq_len = T,
                                         .sites = sites,
                                         .n_sites = VA_COUNT(sites),
                                         .concept_first = 2,
                                         .concept_count = 3};
        assert_ok(env.ctx, va_prompt_create(m, &params, &p));
        int64_t rows, width;
        va_prompt_site_shape(p, VA_COUNT(cases), &rows, &width);
        assert_int_equal(rows, T);
        const float *all = read_site(arena, p, VA_COUNT(cases), 1);
        const float *mean = read_site(arena, p, VA_COUNT(cases) + 1, 1);
        for (int64_t i = 0; i < VA_COUNT(cases); i++) {
            va_prompt_site_shape(p, i, &rows, &width);
            assert_int_equal(rows, cases[i].count);
            const float *part = read_site(arena, p, i, 1);
            // the unembedding of fewer rows may sum in another order
            assert_true(va_test_max_error_f32(part, all + cases[i].first * width, rows * width) <=
                        1e-6);
        }
        for (int64_t c = 0; c < width; c++) {
            double sum = 0;
            for (int64_t t = 0; t < T; t++)
                sum += all[t * width + c];
            assert_true(fabs(mean[c] - sum / T) <= 1e-5 * (1 + fabs(sum)));
        }
        va_prompt_destroy(&p);
    }
    va_model_close(&m);
    va_arena_destroy(&arena);
}

// Two sequences at once, and new ids on an old graph, are what each alone gives.
static void test_batches_and_new_ids(void **state) {
    (void)state;
    static const int32_t both[2 * T] = {2, 17, 40, 99, 3, 64, 2, 8, 8, 71, 0, 5};
    const va_site s = site("logits@all");
    va_arena *arena = va_arena_create();
    va_model *m = open_plain();
    va_prompt *p, *pair;
    va_prompt_params params = {.ids = both, .seq_len = T, .sites = &s, .n_sites = 1};
    assert_ok(env.ctx, va_prompt_create(m, &params, &p));
    params.n_seq = 2;
    assert_ok(env.ctx, va_prompt_create(m, &params, &pair));
    const float *joint = read_site(arena, pair, 0, 2);
    const float *first = read_site(arena, p, 0, 1);
    assert_ok(env.ctx, va_prompt_set_ids(p, both + T));
    const float *second = read_site(arena, p, 0, 1);
    assert_true(va_test_max_error_f32(joint, first, T * 100) <= 1e-6);
    assert_true(va_test_max_error_f32(joint + T * 100, second, T * 100) <= 1e-6);
    assert_true(va_test_max_error_f32(first, second, T * 100) > 1e-2);
    static const int32_t wrong[T] = {0, 0, 0, 0, 0, 100};
    assert_error(env.ctx, VA_ERR_USAGE, "token 5 has id 100", va_prompt_set_ids(p, wrong));
    params.derivatives = true;
    va_prompt *no;
    assert_error(env.ctx, VA_ERR_USAGE, "one sequence at a time",
                 va_prompt_create(m, &params, &no));
    va_prompt_destroy(&p);
    va_prompt_destroy(&pair);
    va_model_close(&m);
    va_arena_destroy(&arena);
}

// An old map follows new ids: it is what a fresh prompt's map is.
static void test_map_after_new_ids(void **state) {
    (void)state;
    static const int32_t other[T] = {2, 8, 8, 71, 0, 5};
    va_model *m = open_plain();
    va_prompt *p, *fresh;
    va_linmap *map, *expected;
    float x[3 * 32], y[32], z[32];
    for (int i = 0; i < 3 * 32; i++)
        x[i] = (float)(i % 7) - 3;
    assert_ok(env.ctx, try_prompt(m, "resid:1@concept", "norm:3", ids, T, &p));
    assert_ok(env.ctx, va_prompt_linmap(p, 0, 1, VA_EXACT, NULL, &map));
    assert_ok(env.ctx, va_linmap_apply_host(map, x, 1, y));
    assert_ok(env.ctx, va_prompt_set_ids(p, other));
    assert_ok(env.ctx, va_linmap_apply_host(map, x, 1, y));
    assert_ok(env.ctx, try_prompt(m, "resid:1@concept", "norm:3", other, T, &fresh));
    assert_ok(env.ctx, va_prompt_linmap(fresh, 0, 1, VA_EXACT, NULL, &expected));
    assert_ok(env.ctx, va_linmap_apply_host(expected, x, 1, z));
    assert_true(va_test_max_error_f32(y, z, 32) <= 1e-6);
    va_linmap_destroy(&map);
    va_linmap_destroy(&expected);
    va_prompt_destroy(&p);
    va_prompt_destroy(&fresh);
    va_model_close(&m);
}

// A Jacobian in chunks of a small budget is the Jacobian.
static void test_small_budget(void **state) {
    (void)state;
    enum { N = T * 32 };
    va_arena *arena = va_arena_create();
    va_model *m = open_plain();
    va_prompt *p;
    va_linmap *wide, *narrow;
    assert_ok(env.ctx, try_prompt(m, "embed@all", "norm:3@all", ids, T, &p));
    assert_ok(env.ctx, va_prompt_linmap(p, 0, 1, VA_DETACHED, NULL, &wide));
    assert_ok(env.ctx, va_prompt_linmap(p, 0, 1, VA_DETACHED,
                                        &(va_map_budget){.sweep_bytes = 200000}, &narrow));
    assert_true(va_linmap_max_k(narrow) < N);
    float *a = VA_NEW_ARRAY(arena, float, N *N), *b = VA_NEW_ARRAY(arena, float, N *N);
    assert_ok(env.ctx, va_linmap_dense(wide, a));
    assert_ok(env.ctx, va_linmap_dense(narrow, b));
    assert_true(va_test_max_error_f32(a, b, N * N) <= 1e-6);
    for (int64_t t = 0; t < T; t++) // causality: nothing from later tokens
        for (int64_t i = 0; i < 32; i++)
            for (int64_t j = (t + 1) * 32; j < N; j++)
                assert_true(a[(t * 32 + i) * N + j] == 0);
    va_linmap_destroy(&wide);
    va_linmap_destroy(&narrow);
    va_prompt_destroy(&p);
    va_model_close(&m);
    va_arena_destroy(&arena);
}

static void test_tokenize(void **state) {
    (void)state;
    static const char text[] = "The concept of Physical means";
    char dir[VA_TEST_PATH];
    va_arena *arena = va_arena_create();
    va_model *m, *bare = open_plain();
    int32_t *tokens;
    int64_t n, first, count;
    assert_ok(env.ctx, va_model_open(env.ctx, va_test_fixture(dir, "gemma3-bf16"), &m));
    assert_ok(env.ctx, va_model_tokenize(m, arena, text, "Physical", &tokens, &n, &first, &count));
    assert_int_equal(tokens[0], va_model_config(m)->bos_id);
    assert_true(count >= 1 && first > 0 && first + count < n);
    char *back;
    assert_ok(env.ctx, va_tokenizer_decode(va_model_tokenizer(m), arena, tokens + first, count,
                                           true, &back));
    assert_non_null(strstr(back, "Physical"));
    assert_ok(env.ctx, va_model_tokenize(m, arena, text, "Absent", &tokens, &n, &first, &count));
    assert_int_equal(count, 0);
    assert_error(env.ctx, VA_ERR_USAGE, "no tokenizer.json",
                 va_model_tokenize(bare, arena, text, NULL, &tokens, &n, &first, &count));
    va_model_close(&m);
    va_model_close(&bare);
    va_arena_destroy(&arena);
}

// Two tables under a configuration that ties them: both count, as in transformers, so that this is
// the untied model.
static void test_tied_in_name_only(void **state) {
    (void)state;
    enum { V = 101 };
    char dir[VA_TEST_PATH], from[VA_TEST_PATH], to[VA_TEST_PATH];
    va_model *m[2];
    float *logits[2];
    va_arena *arena = va_arena_create();
    const va_site s = site("logits");
    const va_prompt_params params = {.ids = ids, .seq_len = T, .sites = &s, .n_sites = 1};
    va_map map;
    va_test_fixture(from, "gemma3-untied/config.json");
    assert_ok(env.ctx, va_map_open(env.ctx, from, &map));
    char *config = va_arena_strndup(arena, (const char *)map.data, map.size_bytes);
    va_map_close(&map);
    char *flag = strstr(config, "\"tie_word_embeddings\": false");
    assert_non_null(flag);
    memcpy(flag, "\"tie_word_embeddings\": true ", strlen("\"tie_word_embeddings\": true "));
    va_test_temp_dir(dir);
    va_test_join(to, dir, "config.json");
    assert_ok(env.ctx, va_file_write(env.ctx, to, config, (int64_t)strlen(config)));
    va_test_fixture(from, "gemma3-untied/model.safetensors");
    assert_int_equal(symlink(from, va_test_join(to, dir, "model.safetensors")), 0);
    va_test_fixture(from, "gemma3-untied");
    for (int i = 0; i < 2; i++) {
        va_prompt *p;
        assert_ok(env.ctx, va_model_open(env.ctx, i ? dir : from, &m[i]));
        assert_ok(env.ctx, va_model_attach(m[i], env.gpu));
        assert_false(va_model_config(m[i])->tied_embeddings);
        assert_ok(env.ctx, va_prompt_create(m[i], &params, &p));
        logits[i] = read_site(arena, p, 0, 1);
        va_prompt_destroy(&p);
        va_model_close(&m[i]);
    }
    assert_memory_equal(logits[0], logits[1], V * sizeof(float));
    va_test_temp_remove(dir);
    va_arena_destroy(&arena);
}

// Only what is needed is uploaded, and what was planned is what is used.
static void test_memory(void **state) {
    (void)state;
    va_model *m = open_plain();
    va_prompt *p;
    int64_t one, all, unembed;
    va_graph_cost forward, jvp;
    // q, k, v, o of 32 x 32, mlp 3 x 32 x 48, 4 norms of 32 and 2 of 16
    enum { BLOCK = 4 * 1024 + 3 * 32 * 48 + 4 * 32 + 2 * 16 };
    const va_site sites[] = {site("embed@all"), site("norm:1")};
    const va_prompt_params params = {
        .ids = ids, .seq_len = T, .sites = sites, .n_sites = 2, .derivatives = true};
    assert_ok(env.ctx, va_model_weight_bytes(m, 1, false, &one));
    assert_ok(env.ctx, va_model_weight_bytes(m, 3, false, &all));
    assert_ok(env.ctx, va_model_weight_bytes(m, 3, true, &unembed));
    assert_int_equal(one, 4 * (BLOCK + 32));
    assert_int_equal(all, 4 * (3 * BLOCK + 32));
    assert_int_equal(unembed - all, 4 * 100 * 32);
    assert_ok(env.ctx, va_prompt_plan(m, &params, &forward, &jvp));
    assert_true(jvp.flop > forward.flop / 2 && jvp.memory_bytes > 0);
    const int64_t before = va_gpu_get_memory(env.gpu).used_bytes;
    assert_ok(env.ctx, va_prompt_create(m, &params, &p));
    const int64_t used = va_gpu_get_memory(env.gpu).used_bytes - before;
    // padding: 256 bytes for each of some sixty buffers
    const int64_t planned = one + forward.memory_bytes;
    assert_true(used >= planned && used <= planned + 60 * 256);
    va_prompt_destroy(&p);
    va_model_close(&m);
    assert_int_equal(va_gpu_get_memory(env.gpu).used_bytes, before);
}

#define spoiled(test) cmocka_unit_test_setup_teardown(test, setup_folder, teardown_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_prompts),
        cmocka_unit_test(test_refused_maps),
        cmocka_unit_test(test_needs_device),
        spoiled(test_whole_copy),
        spoiled(test_missing_tensor),
        spoiled(test_wrong_shape),
        spoiled(test_wrong_dtype),
        spoiled(test_vocabulary_mismatch),
        spoiled(test_nan_weight),
        spoiled(test_infinite_last_element),
        spoiled(test_nan_embedding_row),
        spoiled(test_overflow_is_refused),
        spoiled(test_run_while_uploading),
        spoiled(test_hash),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_batches_and_new_ids),
        cmocka_unit_test(test_map_after_new_ids),
        cmocka_unit_test(test_small_budget),
        cmocka_unit_test(test_tokenize),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_tied_in_name_only),
    };
    env.ctx = va_test_ctx();
    env.gpu = va_test_gpu(env.ctx);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += va_gpu_validation_count(env.gpu) > 0;
    va_gpu_close(&env.gpu);
    va_ctx_destroy(&env.ctx);
    return failed;
}
