// attention.c: causal attention with grouped queries (Vaswani et al., arXiv 1706.03762; Ainslie et
// al., arXiv 2305.13245), optional sliding window and score softcap (Gemma 2, arXiv 2408.00118).
//
//   forward   S_ij = cap(scale q_i.k_j), P_ij = softmax_j S_ij, o_i = sum_j P_ij v_j
//             j is seen by i when 0 <= i - j < window; head h of q uses head h / (H/G) of k and v
//             q, o [M, H, D], k, v [M, G, D]; aux = P [M, H, T], zero where j is not seen
//   jvp       dS_ij = cap'_ij scale (dq_i.k_j + q_i.dk_j), dP_ij = P_ij (dS_ij - sum_j P_ij dS_ij)
//             do_i = sum_j dP_ij v_j + P_ij dv_j
//   vjp       dv_j = sum_i P_ij do_i, dP_ij = do_i.v_j
//             dS_ij = P_ij (dP_ij - sum_j P_ij dP_ij) cap'_ij scale
//             dq_i = sum_j dS_ij k_j, dk_j = sum_i dS_ij q_i; k and v sum over their query heads
//   detached  P is frozen: only v carries derivatives
// cap(s) = c tanh(s/c), cap' = 1 - tanh(s/c)^2; c = 0: cap is the identity. The row's maximum is
// subtracted before exp, so scores of any finite size are safe. dP or dS is scratch [rows, k, H, T]
// and is made for as many sequences or vectors at once as fit SCRATCH_BYTES. Tangents may be of
// some rows only: dq and do from one row on, dk and dv from another, all to the same end.
// SPDX-License-Identifier: Apache-2.0
#include "op_common.h"

enum { Q, K, V };
enum { LOCAL = 64, SCRATCH_BYTES = 16 << 20 };
enum { HAS_DQ = 1, HAS_DK = 2, A_BY_VECTOR = 4, B_BY_VECTOR = 8, ACCUMULATE = 16 };

typedef struct attention_push {
    uint32_t T, H, G, D;
    uint32_t row0, n_rows, k, k0, kc, window;
    float scale, cap;
    uint32_t flags;
    uint32_t out_row0;        // first row that is written
    uint32_t q_row0, kv_row0; // first rows of the tangents of q and o, of k and v
    uint32_t end;             // one past their last
} attention_push;

static va_status infer(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux) {
    va_status st = VA_OK;
    VA_TRY(op_expect(ctx, "attention: q", &x[Q], OP_F32, 3, (int64_t[]){-1, -1, -1}));
    VA_TRY(op_expect_sequences(ctx, "attention", attr, &x[Q]));
    int64_t kv[] = {x[Q].shape[0], -1, x[Q].shape[2]};
    VA_TRY(op_expect(ctx, "attention: k", &x[K], OP_F32, 3, kv));
    VA_TRY(op_expect(ctx, "attention: v", &x[V], OP_F32, 3, x[K].shape));
    if (x[Q].shape[1] % x[K].shape[1] != 0)
        return va_fail(ctx, VA_ERR_SHAPE, "attention: %lld query heads over %lld key heads",
                       (long long)x[Q].shape[1], (long long)x[K].shape[1]);
    if (attr->window < 0 || !(attr->softcap >= 0))
        return va_fail(ctx, VA_ERR_SHAPE, "attention: window %lld, softcap %g must be >= 0",
                       (long long)attr->window, (double)attr->softcap);
    *y = va_tensor_make(VA_F32, 3, x[Q].shape);
    *aux = va_tensor_make(VA_F32, 3, (int64_t[]){x[Q].shape[0], x[Q].shape[1], attr->seq_len});
done:
    return st;
}

// -- chunks of rows and vectors --------------------------------------------------------------

typedef struct chunking {
    int64_t n_rows, n_vec; // of one chunk: all rows or one sequence's
} chunking;

static chunking chunk_size(const va_op_call *c) {
    const int64_t T = c->attr->seq_len, rows = op_rows(&c->x[Q], c->dy_rows).count;
    const int64_t part = VA_MIN(T, rows);                                  // of one sequence
    const int64_t fit = SCRATCH_BYTES / (part * c->x[Q].shape[1] * T * 4); // vectors of that
    if (fit >= rows / part * c->k)
        return (chunking){rows, c->k};
    return (chunking){part, VA_MAX(1, VA_MIN(fit, c->k))};
}

// Only the scores' derivatives need scratch.
static int64_t scratch_bytes(const va_op_call *c, va_pass pass) {
    if (pass == VA_FORWARD || c->mode == VA_DETACHED)
        return 0;
    chunking chunk = chunk_size(c);
    return chunk.n_rows * chunk.n_vec * c->x[Q].shape[1] * c->attr->seq_len * 4;
}

// The rows that dk and dv hold; where only one of them is there, its.
static va_row_range kv_rows(const va_op_call *c) {
    const int i = va_tensor_present(&c->dx[V]) ? V : K;
    return op_rows(&c->x[i], c->dx_rows[i]);
}

// All rows, all vectors.
static attention_push make_push(const va_op_call *c, int64_t k) {
    const va_op_attr *a = c->attr;
    // A window as long as the sequence hides nothing and keeps the shader's sums small.
    int64_t window = a->window < a->seq_len ? a->window : 0;
    const va_row_range q = op_rows(&c->x[Q], c->dy_rows), kv = kv_rows(c);
    return (attention_push){.T = (uint32_t)a->seq_len,
                            .H = (uint32_t)c->x[Q].shape[1],
                            .G = (uint32_t)c->x[K].shape[1],
                            .D = (uint32_t)c->x[Q].shape[2],
                            .row0 = (uint32_t)q.first,
                            .n_rows = (uint32_t)q.count,
                            .out_row0 = (uint32_t)q.first,
                            .q_row0 = (uint32_t)q.first,
                            .kv_row0 = (uint32_t)kv.first,
                            .end = (uint32_t)(q.first + q.count),
                            .k = (uint32_t)k,
                            .kc = (uint32_t)k,
                            .window = (uint32_t)window,
                            .scale = a->scale,
                            .cap = a->softcap};
}

// -- kernels ---------------------------------------------------------------------------------

// out_i (+)= sum_j A_ij B_j, flags say which of A, B belong to vectors.
static va_status run_apply(const va_op_call *c, attention_push p, uint32_t flags, va_slice a,
                           va_slice b, va_slice out) {
    static const va_kernel kernel = {.shader = "op/attention.APPLY",
                                     .n_bind = 3,
                                     .write_mask = 1u << 2,
                                     .push_bytes = sizeof(attention_push)};
    p.flags = flags;
    int64_t n = (int64_t)p.n_rows * p.kc * p.H * p.D;
    return op_run_groups(c, &kernel, (va_slice[]){a, b, out}, &p, (n + LOCAL - 1) / LOCAL);
}

// out_j (+)= sum_i A_ij B_i, of the keys of one sequence or of all that have tangents
static va_status run_apply_t(const va_op_call *c, attention_push p, uint32_t flags, va_slice a,
                             va_slice b, va_slice out) {
    static const va_kernel kernel = {.shader = "op/attention.APPLY_T",
                                     .n_bind = 3,
                                     .write_mask = 1u << 2,
                                     .push_bytes = sizeof(attention_push)};
    p.flags = flags;
    if (p.kv_row0 != p.q_row0) { // one sequence: every chunk has all its rows
        p.out_row0 = p.kv_row0;
        p.n_rows = p.end - p.kv_row0;
    }
    int64_t n = (int64_t)p.n_rows * p.kc * p.G * p.D;
    return op_run_groups(c, &kernel, (va_slice[]){a, b, out}, &p, (n + LOCAL - 1) / LOCAL);
}

// Kernels with a workgroup per row of scores; the last of n_bind slices is written.
static va_status run_scores(const va_op_call *c, const char *shader, attention_push p,
                            uint32_t flags, const va_slice *bind, uint32_t n_bind) {
    va_kernel kernel = {.shader = shader,
                        .n_bind = n_bind,
                        .write_mask = 1u << (n_bind - 1),
                        .push_bytes = sizeof p,
                        .n_spec = 1,
                        .spec = {op_row_local(c)}};
    p.flags = flags;
    return op_run_groups(c, &kernel, bind, &p, (int64_t)p.n_rows * p.kc * p.H);
}

// -- passes ----------------------------------------------------------------------------------

static va_slice probs(const va_op_call *c) {
    int64_t bytes = c->x[Q].shape[0] * c->x[Q].shape[1] * c->attr->seq_len * 4;
    return va_slice_at(c->aux.mem, 0, bytes);
}

static va_slice scratch(const va_op_call *c, const attention_push *p) {
    return va_slice_at(c->scratch, 0, (int64_t)p->n_rows * p->kc * p->H * p->T * 4);
}

static va_status forward(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_attention, VA_FORWARD, &y));
    attention_push p = make_push(c, 1);
    va_slice bind[] = {op_slice(&c->x[Q]), op_slice(&c->x[K]), probs(c)};
    VA_TRY(run_scores(c, "op/attention.PROBS", p, 0, bind, 3));
    VA_TRY(run_apply(c, p, 0, probs(c), op_slice(&c->x[V]), op_slice(&y)));
done:
    return st;
}

// do = dP v (+ P dv, when `more`) for one chunk
static va_status jvp_chunk(const va_op_call *c, const attention_push *p, uint32_t live,
                           va_slice dy) {
    va_status st = VA_OK;
    va_slice q = op_slice(&c->x[Q]), k = op_slice(&c->x[K]), dp = scratch(c, p);
    uint32_t flags = (live >> Q & 1 ? HAS_DQ : 0) | (live >> K & 1 ? HAS_DK : 0);
    va_slice bind[] = {q,
                       k,
                       probs(c),
                       flags & HAS_DQ ? op_input_tangent(c, Q) : q,
                       flags & HAS_DK ? op_input_tangent(c, K) : k,
                       dp};
    VA_TRY(run_scores(c, "op/attention.JVP_SCORES", *p, flags, bind, 6));
    uint32_t add = live >> V & 1 ? ACCUMULATE : 0;
    VA_TRY(run_apply(c, *p, A_BY_VECTOR | add, dp, op_slice(&c->x[V]), dy));
done:
    return st;
}

static va_status vjp_chunk(const va_op_call *c, const attention_push *p, uint32_t live,
                           va_slice dy) {
    va_status st = VA_OK;
    va_slice q = op_slice(&c->x[Q]), k = op_slice(&c->x[K]), ds = scratch(c, p);
    va_slice bind[] = {q, k, probs(c), op_slice(&c->x[V]), dy, ds};
    VA_TRY(run_scores(c, "op/attention.VJP_SCORES", *p, 0, bind, 6));
    uint32_t add_q = c->accumulate[Q] ? ACCUMULATE : 0, add_k = c->accumulate[K] ? ACCUMULATE : 0;
    if (live >> Q & 1)
        VA_TRY(run_apply(c, *p, A_BY_VECTOR | add_q, ds, k, op_input_tangent(c, Q)));
    if (live >> K & 1)
        VA_TRY(run_apply_t(c, *p, A_BY_VECTOR | add_k, ds, q, op_input_tangent(c, K)));
done:
    return st;
}

// Runs `chunk` over all sequences and vectors.
static va_status for_chunks(const va_op_call *c, uint32_t live, va_slice dy,
                            va_status (*chunk)(const va_op_call *, const attention_push *, uint32_t,
                                               va_slice)) {
    va_status st = VA_OK;
    chunking size = chunk_size(c);
    attention_push p = make_push(c, c->k);
    int64_t M = p.n_rows;
    for (int64_t row = 0; row < M; row += size.n_rows)
        for (int64_t k0 = 0; k0 < c->k; k0 += size.n_vec) {
            p.row0 = p.out_row0 = p.q_row0 + (uint32_t)row;
            p.n_rows = (uint32_t)size.n_rows;
            p.k0 = (uint32_t)k0;
            p.kc = (uint32_t)VA_MIN(size.n_vec, c->k - k0);
            VA_TRY(chunk(c, &p, live, dy));
        }
done:
    return st;
}

static va_status jvp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_attention, VA_JVP, &y));
    va_slice dy = op_output_tangent(c, &y);
    uint32_t live = op_live_inputs(c, &va_op_attention);
    if (live == 0)
        return va_gpu_fill(c->gpu, dy, 0);
    if (live >> V & 1)
        VA_TRY(run_apply(c, make_push(c, c->k), B_BY_VECTOR, probs(c), op_input_tangent(c, V), dy));
    if (live & (1u << Q | 1u << K))
        VA_TRY(for_chunks(c, live, dy, jvp_chunk));
done:
    return st;
}

static va_status vjp(const va_op_call *c) {
    va_status st = VA_OK;
    va_tensor y;
    VA_TRY(op_check(c, &va_op_attention, VA_VJP, &y));
    VA_TRY(op_vjp_frozen(c, &va_op_attention));
    va_slice dy = op_output_tangent(c, &y);
    uint32_t live = op_live_inputs(c, &va_op_attention);
    if (live & (1u << Q | 1u << K))
        VA_TRY(for_chunks(c, live, dy, vjp_chunk));
    if (live >> V & 1)
        VA_TRY(run_apply_t(c, make_push(c, c->k), B_BY_VECTOR | (c->accumulate[V] ? ACCUMULATE : 0),
                           probs(c), dy, op_input_tangent(c, V)));
done:
    return st;
}

// A pair (i, j) is seen or not: half of T^2, or less with a window; some rows see their share of
// it.
static va_op_cost cost(const va_op_call *c, va_pass pass) {
    double T = (double)c->attr->seq_len;
    double seen = c->attr->window > 0 ? VA_MIN((double)c->attr->window, T / 2) : T / 2;
    double dot = 2 * seen * (double)va_tensor_elems(&c->x[Q]); // one product with k or v
    if (pass == VA_FORWARD)
        return op_cost(c, &va_op_attention, pass, 2 * dot);
    double n_dot = c->mode == VA_DETACHED ? 1 : 4;
    dot *= (double)op_rows(&c->x[Q], c->dy_rows).count / (double)c->x[Q].shape[0];
    return op_cost(c, &va_op_attention, pass, n_dot * dot * (double)c->k);
}

const va_op va_op_attention = {.name = "attention",
                               .n_in = 3,
                               .diff_in = 1 << Q | 1 << K | 1 << V,
                               .detached_in = 1 << V,
                               .keep_exact = 1 << Q | 1 << K | 1 << V | VA_KEEP_AUX,
                               .keep_detached = VA_KEEP_AUX,
                               .row_flow = VA_ROWS_CAUSAL,
                               .infer = infer,
                               .scratch_bytes = scratch_bytes,
                               .forward = forward,
                               .jvp = jvp,
                               .vjp = vjp,
                               .cost = cost};
