#version 450
// linear_few.comp: matmul for few rows on GPUs, where the speed is that of reading W.
// NT   a workgroup makes OUTS columns of up to ROWS rows; its invocations share the inner index
// NN   an invocation makes a column of up to ROWS rows, over one of n_parts ranges of the inner index;
//      the parts go to scratch
// variants: NT NN
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 128
#define ROWS 8
#define OUTS 4
#include "item.glsl"

layout(constant_id = 1) const uint BIAS_DTYPE = 0;
layout(constant_id = 2) const uint FACTOR_A = 0;
layout(constant_id = 3) const uint FACTOR_C = 0;
#define FACTOR_A_BINDING 6
#include "matmul_a.glsl"
#include "matmul_put.glsl"

layout(local_size_x = LOCAL) in;

layout(set = 0, binding = 1) readonly buffer W { uint w[]; };

#ifdef NT
shared float cell[ROWS * OUTS][LOCAL + 1]; // padded: what one invocation adds lies in many banks

void main()
{
    uint n_blocks = (n_cols + OUTS - 1) / OUTS, group = group_index(), me = gl_LocalInvocationID.x;
    uint first_col = group % n_blocks * OUTS, first_row = group / n_blocks * ROWS;
    if (first_row >= n_rows)
        return;
    float acc[ROWS][OUTS];
    for (uint i = 0; i < ROWS; i++)
        for (uint j = 0; j < OUTS; j++)
            acc[i][j] = 0;
    for (uint k = me; k < n_inner; k += LOCAL) {
        float av[ROWS];
        for (uint i = 0; i < ROWS; i++)
            av[i] = load_a(first_row + i, k);
        for (uint j = 0; j < OUTS; j++) {
            uint col = min(first_col + j, n_cols - 1);
            float v = WEIGHT(w, col * w_stride + k);
            for (uint i = 0; i < ROWS; i++)
                acc[i][j] = fma(av[i], v, acc[i][j]);
        }
    }
    for (uint i = 0; i < ROWS; i++)
        for (uint j = 0; j < OUTS; j++)
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
shared float tile[ROWS][LOCAL];

void main()
{
    uint n_blocks = (n_cols + LOCAL - 1) / LOCAL, n_row_blocks = (n_rows + ROWS - 1) / ROWS;
    uint group = group_index(), me = gl_LocalInvocationID.x;
    uint col = group % n_blocks * LOCAL + me;
    uint first_row = group / n_blocks % n_row_blocks * ROWS, p = group / (n_blocks * n_row_blocks);
    if (p >= n_parts)
        return;
    float acc[ROWS];
    for (uint i = 0; i < ROWS; i++)
        acc[i] = 0;
    uint end = min((p + 1) * part_size, n_inner);
    for (uint first = p * part_size; first < end; first += LOCAL) {
        barrier();
        for (uint i = 0; i < ROWS; i++)
            tile[i][me] = load_a(first_row + i, first + me);
        barrier();
        uint n = min(LOCAL, end - first);
        for (uint k = 0; k < n && col < n_cols; k++) {
            float v = WEIGHT(w, (first + k) * w_stride + col);
            for (uint i = 0; i < ROWS; i++)
                acc[i] = fma(tile[i][k], v, acc[i]);
        }
    }
    for (uint i = 0; i < ROWS; i++)
        put_part(first_row + i, col, acc[i], p);
}
#endif
