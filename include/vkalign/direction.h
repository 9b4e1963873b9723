// direction.h: directions that others made, read from files. Belongs to the io layer; depends on
// io.h.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_DIRECTION_H
#define VKALIGN_DIRECTION_H

#include "vkalign/io.h"

#ifdef __cplusplus
extern "C" {
#endif

// k directions in d dimensions as the file has them: not normalised, not made orthogonal.
typedef struct va_direction_frame {
    int64_t k, d;
    float *rows; // [k, d], arena-owned
} va_direction_frame;

// Reads [d] or [k, d] floats, k >= 1, d >= 1, from
//   FILE.npy                 the array
//   FILE.safetensors:NAME    the tensor of that name
//   FILE.gguf:LAYER          a control vector's direction of that layer, counted as the file does
//   FILE.pt:KEY.KEY...       (or .pth) the tensor there in a PyTorch checkpoint: at each dict the
//                            longest key that fits is taken, which may have dots in it ("net.0"),
//                            an integer key where no string fits; at each list an index
// VA_ERR_USAGE: spec has none of these forms. VA_ERR_SHAPE: no floats, or other dimensions.
// VA_ERR_NUMERIC: an element is not finite in float32, or a row is zero. VA_ERR_FORMAT names what
// is missing and what there is.
va_status va_direction_file_read(va_ctx *ctx, va_arena *arena, const char *spec,
                                 va_direction_frame *frame);

// A control vector: one direction for each of some layers in a GGUF file of architecture
// controlvector, as llama.cpp reads them: tensors direction.N [d], F32. (llama.cpp takes no N = 0;
// other programs write it.) All arena-owned.
typedef struct va_control_vector {
    const char *model_hint; // the model's architecture; NULL: the file does not say
    int64_t layer_count;    // as the file says; -1: it does not
    int64_t n, d;
    int64_t *layer; // [n] N of direction.N, ascending: after block N (resid:N+1) in llama.cpp
    float *rows;    // [n, d], finite; a row may be zero, as of a layer that is left alone
} va_control_vector;
va_status va_control_vector_read(va_ctx *ctx, va_arena *arena, const char *path,
                                 va_control_vector *cv);

#ifdef __cplusplus
}
#endif
#endif
