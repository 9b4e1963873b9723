#version 450
// dequant.comp: quantised blocks to f32, bit for bit as runtime/io/dequant.c, where the formats stand.
// Blocks are of any even number of bytes and begin at byte0 of the binding, itself even. An
// invocation makes two runs of four elements out of the words that share their codes' bytes.
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 256
#include "item.glsl"

layout(constant_id = 0) const uint DTYPE = 15; // values of va_dtype
#define Q8_0 15u
#define Q4_0 16u
#define Q4_K 17u
#define Q5_K 18u
#define Q6_K 19u

layout(local_size_x = LOCAL) in;
layout(set = 0, binding = 0) readonly buffer Words { uint words[]; };
layout(set = 0, binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push
{
    uint n_items; // eighths of the elements
    uint byte0;
};

// Four bytes from an even place on.
uint word_at(uint at)
{
    uint word = words[at / 4];
    if (at % 4 != 0)
        word = word >> 16 | words[at / 4 + 1] << 16;
    return word;
}

uint half_at(uint at)
{
    return words[at / 4] >> (at % 4 * 8) & 0xffffu;
}

// By hand, because unpackHalf2x16 may flush subnormals.
float from_half(uint h)
{
    uint sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31u, fraction = h & 0x3ffu;
    if (exponent == 0)
        return uintBitsToFloat(floatBitsToUint(float(fraction) * 5.9604644775390625e-8) | sign);
    uint bits = exponent == 31 ? 0x7f800000u : (exponent + 112) << 23;
    return uintBitsToFloat(sign | bits | fraction << 13);
}

// Bits of each of a word's four bytes: shift to shift + width - 1.
uvec4 bits_of(uint word, int shift, int width)
{
    return uvec4(bitfieldExtract(word, shift, width), bitfieldExtract(word, shift + 8, width),
                 bitfieldExtract(word, shift + 16, width),
                 bitfieldExtract(word, shift + 24, width));
}

vec4 signed_bytes(uint word)
{
    int w = int(word);
    return vec4(bitfieldExtract(w, 0, 8), bitfieldExtract(w, 8, 8), bitfieldExtract(w, 16, 8),
                bitfieldExtract(w, 24, 8));
}

float signed_byte(uint at)
{
    return float(bitfieldExtract(int(words[at / 4]), int(at % 4 * 8), 8));
}

void store(uint element, vec4 v)
{
    y[element / 4] = v;
}

// -- blocks of 32: a scale, then the codes -------------------------------------------------------

void item_q8_0(uint at, uint item, uint element)
{
    float d = from_half(half_at(at));
    precise vec4 low = d * signed_bytes(word_at(at + 2 + item * 8));
    precise vec4 high = d * signed_bytes(word_at(at + 6 + item * 8));
    store(element + item * 8, low);
    store(element + item * 8 + 4, high);
}

void item_q4_0(uint at, uint item, uint element)
{
    float d = from_half(half_at(at));
    uint codes = word_at(at + 2 + item * 4);
    precise vec4 low = d * (vec4(bits_of(codes, 0, 4)) - 8.0);
    precise vec4 high = d * (vec4(bits_of(codes, 4, 4)) - 8.0);
    store(element + item * 4, low);
    store(element + item * 4 + 16, high);
}

// -- blocks of 256 -------------------------------------------------------------------------------

// Scales (x) and minima (y) of pairs j and j + 1, j even, out of the 12 bytes at `at`.
void scales_of(uint at, uint j, out vec2 first, out vec2 second)
{
    int low = int(j % 4 * 8);
    uint a = word_at(at) >> low, b = word_at(at + 4) >> low;
    uvec4 sm = uvec4(a, b, a >> 8, b >> 8) & 63u;
    if (j >= 4) {
        uint c = word_at(at + 8) >> low;
        sm = (uvec4(c, c >> 4, c >> 8, c >> 12) & 15u) |
             ((uvec4(a, b, a >> 8, b >> 8) >> 6 & 3u) << 4);
    }
    first = vec2(sm.xy);
    second = vec2(sm.zw);
}

// Q4_K, Q5_K: 32 words of codes; the low nibbles are of pair j, the high ones of pair j + 1.
void item_pairs(uint at, uint item, uint element)
{
    uint j = item / 8 * 2, head = word_at(at);
    vec2 d = vec2(from_half(head & 0xffffu), from_half(head >> 16)), first, second;
    uint codes = word_at(at + (DTYPE == Q4_K ? 16 : 48) + item * 4);
    uvec4 low = bits_of(codes, 0, 4), high = bits_of(codes, 4, 4);
    if (DTYPE == Q5_K) {
        uint fifth = word_at(at + 16 + item % 8 * 4) >> j;
        low |= bits_of(fifth, 0, 1) << 4;
        high |= bits_of(fifth, 1, 1) << 4;
    }
    scales_of(at + 4, j, first, second);
    precise vec2 dm = d * first;
    precise vec4 product = dm.x * vec4(low);
    precise vec4 value = product - dm.y;
    store(element + j * 32 + item % 8 * 4, value);
    dm = d * second;
    product = dm.x * vec4(high);
    value = product - dm.y;
    store(element + j * 32 + 32 + item % 8 * 4, value);
}

// Two halves of 16 words of low nibbles each; their high bits are in 8 words, two bits a run.
void item_q6_k(uint at, uint item, uint element)
{
    uint part = item / 16, run = item % 16 / 8, i = item % 8 * 4;
    uint codes = word_at(at + item * 4), top = word_at(at + 128 + part * 32 + i) >> (run * 2);
    float d = from_half(half_at(at + 208));
    uint scale = at + 192 + (part * 4 + run) * 2 + i / 16;
    precise float ds = d * signed_byte(scale);
    precise vec4 value = ds * (vec4(bits_of(codes, 0, 4) | bits_of(top, 0, 2) << 4) - 32.0);
    store(element + (part * 4 + run) * 32 + i, value);
    ds = d * signed_byte(scale + 4);
    value = ds * (vec4(bits_of(codes, 4, 4) | bits_of(top, 4, 2) << 4) - 32.0);
    store(element + (part * 4 + run) * 32 + 64 + i, value);
}

void main()
{
    uint i = item_index();
    if (i >= n_items)
        return;
    const uint per_block = DTYPE == Q8_0 || DTYPE == Q4_0 ? 4 : 32;
    const uint n_bytes = DTYPE == Q8_0   ? 34
                         : DTYPE == Q4_0 ? 18
                         : DTYPE == Q4_K ? 144
                         : DTYPE == Q5_K ? 176
                                         : 210;
    uint block = i / per_block, item = i % per_block;
    uint at = byte0 + block * n_bytes, element = block * per_block * 8;
    if (DTYPE == Q8_0)
        item_q8_0(at, item, element);
    else if (DTYPE == Q4_0)
        item_q4_0(at, item, element);
    else if (DTYPE == Q6_K)
        item_q6_k(at, item, element);
    else
        item_pairs(at, item, element);
}
