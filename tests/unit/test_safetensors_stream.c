// libs: va_io
// test_safetensors_stream.c: safetensors files written as their tensors come.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/io.h"

#include <signal.h>
#include <sys/resource.h>

static va_ctx *ctx;
static char dir[VA_TEST_PATH], path[VA_TEST_PATH];

static int set_up(void **state) {
    (void)state;
    ctx = va_test_ctx();
    va_test_temp_dir(dir);
    va_test_join(path, dir, "t.safetensors");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
    return 0;
}

static const va_file_tensor streamed[] = {
    {.name = "b", .dtype = VA_F32, .n_dim = 2, .shape = {2, 3}},
    {.name = "wide", .dtype = VA_F64, .n_dim = 1, .shape = {2}},
    {.name = "a", .dtype = VA_F32, .n_dim = 1, .shape = {4}},
};

static va_safetensors_writer *create_streamed(void) {
    va_safetensors_writer *w;
    const char *const meta[][2] = {{"mode", "exact"}};
    assert_ok(ctx, va_safetensors_create(ctx, path, streamed, VA_COUNT(streamed), meta, 1, &w));
    return w;
}

// Tensors grow in turn; what is written is what writing at once gives.
static void test_stream(void **state) {
    (void)state;
    const float b[6] = {1, 2, 3, 4, 5, 6}, a[4] = {7, 8, 9, 10};
    const double wide[2] = {0.5, -0.25};
    va_safetensors_writer *w = create_streamed();
    assert_ok(ctx, va_safetensors_put(w, 0, 0, b, 2));
    assert_ok(ctx, va_safetensors_put(w, 2, 0, a, 3));
    assert_ok(ctx, va_safetensors_put(w, 1, 0, wide, 2));
    assert_ok(ctx, va_safetensors_put(w, 0, 2, b + 2, 4));
    assert_ok(ctx, va_safetensors_put(w, 2, 3, a + 3, 0));
    assert_ok(ctx, va_safetensors_put(w, 2, 3, a + 3, 1));
    assert_false(va_path_exists(path));
    assert_ok(ctx, va_safetensors_commit(&w));
    assert_null(w);
    char at_once[VA_TEST_PATH];
    va_file_tensor whole[VA_COUNT(streamed)];
    memcpy(whole, streamed, sizeof whole);
    whole[0].data = b, whole[1].data = wide, whole[2].data = a;
    const char *const meta[][2] = {{"mode", "exact"}};
    va_test_join(at_once, dir, "once.safetensors");
    assert_ok(ctx, va_safetensors_write(ctx, at_once, whole, VA_COUNT(whole), meta, 1));
    va_map x, y;
    assert_ok(ctx, va_map_open(ctx, path, &x));
    assert_ok(ctx, va_map_open(ctx, at_once, &y));
    assert_int_equal(x.size_bytes, y.size_bytes);
    assert_memory_equal(x.data, y.data, (size_t)y.size_bytes);
    va_map_close(&x);
    va_map_close(&y);
    va_safetensors *s;
    assert_ok(ctx, va_safetensors_open(ctx, path, &s));
    assert_memory_equal(va_safetensors_find(s, "a")->data, a, sizeof a);
    assert_memory_equal(va_safetensors_find(s, "b")->data, b, sizeof b);
    assert_memory_equal(va_safetensors_find(s, "wide")->data, wide, sizeof wide);
    va_safetensors_close(&s);
}

// What overlaps, leaves a gap, is too much or too little leaves no file.
static void test_stream_refuses(void **state) {
    (void)state;
    const float x[8] = {0};
    static const struct {
        int64_t tensor, first, count;
        const char *message;
    } cases[] = {
        {0, 1, 2, "tensor 'b': expected elements from 2 to at most 6, got 2 from 1 on"},
        {0, 3, 1, "got 1 from 3 on"},
        {0, 2, 5, "got 5 from 2 on"},
        {0, 2, -1, "got -1 from 2 on"},
        {0, -1, 1, "from -1 on"},
        {0, 2, INT64_MAX, "from 2 on"},
        {3, 0, 1, "expected one of 3 tensors, got 3"},
        {-1, 0, 1, "expected one of 3 tensors, got -1"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_safetensors_writer *w = create_streamed();
        assert_ok(ctx, va_safetensors_put(w, 0, 0, x, 2));
        assert_error(ctx, VA_ERR_SHAPE, cases[i].message,
                     va_safetensors_put(w, cases[i].tensor, cases[i].first, x, cases[i].count));
        assert_ok(ctx, va_safetensors_put(w, 0, 2, x, 4));
        assert_ok(ctx, va_safetensors_put(w, 1, 0, x, 2));
        assert_ok(ctx, va_safetensors_put(w, 2, 0, x, 4));
        assert_error(ctx, VA_ERR_SHAPE, "some elements were refused", va_safetensors_commit(&w));
        assert_null(w);
    }
    va_safetensors_writer *w = create_streamed();
    assert_ok(ctx, va_safetensors_put(w, 0, 0, x, 2));
    assert_error(ctx, VA_ERR_SHAPE, "t.safetensors: tensor 'b': expected 6 elements, got 2",
                 va_safetensors_commit(&w));
    w = create_streamed();
    va_safetensors_abort(&w);
    assert_null(w);
    va_safetensors_abort(&w);
    assert_int_equal(va_test_count_files(dir), 0);
    assert_error(ctx, VA_ERR_FILE, "absent",
                 va_safetensors_create(ctx, "absent/x", streamed, 3, NULL, 0, &w));
    assert_null(w);
}

// A file-size limit stands in for a full disk; nothing is left.
static void test_stream_disk_full(void **state) {
    (void)state;
    enum { N = 1 << 14 };
    static const float x[N];
    const va_file_tensor two[] = {
        {.name = "a", .dtype = VA_F32, .n_dim = 1, .shape = {N}},
        {.name = "b", .dtype = VA_F32, .n_dim = 1, .shape = {N}},
    };
    struct rlimit old, small = {N * 6, N * 6};
    va_safetensors_writer *w;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_ok(ctx, va_safetensors_create(ctx, path, two, 2, NULL, 0, &w));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const va_status second = va_safetensors_put(w, 1, 0, x, N); // begins below the limit
    const va_status first = va_safetensors_put(w, 0, 0, x, N);
    const va_status committed = va_safetensors_commit(&w);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(second, VA_ERR_FILE);
    assert_int_equal(first, VA_ERR_FILE);
    assert_error(ctx, VA_ERR_FILE, "t.safetensors: cannot be written: File too large", committed);
    assert_int_equal(va_test_count_files(dir), 0);
}

// Beyond 4 GiB: a tensor of which only the ends are written (the file has holes).
static void test_stream_large(void **state) {
    (void)state;
    enum { CHUNK = 1 << 20 };
    const int64_t n = (INT64_C(5) << 30) / 4;
    const va_file_tensor one = {.name = "J", .dtype = VA_F32, .n_dim = 1, .shape = {n}};
    va_atomic_file *f;
    va_safetensors_writer *w;
    assert_ok(ctx, va_safetensors_create(ctx, path, &one, 1, NULL, 0, &w));
    assert_error(ctx, VA_ERR_SHAPE, "from 0 to at most 1342177280",
                 va_safetensors_put(w, 0, n - 1, "abcd", 1));
    va_safetensors_abort(&w);
    assert_ok(ctx, va_atomic_open(ctx, path, &f));
    assert_ok(ctx, va_atomic_write(f, "head", 4));
    assert_ok(ctx, va_atomic_write_at(f, 4 * n, "tail", 4));
    assert_ok(ctx, va_atomic_write(f, "body", 4));
    assert_ok(ctx, va_atomic_commit(&f));
    va_map map;
    assert_ok(ctx, va_map_open(ctx, path, &map));
    assert_int_equal(map.size_bytes, 4 * n + 4);
    assert_memory_equal(map.data, "headbody", 8);
    assert_memory_equal(map.data + 4 * n, "tail", 4);
    va_map_close(&map);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_stream),
        TEST(test_stream_refuses),
        TEST(test_stream_disk_full),
        TEST(test_stream_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
