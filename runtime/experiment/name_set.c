// name_set.c: an open-addressing table of strings that doubles.
// SPDX-License-Identifier: Apache-2.0
#include "name_set.h"

#include <string.h>

enum { FIRST_CAP = 16 };

// The slot of s, or the free one where it belongs.
static int64_t slot_of(const va_name_set *set, const char *s) {
    const uint64_t mask = (uint64_t)set->n_slots - 1, h = va_hash64(s);
    uint64_t i = (h ^ h >> 32) & mask;
    while (set->slot[i] >= 0 && strcmp(set->name[set->slot[i]], s) != 0)
        i = (i + 1) & mask;
    return (int64_t)i;
}

static va_status grow(va_name_set *set) {
    va_status st = VA_OK;
    const int64_t cap = set->cap ? 2 * set->cap : FIRST_CAP;
    const char **name;
    VA_TRY_ALLOC(set->ctx, name, VA_NEW_ARRAY(set->arena, const char *, cap));
    VA_TRY_ALLOC(set->ctx, set->slot, VA_NEW_ARRAY(set->arena, int64_t, 2 * cap));
    if (set->n > 0)
        memcpy(name, set->name, (size_t)set->n * sizeof *name);
    set->name = name;
    set->cap = cap;
    set->n_slots = 2 * cap;
    for (int64_t i = 0; i < set->n_slots; i++)
        set->slot[i] = -1;
    for (int64_t i = 0; i < set->n; i++)
        set->slot[slot_of(set, set->name[i])] = i;
done:
    return st;
}

va_status va_name_set_add(va_name_set *set, const char *s, int64_t *id) {
    va_status st = VA_OK;
    if (set->n == set->cap)
        VA_TRY(grow(set));
    const int64_t slot = slot_of(set, s);
    if (set->slot[slot] < 0) {
        set->name[set->n] = s;
        set->slot[slot] = set->n++;
    }
    *id = set->slot[slot];
done:
    return st;
}

int64_t va_name_set_find(const va_name_set *set, const char *s) {
    return set->n_slots > 0 ? set->slot[slot_of(set, s)] : -1;
}
