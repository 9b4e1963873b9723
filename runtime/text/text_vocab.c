// text_vocab.c: hash tables, and the vocabulary: model.vocab and added_tokens.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <string.h>

// Smallest power of two that keeps n entries at most half full.
static int64_t slots_for(int64_t n) {
    int64_t cap = 16;
    while (cap < 2 * n)
        cap *= 2;
    return cap;
}

static uint64_t mix(uint64_t x) { // splitmix64's finaliser (Steele, Lea, Flood 2014)
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t hash_bytes(const char *s, int64_t n) {
    uint64_t h = 0xCBF29CE484222325u; // FNV-1a
    for (int64_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001B3u;
    return mix(h);
}

va_status text_pairs_init(va_tokenizer *tok, text_pairs *t, int64_t max_n) {
    int64_t cap = slots_for(max_n);
    t->slot = VA_NEW_ARRAY(tok->arena, struct text_pair, cap);
    if (!t->slot)
        return text_out_of_memory(tok);
    for (int64_t i = 0; i < cap; i++)
        t->slot[i].a = -1;
    t->mask = (uint64_t)cap - 1;
    return VA_OK;
}

void text_pairs_prefetch(const text_pairs *t, int32_t a, int32_t b) {
    __builtin_prefetch(&t->slot[mix((uint64_t)(uint32_t)a << 32 | (uint32_t)b) & t->mask]);
}

struct text_pair *text_pairs_at(const text_pairs *t, int32_t a, int32_t b) {
    uint64_t i = mix((uint64_t)(uint32_t)a << 32 | (uint32_t)b) & t->mask;
    while (t->slot[i].a >= 0 && (t->slot[i].a != a || t->slot[i].b != b))
        i = (i + 1) & t->mask;
    return &t->slot[i];
}

// The slot of s, or the free one where it belongs. Slots repeat part of the hash, so that few
// pieces are fetched in vain.
static uint64_t slot_of(const text_vocab *v, const char *s, int64_t n, uint64_t hash) {
    uint64_t i = hash & v->mask;
    for (; v->slot[i].id >= 0; i = (i + 1) & v->mask) {
        if (v->slot[i].tag != (uint32_t)(hash >> 32))
            continue;
        const text_str *t = &v->token[v->slot[i].id];
        if (t->n == n && (n == 0 || memcmp(t->s, s, (size_t)n) == 0))
            break;
    }
    return i;
}

int32_t text_vocab_find(const text_vocab *v, const char *s, int64_t n) {
    return v->slot[slot_of(v, s, n, hash_bytes(s, n))].id;
}

// Most of a lookup is waiting for memory, so many are under way at once.
void text_vocab_find_many(const text_vocab *v, const text_str *s, int64_t n, int32_t *id) {
    enum { BLOCK = 64 };
    uint64_t hash[BLOCK];
    for (; n > 0; s += BLOCK, id += BLOCK, n -= BLOCK) {
        int64_t m = VA_MIN(n, BLOCK);
        for (int64_t i = 0; i < m; i++) {
            hash[i] = hash_bytes(s[i].s, s[i].n);
            __builtin_prefetch(&v->slot[hash[i] & v->mask]);
        }
        for (int64_t i = 0; i < m; i++)
            __builtin_prefetch(&v->token[VA_MAX(v->slot[hash[i] & v->mask].id, 0)]);
        for (int64_t i = 0; i < m; i++)
            __builtin_prefetch(v->token[VA_MAX(v->slot[hash[i] & v->mask].id, 0)].s);
        for (int64_t i = 0; i < m; i++)
            id[i] = v->slot[slot_of(v, s[i].s, s[i].n, hash[i])].id;
    }
}

va_status text_vocab_init(va_tokenizer *tok, int64_t n_ids, int64_t n_pieces) {
    text_vocab *v = &tok->vocab;
    int64_t cap = slots_for(n_pieces);
    v->n = n_ids;
    v->token = VA_NEW_ARRAY(tok->arena, text_str, n_ids);
    v->flags = VA_NEW_ARRAY(tok->arena, uint8_t, n_ids);
    v->slot = VA_NEW_ARRAY(tok->arena, struct text_vocab_slot, cap);
    if (!v->token || !v->flags || !v->slot)
        return text_out_of_memory(tok);
    for (int64_t i = 0; i < cap; i++)
        v->slot[i].id = -1;
    v->mask = (uint64_t)cap - 1;
    return VA_OK;
}

va_status text_vocab_add(va_tokenizer *tok, text_str s, int64_t id, int flag) {
    text_vocab *v = &tok->vocab;
    uint64_t hash = hash_bytes(s.s, s.n);
    struct text_vocab_slot *slot = &v->slot[slot_of(v, s.s, s.n, hash)];
    if (slot->id >= 0 && slot->id != id)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: '%.*s' has two ids: %d and %lld",
                       text_place(tok), TEXT_SHOWN(s), (int)slot->id, (long long)id);
    if (slot->id < 0 && v->token[id].s)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: id %lld belongs to both '%.200s' and '%.*s'",
                       text_place(tok), (long long)id, v->token[id].s, TEXT_SHOWN(s));
    if (v->flags[id] & flag)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: '%.*s' stands twice", text_place(tok),
                       TEXT_SHOWN(s));
    v->flags[id] |= (uint8_t)flag;
    if (v->token[id].s)
        return VA_OK;
    v->token[id] = (text_str){va_arena_strndup(tok->arena, s.s, s.n), s.n};
    *slot = (struct text_vocab_slot){.tag = (uint32_t)(hash >> 32), .id = (int32_t)id};
    return v->token[id].s ? VA_OK : text_out_of_memory(tok);
}

// -- tokenizer.json --------------------------------------------------------------------------

// found: whether there is an integer at all; got: what stands there.
static va_status check_id(va_tokenizer *tok, text_str piece, bool found, const char *got,
                          int64_t max_id, int64_t id) {
    if (!found)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: id of '%.*s': expected an integer, got %s",
                       text_place(tok), TEXT_SHOWN(piece), got);
    if (id < 0 || id > max_id)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: id of '%.*s': expected 0 to %lld, got %lld",
                       text_place(tok), TEXT_SHOWN(piece), (long long)max_id, (long long)id);
    return VA_OK;
}

static va_status check_kind(va_tokenizer *tok, const va_json *vocab, const va_json *added) {
    if (!vocab || !va_json_is_object(vocab))
        return text_wrong_type(tok, "model.vocab", "an object", vocab);
    if (added && !va_json_is_null(added) && !va_json_is_array(added))
        return text_wrong_type(tok, "added_tokens", "an array", added);
    for (const va_json *v = va_json_first(added); v; v = va_json_next(v)) {
        if (!va_json_is_object(v))
            return text_wrong_type(tok, "added_tokens", "objects", v);
        const va_json *content = va_json_get(v, "content");
        const char *s = content ? va_json_as_string(content) : NULL;
        if (!s || !*s)
            return va_fail(tok->ctx, VA_ERR_FORMAT,
                           "%s: added_tokens: content: expected a non-empty string, got %s",
                           tok->path,
                           s         ? "\"\""
                           : content ? va_json_type(content)
                                     : "nothing");
    }
    return VA_OK;
}

// Adds model.vocab; ids are at most max_id.
static va_status add_pieces(va_tokenizer *tok, int64_t max_id) {
    va_status st = VA_OK;
    va_json_cursor c = va_json_doc_large(tok->doc, TEXT_LARGE_VOCAB);
    tok->reading = &c;
    while (va_json_cursor_next(&c)) {
        text_str piece = {c.key, c.key_n};
        int64_t id = 0;
        bool found = va_json_cursor_int(&c, &id);
        VA_TRY(check_id(tok, piece, found, va_json_kind_text(c.kind), max_id, id));
        VA_TRY(text_vocab_add(tok, piece, id, TEXT_IN_MODEL));
    }
    if (c.failed)
        st = text_out_of_memory(tok);
done:
    tok->reading = NULL;
    return st;
}

static va_status added_id(va_tokenizer *tok, const va_json *v, int64_t max_id, text_str *content,
                          int64_t *id) {
    const va_json *id_json = va_json_get(v, "id");
    const char *s = va_json_as_string(va_json_get(v, "content"));
    bool found = id_json && va_json_as_int(id_json, id);
    *content = (text_str){s, (int64_t)strlen(s)};
    return check_id(tok, *content, found, va_json_type(id_json), max_id, *id);
}

// The number of pieces in model.vocab, and its largest id.
static int64_t survey_pieces(va_tokenizer *tok, int64_t *largest) {
    int64_t count = 0, id;
    va_json_cursor c = va_json_doc_large(tok->doc, TEXT_LARGE_VOCAB);
    for (*largest = 0; va_json_cursor_next(&c); count++)
        if (va_json_cursor_int(&c, &id))
            *largest = VA_MAX(*largest, id);
    return count;
}

va_status text_vocab_read(va_tokenizer *tok, const va_json *model, const va_json *added) {
    va_status st = VA_OK;
    text_str content;
    int64_t largest, id = 0;
    VA_TRY(check_kind(tok, va_json_get(model, "vocab"), added));
    int64_t count = survey_pieces(tok, &largest);
    if (count == 0)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: model.vocab is empty", tok->path);
    count += va_json_count(added);
    // Some vocabularies have holes, but none is mostly holes: that is a damaged file.
    int64_t max_id = VA_MIN(4 * count + 65536, TEXT_MAX_ID);
    largest = VA_MIN(largest, max_id); // a larger one is refused below
    for (const va_json *p = va_json_first(added); p; p = va_json_next(p)) {
        VA_TRY(added_id(tok, p, max_id, &content, &id));
        largest = VA_MAX(largest, id);
    }
    VA_TRY(text_vocab_init(tok, largest + 1, count));
    VA_TRY(add_pieces(tok, max_id));
    for (const va_json *p = va_json_first(added); p; p = va_json_next(p)) {
        VA_TRY(added_id(tok, p, max_id, &content, &id));
        VA_TRY(text_vocab_add(tok, content, id, TEXT_IS_ADDED));
    }
done:
    return st;
}
