// libs: va_io
// test_json.c: strict JSON with places, exact numbers, large objects.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/io.h"

#include <math.h>

static va_ctx *ctx;

static int set_up(void **state) {
    (void)state;
    ctx = va_test_ctx();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    va_ctx_destroy(&ctx);
    return 0;
}

static va_status parse(const char *text, va_json **root) {
    return va_json_parse(ctx, "t.json", text, (int64_t)strlen(text), root);
}

static void test_reading(void **state) {
    (void)state;
    va_json *root;
    assert_ok(ctx, parse("\xEF\xBB\xBF {\"a\": [1, -2.5e3, true, null, \"\\u00e9\\ud83d\\ude00\"], "
                         "\"o\": {\"k\": false}}\n",
                         &root));
    const va_json *a = va_json_get(root, "a"), *v = va_json_first(a);
    int64_t i;
    double d;
    bool b;
    assert_true(va_json_is_object(root) && va_json_is_array(a) && !va_json_is_array(root));
    assert_int_equal(va_json_count(a), 5);
    assert_true(va_json_as_int(v, &i) && i == 1);
    v = va_json_next(v);
    assert_true(va_json_as_double(v, &d) && d == -2500);
    assert_true(va_json_as_int(v, &i) && i == -2500);
    assert_null(va_json_as_string(v));
    v = va_json_next(v);
    assert_true(va_json_as_bool(v, &b) && b);
    assert_false(va_json_as_int(v, &i));
    v = va_json_next(v);
    assert_true(va_json_is_null(v));
    v = va_json_next(v);
    assert_string_equal(va_json_as_string(v), "\xC3\xA9\xF0\x9F\x98\x80");
    assert_null(va_json_next(v));
    const va_json *o = va_json_get(root, "o");
    assert_string_equal(va_json_key(o), "o");
    assert_string_equal(va_json_type(o), "object");
    assert_true(va_json_as_bool(va_json_get(o, "k"), &b) && !b);
    assert_null(va_json_get(root, "A")); // case matters
    assert_null(va_json_get(a, "k"));
    assert_null(va_json_get(NULL, "k"));
    assert_string_equal(va_json_type(NULL), "nothing");
    va_json_free(&root);
    assert_null(root);
}

static void test_integers_are_exact(void **state) {
    (void)state;
    va_json *root;
    int64_t i = 7;
    assert_ok(ctx, parse("[9007199254740992, -9007199254740992, 9007199254740994, 0.5, 1e300, 3.0]",
                         &root));
    const va_json *v = va_json_first(root);
    assert_true(va_json_as_int(v, &i) && i == 9007199254740992);
    v = va_json_next(v);
    assert_true(va_json_as_int(v, &i) && i == -9007199254740992);
    for (int k = 0; k < 3; k++) {
        v = va_json_next(v);
        assert_false(va_json_as_int(v, &i));
    }
    v = va_json_next(v);
    assert_true(va_json_as_int(v, &i) && i == 3);
    va_json_free(&root);
}

static void test_faults(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "1:1: expected a value, got the end (byte 0)"},
        {"{\"a\": 1,\n \"b\" 2}", "2:6: expected ':', got '2' (byte 14)"},
        {"{\"a\": 1, }", "expected a string, got '}'"},
        {"[1, 2", "expected ',' or ']', got the end"},
        {"[1] x", "1:5: expected the end of the document, got 'x'"},
        {"{\"a\": 01}", "must not begin with 0"},
        {"[1.]", "expected a digit after the point"},
        {"[+1]", "expected a value, got '+'"},
        {"[NaN]", "expected a value, got 'N'"},
        {"[1e999]", "too large for double"},
        {"[-]", "expected a digit"},
        {"[\"a\nb\"]", "control character in a string"},
        {"[\"abc", "a string does not end"},
        {"[\"\\x\"]", "after \\, got 'x'"},
        {"[\"\\u12g4\"]", "four hex digits"},
        {"[\"\\u12", "four hex digits"},
        {"[\"a\\u0000b\"]", "\\u0000"},
        {"[\"\\ud800\"]", "surrogate"},
        {"[\"\\udc00\"]", "surrogate"},
        {"[\"\\ud800\\u0041\"]", "surrogate"},
        {"[\"\xC3\x28\"]", "1:3: not valid UTF-8 (byte 2)"},
        {"[\"\xED\xA0\x80\"]", "not valid UTF-8"},
        {"{\"a\": 1, \"b\": {\"x\": 0}, \"a\": 2}", "1:25: key 'a' stands twice (byte 24)"},
        {"[{\"k\": 1},\n {\"k\": 1, \"\\u006b\": 2}]", "2:11: key 'k' stands twice"},
        {"[tru]", "expected a value, got 't'"},
        {"{\"1\":1,", "expected a string, got the end"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_json *root = (va_json *)&root;
        assert_error(ctx, VA_ERR_FORMAT, cases[i].message, parse(cases[i].text, &root));
        assert_null(root);
    }
    va_json *root;
    assert_error(ctx, VA_ERR_FORMAT, "control character",
                 va_json_parse(ctx, "t.json", "[\"a\0b\"]", 7, &root));
    assert_error(ctx, VA_ERR_FORMAT, "got byte 0x00",
                 va_json_parse(ctx, "t.json", "[1]\0", 4, &root));
}

// Every prefix of a document is refused, and nothing past its end is read (seen by ASan).
static void test_prefixes(void **state) {
    (void)state;
    static const char text[] = "{\"a\": [1.5e-3, true, \"\\u00e9\\n\"], \"b\": {\"c\": null}}";
    for (size_t n = 0; n < strlen(text); n++) {
        char *prefix = malloc(n + 1); // exact size: no terminator to lean on
        memcpy(prefix, text, n);
        va_json *root;
        assert_error(ctx, VA_ERR_FORMAT,
                     "t.json:1:", va_json_parse(ctx, "t.json", prefix, (int64_t)n, &root));
        free(prefix);
    }
}

static void test_depth(void **state) {
    (void)state;
    char text[2 * 300 + 1];
    va_json *root;
    for (int depth = 256; depth <= 257; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        if (depth == 256)
            assert_ok(ctx, parse(text, &root));
        else
            assert_error(ctx, VA_ERR_FORMAT, "deeper than 256", parse(text, &root));
        va_json_free(&root);
    }
}

static void test_numbers_read_back(void **state) {
    (void)state;
    static const double values[] = {
        0.1,        1.0 / 3,    -0.0,   5e-324,       1.7976931348623157e308,
        1e22,       123456.0,   0x1p53, 0x1.fffp-100, -2.2250738585072014e-308,
        0x1p53 + 2, 1e15 + 0.5, 1e-7,   4.35,         9007199254740993.0};
    va_json *array = va_json_array();
    va_rng rng = va_rng_make(1, 1);
    double expected[2000];
    for (int i = 0; i < 2000; i++) {
        uint64_t bits = (uint64_t)va_rng_u32(&rng) << 32 | va_rng_u32(&rng);
        memcpy(&expected[i], &bits, 8);
        if (i < VA_COUNT(values))
            expected[i] = values[i];
        if (!isfinite(expected[i]))
            expected[i] = i;
        assert_true(va_json_add_double(array, NULL, expected[i]));
    }
    char *text = va_json_print(array, false);
    va_json *root;
    assert_ok(ctx, parse(text, &root));
    const va_json *v = va_json_first(root);
    for (int i = 0; i < 2000; i++, v = va_json_next(v)) {
        double got = 0;
        assert_true(va_json_as_double(v, &got));
        assert_memory_equal(&got, &expected[i], 8); // bit for bit, the sign of zero too
    }
    free(text);
    va_json_free(&root);
    va_json_free(&array);
}

static void test_writing(void **state) {
    (void)state;
    va_json *root = va_json_object();
    assert_true(va_json_add_string(root, "s", "a\"\\\n\x01\x7F\xC3\xA9\xFFz"));
    va_json *list = va_json_add_array(root, "list");
    assert_true(va_json_add_int(list, NULL, -3) && va_json_add_double(list, NULL, 0.25));
    assert_true(va_json_add_double(list, NULL, NAN) && va_json_add_double(list, NULL, INFINITY));
    va_json *object = va_json_add_object(root, "o");
    assert_true(va_json_add_bool(object, "t", true) && va_json_add_null(object, "n"));
    assert_true(va_json_add_int(object, "big", INT64_MIN));
    assert_true(va_json_add(root, "empty", va_json_object()));
    char *text = va_json_print(root, false);
    assert_string_equal(text,
                        "{\"s\":\"a\\\"\\\\\\n\\u0001\x7F\xC3\xA9\\ufffdz\",\"list\":[-3,0.25,null,"
                        "null],\"o\":{\"t\":true,\"n\":null,\"big\":-9223372036854775808},"
                        "\"empty\":{}}");
    va_json *again;
    assert_ok(ctx, parse(text, &again));
    char *second = va_json_print(again, true);
    assert_string_equal(second,
                        "{\n  \"s\": \"a\\\"\\\\\\n\\u0001\x7F\xC3\xA9\xEF\xBF\xBDz\",\n"
                        "  \"list\": [-3, 0.25, null, null],\n  \"o\": {\n    \"t\": true,\n"
                        "    \"n\": null,\n    \"big\": -9.223372036854776e+18\n  },\n"
                        "  \"empty\": {}\n}\n");
    va_json *copy = va_json_clone(root);
    char *third = va_json_print(copy, false);
    assert_string_equal(third, text);
    free(text);
    free(second);
    free(third);
    va_json_free(&copy);
    va_json_free(&again);
    va_json_free(&root);
    assert_false(va_json_add(NULL, NULL, NULL));
}

static void test_large_vocabulary(void **state) {
    (void)state;
    enum { N = 262144 };
    va_strbuf text = {0};
    va_strbuf_puts(&text, "{");
    for (int i = 0; i < N; i++)
        va_strbuf_printf(&text, "%s\"token %d\": %d", i ? "," : "", i, i);
    int64_t keep = text.len;
    va_strbuf_puts(&text, "}");
    va_json *root;
    double start = va_time_s();
    assert_ok(ctx, parse(text.data, &root));
    double seconds = va_time_s() - start;
    print_message("%d keys in %.3f s\n", N, seconds);
    assert_true(seconds < 20); // a pairwise check would take minutes even on a fast machine
    assert_int_equal(va_json_count(root), N);
    va_json_free(&root);
    text.len = keep;
    va_strbuf_puts(&text, ",\"token 131072\": 0}");
    assert_error(ctx, VA_ERR_FORMAT, "key 'token 131072' stands twice", parse(text.data, &root));
    va_strbuf_free(&text);
}

// A tree takes many times the bytes of its text, so values are counted before it is built.
static void test_value_count(void **state) {
    (void)state;
    enum { MOST = 1 << 24 };
    char *text = malloc(2 * MOST + 3);
    va_json *root;
    assert_non_null(text);
    text[0] = '[';
    for (int64_t i = 0; i < MOST; i++)
        memcpy(text + 1 + 2 * i, "0,", 2);
    text[2 * MOST] = ']';
    text[2 * MOST + 1] = '\0';
    double start = va_time_s();
    assert_error(ctx, VA_ERR_FORMAT, "more than 16777216 values (byte 33554431)",
                 parse(text, &root));
    assert_true(va_time_s() - start < 20);
    free(text);
}

// The evaluation sets of the reference implementation of Jacobian lenses.
static void test_real_files(void **state) {
    (void)state;
    static const char *const names[] = {"association", "multihop", "multilingual",
                                        "order-ops",   "poetry",   "typo"};
    char folder[VA_TEST_PATH], path[VA_TEST_PATH], name[64];
    va_test_shared(folder, "lens/evaluations");
    for (int64_t i = 0; i < VA_COUNT(names); i++) {
        va_json *root;
        snprintf(name, sizeof name, "lens-eval-%s.json", names[i]);
        assert_ok(ctx, va_json_load(ctx, va_test_join(path, folder, name), 0, &root));
        assert_true(va_json_count(root) > 0);
        char *text = va_json_print(root, true);
        assert_non_null(text);
        va_json *again;
        assert_ok(ctx, parse(text, &again));
        char *second = va_json_print(again, true);
        assert_string_equal(text, second);
        free(text);
        free(second);
        va_json_free(&again);
        va_json_free(&root);
    }
}

static void test_load(void **state) {
    (void)state;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_json *root;
    va_test_temp_dir(dir);
    va_test_join(path, dir, "a.json");
    assert_error(ctx, VA_ERR_FILE, "a.json: cannot be opened: No such file",
                 va_json_load(ctx, path, 0, &root));
    assert_ok(ctx, va_file_write(ctx, path, "{\"x\": 1}", 8));
    assert_ok(ctx, va_json_load(ctx, path, 8, &root));
    va_json_free(&root);
    assert_error(ctx, VA_ERR_FORMAT, "expected at most 7 B, got 8 B",
                 va_json_load(ctx, path, 7, &root));
    assert_error(ctx, VA_ERR_FILE, "a folder", va_json_load(ctx, dir, 0, &root));
    assert_ok(ctx, va_file_write(ctx, path, "", 0));
    assert_error(ctx, VA_ERR_FORMAT, "got the end", va_json_load(ctx, path, 0, &root));
    va_test_temp_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),    cmocka_unit_test(test_integers_are_exact),
        cmocka_unit_test(test_faults),     cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_depth),      cmocka_unit_test(test_numbers_read_back),
        cmocka_unit_test(test_writing),    cmocka_unit_test(test_large_vocabulary),
        cmocka_unit_test(test_load),       cmocka_unit_test(test_value_count),
        cmocka_unit_test(test_real_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
