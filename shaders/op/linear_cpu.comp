#version 450
// linear_cpu.comp: matmul for drivers that run on the processor: the `cpu` kernel.
// There a load costs each lane some ten cycles, its first component the most of them; a shuffle
// costs three and a multiply-add one or two for all lanes. So a workgroup is one subgroup, without
// shared memory or barriers; each lane loads rows of A for all, columns of W for itself; and the
// tile, (GROUPS LANES) x (COLS LANES), is as large as the first-level cache allows for the sums.
// Addresses are kept in variables: drivers fetch push constants anew wherever a loop names them.
// Sums run over the inner index in order, STEP terms between two writes of a sum.
// variants: NT NN
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "item.glsl"
#include "matmul.glsl"
#include "weight.glsl"

layout(constant_id = 1) const uint BIAS_DTYPE = 0;
layout(constant_id = 2) const uint ALIGNED = 0; // rows of A, W, C and the inner index come in eights
layout(constant_id = 3) const uint LANES = 8;   // 8 or 4: the local size, at most a subgroup
layout(constant_id = 4) const uint GROUPS = 4;
layout(constant_id = 5) const uint HAS_RESIDUAL = 0; // costs compile time
layout(constant_id = 6) const uint FACTOR_C = 0; // A's is not on offer: see matmul_scale.comp

const uint COLS = 8; // of W in a lane
const uint STEP = ALIGNED != 0 ? 8 : 4; // of the inner index

layout(local_size_x = 8, local_size_x_id = 3) in;
layout(set = 0, binding = 0) readonly buffer A { float a[]; };
layout(set = 0, binding = 0) readonly buffer A4 { vec4 a4[]; };
layout(set = 0, binding = 1) readonly buffer W { uint w[]; };
layout(set = 0, binding = 1) readonly buffer W4 { uvec4 w4[]; };
layout(set = 0, binding = 2) readonly buffer Bias { uint bias[]; };
layout(set = 0, binding = 3) writeonly buffer C { float c[]; };
layout(set = 0, binding = 3) writeonly buffer C4 { vec4 c4[]; };
layout(set = 0, binding = 4) readonly buffer FactorC { float factor_c[]; };
layout(set = 0, binding = 4) readonly buffer FactorC4 { vec4 factor_c4[]; };
layout(set = 0, binding = 5) readonly buffer Residual { float residual[]; };
layout(set = 0, binding = 5) readonly buffer Residual4 { vec4 residual4[]; };

// Row g LANES + l of the tile. Loops over it run over whole dimensions, so that compilers unroll
// them and the sums become registers; with 4 lanes the second half of l is not used.
float acc[GROUPS][8][COLS];
float wv[STEP][COLS]; // the lane's columns
float av[STEP];       // the lane's row of a group
uint a_at[GROUPS];    // where these rows begin in A
uint last;            // n_inner - 1
uint touched = 0;     // by touch()

uint tile_col(uint first_col, uint j)
{
    return first_col + gl_LocalInvocationID.x * COLS + j;
}

// Rows and columns past the end repeat others and are not stored; past the end of the inner index
// everything is 0.
float cut(float v, uint k)
{
    return k <= last ? v : 0.0;
}

void start_a(uint first_row)
{
    for (uint g = 0; g < GROUPS; g++) {
        uint row = min(first_row + g * LANES + gl_LocalInvocationID.x, n_rows - 1);
        a_at[g] = (row0 + row) * a_stride + a_0;
    }
}

void load_a(uint g, uint k)
{
    if (ALIGNED == 0) {
        for (uint i = 0; i < STEP; i++)
            av[i] = cut(a[a_at[g] + min(k + i, last)], k + i);
    } else {
        for (uint j = 0; j < STEP; j += 4) {
            vec4 v = a4[(a_at[g] + k + j) / 4];
            for (uint i = 0; i < 4; i++)
                av[j + i] = v[i];
        }
    }
}

// Elements at..at+7 of W, at a multiple of 8.
void load_eight(uint at, out float v[8])
{
    uvec4 low = w4[DTYPE == DTYPE_F32 ? at / 4 : at / 8], high = low;
    if (DTYPE == DTYPE_F32)
        high = w4[at / 4 + 1];
    for (uint i = 0; i < 8; i++)
        v[i] = DTYPE == DTYPE_F32 ? uintBitsToFloat(i < 4 ? low[i] : high[i - 4])
                                  : weight_unpack(DTYPE, low[i / 2], i);
}

#ifdef NT
uint w_at[COLS]; // rows of W

void start_w(uint first_col)
{
    for (uint j = 0; j < COLS; j++)
        w_at[j] = min(tile_col(first_col, j), n_cols - 1) * w_stride;
}

void load_w(uint k)
{
    for (uint j = 0; j < COLS; j++) {
        float v[8];
        if (ALIGNED != 0)
            load_eight(w_at[j] + k, v);
        for (uint i = 0; i < STEP; i++)
            wv[i][j] = ALIGNED != 0 ? v[i] : cut(WEIGHT(w, w_at[j] + min(k + i, last)), k + i);
    }
}

void touch(uint k)
{
}
#else
uint w_at[COLS];   // columns of W
uint w_col, w_end; // the tile's first column, W's last one
uint w_row;        // elements of a row
const uint LINE = DTYPE == DTYPE_F32 ? 16 : 32; // elements of W in a line of the cache

void start_w(uint first_col)
{
    uint col = tile_col(first_col, 0);
    for (uint j = 0; j < COLS; j++)
        w_at[j] = ALIGNED != 0 && col >= n_cols ? n_cols - COLS + j : min(col + j, n_cols - 1);
    w_col = first_col;
    w_end = n_cols - 1;
    w_row = w_stride;
}

void load_w(uint k)
{
    for (uint i = 0; i < STEP; i++) {
        uint row = min(k + i, last) * w_row;
        if (ALIGNED != 0)
            load_eight(row + w_at[0], wv[i]);
        for (uint j = 0; j < COLS; j++)
            if (ALIGNED == 0)
                wv[i][j] = cut(WEIGHT(w, row + w_at[j]), k + i);
    }
}

// Brings rows from k on into the cache, LANES at once: they lie in as many pages, of which load_w
// would await one after another.
void touch(uint k)
{
    for (uint i = 0; i < STEP; i += LANES)
        for (uint j = 0; j < COLS * LANES; j += LINE) {
            uint row = min(k + i + gl_LocalInvocationID.x, last);
            uint at = row * w_row + min(w_col + j, w_end);
            touched |= w[DTYPE == DTYPE_F32 ? at : at / 2];
        }
}
#endif

void add_group(uint g)
{
    for (uint l = 0; l < 8; l++) {
        if (l >= LANES)
            break;
        float b[STEP];
        for (uint i = 0; i < STEP; i++)
            b[i] = subgroupShuffle(av[i], l);
        for (uint j = 0; j < COLS; j++) {
            float sum = acc[g][l][j];
            for (uint i = 0; i < STEP; i++)
                sum = fma(b[i], wv[i][j], sum);
            acc[g][l][j] = sum;
        }
    }
}

float load_bias(uint col)
{
    return has_bias != 0 && col < n_cols ? WEIGHT_OF(BIAS_DTYPE, bias, c_0 + col) : 0.0;
}

// Four neighbouring columns of a row.
void store_four(uint row, uint col, vec4 sum, vec4 bias_of)
{
    uint at = (row0 + row) * c_stride + c_0 + col;
    if (row >= n_rows || col >= n_cols)
        return;
    if (FACTOR_C != 0) {
        uint from = factor_c_at(row, col);
        if (ALIGNED != 0)
            sum *= factor_c4[from / 4];
        for (uint i = 0; ALIGNED == 0 && i < 4; i++)
            if (col + i < n_cols)
                sum[i] *= factor_c[from + i];
    }
    sum += bias_of;
    if (ALIGNED != 0) {
        c4[at / 4] = HAS_RESIDUAL != 0 ? sum + residual4[at / 4] : sum;
    } else {
        for (uint i = 0; i < 4; i++)
            if (col + i < n_cols)
                c[at + i] = HAS_RESIDUAL != 0 ? sum[i] + residual[at + i] : sum[i];
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
    last = n_inner - 1;
    start_a(first_row);
    start_w(first_col);
    for (uint k = 0; k <= last; k += STEP) {
        touch(k + STEP);
        load_w(k);
        for (uint g = 0; g < GROUPS; g++) {
            load_a(g, k);
            add_group(g);
        }
    }
    if ((touched & n_parts) != 0) // never, as n_parts is 0: only that touch() is not left out
        return;
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
                               vec4(acc[g][l][j], acc[g][l][j + 1], acc[g][l][j + 2],
                                    acc[g][l][j + 3]),
                               bv[j / 4]);
}
