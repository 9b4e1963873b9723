// test_gpu_replay.c: recordings: order against other work, what they cost, what may not be done; on
// mapped and on staged memory, where submissions are split as well.
// SPDX-License-Identifier: Apache-2.0
// libs: va_gpu
#include "test_gpu.h"

#include <math.h>

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

// y = alpha x + beta y
static void run_axpby(fixture *f, float alpha, va_slice x, float beta, va_slice y) {
    axpby_push push = {(uint32_t)(y.size_bytes / 4), alpha, beta};
    va_dispatch d = {.kernel = &axpby, .bind = {x, y}, .push = &push};
    va_gpu_groups(f->gpu, push.n, 512, d.groups);
    assert_ok(f->ctx, va_gpu_dispatch(f->gpu, &d));
}

static va_buffer *make_buffer(fixture *f, int64_t n, const char *name) {
    va_buffer *b;
    assert_ok(f->ctx, va_buffer_create(f->gpu, n * 4, name, &b));
    return b;
}

enum { N = 1000 };

static void set_all(float *x, float value) {
    for (int i = 0; i < N; i++)
        x[i] = value;
}

static void check_all(fixture *f, va_buffer *b, float expected) {
    float got[N];
    assert_ok(f->ctx, va_gpu_download(f->gpu, va_slice_at(va_buffer_all(b), 0, sizeof got), got));
    for (int i = 0; i < N; i++)
        assert_float_equal(got[i], expected, 0);
}

// z = x, y = y + z: reads what x holds at each replay, runs nothing while it is recorded.
static va_recording *record_sum(fixture *f, va_buffer *x, va_buffer *y, va_buffer *z) {
    va_recording *r = NULL;
    assert_ok(f->ctx, va_gpu_record_begin(f->gpu));
    assert_ok(f->ctx, va_gpu_fill(f->gpu, va_buffer_all(z), 0xdeadbeefu));
    assert_ok(f->ctx, va_gpu_copy(f->gpu, va_buffer_all(z), va_buffer_all(x)));
    run_axpby(f, 1, va_buffer_all(z), 1, va_buffer_all(y));
    assert_ok(f->ctx, va_gpu_record_end(f->gpu, &r));
    return r;
}

static void test_order(void **state) {
    fixture *f = *state;
    va_buffer *x = make_buffer(f, N, "x"), *y = make_buffer(f, N, "y"), *z = make_buffer(f, N, "z");
    float host[N];
    assert_ok(f->ctx, va_gpu_fill(f->gpu, va_buffer_all(y), 0));
    va_recording *r = record_sum(f, x, y, z);
    check_all(f, y, 0);
    float sum = 0;
    for (int i = 1; i <= 40; i++) {
        set_all(host, (float)i);
        assert_ok(f->ctx, va_gpu_upload(f->gpu, va_buffer_all(x), host));
        run_axpby(f, 1, va_buffer_all(x), 2, va_buffer_all(x)); // recorded work before: x = 3 i
        assert_ok(f->ctx, va_gpu_replay(f->gpu, r));
        run_axpby(f, 1, va_buffer_all(z), 1, va_buffer_all(y)); // and after
        sum += 6 * (float)i;
        if (i % 7 == 0) {
            check_all(f, y, sum);
            check_all(f, z, 3 * (float)i);
        }
    }
    check_all(f, y, sum);
    va_recording_destroy(&r);
    va_recording_destroy(&r);
    va_buffer_destroy(&x);
    va_buffer_destroy(&y);
    va_buffer_destroy(&z);
}

// Many runs on their way at once: each after the one before, the host waits for none.
static void test_pending(void **state) {
    fixture *f = *state;
    enum { RUNS = 40 };
    va_buffer *x = make_buffer(f, N, "x"), *y = make_buffer(f, N, "y"), *z = make_buffer(f, N, "z");
    float host[N];
    set_all(host, 1);
    assert_ok(f->ctx, va_gpu_upload(f->gpu, va_buffer_all(x), host));
    assert_ok(f->ctx, va_gpu_fill(f->gpu, va_buffer_all(y), 0));
    va_recording *r = record_sum(f, x, y, z);
    assert_ok(f->ctx, va_gpu_wait(f->gpu));
    const va_gpu_counts before = va_gpu_get_counts(f->gpu);
    for (int i = 0; i < RUNS; i++)
        assert_ok(f->ctx, va_gpu_replay(f->gpu, r));
    va_gpu_counts after = va_gpu_get_counts(f->gpu);
    assert_int_equal(after.waits, before.waits);
    assert_int_equal(after.sets, before.sets);
    assert_int_equal(after.dispatches, before.dispatches + RUNS);
    assert_int_equal(after.submissions, before.submissions + RUNS);
    assert_int_equal(after.replays, before.replays + RUNS);
    va_recording_destroy(&r); // while runs are pending
    check_all(f, y, RUNS);
    for (int i = 0; i < 300; i++) { // more than fit in flight: now it may wait, and stays right
        run_axpby(f, 1, va_buffer_all(x), 1, va_buffer_all(y));
        assert_ok(f->ctx, va_gpu_flush(f->gpu));
    }
    check_all(f, y, RUNS + 300);
    va_buffer_destroy(&x);
    va_buffer_destroy(&y);
    va_buffer_destroy(&z);
}

// More commands than one ordinary submission or descriptor pool takes, and more workgroups than a
// device with a watchdog should be given at once.
static void test_long(void **state) {
    fixture *f = *state;
    enum { STEPS = 300, LONG = 512 * 250 };
    va_buffer *x = make_buffer(f, LONG, "x"), *y = make_buffer(f, LONG, "y");
    va_recording *r;
    const float one = 1;
    uint32_t word;
    memcpy(&word, &one, 4);
    assert_ok(f->ctx, va_gpu_record_begin(f->gpu));
    for (int i = 0; i < STEPS; i++) // in turns x = y + x / 2, y = x / 2
        run_axpby(f, i % 2 ? 0.5f : 1, va_buffer_all(i % 2 ? x : y), i % 2 ? 0 : 0.5f,
                  va_buffer_all(i % 2 ? y : x));
    assert_ok(f->ctx, va_gpu_record_end(f->gpu, &r));
    const va_gpu_counts before = va_gpu_get_counts(f->gpu);
    float a = 1, b = 1;
    assert_ok(f->ctx, va_gpu_fill(f->gpu, va_buffer_all(x), word));
    assert_ok(f->ctx, va_gpu_fill(f->gpu, va_buffer_all(y), word));
    for (int run = 0; run < 2; run++) {
        assert_ok(f->ctx, va_gpu_replay(f->gpu, r));
        for (int i = 0; i < STEPS; i++) {
            if (i % 2)
                b = 0.5f * a;
            else
                a = b + 0.5f * a;
        }
    }
    check_all(f, x, a);
    check_all(f, y, b);
    const va_gpu_counts after = va_gpu_get_counts(f->gpu);
    const int64_t parts = (after.submissions - before.submissions - 1) / 2;
    const char *staging = getenv("VA_STAGING");
    if (va_gpu_get_info(f->gpu)->kind == VA_GPU_CPU && strcmp(staging, "0") == 0)
        assert_int_equal(parts, 1);
    else
        assert_in_range(parts, STEPS * 250 / 6144, STEPS * 250 / 6144 + 2);
    va_recording_destroy(&r);
    va_buffer_destroy(&x);
    va_buffer_destroy(&y);
}

static void test_destroyed_buffers(void **state) {
    fixture *f = *state;
    va_buffer *x = make_buffer(f, N, "x"), *y = make_buffer(f, N, "y"), *z = make_buffer(f, N, "z");
    va_recording *r = record_sum(f, x, y, z), *other = record_sum(f, z, y, x);
    assert_true(va_recording_is_valid(r));
    assert_ok(f->ctx, va_gpu_replay(f->gpu, r));
    va_buffer_destroy(&z); // while a run is pending
    assert_false(va_recording_is_valid(r));
    assert_false(va_recording_is_valid(other));
    assert_error(f->ctx, VA_ERR_USAGE, "\"z\", which was destroyed", va_gpu_replay(f->gpu, r));
    z = make_buffer(f, N, "z"); // most likely where the old one was
    assert_error(f->ctx, VA_ERR_USAGE, "destroyed", va_gpu_replay(f->gpu, r));
    va_recording_destroy(&r);
    va_recording_destroy(&other);
    r = record_sum(f, x, y, z);
    assert_ok(f->ctx, va_gpu_replay(f->gpu, r));
    va_recording_destroy(&r);
    // One that goes while it is recorded.
    assert_ok(f->ctx, va_gpu_record_begin(f->gpu));
    run_axpby(f, 1, va_buffer_all(x), 1, va_buffer_all(z));
    va_buffer_destroy(&z);
    run_axpby(f, 1, va_buffer_all(x), 1, va_buffer_all(y));
    assert_error(f->ctx, VA_ERR_USAGE, "\"z\" was destroyed", va_gpu_record_end(f->gpu, &r));
    assert_null(r);
    va_buffer_destroy(&x);
    va_buffer_destroy(&y);
}

static void test_misuse(void **state) {
    fixture *f = *state;
    va_buffer *x = make_buffer(f, N, "x"), *y = make_buffer(f, N, "y"), *z = make_buffer(f, N, "z");
    va_recording *r = record_sum(f, x, y, z), *none;
    float host[N] = {0};
    assert_error(f->ctx, VA_ERR_USAGE, "not begun", va_gpu_record_end(f->gpu, &none));
    assert_ok(f->ctx, va_gpu_record_end(f->gpu, NULL));
    assert_ok(f->ctx, va_gpu_record_begin(f->gpu));
    assert_error(f->ctx, VA_ERR_USAGE, "inside a recording", va_gpu_record_begin(f->gpu));
    assert_error(f->ctx, VA_ERR_USAGE, "upload to buffer \"x\" inside a recording",
                 va_gpu_upload(f->gpu, va_buffer_all(x), host));
    assert_error(f->ctx, VA_ERR_USAGE, "download from buffer \"x\" inside a recording",
                 va_gpu_download(f->gpu, va_buffer_all(x), host));
    assert_error(f->ctx, VA_ERR_USAGE, "replay inside a recording", va_gpu_replay(f->gpu, r));
    assert_error(f->ctx, VA_ERR_USAGE, "whole words",
                 va_gpu_fill(f->gpu, va_slice_at(va_buffer_all(x), 0, 6), 0));
    assert_ok(f->ctx, va_gpu_fill(f->gpu, va_buffer_all(x), 1));
    assert_ok(f->ctx, va_gpu_record_end(f->gpu, NULL)); // dropped
    // An empty one is a recording too.
    assert_ok(f->ctx, va_gpu_record_begin(f->gpu));
    assert_ok(f->ctx, va_gpu_record_end(f->gpu, &none));
    assert_ok(f->ctx, va_gpu_replay(f->gpu, none));
    va_recording_destroy(&none);
    set_all(host, 2);
    assert_ok(f->ctx, va_gpu_upload(f->gpu, va_buffer_all(x), host));
    assert_ok(f->ctx, va_gpu_fill(f->gpu, va_buffer_all(y), 0));
    assert_ok(f->ctx, va_gpu_replay(f->gpu, r));
    check_all(f, y, 2);
    va_recording_destroy(&r);
    va_buffer_destroy(&x);
    va_buffer_destroy(&y);
    va_buffer_destroy(&z);
}

static void test_switched_off(void **state) {
    fixture *f = *state;
    va_gpu *gpu;
    assert_true(va_gpu_can_replay(f->gpu));
    setenv("VA_REPLAY", "0", 1);
    assert_ok(f->ctx, va_gpu_open(f->ctx, NULL, &gpu));
    unsetenv("VA_REPLAY");
    assert_false(va_gpu_can_replay(gpu));
    assert_error(f->ctx, VA_ERR_USAGE, "VA_REPLAY=0", va_gpu_record_begin(gpu));
    va_test_gpu_close(&gpu);
    assert_ok(f->ctx, va_gpu_open(f->ctx, &(va_gpu_params){.timestamps = true}, &gpu));
    if (va_gpu_get_info(gpu)->has_timestamps) {
        assert_false(va_gpu_can_replay(gpu));
        assert_error(f->ctx, VA_ERR_USAGE, "timed", va_gpu_record_begin(gpu));
        va_gpu_pause_timings(gpu, true);
        assert_true(va_gpu_can_replay(gpu));
    }
    va_test_gpu_close(&gpu);
}

#define BOTH(test)                                                                                 \
    {#test " (mapped)", test, setup_mapped, teardown, NULL}, {                                     \
#test " (staged)", test, setup_staged, teardown, NULL                                      \
    }

int main(void) {
    unsetenv("VA_REPLAY");
    const struct CMUnitTest tests[] = {
        BOTH(test_order),  BOTH(test_pending),      BOTH(test_long), BOTH(test_destroyed_buffers),
        BOTH(test_misuse), BOTH(test_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
