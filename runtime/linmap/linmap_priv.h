// linmap_priv.h: a linear map as the files of runtime/linmap see it.
// SPDX-License-Identifier: Apache-2.0
#ifndef LINMAP_PRIV_H
#define LINMAP_PRIV_H

#include "vkalign/linmap.h"

// A block that grows as needed and is kept between applications.
typedef struct va_scratch_block {
    va_buffer *buffer;
} va_scratch_block;

struct va_linmap {
    va_gpu *gpu;
    va_linmap_shape shape;
    int64_t max_k;
    va_linmap_ops ops;
    void *self; // owned
    char *label;
    va_scratch_block in, out; // for host vectors; the same each time, so that sweeps are replayed
};

va_status va_linmap_scratch(va_gpu *gpu, va_scratch_block *s, int64_t T, int64_t k, int64_t d,
                            va_block *block);

int64_t va_linmap_in(const va_linmap *map);  // n
int64_t va_linmap_out(const va_linmap *map); // m

#endif
