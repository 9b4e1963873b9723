// text_bpe.c: byte pair encoding (Sennrich, Haddow, Birch 2016) with byte fallback.
//
// Of all adjacent pairs that have a merge, the one with the lowest rank (leftmost among equals) is
// merged until none is left. A pair has a merge when the table says so or, by score (SentencePiece;
// Kudo, Richardson 2018), when the two make a piece of the vocabulary. Symbols are a linked list
// and candidate pairs a heap, so a word of n characters takes O(n log n); entries of the heap that
// the list has outrun are dropped when met.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <stdio.h>
#include <string.h>

static const char *const model_keys[] = {"type",
                                         "dropout",
                                         "unk_token",
                                         "continuing_subword_prefix",
                                         "end_of_word_suffix",
                                         "fuse_unk",
                                         "byte_fallback",
                                         "ignore_merges",
                                         "vocab",
                                         "merges",
                                         NULL};

// -- reading ---------------------------------------------------------------------------------

static int32_t find_model(const va_tokenizer *tok, const char *s, int64_t n) {
    int32_t id = text_vocab_find(&tok->vocab, s, n);
    return id >= 0 && tok->vocab.flags[id] & TEXT_IN_MODEL ? id : -1;
}

// Settings that must be absent, null, or have no effect.
static va_status refuse_settings(va_tokenizer *tok, const va_json *model) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (int64_t i = 0; i < VA_COUNT(affixes); i++) {
        const va_json *v = va_json_get(model, affixes[i]);
        const char *s = v ? va_json_as_string(v) : NULL;
        if (v && !va_json_is_null(v) && !(s && !*s))
            return va_fail(tok->ctx, VA_ERR_UNSUPPORTED, "%s: model.%s is not supported", tok->path,
                           affixes[i]);
    }
    const va_json *v = va_json_get(model, "dropout");
    double dropout = 0;
    if (v && !va_json_is_null(v) && (!va_json_as_double(v, &dropout) || dropout != 0))
        return va_fail(tok->ctx, VA_ERR_UNSUPPORTED, "%s: model.dropout is not supported",
                       tok->path);
    return VA_OK;
}

va_status text_bpe_read(va_tokenizer *tok, const va_json *model) {
    va_status st = VA_OK;
    static const char where[] = "model";
    text_bpe *bpe = &tok->bpe;
    VA_TRY(text_check_keys(tok, model, where, model_keys));
    VA_TRY(refuse_settings(tok, model));
    VA_TRY(text_get_bool(tok, model, where, "fuse_unk", false, &bpe->fuse_unk));
    VA_TRY(text_get_bool(tok, model, where, "byte_fallback", false, &bpe->byte_fallback));
    VA_TRY(text_get_bool(tok, model, where, "ignore_merges", false, &bpe->ignore_merges));
    const va_json *unk = va_json_get(model, "unk_token");
    if (unk && !va_json_is_null(unk)) {
        VA_TRY(text_get_string(tok, model, where, "unk_token", &bpe->unk));
        bpe->has_unk = true;
    }
    VA_TRY(text_merges_read(tok, va_json_get(model, "merges")));
    text_bpe_find_bytes(tok);
done:
    return st;
}

void text_bpe_find_bytes(va_tokenizer *tok) {
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", b);
        tok->bpe.byte_id[b] = find_model(tok, name, 6);
    }
}

// -- merging ---------------------------------------------------------------------------------

typedef struct symbol {
    int32_t id;    // -1: unknown so far (by score)
    int64_t at, n; // bytes of the piece; n = 0: merged into the one before
    int64_t prev, next;
} symbol;

typedef struct candidate {
    int32_t rank, id;
    int64_t at; // the left symbol
} candidate;

typedef struct word {
    va_tokenizer *tok;
    const text_piece *p;
    symbol *sym;
    candidate *heap;
    int64_t n, n_heap, cap;
} word;

static bool before(const candidate *x, const candidate *y) {
    return x->rank != y->rank ? x->rank < y->rank : x->at < y->at;
}

static void heap_push(word *w, candidate c) {
    int64_t i = w->n_heap++;
    while (i > 0 && before(&c, &w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = c;
}

static candidate heap_pop(word *w) {
    candidate top = w->heap[0], last = w->heap[--w->n_heap];
    int64_t i = 0;
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= w->n_heap)
            break;
        if (child + 1 < w->n_heap && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

// What symbol `left` and the next one make; false: nothing.
static bool merge_at(const word *w, int64_t left, candidate *c) {
    const va_tokenizer *tok = w->tok;
    if (left < 0 || w->sym[left].next < 0)
        return false;
    const symbol *a = &w->sym[left], *b = &w->sym[a->next];
    if (!tok->bpe.rank) {
        const struct text_pair *p = text_pairs_at(&tok->bpe.merges, a->id, b->id);
        *c = (candidate){.rank = p->rank, .id = p->value, .at = left};
        return p->a >= 0;
    }
    int32_t id = text_vocab_find(&tok->vocab, w->p->s + a->at, a->n + b->n);
    if (id < 0 || tok->vocab.flags[id] & TEXT_NO_MERGE)
        return false;
    *c = (candidate){.rank = tok->bpe.rank[id], .id = id, .at = left};
    return true;
}

static void push_candidate(word *w, int64_t left) {
    candidate c;
    if (merge_at(w, left, &c))
        heap_push(w, c);
}

// A merge removes one symbol and pushes at most two candidates for the one popped, so the heap
// never holds more than 2 n.
static void merge_all(word *w) {
    w->n_heap = 0;
    for (int64_t i = 0; i + 1 < w->n; i++)
        push_candidate(w, i);
    while (w->n_heap > 0) {
        candidate c = heap_pop(w), now;
        symbol *left = &w->sym[c.at];
        if (left->n == 0 || !merge_at(w, c.at, &now) || now.id != c.id)
            continue; // outrun
        symbol *right = &w->sym[left->next];
        left->id = c.id;
        left->n += right->n;
        left->next = right->next;
        right->n = 0;
        if (left->next >= 0)
            w->sym[left->next].prev = c.at;
        push_candidate(w, left->prev);
        push_candidate(w, c.at);
    }
}

static va_status reserve(word *w, int64_t n) {
    if (n <= w->cap)
        return VA_OK;
    w->cap = VA_MAX(n, VA_MAX(64, 2 * w->cap));
    w->sym = VA_NEW_ARRAY(w->tok->scratch, symbol, w->cap);
    w->heap = VA_NEW_ARRAY(w->tok->scratch, candidate, 2 * w->cap);
    return w->sym && w->heap ? VA_OK : text_out_of_memory(w->tok);
}

static void put(word *w, int32_t id, int64_t n) {
    int64_t at = w->n > 0 ? w->sym[w->n - 1].at + w->sym[w->n - 1].n : 0;
    w->sym[w->n] = (symbol){.id = id, .at = at, .n = n, .prev = w->n - 1, .next = w->n + 1};
    w->n++;
}

static bool put_bytes(word *w, const char *s, int64_t n) {
    const int32_t *byte_id = w->tok->bpe.byte_id;
    for (int64_t i = 0; i < n; i++)
        if (byte_id[(unsigned char)s[i]] < 0)
            return false;
    for (int64_t i = 0; i < n; i++)
        put(w, byte_id[(unsigned char)s[i]], 1);
    return true;
}

static va_status unknown_id(va_tokenizer *tok, int32_t c, const text_piece *p, int64_t at,
                            int32_t *id) {
    const text_bpe *bpe = &tok->bpe;
    *id = bpe->has_unk ? find_model(tok, bpe->unk.s, bpe->unk.n) : -1;
    if (*id >= 0)
        return VA_OK;
    return va_fail(tok->ctx, VA_ERR_FORMAT,
                   "%s: U+%04X at byte %lld of the text has no token, and the vocabulary no "
                   "unknown token",
                   tok->path, (unsigned)c, (long long)p->at[at].begin);
}

// The characters of p as symbols. Unknown ones wait, to be fused; as in HF tokenizers, those that
// fall back to bytes do not end the waiting.
static va_status spell(word *w, const text_piece *p) {
    va_status st = VA_OK;
    va_tokenizer *tok = w->tok;
    int32_t unk = -1;
    int64_t unk_n = 0, len;
    w->n = 0;
    w->p = p;
    VA_TRY(reserve(w, p->n));
    for (int64_t i = 0; i < p->n; i += len) {
        int32_t c = text_char_at(p->s + i, p->n - i, &len);
        int32_t id = find_model(tok, p->s + i, len);
        if (tok->bpe.rank) { // what is unknown may yet become part of a piece
            put(w, id, len);
            continue;
        }
        if (id < 0 && tok->bpe.byte_fallback && put_bytes(w, p->s + i, len))
            continue;
        if (unk >= 0 && (id >= 0 || !tok->bpe.fuse_unk)) {
            put(w, unk, unk_n);
            unk = -1;
            unk_n = 0;
        }
        if (id >= 0) {
            put(w, id, len);
            continue;
        }
        VA_TRY(unknown_id(tok, c, p, i, &unk));
        unk_n += len;
    }
    if (unk >= 0)
        put(w, unk, unk_n);
    if (w->n > 0)
        w->sym[w->n - 1].next = -1;
done:
    return st;
}

static va_token *grow(va_tokenizer *tok, va_token *tokens, int64_t n, int64_t *cap, int64_t more) {
    if (n + more <= *cap)
        return tokens;
    int64_t new_cap = VA_MAX(n + more, 2 * *cap);
    va_token *grown = VA_NEW_ARRAY(tok->scratch, va_token, new_cap);
    if (!grown)
        return NULL;
    if (n > 0)
        memcpy(grown, tokens, (size_t)n * sizeof *grown);
    *cap = new_cap;
    return grown;
}

static int32_t whole_piece(const va_tokenizer *tok, const text_piece *p) {
    if (p->id >= 0)
        return p->id;
    return tok->bpe.ignore_merges ? find_model(tok, p->s, p->n) : -1;
}

// By score: the symbols that stayed unknown become bytes, or one unknown token for each run.
static va_status resolve_unknown(word *w) {
    va_status st = VA_OK;
    symbol *old = w->sym;
    int64_t n_old = w->n, len;
    bool unk_before = false;
    w->sym = VA_NEW_ARRAY(w->tok->scratch, symbol, w->p->n);
    if (!w->sym)
        return text_out_of_memory(w->tok);
    w->cap = 0; // the heap may be shorter now
    w->n = 0;
    for (int64_t i = 0; i < n_old; i++) {
        const char *s = w->p->s + old[i].at;
        int32_t id = old[i].id;
        if (old[i].n == 0)
            continue;
        if (id < 0 && w->tok->bpe.byte_fallback && put_bytes(w, s, old[i].n)) {
            unk_before = false;
            continue;
        }
        if (id < 0)
            VA_TRY(unknown_id(w->tok, text_char_at(s, old[i].n, &len), w->p, old[i].at, &id));
        if (old[i].id < 0 && unk_before)
            w->sym[w->n - 1].n += old[i].n;
        else
            put(w, id, old[i].n);
        unk_before = old[i].id < 0;
    }
done:
    return st;
}

static bool has_unknown(const word *w) {
    bool found = false;
    for (int64_t i = 0; i < w->n && !found; i++)
        found = w->sym[i].n > 0 && w->sym[i].id < 0;
    return found;
}

va_status text_bpe_pieces(va_tokenizer *tok, const text_pieces *pieces, va_token **tokens,
                          int64_t *n) {
    va_status st = VA_OK;
    word w = {.tok = tok};
    int64_t cap = 0;
    *tokens = NULL;
    *n = 0;
    for (int64_t k = 0; k < pieces->n; k++) {
        const text_piece *p = &pieces->item[k];
        int32_t whole = whole_piece(tok, p);
        if (whole < 0) {
            VA_TRY(spell(&w, p));
            merge_all(&w);
            if (has_unknown(&w))
                VA_TRY(resolve_unknown(&w));
        }
        VA_TRY_ALLOC(tok->ctx, *tokens, grow(tok, *tokens, *n, &cap, whole < 0 ? w.n : 1));
        if (whole >= 0) {
            text_span span = text_piece_span(p);
            (*tokens)[(*n)++] = (va_token){whole, span.begin, span.end};
            continue;
        }
        for (int64_t i = 0; i < w.n; i++) {
            const symbol *x = &w.sym[i];
            if (x->n > 0)
                (*tokens)[(*n)++] =
                    (va_token){x->id, p->at[x->at].begin, p->at[x->at + x->n - 1].end};
        }
    }
done:
    return st;
}
