// op_ref.h: the ops in double by plain loops: what the device is held to.
//
// Forward, jvp and vjp are written from the formulas at the head of runtime/op/X.c; a test
// compares jvp and vjp with finite differences of forward, so the formulas themselves are tested.
// One vector at a time: a tangent has its value's shape.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_OP_REF_H
#define VA_OP_REF_H

#include "vkalign/op.h"

typedef struct op_ref_call {
    const va_op_attr *attr;
    va_mode mode;
    va_tensor x[VA_OP_MAX_IN], y;   // shapes
    const double *xv[VA_OP_MAX_IN]; // values; NULL: an optional input is absent
    const double *at[VA_OP_MAX_IN]; // forward, detached: the point where factors are frozen
    const double *dx[VA_OP_MAX_IN]; // jvp; NULL: zero
    const double *dy;               // vjp
    double *out;                    // forward: y, jvp: its tangent; overwritten
    double *gx[VA_OP_MAX_IN];       // vjp: cotangents, added to; NULL: not wanted
} op_ref_call;

typedef struct op_ref {
    void (*forward)(const op_ref_call *r);
    void (*jvp)(const op_ref_call *r);
    void (*vjp)(const op_ref_call *r);
} op_ref;

#define VA_X(id, symbol) extern const op_ref op_ref_##symbol;
VA_OP_LIST(VA_X)
#undef VA_X

// An activation and its derivative (glu_ref.c).
double ref_act(va_act kind, double g);
double ref_act_slope(va_act kind, double g);

static inline int64_t ref_elems(const va_tensor *t) {
    int64_t n = t->n_dim > 0;
    for (int i = 0; i < t->n_dim; i++)
        n *= t->shape[i];
    return n;
}

#endif
