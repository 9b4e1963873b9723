// test_tokenizer_speed.c: a vocabulary of Gemma's size loads fast.
// libs: va_text
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/text.h"

enum { LETTERS = 64, PAIRS = LETTERS * LETTERS, PIECES = LETTERS + PAIRS + PAIRS * LETTERS };
#ifdef __SANITIZE_ADDRESS__
enum { BOUND_S = 30 };
#else
enum { BOUND_S = 2 }; // it takes a fifth of a second; the rest is for slow and busy machines
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

static void large_vocabularies_load_fast(void **state) {
    (void)state;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_ctx *ctx = va_test_ctx();
    va_arena *arena = va_arena_create();
    va_tokenizer *tok = NULL;
    va_token *tokens;
    int64_t n;
    va_test_temp_dir(dir);
    va_test_join(path, dir, "tokenizer.json");
    write_tokenizer(ctx, path);
    double start = va_time_s();
    assert_ok(ctx, va_tokenizer_load(ctx, path, &tok));
    double seconds = va_time_s() - start;
    print_message("%d pieces: %.3f s\n", PIECES, seconds);
    assert_true(seconds < BOUND_S);
    assert_int_equal(va_tokenizer_vocab_size(tok), PIECES);
    assert_int_equal(va_tokenizer_id(tok, "ppp"), PIECES - 1);
    assert_ok(ctx, va_tokenizer_encode(tok, arena, "0123", 4, false, &tokens, &n));
    assert_int_equal(n, 2); // 01 and 23: pairs have the first merges
    assert_int_equal(tokens[0].id, va_tokenizer_id(tok, "01"));
    assert_int_equal(tokens[1].id, va_tokenizer_id(tok, "23"));
    va_tokenizer_free(&tok);
    va_arena_destroy(&arena);
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(large_vocabularies_load_fast)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
