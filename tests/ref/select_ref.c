// select_ref.c: rows of each sequence or their mean, by plain loops.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

// Calls of y[row of y] and x[row of x] that belong together, with their weight.
typedef void (*pair_fn)(const op_ref_call *r, int64_t y_row, int64_t x_row, double weight,
                        int64_t width, const double *from);

static void to_out(const op_ref_call *r, int64_t y_row, int64_t x_row, double weight, int64_t width,
                   const double *from) {
    for (int64_t c = 0; c < width; c++)
        r->out[y_row * width + c] += weight * from[x_row * width + c];
}

static void to_gx(const op_ref_call *r, int64_t y_row, int64_t x_row, double weight, int64_t width,
                  const double *from) {
    for (int64_t c = 0; c < width; c++)
        r->gx[0][x_row * width + c] += weight * from[y_row * width + c];
}

static void each_pair(const op_ref_call *r, pair_fn fn, const double *from) {
    const va_op_attr *a = r->attr;
    int64_t n_seq = r->x[0].shape[0] / a->seq_len, width = ref_elems(&r->x[0]) / r->x[0].shape[0];
    for (int64_t s = 0; s < n_seq; s++)
        for (int64_t j = 0; j < a->count; j++)
            fn(r, a->mean ? s : s * a->count + j, s * a->seq_len + a->first + j,
               a->mean ? 1.0 / (double)a->count : 1, width, from);
}

static void gather(const op_ref_call *r, const double *from) {
    for (int64_t i = 0; i < ref_elems(&r->y); i++)
        r->out[i] = 0;
    if (from)
        each_pair(r, to_out, from);
}

static void forward(const op_ref_call *r) {
    gather(r, r->xv[0]);
}

static void jvp(const op_ref_call *r) {
    gather(r, r->dx[0]);
}

static void vjp(const op_ref_call *r) {
    if (r->gx[0])
        each_pair(r, to_gx, r->dy);
}

const op_ref op_ref_select = {forward, jvp, vjp};
