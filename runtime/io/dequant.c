// dequant.c: GGUF's quantised blocks as f32.
//
//   Q8_0  32 elements: d f16, q i8[32]               x = d q
//   Q4_0  32 elements: d f16, q u4[32]               x = d (q - 8)
//   Q4_K  256: d, dmin f16, 8 pairs (s, m) of 6 bits, q u4[256]
//   Q5_K  the same with a fifth bit of each q        x = (d s) q - dmin m     32 elements a pair
//   Q6_K  256: q u6[256], s i8[16], d f16            x = (d s) (q - 32)       16 elements a scale
// The low nibbles of a run of bytes come before its high ones. Only a last operation ever rounds
// (an f16 has 11 bits, codes and scales at most 8), so that contraction into a fused multiply-add
// changes no bit; nor is a result subnormal. Layouts: ggml's block structures.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <assert.h>
#include <string.h>

static float half_at(const uint8_t *p) {
    return va_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

static void block_q8_0(float *dst, const uint8_t *b) {
    const float d = half_at(b);
    for (int i = 0; i < 32; i++)
        dst[i] = d * (float)(int8_t)b[2 + i];
}

static void block_q4_0(float *dst, const uint8_t *b) {
    const float d = half_at(b);
    for (int i = 0; i < 16; i++) {
        dst[i] = d * (float)((b[2 + i] & 15) - 8);
        dst[16 + i] = d * (float)((b[2 + i] >> 4) - 8);
    }
}

// Scale and minimum of pair j out of 12 bytes: 6 bits each; those of the last four pairs are split
// into four bits (bytes 8..11) and the top two of the bytes before.
static void scale_min(const uint8_t *p, int j, int *scale, int *min) {
    if (j < 4) {
        *scale = p[j] & 63;
        *min = p[j + 4] & 63;
    } else {
        *scale = (p[j + 4] & 15) | (p[j - 4] >> 6 << 4);
        *min = (p[j + 4] >> 4) | (p[j] >> 6 << 4);
    }
}

// Q4_K; Q5_K where high (32 bytes, bit j of byte i for element i of pair j) is there.
static void block_pairs(float *dst, const uint8_t *b, const uint8_t *high, const uint8_t *q) {
    const float d = half_at(b), dmin = half_at(b + 2);
    for (int j = 0; j < 8; j++) {
        int scale, min;
        scale_min(b + 4, j, &scale, &min);
        const float ds = d * (float)scale, dm = dmin * (float)min;
        for (int i = 0; i < 32; i++) {
            int code = q[j / 2 * 32 + i] >> j % 2 * 4 & 15;
            if (high)
                code |= (high[i] >> j & 1) << 4;
            dst[j * 32 + i] = ds * (float)code - dm;
        }
    }
}

static void block_q4_k(float *dst, const uint8_t *b) {
    block_pairs(dst, b, NULL, b + 16);
}

static void block_q5_k(float *dst, const uint8_t *b) {
    block_pairs(dst, b, b + 16, b + 48);
}

// Run j of 32 elements: nibbles of low[64] and two bits of high[32], for each half of the block.
static void block_q6_k(float *dst, const uint8_t *b) {
    const uint8_t *low = b, *high = b + 128, *scales = b + 192;
    const float d = half_at(b + 208);
    for (int j = 0; j < 8; j++) {
        const uint8_t *l = low + j / 4 * 64 + j % 2 * 32, *h = high + j / 4 * 32;
        for (int i = 0; i < 32; i++) {
            const int code = (l[i] >> j % 4 / 2 * 4 & 15) | (h[i] >> j % 4 * 2 & 3) << 4;
            const float ds = d * (float)(int8_t)scales[j * 2 + i / 16];
            dst[j * 32 + i] = ds * (float)(code - 32);
        }
    }
}

void va_io_dequantise(float *dst, const void *src, va_dtype dtype, int64_t n) {
    void (*const block)(float *, const uint8_t *) = dtype == VA_Q8_0   ? block_q8_0
                                                    : dtype == VA_Q4_0 ? block_q4_0
                                                    : dtype == VA_Q4_K ? block_q4_k
                                                    : dtype == VA_Q5_K ? block_q5_k
                                                                       : block_q6_k;
    const int64_t n_elem = va_dtype_block(dtype), n_bytes = va_dtype_bytes(dtype);
    const uint8_t *p = src;
    assert(va_dtype_quantised(dtype) && n % n_elem == 0);
    for (int64_t i = 0; i < n / n_elem; i++)
        block(dst + i * n_elem, p + i * n_bytes);
}
