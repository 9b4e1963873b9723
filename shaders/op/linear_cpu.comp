#version 450
// linear_cpu.comp: matmul for drivers that run on the processor: the `cpu` kernel.
// There a load costs some 20 cycles in every lane, whatever is loaded, and a fused multiply-add one
// or two for all lanes. So a workgroup is one subgroup, without shared memory or barriers; each lane
// loads rows of A for all (they are broadcast) and columns of W for itself; and the tile, ROWS x
// (COLS LANES), is as large as the first-level cache allows for the sums.
// Sums run over the inner index in order.
// variants: NT NN
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "item.glsl"
#include "matmul.glsl"
#include "weight.glsl"

layout(constant_id = 1) const uint BIAS_DTYPE = 0;
layout(constant_id = 2) const uint ALIGNED = 0; // rows of A and W begin at whole 16 bytes
layout(constant_id = 3) const uint LANES = 8;   // 8 or 4: the local size, at most a subgroup
layout(constant_id = 4) const uint GROUPS = 4;  // ROWS / LANES

const uint COLS = 8;

layout(local_size_x_id = 3) in;
layout(set = 0, binding = 0) readonly buffer A { float a[]; };
layout(set = 0, binding = 0) readonly buffer A4 { vec4 a4[]; };
layout(set = 0, binding = 1) readonly buffer W { uint w[]; };
layout(set = 0, binding = 1) readonly buffer W4 { uvec4 w4[]; };
layout(set = 0, binding = 2) readonly buffer Bias { uint bias[]; };
layout(set = 0, binding = 3) buffer C { float c[]; };

// Row g LANES + l of the tile. Loops over it run over whole dimensions, so that compilers unroll
// them and the sums become registers; with 4 lanes the second half of l is not used.
float acc[GROUPS][8][COLS];

// Sums of the row that lane l loaded as v, in group g.
#define ADD_LANE(g, l, v, wv)                                                                      \
    {                                                                                              \
        float b = subgroupBroadcast(v, l);                                                         \
        for (uint j = 0; j < COLS; j++)                                                            \
            acc[g][l][j] = fma(b, wv[j], acc[g][l][j]);                                                          \
    }
#define ADD(g, v, wv)                                                                              \
    {                                                                                              \
        ADD_LANE(g, 0, v, wv) ADD_LANE(g, 1, v, wv) ADD_LANE(g, 2, v, wv) ADD_LANE(g, 3, v, wv)    \
        if (LANES == 8) {                                                                          \
            ADD_LANE(g, 4, v, wv) ADD_LANE(g, 5, v, wv)                                            \
            ADD_LANE(g, 6, v, wv) ADD_LANE(g, 7, v, wv)                                            \
        }                                                                                          \
    }

uint my_row(uint first_row, uint g) // rows past the end repeat the last one and are not stored
{
    uint r = first_row + g * LANES + gl_LocalInvocationID.x;
    return row0 + (r < n_rows ? r : n_rows - 1);
}

uint my_col(uint first_col, uint j)
{
#ifdef NT
    uint col = first_col + j * LANES + gl_LocalInvocationID.x;
#else
    uint col = first_col + gl_LocalInvocationID.x * COLS + j;
#endif
    return col < n_cols ? col : n_cols - 1;
}

#ifdef NT
// 16 bytes of each column of W at a time: 4 or 8 values of the inner index.
uint add_aligned(uint first_row, uint first_col)
{
    uint k = 0, step = DTYPE == DTYPE_F32 ? 4 : 8;
    for (; k + step <= n_inner; k += step) {
        uvec4 words[COLS];
        for (uint j = 0; j < COLS; j++)
            words[j] = w4[(my_col(first_col, j) * w_stride + k) / step];
        for (uint i = 0; i < step; i += 4) {
            vec4 av[GROUPS];
            for (uint g = 0; g < GROUPS; g++)
                av[g] = a4[(my_row(first_row, g) * a_stride + a_0 + k + i) / 4];
            for (uint n = 0; n < 4; n++) {
                float wv[COLS];
                for (uint j = 0; j < COLS; j++)
                    wv[j] = weight_unpack(DTYPE, words[j][DTYPE == DTYPE_F32 ? n : (i + n) / 2], n);
                for (uint g = 0; g < GROUPS; g++)
                    ADD(g, av[g][n], wv)
            }
        }
    }
    return k;
}
#else
// A lane's COLS columns are neighbours: one or two 16-byte loads a row of W.
uint add_aligned(uint first_row, uint first_col)
{
    if (n_cols % COLS != 0)
        return 0;
    uint k = 0, col = my_col(first_col, 0);
    for (; k + 4 <= n_inner; k += 4) {
        vec4 av[GROUPS];
        for (uint g = 0; g < GROUPS; g++)
            av[g] = a4[(my_row(first_row, g) * a_stride + a_0 + k) / 4];
        for (uint n = 0; n < 4; n++) {
            float wv[COLS];
            uint at = (k + n) * w_stride + col;
            if (DTYPE == DTYPE_F32) {
                vec4 low = uintBitsToFloat(w4[at / 4]), high = uintBitsToFloat(w4[at / 4 + 1]);
                for (uint j = 0; j < COLS; j++)
                    wv[j] = j < 4 ? low[j % 4] : high[j % 4];
            } else {
                uvec4 words = w4[at / 8];
                for (uint j = 0; j < COLS; j++)
                    wv[j] = weight_unpack(DTYPE, words[j / 2], j);
            }
            for (uint g = 0; g < GROUPS; g++)
                ADD(g, av[g][n], wv)
        }
    }
    return k;
}
#endif

void add_one(uint first_row, uint first_col, uint k)
{
    float wv[COLS];
    for (uint j = 0; j < COLS; j++)
#ifdef NT
        wv[j] = WEIGHT(w, my_col(first_col, j) * w_stride + k);
#else
        wv[j] = WEIGHT(w, k * w_stride + my_col(first_col, j));
#endif
    for (uint g = 0; g < GROUPS; g++) {
        float av = a[my_row(first_row, g) * a_stride + a_0 + k];
        ADD(g, av, wv)
    }
}

void store(uint first_row, uint first_col, uint l, float v[COLS])
{
    uint row = first_row + l;
    for (uint j = 0; j < COLS; j++) {
#ifdef NT
        uint col = first_col + j * LANES + gl_LocalInvocationID.x;
#else
        uint col = first_col + gl_LocalInvocationID.x * COLS + j;
#endif
        if (row < n_rows && col < n_cols) {
            uint at = (row0 + row) * c_stride + c_0 + col;
            float sum = v[j];
            if (has_bias != 0)
                sum += WEIGHT_OF(BIAS_DTYPE, bias, c_0 + col);
            if (accumulate != 0)
                sum += c[at];
            c[at] = sum;
        }
    }
}

void main()
{
    uint n_tile_rows = (n_rows + GROUPS * LANES - 1) / (GROUPS * LANES);
    uint n_tile_cols = (n_cols + COLS * LANES - 1) / (COLS * LANES);
    uint tile = group_index();
    if (tile >= n_tile_rows * n_tile_cols)
        return;
    uint first_row = tile % n_tile_rows * GROUPS * LANES;
    uint first_col = tile / n_tile_rows * COLS * LANES;
    for (uint g = 0; g < GROUPS; g++)
        for (uint l = 0; l < 8; l++)
            for (uint j = 0; j < COLS; j++)
                acc[g][l][j] = 0;
    uint k = 0;
    if (ALIGNED != 0)
        k = add_aligned(first_row, first_col);
    for (; k < n_inner; k++)
        add_one(first_row, first_col, k);
    for (uint g = 0; g < GROUPS; g++)
        for (uint l = 0; l < 8; l++)
            if (l < LANES)
                store(first_row, first_col, g * LANES + l, acc[g][l]);
}
