// spec_concepts.c: concepts that do not stand in the experiment: from a file, from an ontology.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "concept_data.h"
#include "schema.h"

// Paths of the experiment are relative to its folder, those of --set to the working directory.
static const char *beside(va_diagnostics *d, const char *path, const char *file, va_place place) {
    const char *slash = strrchr(path, '/');
    if (file[0] == '/' || !slash || strcmp(place.file, "--set") == 0)
        return file;
    return va_arena_printf(d->arena, "%.*s/%s", (int)(slash - path), path, file);
}

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static va_concept concept_of(const va_concept_items *items, va_place place) {
    if (items->line > 0)
        place.line = (int)items->line, place.col = 1;
    return (va_concept){.name = items->name,
                        .definition = items->definition,
                        .layer = items->layer,
                        .positives = items->positives,
                        .hard_negatives = items->hard_negatives,
                        .random_negatives = items->random_negatives,
                        .place = place};
}

static va_status from_lines(va_ctx *ctx, va_diagnostics *d, const char *file, va_spec *s) {
    va_status st = VA_OK;
    va_concept_items *items;
    int64_t n;
    VA_TRY(va_concepts_jsonl(ctx, d->arena, file, &items, &n));
    VA_TRY_ALLOC(ctx, s->concepts, VA_NEW_ARRAY(d->arena, va_concept, n));
    for (int64_t i = 0; i < n; i++)
        s->concepts[s->n_concepts++] = concept_of(&items[i], (va_place){file, 0, 0});
done:
    return st;
}

static va_status from_ontology(va_ctx *ctx, va_diagnostics *d, va_spec *s) {
    va_status st = VA_OK;
    const va_concept_source *source = &s->source;
    const va_item_params params = {.positives = source->positives,
                                   .hard_negatives = source->hard_negatives,
                                   .random_negatives = source->random_negatives,
                                   .seed = (uint64_t)source->seed,
                                   .raw_names = source->raw_names,
                                   .definitions = source->definitions};
    va_ontology *ontology;
    VA_TRY(va_ontology_read(ctx, d->arena, s->concept_inputs.item, s->concept_inputs.n, &ontology));
    s->concept_inputs = va_ontology_files(ontology); // of folders, which were read
    VA_TRY_ALLOC(ctx, s->concepts, VA_NEW_ARRAY(d->arena, va_concept, source->names.n));
    for (int64_t i = 0; i < source->names.n; i++) {
        va_concept_items items;
        VA_TRY(va_ontology_items(ctx, d->arena, ontology, source->names.item[i], &params, &items));
        s->concepts[s->n_concepts++] = concept_of(&items, source->place);
    }
done:
    return st;
}

// A positive for each concept is what it cannot do without, wherever it is from.
static void check_positives(va_diagnostics *d, const va_spec *s) {
    enum { FEWEST = 4 };
    for (int64_t i = 0; i < s->n_concepts; i++)
        if (s->concepts[i].positives.n < FEWEST)
            va_diagnose(d, s->concepts[i].place, "",
                        "concept '%s': expected at least %d positives, got %lld",
                        s->concepts[i].name, FEWEST, (long long)s->concepts[i].positives.n);
}

static bool source_is_clear(va_diagnostics *d, const va_concept_source *source) {
    if ((source->file[0] != '\0') == (source->ontology.n > 0)) {
        va_diagnose(d, source->place, "",
                    "concepts: expected a list, {file: F} or {ontology: [F], "
                    "names: [...]}");
        return false;
    }
    if (source->ontology.n > 0 && source->names.n == 0) {
        va_diagnose(d, source->place, "", "concepts.names: missing (terms of the ontology)");
        return false;
    }
    if (source->ontology.n == 0 && source->names.n > 0) {
        va_diagnose(d, source->place, "",
                    "concepts.names: for an ontology; a file's are all taken");
        return false;
    }
    return true;
}

va_status va_spec_load_concepts(va_ctx *ctx, va_diagnostics *d, const char *path, va_spec *s) {
    va_status st = VA_OK;
    va_concept_source *source = &s->source;
    if (!source->file || !source_is_clear(d, source))
        return VA_OK; // inline, or diagnosed
    const bool file = source->file[0] != '\0';
    const int64_t n = file ? 1 : source->ontology.n;
    s->concept_inputs = (va_strings){.item = VA_NEW_ARRAY(d->arena, const char *, n), .n = n};
    VA_TRY_ALLOC(ctx, s->concept_inputs.item, s->concept_inputs.item);
    for (int64_t i = 0; i < n; i++)
        s->concept_inputs.item[i] = beside(d, path, file ? source->file : source->ontology.item[i],
                                           file ? source->place : source->ontology_place);
    const char *first = s->concept_inputs.item[0];
    if (!file)
        st = from_ontology(ctx, d, s);
    else if (ends_with(first, ".jsonl"))
        st = from_lines(ctx, d, first, s);
    else
        st = va_schema_read_document(ctx, d, "concepts", first, "concepts", s);
    if (st != VA_OK)
        va_diagnose(d, source->place, "", "concepts.%s: %s", file ? "file" : "ontology",
                    va_error_message(ctx));
    else
        check_positives(d, s);
done:
    return st;
}
