// linear_matrix.glsl: matmul on matrix cores, for op/linear_coopmat*.comp.
// A comes packed (op/matmul_pack.comp): rows of f16 hi and lo. W is read as it is and becomes f16 on its
// way to shared memory: exactly where it is f16, or bf16 after its row's scaling; as hi + lo where it is
// f32. With BF16 defined A comes in three terms of bf16, and W is bf16 and stays as it is.
// A workgroup makes BM x BN of C; each subgroup WM x WN of it, in matrices of M x N, or, FLEXIBLE, in a
// single one. The matrices' scope and shape come from the device.
// Sums run over the inner index in order, K terms at a time in the order of the matrix core.
// SPDX-License-Identifier: Apache-2.0
#include "item.glsl"

layout(constant_id = 1) const uint BIAS_DTYPE = 0;
layout(constant_id = 2) const uint FACTOR_C = 0;
layout(constant_id = 3) const uint ALIGNED = 0; // rows of W are whole eights
#include "matmul_put.glsl"

layout(constant_id = 4) const uint BM = 64;
layout(constant_id = 5) const uint BN = 64;
layout(constant_id = 6) const uint BK = 32;
layout(constant_id = 7) const uint WM = 32;
layout(constant_id = 8) const uint WN = 32;
layout(constant_id = 9) const uint M = 16;
layout(constant_id = 10) const uint N = 16;
layout(constant_id = 11) const uint K = 16;
layout(constant_id = 12) const uint LOCAL = 128;
layout(constant_id = 13) const uint SCOPE = gl_ScopeSubgroup;

layout(local_size_x_id = 12) in;
layout(set = 0, binding = 0) readonly buffer Packed { uvec4 halves[]; };
layout(set = 0, binding = 1) readonly buffer W { uint w[]; };
layout(set = 0, binding = 1) readonly buffer W4 { uvec4 w4[]; };
layout(set = 0, binding = 6) readonly buffer Undo { float undo[]; };
layout(set = 0, binding = 7) readonly buffer Scale { float scale[]; }; // of W's rows

#ifdef NT
const uint W_ROWS = BN, W_EIGHTS = BK / 8;
#else
const uint W_ROWS = BK, W_EIGHTS = BN / 8;
#endif
#ifdef BF16
#define ELEMENT bfloat16_t
const uint ELEMENT_DTYPE = DTYPE_BF16, A_TERMS = 3;
#else
#define ELEMENT float16_t
const uint ELEMENT_DTYPE = DTYPE_F16, A_TERMS = 2;
#endif
const bool SCALED = DTYPE != ELEMENT_DTYPE;
const uint W_TERMS = DTYPE == DTYPE_F32 ? 2 : 1;

// Tiles in shared memory in eights of 16 bits, their rows padded so that a column lies in many banks.
const uint A_STRIDE = BK / 8 + 1, W_STRIDE = W_EIGHTS + 1;
const uint A_TILE = A_TERMS * BM * A_STRIDE;
const uint STAGE = (BM / WM) * (BN / WN) * M * N / 4; // see linear_coopmat.glsl
shared uvec4 tile_a[A_TILE > STAGE ? A_TILE : STAGE];
shared uvec4 tile_w[W_TERMS * W_ROWS * W_STRIDE];

void load_tile_a(uint first_row, uint first_k)
{
    for (uint i = gl_LocalInvocationID.x; i < A_TERMS * BM * (BK / 8); i += LOCAL) {
        uint row = i / (BK / 8), k8 = i % (BK / 8); // row: of each term by turns
        tile_a[(row % A_TERMS * BM + row / A_TERMS) * A_STRIDE + k8] =
            halves[(A_TERMS * first_row + row) * (k_packed / 8) + first_k / 8 + k8];
    }
}

// Elements i..i+7 of row r of W, as far as they lie in it.
void load_eight(uint r, uint i, uint n_w_rows, out vec4 v[2])
{
    v[0] = v[1] = vec4(0);
    if (r >= n_w_rows)
        return;
    uint at = r * w_stride + i;
    if (ALIGNED != 0 && i < w_stride) {
        if (DTYPE == DTYPE_F32) {
            v[0] = uintBitsToFloat(w4[at / 4]);
            v[1] = uintBitsToFloat(w4[at / 4 + 1]);
        } else {
            uvec4 e = w4[at / 8];
            [[unroll]] for (uint j = 0; j < 4; j++) {
                v[j / 2][j % 2 * 2] = weight_unpack(DTYPE, e[j], 0);
                v[j / 2][j % 2 * 2 + 1] = weight_unpack(DTYPE, e[j], 1);
            }
        }
    } else {
        [[unroll]] for (uint j = 0; j < 8; j++)
            if (i + j < w_stride)
                v[j / 4][j % 4] = WEIGHT(w, at + j);
    }
    if (SCALED) {
        v[0] *= scale[r];
        v[1] *= scale[r];
    }
}

#ifdef BF16
uint pack_two(vec2 v) // which are bf16
{
    return floatBitsToUint(v.x) >> 16 | floatBitsToUint(v.y) & 0xffff0000u;
}
#else
uint pack_two(vec2 v)
{
    return packHalf2x16(v);
}
#endif

uvec4 pack_eight(vec4 v[2])
{
    return uvec4(pack_two(v[0].xy), pack_two(v[0].zw), pack_two(v[1].xy), pack_two(v[1].zw));
}

void load_tile_w(uint first_row, uint first, uint n_w_rows)
{
    for (uint i = gl_LocalInvocationID.x; i < W_ROWS * W_EIGHTS; i += LOCAL) {
        uint row = i / W_EIGHTS, i8 = i % W_EIGHTS, at = row * W_STRIDE + i8;
        if (!SCALED && ALIGNED != 0) { // as it is
            uint r = first_row + row, j = first + 8 * i8;
            tile_w[at] = r < n_w_rows && j < w_stride ? w4[(r * w_stride + j) / 8] : uvec4(0);
            continue;
        }
        vec4 v[2];
        load_eight(first_row + row, first + 8 * i8, n_w_rows, v);
        uvec4 hi = pack_eight(v);
        tile_w[at] = hi;
        if (W_TERMS == 2) {
            v[0] -= vec4(unpackHalf2x16(hi.x), unpackHalf2x16(hi.y));
            v[1] -= vec4(unpackHalf2x16(hi.z), unpackHalf2x16(hi.w));
            tile_w[W_ROWS * W_STRIDE + at] = pack_eight(v);
        }
    }
}

// A finished sum, without the scaling of its operands: the smaller factor first, so that nothing
// overflows on the way.
void put(uint row, uint col, float v, uint part)
{
    if (row >= n_rows || col >= n_cols)
        return;
    float by_row = undo[row], by_col = 1;
#ifdef NT
    if (SCALED)
        by_col = 1 / scale[col];
#endif
    put_part(row, col, v * min(by_row, by_col) * max(by_row, by_col), part);
}

// What a workgroup makes: a tile of C, over a range of the inner index.
struct place
{
    uint first_row, first_col, first_k, end_k, part;
};

bool find_place(out place at)
{
    uint n_tile_rows = (n_rows + BM - 1) / BM, n_tiles = n_tile_rows * ((n_cols + BN - 1) / BN);
    uint tile = group_index() % n_tiles;
    at.part = group_index() / n_tiles;
    at.first_row = tile % n_tile_rows * BM;
    at.first_col = tile / n_tile_rows * BN;
    at.first_k = at.part * part_size;
    at.end_k = min(at.first_k + part_size, n_inner);
    return at.part < n_parts;
}

void load_tiles(place at, uint k)
{
    load_tile_a(at.first_row, k);
#ifdef NT
    load_tile_w(at.first_col, k, n_cols);
#else
    load_tile_w(k, at.first_col, n_inner);
#endif
}
