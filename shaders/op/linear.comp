#version 450
// linear.comp: matmul with tiles in shared memory, for GPUs: the `scalar` kernel.
// A workgroup makes BM x BN outputs, an invocation TM x TN of them, BK of the inner index at a time.
// (BM / TM) (BN / TN) = LOCAL = 256. Sums run over the inner index in order.
// variants: NT NN
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define LOCAL 256
#include "item.glsl"

layout(local_size_x = LOCAL) in;
layout(constant_id = 1) const uint BIAS_DTYPE = 0;
layout(constant_id = 2) const uint FACTOR_A = 0;
layout(constant_id = 3) const uint FACTOR_C = 0;
layout(constant_id = 4) const uint BM = 64;
layout(constant_id = 5) const uint BN = 64;
layout(constant_id = 6) const uint BK = 16;
layout(constant_id = 7) const uint TM = 4;
layout(constant_id = 8) const uint TN = 4;
#define FACTOR_A_BINDING 6
#include "matmul_a.glsl"
#include "matmul_put.glsl"

layout(set = 0, binding = 1) readonly buffer W { uint w[]; };

// One cell of padding per row keeps the transposing stores off one bank.
shared float tile_a[BK * (BM + 1)];
shared float tile_w[BK * (BN + 1)];

void load_tile_a(uint first_row, uint first_k)
{
    for (uint e = gl_LocalInvocationID.x; e < BM * BK; e += LOCAL)
        tile_a[e % BK * (BM + 1) + e / BK] = load_a(first_row + e / BK, first_k + e % BK);
}

void load_tile_w(uint first_col, uint first_k)
{
    for (uint e = gl_LocalInvocationID.x; e < BN * BK; e += LOCAL) {
#ifdef NT
        uint in_k = e % BK, in_c = e / BK;
#else
        uint in_k = e / BN, in_c = e % BN;
#endif
        uint k = first_k + in_k, col = first_col + in_c;
        float v = 0;
        if (k < n_inner && col < n_cols)
#ifdef NT
            v = WEIGHT(w, col * w_stride + k);
#else
            v = WEIGHT(w, k * w_stride + col);
#endif
        tile_w[in_k * (BN + 1) + in_c] = v;
    }
}

void main()
{
    uint n_tile_cols = (n_cols + BN - 1) / BN, n_tile_rows = (n_rows + BM - 1) / BM;
    uint tile = group_index() % (n_tile_cols * n_tile_rows);
    uint part = group_index() / (n_tile_cols * n_tile_rows);
    if (part >= n_parts)
        return;
    uint first_row = tile % n_tile_rows * BM, first_col = tile / n_tile_rows * BN;
    uint my_row = gl_LocalInvocationID.x / (BN / TN), my_col = gl_LocalInvocationID.x % (BN / TN);

    // Unrolled, so that it lies in registers: Mesa's drivers for Intel and NVIDIA leave loops over 64
    // sums as they are, and what a variable indexes in memory.
    float acc[TM * TN];
    [[unroll]] for (uint i = 0; i < TM * TN; i++)
        acc[i] = 0;
    uint end_k = min((part + 1) * part_size, n_inner);
    for (uint first_k = part * part_size; first_k < end_k; first_k += BK) {
        load_tile_a(first_row, first_k);
        load_tile_w(first_col, first_k);
        barrier();
        for (uint k = 0; k < BK; k++) {
            float va[TM];
            [[unroll]] for (uint i = 0; i < TM; i++)
                va[i] = tile_a[k * (BM + 1) + my_row + i * (BM / TM)];
            [[unroll]] for (uint j = 0; j < TN; j++) {
                float vw = tile_w[k * (BN + 1) + my_col + j * (BN / TN)];
                [[unroll]] for (uint i = 0; i < TM; i++)
                    acc[i * TN + j] = fma(va[i], vw, acc[i * TN + j]);
            }
        }
        barrier();
    }
    [[unroll]] for (uint j = 0; j < TN; j++)
        [[unroll]] for (uint i = 0; i < TM; i++)
            put_part(first_row + my_row + i * (BM / TM), first_col + my_col + j * (BN / TN),
                     acc[i * TN + j], part);
}
