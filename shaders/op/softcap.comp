#version 450
// softcap.comp: y = c tanh(x / c).
// FORWARD  x [n] -> y [n]
// DERIV    dy = D dx, and alike backwards: exact D = 1 - tanh(x/c)^2, detached D = tanh(x/c)/(x/c),
//          which is 1 at 0. dx [M, k, row], x [M, row]
// variants: FORWARD DERIV
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 256
#include "item.glsl"
#include "math.glsl"

layout(local_size_x = LOCAL) in;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(push_constant) uniform Push
{
    uint n, row, k, exact, accumulate;
    float cap;
};

#ifdef FORWARD
layout(set = 0, binding = 1) writeonly buffer Y { float y[]; };

void main()
{
    uint i = item_index();
    if (i < n)
        y[i] = cap * math_tanh(x[i] / cap);
}
#else
layout(set = 0, binding = 1) readonly buffer In { float d_in[]; };
layout(set = 0, binding = 2) buffer Out { float d_out[]; };

void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    float z = x[i / (row * k) * row + i % row] / cap;
    float slope;
    if (exact != 0)
        slope = math_sech2(z);
    else
        slope = z == 0.0 ? 1.0 : math_tanh(z) / z;
    float v = slope * d_in[i];
    if (accumulate != 0)
        v += d_out[i];
    d_out[i] = v;
}
#endif
