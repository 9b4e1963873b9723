// weight.glsl: weights of three dtypes read as 32-bit words; specialisation constant 0 says which.
// 16-bit elements lie two in a word, the first in the low half, whatever the rows' length.
// SPDX-License-Identifier: Apache-2.0
#ifndef WEIGHT_GLSL
#define WEIGHT_GLSL

layout(constant_id = 0) const uint DTYPE = 0; // values of va_dtype

#define DTYPE_F32 0u
#define DTYPE_F16 1u
#define DTYPE_BF16 2u

// Element i out of the word that holds it.
float weight_unpack(uint dtype, uint word, uint i)
{
    if (dtype == DTYPE_F32)
        return uintBitsToFloat(word);
    bool high = (i & 1u) != 0u;
    if (dtype == DTYPE_BF16)
        return uintBitsToFloat(high ? word & 0xffff0000u : word << 16);
    vec2 pair = unpackHalf2x16(word);
    return high ? pair.y : pair.x;
}

// Four neighbours of 16 bits.
vec4 weight_unpack4(uint dtype, uvec2 words)
{
    return vec4(weight_unpack(dtype, words.x, 0), weight_unpack(dtype, words.x, 1),
                weight_unpack(dtype, words.y, 0), weight_unpack(dtype, words.y, 1));
}

// words: an array of uint in a buffer; words2 and words4 the same as uvec2 and uvec4, i a multiple of 4.
#define WEIGHT_OF(dtype, words, i)                                                                 \
    weight_unpack(dtype, words[(dtype) == DTYPE_F32 ? (i) : (i) >> 1], (i))
#define WEIGHT(words, i) WEIGHT_OF(DTYPE, words, i)
#define WEIGHT4(words2, words4, i)                                                                 \
    (DTYPE == DTYPE_F32 ? uintBitsToFloat(words4[(i) / 4]) : weight_unpack4(DTYPE, words2[(i) / 4]))

#endif
