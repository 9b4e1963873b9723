#version 450
// glu.comp: y = act(g) u.
// FORWARD   g, u [n] -> y [n]
// JVP       dy = act'(g) u dg + act(g) du; an absent tangent is zero
// VJP_GATE  dg = act'(g) u dy
// VJP_UP    du = act(g) dy
// Tangents [M, k, row], g and u [M, row].
// variants: FORWARD JVP VJP_GATE VJP_UP
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 256
#include "act.glsl"
#include "item.glsl"

layout(local_size_x = LOCAL) in;
layout(push_constant) uniform Push
{
    uint n, row, k, has_gate, has_up, accumulate;
};

#ifdef FORWARD
layout(set = 0, binding = 0) readonly buffer Gate { float gate[]; };
layout(set = 0, binding = 1) readonly buffer Up { float up[]; };
layout(set = 0, binding = 2) writeonly buffer Y { float y[]; };

void main()
{
    uint i = item_index();
    if (i < n)
        y[i] = act(gate[i]) * up[i];
}
#endif

#ifdef JVP
layout(set = 0, binding = 0) readonly buffer Gate { float gate[]; };
layout(set = 0, binding = 1) readonly buffer Up { float up[]; };
layout(set = 0, binding = 2) readonly buffer DGate { float d_gate[]; };
layout(set = 0, binding = 3) readonly buffer DUp { float d_up[]; };
layout(set = 0, binding = 4) writeonly buffer DY { float dy[]; };

void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    uint p = i / (row * k) * row + i % row;
    float v = 0;
    if (has_gate != 0)
        v = act_slope(gate[p]) * up[p] * d_gate[i];
    if (has_up != 0)
        v = fma(act(gate[p]), d_up[i], v);
    dy[i] = v;
}
#endif

#ifdef VJP_GATE
layout(set = 0, binding = 0) readonly buffer Gate { float gate[]; };
layout(set = 0, binding = 1) readonly buffer Up { float up[]; };
layout(set = 0, binding = 2) readonly buffer DY { float dy[]; };
layout(set = 0, binding = 3) buffer DGate { float d_gate[]; };

void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    uint p = i / (row * k) * row + i % row;
    float v = act_slope(gate[p]) * up[p] * dy[i];
    if (accumulate != 0)
        v += d_gate[i];
    d_gate[i] = v;
}
#endif

#ifdef VJP_UP
layout(set = 0, binding = 0) readonly buffer Gate { float gate[]; };
layout(set = 0, binding = 1) readonly buffer DY { float dy[]; };
layout(set = 0, binding = 2) buffer DUp { float d_up[]; };

void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    float v = act(gate[i / (row * k) * row + i % row]) * dy[i];
    if (accumulate != 0)
        v += d_up[i];
    d_up[i] = v;
}
#endif
