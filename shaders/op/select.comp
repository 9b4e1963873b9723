#version 450
// select.comp: rows first..first+count-1 of each sequence of T rows, or their mean.
// ROWS  y[s*count + j] = x[s*T + first + j], mean: y[s] = sum_j x[s*T + first + j] / count
//       forward and, with a row of k*row elements, jvp
// BACK  its transpose: dx row t = dy row t - first (mean: dy / count) inside the range, else 0
// variants: ROWS BACK
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 256
#include "item.glsl"

layout(local_size_x = LOCAL) in;
layout(set = 0, binding = 0) readonly buffer In { float src[]; };
layout(set = 0, binding = 1) buffer Out { float dst[]; };
layout(push_constant) uniform Push
{
    uint n, row, seq_len, first, count, mean, accumulate; // n: elements of dst
};

#ifdef ROWS
void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    uint m = i / row, c = i % row;
    if (mean == 0) {
        dst[i] = src[((m / count) * seq_len + first + m % count) * row + c];
        return;
    }
    float sum = 0;
    for (uint j = 0; j < count; j++)
        sum += src[(m * seq_len + first + j) * row + c];
    dst[i] = sum / float(count);
}
#else
void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    uint m = i / row, c = i % row, s = m / seq_len, t = m % seq_len;
    float v = 0;
    if (t >= first && t - first < count)
        v = mean != 0 ? src[s * row + c] / float(count) : src[(s * count + t - first) * row + c];
    if (accumulate != 0)
        v += dst[i];
    dst[i] = v;
}
#endif
