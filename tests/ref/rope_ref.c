// rope_ref.c: rotary position embedding, by plain loops.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

// to = the rotation of from; sign -1 turns back. Adds when add.
static void rotate(const op_ref_call *r, const double *from, double *to, double sign, bool add) {
    int64_t M = r->x[0].shape[0], H = r->x[0].shape[1], D = r->x[0].shape[2];
    int64_t half = r->x[1].shape[1];
    for (int64_t m = 0; m < M; m++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t d = 0; d < D; d++) {
                int64_t at = (m * H + h) * D + d, i = d % half;
                const double *turn = &r->xv[1][(m % r->attr->seq_len * half + i) * 2];
                double v = from[at];
                if (d < half)
                    v = from[at] * turn[0] - sign * from[at + half] * turn[1];
                else if (d < 2 * half)
                    v = from[at] * turn[0] + sign * from[at - half] * turn[1];
                to[at] = add ? to[at] + v : v;
            }
}

static void forward(const op_ref_call *r) {
    rotate(r, r->xv[0], r->out, 1, false);
}

static void jvp(const op_ref_call *r) {
    if (r->dx[0])
        rotate(r, r->dx[0], r->out, 1, false);
    for (int64_t i = 0; !r->dx[0] && i < ref_elems(&r->y); i++)
        r->out[i] = 0;
}

static void vjp(const op_ref_call *r) {
    if (r->gx[0])
        rotate(r, r->dy, r->gx[0], -1, true);
}

const op_ref op_ref_rope = {forward, jvp, vjp};
