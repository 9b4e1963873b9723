// test_relation_file.c: relation files: what is accepted, what is refused where and how; rates.
// libs: va_relation
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/relation.h"

#include <math.h>

static const char valid[] = "prompts:\n"                               // 1
                            "  - \"{subject} is a kind of\"\n"         // 2
                            "  - \"What is {subject}? It is a\"\n"     // 3
                            "n_train: 2\n"                             // 4
                            "seed: 7\n"                                // 5
                            "examples:\n"                              // 6
                            "  - {subject: A dog, object: animal}\n"   // 7
                            "  - {subject: An oak, object: plant}\n"   // 8
                            "  - {subject: \"12\", object: number}\n"  // 9
                            "  - {subject: A hammer, object: tool}\n"; // 10

static const struct {
    const char *old, *new; // replacement in the valid text
    const char *message;
} cases[] = {
    {"seed: 7", "sead: 7", "r.yaml:5:1: a relation: unknown key 'sead', did you mean 'seed'?"},
    {"seed: 7", "seed: x", "r.yaml:5:7: seed: expected an integer from 0 to 2147483647, got 'x'"},
    {"seed: 7", "seed: -1", "r.yaml:5:7: seed: expected an integer from 0"},
    {"n_train: 2\n", "", "r.yaml:1:1: a relation: n_train is missing"},
    {"n_train: 2", "n_train: 0", "r.yaml:4:10: n_train: expected an integer from 1 to 2, got '0'"},
    {"n_train: 2", "n_train: 3", "r.yaml:4:10: n_train: expected an integer from 1 to 2, got '3'"},
    {"n_train: 2", "n_train: [2]", "r.yaml:4:10: n_train: expected an integer from 1 to 2, got 'a"},
    {"\"{subject} is a kind of\"", "\"It is a kind of\"",
     "r.yaml:2:5: prompts: expected {subject} once, got 'It is a kind of'"},
    {"\"{subject} is a kind of\"", "\"{subject} is {subject}\"",
     "r.yaml:2:5: prompts: expected {s"},
    {"\"{subject} is a kind of\"", "''", "r.yaml:2:5: prompts: expected a text that is not empty"},
    {"\"{subject} is a kind of\"", "\"{subject} is a kind of \"",
     "r.yaml:2:5: prompts: expected no space at"},
    {"\"{subject} is a kind of\"", "[a]", "r.yaml:2:5: prompts: expected a text"},
    {"object: animal", "objekt: animal", "examples: unknown key 'objekt', did you mean 'object'?"},
    {", object: animal", "", "r.yaml:7:5: examples: object is missing"},
    {"subject: A dog", "subject: ", "r.yaml:7:15: subject: expected a text that is not empty"},
    {"{subject: A dog, object: animal}", "A dog", "r.yaml:7:5: examples: expected a map"},
    {"subject: An oak", "subject: A dog",
     "r.yaml:8:15: examples: subject 'A dog' is there twice, first in line 7"},
    {"  - {subject: A dog, object: animal}\n  - {subject: An oak, object: plant}\n", "",
     "r.yaml:7:3: examples: expected 3 to 10000 entries, got 2"},
};

static char *replaced(va_arena *arena, const char *old, const char *new_text) {
    const char *at = strstr(valid, old);
    assert_non_null(at);
    return va_arena_printf(arena, "%.*s%s%s", (int)(at - valid), valid, new_text, at + strlen(old));
}

static void test_valid(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_arena *arena = va_arena_create();
    va_relation_data data;
    assert_ok(ctx, va_relation_parse(ctx, arena, "r.yaml", valid, (int64_t)strlen(valid), &data));
    assert_int_equal(data.n_prompts, 2);
    assert_string_equal(data.prompts[1], "What is {subject}? It is a");
    assert_int_equal(data.n_examples, 4);
    assert_string_equal(data.examples[2].subject, "12");
    assert_string_equal(data.examples[3].object, "tool");
    assert_int_equal(data.n_train, 2);
    assert_int_equal(data.seed, 7);
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
}

static void test_mistakes(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_arena *arena = va_arena_create();
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        const char *text = replaced(arena, cases[i].old, cases[i].new);
        va_relation_data data;
        assert_error(ctx, VA_ERR_SPEC, cases[i].message,
                     va_relation_parse(ctx, arena, "r.yaml", text, (int64_t)strlen(text), &data));
    }
    va_relation_data data;
    assert_error(ctx, VA_ERR_FILE, "absent.yaml",
                 va_relation_load(ctx, arena, "absent.yaml", &data));
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests_name("relation file", tests, NULL, NULL);
}
