// gram.c: inner products of two blocks and products of a block with a small matrix.
// SPDX-License-Identifier: Apache-2.0
#include "vec_priv.h"

#include <stdlib.h>

enum { MAX_PART_BYTES = 32 << 20 }; // partial sums of one dispatch of vec/gram

typedef struct gram_push {
    uint32_t T, d, kx, ky, a_first, rows;
} gram_push;

typedef struct mul_push {
    uint32_t T, d, kx, ky, tiles;
} mul_push;

// Partial sums per inner product, by shape alone so that results do not depend on the device: many
// while there are few products, to occupy the device and to keep each f32 sum short.
static int64_t part_count(int64_t products, uint32_t *local) {
    *local = products <= 16384 ? 64 : 8;
    return products <= 256 ? 4 * 64 : *local;
}

// Adds the parts of rows of G in double.
static void add_parts(const float *parts, int64_t P, int64_t n, double *G) {
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t p = 0; p < P; p++)
            sum += (double)parts[i * P + p];
        G[i] = sum;
    }
}

static va_status gram_rows(va_gpu *gpu, const va_block *x, const va_block *y, va_slice parts,
                           int64_t a_first, int64_t rows, int64_t P, uint32_t local) {
    bool vec4 = x->d % 4 == 0;
    va_kernel kernel = {.shader = vec4 ? "vec/gram.VEC4" : "vec/gram.SCALAR",
                        .n_bind = 3,
                        .write_mask = 1 << 2,
                        .push_bytes = sizeof(gram_push),
                        .n_spec = 1,
                        .spec = {local}};
    gram_push push = {.T = (uint32_t)x->T,
                      .d = (uint32_t)(vec4 ? x->d / 4 : x->d),
                      .kx = (uint32_t)x->k,
                      .ky = (uint32_t)y->k,
                      .a_first = (uint32_t)a_first,
                      .rows = (uint32_t)rows};
    va_dispatch d = {
        .kernel = &kernel,
        .bind = {vec_slice(x), vec_slice(y), va_slice_at(parts, 0, rows * y->k * P * 4)},
        .push = &push,
        .groups = {(uint32_t)((y->k + 3) / 4), (uint32_t)((rows + 3) / 4), (uint32_t)(P / local)},
    };
    return va_gpu_dispatch(gpu, &d);
}

static va_status check_pair(va_gpu *gpu, const char *what, const va_block *x, const va_block *y) {
    va_status st = VA_OK;
    VA_TRY(vec_check(gpu, x, what));
    VA_TRY(vec_check(gpu, y, what));
    if (x->T != y->T || x->d != y->d)
        return va_fail(
            va_gpu_ctx(gpu), VA_ERR_SHAPE,
            "%s: vectors of one length expected, got [%lld, k, %lld] and [%lld, k, %lld]", what,
            (long long)x->T, (long long)x->d, (long long)y->T, (long long)y->d);
done:
    return st;
}

va_status va_block_gram(va_gpu *gpu, const va_block *x, const va_block *y, double *G) {
    va_status st = VA_OK;
    va_buffer *buffer = NULL;
    float *host = NULL;
    uint32_t local;
    VA_TRY(check_pair(gpu, "gram", x, y));
    int64_t P = part_count(x->k * y->k, &local), row_bytes = y->k * P * 4;
    int64_t most = VA_MIN(va_gpu_get_info(gpu)->max_range_bytes, MAX_PART_BYTES);
    int64_t rows = VA_MAX(1, VA_MIN(x->k, most / row_bytes));
    VA_TRY(va_buffer_create(gpu, rows * row_bytes, "gram parts", &buffer));
    VA_TRY_ALLOC(va_gpu_ctx(gpu), host, malloc((size_t)(rows * row_bytes)));
    for (int64_t a = 0; a < x->k; a += rows) {
        int64_t n = VA_MIN(rows, x->k - a);
        VA_TRY(gram_rows(gpu, x, y, va_buffer_all(buffer), a, n, P, local));
        VA_TRY(va_gpu_download(gpu, va_slice_at(va_buffer_all(buffer), 0, n * row_bytes), host));
        add_parts(host, P, n * y->k, G + a * y->k);
    }
done:
    free(host);
    va_buffer_destroy(&buffer);
    return st;
}

// R as floats in tiles of four columns, padded with zeros.
static va_status upload_matrix(va_gpu *gpu, const double *R, int64_t kx, int64_t ky,
                               va_buffer **buffer) {
    va_status st = VA_OK;
    int64_t stride = (ky + 3) / 4 * 4;
    float *padded;
    VA_TRY_ALLOC(va_gpu_ctx(gpu), padded, calloc((size_t)(kx * stride), sizeof *padded));
    for (int64_t a = 0; a < kx; a++)
        for (int64_t b = 0; b < ky; b++)
            padded[a * stride + b] = (float)R[a * ky + b];
    VA_TRY(va_buffer_create(gpu, kx * stride * 4, "small matrix", buffer));
    VA_TRY(va_gpu_upload(gpu, va_buffer_all(*buffer), padded));
done:
    free(padded);
    return st;
}

static bool overlap(va_slice a, va_slice b) {
    return a.buffer == b.buffer && a.offset_bytes < b.offset_bytes + b.size_bytes &&
           b.offset_bytes < a.offset_bytes + a.size_bytes;
}

va_status va_block_mul(va_gpu *gpu, const va_block *x, const double *R, const va_block *y) {
    va_status st = VA_OK;
    va_buffer *matrix = NULL;
    VA_TRY(check_pair(gpu, "mul", x, y));
    if (overlap(vec_slice(x), vec_slice(y)))
        return va_fail(va_gpu_ctx(gpu), VA_ERR_USAGE, "mul: x and y share memory");
    VA_TRY(upload_matrix(gpu, R, x->k, y->k, &matrix));
    bool vec4 = x->d % 4 == 0;
    va_kernel kernel = {.shader = vec4 ? "vec/mul.VEC4" : "vec/mul.SCALAR",
                        .n_bind = 3,
                        .write_mask = 1 << 2,
                        .push_bytes = sizeof(mul_push)};
    mul_push push = {.T = (uint32_t)x->T,
                     .d = (uint32_t)(vec4 ? x->d / 4 : x->d),
                     .kx = (uint32_t)x->k,
                     .ky = (uint32_t)y->k,
                     .tiles = (uint32_t)((y->k + 3) / 4)};
    va_dispatch d = {.kernel = &kernel,
                     .bind = {vec_slice(x), va_buffer_all(matrix), vec_slice(y)},
                     .push = &push};
    int64_t strips = (push.d + 63) / 64;
    va_gpu_groups(gpu, strips * push.tiles * x->T, 1, d.groups);
    VA_TRY(va_gpu_dispatch(gpu, &d));
done:
    va_buffer_destroy(&matrix);
    return st;
}
