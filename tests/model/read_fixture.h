// read_fixture.h: what the tests of runtime/read share: a fixture's model with its tensors, and a
// derivative with its explicit matrix.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_READ_FIXTURE_H
#define VA_READ_FIXTURE_H

#include "test_gpu.h"

#include "vkalign/read.h"

#include <math.h>

enum { T = 7, MAX_IDS = 16 };
static const int32_t usual_ids[T] = {2, 7, 1, 9, 30, 8, 3};

static struct {
    va_ctx *ctx;
    va_gpu *gpu;
} env;

// -- a model, its files and a derivative ----------------------------------------------------------

typedef struct fixture {
    va_arena *arena;
    va_model *model;
    va_safetensors *file;
    int64_t V, d;
    int32_t ids[MAX_IDS];
    int64_t n_ids;
} fixture;

static inline void open_fixture(fixture *f, const char *name) {
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    f->arena = va_arena_create();
    memcpy(f->ids, usual_ids, sizeof usual_ids);
    f->n_ids = T;
    va_test_fixture(dir, name);
    assert_ok(env.ctx, va_model_open(env.ctx, dir, &f->model));
    assert_ok(env.ctx, va_model_attach(f->model, env.gpu));
    assert_ok(env.ctx,
              va_safetensors_open(env.ctx, va_test_join(path, dir, "model.safetensors"), &f->file));
    f->V = va_model_config(f->model)->vocab_size;
    f->d = va_model_config(f->model)->d_model;
}

static inline void close_fixture(fixture *f) {
    va_safetensors_close(&f->file);
    va_model_close(&f->model);
    va_arena_destroy(&f->arena);
}

static inline const float *tensor_of(fixture *f, va_safetensors *file, const char *name,
                                     int64_t n) {
    const va_file_tensor *t = va_safetensors_find(file, name);
    assert_non_null(t);
    assert_int_equal(t->n_elem, n);
    float *x = VA_NEW_ARRAY(f->arena, float, n);
    va_convert_to_f32(x, t->data, t->dtype, n);
    return x;
}

typedef struct derivative {
    va_prompt *prompt;
    va_linmap *map;
    int64_t m, n;
    float *J; // [m, n] explicit
} derivative;

static inline void derive(fixture *f, const char *from, const char *to, va_mode mode,
                          derivative *j) {
    const int64_t L = va_model_config(f->model)->n_layer;
    va_site sites[2];
    assert_ok(env.ctx, va_site_parse(env.ctx, from, L, &sites[0]));
    assert_ok(env.ctx, va_site_parse(env.ctx, to, L, &sites[1]));
    const va_prompt_params params = {.ids = f->ids,
                                     .seq_len = f->n_ids,
                                     .sites = sites,
                                     .n_sites = 2,
                                     .derivatives = true,
                                     .modes = 1u << mode};
    assert_ok(env.ctx, va_prompt_create(f->model, &params, &j->prompt));
    assert_ok(env.ctx, va_prompt_linmap(j->prompt, 0, 1, mode, NULL, &j->map));
    const va_linmap_shape s = va_linmap_get_shape(j->map);
    j->m = s.T_out * s.d_out, j->n = s.T_in * s.d_in;
    j->J = VA_NEW_ARRAY(f->arena, float, j->m * j->n);
    assert_ok(env.ctx, va_linmap_dense(j->map, j->J));
}

static inline void drop(derivative *j) {
    va_linmap_destroy(&j->map);
    va_prompt_destroy(&j->prompt);
}

static inline void expect_close(const char *what, double got, double expected, double tolerance) {
    if (!(fabs(got - expected) <= tolerance * fabs(expected)))
        fail_msg("%s: got %.9g, expected %.9g", what, got, expected);
}

// Runs the tests on a device; returns the number of failures.
static inline int run_read_tests(const struct CMUnitTest *tests, size_t n) {
    env.ctx = va_test_ctx();
    env.gpu = va_test_gpu(env.ctx);
    int failed = _cmocka_run_group_tests("read", tests, n, NULL, NULL);
    va_test_gpu_close(&env.gpu);
    va_ctx_destroy(&env.ctx);
    return failed;
}

#endif
