#version 450
// mlp_forward.comp: a layer of the batch: a[p, r, u] = drop(relu(sum_i W[p, u, i] in[p, r, i])).
// drop() zeroes a unit when its random number is below drop_below, else scales it; the number comes
// from (seed of p, layer, step, row of the batch, unit) alone.
// FIRST  in = X[row of entries[row0 of p + r]], shared by all problems
// NEXT   in = the layer before, [P, batch, stride]
// variants: FIRST NEXT FIRST_LANES NEXT_LANES
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#if defined FIRST_LANES || defined NEXT_LANES
#extension GL_KHR_shader_subgroup_ballot : require
#define LANES
#endif
#include "mlp.glsl"
#include "philox.glsl"

layout(set = 0, binding = 0) readonly buffer W { vec4 w[]; };
layout(set = 0, binding = 1) readonly buffer In { vec4 x[]; };
layout(set = 0, binding = 2) writeonly buffer Out { vec4 a[]; };
layout(set = 0, binding = 3) readonly buffer Entries { uint entries[]; };
layout(set = 0, binding = 4) readonly buffer Steps { Step steps[]; };
layout(push_constant) uniform Push
{
    uint n_out, w_rows, stride; // stride of w and in
    uint out_stride;
    uint batch;                 // rows allocated
    uint first_step;            // of the problems' steps
    uint layer, drop_below;
    float scale;                // 1 / (1 - dropout)
};

// In fours.
uint input_at(Step s, uint p, uint r)
{
#if defined FIRST || defined FIRST_LANES
    return entry_row(entries[s.row0 + r]) * (stride / 4);
#else
    return (p * batch + r) * (stride / 4);
#endif
}

uvec4 random4(Step s, uint r, uint u)
{
    return philox4x32(uvec4(u / 4, r, s.step, layer), uvec2(s.seed_low, s.seed_high));
}

// z: the sums of units u0 .. u0 + 3, u0 a multiple of 4.
void store(Step s, uint p, uint r, uint u0, vec4 z)
{
    if (r >= s.n_rows || u0 >= n_out)
        return;
    vec4 result = mix(z, vec4(0), lessThan(z, vec4(0))) * scale; // NaN stays NaN
    if (drop_below != 0)
        result = mix(result, vec4(0), lessThan(random4(s, r, u0), uvec4(drop_below)));
    uvec4 u = u0 + uvec4(0, 1, 2, 3);
    vec4 past = mix(vec4(0), vec4(1), equal(u, uvec4(n_out)));
    a[((p * batch + r) * out_stride + u0) / 4] = mix(past, result, lessThan(u, uvec4(n_out)));
}

float dot_add(vec4 b, vec4 c, float sum)
{
    return fma(b.w, c.w, fma(b.z, c.z, fma(b.y, c.y, fma(b.x, c.x, sum))));
}

#ifdef LANES
shared vec4 stage[TILE_U * N_LANES / 4 * TILE_R * N_LANES];

// A tile of TILE_U N_LANES units by TILE_R N_LANES rows; a lane has TILE_R rows.
void main()
{
    uint lane = gl_SubgroupInvocationID, p = gl_WorkGroupID.z;
    Step s = steps[first_step + p];
    if (s.n_rows == 0)
        return;
    uint n_across = ceil_div(s.n_rows, TILE_R * N_LANES);
    uint u0 = workgroup() / n_across * (TILE_U * N_LANES);
    uint r0 = workgroup() % n_across * (TILE_R * N_LANES) + lane;
    if (u0 >= n_out)
        return;

    float acc[TILE_U * N_LANES][TILE_R];
    uint w_at[TILE_U], x_at[TILE_R]; // past the end: clamped, and the result not written
    for (uint r = 0; r < TILE_R; r++)
        x_at[r] = input_at(s, p, min(r0 + r * N_LANES, s.n_rows - 1));
    for (uint u = 0; u < TILE_U; u++)
        w_at[u] = (p * w_rows + min(u0 + u * N_LANES + lane, n_out - 1)) * (stride / 4);
    for (uint u = 0; u < TILE_U * N_LANES; u++)
        for (uint r = 0; r < TILE_R; r++)
            acc[u][r] = 0;
    for (uint i = 0; i < stride / 4; i++) {
        vec4 row[TILE_R];
        for (uint r = 0; r < TILE_R; r++)
            row[r] = x[x_at[r] + i];
        for (uint u = 0; u < TILE_U; u++) {
            vec4 mine = w[w_at[u] + i];
#define UNIT(l)                                                                                    \
    {                                                                                              \
        vec4 v = subgroupBroadcast(mine, l);                                                       \
        for (uint r = 0; r < TILE_R; r++)                                                          \
            acc[u * N_LANES + l][r] = dot_add(v, row[r], acc[u * N_LANES + l][r]);                 \
    }
            EACH_LANE(UNIT)
        }
    }
    for (uint u = 0; u < TILE_U * N_LANES; u += 4)
        for (uint r = 0; r < TILE_R; r++)
            stage[(u / 4 * TILE_R + r) * N_LANES + lane] =
                vec4(acc[u][r], acc[u + 1][r], acc[u + 2][r], acc[u + 3][r]);
    for (uint k = 0; k < TILE_U * N_LANES / 4 * TILE_R; k++)
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
    if (u0 >= n_out)
        return;

    float acc[TILE_U * 4][TILE_R];
    uint w_at[TILE_U * 4], x_at[TILE_R]; // past the end: clamped, and the result not written
    for (uint r = 0; r < TILE_R; r++)
        x_at[r] = input_at(s, p, min(r0 + r, s.n_rows - 1));
    for (uint u = 0; u < TILE_U * 4; u++) {
        w_at[u] = (p * w_rows + min(u0 + u, n_out - 1)) * (stride / 4);
        for (uint r = 0; r < TILE_R; r++)
            acc[u][r] = 0;
    }
    for (uint i = 0; i < stride / 4; i++) {
        vec4 row[TILE_R];
        for (uint r = 0; r < TILE_R; r++)
            row[r] = x[x_at[r] + i];
        for (uint u = 0; u < TILE_U * 4; u++) {
            vec4 v = w[w_at[u] + i];
            for (uint r = 0; r < TILE_R; r++)
                acc[u][r] = dot_add(v, row[r], acc[u][r]);
        }
    }
    for (uint r = 0; r < TILE_R; r++)
        for (uint u = 0; u < TILE_U * 4; u += 4)
            store(s, p, r0 + r, u0 + u,
                  vec4(acc[u][r], acc[u + 1][r], acc[u + 2][r], acc[u + 3][r]));
}
#endif
