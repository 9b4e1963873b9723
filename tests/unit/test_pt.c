// test_pt.c: PyTorch checkpoints as torch writes them: tensors, values, lenses, what is refused.
// libs: va_io
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/pt.h"

#include <math.h>
#include <unistd.h>

static va_ctx *ctx;
static va_arena *arena;

static int set_up(void **state) {
    (void)state;
    ctx = va_test_ctx();
    arena = va_arena_create();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
    return 0;
}

static va_pt *open_fixture(const char *name) {
    char path[VA_TEST_PATH];
    va_pt *pt = NULL;
    assert_ok(ctx, va_pt_open(ctx, va_test_fixture(path, name), &pt));
    return pt;
}

static va_file_tensor tensor_of(va_pt *pt, const va_pt_value *v) {
    va_file_tensor t = {0};
    assert_ok(ctx, va_pt_tensor(ctx, arena, pt, v, "t", &t));
    return t;
}

static void assert_same(const va_file_tensor *got, const va_file_tensor *expected) {
    assert_int_equal(got->dtype, expected->dtype);
    assert_int_equal(got->n_dim, expected->n_dim);
    for (int i = 0; i < got->n_dim; i++)
        assert_int_equal(got->shape[i], expected->shape[i]);
    assert_int_equal(got->n_elem, expected->n_elem);
    assert_int_equal(got->size_bytes, expected->size_bytes);
    if (got->size_bytes > 0)
        assert_memory_equal(got->data, expected->data, (size_t)got->size_bytes);
}

// Every tensor of the safetensors file stands in the checkpoint's dict, with the same bytes.
static void check_tensors(const char *pt_name, const char *expected_name) {
    char path[VA_TEST_PATH];
    va_safetensors *expected;
    va_pt *pt = open_fixture(pt_name);
    assert_ok(ctx, va_safetensors_open(ctx, va_test_fixture(path, expected_name), &expected));
    assert_int_equal(va_pt_count(va_pt_root(pt)), va_safetensors_count(expected));
    for (int64_t i = 0; i < va_safetensors_count(expected); i++) {
        const va_file_tensor *want = va_safetensors_at(expected, i);
        const va_file_tensor got = tensor_of(pt, va_pt_get(va_pt_root(pt), want->name));
        assert_same(&got, want);
    }
    va_safetensors_close(&expected);
    va_pt_close(&pt);
}

static void tensors_are_torchs(void **state) {
    (void)state;
    check_tensors("pt/flat.pt", "pt/flat.safetensors");
    check_tensors("pt/views.pt", "pt/views.safetensors");  // protocol 2
    check_tensors("pt/views5.pt", "pt/views.safetensors"); // protocol 5
}

static void rows_stay_in_the_map(void **state) {
    (void)state;
    va_pt *pt = open_fixture("pt/views.pt");
    const va_pt_value *root = va_pt_root(pt);
    const va_file_tensor base = tensor_of(pt, va_pt_get(root, "base"));
    const va_file_tensor rows = tensor_of(pt, va_pt_get(root, "rows"));
    const va_file_tensor scalar = tensor_of(pt, va_pt_get(root, "scalar"));
    const va_file_tensor columns = tensor_of(pt, va_pt_get(root, "columns"));
    const char *start = base.data, *end = start + base.size_bytes;
    assert_ptr_equal(rows.data, start + (12 + 4) * 4); // [1, 1:] of [2, 3, 4]
    assert_ptr_equal(scalar.data, start + 23 * 4);
    assert_true((const char *)columns.data < start || (const char *)columns.data >= end);
    assert_string_equal(base.name, "t");
    assert_non_null(strstr(base.file, "views.pt"));
    va_pt_close(&pt);
}

// -- values ------------------------------------------------------------------------------------

static int64_t int_of(const va_pt_value *v) {
    int64_t i = 0;
    assert_true(va_pt_as_int(v, &i));
    return i;
}

static double double_of(const va_pt_value *v) {
    double d = 0;
    assert_true(va_pt_as_double(v, &d));
    return d;
}

static bool bool_of(const va_pt_value *v) {
    bool b = false;
    assert_true(va_pt_as_bool(v, &b));
    return b;
}

static void check_scalars(const va_pt_value *root) {
    static const struct {
        const char *key;
        int64_t value;
    } ints[] = {{"zero", 0},
                {"byte", 255},
                {"short", 65535},
                {"int", -70000},
                {"long", INT64_C(1) << 40},
                {"longest", INT64_MIN}};
    double d;
    for (int64_t i = 0; i < VA_COUNT(ints); i++)
        assert_int_equal(int_of(va_pt_get(root, ints[i].key)), ints[i].value);
    assert_false(va_pt_as_double(va_pt_get(root, "longest"), &d)); // beyond 2^53
    assert_int_equal(va_pt_value_kind(va_pt_get(root, "none")), VA_PT_NONE);
    assert_true(bool_of(va_pt_get(root, "true")));
    assert_false(bool_of(va_pt_get(root, "false")));
    assert_true(double_of(va_pt_get(root, "float")) == -0.375);
    assert_true(isinf(double_of(va_pt_get(root, "inf"))));
    assert_true(double_of(va_pt_get(root, "byte")) == 255);
    assert_string_equal(va_pt_as_string(va_pt_get(root, "text")),
                        "caf\xC3\xA9 \xE2\x88\x87 \xF0\x9F\x98\x80");
    assert_int_equal(strlen(va_pt_as_string(va_pt_get(root, "long_text"))), 300);
    assert_int_equal(va_pt_value_kind(va_pt_get(root, "nul")), VA_PT_STRING);
    assert_null(va_pt_as_string(va_pt_get(root, "nul")));
    assert_string_equal(va_pt_as_string(va_pt_get(root, "dtype")), "torch.bfloat16");
    assert_string_equal(va_pt_as_string(va_pt_get(root, "device")), "cuda");
}

static void check_containers(const va_pt_value *root) {
    static const int64_t lengths[] = {0, 3, 0, 1, 2, 3, 4};
    const va_pt_value *list = va_pt_get(root, "list"), *ints = va_pt_get(root, "ints");
    assert_int_equal(va_pt_count(list), 7);
    for (int64_t i = 1; i < 7; i++)
        assert_int_equal(va_pt_count(va_pt_at(list, i)), lengths[i]);
    assert_int_equal(int_of(va_pt_at(va_pt_at(list, 5), 2)), 8);
    assert_int_equal(va_pt_value_kind(va_pt_at(va_pt_at(list, 1), 2)), VA_PT_DICT);
    assert_int_equal(va_pt_value_kind(va_pt_at(va_pt_at(list, 1), 1)), VA_PT_LIST);
    assert_null(va_pt_at(list, -1));
    assert_string_equal(va_pt_as_string(va_pt_get_int(ints, -1)), "minus one");
    assert_string_equal(va_pt_as_string(va_pt_get_int(ints, 0)), "zero");
    assert_int_equal(int_of(va_pt_get(va_pt_get_int(ints, 7), "7")), 7);
    assert_null(va_pt_get(ints, "7"));
    assert_null(va_pt_get_int(ints, 1));
    assert_int_equal(int_of(va_pt_key_at(ints, 0)), -1);
    assert_string_equal(va_pt_as_string(va_pt_key_at(root, 0)), "none"); // the file's order
    assert_null(va_pt_key_at(root, va_pt_count(root)));
    assert_int_equal(int_of(va_pt_at(va_pt_get(root, "size"), 1)), 3);
    assert_ptr_equal(va_pt_get(root, "a"), va_pt_get(root, "b"));
    assert_null(va_pt_get(list, "a"));
    assert_null(va_pt_get(NULL, "a"));
}

static void check_numpy(const va_pt_value *list) {
    assert_int_equal(va_pt_count(list), 6);
    assert_true(double_of(va_pt_at(list, 0)) == 0.5);
    assert_true(double_of(va_pt_at(list, 1)) == 1.5);
    assert_int_equal(int_of(va_pt_at(list, 2)), -3);
    assert_int_equal(int_of(va_pt_at(list, 3)), 9);
    assert_true(bool_of(va_pt_at(list, 4)));
    assert_true(double_of(va_pt_at(list, 5)) == -1e300);
}

static void values_are_torchs(void **state) {
    static const char *const files[] = {"pt/values.pt", "pt/values4.pt"}; // by their protocols
    (void)state;
    for (int64_t i = 0; i < VA_COUNT(files); i++) {
        va_pt *pt = open_fixture(files[i]);
        check_scalars(va_pt_root(pt));
        check_containers(va_pt_root(pt));
        check_numpy(va_pt_get(va_pt_root(pt), "numpy"));
        va_pt_close(&pt);
    }
}

// -- lenses ------------------------------------------------------------------------------------

static void small_lens(void **state) {
    (void)state;
    char path[VA_TEST_PATH], name[8];
    va_safetensors *expected;
    va_pt *pt = open_fixture("pt/lens.pt");
    const va_pt_value *root = va_pt_root(pt), *J = va_pt_get(root, "J");
    assert_ok(ctx,
              va_safetensors_open(ctx, va_test_fixture(path, "pt/lens.safetensors"), &expected));
    assert_int_equal(va_pt_count(J), 3);
    for (int64_t i = 0; i < 3; i++) {
        const int64_t layer = int_of(va_pt_at(va_pt_get(root, "source_layers"), i));
        snprintf(name, sizeof name, "%d", (int)layer);
        const va_file_tensor got = tensor_of(pt, va_pt_get_int(J, layer));
        assert_same(&got, va_safetensors_find(expected, name));
    }
    assert_int_equal(int_of(va_pt_get(root, "n_prompts")), 100);
    assert_string_equal(va_pt_as_string(va_pt_get(va_pt_get(root, "metadata"), "model_name")),
                        "tiny");
    va_safetensors_close(&expected);
    va_pt_close(&pt);
}

// ||J - I||_F / ||I||_F
static double identity_distance(const va_file_tensor *t) {
    const int64_t d = t->shape[0];
    double sum = 0;
    float *J = VA_NEW_ARRAY(arena, float, d *d);
    va_convert_to_f32(J, t->data, t->dtype, d * d);
    for (int64_t i = 0; i < d * d; i++) {
        const double x = (double)J[i] - (i % (d + 1) == 0);
        sum += x * x;
    }
    return sqrt(sum / (double)d);
}

// The distances of torch 2.15, in double: none is published with this lens.
static void real_lens(void **state) {
    static const double expected[] = {3.19203620779, 2.70966499262, 2.12561994856, 1.63934273986,
                                      1.02142610571};
    (void)state;
    char path[VA_TEST_PATH];
    double mean = 0;
    va_pt *pt = NULL;
    assert_ok(ctx, va_pt_open(ctx, va_test_shared(path, "lens/stories15M_lens_100.pt"), &pt));
    const va_pt_value *root = va_pt_root(pt), *J = va_pt_get(root, "J");
    assert_int_equal(int_of(va_pt_get(root, "d_model")), 288);
    assert_int_equal(int_of(va_pt_get(root, "n_prompts")), 100);
    assert_int_equal(va_pt_count(J), 5);
    for (int64_t l = 0; l < 5; l++) {
        const va_file_tensor t = tensor_of(pt, va_pt_get_int(J, l));
        assert_int_equal(int_of(va_pt_at(va_pt_get(root, "source_layers"), l)), l);
        assert_int_equal(t.dtype, VA_F16);
        assert_int_equal(t.n_dim, 2);
        assert_true(t.shape[0] == 288 && t.shape[1] == 288);
        const double distance = identity_distance(&t);
        assert_true(fabs(distance - expected[l]) < 1e-9);
        mean += distance / 5;
    }
    printf("stories15M_lens_100.pt: mean identity distance %.6f\n", mean);
    va_pt_close(&pt);
}

// -- refusals ----------------------------------------------------------------------------------

static void what_is_refused(void **state) {
    static const struct {
        const char *name;
        va_status code;
        const char *text;
    } cases[] = {
        {"pt/os-system.pt", VA_ERR_UNSUPPORTED, "global os.system is not allowed"},
        {"pt/command.pt", VA_ERR_UNSUPPORTED, "global posix.system is not allowed"},
        {"pt/whole-model.pt", VA_ERR_UNSUPPORTED, "global __main__.Classifier is not allowed"},
        {"pt/legacy.pt", VA_ERR_UNSUPPORTED, "torch.save(torch.load("},
        {"pt/deflated.pt", VA_ERR_UNSUPPORTED, "compressed"},
        {"pt/big-endian.pt", VA_ERR_UNSUPPORTED, "byteorder little, got 'big'"},
        {"pt/script.pt", VA_ERR_UNSUPPORTED, "TorchScript"},
        {"pt/nine-dimensions.pt", VA_ERR_UNSUPPORTED, "a tensor of 9 dimensions"},
        {"pt/flat.safetensors", VA_ERR_FORMAT, "not a PyTorch file"},
        {"directions/frame.npy", VA_ERR_FORMAT, "not a PyTorch file"},
    };
    (void)state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        char path[VA_TEST_PATH];
        va_pt *pt = NULL;
        va_test_fixture(path, cases[i].name);
        assert_error(ctx, cases[i].code, cases[i].text, va_pt_open(ctx, path, &pt));
        assert_non_null(strstr(va_error_message(ctx), path));
        assert_null(pt);
    }
    assert_int_not_equal(access("executed", F_OK), 0);
}

static void tensors_refused(void **state) {
    (void)state;
    va_file_tensor t;
    va_pt *pt = open_fixture("pt/expanded.pt");
    assert_error(ctx, VA_ERR_UNSUPPORTED, "e: 6 elements out of 2",
                 va_pt_tensor(ctx, arena, pt, va_pt_get(va_pt_root(pt), "e"), "e", &t));
    assert_error(ctx, VA_ERR_SHAPE, "x: expected a tensor, got nothing",
                 va_pt_tensor(ctx, arena, pt, va_pt_get(va_pt_root(pt), "x"), "x", &t));
    assert_error(ctx, VA_ERR_SHAPE, "expected a tensor, got dict",
                 va_pt_tensor(ctx, arena, pt, va_pt_root(pt), "root", &t));
    va_pt_close(&pt);
}

// Stored by another program, and saved without checksums.
static void other_archives(void **state) {
    static const char *const files[] = {"pt/rezipped.pt", "pt/no-checksums.pt"};
    (void)state;
    for (int64_t i = 0; i < VA_COUNT(files); i++) {
        va_pt *pt = open_fixture(files[i]);
        const va_file_tensor t = tensor_of(pt, va_pt_get(va_pt_root(pt), "w"));
        assert_int_equal(t.n_elem, 2);
        assert_memory_equal(t.data, ((const float[]){1, 1}), 8);
        va_pt_close(&pt);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_torchs), cmocka_unit_test(rows_stay_in_the_map),
        cmocka_unit_test(values_are_torchs),  cmocka_unit_test(small_lens),
        cmocka_unit_test(real_lens),          cmocka_unit_test(what_is_refused),
        cmocka_unit_test(tensors_refused),    cmocka_unit_test(other_archives),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
