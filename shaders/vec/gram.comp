// Partial sums of G[a, b] = sum over t, c of x[t, a, c] y[t, b, c]: part p takes c = p, p + P, ...
// variants: SCALAR VEC4
// VEC4 is for d that are multiples of 4; d counts elements of its type. One invocation = one part of
// a 4 x 4 tile of G, without barriers; the host adds the parts in double.
// SPDX-License-Identifier: Apache-2.0
#version 450
#ifdef VEC4
#define T4 vec4
#else
#define T4 float
#endif
layout(local_size_x_id = 0) in;
layout(set = 0, binding = 0) readonly buffer X { T4 x[]; };         // [T, kx, d]
layout(set = 0, binding = 1) readonly buffer Y { T4 y[]; };         // [T, ky, d]
layout(set = 0, binding = 2) writeonly buffer Parts { float part[]; }; // [rows, ky, P]
layout(push_constant) uniform Push {
    uint T, d, kx, ky;
    uint a_first, rows; // of G in this dispatch
};

float product(T4 a, T4 b)
{
#ifdef VEC4
    return dot(a, b);
#else
    return a * b;
#endif
}

void main()
{
    uint P = gl_NumWorkGroups.z * gl_WorkGroupSize.x;
    uint p = gl_GlobalInvocationID.z * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint b0 = 4 * gl_WorkGroupID.x, r0 = 4 * gl_WorkGroupID.y;
    float sum[16];
    for (uint i = 0; i < 16; i++)
        sum[i] = 0.0;
    // Rows past the end repeat the last one and are not written.
    uvec4 a = min(uvec4(a_first + r0) + uvec4(0, 1, 2, 3), uvec4(kx - 1)) * d;
    uvec4 b = min(uvec4(b0) + uvec4(0, 1, 2, 3), uvec4(ky - 1)) * d;
    for (uint t = 0; t < T; t++) {
        uint xt = t * kx * d, yt = t * ky * d;
        for (uint c = p; c < d; c += P) {
            T4 xs[4] = T4[4](x[xt + a.x + c], x[xt + a.y + c], x[xt + a.z + c], x[xt + a.w + c]);
            T4 ys[4] = T4[4](y[yt + b.x + c], y[yt + b.y + c], y[yt + b.z + c], y[yt + b.w + c]);
            for (uint i = 0; i < 4; i++)
                for (uint j = 0; j < 4; j++)
                    sum[4 * i + j] += product(xs[i], ys[j]);
        }
    }
    for (uint i = 0; i < 4; i++)
        for (uint j = 0; j < 4; j++)
            if (r0 + i < rows && b0 + j < ky)
                part[((r0 + i) * ky + b0 + j) * P + p] = sum[4 * i + j];
}
