#version 450
// dequant.comp: quantised blocks to f32, bit for bit as runtime/io/dequant.c, where the formats stand.
// Blocks are of any even number of bytes and begin at byte0 of the binding, itself even. An
// item is two runs of four elements, whose codes share their words; RUN items that follow each other
// share scales and an invocation: on processors, where every load costs each lane some 20 cycles, as
// many as there are, on GPUs one, so that neighbours write next to each other.
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

layout(constant_id = 1) const uint RUN = 1; // divides 4 (Q8_0, Q4_0) or 8

layout(local_size_x = LOCAL) in;
layout(set = 0, binding = 0) readonly buffer Words { uint words[]; };
layout(set = 0, binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push
{
    uint n_runs; // of RUN items
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

void store(uint element, vec4 v)
{
    y[element / 4] = v;
}

// -- blocks of 32: a scale, then the codes -------------------------------------------------------

void run_q8_0(uint at, uint item, uint element)
{
    float d = from_half(half_at(at));
    for (uint end = item + RUN; item < end; item++) {
        precise vec4 low = d * signed_bytes(word_at(at + 2 + item * 8));
        precise vec4 high = d * signed_bytes(word_at(at + 6 + item * 8));
        store(element + item * 8, low);
        store(element + item * 8 + 4, high);
    }
}

void run_q4_0(uint at, uint item, uint element)
{
    float d = from_half(half_at(at));
    for (uint end = item + RUN; item < end; item++) {
        uint codes = word_at(at + 2 + item * 4);
        precise vec4 low = d * (vec4(bits_of(codes, 0, 4)) - 8.0);
        precise vec4 high = d * (vec4(bits_of(codes, 4, 4)) - 8.0);
        store(element + item * 4, low);
        store(element + item * 4 + 16, high);
    }
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
void run_pairs(uint at, uint item, uint element)
{
    uint j = item / 8 * 2, head = word_at(at);
    vec2 d = vec2(from_half(head & 0xffffu), from_half(head >> 16)), first, second;
    scales_of(at + 4, j, first, second);
    precise vec2 low_dm = d * first, high_dm = d * second;
    for (uint end = item + RUN; item < end; item++) {
        uint codes = word_at(at + (DTYPE == Q4_K ? 16 : 48) + item * 4);
        uvec4 low = bits_of(codes, 0, 4), high = bits_of(codes, 4, 4);
        if (DTYPE == Q5_K) {
            uint fifth = word_at(at + 16 + item % 8 * 4) >> j;
            low |= bits_of(fifth, 0, 1) << 4;
            high |= bits_of(fifth, 1, 1) << 4;
        }
        precise vec4 product = low_dm.x * vec4(low), value = product - low_dm.y;
        store(element + j * 32 + item % 8 * 4, value);
        product = high_dm.x * vec4(high);
        value = product - high_dm.y;
        store(element + j * 32 + 32 + item % 8 * 4, value);
    }
}

// Two halves of 16 words of low nibbles each; their high bits are in 8 words, two bits a run of 32
// elements, and each such run has two scales.
void run_q6_k(uint at, uint item, uint element)
{
    uint part = item / 16, first = part * 4 + item % 16 / 8;
    float d = from_half(half_at(at + 208));
    uint scales = word_at(at + 192 + first * 2) & 0xffffu;
    scales |= word_at(at + 192 + first * 2 + 4) << 16;
    precise vec4 ds = d * signed_bytes(scales);
    for (uint end = item + RUN; item < end; item++) {
        uint i = item % 8 * 4, codes = word_at(at + item * 4);
        uint top = word_at(at + 128 + part * 32 + i) >> (first % 4 * 2);
        uvec4 low = bits_of(codes, 0, 4) | bits_of(top, 0, 2) << 4;
        uvec4 high = bits_of(codes, 4, 4) | bits_of(top, 4, 2) << 4;
        precise vec4 value = (i < 16 ? ds.x : ds.y) * (vec4(low) - 32.0);
        store(element + first * 32 + i, value);
        value = (i < 16 ? ds.z : ds.w) * (vec4(high) - 32.0);
        store(element + first * 32 + 64 + i, value);
    }
}

void main()
{
    uint i = item_index();
    if (i >= n_runs)
        return;
    const uint per_block = DTYPE == Q8_0 || DTYPE == Q4_0 ? 4 : 32;
    const uint n_bytes = DTYPE == Q8_0   ? 34
                         : DTYPE == Q4_0 ? 18
                         : DTYPE == Q4_K ? 144
                         : DTYPE == Q5_K ? 176
                                         : 210;
    uint block = i * RUN / per_block, item = i * RUN % per_block;
    uint at = byte0 + block * n_bytes, element = block * per_block * 8;
    if (DTYPE == Q8_0)
        run_q8_0(at, item, element);
    else if (DTYPE == Q4_0)
        run_q4_0(at, item, element);
    else if (DTYPE == Q6_K)
        run_q6_k(at, item, element);
    else
        run_pairs(at, item, element);
}
