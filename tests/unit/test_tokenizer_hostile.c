// test_tokenizer_hostile.c: tokenizer.json files made to cost without end are stopped, and say why.
// libs: va_text
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/text.h"

enum { MAX_SECONDS = 20 }; // what is stopped takes well under one; what is not, hours

static va_ctx *ctx;
static va_arena *arena;
static char dir[VA_TEST_PATH], path[VA_TEST_PATH];
static double start;

static int set_up(void **state) {
    (void)state;
    ctx = va_test_ctx();
    arena = va_arena_create();
    va_test_temp_dir(dir);
    va_test_join(path, dir, "tokenizer.json");
    start = va_time_s();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    double seconds = va_time_s() - start;
    va_test_temp_remove(dir);
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
    return seconds < MAX_SECONDS ? 0 : -1;
}

// A tokenizer of the letters a and b with the parts given (JSON members, each with a comma behind).
static va_status load(const char *parts, va_tokenizer **tok) {
    va_strbuf b = {0};
    va_strbuf_printf(&b,
                     "{%s\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},"
                     "\"merges\":[\"a b\"],\"unk_token\":\"a\"}}",
                     parts);
    assert_false(b.failed);
    assert_ok(ctx, va_file_write(ctx, path, b.data, b.len));
    va_strbuf_free(&b);
    return va_tokenizer_load(ctx, path, tok);
}

static va_status encode(va_tokenizer *tok, const char *text) {
    va_token *tokens;
    int64_t n;
    return va_tokenizer_encode(tok, arena, text, (int64_t)strlen(text), true, &tokens, &n);
}

// "key":{"type":"Sequence","list":[step, step, ...]},  n times the step.
static void append_sequence(va_strbuf *b, const char *key, const char *list, const char *step,
                            int n) {
    va_strbuf_printf(b, "\"%s\":{\"type\":\"Sequence\",\"%s\":[", key, list);
    for (int i = 0; i < n; i++)
        va_strbuf_printf(b, "%s%s", i ? "," : "", step);
    va_strbuf_puts(b, "]},");
}

#define TENFOLD "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaa\"}"
static const char grown[] = "enlarge the text more than 256 times";

// 64 steps of ten times each would make 10^64 bytes.
static void normalizers_that_multiply(void **state) {
    (void)state;
    va_strbuf b = {0};
    va_tokenizer *tok;
    append_sequence(&b, "normalizer", "normalizers", TENFOLD, 64);
    assert_ok(ctx, load(b.data, &tok));
    assert_ok(ctx, encode(tok, "bbb"));
    assert_error(ctx, VA_ERR_FORMAT, grown, encode(tok, "bab"));
    assert_ok(ctx, encode(tok, "bbb"));
    va_tokenizer_free(&tok);
    // Already when it is loaded: an added token that is normalised.
    va_strbuf_puts(&b, "\"added_tokens\":[{\"id\":3,\"content\":\"xax\",\"normalized\":true}],");
    assert_error(ctx, VA_ERR_FORMAT, grown, load(b.data, &tok));
    va_strbuf_free(&b);
}

static void few_that_multiply_are_fine(void **state) {
    (void)state;
    va_strbuf b = {0};
    va_tokenizer *tok;
    append_sequence(&b, "normalizer", "normalizers", TENFOLD, 4);
    assert_ok(ctx, load(b.data, &tok));
    assert_ok(ctx, encode(tok, "bab"));
    va_tokenizer_free(&tok);
    va_strbuf_free(&b);
}

// Each ByteLevel makes two bytes of one that is not ASCII.
static void pre_tokenizers_that_multiply(void **state) {
    (void)state;
    va_strbuf b = {0};
    va_tokenizer *tok;
    append_sequence(&b, "pre_tokenizer", "pretokenizers",
                    "{\"type\":\"ByteLevel\",\"use_regex\":false,\"add_prefix_space\":false}", 64);
    assert_ok(ctx, load(b.data, &tok));
    assert_ok(ctx, encode(tok, "bab"));
    assert_error(ctx, VA_ERR_FORMAT, grown, encode(tok, "b\xC3\xA9"));
    va_tokenizer_free(&tok);
    va_strbuf_free(&b);
}

static void decoders_that_multiply(void **state) {
    (void)state;
    va_strbuf b = {0};
    va_tokenizer *tok;
    char *text;
    append_sequence(&b, "decoder", "decoders", TENFOLD, 64);
    assert_ok(ctx, load(b.data, &tok));
    assert_ok(ctx, va_tokenizer_decode(tok, arena, (const int32_t[]){1, 1}, 2, false, &text));
    assert_string_equal(text, "bb");
    assert_error(ctx, VA_ERR_FORMAT, grown,
                 va_tokenizer_decode(tok, arena, (const int32_t[]){1, 0}, 2, false, &text));
    va_tokenizer_free(&tok);
    va_strbuf_free(&b);
}

#define SPLIT(regex)                                                                               \
    "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex                        \
    "\"},\"behavior\":\"Isolated\"},"

// Expressions whose work is exponential, or a high power of the text's length. ([cd], since PCRE2
// sees at once that a single letter which must be there is not.)
static void expressions_that_backtrack(void **state) {
    (void)state;
    static const char *const splits[] = {SPLIT("(a|a)*[cd]"), SPLIT("(a*)*[cd]"),
                                         SPLIT("a*a*a*a*[cd]"), SPLIT("(?:a|aa)+[cd]")};
    char text[401];
    memset(text, 'a', 400);
    text[400] = '\0';
    for (int64_t i = 0; i < VA_COUNT(splits); i++) {
        va_tokenizer *tok;
        assert_ok(ctx, load(splits[i], &tok));
        assert_error(ctx, VA_ERR_FORMAT, "gave up on the text (PCRE2 error -47)",
                     encode(tok, text));
        va_tokenizer_free(&tok);
    }
}

// The expressions of real tokenizers stay far from the limits, on long runs of anything too.
static void honest_expressions_run_on_long_texts(void **state) {
    (void)state;
    static const char gpt2[] = "\"pre_tokenizer\":{\"type\":\"ByteLevel\"},";
    static const char llama3[] = SPLIT(
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}|"
        " ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+");
    static const char groups[] = SPLIT("(?:ab|a|b| )+");
    static const char *const splits[] = {gpt2, llama3, groups};
    static const char fill[] = "a 7\n!";
    enum { N = 20000 };
    char *text = calloc(1, N + 1);
    assert_non_null(text);
    for (int64_t i = 0; i < VA_COUNT(splits); i++) {
        va_tokenizer *tok;
        assert_ok(ctx, load(splits[i], &tok));
        for (size_t k = 0; k < sizeof fill - 1; k++) {
            memset(text, fill[k], N);
            assert_ok(ctx, encode(tok, text));
        }
        va_tokenizer_free(&tok);
    }
    free(text);
}

// Tokens of white space that take in all white space behind them, and tokens that nearly match
// everywhere.
static void added_tokens_that_look_far(void **state) {
    (void)state;
    enum { N = 300000, LONG = 4096 };
    static const char blank[] = "\"added_tokens\":[{\"id\":3,\"content\":\" \",\"rstrip\":true}],";
    char *text = calloc(1, N + 1);
    assert_non_null(text);
    va_tokenizer *tok;
    va_token *tokens;
    int64_t n;
    memset(text, ' ', N);
    assert_ok(ctx, load(blank, &tok));
    assert_ok(ctx, va_tokenizer_encode(tok, arena, text, N, true, &tokens, &n));
    assert_int_equal(n, N); // as HF tokenizers has it
    assert_int_equal(tokens[0].end, N);
    assert_int_equal(tokens[N - 1].begin, N - 1);
    va_tokenizer_free(&tok);
    for (int extra = 0; extra < 2; extra++) {
        va_strbuf b = {0};
        memset(text, 'a', N);
        va_strbuf_printf(&b, "\"added_tokens\":[{\"id\":3,\"content\":\"%.*sb\"}],",
                         LONG - 1 + extra, text);
        if (extra)
            assert_error(ctx, VA_ERR_FORMAT, "expected at most 4096 bytes, got 4097",
                         load(b.data, &tok));
        else
            assert_ok(ctx, load(b.data, &tok));
        va_tokenizer_free(&tok);
        va_strbuf_free(&b);
    }
    free(text);
}

#define BOS_TEMPLATE                                                                               \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"b\"}},"              \
    "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"b\":{\"ids\":[1]}}}"

// Templates go around templates; all of them together stay small.
static void templates_that_pile_up(void **state) {
    (void)state;
    va_strbuf b = {0};
    va_tokenizer *tok;
    for (int n = 64; n <= 65; n++) {
        append_sequence(&b, "post_processor", "processors", BOS_TEMPLATE, n);
        if (n == 64) {
            va_token *tokens;
            int64_t n_tokens;
            assert_ok(ctx, load(b.data, &tok));
            assert_ok(ctx, va_tokenizer_encode(tok, arena, "ab", 2, true, &tokens, &n_tokens));
            assert_int_equal(n_tokens, 65);
            va_tokenizer_free(&tok);
        } else {
            assert_error(ctx, VA_ERR_UNSUPPORTED, "more than 64 tokens", load(b.data, &tok));
        }
        va_strbuf_free(&b);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(normalizers_that_multiply),    TEST(few_that_multiply_are_fine),
        TEST(pre_tokenizers_that_multiply), TEST(decoders_that_multiply),
        TEST(expressions_that_backtrack),   TEST(honest_expressions_run_on_long_texts),
        TEST(templates_that_pile_up),       TEST(added_tokens_that_look_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
