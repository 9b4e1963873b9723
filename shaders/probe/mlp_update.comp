#version 450
// mlp_update.comp: a layer's weight gradient over the batch, and its AdamW step (Loshchilov and
// Hutter, arXiv 1711.05101; the order of operations is torch's):
//   g = sum_r dz[p, r, o] in[p, r, i]
//   w = keep w; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2
//   w = w - step_size m / (sqrt(v) inv_sqrt_correction + eps)
// keep = 1 - lr wd; step_size = lr / (1 - b1^t); inv_sqrt_correction = 1 / sqrt(1 - b2^t).
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

layout(set = 0, binding = 0) buffer W { vec4 w[]; };
layout(set = 0, binding = 1) buffer M { vec4 m[]; };
layout(set = 0, binding = 2) buffer V { vec4 v[]; };
layout(set = 0, binding = 3) readonly buffer Dz { vec4 dz[]; };
layout(set = 0, binding = 4) readonly buffer In { vec4 x[]; };
layout(set = 0, binding = 5) readonly buffer Entries { uint entries[]; };
layout(set = 0, binding = 6) readonly buffer Steps { Step steps[]; };
layout(push_constant) uniform Push
{
    uint n_out, w_rows, stride; // stride of w and in
    uint dz_stride;
    uint batch, first_step;
    float keep;
    float beta1, beta2, one_minus_beta1, one_minus_beta2, eps;
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

void adamw(Step s, uint at, vec4 g)
{
    vec4 m_new = beta1 * m[at] + one_minus_beta1 * g;
    vec4 v_new = beta2 * v[at] + one_minus_beta2 * g * g;
    m[at] = m_new;
    v[at] = v_new;
    w[at] = keep * w[at] - s.step_size * m_new / (sqrt(v_new) * s.inv_sqrt_correction + eps);
}

#ifdef LANES
shared vec4 stage[TILE_U * N_LANES * TILE_R * N_LANES];

// A tile of TILE_U N_LANES outputs, TILE_U a multiple of 4, by TILE_R N_LANES fours of inputs, of
// which a lane has TILE_R.
void main()
{
    uint lane = gl_SubgroupInvocationID, p = gl_WorkGroupID.z;
    Step s = steps[first_step + p];
    if (s.n_rows == 0)
        return;
    uint n_fours = stride / 4, n_across = ceil_div(n_fours, TILE_R * N_LANES);
    uint o0 = workgroup() / n_across * (TILE_U * N_LANES);
    uint i0 = workgroup() % n_across * (TILE_R * N_LANES) + lane; // in fours
    if (o0 >= n_out)
        return;

    vec4 acc[TILE_U * N_LANES][TILE_R];
    uint o_at[TILE_U / 4], i_at[TILE_R]; // past the end: clamped, and the result not written
    for (uint o = 0; o < TILE_U / 4; o++)
        o_at[o] = min(o0 / 4 + o * N_LANES + lane, dz_stride / 4 - 1);
    for (uint i = 0; i < TILE_R; i++)
        i_at[i] = min(i0 + i * N_LANES, n_fours - 1);
    for (uint o = 0; o < TILE_U * N_LANES; o++)
        for (uint i = 0; i < TILE_R; i++)
            acc[o][i] = vec4(0);
    for (uint r = 0; r < s.n_rows; r++) {
        uint x_at = input_at(s, p, r), dz_at = (p * batch + r) * (dz_stride / 4);
        vec4 row[TILE_R];
        for (uint i = 0; i < TILE_R; i++)
            row[i] = x[x_at + i_at[i]];
        for (uint o = 0; o < TILE_U / 4; o++) {
            vec4 mine = dz[dz_at + o_at[o]];
#define FOUR(l)                                                                                    \
    {                                                                                              \
        vec4 g = subgroupBroadcast(mine, l);                                                       \
        for (uint c = 0; c < 4; c++)                                                               \
            for (uint i = 0; i < TILE_R; i++)                                                      \
                acc[4 * (o * N_LANES + l) + c][i] =                                                \
                    fma(vec4(g[c]), row[i], acc[4 * (o * N_LANES + l) + c][i]);                    \
    }
            EACH_LANE(FOUR)
        }
    }
    for (uint o = 0; o < TILE_U * N_LANES; o++)
        for (uint i = 0; i < TILE_R; i++)
            stage[(o * TILE_R + i) * N_LANES + lane] = acc[o][i];
    uint n_o = min(TILE_U * N_LANES, n_out - o0);
    for (uint k = 0; k < n_o * TILE_R; k++) {
        uint i = i0 + k % TILE_R * N_LANES;
        if (i < n_fours)
            adamw(s, (p * w_rows + o0 + k / TILE_R) * n_fours + i, stage[k * N_LANES + lane]);
    }
}
#else
void main()
{
    uint item = invocation(), p = gl_WorkGroupID.z;
    Step s = steps[first_step + p];
    if (s.n_rows == 0)
        return;
    uint n_fours = stride / 4, n_across = ceil_div(n_fours, TILE_R);
    uint o0 = item / n_across * (4 * TILE_U), i0 = item % n_across * TILE_R; // i0 in fours
    if (o0 >= n_out)
        return;

    vec4 acc[TILE_U * 4][TILE_R];
    uint o_at[TILE_U], i_at[TILE_R]; // past the end: clamped, and the result not written
    for (uint o = 0; o < TILE_U; o++)
        o_at[o] = min(o0 / 4 + o, dz_stride / 4 - 1);
    for (uint i = 0; i < TILE_R; i++) {
        i_at[i] = min(i0 + i, n_fours - 1);
        for (uint o = 0; o < TILE_U * 4; o++)
            acc[o][i] = vec4(0);
    }
    for (uint r = 0; r < s.n_rows; r++) {
        uint x_at = input_at(s, p, r), dz_at = (p * batch + r) * (dz_stride / 4);
        vec4 row[TILE_R];
        for (uint i = 0; i < TILE_R; i++)
            row[i] = x[x_at + i_at[i]];
        for (uint o = 0; o < TILE_U; o++) {
            vec4 g = dz[dz_at + o_at[o]];
            for (uint c = 0; c < 4; c++)
                for (uint i = 0; i < TILE_R; i++)
                    acc[4 * o + c][i] = fma(vec4(g[c]), row[i], acc[4 * o + c][i]);
        }
    }
    for (uint o = 0; o < 4 * TILE_U; o++)
        for (uint i = 0; i < TILE_R; i++)
            if (o0 + o < n_out && i0 + i < n_fours)
                adamw(s, (p * w_rows + o0 + o) * n_fours + i0 + i, acc[o][i]);
}
#endif
