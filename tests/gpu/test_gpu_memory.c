// test_gpu_memory.c: accounting, reuse and limits of device memory.
// SPDX-License-Identifier: Apache-2.0
// libs: va_gpu
#include "test_gpu.h"

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->gpu = va_test_gpu(f->ctx);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static void test_accounting(void **state) {
    fixture *f = *state;
    va_buffer *a, *b;
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, 0);
    assert_ok(f->ctx, va_buffer_create(f->gpu, 1, "a", &a));
    int64_t unit = va_gpu_get_memory(f->gpu).used_bytes; // one byte takes one aligned piece
    assert_true(unit >= 256 && unit % va_gpu_get_info(f->gpu)->offset_alignment == 0);
    assert_ok(f->ctx, va_buffer_create(f->gpu, 3 * unit + 1, "b", &b));
    assert_int_equal(va_buffer_size(b), 3 * unit + 1);
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, 5 * unit);
    va_buffer_destroy(&b);
    assert_null(b);
    va_gpu_memory m = va_gpu_get_memory(f->gpu);
    assert_int_equal(m.used_bytes, unit);
    assert_int_equal(m.peak_bytes, 5 * unit);
    assert_true(m.reserved_bytes >= m.used_bytes);
    va_gpu_reset_peak(f->gpu);
    assert_int_equal(va_gpu_get_memory(f->gpu).peak_bytes, unit);
    va_buffer_destroy(&a);
    va_buffer_destroy(&a); // NULL is fine
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, 0);
}

// Making and freeing one buffer again and again takes nothing more from the driver.
static void test_reuse(void **state) {
    fixture *f = *state;
    va_buffer *b;
    assert_ok(f->ctx, va_buffer_create(f->gpu, 1 << 20, "first", &b));
    va_buffer_destroy(&b);
    int64_t reserved = va_gpu_get_memory(f->gpu).reserved_bytes;
    for (int i = 0; i < 1000; i++) {
        assert_ok(f->ctx, va_buffer_create(f->gpu, 1 << 20, "again", &b));
        va_buffer_destroy(&b);
    }
    assert_int_equal(va_gpu_get_memory(f->gpu).reserved_bytes, reserved);
    assert_int_equal(va_gpu_get_memory(f->gpu).reserved_peak_bytes, reserved);
}

static void test_many_small(void **state) {
    fixture *f = *state;
    enum { N = 3000 };
    va_buffer *b[N];
    int64_t block_bytes = 0; // what the first buffer makes the device reserve
    for (int i = 0; i < N; i++) {
        uint32_t word = (uint32_t)i;
        assert_ok(f->ctx, va_buffer_create(f->gpu, 4, "small", &b[i]));
        block_bytes = i ? block_bytes : va_gpu_get_memory(f->gpu).reserved_bytes;
        assert_ok(f->ctx, va_gpu_upload(f->gpu, va_buffer_all(b[i]), &word));
    }
    for (int i = 0; i < N; i++) {
        uint32_t word;
        assert_ok(f->ctx, va_gpu_download(f->gpu, va_buffer_all(b[i]), &word));
        assert_int_equal(word, i);
    }
    for (int i = 0; i < N; i++)
        va_buffer_destroy(&b[(i * 7) % N]); // 7 and N share no factor
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, 0);
    // Everything coalesced: two halves fill the block that was kept, with no other.
    int64_t reserved = va_gpu_get_memory(f->gpu).reserved_bytes;
    va_buffer *half[2];
    for (int i = 0; i < 2; i++)
        assert_ok(f->ctx, va_buffer_create(f->gpu, block_bytes / 2, "half", &half[i]));
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, block_bytes);
    assert_int_equal(va_gpu_get_memory(f->gpu).reserved_bytes, reserved);
    for (int i = 0; i < 2; i++)
        va_buffer_destroy(&half[i]);
}

// Random allocation and freeing; every live buffer keeps the words written to it, so no two
// overlap.
static void test_random_against_shadow(void **state) {
    fixture *f = *state;
    enum { N = 64, STEPS = 3000 };
    struct {
        va_buffer *b;
        uint32_t n_words, seed;
    } live[N] = {0};
    va_rng r = va_rng_make(1, 2);
    uint32_t *words = malloc(sizeof *words * 70000);
    int64_t used = 0, unit = VA_MAX(256, va_gpu_get_info(f->gpu)->offset_alignment);
    for (int step = 0; step < STEPS; step++) {
        uint32_t i = va_rng_below(&r, N);
        int64_t size = ((int64_t)live[i].n_words * 4 + unit - 1) / unit * unit;
        if (live[i].b) {
            assert_ok(f->ctx, va_gpu_download(f->gpu, va_buffer_all(live[i].b), words));
            for (uint32_t w = 0; w < live[i].n_words; w++)
                assert_int_equal(words[w], live[i].seed + w);
            va_buffer_destroy(&live[i].b);
            used -= size;
        } else {
            uint32_t most = va_rng_below(&r, 10) ? 2000 : 70000;
            live[i].n_words = 1 + va_rng_below(&r, most);
            live[i].seed = va_rng_u32(&r);
            for (uint32_t w = 0; w < live[i].n_words; w++)
                words[w] = live[i].seed + w;
            assert_ok(f->ctx,
                      va_buffer_create(f->gpu, 4 * (int64_t)live[i].n_words, "r", &live[i].b));
            assert_ok(f->ctx, va_gpu_upload(f->gpu, va_buffer_all(live[i].b), words));
            used += ((int64_t)live[i].n_words * 4 + unit - 1) / unit * unit;
        }
        assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, used);
    }
    for (int i = 0; i < N; i++)
        va_buffer_destroy(&live[i].b);
    free(words);
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, 0);
}

// Large buffers have blocks of their own, which go back to the driver.
static void test_large_buffers_return(void **state) {
    fixture *f = *state;
    va_buffer *small, *large;
    assert_ok(f->ctx, va_buffer_create(f->gpu, 4, "small", &small));
    int64_t reserved = va_gpu_get_memory(f->gpu).reserved_bytes;
    assert_ok(f->ctx, va_buffer_create(f->gpu, 100 << 20, "large", &large));
    assert_int_equal(va_gpu_get_memory(f->gpu).reserved_bytes, reserved + (100 << 20));
    assert_ok(f->ctx, va_gpu_fill(f->gpu, va_buffer_all(large), 7)); // still in use when destroyed
    va_buffer_destroy(&large);
    assert_int_equal(va_gpu_get_memory(f->gpu).reserved_bytes, reserved);
    va_buffer_destroy(&small);
}

static void test_refusals(void **state) {
    fixture *f = *state;
    va_buffer *b;
    assert_error(f->ctx, VA_ERR_USAGE, "positive", va_buffer_create(f->gpu, 0, "none", &b));
    assert_null(b);
    assert_error(f->ctx, VA_ERR_USAGE, "positive", va_buffer_create(f->gpu, -4, "none", &b));
    assert_error(f->ctx, VA_ERR_USAGE, "positive", va_buffer_create(f->gpu, INT64_MAX, "none", &b));
    assert_error(
        f->ctx, VA_ERR_MEMORY, "split it",
        va_buffer_create(f->gpu, va_gpu_get_info(f->gpu)->max_allocation_bytes + 1, "huge", &b));
    assert_non_null(strstr(va_error_message(f->ctx), "huge"));
    assert_int_equal(va_gpu_get_memory(f->gpu).used_bytes, 0);
}

static void test_limit(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_gpu *gpu;
    va_buffer *a, *b;
    assert_ok(
        ctx,
        va_gpu_open(ctx, &(va_gpu_params){.no_cache = true, .memory_limit_bytes = 10 << 20}, &gpu));
    assert_ok(ctx, va_buffer_create(gpu, 6 << 20, "a", &a));
    assert_true(va_gpu_get_memory(gpu).reserved_bytes <= 10 << 20);
    assert_error(ctx, VA_ERR_MEMORY, "limit", va_buffer_create(gpu, 6 << 20, "b", &b));
    va_buffer_destroy(&a);
    assert_ok(ctx, va_buffer_create(gpu, 10 << 20, "b", &b)); // the empty block made room
    va_buffer_destroy(&b);
    va_test_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
}

// Buffers of any size fill the limit to the last byte, however they lie in blocks; what is reserved
// stays near it.
static void test_limit_is_filled(void **state) {
    (void)state;
    enum { SMALL = 40, LIMIT = 32 << 20 };
    va_ctx *ctx = va_test_ctx();
    va_gpu *gpu;
    va_buffer *small[SMALL], *large, *more;
    const va_gpu_params params = {.no_cache = true, .memory_limit_bytes = LIMIT};
    assert_ok(ctx, va_gpu_open(ctx, &params, &gpu));
    for (int i = 0; i < SMALL; i++)
        assert_ok(ctx, va_buffer_create(gpu, 100000 + 7 * i, "small", &small[i]));
    for (int i = 0; i < SMALL; i += 2) // holes
        va_buffer_destroy(&small[i]);
    const int64_t rest = LIMIT - va_gpu_get_memory(gpu).used_bytes;
    assert_ok(ctx, va_buffer_create(gpu, rest, "large", &large));
    assert_int_equal(va_gpu_get_memory(gpu).used_bytes, LIMIT);
    assert_true(va_gpu_get_memory(gpu).reserved_bytes <= LIMIT + LIMIT / 8);
    assert_error(ctx, VA_ERR_MEMORY, "over the limit asked for",
                 va_buffer_create(gpu, 4, "more", &more));
    va_buffer_destroy(&large);
    for (int i = 1; i < SMALL; i += 2)
        va_buffer_destroy(&small[i]);
    va_test_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accounting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reuse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_small, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_against_shadow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_buffers_return, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_limit_is_filled),
    };
    va_ctx *ctx = va_test_ctx(); // skips the program where there is no device
    va_gpu *gpu = va_test_gpu(ctx);
    va_test_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
