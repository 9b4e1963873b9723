#version 450
// linear_coopmat2.comp: matmul on matrix cores by VK_NV_cooperative_matrix2: a subgroup, or where the
// device has matrices of a whole workgroup, that one makes a single matrix of WM x WN, and finishes its
// elements where they lie. See lib/linear_matrix.glsl.
// variants: NT NN
// requires: GL_NV_cooperative_matrix2
// target: vulkan1.3
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_NV_cooperative_matrix2 : require
#extension GL_KHR_shader_subgroup_basic : require
#include "linear_matrix.glsl"

#define SUM coopmat<float, SCOPE, WM, WN, gl_MatrixUseAccumulator>
#define LEFT coopmat<float16_t, SCOPE, WM, K, gl_MatrixUseA>
#define RIGHT coopmat<float16_t, SCOPE, K, WN, gl_MatrixUseB>

uint my_row() // in the tile; of a workgroup's matrix 0, as BM is WM
{
    return SCOPE == gl_ScopeSubgroup ? gl_SubgroupID / (BN / WN) * WM : 0;
}

uint my_col()
{
    return SCOPE == gl_ScopeSubgroup ? gl_SubgroupID % (BN / WN) * WN : 0;
}

// Macros, as in lib/linear_coopmat.glsl.
#define LOAD_LEFT(m, term, k)                                                                      \
    coopMatLoad(m, tile_a, (term * BM + my_row()) * A_STRIDE + (k) / 8, A_STRIDE,                  \
                gl_CooperativeMatrixLayoutRowMajor)
#ifdef NT
#define LOAD_RIGHT(m, term, k)                                                                     \
    coopMatLoad(m, tile_w, (term * W_ROWS + my_col()) * W_STRIDE + (k) / 8, W_STRIDE,              \
                gl_CooperativeMatrixLayoutColumnMajor)
#else
#define LOAD_RIGHT(m, term, k)                                                                     \
    coopMatLoad(m, tile_w, (term * W_ROWS + (k)) * W_STRIDE + my_col() / 8, W_STRIDE,              \
                gl_CooperativeMatrixLayoutRowMajor)
#endif

float finish(const in uint32_t row, const in uint32_t col, const in float sum, const in uint32_t row0,
             const in uint32_t col0, const in uint32_t part)
{
    put(row0 + row, col0 + col, sum, part);
    return sum;
}

void main()
{
    place at;
    if (!find_place(at))
        return;
    SUM acc = SUM(0);
    for (uint first_k = at.first_k; first_k < at.end_k; first_k += BK) {
        load_tiles(at, first_k);
        barrier();
        [[unroll]] for (uint k = 0; k < BK; k += K) {
            // The small terms first, so that they are not lost beside the large one.
            LEFT hi, lo;
            RIGHT w;
            LOAD_LEFT(hi, 0, k);
            LOAD_LEFT(lo, 1, k);
            if (W_TERMS == 2) {
                LOAD_RIGHT(w, 1, k);
                acc = coopMatMulAdd(hi, w, acc);
            }
            LOAD_RIGHT(w, 0, k);
            acc = coopMatMulAdd(lo, w, acc);
            acc = coopMatMulAdd(hi, w, acc);
        }
        barrier();
    }
    coopMatPerElementNV(acc, acc, finish, at.first_row + my_row(), at.first_col + my_col(), at.part);
}
