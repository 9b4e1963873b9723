// safetensors_priv.h: what reading one file and reading a folder of shards share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_SAFETENSORS_PRIV_H
#define VA_SAFETENSORS_PRIV_H

#include "io_priv.h"

enum { VA_ST_MAX_HEADER = 100 * 1000 * 1000 }; // the format's own limit in bytes

struct va_safetensors {
    va_arena *arena; // paths, names, tensors, metadata
    va_map *maps;    // one for each file
    int64_t n_maps;
    va_file_tensor *tensors; // sorted by name
    int64_t n_tensors;
    const char *(*metadata)[2]; // of all files, in their order
    int64_t n_metadata;
};

// Maps and checks one file and adds its tensors and metadata; maps has room for one more.
// path is arena-owned.
va_status va_safetensors_add_file(va_ctx *ctx, va_safetensors *st, const char *path);
// Sorts by name; a name that two files hold is refused.
va_status va_safetensors_sort(va_ctx *ctx, va_safetensors *st);

#endif
