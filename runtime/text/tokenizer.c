// tokenizer.c: loading a tokenizer.json, and the way of a text through it.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <stdlib.h>
#include <string.h>

static const char *const top_keys[] = {
    "version",       "truncation",     "padding", "added_tokens", "normalizer",
    "pre_tokenizer", "post_processor", "decoder", "model",        NULL};

// transformers sets truncation and padding at each call, so what the file says never counts.
static void warn_ignored(va_tokenizer *tok, const va_json *root) {
    static const char *const ignored[] = {"truncation", "padding"};
    for (int64_t i = 0; i < VA_COUNT(ignored); i++) {
        const va_json *v = va_json_get(root, ignored[i]);
        if (v && !va_json_is_null(v))
            va_log(tok->ctx, VA_LOG_WARN, "%s: %s is ignored", tok->path, ignored[i]);
    }
}

static va_status check_model(va_tokenizer *tok, const va_json *model) {
    if (!model || !va_json_is_object(model))
        return text_wrong_type(tok, "model", "an object", model);
    const va_json *type_json = va_json_get(model, "type"); // absent in old files
    if (!type_json && va_json_get(model, "merges"))
        return VA_OK;
    const char *type = type_json ? va_json_as_string(type_json) : NULL;
    if (!type)
        return text_wrong_type(tok, "model.type", "a string", type_json);
    return strcmp(type, "BPE") == 0 ? VA_OK : text_unknown(tok, "model", type, "BPE");
}

static va_status read_all(va_tokenizer *tok, const va_json *root) {
    va_status st = VA_OK;
    if (!va_json_is_object(root))
        return text_wrong_type(tok, "file", "an object", root);
    VA_TRY(text_check_keys(tok, root, "file", top_keys));
    warn_ignored(tok, root);
    const va_json *model = va_json_get(root, "model");
    const va_json *added = va_json_get(root, "added_tokens");
    if (added && va_json_is_null(added))
        added = NULL;
    VA_TRY(check_model(tok, model));
    VA_TRY(text_vocab_read(tok, model, added));
    VA_TRY(text_bpe_read(tok, model));
    VA_TRY(text_norm_read(tok, va_json_get(root, "normalizer")));
    VA_TRY(text_split_read(tok, va_json_get(root, "pre_tokenizer")));
    VA_TRY(text_post_read(tok, va_json_get(root, "post_processor")));
    VA_TRY(text_decoder_read(tok, va_json_get(root, "decoder")));
    VA_TRY(text_added_read(tok, added));
done:
    return st;
}

va_status text_create(va_ctx *ctx, const char *path, va_tokenizer **out) {
    va_status st = VA_OK;
    va_tokenizer *tok = NULL;
    *out = NULL;
    VA_TRY_ALLOC(ctx, tok, calloc(1, sizeof *tok));
    tok->ctx = ctx;
    VA_TRY_ALLOC(ctx, tok->arena, va_arena_create());
    VA_TRY_ALLOC(ctx, tok->scratch, va_arena_create());
    VA_TRY_ALLOC(ctx, tok->path, va_arena_strdup(tok->arena, path));
    *out = tok;
    tok = NULL;
done:
    va_tokenizer_free(&tok);
    return st;
}

va_status va_tokenizer_load(va_ctx *ctx, const char *path, va_tokenizer **out) {
    static const va_json_path large[TEXT_LARGE_COUNT] = {
        [TEXT_LARGE_VOCAB] = {"model", "vocab"}, [TEXT_LARGE_MERGES] = {"model", "merges"}};
    va_status st = VA_OK;
    va_json_doc *doc = NULL;
    va_tokenizer *tok = NULL;
    *out = NULL;
    VA_TRY(text_create(ctx, path, &tok));
    VA_TRY(va_json_doc_open(ctx, path, 0, large, TEXT_LARGE_COUNT, &doc));
    tok->doc = doc;
    VA_TRY(read_all(tok, va_json_doc_root(doc)));
    tok->doc = NULL;
    va_arena_reset(tok->scratch);
    *out = tok;
    tok = NULL;
done:
    va_json_doc_close(&doc);
    va_tokenizer_free(&tok);
    return st;
}

void va_tokenizer_free(va_tokenizer **tok) {
    if (!tok || !*tok)
        return;
    va_tokenizer *t = *tok;
    for (int64_t i = 0; i < t->n_norm; i++)
        text_pattern_free(&t->norm[i].pattern);
    for (int64_t i = 0; i < t->n_split; i++)
        text_pattern_free(&t->split[i].pattern);
    for (int64_t i = 0; i < t->n_decoder; i++)
        text_pattern_free(&t->decoder[i].pattern);
    va_arena_destroy(&t->scratch);
    va_arena_destroy(&t->arena);
    free(t);
    *tok = NULL;
}

// -- encoding --------------------------------------------------------------------------------

// The whole text as one piece: every byte of a character came from that character.
static va_status input_piece(va_tokenizer *tok, const char *text, int64_t size, text_piece *p) {
    va_status st = VA_OK;
    text_span *at;
    int64_t bad = text_first_invalid(text, size), len;
    if (bad >= 0)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "text: byte %lld is not valid UTF-8",
                       (long long)bad);
    VA_TRY_ALLOC(tok->ctx, at, VA_NEW_ARRAY(tok->scratch, text_span, size));
    for (int64_t i = 0; i < size; i += len) {
        text_char_at(text + i, size - i, &len);
        for (int64_t j = i; j < i + len; j++)
            at[j] = (text_span){i, i + len};
    }
    *p = (text_piece){.s = text, .at = at, .n = size, .id = -1};
done:
    return st;
}

// Added tokens of the raw text, then normalisation, then added tokens of the normalised text.
static va_status cut_added(va_tokenizer *tok, const text_piece *whole, text_pieces *out) {
    va_status st = VA_OK;
    text_pieces raw = {0};
    VA_TRY(text_find_added(tok, &tok->raw_trie, whole, &raw));
    for (int64_t i = 0; i < raw.n; i++) {
        text_piece p = raw.item[i];
        if (p.id >= 0) {
            VA_TRY(text_pieces_push(tok, out, p));
            continue;
        }
        VA_TRY(text_normalize(tok, &p));
        VA_TRY(text_find_added(tok, &tok->normalized_trie, &p, out));
    }
done:
    return st;
}

// Copies the tokens into the caller's arena, with the template's ids around them.
static va_status hand_over(va_tokenizer *tok, va_arena *arena, const va_token *body, int64_t n_body,
                           bool add_special, va_token **tokens, int64_t *n) {
    va_status st = VA_OK;
    int64_t n_prefix = add_special ? tok->n_prefix : 0, n_suffix = add_special ? tok->n_suffix : 0;
    va_token *all;
    VA_TRY_ALLOC(tok->ctx, all, VA_NEW_ARRAY(arena, va_token, n_prefix + n_body + n_suffix));
    for (int64_t i = 0; i < n_prefix; i++)
        all[i].id = tok->prefix[i];
    if (n_body > 0)
        memcpy(all + n_prefix, body, (size_t)n_body * sizeof *body);
    for (int64_t i = 0; i < n_suffix; i++)
        all[n_prefix + n_body + i].id = tok->suffix[i];
    *tokens = all;
    *n = n_prefix + n_body + n_suffix;
done:
    return st;
}

va_status va_tokenizer_encode(va_tokenizer *tok, va_arena *arena, const char *text, int64_t size,
                              bool add_special, va_token **tokens, int64_t *n) {
    va_status st = VA_OK;
    text_piece whole;
    text_pieces pieces = {0};
    va_token *body;
    int64_t n_body;
    *tokens = NULL;
    *n = 0;
    text_budget_set(tok, size);
    VA_TRY(input_piece(tok, text, size, &whole));
    VA_TRY(cut_added(tok, &whole, &pieces));
    VA_TRY(text_split_pieces(tok, &pieces));
    VA_TRY(text_bpe_pieces(tok, &pieces, &body, &n_body));
    VA_TRY(hand_over(tok, arena, body, n_body, add_special, tokens, n));
done:
    va_arena_reset(tok->scratch);
    return st;
}

// -- vocabulary and decoding -----------------------------------------------------------------

const char *va_tokenizer_token(const va_tokenizer *tok, int32_t id) {
    return id >= 0 && id < tok->vocab.n ? tok->vocab.token[id].s : NULL;
}

int32_t va_tokenizer_id(const va_tokenizer *tok, const char *token) {
    return text_vocab_find(&tok->vocab, token, (int64_t)strlen(token));
}

int64_t va_tokenizer_vocab_size(const va_tokenizer *tok) {
    return tok->vocab.n;
}

bool va_tokenizer_is_special(const va_tokenizer *tok, int32_t id) {
    return va_tokenizer_token(tok, id) && tok->vocab.flags[id] & TEXT_IS_SPECIAL;
}

// What the decoders see: an added token that is searched for in normalised text is normalised here
// too (as in HF tokenizers since 2026), so that the decoders undo what the normalizers did.
static text_str decoder_input(const va_tokenizer *tok, int32_t id) {
    const struct text_pair *p = text_pairs_at(&tok->added_by_id, id, 0);
    return p->a < 0 ? tok->vocab.token[id] : tok->added[p->value].content;
}

va_status va_tokenizer_decode(va_tokenizer *tok, va_arena *arena, const int32_t *ids, int64_t n,
                              bool skip_special, char **text) {
    va_status st = VA_OK;
    va_strbuf out = {0};
    text_str *list;
    int64_t kept = 0, n_bytes = 0;
    *text = NULL;
    VA_TRY_ALLOC(tok->ctx, list, VA_NEW_ARRAY(tok->scratch, text_str, n));
    for (int64_t i = 0; i < n; i++) {
        if (!va_tokenizer_token(tok, ids[i])) {
            st = va_fail(tok->ctx, VA_ERR_USAGE, "%s: id %d at %lld is not of this vocabulary",
                         tok->path, (int)ids[i], (long long)i);
            goto done;
        }
        if (skip_special && va_tokenizer_is_special(tok, ids[i]))
            continue;
        list[kept] = decoder_input(tok, ids[i]);
        n_bytes += list[kept++].n;
    }
    text_budget_set(tok, n_bytes);
    VA_TRY(text_decode_tokens(tok, list, kept, &out));
    if (out.len > 0 && memchr(out.data, 0, (size_t)out.len)) {
        st = va_fail(tok->ctx, VA_ERR_FORMAT, "%s: the ids decode to text with a NUL character",
                     tok->path);
        goto done;
    }
    VA_TRY_ALLOC(tok->ctx, *text, va_arena_strndup(arena, out.data ? out.data : "", out.len));
done:
    va_strbuf_free(&out);
    va_arena_reset(tok->scratch);
    return st;
}
