// test_tokenizer_speed.c: a vocabulary of Gemma's size loads fast.
// libs: va_text
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/text.h"

#include <time.h>

enum { LETTERS = 64, PAIRS = LETTERS * LETTERS, PIECES = LETTERS + PAIRS + PAIRS * LETTERS };
#ifdef __SANITIZE_ADDRESS__
enum { BOUND_S = 30 };
#else
enum { BOUND_S = 2 }; // it takes a fifth of a second; the rest is for slow machines
#endif

static char letter(int i) { // no escapes: '0' to '[', ']' to 'p'
    return (char)('0' + i + ('0' + i >= '\\'));
}

// All words of up to three letters, with a merge for each place to cut them: 266,304 pieces and
// 528,384 merges.
static void write_tokenizer(va_ctx *ctx, const char *path) {
    va_strbuf vocab = {0}, merges = {0};
    int id = 0;
    for (int a = 0; a < LETTERS; a++)
        va_strbuf_printf(&vocab, "%s\n\"%c\": %d", id ? "," : "", letter(a), id), id++;
    for (int a = 0; a < PAIRS; a++) {
        char x = letter(a / LETTERS), y = letter(a % LETTERS);
        va_strbuf_printf(&vocab, ",\n\"%c%c\": %d", x, y, id++);
        va_strbuf_printf(&merges, "%s\n[\"%c\", \"%c\"]", a ? "," : "", x, y);
    }
    for (int a = 0; a < PAIRS * LETTERS; a++) {
        char x = letter(a / PAIRS), y = letter(a / LETTERS % LETTERS), z = letter(a % LETTERS);
        va_strbuf_printf(&vocab, ",\n\"%c%c%c\": %d", x, y, z, id++);
        va_strbuf_printf(&merges, ",\n[\"%c%c\", \"%c\"],\n[\"%c\", \"%c%c\"]", x, y, z, x, y, z);
    }
    va_strbuf text = {0};
    va_strbuf_printf(&text, "{\"model\": {\"type\": \"BPE\", \"vocab\": {%s},\n\"merges\": [%s]}}",
                     vocab.data, merges.data);
    assert_false(text.failed);
    assert_ok(ctx, va_file_write(ctx, path, text.data, text.len));
    va_strbuf_free(&vocab);
    va_strbuf_free(&merges);
    va_strbuf_free(&text);
}

static void put(va_strbuf *b, uint64_t value, int bytes) {
    va_strbuf_append(b, (const char *)&value, bytes);
}

static void put_string(va_strbuf *b, const char *s, uint64_t n) {
    put(b, n, 8);
    va_strbuf_append(b, s, (int64_t)n);
}

static void put_key(va_strbuf *b, const char *key, uint64_t type) {
    put_string(b, key, strlen(key));
    put(b, type, 4);
}

// The same words with scores, pairs first: SentencePiece's form.
static void write_gguf(va_ctx *ctx, const char *path) {
    enum { FLOAT32 = 6, BOOL = 7, STRING = 8, ARRAY = 9 };
    va_strbuf b = {0};
    va_strbuf_puts(&b, "GGUF");
    put(&b, 3, 4);
    put(&b, 0, 8);
    put(&b, 6, 8);
    put_key(&b, "tokenizer.ggml.model", STRING);
    put_string(&b, "llama", 5);
    put_key(&b, "tokenizer.ggml.add_space_prefix", BOOL); // there is no U+2581
    put(&b, false, 1);
    put_key(&b, "tokenizer.ggml.add_bos_token", BOOL);
    put(&b, false, 1);
    put_key(&b, "tokenizer.ggml.unknown_token_id", 4);
    put(&b, 0, 4);
    put_key(&b, "tokenizer.ggml.tokens", ARRAY);
    put(&b, STRING, 4);
    put(&b, PIECES, 8);
    for (int i = 0; i < PIECES; i++) {
        int n = i < LETTERS ? 1 : i < LETTERS + PAIRS ? 2 : 3;
        int a = i - (n > 1 ? LETTERS : 0) - (n > 2 ? PAIRS : 0);
        char word[] = {letter(a / PAIRS), letter(a / LETTERS % LETTERS), letter(a % LETTERS)};
        put_string(&b, word + 3 - n, (uint64_t)n);
    }
    put_key(&b, "tokenizer.ggml.scores", ARRAY);
    put(&b, FLOAT32, 4);
    put(&b, PIECES, 8);
    for (int i = 0; i < PIECES; i++) {
        const float score = (float)-i;
        va_strbuf_append(&b, (const char *)&score, sizeof score);
    }
    assert_false(b.failed);
    assert_ok(ctx, va_file_write(ctx, path, b.data, b.len));
    va_strbuf_free(&b);
}

static va_status load(va_ctx *ctx, const char *path, bool from_gguf, va_tokenizer **tok) {
    va_gguf *g = NULL;
    if (!from_gguf)
        return va_tokenizer_load(ctx, path, tok);
    assert_ok(ctx, va_gguf_open(ctx, path, &g));
    va_status st = va_tokenizer_load_gguf(ctx, g, path, tok);
    va_gguf_close(&g);
    return st;
}

static void check_speed(bool from_gguf) {
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_ctx *ctx = va_test_ctx();
    va_arena *arena = va_arena_create();
    va_tokenizer *tok = NULL;
    va_token *tokens;
    int64_t n;
    va_test_temp_dir(dir);
    va_test_join(path, dir, "vocabulary");
    (from_gguf ? write_gguf : write_tokenizer)(ctx, path);
    clock_t start = clock(); // of the processor: other work on the machine does not count
    assert_ok(ctx, load(ctx, path, from_gguf, &tok));
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("%d pieces: %.3f s\n", PIECES, seconds);
    assert_true(seconds < BOUND_S);
    assert_int_equal(va_tokenizer_vocab_size(tok), PIECES);
    assert_int_equal(va_tokenizer_id(tok, "ppp"), PIECES - 1);
    assert_ok(ctx, va_tokenizer_encode(tok, arena, "0123", 4, false, &tokens, &n));
    assert_int_equal(n, 2); // 01 and 23: pairs are made first
    assert_int_equal(tokens[0].id, va_tokenizer_id(tok, "01"));
    assert_int_equal(tokens[1].id, va_tokenizer_id(tok, "23"));
    va_tokenizer_free(&tok);
    va_arena_destroy(&arena);
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
}

static void from_json(void **state) {
    (void)state;
    check_speed(false);
}

static void from_gguf(void **state) {
    (void)state;
    check_speed(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(from_json), cmocka_unit_test(from_gguf)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
