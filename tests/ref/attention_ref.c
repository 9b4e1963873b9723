// attention_ref.c: causal attention with grouped queries, one row of scores at a time.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

#include <math.h>
#include <stdlib.h>

enum { Q, K, V };

typedef struct sizes {
    int64_t M, H, G, D, T;
} sizes;

static sizes get_sizes(const op_ref_call *r) {
    return (sizes){r->x[Q].shape[0], r->x[Q].shape[1], r->x[K].shape[1], r->x[Q].shape[2],
                   r->attr->seq_len};
}

// Offset of head h of row m in q, and of the head that it uses in k and v.
static int64_t q_at(sizes s, int64_t m, int64_t h) {
    return (m * s.H + h) * s.D;
}

static int64_t kv_at(sizes s, int64_t m, int64_t h) {
    return (m * s.G + h / (s.H / s.G)) * s.D;
}

static bool sees(const op_ref_call *r, int64_t i, int64_t j) {
    int64_t T = r->attr->seq_len, window = r->attr->window;
    return i / T == j / T && j <= i && (window == 0 || i - j < window);
}

static double dot(sizes s, const double *a, const double *b) {
    double sum = 0;
    for (int64_t d = 0; d < s.D; d++)
        sum += a[d] * b[d];
    return sum;
}

// Probabilities of row (m, h) over its sequence, and the derivative of cap at each score.
static void row_probs(const op_ref_call *r, const double *const *xv, int64_t m, int64_t h,
                      double *p, double *slope) {
    sizes s = get_sizes(r);
    int64_t base = m / s.T * s.T;
    double c = r->attr->softcap, top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < s.T; j++) {
        p[j] = -INFINITY;
        slope[j] = 0;
        if (!sees(r, m, base + j))
            continue;
        double score =
            (double)r->attr->scale * dot(s, xv[Q] + q_at(s, m, h), xv[K] + kv_at(s, base + j, h));
        double t = c > 0 ? tanh(score / c) : 0;
        p[j] = c > 0 ? c * t : score;
        slope[j] = 1 - t * t;
        top = fmax(top, p[j]);
    }
    for (int64_t j = 0; j < s.T; j++)
        sum += p[j] = exp(p[j] - top);
    for (int64_t j = 0; j < s.T; j++)
        p[j] /= sum;
}

static void forward(const op_ref_call *r) {
    sizes s = get_sizes(r);
    double *p = calloc((size_t)s.T * 2, sizeof *p);
    for (int64_t m = 0; m < s.M; m++)
        for (int64_t h = 0; h < s.H; h++) {
            row_probs(r, r->mode == VA_DETACHED ? r->at : r->xv, m, h, p, p + s.T);
            for (int64_t d = 0; d < s.D; d++) {
                double sum = 0;
                for (int64_t j = 0; j < s.T; j++)
                    if (sees(r, m, m / s.T * s.T + j))
                        sum += p[j] * r->xv[V][kv_at(s, m / s.T * s.T + j, h) + d];
                r->out[q_at(s, m, h) + d] = sum;
            }
        }
    free(p);
}

// dp = the tangent of row (m, h) of P.
static void row_tangent(const op_ref_call *r, int64_t m, int64_t h, const double *p,
                        const double *slope, double *dp) {
    sizes s = get_sizes(r);
    double mean = 0;
    for (int64_t j = 0; j < s.T; j++) {
        int64_t at = kv_at(s, m / s.T * s.T + j, h);
        double v = 0;
        dp[j] = 0;
        if (!sees(r, m, m / s.T * s.T + j))
            continue;
        if (r->dx[Q])
            v += dot(s, r->dx[Q] + q_at(s, m, h), r->xv[K] + at);
        if (r->dx[K])
            v += dot(s, r->xv[Q] + q_at(s, m, h), r->dx[K] + at);
        dp[j] = v * (double)r->attr->scale * slope[j];
        mean += p[j] * dp[j];
    }
    for (int64_t j = 0; j < s.T; j++)
        dp[j] = r->mode == VA_EXACT ? p[j] * (dp[j] - mean) : 0;
}

static void jvp(const op_ref_call *r) {
    sizes s = get_sizes(r);
    double *p = calloc((size_t)s.T * 3, sizeof *p), *slope = p + s.T, *dp = slope + s.T;
    for (int64_t m = 0; m < s.M; m++)
        for (int64_t h = 0; h < s.H; h++) {
            row_probs(r, r->xv, m, h, p, slope);
            row_tangent(r, m, h, p, slope, dp);
            for (int64_t d = 0; d < s.D; d++) {
                double sum = 0;
                for (int64_t j = 0; j < s.T; j++) {
                    int64_t at = kv_at(s, m / s.T * s.T + j, h) + d;
                    if (!sees(r, m, m / s.T * s.T + j))
                        continue;
                    sum += dp[j] * r->xv[V][at] + (r->dx[V] ? p[j] * r->dx[V][at] : 0);
                }
                r->out[q_at(s, m, h) + d] = sum;
            }
        }
    free(p);
}

// What row (m, h) gives to the cotangents of q, k and v.
static void row_back(const op_ref_call *r, int64_t m, int64_t h, const double *p,
                     const double *slope, double *dp) {
    sizes s = get_sizes(r);
    const double *dy = r->dy + q_at(s, m, h);
    double mean = 0;
    for (int64_t j = 0; j < s.T; j++) {
        dp[j] = dot(s, dy, r->xv[V] + kv_at(s, m / s.T * s.T + j, h));
        mean += p[j] * dp[j];
    }
    for (int64_t j = 0; j < s.T; j++) {
        int64_t at = kv_at(s, m / s.T * s.T + j, h);
        double ds =
            r->mode == VA_EXACT ? p[j] * (dp[j] - mean) * slope[j] * (double)r->attr->scale : 0;
        for (int64_t d = 0; d < s.D; d++) {
            if (r->gx[Q])
                r->gx[Q][q_at(s, m, h) + d] += ds * r->xv[K][at + d];
            if (r->gx[K])
                r->gx[K][at + d] += ds * r->xv[Q][q_at(s, m, h) + d];
            if (r->gx[V])
                r->gx[V][at + d] += p[j] * dy[d];
        }
    }
}

static void vjp(const op_ref_call *r) {
    sizes s = get_sizes(r);
    double *p = calloc((size_t)s.T * 3, sizeof *p);
    for (int64_t m = 0; m < s.M; m++)
        for (int64_t h = 0; h < s.H; h++) {
            row_probs(r, r->xv, m, h, p, p + s.T);
            row_back(r, m, h, p, p + s.T, p + 2 * s.T);
        }
    free(p);
}

const op_ref op_ref_attention = {forward, jvp, vjp};
