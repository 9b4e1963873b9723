// libs: va_base
// test_philox.c: published answers of Philox4x32-10, and the distributions made from it.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/base.h"

#include <math.h>

// Known answers: Random123's kat_vectors (philox4x32, 10 rounds).
static void test_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int64_t i = 0; i < VA_COUNT(kat); i++) {
        uint32_t out[4];
        va_philox4x32(kat[i].counter, kat[i].key, out);
        assert_memory_equal(out, kat[i].expected, sizeof out);
    }
}

static void test_stream_layout(void **state) {
    (void)state;
    va_rng r = va_rng_make(0x299f31d0a4093822u, 0x0370734413198a2eu);
    r.counter = 0x85a308d3243f6a88u; // then the block is the third known answer
    assert_int_equal(va_rng_u32(&r), 0xd16cfe09);
    assert_int_equal(va_rng_u32(&r), 0x94fdcceb);
    assert_int_equal(va_rng_u32(&r), 0x5001e420);
    assert_int_equal(va_rng_u32(&r), 0x24126ea1);
    uint32_t fifth = va_rng_u32(&r);
    va_rng again = va_rng_make(r.seed, r.stream);
    again.counter = 0x85a308d3243f6a89u;
    assert_int_equal(va_rng_u32(&again), fifth);
}

static void test_uniform_and_normal_moments(void **state) {
    (void)state;
    enum { N = 200000 };
    va_rng r = va_rng_make(1, 2);
    double sum = 0, sum_sq = 0, low = 1, high = 0;
    for (int i = 0; i < N; i++) {
        double u = va_rng_uniform(&r);
        assert_true(u >= 0 && u < 1);
        sum += u;
        low = fmin(low, u);
        high = fmax(high, u);
    }
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12 / N)); // five standard errors
    assert_true(low < 1e-3 && high > 1 - 1e-3);
    double sum_cube = 0;
    sum = 0;
    for (int i = 0; i < N; i++) {
        double x = va_rng_normal(&r);
        sum += x;
        sum_sq += x * x;
        sum_cube += x * x * x;
    }
    assert_true(fabs(sum / N) < 5 * sqrt(1.0 / N));
    assert_true(fabs(sum_sq / N - 1) < 5 * sqrt(2.0 / N)); // Var x^2 = 2
    assert_true(fabs(sum_cube / N) < 5 * sqrt(15.0 / N));  // Var x^3 = 15
}

static void test_below_is_unbiased(void **state) {
    (void)state;
    enum { N = 90000, BINS = 6 };
    va_rng r = va_rng_make(3, 4);
    int count[BINS] = {0};
    for (int i = 0; i < N; i++)
        count[va_rng_below(&r, BINS)]++;
    double chi_sq = 0, expected = (double)N / BINS;
    for (int b = 0; b < BINS; b++)
        chi_sq += (count[b] - expected) * (count[b] - expected) / expected;
    assert_true(chi_sq < 25.7); // chi-square, 5 degrees of freedom, p = 1e-4; the seed is fixed
    // With n = 3 * 2^30 a plain multiply-shift would hit the lowest third half of the time.
    int low = 0;
    for (int i = 0; i < N; i++)
        low += va_rng_below(&r, 3u << 30) % 3 == 0;
    assert_true(fabs(low - N / 3.0) < 5 * sqrt(N * 2.0 / 9));
    for (int i = 0; i < 100; i++)
        assert_int_equal(va_rng_below(&r, 1), 0);
}

static void test_shuffle(void **state) {
    (void)state;
    enum { N = 5, TRIES = 24000 };
    va_rng r = va_rng_make(5, 6);
    int first[N] = {0};
    for (int t = 0; t < TRIES; t++) {
        int64_t idx[N], seen = 0;
        for (int i = 0; i < N; i++)
            idx[i] = i;
        va_rng_shuffle(&r, idx, N);
        for (int i = 0; i < N; i++)
            seen |= (int64_t)1 << idx[i];
        assert_int_equal(seen, (1 << N) - 1); // a permutation
        first[idx[0]]++;
    }
    for (int i = 0; i < N; i++)
        assert_true(fabs(first[i] - TRIES / (double)N) < 5 * sqrt(TRIES * 0.2 * 0.8));
    va_rng_shuffle(&r, NULL, 0);
}

static void test_hash64(void **state) {
    (void)state; // FNV's published test vectors
    assert_true(va_hash64("") == 0xcbf29ce484222325u);
    assert_true(va_hash64("a") == 0xaf63dc4c8601ec8cu);
    assert_true(va_hash64("foobar") == 0x85944171f73967e8u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_stream_layout),
        cmocka_unit_test(test_uniform_and_normal_moments),
        cmocka_unit_test(test_below_is_unbiased),
        cmocka_unit_test(test_shuffle),
        cmocka_unit_test(test_hash64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
