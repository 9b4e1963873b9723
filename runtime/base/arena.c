// arena.c: bump allocation out of chunks that are freed together; checked size arithmetic.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/base.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16 };
// Under AddressSanitizer every allocation is its own chunk, so that overruns are seen.
#ifdef __has_feature // clang
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
enum { CHUNK_BYTES = 1 };
#else
enum { CHUNK_BYTES = 64 * 1024 };
#endif

typedef struct chunk {
    struct chunk *next;
    int64_t used, cap;
    alignas(ALIGNMENT) unsigned char data[];
} chunk;

struct va_arena {
    chunk *head; // the one with room; fuller ones behind it
};

bool va_mul_i64(int64_t a, int64_t b, int64_t *out) {
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

bool va_add_i64(int64_t a, int64_t b, int64_t *out) {
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

va_arena *va_arena_create(void) {
    return calloc(1, sizeof(va_arena));
}

void va_arena_reset(va_arena *arena) {
    chunk *c = arena->head;
    while (c) {
        chunk *next = c->next;
        free(c);
        c = next;
    }
    arena->head = NULL;
}

void va_arena_destroy(va_arena **arena) {
    if (!arena || !*arena)
        return;
    va_arena_reset(*arena);
    free(*arena);
    *arena = NULL;
}

// A zeroed chunk in which cap bytes are free.
static chunk *chunk_create(int64_t cap) {
    int64_t total;
    if (!va_add_i64(cap, (int64_t)sizeof(chunk), &total))
        return NULL;
    chunk *c = calloc(1, (size_t)total);
    if (c)
        c->cap = cap;
    return c;
}

void *va_arena_alloc(va_arena *arena, int64_t size_bytes) {
    if (size_bytes < 0 || size_bytes > INT64_MAX - ALIGNMENT)
        return NULL;
    int64_t need = VA_MAX(size_bytes, 1);
    chunk *head = arena->head;
    if (head && head->cap - head->used >= need) {
        void *p = head->data + head->used;
        int64_t padded = (need + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        head->used += VA_MIN(padded, head->cap - head->used);
        return p;
    }
    chunk *c = chunk_create(VA_MAX(need, CHUNK_BYTES));
    if (!c)
        return NULL;
    c->used = VA_MIN((need + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, c->cap);
    if (head && c->cap - c->used < head->cap - head->used) { // keep the roomier one in front
        c->next = head->next;
        head->next = c;
    } else {
        c->next = head;
        arena->head = c;
    }
    return c->data;
}

void *va_arena_array(va_arena *arena, int64_t count, int64_t elem_bytes) {
    int64_t total;
    if (count < 0 || elem_bytes < 0 || !va_mul_i64(count, elem_bytes, &total))
        return NULL;
    return va_arena_alloc(arena, total);
}

char *va_arena_strndup(va_arena *arena, const char *s, int64_t n) {
    if (n < 0 || n == INT64_MAX)
        return NULL;
    char *copy = va_arena_alloc(arena, n + 1);
    if (copy && n > 0)
        memcpy(copy, s, (size_t)n);
    return copy; // the arena zeroes, so it is terminated
}

char *va_arena_strdup(va_arena *arena, const char *s) {
    return va_arena_strndup(arena, s, (int64_t)strlen(s));
}

char *va_arena_printf(va_arena *arena, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = n < 0 ? NULL : va_arena_alloc(arena, (int64_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}
