// glu.c: gated activation.
//
//   forward   y = act(g) u                                gate g, up u, y [M, F]
//   jvp       exact     dy = act'(g) u dg + act(g) du     tangents [M, k, F]
//             detached  dy = act(g) du                    (the gate's activation is frozen)
//   vjp       exact     dg = act'(g) u dy, du = act(g) dy
//             detached  du = act(g) dy
// act: gelu_tanh g (1 + tanh(sqrt(2/pi) (g + .044715 g^3))) / 2, gelu g Phi(g), silu g / (1 +
// e^-g), relu max(g, 0) with slope 0 at 0; and the factors of these, act(g) / g, which make plain
// activations of g = u = x. Sigmoid, Phi and their derivatives are computed without cancellation
// (shaders/lib/math.glsl), to about 2e-7.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

enum { GATE, UP };

typedef struct glu_push {
    uint32_t n, row, k, has_gate, has_up, accumulate;
} glu_push;

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    va_status st = VA_OK;
    VA_TRY(op_expect_dims(ctx, "glu: gate", &x[GATE], OP_F32, 1, VA_TENSOR_MAX_DIM));
    VA_TRY(op_expect(ctx, "glu: up", &x[UP], OP_F32, x[GATE].n_dim, x[GATE].shape));
    if (attr->act > VA_ACT_STEP)
        return va_fail(ctx, VA_ERR_SHAPE, "glu: unknown activation %d", (int)attr->act);
    *y = va_tensor_make(VA_F32, x[GATE].n_dim, x[GATE].shape);
    *aux = (va_tensor){0};
done:
    return st;
}

// The last of n_bind slices is written.
static va_status run_glu(const va_op_call *c, const char *shader, const va_slice *bind,
                         uint32_t n_bind, uint32_t live, bool accumulate) {
    va_kernel kernel = {.shader = shader,
                        .n_bind = n_bind,
                        .write_mask = 1u << (n_bind - 1),
                        .push_bytes = sizeof(glu_push),
                        .n_spec = 1,
                        .spec = {c->attr->act}};
    int64_t n = bind[n_bind - 1].size_bytes / 4, row = op_row_elems(&c->x[GATE]);
    int64_t k = n / va_tensor_elems(&c->x[GATE]);
    glu_push push = {(uint32_t)n,      (uint32_t)row,  (uint32_t)k,
                     live >> GATE & 1, live >> UP & 1, accumulate};
    return op_run_items(c, &kernel, bind, &push, n);
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_glu, VA_FORWARD, &y));
    va_slice bind[] = {op_slice(&c->x[GATE]), op_slice(&c->x[UP]), op_slice(&y)};
    VA_TRY(run_glu(c, "op/glu.FORWARD", bind, 3, 0, false));
done:
    return st;
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_glu, VA_JVP, &y));
    va_slice gate = op_slice(&c->x[GATE]), dy = op_tangent_slice(c, &c->dy, &y);
    uint32_t live = op_live_inputs(c, &va_op_glu);
    if (live == 0)
        return va_gpu_fill(c->gpu, dy, 0);
    // What is not read is bound to something that is there.
    va_slice up = c->mode == VA_EXACT ? op_slice(&c->x[UP]) : gate;
    va_slice d_gate = live >> GATE & 1 ? op_tangent_slice(c, &c->dx[GATE], &y) : gate;
    va_slice d_up = live >> UP & 1 ? op_tangent_slice(c, &c->dx[UP], &y) : gate;
    VA_TRY(run_glu(c, "op/glu.JVP", (va_slice[]){gate, up, d_gate, d_up, dy}, 5, live, false));
done:
    return st;
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_glu, VA_VJP, &y));
    VA_TRY(op_vjp_frozen(c, &va_op_glu));
    va_slice gate = op_slice(&c->x[GATE]), dy = op_tangent_slice(c, &c->dy, &y);
    uint32_t live = op_live_inputs(c, &va_op_glu);
    // One dispatch each: gate and up may be one value, and their cotangents then one buffer.
    if (live >> GATE & 1) {
        va_slice bind[] = {gate, op_slice(&c->x[UP]), dy, op_tangent_slice(c, &c->dx[GATE], &y)};
        VA_TRY(run_glu(c, "op/glu.VJP_GATE", bind, 4, live, c->accumulate[GATE]));
    }
    if (live >> UP & 1) {
        va_slice bind[] = {gate, dy, op_tangent_slice(c, &c->dx[UP], &y)};
        VA_TRY(run_glu(c, "op/glu.VJP_UP", bind, 3, live, c->accumulate[UP]));
    }
done:
    return st;
}

static va_op_cost cost(const va_op_call *c, va_pass pass) {
    double n = (double)va_tensor_elems(&c->x[GATE]) * (pass == VA_FORWARD ? 1 : (double)c->k);
    return op_cost(c, &va_op_glu, pass, 30 * n);
}

const va_op va_op_glu = {.name = "glu",
                         .n_in = 2,
                         .diff_in = 1 << GATE | 1 << UP,
                         .detached_in = 1 << UP,
                         .keep_exact = 1 << GATE | 1 << UP,
                         .keep_detached = 1 << GATE,
                         .row_flow = VA_ROWS_SAME,
                         .row_in = 1 << GATE | 1 << UP,
                         .infer = infer,
                         .forward = forward,
                         .jvp = jvp,
                         .vjp = vjp,
                         .cost = cost};
