// test_graph_fuse.c: sums made by the product before them: which, and that nothing else changes.
// libs: va_graph
// SPDX-License-Identifier: Apache-2.0
#include "graph_block.h"

static void set_fuse(bool on) {
    if (on)
        unsetenv("VA_FUSE");
    else
        setenv("VA_FUSE", "0", 1);
}

static int end_fuse(void **state) {
    set_fuse(true);
    return end_graph(state);
}

// -- the block, both ways ---------------------------------------------------------------------

typedef struct results {
    float r1[MAX_LEN], r2[MAX_LEN], jvp[2][MAX_LEN * MAX_LEN], vjp[2][MAX_LEN * MAX_LEN];
    va_graph_cost cost[3]; // forward, jvp, vjp
} results;

static void run_block(fixture *f, bool fuse, results *out) {
    const int from = X;
    const va_node x = f->node[X], to = f->node[R2];
    set_fuse(fuse);
    va_graph_keep(f->g, f->node[R1]);
    va_graph_keep(f->g, to);
    want_all(f, X, R2);
    run(f);
    assert_ok(f->ctx, va_graph_read(f->g, f->node[R1], out->r1));
    assert_ok(f->ctx, va_graph_read(f->g, to, out->r2));
    out->cost[VA_FORWARD] = va_graph_forward_cost(f->g);
    for (int pass = VA_JVP; pass <= VA_VJP; pass++)
        assert_ok(f->ctx, va_graph_sweep_cost(f->g,
                                              &(va_sweep){.pass = (va_pass)pass,
                                                          .mode = VA_EXACT,
                                                          .from = &x,
                                                          .n_from = 1,
                                                          .to = to,
                                                          .k = 5},
                                              &out->cost[pass]));
    for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
        float *J[1] = {out->vjp[mode]};
        graph_jvp(f, (va_mode)mode, from, R2, 5, out->jvp[mode]);
        graph_vjp(f, (va_mode)mode, &from, 1, R2, 5, J);
    }
    assert_string_equal(va_graph_name(f->g, f->node[O]), "o");
    assert_string_equal(va_graph_name(f->g, f->node[R1]), "resid1");
}

static void assert_close(const float *a, const float *b, int64_t n) {
    static double expected[MAX_LEN * MAX_LEN];
    for (int64_t i = 0; i < n; i++)
        expected[i] = (double)b[i];
    assert_true(va_test_max_error(a, expected, n) <= TOLERANCE);
}

// Both residual sums are made by products: each saves writing the product and reading it again.
static void test_block(void **state) {
    fixture *f = *state;
    static results plain, fused;
    enum { N = T * D_MODEL, K_VECTORS = 5 };
    run_block(f, false, &plain);
    end_graph(state);
    begin_graph(state);
    run_block(f, true, &fused);
    assert_close(fused.r1, plain.r1, N);
    assert_close(fused.r2, plain.r2, N);
    for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
        assert_close(fused.jvp[mode], plain.jvp[mode], N * N);
        assert_close(fused.vjp[mode], plain.vjp[mode], N * N);
    }
    for (int pass = VA_FORWARD; pass <= VA_VJP; pass++) {
        const double saved = 2 * 2 * N * 4 * (pass == VA_FORWARD ? 1 : K_VECTORS);
        assert_true(plain.cost[pass].bytes - fused.cost[pass].bytes == saved);
        assert_true(plain.cost[pass].flop == fused.cost[pass].flop);
        assert_true(fused.cost[pass].memory_bytes <= plain.cost[pass].memory_bytes);
    }
}

// What is no value of its own any more is no source of derivatives.
static void test_refusal(void **state) {
    fixture *f = *state;
    const va_node o = f->node[O];
    want_all(f, X, R2);
    run(f);
    va_graph_cost cost;
    assert_error(
        f->ctx, VA_ERR_USAGE,
        "the derivative of resid2 by o was not asked for with va_graph_want (resid1 makes it)",
        va_graph_sweep_cost(f->g, &(va_sweep){VA_VJP, VA_EXACT, &o, 1, VA_ALL_ROWS, f->node[R2], 1},
                            &cost));
}

// -- which sums -------------------------------------------------------------------------------

enum { ROWS = 4, WIDTH = 64 };
typedef enum variant {
    PLAIN,
    OTHER_ORDER,
    WITH_BIAS,
    WEIGHT_BETWEEN,
    TWO_PRODUCTS,
    IN_A_ROW,
    LAST_FUSED,
    KEPT = LAST_FUSED,
    WANTED_FROM,
    WANTED_TO,
    READ_TWICE,
    ADDED_TO_ITSELF,
    OP_BETWEEN,
    HEADS,
    N_VARIANTS
} variant;

static va_node op_of(va_graph *g, va_op_id op, va_node a, va_node b, va_node c) {
    const va_op_attr attr = {.factor = 2};
    return va_graph_op(g, op, &attr, (const va_node[]){a, b, c, VA_NODE_NONE}, "value");
}

// x + x W' in one of its variants.
static va_node write_sum(va_graph *g, variant v, va_node x, va_node w, va_node bias) {
    const va_op_attr heads = {.heads = 8};
    va_node h = x, y;
    if (v == TWO_PRODUCTS)
        h = op_of(g, VA_OP_LINEAR, x, w, VA_NODE_NONE);
    if (v == HEADS) {
        h = va_graph_input(g, "h", VA_F32, 3, (const int64_t[]){ROWS, 8, WIDTH / 8});
        y = va_graph_op(g, VA_OP_LINEAR, &heads,
                        (const va_node[]){x, w, VA_NODE_NONE, VA_NODE_NONE}, "value");
    } else {
        y = op_of(g, VA_OP_LINEAR, x, w, v == WITH_BIAS ? bias : VA_NODE_NONE);
    }
    if (v == KEPT)
        va_graph_keep(g, y);
    if (v == WANTED_TO)
        va_graph_want(g, VA_EXACT, x, y);
    if (v == WEIGHT_BETWEEN)
        va_graph_weight(g, "another", WIDTH, 0);
    if (v == OP_BETWEEN)
        h = op_of(g, VA_OP_SCALE, x, VA_NODE_NONE, VA_NODE_NONE);
    va_node sum = v == OTHER_ORDER
                      ? op_of(g, VA_OP_ADD, y, h, VA_NODE_NONE)
                      : op_of(g, VA_OP_ADD, v == ADDED_TO_ITSELF ? y : h, y, VA_NODE_NONE);
    if (v == IN_A_ROW)
        sum = op_of(g, VA_OP_ADD, sum, x, VA_NODE_NONE);
    if (v == WANTED_FROM)
        va_graph_want(g, VA_EXACT, y, sum);
    if (v == READ_TWICE)
        va_graph_keep(g, op_of(g, VA_OP_SCALE, y, VA_NODE_NONE, VA_NODE_NONE));
    return sum;
}

static va_graph_cost cost_of(va_ctx *ctx, variant v, bool fuse) {
    set_fuse(fuse);
    va_graph *g = va_graph_create(ctx);
    const va_node x = va_graph_input(g, "x", VA_F32, 2, (const int64_t[]){ROWS, WIDTH});
    const va_node w = va_graph_weight(g, "w", WIDTH, WIDTH);
    const va_node bias = va_graph_weight(g, "bias", WIDTH, 0);
    va_graph_keep(g, write_sum(g, v, x, w, bias));
    assert_ok(ctx, va_graph_finish(g));
    const va_graph_cost cost = va_graph_forward_cost(g);
    va_graph_destroy(&g);
    return cost;
}

static void test_which(void **state) {
    fixture *f = *state;
    for (int v = PLAIN; v < N_VARIANTS; v++) {
        const va_graph_cost plain = cost_of(f->ctx, (variant)v, false),
                            fused = cost_of(f->ctx, (variant)v, true);
        const double expected = v < LAST_FUSED ? 2 * ROWS * WIDTH * 4 : 0;
        if (plain.bytes - fused.bytes != expected || fused.memory_bytes > plain.memory_bytes)
            fail_msg("variant %d: %g bytes less, %g expected; memory %lld of %lld", v,
                     plain.bytes - fused.bytes, expected, (long long)fused.memory_bytes,
                     (long long)plain.memory_bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_block, begin_graph, end_fuse),
        cmocka_unit_test_setup_teardown(test_refusal, begin_graph, end_fuse),
        cmocka_unit_test_setup_teardown(test_which, begin_graph, end_fuse),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
