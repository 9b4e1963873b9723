// test_concept_ontology.c: ontology files: the shipped one, mistakes in others, large ones.
// libs: va_experiment va_io va_base
// SPDX-License-Identifier: Apache-2.0
#include "concept_case.h"

// -- the shipped ontology --------------------------------------------------------------------

enum { MAX = 1000 };
static const char *terms[MAX], *definitions[MAX];
static bool below[MAX][MAX]; // [above][below], from the files by another way
static int n_terms;

static int number_of(const char *term) {
    for (int i = 0; i < n_terms; i++)
        if (strcmp(terms[i], term) == 0)
            return i;
    assert_true(n_terms < MAX);
    terms[n_terms] = va_arena_strdup(arena, term);
    return n_terms++;
}

static void close_relation(void) { // Warshall
    for (int k = 0; k < n_terms; k++)
        for (int i = 0; i < n_terms; i++)
            for (int j = 0; below[i][k] && j < n_terms; j++)
                below[i][j] |= below[k][j];
}

static void read_shipped_plainly(void) {
    for (int layer = 0; layer < 4; layer++) {
        va_json *root;
        const char *path = va_arena_printf(
            arena, VA_SOURCE_DIR "/experiments/concepts/ontology/layer%d.json", layer);
        assert_ok(ctx, va_json_load(ctx, path, 0, &root));
        const va_json *c = va_json_first(va_json_get(root, "concepts"));
        for (; c; c = va_json_next(c)) {
            const int id = number_of(va_json_as_string(va_json_get(c, "sumo_term")));
            const char *definition = va_json_as_string(va_json_get(c, "definition"));
            definitions[id] = definition ? va_arena_strdup(arena, definition) : NULL;
            const va_json *child = va_json_first(va_json_get(c, "category_children"));
            for (; child; child = va_json_next(child))
                below[id][number_of(va_json_as_string(child))] = true;
        }
        va_json_free(&root);
    }
    close_relation();
}

static bool holds(const va_strings *s, const char *text) {
    for (int64_t i = 0; text && i < s->n; i++)
        if (strcmp(s->item[i], text) == 0)
            return true;
    return false;
}

// No text of the concept, or of what is above or below it, is a negative; positives are below.
static void check_no_leak(int self, const va_concept_items *c) {
    const va_strings *negatives[] = {&c->hard_negatives, &c->random_negatives};
    int64_t n_found = 0;
    for (int i = 0; i < n_terms; i++) {
        const char *name = va_concept_words(arena, terms[i]);
        const bool related = i == self || below[self][i] || below[i][self];
        for (int k = 0; k < 2; k++)
            assert_false(related &&
                         (holds(negatives[k], name) || holds(negatives[k], definitions[i])));
        if (below[self][i])
            n_found += holds(&c->positives, name) + holds(&c->positives, definitions[i]);
    }
    assert_int_equal(n_found, c->positives.n);
    for (int64_t i = 0; i < c->random_negatives.n; i++)
        assert_false(holds(&c->hard_negatives, c->random_negatives.item[i]));
}

static void test_shipped(void **state) {
    (void)state;
    static const char *const names[] = {"Entity",    "Physical", "Abstract",    "Process",
                                        "Attribute", "Animal",   "BodyOfWater", "PhysicalChange"};
    const char *path = VA_SOURCE_DIR "/experiments/concepts/ontology";
    va_ontology *o;
    read_shipped_plainly();
    assert_ok(ctx, va_ontology_read(ctx, arena, &path, 1, &o));
    assert_int_equal(va_ontology_count(o), n_terms);
    for (uint64_t seed = 0; seed < 8; seed++) {
        for (int64_t i = 0; i < VA_COUNT(names); i++) {
            const va_concept_items c = items_of(
                o, names[i], (va_item_params){52, 32, 32, .seed = seed, .definitions = seed % 2});
            check_no_leak(number_of(names[i]), &c);
            assert_int_equal(c.hard_negatives.n, 32);
            assert_int_equal(c.random_negatives.n, 32);
            assert_true(c.positives.n >= 6);
        }
    }
    for (int64_t i = 0; i < va_ontology_count(o); i++)
        assert_true(va_ontology_defined(o, i));
}

// A folder's files one by one, and none twice.
static void test_files(void **state) {
    (void)state;
    const char *folder = VA_SOURCE_DIR "/experiments/concepts/ontology";
    const char *const paths[] = {va_arena_printf(arena, "%s/layer1.json", folder), folder};
    va_ontology *o;
    assert_ok(ctx, va_ontology_read(ctx, arena, paths, 2, &o));
    const va_strings files = va_ontology_files(o);
    assert_int_equal(files.n, 4);
    assert_string_equal(files.item[0], paths[0]);
    for (int64_t i = 1; i < files.n; i++) { // layer0, layer2, layer3
        const char *path = va_arena_printf(arena, "%s/layer%d.json", folder, i == 1 ? 0 : (int)i);
        assert_string_equal(files.item[i], path);
    }
}

// Entity's negatives name nothing: function words are hard, pseudo-words random.
static void test_entity(void **state) {
    (void)state;
    const char *path = VA_SOURCE_DIR "/experiments/concepts/ontology";
    va_ontology *o;
    assert_ok(ctx, va_ontology_read(ctx, arena, &path, 1, &o));
    const va_concept_items c = items_of(o, "Entity", counts(52, 100, 100));
    assert_int_equal(c.hard_negatives.n, 50);
    assert_true(holds(&c.hard_negatives, "therefore"));
    assert_int_equal(c.random_negatives.n, 40);
    assert_true(holds(&c.random_negatives, "wug"));
}

// -- mistakes --------------------------------------------------------------------------------

static const struct {
    const char *text, *message; // the message follows the path
} mistakes[] = {
    {"[]", ": expected an object, got array"},
    {"{\"layer\": 0}", ": concepts: expected an array, got nothing"},
    {"{\"concepts\": []}", ": expected concepts, found none"},
    {"{\"concepts\": [], \"layer\": 1001}",
     ": layer: expected an integer from 0 to 1000, got 1001"},
    {"{\"concepts\": [], \"layer\": 0.5}", ": layer: expected an integer from 0 to 1000, got 0.5"},
    {"{\"concepts\": [], \"layer\": \"1\"}",
     ": layer: expected an integer from 0 to 1000, got string"},
    {"{\"concepts\": [7]}", ": concepts[0]: expected an object, got number"},
    {"{\"concepts\": [{\"sumo_term\": \"A\"}, {\"term\": \"B\"}]}",
     ": concepts[1]: sumo_term is missing"},
    {"{\"concepts\": [{\"sumo_term\": \"\"}]}",
     ": concepts[0]: sumo_term: expected 1 to 1024 bytes of text, got 0"},
    {"{\"concepts\": [{\"sumo_term\": \"A\", \"definition\": 3}]}",
     ": concepts[0]: definition: expected a text, got number"},
    {"{\"concepts\": [{\"sumo_term\": \"A\", \"category_children\": \"B\"}]}",
     ": concepts[0]: category_children: expected an array of texts, got string"},
    {"{\"concepts\": [{\"sumo_term\": \"A\", \"category_children\": [\"B\", null]}]}",
     ": concepts[0]: category_children: expected a text, got null"},
    {"{\"concepts\": [\n{\"sumo_term\" \"A\"}]}", ":2:14: "},
};

static void test_mistakes(void **state) {
    (void)state;
    const char *path = va_path_join(arena, dir, "a.json");
    va_ontology *o;
    for (int64_t i = 0; i < VA_COUNT(mistakes); i++) {
        write_file("a.json", mistakes[i].text);
        assert_error(ctx, VA_ERR_FORMAT, va_arena_printf(arena, "%s%s", path, mistakes[i].message),
                     va_ontology_read(ctx, arena, &path, 1, &o));
        assert_null(o);
    }
}

static void test_duplicates(void **state) {
    (void)state;
    va_ontology *o;
    const char *a = va_path_join(arena, dir, "a.json"), *b = va_path_join(arena, dir, "b.json");
    const char text[] = "{\"concepts\": [{\"sumo_term\": \"A\", \"definition\": \"one\","
                        " \"category_children\": [\"B\"]}]}";
    write_file("a.json", text);
    write_file("b.json", text);
    assert_ok(ctx, read_dir(&o));
    assert_int_equal(va_ontology_count(o), 2);
    static const char *const others[] = {
        "{\"concepts\": [{\"sumo_term\": \"C\"}, {\"sumo_term\": \"A\", \"definition\": \"two\","
        " \"category_children\": [\"B\"]}]}",
        "{\"concepts\": [{\"sumo_term\": \"C\"}, {\"sumo_term\": \"A\", \"definition\": \"one\","
        " \"category_children\": [\"C\"]}]}",
        "{\"concepts\": [{\"sumo_term\": \"C\"}, {\"sumo_term\": \"A\", \"definition\": \"one\"}]}",
        "{\"layer\": 1, \"concepts\": [{\"sumo_term\": \"C\"}, {\"sumo_term\": \"A\","
        " \"definition\": \"one\", \"category_children\": [\"B\"]}]}",
    };
    for (int64_t i = 0; i < VA_COUNT(others); i++) {
        write_file("b.json", others[i]);
        assert_error(ctx, VA_ERR_FORMAT,
                     va_arena_printf(arena,
                                     "%s: concepts[1]: 'A' is defined otherwise in %s: concepts[0]",
                                     b, a),
                     read_dir(&o));
    }
}

static void test_absent(void **state) {
    (void)state;
    va_ontology *o;
    va_concept_items c;
    const char *path = va_path_join(arena, dir, "absent.json");
    assert_error(ctx, VA_ERR_FILE, va_arena_printf(arena, "%s: cannot be opened", path),
                 va_ontology_read(ctx, arena, &path, 1, &o));
    assert_error(ctx, VA_ERR_FILE, va_arena_printf(arena, "%s: expected *.json files, found", dir),
                 read_dir(&o));
    assert_error(ctx, VA_ERR_USAGE, "an ontology: expected 1 to 1000 files, got 0",
                 va_ontology_read(ctx, arena, &path, 0, &o));
    write_file("a.json",
               "{\"concepts\": [{\"sumo_term\": \"Right\", \"category_children\": [\"Left\"]}]}");
    assert_ok(ctx, read_dir(&o));
    const va_item_params params = counts(1, 1, 1);
    assert_error(ctx, VA_ERR_SPEC,
                 va_arena_printf(arena, "%s: no term 'Rigth' among 2, did you mean 'Right'?", dir),
                 va_ontology_items(ctx, arena, o, "Rigth", &params, &c));
    assert_error(ctx, VA_ERR_SPEC, va_arena_printf(arena, "%s: no term 'Nonsense' among 2", dir),
                 va_ontology_items(ctx, arena, o, "Nonsense", &params, &c));
}

// A chain of 200,000 terms and one with 200,000 children: no recursion, nothing quadratic.
static void test_large(void **state) {
    (void)state;
    enum { N = 200000, MAX_SECONDS = 20 }; // takes about one
    va_strbuf b = {0};
    va_ontology *o;
    const double start = va_time_s();
    va_strbuf_puts(&b, "{\"concepts\": [{\"sumo_term\": \"Wide\", \"category_children\": [\"w0\"");
    for (int i = 1; i < N; i++)
        va_strbuf_printf(&b, ",\"w%d\"", i);
    va_strbuf_puts(&b, "]}");
    for (int i = 0; i < N; i++)
        va_strbuf_printf(&b, ",{\"sumo_term\": \"c%d\", \"category_children\": [\"c%d\"]}", i,
                         i + 1);
    va_strbuf_puts(&b, "]}");
    write_file("a.json", b.data);
    va_strbuf_free(&b);
    assert_ok(ctx, read_dir(&o));
    assert_int_equal(va_ontology_count(o), 2 * N + 2);
    va_concept_items c = items_of(o, "c0", counts(2 * N, 2 * N, 2 * N));
    assert_int_equal(c.positives.n, N);
    assert_int_equal(c.hard_negatives.n, N + 1);
    c = items_of(o, "w7", counts(9, 2 * N, 2 * N));
    assert_int_equal(c.hard_negatives.n, N - 1);
    assert_int_equal(c.random_negatives.n, N + 1);
    assert_true(va_time_s() - start < MAX_SECONDS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_shipped),    TEST(test_files),  TEST(test_entity), TEST(test_mistakes),
        TEST(test_duplicates), TEST(test_absent), TEST(test_large),
    };
    return cmocka_run_group_tests_name("concept ontology", tests, NULL, NULL);
}
