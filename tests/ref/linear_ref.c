// linear_ref.c: x W' + b + r, by plain loops.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

static void product(const op_ref_call *r, const double *x, const double *bias,
                    const double *residual) {
    int64_t n_out = r->x[1].shape[0], n_in = r->x[1].shape[1];
    for (int64_t m = 0; m < r->x[0].shape[0]; m++)
        for (int64_t o = 0; o < n_out; o++) {
            double sum = (bias ? bias[o] : 0) + (residual ? residual[m * n_out + o] : 0);
            for (int64_t i = 0; x && i < n_in; i++)
                sum += x[m * n_in + i] * r->xv[1][o * n_in + i];
            r->out[m * n_out + o] = sum;
        }
}

static void forward(const op_ref_call *r) {
    product(r, r->xv[0], r->xv[2], r->xv[3]);
}

static void jvp(const op_ref_call *r) {
    product(r, r->dx[0], NULL, r->dx[3]);
}

static void vjp(const op_ref_call *r) {
    int64_t n_out = r->x[1].shape[0], n_in = r->x[1].shape[1];
    for (int64_t m = 0; r->gx[0] && m < r->x[0].shape[0]; m++)
        for (int64_t o = 0; o < n_out; o++)
            for (int64_t i = 0; i < n_in; i++)
                r->gx[0][m * n_in + i] += r->dy[m * n_out + o] * r->xv[1][o * n_in + i];
    for (int64_t i = 0; r->gx[3] && i < ref_elems(&r->y); i++)
        r->gx[3][i] += r->dy[i];
}

const op_ref op_ref_linear = {forward, jvp, vjp};
