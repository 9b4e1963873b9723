// layernorm.c: layer normalisation (Ba, Kiros, Hinton, arXiv 1607.06450).
//
//   forward   y = r z w + b, z = x - mean x, r = 1 / sqrt(mean z^2 + eps)    x, y [M, n], w, b [n]
//   jvp       exact     dy = w (r dz - r^3 z <z, dz> / n), dz = dx - mean dx  tangents [M, k, n]
//             detached  dy = w r dz                     (the mean stays linear)
//   vjp       exact     dx = r (h - mean h) - r^3 z <z, h> / n, h = w dy
//             detached  dx = r (h - mean h)
// The mean is subtracted before squares are summed: a row far from zero loses no more digits than
// its own f32 has. Sums are f32 in interleaved parts, one for each invocation; r^3 is never formed.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

enum { X, W, BIAS };

typedef struct layernorm_push {
    uint32_t n_rows, n, k, has_bias, exact, accumulate;
    float eps;
} layernorm_push;

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    va_status st = VA_OK;
    VA_TRY(op_expect(ctx, "layernorm: x", &x[X], OP_F32, 2, (int64_t[]){-1, -1}));
    VA_TRY(op_expect(ctx, "layernorm: w", &x[W], OP_WEIGHT, 1, &x[X].shape[1]));
    if (x[BIAS].n_dim != 0)
        VA_TRY(op_expect(ctx, "layernorm: bias", &x[BIAS], OP_WEIGHT, 1, &x[X].shape[1]));
    if (!(attr->eps >= 0))
        return va_fail(ctx, VA_ERR_SHAPE, "layernorm: expected eps >= 0, got %g",
                       (double)attr->eps);
    *y = va_tensor_make(VA_F32, 2, x[X].shape);
    *aux = (va_tensor){0};
done:
    return st;
}

// The last of n_bind slices is written; k: vectors of each of its rows.
static va_status run_norm(const va_op_call *c, const char *shader, const va_slice *bind,
                          uint32_t n_bind, int64_t k, bool accumulate) {
    const bool has_bias = c->x[BIAS].n_dim != 0;
    va_kernel kernel = {
        .shader = shader,
        .n_bind = n_bind,
        .write_mask = 1u << (n_bind - 1),
        .push_bytes = sizeof(layernorm_push),
        .n_spec = 3,
        .spec = {c->x[W].dtype, op_row_local(c), has_bias ? c->x[BIAS].dtype : VA_F32}};
    const int64_t n_rows = c->x[X].shape[0] * k;
    layernorm_push push = {(uint32_t)n_rows, (uint32_t)c->x[X].shape[1], (uint32_t)k,
                           has_bias,         c->mode == VA_EXACT,        accumulate,
                           c->attr->eps};
    return op_run_groups(c, &kernel, bind, &push, n_rows);
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_layernorm, VA_FORWARD, &y));
    // What is not read is bound to something that is there.
    va_slice bias = op_slice(&c->x[c->x[BIAS].n_dim ? BIAS : W]);
    va_slice bind[] = {op_slice(&c->x[X]), op_slice(&c->x[W]), bias, op_slice(&y)};
    VA_TRY(run_norm(c, "op/layernorm.FORWARD", bind, 4, 1, false));
done:
    return st;
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_layernorm, VA_JVP, &y));
    va_slice dy = op_tangent_slice(c, &c->dy, &y);
    if (!va_tensor_present(&c->dx[X]))
        return va_gpu_fill(c->gpu, dy, 0);
    va_slice bind[] = {op_slice(&c->x[X]), op_slice(&c->x[W]), op_tangent_slice(c, &c->dx[X], &y),
                       dy};
    VA_TRY(run_norm(c, "op/layernorm.JVP", bind, 4, c->k, false));
done:
    return st;
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_layernorm, VA_VJP, &y));
    if (!va_tensor_present(&c->dx[X]))
        goto done;
    va_slice bind[] = {op_slice(&c->x[X]), op_slice(&c->x[W]), op_tangent_slice(c, &c->dy, &y),
                       op_tangent_slice(c, &c->dx[X], &y)};
    VA_TRY(run_norm(c, "op/layernorm.VJP", bind, 4, c->k, c->accumulate[X]));
done:
    return st;
}

static va_op_cost cost(const va_op_call *c, va_pass pass) {
    double n = (double)va_tensor_elems(&c->x[X]);
    return op_cost(c, &va_op_layernorm, pass, pass == VA_FORWARD ? 8 * n : 14 * n * (double)c->k);
}

const va_op va_op_layernorm = {.name = "layernorm",
                               .n_in = 3,
                               .optional_in = 1 << BIAS,
                               .diff_in = 1 << X,
                               .detached_in = 1 << X,
                               .keep_exact = 1 << X,
                               .keep_detached = 1 << X,
                               .row_flow = VA_ROWS_SAME,
                               .row_in = 1 << X,
                               .infer = infer,
                               .forward = forward,
                               .jvp = jvp,
                               .vjp = vjp,
                               .cost = cost};
