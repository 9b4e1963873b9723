// act.glsl: activations of a gate and their slopes; specialisation constant 0 says which.
// SPDX-License-Identifier: Apache-2.0
#ifndef ACT_GLSL
#define ACT_GLSL

#include "math.glsl"

layout(constant_id = 0) const uint ACT = 0; // values of va_act
#define GELU_TANH 0u
#define GELU 1u
#define SILU 2u
#define RELU 3u
#define PHI_TANH 4u // from here on the factors act(g) / g of the four above

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

#endif
