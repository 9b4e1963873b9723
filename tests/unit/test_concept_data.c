// test_concept_data.c: which terms of an ontology become a concept's items, against lists worked
// out by hand; the draw; words out of names.
// libs: va_experiment va_io va_base
// SPDX-License-Identifier: Apache-2.0
#include "concept_case.h"

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *joined_sorted(const va_strings *s) {
    va_strings sorted = {.item = VA_NEW_ARRAY(arena, const char *, s->n), .n = s->n};
    memcpy(sorted.item, s->item, (size_t)s->n * sizeof *s->item);
    qsort(sorted.item, (size_t)s->n, sizeof *s->item, by_text);
    return joined(&sorted);
}

// -- a small DAG -----------------------------------------------------------------------------

//         Top              OtherRoot      Shared is A's and C's; Deep_Thing is listed, but has no
//   Left  Right  Middle                   entry; D's B_one has the text of B's BOne.
//   A   B   C  Deep_Thing  D              (B is Left's and Right's.)
static const char dag0[] =
    "{\"layer\": 0, \"made\": \"by hand\", \"concepts\": ["
    "{\"sumo_term\": \"Top\", \"definition\": \"all\", \"category_children\": [\"Left\","
    " \"Right\", \"Middle\"], \"synsets\": [1, {}]},"
    "{\"sumo_term\": \"OtherRoot\", \"definition\": \"\", \"category_children\": null}]}";
static const char dag1[] =
    "{\"concepts\": ["
    "{\"sumo_term\": \"Left\", \"definition\": \"the left\", \"category_children\": [\"A\", "
    "\"B\", \"B\"]},"
    "{\"sumo_term\": \"Right\", \"category_children\": [\"B\", \"C\", \"Deep_Thing\"]},"
    "{\"sumo_term\": \"Middle\", \"definition\": \"between\", \"category_children\": [\"D\"]}], "
    "\"layer\": 1}";
static const char dag2[] =
    "{\"layer\": 2, \"concepts\": ["
    "{\"sumo_term\": \"A\", \"definition\": \"first\", \"category_children\": [\"A1\", "
    "\"Shared\"]},"
    "{\"sumo_term\": \"B\", \"definition\": \"second\", \"category_children\": [\"BOne\"]},"
    "{\"sumo_term\": \"C\", \"category_children\": [\"Shared\", \"C1\"]},"
    "{\"sumo_term\": \"C1\", \"definition\": \"first\"},"
    "{\"sumo_term\": \"A1\", \"definition\": \"fourth\"},"
    "{\"sumo_term\": \"D\", \"definition\": \"between\", \"category_children\": [\"B_one\"]}]}";

static va_ontology *read_dag(void) {
    va_ontology *o;
    write_file("layer0.json", dag0);
    write_file("layer1.json", dag1);
    write_file("layer2.json", dag2);
    write_file("notes.txt", "not read");
    assert_ok(ctx, read_dir(&o));
    return o;
}

static const struct {
    const char *name, *positives, *hard, *random;
    int64_t layer;
} expected[] = {
    // B: siblings A of Left, then C and Deep_Thing of Right; Shared is A's, who lists it first.
    // D's "b one" has a positive's text.
    {"B", "b one", "a|c|deep thing|a1|c1|shared", "d|middle|other root", 2},
    // A: Shared is below it, though below B's sibling C too.
    {"A", "a1|shared", "b|b one", "c|c1|d|deep thing|middle|other root|right", 2},
    // Left: B and Shared are below it, so Right gives C, Deep_Thing, C1. The second "b one" is out.
    {"Left", "a|b|a1|shared|b one", "right|middle|c|d|deep thing|c1", "other root", 1},
    // Shared: parents A and C, above them Left, Right, Top.
    {"Shared", "", "a1|c1", "b|b one|d|deep thing|middle|other root", 3},
    {"Deep_Thing", "", "b|c|b one|shared|c1", "a|a1|d|left|middle|other root", 2},
    {"Top", "left|right|middle|a|b|c|deep thing|d|a1|shared|b one|c1", "other root", "", 0},
    {"OtherRoot", "", "top|left|right|middle|a|b|c|deep thing|d|a1|shared|b one|c1", "", 0},
};

static void test_dag(void **state) {
    (void)state;
    const va_ontology *o = read_dag();
    assert_int_equal(va_ontology_count(o), 15);
    for (int64_t i = 0; i < VA_COUNT(expected); i++) {
        const va_concept_items c =
            items_of(o, expected[i].name, (va_item_params){100, 100, 100, .seed = (uint64_t)i});
        assert_string_equal(joined(&c.positives), expected[i].positives);
        assert_string_equal(joined(&c.hard_negatives), expected[i].hard);
        assert_string_equal(joined_sorted(&c.random_negatives), expected[i].random);
        assert_int_equal(c.layer, expected[i].layer);
        assert_null(c.definition);
    }
}

static void test_forms(void **state) {
    (void)state;
    const va_ontology *o = read_dag();
    va_concept_items c = items_of(o, "Left", (va_item_params){100, 100, 0, .definitions = true});
    assert_string_equal(c.definition, "the left");
    // C1's definition is A's, who is below.
    assert_string_equal(joined(&c.positives), "a|first|b|second|a1|fourth|shared|b one");
    assert_string_equal(joined(&c.hard_negatives), "right|middle|between|c|d|deep thing|c1");
    c = items_of(o, "B", (va_item_params){100, 100, 0, .definitions = true});
    assert_string_equal(joined(&c.hard_negatives), "a|first|c|deep thing|a1|fourth|c1|shared");
    // A1 is taken, and so its definition is no random negative, although it had no room.
    c = items_of(o, "B", (va_item_params){100, 5, 100, .definitions = true});
    assert_string_equal(joined(&c.hard_negatives), "a|first|c|deep thing|a1");
    assert_string_equal(joined_sorted(&c.random_negatives),
                        "between|c1|d|middle|other root|shared");
    // D's definition is Middle's own.
    c = items_of(o, "Middle", (va_item_params){100, 0, 0, .definitions = true});
    assert_string_equal(c.definition, "between");
    assert_string_equal(joined(&c.positives), "d|b one");
    c = items_of(o, "B", (va_item_params){100, 100, 100, .raw_names = true});
    assert_string_equal(joined(&c.positives), "BOne");
    assert_string_equal(joined(&c.hard_negatives), "A|C|Deep_Thing|A1|C1|Shared");
    assert_string_equal(joined_sorted(&c.random_negatives), "B_one|D|Middle|OtherRoot");
}

static void test_counts(void **state) {
    (void)state;
    const va_ontology *o = read_dag();
    va_concept_items c = items_of(o, "Left", counts(3, 4, 0));
    assert_string_equal(joined(&c.positives), "a|b|a1");
    assert_string_equal(joined(&c.hard_negatives), "right|middle|c|d");
    assert_int_equal(c.random_negatives.n, 0);
    c = items_of(o, "Left", counts(1, 1, 100));
    assert_string_equal(joined(&c.positives), "a");
    assert_string_equal(joined(&c.hard_negatives), "right"); // Middle may not come back as random
    assert_string_equal(joined_sorted(&c.random_negatives), "c|c1|d|deep thing|other root");
    const va_item_params negative = counts(1, -1, 0);
    c = items_of(o, "Left", (va_item_params){2, 0, INT64_MAX, .definitions = true});
    assert_string_equal(joined(&c.positives), "a|first");
    assert_int_equal(c.hard_negatives.n, 0);
    assert_error(ctx, VA_ERR_USAGE, "items of a concept: expected counts >= 0, got -1",
                 va_ontology_items(ctx, arena, o, "B", &negative, &c));
}

static void test_cycles(void **state) {
    (void)state;
    va_ontology *o;
    write_file("a.json", "{\"concepts\": ["
                         "{\"sumo_term\": \"X\", \"category_children\": [\"Y\", \"X\", \"Q\"]},"
                         "{\"sumo_term\": \"Y\", \"category_children\": [\"X\", \"Z\"]},"
                         "{\"sumo_term\": \"Own\", \"category_children\": [\"Own\", \"W\"]},"
                         "{\"sumo_term\": \"V\"}]}");
    assert_ok(ctx, read_dir(&o));
    va_concept_items c = items_of(o, "X", counts(9, 9, 9));
    assert_string_equal(joined(&c.positives), "y|q|z");
    assert_string_equal(joined(&c.hard_negatives), "");
    assert_string_equal(joined_sorted(&c.random_negatives), "own|v|w");
    c = items_of(o, "Z", counts(9, 9, 9)); // X is beside it and above it
    assert_string_equal(joined(&c.hard_negatives), "");
    assert_string_equal(joined_sorted(&c.random_negatives), "own|q|v|w");
    c = items_of(o, "Own", counts(9, 9, 9)); // a root, although it lists itself
    assert_string_equal(joined(&c.positives), "w");
    assert_string_equal(joined(&c.hard_negatives), "v");
}

// -- the draw --------------------------------------------------------------------------------

// Every one of 40 terms comes up in a draw of 10 as often as another: 500 +- 19.4 (binomial
// standard deviation) times in 2000 seeds. Another concept draws others.
static void test_draw_is_uniform(void **state) {
    (void)state;
    enum { TERMS = 40, DRAWN = 10, SEEDS = 2000 };
    va_strbuf b = {0};
    va_ontology *o;
    int times[TERMS] = {0};
    va_strbuf_puts(&b, "{\"concepts\": [{\"sumo_term\": \"Alone\"}, {\"sumo_term\": \"Too\"}, "
                       "{\"sumo_term\": \"Rest\","
                       " \"category_children\": [");
    for (int i = 0; i < TERMS; i++)
        va_strbuf_printf(&b, "%s\"t%02d\"", i ? "," : "", i);
    va_strbuf_puts(&b, "]}]}");
    write_file("a.json", b.data);
    va_strbuf_free(&b);
    assert_ok(ctx, read_dir(&o));
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const va_concept_items c =
            items_of(o, "Alone", (va_item_params){0, 0, DRAWN, .seed = seed});
        const va_concept_items other =
            items_of(o, "Too", (va_item_params){0, 0, DRAWN, .seed = seed});
        assert_int_equal(c.random_negatives.n, DRAWN);
        assert_string_not_equal(joined(&c.random_negatives), joined(&other.random_negatives));
        for (int64_t i = 0; i < DRAWN; i++)
            times[atoi(c.random_negatives.item[i] + 1)]++;
    }
    for (int i = 0; i < TERMS; i++)
        assert_in_range(times[i], 500 - 4 * 19.4, 500 + 4 * 19.4);
}

static void test_draw_ignores_order(void **state) {
    (void)state;
    const char *forth[3], *back[3];
    va_ontology *o, *p;
    for (int i = 0; i < 3; i++)
        forth[i] = back[2 - i] = va_arena_printf(
            arena, VA_SOURCE_DIR "/experiments/concepts/ontology/layer%d.json", i + 1);
    assert_ok(ctx, va_ontology_read(ctx, arena, forth, 3, &o));
    assert_ok(ctx, va_ontology_read(ctx, arena, back, 3, &p));
    const va_item_params params = {0, 0, 50, .seed = 3};
    const va_concept_items a = items_of(o, "Animal", params), b = items_of(p, "Animal", params);
    assert_string_equal(joined(&a.random_negatives), joined(&b.random_negatives));
    const va_concept_items c = items_of(o, "Plant", params);
    const va_concept_items d = items_of(o, "Animal", (va_item_params){0, 0, 50, .seed = 4});
    assert_string_not_equal(joined(&a.random_negatives), joined(&c.random_negatives));
    assert_string_not_equal(joined(&a.random_negatives), joined(&d.random_negatives));
}

// -- names -----------------------------------------------------------------------------------

static void test_words(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"BodyOfWater", "body of water"},
        {"Physical", "physical"},
        {"DNAMolecule", "DNA molecule"},
        {"GeneticDNA", "genetic DNA"},
        {"ActOfABody", "act of a body"},
        {"solid_body", "solid body"},
        {"Solid_Body", "solid body"},
        {"body of water", "body of water"},
        {"Body  of Water", "body of water"},
        {"USState", "US state"},
        {"US_State", "US state"},
        {"Layer2Thing", "layer2 thing"},
        {"VitaminB12", "vitamin b12"},
        {"A", "a"},
        {"already", "already"},
        {"half-life", "half-life"},
        {"Caf\xC3\xA9Table", "caf\xC3\xA9Table"},
        {"_", "_"},
        {"__x__", "x"},
        {"ABC", "ABC"},
    };
    for (int64_t i = 0; i < VA_COUNT(pairs); i++)
        assert_string_equal(va_concept_words(arena, pairs[i][0]), pairs[i][1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_dag),    TEST(test_forms),           TEST(test_counts),
        TEST(test_cycles), TEST(test_draw_is_uniform), TEST(test_draw_ignores_order),
        TEST(test_words),
    };
    return cmocka_run_group_tests_name("concept data", tests, NULL, NULL);
}
