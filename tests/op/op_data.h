// op_data.h: one case of an op with its numbers; shared by the parts of op_check.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_OP_DATA_H
#define VA_OP_DATA_H

#include "op_check.h"

typedef struct op_data {
    const op_case *c;
    const va_op *op;
    int64_t k, n[VA_OP_MAX_IN], n_y;
    va_tensor y, aux;
    void *raw[VA_OP_MAX_IN];        // as uploaded
    double *x[VA_OP_MAX_IN];        // the same numbers
    double *dx[VA_OP_MAX_IN];       // [k][n] tangents
    double *dy;                     // [k][n_y] cotangents
    double *gx0[VA_OP_MAX_IN];      // [k][n] what the cotangents hold before
    double *in_factor, *out_factor; // [n[0]], [n_y]; NULL: none
} op_data;

extern const op_ref *const op_data_refs[VA_OP_COUNT];

void *op_data_alloc(int64_t count, size_t size); // zeroed; fails the test rather than return NULL
op_data *op_data_make(const op_case *c);
void op_data_free(op_data *d);
// A call of the reference on the case's inputs, without results.
op_ref_call op_data_ref(const op_data *d, va_mode mode);
// What a derivative must come to by the reference: [k][n_y], and [k][n[i]] for each input, where
// add says whether it is added to what is there. To be freed.
double *op_data_expect_jvp(const op_data *d, va_mode mode);
void op_data_expect_vjp(const op_data *d, va_mode mode, bool add, double *expected[VA_OP_MAX_IN]);
// Does input i have a tangent in this case? Frozen ones too, which must count as zero.
bool op_data_has_tangent(const op_data *d, int i);

#endif
