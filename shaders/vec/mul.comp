// y[t, b, c] = sum over a of x[t, a, c] R[a, b].
// variants: SCALAR VEC4
// VEC4 is for d that are multiples of 4; d counts elements of its type. One invocation = four b of
// one (t, c).
// SPDX-License-Identifier: Apache-2.0
#version 450
#ifdef VEC4
#define T4 vec4
#else
#define T4 float
#endif
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer X { T4 x[]; };  // [T, kx, d]
layout(set = 0, binding = 1) readonly buffer R { vec4 r[]; }; // [kx, tiles] of four b, zero padded
layout(set = 0, binding = 2) writeonly buffer Y { T4 y[]; }; // [T, ky, d]
layout(push_constant) uniform Push {
    uint T, d, kx, ky, tiles;
};

void main()
{
    uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    uint strips = (d + 63) / 64;
    uint c = group % strips * 64 + gl_LocalInvocationID.x;
    uint tile = group / strips % tiles, t = group / strips / tiles;
    if (t >= T || c >= d)
        return;
    T4 s0 = T4(0), s1 = T4(0), s2 = T4(0), s3 = T4(0);
    uint at = t * kx * d + c;
    for (uint a = 0; a < kx; a++) {
        T4 v = x[at + a * d];
        vec4 w = r[a * tiles + tile];
        s0 += v * w.x;
        s1 += v * w.y;
        s2 += v * w.z;
        s3 += v * w.w;
    }
    uint b = 4 * tile, to = (t * ky + b) * d + c;
    y[to] = s0;
    if (b + 1 < ky)
        y[to + d] = s1;
    if (b + 2 < ky)
        y[to + 2 * d] = s2;
    if (b + 3 < ky)
        y[to + 3 * d] = s3;
}
