// libs: va_io
// test_gguf_rules.c: the rules of GGUF files one by one, and files damaged at random.
// SPDX-License-Identifier: Apache-2.0
#include "gguf_bytes.h"
#include "test_support.h"

#include "vkalign/gguf.h"

#include <dirent.h>
#include <math.h>

static va_ctx *ctx;
static char dir[VA_TEST_PATH], path[VA_TEST_PATH];

static int set_up(void **state) {
    (void)state;
    ctx = va_test_ctx();
    va_test_temp_dir(dir);
    va_test_join(path, dir, "t.gguf");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
    return 0;
}

// -- files by hand ----------------------------------------------------------------------------

// Writes what was put and opens it; frees b.
static va_status open_bytes(va_strbuf *b, va_gguf **g) {
    assert_false(b->failed);
    assert_ok(ctx, va_file_write(ctx, path, b->data, b->len));
    va_strbuf_free(b);
    return va_gguf_open(ctx, path, g);
}

static void refuse(va_strbuf *b, va_status code, const char *message) {
    va_gguf *g;
    assert_error(ctx, code, message, open_bytes(b, &g));
    assert_non_null(strstr(va_error_message(ctx), "t.gguf: "));
    assert_null(g);
}

static void test_heads(void **state) {
    (void)state;
    va_strbuf b = {0};
    va_gguf *g;
    gguf_put_head(&b, 2, 0, 0);
    assert_ok(ctx, open_bytes(&b, &g));
    assert_int_equal(va_gguf_count(g) + va_gguf_key_count(g), 0);
    assert_null(va_gguf_find(g, "a"));
    assert_null(va_gguf_get(g, "a"));
    va_gguf_close(&g);
    va_strbuf_puts(&b, "GGML");
    gguf_put(&b, 3, 4);
    refuse(&b, VA_ERR_FORMAT, "expected the magic GGUF, got 47 47 4d 4c");
    va_strbuf_puts(&b, "GG");
    refuse(&b, VA_ERR_FORMAT, "byte 0: expected 4 bytes of magic, got 2");
    gguf_put_head(&b, 1, 0, 0);
    refuse(&b, VA_ERR_UNSUPPORTED, "expected GGUF version 2 or 3, got 1");
    gguf_put_head(&b, 0, 0, 0);
    refuse(&b, VA_ERR_UNSUPPORTED, "version 2 or 3, got 0");
    gguf_put_head(&b, 3, 0, 1);
    refuse(&b, VA_ERR_FORMAT, "byte 24: 1 values do not fit into the 0 bytes that follow");
    gguf_put_head(&b, 3, UINT64_MAX, 0);
    refuse(&b, VA_ERR_FORMAT, "18446744073709551615 tensors do not fit");
    gguf_put_head(&b, 3, 0, (uint64_t)1 << 60);
    refuse(&b, VA_ERR_FORMAT, "values do not fit");
    assert_ok(ctx, va_file_write(ctx, path, "", 0));
    assert_error(ctx, VA_ERR_FORMAT, "bytes of magic, got 0", va_gguf_open(ctx, path, &g));
    assert_error(ctx, VA_ERR_FILE, "cannot be opened", va_gguf_open(ctx, "/no/such", &g));
    char folder[VA_TEST_PATH], file[VA_TEST_PATH];
    va_test_join(file, va_test_fixture(folder, "gguf"), "big-endian.gguf");
    assert_error(ctx, VA_ERR_UNSUPPORTED, "little-endian file, got a big-endian one",
                 va_gguf_open(ctx, file, &g));
}

static void begin(va_strbuf *b, const char *key, uint32_t type) {
    gguf_put_head(b, 3, 0, 1);
    gguf_put_key(b, key, type);
}

static void test_broken_values(void **state) {
    (void)state;
    va_strbuf b = {0};
    begin(&b, "", GGUF_U8);
    gguf_put(&b, 1, 2);
    refuse(&b, VA_ERR_FORMAT, "key: expected 1 to 65535 bytes, got 0");
    gguf_put_head(&b, 3, 0, 1);
    gguf_put(&b, 65536, 8);
    gguf_pad(&b, 1, 65536 + 8);
    refuse(&b, VA_ERR_FORMAT, "key: expected 1 to 65535 bytes, got 65536");
    gguf_put_head(&b, 3, 0, 1);
    gguf_put(&b, UINT64_MAX, 8);
    gguf_put(&b, 0, 8);
    refuse(&b, VA_ERR_FORMAT, "key has 18446744073709551615 bytes, the file only 8 more");
    begin(&b, "a\xff", GGUF_U8);
    gguf_put(&b, 0, 1);
    refuse(&b, VA_ERR_FORMAT, "key: expected UTF-8 without NUL");
    gguf_put_head(&b, 3, 0, 1);
    gguf_put(&b, 2, 8);
    va_strbuf_append(&b, "a\0", 2);
    gguf_put(&b, GGUF_U8, 8);
    refuse(&b, VA_ERR_FORMAT, "key: expected UTF-8 without NUL");
    begin(&b, "a", 13);
    gguf_put(&b, 0, 1);
    refuse(&b, VA_ERR_FORMAT, "byte 37: value 'a': unknown type 13");
    begin(&b, "a", GGUF_U64);
    gguf_put(&b, 0, 4);
    refuse(&b, VA_ERR_FORMAT, "value 'a': 1 of UINT64 do not fit into the 4 bytes");
    begin(&b, "a", GGUF_BOOL);
    gguf_put(&b, 2, 1);
    refuse(&b, VA_ERR_FORMAT, "value 'a': expected a BOOL, got 0x02");
    begin(&b, "a", GGUF_STRING);
    gguf_put(&b, 9, 8);
    va_strbuf_puts(&b, "12345678");
    refuse(&b, VA_ERR_FORMAT, "string has 9 bytes, the file only 8 more");
    gguf_put_head(&b, 3, 0, 2);
    for (int i = 0; i < 2; i++) {
        gguf_put_key(&b, "twice", GGUF_U8);
        gguf_put(&b, 0, 1);
    }
    refuse(&b, VA_ERR_FORMAT, "key 'twice' stands twice");
}

static void test_broken_arrays(void **state) {
    (void)state;
    va_strbuf b = {0};
    begin(&b, "a", GGUF_ARRAY);
    gguf_put(&b, GGUF_ARRAY, 4);
    gguf_put(&b, 0, 8);
    refuse(&b, VA_ERR_UNSUPPORTED, "value 'a': arrays of arrays are not supported");
    begin(&b, "a", GGUF_ARRAY);
    gguf_put(&b, 99, 4);
    gguf_put(&b, 0, 8);
    refuse(&b, VA_ERR_FORMAT, "value 'a': unknown type 99");
    begin(&b, "a", GGUF_ARRAY);
    gguf_put(&b, GGUF_U64, 4);
    gguf_put(&b, (uint64_t)1 << 61, 8);
    refuse(&b, VA_ERR_FORMAT, "2305843009213693952 of UINT64 do not fit into the 0 bytes");
    begin(&b, "a", GGUF_ARRAY);
    gguf_put(&b, GGUF_STRING, 4);
    gguf_put(&b, 2, 8);
    gguf_put(&b, 0, 8);
    refuse(&b, VA_ERR_FORMAT, "2 of STRING do not fit into the 8 bytes");
    begin(&b, "a", GGUF_ARRAY);
    gguf_put(&b, GGUF_BOOL, 4);
    gguf_put(&b, 3, 8);
    gguf_put(&b, 0x030101, 3);
    refuse(&b, VA_ERR_FORMAT, "expected a BOOL, got 0x03");
}

// What is odd but has a meaning.
static void test_odd_values(void **state) {
    (void)state;
    va_strbuf b = {0};
    va_gguf *g;
    const char *s;
    int64_t n;
    double d;
    gguf_put_head(&b, 3, 0, 4);
    gguf_put_key(&b, "empty", GGUF_ARRAY);
    gguf_put(&b, GGUF_STRING, 4);
    gguf_put(&b, 0, 8);
    gguf_put_key(&b, "nan", GGUF_F32);
    gguf_put(&b, 0x7FC00000, 4);
    gguf_put_key(&b, "nul", GGUF_STRING);
    gguf_put(&b, 3, 8);
    va_strbuf_append(&b, "a\0b", 3);
    gguf_put_key(&b, "none", GGUF_STRING);
    gguf_put(&b, 0, 8);
    assert_ok(ctx, open_bytes(&b, &g));
    assert_int_equal(va_gguf_length(va_gguf_get(g, "empty")), 0);
    assert_false(va_gguf_string_at(va_gguf_get(g, "empty"), 0, &s, &n));
    assert_false(va_gguf_as_double(va_gguf_get(g, "nan"), &d));
    assert_true(va_gguf_number_at(va_gguf_get(g, "nan"), 0, &d) && isnan(d));
    assert_null(va_gguf_as_string(va_gguf_get(g, "nul")));
    assert_true(va_gguf_string_at(va_gguf_get(g, "nul"), 0, &s, &n) && n == 3);
    assert_string_equal(va_gguf_as_string(va_gguf_get(g, "none")), "");
    va_gguf_close(&g);
}

static void test_broken_tensors(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t n_dim;
        uint64_t d0, d1;
        uint32_t type;
        uint64_t offset;
        int64_t n_data;
        va_status code;
        const char *message;
    } cases[] = {
        {"a", 1, 256, 0, 10, 0, 999, VA_ERR_UNSUPPORTED,
         "tensor 'a': type Q2_K is not supported, expected F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K "
         "or Q6_K"},
        {"a", 1, 32, 0, 6, 0, 999, VA_ERR_UNSUPPORTED, "type Q5_0 is not supported"},
        {"a", 1, 32, 0, 16, 0, 999, VA_ERR_UNSUPPORTED, "type IQ2_XXS is not supported"},
        {"a", 1, 32, 0, 42, 0, 999, VA_ERR_FORMAT, "tensor 'a': unknown type 42"},
        {"a", 1, 32, 0, UINT32_MAX, 0, 999, VA_ERR_FORMAT, "unknown type 4294967295"},
        {"", 1, 1, 0, 0, 0, 4, VA_ERR_FORMAT, "tensor name: expected 1 to 65535 bytes, got 0"},
        {"a\xC0", 1, 1, 0, 0, 0, 4, VA_ERR_FORMAT, "tensor name: expected UTF-8"},
        {"a", 5, 1, 1, 0, 0, 99, VA_ERR_FORMAT, "expected at most 4 dimensions, got 5"},
        {"a", 1, UINT64_MAX, 0, 24, 0, 9, VA_ERR_FORMAT, "tensor 'a': the shape overflows"},
        {"a", 2, 4294967296, 4294967296, 24, 0, 9, VA_ERR_FORMAT, "the shape overflows"},
        {"a", 1, INT64_MAX, 0, 0, 0, 9, VA_ERR_FORMAT, "the shape overflows"},
        {"a", 2, 48, 2, 8, 0, 999, VA_ERR_FORMAT,
         "expected rows of whole Q8_0 blocks of 32, got 48 elements"},
        {"a", 0, 0, 0, 12, 0, 999, VA_ERR_FORMAT, "rows of whole Q4_K blocks of 256, got 1"},
        {"a", 1, 3, 0, 0, 0, 11, VA_ERR_FORMAT,
         "12 bytes from 0 on are not within the 11 bytes of data"},
        {"a", 1, 3, 0, 0, 32, 40, VA_ERR_FORMAT, "12 bytes from 32 on are not within"},
        {"a", 1, 3, 0, 0, 8, 99, VA_ERR_FORMAT, "an offset that is a multiple of 32, got 8"},
        {"a", 1, 3, 0, 0, UINT64_MAX - 31, 99, VA_ERR_FORMAT, "are not within the 99 bytes"},
        {"a", 1, 0, 0, 0, 64, 32, VA_ERR_FORMAT, "0 bytes from 64 on are not within"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_strbuf b = {0};
        gguf_put_head(&b, 3, 1, 0);
        gguf_put_tensor(&b, cases[i].name, cases[i].n_dim, cases[i].d0, cases[i].d1, cases[i].type,
                        cases[i].offset);
        gguf_pad(&b, 32, cases[i].n_data);
        refuse(&b, cases[i].code, cases[i].message);
    }
}

static void put_pair(va_strbuf *b, const char *second, uint64_t offset, uint64_t elems) {
    gguf_put_head(b, 3, 2, 0);
    gguf_put_tensor(b, "a", 1, 9, 0, 0, 0);
    gguf_put_tensor(b, second, 1, elems, 0, 0, offset);
    gguf_pad(b, 32, 96);
}

static void test_pairs(void **state) {
    (void)state;
    va_strbuf b = {0};
    va_gguf *g;
    put_pair(&b, "b", 32, 1);
    refuse(&b, VA_ERR_FORMAT, "tensor 'b' begins at byte 32 of the data, inside tensor 'a'");
    put_pair(&b, "b", 0, 1);
    refuse(&b, VA_ERR_FORMAT, "inside tensor 'b'");
    put_pair(&b, "a", 64, 1);
    refuse(&b, VA_ERR_FORMAT, "tensor 'a' stands twice");
    put_pair(&b, "b", 64, 2);
    assert_ok(ctx, open_bytes(&b, &g));
    assert_memory_equal(va_gguf_find(g, "b")->data, "\x40\x41\x42\x43", 4);
    va_gguf_close(&g);
}

static void test_alignment(void **state) {
    (void)state;
    static const uint64_t bad[] = {0, 4, 24, 0x80000001};
    va_strbuf b = {0};
    va_gguf *g;
    for (int64_t i = 0; i < VA_COUNT(bad); i++) {
        begin(&b, "general.alignment", GGUF_U32);
        gguf_put(&b, bad[i], 4);
        refuse(&b, VA_ERR_FORMAT, "general.alignment: expected a power of two from 8 on, got");
    }
    begin(&b, "general.alignment", GGUF_F32);
    gguf_put(&b, 0, 4);
    refuse(&b, VA_ERR_FORMAT, "general.alignment: expected UINT32, got FLOAT32");
    begin(&b, "general.alignment", GGUF_U64);
    gguf_put(&b, (uint64_t)1 << 62, 8);
    refuse(&b, VA_ERR_FORMAT, "power of two");
    gguf_put_head(&b, 3, 1, 1);
    gguf_put_key(&b, "general.alignment", GGUF_U32);
    gguf_put(&b, 64, 4);
    gguf_put_tensor(&b, "a", 2, 2, 3, 24, 64);
    gguf_pad(&b, 64, 70);
    assert_ok(ctx, open_bytes(&b, &g));
    const va_file_tensor *t = va_gguf_find(g, "a");
    assert_int_equal(t->shape[0], 3); // row-major: the file has the fastest first
    assert_int_equal(t->shape[1], 2);
    assert_memory_equal(t->data, "\x40\x41\x42\x43\x44\x45", 6);
    va_gguf_close(&g);
}

// -- damage ----------------------------------------------------------------------------------

// Reads all that an open file claims to hold.
static void use(const va_gguf *g) {
    uint64_t sum = 0;
    int64_t number;
    double d;
    for (int64_t i = 0; i < va_gguf_count(g); i++) {
        const va_file_tensor *t = va_gguf_at(g, i);
        assert_true(t->n_dim >= 0 && t->n_dim <= 4);
        assert_int_equal(t->size_bytes, va_dtype_size(t->dtype, t->n_elem));
        for (int64_t k = 0; k < t->size_bytes; k++)
            sum += ((const uint8_t *)t->data)[k];
        assert_ptr_equal(va_gguf_find(g, t->name), t);
    }
    for (int64_t i = 0; i < va_gguf_key_count(g); i++) {
        const va_gguf_value *v = va_gguf_get(g, va_gguf_key_at(g, i));
        assert_non_null(v);
        for (int64_t k = 0; k < va_gguf_length(v); k++) {
            const char *s;
            int64_t n = 0;
            if (va_gguf_string_at(v, k, &s, &n))
                for (int64_t at = 0; at < n; at++)
                    sum += (uint8_t)s[at];
            sum += va_gguf_int_at(v, k, &number) + (uint64_t)va_gguf_number_at(v, k, &d);
        }
        const char *text = va_gguf_as_string(v);
        sum += text ? strlen(text) : 0;
    }
    assert_true(sum < UINT64_MAX);
}

static void test_damage(void **state) {
    (void)state;
    enum { N = 3000, HEADER = 1800 };
    char folder[VA_TEST_PATH], file[VA_TEST_PATH];
    va_map map;
    int64_t opened = 0;
    va_test_join(file, va_test_fixture(folder, "gguf"), "quants.gguf");
    assert_ok(ctx, va_map_open(ctx, file, &map));
    char *bytes = malloc((size_t)map.size_bytes);
    assert_non_null(bytes);
    for (int i = 0; i < N; i++) {
        va_rng rng = va_rng_make(7, (uint64_t)i);
        va_gguf *g;
        memcpy(bytes, map.data, (size_t)map.size_bytes);
        for (uint32_t k = 0; k < 1 + va_rng_below(&rng, 3); k++)
            bytes[va_rng_below(&rng, HEADER)] =
                (char)(i % 2 ? va_rng_u32(&rng) : va_rng_below(&rng, 2) * 0xFF);
        int64_t size = i % 5 ? map.size_bytes : va_rng_below(&rng, (uint32_t)map.size_bytes);
        assert_ok(ctx, va_file_write(ctx, path, bytes, size));
        if (va_gguf_open(ctx, path, &g) == VA_OK) {
            opened++;
            use(g);
        }
        va_gguf_close(&g);
    }
    assert_in_range(opened, N / 20, N * 19 / 20); // both ways are walked
    free(bytes);
    va_map_close(&map);
}

// A fuzzer's finds: none crashes, hangs or takes memory that its size does not justify.
static void test_odd_files(void **state) {
    (void)state;
    char folder[VA_TEST_PATH], file[VA_TEST_PATH];
    DIR *d = opendir(va_test_shared(folder, "gguf/odd"));
    assert_non_null(d);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        va_gguf *g;
        if (e->d_name[0] == '.')
            continue;
        n++;
        if (va_gguf_open(ctx, va_test_join(file, folder, e->d_name), &g) == VA_OK)
            use(g);
        else
            assert_non_null(strstr(va_error_message(ctx), e->d_name));
        va_gguf_close(&g);
    }
    closedir(d);
    assert_true(n > 100);
}

// A vocabulary of the largest models opens at once.
static void test_large_vocabulary(void **state) {
    (void)state;
    enum { N = 262144 };
    va_strbuf b = {0};
    va_gguf *g;
    char token[16];
    begin(&b, "tokens", GGUF_ARRAY);
    gguf_put(&b, GGUF_STRING, 4);
    gguf_put(&b, N, 8);
    for (int i = 0; i < N; i++) {
        snprintf(token, sizeof token, "t%d", i);
        gguf_put_string(&b, token);
    }
    assert_ok(ctx, va_file_write(ctx, path, b.data, b.len));
    va_strbuf_free(&b);
    const double start = va_time_s();
    assert_ok(ctx, va_gguf_open(ctx, path, &g));
    const double seconds = va_time_s() - start;
    const char *s;
    int64_t n;
    assert_true(va_gguf_string_at(va_gguf_get(g, "tokens"), N - 1, &s, &n));
    assert_true(n == 7 && memcmp(s, "t262143", 7) == 0);
    if (getenv("VA_TEST_VERBOSE"))
        print_message("%d tokens: %.1f ms\n", N, 1e3 * seconds);
    assert_true(seconds < 1); // takes a few ms; leaves room for sanitizers on a busy machine
    va_gguf_close(&g);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_heads),          TEST(test_broken_values),
        TEST(test_broken_arrays),  TEST(test_odd_values),
        TEST(test_broken_tensors), TEST(test_pairs),
        TEST(test_alignment),      TEST(test_damage),
        TEST(test_odd_files),      TEST(test_large_vocabulary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
