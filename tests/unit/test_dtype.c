// libs: va_io
// test_dtype.c: half and bfloat16, each against its definition evaluated in double.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/io.h"

#include <math.h>

// Value of a 16-bit float with n_fraction fraction bits and the given bias.
static double value_of(uint16_t h, int n_fraction, int bias) {
    int exponent = (h & 0x7FFF) >> n_fraction, max = (1 << (15 - n_fraction)) - 1;
    int fraction = h & ((1 << n_fraction) - 1);
    double sign = h & 0x8000 ? -1 : 1;
    if (exponent == max)
        return fraction ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - bias - n_fraction);
    return sign * ldexp((1 << n_fraction) + fraction, exponent - bias - n_fraction);
}

static void check_bits(double got, double expected, unsigned i) {
    if (isnan(expected) ? !isnan(got) : got != expected || signbit(got) != signbit(expected))
        fail_msg("0x%04x: expected %.17g, got %.17g", i, expected, got);
}

static void test_to_f32(void **state) {
    (void)state;
    for (unsigned i = 0; i < 65536; i++) {
        check_bits(va_f16_to_f32((uint16_t)i), value_of((uint16_t)i, 10, 15), i);
        check_bits(va_bf16_to_f32((uint16_t)i), value_of((uint16_t)i, 7, 127), i);
    }
}

static void test_round_trip(void **state) {
    (void)state;
    for (unsigned i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i;
        if (!isnan(value_of(h, 10, 15)))
            assert_int_equal(va_f32_to_f16(va_f16_to_f32(h)), h);
        else
            assert_true(isnan(va_f16_to_f32(va_f32_to_f16(va_f16_to_f32(h)))));
        if (!isnan(value_of(h, 7, 127)))
            assert_int_equal(va_f32_to_bf16(va_bf16_to_f32(h)), h);
        else
            assert_true(isnan(va_bf16_to_f32(va_f32_to_bf16(va_bf16_to_f32(h)))));
    }
}

// Between two neighbours the nearer one is taken, half way the even one.
static void check_between(uint16_t low, double a, double b, uint16_t (*convert)(float)) {
    double middle = (a + b) / 2; // exact in float for both formats
    assert_int_equal(convert((float)middle), low % 2 == 0 ? low : low + 1);
    assert_int_equal(convert(nextafterf((float)middle, 0)), low);
    assert_int_equal(convert(nextafterf((float)middle, INFINITY)), low + 1);
    assert_int_equal(convert(-(float)middle), 0x8000 | (low % 2 == 0 ? low : low + 1));
}

static void test_rounding(void **state) {
    (void)state;
    for (unsigned i = 0; i < 0x7BFF; i++) // all pairs of finite positive halves
        check_between((uint16_t)i, value_of((uint16_t)i, 10, 15),
                      value_of((uint16_t)(i + 1), 10, 15), va_f32_to_f16);
    for (unsigned i = 0; i < 0x7F7F; i++)
        check_between((uint16_t)i, value_of((uint16_t)i, 7, 127),
                      value_of((uint16_t)(i + 1), 7, 127), va_f32_to_bf16);
    // The largest finite half is 65504; from half way to 65536 on it is infinity.
    assert_int_equal(va_f32_to_f16(nextafterf(65520, 0)), 0x7BFF);
    assert_int_equal(va_f32_to_f16(65520), 0x7C00);
    assert_int_equal(va_f32_to_f16(-1e10f), 0xFC00);
    assert_int_equal(va_f32_to_bf16(3.4e38f), 0x7F80);
}

static void test_convert(void **state) {
    (void)state;
    unsigned char bytes[1 + 8 * 3]; // from an odd address
    float out[3];
    const double d[3] = {0.5, -2, 1e-3};
    memcpy(bytes + 1, d, sizeof d);
    va_convert_to_f32(out, bytes + 1, VA_F64, 3);
    for (int i = 0; i < 3; i++)
        assert_true(out[i] == (float)d[i]);
    const uint16_t half[3] = {0x3800, 0xC000, 0x3C00}, bf[3] = {0x3F00, 0xC000, 0x3F80};
    const float expected[3] = {0.5f, -2, 1};
    memcpy(bytes + 1, half, sizeof half);
    va_convert_to_f32(out, bytes + 1, VA_F16, 3);
    assert_memory_equal(out, expected, sizeof out);
    memcpy(bytes + 1, bf, sizeof bf);
    va_convert_to_f32(out, bytes + 1, VA_BF16, 3);
    assert_memory_equal(out, expected, sizeof out);
    memcpy(bytes + 1, expected, sizeof expected);
    va_convert_to_f32(out, bytes + 1, VA_F32, 3);
    assert_memory_equal(out, expected, sizeof out);
    va_convert_to_f32(NULL, NULL, VA_F32, 0);
    assert_int_equal(va_dtype_bytes(VA_BF16), 2);
    assert_string_equal(va_dtype_name(VA_F8_E4M3), "F8_E4M3");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_f32),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_convert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
