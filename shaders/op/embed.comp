#version 450
// embed.comp: y[m] = table[ids[m]], for ids within the bound rows row0..row0+n_rows-1 of the table.
// An id beyond the whole table gives NaN, never another row.
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
#define LOCAL 256
#include "item.glsl"
#include "weight.glsl"

layout(local_size_x = LOCAL) in;
layout(set = 0, binding = 0) readonly buffer Table { uint table[]; };
layout(set = 0, binding = 1) readonly buffer Ids { uint ids[]; };
layout(set = 0, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push
{
    uint n, d, row0, n_rows, n_table; // n = M d
};

void main()
{
    uint i = item_index();
    if (i >= n)
        return;
    uint id = ids[i / d];
    if (id >= n_table)
        y[i] = uintBitsToFloat(0x7fc00000u);
    else if (id >= row0 && id - row0 < n_rows)
        y[i] = WEIGHT(table, (id - row0) * d + i % d);
}
