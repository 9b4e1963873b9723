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

// Products of one element of x with those of four rows of y. Written out, not looped: not every
// driver keeps arrays in registers.
vec4 products(T4 a, T4 b0, T4 b1, T4 b2, T4 b3)
{
#ifdef VEC4
    return a.x * vec4(b0.x, b1.x, b2.x, b3.x) + a.y * vec4(b0.y, b1.y, b2.y, b3.y) +
           a.z * vec4(b0.z, b1.z, b2.z, b3.z) + a.w * vec4(b0.w, b1.w, b2.w, b3.w);
#else
    return a * vec4(b0, b1, b2, b3);
#endif
}

void store(uint row, uint b0, uint P, uint p, vec4 sum)
{
    if (row >= rows)
        return;
    uint at = (row * ky + b0) * P + p;
    part[at] = sum.x;
    if (b0 + 1 < ky)
        part[at + P] = sum.y;
    if (b0 + 2 < ky)
        part[at + 2 * P] = sum.z;
    if (b0 + 3 < ky)
        part[at + 3 * P] = sum.w;
}

void main()
{
    uint P = gl_NumWorkGroups.z * gl_WorkGroupSize.x;
    uint p = gl_WorkGroupID.z * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint b0 = 4 * gl_WorkGroupID.x, r0 = 4 * gl_WorkGroupID.y;
    vec4 s0 = vec4(0), s1 = vec4(0), s2 = vec4(0), s3 = vec4(0);
    // Rows past the end repeat the last one and are not written.
    uvec4 a = min(uvec4(a_first + r0) + uvec4(0, 1, 2, 3), uvec4(kx - 1)) * d;
    uvec4 b = min(uvec4(b0) + uvec4(0, 1, 2, 3), uvec4(ky - 1)) * d;
    for (uint t = 0; t < T; t++) {
        for (uint c = p; c < d; c += P) {
            T4 y0 = y[b.x + c], y1 = y[b.y + c], y2 = y[b.z + c], y3 = y[b.w + c];
            s0 += products(x[a.x + c], y0, y1, y2, y3);
            s1 += products(x[a.y + c], y0, y1, y2, y3);
            s2 += products(x[a.z + c], y0, y1, y2, y3);
            s3 += products(x[a.w + c], y0, y1, y2, y3);
        }
        a += kx * d;
        b += ky * d;
    }
    store(r0, b0, P, p, s0);
    store(r0 + 1, b0, P, p, s1);
    store(r0 + 2, b0, P, p, s2);
    store(r0 + 3, b0, P, p, s3);
}
