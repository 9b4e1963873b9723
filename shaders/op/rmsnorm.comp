#version 450
// rmsnorm.comp: y = r x (w + offset), r = 1 / sqrt(mean x^2 + eps); a workgroup per row of n.
// FORWARD  x -> y
// JVP      dy = (w + offset) (r dx - r^3 x <x, dx> / n)
// VJP      dx = r g - r^3 x <x, g> / n, g = (w + offset) dy
// Detached, r is held fast and the second terms fall away. Rows: x [M, H], tangents [M, k, H].
// variants: FORWARD JVP VJP
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
layout(constant_id = 1) const uint LOCAL = 64;
#include "item.glsl"
#include "reduce.glsl"
#include "weight.glsl"

layout(local_size_x = 64, local_size_x_id = 1) in;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer W { uint w[]; };
layout(push_constant) uniform Push
{
    uint n_rows, n, k, heads, exact, accumulate; // n_rows: of what is written
    float eps, offset;
};

float gain(uint c)
{
    return WEIGHT(w, c) + offset;
}

float inverse_rms(float sum_sq)
{
    return 1.0 / sqrt(sum_sq / float(n) + eps);
}

#ifdef FORWARD
layout(set = 0, binding = 2) writeonly buffer Y { float y[]; };

void main()
{
    uint row = group_index();
    if (row >= n_rows)
        return;
    float sum_sq = 0;
    for (uint c = gl_LocalInvocationID.x; c < n; c += LOCAL)
        sum_sq = fma(x[row * n + c], x[row * n + c], sum_sq);
    float r = inverse_rms(reduce_sum(sum_sq));
    for (uint c = gl_LocalInvocationID.x; c < n; c += LOCAL)
        y[row * n + c] = x[row * n + c] * r * gain(c);
}
#else
layout(set = 0, binding = 2) readonly buffer In { float d_in[]; };
layout(set = 0, binding = 3) buffer Out { float d_out[]; };

#ifdef JVP
float seen(uint i, uint c) { return d_in[i]; }
float given(float v, uint c) { return v * gain(c); }
#else
float seen(uint i, uint c) { return d_in[i] * gain(c); }
float given(float v, uint c) { return v; }
#endif

void main()
{
    uint row = group_index();
    if (row >= n_rows)
        return;
    uint at = row * n;
    uint x_at = (row / (k * heads) * heads + row % heads) * n;
    vec2 sum = vec2(0); // <x, x>, <x, d>
    for (uint c = gl_LocalInvocationID.x; c < n; c += LOCAL) {
        float v = x[x_at + c];
        sum = fma(vec2(v, v), vec2(v, exact != 0 ? seen(at + c, c) : 0.0), sum);
    }
    sum = reduce_sum2(sum);
    float r = inverse_rms(sum.x);
    float along = exact != 0 ? r * r * (sum.y / float(n)) : 0.0;
    for (uint c = gl_LocalInvocationID.x; c < n; c += LOCAL) {
        float v = r * (exact != 0 ? fma(-along, x[x_at + c], seen(at + c, c)) : seen(at + c, c));
        v = given(v, c);
        if (accumulate != 0)
            v += d_out[at + c];
        d_out[at + c] = v;
    }
}
#endif
