// linear.c: product with a weight.
//
//   forward   y = x W' + b + r        x [M, ...n_in], W [n_out, n_in], b [n_out]
//                                     y and the residual r [M, n_out], or [M, heads, n_out/heads]
//   jvp       dy = dx W' + dr         tangents [M, k, ...]; an absent one is zero
//   vjp       dx = dy W, dr = dy
// Linear, so both modes agree and nothing is kept. Sums are f32 in a fixed order, to which b and
// then r are added; the error of one output grows at most with n_in (n_out in vjp) units of f32's
// last place of sum |x_i W_oi|. A quantised W is unpacked to f32 by ranges of rows, exactly.
// SPDX-License-Identifier: Apache-2.0
#include "op_matmul.h"

enum { X, W, BIAS, RESIDUAL };

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    va_status st = VA_OK;
    VA_TRY(op_expect_dims(ctx, "linear: x", &x[X], OP_F32, 2, 3));
    int64_t n_out = x[W].shape[0], n_in = op_row_elems(&x[X]);
    VA_TRY(op_matmul_expect(ctx, "linear", "W", &x[W], -1, n_in));
    if (x[BIAS].n_dim != 0)
        VA_TRY(op_expect(ctx, "linear: bias", &x[BIAS], OP_WEIGHT, 1, &n_out));
    if (attr->heads < 0 || (attr->heads > 0 && n_out % attr->heads != 0))
        return va_fail(ctx, VA_ERR_SHAPE, "linear: %lld outputs do not make %lld heads",
                       (long long)n_out, (long long)attr->heads);
    *y = va_tensor_make(VA_F32, 2, (int64_t[]){x[X].shape[0], n_out});
    if (attr->heads > 0)
        *y =
            va_tensor_make(VA_F32, 3, (int64_t[]){x[X].shape[0], attr->heads, n_out / attr->heads});
    if (x[RESIDUAL].n_dim != 0)
        VA_TRY(op_expect(ctx, "linear: residual", &x[RESIDUAL], OP_F32, y->n_dim, y->shape));
    *aux = (va_tensor){0};
done:
    return st;
}

// A derivative by the residual alone makes no product.
static bool has_product(const va_op_call *c, va_pass pass) {
    return pass == VA_FORWARD || c->dx[X].n_dim > 0 || c->x[RESIDUAL].n_dim == 0;
}

static int64_t scratch_bytes(const va_op_call *c, va_pass pass) {
    if (!has_product(c, pass))
        return 0;
    const int64_t k = pass == VA_FORWARD ? 1 : c->k;
    const bool scales =
        (pass == VA_JVP && c->in_factor.n_dim > 0) || (pass == VA_VJP && c->out_factor.n_dim > 0);
    return op_matmul_scratch(pass != VA_VJP, c->x[X].shape[0] * k, &c->x[W], scales);
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_linear, VA_FORWARD, &y));
    op_matmul m = {.transpose = true,
                   .n_rows = c->x[X].shape[0],
                   .a = op_slice(&c->x[X]),
                   .c = op_slice(&y),
                   .w = &c->x[W],
                   .bias = c->x[BIAS].n_dim ? &c->x[BIAS] : NULL,
                   .residual = c->x[RESIDUAL].n_dim ? op_slice(&c->x[RESIDUAL]) : (va_slice){0},
                   .scratch = c->scratch};
    VA_TRY(op_matmul_run(c, &m));
done:
    return st;
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_linear, VA_JVP, &y));
    va_slice dy = op_tangent_slice(c, &c->dy, &y), dr = {0};
    if (va_tensor_present(&c->dx[RESIDUAL]))
        dr = op_tangent_slice(c, &c->dx[RESIDUAL], &c->x[RESIDUAL]);
    if (!va_tensor_present(&c->dx[X]))
        return dr.buffer ? op_run_add(c, dr, (va_slice){0}, dy, false) : va_gpu_fill(c->gpu, dy, 0);
    op_matmul m = {.transpose = true,
                   .n_rows = c->x[X].shape[0] * c->k,
                   .a = op_tangent_slice(c, &c->dx[X], &c->x[X]),
                   .c = dy,
                   .w = &c->x[W],
                   .residual = dr,
                   .factor_in = op_matmul_factor(c, &c->in_factor),
                   .factor_out = op_matmul_factor(c, &c->out_factor),
                   .scratch = c->scratch};
    VA_TRY(op_matmul_run(c, &m));
done:
    return st;
}

static va_status vjp_product(const va_op_call *c, va_slice dy) {
    const va_slice dx = op_tangent_slice(c, &c->dx[X], &c->x[X]);
    const op_matmul m = {.transpose = false,
                         .n_rows = c->x[X].shape[0] * c->k,
                         .a = dy,
                         .c = dx,
                         .w = &c->x[W],
                         .residual = c->accumulate[X] ? dx : (va_slice){0},
                         .factor_in = op_matmul_factor(c, &c->in_factor),
                         .factor_out = op_matmul_factor(c, &c->out_factor),
                         .scratch = c->scratch};
    return op_matmul_run(c, &m);
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_linear, VA_VJP, &y));
    const va_slice dy = op_tangent_slice(c, &c->dy, &y);
    if (va_tensor_present(&c->dx[X]))
        VA_TRY(vjp_product(c, dy));
    if (va_tensor_present(&c->dx[RESIDUAL]))
        VA_TRY(op_run_add(c, dy, (va_slice){0},
                          op_tangent_slice(c, &c->dx[RESIDUAL], &c->x[RESIDUAL]),
                          c->accumulate[RESIDUAL]));
done:
    return st;
}

static va_op_cost cost(const va_op_call *c, va_pass pass) {
    double rows = (double)c->x[X].shape[0] * (pass == VA_FORWARD ? 1 : (double)c->k);
    double flop = has_product(c, pass) ? 2 * rows * (double)va_tensor_elems(&c->x[W]) : 0;
    if (c->x[RESIDUAL].n_dim > 0 && pass != VA_VJP)
        flop += rows * (double)c->x[W].shape[0];
    return op_cost(c, &va_op_linear, pass, flop);
}

const va_op va_op_linear = {.name = "linear",
                            .n_in = 4,
                            .optional_in = 1 << BIAS | 1 << RESIDUAL,
                            .diff_in = 1 << X | 1 << RESIDUAL,
                            .detached_in = 1 << X | 1 << RESIDUAL,
                            .factors = VA_FACTOR_IN | VA_FACTOR_OUT,
                            .row_flow = VA_ROWS_SAME,
                            .row_in = 1 << X | 1 << RESIDUAL,
                            .infer = infer,
                            .scratch_bytes = scratch_bytes,
                            .forward = forward,
                            .jvp = jvp,
                            .vjp = vjp,
                            .cost = cost};
