// rope.c: rotary position embedding (Su et al., arXiv 2104.09864; pairs as in HF rotate_half).
//
//   forward   y_i = x_i c - x_{i+R/2} s                 x, y [M, H, D], i < R/2
//             y_{i+R/2} = x_{i+R/2} c + x_i s           table [T, R/2, 2] = (c, s) at m % T
//             y_i = x_i for i >= R
//   jvp       the same rotation of dx                   tangents [M, k, H, D]
//   vjp       the inverse rotation of dy: s -> -s
// Linear in x: both modes agree and nothing is kept.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

typedef struct rope_push {
    uint32_t n, row, d_head, half_rot, seq_len, accumulate;
    float sign;
} rope_push;

static const va_kernel rope_kernel = {
    .shader = "op/rope", .n_bind = 3, .write_mask = 1u << 2, .push_bytes = sizeof(rope_push)};

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    va_status st = VA_OK;
    VA_TRY(op_expect(ctx, "rope: x", &x[0], OP_F32, 3, (int64_t[]){-1, -1, -1}));
    VA_TRY(op_expect_sequences(ctx, "rope", attr, &x[0]));
    VA_TRY(op_expect(ctx, "rope: table", &x[1], OP_F32, 3, (int64_t[]){attr->seq_len, -1, 2}));
    if (x[1].shape[1] > x[0].shape[2] / 2)
        return va_fail(ctx, VA_ERR_SHAPE, "rope: expected at most %lld rotated pairs, got %lld",
                       (long long)(x[0].shape[2] / 2), (long long)x[1].shape[1]);
    *y = va_tensor_make(VA_F32, 3, x[0].shape);
    *aux = (va_tensor){0};
done:
    return st;
}

// k: vectors of each row in `from` and `to`.
static va_status run_rope(const va_op_call *c, va_slice from, va_slice to, int64_t k, float sign,
                          bool accumulate) {
    const va_tensor *x = &c->x[0];
    int64_t n = va_tensor_elems(x) * k;
    rope_push push = {(uint32_t)n,
                      (uint32_t)(op_row_elems(x) * k),
                      (uint32_t)x->shape[2],
                      (uint32_t)c->x[1].shape[1],
                      (uint32_t)c->attr->seq_len,
                      accumulate,
                      sign};
    return op_run_items(c, &rope_kernel, (va_slice[]){from, op_slice(&c->x[1]), to}, &push, n);
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_rope, VA_FORWARD, &y));
    VA_TRY(run_rope(c, op_slice(&c->x[0]), op_slice(&y), 1, 1, false));
done:
    return st;
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_rope, VA_JVP, &y));
    va_slice dy = op_tangent_slice(c, &c->dy, &y);
    VA_TRY(va_tensor_present(&c->dx[0])
               ? run_rope(c, op_tangent_slice(c, &c->dx[0], &y), dy, c->k, 1, false)
               : va_gpu_fill(c->gpu, dy, 0));
done:
    return st;
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_rope, VA_VJP, &y));
    if (va_tensor_present(&c->dx[0]))
        VA_TRY(run_rope(c, op_tangent_slice(c, &c->dy, &y), op_tangent_slice(c, &c->dx[0], &y),
                        c->k, -1, c->accumulate[0]));
done:
    return st;
}

static va_op_cost cost(const va_op_call *c, va_pass pass) {
    double n = (double)va_tensor_elems(&c->x[0]) * (pass == VA_FORWARD ? 1 : (double)c->k);
    return op_cost(c, &va_op_rope, pass, 3 * n);
}

const va_op va_op_rope = {.name = "rope",
                          .n_in = 2,
                          .diff_in = 1,
                          .detached_in = 1,
                          .row_flow = VA_ROWS_SAME,
                          .row_in = 3, // a position is a row of the table
                          .infer = infer,
                          .forward = forward,
                          .jvp = jvp,
                          .vjp = vjp,
                          .cost = cost};
