// test_graph_replay.c: sweeps and forward passes that are replayed give the bits of those recorded
// in the ordinary way, cost no recording and no wait, and notice when memory changes.
// libs: va_graph
// SPDX-License-Identifier: Apache-2.0
#include "graph_block.h"

enum { VECTORS = 3, LEN = T * D_MODEL * VECTORS };

// Blocks at X and R2 and what a sweep between them gives.
typedef struct ends {
    va_buffer *bx, *by;
    va_block x, y;
} ends;

static ends make_ends(fixture *f, int64_t k) {
    ends e = {0};
    e.x = make_block(f, X, k, NULL, &e.bx);
    e.y = make_block(f, R2, k, NULL, &e.by);
    return e;
}

static void free_ends(ends *e) {
    va_buffer_destroy(&e->bx);
    va_buffer_destroy(&e->by);
}

static void random_vectors(float *v, int64_t n, uint64_t stream) {
    va_rng rng = va_rng_make(5, stream);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)va_rng_normal(&rng);
}

// One sweep; counts: what it alone took, uploads and results apart.
static va_gpu_counts sweep(fixture *f, const ends *e, va_pass pass, uint64_t stream, float *got) {
    float sent[LEN * 4];
    const va_block *in = pass == VA_JVP ? &e->x : &e->y, *out = pass == VA_JVP ? &e->y : &e->x;
    random_vectors(sent, in->T * in->k * in->d, stream);
    assert_ok(f->ctx, va_block_from_host(f->gpu, in, sent));
    const va_gpu_counts before = va_gpu_get_counts(f->gpu);
    if (pass == VA_JVP)
        assert_ok(f->ctx,
                  va_graph_jvp(f->g, VA_EXACT, f->node[X], VA_ALL_ROWS, f->node[R2], &e->x, &e->y));
    else
        assert_ok(f->ctx, va_graph_vjp(f->g, VA_EXACT, f->node[R2], &e->y, &f->node[X], 1,
                                       VA_ALL_ROWS, &e->x));
    va_gpu_counts taken = va_gpu_get_counts(f->gpu);
    taken.dispatches -= before.dispatches;
    taken.sets -= before.sets;
    taken.replays -= before.replays;
    taken.waits -= before.waits;
    assert_ok(f->ctx, va_block_to_host(f->gpu, out, got));
    return taken;
}

// The sweep by the ordinary way: blocks that were never used before.
static void check_against_fresh(fixture *f, va_pass pass, uint64_t stream, const float *got) {
    float expected[LEN];
    ends e = make_ends(f, VECTORS);
    const va_gpu_counts taken = sweep(f, &e, pass, stream, expected);
    assert_int_equal(taken.replays, 0);
    assert_int_equal(taken.sets, taken.dispatches);
    assert_memory_equal(got, expected, sizeof expected);
    free_ends(&e);
}

static void check_replays(fixture *f, ends *e, va_pass pass) {
    float got[6][LEN];
    for (int i = 0; i < 6; i++) {
        const va_gpu_counts taken = sweep(f, e, pass, (uint64_t)i, got[i]);
        assert_true(taken.dispatches > 10);
        assert_int_equal(taken.waits, 0);
        assert_int_equal(taken.replays, i >= 1);
        assert_int_equal(taken.sets, i >= 2 ? 0 : taken.dispatches);
    }
    for (int i = 0; i < 6; i++)
        check_against_fresh(f, pass, (uint64_t)i, got[i]);
}

static void test_sweeps(void **state) {
    fixture *f = *state;
    want_all(f, X, R2);
    run(f);
    ends e = make_ends(f, VECTORS);
    check_replays(f, &e, VA_JVP);
    check_replays(f, &e, VA_VJP);
    free_ends(&e);
}

// New inputs and a new forward pass change what the sweeps read, not the recordings.
static void test_forward(void **state) {
    fixture *f = *state;
    float x[T * D_MODEL], value[5][T * D_MODEL], again[T * D_MODEL], got[LEN];
    want_all(f, X, R2);
    va_graph_keep(f->g, f->node[R2]);
    run(f);
    ends e = make_ends(f, VECTORS);
    for (int i = 0; i < 3; i++)
        sweep(f, &e, VA_JVP, 0, got);
    for (int i = 0; i < 5; i++) {
        random_vectors(x, T * D_MODEL, (uint64_t)i);
        assert_ok(f->ctx, va_graph_set(f->g, f->node[X], x));
        const va_gpu_counts before = va_gpu_get_counts(f->gpu);
        assert_ok(f->ctx, va_graph_forward(f->g));
        const va_gpu_counts after = va_gpu_get_counts(f->gpu);
        assert_true(after.dispatches - before.dispatches > 10);
        assert_int_equal(after.waits, before.waits);
        assert_int_equal(after.replays - before.replays, 1); // run() was the first
        if (i > 0)
            assert_int_equal(after.sets, before.sets);
        assert_ok(f->ctx, va_graph_read(f->g, f->node[R2], value[i]));
        assert_int_equal(sweep(f, &e, VA_JVP, 9, got).replays, i == 0); // then come fresh blocks
        check_against_fresh(f, VA_JVP, 9, got);
    }
    for (int i = 0; i < 5; i++) { // binding makes the next pass an ordinary one
        random_vectors(x, T * D_MODEL, (uint64_t)i);
        assert_ok(f->ctx, va_graph_set(f->g, f->node[X], x));
        va_tensor w = va_graph_tensor(f->g, f->weight[W_Q]);
        assert_ok(f->ctx, va_graph_bind(f->g, f->weight[W_Q], &w));
        const va_gpu_counts before = va_gpu_get_counts(f->gpu);
        assert_ok(f->ctx, va_graph_forward(f->g));
        assert_int_equal(va_gpu_get_counts(f->gpu).replays, before.replays);
        assert_ok(f->ctx, va_graph_read(f->g, f->node[R2], again));
        assert_memory_equal(again, value[i], sizeof again);
    }
    free_ends(&e);
}

// Another weight, which the old recordings know nothing of; the old one then goes.
static void test_weight_bound_anew(void **state) {
    fixture *f = *state;
    float got[LEN], other[LEN];
    want_all(f, X, R2);
    run(f);
    ends e = make_ends(f, VECTORS);
    for (int i = 0; i < 3; i++)
        sweep(f, &e, VA_VJP, 1, got);
    va_tensor w = va_graph_tensor(f->g, f->weight[W_D]);
    va_buffer *made;
    assert_ok(f->ctx, va_buffer_create(f->gpu, va_tensor_bytes(&w), "another", &made));
    w.mem = va_slice_at(va_buffer_all(made), 0, va_tensor_bytes(&w));
    assert_ok(f->ctx, va_gpu_upload(f->gpu, w.mem, f->b.w[W_G])); // of as many elements
    assert_ok(f->ctx, va_graph_bind(f->g, f->weight[W_D], &w));
    assert_ok(f->ctx, va_graph_forward(f->g));
    va_buffer *old = f->buffer[W_D];
    f->buffer[W_D] = made;
    assert_int_equal(sweep(f, &e, VA_VJP, 1, other).replays, 0);
    va_buffer_destroy(&old); // nothing uses it any more
    assert_true(memcmp(got, other, sizeof got) != 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sweep(f, &e, VA_VJP, 1, got).replays, 1);
        assert_memory_equal(got, other, sizeof got);
    }
    check_against_fresh(f, VA_VJP, 1, got);
    free_ends(&e);
}

// A wider sweep makes the pool grow; blocks go and others come, maybe to the same place.
static void test_memory_that_moves(void **state) {
    fixture *f = *state;
    float got[LEN], wide[LEN * 4];
    want_all(f, X, R2);
    run(f);
    ends e = make_ends(f, VECTORS), w = make_ends(f, 4 * VECTORS);
    for (int i = 0; i < 3; i++)
        sweep(f, &e, VA_JVP, 1, got);
    sweep(f, &w, VA_JVP, 1, wide);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sweep(f, &e, VA_JVP, 1, got).replays, i >= 1);
        check_against_fresh(f, VA_JVP, 1, got);
        sweep(f, &e, VA_JVP, 1, got); // ordinary: the blocks changed
        sweep(f, &e, VA_JVP, 1, got);
        sweep(f, &w, VA_JVP, 1, wide);
    }
    free_ends(&w);
    for (int i = 0; i < 6; i++) {
        va_buffer_destroy(i % 2 ? &e.by : &e.bx);
        if (i % 2)
            e.y = make_block(f, R2, VECTORS, NULL, &e.by);
        else
            e.x = make_block(f, X, VECTORS, NULL, &e.bx);
        for (int j = 0; j < 3; j++) {
            sweep(f, &e, VA_JVP, 2, got);
            if (j == 2)
                check_against_fresh(f, VA_JVP, 2, got);
        }
    }
    free_ends(&e);
}

// The identity, and a source that leads nowhere.
static void test_ends_alone(void **state) {
    fixture *f = *state;
    float sent[LEN], got[LEN];
    want_all(f, R2, R2);
    want_all(f, TWICE, R2);
    run(f);
    ends e = make_ends(f, VECTORS);
    e.x = make_block(f, R2, VECTORS, NULL, &e.bx);
    for (int i = 0; i < 4; i++) {
        random_vectors(sent, LEN, (uint64_t)i);
        assert_ok(f->ctx, va_block_from_host(f->gpu, &e.x, sent));
        assert_ok(f->ctx,
                  va_graph_jvp(f->g, VA_EXACT, f->node[R2], VA_ALL_ROWS, f->node[R2], &e.x, &e.y));
        assert_ok(f->ctx, va_block_to_host(f->gpu, &e.y, got));
        assert_memory_equal(got, sent, sizeof got);
        assert_ok(f->ctx, va_graph_vjp(f->g, VA_EXACT, f->node[R2], &e.x, &f->node[TWICE], 1,
                                       VA_ALL_ROWS, &e.y));
        assert_ok(f->ctx, va_block_to_host(f->gpu, &e.y, got));
        for (int j = 0; j < LEN; j++)
            assert_true(got[j] == 0);
    }
    free_ends(&e);
}

int main(void) {
    unsetenv("VA_REPLAY");
    const struct CMUnitTest tests[] = {
        GRAPH_TEST(test_sweeps),
        GRAPH_TEST(test_forward),
        GRAPH_TEST(test_weight_bound_anew),
        GRAPH_TEST(test_memory_that_moves),
        GRAPH_TEST(test_ends_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
