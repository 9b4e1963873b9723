// op_matmul.h: the product of rows with a weight, behind which the kernels are chosen.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_OP_MATMUL_H
#define VA_OP_MATMUL_H

#include "op_common.h"

// Numbers by which rows of an operand are multiplied: row r by row r / rows of `values`, which
// begins stride elements after the one before, the first at `first`. values of size 0: none.
typedef struct op_factor {
    va_slice values; // f32
    int64_t rows, stride, first;
} op_factor;

typedef struct op_matmul {
    bool transpose;       // true:  C = A W' + bias + R    A [rows, n_in], C, R [rows, n_out]
                          // false: C = A W + R            A [rows, n_out], C, R [rows, n_in]
    int64_t row0, n_rows; // rows row0..row0+n_rows-1 of A, C and R, the others are left alone
    va_slice a, c;
    const va_tensor *w;    // [n_out, n_in] f32, bf16, f16 or quantised, of any size
    const va_tensor *bias; // [n_out], or NULL
    va_slice residual;     // R; size 0: none; C itself: the product is added to it
    va_slice scratch;      // op_matmul_scratch bytes
    // Of n_in elements each: multiplies A of C = A W', and C = A W before the residual.
    op_factor factor_in;
    // Of n_out elements each: multiplies C = A W' before bias and residual, and A of C = A W.
    op_factor factor_out;
    const struct matmul_kernel *kernel; // NULL: as picked
    const struct matmul_tile *tile;     // the same
} op_matmul;

// A factor of a derivative call, whose k vectors share rows; absent: none.
op_factor op_matmul_factor(const va_op_call *c, const va_tensor *factor);

// VA_ERR_SHAPE unless w is a matrix [n_out, n_in] (-1: any number) that op_matmul_run takes. op and
// name are for the message.
va_status op_matmul_expect(va_ctx *ctx, const char *op, const char *name, const va_tensor *w,
                           int64_t n_out, int64_t n_in);
// Bytes of scratch, whatever the device and the weight's dtype among f32, f16 and bf16: for packed
// rows, sums of parts, rows of a quantised weight, and, with a factor of A, rows multiplied by it.
int64_t op_matmul_scratch(bool transpose, int64_t n_rows, const va_tensor *w, bool scales_a);
// Sums run in a fixed order that depends on the shapes and the kind of device alone.
va_status op_matmul_run(const va_op_call *c, const op_matmul *m);

// -- ranges of a weight's rows ---------------------------------------------------------------

// A step of first: ranges of whole steps begin at a bindable offset of any weight.
enum { OP_MATMUL_STEP = 128, OP_MATMUL_MOST_ROWS = 65535 / OP_MATMUL_STEP * OP_MATMUL_STEP };
// The part of the product that rows first..first+n-1 of w make, in `rows` as f32 whatever w is; n
// at most OP_MATMUL_MOST_ROWS. C = A W is the sum of its parts, and the first of them, at 0,
// overwrites C, or adds to the residual.
va_status op_matmul_part(const va_op_call *c, const op_matmul *m, int64_t first, int64_t n,
                         va_slice rows);

// Rows first..first+n-1 of a quantised w as f32 in `to`; see op_dequant_run.
va_status op_matmul_unpack(const va_op_call *c, const va_tensor *w, int64_t first, int64_t n,
                           va_slice to);

#endif
