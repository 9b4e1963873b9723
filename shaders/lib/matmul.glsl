// matmul.glsl: the interface that all matmul kernels share.
// NT  C[r, c] = sum_i A[r, i] W[c, i] (+ bias[c])     W [n_cols, n_inner]
// NN  C[r, c] = sum_i A[r, i] W[i, c]                 W [n_inner, n_cols]
// W is a range of whole rows of the weight, bound from its first element on; A and C are bound
// whole, and the range's place in them is in the offsets. With `has_residual`, R is added, which lies
// like C and may be C itself.
// A factor, where there is one, multiplies what is as long as W has rows: in NT the result, at [r, c];
// in NN A, at [r, i]. f_rows neighbouring rows share a row of it.
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
    uint f_rows, f_stride, f_0;
    uint k_packed, n_packed; // matmul_pack: inner index and rows, rounded up
};

// Place of the factor of row r; i counts the weight's rows from its first.
uint factor_at(uint r, uint i)
{
    return (row0 + r) / f_rows * f_stride + f_0 + i;
}

#endif
