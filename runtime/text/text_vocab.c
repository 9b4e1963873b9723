// text_vocab.c: hash tables, and the vocabulary: model.vocab and added_tokens.
// SPDX-License-Identifier: Apache-2.0
#include "text_priv.h"

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

struct text_pair *text_pairs_at(const text_pairs *t, int32_t a, int32_t b) {
    uint64_t i = mix((uint64_t)(uint32_t)a << 32 | (uint32_t)b) & t->mask;
    while (t->slot[i].a >= 0 && (t->slot[i].a != a || t->slot[i].b != b))
        i = (i + 1) & t->mask;
    return &t->slot[i];
}

// The slot of s, or the free one where it belongs.
static uint64_t slot_of(const text_vocab *v, const char *s, int64_t n) {
    uint64_t i = hash_bytes(s, n) & v->mask;
    for (; v->slot[i] >= 0; i = (i + 1) & v->mask) {
        const text_str *t = &v->token[v->slot[i]];
        if (t->n == n && memcmp(t->s, s, (size_t)n) == 0)
            break;
    }
    return i;
}

int32_t text_vocab_find(const text_vocab *v, const char *s, int64_t n) {
    return v->slot[slot_of(v, s, n)];
}

// An id, checked to be one.
static va_status read_id(va_tokenizer *tok, const va_json *v, const char *piece, int64_t max_id,
                         int64_t *id) {
    if (!v || !va_json_as_int(v, id))
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: id of '%s': expected an integer, got %s",
                       tok->path, piece, v ? va_json_type(v) : "nothing");
    if (*id < 0 || *id > max_id)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: id of '%s': expected 0 to %lld, got %lld",
                       tok->path, piece, (long long)max_id, (long long)*id);
    return VA_OK;
}

static va_status add(va_tokenizer *tok, const char *s, int64_t id, int flag) {
    text_vocab *v = &tok->vocab;
    int64_t n = (int64_t)strlen(s);
    int64_t bad = text_first_invalid(s, n);
    if (bad >= 0)
        return va_fail(tok->ctx, VA_ERR_FORMAT,
                       "%s: the piece with id %lld is not UTF-8 at byte %lld", tok->path,
                       (long long)id, (long long)bad);
    uint64_t slot = slot_of(v, s, n);
    if (v->slot[slot] >= 0 && v->slot[slot] != id)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: '%s' has two ids: %d and %lld", tok->path, s,
                       (int)v->slot[slot], (long long)id);
    if (v->token[id].s && strcmp(v->token[id].s, s) != 0)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: id %lld belongs to both '%s' and '%s'",
                       tok->path, (long long)id, v->token[id].s, s);
    if (v->flags[id] & flag)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: '%s' stands twice", tok->path, s);
    v->flags[id] |= (uint8_t)flag;
    if (v->token[id].s)
        return VA_OK;
    v->token[id] = (text_str){va_arena_strndup(tok->arena, s, n), n};
    v->slot[slot] = (int32_t)id;
    return v->token[id].s ? VA_OK : text_out_of_memory(tok);
}

static va_status check_kind(va_tokenizer *tok, const va_json *vocab, const va_json *added) {
    if (!vocab || !va_json_is_object(vocab))
        return text_wrong_type(tok, "model.vocab", "an object", vocab);
    if (va_json_count(vocab) == 0)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: model.vocab is empty", tok->path);
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

va_status text_vocab_read(va_tokenizer *tok, const va_json *model, const va_json *added) {
    va_status st = VA_OK;
    text_vocab *v = &tok->vocab;
    const va_json *vocab = va_json_get(model, "vocab");
    VA_TRY(check_kind(tok, vocab, added));
    int64_t count = va_json_count(vocab) + va_json_count(added), id;
    // Some vocabularies have holes, but none is mostly holes: that is a damaged file.
    int64_t max_id = VA_MIN(4 * count + 65536, TEXT_MAX_ID);
    for (const va_json *p = va_json_first(vocab); p; p = va_json_next(p)) {
        VA_TRY(read_id(tok, p, va_json_key(p), max_id, &id));
        v->n = VA_MAX(v->n, id + 1);
    }
    for (const va_json *p = va_json_first(added); p; p = va_json_next(p)) {
        const char *content = va_json_as_string(va_json_get(p, "content"));
        VA_TRY(read_id(tok, va_json_get(p, "id"), content, max_id, &id));
        v->n = VA_MAX(v->n, id + 1);
    }
    int64_t cap = slots_for(count);
    v->token = VA_NEW_ARRAY(tok->arena, text_str, v->n);
    v->flags = VA_NEW_ARRAY(tok->arena, uint8_t, v->n);
    v->slot = VA_NEW_ARRAY(tok->arena, int32_t, cap);
    if (!v->token || !v->flags || !v->slot)
        return text_out_of_memory(tok);
    memset(v->slot, 0xFF, (size_t)cap * sizeof *v->slot);
    v->mask = (uint64_t)cap - 1;
    for (const va_json *p = va_json_first(vocab); p; p = va_json_next(p)) {
        va_json_as_int(p, &id);
        VA_TRY(add(tok, va_json_key(p), id, TEXT_IN_MODEL));
    }
    for (const va_json *p = va_json_first(added); p; p = va_json_next(p)) {
        va_json_as_int(va_json_get(p, "id"), &id);
        VA_TRY(add(tok, va_json_as_string(va_json_get(p, "content")), id, TEXT_IS_ADDED));
    }
done:
    return st;
}
