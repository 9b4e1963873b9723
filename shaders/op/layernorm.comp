#version 450
// layernorm.comp: y = r z w + b, z = x - mean x, r = 1 / sqrt(mean z^2 + eps); a workgroup per row
// of n.
// FORWARD  x -> y
// JVP      dy = w (r dz - r^3 z <z, dz> / n), dz = dx - mean dx
// VJP      dx = r (h - mean h) - r^3 z <z, h> / n, h = w dy
// Detached, r is held fast and the terms with r^3 fall away. Rows: x [M], tangents [M, k].
// variants: FORWARD JVP VJP
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
layout(constant_id = 1) const uint LOCAL = 64;
#include "item.glsl"
#include "reduce.glsl"
#include "weight.glsl"

layout(local_size_x = 64, local_size_x_id = 1) in;
layout(constant_id = 2) const uint BIAS_DTYPE = 0;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer W { uint w[]; };
layout(push_constant) uniform Push
{
    uint n_rows, n, k, has_bias, exact, accumulate; // n_rows: of what is written
    float eps;
};

#ifdef FORWARD
layout(set = 0, binding = 2) readonly buffer Bias { uint bias[]; };
layout(set = 0, binding = 3) writeonly buffer Y { float y[]; };

void main()
{
    uint row = group_index();
    if (row >= n_rows)
        return;
    uint at = row * n;
    float sum = 0, sum_sq = 0;
    for (uint c = gl_LocalInvocationID.x; c < n; c += LOCAL)
        sum += x[at + c];
    float mean = reduce_sum(sum) / float(n);
    for (uint c = gl_LocalInvocationID.x; c < n; c += LOCAL)
        sum_sq = fma(x[at + c] - mean, x[at + c] - mean, sum_sq);
    float r = 1.0 / sqrt(reduce_sum(sum_sq) / float(n) + eps);
    for (uint c = gl_LocalInvocationID.x; c < n; c += LOCAL) {
        float v = (x[at + c] - mean) * r * WEIGHT(w, c);
        if (has_bias != 0)
            v += WEIGHT_OF(BIAS_DTYPE, bias, c);
        y[at + c] = v;
    }
}
#else
layout(set = 0, binding = 2) readonly buffer In { float d_in[]; };
layout(set = 0, binding = 3) buffer Out { float d_out[]; };

#ifdef JVP
float seen(uint i, uint c) { return d_in[i]; }
float given(float v, uint c) { return v * WEIGHT(w, c); }
#else
float seen(uint i, uint c) { return d_in[i] * WEIGHT(w, c); }
float given(float v, uint c) { return v; }
#endif

void main()
{
    uint row = group_index();
    if (row >= n_rows)
        return;
    uint at = row * n, x_at = row / k * n;
    vec2 sum = vec2(0); // x, d
    for (uint c = gl_LocalInvocationID.x; c < n; c += LOCAL)
        sum += vec2(x[x_at + c], seen(at + c, c));
    vec2 mean = reduce_sum2(sum) / float(n);
    sum = vec2(0); // <z, z>, <z, d>
    for (uint c = gl_LocalInvocationID.x; c < n; c += LOCAL) {
        float z = x[x_at + c] - mean.x;
        sum = fma(vec2(z, z), vec2(z, seen(at + c, c) - mean.y), sum);
    }
    sum = reduce_sum2(sum);
    float r = 1.0 / sqrt(sum.x / float(n) + eps);
    float along = exact != 0 ? r * r * (sum.y / float(n)) : 0.0;
    for (uint c = gl_LocalInvocationID.x; c < n; c += LOCAL) {
        float d = seen(at + c, c) - mean.y;
        float v = r * (exact != 0 ? fma(-along, x[x_at + c] - mean.x, d) : d);
        v = given(v, c);
        if (accumulate != 0)
            v += d_out[at + c];
        d_out[at + c] = v;
    }
}
#endif
