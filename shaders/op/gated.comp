#version 450
// gated.comp: what y = act(x W_gate') (x W_up') needs beside its matmuls. aux [M, 2, F] holds
// a = act'(g) u and b = act(g).
// FORWARD   y holds g, up u of tokens row0 and on: y = act(g) u, and aux with `keep`
// FORM      rows first..first+n_rows-1 of W_eff = diag(a) W_gate + diag(b) W_up for token row0
// variants: FORWARD FORM
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 256
#include "item.glsl"
#ifdef FORM
#include "weight.glsl"
#else
#include "act.glsl"
#endif

layout(local_size_x = LOCAL) in;
layout(push_constant) uniform Push
{
    uint n; // items
    uint F, row0, keep, d, first;
};

#ifdef FORWARD
layout(set = 0, binding = 0) readonly buffer Up { float up[]; };
layout(set = 0, binding = 1) buffer Y { float y[]; };
layout(set = 0, binding = 2) writeonly buffer Aux { float aux[]; };

void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    float g = y[i], u = up[i], b = act(g);
    y[i] = b * u;
    if (keep == 0)
        return;
    uint at = (row0 + i / F) * 2 * F + i % F;
    aux[at] = act_slope(g) * u;
    aux[at + F] = b;
}
#endif

#ifdef FORM
layout(constant_id = 1) const uint UP_DTYPE = 0;
layout(constant_id = 2) const uint FOURS = 0; // an item is four elements: d is a multiple of 4

layout(set = 0, binding = 0) readonly buffer Aux { float aux[]; };
layout(set = 0, binding = 1) readonly buffer Gate { uint gate[]; };
layout(set = 0, binding = 1) readonly buffer Gate2 { uvec2 gate2[]; };
layout(set = 0, binding = 1) readonly buffer Gate4 { uvec4 gate4[]; };
layout(set = 0, binding = 2) readonly buffer Up { uint up[]; };
layout(set = 0, binding = 2) readonly buffer Up2 { uvec2 up2[]; };
layout(set = 0, binding = 2) readonly buffer Up4 { uvec4 up4[]; };
layout(set = 0, binding = 3) writeonly buffer W { float w[]; };
layout(set = 0, binding = 3) writeonly buffer W4 { vec4 w4[]; };

vec4 unpack(uint dtype, uvec2 words)
{
    return vec4(weight_unpack(dtype, words.x, 0), weight_unpack(dtype, words.x, 1),
                weight_unpack(dtype, words.y, 0), weight_unpack(dtype, words.y, 1));
}

vec4 gate_at(uint i)
{
    if (FOURS == 0)
        return vec4(WEIGHT(gate, i));
    return DTYPE == DTYPE_F32 ? uintBitsToFloat(gate4[i]) : unpack(DTYPE, gate2[i]);
}

vec4 up_at(uint i)
{
    if (FOURS == 0)
        return vec4(WEIGHT_OF(UP_DTYPE, up, i));
    return UP_DTYPE == DTYPE_F32 ? uintBitsToFloat(up4[i]) : unpack(UP_DTYPE, up2[i]);
}

void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    uint at = row0 * 2 * F + first + (FOURS != 0 ? 4 * i : i) / d;
    vec4 v = aux[at] * gate_at(i) + aux[at + F] * up_at(i);
    if (FOURS != 0)
        w4[i] = v;
    else
        w[i] = v.x;
}
#endif
