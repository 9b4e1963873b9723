// linear_coopmat.glsl: matmul on matrix cores by VK_KHR_cooperative_matrix, for op/linear_coopmat.comp and
// op/linear_coopmat_bf16.comp; see linear_matrix.glsl.
// SPDX-License-Identifier: Apache-2.0
#include "linear_matrix.glsl"

#define SUM coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>
#define LEFT coopmat<ELEMENT, gl_ScopeSubgroup, M, K, gl_MatrixUseA>
#define RIGHT coopmat<ELEMENT, gl_ScopeSubgroup, K, N, gl_MatrixUseB>
const uint MS = WM / M, NS = WN / N; // matrices of a subgroup
const uint LANES = LOCAL / ((BM / WM) * (BN / WN));

uint my_row() // in the tile
{
    return gl_SubgroupID / (BN / WN) * WM;
}

uint my_col()
{
    return gl_SubgroupID % (BN / WN) * WN;
}

// Matrices are loaded, multiplied and stored where they are declared: Mesa's compilers lose those that
// pass through the parameters of a function.
#define LOAD_LEFT(m, term, row, k)                                                                 \
    coopMatLoad(m, tile_a, (term * BM + (row)) * A_STRIDE + (k) / 8, A_STRIDE,                     \
                gl_CooperativeMatrixLayoutRowMajor)
#ifdef NT
#define LOAD_RIGHT(m, term, k, col)                                                                \
    coopMatLoad(m, tile_w, (term * W_ROWS + (col)) * W_STRIDE + (k) / 8, W_STRIDE,                 \
                gl_CooperativeMatrixLayoutColumnMajor)
#else
#define LOAD_RIGHT(m, term, k, col)                                                                \
    coopMatLoad(m, tile_w, (term * W_ROWS + (k)) * W_STRIDE + (col) / 8, W_STRIDE,                 \
                gl_CooperativeMatrixLayoutRowMajor)
#endif

void main()
{
    place at;
    if (!find_place(at))
        return;
    SUM acc[MS * NS];
    [[unroll]] for (uint i = 0; i < MS * NS; i++)
        acc[i] = SUM(0);
    for (uint first_k = at.first_k; first_k < at.end_k; first_k += BK) {
        load_tiles(at, first_k);
        barrier();
        [[unroll]] for (uint k = 0; k < BK; k += K) {
            LEFT a[MS * A_TERMS];
            [[unroll]] for (uint i = 0; i < MS; i++) {
                [[unroll]] for (uint t = 0; t < A_TERMS; t++)
                    LOAD_LEFT(a[i * A_TERMS + t], t, my_row() + i * M, k);
            }
            [[unroll]] for (uint j = 0; j < NS; j++) {
                // The small terms first, so that they are not lost beside the large one; the product
                // of two small ones is below f32.
                RIGHT w;
                if (W_TERMS == 2) {
                    LOAD_RIGHT(w, 1, k, my_col() + j * N);
                    [[unroll]] for (uint i = 0; i < MS; i++)
                        acc[i * NS + j] = coopMatMulAdd(a[i * A_TERMS], w, acc[i * NS + j]);
                }
                LOAD_RIGHT(w, 0, k, my_col() + j * N);
                [[unroll]] for (uint i = 0; i < MS; i++) {
                    [[unroll]] for (uint t = 1; t <= A_TERMS; t++)
                        acc[i * NS + j] = coopMatMulAdd(a[(i + 1) * A_TERMS - t], w, acc[i * NS + j]);
                }
            }
        }
        barrier();
    }
    // Out by way of shared memory, whose tiles are done with, as a matrix's elements lie in no known
    // order.
    uint stage = gl_SubgroupID * (M * N / 4);
    [[unroll]] for (uint i = 0; i < MS; i++) {
        [[unroll]] for (uint j = 0; j < NS; j++) {
            coopMatStore(acc[i * NS + j], tile_a, stage, N / 4, gl_CooperativeMatrixLayoutRowMajor);
            controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                           gl_SemanticsAcquireRelease);
            for (uint e = gl_SubgroupInvocationID; e < M * N; e += LANES)
                put(at.first_row + my_row() + i * M + e / N,
                    at.first_col + my_col() + j * N + e % N, uintBitsToFloat(tile_a[stage + e / 4][e % 4]), at.part);
            controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                           gl_SemanticsAcquireRelease);
        }
    }
}
