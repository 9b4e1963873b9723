// y = alpha x + beta y; beta = 0 does not read y, so that NaNs in fresh memory do no harm.
// variants: SCALAR VEC4
// VEC4 is for lengths that are multiples of 4; n counts elements of its type. A workgroup covers
// 64 * PER of them, and neighbouring invocations stay neighbours in memory.
// SPDX-License-Identifier: Apache-2.0
#version 450
#ifdef VEC4
#define T vec4
#else
#define T float
#endif
layout(local_size_x = 64) in;
const uint PER = 8;
layout(set = 0, binding = 0) readonly buffer X { T x[]; };
layout(set = 0, binding = 1) buffer Y { T y[]; };
layout(push_constant) uniform Push {
    uint n;
    float alpha, beta;
};

void main()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    uint first = group * 64 * PER + gl_LocalInvocationID.x;
    for (uint k = 0; k < PER; k++) {
        uint i = first + 64 * k;
        if (i >= n)
            return;
        T old = T(0);
        if (beta != 0.0)
            old = beta * y[i];
        y[i] = alpha * x[i] + old;
    }
}
