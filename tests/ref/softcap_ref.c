// softcap_ref.c: c tanh(x / c), by plain loops. Detached: x times the frozen tanh(z0) / z0.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

#include <math.h>

static double frozen_ratio(double z) {
    return z == 0 ? 1 : tanh(z) / z;
}

static void forward(const op_ref_call *r) {
    double c = r->attr->softcap;
    for (int64_t i = 0; i < ref_elems(&r->y); i++)
        r->out[i] = r->mode == VA_DETACHED ? r->xv[0][i] * frozen_ratio(r->at[0][i] / c)
                                           : c * tanh(r->xv[0][i] / c);
}

static double slope(const op_ref_call *r, int64_t i) {
    double z = r->xv[0][i] / r->attr->softcap, t = tanh(z);
    return r->mode == VA_DETACHED ? frozen_ratio(z) : 1 - t * t;
}

static void jvp(const op_ref_call *r) {
    for (int64_t i = 0; i < ref_elems(&r->y); i++)
        r->out[i] = r->dx[0] ? slope(r, i) * r->dx[0][i] : 0;
}

static void vjp(const op_ref_call *r) {
    for (int64_t i = 0; r->gx[0] && i < ref_elems(&r->y); i++)
        r->gx[0][i] += slope(r, i) * r->dy[i];
}

const op_ref op_ref_softcap = {forward, jvp, vjp};
