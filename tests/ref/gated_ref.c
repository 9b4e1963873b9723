// gated_ref.c: act(x W_gate') * (x W_up'), by plain loops. Detached: act at the frozen x.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

// sum_i x[m, i] W[f, i]
static double dot(const op_ref_call *r, const double *x, int w, int64_t m, int64_t f) {
    const int64_t d = r->x[0].shape[1];
    double sum = 0;
    for (int64_t i = 0; i < d; i++)
        sum += x[m * d + i] * r->xv[w][f * d + i];
    return sum;
}

static void forward(const op_ref_call *r) {
    const double *frozen = r->mode == VA_DETACHED ? r->at[0] : r->xv[0];
    const int64_t F = r->y.shape[1];
    for (int64_t e = 0; e < ref_elems(&r->y); e++)
        r->out[e] = ref_act(r->attr->act, dot(r, frozen, 1, e / F, e % F)) *
                    dot(r, r->xv[0], 2, e / F, e % F);
}

static void jvp(const op_ref_call *r) {
    const int64_t F = r->y.shape[1];
    for (int64_t e = 0; e < ref_elems(&r->y); e++) {
        r->out[e] = 0;
        if (!r->dx[0])
            continue;
        const double g = dot(r, r->xv[0], 1, e / F, e % F), u = dot(r, r->xv[0], 2, e / F, e % F);
        r->out[e] = ref_act(r->attr->act, g) * dot(r, r->dx[0], 2, e / F, e % F);
        if (r->mode == VA_EXACT)
            r->out[e] += ref_act_slope(r->attr->act, g) * u * dot(r, r->dx[0], 1, e / F, e % F);
    }
}

static void vjp(const op_ref_call *r) {
    const int64_t F = r->y.shape[1], d = r->x[0].shape[1];
    for (int64_t e = 0; r->gx[0] && e < ref_elems(&r->y); e++) {
        const int64_t m = e / F, f = e % F;
        const double g = dot(r, r->xv[0], 1, m, f), u = dot(r, r->xv[0], 2, m, f);
        const double a = ref_act_slope(r->attr->act, g) * u, b = ref_act(r->attr->act, g);
        for (int64_t i = 0; i < d; i++) {
            r->gx[0][m * d + i] += r->dy[e] * b * r->xv[2][f * d + i];
            if (r->mode == VA_EXACT)
                r->gx[0][m * d + i] += r->dy[e] * a * r->xv[1][f * d + i];
        }
    }
}

const op_ref op_ref_gated = {forward, jvp, vjp};
