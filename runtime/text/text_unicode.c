// text_unicode.c: Unicode normalisation forms that keep track of places.
//
// Method: Unicode Standard Annex 15: decompose each character, sort runs of combining marks by
// class (stably), compose what is not blocked. utf8proc knows the characters; the places of
// composed characters are joined.
// SPDX-License-Identifier: Apache-2.0
#include "text_priv.h"

#include <stdlib.h>
#include <utf8proc.h>

enum { MAX_DECOMPOSED = 32 }; // the longest is 18 (U+FDFA)

typedef struct mark {
    int32_t c;
    int ccc;       // canonical combining class
    int64_t order; // before sorting
    text_span from;
} mark;

static int by_class(const void *a, const void *b) {
    const mark *x = a, *y = b;
    if (x->ccc != y->ccc)
        return x->ccc < y->ccc ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

// How many characters p decomposes into; the first cap of them are written.
static int64_t decompose(const text_piece *p, bool compat, mark *marks, int64_t cap) {
    utf8proc_option_t options = UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0);
    int64_t n = 0, len;
    for (int64_t i = 0; i < p->n; i += len) {
        int32_t c = text_char_at(p->s + i, p->n - i, &len);
        utf8proc_int32_t out[MAX_DECOMPOSED];
        int boundary = 0;
        utf8proc_ssize_t k =
            c < 0x80 ? 0 : utf8proc_decompose_char(c, out, MAX_DECOMPOSED, options, &boundary);
        if (k <= 0 || k > MAX_DECOMPOSED) {
            out[0] = c;
            k = 1;
        }
        for (utf8proc_ssize_t j = 0; j < k; j++, n++) {
            if (n < cap) // counted all the same
                marks[n] =
                    (mark){out[j], utf8proc_get_property(out[j])->combining_class, n, p->at[i]};
        }
    }
    return n;
}

static void sort_marks(mark *marks, int64_t n) {
    for (int64_t i = 0; i < n;) {
        if (marks[i].ccc == 0) {
            i++;
            continue;
        }
        int64_t end = i;
        while (end < n && marks[end].ccc != 0)
            end++;
        if (end - i > 1)
            qsort(marks + i, (size_t)(end - i), sizeof *marks, by_class);
        i = end;
    }
}

// The character that a and b make, or -1.
static int32_t pair_composed(int32_t a, int32_t b) {
    if (b < 0x300) // no composition ends in one of these
        return -1;
    utf8proc_int32_t both[4] = {a, b};
    utf8proc_ssize_t n = utf8proc_normalize_utf32(both, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    return n == 1 ? both[0] : -1;
}

static int64_t compose_marks(mark *marks, int64_t n) {
    int64_t kept = 0, starter = -1;
    for (int64_t i = 0; i < n; i++) {
        mark m = marks[i];
        bool adjacent = starter >= 0 && starter == kept - 1;
        bool blocked = starter < 0 || (!adjacent && marks[kept - 1].ccc >= m.ccc);
        int32_t c = blocked ? -1 : pair_composed(marks[starter].c, m.c);
        if (c >= 0) {
            mark *s = &marks[starter];
            s->c = c;
            s->from.begin = VA_MIN(s->from.begin, m.from.begin);
            s->from.end = VA_MAX(s->from.end, m.from.end);
            continue;
        }
        if (m.ccc == 0)
            starter = kept;
        marks[kept++] = m;
    }
    return kept;
}

va_status text_unicode_form(va_tokenizer *tok, text_piece *p, bool compose, bool compat) {
    va_status st = VA_OK;
    bool ascii = true;
    for (int64_t i = 0; i < p->n && ascii; i++)
        ascii = (unsigned char)p->s[i] < 0x80;
    if (ascii)
        return VA_OK;
    mark *marks;
    text_buf b = {0};
    int64_t n = decompose(p, compat, NULL, 0);
    VA_TRY_ALLOC(tok->ctx, marks, VA_NEW_ARRAY(tok->scratch, mark, n));
    decompose(p, compat, marks, n);
    sort_marks(marks, n);
    if (compose)
        n = compose_marks(marks, n);
    for (int64_t i = 0; i < n; i++)
        VA_TRY(text_buf_put_char(tok, &b, marks[i].c, marks[i].from));
    *p = text_buf_piece(&b);
done:
    return st;
}
