#version 450
// matmul_pack.comp: operands for matrix cores, which multiply 16-bit floats.
// Such a float holds 11 of the 24 bits of an f32. So A goes in as the sum of two, hi + lo, after its row
// was scaled by a power of two to the top of f16's range: 22 bits (H. Ootomo, R. Yokota, "Recovering
// single precision accuracy from Tensor Cores", 2022). The sums are f32.
// ROWS   scale[r] of each row of W, such that W[r, :] scale[r] stays within f16
// PACK   rows of A to [n_packed, 2, k_packed] f16 (hi, lo), zeros past the ends; with W_SCALED column i
//        is divided by scale[i] before. undo[r] makes up for the row's scaling.
// variants: ROWS PACK
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
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

#ifdef PACK
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

void main()
{
    uint row = group_index(), me = gl_LocalInvocationID.x;
    if (row >= n_packed)
        return;
    float most = 0;
    for (uint i = me; i < n_inner; i += LOCAL)
        most = max(most, abs(load(row, i)));
    float by = scale_of(reduce_max(most));
    for (uint i = 2 * me; i < k_packed; i += 2 * LOCAL) {
        vec2 v = vec2(load(row, i), load(row, i + 1)) * by;
        uint hi = packHalf2x16(v), at = (row * 2 * k_packed + i) / 2;
        vec2 lo = v - unpackHalf2x16(hi); // of what is not finite hi says all
        halves[at] = hi;
        halves[at + k_packed / 2] = packHalf2x16(mix(lo, vec2(0), isinf(v)));
    }
    if (me == 0)
        undo[row] = 1 / by;
}
#endif
