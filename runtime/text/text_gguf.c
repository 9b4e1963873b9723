// text_gguf.c: tokenizers out of a GGUF file's metadata: "gpt2" (BPE on bytes) and "llama"
// (SentencePiece BPE).
//
// Semantics as in llama.cpp with special tokens parsed: control, unknown and user-defined tokens
// are found first; "llama" puts a space before every stretch between them.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <math.h>
#include <string.h>

#define KEY(name) "tokenizer.ggml." name

// tokenizer.ggml.token_type
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER_DEFINED, TYPE_UNUSED, TYPE_BYTE };

typedef struct source {
    va_tokenizer *tok;
    const va_gguf *g;
    const va_gguf_value *tokens, *types, *scores, *merges; // NULL when absent
    bool user_normalized; // user-defined tokens are found once spaces are U+2581
} source;

static va_status wrong(const source *s, const char *key, const char *expected,
                       const va_gguf_value *got) {
    return va_fail(s->tok->ctx, VA_ERR_FORMAT, "%s: %s: expected %s, got %s", s->tok->path, key,
                   expected, va_gguf_type_text(got));
}

// -- reading values --------------------------------------------------------------------------

static va_status get_bool(const source *s, const char *key, bool when_absent, bool *out) {
    const va_gguf_value *v = va_gguf_get(s->g, key);
    *out = when_absent;
    return !v || va_gguf_as_bool(v, out) ? VA_OK : wrong(s, key, "a BOOL", v);
}

// -1: there is none. when_absent: -1 or the id that llama.cpp assumes.
static va_status get_id(const source *s, const char *key, int64_t when_absent, int32_t *out) {
    const va_gguf_value *v = va_gguf_get(s->g, key);
    int64_t id = when_absent;
    if (v && !va_gguf_as_int(v, &id))
        return wrong(s, key, "an integer", v);
    if (v && (id < 0 || id >= s->tok->vocab.n || !s->tok->vocab.token[id].s))
        return va_fail(s->tok->ctx, VA_ERR_FORMAT,
                       "%s: %s: expected an id of the vocabulary (0 to %lld), got %lld",
                       s->tok->path, key, (long long)s->tok->vocab.n - 1, (long long)id);
    *out = id < s->tok->vocab.n ? (int32_t)id : -1;
    return VA_OK;
}

// An array of one kind, as long as the tokens; NULL when absent.
static va_status get_array(const source *s, const char *key, bool (*fits)(va_gguf_kind),
                           const char *expected, const va_gguf_value **out) {
    const va_gguf_value *v = *out = va_gguf_get(s->g, key);
    if (!v)
        return VA_OK;
    if (va_gguf_value_kind(v) != VA_GGUF_ARRAY || !fits(va_gguf_element_kind(v)))
        return wrong(s, key, expected, v);
    if (va_gguf_length(v) != va_gguf_length(s->tokens))
        return va_fail(s->tok->ctx, VA_ERR_FORMAT,
                       "%s: %s: expected one for each of %lld tokens, got %lld", s->tok->path, key,
                       (long long)va_gguf_length(s->tokens), (long long)va_gguf_length(v));
    return VA_OK;
}

static bool is_string(va_gguf_kind kind) {
    return kind == VA_GGUF_STRING;
}

static bool is_float(va_gguf_kind kind) {
    return kind == VA_GGUF_FLOAT;
}

static bool is_integer(va_gguf_kind kind) {
    return kind == VA_GGUF_INT || kind == VA_GGUF_UINT;
}

static va_status get_arrays(source *s) {
    va_status st = VA_OK;
    s->tokens = va_gguf_get(s->g, KEY("tokens"));
    int64_t n = va_gguf_length(s->tokens);
    VA_TRY(get_array(s, KEY("tokens"), is_string, "an ARRAY of STRING", &s->tokens));
    if (!s->tokens)
        return wrong(s, KEY("tokens"), "an ARRAY of STRING", NULL);
    if (n == 0 || n > TEXT_MAX_ID)
        return va_fail(s->tok->ctx, VA_ERR_FORMAT, "%s: %s: expected 1 to %d tokens, got %lld",
                       s->tok->path, KEY("tokens"), TEXT_MAX_ID, (long long)n);
    VA_TRY(get_array(s, KEY("token_type"), is_integer, "an ARRAY of INT32", &s->types));
    VA_TRY(get_array(s, KEY("scores"), is_float, "an ARRAY of FLOAT32", &s->scores));
    s->merges = va_gguf_get(s->g, KEY("merges"));
    if (s->merges && (va_gguf_value_kind(s->merges) != VA_GGUF_ARRAY ||
                      va_gguf_element_kind(s->merges) != VA_GGUF_STRING))
        return wrong(s, KEY("merges"), "an ARRAY of STRING", s->merges);
done:
    return st;
}

static va_status get_text(const source *s, const char *key, const char **out) {
    const va_gguf_value *v = va_gguf_get(s->g, key);
    *out = va_gguf_as_string(v);
    return *out ? VA_OK : wrong(s, key, "a text", v);
}

// -- the vocabulary --------------------------------------------------------------------------

static va_status check_piece(const source *s, text_str piece, int64_t id) {
    int64_t bad = text_first_invalid(piece.s, piece.n);
    if (bad < 0 && !memchr(piece.s, 0, (size_t)piece.n))
        return VA_OK;
    return va_fail(s->tok->ctx, VA_ERR_FORMAT, "%s: %s[%lld]: expected text, got %s", s->tok->path,
                   KEY("tokens"), (long long)id, bad < 0 ? "a NUL character" : "invalid UTF-8");
}

static va_status type_of(const source *s, int64_t id, int64_t *type) {
    *type = TYPE_NORMAL;
    if (s->types && (!va_gguf_int_at(s->types, id, type) || *type < 0 || *type > TYPE_BYTE))
        return va_fail(s->tok->ctx, VA_ERR_FORMAT, "%s: %s[%lld]: expected 0 to %d, got %lld",
                       s->tok->path, KEY("token_type"), (long long)id, TYPE_BYTE, (long long)*type);
    return VA_OK;
}

static bool is_found_first(int64_t type) {
    return type == TYPE_UNKNOWN || type == TYPE_CONTROL || type == TYPE_USER_DEFINED;
}

static bool makes_pieces(int64_t type) { // merges may build and use it
    return type != TYPE_UNKNOWN && type != TYPE_CONTROL && type != TYPE_BYTE;
}

// All pieces and their flags; counts the added tokens. Empty pieces are holes: no text has them.
static va_status read_pieces(const source *s) {
    va_status st = VA_OK;
    va_tokenizer *tok = s->tok;
    int64_t n = va_gguf_length(s->tokens), type;
    VA_TRY(text_vocab_init(tok, n, n));
    for (int64_t id = 0; id < n; id++) {
        text_str piece = {0};
        va_gguf_string_at(s->tokens, id, &piece.s, &piece.n);
        VA_TRY(type_of(s, id, &type));
        if (piece.n == 0)
            continue;
        VA_TRY(check_piece(s, piece, id));
        int flags = TEXT_IN_MODEL | (makes_pieces(type) ? 0 : TEXT_NO_MERGE);
        if (type == TYPE_UNKNOWN || type == TYPE_CONTROL)
            flags |= TEXT_IS_SPECIAL;
        VA_TRY(text_vocab_add(tok, piece, id, flags));
        tok->n_added += is_found_first(type);
    }
done:
    return st;
}

static va_status read_added(const source *s) {
    va_status st = VA_OK;
    va_tokenizer *tok = s->tok;
    int64_t n = 0, type;
    VA_TRY_ALLOC(tok->ctx, tok->added, VA_NEW_ARRAY(tok->arena, text_added_token, tok->n_added));
    for (int64_t id = 0; id < tok->vocab.n; id++) {
        VA_TRY(type_of(s, id, &type));
        if (tok->vocab.token[id].s && is_found_first(type))
            tok->added[n++] =
                (text_added_token){.content = tok->vocab.token[id],
                                   .id = (int32_t)id,
                                   .normalized = s->user_normalized && type == TYPE_USER_DEFINED};
    }
    VA_TRY(text_added_index(tok));
done:
    return st;
}

// -- "gpt2" ----------------------------------------------------------------------------------

static va_status read_merges(const source *s) {
    va_status st = VA_OK;
    text_merges m = {0};
    if (!s->merges)
        return wrong(s, KEY("merges"), "an ARRAY of STRING", NULL);
    VA_TRY(text_merges_begin(s->tok, &m, va_gguf_length(s->merges), KEY("merges")));
    for (int64_t i = 0; i < va_gguf_length(s->merges); i++) {
        text_str both = {0};
        va_gguf_string_at(s->merges, i, &both.s, &both.n);
        VA_TRY(text_merges_add_spaced(s->tok, &m, both));
    }
    VA_TRY(text_merges_end(s->tok, &m));
done:
    text_merges_free(&m);
    return st;
}

static va_status read_gpt2(const source *s, bool *add_bos) {
    va_status st = VA_OK;
    const char *name;
    text_gguf_pre pre = {0};
    va_tokenizer *tok = s->tok;
    VA_TRY(get_text(s, KEY("pre"), &name));
    VA_TRY(text_gguf_add_splits(tok, name, &pre));
    if (pre.compose)
        VA_TRY(text_norm_add(tok, (text_norm){.kind = TEXT_NORM_FORM, .compose = true}));
    VA_TRY(text_decoder_add(tok, (text_decoder){.kind = TEXT_DECODE_BYTE_LEVEL}));
    VA_TRY(read_merges(s));
    tok->bpe.ignore_merges = pre.ignore_merges;
    *add_bos = pre.add_bos;
done:
    return st;
}

// -- "llama" ---------------------------------------------------------------------------------

// Orders as scores do, backwards: integers compare faster and the table of merges has them too.
static int32_t rank_of(float score) {
    int32_t bits;
    score += 0.0F; // -0 is 0
    memcpy(&bits, &score, sizeof bits);
    return ~(bits >= 0 ? bits : bits ^ INT32_MAX);
}

static va_status read_scores(const source *s) {
    va_status st = VA_OK;
    va_tokenizer *tok = s->tok;
    if (!s->scores)
        return wrong(s, KEY("scores"), "an ARRAY of FLOAT32", NULL);
    VA_TRY_ALLOC(tok->ctx, tok->bpe.rank, VA_NEW_ARRAY(tok->arena, int32_t, tok->vocab.n));
    for (int64_t id = 0; id < tok->vocab.n; id++) {
        double score = NAN;
        va_gguf_number_at(s->scores, id, &score);
        if (isnan(score))
            return va_fail(tok->ctx, VA_ERR_NUMERIC, "%s: %s[%lld] is not a number", tok->path,
                           KEY("scores"), (long long)id);
        tok->bpe.rank[id] = rank_of((float)score);
    }
done:
    return st;
}

// Spaces are U+2581 in the pieces; prefix: one comes before every stretch of text.
static va_status add_llama_steps(va_tokenizer *tok, bool prefix) {
    const text_str space = {" ", 1}, escaped = {"\xE2\x96\x81", 3};
    const text_norm prepend = {.kind = TEXT_NORM_PREPEND, .content = escaped};
    const text_norm escape = {
        .kind = TEXT_NORM_REPLACE, .pattern.literal = space, .content = escaped};
    const text_decoder unescape = {
        .kind = TEXT_DECODE_REPLACE, .pattern.literal = escaped, .content = space};
    const text_decoder strip = {.kind = TEXT_DECODE_STRIP, .content = space, .start = 1};
    va_status st = VA_OK;
    if (prefix)
        VA_TRY(text_norm_add(tok, prepend));
    VA_TRY(text_norm_add(tok, escape));
    VA_TRY(text_decoder_add(tok, unescape));
    VA_TRY(text_decoder_add(tok, (text_decoder){.kind = TEXT_DECODE_BYTE_FALLBACK}));
    VA_TRY(text_decoder_add(tok, (text_decoder){.kind = TEXT_DECODE_FUSE}));
    if (prefix)
        VA_TRY(text_decoder_add(tok, strip));
done:
    return st;
}

static va_status read_llama(source *s) {
    va_status st = VA_OK;
    va_tokenizer *tok = s->tok;
    bool prefix, squeeze;
    int32_t unk;
    VA_TRY(get_bool(s, KEY("add_space_prefix"), true, &prefix));
    VA_TRY(get_bool(s, KEY("remove_extra_whitespaces"), false, &squeeze));
    if (squeeze || va_gguf_get(s->g, KEY("precompiled_charsmap")))
        return va_fail(tok->ctx, VA_ERR_UNSUPPORTED, "%s: %s is not supported", tok->path,
                       squeeze ? KEY("remove_extra_whitespaces") : KEY("precompiled_charsmap"));
    VA_TRY(add_llama_steps(tok, prefix));
    s->user_normalized = !prefix; // as sentencepiece; llama.cpp gives the text behind one a prefix
    VA_TRY(read_scores(s));
    VA_TRY(get_id(s, KEY("unknown_token_id"), 0, &unk));
    tok->bpe.byte_fallback = true;
    tok->bpe.has_unk = unk >= 0 && tok->vocab.flags[unk] & TEXT_IS_SPECIAL;
    if (tok->bpe.has_unk)
        tok->bpe.unk = tok->vocab.token[unk];
done:
    return st;
}

// -- all -------------------------------------------------------------------------------------

// One special token before or after every text, when the file says so.
static va_status read_around(const source *s, const char *add_key, bool add, const char *id_key,
                             int64_t id_when_absent, int32_t **ids, int64_t *n) {
    va_status st = VA_OK;
    int32_t id;
    VA_TRY(get_bool(s, add_key, add, &add));
    VA_TRY(get_id(s, id_key, id_when_absent, &id));
    if (!add)
        return VA_OK;
    if (id < 0)
        return wrong(s, id_key, "an id", NULL);
    VA_TRY_ALLOC(s->tok->ctx, *ids, VA_NEW_ARRAY(s->tok->arena, int32_t, 1));
    (*ids)[0] = id;
    *n = 1;
done:
    return st;
}

static va_status read_all(source *s) {
    va_status st = VA_OK;
    va_tokenizer *tok = s->tok;
    const char *model;
    VA_TRY(get_text(s, KEY("model"), &model));
    const bool llama = strcmp(model, "llama") == 0;
    bool add_bos = llama;
    if (!llama && strcmp(model, "gpt2") != 0)
        return text_unknown(tok, KEY("model"), model, "gpt2, llama");
    VA_TRY(get_arrays(s));
    VA_TRY(read_pieces(s));
    VA_TRY(llama ? read_llama(s) : read_gpt2(s, &add_bos));
    text_bpe_find_bytes(tok);
    VA_TRY(read_added(s));
    VA_TRY(read_around(s, KEY("add_bos_token"), add_bos, KEY("bos_token_id"), llama ? 1 : -1,
                       &tok->prefix, &tok->n_prefix));
    VA_TRY(read_around(s, KEY("add_eos_token"), false, KEY("eos_token_id"), llama ? 2 : -1,
                       &tok->suffix, &tok->n_suffix));
done:
    return st;
}

va_status va_tokenizer_load_gguf(va_ctx *ctx, const va_gguf *g, const char *path,
                                 va_tokenizer **out) {
    va_status st = VA_OK;
    va_tokenizer *tok = NULL;
    *out = NULL;
    VA_TRY(text_create(ctx, path, &tok));
    source s = {.tok = tok, .g = g};
    VA_TRY(read_all(&s));
    va_arena_reset(tok->scratch);
    *out = tok;
    tok = NULL;
done:
    va_tokenizer_free(&tok);
    return st;
}
