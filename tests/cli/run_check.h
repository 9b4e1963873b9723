// run_check.h: what the tests of vkalign run share: an experiment of the small model, its run, and
// reading what it wrote.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_RUN_CHECK_H
#define VA_RUN_CHECK_H

#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"

#include <math.h>

#define MODEL VA_FIXTURES "/gemma3-bf16" // 4 blocks of width 24, with a tokenizer

enum { D = 24 };

static struct {
    va_ctx *ctx;
    va_arena *arena;
    cli_process p;
    char dir[VA_TEST_PATH];
} env;

// What a run wrote.
typedef struct outcome {
    char dir[VA_TEST_PATH];
    va_json *results;
    va_safetensors *vectors;
} outcome;

static inline int run_setup(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_test_gpu_close(&gpu);
    env.arena = va_arena_create();
    va_test_temp_dir(env.dir);
    setenv("XDG_CACHE_HOME", env.dir, 1); // of pipelines and units, for the runs here alone
    return 0;
}

static inline int run_teardown(void **state) {
    (void)state;
    va_test_temp_remove(env.dir);
    va_arena_destroy(&env.arena);
    va_ctx_destroy(&env.ctx);
    return 0;
}

// -- files ----------------------------------------------------------------------------------------

static inline const char *path_of(const char *folder, const char *name) {
    char path[VA_TEST_PATH];
    return va_arena_strdup(env.arena, va_test_join(path, folder, name));
}

// DIR/name with the text in it.
static inline const char *write_text(const char *name, const char *text) {
    const char *path = path_of(env.dir, name);
    cli_store(path, text, (int64_t)strlen(text));
    return path;
}

static inline void write_vector(const char *name, const float *x, int64_t n) {
    va_npy_writer *w;
    assert_ok(env.ctx, va_npy_create(env.ctx, path_of(env.dir, name), 1, &n, &w));
    assert_ok(env.ctx, va_npy_append(w, x, n));
    assert_ok(env.ctx, va_npy_commit(&w));
}

static inline void open_outcome(outcome *o, const char *dir) {
    snprintf(o->dir, sizeof o->dir, "%s", dir);
    assert_ok(env.ctx, va_json_load(env.ctx, path_of(dir, "results.json"), 0, &o->results));
    assert_ok(env.ctx,
              va_safetensors_open(env.ctx, path_of(dir, "vectors.safetensors"), &o->vectors));
}

static inline void close_outcome(outcome *o) {
    va_json_free(&o->results);
    va_safetensors_close(&o->vectors);
}

// Runs the experiment at path into DIR/name; option: one more, NULL: none.
static inline void run_experiment(outcome *o, const char *path, const char *name,
                                  const char *option) {
    const char *out = path_of(env.dir, name);
    cli_run(&env.p, 0, NULL, CLI_ARGS("run", path, "--out", out, option));
    open_outcome(o, out);
}

// -- documents ------------------------------------------------------------------------------------

static inline double number(const va_json *o, const char *key) {
    double v = NAN;
    if (!va_json_as_double(va_json_get(o, key), &v))
        fail_msg("expected a number '%s'", key);
    return v;
}

static inline const char *text(const va_json *o, const char *key) {
    const char *s = va_json_as_string(va_json_get(o, key));
    if (!s)
        fail_msg("expected a text '%s'", key);
    return s;
}

static inline bool truth(const va_json *o, const char *key) {
    bool v = false;
    if (!va_json_as_bool(va_json_get(o, key), &v))
        fail_msg("expected true or false at '%s'", key);
    return v;
}

static inline const va_json *item(const va_json *list, int64_t i) {
    const va_json *v = va_json_first(list);
    while (v && i-- > 0)
        v = va_json_next(v);
    assert_non_null(v);
    return v;
}

// The object of a list with this value at the key.
static inline const va_json *with(const va_json *list, const char *key, const char *value) {
    for (const va_json *o = va_json_first(list); o; o = va_json_next(o))
        if (strcmp(text(o, key), value) == 0)
            return o;
    fail_msg("nothing has %s '%s'", key, value);
    return NULL;
}

// The statistics of a metric.
static inline const va_json *statistics(const outcome *o, const char *metric) {
    return with(va_json_get(va_json_get(o->results, "statistics"), "by_metric"), "name", metric);
}

static inline const va_json *direction(const outcome *o, const char *name) {
    return with(va_json_get(o->results, "directions"), "name", name);
}

static inline int64_t reused(const outcome *o) {
    return (int64_t)number(va_json_get(o->results, "metadata"), "n_units_reused");
}

static inline int64_t n_units(const outcome *o) {
    return (int64_t)number(va_json_get(o->results, "metadata"), "n_units");
}

static inline void expect_text(const char *in, const char *what) {
    if (!strstr(in, what))
        fail_msg("expected '%s' in: %s", what, in);
}

// -- vectors --------------------------------------------------------------------------------------

static inline const float *floats(const va_file_tensor *t, int64_t n) {
    assert_non_null(t);
    assert_int_equal(t->dtype, VA_F32);
    assert_int_equal(t->n_elem, n);
    float *x = VA_NEW_ARRAY(env.arena, float, n);
    memcpy(x, t->data, (size_t)n * sizeof *x);
    return x;
}

// The saved direction of a unit: n floats.
static inline const float *saved(const outcome *o, const char *name, int64_t n) {
    const va_file_tensor *t = va_safetensors_find(o->vectors, name);
    if (!t)
        fail_msg("vectors.safetensors: '%s' is missing", name);
    return floats(t, n);
}

static inline double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static inline double cosine(const float *a, const float *b, int64_t n) {
    return dot(a, b, n) / sqrt(dot(a, a, n) * dot(b, b, n));
}

static inline void expect_close(double got, double expected, double tolerance) {
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("got %.12g, expected %.12g", got, expected);
}

#endif
