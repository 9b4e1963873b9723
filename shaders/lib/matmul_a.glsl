// matmul_a.glsl: how all matmul kernels but `cpu` read A. Who includes it has FACTOR_A, and the binding of
// that factor in FACTOR_A_BINDING.
// SPDX-License-Identifier: Apache-2.0
#ifndef MATMUL_A_GLSL
#define MATMUL_A_GLSL

#include "matmul.glsl"

layout(set = 0, binding = 0) readonly buffer A { float a[]; };
layout(set = 0, binding = 0) readonly buffer A4 { vec4 a4[]; };
layout(set = 0, binding = FACTOR_A_BINDING) readonly buffer FactorA { float factor_a[]; };
layout(set = 0, binding = FACTOR_A_BINDING) readonly buffer FactorA4 { vec4 factor_a4[]; };

// A[row, i] with its factor; 0 past the ends.
float load_a(uint row, uint i)
{
    if (row >= n_rows || i >= n_inner)
        return 0;
    float v = a[(row0 + row) * a_stride + a_0 + i];
    return FACTOR_A != 0 ? v * factor_a[factor_a_at(row, i)] : v;
}

// Four at once, i a multiple of 4, where the rows of A and of its factor are whole fours.
vec4 load_a4(uint row, uint i)
{
    if (row >= n_rows || i >= n_inner)
        return vec4(0);
    vec4 v = a4[((row0 + row) * a_stride + a_0 + i) / 4];
    return FACTOR_A != 0 ? v * factor_a4[factor_a_at(row, i) / 4] : v;
}

#endif
