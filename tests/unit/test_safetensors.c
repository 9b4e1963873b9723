// libs: va_io
// test_safetensors.c: the format's rules one by one, writing, model folders, real files.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/io.h"

#include <dirent.h>

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

// Writes a file by hand: the header's text, then n_data bytes 0, 1, 2, ...
static void write_raw(const char *file, const char *header, int n_data) {
    va_strbuf b = {0};
    uint64_t length = strlen(header);
    va_strbuf_append(&b, (const char *)&length, 8);
    va_strbuf_puts(&b, header);
    for (int i = 0; i < n_data; i++)
        va_strbuf_append(&b, &(char){(char)i}, 1);
    assert_false(b.failed);
    assert_ok(ctx, va_file_write(ctx, file, b.data, b.len));
    va_strbuf_free(&b);
}

static va_status open_raw(const char *header, int n_data) {
    va_safetensors *s = NULL;
    write_raw(path, header, n_data);
    va_status st = va_safetensors_open(ctx, path, &s);
    va_safetensors_close(&s);
    return st;
}

#define ENTRY(dtype, shape, begin, end)                                                            \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static void test_read(void **state) {
    (void)state;
    va_safetensors *s;
    write_raw(path,
              "{\"z\":" ENTRY("U8", "[2,3]", "0",
                              "6") ",\"__metadata__\":{\"format\":\"pt\"},"
                                   "\"a\":" ENTRY("F32", "[]", "6", "10") ",\"none\":" ENTRY(
                                       "F64", "[0,5]", "10", "10") "}   ",
              10);
    assert_ok(ctx, va_safetensors_open(ctx, path, &s));
    assert_int_equal(va_safetensors_count(s), 3);
    assert_string_equal(va_safetensors_at(s, 0)->name, "a");
    assert_string_equal(va_safetensors_at(s, 2)->name, "z");
    assert_null(va_safetensors_at(s, 3));
    assert_null(va_safetensors_at(s, -1));
    const va_file_tensor *z = va_safetensors_find(s, "z"), *a = va_safetensors_find(s, "a");
    assert_int_equal(z->dtype, VA_U8);
    assert_int_equal(z->n_dim, 2);
    assert_int_equal(z->shape[0], 2);
    assert_int_equal(z->shape[1], 3);
    assert_int_equal(z->n_elem, 6);
    assert_int_equal(z->size_bytes, 6);
    assert_memory_equal(z->data, "\0\1\2\3\4\5", 6);
    assert_string_equal(z->file, path);
    assert_int_equal(a->n_dim, 0);
    assert_int_equal(a->n_elem, 1);
    assert_memory_equal(a->data, "\6\7\10\11", 4);
    assert_int_equal(va_safetensors_find(s, "none")->n_elem, 0);
    assert_null(va_safetensors_find(s, "__metadata__"));
    assert_string_equal(va_safetensors_metadata(s, "format"), "pt");
    assert_null(va_safetensors_metadata(s, "other"));
    va_safetensors_close(&s);
    assert_null(s);
}

static void test_broken_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        int n_data;
        const char *message;
    } cases[] = {
        {"{\"a\":" ENTRY("Q4", "[1]", "0", "1") "}", 1, "tensor 'a': unknown dtype 'Q4'"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "dtype to be a string, got nothing"},
        {"{\"a\":3}", 0, "tensor 'a': expected an object, got number"},
        {"{\"a\":" ENTRY("U8", "{}", "0", "1") "}", 1, "shape to be an array, got object"},
        {"{\"a\":" ENTRY("U8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", 1, "at most 8 dimensions"},
        {"{\"a\":" ENTRY("U8", "[-1]", "0", "1") "}", 1, "dimension 0 is no size"},
        {"{\"a\":" ENTRY("U8", "[1.5]", "0", "1") "}", 1, "dimension 0 is no size"},
        {"{\"a\":" ENTRY("U8", "[4294967296,4294967296]", "0", "1") "}", 1, "overflows"},
        {"{\"a\":" ENTRY("F64", "[2305843009213693952]", "0", "1") "}", 1, "is no size"},
        {"{\"a\":" ENTRY("F64", "[4503599627370496,1024]", "0", "1") "}", 1, "overflows"},
        {"{\"a\":" ENTRY("U8", "[2]", "0", "1") "}", 1, "need 2 bytes, data_offsets give 1"},
        {"{\"a\":" ENTRY("U8", "[2]", "2", "0") "}", 2, "do not lie in order"},
        {"{\"a\":" ENTRY("U8", "[3]", "0", "3") "}", 2, "within the 2 bytes of data"},
        {"{\"a\":" ENTRY("U8", "[1]", "-1", "0") "}", 2, "do not lie in order"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "[begin, end]"},
        {"{\"a\":" ENTRY("U8", "[2]", "0", "2") ",\"b\":" ENTRY("U8", "[2]", "1", "3") "}", 3,
         "tensor 'b' begins at byte 1, inside tensor 'a'"},
        {"{\"a\":" ENTRY("U8", "[2]", "0", "2") ",\"b\":" ENTRY("U8", "[2]", "0", "2") "}", 2,
         "inside tensor"},
        {"{\"a\":" ENTRY("U8", "[1]", "0", "1") ",\"b\":" ENTRY("U8", "[1]", "2", "3") "}", 3,
         "bytes 1 to 2 before tensor 'b' belong to no tensor"},
        {"{\"a\":" ENTRY("U8", "[1]", "0", "1") "}", 3,
         "describes 1 bytes of data, the file has 3"},
        {"{\"a\":" ENTRY("U8", "[0]", "0", "0") ",\"a\":" ENTRY("U8", "[0]", "0", "0") "}", 0,
         "key 'a' stands twice"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ to be an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ 'a': expected a string, got number"},
        {"[]", 0, "begin with '{'"},
        {" {}", 0, "begin with '{', got byte 0x20"},
        {"{", 0, "header:1:2: expected a string"},
        {"", 0, "header:1:1: expected a value"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        assert_error(ctx, VA_ERR_FORMAT, cases[i].message,
                     open_raw(cases[i].header, cases[i].n_data));
        assert_non_null(strstr(va_error_message(ctx), "t.safetensors: "));
    }
    assert_ok(ctx, open_raw("{}", 0));
}

static void test_broken_lengths(void **state) {
    (void)state;
    va_safetensors *s;
    static const struct {
        uint64_t length;
        const char *message;
    } cases[] = {{100, "the header has 100 bytes, the file only 2 more"},
                 {100000001, "at most 100 MB"},
                 {UINT64_MAX, "at most 100 MB"},
                 {(uint64_t)1 << 63, "at most 100 MB"}};
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        char bytes[10] = "12345678{}";
        memcpy(bytes, &cases[i].length, 8);
        assert_ok(ctx, va_file_write(ctx, path, bytes, 10));
        assert_error(ctx, VA_ERR_FORMAT, cases[i].message, va_safetensors_open(ctx, path, &s));
    }
    assert_ok(ctx, va_file_write(ctx, path, "1234567", 7));
    assert_error(ctx, VA_ERR_FORMAT, "at least 8 bytes, got 7", va_safetensors_open(ctx, path, &s));
    assert_ok(ctx, va_file_write(ctx, path, "", 0));
    assert_error(ctx, VA_ERR_FORMAT, "got 0", va_safetensors_open(ctx, path, &s));
    assert_error(ctx, VA_ERR_FILE, "cannot be opened", va_safetensors_open(ctx, "/no/such", &s));
    assert_null(s);
}

static void test_write(void **state) {
    (void)state;
    const float f[6] = {1, 2, 3, 4, 5, 6};
    const uint16_t h[3] = {7, 8, 9};
    const int64_t i64[1] = {-1};
    const va_file_tensor entries[] = {
        {.name = "half", .dtype = VA_F16, .n_dim = 1, .shape = {3}, .data = h},
        {.name = "b", .dtype = VA_F32, .n_dim = 2, .shape = {3, 2}, .data = f},
        {.name = "a\"\xC3\xA9", .dtype = VA_F32, .n_dim = 0, .data = f + 5},
        {.name = "int", .dtype = VA_I64, .n_dim = 1, .shape = {1}, .data = i64},
        {.name = "empty", .dtype = VA_U8, .n_dim = 2, .shape = {0, 4}},
    };
    const char *const meta[][2] = {{"method", "jacobian"}, {"site", "norm:6@last"}};
    assert_ok(ctx, va_safetensors_write(ctx, path, entries, VA_COUNT(entries), meta, 2));
    va_map map;
    assert_ok(ctx, va_map_open(ctx, path, &map));
    uint64_t length;
    memcpy(&length, map.data, 8);
    static const char header[] =
        "{\"__metadata__\":{\"method\":\"jacobian\",\"site\":\"norm:6@last\"},"
        "\"int\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
        "\"a\\\"\xC3\xA9\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[12,36]},"
        "\"half\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[36,42]},"
        "\"empty\":{\"dtype\":\"U8\",\"shape\":[0,4],\"data_offsets\":[42,42]}}";
    assert_int_equal(length % 8, 0);
    assert_in_range(length, strlen(header), strlen(header) + 7);
    assert_memory_equal(map.data + 8, header, strlen(header));
    assert_int_equal(map.size_bytes, 8 + (int64_t)length + 42);
    assert_memory_equal(map.data + 8 + length + 12, f, sizeof f);
    va_map_close(&map);
    va_safetensors *s;
    assert_ok(ctx, va_safetensors_open(ctx, path, &s));
    assert_memory_equal(va_safetensors_find(s, "half")->data, h, sizeof h);
    assert_string_equal(va_safetensors_metadata(s, "site"), "norm:6@last");
    va_safetensors_close(&s);
    assert_int_equal(va_test_count_files(dir), 1);
}

static void test_write_refuses(void **state) {
    (void)state;
    const char c[4] = {0};
    va_file_tensor two[] = {{.name = "x", .dtype = VA_U8, .n_dim = 1, .shape = {1}, .data = c},
                            {.name = "x", .dtype = VA_F32, .n_dim = 1, .shape = {1}, .data = c}};
    assert_error(ctx, VA_ERR_USAGE, "key 'x' stands twice",
                 va_safetensors_write(ctx, path, two, 2, NULL, 0));
    two[0].name = "__metadata__";
    assert_error(ctx, VA_ERR_USAGE, "__metadata__",
                 va_safetensors_write(ctx, path, two, 1, NULL, 0));
    two[0] = (va_file_tensor){.name = "y", .n_dim = 2, .shape = {INT64_MAX, 8}};
    assert_error(ctx, VA_ERR_SHAPE, "tensor 'y'", va_safetensors_write(ctx, path, two, 1, NULL, 0));
    two[0].n_dim = 9;
    assert_error(ctx, VA_ERR_SHAPE, "tensor 'y'", va_safetensors_write(ctx, path, two, 1, NULL, 0));
    assert_int_equal(va_test_count_files(dir), 0);
    assert_ok(ctx, va_safetensors_write(ctx, path, NULL, 0, NULL, 0));
    va_safetensors *s;
    assert_ok(ctx, va_safetensors_open(ctx, path, &s));
    assert_int_equal(va_safetensors_count(s), 0);
    va_safetensors_close(&s);
}

static void write_index(const char *text) {
    char index[VA_TEST_PATH];
    va_test_join(index, dir, "model.safetensors.index.json");
    assert_ok(ctx, va_file_write(ctx, index, text, (int64_t)strlen(text)));
}

static void test_shards(void **state) {
    (void)state;
    char shard[VA_TEST_PATH];
    va_safetensors *s;
    assert_error(ctx, VA_ERR_FILE, "got neither", va_safetensors_open_dir(ctx, dir, &s));
    assert_error(ctx, VA_ERR_FILE, "no such folder", va_safetensors_open_dir(ctx, "/no/such", &s));
    write_raw(va_test_join(shard, dir, "m-1.safetensors"),
              "{\"b\":" ENTRY("U8", "[1]", "0", "1") ",\"__metadata__\":{\"k\":\"1\"}}", 1);
    write_raw(va_test_join(shard, dir, "m-2.safetensors"),
              "{\"a\":" ENTRY("U8", "[2]", "0", "2") ",\"c\":" ENTRY("U8", "[1]", "2", "3") "}", 3);
    write_index("{\"metadata\": {}, \"weight_map\": {\"a\": \"m-2.safetensors\", \"b\": "
                "\"m-1.safetensors\", \"c\": \"m-2.safetensors\"}}");
    assert_ok(ctx, va_safetensors_open_dir(ctx, dir, &s));
    assert_int_equal(va_safetensors_count(s), 3);
    assert_string_equal(va_safetensors_at(s, 0)->name, "a");
    assert_string_equal(va_safetensors_at(s, 0)->file, shard);
    assert_memory_equal(va_safetensors_find(s, "c")->data, "\2", 1);
    assert_string_equal(va_safetensors_metadata(s, "k"), "1");
    va_safetensors_close(&s);
    static const char *const cases[][2] = {
        {"{\"weight_map\": {\"a\": \"../m-2.safetensors\"}}", "in the same folder, got ../m-2"},
        {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", "in the same folder"},
        {"{\"weight_map\": {\"a\": \"..\"}}", "in the same folder"},
        {"{\"weight_map\": {\"a\": \"\"}}", "in the same folder"},
        {"{\"weight_map\": {\"a\": 3}}", "in the same folder, got number"},
        {"{\"weight_map\": {\"d\": \"m-2.safetensors\"}}", "'d': not in its shard m-2"},
        {"{\"weight_map\": {\"a\": \"m-2.safetensors\", \"c\": \"m-1.safetensors\"}}",
         "'c': expected in m-1.safetensors, found in m-2.safetensors"},
        {"{\"weight_map\": {}}", "expected weight_map"},
        {"{}", "expected weight_map"},
        {"[]", "expected weight_map"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        write_index(cases[i][0]);
        assert_error(ctx, VA_ERR_FORMAT, cases[i][1], va_safetensors_open_dir(ctx, dir, &s));
        assert_null(s);
    }
    write_index("{\"weight_map\": {\"a\": \"m-3.safetensors\"}}");
    assert_error(ctx, VA_ERR_FILE, "m-3.safetensors: cannot be opened",
                 va_safetensors_open_dir(ctx, dir, &s));
    write_raw(va_test_join(shard, dir, "m-3.safetensors"),
              "{\"a\":" ENTRY("U8", "[1]", "0", "1") "}", 1);
    write_index("{\"weight_map\": {\"a\": \"m-3.safetensors\", \"c\": \"m-2.safetensors\"}}");
    assert_error(ctx, VA_ERR_FORMAT, "tensor 'a' stands in both",
                 va_safetensors_open_dir(ctx, dir, &s));
    write_raw(va_test_join(shard, dir, "model.safetensors"), // comes before the index
              "{\"only\":" ENTRY("U8", "[1]", "0", "1") "}", 1);
    assert_ok(ctx, va_safetensors_open_dir(ctx, dir, &s));
    assert_int_equal(va_safetensors_count(s), 1);
    va_safetensors_close(&s);
}

// Real files: one for each dtype, six elements each; the values are those of the files' maker.
static void test_real_files(void **state) {
    (void)state;
    static const struct {
        const char *name;
        va_dtype dtype;
    } cases[] = {{"B", VA_U8},  {"H", VA_U16}, {"I", VA_U32}, {"b", VA_I8}, {"d", VA_F64},
                 {"e", VA_F16}, {"f", VA_F32}, {"h", VA_I16}, {"i", VA_I32}};
    char folder[VA_TEST_PATH], file[VA_TEST_PATH], name[32];
    va_safetensors *s, *all;
    va_test_shared(folder, "safetensors");
    assert_ok(ctx,
              va_safetensors_open(ctx, va_test_join(file, folder, "overall.safetensors"), &all));
    assert_int_equal(va_safetensors_count(all), VA_COUNT(cases));
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        snprintf(name, sizeof name, "%s.safetensors", cases[i].name);
        assert_ok(ctx, va_safetensors_open(ctx, va_test_join(file, folder, name), &s));
        const va_file_tensor *t = va_safetensors_find(s, cases[i].name);
        const va_file_tensor *u = va_safetensors_find(all, cases[i].name);
        assert_non_null(t);
        assert_non_null(u);
        assert_int_equal(t->dtype, cases[i].dtype);
        assert_int_equal(t->n_dim, 1);
        assert_int_equal(t->shape[0], 6);
        assert_int_equal(t->n_elem, 6);
        assert_int_equal(t->size_bytes, 6 * va_dtype_bytes(t->dtype));
        assert_int_equal(u->size_bytes, t->size_bytes);
        assert_memory_equal(t->data, u->data, (size_t)t->size_bytes);
        assert_string_equal(va_safetensors_metadata(s, "test"), "a");
        va_safetensors_close(&s);
    }
    va_safetensors_close(&all);
    assert_error(ctx, VA_ERR_FORMAT,
                 "the header describes 32768 bytes of data, the file has 32773 after it",
                 va_safetensors_open(ctx, va_test_join(file, folder, "las7_tiny.safetensors"), &s));
}

// A model folder that another program wrote in shards.
static void test_fixture_shards(void **state) {
    (void)state;
    char folder[VA_TEST_PATH];
    va_safetensors *s;
    va_test_fixture(folder, "gemma3-bf16-sharded");
    assert_ok(ctx, va_safetensors_open_dir(ctx, folder, &s));
    const va_file_tensor *t = va_safetensors_find(s, "model.norm.weight");
    assert_non_null(t);
    assert_int_equal(t->dtype, VA_BF16);
    assert_int_equal(t->n_dim, 1);
    va_safetensors_close(&s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_read),       TEST(test_broken_headers), TEST(test_broken_lengths),
        TEST(test_write),      TEST(test_write_refuses),  TEST(test_shards),
        TEST(test_real_files), TEST(test_fixture_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
