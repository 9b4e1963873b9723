// test_mlp_each.c: classifiers on rows of their own, trained together and streamed: the same bits
// as each alone, groups, order, progress, what is refused. libs: va_probe SPDX-License-Identifier:
// Apache-2.0
#include "test_gpu.h"

#include <math.h>

#include "vkalign/probe.h"

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    va_gpu *gpu;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    f->gpu = va_test_gpu(f->ctx);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_test_gpu_close(&f->gpu);
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

// -- problems and what comes of them --------------------------------------------------------------

static float *random_rows(va_arena *arena, uint64_t seed, int64_t n) {
    va_rng rng = va_rng_make(seed, va_hash64("test_mlp_each"));
    float *x = VA_NEW_ARRAY(arena, float, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)va_rng_normal(&rng);
    return x;
}

// n rows drawn with repetitions from n_x.
static va_fit_problem random_problem(va_arena *arena, int64_t n, int64_t n_x, uint64_t seed) {
    va_rng rng = va_rng_make(seed, va_hash64("test_mlp_each rows"));
    int64_t *rows = VA_NEW_ARRAY(arena, int64_t, n);
    float *labels = VA_NEW_ARRAY(arena, float, n);
    for (int64_t i = 0; i < n; i++) {
        rows[i] = (int64_t)(va_rng_uniform(&rng) * (double)n_x);
        labels[i] = i < 2 ? (float)i : va_rng_uniform(&rng) < 0.4;
    }
    rows[n - 1] = rows[0]; // one twice at least
    return (va_fit_problem){rows, labels, n, seed};
}

// Copies of the networks, in the order that they come; `stop` at one of them.
typedef struct kept {
    va_arena *arena;
    va_ctx *ctx;
    int64_t n, stop;
    va_mlp mlp[8];
} kept;

static float *copy(va_arena *arena, const float *x, int64_t n) {
    float *to = VA_NEW_ARRAY(arena, float, n);
    memcpy(to, x, (size_t)n * sizeof *to);
    return to;
}

static va_status keep(void *user, int64_t problem, const va_mlp *m) {
    kept *k = user;
    va_arena *a = k->arena;
    assert_int_equal(problem, k->n);
    assert_in_range(k->n, 0, 7);
    if (problem == k->stop)
        return va_fail(k->ctx, VA_ERR_FILE, "the disk is full");
    k->mlp[k->n++] = (va_mlp){m->d,
                              m->h1,
                              m->h2,
                              copy(a, m->W1, m->h1 * m->d),
                              copy(a, m->b1, m->h1),
                              copy(a, m->W2, m->h2 * m->h1),
                              copy(a, m->b2, m->h2),
                              copy(a, m->W3, m->h2),
                              copy(a, m->b3, 1)};
    return VA_OK;
}

static void assert_same_mlp(const va_mlp *a, const va_mlp *b) {
    assert_memory_equal(a->W1, b->W1, (size_t)(a->h1 * a->d) * sizeof(float));
    assert_memory_equal(a->b1, b->b1, (size_t)a->h1 * sizeof(float));
    assert_memory_equal(a->W2, b->W2, (size_t)(a->h2 * a->h1) * sizeof(float));
    assert_memory_equal(a->b2, b->b2, (size_t)a->h2 * sizeof(float));
    assert_memory_equal(a->W3, b->W3, (size_t)a->h2 * sizeof(float));
    assert_memory_equal(a->b3, b->b3, sizeof(float));
}

// The problem by va_mlp_train, its rows gathered.
static va_mlp train_alone(fixture *f, const float *X, int64_t d, const va_fit_problem *problem,
                          va_mlp_params params) {
    va_mlp mlp;
    float *gathered = VA_NEW_ARRAY(f->arena, float, problem->n *d);
    for (int64_t i = 0; i < problem->n; i++)
        memcpy(gathered + i * d, X + problem->rows[i] * d, (size_t)d * sizeof *gathered);
    params.seed = problem->seed;
    params.tick = NULL;
    assert_ok(f->ctx, va_mlp_train(f->gpu, f->arena, gathered, problem->n, d, problem->labels, 1,
                                   &params, &mlp, NULL));
    return mlp;
}

static void check_against_alone(fixture *f, const float *X, int64_t n_x, int64_t d,
                                const va_fit_problem *problems, int64_t n_problems,
                                const va_mlp_params *params) {
    kept k = {.arena = f->arena, .ctx = f->ctx, .stop = -1};
    assert_ok(f->ctx, va_mlp_train_each(f->gpu, X, n_x, d, problems, n_problems, params, keep, &k));
    assert_int_equal(k.n, n_problems);
    for (int64_t p = 0; p < n_problems; p++) {
        va_mlp alone = train_alone(f, X, d, &problems[p], *params);
        assert_same_mlp(&k.mlp[p], &alone);
    }
}

// -- the same bits --------------------------------------------------------------------------------

// One with a single batch smaller than `batch`, one whose last batch has one row, one that fills
// its batches, more rows than X has; the longest is neither first nor last. With weight decay and
// momentum, a step too many would show.
static void together_equals_alone(void **state) {
    fixture *f = *state;
    enum { N_X = 40, D = 21, P = 6 };
    const int64_t n[P] = {33, 5, 70, 64, 2, 48};
    const uint64_t seed[P] = {7, 7, UINT64_C(0xFFFFFFFFFFFFFFFF), UINT64_C(0x1FFFFFFFF), 0, 1};
    float *X = random_rows(f->arena, 1, N_X * D);
    va_fit_problem problems[P];
    for (int p = 0; p < P; p++)
        problems[p] = random_problem(f->arena, n[p], N_X, seed[p]);
    va_mlp_params params = {.h1 = 17, .h2 = 9, .epochs = 3, .batch = 16, .weight_decay = 0.3f};
    check_against_alone(f, X, N_X, D, problems, P, &params);
    params.batch = 1;
    params.no_shuffle = true;
    params.dropout = -1;
    check_against_alone(f, X, N_X, D, problems, P, &params);
    params.batch = 100; // all in one batch of their own size
    params.no_shuffle = false;
    check_against_alone(f, X, N_X, D, problems, P, &params);
}

// The default network on 160 inputs, where tiles of the kernels are full.
static void together_equals_alone_at_full_size(void **state) {
    fixture *f = *state;
    enum { N_X = 60, D = 160, P = 3 };
    const int64_t n[P] = {40, 90, 33};
    float *X = random_rows(f->arena, 1, N_X * D);
    va_fit_problem problems[P];
    for (int p = 0; p < P; p++)
        problems[p] = random_problem(f->arena, n[p], N_X, (uint64_t)p);
    va_mlp_params params = {.epochs = 2};
    check_against_alone(f, X, N_X, D, problems, P, &params);
}

// Shares that were reported.
typedef struct ticks {
    va_ctx *ctx;
    int64_t n, stop;
    double last;
} ticks;

static void tick(void *user, double done) {
    ticks *t = user;
    assert_true(done > t->last && done <= 1);
    t->last = done;
    if (++t->n == t->stop)
        va_interrupt(t->ctx);
}

// A weight of 102 MB each: two fill a quarter of a gigabyte, and lavapipe binds half of that.
// Several groups, come in order, with progress over all of them.
static void groups_come_in_order(void **state) {
    fixture *f = *state;
    enum { N_X = 4, D = 384, P = 3, H1 = 65536 };
    const int64_t n[P] = {2, 5, 3};
    float *X = random_rows(f->arena, 1, N_X * D);
    va_fit_problem problems[P];
    for (int p = 0; p < P; p++)
        problems[p] = random_problem(f->arena, n[p], N_X, (uint64_t)p);
    ticks t = {.ctx = f->ctx};
    va_mlp_params params = {
        .h1 = H1, .h2 = 1, .epochs = 1, .batch = 3, .tick = tick, .tick_user = &t};
    check_against_alone(f, X, N_X, D, problems, P, &params);
    assert_true(t.last == 1);
    assert_in_range(t.n, 2, P); // one a group
}

// -- ends early -----------------------------------------------------------------------------------

static void stops_at_the_caller_and_when_interrupted(void **state) {
    fixture *f = *state;
    enum { N_X = 10, D = 4, P = 3 };
    float *X = random_rows(f->arena, 1, N_X * D);
    va_fit_problem problems[P];
    for (int p = 0; p < P; p++)
        problems[p] = random_problem(f->arena, 6, N_X, (uint64_t)p);
    kept k = {.arena = f->arena, .ctx = f->ctx, .stop = 1};
    ticks t = {.ctx = f->ctx, .stop = 2};
    va_mlp_params params = {.epochs = 5};
    assert_error(f->ctx, VA_ERR_FILE, "the disk is full",
                 va_mlp_train_each(f->gpu, X, N_X, D, problems, P, &params, keep, &k));
    assert_int_equal(k.n, 1);
    params.tick = tick;
    params.tick_user = &t;
    k.n = 0;
    assert_int_equal(va_mlp_train_each(f->gpu, X, N_X, D, problems, P, &params, keep, &k),
                     VA_ERR_INTERRUPTED);
    assert_int_equal(t.n, 2);
    assert_int_equal(k.n, 0);
}

static void refuses_problems_that_cannot_be_trained(void **state) {
    fixture *f = *state;
    enum { N_X = 5, D = 3, P = 2 };
    float *X = random_rows(f->arena, 1, N_X * D);
    int64_t rows[] = {0, 4, 4};
    float labels[] = {0, 1, 0};
    const va_fit_problem good = {rows, labels, 3, 1};
    va_fit_problem problems[P] = {good, random_problem(f->arena, 4, N_X, 2)};
    va_mlp_params params = {.epochs = 1};
    kept k = {.arena = f->arena, .ctx = f->ctx, .stop = -1};
#define TRAIN(n_x, n_problems)                                                                     \
    va_mlp_train_each(f->gpu, X, n_x, D, problems, n_problems, &params, keep, &k)
    assert_error(f->ctx, VA_ERR_SHAPE, "at least one row, column and problem", TRAIN(N_X, 0));
    assert_error(f->ctx, VA_ERR_SHAPE, "at least one row, column and problem", TRAIN(0, P));
    assert_error(f->ctx, VA_ERR_MEMORY, "more than this device binds", TRAIN(INT64_MAX / 8, P));
    problems[1].n = 0;
    assert_error(f->ctx, VA_ERR_SHAPE, "classifier 1: expected at least two rows, got 0",
                 TRAIN(N_X, P));
    problems[1] = good;
    rows[1] = 5;
    assert_error(f->ctx, VA_ERR_SHAPE, "classifier 0: expected rows of 0 to 4, got 5 at place 1",
                 TRAIN(N_X, P));
    rows[1] = -1;
    assert_error(f->ctx, VA_ERR_SHAPE, "got -1 at place 1", TRAIN(N_X, P));
    rows[1] = 4;
    labels[2] = NAN;
    assert_error(f->ctx, VA_ERR_SHAPE, "labels of 0 or 1, got nan at place 2", TRAIN(N_X, P));
    labels[1] = labels[2] = 0;
    assert_error(f->ctx, VA_ERR_SHAPE, "both classes, got 3 times 0", TRAIN(N_X, P));
    labels[1] = 1;
    X[13] = INFINITY;
    assert_error(f->ctx, VA_ERR_NUMERIC, "inf at row 4, column 1", TRAIN(N_X, P));
    X[13] = 1e30f; // the second step's weights overflow
    params.learning_rate = 1e38f;
    params.epochs = 3;
    assert_error(f->ctx, VA_ERR_NUMERIC, "classifier 0: loss", TRAIN(N_X, P));
    assert_int_equal(k.n, 0); // none was handed out
#undef TRAIN
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(together_equals_alone),
        TEST(together_equals_alone_at_full_size),
        TEST(groups_come_in_order),
        TEST(stops_at_the_caller_and_when_interrupted),
        TEST(refuses_problems_that_cannot_be_trained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
