// reduce.glsl: sums and maxima over a workgroup of LOCAL invocations (a power of two), in a fixed
// order. Every invocation must call; every one gets the result.
// SPDX-License-Identifier: Apache-2.0
#ifndef REDUCE_GLSL
#define REDUCE_GLSL

shared vec2 reduce_cell[LOCAL];

vec2 reduce_sum2(vec2 v)
{
    uint me = gl_LocalInvocationID.x;
    barrier(); // an earlier result may still be being read
    reduce_cell[me] = v;
    barrier();
    for (uint half_size = LOCAL / 2; half_size > 0; half_size /= 2) {
        if (me < half_size)
            reduce_cell[me] += reduce_cell[me + half_size];
        barrier();
    }
    return reduce_cell[0];
}

float reduce_sum(float v)
{
    return reduce_sum2(vec2(v, 0)).x;
}

// A NaN may be passed over: what uses the maximum must bring it back.
float reduce_max(float v)
{
    uint me = gl_LocalInvocationID.x;
    barrier();
    reduce_cell[me].x = v;
    barrier();
    for (uint half_size = LOCAL / 2; half_size > 0; half_size /= 2) {
        if (me < half_size && reduce_cell[me + half_size].x > reduce_cell[me].x)
            reduce_cell[me].x = reduce_cell[me + half_size].x;
        barrier();
    }
    return reduce_cell[0].x;
}

#endif
