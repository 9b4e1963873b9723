// test_graph_rows.c: sweeps by some rows of their source: the same numbers as those rows of the
// whole sweep, which test_graph.c holds to double loops, for a fraction of the work.
// libs: va_graph
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "vkalign/graph.h"

#include <math.h>

// Rows of 64 floats are 256 bytes: every row can be bound on any device, so that any cut is made.
enum { T = 9, D = 64, HEADS = 2, N = T * D };

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
    va_graph *g;
    va_node x, attn, h, all, last, mean;
    va_buffer *buffers[10];
    int n_buffers;
} fixture;

static va_node op(fixture *f, va_op_id id, va_op_attr attr, va_node a, va_node b, va_node c,
                  const char *name) {
    const va_node in[VA_OP_MAX_IN] = {a, b, c, VA_NODE_NONE};
    attr.seq_len = T;
    return va_graph_op(f->g, id, &attr, in, name);
}

static va_node weight(fixture *f, const char *name, int64_t n0, int64_t n1) {
    return va_graph_weight(f->g, name, n0, n1);
}

static va_node linear(fixture *f, const char *name, va_node x, int64_t heads) {
    return op(f, VA_OP_LINEAR, (va_op_attr){.heads = heads}, x, weight(f, name, D, D), VA_NODE_NONE,
              name);
}

// A block with a rotation, a norm before and after, gated products, one with an auxiliary tensor:
// every kind of row flow.
static void build(fixture *f) {
    float table[T * D / HEADS];
    for (int i = 0; i < T * D / HEADS; i += 2) {
        table[i] = cosf((float)i);
        table[i + 1] = sinf((float)i);
    }
    f->g = va_graph_create(f->ctx);
    f->x = va_graph_input(f->g, "x", VA_F32, 2, (const int64_t[]){T, D});
    const va_node rope =
        va_graph_const(f->g, "rope", VA_F32, 3, (const int64_t[]){T, D / HEADS / 2, 2}, table);
    const va_op_attr norm = {.eps = 1e-5f}, attend = {.scale = 0.2f, .softcap = 3};
    va_node n = op(f, VA_OP_RMSNORM, norm, f->x, weight(f, "w1", D, 0), VA_NODE_NONE, "n1");
    va_node q = linear(f, "wq", n, HEADS), k = linear(f, "wk", n, HEADS);
    q = op(f, VA_OP_ROPE, (va_op_attr){0}, q, rope, VA_NODE_NONE, "q_rope");
    k = op(f, VA_OP_ROPE, (va_op_attr){0}, k, rope, VA_NODE_NONE, "k_rope");
    f->attn = op(f, VA_OP_ATTENTION, attend, q, k, linear(f, "wv", n, HEADS), "attention");
    f->h = op(f, VA_OP_ADD, (va_op_attr){0}, f->x, linear(f, "wo", f->attn, 0), VA_NODE_NONE, "h");
    n = op(f, VA_OP_LAYERNORM, norm, f->h, weight(f, "w2", D, 0), VA_NODE_NONE, "n2");
    const va_op_attr silu = {.act = VA_ACT_SILU};
    const va_node gated =
        op(f, VA_OP_GATED, silu, n, weight(f, "wg1", D, D), weight(f, "wg2", D, D), "gated");
    n = op(f, VA_OP_GLU, silu, gated, linear(f, "wu", n, 0), VA_NODE_NONE, "act");
    f->all = op(f, VA_OP_ADD, (va_op_attr){0}, f->h, linear(f, "wd", n, 0), VA_NODE_NONE, "out");
    f->last = op(f, VA_OP_SELECT, (va_op_attr){.first = T - 1, .count = 1}, f->all, VA_NODE_NONE,
                 VA_NODE_NONE, "last");
    f->mean = op(f, VA_OP_SELECT, (va_op_attr){.first = 0, .count = T, .mean = true}, f->all,
                 VA_NODE_NONE, VA_NODE_NONE, "mean");
}

static void bind_weights(fixture *f) {
    for (int64_t i = 0; i < va_graph_weight_count(f->g); i++) {
        const va_node n = va_graph_weight_at(f->g, i);
        va_tensor t = va_graph_tensor(f->g, n);
        float data[D * D];
        va_rng r = va_rng_make(11, va_hash64(va_graph_name(f->g, n)));
        for (int64_t j = 0; j < va_tensor_elems(&t); j++)
            data[j] = (float)va_rng_normal(&r) * (t.n_dim == 2 ? 0.15f : 1);
        va_buffer **b = &f->buffers[i];
        if (i >= (int64_t)(sizeof f->buffers / sizeof *f->buffers))
            fail_msg("%s", "more weights than buffers");
        assert_ok(f->ctx, va_buffer_create(f->gpu, va_tensor_bytes(&t), "w", b));
        f->n_buffers++;
        t.mem = va_buffer_all(*b);
        assert_ok(f->ctx, va_gpu_upload(f->gpu, t.mem, data));
        assert_ok(f->ctx, va_graph_bind(f->g, n, &t));
    }
}

static int setup(void **state) {
    static fixture f;
    f = (fixture){0};
    f.ctx = va_test_ctx();
    f.gpu = va_test_gpu(f.ctx);
    build(&f);
    const va_node from[] = {f.x, f.attn, f.h}, to[] = {f.all, f.last, f.mean, f.attn, f.h};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 5; j++)
            for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++)
                va_graph_want(f.g, (va_mode)mode, from[i], to[j]);
    assert_ok(f.ctx, va_graph_finish(f.g));
    assert_ok(f.ctx, va_graph_realize(f.g, f.gpu));
    bind_weights(&f);
    float x[N];
    va_rng r = va_rng_make(3, 0);
    for (int i = 0; i < N; i++)
        x[i] = (float)va_rng_normal(&r);
    assert_ok(f.ctx, va_graph_set(f.g, f.x, x));
    assert_ok(f.ctx, va_graph_forward(f.g));
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_graph_destroy(&f->g);
    for (int i = 0; i < f->n_buffers; i++)
        va_buffer_destroy(&f->buffers[i]);
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    return 0;
}

// J' on K cotangents [K, rows of `to`, D], at these rows of `from`: out [K, count * D].
enum { K = 3 };
static void pull_back(fixture *f, va_mode mode, va_node from, va_row_range rows, va_node to,
                      const float *cotangents, float *out) {
    va_buffer *by, *bx;
    va_block dy, dx;
    const int64_t M = va_graph_tensor(f->g, to).shape[0];
    const int64_t n = rows.count > 0 ? rows.count : va_graph_tensor(f->g, from).shape[0];
    assert_ok(f->ctx, va_block_create(f->gpu, M, K, D, "dy", &by, &dy));
    assert_ok(f->ctx, va_block_create(f->gpu, n, K, D, "dx", &bx, &dx));
    assert_ok(f->ctx, va_block_from_host(f->gpu, &dy, cotangents));
    assert_ok(f->ctx, va_vec_fill(f->gpu, &dx, 1e30f));
    assert_ok(f->ctx, va_graph_vjp(f->g, mode, to, &dy, &from, 1, rows, &dx));
    assert_ok(f->ctx, va_block_to_host(f->gpu, &dx, out));
    va_buffer_destroy(&by);
    va_buffer_destroy(&bx);
}

static void draw(float *cotangents) {
    va_rng r = va_rng_make(5, 1);
    for (int i = 0; i < K * N; i++)
        cotangents[i] = (float)va_rng_normal(&r);
}

// The same of random cotangents.
static void reverse(fixture *f, va_mode mode, va_node from, va_row_range rows, va_node to,
                    float *out) {
    float cotangents[K * N];
    draw(cotangents);
    pull_back(f, mode, from, rows, to, cotangents, out);
}

// J on K tangents of all rows that are zero outside `rows`; held by `only` as these rows or all.
static void forward(fixture *f, va_mode mode, va_node from, va_row_range rows, bool only,
                    va_node to, float *out) {
    const va_tensor y = va_graph_tensor(f->g, to);
    va_buffer *by, *bx;
    va_block dy, dx;
    float tangents[K * N], part[K * N];
    va_rng r = va_rng_make(7, 1);
    for (int i = 0; i < K * N; i++) {
        const int row = i / D % T;
        const float v = (float)va_rng_normal(&r);
        tangents[i] = row >= rows.first && row < rows.first + rows.count ? v : 0;
    }
    for (int64_t k = 0; k < K; k++)
        memcpy(part + k * rows.count * D, tangents + k * N + rows.first * D,
               (size_t)(rows.count * D) * sizeof *part);
    const va_row_range asked = only ? rows : (va_row_range){0, T};
    assert_ok(f->ctx, va_block_create(f->gpu, asked.count, K, D, "dx", &bx, &dx));
    assert_ok(f->ctx, va_block_create(f->gpu, y.shape[0], K, D, "dy", &by, &dy));
    assert_ok(f->ctx, va_block_from_host(f->gpu, &dx, only ? part : tangents));
    assert_ok(f->ctx, va_vec_fill(f->gpu, &dy, 1e30f));
    assert_ok(f->ctx, va_graph_jvp(f->g, mode, from, asked, to, &dx, &dy));
    assert_ok(f->ctx, va_block_to_host(f->gpu, &dy, out));
    va_buffer_destroy(&by);
    va_buffer_destroy(&bx);
}

// f32 sums over other ranges of rows.
static const double TOLERANCE = 2e-6;

static void check_rows(fixture *f, va_mode mode, va_node from, va_row_range rows, va_node to) {
    float whole[K * N], part[K * N], expected[K * N];
    reverse(f, mode, from, (va_row_range){0, T}, to, whole);
    reverse(f, mode, from, rows, to, part);
    for (int64_t k = 0; k < K; k++)
        memcpy(expected + k * rows.count * D, whole + k * N + rows.first * D,
               (size_t)(rows.count * D) * sizeof *whole);
    const int64_t n = K * rows.count * D;
    const double vjp = va_test_max_error_f32(part, expected, n);
    const int64_t m = K * va_graph_tensor(f->g, to).shape[0] * D;
    forward(f, mode, from, rows, false, to, whole);
    forward(f, mode, from, rows, true, to, part);
    const double jvp = va_test_max_error_f32(part, whole, m);
    if (!(vjp <= TOLERANCE && jvp <= TOLERANCE))
        fail_msg("%s %s[%d..%d] -> %s: vjp %g, jvp %g", mode ? "detached" : "exact",
                 va_graph_name(f->g, from), (int)rows.first, (int)(rows.first + rows.count - 1),
                 va_graph_name(f->g, to), vjp, jvp);
}

static void test_rows(void **state) {
    fixture *f = *state;
    static const va_row_range rows[] = {{0, T}, {0, 1}, {2, 3}, {T - 2, 1}, {T - 1, 1}, {4, 5}};
    const va_node from[] = {f->x, f->attn, f->h}, to[] = {f->all, f->last, f->mean, f->h};
    for (int64_t i = 0; i < VA_COUNT(rows); i++)
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 4; b++)
                for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++)
                    check_rows(f, (va_mode)mode, from[a], rows[i], to[b]);
}

// Whole sweeps to the last row carry one row past attention; a cotangent of all rows that is zero
// in the others carries all, uncut.
static void test_last(void **state) {
    fixture *f = *state;
    const va_node from[] = {f->x, f->attn, f->h};
    float last[K * N], padded[K * N] = {0}, got[K * N], expected[K * N];
    draw(last);
    for (int64_t k = 0; k < K; k++)
        memcpy(padded + k * N + (T - 1) * D, last + k * D, D * sizeof *last);
    for (int i = 0; i < 3; i++)
        for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
            pull_back(f, (va_mode)mode, from[i], (va_row_range){0, T}, f->last, last, got);
            pull_back(f, (va_mode)mode, from[i], (va_row_range){0, T}, f->all, padded, expected);
            assert_true(va_test_max_error_f32(got, expected, K * N) <= TOLERANCE);
        }
}

// The last row to the last row involves one token of nine; all rows to the last, one in all that
// follows attention. (The table of rotations can be cut at even rows alone.)
static void test_work(void **state) {
    fixture *f = *state;
    va_graph_cost whole, one, all;
    assert_ok(f->ctx,
              va_graph_sweep_cost(
                  f->g, &(va_sweep){VA_VJP, VA_EXACT, &f->x, 1, VA_ALL_ROWS, f->mean, 4}, &whole));
    assert_ok(f->ctx, va_graph_sweep_cost(f->g,
                                          &(va_sweep){VA_VJP, VA_EXACT, &f->x, 1,
                                                      (va_row_range){T - 1, 1}, f->last, 4},
                                          &one));
    assert_ok(f->ctx,
              va_graph_sweep_cost(
                  f->g, &(va_sweep){VA_VJP, VA_EXACT, &f->x, 1, VA_ALL_ROWS, f->last, 4}, &all));
    assert_true(one.flop < whole.flop / (T - 1) * 1.05); // and what a mean takes
    // k and v of eight rows stay, of eight products with a weight
    assert_true(all.flop < whole.flop * 0.45);
}

static void test_refusals(void **state) {
    fixture *f = *state;
    va_graph_cost cost;
    assert_error(f->ctx, VA_ERR_USAGE, "derivative by rows 5 to 9 of x, which has 9",
                 va_graph_sweep_cost(
                     f->g,
                     &(va_sweep){VA_VJP, VA_EXACT, &f->x, 1, (va_row_range){5, 5}, f->last, 1},
                     &cost));
}

// All rows are not those that an earlier request asked for, and no source has more of them than
// the first.
static void test_all_after_some(void **state) {
    fixture *f = *state;
    static float cotangents[K * N], some[K * D], all[K * N], wanted[K * N];
    draw(cotangents);
    pull_back(f, VA_EXACT, f->x, (va_row_range){3, 1}, f->all, cotangents, some);
    pull_back(f, VA_EXACT, f->x, VA_ALL_ROWS, f->all, cotangents, all);
    pull_back(f, VA_EXACT, f->x, (va_row_range){0, T}, f->all, cotangents, wanted);
    for (int i = 0; i < K * N; i++)
        assert_true(fabsf(all[i] - wanted[i]) <= 1e-6f * (1 + fabsf(wanted[i])));
    va_graph_cost cost;
    const va_node from[] = {f->last, f->x};
    const va_sweep unequal = {VA_VJP, VA_EXACT, from, 2, VA_ALL_ROWS, f->last, 1};
    assert_int_equal(va_graph_sweep_cost(f->g, &unequal, &cost), VA_ERR_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),           cmocka_unit_test(test_last),
        cmocka_unit_test(test_all_after_some), cmocka_unit_test(test_work),
        cmocka_unit_test(test_refusals),
    };
    const struct CMUnitTest wide[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_last)};
    const int failed = cmocka_run_group_tests(tests, setup, teardown);
    setenv("VA_GATED", "wide", 1); // a W_eff for each token
    return failed + cmocka_run_group_tests(wide, setup, teardown);
}
