// gated.c: the first half of a gated MLP (N. Shazeer, "GLU variants improve transformer", arXiv
// 2002.05202): both products and the activation.
//
//   forward   y = act(g) u, g = x W_gate', u = x W_up'    x [M, d], W [F, d], y [M, F]
//             aux [M, 2, F] = a, b with a = act'(g) u, b = act(g)
//   jvp       exact     dy = a (dx W_gate') + b (dx W_up')       tangents [M, k, ...]
//             detached  dy = b (dx W_up')                        (the gate's activation is frozen)
//   vjp       exact     dx = (a dy) W_gate + (b dy) W_up
//             detached  dx = (b dy) W_up
// All k vectors of a token share a and b. The narrow path hands them to the matmuls as factors, of
// their results in jvp, of their operand in vjp. From WIDE_K vectors on, exact mode forms
// W_eff = diag(a) W_gate + diag(b) W_up once per token, and dy = dx W_eff', dx = dy W_eff: one
// product where the narrow path takes two. W_eff is made by ranges of rows, forward's product by
// ranges of tokens, both within ROOM_BYTES. VA_GATED=wide|narrow in the environment overrides the
// choice, so that tests reach both at any k. act: see glu.c. Sums are as
// in linear.c; a W_eff is off by one rounding of each of its two terms and of their sum.
// SPDX-License-Identifier: Apache-2.0
#include "op_matmul.h"

#include <stdlib.h>
#include <string.h>

enum { X, GATE, UP };
// Vectors of a token from which W_eff pays. Measured (bench_gated, d 2560, F 10240, bf16, lavapipe,
// ms of processor time narrow and wide): k = 32 jvp 129 157, vjp 258 242; k = 64 jvp 261 231, vjp
// 514 367; k = 128 jvp 537 375, vjp 1046 546; k = 512 jvp 2102 1270, vjp 4277 1920. A GPU breaks
// even later, by its ratio of arithmetic to bandwidth: W_eff costs 12 bytes an element and saves 2
// k operations, which at 20 operations a byte is k = 120.
enum { WIDE_K = 128 };
enum { ROOM_BYTES = 64 << 20, PAD = 256 };

typedef struct gated_push {
    uint32_t n, F, row0, keep, d, first;
} gated_push;

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    va_status st = VA_OK;
    VA_TRY(op_expect(ctx, "gated: x", &x[X], OP_F32, 2, (int64_t[]){-1, -1}));
    const int64_t M = x[X].shape[0], d = x[X].shape[1], F = x[GATE].shape[0];
    VA_TRY(op_matmul_expect(ctx, "gated", "W_gate", &x[GATE], -1, d));
    VA_TRY(op_matmul_expect(ctx, "gated", "W_up", &x[UP], F, d));
    if (attr->act > VA_ACT_STEP)
        return va_fail(ctx, VA_ERR_SHAPE, "gated: unknown activation %d", (int)attr->act);
    *y = va_tensor_make(VA_F32, 2, (int64_t[]){M, F});
    *aux = va_tensor_make(VA_F32, 3, (int64_t[]){M, 2, F});
done:
    return st;
}

// -- sizes -----------------------------------------------------------------------------------

static int64_t pad(int64_t bytes) {
    return (bytes + PAD - 1) / PAD * PAD;
}

static int64_t width(const va_op_call *c) {
    return c->x[GATE].shape[0]; // F
}

static int64_t n_vectors(const va_op_call *c, va_pass pass) {
    return c->x[X].shape[0] * (pass == VA_FORWARD ? 1 : c->k);
}

// What the matmuls of n rows take. In vjp the rows are multiplied by a gate's derivatives.
static int64_t matmul_bytes(const va_op_call *c, va_pass pass, int64_t n) {
    const bool scales = pass == VA_VJP || (pass == VA_JVP && c->in_factor.n_dim > 0);
    int64_t bytes = 0;
    for (int w = GATE; w <= UP; w++)
        bytes = VA_MAX(bytes, op_matmul_scratch(pass != VA_VJP, n, &c->x[w], scales));
    return pad(bytes);
}

// Tokens of which forward keeps a product at once. They begin at bindable offsets whatever the
// row's length.
static int64_t chunk_rows(const va_op_call *c) {
    enum { STEP = PAD / 4 };
    const int64_t fit = ROOM_BYTES / (width(c) * 4) / STEP * STEP;
    return VA_MIN(c->x[X].shape[0], VA_MAX(fit, STEP));
}

static int64_t chunk_matmul_bytes(const va_op_call *c) {
    const int64_t chunk = chunk_rows(c), rest = c->x[X].shape[0] % chunk;
    const int64_t bytes = matmul_bytes(c, VA_FORWARD, chunk);
    return rest > 0 ? VA_MAX(bytes, matmul_bytes(c, VA_FORWARD, rest)) : bytes;
}

// W_eff, and the rows of both weights where they must be unpacked.
static int64_t n_areas(const va_op_call *c) {
    return 1 + va_dtype_quantised(c->x[GATE].dtype) + va_dtype_quantised(c->x[UP].dtype);
}

// Rows of W_eff that are made at once; 0 where rows are too long for that.
static int64_t range_rows(const va_op_call *c) {
    const int64_t fit = ROOM_BYTES / n_areas(c) / (c->x[X].shape[1] * 4);
    const int64_t most = VA_MIN(fit, OP_MATMUL_MOST_ROWS);
    return most >= width(c) ? width(c) : most / OP_MATMUL_STEP * OP_MATMUL_STEP;
}

static int64_t range_bytes(const va_op_call *c) {
    return pad(range_rows(c) * c->x[X].shape[1] * 4);
}

static int64_t wide_matmul_bytes(const va_op_call *c, va_pass pass) {
    const va_tensor w = va_tensor_make(VA_F32, 2, c->x[GATE].shape);
    return pad(op_matmul_scratch(pass != VA_VJP, c->k, &w, false));
}

static bool is_wide(const va_op_call *c, va_pass pass) {
    if (pass == VA_FORWARD || c->mode == VA_DETACHED || c->in_factor.n_dim > 0 ||
        range_rows(c) == 0)
        return false;
    const char *forced = getenv("VA_GATED");
    return forced && *forced ? strcmp(forced, "wide") == 0 : c->k >= WIDE_K;
}

static int64_t scratch_bytes(const va_op_call *c, va_pass pass) {
    if (is_wide(c, pass))
        return wide_matmul_bytes(c, pass) + n_areas(c) * range_bytes(c);
    if (pass == VA_FORWARD)
        return chunk_matmul_bytes(c) + chunk_rows(c) * width(c) * 4;
    return matmul_bytes(c, pass, n_vectors(c, pass));
}

// -- forward ---------------------------------------------------------------------------------

// Tokens row..row+n-1, and where a product of theirs is kept.
typedef struct chunk {
    int64_t row, n;
    va_slice product;
} chunk;

// Those of a block [.., row].
static va_slice rows_of(const chunk *p, const va_tensor *t, int64_t row) {
    return va_slice_at(t->mem, p->row * row * 4, p->n * row * 4);
}

static va_status multiply(const va_op_call *c, const chunk *p, int w, va_slice to) {
    const op_matmul m = {.transpose = true,
                         .n_rows = p->n,
                         .a = rows_of(p, &c->x[X], c->x[X].shape[1]),
                         .c = to,
                         .w = &c->x[w],
                         .scratch = va_slice_at(c->scratch, 0, chunk_matmul_bytes(c))};
    return op_matmul_run(c, &m);
}

static va_status activate(const va_op_call *c, const chunk *p, va_slice y) {
    // What is not written is bound to something that is there.
    const bool keep = va_tensor_present(&c->aux);
    const va_kernel kernel = {.shader = "op/gated.FORWARD",
                              .n_bind = 3,
                              .write_mask = 1u << 1 | (keep ? 1u << 2 : 0),
                              .push_bytes = sizeof(gated_push),
                              .n_spec = 1,
                              .spec = {c->attr->act}};
    const int64_t n = p->n * width(c);
    const gated_push push = {
        .n = (uint32_t)n, .F = (uint32_t)width(c), .row0 = (uint32_t)p->row, .keep = keep};
    const va_slice bind[] = {p->product, y, keep ? c->aux.mem : p->product};
    return op_run_items(c, &kernel, bind, &push, n);
}

static va_status run_forward(const va_op_call *c) {
    va_status st = VA_OK;
    const int64_t rows = c->x[X].shape[0], step = chunk_rows(c);
    for (int64_t row = 0; row < rows; row += step) {
        chunk p = {.row = row, .n = VA_MIN(step, rows - row)};
        p.product = va_slice_at(c->scratch, chunk_matmul_bytes(c), p.n * width(c) * 4);
        const va_slice y = rows_of(&p, &c->y, width(c));
        VA_TRY(multiply(c, &p, GATE, y));
        VA_TRY(multiply(c, &p, UP, p.product));
        VA_TRY(activate(c, &p, y));
    }
done:
    return st;
}

// -- narrow ----------------------------------------------------------------------------------

// One of the two products, with its part of aux as factor: a for W_gate, b for W_up.
static va_status multiply_by(const va_op_call *c, va_pass pass, int w, bool accumulate) {
    const va_slice to = pass == VA_JVP ? c->dy.mem : c->dx[X].mem;
    const op_matmul m = {.transpose = pass == VA_JVP,
                         .n_rows = n_vectors(c, pass),
                         .a = pass == VA_JVP ? c->dx[X].mem : c->dy.mem,
                         .c = to,
                         .w = &c->x[w],
                         .residual = accumulate ? to : (va_slice){0},
                         .scratch = c->scratch,
                         .factor_in = op_matmul_factor(c, &c->in_factor),
                         .factor_out = {.values = c->aux.mem,
                                        .rows = c->k,
                                        .stride = 2 * width(c),
                                        .first = w == GATE ? 0 : width(c)}};
    return op_matmul_run(c, &m);
}

static va_status run_narrow(const va_op_call *c, va_pass pass) {
    va_status st = VA_OK;
    VA_TRY(multiply_by(c, pass, UP, pass == VA_VJP && c->accumulate[X]));
    if (c->mode == VA_EXACT)
        VA_TRY(multiply_by(c, pass, GATE, true));
done:
    return st;
}

// -- wide ------------------------------------------------------------------------------------

// Rows first..first+n-1 of W_eff and of both weights.
typedef struct range {
    int64_t first, n;
    va_slice weff, rows[UP + 1];
    va_dtype dtype[UP + 1];
} range;

static va_slice area(const va_op_call *c, va_pass pass, int64_t i, int64_t n) {
    return va_slice_at(c->scratch, wide_matmul_bytes(c, pass) + i * range_bytes(c),
                       n * c->x[X].shape[1] * 4);
}

// Unpacks what is quantised.
static va_status open_range(const va_op_call *c, va_pass pass, int64_t first, int64_t n, range *r) {
    va_status st = VA_OK;
    int64_t used = 0;
    *r = (range){.first = first, .n = n, .weff = area(c, pass, used++, n)};
    for (int w = GATE; w <= UP; w++) {
        const bool packed = va_dtype_quantised(c->x[w].dtype);
        r->dtype[w] = packed ? VA_F32 : c->x[w].dtype;
        r->rows[w] = packed ? area(c, pass, used++, n) : op_row_slice(&c->x[w], first, n);
        if (packed)
            VA_TRY(op_matmul_unpack(c, &c->x[w], first, n, r->rows[w]));
    }
done:
    return st;
}

static va_status form(const va_op_call *c, const range *r, int64_t token) {
    const int64_t d = c->x[X].shape[1], per_item = d % 4 == 0 ? 4 : 1, n = r->n * d / per_item;
    const va_kernel kernel = {.shader = "op/gated.FORM",
                              .n_bind = 4,
                              .write_mask = 1u << 3,
                              .push_bytes = sizeof(gated_push),
                              .n_spec = 3,
                              .spec = {r->dtype[GATE], r->dtype[UP], per_item == 4}};
    const gated_push push = {.n = (uint32_t)n,
                             .F = (uint32_t)width(c),
                             .row0 = (uint32_t)token,
                             .d = (uint32_t)d,
                             .first = (uint32_t)r->first};
    const va_slice bind[] = {c->aux.mem, r->rows[GATE], r->rows[UP], r->weff};
    return op_run_items(c, &kernel, bind, &push, n);
}

static va_status run_wide(const va_op_call *c, va_pass pass) {
    va_status st = VA_OK;
    const int64_t step = range_rows(c);
    const va_slice to = pass == VA_JVP ? c->dy.mem : c->dx[X].mem;
    op_matmul m = {.transpose = pass == VA_JVP,
                   .n_rows = c->k,
                   .a = pass == VA_JVP ? c->dx[X].mem : c->dy.mem,
                   .c = to,
                   .w = &c->x[GATE],
                   .residual = pass == VA_VJP && c->accumulate[X] ? to : (va_slice){0},
                   .scratch = va_slice_at(c->scratch, 0, wide_matmul_bytes(c, pass))};
    for (int64_t first = 0; first < width(c); first += step) {
        range r;
        VA_TRY(open_range(c, pass, first, VA_MIN(step, width(c) - first), &r));
        for (int64_t token = 0; token < c->x[X].shape[0]; token++) {
            VA_TRY(form(c, &r, token));
            m.row0 = token * c->k;
            VA_TRY(op_matmul_part(c, &m, first, r.n, r.weff));
        }
    }
done:
    return st;
}

// -- passes ----------------------------------------------------------------------------------

// The call with exactly the memory that its tensors take.
static va_op_call trim(const va_op_call *c, va_pass pass, const va_tensor *y) {
    va_op_call t = *c;
    if (va_tensor_present(&c->aux))
        t.aux.mem = va_slice_at(c->aux.mem, 0, 2 * va_tensor_bytes(y));
    if (pass != VA_FORWARD) {
        t.dx[X].mem = op_tangent_slice(c, &c->dx[X], &c->x[X]);
        t.dy.mem = op_tangent_slice(c, &c->dy, y);
    }
    return t;
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_gated, VA_FORWARD, &y));
    const va_op_call t = trim(c, VA_FORWARD, &y);
    VA_TRY(run_forward(&t));
done:
    return st;
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_gated, VA_JVP, &y));
    if (!va_tensor_present(&c->dx[X]))
        return va_gpu_fill(c->gpu, op_tangent_slice(c, &c->dy, &y), 0);
    const va_op_call t = trim(c, VA_JVP, &y);
    st = is_wide(c, VA_JVP) ? run_wide(&t, VA_JVP) : run_narrow(&t, VA_JVP);
done:
    return st;
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_gated, VA_VJP, &y));
    if (!va_tensor_present(&c->dx[X]))
        goto done;
    const va_op_call t = trim(c, VA_VJP, &y);
    st = is_wide(c, VA_VJP) ? run_wide(&t, VA_VJP) : run_narrow(&t, VA_VJP);
done:
    return st;
}

// W_eff: three operations an element, written and read once.
static va_op_cost cost(const va_op_call *c, va_pass pass) {
    const double weight = (double)va_tensor_elems(&c->x[GATE]), M = (double)c->x[X].shape[0];
    const double one = 2 * (double)n_vectors(c, pass) * weight;
    const bool wide = is_wide(c, pass),
               single = wide || (pass != VA_FORWARD && c->mode == VA_DETACHED);
    va_op_cost cost = op_cost(c, &va_op_gated, pass, (single ? 1 : 2) * one);
    if (wide) {
        cost.flop += 3 * M * weight;
        cost.bytes += 8 * M * weight;
    }
    return cost;
}

const va_op va_op_gated = {.name = "gated",
                           .n_in = 3,
                           .diff_in = 1 << X,
                           .detached_in = 1 << X,
                           .keep_exact = VA_KEEP_AUX,
                           .keep_detached = VA_KEEP_AUX,
                           .aux_optional = true,
                           .factors = VA_FACTOR_IN,
                           .row_flow = VA_ROWS_SAME,
                           .row_in = 1 << X,
                           .infer = infer,
                           .scratch_bytes = scratch_bytes,
                           .forward = forward,
                           .jvp = jvp,
                           .vjp = vjp,
                           .cost = cost};
