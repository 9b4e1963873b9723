// test_direction_file.c: directions from npy, safetensors, GGUF and PyTorch files.
// libs: va_io
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/direction.h"

#include <math.h>

enum { K = 3, D = 8 };

static va_ctx *ctx;
static va_arena *arena;
static float expected[K * D]; // of tests/fixtures/directions, by numpy

static int set_up(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    va_json *root = NULL;
    int64_t n = 0;
    ctx = va_test_ctx();
    arena = va_arena_create();
    assert_ok(ctx, va_json_load(ctx, va_test_fixture(path, "directions/frame.json"), 0, &root));
    for (const va_json *row = va_json_first(root); row; row = va_json_next(row))
        for (const va_json *x = va_json_first(row); x && n < K * D; x = va_json_next(x)) {
            double value;
            assert_true(va_json_as_double(x, &value));
            expected[n++] = (float)value;
        }
    assert_int_equal(n, K * D);
    va_json_free(&root);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
    return 0;
}

static va_status read_spec(const char *spec, va_direction_frame *frame) {
    char path[VA_TEST_PATH];
    return va_direction_file_read(ctx, arena, va_test_fixture(path, spec), frame);
}

// Rows [first, first + k) of the frame, to the last bit.
static void check(const char *spec, int64_t first, int64_t k) {
    va_direction_frame frame = {0};
    assert_ok(ctx, read_spec(spec, &frame));
    assert_int_equal(frame.k, k);
    assert_int_equal(frame.d, D);
    assert_memory_equal(frame.rows, expected + first * D, (size_t)(k * D) * sizeof(float));
}

static void every_kind(void **state) {
    (void)state;
    check("directions/frame.npy", 0, 3);
    check("directions/one.npy", 1, 1); // float64
    check("directions/some.safetensors:a", 0, 1);
    check("directions/some.safetensors:b.c", 1, 1);
    check("directions/some.safetensors:c:d", 2, 1);
    check("directions/control.gguf:1", 0, 1);
    check("directions/control.gguf:3", 2, 1);
}

// At each dict the longest key: "6.x" and "Abstract.part" are keys, 6 is an integer one.
static void checkpoint_paths(void **state) {
    (void)state;
    va_direction_frame half;
    check("directions/nested.pt:Physical.vectors.6.x", 1, 1);
    assert_ok(ctx, read_spec("directions/nested.pt:Physical.vectors.6", &half)); // float16
    for (int i = 0; i < D; i++)
        assert_true(half.rows[i] == va_f16_to_f32(va_f32_to_f16(expected[i])));
    check("directions/nested.pt:Abstract.0", 0, 3);
    check("directions/nested.pt:Abstract.1", 2, 1);
    check("directions/nested.pt:Abstract.part", 0, 1);
}

static void what_is_refused(void **state) {
    static const struct {
        const char *spec;
        va_status code;
        const char *text;
    } cases[] = {
        {"directions/frame.npz", VA_ERR_USAGE, "expected FILE.npy, FILE.safetensors:NAME"},
        {"directions/frame.npy:0", VA_ERR_USAGE, "expected FILE.npy"},
        {"directions/some.safetensors", VA_ERR_USAGE, "FILE.safetensors:NAME"},
        {"directions/some.safetensors:", VA_ERR_USAGE, "FILE.safetensors:NAME"},
        {"directions/control.gguf:one", VA_ERR_USAGE, "a layer's number after ':', got 'one'"},
        {"directions/control.gguf:1234567890", VA_ERR_USAGE, "a layer's number"},
        {"directions/absent.npy", VA_ERR_FILE, "absent.npy: cannot be opened"},
        {"directions/zero.npy", VA_ERR_NUMERIC, "zero.npy: row 1 is zero"},
        {"directions/nan.npy", VA_ERR_NUMERIC, "nan.npy: row 2: element 5 is nan"},
        {"directions/some.safetensors:ids", VA_ERR_SHAPE, "expected floats, got I64"},
        {"directions/some.safetensors:id", VA_ERR_FORMAT,
         "no tensor 'id' among 4, did you mean 'ids'?"},
        {"directions/some.safetensors:nothing like it", VA_ERR_FORMAT, "among 4"},
        {"directions/control.gguf:0", VA_ERR_FORMAT,
         "no direction for layer 0; it has 3, from layer 1 to 3"},
        {"directions/odd.gguf:1", VA_ERR_SHAPE, "direction.3: expected 8 elements"},
        {"gguf/quants.gguf:1", VA_ERR_FORMAT, "expected a control vector"},
        {"directions/nested.pt:Physical.vector", VA_ERR_FORMAT,
         "no 'vector' in the dict of 1 there: 'vectors'"},
        {"directions/nested.pt:Physical.vectors.7", VA_ERR_FORMAT,
         "no '7' in the dict of 2 there: 6, '6.x'"},
        {"directions/nested.pt:Abstract.2", VA_ERR_FORMAT, "no '2' in the list of 2 there"},
        {"directions/nested.pt:n", VA_ERR_SHAPE, "n: expected a tensor, got integer"},
        {"directions/nested.pt:n.m", VA_ERR_FORMAT, "no 'm' in the integer of 0 there"},
        {"pt/views.pt:base", VA_ERR_SHAPE, "expected [d] or [k, d], got 3 dimensions"},
        {"pt/views.pt:scalar", VA_ERR_SHAPE, "got 0 dimensions"},
        {"pt/views.pt:zero_size", VA_ERR_SHAPE, "at least one direction, got [0, 7]"},
        {"pt/views.pt:i64", VA_ERR_SHAPE, "expected floats, got I64"},
        {"pt/views.pt:f64", VA_ERR_NUMERIC, "element 1 is inf in float32"},
        {"pt/os-system.pt:x", VA_ERR_UNSUPPORTED, "global os.system is not allowed"},
    };
    (void)state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_direction_frame frame = {0};
        assert_error(ctx, cases[i].code, cases[i].text, read_spec(cases[i].spec, &frame));
        assert_null(frame.rows);
    }
}

// -- control vectors ---------------------------------------------------------------------------

static void control_vector(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    va_control_vector cv;
    va_test_fixture(path, "directions/control.gguf");
    assert_ok(ctx, va_control_vector_read(ctx, arena, path, &cv));
    assert_int_equal(cv.n, 3);
    assert_int_equal(cv.d, D);
    assert_int_equal(cv.layer_count, 4);
    assert_string_equal(cv.model_hint, "qwen2");
    for (int64_t i = 0; i < 3; i++)
        assert_int_equal(cv.layer[i], i + 1);
    assert_memory_equal(cv.rows, expected, sizeof expected);
}

// sum_j (j + 1) x_j^2 of three layers in double, by numpy and the gguf package.
static void check_real(const char *name, const char *hint, const double sums[3]) {
    char path[VA_TEST_PATH], spec[VA_TEST_PATH + 8];
    static const int layers[] = {0, 13, 27};
    va_control_vector cv;
    va_direction_frame frame;
    assert_ok(ctx, va_control_vector_read(ctx, arena, va_test_shared(path, name), &cv));
    assert_int_equal(cv.n, 28);
    assert_int_equal(cv.d, 1536);
    assert_int_equal(cv.layer_count, 28);
    assert_string_equal(cv.model_hint, hint);
    for (int64_t i = 0; i < 28; i++)
        assert_int_equal(cv.layer[i], i); // by number: 2 before 10
    for (int k = 0; k < 3; k++) {
        double sum = 0;
        snprintf(spec, sizeof spec, "%s:%d", path, layers[k]);
        assert_ok(ctx, va_direction_file_read(ctx, arena, spec, &frame));
        assert_memory_equal(frame.rows, cv.rows + layers[k] * cv.d, 1536 * sizeof(float));
        for (int64_t j = 0; j < cv.d; j++)
            sum += (double)frame.rows[j] * frame.rows[j] * (double)(j + 1); // in their places
        assert_true(fabs(sum / sums[k] - 1) < 1e-12);
    }
}

static void real_control_vectors(void **state) {
    (void)state;
    check_real("control-vectors/happy_diffmean.gguf", "qwen2.5",
               (const double[]){763.9149773796016, 772.5538125848789, 776.7349214896926});
    check_real("control-vectors/experiment__math__seal_merged_vector.gguf", "unknown",
               (const double[]){654317.8799144165, 6533398.272343734, 454748914.8486709});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),           cmocka_unit_test(checkpoint_paths),
        cmocka_unit_test(what_is_refused),      cmocka_unit_test(control_vector),
        cmocka_unit_test(real_control_vectors),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
