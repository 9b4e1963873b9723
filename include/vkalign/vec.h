// vec.h: device vectors and blocks of k vectors, float32.
// Depends on base.h and gpu.h. Reductions run in a fixed order: one device gives one result, bit by
// bit.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_VEC_H
#define VKALIGN_VEC_H

#include "vkalign/gpu.h"

#ifdef __cplusplus
extern "C" {
#endif

// k vectors of length T*d, token-major: element (t, j, c) of vector j stands at (t*k + j)*d + c,
// so all k vectors of one token are one [k, d] matrix. A plain vector has T = k = 1.
// Every block fits one storage-buffer binding: T*k*d*4 <= max_range_bytes.
typedef struct va_block {
    int64_t T, k, d;
    va_slice mem; // [T, k, d] f32, borrowed
} va_block;

int64_t va_block_bytes(int64_t T, int64_t k, int64_t d); // T*k*d*4; -1 on overflow
// Allocates a buffer of its own; destroy with va_buffer_destroy(&buffer).
va_status va_block_create(va_gpu *gpu, int64_t T, int64_t k, int64_t d, const char *name,
                          va_buffer **buffer, va_block *block);

// All below are recorded, not waited for, and return VA_ERR_SHAPE for blocks that do not fit
// together.
// x[:] = value
va_status va_vec_fill(va_gpu *gpu, const va_block *x, float value);
// y = alpha x + beta y (beta = 0 does not read y)
va_status va_vec_axpby(va_gpu *gpu, float alpha, const va_block *x, float beta, const va_block *y);
// Vector j becomes the unit vector of flat index first + j (t = idx / d, c = idx % d); past the
// end of T*d it becomes 0.
va_status va_block_one_hot(va_gpu *gpu, const va_block *x, int64_t first);
// dst row (t*k + j) = src row, from the host in vector-major order [k, T*d] to token-major and
// back. Uploads or downloads; download waits.
va_status va_block_from_host(va_gpu *gpu, const va_block *x, const float *vectors); // [k, T*d]
va_status va_block_to_host(va_gpu *gpu, const va_block *x, float *vectors);         // [k, T*d]
// G[a, b] = <x_a, y_b>, [k, k'] row-major on the host, each sum in f32 partials of fixed order
// summed in double. x and y may differ in k. Waits.
va_status va_block_gram(va_gpu *gpu, const va_block *x, const va_block *y, double *G);
// y_b = sum_a x_a R[a, b]; R is [x.k, y.k] row-major on the host, uploaded. y must not alias x.
va_status va_block_mul(va_gpu *gpu, const va_block *x, const double *R, const va_block *y);

// Numbers spread evenly about a mean, each rounded to bf16. Number i depends on (seed, stream, i)
// alone, bit by bit the same on the host and on every device.
typedef struct va_random {
    uint64_t seed, stream;
    float mean, deviation; // standard deviation; bf16's rounding comes on top
} va_random;
// Numbers 0, 1, ... until dst (whole words) is full, two in a word or as f32. Recorded; large ones
// stop at va_interrupt.
va_status va_vec_random(va_gpu *gpu, const va_random *r, bool bf16, va_slice dst);
// Numbers first..first+n-1 on the host.
void va_random_bf16(const va_random *r, int64_t first, int64_t n, uint16_t *y);

#ifdef __cplusplus
}
#endif
#endif
