#version 450
// rope.comp: rotates the pairs (i, i + R/2) of each head, i < R/2; elements from R on are copied.
//   y_i = x_i c - x_{i+R/2} s     y_{i+R/2} = x_{i+R/2} c + x_i s     (c, s) = table[m % T, i]
// One kernel for all: jvp has rows of k heads-vectors, vjp turns back (s -> -s).
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 256
#include "item.glsl"

layout(local_size_x = LOCAL) in;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Table { vec2 table[]; }; // [T, R/2] (cos, sin)
layout(set = 0, binding = 2) buffer Y { float y[]; };
layout(push_constant) uniform Push
{
    uint n, row, d_head, half_rot, seq_len, accumulate; // row: elements of one position
    float sign;                                         // 1, or -1 to turn back
};

void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    uint d = i % d_head;
    float v = x[i];
    if (d < 2 * half_rot) {
        bool low = d < half_rot;
        vec2 turn = table[(i / row) % seq_len * half_rot + (low ? d : d - half_rot)];
        float other = x[low ? i + half_rot : i - half_rot];
        v = v * turn.x + (low ? -other : other) * (sign * turn.y);
    }
    if (accumulate != 0)
        v += y[i];
    y[i] = v;
}
