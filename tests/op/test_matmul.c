// libs: va_op
// test_matmul.c: which matmul kernel runs, and how a device comes to prefer one.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/matmul.h"
#include "op_check.h"

#include <math.h>

enum { ROWS = 50, N_IN = 600, N_OUT = 72 };

static int setup(void **state) {
    unsetenv("VA_MATMUL");
    return op_test_setup(state);
}

static int teardown(void **state) {
    unsetenv("VA_MATMUL");
    return op_test_teardown(state);
}

static const va_tensor shapes[VA_OP_MAX_IN] = {
    {.dtype = VA_F32, .n_dim = 2, .shape = {ROWS, N_IN}},
    {.dtype = VA_BF16, .n_dim = 2, .shape = {N_OUT, N_IN}}};
static float x[ROWS * N_IN];
static uint16_t w[N_OUT * N_IN];

static void fill(void) {
    va_rng r = va_rng_make(7, 1);
    for (int64_t i = 0; i < VA_COUNT(x); i++)
        x[i] = (float)va_rng_normal(&r);
    for (int64_t i = 0; i < VA_COUNT(w); i++)
        w[i] = va_f32_to_bf16((float)va_rng_normal(&r));
}

static float *multiply(va_gpu *gpu) {
    va_op_attr attr = {0};
    va_tensor y = {.dtype = VA_F32, .n_dim = 2, .shape = {ROWS, N_OUT}};
    return op_run_forward(gpu, VA_OP_LINEAR, &attr, shapes, (const void *[]){x, w}, &y);
}

// Every kernel that can run here makes the same product, to rounding.
static void test_kernels_agree(void **state) {
    va_matmul_kernel list[VA_MATMUL_KERNELS];
    assert_ok(va_gpu_ctx(*state), va_matmul_test(*state, list));
    fill();
    float *expected = multiply(*state);
    int n_ran = 0, n_picked = 0;
    for (int i = 0; i < VA_MATMUL_KERNELS; i++) {
        n_picked += list[i].picked;
        assert_int_equal(list[i].tested, list[i].built && list[i].offered);
        if (!list[i].tested)
            continue;
        assert_true(list[i].passed && list[i].error <= VA_MATMUL_TOLERANCE && list[i].error > 0);
        setenv("VA_MATMUL", list[i].name, 1);
        float *got = multiply(*state);
        for (int64_t j = 0; j < ROWS * N_OUT; j++)
            assert_true(fabsf(got[j] - expected[j]) < 2e-4f); // sums of 600 terms of size 1
        free(got);
        n_ran++;
    }
    assert_int_equal(n_picked, 1);
    assert_true(n_ran >= 2); // scalar and cpu run on every driver of the tests
    free(expected);
}

static void refuse(va_gpu *gpu, const char *list, va_status code, const char *message) {
    va_op_attr attr = {0};
    va_op_call c = {.gpu = gpu, .attr = &attr, .k = 1, .x = {shapes[0], shapes[1]}};
    va_buffer *b;
    va_ctx *ctx = va_gpu_ctx(gpu);
    assert_ok(ctx, va_buffer_create(gpu, 32 << 20, "operands", &b));
    c.y = va_tensor_make(VA_F32, 2, (const int64_t[]){ROWS, N_OUT});
    c.x[0].mem = c.x[1].mem = va_buffer_all(b);
    c.y.mem = va_slice_at(va_buffer_all(b), 1 << 20, ROWS * N_OUT * 4);
    c.scratch = va_slice_at(va_buffer_all(b), 2 << 20, 30 << 20);
    setenv("VA_MATMUL", list, 1);
    assert_error(ctx, code, message, va_op_get(VA_OP_LINEAR)->forward(&c));
    va_buffer_destroy(&b);
}

static void test_wishes(void **state) {
    refuse(*state, "fast", VA_ERR_USAGE,
           "VA_MATMUL: expected scalar, cpu, coopmat, coopmat-bf16 or coopmat2");
    refuse(*state, "-scalar,-gpu", VA_ERR_USAGE, "got \"-gpu\"");
    refuse(*state, "-scalar,-cpu,-coopmat,-coopmat2", VA_ERR_UNSUPPORTED,
           "no matmul kernel is left");
    if (va_gpu_get_info(*state)->n_matrix == 0)
        refuse(*state, "coopmat", VA_ERR_UNSUPPORTED, "VA_MATMUL=coopmat: ");
    bool bf16 = false;
    for (int i = 0; i < va_gpu_get_info(*state)->n_matrix; i++)
        bf16 = bf16 || va_gpu_get_info(*state)->matrix[i].bf16;
    if (!bf16)
        refuse(*state, "coopmat-bf16", VA_ERR_UNSUPPORTED, "VA_MATMUL=coopmat-bf16: ");
}

static bool ran(va_gpu *gpu, const char *shader) {
    const va_gpu_timing *list;
    int64_t n;
    bool found = false;
    assert_ok(va_gpu_ctx(gpu), va_gpu_get_timings(gpu, &list, &n));
    for (int64_t i = 0; i < n; i++)
        found = found || !strcmp(list[i].label, shader);
    va_gpu_reset_timings(gpu);
    return found;
}

// What is known to be wrong is not used, and a wish does not bring it back but by its name.
static void test_switched_off(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    va_gpu *gpu;
    if (!va_gpu_get_info(*state)->has_timestamps || va_gpu_get_info(*state)->kind != VA_GPU_CPU)
        skip();
    assert_ok(ctx, va_gpu_open(ctx, &(va_gpu_params){.no_cache = true, .timestamps = true}, &gpu));
    fill();
    free(multiply(gpu));
    assert_true(ran(gpu, "op/linear_cpu.NT"));
    assert_ok(ctx, va_gpu_remember(gpu, "matmul/cpu", 0));
    free(multiply(gpu));
    assert_true(ran(gpu, "op/linear.NT"));
    setenv("VA_MATMUL", "cpu", 1);
    free(multiply(gpu));
    assert_true(ran(gpu, "op/linear_cpu.NT"));
    setenv("VA_MATMUL", "-coopmat", 1);
    assert_ok(ctx, va_gpu_remember(gpu, "matmul/cpu", 1));
    free(multiply(gpu));
    assert_true(ran(gpu, "op/linear_cpu.NT"));
    va_test_gpu_close(&gpu);
}

// Tuned tiles change no bit of a product, and what is no tile of ours is not taken.
static void test_tuned(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    va_arena *arena = va_arena_create();
    va_matmul_tuned *list;
    int64_t n, key;
    setenv("VA_MATMUL", "scalar", 1);
    fill();
    float *before = multiply(*state);
    static const int64_t tiles[] = {128 | 128LL << 12 | 8LL << 24 | 8LL << 36,
                                    128 | 64LL << 12 | 8LL << 24 | 4LL << 36,
                                    32 | 128LL << 12 | 4LL << 24 | 4LL << 36, 12345, -1};
    for (int64_t i = 0; i < VA_COUNT(tiles); i++) {
        assert_ok(ctx, va_gpu_remember(*state, "matmul/tile/scalar/NT/BF16/128", tiles[i]));
        float *after = multiply(*state);
        assert_memory_equal(before, after, ROWS * N_OUT * 4);
        free(after);
    }
    free(before);
    assert_ok(ctx, va_matmul_tune(*state, 64, arena, &list, &n));
    assert_int_equal(n, 24);
    for (int64_t i = 0; i < n; i++)
        assert_true(list[i].gflops >= list[i].default_gflops && list[i].default_gflops > 0);
    assert_true(va_gpu_recall(*state, "matmul/tile/scalar/NN/F32/more", &key) && key > 0);
    setenv("VA_MATMUL", "cpu", 1);
    assert_ok(ctx, va_matmul_tune(*state, 64, arena, &list, &n));
    assert_int_equal(n, 0);
    va_arena_destroy(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kernels_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wishes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_switched_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tuned, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
