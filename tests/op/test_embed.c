// libs: va_op
// test_embed.c: rows of a table against the reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

#include <math.h>

#define TABLE(type, n0, n1)                                                                        \
    {                                                                                              \
        .dtype = type, .n_dim = 2, .shape = { n0, n1 }                                             \
    }
#define IDS(n)                                                                                     \
    {                                                                                              \
        .dtype = VA_U32, .n_dim = 1, .shape = { n }                                                \
    }

static void test_shapes(void **state) {
    static const va_dtype dtypes[] = {VA_F32, VA_BF16, VA_F16};
    static const int64_t widths[] = {1, 3, 36, 131, 257};
    for (int64_t t = 0; t < VA_COUNT(dtypes); t++)
        for (int64_t i = 0; i < VA_COUNT(widths); i++) {
            op_case c = {.op = VA_OP_EMBED, .x = {TABLE(dtypes[t], 7, widths[i]), IDS(5)}};
            op_check_device(*state, &c);
        }
}

// 136 MB: read by ranges of rows on lavapipe. Rows of odd length, ids on both sides of the cuts.
static void test_large_table(void **state) {
    enum { N = 68000, D = 999, N_ID = 1000 };
    uint16_t *table = malloc(sizeof *table * N * D);
    uint32_t ids[N_ID];
    for (int64_t e = 0; e < (int64_t)N * D; e++)
        table[e] = va_f32_to_f16((float)(e * 31 % 2039));
    for (uint32_t m = 0; m < N_ID; m++)
        ids[m] = m * 68 + m % 68;
    va_tensor x[VA_OP_MAX_IN] = {TABLE(VA_F16, N, D), IDS(N_ID)}, y;
    va_op_attr attr = {0};
    float *got = op_run_forward(*state, VA_OP_EMBED, &attr, x, (const void *[]){table, ids}, &y);
    for (int64_t m = 0; m < N_ID; m++)
        for (int64_t c = 0; c < D; c++)
            assert_true(got[m * D + c] == (float)((ids[m] * (int64_t)D + c) * 31 % 2039));
    free(got);
    free(table);
}

static void test_id_beyond_table_is_nan(void **state) {
    float table[4] = {1, 2, 3, 4};
    uint32_t ids[3] = {1, 2, 0xffffffffu};
    va_tensor x[VA_OP_MAX_IN] = {TABLE(VA_F32, 2, 2), IDS(3)}, y;
    va_op_attr attr = {0};
    float *got = op_run_forward(*state, VA_OP_EMBED, &attr, x, (const void *[]){table, ids}, &y);
    assert_true(got[0] == 3 && got[1] == 4);
    for (int i = 2; i < 6; i++)
        assert_true(isnan(got[i]));
    free(got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_large_table),
        cmocka_unit_test(test_id_beyond_table_is_nan),
    };
    return cmocka_run_group_tests_name("embed", tests, op_test_setup, op_test_teardown);
}
