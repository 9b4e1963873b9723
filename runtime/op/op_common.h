// op_common.h: what the ops share: checks of shapes and memory, dispatch, costs.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_OP_COMMON_H
#define VA_OP_COMMON_H

#include "vkalign/op.h"

#define VA_X(id, symbol) extern const va_op va_op_##symbol;
VA_OP_LIST(VA_X)
#undef VA_X

// -- shapes ----------------------------------------------------------------------------------

enum { OP_LOCAL = 256 }; // invocations of a group of the elementwise kernels

// Sets of dtypes.
enum {
    OP_F32 = 1 << VA_F32,
    OP_U32 = 1 << VA_U32,
    OP_WEIGHT = 1 << VA_F32 | 1 << VA_F16 | 1 << VA_BF16,
    OP_QUANTISED = 1 << VA_Q8_0 | 1 << VA_Q4_0 | 1 << VA_Q4_K | 1 << VA_Q5_K | 1 << VA_Q6_K
};

// VA_ERR_SHAPE unless t is one of dtypes and has this shape (-1: any size >= 1). what is
// "rmsnorm: w", for the message.
va_status op_expect(va_ctx *ctx, const char *what, const va_tensor *t, unsigned dtypes, int n_dim,
                    const int64_t *shape);
// The same for any number of dimensions between min_dim and max_dim.
va_status op_expect_dims(va_ctx *ctx, const char *what, const va_tensor *t, unsigned dtypes,
                         int min_dim, int max_dim);
// VA_ERR_SHAPE unless the M rows of x are whole sequences of attr->seq_len.
va_status op_expect_sequences(va_ctx *ctx, const char *op, const va_op_attr *attr,
                              const va_tensor *x);
// Elements of a row: the product of all dimensions but the first.
int64_t op_row_elems(const va_tensor *t);
int64_t op_row_bytes(const va_tensor *t);

// -- calls -----------------------------------------------------------------------------------

// Checks what a pass needs: shapes by infer, k, that every tensor that it reads or writes has its
// memory, and that 32-bit indices reach everything. Sets *y to the output's shape with the memory
// of c->y (forward) or c->dy.
va_status op_check(const va_op_call *c, const va_op *op, va_pass pass, va_tensor *y);
// Bit i: the op is differentiated by input i in the call's mode, and dx[i] is there.
uint32_t op_live_inputs(const va_op_call *c, const va_op *op);
// Sets dx[i] to zero where it is wanted but frozen in this mode.
va_status op_vjp_frozen(const va_op_call *c, const va_op *op);

// The first size_bytes(t) of t's memory, and those of a tangent of t.
va_slice op_slice(const va_tensor *t);
va_slice op_tangent_slice(const va_op_call *c, const va_tensor *tangent, const va_tensor *primal);
// Those of dx[i], and of dy with y's shape, by the rows that they hold.
va_slice op_input_tangent(const va_op_call *c, int i);
va_slice op_output_tangent(const va_op_call *c, const va_tensor *y);
// The rows that a tangent of t holds: all where rows.count is 0.
va_row_range op_rows(const va_tensor *t, va_row_range rows);

// Width of the workgroups that reduce a row: on processors one subgroup, where barriers cost
// nothing.
uint32_t op_row_local(const va_op_call *c);

// Runs the kernel on n_groups workgroups, folded. bind has kernel->n_bind entries.
va_status op_run_groups(const va_op_call *c, const va_kernel *kernel, const va_slice *bind,
                        const void *push, int64_t n_groups);
// The same with one invocation of OP_LOCAL for each of n_items.
va_status op_run_items(const va_op_call *c, const va_kernel *kernel, const va_slice *bind,
                       const void *push, int64_t n_items);

// y (+)= a + b, all of y's size; b's buffer may be NULL. In add.c.
va_status op_run_add(const va_op_call *c, va_slice a, va_slice b, va_slice y, bool accumulate);

// Arithmetic as given; traffic: everything that the pass reads and writes, once.
va_op_cost op_cost(const va_op_call *c, const va_op *op, va_pass pass, double flop);

// -- large weights ---------------------------------------------------------------------------

// Rows of a weight [n_rows, n] that one binding takes, such that a range of whole chunks begins at
// a bindable offset; n_rows when all fit, 0 when not even one aligned chunk does.
int64_t op_row_chunk(const va_gpu_info *info, const va_tensor *w);
// Rows first..first+n-1 of w.
va_slice op_row_slice(const va_tensor *w, int64_t first, int64_t n);

#endif
