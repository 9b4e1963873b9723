// matmul.glsl: the interface that all matmul kernels share.
// NT  C[r, c] = sum_i A[r, i] W[c, i] (+ bias[c])     W [n_cols, n_inner]
// NN  C[r, c] = sum_i A[r, i] W[i, c]                 W [n_inner, n_cols]
// W is a range of whole rows of the weight, bound from its first element on; A and C are bound
// whole, and the range's place in them is in the offsets. With `has_residual`, R is added, which lies
// like C and may be C itself.
// Up to two factors: one multiplies A, at [r, i], one the sums, at [r, c], before bias and R. So a gate's
// derivative or a norm's scale needs no pass of its own; on processors the former has op/matmul_scale.comp. f*_rows neighbouring rows share a row of one.
// SPDX-License-Identifier: Apache-2.0
#ifndef MATMUL_GLSL
#define MATMUL_GLSL

layout(push_constant) uniform Push
{
    uint n_rows, n_cols, n_inner;
    uint row0;          // first row of A and C
    uint a_stride, a_0; // A[r, i] = a[(row0 + r) * a_stride + a_0 + i]
    uint w_stride;      // elements of a row of W
    uint c_stride, c_0; // C[r, c] = c[(row0 + r) * c_stride + c_0 + c]
    uint has_bias, has_residual;
    uint n_parts, part_size; // ranges of the inner index whose sums go to scratch
    uint fa_rows, fa_stride, fa_0; // factor of A,
    uint fc_rows, fc_stride, fc_0; // and of C
    uint k_packed, n_packed; // matmul_pack: inner index and rows, rounded up
};

// Places of the factors of A[r, i], and of C[r, c].
uint factor_a_at(uint r, uint i)
{
    return (row0 + r) / fa_rows * fa_stride + fa_0 + a_0 + i;
}

uint factor_c_at(uint r, uint col)
{
    return (row0 + r) / fc_rows * fc_stride + fc_0 + c_0 + col;
}

#endif
