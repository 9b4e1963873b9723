// select.c: some rows of each sequence, or their mean.
//
//   forward   y[s*count + j] = x[s*T + first + j], 0 <= j < count      x [N*T, ...], y [N*count,
//   ...]
//             mean: y[s] = (1/count) sum_j x[s*T + first + j]          y [N, ...]
//   jvp       the same of dx                                           tangents [M, k, ...]
//   vjp       dx[s*T + first + j] = dy[s*count + j], mean: dy[s] / count; 0 in the other rows
// Linear, so both modes agree and nothing is kept.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

typedef struct select_push {
    uint32_t n, row, seq_len, first, count, mean, accumulate;
} select_push;

static const va_kernel select_rows = {.shader = "op/select.ROWS",
                                      .n_bind = 2,
                                      .write_mask = 1u << 1,
                                      .push_bytes = sizeof(select_push)};
static const va_kernel select_back = {.shader = "op/select.BACK",
                                      .n_bind = 2,
                                      .write_mask = 1u << 1,
                                      .push_bytes = sizeof(select_push)};

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    va_status st = VA_OK;
    VA_TRY(op_expect_dims(ctx, "select: x", &x[0], OP_F32, 1, VA_TENSOR_MAX_DIM));
    VA_TRY(op_expect_sequences(ctx, "select", attr, &x[0]));
    if (attr->first < 0 || attr->count < 1 || attr->count > attr->seq_len - attr->first)
        return va_fail(ctx, VA_ERR_SHAPE, "select: rows %lld to %lld of sequences of %lld",
                       (long long)attr->first, (long long)(attr->first + attr->count - 1),
                       (long long)attr->seq_len);
    *y = va_tensor_make(VA_F32, x[0].n_dim, x[0].shape);
    y->shape[0] = x[0].shape[0] / attr->seq_len * (attr->mean ? 1 : attr->count);
    *aux = (va_tensor){0};
done:
    return st;
}

// row: elements of a row of `to`, all k vectors together.
static va_status run_select(const va_op_call *c, const va_kernel *kernel, va_slice from,
                            va_slice to, int64_t row, bool accumulate) {
    const va_op_attr *a = c->attr;
    int64_t n = to.size_bytes / 4;
    select_push push = {(uint32_t)n,        (uint32_t)row,      (uint32_t)a->seq_len,
                        (uint32_t)a->first, (uint32_t)a->count, a->mean,
                        accumulate};
    return op_run_items(c, kernel, (va_slice[]){from, to}, &push, n);
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_select, VA_FORWARD, &y));
    VA_TRY(run_select(c, &select_rows, op_slice(&c->x[0]), op_slice(&y), op_row_elems(&y), false));
done:
    return st;
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_select, VA_JVP, &y));
    va_slice dy = op_tangent_slice(c, &c->dy, &y);
    VA_TRY(va_tensor_present(&c->dx[0])
               ? run_select(c, &select_rows, op_tangent_slice(c, &c->dx[0], &c->x[0]), dy,
                            op_row_elems(&y) * c->k, false)
               : va_gpu_fill(c->gpu, dy, 0));
done:
    return st;
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_select, VA_VJP, &y));
    if (va_tensor_present(&c->dx[0]))
        VA_TRY(run_select(c, &select_back, op_tangent_slice(c, &c->dy, &y),
                          op_tangent_slice(c, &c->dx[0], &c->x[0]), op_row_elems(&y) * c->k,
                          c->accumulate[0]));
done:
    return st;
}

static va_op_cost cost(const va_op_call *c, va_pass pass) {
    double n = (double)va_tensor_elems(&c->x[0]) * (pass == VA_FORWARD ? 1 : (double)c->k);
    return op_cost(c, &va_op_select, pass, c->attr->mean ? n : 0);
}

const va_op va_op_select = {.name = "select",
                            .n_in = 1,
                            .diff_in = 1,
                            .detached_in = 1,
                            .row_flow = VA_ROWS_SELECT,
                            .infer = infer,
                            .forward = forward,
                            .jvp = jvp,
                            .vjp = vjp,
                            .cost = cost};
