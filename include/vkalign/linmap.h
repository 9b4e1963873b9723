// linmap.h: linear maps that are applied, not formed: y = A x and x = A' y on blocks of k vectors.
// Depends on vec.h and below; the map of an explicit matrix uses the linear op.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_LINMAP_H
#define VKALIGN_LINMAP_H

#include "vkalign/vec.h"

#ifdef __cplusplus
extern "C" {
#endif

// A: R^n -> R^m with n = T_in * d_in, m = T_out * d_out; blocks are [T, k, d].
typedef struct va_linmap va_linmap;

typedef struct va_linmap_shape {
    int64_t T_in, d_in, T_out, d_out;
} va_linmap_shape;

typedef struct va_linmap_ops {
    // y = A x for k vectors; recorded. k <= max_k.
    va_status (*apply)(void *self, const va_block *x, const va_block *y);
    // x = A' y
    va_status (*apply_t)(void *self, const va_block *y, const va_block *x);
    void (*destroy)(void *self); // NULL: nothing to free
} va_linmap_ops;

// A map from callbacks; ops is copied, self is taken (destroyed with the map, also on failure).
// max_k: largest block that one call takes, >= 1. label is copied ("embed@all -> norm:6@last").
va_status va_linmap_create(va_gpu *gpu, const va_linmap_shape *shape, int64_t max_k,
                           const va_linmap_ops *ops, void *self, const char *label,
                           va_linmap **map);
// The map of an explicit matrix A [m, n] row-major f32 (copied to the device); T_in = T_out = 1.
va_status va_linmap_from_matrix(va_gpu *gpu, const float *A, int64_t m, int64_t n, va_linmap **map);
// B A; both borrowed and outliving the result.
va_status va_linmap_compose(va_linmap *B, va_linmap *A, va_linmap **map);
// sum_i weight_i A_i; maps borrowed.
va_status va_linmap_sum(va_linmap *const *maps, const double *weights, int64_t n, va_linmap **map);
void va_linmap_destroy(va_linmap **map);

va_linmap_shape va_linmap_get_shape(const va_linmap *map);
int64_t va_linmap_max_k(const va_linmap *map);
va_gpu *va_linmap_gpu(const va_linmap *map);
const char *va_linmap_label(const va_linmap *map);

// Checked applications on device blocks (VA_ERR_SHAPE); k up to max_k.
va_status va_linmap_apply(va_linmap *map, const va_block *x, const va_block *y);
va_status va_linmap_apply_t(va_linmap *map, const va_block *y, const va_block *x);
// The same from and to host memory, vector-major: x [k, n], y [k, m]; any k (chunked), waits.
// The device blocks that this takes at both ends, as forming a matrix does, stay with the map.
va_status va_linmap_apply_host(va_linmap *map, const float *x, int64_t k, float *y);
va_status va_linmap_apply_t_host(va_linmap *map, const float *y, int64_t k, float *x);

// The matrix, formed in chunks of rows by A' (reverse) or of columns by A (forward), whichever
// needs fewer sweeps. Called with rows [first, first + count) of A, each n floats, in order.
// Column-wise formation gathers the matrix on the host first (m * n * 4 bytes).
typedef va_status (*va_rows_fn)(void *user, int64_t first, int64_t count, const float *rows);
va_status va_linmap_rows(va_linmap *map, va_rows_fn fn, void *user);
// Whether va_linmap_rows of an m x n matrix goes by rows: it needs no more sweeps of max_k vectors,
// or the matrix would be too large to gather (over 1 GiB).
bool va_linmap_rows_by_reverse(int64_t m, int64_t n, int64_t max_k);
// The whole matrix, A [m, n] row-major.
va_status va_linmap_dense(va_linmap *map, float *A);

#ifdef __cplusplus
}
#endif
#endif
