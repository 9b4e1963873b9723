#version 450
// matmul_scale.comp: rows of A times their factor, to [n_rows, n_inner], for a kernel that reads A so often
// that a factor on the way would cost more than this pass: a workgroup per row.
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
layout(constant_id = 1) const uint LOCAL = 64;
layout(constant_id = 2) const uint FOURS = 0; // rows of everything are whole fours
#include "item.glsl"
#define FACTOR_A 1
#define FACTOR_A_BINDING 1
#include "matmul_a.glsl"

layout(local_size_x = 64, local_size_x_id = 1) in;
layout(set = 0, binding = 2) writeonly buffer Out { float scaled[]; };
layout(set = 0, binding = 2) writeonly buffer Out4 { vec4 scaled4[]; };

void main()
{
    uint row = group_index(), me = gl_LocalInvocationID.x;
    if (row >= n_rows)
        return;
    uint at = row * n_inner;
    if (FOURS != 0) {
        for (uint i = 4 * me; i < n_inner; i += 4 * LOCAL)
            scaled4[(at + i) / 4] = load_a4(row, i);
    } else {
        for (uint i = me; i < n_inner; i += LOCAL)
            scaled[at + i] = load_a(row, i);
    }
}
