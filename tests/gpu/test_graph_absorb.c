// test_graph_absorb.c: norms made by the products around them: which, and that nothing else
// changes.
// libs: va_graph
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "vkalign/graph.h"

enum { ROWS = 4, WIDTH = 64, FEW = 2, MANY = 5 }; // ROWS FEW vectors are few, ROWS MANY many
enum { N = ROWS * WIDTH };

typedef enum variant {
    BEFORE_PRODUCT,
    AFTER_PRODUCT,
    BETWEEN_PRODUCTS,
    BETWEEN_NORMS,
    TWO_READERS,
    BEFORE_GATED,
    IN_A_BRANCH, // x + norm(x) W'
    NORM_OF_NORM,
    OTHER_READER,
    AT_THE_END,
    AT_THE_START,
    PRODUCT_READ_TWICE,
    PRODUCT_WITH_SUM,
    N_VARIANTS
} variant;

// Norms whose pass is saved: jvp with few and many rows, vjp with few and many.
static const int saved[N_VARIANTS][4] = {
    [BEFORE_PRODUCT] = {0, 1, 1, 1},   [AFTER_PRODUCT] = {1, 1, 0, 1},
    [BETWEEN_PRODUCTS] = {1, 1, 1, 1}, [BETWEEN_NORMS] = {1, 2, 1, 2},
    [TWO_READERS] = {0, 1, 1, 1},      [BEFORE_GATED] = {0, 1, 1, 1},
    [IN_A_BRANCH] = {0, 1, 1, 1},      [NORM_OF_NORM] = {0, 1, 1, 1},
};

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
    va_graph *g;
    va_node x, from, to, w, gain;
    va_buffer *weight[2];
} fixture;

static va_node op_of(fixture *f, va_op_id op, va_node a, va_node b, va_node c) {
    const va_op_attr attr = {.factor = 2, .eps = 1e-5f, .weight_offset = 1, .act = VA_ACT_SILU};
    return va_graph_op(f->g, op, &attr, (const va_node[]){a, b, c, VA_NODE_NONE}, "value");
}

static va_node product(fixture *f, va_node a) {
    return op_of(f, VA_OP_LINEAR, a, f->w, VA_NODE_NONE);
}

static va_node norm(fixture *f, va_node a) {
    return op_of(f, VA_OP_RMSNORM, a, f->gain, VA_NODE_NONE);
}

static va_node sum(fixture *f, va_node a, va_node b) {
    return op_of(f, VA_OP_ADD, a, b, VA_NODE_NONE);
}

static va_node scale(fixture *f, va_node a) {
    return op_of(f, VA_OP_SCALE, a, VA_NODE_NONE, VA_NODE_NONE);
}

static va_node write_value(fixture *f, variant v) {
    const va_node x = f->x;
    va_node a;
    switch (v) {
    case BEFORE_PRODUCT:
        return product(f, norm(f, scale(f, x)));
    case AFTER_PRODUCT:
        return scale(f, norm(f, product(f, x)));
    case BETWEEN_PRODUCTS:
        return product(f, norm(f, product(f, x)));
    case BETWEEN_NORMS:
        return scale(f, norm(f, product(f, norm(f, scale(f, x)))));
    case TWO_READERS:
        a = norm(f, scale(f, x));
        return scale(f, sum(f, scale(f, product(f, a)), scale(f, product(f, a))));
    case BEFORE_GATED:
        return op_of(f, VA_OP_GATED, norm(f, scale(f, x)), f->w, f->w);
    case IN_A_BRANCH:
        a = scale(f, x);
        return sum(f, a, product(f, norm(f, a)));
    case NORM_OF_NORM:
        return product(f, norm(f, norm(f, x)));
    case OTHER_READER:
        a = norm(f, scale(f, x));
        return sum(f, scale(f, product(f, a)), scale(f, a));
    case AT_THE_END:
        return norm(f, scale(f, x));
    case AT_THE_START:
        f->from = norm(f, x);
        return product(f, f->from);
    case PRODUCT_READ_TWICE:
        a = product(f, x);
        return sum(f, scale(f, a), scale(f, norm(f, a)));
    default: // PRODUCT_WITH_SUM
        a = scale(f, x);
        return scale(f, norm(f, sum(f, a, product(f, x))));
    }
}

static void set_fuse(bool on) {
    if (on)
        unsetenv("VA_FUSE");
    else
        setenv("VA_FUSE", "0", 1);
}

static void build(fixture *f, variant v, bool fuse, va_mode mode) {
    set_fuse(fuse);
    f->g = va_graph_create(f->ctx);
    f->x = f->from = va_graph_input(f->g, "x", VA_F32, 2, (const int64_t[]){ROWS, WIDTH});
    f->w = va_graph_weight(f->g, "w", WIDTH, WIDTH);
    f->gain = va_graph_weight(f->g, "gain", WIDTH, 0);
    f->to = write_value(f, v);
    va_graph_want(f->g, mode, f->from, f->to);
    assert_ok(f->ctx, va_graph_finish(f->g));
}

static va_graph_cost cost_of(fixture *f, va_pass pass, va_mode mode, int64_t k) {
    va_graph_cost cost;
    const va_sweep s = {pass, mode, &f->from, 1, VA_ALL_ROWS, f->to, k};
    assert_ok(f->ctx, va_graph_sweep_cost(f->g, &s, &cost));
    return cost;
}

// -- which norms ------------------------------------------------------------------------------

// What fusing saves beyond the sums that products make.
static void check_cost(fixture *f, variant v, va_mode mode, va_pass pass, int64_t k, int expected) {
    va_graph_cost cost[2];
    for (int fuse = 0; fuse < 2; fuse++) {
        build(f, v, fuse, mode);
        cost[fuse] = cost_of(f, pass, mode, k);
        va_graph_destroy(&f->g);
    }
    const bool has_sum = v == IN_A_BRANCH || v == PRODUCT_WITH_SUM;
    double bytes = 2.0 * N * 4 * (double)k * expected, flop = 0; // written and read again
    if (has_sum)
        bytes += 2.0 * N * 4 * (double)k;
    if (v == TWO_READERS && expected > 0) { // both multiply
        bytes -= N * 4;
        flop -= N * (double)k;
    }
    if (cost[0].bytes - cost[1].bytes != bytes || cost[0].flop - cost[1].flop != flop ||
        cost[1].memory_bytes > cost[0].memory_bytes)
        fail_msg("variant %d, pass %d, k %lld: %g bytes less, expected %g; %g and %g FLOP; memory "
                 "%lld of %lld",
                 v, pass, (long long)k, cost[0].bytes - cost[1].bytes, bytes, cost[0].flop,
                 cost[1].flop, (long long)cost[1].memory_bytes, (long long)cost[0].memory_bytes);
}

static void test_which(void **state) {
    for (int v = 0; v < N_VARIANTS; v++) {
        check_cost(*state, (variant)v, VA_DETACHED, VA_JVP, FEW, saved[v][0]);
        check_cost(*state, (variant)v, VA_DETACHED, VA_JVP, MANY, saved[v][1]);
        check_cost(*state, (variant)v, VA_DETACHED, VA_VJP, FEW, saved[v][2]);
        check_cost(*state, (variant)v, VA_DETACHED, VA_VJP, MANY, saved[v][3]);
        check_cost(*state, (variant)v, VA_EXACT, VA_JVP, MANY, 0);
        check_cost(*state, (variant)v, VA_EXACT, VA_VJP, MANY, 0);
    }
}

// -- the same numbers -------------------------------------------------------------------------

static void random_floats(float *v, int64_t n, uint64_t seed, double sigma) {
    va_rng rng = va_rng_make(seed, 3);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)(sigma * va_rng_normal(&rng));
}

static void open_graph(fixture *f) {
    static float x[N], w[WIDTH * WIDTH];
    const va_node node[2] = {f->w, f->gain};
    random_floats(x, N, 1, 1);
    random_floats(w, WIDTH * WIDTH, 2, 0.2);
    assert_ok(f->ctx, va_graph_realize(f->g, f->gpu));
    for (int i = 0; i < 2; i++) {
        va_tensor t = va_graph_tensor(f->g, node[i]);
        assert_ok(f->ctx, va_buffer_create(f->gpu, va_tensor_bytes(&t), "w", &f->weight[i]));
        t.mem = va_slice_at(va_buffer_all(f->weight[i]), 0, va_tensor_bytes(&t));
        assert_ok(f->ctx, va_gpu_upload(f->gpu, t.mem, w));
        assert_ok(f->ctx, va_graph_bind(f->g, node[i], &t));
    }
    assert_ok(f->ctx, va_graph_set(f->g, f->x, x));
    assert_ok(f->ctx, va_graph_forward(f->g));
}

static void sweep(fixture *f, va_pass pass, int64_t k, float *out) {
    static float in[MANY * N];
    va_buffer *buffer[2] = {NULL, NULL};
    va_block a, b;
    random_floats(in, MANY * N, 4, 1);
    assert_ok(f->ctx, va_block_create(f->gpu, ROWS, k, WIDTH, "in", &buffer[0], &a));
    assert_ok(f->ctx, va_block_create(f->gpu, ROWS, k, WIDTH, "out", &buffer[1], &b));
    assert_ok(f->ctx, va_block_from_host(f->gpu, &a, in));
    assert_ok(f->ctx,
              pass == VA_JVP
                  ? va_graph_jvp(f->g, VA_DETACHED, f->from, VA_ALL_ROWS, f->to, &a, &b)
                  : va_graph_vjp(f->g, VA_DETACHED, f->to, &a, &f->from, 1, VA_ALL_ROWS, &b));
    assert_ok(f->ctx, va_block_to_host(f->gpu, &b, out));
    va_buffer_destroy(&buffer[0]);
    va_buffer_destroy(&buffer[1]);
}

static void close_graph(fixture *f) {
    va_graph_destroy(&f->g);
    va_buffer_destroy(&f->weight[0]);
    va_buffer_destroy(&f->weight[1]);
}

// Against the sweep with a pass for each norm, which test_graph holds to double loops.
static void test_numbers(void **state) {
    fixture *f = *state;
    static float out[2][MANY * N];
    static double plain[MANY * N];
    for (int v = 0; v < N_VARIANTS; v++)
        for (int pass = VA_JVP; pass <= VA_VJP; pass++)
            for (int64_t k = FEW; k <= MANY; k += MANY - FEW) {
                for (int fuse = 0; fuse < 2; fuse++) {
                    build(f, (variant)v, fuse, VA_DETACHED);
                    open_graph(f);
                    sweep(f, (va_pass)pass, k, out[fuse]);
                    close_graph(f);
                }
                for (int64_t i = 0; i < k * N; i++)
                    plain[i] = (double)out[0][i];
                // Two or three roundings of each product differ, in sums of 64.
                const double error = va_test_max_error(out[1], plain, k * N);
                if (!(error <= 1e-6))
                    fail_msg("variant %d, pass %d, k %lld: differs by %g", v, pass, (long long)k,
                             error);
            }
}

// -- set-up -----------------------------------------------------------------------------------

static int setup(void **state) {
    static fixture f;
    f = (fixture){.ctx = va_test_ctx()};
    f.gpu = va_test_gpu(f.ctx);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    set_fuse(true);
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_which),
                                       cmocka_unit_test(test_numbers)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
