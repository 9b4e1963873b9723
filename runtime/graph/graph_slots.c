// graph_slots.c: sharing of memory between tensors that are not alive at the same time.
//
// Greedy by size: an interval, largest first, takes the first slot where nothing overlaps it.
// (Y. Pisarchyk, J. Lee, "Efficient memory management for deep neural net inference",
// arXiv 2001.03288, section 4, "shared objects".)
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

#include <stdlib.h>

typedef struct entry {
    const va_interval *iv;
    int64_t index; // in the caller's array, and next one in the slot's list
    int64_t next;
} entry;

// Descending size; earlier first among equals, so that plans are reproducible.
static int by_size(const void *pa, const void *pb) {
    const entry *a = pa, *b = pb;
    if (a->iv->size_bytes != b->iv->size_bytes)
        return a->iv->size_bytes < b->iv->size_bytes ? 1 : -1;
    return (a->index > b->index) - (a->index < b->index);
}

static bool overlaps(const va_interval *a, const va_interval *b) {
    return a->first <= b->last && b->first <= a->last;
}

// Can iv join the list that begins at entry `head`?
static bool slot_is_free(const entry *e, int64_t head, const va_interval *iv) {
    for (int64_t i = head; i >= 0; i = e[i].next)
        if (overlaps(e[i].iv, iv))
            return false;
    return true;
}

va_status va_graph_assign_slots(va_ctx *ctx, va_arena *arena, va_interval *iv, int64_t n,
                                int64_t **size, int32_t *n_slots) {
    va_status st = VA_OK;
    entry *e = NULL;
    int64_t *head = NULL;
    *n_slots = 0;
    VA_TRY_ALLOC(ctx, e, calloc((size_t)n + 1, sizeof *e));
    VA_TRY_ALLOC(ctx, head, calloc((size_t)n + 1, sizeof *head));
    VA_TRY_ALLOC(ctx, *size, VA_NEW_ARRAY(arena, int64_t, n + 1));
    for (int64_t i = 0; i < n; i++)
        e[i] = (entry){.iv = &iv[i], .index = i, .next = -1};
    qsort(e, (size_t)n, sizeof *e, by_size);
    for (int64_t i = 0; i < n; i++) {
        int32_t s = 0;
        while (s < *n_slots && !slot_is_free(e, head[s], e[i].iv))
            s++;
        if (s == *n_slots) {
            (*size)[s] = e[i].iv->size_bytes;
            head[s] = -1;
            (*n_slots)++;
        }
        e[i].next = head[s];
        head[s] = i;
        iv[e[i].index].slot = s;
    }
done:
    free(head);
    free(e);
    return st;
}
