#version 450
// linear_cpu.comp: matmul for drivers that run on the processor: the `cpu` kernel.
// There a load costs some 20 cycles in every lane, whatever is loaded, a shuffle three and a
// multiply-add one or two for all lanes. So a workgroup is one subgroup, without shared memory or
// barriers; each lane loads rows of A for all, columns of W for itself; and the tile,
// (GROUPS LANES) x (COLS LANES), is as large as the first-level cache allows for the sums.
// Sums run over the inner index in order, four terms between two writes of a sum.
// variants: NT NN
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "item.glsl"
#include "matmul.glsl"
#include "weight.glsl"

layout(constant_id = 1) const uint BIAS_DTYPE = 0;
layout(constant_id = 2) const uint ALIGNED = 0; // rows of A, W and C and the inner index come in fours
layout(constant_id = 3) const uint LANES = 8;   // 8 or 4: the local size, at most a subgroup
layout(constant_id = 4) const uint GROUPS = 4;
layout(constant_id = 5) const uint MAY_ADD = 0; // `accumulate` may be set: costs compile time

const uint COLS = 8;

layout(local_size_x = 8, local_size_x_id = 3) in;
layout(set = 0, binding = 0) readonly buffer A { float a[]; };
layout(set = 0, binding = 0) readonly buffer A4 { vec4 a4[]; };
layout(set = 0, binding = 1) readonly buffer W { uint w[]; };
layout(set = 0, binding = 1) readonly buffer W2 { uvec2 w2[]; };
layout(set = 0, binding = 1) readonly buffer W4 { uvec4 w4[]; };
layout(set = 0, binding = 2) readonly buffer Bias { uint bias[]; };
layout(set = 0, binding = 3) buffer C { float c[]; };
layout(set = 0, binding = 3) buffer C4 { vec4 c4[]; };

// Row g LANES + l of the tile. Loops over it run over whole dimensions, so that compilers unroll
// them and the sums become registers; with 4 lanes the second half of l is not used.
float acc[GROUPS][8][COLS];

uint tile_col(uint first_col, uint j)
{
    return first_col + gl_LocalInvocationID.x * COLS + j;
}

// Rows and columns past the end repeat others and are not stored; past the end of the inner index
// everything is 0.
vec4 cut(vec4 v, uint k)
{
    return mix(vec4(0), v, lessThan(uvec4(k, k + 1, k + 2, k + 3), uvec4(n_inner)));
}

vec4 load_a(uint first_row, uint g, uint k)
{
    uint r = first_row + g * LANES + gl_LocalInvocationID.x;
    uint at = (row0 + (r < n_rows ? r : n_rows - 1)) * a_stride + a_0 + k;
    if (ALIGNED != 0)
        return a4[at / 4];
    uint end = at + n_inner - 1 - k;
    return cut(vec4(a[at], a[min(at + 1, end)], a[min(at + 2, end)], a[min(at + 3, end)]), k);
}

// Elements at..at+3 of W, at a multiple of 4.
vec4 load_four(uint at)
{
    if (DTYPE == DTYPE_F32)
        return uintBitsToFloat(w4[at / 4]);
    uvec2 words = w2[at / 4];
    return vec4(weight_unpack(DTYPE, words.x, 0), weight_unpack(DTYPE, words.x, 1),
                weight_unpack(DTYPE, words.y, 0), weight_unpack(DTYPE, words.y, 1));
}

#ifdef NT
vec4 load_w(uint first_col, uint j, uint k)
{
    uint col = tile_col(first_col, j), at = (col < n_cols ? col : n_cols - 1) * w_stride + k;
    if (ALIGNED != 0)
        return load_four(at);
    uint end = at + n_inner - 1 - k;
    return cut(vec4(WEIGHT(w, at), WEIGHT(w, min(at + 1, end)), WEIGHT(w, min(at + 2, end)),
                    WEIGHT(w, min(at + 3, end))), k);
}

void load_tile(uint first_col, uint k, out vec4 wv[COLS])
{
    for (uint j = 0; j < COLS; j++)
        wv[j] = load_w(first_col, j, k);
}
#else
// Columns 4 j4 .. 4 j4 + 3 of the lane's, in row k, or 0 in rows past the end.
vec4 load_w(uint first_col, uint j4, uint k)
{
    uint col = tile_col(first_col, 4 * j4), last = n_cols - 1;
    if (ALIGNED != 0)
        return load_four(k * w_stride + (col < n_cols ? col : n_cols - 4));
    uint row = min(k, n_inner - 1) * w_stride;
    vec4 v = vec4(WEIGHT(w, row + min(col, last)), WEIGHT(w, row + min(col + 1, last)),
                  WEIGHT(w, row + min(col + 2, last)), WEIGHT(w, row + min(col + 3, last)));
    return k < n_inner ? v : vec4(0);
}

void load_tile(uint first_col, uint k, out vec4 wv[COLS])
{
    for (uint j4 = 0; j4 < COLS / 4; j4++) {
        mat4 rows = transpose(mat4(load_w(first_col, j4, k), load_w(first_col, j4, k + 1),
                                   load_w(first_col, j4, k + 2), load_w(first_col, j4, k + 3)));
        wv[4 * j4] = rows[0];
        wv[4 * j4 + 1] = rows[1];
        wv[4 * j4 + 2] = rows[2];
        wv[4 * j4 + 3] = rows[3];
    }
}
#endif

void add_group(uint g, vec4 av, vec4 wv[COLS])
{
    for (uint l = 0; l < 8; l++) {
        if (l >= LANES)
            break;
        vec4 b = subgroupShuffle(av, l);
        for (uint j = 0; j < COLS; j++)
            acc[g][l][j] = fma(b.w, wv[j].w, fma(b.z, wv[j].z,
                               fma(b.y, wv[j].y, fma(b.x, wv[j].x, acc[g][l][j]))));
    }
}

float load_bias(uint col)
{
    return has_bias != 0 && col < n_cols ? WEIGHT_OF(BIAS_DTYPE, bias, c_0 + col) : 0.0;
}

// Four neighbouring columns of a row.
void store_four(uint row, uint col, vec4 sum)
{
    uint at = (row0 + row) * c_stride + c_0 + col;
    if (row >= n_rows || col >= n_cols)
        return;
    if (ALIGNED != 0) {
        if (MAY_ADD != 0 && accumulate != 0)
            sum += c4[at / 4];
        c4[at / 4] = sum;
    } else {
        for (uint i = 0; i < 4; i++)
            if (col + i < n_cols)
                c[at + i] = MAY_ADD != 0 && accumulate != 0 ? sum[i] + c[at + i] : sum[i];
    }
}

void main()
{
    uint n_tile_rows = (n_rows + GROUPS * LANES - 1) / (GROUPS * LANES);
    uint n_tile_cols = (n_cols + COLS * LANES - 1) / (COLS * LANES);
    uint tile = group_index();
    if (tile >= n_tile_rows * n_tile_cols)
        return;
    uint first_row = tile % n_tile_rows * GROUPS * LANES;
    uint first_col = tile / n_tile_rows * COLS * LANES;
    for (uint g = 0; g < GROUPS; g++)
        for (uint l = 0; l < 8; l++)
            for (uint j = 0; j < COLS; j++)
                acc[g][l][j] = 0;
    for (uint k = 0; k < n_inner; k += 4) {
        vec4 wv[COLS];
        load_tile(first_col, k, wv);
        for (uint g = 0; g < GROUPS; g++)
            add_group(g, load_a(first_row, g, k), wv);
    }
    vec4 bv[COLS / 4];
    for (uint j = 0; j < COLS; j += 4) {
        uint col = tile_col(first_col, j);
        bv[j / 4] = vec4(load_bias(col), load_bias(col + 1), load_bias(col + 2), load_bias(col + 3));
    }
    for (uint g = 0; g < GROUPS; g++)
        for (uint l = 0; l < 8; l++)
            if (l < LANES)
                for (uint j = 0; j < COLS; j += 4)
                    store_four(first_row + g * LANES + l, tile_col(first_col, j),
                               bv[j / 4] + vec4(acc[g][l][j], acc[g][l][j + 1], acc[g][l][j + 2],
                                                acc[g][l][j + 3]));
}
