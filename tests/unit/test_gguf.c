// libs: va_io
// test_gguf.c: values and tensors of files that others wrote; dequantisation bit for bit.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/gguf.h"

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

static va_gguf *open_fixture(const char *name) {
    char folder[VA_TEST_PATH], file[VA_TEST_PATH];
    va_gguf *g;
    assert_ok(ctx,
              va_gguf_open(ctx, va_test_join(file, va_test_fixture(folder, "gguf"), name), &g));
    return g;
}

// -- files of the gguf package ---------------------------------------------------------------

static void test_scalars(void **state) {
    (void)state;
    static const struct {
        const char *key, *type;
        int64_t value;
    } ints[] = {{"test.u8", "UINT8", 255},          {"test.i8", "INT8", -128},
                {"test.u16", "UINT16", 65535},      {"test.i16", "INT16", -32768},
                {"test.u32", "UINT32", 4294967295}, {"test.i32", "INT32", -2147483648LL},
                {"test.i64", "INT64", INT64_MIN}};
    va_gguf *g = open_fixture("quants.gguf");
    int64_t n = 0;
    double d;
    bool b;
    for (int64_t i = 0; i < VA_COUNT(ints); i++) {
        const va_gguf_value *v = va_gguf_get(g, ints[i].key);
        assert_string_equal(va_gguf_type_text(v), ints[i].type);
        assert_true(va_gguf_as_int(v, &n));
        assert_true(n == ints[i].value);
        assert_int_equal(va_gguf_as_double(v, &d), ints[i].value != INT64_MIN);
        assert_false(va_gguf_as_bool(v, &b));
        assert_null(va_gguf_as_string(v));
    }
    assert_int_equal(va_gguf_value_kind(va_gguf_get(g, "test.u64")), VA_GGUF_UINT);
    assert_false(va_gguf_as_int(va_gguf_get(g, "test.u64"), &n)); // 2^64 - 1
    assert_true(va_gguf_as_double(va_gguf_get(g, "test.f32"), &d) && d == (double)0.1f);
    assert_true(va_gguf_as_double(va_gguf_get(g, "test.f64"), &d) && d == 0.1);
    assert_false(va_gguf_as_int(va_gguf_get(g, "test.f64"), &n));
    assert_true(va_gguf_as_bool(va_gguf_get(g, "test.yes"), &b) && b);
    assert_true(va_gguf_as_bool(va_gguf_get(g, "test.no"), &b) && !b);
    assert_string_equal(va_gguf_as_string(va_gguf_get(g, "test.text")), "Grüße, 世界");
    assert_string_equal(va_gguf_as_string(va_gguf_get(g, "general.architecture")), "test");
    assert_null(va_gguf_get(g, "test.none"));
    assert_int_equal(va_gguf_value_kind(NULL), VA_GGUF_NONE);
    assert_string_equal(va_gguf_type_text(NULL), "nothing");
    assert_false(va_gguf_as_int(NULL, &n));
    assert_null(va_gguf_as_string(NULL));
    va_gguf_close(&g);
    assert_null(g);
    va_gguf_close(&g);
}

static void test_arrays(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        int64_t n;
    } tokens[] = {{"a", 1}, {"\xC4\xA0the", 5}, {"\xff\xfe\x00", 3}, {"世", 3}};
    va_gguf *g = open_fixture("quants.gguf");
    const va_gguf_value *v = va_gguf_get(g, "test.tokens");
    const char *s;
    int64_t n;
    double d;
    bool b;
    assert_int_equal(va_gguf_value_kind(v), VA_GGUF_ARRAY);
    assert_int_equal(va_gguf_element_kind(v), VA_GGUF_STRING);
    assert_string_equal(va_gguf_type_text(v), "ARRAY of STRING");
    assert_int_equal(va_gguf_length(v), VA_COUNT(tokens));
    for (int64_t i = 0; i < VA_COUNT(tokens); i++) {
        assert_true(va_gguf_string_at(v, i, &s, &n));
        assert_int_equal(n, tokens[i].n);
        assert_memory_equal(s, tokens[i].bytes, (size_t)n);
    }
    assert_false(va_gguf_string_at(v, -1, &s, &n));
    assert_false(va_gguf_string_at(v, 4, &s, &n));
    assert_false(va_gguf_int_at(v, 0, &n));
    assert_null(va_gguf_as_string(v));
    v = va_gguf_get(g, "test.numbers");
    assert_true(va_gguf_int_at(v, 1, &n) && n == -1);
    assert_true(va_gguf_number_at(v, 2, &d) && d == 2147483647);
    assert_false(va_gguf_int_at(v, 3, &n));
    assert_false(va_gguf_as_int(v, &n));
    assert_true(va_gguf_number_at(va_gguf_get(g, "test.scores"), 1, &d) && d == (double)-1e30f);
    assert_true(va_gguf_number_at(va_gguf_get(g, "test.scores"), 2, &d) && isinf(d));
    assert_true(va_gguf_bool_at(va_gguf_get(g, "test.flags"), 1, &b) && !b);
    assert_true(va_gguf_bool_at(va_gguf_get(g, "test.flags"), 2, &b) && b);
    assert_true(va_gguf_int_at(va_gguf_get(g, "test.bytes"), 2, &n) && n == 252);
    assert_int_equal(va_gguf_key_count(g), 19);
    for (int64_t i = 1; i < va_gguf_key_count(g); i++)
        assert_true(strcmp(va_gguf_key_at(g, i - 1), va_gguf_key_at(g, i)) < 0);
    assert_null(va_gguf_key_at(g, 19));
    va_gguf_close(&g);
}

// Every floating and quantised tensor has the very bits of gguf.quants.dequantize.
static void test_dequantise(void **state) {
    (void)state;
    char folder[VA_TEST_PATH], file[VA_TEST_PATH];
    va_safetensors *expected;
    va_gguf *g = open_fixture("quants.gguf");
    va_test_join(file, va_test_fixture(folder, "gguf"), "expected.safetensors");
    assert_ok(ctx, va_safetensors_open(ctx, file, &expected));
    assert_int_equal(va_safetensors_count(expected), 8);
    for (int64_t i = 0; i < va_safetensors_count(expected); i++) {
        const va_file_tensor *e = va_safetensors_at(expected, i), *t = va_gguf_find(g, e->name);
        assert_non_null(t);
        assert_string_equal(va_dtype_name(t->dtype), e->name);
        assert_int_equal(t->n_dim, e->n_dim);
        for (int k = 0; k < t->n_dim; k++)
            assert_int_equal(t->shape[k], e->shape[k]);
        assert_int_equal(t->size_bytes, va_dtype_size(t->dtype, t->n_elem));
        float *got = malloc((size_t)e->size_bytes);
        assert_non_null(got);
        va_convert_to_f32(got, t->data, t->dtype, t->n_elem);
        assert_memory_equal(got, e->data, (size_t)e->size_bytes);
        free(got);
    }
    va_safetensors_close(&expected);
    va_gguf_close(&g);
}

static void test_other_tensors(void **state) {
    (void)state;
    static const va_dtype ints[] = {VA_I8, VA_I16, VA_I32, VA_I64};
    va_gguf *g = open_fixture("quants.gguf");
    assert_int_equal(va_gguf_count(g), 13);
    assert_null(va_gguf_at(g, 13));
    assert_null(va_gguf_at(g, -1));
    assert_null(va_gguf_find(g, "none"));
    for (int64_t i = 1; i < va_gguf_count(g); i++)
        assert_true(strcmp(va_gguf_at(g, i - 1)->name, va_gguf_at(g, i)->name) < 0);
    for (int64_t i = 0; i < VA_COUNT(ints); i++) {
        const va_file_tensor *t = va_gguf_find(g, va_dtype_name(ints[i]));
        int64_t bytes = va_dtype_bytes(ints[i]), last = 0;
        assert_int_equal(t->dtype, ints[i]);
        memcpy(&last, (const char *)t->data + 2 * bytes, (size_t)bytes);
        assert_int_equal(last, 7);
    }
    assert_int_equal(va_gguf_find(g, "F64")->dtype, VA_F64);
    assert_non_null(strstr(va_gguf_at(g, 0)->file, "quants.gguf"));
    va_gguf_close(&g);
}

static void test_dtype_sizes(void **state) {
    (void)state;
    assert_int_equal(va_dtype_block(VA_F32), 1);
    assert_int_equal(va_dtype_block(VA_Q6_K), 256);
    assert_int_equal(va_dtype_bytes(VA_Q6_K), 210);
    assert_true(va_dtype_quantised(VA_Q8_0) && !va_dtype_quantised(VA_BF16));
    assert_int_equal(va_dtype_size(VA_Q4_K, 512), 288);
    assert_int_equal(va_dtype_size(VA_Q4_K, 0), 0);
    assert_int_equal(va_dtype_size(VA_Q4_K, 255), -1);
    assert_int_equal(va_dtype_size(VA_F64, -1), -1);
    assert_int_equal(va_dtype_size(VA_F64, INT64_MAX / 8), INT64_MAX / 8 * 8);
    assert_int_equal(va_dtype_size(VA_F64, INT64_MAX / 8 + 1), -1);
    assert_int_equal(va_dtype_size(VA_Q8_0, INT64_MAX / 32 * 32), -1);
}

// A quantised dtype stays out of safetensors files.
static void test_safetensors_refuse(void **state) {
    (void)state;
    static const char header[] =
        "{\"a\":{\"dtype\":\"Q8_0\",\"shape\":[32],\"data_offsets\":[0,34]}}";
    const va_file_tensor entry = {.name = "a", .dtype = VA_Q8_0, .n_dim = 1, .shape = {32}};
    const uint64_t length = sizeof header - 1;
    char bytes[8 + sizeof header - 1 + 34] = {0};
    va_safetensors *s;
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    assert_ok(ctx, va_file_write(ctx, path, bytes, sizeof bytes));
    assert_error(ctx, VA_ERR_FORMAT, "unknown dtype 'Q8_0'", va_safetensors_open(ctx, path, &s));
    assert_error(ctx, VA_ERR_SHAPE, "tensor 'a': safetensors files hold no Q8_0",
                 va_safetensors_write(ctx, path, &entry, 1, NULL, 0));
}

// -- real files ------------------------------------------------------------------------------

static va_gguf *open_shared(const char *name) {
    char file[VA_TEST_PATH];
    va_gguf *g;
    assert_ok(ctx, va_gguf_open(ctx, va_test_shared(file, name), &g));
    return g;
}

static void test_real_files(void **state) {
    (void)state;
    char file[VA_TEST_PATH];
    va_gguf *g = open_shared("gguf/las7_empty.gguf");
    assert_string_equal(va_gguf_as_string(va_gguf_get(g, "general.architecture")), "llama");
    va_gguf_close(&g);
    assert_error(ctx, VA_ERR_FORMAT, "32768 bytes from 0 on are not within the 0 bytes of data",
                 va_gguf_open(ctx, va_test_shared(file, "gguf/las7_tiny.gguf"), &g));
    static const char *const vectors[] = {"control-vectors/happy_diffmean.gguf",
                                          "control-vectors/experiment__math__seal_merged_"
                                          "vector.gguf"};
    for (int i = 0; i < 2; i++) {
        g = open_shared(vectors[i]);
        int64_t n;
        assert_true(va_gguf_as_int(va_gguf_get(g, "controlvector.layer_count"), &n) && n == 28);
        assert_int_equal(va_gguf_count(g), 28);
        const va_file_tensor *t = va_gguf_find(g, "direction.27");
        assert_true(t && t->n_dim == 1 && t->shape[0] == 1536 && t->dtype == VA_F32);
        va_gguf_close(&g);
    }
}

static void test_vocabularies(void **state) {
    (void)state;
    const char *s;
    int64_t n;
    bool b;
    double d;
    va_gguf *g = open_shared("tokenizers/ggml-vocab-gpt-2.gguf");
    assert_int_equal(va_gguf_count(g), 0);
    assert_int_equal(va_gguf_length(va_gguf_get(g, "tokenizer.ggml.tokens")), 50257);
    const va_gguf_value *merges = va_gguf_get(g, "tokenizer.ggml.merges");
    assert_int_equal(va_gguf_length(merges), 50000);
    assert_true(va_gguf_string_at(merges, 0, &s, &n) && n == 4 && memcmp(s, "\xC4\xA0 t", 4) == 0);
    va_gguf_close(&g);
    g = open_shared("tokenizers/ggml-vocab-llama-spm.gguf");
    const va_gguf_value *tokens = va_gguf_get(g, "tokenizer.ggml.tokens");
    assert_int_equal(va_gguf_length(tokens), 32000);
    assert_true(va_gguf_string_at(tokens, 2, &s, &n) && n == 4 && memcmp(s, "</s>", 4) == 0);
    assert_int_equal(va_gguf_length(va_gguf_get(g, "tokenizer.ggml.scores")), 32000);
    assert_true(va_gguf_as_bool(va_gguf_get(g, "tokenizer.ggml.add_bos_token"), &b) && b);
    assert_true(va_gguf_as_double(va_gguf_get(g, "llama.attention.layer_norm_rms_epsilon"), &d));
    assert_true(d == (double)1e-5f);
    va_gguf_close(&g);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_scalars),       TEST(test_arrays),       TEST(test_dequantise),
        TEST(test_other_tensors), TEST(test_dtype_sizes),  TEST(test_safetensors_refuse),
        TEST(test_real_files),    TEST(test_vocabularies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
