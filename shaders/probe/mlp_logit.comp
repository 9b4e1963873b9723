#version 450
// mlp_logit.comp: the last layer of the batch, the loss and its way back to the layer before:
//   z[p, r] = sum_u W3[p, u] a[p, r, u]
//   loss    = max(z, 0) - z y + log(1 + e^-|z|)          binary cross-entropy with logits
//   g       = (sigmoid(z) - y) / n_rows                  d mean loss / d z
//   dz2     = W3 g where a > 0, times scale              a > 0: past the ReLU and not dropped
// An invocation per row.
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#include "math.glsl"
#include "mlp.glsl"

layout(set = 0, binding = 0) readonly buffer W { vec4 w[]; };
layout(set = 0, binding = 1) readonly buffer In { vec4 a[]; };
layout(set = 0, binding = 2) writeonly buffer Dz2 { vec4 dz2[]; };
layout(set = 0, binding = 3) writeonly buffer Dz3 { vec4 dz3[]; };
layout(set = 0, binding = 4) readonly buffer Entries { uint entries[]; };
layout(set = 0, binding = 5) readonly buffer Steps { Step steps[]; };
layout(set = 0, binding = 6) writeonly buffer Loss { float loss[]; };
layout(push_constant) uniform Push
{
    uint stride; // of w, a and dz2
    uint batch, first_step;
    float scale;
};

// log(1 + e), 0 <= e <= 1: 2 atanh(s), s = e / (2 + e) <= 1/3, whose series is cut at 3e-9.
float log1p_unit(float e)
{
    float s = e / (2.0 + e), q = s * s, sum = 1.0 / 15.0;
    for (int k = 13; k >= 1; k -= 2)
        sum = fma(sum, q, 1.0 / float(k));
    return 2.0 * s * sum;
}

void main()
{
    uint r = invocation(), p = gl_WorkGroupID.z;
    Step s = steps[first_step + p];
    if (r >= s.n_rows)
        return;
    uint n_fours = stride / 4, w_at = p * 4 * n_fours, a_at = (p * batch + r) * n_fours;
    vec4 sum = vec4(0);
    for (uint u = 0; u < n_fours; u++)
        sum = fma(w[w_at + u], a[a_at + u], sum);
    float z = (sum.x + sum.y) + (sum.z + sum.w);
    uint at = s.row0 + r;
    float label = entry_label(entries[at]);
    loss[at] = (z > 0.0 ? z : 0.0) - z * label + log1p_unit(math_exp(-abs(z)));
    float g = (math_sigmoid(z) - label) / float(s.n_rows);
    dz3[p * batch + r] = vec4(g, 0, 0, 0);
    for (uint u = 0; u < n_fours; u++)
        dz2[a_at + u] = mix(vec4(0), w[w_at + u] * g * scale, greaterThan(a[a_at + u], vec4(0)));
}
