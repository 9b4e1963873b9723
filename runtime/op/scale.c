// scale.c: multiplication by a constant.
//
//   forward   y = factor x             x, y [M, ...]
//   jvp       dy = factor dx           tangents [M, k, ...]
//   vjp       dx = factor dy
// Linear, so both modes agree and nothing is kept.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

typedef struct scale_push {
    uint32_t n, accumulate;
    float factor;
} scale_push;

static const va_kernel scale_kernel = {
    .shader = "op/scale", .n_bind = 2, .write_mask = 1u << 1, .push_bytes = sizeof(scale_push)};

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    (void)attr;
    va_status st = VA_OK;
    VA_TRY(op_expect_dims(ctx, "scale: x", &x[0], OP_F32, 1, VA_TENSOR_MAX_DIM));
    *y = va_tensor_make(VA_F32, x[0].n_dim, x[0].shape);
    *aux = (va_tensor){0};
done:
    return st;
}

static va_status run_scale(const va_op_call *c, va_slice from, va_slice to, bool accumulate) {
    scale_push push = {(uint32_t)(to.size_bytes / 4), accumulate, c->attr->factor};
    return op_run_items(c, &scale_kernel, (va_slice[]){from, to}, &push, to.size_bytes / 4);
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_scale, VA_FORWARD, &y));
    VA_TRY(run_scale(c, op_slice(&c->x[0]), op_slice(&y), false));
done:
    return st;
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_scale, VA_JVP, &y));
    va_slice dy = op_tangent_slice(c, &c->dy, &y);
    VA_TRY(va_tensor_present(&c->dx[0])
               ? run_scale(c, op_tangent_slice(c, &c->dx[0], &y), dy, false)
               : va_gpu_fill(c->gpu, dy, 0));
done:
    return st;
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_scale, VA_VJP, &y));
    if (va_tensor_present(&c->dx[0]))
        VA_TRY(run_scale(c, op_tangent_slice(c, &c->dy, &y), op_tangent_slice(c, &c->dx[0], &y),
                         c->accumulate[0]));
done:
    return st;
}

static va_op_cost cost(const va_op_call *c, va_pass pass) {
    return op_cost(c, &va_op_scale, pass,
                   (double)va_tensor_elems(&c->x[0]) * (pass == VA_FORWARD ? 1 : (double)c->k));
}

const va_op va_op_scale = {.name = "scale",
                           .n_in = 1,
                           .diff_in = 1,
                           .detached_in = 1,
                           .row_flow = VA_ROWS_SAME,
                           .row_in = 1,
                           .infer = infer,
                           .forward = forward,
                           .jvp = jvp,
                           .vjp = vjp,
                           .cost = cost};
