// libs: va_io
// test_yaml.c: trees with places, the core schema, limits, faults with their places, writing.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/io.h"

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

static va_status parse(const char *text, va_yaml **root) {
    return va_yaml_parse(ctx, arena, "t.yaml", text, (int64_t)strlen(text), NULL, root);
}

static void assert_place(const va_yaml *n, int line, int col) {
    assert_non_null(n);
    assert_int_equal(n->line, line);
    assert_int_equal(n->col, col);
}

static void test_tree(void **state) {
    (void)state;
    va_yaml *root;
    assert_ok(ctx, parse("# an experiment\n"
                         "version: 1\n"
                         "model: {path: 'models/x', layers: [6, 7]}\n"
                         "prompts:\n"
                         "  - \"The concept of {concept} means\"\n"
                         "  - |\n"
                         "    two\n"
                         "    lines\n"
                         "empty:\n"
                         "none: ~\n"
                         "\xC3\xA9t\xC3\xA9: !!str 5\n",
                         &root));
    assert_int_equal(root->kind, VA_YAML_MAP);
    assert_int_equal(root->n, 6);
    assert_place(root, 2, 1);
    assert_string_equal(root->key[1]->text, "model");
    assert_place(root->key[1], 3, 1);
    const va_yaml *model = va_yaml_get(root, "model"), *prompts = va_yaml_get(root, "prompts");
    assert_place(model, 3, 8);
    assert_true(va_yaml_get(model, "path")->quoted);
    assert_place(va_yaml_get(model, "layers"), 3, 35);
    assert_place(va_yaml_get(model, "layers")->item[1], 3, 39);
    assert_int_equal(prompts->kind, VA_YAML_SEQ);
    assert_int_equal(prompts->n, 2);
    assert_string_equal(prompts->item[0]->text, "The concept of {concept} means");
    assert_place(prompts->item[0], 5, 5);
    assert_string_equal(prompts->item[1]->text, "two\nlines\n");
    assert_true(prompts->item[1]->quoted);
    assert_int_equal(va_yaml_get(root, "empty")->kind, VA_YAML_NULL);
    assert_int_equal(va_yaml_get(root, "none")->kind, VA_YAML_NULL);
    const va_yaml *five = va_yaml_get(root, "\xC3\xA9t\xC3\xA9");
    assert_place(five, 11, 6); // columns count characters
    assert_true(five->quoted);
    assert_null(va_yaml_get(root, "absent"));
    assert_null(va_yaml_get(prompts, "version"));
    assert_null(va_yaml_get(NULL, "version"));
}

static const va_yaml *scalar(const char *text) {
    va_strbuf b = {0};
    va_yaml *root = NULL;
    va_strbuf_printf(&b, "k: %s\n", text);
    assert_ok(ctx, parse(b.data, &root));
    va_strbuf_free(&b);
    return va_yaml_get(root, "k");
}

static void test_integers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-12", -12},
                {"+7", 7},
                {"007", 7},
                {"0x1F", 31},
                {"0o17", 15},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
    static const char *const bad[] = {
        "'1'", "\"1\"", "1.0", "1e3", "0x", "0xg", "-0x1", "0o8", "1_000", "9223372036854775808",
        "a",   "~",     "[1]", "--1", "+",  "1 2", "1f"};
    int64_t v;
    for (int64_t i = 0; i < VA_COUNT(good); i++) {
        assert_true(va_yaml_as_int(scalar(good[i].text), &v));
        assert_int_equal(v, good[i].value);
    }
    for (int64_t i = 0; i < VA_COUNT(bad); i++)
        if (va_yaml_as_int(scalar(bad[i]), &v))
            fail_msg("%s was taken for the integer %lld", bad[i], (long long)v);
    assert_false(va_yaml_as_int(NULL, &v));
}

static void test_doubles_and_bools(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"1", 1},     {"-1.5", -1.5},     {".5", .5},
                {"5.", 5},    {"1e-4", 1e-4},     {"+1.E+2", 100},
                {"0x10", 16}, {".inf", INFINITY}, {"-.INF", -INFINITY}};
    static const char *const bad[] = {"'1.5'", "1.5.2", "inf",   "nan", "1e", "e5",
                                      ".",     "1e999", "0x1p3", "1,5", "~",  "1.5f"};
    double v;
    bool b;
    for (int64_t i = 0; i < VA_COUNT(good); i++) {
        assert_true(va_yaml_as_double(scalar(good[i].text), &v));
        assert_true(v == good[i].value);
    }
    assert_true(va_yaml_as_double(scalar(".nan"), &v) && isnan(v));
    for (int64_t i = 0; i < VA_COUNT(bad); i++)
        if (va_yaml_as_double(scalar(bad[i]), &v))
            fail_msg("%s was taken for the number %g", bad[i], v);
    assert_true(va_yaml_as_bool(scalar("true"), &b) && b);
    assert_true(va_yaml_as_bool(scalar("FALSE"), &b) && !b);
    assert_false(va_yaml_as_bool(scalar("yes"), &b)); // YAML 1.1's
    assert_false(va_yaml_as_bool(scalar("'true'"), &b));
    assert_false(va_yaml_as_bool(scalar("1"), &b));
}

static void test_faults(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "t.yaml:1:1: the document is empty"},
        {"# nothing\n", "the document is empty"},
        {"---\n", "the document is empty"},
        {"a: 1\nb: 2\na: 3\n", "t.yaml:3:1: key 'a' stands here and at 1:1"},
        {"a: {x: 1, 'x': 2}\n", "t.yaml:1:11: key 'x' stands here and at 1:5"},
        {"a: 1\n---\nb: 2\n", "t.yaml:2:1: expected one document"},
        {"a: &x {k: 1}\nb:\n  <<: *x\n", "t.yaml:3:3: merge keys (<<) are not supported"},
        {"a:\n\tb: 1\n", "t.yaml:2:1: found character that cannot start any token (a tab"},
        {"a:\n  b: 1\n c: 2\n", "t.yaml:3:2: did not find expected key"},
        {"a: [1, 2\n", "did not find expected ',' or ']'"},
        {"a: 'x\n", "found unexpected end of stream"},
        {"a: *nobody\n", "t.yaml:1:4: no anchor &nobody before the alias *nobody"},
        {"a: &x [1, *x]\n", "t.yaml:1:11: the alias *x stands inside its own anchor"},
        {"a: &x {b: {c: *x}}\n", "stands inside its own anchor"},
        {"a: &x k\n*x : 1\n", "t.yaml:2:1: an alias cannot be a key"},
        {"[1, 2]: x\n", "t.yaml:1:1: a key must be a scalar"},
        {"? {a: 1}\n: x\n", "a key must be a scalar"},
        {"?\n: x\n", "expected a key before ':'"},
        {"a: !!int 5\n", "t.yaml:1:4: the tag tag:yaml.org,2002:int is not supported"},
        {"a: !mine [1]\n", "the tag !mine is not supported"},
        {"a: \"x\\0y\"\n", "t.yaml:1:4: a NUL character"},
        {"a: \xFF\n", "t.yaml:1:4: not valid UTF-8 (byte 3)"},
        {"a: \x01\n", "t.yaml:1:4: control characters are not allowed"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_yaml *root = (va_yaml *)&root;
        assert_error(ctx, VA_ERR_SPEC, cases[i].message, parse(cases[i].text, &root));
        assert_null(root);
    }
    va_yaml *root;
    assert_error(ctx, VA_ERR_SPEC, "t.yaml:1:5: control characters",
                 va_yaml_parse(ctx, arena, "t.yaml", "a: b\0c", 6, NULL, &root));
    assert_error(ctx, VA_ERR_SPEC, "not valid UTF-8", // UTF-16
                 va_yaml_parse(ctx, arena, "t.yaml",
                               "\xFF\xFE"
                               "a\0:\0",
                               6, NULL, &root));
}

static void test_aliases(void **state) {
    (void)state;
    va_yaml *root;
    assert_ok(ctx, parse("base: &b [1, {x: 2}]\nsame: *b\nlater: &b 5\nlast: *b\n", &root));
    const va_yaml *base = va_yaml_get(root, "base");
    assert_ptr_equal(va_yaml_get(root, "same"), base);
    assert_string_equal(va_yaml_get(root, "last")->text, "5"); // the nearest anchor above
    va_strbuf out = {0};
    va_yaml_write(root, &out);
    assert_string_equal(out.data,
                        "base:\n  - 1\n  - x: 2\nsame:\n  - 1\n  - x: 2\nlater: 5\nlast: 5\n");
    va_strbuf_free(&out);
}

// Each line ten aliases of the line above: 10^line nodes. The counts saturate; nothing expands.
static void test_alias_bomb(void **state) {
    (void)state;
    va_strbuf b = {0};
    va_yaml *root;
    va_strbuf_puts(&b, "- &a0 x\n");
    for (int line = 1; line <= 30; line++) {
        va_strbuf_printf(&b, "- &a%d [", line);
        for (int i = 0; i < 10; i++)
            va_strbuf_printf(&b, "%s*a%d", i ? ", " : "", line - 1);
        va_strbuf_puts(&b, "]\n");
    }
    double start = va_time_s();
    assert_error(ctx, VA_ERR_SPEC, "more than 1000000 nodes once aliases are expanded",
                 parse(b.data, &root));
    assert_true(va_time_s() - start < 5);
    va_strbuf_free(&b);
    // A chain of aliases is deep though no line is.
    for (int n = 62; n <= 63; n++) {
        va_strbuf_puts(&b, "- &a0 []\n");
        for (int line = 1; line <= n; line++)
            va_strbuf_printf(&b, "- &a%d [*a%d]\n", line, line - 1);
        if (n == 62) // with the list around it 64 levels
            assert_ok(ctx, parse(b.data, &root));
        else
            assert_error(ctx, VA_ERR_SPEC, "nested deeper than 64 levels once aliases",
                         parse(b.data, &root));
        va_strbuf_free(&b);
    }
}

// One long text, many times over: few nodes, but more bytes than any file may have.
static void test_alias_bomb_of_text(void **state) {
    (void)state;
    va_yaml *root;
    const va_yaml_limits small = {.max_bytes = 40};
    const char *fits = "[&a 0123456789abcdefghi, *a]", *bursts = "[&a 0123456789abcdefghi, *a, *a]";
    assert_ok(ctx, va_yaml_parse(ctx, arena, "t", fits, (int64_t)strlen(fits), &small, &root));
    assert_error(ctx, VA_ERR_SPEC, "t:1:30: more than 40 bytes of text once aliases are expanded",
                 va_yaml_parse(ctx, arena, "t", bursts, (int64_t)strlen(bursts), &small, &root));
}

static void test_limits(void **state) {
    (void)state;
    va_yaml *root;
    char deep[2 * 65 + 1];
    for (int depth = 64; depth <= 65; depth++) {
        memset(deep, '[', (size_t)depth);
        memset(deep + depth, ']', (size_t)depth);
        deep[2 * depth] = '\0';
        if (depth == 64)
            assert_ok(ctx, parse(deep, &root));
        else
            assert_error(ctx, VA_ERR_SPEC, "t.yaml:1:65: nested deeper than 64 levels",
                         parse(deep, &root));
    }
    const va_yaml_limits few = {.max_nodes = 4};
    assert_ok(ctx, va_yaml_parse(ctx, arena, "t", "[1, 2, 3]", 9, &few, &root));
    assert_error(ctx, VA_ERR_SPEC, "t:1:11: more than 4 nodes",
                 va_yaml_parse(ctx, arena, "t", "[1, 2, 3, 4]", 12, &few, &root));
    assert_error(ctx, VA_ERR_SPEC, "more than 4 nodes once aliases",
                 va_yaml_parse(ctx, arena, "t", "[&a 1, *a, *a, *a]", 18, &few, &root));
    const va_yaml_limits small = {.max_bytes = 8};
    assert_error(ctx, VA_ERR_SPEC, "at most 8 bytes, got 9",
                 va_yaml_parse(ctx, arena, "t", "[1, 2, 3]", 9, &small, &root));
    va_strbuf b = {0};
    for (int i = 0; i <= 256; i++)
        va_strbuf_printf(&b, "- &a%d 1\n", i);
    assert_error(ctx, VA_ERR_SPEC, "t.yaml:257:3: more than 256 anchors", parse(b.data, &root));
    va_strbuf_free(&b);
}

static void test_files(void **state) {
    (void)state;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_yaml *root;
    va_test_temp_dir(dir);
    va_test_join(path, dir, "e.yaml");
    assert_error(ctx, VA_ERR_FILE, "e.yaml: cannot be opened: No such file",
                 va_yaml_load(ctx, arena, path, NULL, &root));
    assert_ok(ctx, va_file_write(ctx, path, "a: 1\n", 5));
    assert_ok(ctx, va_yaml_load(ctx, arena, path, NULL, &root));
    assert_ok(ctx, va_file_write(ctx, path, "a: [", 4));
    assert_error(ctx, VA_ERR_SPEC, "e.yaml:2:1: did not find expected node content",
                 va_yaml_load(ctx, arena, path, NULL, &root));
    // A gigabyte (sparse) is refused by its size, at once.
    assert_int_equal(truncate(path, (off_t)1 << 30), 0);
    double start = va_time_s();
    assert_error(ctx, VA_ERR_SPEC, "e.yaml: expected at most 16.8 MB, got 1.07 GB",
                 va_yaml_load(ctx, arena, path, NULL, &root));
    assert_true(va_time_s() - start < 1);
    va_test_temp_remove(dir);
}

static void assert_same(const va_yaml *a, const va_yaml *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->n, b->n);
    if (a->kind == VA_YAML_SCALAR)
        assert_string_equal(a->text, b->text);
    for (int64_t i = 0; i < a->n; i++) {
        if (a->kind == VA_YAML_MAP)
            assert_string_equal(a->key[i]->text, b->key[i]->text);
        assert_same(a->item[i], b->item[i]);
    }
}

static void test_writing_reads_back(void **state) {
    (void)state;
    va_yaml *root, *again;
    va_strbuf text = {0}, out = {0}, second = {0};
    va_strbuf_puts(&text,
                   "plain: some words\n'quoted: key': \"tab\\t nl\\n quote\\\" back\\\\ \\x80 "
                   "\\u2028 \\uFEFF \\U0001F600 \xC3\xA9\"\n"
                   "folded: one\n  two\n\n  three\nempty: ''\nnull_text: 'null'\nnothing:\n"
                   "seqs: [[], {}, [1, [2, 3]], {a: {b: [c, ~]}}]\n"
                   "odd: [6, -, -x, -1, ?x, a:b, 'a: b', 'a #b', 'x:', '- y', '...', '---']\n"
                   "null: key\n'': empty key\nnumber: '1.5'\nspaces: '  x  '\n'<<': no merge\n"
                   "block: |\n  a\n   b\n\n\"");
    for (int i = 0; i < 600; i++)
        va_strbuf_puts(&text, "k");
    va_strbuf_puts(&text, "\": {long: key}\n");
    assert_ok(ctx, parse(text.data, &root));
    va_yaml_write(root, &out);
    assert_false(out.failed);
    assert_ok(ctx, parse(out.data, &again));
    assert_same(root, again);
    va_yaml_write(again, &second);
    assert_string_equal(out.data, second.data);
    int64_t i;
    double d;
    assert_false(va_yaml_as_double(va_yaml_get(again, "number"), &d)); // stays a string
    assert_true(va_yaml_as_int(va_yaml_get(again, "seqs")->item[2]->item[0], &i) && i == 1);
    va_strbuf_free(&text);
    va_strbuf_free(&out);
    va_strbuf_free(&second);
    assert_ok(ctx, parse("[]", &root));
    va_yaml_write(root, &out);
    assert_string_equal(out.data, "[]\n");
    va_strbuf_free(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_tree),
        TEST(test_integers),
        TEST(test_doubles_and_bools),
        TEST(test_faults),
        TEST(test_aliases),
        TEST(test_alias_bomb),
        TEST(test_limits),
        TEST(test_files),
        TEST(test_writing_reads_back),
        TEST(test_alias_bomb_of_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
