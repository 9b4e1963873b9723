// op_matmul.h: the product of rows with a weight, behind which the kernels are chosen.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_OP_MATMUL_H
#define VA_OP_MATMUL_H

#include "op_common.h"

typedef struct op_matmul {
    bool transpose; // true:  C = A W' + bias    A [n_rows, n_in], C [n_rows, n_out]
                    // false: C = A W            A [n_rows, n_out], C [n_rows, n_in]
    int64_t n_rows;
    va_slice a, c;
    const va_tensor *w;    // [n_out, n_in] f32, bf16, f16 or quantised, of any size
    const va_tensor *bias; // [n_out], or NULL
    bool accumulate;       // C += instead of =; then no bias
    va_slice scratch;      // op_matmul_scratch bytes
} op_matmul;

// Bytes of scratch, whatever the device: for sums of parts, and for rows of a quantised weight.
int64_t op_matmul_scratch(bool transpose, int64_t n_rows, const va_tensor *w);
// Sums run in a fixed order that depends on the shapes and the kind of device alone.
va_status op_matmul_run(const va_op_call *c, const op_matmul *m);

#endif
