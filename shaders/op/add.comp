#version 450
// add.comp: y = a + b, where an absent one is zero; with `accumulate`, y += a + b.
// Forward and jvp use a and b, vjp hands dy on as a. All [n].
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 256
#include "item.glsl"

layout(local_size_x = LOCAL) in;
layout(set = 0, binding = 0) readonly buffer A { float a[]; };
layout(set = 0, binding = 1) readonly buffer B { float b[]; };
layout(set = 0, binding = 2) buffer Y { float y[]; };
layout(push_constant) uniform Push
{
    uint n, has_b, accumulate;
};

void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    float sum = a[i];
    if (has_b != 0)
        sum += b[i];
    if (accumulate != 0)
        sum += y[i];
    y[i] = sum;
}
