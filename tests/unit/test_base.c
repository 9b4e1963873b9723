// libs: va_base
// test_base.c: errors, log, arenas, strings, sizes for people.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/base.h"

static void test_errors(void **state) {
    (void)state;
    va_ctx *ctx = va_ctx_create(NULL);
    assert_string_equal(va_error_message(ctx), "");
    assert_int_equal(va_error_status(ctx), VA_OK);
    assert_int_equal(va_fail(ctx, VA_ERR_SHAPE, "expected %d, got %d", 3, 4), VA_ERR_SHAPE);
    assert_string_equal(va_error_message(ctx), "expected 3, got 4");
    assert_int_equal(va_fail_in(ctx, VA_ERR_SHAPE, "layer %d", 6), VA_ERR_SHAPE);
    assert_string_equal(va_error_message(ctx), "layer 6: expected 3, got 4");
    // A message may be made from the one that it replaces.
    va_fail(ctx, VA_ERR_FILE, "again: %s", va_error_message(ctx));
    assert_string_equal(va_error_message(ctx), "again: layer 6: expected 3, got 4");
    assert_int_equal(va_error_status(ctx), VA_ERR_FILE);
    va_error_clear(ctx);
    assert_string_equal(va_error_message(ctx), "");
    assert_int_equal(va_error_status(ctx), VA_OK);
    va_ctx_destroy(&ctx);
    assert_null(ctx);
    va_ctx_destroy(&ctx);
}

// Messages quote files, which may hold anything.
static void test_messages_are_tame(void **state) {
    (void)state;
    va_ctx *ctx = va_ctx_create(NULL);
    va_fail(ctx, VA_ERR_FORMAT, "name '%s'",
            "a\x1B[2J\r\n\x7F\xC2\x9B"
            "31m\xC3\xA9");
    assert_string_equal(va_error_message(ctx), "name 'a?[2J?????"
                                               "31m\xC3\xA9'");
    char *name = malloc(100001);
    assert_non_null(name);
    for (int shift = 0; shift < 2; shift++) { // two bytes a character: the cut falls between
        for (int i = 0; i < 50000; i++)
            memcpy(name + 2 * i, "\xC3\xA9", 2);
        name[100000 - shift] = '\0';
        va_fail(ctx, VA_ERR_FORMAT, "%s%s", shift ? "x" : "", name);
        va_fail_in(ctx, VA_ERR_FORMAT, "%s", "here");
        const char *message = va_error_message(ctx);
        size_t n = strlen(message);
        assert_in_range(n, 4000, 4096);
        assert_int_equal(strncmp(message, "here: ", 6), 0);
        assert_string_equal(message + n - 5, "\xC3\xA9...");
    }
    free(name);
    va_ctx_destroy(&ctx);
}

static void test_exit_statuses(void **state) {
    (void)state; // the table of DESIGN.md, section 6
    assert_int_equal(va_status_exit(VA_OK), 0);
    assert_int_equal(va_status_exit(VA_ERR_PARTIAL), 1);
    assert_int_equal(va_status_exit(VA_ERR_USAGE), 2);
    assert_int_equal(va_status_exit(VA_ERR_SPEC), 2);
    assert_int_equal(va_status_exit(VA_ERR_FILE), 3);
    assert_int_equal(va_status_exit(VA_ERR_DEVICE), 4);
    assert_int_equal(va_status_exit(VA_ERR_INTERRUPTED), 130);
    assert_string_equal(va_status_text(VA_OK), "done");
}

static va_status try_twice(va_ctx *ctx, int *reached) {
    va_status st = VA_OK;
    void *p;
    VA_TRY(VA_OK);
    *reached = 1;
    VA_TRY_ALLOC(ctx, p, NULL);
    *reached = 2;
done:
    (void)p;
    return st;
}

static void test_try(void **state) {
    (void)state;
    va_ctx *ctx = va_ctx_create(NULL);
    int reached = 0;
    assert_int_equal(try_twice(ctx, &reached), VA_ERR_MEMORY);
    assert_int_equal(reached, 1);
    assert_non_null(strstr(va_error_message(ctx), "out of host memory"));
    va_ctx_destroy(&ctx);
}

typedef struct seen {
    int n_log, n_progress;
    va_log_level level;
    char text[4096];
    int64_t done;
} seen;

static void on_log(void *user, va_log_level level, const char *message) {
    seen *s = user;
    s->n_log++;
    s->level = level;
    snprintf(s->text, sizeof s->text, "%s", message);
}

static void on_progress(void *user, const va_progress *p) {
    seen *s = user;
    s->n_progress++;
    s->done = p->done;
}

static void test_log_and_progress(void **state) {
    (void)state;
    seen s = {0};
    va_ctx_params params = {.log = on_log,
                            .log_user = &s,
                            .log_level = VA_LOG_INFO,
                            .progress = on_progress,
                            .progress_user = &s};
    va_ctx *ctx = va_ctx_create(&params);
    va_log(ctx, VA_LOG_DEBUG, "dropped");
    assert_int_equal(s.n_log, 0);
    va_log(ctx, VA_LOG_WARN, "%0*d", 3000, 7); // longer than any fixed buffer one would guess
    assert_int_equal(s.n_log, 1);
    assert_int_equal(s.level, VA_LOG_WARN);
    assert_int_equal(strlen(s.text), 3000);
    va_progress_report(ctx, &(va_progress){.label = "x", .done = 5, .total = 9});
    assert_int_equal(s.n_progress, 1);
    assert_int_equal(s.done, 5);
    va_ctx_destroy(&ctx);
    ctx = va_ctx_create(NULL);
    va_log(ctx, VA_LOG_ERROR, "no callback");
    va_progress_report(ctx, &(va_progress){0});
    va_ctx_destroy(&ctx);
}

static void test_interrupt(void **state) {
    (void)state;
    va_ctx *ctx = va_ctx_create(NULL);
    assert_false(va_interrupted(ctx));
    assert_int_equal(va_check_interrupt(ctx), VA_OK);
    va_interrupt(ctx);
    assert_true(va_interrupted(ctx));
    assert_int_equal(va_check_interrupt(ctx), VA_ERR_INTERRUPTED);
    assert_int_equal(va_error_status(ctx), VA_ERR_INTERRUPTED);
    va_ctx_destroy(&ctx);
}

static void test_arena(void **state) {
    (void)state;
    va_arena *a = va_arena_create();
    unsigned char *blocks[300];
    int64_t sizes[300];
    for (int i = 0; i < 300; i++) { // small ones, and some larger than any chunk
        sizes[i] = i % 50 == 49 ? 200000 : i;
        blocks[i] = va_arena_alloc(a, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (int64_t j = 0; j < sizes[i]; j++)
            assert_int_equal(blocks[i][j], 0);
        memset(blocks[i], i % 251 + 1, (size_t)sizes[i]);
    }
    for (int i = 0; i < 300; i++) // nobody wrote into another's block
        for (int64_t j = 0; j < sizes[i]; j++)
            assert_int_equal(blocks[i][j], i % 251 + 1);
    assert_null(va_arena_alloc(a, -1));
    assert_null(va_arena_alloc(a, INT64_MAX));
    assert_null(va_arena_array(a, INT64_MAX / 2, 3));
    assert_null(va_arena_array(a, -1, 8));
    assert_string_equal(va_arena_strdup(a, "layer"), "layer");
    assert_string_equal(va_arena_strndup(a, "layer", 3), "lay");
    assert_string_equal(va_arena_printf(a, "%s-%d", "x", 42), "x-42");
    va_arena_reset(a);
    unsigned char *p = va_arena_alloc(a, 64);
    for (int i = 0; i < 64; i++)
        assert_int_equal(p[i], 0); // zeroed after a reset too
    va_arena_destroy(&a);
    assert_null(a);
}

static void test_checked_arithmetic(void **state) {
    (void)state;
    int64_t x = 5;
    assert_true(va_mul_i64(1 << 20, 1 << 20, &x));
    assert_int_equal(x, (int64_t)1 << 40);
    assert_false(va_mul_i64(INT64_MAX, 2, &x));
    assert_false(va_add_i64(INT64_MAX, 1, &x));
    assert_false(va_mul_i64(INT64_MIN, -1, &x));
    assert_int_equal(x, (int64_t)1 << 40); // untouched
    assert_true(va_add_i64(x, -x, &x));
    assert_int_equal(x, 0);
}

static void test_strbuf(void **state) {
    (void)state;
    va_strbuf b = {0};
    for (int i = 0; i < 1000; i++)
        va_strbuf_printf(&b, "%03d", i);
    assert_int_equal(b.len, 3000);
    assert_int_equal(strlen(b.data), 3000);
    assert_memory_equal(b.data + 3 * 517, "517", 3);
    va_strbuf_append(&b, "a\0b", 3);
    assert_int_equal(b.len, 3003);
    assert_memory_equal(b.data + 3000, "a\0b", 4);
    va_strbuf_append(&b, "x", -1); // no length
    assert_true(b.failed);
    va_strbuf_puts(&b, "more");
    assert_int_equal(b.len, 3003);
    va_strbuf_free(&b);
    assert_null(b.data);
    va_strbuf_append(&b, NULL, 0);
    assert_string_equal(b.data, "");
    va_strbuf_free(&b);
}

static void test_did_you_mean(void **state) {
    (void)state;
    assert_int_equal(va_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(va_edit_distance("", "abc"), 3);
    assert_int_equal(va_edit_distance("flaw", "lawn"), 2);
    assert_int_equal(va_edit_distance("same", "same"), 0);
    const char *const keys[] = {"metrics", "directions", "prompts"};
    assert_string_equal(va_did_you_mean("metrcs", keys, 3), "metrics");
    assert_string_equal(va_did_you_mean("direction", keys, 3), "directions");
    assert_null(va_did_you_mean("tokenizer", keys, 3));
    assert_null(va_did_you_mean("ab", (const char *const[]){"cd"}, 1)); // all of it would change
    assert_null(va_did_you_mean("", keys, 3));
}

static void test_format_bytes(void **state) {
    (void)state;
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {999, "999 B"},
        {1000, "1 kB"},
        {1234, "1.23 kB"},
        {999499, "999 kB"},
        {999500, "1 MB"},
        {1200000000, "1.2 GB"},
        {-2500, "-2.5 kB"},
        {INT64_MAX, "9.22 EB"},
    };
    char buf[32];
    for (int64_t i = 0; i < VA_COUNT(cases); i++)
        assert_string_equal(va_format_bytes(buf, cases[i].bytes), cases[i].text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_messages_are_tame),
        cmocka_unit_test(test_exit_statuses),
        cmocka_unit_test(test_try),
        cmocka_unit_test(test_log_and_progress),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_checked_arithmetic),
        cmocka_unit_test(test_strbuf),
        cmocka_unit_test(test_did_you_mean),
        cmocka_unit_test(test_format_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
