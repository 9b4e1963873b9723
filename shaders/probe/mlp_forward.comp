#version 450
// mlp_forward.comp: a layer of the batch: a[p, r, u] = drop(relu(sum_i W[p, u, i] in[p, r, i])).
// drop() zeroes a unit when its random number is below drop_below, else scales it; the number comes
// from (seed + p, layer, step, row of the batch, unit) alone.
// FIRST  in = X[index[p, row0 + r]], shared by all problems
// NEXT   in = the layer before, [P, batch, stride]
// variants: FIRST NEXT
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#include "mlp.glsl"
#include "philox.glsl"

layout(set = 0, binding = 0) readonly buffer W { vec4 w[]; };
layout(set = 0, binding = 1) readonly buffer In { vec4 x[]; };
layout(set = 0, binding = 2) writeonly buffer Out { float a[]; };
layout(set = 0, binding = 3) readonly buffer Index { uint row_of[]; };
layout(push_constant) uniform Push
{
    uint n_out, w_rows, stride; // stride of w and in
    uint out_stride;
    uint n_rows, batch;         // rows now, rows allocated
    uint n, row0;               // rows of X, first row of the batch in the epoch
    uint step, layer, seed_low, seed_high, drop_below;
    float scale;                // 1 / (1 - dropout)
};

// In fours.
uint input_at(uint p, uint r)
{
#ifdef FIRST
    return row_of[p * n + row0 + r] * (stride / 4);
#else
    return (p * batch + r) * (stride / 4);
#endif
}

uvec4 random4(uint p, uint r, uint u)
{
    uint carry;
    uint low = uaddCarry(seed_low, p, carry);
    return philox4x32(uvec4(u / 4, r, step, layer), uvec2(low, seed_high + carry));
}

void store(uint p, uint r, uint u0, vec4 z)
{
    if (r >= n_rows)
        return;
    uvec4 random = uvec4(0);
    if (drop_below != 0)
        random = random4(p, r, u0);
    for (uint c = 0; c < 4; c++) {
        float relu = z[c] < 0.0 ? 0.0 : z[c]; // NaN stays NaN
        if (u0 + c < n_out)
            a[(p * batch + r) * out_stride + u0 + c] = random[c] < drop_below ? 0.0 : relu * scale;
    }
}

void main()
{
    uint item = invocation(), n_across = ceil_div(n_rows, TILE_R), p = gl_WorkGroupID.z;
    uint u0 = item / n_across * (4 * TILE_U), r0 = item % n_across * TILE_R;
    if (u0 >= n_out)
        return;

    float acc[TILE_U * 4][TILE_R];
    uint w_at[TILE_U * 4], x_at[TILE_R]; // past the end: clamped, and the result not written
    for (uint r = 0; r < TILE_R; r++)
        x_at[r] = input_at(p, min(r0 + r, n_rows - 1));
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
                acc[u][r] = fma(v.w, row[r].w,
                                fma(v.z, row[r].z, fma(v.y, row[r].y, fma(v.x, row[r].x, acc[u][r]))));
        }
    }
    for (uint r = 0; r < TILE_R; r++)
        for (uint u4 = 0; u4 < TILE_U; u4++)
            store(p, r0 + r, u0 + 4 * u4,
                  vec4(acc[4 * u4][r], acc[4 * u4 + 1][r], acc[4 * u4 + 2][r], acc[4 * u4 + 3][r]));
}
