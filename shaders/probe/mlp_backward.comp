#version 450
// mlp_backward.comp: dz[p, r, u] = scale sum_v W[p, v, u] dz_next[p, r, v] where a[p, r, u] > 0 (past
// the ReLU and not dropped), else 0. W [P, w_rows, stride] is the layer after, u its input.
// variants: TILES LANES
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#ifdef LANES
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#include "mlp.glsl"

layout(set = 0, binding = 0) readonly buffer W { vec4 w[]; };
layout(set = 0, binding = 1) readonly buffer DzNext { vec4 dz_next[]; };
layout(set = 0, binding = 2) readonly buffer A { vec4 a[]; };
layout(set = 0, binding = 3) writeonly buffer Dz { vec4 dz[]; };
layout(set = 0, binding = 4) readonly buffer Steps { Step steps[]; };
layout(push_constant) uniform Push
{
    uint n_in, w_rows, stride; // stride of w, a and dz
    uint next_stride;
    uint batch, first_step;
    float scale;
};

// sum: of units u0 .. u0 + 3, u0 a multiple of 4. What lands past the units does no harm.
void store(Step s, uint p, uint r, uint u0, vec4 sum)
{
    if (r >= s.n_rows || u0 >= n_in)
        return;
    uint at = ((p * batch + r) * stride + u0) / 4;
    dz[at] = mix(vec4(0), sum * scale, greaterThan(a[at], vec4(0)));
}

#ifdef LANES
const uint LANE_FOURS = N_LANES / 4; // fours of units in one load
shared vec4 stage[TILE_U * LANE_FOURS * TILE_R * N_LANES];

// A tile of TILE_U N_LANES units by TILE_R N_LANES rows; a lane has TILE_R rows. Of four rows v of W
// a lane loads row lane % 4, units lane / 4 in fours.
void main()
{
    uint lane = gl_SubgroupInvocationID, p = gl_WorkGroupID.z;
    Step s = steps[first_step + p];
    if (s.n_rows == 0)
        return;
    uint n_across = ceil_div(s.n_rows, TILE_R * N_LANES);
    uint u0 = workgroup() / n_across * (TILE_U * N_LANES);
    uint r0 = workgroup() % n_across * (TILE_R * N_LANES) + lane;
    if (u0 >= n_in)
        return;

    vec4 acc[TILE_U * LANE_FOURS][TILE_R];
    uint w_at[TILE_U], g_at[TILE_R]; // past the end: clamped, and the result not written
    for (uint r = 0; r < TILE_R; r++)
        g_at[r] = (p * batch + min(r0 + r * N_LANES, s.n_rows - 1)) * (next_stride / 4);
    for (uint u = 0; u < TILE_U; u++)
        w_at[u] = (p * w_rows + lane % 4) * (stride / 4) +
                  min(u0 / 4 + u * LANE_FOURS + lane / 4, stride / 4 - 1);
    for (uint u = 0; u < TILE_U * LANE_FOURS; u++)
        for (uint r = 0; r < TILE_R; r++)
            acc[u][r] = vec4(0);
    for (uint v = 0; v < w_rows / 4; v++) {
        vec4 g[TILE_R];
        for (uint r = 0; r < TILE_R; r++)
            g[r] = dz_next[g_at[r] + v];
        for (uint u = 0; u < TILE_U; u++) {
            vec4 mine = w[w_at[u] + v * stride];
#define FOUR(l)                                                                                    \
    {                                                                                              \
        vec4 row = subgroupBroadcast(mine, l);                                                     \
        for (uint r = 0; r < TILE_R; r++)                                                          \
            acc[u * LANE_FOURS + l / 4][r] =                                                       \
                fma(row, vec4(g[r][l % 4]), acc[u * LANE_FOURS + l / 4][r]);                       \
    }
            EACH_LANE(FOUR)
        }
    }
    for (uint u = 0; u < TILE_U * LANE_FOURS; u++)
        for (uint r = 0; r < TILE_R; r++)
            stage[(u * TILE_R + r) * N_LANES + lane] = acc[u][r];
    for (uint k = 0; k < TILE_U * LANE_FOURS * TILE_R; k++)
        store(s, p, r0 + k % TILE_R * N_LANES, u0 + k / TILE_R * 4, stage[k * N_LANES + lane]);
}
#else
void main()
{
    uint item = invocation(), p = gl_WorkGroupID.z;
    Step s = steps[first_step + p];
    if (s.n_rows == 0)
        return;
    uint n_across = ceil_div(s.n_rows, TILE_R);
    uint u0 = item / n_across * (4 * TILE_U), r0 = item % n_across * TILE_R;
    if (u0 >= n_in)
        return;

    vec4 acc[TILE_U][TILE_R];
    uint w_at[TILE_U], g_at[TILE_R]; // past the end: clamped, and the result not written
    for (uint r = 0; r < TILE_R; r++)
        g_at[r] = (p * batch + min(r0 + r, s.n_rows - 1)) * (next_stride / 4);
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
            store(s, p, r0 + r, u0 + 4 * u, acc[u][r]);
}
#endif
