// add.c: sum of two values of one shape.
//
//   forward   y = a + b                a, b, y [M, ...]
//   jvp       dy = da + db             tangents [M, k, ...]; an absent one is zero
//   vjp       da = dy, db = dy
// Linear, so both modes agree and nothing is kept.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

typedef struct add_push {
    uint32_t n, has_b, accumulate;
} add_push;

static const va_kernel add_kernel = {
    .shader = "op/add", .n_bind = 3, .write_mask = 1u << 2, .push_bytes = sizeof(add_push)};

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    (void)attr;
    va_status st = VA_OK;
    VA_TRY(op_expect_dims(ctx, "add: a", &x[0], OP_F32, 1, VA_TENSOR_MAX_DIM));
    VA_TRY(op_expect(ctx, "add: b", &x[1], OP_F32, x[0].n_dim, x[0].shape));
    *y = va_tensor_make(VA_F32, x[0].n_dim, x[0].shape);
    *aux = (va_tensor){0};
done:
    return st;
}

va_status op_run_add(const va_op_call *c, va_slice a, va_slice b, va_slice y, bool accumulate) {
    bool has_b = b.buffer != NULL;
    add_push push = {(uint32_t)(y.size_bytes / 4), has_b, accumulate};
    return op_run_items(c, &add_kernel, (va_slice[]){a, has_b ? b : a, y}, &push, y.size_bytes / 4);
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_add, VA_FORWARD, &y));
    VA_TRY(op_run_add(c, op_slice(&c->x[0]), op_slice(&c->x[1]), op_slice(&y), false));
done:
    return st;
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_add, VA_JVP, &y));
    va_slice dy = op_tangent_slice(c, &c->dy, &y), term[2] = {{0}};
    uint32_t live = op_live_inputs(c, &va_op_add);
    int n = 0;
    for (int i = 0; i < 2; i++)
        if (live >> i & 1)
            term[n++] = op_tangent_slice(c, &c->dx[i], &c->x[i]);
    VA_TRY(n == 0 ? va_gpu_fill(c->gpu, dy, 0) : op_run_add(c, term[0], term[1], dy, false));
done:
    return st;
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_add, VA_VJP, &y));
    for (int i = 0; i < 2; i++)
        if (va_tensor_present(&c->dx[i]))
            VA_TRY(op_run_add(c, op_tangent_slice(c, &c->dy, &y), (va_slice){0},
                              op_tangent_slice(c, &c->dx[i], &c->x[i]), c->accumulate[i]));
done:
    return st;
}

static va_op_cost cost(const va_op_call *c, va_pass pass) {
    double n = (double)va_tensor_elems(&c->x[0]);
    return op_cost(c, &va_op_add, pass, pass == VA_FORWARD ? n : pass == VA_JVP ? n * c->k : 0);
}

const va_op va_op_add = {.name = "add",
                         .n_in = 2,
                         .diff_in = 3,
                         .detached_in = 3,
                         .row_flow = VA_ROWS_SAME,
                         .row_in = 3,
                         .infer = infer,
                         .forward = forward,
                         .jvp = jvp,
                         .vjp = vjp,
                         .cost = cost};
