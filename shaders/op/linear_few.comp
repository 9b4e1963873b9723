#version 450
// linear_few.comp: matmul for few rows on GPUs, where the speed is that of reading W.
// NT   a workgroup makes OUTS columns of up to ROWS rows; its invocations share the inner index, of which
//      each takes UNIT neighbours at once
// NN   an invocation makes UNIT columns of up to ROWS rows, over one of n_parts ranges of the inner index,
//      of which it reads DEEP rows of W before it needs the first; the parts go to scratch
// variants: NT NN
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define LOCAL 128
#define ROWS 8
#define OUTS 4
#define DEEP 4
#include "item.glsl"

layout(constant_id = 1) const uint BIAS_DTYPE = 0;
layout(constant_id = 2) const uint FACTOR_A = 0;
layout(constant_id = 3) const uint FACTOR_C = 0;
layout(constant_id = 4) const uint FOURS = 0; // rows of A, its factor, W, and the inner index are whole fours
#define FACTOR_A_BINDING 6
#include "matmul_a.glsl"
#include "matmul_put.glsl"

layout(local_size_x = LOCAL) in;

layout(set = 0, binding = 1) readonly buffer W { uint w[]; };
layout(set = 0, binding = 1) readonly buffer W2 { uvec2 w2[]; };
layout(set = 0, binding = 1) readonly buffer W4 { uvec4 w4[]; };

// Without whole fours a unit is one element, .x of four.
const uint UNIT = FOURS != 0 ? 4 : 1;

vec4 load_w(uint at)
{
    return FOURS != 0 ? WEIGHT4(w2, w4, at) : vec4(WEIGHT(w, at), 0, 0, 0);
}

#ifdef NT
shared float cell[ROWS * OUTS][LOCAL + 1]; // padded: what one invocation adds lies in many banks

vec4 load_unit(uint row, uint k)
{
    return FOURS != 0 ? load_a4(row, k) : vec4(load_a(row, k), 0, 0, 0);
}

void main()
{
    uint n_blocks = (n_cols + OUTS - 1) / OUTS, group = group_index(), me = gl_LocalInvocationID.x;
    uint first_col = group % n_blocks * OUTS, first_row = group / n_blocks * ROWS;
    if (first_row >= n_rows)
        return;
    float acc[ROWS][OUTS];
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint j = 0; j < OUTS; j++)
            acc[i][j] = 0;
    for (uint k = me * UNIT; k < n_inner; k += LOCAL * UNIT) {
        vec4 wv[OUTS];
        [[unroll]] for (uint j = 0; j < OUTS; j++)
            wv[j] = load_w(min(first_col + j, n_cols - 1) * w_stride + k);
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            vec4 av = load_unit(first_row + i, k);
            [[unroll]] for (uint j = 0; j < OUTS; j++)
                [[unroll]] for (uint e = 0; e < UNIT; e++)
                    acc[i][j] = fma(av[e], wv[j][e], acc[i][j]);
        }
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint j = 0; j < OUTS; j++)
            cell[i * OUTS + j][me] = acc[i][j];
    barrier();
    // Four invocations a sum, then one.
    float sum = 0;
    for (uint e = me % 4; e < LOCAL; e += 4)
        sum += cell[me / 4][e];
    barrier();
    cell[me / 4][me % 4] = sum;
    barrier();
    uint row = first_row + me / OUTS, col = first_col + me % OUTS;
    if (me < ROWS * OUTS)
        put_sum(row, col, (cell[me][0] + cell[me][1]) + (cell[me][2] + cell[me][3]));
}
#endif

#ifdef NN
shared vec4 tile[LOCAL][ROWS / 4];

void main()
{
    uint n_blocks = (n_cols + LOCAL * UNIT - 1) / (LOCAL * UNIT);
    uint n_row_blocks = (n_rows + ROWS - 1) / ROWS;
    uint group = group_index(), me = gl_LocalInvocationID.x;
    uint col = (group % n_blocks * LOCAL + me) * UNIT;
    uint first_row = group / n_blocks % n_row_blocks * ROWS, p = group / (n_blocks * n_row_blocks);
    if (p >= n_parts)
        return;
    vec4 acc[ROWS]; // of UNIT columns
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        acc[i] = vec4(0);
    uint end = min((p + 1) * part_size, n_inner);
    for (uint first = p * part_size; first < end; first += LOCAL) {
        barrier();
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            tile[me][i / 4][i % 4] = load_a(first_row + i, first + me);
        barrier();
        // Parts end at whole tiles, or with the inner index, past which the tile is 0.
        for (uint k = 0; k < min(LOCAL, end - first) && col < n_cols; k += DEEP) {
            vec4 wv[DEEP];
            [[unroll]] for (uint e = 0; e < DEEP; e++)
                wv[e] = load_w(min(first + k + e, n_inner - 1) * w_stride + col);
            [[unroll]] for (uint e = 0; e < DEEP; e++)
                [[unroll]] for (uint i = 0; i < ROWS; i++)
                    acc[i] = fma(vec4(tile[k + e][i / 4][i % 4]), wv[e], acc[i]);
        }
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint e = 0; e < UNIT; e++)
            put_part(first_row + i, col + e, acc[i][e], p);
}
#endif
