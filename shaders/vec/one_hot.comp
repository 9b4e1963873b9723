// x[t, j, c] = 1 where t*d + c = first + j; the rest was cleared before. One invocation = one j.
// SPDX-License-Identifier: Apache-2.0
#version 450
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) writeonly buffer X { float x[]; }; // [T, k, d]
layout(push_constant) uniform Push {
    uint k, d, first, n; // the first n vectors get their one
};

void main()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    uint j = group * 64 + gl_LocalInvocationID.x;
    if (j >= n)
        return;
    uint t = (first + j) / d, c = (first + j) % d;
    x[(t * k + j) * d + c] = 1.0;
}
