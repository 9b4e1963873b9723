// test_graph.c: a transformer block as a graph against double loops: values, and derivatives by
// central differences of those loops.
// libs: va_graph
// SPDX-License-Identifier: Apache-2.0
#include "graph_block.h"

// -- tests ------------------------------------------------------------------------------------

static void test_forward_values(void **state) {
    fixture *f = *state;
    static values ref;
    for (int n = 0; n < N_VALUES; n++)
        va_graph_keep(f->g, f->node[n]);
    run(f);
    ref_run(&f->b, &ref, NULL, -1, 0, 0);
    for (int n = 0; n < N_VALUES; n++) {
        float got[MAX_LEN];
        assert_ok(f->ctx, va_graph_read(f->g, f->node[n], got));
        double error = va_test_max_error(got, ref.v[n], length_of(n));
        if (!(error <= TOLERANCE))
            fail_msg("value %s: error %g", value_names[n], error);
    }
}

// With values sharing memory, the last ones still come out right.
static void test_shared_slots(void **state) {
    fixture *f = *state;
    static values ref;
    va_graph_keep(f->g, f->node[LAST]);
    va_graph_keep(f->g, f->node[MEAN]);
    run(f);
    ref_run(&f->b, &ref, NULL, -1, 0, 0);
    for (int n = LAST; n <= MEAN; n++) {
        float got[D_MODEL];
        assert_ok(f->ctx, va_graph_read(f->g, f->node[n], got));
        assert_true(va_test_max_error(got, ref.v[n], D_MODEL) <= TOLERANCE);
    }
}

// The forward pass by pieces, as weights come one by one, each for the first time or another time.
static void test_forward_by_parts(void **state) {
    fixture *f = *state;
    float whole[MAX_LEN], parts[MAX_LEN];
    bool finished;
    va_tensor w[N_WEIGHTS];
    va_graph_keep(f->g, f->node[R2]);
    assert_error(f->ctx, VA_ERR_USAGE, "not realised", va_graph_forward_part(f->g, &finished));
    assert_ok(f->ctx, va_graph_finish(f->g));
    assert_ok(f->ctx, va_graph_realize(f->g, f->gpu));
    assert_ok(f->ctx, va_graph_set(f->g, f->node[X], f->b.x));
    for (int i = 0; i < N_WEIGHTS; i++) {
        const int64_t before = va_gpu_dispatch_count(f->gpu);
        w[i] = va_graph_tensor(f->g, f->weight[i]);
        const int64_t bytes = va_tensor_bytes(&w[i]);
        assert_ok(f->ctx, va_buffer_create(f->gpu, bytes, weight_names[i], &f->buffer[i]));
        w[i].mem = va_slice_at(va_buffer_all(f->buffer[i]), 0, bytes);
        assert_ok(f->ctx, va_gpu_upload(f->gpu, w[i].mem, f->b.w[i]));
        assert_ok(f->ctx, va_graph_bind(f->g, f->weight[i], &w[i]));
        assert_ok(f->ctx, va_graph_forward_part(f->g, &finished));
        assert_int_equal(finished, i == N_WEIGHTS - 1);
        assert_true(va_gpu_dispatch_count(f->gpu) > before);
        if (!finished)
            assert_error(f->ctx, VA_ERR_USAGE, "comes first",
                         va_graph_read(f->g, f->node[R2], parts));
    }
    assert_ok(f->ctx, va_graph_read(f->g, f->node[R2], parts));
    assert_ok(f->ctx, va_graph_forward(f->g));
    assert_ok(f->ctx, va_graph_read(f->g, f->node[R2], whole));
    assert_memory_equal(parts, whole, sizeof(float) * (size_t)length_of(R2));
    // A new input, or a weight bound once more, takes it back to the beginning.
    f->b.x[0] += 1;
    assert_ok(f->ctx, va_graph_set(f->g, f->node[X], f->b.x));
    assert_ok(f->ctx, va_graph_forward_part(f->g, &finished));
    assert_true(finished);
    w[W_N1].mem = w[W_N2].mem;
    assert_ok(f->ctx, va_graph_bind(f->g, f->weight[W_N1], &w[W_N1]));
    assert_ok(f->ctx, va_graph_forward_part(f->g, &finished));
    assert_ok(f->ctx, va_graph_read(f->g, f->node[R2], parts));
    assert_ok(f->ctx, va_graph_forward(f->g));
    assert_ok(f->ctx, va_graph_read(f->g, f->node[R2], whole));
    assert_memory_equal(parts, whole, sizeof(float) * (size_t)length_of(R2));
    f->b.x[0] -= 1;
}

static void check_jacobian(fixture *f, va_mode mode, int from, int to, int64_t k) {
    static double ref[MAX_LEN * MAX_LEN];
    static float forward[MAX_LEN * MAX_LEN], reverse[MAX_LEN * MAX_LEN];
    float *J[1] = {reverse};
    int64_t size = length_of(from) * length_of(to);
    ref_jacobian(&f->b, mode, from, to, ref);
    graph_jvp(f, mode, from, to, k, forward);
    graph_vjp(f, mode, &from, 1, to, k, J);
    double jvp = va_test_max_error(forward, ref, size), vjp = va_test_max_error(reverse, ref, size);
    if (!(jvp <= TOLERANCE && vjp <= TOLERANCE))
        fail_msg("%s %s -> %s, k %lld: jvp error %g, vjp error %g", mode ? "detached" : "exact",
                 value_names[from], value_names[to], (long long)k, jvp, vjp);
}

static void test_derivatives(void **state) {
    fixture *f = *state;
    static const int pairs[][2] = {{X, LAST},   {X, MEAN},  {X, R2}, {R1, CAP},  {N1, O},
                                   {ATT, DOWN}, {GATE, R2}, {X, N1}, {R2, TWICE}};
    for (int i = 0; i < VA_COUNT(pairs); i++)
        want_all(f, pairs[i][0], pairs[i][1]);
    run(f);
    for (int i = 0; i < VA_COUNT(pairs); i++)
        for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
            check_jacobian(f, (va_mode)mode, pairs[i][0], pairs[i][1], 5);
            check_jacobian(f, (va_mode)mode, pairs[i][0], pairs[i][1], 1);
        }
}

// <u, J v> = <J' u, v> on random vectors, which sees every entry at once.
static void test_adjoint(void **state) {
    fixture *f = *state;
    want_all(f, X, R2);
    run(f);
    enum { N = T * D_MODEL, VECTORS = 3 };
    float u[N * VECTORS], v[N * VECTORS], Jv[N * VECTORS], Ju[N * VECTORS];
    va_rng rng = va_rng_make(5, 0);
    for (int i = 0; i < N * VECTORS; i++) {
        u[i] = (float)va_rng_normal(&rng);
        v[i] = (float)va_rng_normal(&rng);
    }
    for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
        va_buffer *b[4] = {0};
        va_block bu = make_block(f, R2, VECTORS, u, &b[0]),
                 bv = make_block(f, X, VECTORS, v, &b[1]);
        va_block y = make_block(f, R2, VECTORS, NULL, &b[2]),
                 x = make_block(f, X, VECTORS, NULL, &b[3]);
        assert_ok(f->ctx,
                  va_graph_jvp(f->g, (va_mode)mode, f->node[X], VA_ALL_ROWS, f->node[R2], &bv, &y));
        assert_ok(f->ctx, va_graph_vjp(f->g, (va_mode)mode, f->node[R2], &bu, &f->node[X], 1,
                                       VA_ALL_ROWS, &x));
        assert_ok(f->ctx, va_block_to_host(f->gpu, &y, Jv));
        assert_ok(f->ctx, va_block_to_host(f->gpu, &x, Ju));
        for (int j = 0; j < VECTORS; j++) {
            double left = 0, right = 0, scale = 0;
            for (int i = 0; i < N; i++) {
                left += (double)u[j * N + i] * Jv[j * N + i];
                right += (double)Ju[j * N + i] * v[j * N + i];
                scale += fabs((double)u[j * N + i] * Jv[j * N + i]);
            }
            assert_true(fabs(left - right) <= TOLERANCE * scale && scale > 0);
        }
        for (int i = 0; i < 4; i++)
            va_buffer_destroy(&b[i]);
    }
}

// Many sources in one reverse sweep, some on the way of others, one the target itself, one that
// does not lead there and one listed twice.
static void test_many_sources(void **state) {
    fixture *f = *state;
    static const int from[] = {X, R1, N2, CAP, LAST, GATE, MEAN, R1};
    enum { SOURCES = 8 };
    static float J[SOURCES][MAX_LEN * MAX_LEN];
    float *rows[SOURCES];
    static double ref[MAX_LEN * MAX_LEN];
    for (int s = 0; s < SOURCES; s++)
        want_all(f, from[s], LAST);
    run(f);
    for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
        for (int s = 0; s < SOURCES; s++)
            rows[s] = J[s];
        graph_vjp(f, (va_mode)mode, from, SOURCES, LAST, 4, rows);
        for (int s = 0; s < SOURCES; s++) {
            ref_jacobian(&f->b, (va_mode)mode, from[s], LAST, ref);
            double error = va_test_max_error(J[s], ref, length_of(from[s]) * length_of(LAST));
            if (!(error <= TOLERANCE))
                fail_msg("mode %d, source %s: error %g", mode, value_names[from[s]], error);
        }
    }
}

static void test_identity_and_zero(void **state) {
    fixture *f = *state;
    enum { N = T * D_MODEL };
    static float J[MAX_LEN * MAX_LEN];
    static double identity[N * N], zero[MAX_LEN * MAX_LEN];
    float *rows[1] = {J};
    const int from_r1 = R1, from_mean = MEAN, from_q = Q;
    want_all(f, R1, R1);
    want_all(f, MEAN, LAST);
    want_all(f, Q, R2);
    run(f);
    for (int i = 0; i < N; i++)
        identity[i * N + i] = 1;
    graph_jvp(f, VA_EXACT, R1, R1, 5, J);
    assert_true(va_test_max_error(J, identity, N * N) == 0);
    graph_vjp(f, VA_EXACT, &from_r1, 1, R1, 5, rows);
    assert_true(va_test_max_error(J, identity, N * N) == 0);
    graph_jvp(f, VA_EXACT, MEAN, LAST, 2, J);
    assert_true(va_test_max_error(J, zero, D_MODEL * D_MODEL) == 0);
    graph_vjp(f, VA_EXACT, &from_mean, 1, LAST, 2, rows);
    assert_true(va_test_max_error(J, zero, D_MODEL * D_MODEL) == 0);
    // Frozen probabilities: q leads nowhere in detached mode, but does in exact mode.
    graph_vjp(f, VA_DETACHED, &from_q, 1, R2, 3, rows);
    assert_true(va_test_max_error(J, zero, length_of(Q) * N) == 0);
    check_jacobian(f, VA_EXACT, Q, R2, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        GRAPH_TEST(test_forward_values),    GRAPH_TEST(test_forward_by_parts),
        GRAPH_TEST(test_shared_slots),      GRAPH_TEST(test_derivatives),
        GRAPH_TEST(test_adjoint),           GRAPH_TEST(test_many_sources),
        GRAPH_TEST(test_identity_and_zero),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
