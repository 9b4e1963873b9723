// y = alpha x + beta y; beta = 0 does not read y, so that NaNs in fresh memory do no harm.
// SPDX-License-Identifier: Apache-2.0
#version 450
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) buffer Y { float y[]; };
layout(push_constant) uniform Push {
    uint n;
    float alpha, beta;
};

void main()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    uint i = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= n)
        return;
    float old = beta == 0.0 ? 0.0 : beta * y[i];
    y[i] = alpha * x[i] + old;
}
