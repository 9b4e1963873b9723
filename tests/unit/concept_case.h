// concept_case.h: what the tests of concepts' items share: a folder for files, lists as one text.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_CONCEPT_CASE_H
#define VA_CONCEPT_CASE_H

#include "test_support.h"

#include "concept_data.h"

static va_ctx *ctx;
static va_arena *arena;
static char dir[VA_TEST_PATH];

static inline int set_up(void **state) {
    (void)state;
    ctx = va_test_ctx();
    arena = va_arena_create();
    va_test_temp_dir(dir);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    va_test_temp_remove(dir);
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
    return 0;
}

static inline void write_file(const char *name, const char *text) {
    char path[VA_TEST_PATH];
    va_test_join(path, dir, name);
    assert_ok(ctx, va_file_write(ctx, path, text, (int64_t)strlen(text)));
}

static inline va_status read_dir(va_ontology **o) {
    const char *paths[] = {dir};
    return va_ontology_read(ctx, arena, paths, 1, o);
}

// "a|b|c"
static inline const char *joined(const va_strings *s) {
    va_strbuf b = {0};
    for (int64_t i = 0; i < s->n; i++)
        va_strbuf_printf(&b, "%s%s", i ? "|" : "", s->item[i]);
    const char *text = va_arena_strdup(arena, b.data ? b.data : "");
    va_strbuf_free(&b);
    return text;
}

static inline va_concept_items items_of(const va_ontology *o, const char *name,
                                        va_item_params params) {
    va_concept_items c;
    assert_ok(ctx, va_ontology_items(ctx, arena, o, name, &params, &c));
    assert_string_equal(c.name, name);
    return c;
}

static inline va_item_params counts(int64_t positives, int64_t hard, int64_t at_random) {
    return (va_item_params){
        .positives = positives, .hard_negatives = hard, .random_negatives = at_random};
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
