// scale_ref.c: multiplication by a constant, by plain loops.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

static void forward(const op_ref_call *r) {
    for (int64_t i = 0; i < ref_elems(&r->y); i++)
        r->out[i] = (double)r->attr->factor * r->xv[0][i];
}

static void jvp(const op_ref_call *r) {
    for (int64_t i = 0; i < ref_elems(&r->y); i++)
        r->out[i] = r->dx[0] ? (double)r->attr->factor * r->dx[0][i] : 0;
}

static void vjp(const op_ref_call *r) {
    for (int64_t i = 0; r->gx[0] && i < ref_elems(&r->y); i++)
        r->gx[0][i] += (double)r->attr->factor * r->dy[i];
}

const op_ref op_ref_scale = {forward, jvp, vjp};
