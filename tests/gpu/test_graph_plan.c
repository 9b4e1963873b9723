// test_graph_plan.c: memory and cost of graphs as planned, and the mistakes a caller can make.
// libs: va_graph
// SPDX-License-Identifier: Apache-2.0
#include "graph_block.h"

static void test_memory_as_planned(void **state) {
    fixture *f = *state;
    want_all(f, X, LAST);
    va_graph_keep(f->g, f->node[LAST]);
    assert_ok(f->ctx, va_graph_finish(f->g));
    va_graph_cost forward = va_graph_forward_cost(f->g), jvp, vjp;
    va_node x = f->node[X], last = f->node[LAST];
    assert_ok(f->ctx, va_graph_sweep_cost(
                          f->g, &(va_sweep){VA_JVP, VA_EXACT, &x, 1, VA_ALL_ROWS, last, 3}, &jvp));
    assert_ok(f->ctx, va_graph_sweep_cost(
                          f->g, &(va_sweep){VA_VJP, VA_EXACT, &x, 1, VA_ALL_ROWS, last, 3}, &vjp));
    assert_true(forward.flop > 0 && jvp.flop > forward.flop && vjp.flop > forward.flop);
    int64_t before = va_gpu_get_memory(f->gpu).used_bytes;
    assert_ok(f->ctx, va_graph_realize(f->g, f->gpu));
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes - before, forward.memory_bytes);
    upload_weights(f);
    assert_ok(f->ctx, va_graph_set(f->g, x, f->b.x));
    va_buffer *bx = NULL, *by = NULL;
    va_block dx = make_block(f, X, 3, NULL, &bx), dy = make_block(f, LAST, 3, NULL, &by);
    before = va_gpu_get_memory(f->gpu).used_bytes;
    assert_ok(f->ctx, va_graph_forward(f->g));
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, before);
    assert_ok(f->ctx, va_graph_vjp(f->g, VA_EXACT, last, &dy, &x, 1, VA_ALL_ROWS, &dx));
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes - before, vjp.memory_bytes);
    assert_ok(f->ctx, va_graph_jvp(f->g, VA_EXACT, x, VA_ALL_ROWS, last, &dx, &dy));
    int64_t both = va_gpu_get_memory(f->gpu).used_bytes;
    assert_true(both - before <= vjp.memory_bytes + jvp.memory_bytes);
    for (int i = 0; i < 3; i++) {
        assert_ok(f->ctx, va_graph_vjp(f->g, VA_EXACT, last, &dy, &x, 1, VA_ALL_ROWS, &dx));
        assert_ok(f->ctx, va_graph_jvp(f->g, VA_EXACT, x, VA_ALL_ROWS, last, &dx, &dy));
        assert_ok(f->ctx, va_graph_vjp(f->g, VA_DETACHED, last, &dy, &x, 1, VA_ALL_ROWS, &dx));
        if (i == 0)
            both = va_gpu_get_memory(f->gpu).used_bytes;
        assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, both);
    }
    va_buffer_destroy(&bx);
    va_buffer_destroy(&by);
}

// A long chain needs two slots, whatever its length; kept values each take their own.
static void test_chain_shares_memory(void **state) {
    fixture *f = *state;
    const va_op_attr attr = {.factor = 1.5f};
    for (int kept = 0; kept < 2; kept++) {
        va_graph *g = va_graph_create(f->ctx);
        va_node n = va_graph_input(g, "x", VA_F32, 2, (const int64_t[]){8, 64});
        for (int i = 0; i < 10; i++) {
            n = va_graph_op(g, VA_OP_SCALE, &attr, &n, "scale");
            if (kept || i == 9)
                va_graph_keep(g, n);
        }
        assert_ok(f->ctx, va_graph_finish(g));
        int64_t tensor = 8 * 64 * 4; // input, two slots and the result; or input and ten results
        assert_int_equal(va_graph_forward_cost(g).memory_bytes, (kept ? 11 : 4) * tensor);
        va_graph_destroy(&g);
    }
}

static void test_max_k(void **state) {
    fixture *f = *state;
    want_all(f, X, LAST);
    assert_ok(f->ctx, va_graph_finish(f->g));
    va_node x = f->node[X], last = f->node[LAST];
    const int64_t big = INT64_C(1) << 40;
    for (int pass = VA_JVP; pass <= VA_VJP; pass++) {
        va_pass p = (va_pass)pass;
        va_graph_cost at, above;
        int64_t k = va_graph_max_k(f->g, &(va_sweep){p, VA_EXACT, &x, 1, VA_ALL_ROWS, last, 1}, big,
                                   100000);
        assert_true(k >= 1);
        assert_ok(f->ctx, va_graph_sweep_cost(
                              f->g, &(va_sweep){p, VA_EXACT, &x, 1, VA_ALL_ROWS, last, k}, &at));
        assert_ok(f->ctx,
                  va_graph_sweep_cost(
                      f->g, &(va_sweep){p, VA_EXACT, &x, 1, VA_ALL_ROWS, last, k + 1}, &above));
        assert_true(at.memory_bytes <= 100000 && above.memory_bytes > 100000);
        assert_int_equal(
            va_graph_max_k(f->g, &(va_sweep){p, VA_EXACT, &x, 1, VA_ALL_ROWS, last, 1}, big, 0), 0);
        // The widest tensor is [T, k, F], once it is wider than the scratch of a small matmul.
        k = va_graph_max_k(f->g, &(va_sweep){p, VA_EXACT, &x, 1, VA_ALL_ROWS, last, 1},
                           4000 * T * F * 4, big);
        assert_true(k >= 1 && k <= 4000);
        assert_int_equal(va_graph_max_k(f->g, &(va_sweep){p, VA_EXACT, &x, 1, VA_ALL_ROWS, last, 1},
                                        T * F * 4 - 1, big),
                         0);
    }
}

// A weight's dtype is known to the plan: its scratch is counted, and there when it runs.
static void test_quantised_weight(void **state) {
    fixture *f = *state;
    enum { ROWS = 3, N_IN = 256, N_OUT = 5, PADDED = 256 };
    uint8_t packed[N_OUT * 144] = {0};
    float x[ROWS * N_IN], y[ROWS * N_OUT];
    for (int i = 0; i < N_OUT; i++) // d = 1, dmin = 0, every scale and code 1, so all values are 1
        memcpy(memset(packed + i * 144, 0x11, 144), "\0\x3C\0\0\1\1\1\1\0\0\0\0\1\1\1\1", 16);
    for (int i = 0; i < ROWS * N_IN; i++)
        x[i] = (float)(i / N_IN);
    va_graph *g = va_graph_create(f->ctx);
    va_node in = va_graph_input(g, "x", VA_F32, 2, (const int64_t[]){ROWS, N_IN});
    va_node w = va_graph_weight(g, "w", N_OUT, N_IN);
    va_node out = va_graph_op(g, VA_OP_LINEAR, NULL,
                              (const va_node[]){in, w, VA_NODE_NONE, VA_NODE_NONE}, "linear");
    va_graph_weight_dtype(g, w, VA_Q4_K);
    va_graph_keep(g, out);
    assert_ok(f->ctx, va_graph_finish(g));
    const va_op_call c = {.x = {va_tensor_make(VA_F32, 2, (const int64_t[]){ROWS, N_IN}),
                                va_tensor_make(VA_Q4_K, 2, (const int64_t[]){N_OUT, N_IN})}};
    const int64_t scratch = va_op_get(VA_OP_LINEAR)->scratch_bytes(&c, VA_FORWARD);
    assert_true(scratch > N_OUT * N_IN * 4);
    assert_int_equal(va_graph_forward_cost(g).memory_bytes, ROWS * N_IN * 4 + PADDED + scratch);
    va_buffer *b;
    assert_ok(f->ctx, va_buffer_create(f->gpu, sizeof packed, "w", &b));
    assert_ok(f->ctx, va_gpu_upload(f->gpu, va_buffer_all(b), packed));
    va_tensor t = va_tensor_make(VA_F32, 2, (const int64_t[]){N_OUT, N_IN});
    assert_error(f->ctx, VA_ERR_SHAPE, "weight w: expected [5, 256] Q4_K, got [5, 256] F32",
                 va_graph_bind(g, w, &t));
    t.dtype = VA_Q4_K;
    t.mem = va_buffer_all(b);
    assert_ok(f->ctx, va_graph_bind(g, w, &t));
    assert_ok(f->ctx, va_graph_realize(g, f->gpu));
    assert_ok(f->ctx, va_graph_set(g, in, x));
    assert_ok(f->ctx, va_graph_forward(g));
    assert_ok(f->ctx, va_graph_read(g, out, y));
    for (int i = 0; i < ROWS * N_OUT; i++)
        assert_true(y[i] == (float)(i / N_OUT * N_IN));
    va_graph_destroy(&g);
    va_buffer_destroy(&b);
}

static void test_dtype_mistakes(void **state) {
    fixture *f = *state;
    va_graph *g = va_graph_create(f->ctx);
    va_node x = va_graph_input(g, "x", VA_F32, 2, (const int64_t[]){3, 32});
    va_node w = va_graph_weight(g, "w", 32, 0);
    va_graph_op(g, VA_OP_RMSNORM, NULL, (const va_node[]){x, w, VA_NODE_NONE, VA_NODE_NONE},
                "norm");
    va_graph_weight_dtype(g, w, VA_Q8_0);
    assert_error(f->ctx, VA_ERR_SHAPE, "norm (rmsnorm): rmsnorm: w", va_graph_finish(g));
    va_graph_destroy(&g);
    g = va_graph_create(f->ctx);
    x = va_graph_input(g, "x", VA_F32, 2, (const int64_t[]){3, 32});
    va_graph_weight_dtype(g, x, VA_F16);
    assert_error(f->ctx, VA_ERR_USAGE, "dtype: x is not a weight", va_graph_finish(g));
    va_graph_destroy(&g);
}

static void test_building_mistakes(void **state) {
    fixture *f = *state;
    va_graph *g = va_graph_create(f->ctx);
    va_node x = va_graph_input(g, "x", VA_F32, 2, (const int64_t[]){3, 5});
    va_node w = va_graph_weight(g, "the.weight", 7, 4); // does not fit
    const va_node in[VA_OP_MAX_IN] = {x, w, VA_NODE_NONE, VA_NODE_NONE};
    assert_int_equal(va_graph_op(g, VA_OP_LINEAR, NULL, in, "bad.linear"), VA_NODE_NONE);
    assert_int_equal(va_graph_input(g, "y", VA_F32, 1, (const int64_t[]){3}), VA_NODE_NONE);
    va_error_clear(f->ctx);
    assert_error(f->ctx, VA_ERR_SHAPE, "bad.linear", va_graph_finish(g));
    va_graph_destroy(&g);
    g = va_graph_create(f->ctx);
    va_node a = va_graph_weight(g, "w", 7, 4), b = va_graph_weight(g, "w", 7, 4);
    assert_true(a == b && va_graph_weight_count(g) == 1 && va_graph_weight_at(g, 0) == a);
    va_graph_weight(g, "w", 4, 7);
    assert_error(f->ctx, VA_ERR_SHAPE, "weight w", va_graph_finish(g));
    va_graph_destroy(&g);
}

static void test_running_mistakes(void **state) {
    fixture *f = *state;
    va_ctx *ctx = f->ctx;
    va_graph_keep(f->g, f->node[LAST]);
    va_graph_want(f->g, VA_DETACHED, f->node[N2], f->node[DOWN]);
    assert_ok(ctx, va_graph_finish(f->g));
    assert_error(ctx, VA_ERR_USAGE, "realised", va_graph_forward(f->g));
    assert_ok(ctx, va_graph_realize(f->g, f->gpu));
    assert_error(ctx, VA_ERR_USAGE, "x was not set", va_graph_forward(f->g));
    assert_ok(ctx, va_graph_set(f->g, f->node[X], f->b.x));
    assert_error(ctx, VA_ERR_USAGE, "weight n1.w was not bound", va_graph_forward(f->g));
    va_tensor wrong = va_tensor_make(VA_F32, 2, (const int64_t[]){3, 3});
    assert_error(ctx, VA_ERR_SHAPE, "q.w", va_graph_bind(f->g, f->weight[W_Q], &wrong));
    assert_error(ctx, VA_ERR_USAGE, "gate", va_graph_bind(f->g, f->node[GATE], &wrong));
    assert_error(ctx, VA_ERR_USAGE, "gate", va_graph_set(f->g, f->node[GATE], f->b.x));
    upload_weights(f);
    va_buffer *b[3] = {0};
    va_block x = make_block(f, N2, 2, NULL, &b[0]), y = make_block(f, DOWN, 2, NULL, &b[1]);
    va_block all = make_block(f, X, 2, NULL, &b[2]);
    va_node n2 = f->node[N2], down = f->node[DOWN];
    float got[MAX_LEN];
    assert_error(ctx, VA_ERR_USAGE, "forward",
                 va_graph_jvp(f->g, VA_DETACHED, n2, VA_ALL_ROWS, down, &x, &y));
    assert_error(ctx, VA_ERR_USAGE, "forward", va_graph_read(f->g, f->node[LAST], got));
    assert_ok(ctx, va_graph_forward(f->g));
    assert_ok(ctx, va_graph_jvp(f->g, VA_DETACHED, n2, VA_ALL_ROWS, down, &x, &y));
    assert_error(ctx, VA_ERR_USAGE, "not kept", va_graph_read(f->g, f->node[O], got));
    assert_error(ctx, VA_ERR_USAGE, "va_graph_want",
                 va_graph_jvp(f->g, VA_EXACT, f->node[X], VA_ALL_ROWS, down, &all, &y));
    x.k = 1;
    assert_error(ctx, VA_ERR_SHAPE, "norm2",
                 va_graph_jvp(f->g, VA_DETACHED, n2, VA_ALL_ROWS, down, &x, &y));
    // A new input makes what was stored stale.
    assert_ok(ctx, va_graph_set(f->g, f->node[X], f->b.x));
    assert_error(ctx, VA_ERR_USAGE, "forward", va_graph_read(f->g, f->node[LAST], got));
    for (int i = 0; i < 3; i++)
        va_buffer_destroy(&b[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        GRAPH_TEST(test_memory_as_planned),         GRAPH_TEST(test_max_k),
        cmocka_unit_test(test_chain_shares_memory), cmocka_unit_test(test_building_mistakes),
        GRAPH_TEST(test_running_mistakes),          cmocka_unit_test(test_quantised_weight),
        cmocka_unit_test(test_dtype_mistakes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
