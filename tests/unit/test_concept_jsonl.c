// test_concept_jsonl.c: concepts out of JSON lines: both forms, and what is refused where and how.
// libs: va_experiment va_io va_base
// SPDX-License-Identifier: Apache-2.0
#include "concept_case.h"

static va_status read_text(const char *text, va_concept_items **list, int64_t *n) {
    char path[VA_TEST_PATH];
    write_file("c.jsonl", text);
    return va_concepts_jsonl(ctx, arena, va_test_join(path, dir, "c.jsonl"), list, n);
}

static void test_concepts(void **state) {
    (void)state;
    va_concept_items *c;
    int64_t n;
    assert_ok(ctx, read_text("\n"
                             "{\"name\": \"Physical\", \"definition\": \"has mass\", \"layer\": 1,"
                             " \"positives\": [\"dog\", \"cat\"], \"hard_negatives\": [\"circle\"],"
                             " \"random_negatives\": [\"blick\", \"wug\"]}\r\n"
                             " \t\r\n"
                             "{\"positives\": [], \"name\": \"Caf\\u00e9\"}",
                             &c, &n));
    assert_int_equal(n, 2);
    assert_string_equal(c[0].name, "Physical");
    assert_string_equal(c[0].definition, "has mass");
    assert_int_equal(c[0].layer, 1);
    assert_int_equal(c[0].line, 2);
    assert_string_equal(joined(&c[0].positives), "dog|cat");
    assert_string_equal(joined(&c[0].hard_negatives), "circle");
    assert_string_equal(joined(&c[0].random_negatives), "blick|wug");
    assert_string_equal(c[1].name, "Caf\xC3\xA9");
    assert_null(c[1].definition);
    assert_int_equal(c[1].layer, 0);
    assert_int_equal(c[1].line, 4);
    assert_int_equal(c[1].positives.n + c[1].hard_negatives.n + c[1].random_negatives.n, 0);
}

static void test_items(void **state) {
    (void)state;
    va_concept_items *c;
    int64_t n;
    assert_ok(
        ctx,
        read_text("{\"concept\": \"B\", \"text\": \"b1\", \"label\": 1}\n"
                  "{\"concept\": \"A\", \"text\": \"a2\", \"label\": 0, \"kind\": \"random\"}\n"
                  "{\"concept\": \"B\", \"text\": \"b2\", \"label\": 0}\n"
                  "\n"
                  "{\"concept\": \"A\", \"text\": \"a1\", \"label\": 1.0}\n"
                  "{\"concept\": \"B\", \"text\": \"b3\", \"label\": 1}\n"
                  "{\"concept\": \"B\", \"text\": \"b4\", \"label\": 0, \"kind\": \"hard\"}\n",
                  &c, &n));
    assert_int_equal(n, 2);
    assert_string_equal(c[0].name, "B");
    assert_int_equal(c[0].line, 1);
    assert_string_equal(joined(&c[0].positives), "b1|b3");
    assert_string_equal(joined(&c[0].hard_negatives), "b2|b4");
    assert_int_equal(c[0].random_negatives.n, 0);
    assert_string_equal(c[1].name, "A");
    assert_int_equal(c[1].line, 2);
    assert_string_equal(joined(&c[1].positives), "a1");
    assert_int_equal(c[1].hard_negatives.n, 0);
    assert_string_equal(joined(&c[1].random_negatives), "a2");
}

#define CONCEPT "{\"name\": \"A\", \"positives\": []"
#define ITEM "{\"concept\": \"A\", \"text\": \"a\""

static const struct {
    const char *text, *message; // the message follows the path
} mistakes[] = {
    {"", ": expected concepts, found none"},
    {"\n \n", ": expected concepts, found none"},
    {"\n[]", ":2: expected an object, got array"},
    {"{}", ":1: expected \"name\" (a concept) or \"concept\" (one of its items), got neither"},
    {CONCEPT ", \"posittives\": []}", ":1: unknown key 'posittives', did you mean 'positives'?"},
    {CONCEPT ", \"weight\": 1}", ":1: unknown key 'weight'"},
    {"{\"name\": \"A\"}", ":1: positives is missing"},
    {"{\"name\": 1, \"positives\": []}", ":1: name: expected a text, got number"},
    {"{\"name\": \"\", \"positives\": []}", ":1: name: expected 1 to 1024 bytes of text, got 0"},
    {"{\"name\": \"A\", \"positives\": \"a\"}",
     ":1: positives: expected an array of texts, got string"},
    {"{\"name\": \"A\", \"positives\": [\"a\", 7]}", ":1: positives: expected a text, got number"},
    {CONCEPT ", \"hard_negatives\": null}",
     ":1: hard_negatives: expected an array of texts, got null"},
    {CONCEPT ", \"random_negatives\": [\"\"]}",
     ":1: random_negatives: expected 1 to 65536 bytes of text, got 0"},
    {CONCEPT ", \"definition\": null}", ":1: definition: expected a text, got null"},
    {CONCEPT ", \"layer\": -1}", ":1: layer: expected an integer from 0 to 1000, got -1"},
    {CONCEPT "}\n\n" CONCEPT "}", ":3: concept 'A' is there twice, first in line 1"},
    {ITEM "}", ":1: label is missing"},
    {ITEM ", \"label\": 2}", ":1: label: expected 0 or 1, got 2"},
    {ITEM ", \"label\": 0.5}", ":1: label: expected 0 or 1, got 0.5"},
    {ITEM ", \"label\": true}", ":1: label: expected 0 or 1, got boolean"},
    {ITEM ", \"label\": 0, \"kind\": \"easy\"}", ":1: kind: expected hard or random, got easy"},
    {ITEM ", \"label\": 0, \"kind\": 3}", ":1: kind: expected hard or random, got number"},
    {ITEM ", \"label\": 1, \"kind\": \"hard\"}",
     ":1: kind: expected only beside label 0, got label 1"},
    {ITEM ", \"lable\": 1}", ":1: unknown key 'lable', did you mean 'label'?"},
    {"{\"concept\": \"A\", \"label\": 1}", ":1: text is missing"},
    {ITEM ", \"label\": 1}\n" CONCEPT "}",
     ":2: a concept with all its items, where line 1 is one item: a file has one form"},
    {"\n" CONCEPT "}\n" ITEM ", \"label\": 1}",
     ":3: one item of a concept, where line 2 is a concept with all its items: a file has one"},
    // Faults of JSON: the place is the file's.
    {CONCEPT "}\n{\"name\": \"B\" \"positives\": []}", ":2:14: "},
    {CONCEPT "}\n" CONCEPT "} 7", ":2:32: "},
    {CONCEPT "}\n{\"name\": \"B\", \"name\": \"C\"}", ":2:15: key 'name' stands twice (byte 45)"},
    {CONCEPT "}\n{\"name\": \"B\",\n\"positives\": []}", ":2:14: "},
};

static void test_mistakes(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    va_test_join(path, dir, "c.jsonl");
    for (int64_t i = 0; i < VA_COUNT(mistakes); i++) {
        va_concept_items *c;
        int64_t n;
        assert_error(ctx, VA_ERR_FORMAT, va_arena_printf(arena, "%s%s", path, mistakes[i].message),
                     read_text(mistakes[i].text, &c, &n));
        assert_null(c);
        assert_int_equal(n, 0);
    }
}

static void test_limits(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    va_concept_items *c;
    int64_t n;
    va_strbuf b = {0};
    assert_error(ctx, VA_ERR_FILE, "absent.jsonl: cannot be opened",
                 va_concepts_jsonl(ctx, arena, va_test_join(path, dir, "absent.jsonl"), &c, &n));
    for (int i = 0; i <= VA_CONCEPT_MAX_LINES; i++)
        va_strbuf_puts(&b, "1\n");
    assert_error(ctx, VA_ERR_FORMAT, "c.jsonl: expected at most 1000000 lines, got 1000001",
                 read_text(b.data, &c, &n));
    va_strbuf_free(&b);
    va_strbuf_puts(&b, "{\"name\": \"");
    for (int i = 0; i <= VA_CONCEPT_MAX_NAME; i++)
        va_strbuf_puts(&b, "x");
    va_strbuf_puts(&b, "\", \"positives\": []}");
    assert_error(ctx, VA_ERR_FORMAT, "c.jsonl:1: name: expected 1 to 1024 bytes of text, got 1025",
                 read_text(b.data, &c, &n));
    va_strbuf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_concepts),
        TEST(test_items),
        TEST(test_mistakes),
        TEST(test_limits),
    };
    return cmocka_run_group_tests_name("concept jsonl", tests, NULL, NULL);
}
