// The named shapes are those of the models: as many parameters as transformers counts in each.
// SPDX-License-Identifier: Apache-2.0
// libs: va_bench
#include "test_support.h"

#include "vkalign/bench.h"

#include <string.h>

static const struct {
    const char *name;
    int64_t parameters; // of the text model
} known[] = {
    {"tiny", 2791072},          {"gemma-3-1b", 999885952},
    {"gemma-3-4b", 3880263168}, {"llama-3.2-1b", 1235814400},
    {"qwen3-4b", 4022468096},   {"pythia-160m", 162322944},
};

static void test_parameters(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    int64_t n;
    assert_non_null(va_bench_shapes(&n));
    assert_int_equal(n, VA_COUNT(known));
    for (int64_t i = 0; i < n; i++) {
        const va_bench_shape *shape;
        va_model *model;
        assert_ok(ctx, va_bench_shape_find(ctx, known[i].name, &shape));
        assert_string_equal(shape->name, known[i].name);
        assert_ok(ctx, va_model_open_random(ctx, shape->name, shape->config_json, 0, &model));
        if (va_model_param_count(model) != known[i].parameters)
            fail_msg("%s: expected %lld parameters, got %lld", shape->name,
                     (long long)known[i].parameters, (long long)va_model_param_count(model));
        va_model_close(&model);
    }
    va_ctx_destroy(&ctx);
}

static void test_names(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    const va_bench_shape *shape;
    va_bench_kind kind;
    assert_int_equal(va_bench_shape_find(ctx, "gemma", &shape), VA_ERR_USAGE);
    assert_non_null(strstr(va_error_message(ctx), "expected one of tiny, gemma-3-1b, gemma-3-4b"));
    for (int i = 0; i < VA_BENCH_KIND_COUNT; i++)
        assert_true(va_bench_kind_parse(va_bench_kind_name((va_bench_kind)i), &kind) &&
                    (int)kind == i);
    assert_false(va_bench_kind_parse("backward", &kind));
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parameters),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
