// add_ref.c: sum, by plain loops.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

static void forward(const op_ref_call *r) {
    for (int64_t i = 0; i < ref_elems(&r->y); i++)
        r->out[i] = r->xv[0][i] + r->xv[1][i];
}

static void jvp(const op_ref_call *r) {
    for (int64_t i = 0; i < ref_elems(&r->y); i++)
        r->out[i] = (r->dx[0] ? r->dx[0][i] : 0) + (r->dx[1] ? r->dx[1][i] : 0);
}

static void vjp(const op_ref_call *r) {
    for (int j = 0; j < 2; j++)
        for (int64_t i = 0; r->gx[j] && i < ref_elems(&r->y); i++)
            r->gx[j][i] += r->dy[i];
}

const op_ref op_ref_add = {forward, jvp, vjp};
