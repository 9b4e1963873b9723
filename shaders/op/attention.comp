#version 450
// attention.comp: P = softmax over j of S, S_ij = cap(scale q_i.k_j), o_i = sum_j P_ij v_j;
// j sees i when 0 <= i - j < window; head h of q uses head h / (H/G) of k and v.
// PROBS       q, k -> P [M, H, T], zero where j is not seen
// JVP_SCORES  dS_ij = cap' scale (dq_i.k_j + q_i.dk_j), dP = P (dS - sum_j P dS) -> scratch
// VJP_SCORES  dP_ij = do_i.v_j, dS = P (dP - sum_j P dP) cap' scale -> scratch
// APPLY       out_i[h] = sum_j A_ij[h] B_j[g]          o = P v, do = dP v + P dv, dq = dS k
// APPLY_T     out_j[g] = sum_h sum_i A_ij[h] B_i[h]    dv = P' do, dk = dS' q
// cap(s) = c tanh(s/c), cap' = 1 - tanh(s/c)^2, s the score itself; c = 0: none.
// Rows row0.. and vectors k0..k0+kc-1 are done at once; scratch is [rows, kc, H, T]. Tangents hold
// rows q_row0..end-1 (of q and o) and kv_row0..end-1 (of k and v).
// variants: PROBS JVP_SCORES VJP_SCORES APPLY APPLY_T
// SPDX-License-Identifier: Apache-2.0
#extension GL_GOOGLE_include_directive : require
layout(constant_id = 0) const uint LOCAL = 64;
#include "item.glsl"
#include "math.glsl"

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(push_constant) uniform Push
{
    uint T, H, G, D;
    uint row0, n_rows, k, k0, kc, window;
    float scale, cap;
    uint flags; // below
    uint out_row0, q_row0, kv_row0, end;
};
#define HAS_DQ 1u
#define HAS_DK 2u
#define A_BY_VECTOR 4u // A is scratch, otherwise P
#define B_BY_VECTOR 8u // B is [M, k, ...], otherwise [M, ...]
#define ACCUMULATE 16u

bool flag(uint bit)
{
    return (flags & bit) != 0u;
}

// First key that row i of a sequence sees.
uint first_key(uint i)
{
    return window != 0u && i + 1u > window ? i + 1u - window : 0u;
}

// One past the last row that sees key j.
uint end_row(uint j)
{
    return window != 0u && j + window < T ? j + window : T;
}

#if defined(PROBS) || defined(JVP_SCORES) || defined(VJP_SCORES)
#include "reduce.glsl"

layout(set = 0, binding = 0) readonly buffer Q { float q[]; };
layout(set = 0, binding = 1) readonly buffer K { float key[]; };

float raw_score(uint q_at, uint k_at)
{
    float s = 0;
    for (uint d = 0; d < D; d++)
        s = fma(q[q_at + d], key[k_at + d], s);
    return s * scale;
}
#endif

#ifdef PROBS
layout(set = 0, binding = 2) buffer P { float p[]; };

void main()
{
    uint row = group_index(); // (m, h)
    if (row >= n_rows * H)
        return;
    uint me = gl_LocalInvocationID.x;
    uint m = row / H, h = row % H, g = h / (H / G), i = m % T, base = m - i;
    uint low = first_key(i);
    float top = -MATH_INF;
    for (uint j = me; j < T; j += LOCAL) {
        float s = 0;
        if (j >= low && j <= i) {
            s = raw_score((m * H + h) * D, ((base + j) * G + g) * D);
            if (cap != 0.0)
                s = cap * math_tanh(s / cap);
            top = s > top ? s : top;
        }
        p[row * T + j] = s;
    }
    top = reduce_max(top);
    float sum = 0;
    for (uint j = me; j < T; j += LOCAL)
        if (j >= low && j <= i) {
            float e = math_exp(p[row * T + j] - top);
            p[row * T + j] = e;
            sum += e;
        }
    sum = reduce_sum(sum);
    for (uint j = me; j < T; j += LOCAL)
        if (j >= low && j <= i)
            p[row * T + j] /= sum;
}
#endif

#if defined(JVP_SCORES) || defined(VJP_SCORES)
layout(set = 0, binding = 2) readonly buffer P { float p[]; };

float cap_slope(uint q_at, uint k_at)
{
    return cap == 0.0 ? 1.0 : math_sech2(raw_score(q_at, k_at) / cap);
}

#ifdef JVP_SCORES
layout(set = 0, binding = 3) readonly buffer DQ { float dq[]; };
layout(set = 0, binding = 4) readonly buffer DK { float dk[]; };
layout(set = 0, binding = 5) buffer DP { float dp[]; };

float score_tangent(uint m, uint mj, uint h, uint g, uint kk)
{
    uint q_at = (m * H + h) * D, k_at = (mj * G + g) * D;
    uint dq_at = (((m - q_row0) * k + kk) * H + h) * D;
    uint dk_at = (((mj - kv_row0) * k + kk) * G + g) * D;
    float s = 0;
    if (flag(HAS_DQ))
        for (uint d = 0; d < D; d++)
            s = fma(dq[dq_at + d], key[k_at + d], s);
    if (flag(HAS_DK) && mj >= kv_row0)
        for (uint d = 0; d < D; d++)
            s = fma(q[q_at + d], dk[dk_at + d], s);
    return s * scale * cap_slope(q_at, k_at);
}

float finish(float p_ij, float v, float mean, uint q_at, uint k_at)
{
    return p_ij * (v - mean);
}
#else
layout(set = 0, binding = 3) readonly buffer V { float value[]; };
layout(set = 0, binding = 4) readonly buffer DO { float d_o[]; };
layout(set = 0, binding = 5) buffer DS { float dp[]; };

float score_tangent(uint m, uint mj, uint h, uint g, uint kk)
{
    uint o_at = (((m - q_row0) * k + kk) * H + h) * D, v_at = (mj * G + g) * D;
    float s = 0;
    for (uint d = 0; d < D; d++)
        s = fma(d_o[o_at + d], value[v_at + d], s);
    return s;
}

float finish(float p_ij, float v, float mean, uint q_at, uint k_at)
{
    return p_ij * (v - mean) * scale * cap_slope(q_at, k_at);
}
#endif

void main()
{
    uint row = group_index(); // (m - row0, kk - k0, h)
    if (row >= n_rows * kc * H)
        return;
    uint me = gl_LocalInvocationID.x;
    uint h = row % H, kk = k0 + row / H % kc, m = row0 + row / (H * kc);
    uint g = h / (H / G), i = m % T, base = m - i, low = first_key(i);
    uint p_at = (m * H + h) * T;
    float sum = 0;
    for (uint j = me; j < T; j += LOCAL) {
        float v = 0;
        if (j >= low && j <= i) {
            v = score_tangent(m, base + j, h, g, kk);
            sum = fma(p[p_at + j], v, sum);
        }
        dp[row * T + j] = v;
    }
    sum = reduce_sum(sum);
    for (uint j = me; j < T; j += LOCAL)
        if (j >= low && j <= i)
            dp[row * T + j] = finish(p[p_at + j], dp[row * T + j], sum, (m * H + h) * D,
                                     ((base + j) * G + g) * D);
}
#endif

#if defined(APPLY) || defined(APPLY_T)
layout(set = 0, binding = 0) readonly buffer A { float a[]; };
layout(set = 0, binding = 1) readonly buffer B { float b[]; };
layout(set = 0, binding = 2) buffer Out { float result[]; };

uint a_index(uint m, uint kk, uint h, uint j)
{
    if (flag(A_BY_VECTOR))
        m = (m - row0) * kc + (kk - k0);
    return (m * H + h) * T + j;
}

// first: row of B's tangents at which they begin.
uint b_index(uint m, uint kk, uint n_head, uint h, uint d, uint first)
{
    if (flag(B_BY_VECTOR))
        m = (m - first) * k + kk;
    return (m * n_head + h) * D + d;
}

void main()
{
#ifdef APPLY
    uint n_head = H, out_first = q_row0;
#else
    uint n_head = G, out_first = kv_row0;
#endif
    uint item = item_index(); // (m - out_row0, kk - k0, head, d)
    if (item >= n_rows * kc * n_head * D)
        return;
    uint d = item % D, head = item / D % n_head, kk = k0 + item / (D * n_head) % kc;
    uint m = out_row0 + item / (D * n_head * kc), pos = m % T, base = m - pos;
    float sum = 0;
#ifdef APPLY
    uint low = first_key(pos);
    if (flag(B_BY_VECTOR) && base + low < kv_row0) // the tangents of earlier keys are zero
        low = kv_row0 - base;
    for (uint j = low; j <= pos; j++)
        sum = fma(a[a_index(m, kk, head, j)],
                  b[b_index(base + j, kk, G, head / (H / G), d, kv_row0)], sum);
#else
    for (uint h = head * (H / G); h < (head + 1) * (H / G); h++)
        for (uint i = max(base + pos, q_row0) - base; i < min(end_row(pos), end - base); i++)
            sum = fma(a[a_index(base + i, kk, h, pos)], b[b_index(base + i, kk, H, h, d, q_row0)],
                      sum);
#endif
    uint at = (((m - out_first) * k + kk) * n_head + head) * D + d;
    if (flag(ACCUMULATE))
        sum += result[at];
    result[at] = sum;
}
#endif
