// libs: va_op
// test_attention.c: causal attention with grouped queries against its reference.
// SPDX-License-Identifier: Apache-2.0
#include "op_check.h"

#include <math.h>

typedef struct sizes {
    int64_t n_seq, T, H, G, D, k, window;
    float softcap;
} sizes;

static op_case attention_case(sizes s) {
    int64_t M = s.n_seq * s.T;
    return (op_case){.op = VA_OP_ATTENTION,
                     .attr = {.seq_len = s.T,
                              .scale = 1 / sqrtf((float)s.D),
                              .softcap = s.softcap,
                              .window = s.window},
                     .x = {OP_F32_3(M, s.H, s.D), OP_F32_3(M, s.G, s.D), OP_F32_3(M, s.G, s.D)},
                     .k = s.k};
}

static void test_shapes(void **state) {
    static const sizes all[] = {
        {1, 1, 1, 1, 1, 1, 0, 0},    {1, 1, 6, 3, 10, 3, 0, 0},   {1, 7, 6, 3, 5, 3, 0, 0},
        {3, 5, 4, 1, 8, 3, 0, 0},    {2, 9, 2, 2, 3, 17, 4, 0},   {1, 6, 6, 3, 10, 1, 1, 0},
        {1, 8, 4, 1, 12, 3, 0, 1.5}, {2, 5, 2, 1, 7, 3, 3, 0.75},
    };
    for (int64_t i = 0; i < VA_COUNT(all); i++) {
        op_case c = attention_case(all[i]);
        c.accumulate = (uint32_t)i & 7;
        op_check_all(*state, &c);
    }
}

// More keys than a workgroup has invocations, windows around the edge.
static void test_long(void **state) {
    static const sizes all[] = {
        {1, 131, 2, 1, 36, 2, 0, 0}, {1, 131, 2, 1, 4, 2, 64, 0}, {1, 70, 1, 1, 3, 1, 70, 2}};
    for (int64_t i = 0; i < VA_COUNT(all); i++) {
        op_case c = attention_case(all[i]);
        c.tolerance = 4e-6;
        op_check_device(*state, &c);
    }
}

static void test_absent(void **state) {
    for (uint32_t mask = 0; mask < 8; mask++) {
        op_case c = attention_case((sizes){1, 6, 6, 3, 5, 3, 0, 0});
        c.no_tangent = mask;
        c.accumulate = 7;
        op_check_device(*state, &c);
    }
}

// The scratch of dP is made for some sequences or vectors at a time when it would be large.
static void test_chunks(void **state) {
    static const sizes all[] = {{3, 131, 8, 2, 2, 11, 0, 0}, {1, 300, 8, 4, 2, 7, 9, 0}};
    for (int64_t i = 0; i < VA_COUNT(all); i++) {
        op_case c = attention_case(all[i]);
        va_op_call plan = {.attr = &c.attr, .x = {c.x[0], c.x[1], c.x[2]}, .k = c.k};
        int64_t all_bytes = all[i].n_seq * all[i].T * c.k * all[i].H * all[i].T * 4;
        int64_t planned = va_op_get(VA_OP_ATTENTION)->scratch_bytes(&plan, VA_VJP);
        assert_true(planned < all_bytes);
        c.tolerance = 1e-5;
        op_check_device(*state, &c);
    }
}

// Scores of +-1e4: one key takes all, nothing overflows.
static void test_large_scores(void **state) {
    for (int cap = 0; cap < 2; cap++) {
        op_case c = attention_case((sizes){1, 9, 2, 1, 4, 3, 0, cap ? 50 : 0});
        c.sigma[0] = c.sigma[1] = 100;
        // exp(s - max) has the rounding of scores near 1e4: 1e4 x 6e-8 = 6e-4 relative at most,
        // felt where two scores lie close. Where one key takes all, P (dS - sum P dS) is 0 but for
        // rounding of numbers of the size of k.
        c.tolerance = 1e-3;
        c.floor = 100;
        op_check_device(*state, &c);
    }
}

static void test_refusals(void **state) {
    va_ctx *ctx = va_gpu_ctx(*state);
    const va_op *op = va_op_get(VA_OP_ATTENTION);
    va_tensor y, aux;
    op_case c = attention_case((sizes){1, 6, 5, 3, 4, 1, 0, 0});
    assert_error(ctx, VA_ERR_SHAPE, "attention: 5 query heads over 3 key heads",
                 op->infer(ctx, &c.attr, c.x, &y, &aux));
    c = attention_case((sizes){1, 6, 6, 3, 4, 1, 0, 0});
    c.x[2].shape[2] = 5;
    assert_error(ctx, VA_ERR_SHAPE, "attention: v: expected [6, 3, 4]",
                 op->infer(ctx, &c.attr, c.x, &y, &aux));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),       cmocka_unit_test(test_long),
        cmocka_unit_test(test_absent),       cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_large_scores), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("attention", tests, op_test_setup, op_test_teardown);
}
