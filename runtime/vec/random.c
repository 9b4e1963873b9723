// random.c: random numbers made where they are needed: the same ones on host and device.
//
// Number i is 16 bits h of Philox's block i / 8 (two numbers of each word, the low half first):
// mean + (h - 32767.5) unit, rounded to bf16. 65536 even steps of `unit` have the deviation
// unit sqrt((65536^2 - 1) / 12), and the mean of the h is 32767.5.
// SPDX-License-Identifier: Apache-2.0
#include "vec_priv.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 8, PIECE_BYTES = 64 << 20 }; // numbers of a counter; bytes of one dispatch

typedef struct random_push {
    uint32_t key[2], stream[2], counter[2];
    uint32_t n_words;
    float mean, unit;
} random_push;

static float unit_of(const va_random *r) {
    return (float)(r->deviation / sqrt((65536.0 * 65536.0 - 1) / 12));
}

static uint16_t number(const va_random *r, float unit, uint32_t h) {
    volatile float scaled = ((float)h - 32767.5f) * unit; // rounded before the sum, as on devices
    const float value = r->mean + scaled;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void va_random_bf16(const va_random *r, int64_t first, int64_t n, uint16_t *y) {
    const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
    const float unit = unit_of(r);
    uint32_t words[4];
    int64_t block = -1;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = first + i, lane = at % BLOCK;
        if (at / BLOCK != block) {
            block = at / BLOCK;
            const uint32_t counter[4] = {(uint32_t)block, (uint32_t)((uint64_t)block >> 32),
                                         (uint32_t)r->stream, (uint32_t)(r->stream >> 32)};
            va_philox4x32(counter, key, words);
        }
        y[i] = number(r, unit, words[lane / 2] >> 16 * (lane % 2) & 0xffff);
    }
}

static va_status fill_piece(va_gpu *gpu, const va_random *r, bool bf16, va_slice dst,
                            int64_t block) {
    static const va_kernel kernels[] = {
        {.shader = "vec/random.F32", .n_bind = 1, .write_mask = 1, .push_bytes = 36},
        {.shader = "vec/random.BF16", .n_bind = 1, .write_mask = 1, .push_bytes = 36}};
    const int64_t n_words = dst.size_bytes / 4, per_block = bf16 ? BLOCK / 2 : BLOCK;
    const random_push push = {.key = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)},
                              .stream = {(uint32_t)r->stream, (uint32_t)(r->stream >> 32)},
                              .counter = {(uint32_t)block, (uint32_t)((uint64_t)block >> 32)},
                              .n_words = (uint32_t)n_words,
                              .mean = r->mean,
                              .unit = unit_of(r)};
    _Static_assert(sizeof push == 36, "the shader's push constants");
    va_dispatch d = {.kernel = &kernels[bf16], .bind = {dst}, .push = &push};
    va_gpu_groups(gpu, (n_words + per_block - 1) / per_block, 64, d.groups);
    return va_gpu_dispatch(gpu, &d);
}

va_status va_vec_random(va_gpu *gpu, const va_random *r, bool bf16, va_slice dst) {
    va_status st = VA_OK;
    const int64_t block_bytes = BLOCK * (bf16 ? 2 : 4);
    if (dst.size_bytes % 4 != 0)
        return va_fail(va_gpu_ctx(gpu), VA_ERR_SHAPE,
                       "random numbers: expected whole words, got %lld bytes",
                       (long long)dst.size_bytes);
    for (int64_t at = 0; at < dst.size_bytes; at += PIECE_BYTES) {
        VA_TRY(va_check_interrupt(va_gpu_ctx(gpu)));
        VA_TRY(fill_piece(gpu, r, bf16,
                          va_slice_at(dst, at, VA_MIN(PIECE_BYTES, dst.size_bytes - at)),
                          at / block_bytes));
    }
done:
    return st;
}
