// arch_gguf_case.h: a GGUF file written as text and read as a configuration.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_ARCH_GGUF_CASE_H
#define VA_ARCH_GGUF_CASE_H

#include "gguf_items.h"
#include "test_support.h"

#include "vkalign/arch.h"

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH], warning[256];
} fixture;

static void keep_warning(void *user, va_log_level level, const char *message) {
    fixture *f = user;
    if (level == VA_LOG_WARN)
        snprintf(f->warning, sizeof f->warning, "%s", message);
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_ctx_create(&(va_ctx_params){.log = keep_warning, .log_user = f});
    f->arena = va_arena_create();
    va_test_temp_dir(f->dir);
    va_test_join(f->path, f->dir, "t.gguf");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_test_temp_remove(f->dir);
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

// The model of gguf_put_model.
static va_status parse(fixture *f, const char *arch, const char *more, va_arch_config *c) {
    va_strbuf b = {0};
    va_gguf *g = NULL;
    gguf_put_model(&b, arch, more);
    assert_ok(f->ctx, va_file_write(f->ctx, f->path, b.data, b.len));
    va_strbuf_free(&b);
    assert_ok(f->ctx, va_gguf_open(f->ctx, f->path, &g));
    f->warning[0] = '\0';
    const va_status st = va_arch_parse_gguf(f->ctx, f->arena, g, "t.gguf", c);
    va_gguf_close(&g);
    return st;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
