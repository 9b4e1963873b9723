// test_tokenizer.c: token ids, tokens, offsets and decoded text equal those of HF tokenizers.
// libs: va_text
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/text.h"

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    va_json *cases;
    va_tokenizer *tok;
    const char *folder;
} fixture;

static void load(fixture *f, const char *folder) {
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    f->folder = folder;
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    va_test_fixture(dir, folder);
    assert_ok(f->ctx,
              va_tokenizer_load(f->ctx, va_test_join(path, dir, "tokenizer.json"), &f->tok));
    assert_ok(f->ctx, va_json_load(f->ctx, va_test_join(path, dir, "expected.json"), 0, &f->cases));
    assert_true(va_json_count(f->cases) > 10);
}

static void unload(fixture *f) {
    va_tokenizer_free(&f->tok);
    assert_null(f->tok);
    va_json_free(&f->cases);
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
}

static int64_t int_at(const va_json *list, int64_t i) {
    const va_json *v = va_json_first(list);
    int64_t out = -1;
    while (i-- > 0)
        v = va_json_next(v);
    assert_true(va_json_as_int(v, &out));
    return out;
}

// Code points before the byte.
static int64_t code_points(const char *text, int64_t end) {
    int64_t n = 0;
    for (int64_t i = 0; i < end; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

static void check_tokens(const fixture *f, const va_json *c, const char *text,
                         const va_token *tokens, int64_t n) {
    const va_json *id = va_json_first(va_json_get(c, "ids"));
    const va_json *name = va_json_first(va_json_get(c, "tokens"));
    const va_json *offsets = va_json_first(va_json_get(c, "offsets"));
    for (int64_t i = 0; i < n; i++) {
        int64_t want_id;
        assert_true(id && name && va_json_as_int(id, &want_id));
        if (want_id != tokens[i].id)
            fail_msg("%s: '%s': token %lld: expected id %lld, got %d", f->folder, text,
                     (long long)i, (long long)want_id, (int)tokens[i].id);
        assert_string_equal(va_tokenizer_token(f->tok, tokens[i].id), va_json_as_string(name));
        assert_int_equal(va_tokenizer_id(f->tok, va_json_as_string(name)), want_id);
        if (offsets) {
            int64_t begin = code_points(text, tokens[i].begin);
            int64_t end = code_points(text, tokens[i].end);
            if (begin != int_at(offsets, 0) || end != int_at(offsets, 1))
                fail_msg("%s: '%s': token %lld: expected [%lld, %lld), got [%lld, %lld)", f->folder,
                         text, (long long)i, (long long)int_at(offsets, 0),
                         (long long)int_at(offsets, 1), (long long)begin, (long long)end);
            offsets = va_json_next(offsets);
        }
        id = va_json_next(id);
        name = va_json_next(name);
    }
}

static void check_decoded(const fixture *f, const va_json *c, const char *key,
                          const va_token *tokens, int64_t n, bool skip_special) {
    const char *expected = va_json_as_string(va_json_get(c, key));
    char *text = NULL;
    assert_non_null(expected);
    int32_t *ids = VA_NEW_ARRAY(f->arena, int32_t, n);
    for (int64_t i = 0; i < n; i++)
        ids[i] = tokens[i].id;
    assert_ok(f->ctx, va_tokenizer_decode(f->tok, f->arena, ids, n, skip_special, &text));
    assert_string_equal(text, expected);
}

static void check_case(const fixture *f, const va_json *c) {
    const char *text = va_json_as_string(va_json_get(c, "text"));
    bool add_special = false;
    va_token *tokens = NULL;
    int64_t n = -1;
    assert_non_null(text);
    assert_true(va_json_as_bool(va_json_get(c, "add_special"), &add_special));
    assert_ok(f->ctx, va_tokenizer_encode(f->tok, f->arena, text, (int64_t)strlen(text),
                                          add_special, &tokens, &n));
    int64_t expected_n = va_json_count(va_json_get(c, "ids"));
    if (n != expected_n)
        print_message("%s: '%s': expected %lld tokens, got %lld\n", f->folder, text,
                      (long long)expected_n, (long long)n);
    check_tokens(f, c, text, tokens, VA_MIN(n, expected_n));
    assert_int_equal(n, expected_n);
    check_decoded(f, c, "decoded", tokens, n, false);
    check_decoded(f, c, "decoded_skip_special", tokens, n, true);
    va_arena_reset(f->arena);
}

static void check_fixture(void **state) {
    fixture f = {0};
    load(&f, *state);
    for (const va_json *c = va_json_first(f.cases); c; c = va_json_next(c))
        check_case(&f, c);
    unload(&f);
}

static void offsets_cover_the_text(void **state) {
    (void)state;
    fixture f = {0};
    load(&f, "tokenizer-gemma");
    const char *text = "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 x<bos>y";
    va_token *tokens;
    int64_t n, at = 0;
    assert_ok(f.ctx,
              va_tokenizer_encode(f.tok, f.arena, text, (int64_t)strlen(text), true, &tokens, &n));
    for (int64_t i = 0; i < n; i++) {
        if (tokens[i].begin == tokens[i].end) { // BOS
            assert_int_equal(i, 0);
            continue;
        }
        // The next bytes, or the same character again where it is spelt in bytes.
        assert_true(tokens[i].begin == at || tokens[i].end == at);
        at = tokens[i].end;
    }
    assert_int_equal(at, strlen(text));
    unload(&f);
}

static void long_words_are_not_quadratic(void **state) {
    (void)state;
    enum { N = 400000 };
    fixture f = {0};
    load(&f, "tokenizer-gemma");
    char *text = malloc(N);
    va_rng rng = va_rng_make(1, 0);
    for (int64_t i = 0; i < N; i++)
        text[i] = "etaoinshr"[va_rng_below(&rng, 9)];
    va_token *tokens;
    int64_t n;
    double start = va_time_s();
    assert_ok(f.ctx, va_tokenizer_encode(f.tok, f.arena, text, N, true, &tokens, &n));
    // Quadratic merging would do some 10^10 steps here; this takes a tenth of a second.
    assert_true(va_time_s() - start < 20);
    assert_true(n > 1000 && n < N);
    free(text);
    unload(&f);
}

static void bad_calls_are_errors(void **state) {
    (void)state;
    fixture f = {0};
    load(&f, "tokenizer-gemma");
    va_token *tokens;
    int64_t n;
    char *text;
    const char *broken[] = {"ab\xC3", "ab\xFF z", "ab\xED\xA0\x80", "ab\xC0\x80",
                            "ab\xF5\x80\x80\x80"};
    for (int64_t i = 0; i < VA_COUNT(broken); i++)
        assert_error(f.ctx, VA_ERR_FORMAT, "byte 2",
                     va_tokenizer_encode(f.tok, f.arena, broken[i], (int64_t)strlen(broken[i]),
                                         true, &tokens, &n));
    assert_ok(f.ctx, va_tokenizer_encode(f.tok, f.arena, "", 0, false, &tokens, &n));
    assert_int_equal(n, 0);
    assert_ok(f.ctx, va_tokenizer_encode(f.tok, f.arena, "a\0b", 3, false, &tokens, &n));
    assert_int_equal(tokens[n - 1].end, 3);
    const int32_t bad[] = {1, (int32_t)va_tokenizer_vocab_size(f.tok)}, negative[] = {-1};
    assert_error(f.ctx, VA_ERR_USAGE, "at 1",
                 va_tokenizer_decode(f.tok, f.arena, bad, 2, false, &text));
    assert_error(f.ctx, VA_ERR_USAGE, "id -1",
                 va_tokenizer_decode(f.tok, f.arena, negative, 1, false, &text));
    assert_null(va_tokenizer_token(f.tok, bad[1]));
    assert_null(va_tokenizer_token(f.tok, -1));
    assert_int_equal(va_tokenizer_id(f.tok, "no such piece"), -1);
    assert_true(va_tokenizer_is_special(f.tok, va_tokenizer_id(f.tok, "<bos>")));
    assert_false(va_tokenizer_is_special(f.tok, va_tokenizer_id(f.tok, "<table>")));
    assert_false(va_tokenizer_is_special(f.tok, -1));
    unload(&f);
}

#define FIXTURE(folder)                                                                            \
    { folder, check_fixture, NULL, NULL, folder }

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE("tokenizer-gemma"),
        FIXTURE("tokenizer-gemma-strings"),
        FIXTURE("tokenizer-gemma-unk"),
        FIXTURE("tokenizer-gpt2"),
        FIXTURE("tokenizer-llama2"),
        FIXTURE("tokenizer-llama3"),
        FIXTURE("tokenizer-metaspace"),
        FIXTURE("tokenizer-splits"),
        cmocka_unit_test(offsets_cover_the_text),
        cmocka_unit_test(long_words_are_not_quadratic),
        cmocka_unit_test(bad_calls_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
