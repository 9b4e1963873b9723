// test_gpu_record.c: transfers, ordering of recorded work, dispatch errors; on mapped and on staged
// memory (VA_STAGING=1 makes any device behave like a discrete one).
// SPDX-License-Identifier: Apache-2.0
// libs: va_gpu
#include "test_gpu.h"

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
} fixture;

static fixture *open_fixture(const char *staging) {
    fixture *f = calloc(1, sizeof *f);
    setenv("VA_STAGING", staging, 1);
    f->ctx = va_test_ctx();
    f->gpu = va_test_gpu(f->ctx);
    return f;
}

static int setup_mapped(void **state) {
    *state = open_fixture("0");
    return 0;
}

static int setup_staged(void **state) {
    *state = open_fixture("1");
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static const va_kernel axpby = {
    .shader = "vec/axpby.SCALAR", .n_bind = 2, .write_mask = 1 << 1, .push_bytes = 12};

typedef struct axpby_push {
    uint32_t n;
    float alpha, beta;
} axpby_push;

static va_status run_axpby(va_gpu *gpu, float alpha, va_slice x, float beta, va_slice y) {
    axpby_push push = {(uint32_t)(y.size_bytes / 4), alpha, beta};
    va_dispatch d = {.kernel = &axpby, .bind = {x, y}, .push = &push};
    va_gpu_groups(gpu, push.n, 512, d.groups);
    return va_gpu_dispatch(gpu, &d);
}

static void test_odd_sizes(void **state) {
    fixture *f = *state;
    enum { SIZE = 300007 };
    uint8_t *sent = malloc(SIZE), *got = malloc(SIZE), *model = malloc(SIZE);
    va_rng r = va_rng_make(3, 0);
    va_buffer *b;
    assert_ok(f->ctx, va_buffer_create(f->gpu, SIZE, "odd", &b));
    memset(model, 0, SIZE);
    assert_ok(f->ctx, va_gpu_upload(f->gpu, va_buffer_all(b), model));
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 255, 256, 257, 4095, 65535, 65536, 65537, 70001};
    for (int round = 0; round < 4; round++) {
        for (int64_t i = 0; i < VA_COUNT(sizes); i++) {
            int64_t offset = 4 * va_rng_below(&r, (uint32_t)((SIZE - sizes[i]) / 4));
            for (int64_t j = 0; j < sizes[i]; j++)
                sent[j] = (uint8_t)va_rng_u32(&r);
            memcpy(model + offset, sent, (size_t)sizes[i]);
            va_slice s = va_slice_at(va_buffer_all(b), offset, sizes[i]);
            assert_ok(f->ctx, va_gpu_upload(f->gpu, s, sent));
            if (round % 2) { // alone, and with others on their way
                assert_ok(f->ctx, va_gpu_download(f->gpu, s, got));
                assert_memory_equal(got, sent, (size_t)sizes[i]);
            }
        }
        assert_ok(f->ctx, va_gpu_download(f->gpu, va_buffer_all(b), got));
        assert_memory_equal(got, model, SIZE); // nothing around was touched
    }
    va_buffer_destroy(&b);
    free(sent);
    free(got);
    free(model);
}

// More than all staging chunks together, there and back.
static void test_large_transfer(void **state) {
    fixture *f = *state;
    int64_t n = (41 << 20) / 4 + 3;
    uint32_t *words = malloc((size_t)n * 4);
    va_buffer *b;
    for (int64_t i = 0; i < n; i++)
        words[i] = (uint32_t)i * 2654435761u;
    assert_ok(f->ctx, va_buffer_create(f->gpu, n * 4, "large", &b));
    assert_ok(f->ctx, va_gpu_upload(f->gpu, va_buffer_all(b), words));
    memset(words, 0, (size_t)n * 4);
    assert_ok(f->ctx, va_gpu_download(f->gpu, va_buffer_all(b), words));
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; i++)
        wrong += words[i] != (uint32_t)i * 2654435761u;
    assert_int_equal(wrong, 0);
    va_buffer_destroy(&b);
    free(words);
}

static void test_copy_and_fill(void **state) {
    fixture *f = *state;
    uint32_t got[64];
    va_buffer *b;
    assert_ok(f->ctx, va_buffer_create(f->gpu, sizeof got, "b", &b));
    va_slice all = va_buffer_all(b);
    assert_ok(f->ctx, va_gpu_fill(f->gpu, all, 1));
    assert_ok(f->ctx, va_gpu_fill(f->gpu, va_slice_at(all, 40, 8), 2));
    assert_ok(f->ctx, va_gpu_copy(f->gpu, va_slice_at(all, 4, 12), va_slice_at(all, 36, 12)));
    assert_ok(f->ctx, va_gpu_download(f->gpu, all, got));
    for (int i = 0; i < 64; i++)
        assert_int_equal(got[i], i == 10 || i == 11 || i == 2 || i == 3 ? 2 : 1);
    assert_error(f->ctx, VA_ERR_USAGE, "equal sizes",
                 va_gpu_copy(f->gpu, va_slice_at(all, 0, 8), va_slice_at(all, 16, 12)));
    assert_error(f->ctx, VA_ERR_USAGE, "overlap",
                 va_gpu_copy(f->gpu, va_slice_at(all, 0, 12), va_slice_at(all, 8, 12)));
    assert_error(f->ctx, VA_ERR_USAGE, "whole words",
                 va_gpu_fill(f->gpu, va_slice_at(all, 0, 6), 0));
    va_slice outside = {b, 200, 100};
    assert_error(f->ctx, VA_ERR_USAGE, "outside", va_gpu_fill(f->gpu, outside, 0));
    assert_error(f->ctx, VA_ERR_USAGE, "outside", va_gpu_download(f->gpu, outside, got));
    assert_error(f->ctx, VA_ERR_USAGE, "aligned",
                 va_gpu_upload(f->gpu, va_slice_at(all, 2, 4), got));
    va_buffer_destroy(&b);
}

// Each step needs the one before, through buffers, across many submissions.
static void test_dependent_chain(void **state) {
    fixture *f = *state;
    enum { N = 5000, STEPS = 700 };
    static float x[N];
    va_buffer *b[3];
    for (int i = 0; i < 3; i++)
        assert_ok(f->ctx, va_buffer_create(f->gpu, sizeof x, "chain", &b[i]));
    for (int i = 0; i < N; i++)
        x[i] = (float)i;
    assert_ok(f->ctx, va_gpu_upload(f->gpu, va_buffer_all(b[0]), x));
    float model = 0; // what is added to x so far
    for (int s = 0; s < STEPS; s++) {
        va_buffer *from = b[s % 3], *to = b[(s + 1) % 3];
        float one = 1;
        uint32_t word;
        memcpy(&word, &one, 4);
        assert_ok(f->ctx, va_gpu_fill(f->gpu, va_buffer_all(to), word));
        assert_ok(f->ctx, run_axpby(f->gpu, 1, va_buffer_all(from), 1, va_buffer_all(to)));
        model += 1;
    }
    assert_ok(f->ctx, va_gpu_download(f->gpu, va_buffer_all(b[STEPS % 3]), x));
    for (int i = 0; i < N; i++)
        assert_true(x[i] == (float)i + model);
    assert_true(va_gpu_dispatch_count(f->gpu) == STEPS);
    for (int i = 0; i < 3; i++)
        va_buffer_destroy(&b[i]);
}

// A random program on slots, three to a buffer, of buffers that come and go, and the same program
// on the host. Factors are powers of two and sums stay bounded, so floats agree exactly.
enum { PROGRAM_SLOTS = 24, PROGRAM_N = 320 };

typedef struct program {
    va_buffer *buffers[PROGRAM_SLOTS / 3];
    float model[PROGRAM_SLOTS][PROGRAM_N];
    va_rng r;
} program;

static va_slice program_slot(program *p, uint32_t i) {
    return va_slice_at(va_buffer_all(p->buffers[i / 3]), i % 3 * PROGRAM_N * 4, PROGRAM_N * 4);
}

static void set_slot(program *p, fixture *f, uint32_t i) {
    for (int j = 0; j < PROGRAM_N; j++)
        p->model[i][j] = (float)(int)va_rng_below(&p->r, 2001) - 1000;
    assert_ok(f->ctx, va_gpu_upload(f->gpu, program_slot(p, i), p->model[i]));
}

static void step(program *p, fixture *f) {
    uint32_t a = va_rng_below(&p->r, PROGRAM_SLOTS), b = va_rng_below(&p->r, PROGRAM_SLOTS - 1);
    b += b >= a;
    switch (va_rng_below(&p->r, 12)) {
    case 0: // another owner of the memory while work on it is under way
        va_buffer_destroy(&p->buffers[a / 3]);
        assert_ok(f->ctx,
                  va_buffer_create(f->gpu, 3 * PROGRAM_N * 4, "program", &p->buffers[a / 3]));
        for (uint32_t i = 0; i < 3; i++)
            set_slot(p, f, a / 3 * 3 + i);
        break;
    case 1:
        set_slot(p, f, a);
        break;
    case 2:
        memcpy(p->model[a], p->model[b], sizeof p->model[a]);
        assert_ok(f->ctx, va_gpu_copy(f->gpu, program_slot(p, a), program_slot(p, b)));
        break;
    case 3:
        assert_ok(f->ctx, va_gpu_fill(f->gpu, program_slot(p, a), 0));
        memset(p->model[a], 0, sizeof p->model[a]);
        break;
    default:
        for (int j = 0; j < PROGRAM_N; j++)
            p->model[a][j] = 0.5f * p->model[b][j] - 0.5f * p->model[a][j];
        assert_ok(f->ctx, run_axpby(f->gpu, 0.5f, program_slot(p, b), -0.5f, program_slot(p, a)));
    }
}

static void test_random_program(void **state) {
    fixture *f = *state;
    program *p = calloc(1, sizeof *p);
    float got[PROGRAM_N];
    p->r = va_rng_make(5, 0);
    for (uint32_t i = 0; i < PROGRAM_SLOTS / 3; i++)
        assert_ok(f->ctx, va_buffer_create(f->gpu, 3 * PROGRAM_N * 4, "program", &p->buffers[i]));
    for (uint32_t i = 0; i < PROGRAM_SLOTS; i++)
        set_slot(p, f, i);
    for (int s = 0; s < 3000; s++) {
        step(p, f);
        if (s % 100 == 99) {
            uint32_t i = va_rng_below(&p->r, PROGRAM_SLOTS);
            assert_ok(f->ctx, va_gpu_download(f->gpu, program_slot(p, i), got));
            assert_memory_equal(got, p->model[i], sizeof got);
        }
    }
    for (uint32_t i = 0; i < PROGRAM_SLOTS; i++) {
        assert_ok(f->ctx, va_gpu_download(f->gpu, program_slot(p, i), got));
        for (int j = 0; j < PROGRAM_N; j++)
            assert_true(got[j] == p->model[i][j]);
    }
    for (uint32_t i = 0; i < PROGRAM_SLOTS / 3; i++)
        va_buffer_destroy(&p->buffers[i]);
    free(p);
}

static void test_groups(void **state) {
    fixture *f = *state;
    static const int64_t items[] = {0, 1, 64, 65, 65535 * 64, 65535 * 64 + 1, 123456789, 1 << 30};
    for (int64_t i = 0; i < VA_COUNT(items); i++) {
        uint32_t g[3];
        va_gpu_groups(f->gpu, items[i], 64, g);
        int64_t total = (int64_t)g[0] * g[1], need = VA_MAX(1, (items[i] + 63) / 64);
        assert_true(g[0] >= 1 && g[0] <= 65535 && g[1] >= 1 && g[1] <= 65535 && g[2] == 1);
        assert_true(total >= need && total < need + g[1]); // less than one row too many
    }
    // A folded dispatch reaches every element once.
    enum { N = 100 * 512 * 3 + 5 };
    float *x = malloc(N * sizeof *x);
    va_buffer *b;
    for (int i = 0; i < N; i++)
        x[i] = (float)(i % 1000);
    assert_ok(f->ctx, va_buffer_create(f->gpu, N * 4, "folded", &b));
    assert_ok(f->ctx, va_gpu_upload(f->gpu, va_buffer_all(b), x));
    axpby_push push = {N, 1, 1};
    va_dispatch d = {.kernel = &axpby,
                     .bind = {va_buffer_all(b), va_buffer_all(b)},
                     .push = &push,
                     .groups = {100, 4, 1}};
    assert_ok(f->ctx, va_gpu_dispatch(f->gpu, &d));
    assert_ok(f->ctx, va_gpu_download(f->gpu, va_buffer_all(b), x));
    for (int i = 0; i < N; i++)
        assert_true(x[i] == (float)(2 * (i % 1000)));
    va_buffer_destroy(&b);
    free(x);
}

static void test_dispatch_errors(void **state) {
    fixture *f = *state;
    va_buffer *b;
    axpby_push push = {4, 1, 1};
    assert_ok(f->ctx, va_buffer_create(f->gpu, 4096, "b", &b));
    va_slice all = va_buffer_all(b);
    va_dispatch good = {.kernel = &axpby, .bind = {all, all}, .push = &push, .groups = {1, 1, 1}};
    va_dispatch d = good;
    d.groups[1] = 0;
    assert_error(f->ctx, VA_ERR_USAGE, "workgroups along y", va_gpu_dispatch(f->gpu, &d));
    d.groups[1] = UINT32_MAX;
    assert_error(f->ctx, VA_ERR_USAGE, "workgroups along y", va_gpu_dispatch(f->gpu, &d));
    d = good;
    d.push = NULL;
    assert_error(f->ctx, VA_ERR_USAGE, "push constants", va_gpu_dispatch(f->gpu, &d));
    d = good;
    d.bind[1] = va_slice_at(all, 4, 16);
    assert_error(f->ctx, VA_ERR_USAGE, "multiple of", va_gpu_dispatch(f->gpu, &d));
    d.bind[1] = va_slice_at(all, 0, 0);
    assert_error(f->ctx, VA_ERR_USAGE, "0 bytes", va_gpu_dispatch(f->gpu, &d));
    d.bind[1] = (va_slice){0};
    assert_error(f->ctx, VA_ERR_USAGE, "no buffer", va_gpu_dispatch(f->gpu, &d));
    d = good;
    d.kernel = &(va_kernel){.shader = "vec/absent", .n_bind = 2, .push_bytes = 12};
    assert_error(f->ctx, VA_ERR_UNSUPPORTED, "vec/absent", va_gpu_dispatch(f->gpu, &d));
    assert_false(va_gpu_has_shader("vec/absent"));
    assert_true(va_gpu_has_shader("vec/axpby.VEC4"));
    d.kernel = &(va_kernel){.shader = "vec/axpby.SCALAR", .n_bind = VA_MAX_BIND + 1};
    assert_error(f->ctx, VA_ERR_USAGE, "bindings", va_gpu_dispatch(f->gpu, &d));
    va_buffer_destroy(&b);
}

#define BOTH(test)                                                                                 \
    {#test " (mapped)", test, setup_mapped, teardown, NULL}, {                                     \
#test " (staged)", test, setup_staged, teardown, NULL                                      \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(test_odd_sizes),       BOTH(test_large_transfer), BOTH(test_copy_and_fill),
        BOTH(test_dependent_chain), BOTH(test_random_program), BOTH(test_groups),
        BOTH(test_dispatch_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
