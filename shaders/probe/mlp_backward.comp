#version 450
// mlp_backward.comp: dz[p, r, u] = scale sum_v W[p, v, u] dz_next[p, r, v] where a[p, r, u] > 0 (past
// the ReLU and not dropped), else 0. W [P, w_rows, stride] is the layer after, u its input.
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#include "mlp.glsl"

layout(set = 0, binding = 0) readonly buffer W { vec4 w[]; };
layout(set = 0, binding = 1) readonly buffer DzNext { vec4 dz_next[]; };
layout(set = 0, binding = 2) readonly buffer A { float a[]; };
layout(set = 0, binding = 3) writeonly buffer Dz { float dz[]; };
layout(push_constant) uniform Push
{
    uint n_in, w_rows, stride; // stride of w, a and dz
    uint next_stride;
    uint n_rows, batch;
    float scale;
};

void store(uint p, uint r, uint u0, vec4 sum)
{
    if (r >= n_rows)
        return;
    for (uint c = 0; c < 4; c++) {
        uint at = (p * batch + r) * stride + u0 + c;
        if (u0 + c < n_in)
            dz[at] = a[at] > 0.0 ? sum[c] * scale : 0.0;
    }
}

void main()
{
    uint item = invocation(), n_across = ceil_div(n_rows, TILE_R), p = gl_WorkGroupID.z;
    uint u0 = item / n_across * (4 * TILE_U), r0 = item % n_across * TILE_R;
    if (u0 >= n_in)
        return;

    vec4 acc[TILE_U][TILE_R];
    uint w_at[TILE_U], g_at[TILE_R]; // past the end: clamped, and the result not written
    for (uint r = 0; r < TILE_R; r++)
        g_at[r] = (p * batch + min(r0 + r, n_rows - 1)) * (next_stride / 4);
    for (uint u = 0; u < TILE_U; u++) {
        w_at[u] = p * w_rows * (stride / 4) + min(u0 / 4 + u, stride / 4 - 1);
        for (uint r = 0; r < TILE_R; r++)
            acc[u][r] = vec4(0);
    }
    for (uint v = 0; v < w_rows / 4; v++) {
        vec4 g[TILE_R];
        for (uint r = 0; r < TILE_R; r++)
            g[r] = dz_next[g_at[r] + v];
        for (uint c = 0; c < 4; c++) {
            for (uint u = 0; u < TILE_U; u++) {
                vec4 row = w[w_at[u] + (4 * v + c) * (stride / 4)];
                for (uint r = 0; r < TILE_R; r++)
                    acc[u][r] = fma(row, vec4(g[r][c]), acc[u][r]);
            }
        }
    }
    for (uint r = 0; r < TILE_R; r++)
        for (uint u = 0; u < TILE_U; u++)
            store(p, r0 + r, u0 + 4 * u, acc[u][r]);
}
