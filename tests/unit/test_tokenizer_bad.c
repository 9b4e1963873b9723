// test_tokenizer_bad.c: what a tokenizer.json must not be, and what each is told.
// libs: va_text
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/text.h"

// A tokenizer.json from its parts.
#define DOC(added, normalizer, pre, post, decoder, model)                                          \
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":" added            \
    ",\"normalizer\":" normalizer ",\"pre_tokenizer\":" pre ",\"post_processor\":" post            \
    ",\"decoder\":" decoder ",\"model\":" model "}"
#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}"
#define BPE(more) "{\"type\":\"BPE\"," more "}"
#define GOOD BPE(VOCAB ",\"merges\":[\"a b\"]")
#define MODEL(model) DOC("[]", "null", "null", "null", "null", model)
#define MERGES(merges) MODEL(BPE(VOCAB ",\"merges\":" merges))
#define VOCABULARY(vocab) MODEL(BPE("\"vocab\":" vocab ",\"merges\":[]"))
#define ADDED(added) DOC(added, "null", "null", "null", "null", GOOD)
#define NORMALIZER(n) DOC("[]", n, "null", "null", "null", GOOD)
#define PRE(p) DOC("[]", "null", p, "null", "null", GOOD)
#define POST(p) DOC("[]", "null", "null", p, "null", GOOD)
#define DECODER(d) DOC("[]", "null", "null", "null", d, GOOD)
#define IN(step) "{\"type\":\"Sequence\",\"normalizers\":[" step "]}"
#define IN3(step) IN(IN(IN(step)))
#define SPLIT(pattern) "{\"type\":\"Split\",\"pattern\":" pattern ",\"behavior\":\"Isolated\"}"
#define TEMPLATE(single, specials)                                                                 \
    "{\"type\":\"TemplateProcessing\",\"single\":" single ",\"special_tokens\":" specials "}"
#define TEXT_A "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define BOS "{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}}"

static const struct {
    const char *json;
    va_status code;
    const char *text; // part of the message
} table[] = {
    // the whole
    {"", VA_ERR_FORMAT, ""},
    {"[]", VA_ERR_FORMAT, "expected an object, got array"},
    {"{}", VA_ERR_FORMAT, "model: expected an object, got nothing"},
    {"{\"model\":" GOOD, VA_ERR_FORMAT, ""},
    {"{\"model\":[]}", VA_ERR_FORMAT, "model: expected an object, got array"},
    {"{\"model\":" GOOD ",\"extra\":1}", VA_ERR_UNSUPPORTED, "unknown setting 'extra'"},
    // the model
    {MODEL("null"), VA_ERR_FORMAT, "model: expected an object, got null"},
    {MODEL("{}"), VA_ERR_FORMAT, "model.type: expected a string, got nothing"},
    {MODEL("{\"type\":\"Unigram\",\"vocab\":[]}"), VA_ERR_UNSUPPORTED, "model: 'Unigram'"},
    {MODEL("{\"type\":\"WordPiece\",\"vocab\":{}}"), VA_ERR_UNSUPPORTED, "model: 'WordPiece'"},
    {MODEL(BPE("\"merges\":[]")), VA_ERR_FORMAT, "model.vocab: expected an object, got nothing"},
    {MODEL(BPE(VOCAB)), VA_ERR_FORMAT, "model.merges: expected an array, got nothing"},
    {MODEL(BPE(VOCAB ",\"merges\":[],\"dropout\":0.1")), VA_ERR_UNSUPPORTED, "model.dropout"},
    {MODEL(BPE(VOCAB ",\"merges\":[],\"end_of_word_suffix\":\"</w>\"")), VA_ERR_UNSUPPORTED,
     "model.end_of_word_suffix"},
    {MODEL(BPE(VOCAB ",\"merges\":[],\"continuing_subword_prefix\":\"##\"")), VA_ERR_UNSUPPORTED,
     "model.continuing_subword_prefix"},
    {MODEL(BPE(VOCAB ",\"merges\":[],\"byte_fallback\":1")), VA_ERR_FORMAT,
     "model.byte_fallback: expected true or false, got number"},
    {MODEL(BPE(VOCAB ",\"merges\":[],\"unk_token\":0")), VA_ERR_FORMAT,
     "model.unk_token: expected a string, got number"},
    {MODEL(BPE(VOCAB ",\"merges\":[],\"new_option\":true")), VA_ERR_UNSUPPORTED, "'new_option'"},
    // the vocabulary
    {VOCABULARY("[]"), VA_ERR_FORMAT, "model.vocab: expected an object, got array"},
    {VOCABULARY("{}"), VA_ERR_FORMAT, "model.vocab is empty"},
    {VOCABULARY("{\"a\":-1}"), VA_ERR_FORMAT, "id of 'a': expected 0 to"},
    {VOCABULARY("{\"a\":1.5}"), VA_ERR_FORMAT, "id of 'a': expected an integer"},
    {VOCABULARY("{\"a\":\"0\"}"), VA_ERR_FORMAT, "id of 'a': expected an integer, got string"},
    {VOCABULARY("{\"a\":9999999}"), VA_ERR_FORMAT, "got 9999999"},
    {VOCABULARY("{\"a\":1e300}"), VA_ERR_FORMAT, "id of 'a'"},
    {VOCABULARY("{\"a\":0,\"b\":0}"), VA_ERR_FORMAT, "id 0 belongs to both 'a' and 'b'"},
    {VOCABULARY("{\"a\":0,\"a\":1}"), VA_ERR_FORMAT, "'a'"},
    // merges
    {MERGES("{}"), VA_ERR_FORMAT, "model.merges: expected an array, got object"},
    {MERGES("[\"a b\",\"ab\"]"), VA_ERR_FORMAT, "model.merges[1]: expected two pieces"},
    {MERGES("[\"a b b\"]"), VA_ERR_FORMAT, "model.merges[0]: expected two pieces"},
    {MERGES("[[\"a\",\"b\"],[\"a\"]]"), VA_ERR_FORMAT, "model.merges[1]: expected a pair"},
    {MERGES("[[\"a\",1]]"), VA_ERR_FORMAT, "model.merges[0]: expected a pair"},
    {MERGES("[7]"), VA_ERR_FORMAT, "model.merges[0]: expected a pair of strings, got number"},
    {MERGES("[\"a c\"]"), VA_ERR_FORMAT, "model.merges[0]: 'c' is not in the vocabulary"},
    {MERGES("[\"a b\",\"b a\"]"), VA_ERR_FORMAT, "model.merges[1]: 'ba' is not in"},
    // added tokens
    {ADDED("{}"), VA_ERR_FORMAT, "added_tokens: expected an array, got object"},
    {ADDED("[1]"), VA_ERR_FORMAT, "added_tokens: expected objects, got number"},
    {ADDED("[{\"id\":3}]"), VA_ERR_FORMAT, "content: expected a non-empty string, got nothing"},
    {ADDED("[{\"id\":3,\"content\":\"\"}]"), VA_ERR_FORMAT, "expected a non-empty string"},
    {ADDED("[{\"content\":\"<s>\"}]"), VA_ERR_FORMAT, "id of '<s>': expected an integer"},
    {ADDED("[{\"id\":0,\"content\":\"<s>\"}]"), VA_ERR_FORMAT, "id 0 belongs to both"},
    {ADDED("[{\"id\":5,\"content\":\"ab\"}]"), VA_ERR_FORMAT, "'ab' has two ids: 2 and 5"},
    {ADDED("[{\"id\":3,\"content\":\"x\"},{\"id\":3,\"content\":\"x\"}]"), VA_ERR_FORMAT,
     "'x' stands twice"},
    {ADDED("[{\"id\":3,\"content\":\"x\",\"special\":\"yes\"}]"), VA_ERR_FORMAT,
     "added_tokens.special: expected true or false"},
    {ADDED("[{\"id\":3,\"content\":\"x\",\"fuzzy\":true}]"), VA_ERR_UNSUPPORTED, "'fuzzy'"},
    {DOC("[{\"id\":3,\"content\":\" \",\"normalized\":true}]", "{\"type\":\"Strip\"}", "null",
         "null", "null", GOOD),
     VA_ERR_UNSUPPORTED, "' ' normalises to nothing"},
    // components
    {NORMALIZER("{\"type\":\"BertNormalizer\"}"), VA_ERR_UNSUPPORTED, "normalizer: 'BertNormal"},
    {NORMALIZER("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}"), VA_ERR_UNSUPPORTED,
     "normalizer: 'Precompiled'"},
    {NORMALIZER("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Nmt\"}]}"),
     VA_ERR_UNSUPPORTED, "normalizer.normalizers[1]: 'Nmt'"},
    {NORMALIZER("{\"type\":\"Sequence\",\"normalizers\":{}}"), VA_ERR_FORMAT,
     "normalizer.normalizers: expected an array, got object"},
    {NORMALIZER("{\"type\":\"Sequence\",\"normalizers\":[null]}"), VA_ERR_FORMAT,
     "normalizer.normalizers[0]: expected an object, got null"},
    {NORMALIZER("{}"), VA_ERR_FORMAT, "normalizer.type: expected a string, got nothing"},
    {NORMALIZER("{\"type\":3}"), VA_ERR_FORMAT, "normalizer.type: expected a string, got number"},
    {NORMALIZER("\"NFC\""), VA_ERR_FORMAT, "normalizer: expected an object, got string"},
    {NORMALIZER("{\"type\":\"NFC\",\"version\":9}"), VA_ERR_UNSUPPORTED, "'version'"},
    {NORMALIZER("{\"type\":\"Prepend\"}"), VA_ERR_FORMAT, "normalizer.prepend: expected a string"},
    {NORMALIZER("{\"type\":\"Replace\",\"content\":\"x\"}"), VA_ERR_FORMAT, "normalizer.pattern"},
    {NORMALIZER("{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"x\"}"),
     VA_ERR_UNSUPPORTED, "an empty pattern"},
    {NORMALIZER(IN3(IN3(IN3("{\"type\":\"NFC\"}")))), VA_ERR_UNSUPPORTED,
     "more than 8 sequences within each other"},
    {PRE("{\"type\":\"BertPreTokenizer\"}"), VA_ERR_UNSUPPORTED, "pre_tokenizer: 'BertPreTok"},
    {PRE("{\"type\":\"UnicodeScripts\"}"), VA_ERR_UNSUPPORTED, "'UnicodeScripts'"},
    {PRE(SPLIT("{\"Regex\":\"(a\"}")), VA_ERR_FORMAT, "cannot read the expression '(a'"},
    {PRE(SPLIT("{\"Regex\":\"a{2}+\"}")), VA_ERR_UNSUPPORTED, "'}+' at byte 3"},
    {PRE(SPLIT("{\"Regex\":\"\\\\w+\"}")), VA_ERR_UNSUPPORTED, "'\\w' at byte 0"},
    {PRE(SPLIT("{\"Regex\":\"\\\\C\"}")), VA_ERR_UNSUPPORTED,
     "'\\C' at byte 0"}, // half a character
    {PRE(SPLIT("{\"Regex\":\"[a[b]]\"}")), VA_ERR_UNSUPPORTED, "'[b' at byte 2"},
    {PRE(SPLIT("{\"Regex\":\"[a&&b]\"}")), VA_ERR_UNSUPPORTED, "'&&' at byte 2"},
    {PRE(SPLIT("{\"String\":\"a\",\"Regex\":\"a\"}")), VA_ERR_FORMAT, "one of String and Regex"},
    {PRE(SPLIT("{\"Glob\":\"*\"}")), VA_ERR_UNSUPPORTED, "pre_tokenizer.pattern: unknown"},
    {PRE("{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Sideways\"}"),
     VA_ERR_UNSUPPORTED, "'Sideways'"},
    {PRE("{\"type\":\"Metaspace\",\"replacement\":\"ab\"}"), VA_ERR_FORMAT, "one character"},
    {PRE("{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}"),
     VA_ERR_UNSUPPORTED, "'last'"},
    {POST("{\"type\":\"PairProcessing\"}"), VA_ERR_UNSUPPORTED, "post_processor: 'PairProcessing'"},
    {POST("{\"type\":\"BertProcessing\",\"sep\":[\"x\",1]}"), VA_ERR_FORMAT,
     "post_processor.cls: expected a token and its id, got nothing"},
    {POST("{\"type\":\"BertProcessing\",\"sep\":[\"x\",1],\"cls\":[\"x\"]}"), VA_ERR_FORMAT,
     "post_processor.cls: expected a token and its id, got array"},
    {POST("{\"type\":\"RobertaProcessing\",\"sep\":[\"x\",3],\"cls\":[\"x\",0]}"), VA_ERR_FORMAT,
     "post_processor.sep: 'x': expected an id of the vocabulary, got 3"},
    {POST(TEMPLATE("[" BOS "," TEXT_A "]", "{}")), VA_ERR_FORMAT, "no ids for special token '<s>'"},
    {POST(TEMPLATE("[" BOS "," TEXT_A "]", "{\"<s>\":{\"id\":\"<s>\",\"ids\":[3]}}")),
     VA_ERR_FORMAT, "expected an id of the vocabulary"},
    {POST(TEMPLATE("[" TEXT_A "," TEXT_A "]", "{}")), VA_ERR_UNSUPPORTED, "2 times"},
    {POST(TEMPLATE("[]", "{}")), VA_ERR_UNSUPPORTED, "0 times"},
    {POST(TEMPLATE("[{\"Sequence\":{\"id\":\"B\"}}]", "{}")), VA_ERR_UNSUPPORTED, "'B'"},
    {POST(TEMPLATE("[7]", "{}")), VA_ERR_FORMAT, "SpecialToken or Sequence"},
    {POST(TEMPLATE("7", "{}")), VA_ERR_FORMAT, "an array `single`, got number"},
    {DECODER("{\"type\":\"WordPiece\"}"), VA_ERR_UNSUPPORTED, "decoder: 'WordPiece'"},
    {DECODER("{\"type\":\"CTC\"}"), VA_ERR_UNSUPPORTED, "decoder: 'CTC'"},
    {DECODER("{\"type\":\"Strip\",\"content\":\"xy\",\"start\":1,\"stop\":0}"), VA_ERR_FORMAT,
     "decoder.content: expected one character"},
    {DECODER("{\"type\":\"Strip\",\"content\":\"x\",\"start\":-1,\"stop\":0}"), VA_ERR_FORMAT,
     "decoder.start: expected a count"},
};

static va_status load(va_ctx *ctx, const char *path, const char *json, va_tokenizer **tok) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(json, 1, strlen(json), f), strlen(json));
    assert_int_equal(fclose(f), 0);
    return va_tokenizer_load(ctx, path, tok);
}

static void each_fault_is_named(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_test_temp_dir(dir);
    va_test_join(path, dir, "tokenizer.json");
    for (int64_t i = 0; i < VA_COUNT(table); i++) {
        va_tokenizer *tok = NULL;
        va_error_clear(ctx);
        va_status st = load(ctx, path, table[i].json, &tok);
        const char *message = va_error_message(ctx);
        if (st != table[i].code || !strstr(message, table[i].text) || !strstr(message, path))
            fail_msg("%s\nexpected status %d with '%s', got %d: %s", table[i].json, table[i].code,
                     table[i].text, st, message);
        assert_null(tok);
    }
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
}

// The table's parts are sound: only the fault makes the difference.
static void without_the_fault_it_loads(void **state) {
    (void)state;
    static const char *const good[] = {
        MODEL(GOOD),
        MODEL("{" VOCAB ",\"merges\":[[\"a\",\"b\"]]}"),
        VOCABULARY("{\"a\":7}"),
        MODEL(BPE(VOCAB ",\"merges\":[],\"end_of_word_suffix\":\"\",\"dropout\":0.0")),
        ADDED("[{\"id\":3,\"content\":\"x\",\"special\":true},{\"id\":2,\"content\":\"ab\"}]"),
        ADDED("null"),
        NORMALIZER("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]}"),
        NORMALIZER(IN3(IN3(IN(IN("{\"type\":\"NFC\"}"))))),
        PRE(SPLIT("{\"Regex\":\"(?i:'s)|\\\\p{L}+|[^\\\\[\\\\]]|x{1,3}\"}")),
        POST(TEMPLATE("[" BOS "," TEXT_A "]", "{\"<s>\":{\"id\":\"<s>\",\"ids\":[2]}}")),
        DECODER("{\"type\":\"Strip\",\"content\":\"x\",\"start\":1,\"stop\":0}"),
    };
    va_ctx *ctx = va_test_ctx();
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_test_temp_dir(dir);
    va_test_join(path, dir, "tokenizer.json");
    for (int64_t i = 0; i < VA_COUNT(good); i++) {
        va_tokenizer *tok = NULL;
        assert_ok(ctx, load(ctx, path, good[i], &tok));
        va_tokenizer_free(&tok);
    }
    va_tokenizer *tok = NULL;
    assert_error(ctx, VA_ERR_FILE, "no-such", va_tokenizer_load(ctx, "no-such/file.json", &tok));
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
}

// A character that nothing in the vocabulary stands for is not dropped in silence.
static void unknown_characters_are_errors(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_arena *arena = va_arena_create();
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_token *tokens;
    int64_t n;
    va_tokenizer *tok = NULL;
    va_test_temp_dir(dir);
    va_test_join(path, dir, "tokenizer.json");
    assert_ok(ctx, load(ctx, path, MODEL(GOOD), &tok));
    assert_error(ctx, VA_ERR_FORMAT, "U+00E9 at byte 2",
                 va_tokenizer_encode(tok, arena, "ab\xC3\xA9", 4, true, &tokens, &n));
    assert_ok(ctx, va_tokenizer_encode(tok, arena, "aab", 3, true, &tokens, &n));
    assert_int_equal(n, 2);
    assert_int_equal(tokens[1].id, 2);
    va_tokenizer_free(&tok);
    assert_ok(ctx, load(ctx, path, VOCABULARY("{\"a\":7}"), &tok)); // ids with holes
    assert_int_equal(va_tokenizer_vocab_size(tok), 8);
    assert_null(va_tokenizer_token(tok, 3));
    va_tokenizer_free(&tok);
    va_test_temp_remove(dir);
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_is_named),
        cmocka_unit_test(without_the_fault_it_loads),
        cmocka_unit_test(unknown_characters_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
