#version 450
// rmsnorm.comp: y = r x (w + offset), r = 1 / sqrt(mean x^2 + eps); a workgroup per row of n.
// FORWARD   x -> y; aux = r (w + offset) where it is kept
// JVP       dy = (w + offset) (r dx - r^3 x <x, dx> / n)
// VJP       dx = r g - r^3 x <x, g> / n, g = (w + offset) dy
// DETACHED  both derivatives with r held fast: out = aux in
// Rows: x [M, H], tangents [M, k, H].
// variants: FORWARD JVP VJP DETACHED
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
layout(constant_id = 1) const uint LOCAL = 64;
layout(constant_id = 2) const uint FOURS = 0; // rows are whole fours
#include "item.glsl"
#include "reduce.glsl"
#include "weight.glsl"

layout(local_size_x = 64, local_size_x_id = 1) in;
layout(push_constant) uniform Push
{
    uint n_rows, n, k, heads, keep, accumulate; // n_rows: of what is written
    float eps, offset;
};

// Everything is read and written by units of four elements, or of one, which is then .x of four.
const uint UNIT = FOURS != 0 ? 4 : 1;
#define READABLE(place, Block, name)                                                               \
    layout(set = 0, binding = place) readonly buffer Block { float name[]; };                      \
    layout(set = 0, binding = place) readonly buffer Block##4 { vec4 name##4[]; };
#define WRITABLE(place, Block, name)                                                               \
    layout(set = 0, binding = place) buffer Block { float name[]; };                               \
    layout(set = 0, binding = place) buffer Block##4 { vec4 name##4[]; };
#define READ(name, at) (FOURS != 0 ? name##4[(at) / 4] : vec4(name[at], 0, 0, 0))
#define WRITE(name, at, v)                                                                         \
    if (FOURS != 0)                                                                                \
        name##4[(at) / 4] = v;                                                                     \
    else                                                                                           \
        name[at] = (v).x

#ifdef DETACHED
READABLE(0, Aux, aux)
READABLE(1, In, d_in)
WRITABLE(2, Out, d_out)
#else
READABLE(0, X, x)
layout(set = 0, binding = 1) readonly buffer W { uint w[]; };
layout(set = 0, binding = 1) readonly buffer W2 { uvec2 w2[]; };
layout(set = 0, binding = 1) readonly buffer W4 { uvec4 w4[]; };

vec4 gain(uint c)
{
    return FOURS != 0 ? WEIGHT4(w2, w4, c) + offset : vec4(WEIGHT(w, c) + offset, 0, 0, 0);
}

float inverse_rms(float sum_sq)
{
    return 1.0 / sqrt(sum_sq / float(n) + eps);
}
#endif

#ifdef FORWARD
WRITABLE(2, Y, y)
WRITABLE(3, Aux, aux)

void main()
{
    uint row = group_index(), at = row * n, me = gl_LocalInvocationID.x * UNIT;
    if (row >= n_rows)
        return;
    float sum_sq = 0;
    for (uint c = me; c < n; c += LOCAL * UNIT)
        sum_sq += dot(READ(x, at + c), READ(x, at + c));
    float r = inverse_rms(reduce_sum(sum_sq));
    for (uint c = me; c < n; c += LOCAL * UNIT) {
        vec4 by = r * gain(c);
        WRITE(y, at + c, READ(x, at + c) * by);
        if (keep != 0) {
            WRITE(aux, at + c, by);
        }
    }
}
#else
// Where the row of x begins that a row of tangents belongs to.
uint primal_at(uint row)
{
    return (row / (k * heads) * heads + row % heads) * n;
}
#endif

#ifdef DETACHED
void main()
{
    uint row = group_index(), at = row * n, aux_at = primal_at(row);
    if (row >= n_rows)
        return;
    for (uint c = gl_LocalInvocationID.x * UNIT; c < n; c += LOCAL * UNIT) {
        vec4 v = READ(aux, aux_at + c) * READ(d_in, at + c);
        if (accumulate != 0)
            v += READ(d_out, at + c);
        WRITE(d_out, at + c, v);
    }
}
#endif

#if defined(JVP) || defined(VJP)
READABLE(2, In, d_in)
WRITABLE(3, Out, d_out)

#ifdef JVP
vec4 seen(uint at, uint c) { return READ(d_in, at + c); }
vec4 given(vec4 v, uint c) { return v * gain(c); }
#else
vec4 seen(uint at, uint c) { return READ(d_in, at + c) * gain(c); }
vec4 given(vec4 v, uint c) { return v; }
#endif

void main()
{
    uint row = group_index(), at = row * n, x_at = primal_at(row);
    uint me = gl_LocalInvocationID.x * UNIT;
    if (row >= n_rows)
        return;
    vec2 sum = vec2(0); // <x, x>, <x, d>
    for (uint c = me; c < n; c += LOCAL * UNIT) {
        vec4 v = READ(x, x_at + c);
        sum += vec2(dot(v, v), dot(v, seen(at, c)));
    }
    sum = reduce_sum2(sum);
    float r = inverse_rms(sum.x);
    float along = r * r * (sum.y / float(n));
    for (uint c = me; c < n; c += LOCAL * UNIT) {
        vec4 v = given(r * fma(vec4(-along), READ(x, x_at + c), seen(at, c)), c);
        if (accumulate != 0)
            v += READ(d_out, at + c);
        WRITE(d_out, at + c, v);
    }
}
#endif
