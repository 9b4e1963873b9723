// test_tokenizer_vocab.c: the real vocabularies of GPT-2 and Llama 2 out of GGUF files: the ids
// that llama.cpp ships beside them.
// libs: va_text
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/text.h"

static const char SEPARATOR[] = "\n__ggml_vocab_test__\n";

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    va_tokenizer *tok;
    const char *name, *texts, *ids;
} fixture;

static const char *read_text(fixture *f, const char *suffix) {
    char name[VA_TEST_PATH], path[VA_TEST_PATH];
    va_map map;
    snprintf(name, sizeof name, "tokenizers/%s%s", f->name, suffix);
    assert_ok(f->ctx, va_map_open(f->ctx, va_test_shared(path, name), &map));
    char *text = va_arena_strndup(f->arena, (const char *)map.data, map.size_bytes);
    va_map_close(&map);
    return text;
}

static void load(fixture *f, const char *name) {
    char path[VA_TEST_PATH], file[VA_TEST_PATH];
    va_gguf *g = NULL;
    snprintf(file, sizeof file, "tokenizers/%s", name);
    *f = (fixture){.name = name};
    va_test_shared(path, file); // may skip
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    assert_ok(f->ctx, va_gguf_open(f->ctx, path, &g));
    assert_ok(f->ctx, va_tokenizer_load_gguf(f->ctx, g, path, &f->tok));
    va_gguf_close(&g); // the tokenizer keeps nothing of it
    f->texts = read_text(f, ".inp");
    f->ids = read_text(f, ".out");
}

static void unload(fixture *f) {
    va_tokenizer_free(&f->tok);
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
}

// A line of ids, " 1 2 3".
static int64_t parse_ids(const char *line, int32_t *ids, int64_t cap) {
    int64_t n = 0;
    char *end;
    for (; *line && *line != '\n'; line = end) {
        long id = strtol(line, &end, 10);
        if (end == line)
            break;
        assert_true(n < cap);
        ids[n++] = (int32_t)id;
    }
    return n;
}

static void check_text(fixture *f, const char *text, int64_t size, const char *line) {
    enum { MAX_IDS = 1024 };
    int32_t ids[MAX_IDS];
    va_token *tokens;
    char *decoded;
    int64_t n, want = parse_ids(line, ids, MAX_IDS);
    assert_ok(f->ctx, va_tokenizer_encode(f->tok, f->arena, text, size, false, &tokens, &n));
    for (int64_t i = 0; i < VA_MIN(n, want); i++)
        if (tokens[i].id != ids[i])
            fail_msg("%s: '%.*s': token %lld: expected %d, got %d", f->name, (int)size, text,
                     (long long)i, (int)ids[i], (int)tokens[i].id);
    assert_int_equal(n, want);
    assert_ok(f->ctx, va_tokenizer_decode(f->tok, f->arena, ids, n, false, &decoded));
    assert_int_equal(strlen(decoded), size);
    assert_memory_equal(decoded, text, (size_t)size);
}

static void check_vocabulary(void **state) {
    fixture f;
    load(&f, *state);
    const char *line = f.ids, *end;
    int64_t count = 0;
    for (const char *text = f.texts; (end = strstr(text, SEPARATOR)); count++) {
        assert_non_null(line);
        check_text(&f, text, end - text, line);
        text = end + sizeof SEPARATOR - 1;
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    assert_int_equal(count, 46);
    unload(&f);
}

static void special_tokens_around(void **state) {
    (void)state;
    fixture f;
    va_token *tokens;
    int64_t n;
    load(&f, "ggml-vocab-llama-spm.gguf");
    assert_ok(f.ctx, va_tokenizer_encode(f.tok, f.arena, "a</s>b", 6, true, &tokens, &n));
    assert_int_equal(n, 4); // <s> ▁a </s> ▁b
    assert_int_equal(tokens[0].id, 1);
    assert_string_equal(va_tokenizer_token(f.tok, tokens[1].id), "\xE2\x96\x81"
                                                                 "a");
    assert_int_equal(tokens[2].id, 2);
    assert_string_equal(va_tokenizer_token(f.tok, tokens[3].id), "\xE2\x96\x81"
                                                                 "b");
    assert_true(tokens[3].begin == 5 && tokens[3].end == 6);
    assert_true(va_tokenizer_is_special(f.tok, 0) && va_tokenizer_is_special(f.tok, 2));
    assert_false(va_tokenizer_is_special(f.tok, 3)); // <0x00>
    unload(&f);
    load(&f, "ggml-vocab-gpt-2.gguf");
    assert_ok(f.ctx, va_tokenizer_encode(f.tok, f.arena, "a<|endoftext|>", 14, true, &tokens, &n));
    assert_int_equal(n, 2); // no BOS
    assert_int_equal(tokens[1].id, 50256);
    unload(&f);
}

static void long_texts_are_not_quadratic(void **state) {
    (void)state;
    enum { N = 200000 };
    fixture f;
    va_token *tokens;
    int64_t n;
    load(&f, "ggml-vocab-llama-spm.gguf");
    char *text = malloc(N);
    va_rng rng = va_rng_make(1, 0);
    for (int64_t i = 0; i < N; i++)
        text[i] = "etaoin shr"[va_rng_below(&rng, 10)];
    double start = va_time_s();
    assert_ok(f.ctx, va_tokenizer_encode(f.tok, f.arena, text, N, true, &tokens, &n));
    assert_true(va_time_s() - start < 20);
    assert_true(n > 1000 && n < N);
    free(text);
    unload(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        {"ggml-vocab-gpt-2", check_vocabulary, NULL, NULL, "ggml-vocab-gpt-2.gguf"},
        {"ggml-vocab-llama-spm", check_vocabulary, NULL, NULL, "ggml-vocab-llama-spm.gguf"},
        cmocka_unit_test(special_tokens_around),
        cmocka_unit_test(long_texts_are_not_quadratic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
