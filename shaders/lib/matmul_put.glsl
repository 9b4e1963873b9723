// matmul_put.glsl: how all matmul kernels finish a sum. Who includes it has BIAS_DTYPE and FACTOR_C.
// SPDX-License-Identifier: Apache-2.0
#ifndef MATMUL_PUT_GLSL
#define MATMUL_PUT_GLSL

#include "matmul.glsl"
#include "weight.glsl"

layout(set = 0, binding = 2) readonly buffer Bias { uint bias[]; };
layout(set = 0, binding = 3) writeonly buffer C { float c[]; };
layout(set = 0, binding = 4) readonly buffer FactorC { float factor_c[]; };
layout(set = 0, binding = 5) readonly buffer Residual { float residual[]; };

// Row and column of this product, as in matmul.glsl.
void put_sum(uint row, uint col, float v)
{
    if (row >= n_rows || col >= n_cols)
        return;
    uint at = (row0 + row) * c_stride + c_0 + col;
    if (FACTOR_C != 0)
        v *= factor_c[factor_c_at(row, col)];
#ifndef NN // which has no bias
    if (has_bias != 0)
        v += WEIGHT_OF(BIAS_DTYPE, bias, c_0 + col);
#endif
    c[at] = has_residual != 0 ? v + residual[at] : v;
}

// The sum over one of n_parts ranges of the inner index: it goes to scratch where there are several.
void put_part(uint row, uint col, float v, uint part)
{
    if (n_parts == 1)
        put_sum(row, col, v);
    else if (row < n_rows && col < n_cols)
        c[(part * n_rows + row) * n_cols + col] = v;
}

#endif
