// rmsnorm_ref.c: root-mean-square normalisation, by plain loops.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

#include <math.h>

static int64_t width(const op_ref_call *r) {
    return r->x[1].shape[0];
}

static double gain(const op_ref_call *r, int64_t c) {
    return r->xv[1][c] + (double)r->attr->weight_offset;
}

static double inverse_rms(const op_ref_call *r, const double *x) {
    double sum = 0;
    for (int64_t c = 0; c < width(r); c++)
        sum += x[c] * x[c];
    return 1 / sqrt(sum / (double)width(r) + (double)r->attr->eps);
}

static void forward(const op_ref_call *r) {
    int64_t n = width(r);
    for (int64_t at = 0; at < ref_elems(&r->y); at += n) {
        double inv = inverse_rms(r, (r->mode == VA_DETACHED ? r->at[0] : r->xv[0]) + at);
        for (int64_t c = 0; c < n; c++)
            r->out[at + c] = r->xv[0][at + c] * inv * gain(r, c);
    }
}

// sum_c x_c v_c g_c / n, with g the gain or 1
static double mean_product(const op_ref_call *r, const double *x, const double *v, bool with_gain) {
    double sum = 0;
    for (int64_t c = 0; c < width(r); c++)
        sum += x[c] * v[c] * (with_gain ? gain(r, c) : 1);
    return r->mode == VA_EXACT ? sum / (double)width(r) : 0;
}

static void jvp(const op_ref_call *r) {
    int64_t n = width(r);
    for (int64_t at = 0; at < ref_elems(&r->y); at += n) {
        const double *x = r->xv[0] + at, *dx = r->dx[0] ? r->dx[0] + at : NULL;
        double inv = inverse_rms(r, x), along = dx ? mean_product(r, x, dx, false) : 0;
        for (int64_t c = 0; c < n; c++)
            r->out[at + c] = dx ? gain(r, c) * (inv * dx[c] - inv * inv * inv * x[c] * along) : 0;
    }
}

static void vjp(const op_ref_call *r) {
    int64_t n = width(r);
    for (int64_t at = 0; r->gx[0] && at < ref_elems(&r->y); at += n) {
        const double *x = r->xv[0] + at, *dy = r->dy + at;
        double inv = inverse_rms(r, x), along = mean_product(r, x, dy, true);
        for (int64_t c = 0; c < n; c++)
            r->gx[0][at + c] += inv * gain(r, c) * dy[c] - inv * inv * inv * x[c] * along;
    }
}

const op_ref op_ref_rmsnorm = {forward, jvp, vjp};
