// map_check.h: what the tests of vkalign map share: the model, and reading its document.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_MAP_CHECK_H
#define VA_MAP_CHECK_H

#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"

#include <math.h>

#define MODEL VA_FIXTURES "/gemma3-bf16" // 4 blocks of width 24, with a tokenizer
#define TEXT "The concept of Physical means"

enum { D = 24, L = 4 };

static struct {
    va_ctx *ctx;
    cli_process p;
    char dir[VA_TEST_PATH];
} env;

static inline int setup(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_test_gpu_close(&gpu);
    va_test_temp_dir(env.dir);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    va_test_temp_remove(env.dir);
    va_ctx_destroy(&env.ctx);
    return 0;
}

static inline va_json *parse_out(void) {
    va_json *doc;
    assert_ok(env.ctx,
              va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out), &doc));
    return doc;
}

static inline double number(const va_json *obj, const char *key) {
    double value = NAN;
    if (!va_json_as_double(va_json_get(obj, key), &value))
        fail_msg("expected a number '%s' in: %s", key, env.p.out);
    return value;
}

static inline bool truth(const va_json *obj, const char *key) {
    bool value = false;
    assert_true(va_json_as_bool(va_json_get(obj, key), &value));
    return value;
}

static inline const char *string(const va_json *obj, const char *key) {
    const char *s = va_json_as_string(va_json_get(obj, key));
    assert_non_null(s);
    return s;
}

static inline const va_json *item(const va_json *array, int64_t i) {
    const va_json *v = va_json_first(array);
    while (i-- > 0)
        v = va_json_next(v);
    assert_non_null(v);
    return v;
}

static inline void expect(const char *in) {
    if (!strstr(env.p.out, in))
        fail_msg("expected '%s' in: %s", in, env.p.out);
}

static inline void expect_close(double got, double expected) {
    if (!(fabs(got - expected) <= 1e-5 * (fabs(expected) + 1e-3)))
        fail_msg("got %.9g, expected %.9g", got, expected);
}

#endif
