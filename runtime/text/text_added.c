// text_added.c: added tokens: found in the text before anything else sees it.
//
// The leftmost match wins, and of those the longest; tokens with `normalized` are searched for in
// the normalised text, the others in the raw text.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <string.h>

enum { MAX_CONTENT = 4096 }; // each place of a text is compared with so many bytes at most

static const char *const added_keys[] = {"id",     "content",    "single_word", "lstrip",
                                         "rstrip", "normalized", "special",     NULL};

static va_status trie_init(va_tokenizer *tok, text_trie *trie, int64_t total_bytes) {
    va_status st = VA_OK;
    if (total_bytes > TEXT_MAX_ID)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: added_tokens: more than 16 MiB of contents",
                       tok->path);
    VA_TRY(text_pairs_init(tok, &trie->child, total_bytes));
    VA_TRY_ALLOC(tok->ctx, trie->token, VA_NEW_ARRAY(tok->arena, int32_t, total_bytes + 1));
    trie->token[0] = -1;
    trie->n_node = 1; // the root
done:
    return st;
}

static void trie_add(text_trie *trie, text_str s, int32_t token) {
    int32_t node = 0;
    trie->starts[(unsigned char)s.s[0]] = true;
    for (int64_t i = 0; i < s.n; i++) {
        int32_t byte = (unsigned char)s.s[i];
        struct text_pair *p = text_pairs_at(&trie->child, node, byte);
        if (p->a < 0) {
            *p = (struct text_pair){.a = node, .b = byte, .value = trie->n_node};
            trie->token[trie->n_node++] = -1;
        }
        node = p->value;
    }
    if (trie->token[node] < 0) // the first of two that normalise alike
        trie->token[node] = token;
}

// The longest token that starts at s, or -1.
static int32_t trie_longest(const text_trie *trie, const char *s, int64_t n, int64_t *len) {
    int32_t node = 0, found = -1;
    if (!trie->starts[(unsigned char)s[0]])
        return -1;
    for (int64_t i = 0; i < n; i++) {
        const struct text_pair *p = text_pairs_at(&trie->child, node, (unsigned char)s[i]);
        if (p->a < 0)
            break;
        node = p->value;
        if (trie->token[node] >= 0) {
            found = trie->token[node];
            *len = i + 1;
        }
    }
    return found;
}

// The content as the normalizers leave it.
static va_status normalise_content(va_tokenizer *tok, text_str *s) {
    va_status st = VA_OK;
    text_buf b = {0};
    text_budget_set(tok, s->n);
    VA_TRY(text_buf_put(tok, &b, s->s, s->n, (text_span){0, 0}));
    text_piece p = text_buf_piece(&b);
    VA_TRY(text_normalize(tok, &p));
    if (p.n == 0) // HF tokenizers would then find it everywhere
        return va_fail(tok->ctx, VA_ERR_UNSUPPORTED, "%s: added_tokens: '%s' normalises to nothing",
                       tok->path, s->s);
    *s = (text_str){va_arena_strndup(tok->arena, p.s, p.n), p.n};
    if (!s->s)
        st = text_out_of_memory(tok);
done:
    return st;
}

static va_status read_token(va_tokenizer *tok, const va_json *v, text_added_token *t) {
    va_status st = VA_OK;
    static const char where[] = "added_tokens";
    bool special;
    VA_TRY(text_check_keys(tok, v, where, added_keys));
    VA_TRY(text_get_string(tok, v, where, "content", &t->content));
    t->id = text_vocab_find(&tok->vocab, t->content.s, t->content.n);
    VA_TRY(text_get_bool(tok, v, where, "special", false, &special));
    VA_TRY(text_get_bool(tok, v, where, "single_word", false, &t->single_word));
    VA_TRY(text_get_bool(tok, v, where, "lstrip", false, &t->lstrip));
    VA_TRY(text_get_bool(tok, v, where, "rstrip", false, &t->rstrip));
    VA_TRY(text_get_bool(tok, v, where, "normalized", !special, &t->normalized));
    if (special)
        tok->vocab.flags[t->id] |= TEXT_IS_SPECIAL;
done:
    return st;
}

va_status text_added_index(va_tokenizer *tok) {
    va_status st = VA_OK;
    int64_t n = tok->n_added, raw_bytes = 0, normalized_bytes = 0;
    for (int64_t i = 0; i < n; i++) {
        text_added_token *t = &tok->added[i];
        if (t->content.n > MAX_CONTENT)
            return va_fail(tok->ctx, VA_ERR_FORMAT,
                           "%s: added token '%.40s...': expected at most %d bytes, got %lld",
                           tok->path, t->content.s, MAX_CONTENT, (long long)t->content.n);
        if (t->normalized)
            VA_TRY(normalise_content(tok, &t->content));
        *(t->normalized ? &normalized_bytes : &raw_bytes) += t->content.n;
    }
    VA_TRY(text_pairs_init(tok, &tok->added_by_id, n));
    VA_TRY(trie_init(tok, &tok->raw_trie, raw_bytes));
    VA_TRY(trie_init(tok, &tok->normalized_trie, normalized_bytes));
    for (int64_t i = 0; i < n; i++) {
        const text_added_token *t = &tok->added[i];
        if (t->normalized)
            *text_pairs_at(&tok->added_by_id, t->id, 0) =
                (struct text_pair){.a = t->id, .value = (int32_t)i};
        trie_add(t->normalized ? &tok->normalized_trie : &tok->raw_trie, t->content, (int32_t)i);
    }
done:
    return st;
}

va_status text_added_read(va_tokenizer *tok, const va_json *added) {
    va_status st = VA_OK;
    int64_t n = va_json_count(added), i = 0;
    VA_TRY_ALLOC(tok->ctx, tok->added, VA_NEW_ARRAY(tok->arena, text_added_token, n));
    for (const va_json *v = va_json_first(added); v; v = va_json_next(v))
        VA_TRY(read_token(tok, v, &tok->added[i++]));
    tok->n_added = n;
    VA_TRY(text_added_index(tok));
done:
    return st;
}

static int64_t last_char(const char *s, int64_t end) {
    int64_t i = end - 1;
    while (i > 0 && ((unsigned char)s[i] & 0xC0) == 0x80)
        i--;
    return i;
}

static bool stands_alone(const text_piece *p, int64_t begin, int64_t end) {
    int64_t len, before = begin > 0 ? last_char(p->s, begin) : 0;
    if (begin > 0 && text_is_word(text_char_at(p->s + before, begin - before, &len)))
        return false;
    return end == p->n || !text_is_word(text_char_at(p->s + end, p->n - end, &len));
}

// Takes in the white space beside [*begin, *end) that the token asks for, not before `taken`.
// blank: white space that was passed before, which tokens of white space come upon again.
static void widen(const text_piece *p, const text_added_token *t, int64_t taken, text_span *blank,
                  int64_t *begin, int64_t *end) {
    int64_t len;
    while (t->lstrip && *begin > taken) {
        int64_t i = last_char(p->s, *begin);
        if (!text_is_space(text_char_at(p->s + i, *begin - i, &len)))
            break;
        *begin = VA_MAX(i, taken);
    }
    if (!t->rstrip)
        return;
    int64_t from = *end;
    if (from >= blank->begin && from < blank->end)
        *end = blank->end;
    while (*end < p->n && text_is_space(text_char_at(p->s + *end, p->n - *end, &len)))
        *end += len;
    *blank = (text_span){from, *end};
}

va_status text_find_added(va_tokenizer *tok, const text_trie *trie, const text_piece *p,
                          text_pieces *out) {
    va_status st = VA_OK;
    int64_t taken = 0, len = 0;
    text_span blank = {0, 0};
    for (int64_t i = 0; i < p->n;) {
        int32_t k = trie_longest(trie, p->s + i, p->n - i, &len);
        if (k < 0) {
            i++;
            continue;
        }
        const text_added_token *t = &tok->added[k];
        int64_t begin = i, end = i + len;
        i = end;
        if (t->single_word && !stands_alone(p, begin, end))
            continue;
        widen(p, t, taken, &blank, &begin, &end);
        if (taken < begin)
            VA_TRY(text_pieces_push(tok, out, text_slice(p, taken, begin)));
        text_piece found = text_slice(p, begin, end);
        found.id = t->id;
        VA_TRY(text_pieces_push(tok, out, found));
        taken = end;
    }
    if (taken < p->n)
        VA_TRY(text_pieces_push(tok, out, text_slice(p, taken, p->n)));
done:
    return st;
}
