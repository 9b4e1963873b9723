#version 450
// matmul_sum.comp: C = the sums of n_parts ranges of a product's inner index, in order, with factor, bias and R.
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 256
#include "item.glsl"

layout(constant_id = 1) const uint BIAS_DTYPE = 0;
layout(constant_id = 2) const uint FACTOR_C = 0;
#include "matmul_put.glsl"

layout(local_size_x = LOCAL) in;
layout(set = 0, binding = 0) readonly buffer Part { float part[]; };

void main()
{
    uint i = item_index(), n = n_rows * n_cols;
    if (i >= n)
        return;
    float sum = 0;
    for (uint p = 0; p < n_parts; p++)
        sum += part[p * n + i];
    put_sum(i / n_cols, i % n_cols, sum);
}
