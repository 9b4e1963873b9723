// test_json_doc.c: large values of a JSON document, walked where they stand.
// libs: va_io
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/json_doc.h"

static const va_json_path large[] = {{"model", "vocab"}, {"model", "merges"}};

typedef struct fixture {
    va_ctx *ctx;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_json_doc *doc;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    va_test_temp_dir(f->dir);
    va_test_join(f->path, f->dir, "doc.json");
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    va_json_doc_close(&f->doc);
    va_test_temp_remove(f->dir);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static va_status open_doc(fixture *f, const char *text) {
    va_json_doc_close(&f->doc);
    assert_ok(f->ctx, va_file_write(f->ctx, f->path, text, (int64_t)strlen(text)));
    return va_json_doc_open(f->ctx, f->path, 0, large, VA_COUNT(large), &f->doc);
}

// A line for each child, by kind; containers by their children in brackets.
static void describe(va_json_cursor *c, va_strbuf *out) {
    while (va_json_cursor_next(c)) {
        int64_t i;
        if (c->key)
            va_strbuf_printf(out, "%.*s=", (int)c->key_n, c->key);
        va_strbuf_puts(out, va_json_kind_text(c->kind));
        if (c->string)
            va_strbuf_printf(out, "'%.*s'", (int)c->string_n, c->string);
        if (va_json_cursor_int(c, &i))
            va_strbuf_printf(out, "%lld", (long long)i);
        if (c->kind == VA_JSON_ARRAY || c->kind == VA_JSON_OBJECT) {
            va_json_cursor child = va_json_cursor_enter(c);
            va_strbuf_puts(out, "(");
            describe(&child, out);
            va_strbuf_puts(out, ")");
        }
        va_strbuf_puts(out, " ");
    }
    assert_false(c->failed);
}

static void expect_children(va_json_cursor c, const char *expected) {
    va_strbuf out = {0};
    describe(&c, &out);
    assert_string_equal(out.data ? out.data : "", expected);
    va_strbuf_free(&out);
}

static void children_in_order(void **state) {
    fixture *f = *state;
    assert_ok(f->ctx,
              open_doc(f,
                       "{\"a\": 1, \"model\": {\n  \"vocab\" : {\"x\": 0, \"\\u00e9\\ud83d\\ude00"
                       "\\n\\\"\\\\\": 1,\n\"z\": -2.5e3, \"]}\" : true , \"\":null},\n \"more\":"
                       " [7],\"merges\":[\"a b\", [ \"c\" , \"d\\t\" ],{\"k\":[[],{}]}, []]\t}}"));
    expect_children(
        va_json_doc_large(f->doc, 0),
        "x=number0 \xC3\xA9\xF0\x9F\x98\x80\n\"\\=number1 z=number-2500 ]}=boolean =null ");
    const char *merges =
        "string'a b' array(string'c' string'd\t' ) object(k=array(array() object() "
        ") ) array() ";
    expect_children(va_json_doc_large(f->doc, 1), merges);
    expect_children(va_json_doc_large(f->doc, 1), merges); // as often as one likes
    const va_json *model = va_json_get(va_json_doc_root(f->doc), "model");
    assert_int_equal(va_json_count(model), 3);
    assert_true(va_json_is_object(va_json_get(model, "vocab")));
    assert_int_equal(va_json_count(va_json_get(model, "vocab")), 0);
    assert_true(va_json_is_array(va_json_get(model, "merges")));
    assert_int_equal(va_json_count(va_json_get(model, "merges")), 0);
    assert_int_equal(va_json_count(va_json_get(model, "more")), 1);
}

static void children_may_be_left_early(void **state) {
    fixture *f = *state;
    int64_t line, col;
    assert_ok(f->ctx, open_doc(f, "{\"model\":{\"merges\":[[\"]\",[1,2],\"b\"],\n  [3], 4]}}"));
    va_json_cursor c = va_json_doc_large(f->doc, 1);
    assert_true(va_json_cursor_next(&c));
    va_json_cursor child = va_json_cursor_enter(&c);
    assert_true(va_json_cursor_next(&child));
    assert_true(va_json_cursor_next(&c));
    va_json_cursor_place(&c, &line, &col);
    assert_true(line == 2 && col == 3);
    assert_true(va_json_cursor_next(&c)); // [3] not entered
    assert_int_equal(c.kind, VA_JSON_NUMBER);
    child = va_json_cursor_enter(&c);
    assert_false(va_json_cursor_next(&child));
    assert_false(va_json_cursor_next(&c));
    assert_false(va_json_cursor_next(&c));
}

static void only_containers_at_the_path_are_left_out(void **state) {
    fixture *f = *state;
    static const char *const none[] = {
        "{\"model\":{\"vocab\":7,\"merges\":\"x\"}}", "{\"vocab\":{\"a\":0},\"merges\":[1]}",
        "{\"model\":[{\"vocab\":{\"a\":0}}]}",        "{\"a\":{\"model\":{\"vocab\":{\"a\":0}}}}",
        "{\"a\":{\"vocab\":{\"a\":0}},\"model\":{}}", "[]",
    };
    for (int64_t i = 0; i < VA_COUNT(none); i++) {
        assert_ok(f->ctx, open_doc(f, none[i]));
        expect_children(va_json_doc_large(f->doc, 0), "");
        expect_children(va_json_doc_large(f->doc, 1), "");
    }
    assert_ok(f->ctx, open_doc(f, "{\"m\\u006fdel\":{\"\\u0076ocab\":{\"a\":0}}}"));
    expect_children(va_json_doc_large(f->doc, 0), "a=number0 ");
    assert_ok(f->ctx, open_doc(f, "{\"model\":{\"merges\":[],\"vocab\":{ }}}"));
    expect_children(va_json_doc_large(f->doc, 0), "");
}

static void large_values_are_read_strictly(void **state) {
    fixture *f = *state;
    static const struct {
        const char *text, *message;
    } table[] = {
        {"{\"model\":{\"vocab\":{\"a\":01}}}", "doc.json:1:25: a number must not begin with 0"},
        {"{\"model\":{\"vocab\":{\"a\":0,}}}", ":1:26: expected a string"},
        {"{\"model\":{\n\"merges\":[\"\t\"]}}", ":2:12: control character"},
        {"{\"model\":{\"merges\":[\"\\u0000\"]}}", "\\u0000"},
        {"{\"model\":{\"merges\":[\"\\ud800\"]}}", "half of a surrogate pair"},
        {"{\"model\":{\"merges\":[\"\xC3\"]}}", "not valid UTF-8"},
        {"{\"model\":{\"merges\":[1 2]}}", "expected ',' or ']'"},
        {"{\"model\":{\"merges\":[1]", "expected ',' or '}', got the end"},
        // duplicate keys of the tree are placed in the text, large values and all
        {"{\"model\":{\"vocab\":{\"a\":0,\"b\":1},\n\"x\":1,\"x\":2}}",
         ":2:7: key 'x' stands twice"},
        {"{\"model\":{\"vocab\":{\"a\":0},\n\"vocab\":{\"b\":0,\"c\":1}}}", ":2:1: key 'vocab'"},
        {"{\"model\":{\"vocab\":{\"a\":0}},\n \"model\":{\"vocab\":{\"b\":0}}}",
         ":2:2: key 'model'"},
    };
    for (int64_t i = 0; i < VA_COUNT(table); i++)
        assert_error(f->ctx, VA_ERR_FORMAT, table[i].message, open_doc(f, table[i].text));
    va_strbuf deep = {0};
    va_strbuf_puts(&deep, "{\"model\":{\"merges\":");
    for (int i = 0; i < 255; i++)
        va_strbuf_puts(&deep, "[");
    assert_error(f->ctx, VA_ERR_FORMAT, "nested deeper than 256", open_doc(f, deep.data));
    va_strbuf_free(&deep);
    assert_error(f->ctx, VA_ERR_FORMAT, "expected at most 4",
                 va_json_doc_open(f->ctx, f->path, 4, large, VA_COUNT(large), &f->doc));
    assert_error(f->ctx, VA_ERR_FILE, "no-such",
                 va_json_doc_open(f->ctx, "no-such", 0, large, VA_COUNT(large), &f->doc));
    assert_null(f->doc);
}

static void integers_are_exact(void **state) {
    fixture *f = *state;
    assert_ok(f->ctx, open_doc(f, "{\"model\":{\"merges\":[123456789012345, 1234567890123456, 1e3, "
                                  "9007199254740992, 9007199254740994, 0.5, -0, -7, 1e300]}}"));
    expect_children(va_json_doc_large(f->doc, 1),
                    "number123456789012345 number1234567890123456 number1000 "
                    "number9007199254740992 number number number0 number-7 number ");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(children_in_order),
        TEST(children_may_be_left_early),
        TEST(only_containers_at_the_path_are_left_out),
        TEST(large_values_are_read_strictly),
        TEST(integers_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
