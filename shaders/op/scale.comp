#version 450
// scale.comp: y = factor x; with `accumulate`, y += factor x. Forward, jvp and vjp alike. [n]
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 256
#include "item.glsl"

layout(local_size_x = LOCAL) in;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) buffer Y { float y[]; };
layout(push_constant) uniform Push
{
    uint n, accumulate;
    float factor;
};

void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    float v = factor * x[i];
    if (accumulate != 0)
        v += y[i];
    y[i] = v;
}
