// dtype.c: element types, and conversion of the floating ones (IEEE 754 half, bfloat16).
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <assert.h>
#include <string.h>

static const struct {
    int64_t block, bytes;
    const char *name;
} dtype_table[] = {
#define VA_X(name, block, bytes, text) {block, bytes, text},
    VA_DTYPE_LIST(VA_X)
#undef VA_X
};

int64_t va_dtype_block(va_dtype t) {
    assert((int64_t)t < VA_COUNT(dtype_table));
    return dtype_table[t].block;
}

int64_t va_dtype_bytes(va_dtype t) {
    assert((int64_t)t < VA_COUNT(dtype_table));
    return dtype_table[t].bytes;
}

bool va_dtype_quantised(va_dtype t) {
    return va_dtype_block(t) > 1;
}

int64_t va_dtype_size(va_dtype t, int64_t n) {
    int64_t block = va_dtype_block(t), bytes;
    if (n < 0 || n % block != 0 || !va_mul_i64(n / block, va_dtype_bytes(t), &bytes))
        return -1;
    return bytes;
}

const char *va_dtype_name(va_dtype t) {
    assert((int64_t)t < VA_COUNT(dtype_table));
    return dtype_table[t].name;
}

static uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

float va_bf16_to_f32(uint16_t h) {
    return float_of((uint32_t)h << 16);
}

float va_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 0x1F, fraction = h & 0x3FF;
    if (exponent == 0) { // zero and subnormals: fraction * 2^-24, exact in float
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    if (exponent == 31)
        return float_of(sign | 0x7F800000 | fraction << 13);
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

// x / 2^shift rounded to the nearest integer, ties to even; 1 <= shift <= 31.
static uint32_t round_shift(uint32_t x, int shift) {
    uint32_t half = 1u << (shift - 1);
    uint32_t rest = x & ((1u << shift) - 1), quotient = x >> shift;
    return quotient + (rest > half || (rest == half && (quotient & 1)));
}

uint16_t va_f32_to_f16(float f) {
    uint32_t bits = bits_of(f), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) // NaN: keep the payload's top, quiet it
        return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
    if (magnitude >= 0x477FF000) // 65520, half way past the largest half, and beyond
        return (uint16_t)(sign | 0x7C00);
    if (magnitude < 0x33000000) // below 2^-25, half of the smallest subnormal
        return (uint16_t)sign;
    int exponent = (int)(magnitude >> 23) - 127;
    if (exponent >= -14) // rounding may carry into the exponent, which is then right
        return (uint16_t)(sign | round_shift(magnitude - (112u << 23), 13));
    uint32_t significand = (magnitude & 0x7FFFFF) | 0x800000; // in units of 2^(exponent - 23)
    return (uint16_t)(sign | round_shift(significand, -exponent - 1));
}

uint16_t va_f32_to_bf16(float f) {
    uint32_t bits = bits_of(f);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x0040); // quiet, so that no payload rounds to infinity
    return (uint16_t)round_shift(bits, 16);
}

void va_convert_to_f32(float *dst, const void *src, va_dtype dtype, int64_t n) {
    if (n <= 0)
        return;
    if (va_dtype_quantised(dtype)) {
        va_io_dequantise(dst, src, dtype, n);
        return;
    }
    assert(dtype == VA_F32 || dtype == VA_F16 || dtype == VA_BF16 || dtype == VA_F64);
    if (dtype == VA_F32) {
        memcpy(dst, src, (size_t)n * sizeof(float));
        return;
    }
    const unsigned char *p = src; // possibly unaligned
    for (int64_t i = 0; i < n; i++) {
        if (dtype == VA_F64) {
            double d;
            memcpy(&d, p + 8 * i, 8);
            dst[i] = (float)d;
        } else {
            uint16_t h;
            memcpy(&h, p + 2 * i, 2);
            dst[i] = dtype == VA_F16 ? va_f16_to_f32(h) : va_bf16_to_f32(h);
        }
    }
}
