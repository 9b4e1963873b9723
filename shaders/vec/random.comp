// Random numbers spread evenly about a mean, each rounded to bf16; number i comes from the counter
// i / 8, so that host and device agree (runtime/vec/random.c).
// variants: BF16 F32
// BF16 packs two numbers in a word. One invocation = eight numbers.
// SPDX-License-Identifier: Apache-2.0
#version 450
#extension GL_GOOGLE_include_directive : require
#include "item.glsl"
#include "philox.glsl"
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) writeonly buffer Out { uint y[]; };
layout(push_constant) uniform Push {
    uvec2 key, stream, counter; // 64 bits each, the low half first
    uint n_words;
    float mean, unit; // unit: of one of the 65536 steps
};

// The upper 16 bits of the float, rounded to nearest even.
uint number(uint h)
{
    precise float scaled = (float(h) - 32767.5) * unit;
    precise float value = mean + scaled;
    uint bits = floatBitsToUint(value);
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

void put(uint at, uint word)
{
    if (at < n_words)
        y[at] = word;
}

void main()
{
    uint i = item_index();
    uint low = counter.x + i;
    uvec4 random = philox4x32(uvec4(low, counter.y + (low < i ? 1u : 0u), stream), key);
    for (uint k = 0; k < 4; k++) {
        uint first = number(random[k] & 0xffffu), second = number(random[k] >> 16);
#ifdef BF16
        put(4 * i + k, first | (second << 16));
#else
        put(8 * i + 2 * k, first << 16);
        put(8 * i + 2 * k + 1, second << 16);
#endif
    }
}
