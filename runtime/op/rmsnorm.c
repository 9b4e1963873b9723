// rmsnorm.c: root-mean-square normalisation (Zhang and Sennrich, arXiv 1910.07467).
//
//   forward   y = r x (w + o), r = 1 / sqrt(mean x^2 + eps)        x, y [M, (H,) n], w [n], or
//                                                                  x, y [M, H, D], w [n = H D]
//             aux = r (w + o)                                      like x
//   jvp       exact     dy = (w + o) (r dx - r^3 x <x, dx> / n)    tangents [M, k, (H,) n]
//             detached  dy = aux dx
//   vjp       exact     dx = r g - r^3 x <x, g> / n, g = (w + o) dy
//             detached  dx = aux dy
// Detached, products beside a norm can multiply by aux on their way (va_op.detached_scales).
// Sums are f32 in interleaved parts, 64 on GPUs and 4 or 8 on processors, so that the error grows
// with n by their number; r^3 is never formed.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

typedef struct rmsnorm_push {
    uint32_t n_rows, n, k, heads, keep, accumulate;
    float eps, offset;
} rmsnorm_push;

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    va_status st = VA_OK;
    VA_TRY(op_expect_dims(ctx, "rmsnorm: x", &x[0], OP_F32, 2, 3));
    const int64_t row = op_row_elems(&x[0]);
    const bool whole = x[1].n_dim == 1 && x[1].shape[0] == row; // all heads of a row together
    VA_TRY(op_expect(ctx, "rmsnorm: w", &x[1], OP_WEIGHT, 1,
                     whole ? &row : &x[0].shape[x[0].n_dim - 1]));
    if (!(attr->eps >= 0))
        return va_fail(ctx, VA_ERR_SHAPE, "rmsnorm: expected eps >= 0, got %g", (double)attr->eps);
    *y = va_tensor_make(VA_F32, x[0].n_dim, x[0].shape);
    *aux = *y;
done:
    return st;
}

// k: vectors of each row of what is written.
static va_status run_norm(const va_op_call *c, const char *shader, const va_slice *bind,
                          uint32_t n_bind, uint32_t write_mask, int64_t k, bool accumulate) {
    const va_tensor *x = &c->x[0];
    va_kernel kernel = {.shader = shader,
                        .n_bind = n_bind,
                        .write_mask = write_mask,
                        .push_bytes = sizeof(rmsnorm_push),
                        .n_spec = 3,
                        .spec = {c->x[1].dtype, op_row_local(c), c->x[1].shape[0] % 4 == 0}};
    int64_t n = c->x[1].shape[0], n_rows = va_tensor_elems(x) / n * k;
    rmsnorm_push push = {
        (uint32_t)n_rows,           (uint32_t)n, (uint32_t)k,  (uint32_t)(op_row_elems(x) / n),
        va_tensor_present(&c->aux), accumulate,  c->attr->eps, c->attr->weight_offset};
    return op_run_groups(c, &kernel, bind, &push, n_rows);
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_rmsnorm, VA_FORWARD, &y));
    // What is not written is bound to what is.
    const bool keep = va_tensor_present(&c->aux);
    const va_slice aux = keep ? va_slice_at(c->aux.mem, 0, va_tensor_bytes(&y)) : op_slice(&y);
    const va_slice bind[] = {op_slice(&c->x[0]), op_slice(&c->x[1]), op_slice(&y), aux};
    VA_TRY(run_norm(c, "op/rmsnorm.FORWARD", bind, 4, 1u << 2 | (keep ? 1u << 3 : 0), 1, false));
done:
    return st;
}

// In detached mode both derivatives multiply by aux.
static va_status run_derivative(const va_op_call *c, const char *exact, va_slice in, va_slice out,
                                bool accumulate) {
    if (c->mode == VA_DETACHED) {
        const va_slice aux = va_slice_at(c->aux.mem, 0, va_tensor_bytes(&c->x[0]));
        const va_slice bind[] = {aux, in, out};
        return run_norm(c, "op/rmsnorm.DETACHED", bind, 3, 1u << 2, c->k, accumulate);
    }
    const va_slice bind[] = {op_slice(&c->x[0]), op_slice(&c->x[1]), in, out};
    return run_norm(c, exact, bind, 4, 1u << 3, c->k, accumulate);
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_rmsnorm, VA_JVP, &y));
    va_slice dy = op_tangent_slice(c, &c->dy, &y);
    if (!va_tensor_present(&c->dx[0]))
        return va_gpu_fill(c->gpu, dy, 0);
    VA_TRY(run_derivative(c, "op/rmsnorm.JVP", op_tangent_slice(c, &c->dx[0], &y), dy, false));
done:
    return st;
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_rmsnorm, VA_VJP, &y));
    if (!va_tensor_present(&c->dx[0]))
        goto done;
    VA_TRY(run_derivative(c, "op/rmsnorm.VJP", op_tangent_slice(c, &c->dy, &y),
                          op_tangent_slice(c, &c->dx[0], &y), c->accumulate[0]));
done:
    return st;
}

static va_op_cost cost(const va_op_call *c, va_pass pass) {
    double n = (double)va_tensor_elems(&c->x[0]);
    const bool scales = pass != VA_FORWARD && c->mode == VA_DETACHED;
    const double flop = pass == VA_FORWARD ? 5 : (scales ? 1 : 10) * (double)c->k;
    va_op_cost cost = op_cost(c, &va_op_rmsnorm, pass, flop * n);
    if (scales)
        cost.bytes -= (double)va_tensor_bytes(&c->x[1]); // aux has the weight in it
    return cost;
}

const va_op va_op_rmsnorm = {.name = "rmsnorm",
                             .n_in = 2,
                             .diff_in = 1,
                             .detached_in = 1,
                             .keep_exact = 1,
                             .keep_detached = VA_KEEP_AUX,
                             .aux_optional = true,
                             .detached_scales = true,
                             .row_flow = VA_ROWS_SAME,
                             .row_in = 1,
                             .infer = infer,
                             .forward = forward,
                             .jvp = jvp,
                             .vjp = vjp,
                             .cost = cost};
