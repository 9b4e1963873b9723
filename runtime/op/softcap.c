// softcap.c: a smooth limit of magnitude.
//
//   forward   y = c tanh(x / c), c = attr.softcap > 0      x, y [M, ...]
//   jvp, vjp  exact     dy = (1 - tanh(x/c)^2) dx          tangents [M, k, ...]
//             detached  dy = (tanh(x/c) / (x/c)) dx, the limit 1 at x = 0
// The map is diagonal, so jvp and vjp are one kernel. The slope is taken as 4e/(1+e)^2 with
// e = exp(-2|x/c|): 1 - tanh^2 would cancel.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

typedef struct softcap_push {
    uint32_t n, row, k, exact, accumulate;
    float cap;
} softcap_push;

static const va_kernel softcap_forward = {.shader = "op/softcap.FORWARD",
                                          .n_bind = 2,
                                          .write_mask = 1u << 1,
                                          .push_bytes = sizeof(softcap_push)};
static const va_kernel softcap_deriv = {.shader = "op/softcap.DERIV",
                                        .n_bind = 3,
                                        .write_mask = 1u << 2,
                                        .push_bytes = sizeof(softcap_push)};

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    va_status st = VA_OK;
    VA_TRY(op_expect_dims(ctx, "softcap: x", &x[0], OP_F32, 1, VA_TENSOR_MAX_DIM));
    if (!(attr->softcap > 0))
        return va_fail(ctx, VA_ERR_SHAPE, "softcap: expected softcap > 0, got %g",
                       (double)attr->softcap);
    *y = va_tensor_make(VA_F32, x[0].n_dim, x[0].shape);
    *aux = (va_tensor){0};
done:
    return st;
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_softcap, VA_FORWARD, &y));
    int64_t n = va_tensor_elems(&y);
    softcap_push push = {.n = (uint32_t)n, .cap = c->attr->softcap};
    VA_TRY(op_run_items(c, &softcap_forward, (va_slice[]){op_slice(&c->x[0]), op_slice(&y)}, &push,
                        n));
done:
    return st;
}

// to (+)= D from
static va_status run_deriv(const va_op_call *c, const va_tensor *from, const va_tensor *to,
                           bool accumulate) {
    const va_tensor *x = &c->x[0];
    int64_t n = va_tensor_elems(x) * c->k;
    softcap_push push = {(uint32_t)n,    (uint32_t)op_row_elems(x),
                         (uint32_t)c->k, c->mode == VA_EXACT,
                         accumulate,     c->attr->softcap};
    return op_run_items(
        c, &softcap_deriv,
        (va_slice[]){op_slice(x), op_tangent_slice(c, from, x), op_tangent_slice(c, to, x)}, &push,
        n);
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_softcap, VA_JVP, &y));
    VA_TRY(va_tensor_present(&c->dx[0]) ? run_deriv(c, &c->dx[0], &c->dy, false)
                                        : va_gpu_fill(c->gpu, op_tangent_slice(c, &c->dy, &y), 0));
done:
    return st;
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_softcap, VA_VJP, &y));
    if (va_tensor_present(&c->dx[0]))
        VA_TRY(run_deriv(c, &c->dy, &c->dx[0], c->accumulate[0]));
done:
    return st;
}

static va_op_cost cost(const va_op_call *c, va_pass pass) {
    double n = (double)va_tensor_elems(&c->x[0]) * (pass == VA_FORWARD ? 1 : (double)c->k);
    return op_cost(c, &va_op_softcap, pass, 20 * n);
}

const va_op va_op_softcap = {.name = "softcap",
                             .n_in = 1,
                             .diff_in = 1,
                             .detached_in = 1,
                             .keep_exact = 1,
                             .keep_detached = 1,
                             .row_flow = VA_ROWS_SAME,
                             .row_in = 1,
                             .infer = infer,
                             .forward = forward,
                             .jvp = jvp,
                             .vjp = vjp,
                             .cost = cost};
