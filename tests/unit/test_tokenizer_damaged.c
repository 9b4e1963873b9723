// test_tokenizer_damaged.c: tokenizers with bytes changed at random load or are refused with a
// message; what loads can be used. For the sanitizers above all.
// libs: va_text
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/text.h"

#include <unistd.h>

enum { TIMES = 400, MAX_CHANGES = 2 };

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    FILE *file; // at path, kept open: a new one each time would be synced each time
    int n_loaded;
} fixture;

static va_status load(fixture *f, bool gguf, va_tokenizer **tok) {
    va_gguf *g = NULL;
    *tok = NULL;
    if (!gguf)
        return va_tokenizer_load(f->ctx, f->path, tok);
    va_status st = va_gguf_open(f->ctx, f->path, &g);
    if (st == VA_OK)
        st = va_tokenizer_load_gguf(f->ctx, g, f->path, tok);
    va_gguf_close(&g);
    return st;
}

// Every id is of the vocabulary, and the ids can be turned back into text or are refused.
static void use(fixture *f, va_tokenizer *tok) {
    static const char text[] =
        "The concept of\n\n Physic\xC3\xA9 <|im_start|>means  12345 \xE6\xA6\x82";
    va_token *tokens;
    char *back;
    int64_t n;
    if (va_tokenizer_encode(tok, f->arena, text, sizeof text - 1, true, &tokens, &n) != VA_OK)
        return;
    int32_t *ids = VA_NEW_ARRAY(f->arena, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        ids[i] = tokens[i].id;
        assert_non_null(va_tokenizer_token(tok, ids[i]));
        assert_true(0 <= tokens[i].begin && tokens[i].begin <= tokens[i].end &&
                    tokens[i].end < (int64_t)sizeof text);
    }
    va_status st = va_tokenizer_decode(tok, f->arena, ids, n, true, &back);
    assert_true(st == VA_OK || st == VA_ERR_FORMAT);
}

static void try_bytes(fixture *f, const char *data, int64_t n, bool gguf) {
    va_tokenizer *tok;
    rewind(f->file);
    assert_int_equal(fwrite(data, 1, (size_t)n, f->file), n);
    assert_int_equal(fflush(f->file) | ftruncate(fileno(f->file), n), 0);
    va_error_clear(f->ctx);
    if (load(f, gguf, &tok) == VA_OK) {
        use(f, tok);
        f->n_loaded++;
    } else {
        assert_null(tok);
        assert_non_null(strstr(va_error_message(f->ctx), f->path));
    }
    va_tokenizer_free(&tok);
    va_arena_reset(f->arena);
}

// Other bytes, often ones that mean something, or the end cut off.
static int64_t damage(char *data, int64_t n, va_rng *rng) {
    static const char telling[] = {'"', '{', '}', '[',  ']', ',', ':', '\\',
                                   '0', '-', ' ', '\n', 0,   1,   -1};
    int changes = 1 + (int)va_rng_below(rng, MAX_CHANGES);
    for (int i = 0; i < changes; i++) {
        char *at = &data[va_rng_below(rng, (uint32_t)n)];
        switch (va_rng_below(rng, 4)) {
        case 0:
            *at = telling[va_rng_below(rng, VA_COUNT(telling))];
            break;
        case 1:
            *at = (char)(*at ^ (1 << va_rng_below(rng, 8)));
            break;
        case 2:
            *at = data[va_rng_below(rng, (uint32_t)n)];
            break;
        default:
            *at = (char)(*at + 1);
        }
    }
    return va_rng_below(rng, 8) == 0 ? va_rng_below(rng, (uint32_t)n) : n;
}

static void damaged(void **state) {
    fixture f = {.ctx = va_test_ctx(), .arena = va_arena_create()};
    char source[VA_TEST_PATH];
    va_map map;
    va_rng rng = va_rng_make(1, va_hash64(*state));
    const bool gguf = strstr(*state, ".gguf") != NULL;
    va_test_temp_dir(f.dir);
    va_test_join(f.path, f.dir, gguf ? "t.gguf" : "tokenizer.json");
    assert_ok(f.ctx, va_map_open(f.ctx, va_test_fixture(source, *state), &map));
    char *data = malloc((size_t)map.size_bytes);
    f.file = fopen(f.path, "wb");
    assert_non_null(f.file);
    for (int i = 0; i < TIMES; i++) {
        memcpy(data, map.data, (size_t)map.size_bytes);
        try_bytes(&f, data, damage(data, map.size_bytes, &rng), gguf);
    }
    print_message("%s: %d of %d loaded\n", (const char *)*state, f.n_loaded, TIMES);
    assert_in_range(f.n_loaded, 1, TIMES - 1); // damage both seen and without effect
    free(data);
    fclose(f.file);
    va_map_close(&map);
    va_test_temp_remove(f.dir);
    va_arena_destroy(&f.arena);
    va_ctx_destroy(&f.ctx);
}

#define FILE_TEST(name)                                                                            \
    { name, damaged, NULL, NULL, name }

int main(void) {
    const struct CMUnitTest tests[] = {
        FILE_TEST("tokenizer-families/qwen2.tokenizer.json"),
        FILE_TEST("tokenizer-families/roberta.tokenizer.json"),
        FILE_TEST("tokenizer-families/mistral3.tokenizer.json"),
        FILE_TEST("tokenizer-gemma/tokenizer.json"),
        FILE_TEST("tokenizer-families/qwen2.gguf"),
        FILE_TEST("tokenizer-families/deepseek-llm.gguf"),
        FILE_TEST("tokenizer-spm/plain.gguf"),
        FILE_TEST("tokenizer-spm/unknown.gguf"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
