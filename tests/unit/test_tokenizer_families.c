// test_tokenizer_families.c: tokenizers in the form of well-known models' give the ids and texts of
// HF tokenizers, from tokenizer.json and from GGUF; SentencePiece's from GGUF those of
// sentencepiece.
// libs: va_text
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/text.h"

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    va_json *cases;
    va_tokenizer *tok;
    const char *name;
} fixture;

static const char *fixture_path(char path[VA_TEST_PATH], const char *name, const char *suffix) {
    char file[VA_TEST_PATH];
    snprintf(file, sizeof file, "tokenizer-%s%s", name, suffix);
    return va_test_fixture(path, file);
}

static void load_tokenizer(fixture *f, bool from_gguf) {
    char path[VA_TEST_PATH];
    va_gguf *g = NULL;
    fixture_path(path, f->name, from_gguf ? ".gguf" : ".tokenizer.json");
    if (!from_gguf) {
        assert_ok(f->ctx, va_tokenizer_load(f->ctx, path, &f->tok));
        return;
    }
    assert_ok(f->ctx, va_gguf_open(f->ctx, path, &g));
    assert_ok(f->ctx, va_tokenizer_load_gguf(f->ctx, g, path, &f->tok));
    va_gguf_close(&g);
}

static void check_decoded(const fixture *f, const va_json *c, const char *key, const int32_t *ids,
                          int64_t n, bool skip_special) {
    const va_json *v = va_json_get(c, key);
    const char *expected = va_json_as_string(v ? v : va_json_get(c, "text"));
    char *text = NULL;
    if (v && va_json_is_null(v)) // the other implementation does not say
        return;
    assert_non_null(expected);
    assert_ok(f->ctx, va_tokenizer_decode(f->tok, f->arena, ids, n, skip_special, &text));
    if (strcmp(text, expected) != 0)
        fail_msg("%s: %s: expected '%s', got '%s'", f->name, key, expected, text);
}

static void check_case(const fixture *f, const va_json *c) {
    const char *text = va_json_as_string(va_json_get(c, "text"));
    const va_json *id = va_json_first(va_json_get(c, "ids"));
    bool add_special = false;
    va_token *tokens = NULL;
    int64_t n = -1, want;
    assert_true(text && va_json_as_bool(va_json_get(c, "add_special"), &add_special));
    assert_ok(f->ctx, va_tokenizer_encode(f->tok, f->arena, text, (int64_t)strlen(text),
                                          add_special, &tokens, &n));
    int32_t *ids = VA_NEW_ARRAY(f->arena, int32_t, n);
    for (int64_t i = 0; i < n; i++, id = va_json_next(id)) {
        if (!id || !va_json_as_int(id, &want) || want != tokens[i].id)
            fail_msg("%s: '%s': token %lld: expected %lld, got %d", f->name, text, (long long)i,
                     id ? (long long)want : -1, (int)tokens[i].id);
        ids[i] = tokens[i].id;
    }
    assert_null(id); // as many as expected
    check_decoded(f, c, "decoded", ids, n, false);
    check_decoded(f, c, "decoded_skip_special", ids, n, true);
    va_arena_reset(f->arena);
}

static void check_family(const char *name, bool from_gguf) {
    char path[VA_TEST_PATH];
    fixture f = {.name = name, .ctx = va_test_ctx(), .arena = va_arena_create()};
    load_tokenizer(&f, from_gguf);
    assert_ok(f.ctx, va_json_load(f.ctx, fixture_path(path, name, ".json"), 0, &f.cases));
    assert_true(va_json_count(f.cases) > 90);
    for (const va_json *c = va_json_first(f.cases); c; c = va_json_next(c))
        check_case(&f, c);
    va_tokenizer_free(&f.tok);
    va_json_free(&f.cases);
    va_arena_destroy(&f.arena);
    va_ctx_destroy(&f.ctx);
}

static void from_json(void **state) {
    check_family(*state, false);
}

static void from_gguf(void **state) {
    check_family(*state, true);
}

#define JSON(name)                                                                                 \
    { name, from_json, NULL, NULL, "families/" name }
#define GGUF(folder, name)                                                                         \
    { name ".gguf", from_gguf, NULL, NULL, folder "/" name }
#define BOTH(name) JSON(name), GGUF("families", name)

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH("qwen2"),
        BOTH("deepseek-r1-qwen"),
        BOTH("llama3"),
        BOTH("olmo2"),
        JSON("phi4"),
        BOTH("phi4-mini"),
        BOTH("tekken"),
        BOTH("smollm"),
        JSON("neox"),
        JSON("roberta"),
        JSON("bert"),
        BOTH("default"),
        BOTH("deepseek-v3"),
        BOTH("deepseek-llm"),
        JSON("mistral3"),
        JSON("cuts-qwen2"),
        JSON("cuts-o200k"),
        JSON("cuts-gpt2"),
        JSON("cuts-deepseek-v3"),
        JSON("cuts-deepseek-llm"),
        GGUF("spm", "prefix"),
        GGUF("spm", "plain"),
        GGUF("spm", "unknown"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
