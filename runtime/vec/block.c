// block.c: blocks of vectors: making, filling, combining, moving between host and device.
// SPDX-License-Identifier: Apache-2.0
#include "vec_priv.h"

#include <stdlib.h>
#include <string.h>

enum { AXPBY_SPAN = 64 * 8 }; // elements per workgroup of vec/axpby

static const va_kernel axpby_scalar = {
    .shader = "vec/axpby.SCALAR", .n_bind = 2, .write_mask = 1 << 1, .push_bytes = 12};
static const va_kernel axpby_vec4 = {
    .shader = "vec/axpby.VEC4", .n_bind = 2, .write_mask = 1 << 1, .push_bytes = 12};
static const va_kernel one_hot = {
    .shader = "vec/one_hot", .n_bind = 1, .write_mask = 1 << 0, .push_bytes = 16};

int64_t va_block_bytes(int64_t T, int64_t k, int64_t d) {
    int64_t n;
    if (T < 0 || k < 0 || d < 0 || !va_mul_i64(T, k, &n) || !va_mul_i64(n, d, &n) ||
        !va_mul_i64(n, (int64_t)sizeof(float), &n))
        return -1;
    return n;
}

va_status va_block_create(va_gpu *gpu, int64_t T, int64_t k, int64_t d, const char *name,
                          va_buffer **buffer, va_block *block) {
    int64_t bytes = va_block_bytes(T, k, d), most = va_gpu_get_info(gpu)->max_range_bytes;
    *buffer = NULL;
    *block = (va_block){0};
    if (bytes <= 0 || bytes > most)
        return va_fail(va_gpu_ctx(gpu), VA_ERR_SHAPE,
                       "block \"%s\" [%lld, %lld, %lld] has %lld bytes, 1 to %lld expected",
                       name ? name : "unnamed", (long long)T, (long long)k, (long long)d,
                       (long long)bytes, (long long)most);
    va_status st = va_buffer_create(gpu, bytes, name, buffer);
    if (st == VA_OK)
        *block = (va_block){T, k, d, va_buffer_all(*buffer)};
    return st;
}

va_status vec_check(va_gpu *gpu, const va_block *x, const char *what) {
    int64_t bytes = va_block_bytes(x->T, x->k, x->d);
    int64_t most = va_gpu_get_info(gpu)->max_range_bytes;
    if (bytes <= 0 || bytes > x->mem.size_bytes || bytes > most)
        return va_fail(va_gpu_ctx(gpu), VA_ERR_SHAPE,
                       "%s: block [%lld, %lld, %lld] of %lld bytes in %lld bytes of memory "
                       "(a binding has at most %lld)",
                       what, (long long)x->T, (long long)x->k, (long long)x->d, (long long)bytes,
                       (long long)x->mem.size_bytes, (long long)most);
    return VA_OK;
}

va_slice vec_slice(const va_block *x) {
    return va_slice_at(x->mem, 0, va_block_bytes(x->T, x->k, x->d));
}

va_status va_vec_fill(va_gpu *gpu, const va_block *x, float value) {
    va_status st = VA_OK;
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    VA_TRY(vec_check(gpu, x, "fill"));
    VA_TRY(va_gpu_fill(gpu, vec_slice(x), word));
done:
    return st;
}

va_status va_vec_axpby(va_gpu *gpu, float alpha, const va_block *x, float beta, const va_block *y) {
    va_status st = VA_OK;
    VA_TRY(vec_check(gpu, x, "axpby"));
    VA_TRY(vec_check(gpu, y, "axpby"));
    if (x->T != y->T || x->k != y->k || x->d != y->d)
        return va_fail(
            va_gpu_ctx(gpu), VA_ERR_SHAPE,
            "axpby: equal shapes expected, got [%lld, %lld, %lld] and [%lld, %lld, %lld]",
            (long long)x->T, (long long)x->k, (long long)x->d, (long long)y->T, (long long)y->k,
            (long long)y->d);
    int64_t n = x->T * x->k * x->d;
    bool vec4 = n % 4 == 0;
    n = vec4 ? n / 4 : n;
    struct {
        uint32_t n;
        float alpha, beta;
    } push = {(uint32_t)n, alpha, beta};
    va_dispatch d = {.kernel = vec4 ? &axpby_vec4 : &axpby_scalar,
                     .bind = {vec_slice(x), vec_slice(y)},
                     .push = &push};
    va_gpu_groups(gpu, n, AXPBY_SPAN, d.groups);
    VA_TRY(va_gpu_dispatch(gpu, &d));
done:
    return st;
}

va_status va_block_one_hot(va_gpu *gpu, const va_block *x, int64_t first) {
    va_status st = VA_OK;
    VA_TRY(va_vec_fill(gpu, x, 0));
    if (first < 0)
        return va_fail(va_gpu_ctx(gpu), VA_ERR_SHAPE, "one-hot: first = %lld is negative",
                       (long long)first);
    int64_t n = VA_MIN(x->k, x->T * x->d - first);
    if (n <= 0)
        return VA_OK;
    uint32_t push[4] = {(uint32_t)x->k, (uint32_t)x->d, (uint32_t)first, (uint32_t)n};
    va_dispatch d = {.kernel = &one_hot, .bind = {vec_slice(x)}, .push = push};
    va_gpu_groups(gpu, n, 64, d.groups);
    VA_TRY(va_gpu_dispatch(gpu, &d));
done:
    return st;
}

// Copies rows of d floats between vector-major [k, T, d] and token-major [T, k, d].
static void reorder(const va_block *x, const float *vectors, float *tokens, float *back) {
    for (int64_t t = 0; t < x->T; t++) {
        for (int64_t j = 0; j < x->k; j++) {
            int64_t host = (j * x->T + t) * x->d, device = (t * x->k + j) * x->d;
            size_t bytes = (size_t)x->d * sizeof(float);
            if (back)
                memcpy(back + host, tokens + device, bytes);
            else
                memcpy(tokens + device, vectors + host, bytes);
        }
    }
}

va_status va_block_from_host(va_gpu *gpu, const va_block *x, const float *vectors) {
    va_status st = VA_OK;
    float *tokens = NULL;
    VA_TRY(vec_check(gpu, x, "from host"));
    if (x->T == 1 || x->k == 1) // both orders are the same
        return va_gpu_upload(gpu, vec_slice(x), vectors);
    VA_TRY_ALLOC(va_gpu_ctx(gpu), tokens, malloc((size_t)vec_slice(x).size_bytes));
    reorder(x, vectors, tokens, NULL);
    VA_TRY(va_gpu_upload(gpu, vec_slice(x), tokens));
done:
    free(tokens);
    return st;
}

va_status va_block_to_host(va_gpu *gpu, const va_block *x, float *vectors) {
    va_status st = VA_OK;
    float *tokens = NULL;
    VA_TRY(vec_check(gpu, x, "to host"));
    if (x->T == 1 || x->k == 1)
        return va_gpu_download(gpu, vec_slice(x), vectors);
    VA_TRY_ALLOC(va_gpu_ctx(gpu), tokens, malloc((size_t)vec_slice(x).size_bytes));
    VA_TRY(va_gpu_download(gpu, vec_slice(x), tokens));
    reorder(x, NULL, tokens, vectors);
done:
    free(tokens);
    return st;
}
