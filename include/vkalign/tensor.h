// tensor.h: what a device array means: dtype, shape, place. Belongs to the op layer.
//
// Legend of letters, used on every shape in vkalign:
//   N sequences run together   T tokens of each   M = N*T rows   k vectors in a block
//   d model width              H query heads      G key/value heads (H % G == 0)
//   D head width               F feed-forward width               V vocabulary
// Arrays are row-major, the last letter fastest. The tangent or cotangent of a value [M, a, b]
// is [M, k, a, b]: token-major, all k vectors of a row together.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_TENSOR_H
#define VKALIGN_TENSOR_H

#include "vkalign/gpu.h"
#include "vkalign/io.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VA_TENSOR_MAX_DIM = 4 };

typedef struct va_tensor {
    va_dtype dtype; // VA_F32 for values; weights also VA_BF16, VA_F16, quantised; ids VA_U32
    int n_dim;      // 0: absent
    int64_t shape[VA_TENSOR_MAX_DIM];
    va_slice mem; // buffer NULL while planning, or when the tensor is absent (a zero tangent)
} va_tensor;

static inline bool va_tensor_present(const va_tensor *t) {
    return t->mem.buffer != NULL;
}
// Rows first..first+count-1 of a value [M, ...]; count 0: all of them.
typedef struct va_row_range {
    int64_t first, count;
} va_row_range;
#define VA_ALL_ROWS ((va_row_range){0, 0})

int64_t va_tensor_elems(const va_tensor *t); // product of the shape; 0 when absent
// Bytes, padded to whole 32-bit words; -1 on overflow, and when rows are not whole blocks.
int64_t va_tensor_bytes(const va_tensor *t);
va_tensor va_tensor_make(va_dtype dtype, int n_dim, const int64_t *shape);
bool va_tensor_same_shape(const va_tensor *a, const va_tensor *b);
// "[7, 160] F32", for messages; returns buf.
const char *va_tensor_text(const va_tensor *t, char buf[96]);

#ifdef __cplusplus
}
#endif
#endif
