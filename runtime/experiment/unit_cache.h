// unit_cache.h: finished units of all experiments, by what they depend on. Private.
//
// A folder of KEY.safetensors, linked or copied from and to the units of a run. It only saves time:
// whatever is wrong with it is logged, and the run computes. Units are checked when they are read.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_UNIT_CACHE_H
#define VKALIGN_UNIT_CACHE_H

#include "vkalign/base.h"

// The user's folder, $XDG_CACHE_HOME/vkalign/units or ~/.cache/vkalign/units; NULL: there is none.
const char *va_unit_cache_dir(va_arena *arena);
bool va_unit_cache_has(const char *dir, const char *key);
// Puts the cached unit at path and marks it as used. false: there is none.
bool va_unit_cache_take(const char *dir, const char *key, const char *path);
void va_unit_cache_put(va_ctx *ctx, const char *dir, const char *key, const char *path);
// Removes the units that were not used for longest until at most max_bytes remain.
void va_unit_cache_trim(va_ctx *ctx, const char *dir, int64_t max_bytes);

#endif
