// libs: va_io
// test_npy.c: .npy arrays: NumPy's own bytes, the header's rules, writing by rows.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/io.h"

#include <math.h>

static va_ctx *ctx;
static va_arena *arena;
static char dir[VA_TEST_PATH], path[VA_TEST_PATH];

static int set_up(void **state) {
    (void)state;
    ctx = va_test_ctx();
    arena = va_arena_create();
    va_test_temp_dir(dir);
    va_test_join(path, dir, "a.npy");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    va_test_temp_remove(dir);
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
    return 0;
}

static va_status load(int *n_dim, int64_t shape[VA_MAX_DIM], float **data) {
    return va_npy_load(ctx, arena, path, n_dim, shape, data);
}

// A file by hand: version, the dict's text, the data.
static void write_raw(int major, const char *dict, const void *data, int64_t n_data) {
    va_strbuf b = {0};
    uint32_t length = (uint32_t)strlen(dict);
    va_strbuf_append(&b, "\x93NUMPY", 6);
    va_strbuf_append(&b, (const char[]){(char)major, 0}, 2);
    va_strbuf_append(&b, (const char *)&length, major == 1 ? 2 : 4);
    va_strbuf_puts(&b, dict);
    va_strbuf_append(&b, data, n_data);
    assert_ok(ctx, va_file_write(ctx, path, b.data, b.len));
    va_strbuf_free(&b);
}

// What numpy.save writes for arange(6, dtype=float32).reshape(2, 3).
static const char numpy_dict[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
                                 "                                                          \n";

static void test_read_numpy(void **state) {
    (void)state;
    const float values[6] = {0, 1, 2, 3, 4, 5};
    int n_dim;
    int64_t shape[VA_MAX_DIM];
    float *data;
    assert_int_equal((10 + strlen(numpy_dict)) % 64, 0);
    write_raw(1, numpy_dict, values, sizeof values);
    assert_ok(ctx, load(&n_dim, shape, &data));
    assert_int_equal(n_dim, 2);
    assert_int_equal(shape[0], 2);
    assert_int_equal(shape[1], 3);
    assert_memory_equal(data, values, sizeof values);
}

static void test_dtypes_and_shapes(void **state) {
    (void)state;
    int n_dim;
    int64_t shape[VA_MAX_DIM];
    float *data;
    const double d[2] = {0.1, -1e300};
    write_raw(2, "{\"shape\": (2,), \"fortran_order\": False, \"descr\": \"<f8\"}\n", d, sizeof d);
    assert_ok(ctx, load(&n_dim, shape, &data));
    assert_int_equal(n_dim, 1);
    assert_true(data[0] == 0.1f && data[1] == -INFINITY);
    const uint16_t h = 0xC500; // -5
    write_raw(1, "{'descr':'<f2','fortran_order':False,'shape':()}", &h, sizeof h);
    assert_ok(ctx, load(&n_dim, shape, &data));
    assert_int_equal(n_dim, 0);
    assert_true(data[0] == -5);
    write_raw(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 7), }\n", NULL, 0);
    assert_ok(ctx, load(&n_dim, shape, &data));
    assert_int_equal(shape[0], 0);
    assert_int_equal(shape[1], 7);
}

static void test_broken(void **state) {
    (void)state;
#define DICT(descr, order, shape)                                                                  \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape "}\n"
    static const struct {
        const char *dict, *message;
    } cases[] = {
        {DICT("'>f4'", "False", "(1,)"), "descr '<f4', '<f8' or '<f2', got ''>f4'"},
        {DICT("'<i8'", "False", "(1,)"), "descr '<f4'"},
        {DICT("[('a', '<f4')]", "False", "(1,)"), "descr '<f4'"},
        {DICT("'<f4'", "True", "(1,)"), "fortran_order False"},
        {DICT("'<f4'", "False", "(1)"), "',' after the first size"},
        {DICT("'<f4'", "False", "1"), "'(' of the shape"},
        {DICT("'<f4'", "False", "(-1,)"), "a size"},
        {DICT("'<f4'", "False", "(99999999999999999999,)"), "a size"},
        {DICT("'<f4'", "False", "(4294967296, 4294967296)"), "overflows"},
        {DICT("'<f4'", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), "at most 8 dimensions"},
        {DICT("'<f4'", "False", "(1, 1 1)"), "',' or ')'"},
        {DICT("'<f4'", "False", "(2,)"), "need 8 bytes of data, got 4"},
        {DICT("'<f4'", "False", "()") "x", "expected the end"},
        {"{'descr': '<f4', 'shape': (1,)}", "descr, fortran_order and shape"},
        {"{'descr': '<f4', 'descr': '<f4'}", "each once"},
        {"{'descr': '<f4'", "',' or '}'"},
        {"{'descr'", "':'"},
        {"", "'{'"},
    };
#undef DICT
    int n_dim;
    int64_t shape[VA_MAX_DIM];
    float *data;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        write_raw(1, cases[i].dict, "abcd", 4);
        assert_error(ctx, VA_ERR_FORMAT, cases[i].message, load(&n_dim, shape, &data));
    }
    write_raw(3, numpy_dict, NULL, 0);
    assert_error(ctx, VA_ERR_FORMAT, "version 1.0 or 2.0, got 3.0", load(&n_dim, shape, &data));
    assert_ok(ctx, va_file_write(ctx, path, "\x93NUMPY\x01\x00\xFF\xFF{}", 12));
    assert_error(ctx, VA_ERR_FORMAT, "the header has 65535 bytes", load(&n_dim, shape, &data));
    assert_ok(ctx, va_file_write(ctx, path, "\x93NUMP", 5));
    assert_error(ctx, VA_ERR_FORMAT, "not a .npy file", load(&n_dim, shape, &data));
    assert_ok(ctx, va_file_write(ctx, path, "", 0));
    assert_error(ctx, VA_ERR_FORMAT, "not a .npy file", load(&n_dim, shape, &data));
}

static void test_write(void **state) {
    (void)state;
    const float rows[6] = {0, 1, 2, 3, 4, 5};
    va_npy_writer *w;
    va_map map;
    assert_ok(ctx, va_npy_create(ctx, path, 2, (const int64_t[]){2, 3}, &w));
    assert_ok(ctx, va_npy_append(w, rows, 3));
    assert_false(va_path_exists(path));
    assert_ok(ctx, va_npy_append(w, rows + 3, 3));
    assert_ok(ctx, va_npy_commit(&w));
    assert_null(w);
    assert_ok(ctx, va_map_open(ctx, path, &map)); // the very bytes that NumPy writes
    assert_int_equal(map.size_bytes, 128 + sizeof rows);
    assert_memory_equal(map.data, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_memory_equal(map.data + 10, numpy_dict, strlen(numpy_dict));
    assert_memory_equal(map.data + 128, rows, sizeof rows);
    va_map_close(&map);
    for (int n_dim = 0; n_dim <= VA_MAX_DIM; n_dim += n_dim == 1 ? 7 : 1) {
        const int64_t ones[VA_MAX_DIM] = {1, 1, 1, 1, 1, 1, 1, 1};
        int64_t shape[VA_MAX_DIM];
        int got;
        float *data;
        assert_ok(ctx, va_npy_create(ctx, path, n_dim, ones, &w));
        assert_ok(ctx, va_npy_append(w, rows + 5, 1));
        assert_ok(ctx, va_npy_commit(&w));
        assert_ok(ctx, load(&got, shape, &data));
        assert_int_equal(got, n_dim);
        assert_true(data[0] == 5);
    }
}

static void test_write_refuses(void **state) {
    (void)state;
    const float rows[6] = {0};
    const int64_t shape[2] = {2, 3};
    va_npy_writer *w = NULL;
    va_npy_abort(&w);
    assert_ok(ctx, va_npy_create(ctx, path, 2, shape, &w));
    assert_ok(ctx, va_npy_append(w, rows, 5));
    assert_error(ctx, VA_ERR_SHAPE, "expected 6 elements, got 5", va_npy_commit(&w));
    assert_null(w);
    assert_ok(ctx, va_npy_create(ctx, path, 2, shape, &w));
    assert_ok(ctx, va_npy_append(w, rows, 6));
    assert_error(ctx, VA_ERR_SHAPE, "expected 6 elements, got at least 7",
                 va_npy_append(w, rows, 1));
    assert_error(ctx, VA_ERR_SHAPE, "got more than 6", va_npy_commit(&w));
    assert_ok(ctx, va_npy_create(ctx, path, 2, shape, &w));
    va_npy_abort(&w);
    assert_error(ctx, VA_ERR_SHAPE, "no shape",
                 va_npy_create(ctx, path, 2, (const int64_t[]){INT64_MAX, 2}, &w));
    assert_error(ctx, VA_ERR_SHAPE, "no shape", va_npy_create(ctx, path, 9, shape, &w));
    assert_int_equal(va_test_count_files(dir), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_read_numpy), TEST(test_dtypes_and_shapes), TEST(test_broken),
        TEST(test_write),      TEST(test_write_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
