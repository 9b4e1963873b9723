#version 450
// matmul_pack.comp: operands for matrix cores, which multiply 16-bit floats.
// f16 holds 11 of the 24 bits of an f32. So A goes in as the sum of two, hi + lo, after its row was scaled
// by a power of two to the top of f16's range: 22 bits (H. Ootomo, R. Yokota, "Recovering single
// precision accuracy from Tensor Cores", 2022). bf16 holds 8 bits and has f32's range: the sum of three
// is an f32. The sums are f32.
// ROWS       scale[r] of each row of W, such that W[r, :] scale[r] stays within f16
// PACK       rows of A to [n_packed, 2, k_packed] f16, large terms first, zeros past the ends; with
//            W_SCALED column i is divided by scale[i] before. undo[r] makes up for the row's scaling.
// PACK_BF16  the same to [n_packed, 3, k_packed] bf16
// variants: ROWS PACK PACK_BF16
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 1) const uint LOCAL = 64;
#include "item.glsl"
#include "reduce.glsl"
#include "matmul.glsl"
#include "weight.glsl"

layout(constant_id = 2) const uint W_SCALED = 0;
layout(constant_id = 3) const uint FACTOR_A = 0;

layout(local_size_x = 64, local_size_x_id = 1) in;

// The power of two that lifts most to [2^14, 2^15); 1 where it is 0 or not finite. Neither it nor its
// inverse leaves the normal range.
float scale_of(float most)
{
    uint e = floatBitsToUint(most) >> 23;
    return e == 0 || e == 255 ? 1.0 : uintBitsToFloat(min(268 - e, 253u) << 23);
}

#ifdef ROWS
layout(set = 0, binding = 0) readonly buffer W { uint w[]; };
layout(set = 0, binding = 1) writeonly buffer Scale { float scale[]; };

void main()
{
    uint row = group_index();
    if (row >= n_rows)
        return;
    float most = 0;
    for (uint i = gl_LocalInvocationID.x; i < w_stride; i += LOCAL)
        most = max(most, abs(WEIGHT(w, row * w_stride + i)));
    most = reduce_max(most);
    if (gl_LocalInvocationID.x == 0)
        scale[row] = scale_of(most);
}
#endif

#ifndef ROWS
#define FACTOR_A_BINDING 2
#include "matmul_a.glsl"
layout(set = 0, binding = 1) readonly buffer Scale { float scale[]; };
layout(set = 0, binding = 3) writeonly buffer Packed { uint halves[]; };
layout(set = 0, binding = 4) writeonly buffer Undo { float undo[]; };

float load(uint row, uint i)
{
    float v = load_a(row, i);
    return W_SCALED != 0 && i < n_inner ? v / scale[i] : v;
}

// lift: what a row is multiplied by whose largest element is most. take_term: v as two floats of 16 bits;
// v becomes what is left of it. Of infinity the first term says all.
#ifdef PACK
const uint TERMS = 2;

float lift(float most)
{
    return scale_of(most);
}

uint take_term(inout vec2 v)
{
    uint word = packHalf2x16(v);
    v = mix(v - unpackHalf2x16(word), vec2(0), isinf(v));
    return word;
}
#else
const uint TERMS = 3;

// 2^32 for rows below 2^-64: matrix cores may take what is denormal for 0, and the last terms come to
// 2^-24 of the first. Lifted, such a row is still so small that no weight makes it overflow.
float lift(float most)
{
    return floatBitsToUint(most) >> 23 < 127 - 64 ? uintBitsToFloat(uint(127 + 32) << 23) : 1.0;
}

// Cut off rather than rounded: three times 8 bits are all 24, and no finite v becomes infinite.
uint take_term(inout vec2 v)
{
    uvec2 term = floatBitsToUint(v) & 0xffff0000u;
    v = mix(v - uintBitsToFloat(term), vec2(0), isinf(v));
    return term.x >> 16 | term.y;
}
#endif

void main()
{
    uint row = group_index(), me = gl_LocalInvocationID.x;
    if (row >= n_packed)
        return;
    float most = 0;
    for (uint i = me; i < n_inner; i += LOCAL)
        most = max(most, abs(load(row, i)));
    float by = lift(reduce_max(most));
    for (uint i = 2 * me; i < k_packed; i += 2 * LOCAL) {
        vec2 v = vec2(load(row, i), load(row, i + 1)) * by;
        [[unroll]] for (uint t = 0; t < TERMS; t++)
            halves[((row * TERMS + t) * k_packed + i) / 2] = take_term(v);
    }
    if (me == 0)
        undo[row] = 1 / by;
}
#endif
