// text_merges.c: the table of merges: (left id, right id) -> (rank, joined id).
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <string.h>

va_status text_merges_begin(va_tokenizer *tok, text_merges *m, int64_t n_merges,
                            const char *where) {
    *m = (text_merges){.where = where};
    if (n_merges > TEXT_MAX_ID)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s: more than 16 million", tok->path, where);
    return text_pairs_init(tok, &tok->bpe.merges, n_merges);
}

// The joined pieces one after another in one buffer.
static va_status join_all(va_tokenizer *tok, text_merges *m) {
    const text_str *left = m->piece, *right = left + TEXT_MERGE_BLOCK;
    text_str *both = m->piece + 2 * TEXT_MERGE_BLOCK;
    m->joined.len = 0;
    for (int64_t i = 0; i < m->n; i++) {
        va_strbuf_append(&m->joined, left[i].s, left[i].n);
        va_strbuf_append(&m->joined, right[i].s, right[i].n);
    }
    if (m->joined.failed)
        return text_out_of_memory(tok);
    int64_t at = 0;
    for (int64_t i = 0; i < m->n; i++) {
        both[i] = (text_str){m->joined.data + at, left[i].n + right[i].n};
        at += both[i].n;
    }
    return VA_OK;
}

static va_status check_ids(va_tokenizer *tok, const text_merges *m, int64_t i) {
    for (int part = 0; part < 3; part++) {
        int64_t k = i + part * TEXT_MERGE_BLOCK;
        if (m->id[k] < 0 || !(tok->vocab.flags[m->id[k]] & TEXT_IN_MODEL))
            return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s[%lld]: '%.*s' is not in the vocabulary",
                           tok->path, m->where, (long long)(m->n_done + i),
                           TEXT_SHOWN(m->piece[k]));
    }
    return VA_OK;
}

// Puts the merges gathered so far into the table.
static va_status flush(va_tokenizer *tok, text_merges *m) {
    va_status st = VA_OK;
    const int32_t *left = m->id, *right = left + TEXT_MERGE_BLOCK, *both = right + TEXT_MERGE_BLOCK;
    VA_TRY(join_all(tok, m));
    for (int part = 0; part < 3; part++)
        text_vocab_find_many(&tok->vocab, m->piece + part * TEXT_MERGE_BLOCK, m->n,
                             m->id + part * TEXT_MERGE_BLOCK);
    for (int64_t i = 0; i < m->n; i++) {
        VA_TRY(check_ids(tok, m, i));
        text_pairs_prefetch(&tok->bpe.merges, left[i], right[i]);
    }
    for (int64_t i = 0; i < m->n; i++)
        *text_pairs_at(&tok->bpe.merges, left[i], right[i]) = (struct text_pair){
            .a = left[i], .b = right[i], .rank = (int32_t)(m->n_done + i), .value = both[i]};
    m->n_done += m->n;
    m->n = 0;
done:
    return st;
}

va_status text_merges_add(va_tokenizer *tok, text_merges *m, text_str left, text_str right) {
    m->piece[m->n] = left;
    m->piece[TEXT_MERGE_BLOCK + m->n] = right;
    return ++m->n < TEXT_MERGE_BLOCK ? VA_OK : flush(tok, m);
}

va_status text_merges_add_spaced(va_tokenizer *tok, text_merges *m, text_str both) {
    const char *end = both.s + both.n;
    const char *space = both.n > 0 ? memchr(both.s, ' ', (size_t)both.n) : NULL;
    if (!space || memchr(space + 1, ' ', (size_t)(end - space - 1)))
        return va_fail(tok->ctx, VA_ERR_FORMAT,
                       "%s: %s[%lld]: expected two pieces with one space between, got '%.*s'",
                       text_place(tok), m->where, (long long)(m->n_done + m->n), TEXT_SHOWN(both));
    return text_merges_add(tok, m, (text_str){both.s, space - both.s},
                           (text_str){space + 1, end - space - 1});
}

va_status text_merges_end(va_tokenizer *tok, text_merges *m) {
    return flush(tok, m);
}

void text_merges_free(text_merges *m) {
    va_strbuf_free(&m->joined);
}

// -- tokenizer.json --------------------------------------------------------------------------

// The merge at hand: "a b" or ["a", "b"].
static va_status read_merge(va_tokenizer *tok, va_json_cursor *c, text_merges *m) {
    if (c->kind == VA_JSON_STRING)
        return text_merges_add_spaced(tok, m, (text_str){c->string, c->string_n});
    va_json_cursor pair = va_json_cursor_enter(c);
    text_str half[2] = {{0}, {0}};
    int64_t n = 0;
    bool strings = c->kind == VA_JSON_ARRAY;
    for (; strings && va_json_cursor_next(&pair); n++) {
        strings = n < 2 && pair.kind == VA_JSON_STRING;
        if (strings)
            half[n] = (text_str){pair.string, pair.string_n};
    }
    if (pair.failed)
        return text_out_of_memory(tok);
    if (strings && n == 2)
        return text_merges_add(tok, m, half[0], half[1]);
    return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s[%lld]: expected a pair of strings, got %s",
                   text_place(tok), m->where, (long long)(m->n_done + m->n),
                   va_json_kind_text(c->kind));
}

static int64_t count_children(va_json_cursor c) {
    int64_t n = 0;
    while (va_json_cursor_next(&c))
        n++;
    return n;
}

va_status text_merges_read(va_tokenizer *tok, const va_json *merges) {
    va_status st = VA_OK;
    text_merges m = {0};
    if (!merges || !va_json_is_array(merges))
        return text_wrong_type(tok, "model.merges", "an array", merges);
    va_json_cursor c = va_json_doc_large(tok->doc, TEXT_LARGE_MERGES);
    tok->reading = &c;
    VA_TRY(text_merges_begin(tok, &m, count_children(c), "model.merges"));
    while (va_json_cursor_next(&c))
        VA_TRY(read_merge(tok, &c, &m));
    if (c.failed) {
        st = text_out_of_memory(tok);
        goto done;
    }
    VA_TRY(text_merges_end(tok, &m));
done:
    tok->reading = NULL;
    text_merges_free(&m);
    return st;
}
