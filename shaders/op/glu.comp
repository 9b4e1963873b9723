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
#include "item.glsl"
#include "math.glsl"

layout(local_size_x = LOCAL) in;
layout(constant_id = 0) const uint ACT = 0; // values of va_act
#define GELU_TANH 0u
#define GELU 1u
#define SILU 2u
#define RELU 3u
#define PHI_TANH 4u // from here on the factors act(g) / g of the four above

layout(push_constant) uniform Push
{
    uint n, row, k, has_gate, has_up, accumulate;
};

// gelu_tanh: g (1 + tanh w) / 2 = g sigmoid(2 w), w = sqrt(2/pi) (g + .044715 g^3)
float gelu_tanh_2w(float g)
{
    return 1.59576912 * g * fma(0.044715 * g, g, 1.0);
}

const uint KIND = ACT % PHI_TANH;

float factor(float g)
{
    if (KIND == GELU_TANH)
        return math_sigmoid(gelu_tanh_2w(g));
    if (KIND == GELU)
        return math_phi(g);
    if (KIND == SILU)
        return math_sigmoid(g);
    return g > 0.0 ? 1.0 : (g <= 0.0 ? 0.0 : g);
}

float factor_slope(float g)
{
    if (KIND == GELU_TANH) {
        if (abs(g) > 20.0) // 0 * infinity further out
            return 0.0;
        float w2 = gelu_tanh_2w(g);
        float slope2 = 1.59576912 * fma(0.134145 * g, g, 1.0);
        return slope2 * math_sigmoid(w2) * math_sigmoid(-w2);
    }
    if (KIND == GELU)
        return math_phi_density(g);
    if (KIND == SILU)
        return math_sigmoid(g) * math_sigmoid(-g);
    return g > 0.0 || g <= 0.0 ? 0.0 : g;
}

float act(float g)
{
    if (ACT >= PHI_TANH)
        return factor(g);
    return KIND == RELU && g <= 0.0 ? 0.0 : g * factor(g);
}

float act_slope(float g)
{
    float slope = factor_slope(g);
    return ACT >= PHI_TANH ? slope : fma(g, slope, factor(g));
}

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
