// layernorm_ref.c: layer normalisation, by plain loops.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

#include <math.h>
#include <stdlib.h>

static double mean(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t c = 0; c < n; c++)
        sum += x[c];
    return sum / (double)n;
}

static double inverse_std(const op_ref_call *r, const double *x, int64_t n) {
    const double m = mean(x, n);
    double sum = 0;
    for (int64_t c = 0; c < n; c++)
        sum += (x[c] - m) * (x[c] - m);
    return 1 / sqrt(sum / (double)n + (double)r->attr->eps);
}

static void forward(const op_ref_call *r) {
    const int64_t n = r->x[0].shape[1];
    for (int64_t at = 0; at < ref_elems(&r->y); at += n) {
        const double inv = inverse_std(r, (r->mode == VA_DETACHED ? r->at[0] : r->xv[0]) + at, n);
        const double m = mean(r->xv[0] + at, n);
        for (int64_t c = 0; c < n; c++)
            r->out[at + c] =
                (r->xv[0][at + c] - m) * inv * r->xv[1][c] + (r->xv[2] ? r->xv[2][c] : 0);
    }
}

// sum_c (x_c - mean x) v_c / n
static double covariance(const double *x, const double *v, int64_t n) {
    const double m = mean(x, n);
    double sum = 0;
    for (int64_t c = 0; c < n; c++)
        sum += (x[c] - m) * v[c];
    return sum / (double)n;
}

static void jvp(const op_ref_call *r) {
    const int64_t n = r->x[0].shape[1];
    for (int64_t at = 0; at < ref_elems(&r->y); at += n) {
        const double *x = r->xv[0] + at, *dx = r->dx[0] ? r->dx[0] + at : NULL;
        const double inv = inverse_std(r, x, n), m = mean(x, n);
        const double along = dx && r->mode == VA_EXACT ? covariance(x, dx, n) : 0;
        for (int64_t c = 0; c < n; c++)
            r->out[at + c] = dx ? r->xv[1][c] * (inv * (dx[c] - mean(dx, n)) -
                                                 inv * inv * inv * (x[c] - m) * along)
                                : 0;
    }
}

static void vjp(const op_ref_call *r) {
    const int64_t n = r->x[0].shape[1];
    double *h = calloc((size_t)n, sizeof *h);
    for (int64_t at = 0; h && r->gx[0] && at < ref_elems(&r->y); at += n) {
        const double *x = r->xv[0] + at;
        for (int64_t c = 0; c < n; c++)
            h[c] = r->dy[at + c] * r->xv[1][c];
        const double inv = inverse_std(r, x, n), m = mean(x, n), mean_h = mean(h, n);
        const double along = r->mode == VA_EXACT ? covariance(x, h, n) : 0;
        for (int64_t c = 0; c < n; c++)
            r->gx[0][at + c] += inv * (h[c] - mean_h) - inv * inv * inv * (x[c] - m) * along;
    }
    free(h);
}

const op_ref op_ref_layernorm = {forward, jvp, vjp};
