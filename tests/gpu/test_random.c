// test_random.c: random numbers made on the device: those of the formula, bit by bit, anywhere.
// SPDX-License-Identifier: Apache-2.0
// libs: va_vec va_io
#include "test_gpu.h"

#include "vkalign/io.h"
#include "vkalign/vec.h"

#include <math.h>
#include <string.h>

static struct {
    va_ctx *ctx;
    va_gpu *gpu;
} env;

static int setup(void **state) {
    (void)state;
    env.ctx = va_test_ctx();
    env.gpu = va_test_gpu(env.ctx);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_gpu_close(&env.gpu);
    va_ctx_destroy(&env.ctx);
    return 0;
}

static const va_random numbers = {
    .seed = 0x123456789abcdefu, .stream = 0xfedcba987654321u, .mean = 0.25f, .deviation = 0.75f};

// The formula in double: 65536 even steps whose deviation is wanted, about the mean.
static float expected(const va_random *r, int64_t i) {
    const uint64_t block = (uint64_t)i / 8;
    const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)r->stream,
                                 (uint32_t)(r->stream >> 32)};
    uint32_t words[4];
    va_philox4x32(counter, key, words);
    const uint32_t word = words[i % 8 / 2], h = i % 2 ? word >> 16 : word & 0xffff;
    return (float)(r->mean + (h - 32767.5) * r->deviation / sqrt(65535.0 * 65537.0 / 12));
}

// Where float and double round to different bf16 the step is one unit in the last place.
static void expect_near(const va_random *r, int64_t i, float got) {
    const float want = va_bf16_to_f32(va_f32_to_bf16(expected(r, i)));
    if (fabsf(got - want) > 0.008f * fabsf(want))
        fail_msg("number %lld: expected %.8g, got %.8g", (long long)i, (double)want, (double)got);
}

static uint16_t *device_bf16(const va_random *r, int64_t n, int64_t first, int64_t count) {
    va_buffer *buffer;
    uint16_t *data = malloc((size_t)count * sizeof *data);
    assert_non_null(data);
    assert_ok(env.ctx, va_buffer_create(env.gpu, 2 * n, "numbers", &buffer));
    assert_ok(env.ctx, va_vec_random(env.gpu, r, true, va_buffer_all(buffer)));
    assert_ok(
        env.ctx,
        va_gpu_download(env.gpu, va_slice_at(va_buffer_all(buffer), 2 * first, 2 * count), data));
    va_buffer_destroy(&buffer);
    return data;
}

static void test_formula(void **state) {
    (void)state;
    enum { N = 5002 };
    uint16_t *got = device_bf16(&numbers, N, 0, N), host[N], some[7];
    for (int64_t i = 0; i < N; i++)
        expect_near(&numbers, i, va_bf16_to_f32(got[i]));
    va_random_bf16(&numbers, 0, N, host);
    assert_memory_equal(host, got, sizeof host);
    va_random_bf16(&numbers, 1003, 7, some); // from the middle of a block
    assert_memory_equal(some, got + 1003, sizeof some);
    free(got);
}

static void test_f32(void **state) {
    (void)state;
    enum { N = 1003 };
    va_buffer *buffer;
    float got[N];
    uint16_t host[N];
    assert_ok(env.ctx, va_buffer_create(env.gpu, sizeof got, "numbers", &buffer));
    assert_ok(env.ctx, va_vec_random(env.gpu, &numbers, false, va_buffer_all(buffer)));
    assert_ok(env.ctx, va_gpu_download(env.gpu, va_buffer_all(buffer), got));
    va_random_bf16(&numbers, 0, N, host);
    for (int i = 0; i < N; i++)
        assert_true(got[i] == va_bf16_to_f32(host[i]));
    va_buffer_destroy(&buffer);
}

// Beyond one dispatch's numbers they go on.
static void test_large(void **state) {
    (void)state;
    enum { PIECE = 32 << 20, N = PIECE + 4096, COUNT = 8192 };
    static uint16_t host[COUNT];
    uint16_t *got = device_bf16(&numbers, N, N - COUNT, COUNT);
    va_random_bf16(&numbers, N - COUNT, COUNT, host);
    assert_memory_equal(host, got, sizeof host);
    free(got);
}

// Mean and deviation within five standard errors; the deviation's is sd sqrt(0.8 / 4 N), the
// kurtosis of a flat distribution being 1.8. Another seed or stream gives other numbers.
static void test_moments(void **state) {
    (void)state;
    enum { N = 1 << 18 };
    double sum = 0, squares = 0;
    uint16_t *got = device_bf16(&numbers, N, 0, N);
    va_random other = numbers;
    for (int64_t i = 0; i < N; i++)
        sum += (double)va_bf16_to_f32(got[i]);
    const double mean = sum / N;
    for (int64_t i = 0; i < N; i++)
        squares += pow((double)va_bf16_to_f32(got[i]) - mean, 2);
    const double deviation = sqrt(squares / N);
    assert_true(fabs(mean - 0.25) < 5 * 0.75 / sqrt(N));
    assert_true(fabs(deviation - 0.75) < 5 * 0.75 * sqrt(0.2 / N) + 1e-4);
    for (int k = 0; k < 2; k++) {
        uint16_t values[64];
        int same = 0;
        other = numbers;
        *(k ? &other.seed : &other.stream) ^= UINT64_C(1) << 40;
        va_random_bf16(&other, 0, VA_COUNT(values), values);
        for (int i = 0; i < VA_COUNT(values); i++)
            same += values[i] == got[i];
        assert_true(same < 8);
    }
    free(got);
}

static void test_refused(void **state) {
    (void)state;
    va_buffer *buffer;
    assert_ok(env.ctx, va_buffer_create(env.gpu, 64, "numbers", &buffer));
    const va_slice part = va_slice_at(va_buffer_all(buffer), 0, 6);
    assert_int_equal(va_vec_random(env.gpu, &numbers, true, part), VA_ERR_SHAPE);
    va_buffer_destroy(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formula), cmocka_unit_test(test_f32),
                                       cmocka_unit_test(test_large), cmocka_unit_test(test_moments),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
