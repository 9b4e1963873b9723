// text_piece.c: pieces of text that remember where in the input their bytes came from.
// SPDX-License-Identifier: Apache-2.0
#include "text_priv.h"

#include <assert.h>
#include <string.h>
#include <utf8proc.h>

va_status text_out_of_memory(va_tokenizer *tok) {
    return va_fail(tok->ctx, VA_ERR_MEMORY, "%s: out of host memory", tok->path);
}

// Steps that enlarge a text (Replace, Prepend, ByteLevel) multiply: 64 of them, each by ten, would
// make 10^64 bytes of one. Real ones write each byte a few times over in all.
void text_budget_set(va_tokenizer *tok, int64_t n) {
    tok->budget = VA_MIN(n, INT64_MAX / 512) * 256 + (64 << 10);
}

va_status text_budget_take(va_tokenizer *tok, int64_t n) {
    if (n > tok->budget)
        return va_fail(tok->ctx, VA_ERR_FORMAT,
                       "%s: the tokenizer's steps enlarge the text more than 256 times", tok->path);
    tok->budget -= n;
    return VA_OK;
}

static va_status reserve(va_tokenizer *tok, text_buf *b, int64_t n) {
    va_status st = text_budget_take(tok, n);
    int64_t need = b->n + n; // the budget bounds both
    if (st != VA_OK || need <= b->cap)
        return st;
    int64_t cap = VA_MAX(need, VA_MAX(2 * b->cap, 32));
    char *s = VA_NEW_ARRAY(tok->scratch, char, cap);
    text_span *at = VA_NEW_ARRAY(tok->scratch, text_span, cap);
    if (!s || !at)
        return text_out_of_memory(tok);
    if (b->n > 0) {
        memcpy(s, b->s, (size_t)b->n);
        memcpy(at, b->at, (size_t)b->n * sizeof *at);
    }
    b->s = s;
    b->at = at;
    b->cap = cap;
    return VA_OK;
}

va_status text_buf_put(va_tokenizer *tok, text_buf *b, const char *s, int64_t n, text_span from) {
    va_status st = VA_OK;
    VA_TRY(reserve(tok, b, n));
    for (int64_t i = 0; i < n; i++) {
        b->s[b->n + i] = s[i];
        b->at[b->n + i] = from;
    }
    b->n += n;
done:
    return st;
}

va_status text_buf_put_char(va_tokenizer *tok, text_buf *b, int32_t c, text_span from) {
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char(c, bytes);
    return text_buf_put(tok, b, (const char *)bytes, n, from);
}

va_status text_buf_copy(va_tokenizer *tok, text_buf *b, const text_piece *p, int64_t begin,
                        int64_t end) {
    va_status st = VA_OK;
    int64_t n = end - begin;
    VA_TRY(reserve(tok, b, n));
    if (n > 0) {
        memcpy(b->s + b->n, p->s + begin, (size_t)n);
        memcpy(b->at + b->n, p->at + begin, (size_t)n * sizeof *b->at);
    }
    b->n += n;
done:
    return st;
}

text_piece text_buf_piece(const text_buf *b) {
    return (text_piece){.s = b->s, .at = b->at, .n = b->n, .id = -1};
}

va_status text_pieces_push(va_tokenizer *tok, text_pieces *list, text_piece piece) {
    if (piece.n == 0)
        return VA_OK;
    if (list->n == list->cap) {
        int64_t cap = VA_MAX(16, 2 * list->cap);
        text_piece *item = VA_NEW_ARRAY(tok->scratch, text_piece, cap);
        if (!item)
            return text_out_of_memory(tok);
        if (list->n > 0)
            memcpy(item, list->item, (size_t)list->n * sizeof *item);
        list->item = item;
        list->cap = cap;
    }
    list->item[list->n++] = piece;
    return VA_OK;
}

text_piece text_slice(const text_piece *p, int64_t begin, int64_t end) {
    assert(0 <= begin && begin <= end && end <= p->n);
    if (begin == end)
        return (text_piece){.id = -1};
    return (text_piece){.s = p->s + begin, .at = p->at + begin, .n = end - begin, .id = -1};
}

text_span text_piece_span(const text_piece *p) {
    assert(p->n > 0);
    return (text_span){p->at[0].begin, p->at[p->n - 1].end};
}

va_status text_prepend_to(va_tokenizer *tok, text_piece *p, text_str content) {
    va_status st = VA_OK;
    text_buf b = {0};
    VA_TRY(text_buf_put(tok, &b, content.s, content.n, p->at[0]));
    VA_TRY(text_buf_copy(tok, &b, p, 0, p->n));
    *p = text_buf_piece(&b);
done:
    return st;
}

va_status text_replace(va_tokenizer *tok, text_piece *p, const text_pattern *pattern,
                       text_str content) {
    va_status st = VA_OK;
    text_match *match;
    int64_t n_match;
    text_buf b = {0};
    VA_TRY(text_pattern_find(tok, pattern, p->s, p->n, &match, &n_match));
    if (n_match == 0 || (n_match == 1 && !match[0].is_match))
        goto done;
    for (int64_t i = 0; i < n_match; i++) {
        int64_t begin = match[i].begin, end = match[i].end;
        if (!match[i].is_match) {
            VA_TRY(text_buf_copy(tok, &b, p, begin, end));
            continue;
        }
        // The place of the last character replaced, as in HF tokenizers: Metaspace's `first` asks.
        text_span from = end > 0 ? p->at[end - 1] : (text_span){p->at[0].begin, p->at[0].begin};
        VA_TRY(text_buf_put(tok, &b, content.s, content.n, from));
    }
    *p = text_buf_piece(&b);
done:
    return st;
}
