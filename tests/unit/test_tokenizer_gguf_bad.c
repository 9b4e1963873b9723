// test_tokenizer_gguf_bad.c: what a GGUF file's vocabulary must not be, and what each is told.
// libs: va_text
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/text.h"

enum { MAX_ITEMS = 8 };
typedef enum type { U32 = 4, I32 = 5, FLOAT32 = 6, BOOL = 7, STRING = 8, ARRAY = 9 } type;

// A vocabulary of "gpt2" or "llama"; n < 0: the key is left out.
typedef struct vocabulary {
    const char *model, *pre; // NULL: left out
    const char *token[MAX_ITEMS], *merge[MAX_ITEMS];
    float score[MAX_ITEMS];
    int32_t token_type[MAX_ITEMS];
    int64_t n_token, n_merge, n_score, n_type;
    // one more key, of any kind
    const char *key;
    type kind;
    const char *text; // STRING
    uint64_t number;  // others, little-endian
    type element;     // of an ARRAY, with `number` elements of zeros
} vocabulary;

static const vocabulary bpe = {.model = "gpt2",
                               .pre = "gpt-2",
                               .token = {"a", "b", "ab", "<s>"},
                               .merge = {"a b"},
                               .token_type = {1, 1, 1, 3},
                               .n_token = 4,
                               .n_merge = 1,
                               .n_score = -1,
                               .n_type = 4};
static const vocabulary spm = {.model = "llama",
                               .token = {"<unk>", "<s>", "</s>", "a", "b", "ab"},
                               .score = {0, 0, 0, -2, -3, -1},
                               .token_type = {2, 3, 3, 1, 1, 1},
                               .n_token = 6,
                               .n_merge = -1,
                               .n_score = 6,
                               .n_type = 6};

// -- writing ---------------------------------------------------------------------------------

static void put(va_strbuf *b, uint64_t value, int bytes) {
    va_strbuf_append(b, (const char *)&value, bytes);
}

static void put_string(va_strbuf *b, const char *s) {
    put(b, strlen(s), 8);
    va_strbuf_puts(b, s);
}

static void put_key(va_strbuf *b, const char *key, type kind, int *n_keys) {
    char full[128];
    snprintf(full, sizeof full, "tokenizer.ggml.%s", key);
    put_string(b, full);
    put(b, kind, 4);
    ++*n_keys;
}

static void put_array(va_strbuf *b, const char *key, type element, int64_t n, const void *items,
                      int *n_keys) {
    if (n < 0)
        return;
    put_key(b, key, ARRAY, n_keys);
    put(b, element, 4);
    put(b, (uint64_t)n, 8);
    for (int64_t i = 0; i < n && element == STRING; i++)
        put_string(b, ((const char *const *)items)[i]);
    if (element != STRING)
        va_strbuf_append(b, items, 4 * n);
}

static void put_extra(va_strbuf *b, const vocabulary *v, int *n_keys) {
    static const int bytes[] = {[U32] = 4, [I32] = 4, [FLOAT32] = 4, [BOOL] = 1};
    if (!v->key)
        return;
    put_key(b, v->key, v->kind, n_keys);
    if (v->kind == STRING) {
        put_string(b, v->text);
    } else if (v->kind == ARRAY) {
        put(b, v->element, 4);
        put(b, v->number, 8);
        for (uint64_t i = 0; i < v->number; i++)
            put(b, 0, v->element == STRING ? 8 : 4);
    } else {
        put(b, v->number, bytes[v->kind]);
    }
}

static void write_file(va_ctx *ctx, const char *path, const vocabulary *v) {
    va_strbuf b = {0}, file = {0};
    int n_keys = 0;
    if (v->model) {
        put_key(&b, "model", STRING, &n_keys);
        put_string(&b, v->model);
    }
    if (v->pre) {
        put_key(&b, "pre", STRING, &n_keys);
        put_string(&b, v->pre);
    }
    put_array(&b, "tokens", STRING, v->n_token, v->token, &n_keys);
    put_array(&b, "merges", STRING, v->n_merge, v->merge, &n_keys);
    put_array(&b, "scores", FLOAT32, v->n_score, v->score, &n_keys);
    put_array(&b, "token_type", I32, v->n_type, v->token_type, &n_keys);
    put_extra(&b, v, &n_keys);
    va_strbuf_puts(&file, "GGUF");
    put(&file, 3, 4);
    put(&file, 0, 8);
    put(&file, (uint64_t)n_keys, 8);
    va_strbuf_append(&file, b.data, b.len);
    assert_false(file.failed);
    assert_ok(ctx, va_file_write(ctx, path, file.data, file.len));
    va_strbuf_free(&b);
    va_strbuf_free(&file);
}

// -- tests -----------------------------------------------------------------------------------

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    va_test_temp_dir(f->dir);
    va_test_join(f->path, f->dir, "t.gguf");
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    va_test_temp_remove(f->dir);
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static va_status load(fixture *f, const vocabulary *v, va_tokenizer **tok) {
    va_gguf *g = NULL;
    write_file(f->ctx, f->path, v);
    assert_ok(f->ctx, va_gguf_open(f->ctx, f->path, &g));
    va_error_clear(f->ctx);
    va_status st = va_tokenizer_load_gguf(f->ctx, g, f->path, tok);
    va_gguf_close(&g);
    return st;
}

static void refuse(fixture *f, vocabulary v, va_status code, const char *text) {
    va_tokenizer *tok = NULL;
    va_status st = load(f, &v, &tok);
    const char *message = va_error_message(f->ctx);
    if (st != code || !strstr(message, text) || !strstr(message, f->path))
        fail_msg("expected status %d with '%s', got %d: %s", code, text, st, message);
    assert_null(tok);
}

#define REFUSE(base, code, text, change)                                                           \
    do {                                                                                           \
        vocabulary v = base;                                                                       \
        change;                                                                                    \
        refuse(f, v, code, text);                                                                  \
    } while (0)
#define EXTRA(name, of_kind, value) (v.key = name, v.kind = of_kind, v.number = (value))

static void the_head(void **state) {
    fixture *f = *state;
    REFUSE(bpe, VA_ERR_FORMAT, "tokenizer.ggml.model: expected a text, got nothing",
           v.model = NULL);
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.model: expected a text, got UINT32",
           (v.model = NULL, EXTRA("model", U32, 1)));
    REFUSE(bpe, VA_ERR_UNSUPPORTED, "ggml.model: 't5' is not supported (supported: gpt2, llama)",
           v.model = "t5");
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.pre: expected a text, got nothing", v.pre = NULL);
    REFUSE(bpe, VA_ERR_UNSUPPORTED, "ggml.pre: 'klingon' is not supported (supported: default, gpt",
           v.pre = "klingon");
    REFUSE(spm, VA_ERR_UNSUPPORTED, "ggml.remove_extra_whitespaces is not supported",
           EXTRA("remove_extra_whitespaces", BOOL, 1));
    REFUSE(spm, VA_ERR_UNSUPPORTED, "ggml.precompiled_charsmap is not supported",
           (EXTRA("precompiled_charsmap", ARRAY, 1), v.element = I32));
    REFUSE(spm, VA_ERR_FORMAT, "ggml.add_space_prefix: expected a BOOL, got UINT32",
           EXTRA("add_space_prefix", U32, 1));
}

static void the_arrays(void **state) {
    fixture *f = *state;
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.tokens: expected an ARRAY of STRING, got nothing",
           v.n_token = -1);
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.tokens: expected an ARRAY of STRING, got ARRAY of INT32",
           (v.n_token = -1, EXTRA("tokens", ARRAY, 4), v.element = I32));
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.tokens: expected an ARRAY of STRING, got STRING",
           (v.n_token = -1, EXTRA("tokens", STRING, 0), v.text = "a"));
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.tokens: expected 1 to 16777216 tokens, got 0",
           (v.n_token = 0, v.n_type = 0));
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.token_type: expected one for each of 4 tokens, got 3",
           v.n_type = 3);
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.token_type: expected an ARRAY of INT32, got ARRAY of FLOAT32",
           (v.n_type = -1, EXTRA("token_type", ARRAY, 4), v.element = FLOAT32));
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.token_type[1]: expected 0 to 6, got 7", v.token_type[1] = 7);
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.token_type[1]: expected 0 to 6, got -1", v.token_type[1] = -1);
    REFUSE(spm, VA_ERR_FORMAT, "ggml.scores: expected one for each of 6 tokens, got 7",
           v.n_score = 7);
    REFUSE(spm, VA_ERR_FORMAT, "ggml.scores: expected an ARRAY of FLOAT32, got nothing",
           v.n_score = -1);
    REFUSE(spm, VA_ERR_FORMAT, "ggml.scores: expected an ARRAY of FLOAT32, got ARRAY of INT32",
           (v.n_score = -1, EXTRA("scores", ARRAY, 6), v.element = I32));
    REFUSE(spm, VA_ERR_NUMERIC, "ggml.scores[3] is not a number", v.score[3] = __builtin_nanf(""));
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.merges: expected an ARRAY of STRING, got nothing",
           v.n_merge = -1);
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.merges: expected an ARRAY of STRING, got ARRAY of UINT32",
           (v.n_merge = -1, EXTRA("merges", ARRAY, 1), v.element = U32));
}

static void the_pieces(void **state) {
    fixture *f = *state;
    REFUSE(bpe, VA_ERR_FORMAT, "'a' has two ids: 0 and 1", v.token[1] = "a");
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.tokens[1]: expected text, got invalid UTF-8",
           v.token[1] = "\xC3(");
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.merges[0]: expected two pieces with one space between, got",
           v.merge[0] = "ab");
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.merges[0]: expected two pieces with one space between, got",
           v.merge[0] = "a b b");
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.merges[0]: expected two pieces with one space between, got",
           v.merge[0] = "");
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.merges[1]: 'c' is not in the vocabulary",
           (v.merge[1] = "a c", v.n_merge = 2));
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.merges[0]: 'ba' is not in", v.merge[0] = "b a");
}

static void the_special_tokens(void **state) {
    fixture *f = *state;
    REFUSE(bpe, VA_ERR_FORMAT,
           "ggml.bos_token_id: expected an id of the vocabulary (0 to 3), got 4",
           EXTRA("bos_token_id", U32, 4));
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.bos_token_id: expected an integer, got BOOL",
           EXTRA("bos_token_id", BOOL, 1));
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.bos_token_id: expected an id, got nothing",
           EXTRA("add_bos_token", BOOL, 1));
    REFUSE(bpe, VA_ERR_FORMAT, "ggml.add_eos_token: expected a BOOL, got INT32",
           EXTRA("add_eos_token", I32, 1));
    REFUSE(spm, VA_ERR_FORMAT, "ggml.unknown_token_id: expected an id",
           EXTRA("unknown_token_id", U32, 6));
    REFUSE(spm, VA_ERR_FORMAT, "ggml.bos_token_id: expected an id, got nothing",
           (v.n_token = v.n_score = v.n_type = 1, v.token[0] = "a"));
}

static void expect_ids(fixture *f, const vocabulary *v, const char *text, bool add_special,
                       const char *expected) {
    va_tokenizer *tok = NULL;
    va_token *tokens;
    int64_t n;
    char got[128] = "";
    assert_ok(f->ctx, load(f, v, &tok));
    assert_ok(f->ctx, va_tokenizer_encode(tok, f->arena, text, (int64_t)strlen(text), add_special,
                                          &tokens, &n));
    for (int64_t i = 0, at = 0; i < n; i++)
        at += snprintf(got + at, sizeof got - (size_t)at, "%d ", (int)tokens[i].id);
    assert_string_equal(got, expected);
    va_tokenizer_free(&tok);
}

// The same files without a fault, and what may be left out.
static void without_the_fault_they_load(void **state) {
    fixture *f = *state;
    vocabulary v = bpe;
    expect_ids(f, &bpe, "ab<s>b", true, "2 3 1 ");
    v.n_type = -1; // then <s> is text, and not in the vocabulary
    expect_ids(f, &v, "aab", true, "0 2 ");
    v = bpe;
    v.token[3] = ""; // a hole
    expect_ids(f, &v, "ab", true, "2 ");
    v = bpe;
    EXTRA("bos_token_id", U32, 3);
    expect_ids(f, &v, "ab", true, "2 "); // not asked for
    v.pre = "llama-bpe";
    expect_ids(f, &v, "ab", true, "3 2 "); // asked for by name
    v = spm;
    EXTRA("add_space_prefix", BOOL, 0);
    expect_ids(f, &v,
               "ab</s>\xC3\xA9\xC3\xA8"
               "b",
               true, "1 5 2 0 4 ");
    v.token_type[5] = 3; // control tokens are found in text
    expect_ids(f, &v, "ab", false, "5 ");
    v.token_type[5] = 6; // no merge makes the name of a byte
    expect_ids(f, &v, "ab", false, "3 4 ");
    v.token_type[5] = 5; // an unused piece is a piece
    expect_ids(f, &v, "ab", false, "5 ");
    v.score[4] = v.score[5] = 0;
    expect_ids(f, &v, "bab", true, "1 4 5 ");
}

// Of equal scores the leftmost pair is merged first; a higher score goes before that.
static void scores_decide(void **state) {
    fixture *f = *state;
    vocabulary v = spm;
    v.token[0] = "aa";
    v.token_type[0] = 1;
    EXTRA("add_space_prefix", BOOL, 0);
    v.score[0] = -1;
    expect_ids(f, &v, "aab", false, "0 4 ");
    expect_ids(f, &v, "aaab", false, "0 5 ");
    v.score[0] = -1.5F;
    expect_ids(f, &v, "aab", false, "3 5 ");
    v.score[0] = -__builtin_inff();
    v.score[5] = -3e38F;
    expect_ids(f, &v, "aab", false, "3 5 ");
    v.score[0] = -0.0F;
    v.score[5] = 0.0F;
    expect_ids(f, &v, "aab", false, "0 4 ");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_head),           TEST(the_arrays),    TEST(the_pieces),
        TEST(the_special_tokens), TEST(scores_decide), TEST(without_the_fault_they_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
