// store.h: finished units on disk, so that an interrupted run goes on where it stopped. Private.
//
// Every unit is one safetensors file under OUT/units/ with its record (JSON) in the metadata; what
// is read back is what was written, whether in this run or in an earlier one.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_STORE_H
#define VKALIGN_STORE_H

#include "vkalign/io.h"

typedef struct va_store va_store;

typedef struct va_store_params {
    const char *out_dir;
    const char *cache_dir;   // see unit_cache.h; NULL: none
    const char *const *keys; // [n_units] hash of everything that a unit depends on
    int64_t n_units;
    bool resume;
} va_store_params;

// Makes OUT and OUT/units and locks them (VA_ERR_USAGE when another run holds the lock). Units of
// another key, and without resume all units, are removed; what the cache has is taken from there.
va_status va_store_open(va_ctx *ctx, const va_store_params *params, va_store **store);
// Unlocks; clear removes the units' folder.
void va_store_close(va_store **store, bool clear);
// Writes unit i with its tensors and record (borrowed) and opens it.
va_status va_store_put(va_store *store, int64_t i, const va_file_tensor *tensors, int64_t n,
                       const va_json *record);
// Marks unit i as failed, in memory only: a resumed run tries it again.
void va_store_fail(va_store *store, int64_t i, const char *error);
// Of an opened unit: its tensors, its record; NULL when it is not there.
const va_safetensors *va_store_tensors(const va_store *store, int64_t i);
const va_json *va_store_record(const va_store *store, int64_t i);
const char *va_store_error(const va_store *store, int64_t i); // NULL: did not fail
// Appends one line to OUT/units/log.jsonl.
va_status va_store_log(va_store *store, const va_json *event);
// The log's path, for the end.
const char *va_store_log_path(const va_store *store);

#endif
