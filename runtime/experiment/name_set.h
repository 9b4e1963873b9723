// name_set.h: distinct strings, numbered in the order of their first appearance. Private.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_NAME_SET_H
#define VKALIGN_NAME_SET_H

#include "vkalign/base.h"

// {.ctx, .arena} is empty and valid. Growing leaves what it outgrew in the arena, less than is
// kept.
typedef struct va_name_set {
    va_ctx *ctx;
    va_arena *arena;
    const char **name; // [n], borrowed
    int64_t n, cap;
    int64_t *slot; // open addressing, [n_slots] (a power of two), -1 empty
    int64_t n_slots;
} va_name_set;

// The number of s, which is put in if it is new (then it was n before the call).
va_status va_name_set_add(va_name_set *set, const char *s, int64_t *id);
// -1 when it is not there.
int64_t va_name_set_find(const va_name_set *set, const char *s);

#endif
