// Interventions: what is added to the stream and what follows from it; streams decoded.
// SPDX-License-Identifier: Apache-2.0
// libs: va_model
#include "test_gpu.h"

#include "vkalign/model.h"

#include <math.h>

static const double VALUE_TOLERANCE = 1e-4; // DESIGN section 7

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
    va_arena *arena;
    va_model *model;
    int64_t d, V;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->gpu = va_test_gpu(f->ctx);
    f->arena = va_arena_create();
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_arena_destroy(&f->arena);
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static void open_model(fixture *f, const char *name) {
    char path[VA_TEST_PATH];
    assert_ok(f->ctx, va_model_open(f->ctx, va_test_fixture(path, name), &f->model));
    assert_ok(f->ctx, va_model_attach(f->model, f->gpu));
    f->d = va_model_config(f->model)->d_model;
    f->V = va_model_config(f->model)->vocab_size;
}

static va_site site(fixture *f, const char *text) {
    va_site s;
    assert_ok(f->ctx, va_site_parse(f->ctx, text, va_model_config(f->model)->n_layer, &s));
    return s;
}

static float *read(fixture *f, va_prompt *p, int64_t i, int64_t n) {
    float *x = VA_NEW_ARRAY(f->arena, float, n);
    assert_ok(f->ctx, va_prompt_read(p, i, x));
    return x;
}

// -- the fixture's edits --------------------------------------------------------------------------

static const va_file_tensor *tensor(va_safetensors *s, const char *format, int i) {
    char name[64];
    snprintf(name, sizeof name, format, i);
    const va_file_tensor *t = va_safetensors_find(s, name);
    if (!t)
        fail_msg("the fixture lacks %s", name);
    return t;
}

static void check_torch(fixture *f, const char *name) {
    enum { FIRST = 5, N = 8 };
    char path[VA_TEST_PATH], file[64];
    va_safetensors *s;
    open_model(f, name);
    snprintf(file, sizeof file, "relation/%s.safetensors", name);
    assert_ok(f->ctx, va_safetensors_open(f->ctx, va_test_fixture(path, file), &s));
    const va_site at = site(f, "resid:1"), sites[] = {site(f, "logits@last")};
    for (int i = FIRST; i < N; i++) {
        const va_file_tensor *t = tensor(s, "p%d.ids", i);
        int64_t ids[16], subject;
        int32_t ids32[16];
        memcpy(ids, t->data, (size_t)t->size_bytes);
        memcpy(&subject, (const uint8_t *)va_safetensors_find(s, "subjects")->data + 8 * i, 8);
        for (int64_t j = 0; j < t->n_elem; j++)
            ids32[j] = (int32_t)ids[j];
        const va_prompt_params params = {
            .ids = ids32, .seq_len = t->n_elem, .sites = sites, .n_sites = 1, .edit = &at};
        float delta[64];
        va_prompt *p;
        memcpy(delta, tensor(s, "exact.p%d.delta", i)->data, (size_t)f->d * sizeof *delta);
        assert_ok(f->ctx, va_prompt_create(f->model, &params, &p));
        const float *plain = tensor(s, "p%d.logits", i)->data;
        const float *edited = tensor(s, "exact.p%d.edited.logits", i)->data;
        assert_true(va_test_max_error_f32(read(f, p, 0, f->V), plain, f->V) <= VALUE_TOLERANCE);
        assert_ok(f->ctx, va_prompt_set_edit(p, subject, delta));
        assert_true(va_test_max_error_f32(read(f, p, 0, f->V), edited, f->V) <= VALUE_TOLERANCE);
        assert_true(va_test_max_error_f32(plain, edited, f->V) > 1e-2); // it says something
        va_prompt_destroy(&p);
    }
    va_safetensors_close(&s);
    va_model_close(&f->model);
}

static void test_torch(void **state) {
    check_torch(*state, "gemma3-plain");
    check_torch(*state, "gpt2-plain");
}

// -- what must hold -------------------------------------------------------------------------------

enum { T = 6 };
static const int32_t two[2 * T] = {2, 7, 1, 9, 30, 8, 2, 5, 4, 40, 3, 11};

// The stream of one sequence, moved onto that of the other, gives what the other gives; the
// sequence beside it stays as it was; without an edit nothing changes.
static void test_whole_stream(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    const va_site at = site(f, "resid:2");
    const va_site sites[] = {site(f, "resid:2@all"), site(f, "resid:3@all"), site(f, "attn:1@all")};
    va_prompt_params params = {
        .ids = two, .n_seq = 2, .seq_len = T, .sites = sites, .n_sites = VA_COUNT(sites)};
    va_prompt *plain, *p;
    assert_ok(f->ctx, va_prompt_create(f->model, &params, &plain));
    params.edit = &at;
    assert_ok(f->ctx, va_prompt_create(f->model, &params, &p));
    const int64_t n = 2 * T * f->d, half = T * f->d;
    const float *h = read(f, plain, 0, n), *y = read(f, plain, 1, n), *attn = read(f, plain, 2, n);
    assert_memory_equal(read(f, p, 1, n), y, (size_t)n * sizeof *y);
    float *delta = VA_NEW_ARRAY(f->arena, float, half);
    for (int64_t i = 0; i < half; i++)
        delta[i] = h[half + i] - h[i];
    for (int64_t t = 0; t < T; t++)
        assert_ok(f->ctx, va_prompt_set_edit(p, t, delta + t * f->d));
    const float *moved = read(f, p, 1, n);
    assert_true(va_test_max_error_f32(read(f, p, 0, n), h + half, half) <= 1e-6); // edited itself
    assert_true(va_test_max_error_f32(moved, y + half, half) <= 1e-5);
    assert_memory_equal(moved + half, y + half, (size_t)half * sizeof *y);
    assert_memory_equal(read(f, p, 2, n), attn, (size_t)n * sizeof *y); // before the edit
    for (int64_t t = 0; t < T; t++)
        assert_ok(f->ctx, va_prompt_set_edit(p, t, NULL));
    assert_memory_equal(read(f, p, 1, n), y, (size_t)n * sizeof *y);
    va_prompt_destroy(&p);
    va_prompt_destroy(&plain);
    va_model_close(&f->model);
}

// An edit stays under new ids.
static void test_new_ids(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    const va_site at = site(f, "embed"), sites[] = {site(f, "resid:0@all")};
    const va_prompt_params params = {
        .ids = two, .seq_len = T, .sites = sites, .n_sites = 1, .edit = &at};
    va_prompt *p;
    assert_ok(f->ctx, va_prompt_create(f->model, &params, &p));
    float *delta = VA_NEW_ARRAY(f->arena, float, f->d);
    delta[3] = 100;
    const float *before = read(f, p, 0, T * f->d);
    assert_ok(f->ctx, va_prompt_set_ids(p, two + T));
    const float *after = read(f, p, 0, T * f->d);
    assert_ok(f->ctx, va_prompt_set_edit(p, 4, delta));
    assert_true(read(f, p, 0, T * f->d)[4 * f->d + 3] == after[4 * f->d + 3] + 100);
    assert_ok(f->ctx, va_prompt_set_ids(p, two));
    assert_true(read(f, p, 0, T * f->d)[4 * f->d + 3] == before[4 * f->d + 3] + 100);
    va_prompt_destroy(&p);
    va_model_close(&f->model);
}

// The difference that a small edit makes is the derivative times it.
static void test_derivative(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    const va_site at = site(f, "resid:1"), sites[] = {site(f, "resid:1@2"), site(f, "resid:3")};
    const va_prompt_params params = {.ids = two,
                                     .seq_len = T,
                                     .sites = sites,
                                     .n_sites = 2,
                                     .derivatives = true,
                                     .modes = 1u << VA_EXACT,
                                     .edit = &at};
    va_prompt *p;
    va_linmap *map;
    va_rng r = va_rng_make(1, 0);
    const float step = 1e-2f;
    float *delta = VA_NEW_ARRAY(f->arena, float, 3 * f->d), *Jx = delta + f->d;
    float *minus = Jx + f->d;
    assert_ok(f->ctx, va_prompt_create(f->model, &params, &p));
    assert_ok(f->ctx, va_prompt_linmap(p, 0, 1, VA_EXACT, NULL, &map));
    for (int64_t i = 0; i < f->d; i++) {
        delta[i] = step * (float)va_rng_normal(&r);
        minus[i] = -delta[i];
    }
    assert_ok(f->ctx, va_linmap_apply_host(map, delta, 1, Jx));
    assert_ok(f->ctx, va_prompt_set_edit(p, 2, delta));
    const float *up = read(f, p, 1, f->d);
    assert_ok(f->ctx, va_prompt_set_edit(p, 2, minus));
    const float *down = read(f, p, 1, f->d);
    double *slope = VA_NEW_ARRAY(f->arena, double, f->d);
    for (int64_t i = 0; i < f->d; i++)
        slope[i] = ((double)up[i] - down[i]) / 2;
    // truncation O(step^2) and cancellation of f32 values: 1e-3 at this step
    assert_true(va_test_frobenius_error(Jx, slope, f->d) <= 1e-3);
    va_linmap_destroy(&map);
    va_prompt_destroy(&p);
    va_model_close(&f->model);
}

static void test_refusals(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    va_site at = site(f, "attn:1");
    const va_site sites[] = {site(f, "resid:1")};
    va_prompt_params params = {.ids = two, .seq_len = T, .sites = sites, .n_sites = 1, .edit = &at};
    va_prompt *p;
    float *delta = VA_NEW_ARRAY(f->arena, float, f->d);
    assert_error(f->ctx, VA_ERR_USAGE, "an edit at attn:1@last: expected embed or resid:N",
                 va_prompt_create(f->model, &params, &p));
    at = site(f, "resid:2");
    assert_error(f->ctx, VA_ERR_USAGE, "an edit at resid:2@last: no site in use comes after it",
                 va_prompt_create(f->model, &params, &p));
    at.layer = 4;
    assert_error(f->ctx, VA_ERR_USAGE, "the model has 3 blocks",
                 va_prompt_create(f->model, &params, &p));
    at.layer = 1;
    assert_ok(f->ctx, va_prompt_create(f->model, &params, &p));
    assert_error(f->ctx, VA_ERR_USAGE, "an edit of row 6: expected 0 to 5",
                 va_prompt_set_edit(p, T, delta));
    assert_error(f->ctx, VA_ERR_USAGE, "an edit of row -1", va_prompt_set_edit(p, -1, delta));
    delta[5] = NAN;
    assert_error(f->ctx, VA_ERR_NUMERIC, "NaN or infinity at index 5",
                 va_prompt_set_edit(p, 0, delta));
    va_prompt_destroy(&p);
    params.edit = NULL;
    assert_ok(f->ctx, va_prompt_create(f->model, &params, &p));
    assert_error(f->ctx, VA_ERR_USAGE, "made without a site to edit",
                 va_prompt_set_edit(p, 0, NULL));
    va_prompt_destroy(&p);
    va_model_close(&f->model);
}

// -- decoding -------------------------------------------------------------------------------------

// The last stream of every token, more rows than one pass takes, gives transformers' own logits.
static void check_decode(fixture *f, const char *name) {
    enum { TIMES = 13 };
    char path[VA_TEST_PATH], file[64], key[32];
    va_safetensors *s;
    open_model(f, name);
    snprintf(file, sizeof file, "%s/expected.safetensors", name);
    snprintf(key, sizeof key, "p0.resid.%lld", (long long)va_model_config(f->model)->n_layer);
    assert_ok(f->ctx, va_safetensors_open(f->ctx, va_test_fixture(path, file), &s));
    const va_file_tensor *x = tensor(s, key, 0), *y = tensor(s, "p0.logits", 0);
    const int64_t n = x->shape[0];
    float *rows = VA_NEW_ARRAY(f->arena, float, TIMES * x->n_elem);
    float *logits = VA_NEW_ARRAY(f->arena, float, TIMES * y->n_elem);
    for (int i = 0; i < TIMES; i++)
        memcpy(rows + i * x->n_elem, x->data, (size_t)x->size_bytes);
    assert_ok(f->ctx, va_model_decode(f->model, rows, TIMES * n, logits));
    for (int i = 0; i < TIMES; i++)
        assert_true(va_test_max_error_f32(logits + i * y->n_elem, y->data, y->n_elem) <=
                    VALUE_TOLERANCE);
    rows[f->d] = INFINITY;
    assert_error(f->ctx, VA_ERR_NUMERIC, "decoding row 1",
                 va_model_decode(f->model, rows, 2, logits));
    assert_error(f->ctx, VA_ERR_USAGE, "at least one row",
                 va_model_decode(f->model, rows, 0, logits));
    va_safetensors_close(&s);
    va_model_close(&f->model);
}

static void test_decode(void **state) {
    check_decode(*state, "gemma3-softcap"); // a softcap
    check_decode(*state, "gpt2-plain");     // LayerNorm
    check_decode(*state, "llama-plain");    // untied
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torch),    cmocka_unit_test(test_whole_stream),
        cmocka_unit_test(test_new_ids),  cmocka_unit_test(test_derivative),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests_name("edit", tests, setup, teardown);
}
