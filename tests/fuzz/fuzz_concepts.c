// Concepts out of JSON lines, and out of an ontology of one file or, parted by a NUL, of several:
// items keep what concept_data.h promises.
// libs: va_experiment va_io va_base
// seeds: experiments/concepts/ontology/layer0.json experiments/concepts/ontology/layer1.json
// max_len: 4096
// dict: concepts
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "concept_data.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FILES = 4, MAX_CONCEPTS = 8 };

static void check_list(const va_strings *s, int64_t max) {
    FUZZ_REQUIRE(s->n >= 0 && s->n <= max);
    for (int64_t i = 0; i < s->n; i++)
        FUZZ_REQUIRE(s->item[i][0] && strlen(s->item[i]) <= VA_CONCEPT_MAX_TEXT);
}

static void check_jsonl(va_ctx *ctx, va_arena *arena, const uint8_t *data, size_t size) {
    va_concept_items *c;
    int64_t n;
    const va_status st = va_concepts_jsonl(ctx, arena, fuzz_file(data, size), &c, &n);
    if (st != VA_OK) {
        FUZZ_REQUIRE(!c && n == 0);
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT);
        return;
    }
    FUZZ_REQUIRE(n >= 1);
    for (int64_t i = 0; i < n; i++) {
        FUZZ_REQUIRE(c[i].name[0] && c[i].line >= 1 && c[i].layer >= 0);
        FUZZ_REQUIRE(i == 0 || c[i].line > c[i - 1].line);
        check_list(&c[i].positives, INT64_MAX);
        check_list(&c[i].hard_negatives, INT64_MAX);
        check_list(&c[i].random_negatives, INT64_MAX);
    }
}

static const char *item_at(const va_concept_items *c, int64_t i) {
    const va_strings *const lists[] = {&c->positives, &c->hard_negatives, &c->random_negatives};
    for (int k = 0; k < 3; i -= lists[k++]->n)
        if (i < lists[k]->n)
            return lists[k]->item[i];
    return c->definition; // NULL: none
}

static void check_items(va_ctx *ctx, va_arena *arena, const va_ontology *o, const char *name,
                        const va_item_params *params) {
    va_concept_items c;
    FUZZ_REQUIRE(va_ontology_items(ctx, arena, o, name, params, &c) == VA_OK);
    FUZZ_REQUIRE(strcmp(c.name, name) == 0 && c.layer >= 0);
    check_list(&c.positives, params->positives);
    check_list(&c.hard_negatives, params->hard_negatives);
    check_list(&c.random_negatives, params->random_negatives);
    const int64_t n = c.positives.n + c.hard_negatives.n + c.random_negatives.n;
    for (int64_t i = 0; i <= n; i++)
        for (int64_t j = 0; j < i && item_at(&c, i); j++) // no text is twice
            FUZZ_REQUIRE(strcmp(item_at(&c, i), item_at(&c, j)) != 0);
}

static int64_t write_files(va_arena *arena, const uint8_t *data, size_t size,
                           const char *paths[MAX_FILES]) {
    int64_t n = 0;
    for (size_t begin = 0; n < MAX_FILES && begin <= size; n++) {
        const uint8_t *end = n < MAX_FILES - 1 ? memchr(data + begin, 0, size - begin) : NULL;
        const size_t bytes = end ? (size_t)(end - data) - begin : size - begin;
        const char *name = va_arena_printf(arena, "%d.json", (int)n);
        fuzz_write(name, data + begin, bytes);
        paths[n] = va_path_join(arena, fuzz_dir(), name);
        begin += bytes + 1;
    }
    return n;
}

static void check_ontology(va_ctx *ctx, va_arena *arena, const uint8_t *data, size_t size) {
    const char *paths[MAX_FILES];
    va_ontology *o;
    const int64_t n = write_files(arena, data, size, paths);
    const va_status st = va_ontology_read(ctx, arena, paths, n, &o);
    if (st != VA_OK) {
        FUZZ_REQUIRE(!o);
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT);
        return;
    }
    FUZZ_REQUIRE(va_ontology_count(o) >= 1);
    for (int64_t i = 0; i < VA_MIN(va_ontology_count(o), MAX_CONCEPTS); i++) {
        const va_item_params all = {100, 100, 100, .seed = size, .definitions = i % 2 == 0};
        const va_item_params few = {i, i / 2, 3, .seed = size, .raw_names = true};
        check_items(ctx, arena, o, va_ontology_name(o, i), &all);
        check_items(ctx, arena, o, va_ontology_name(o, i), &few);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_arena *arena = va_arena_create();
    FUZZ_REQUIRE(arena);
    check_jsonl(ctx, arena, data, size);
    check_ontology(ctx, arena, data, size);
    va_arena_destroy(&arena);
    return 0;
}
