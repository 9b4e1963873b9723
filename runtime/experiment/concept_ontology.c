// concept_ontology.c: ontology files to terms, their children and their parents.
// SPDX-License-Identifier: Apache-2.0
#include "concept_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// -- terms -----------------------------------------------------------------------------------

static va_status grow_terms(va_ontology *o) {
    va_status st = VA_OK;
    const int64_t cap = o->cap ? 2 * o->cap : 16;
    va_term *term;
    VA_TRY_ALLOC(o->ctx, term, VA_NEW_ARRAY(o->arena, va_term, cap));
    if (o->cap > 0)
        memcpy(term, o->term, (size_t)o->cap * sizeof *term);
    o->term = term;
    o->cap = cap;
done:
    return st;
}

// The term's number; a new one is known by its name only.
static va_status add_term(va_ontology *o, const va_json_place *at, const char *name, int64_t *id) {
    va_status st = VA_OK;
    VA_TRY(va_name_set_add(&o->names, name, id));
    if (o->names.n > VA_CONCEPT_MAX_TERMS)
        return va_json_place_fail(at, "'%.100s' is one term more than the %d that are allowed",
                                  name, VA_CONCEPT_MAX_TERMS);
    if (o->names.n > o->cap)
        VA_TRY(grow_terms(o));
done:
    return st;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_term(const va_term *a, const va_term *b) {
    return a->layer == b->layer && same_text(a->definition, b->definition) &&
           a->n_children == b->n_children &&
           (a->n_children == 0 ||
            memcmp(a->child, b->child, (size_t)a->n_children * sizeof *a->child) == 0);
}

static va_status define_term(va_ontology *o, const va_json_place *at, int64_t id,
                             const va_term *term) {
    va_term *t = &o->term[id];
    if (t->file && !same_term(t, term))
        return va_json_place_fail(at, "'%.100s' is defined otherwise in %s: concepts[%lld]",
                                  o->names.name[id], t->file, (long long)t->index);
    if (!t->file)
        *t = *term;
    return VA_OK;
}

// -- files -----------------------------------------------------------------------------------

static va_status read_children(va_ontology *o, const va_json_place *at, const va_json *v,
                               va_term *term) {
    va_status st = VA_OK;
    va_strings names;
    if (!v || va_json_is_null(v))
        return VA_OK;
    VA_TRY(va_json_take_texts(at, v, "category_children", VA_CONCEPT_MAX_NAME, &names));
    VA_TRY_ALLOC(o->ctx, term->child, VA_NEW_ARRAY(o->arena, int64_t, names.n));
    term->n_children = names.n;
    for (int64_t i = 0; i < names.n; i++)
        VA_TRY(add_term(o, at, names.item[i], &term->child[i]));
done:
    return st;
}

static va_status read_term(va_ontology *o, const va_json_place *at, const va_json *v,
                           int64_t layer) {
    va_status st = VA_OK;
    va_term term = {.layer = layer, .file = at->file, .index = at->index};
    const va_json *definition = va_json_get(v, "definition");
    const char *name;
    int64_t id;
    if (!va_json_is_object(v))
        return va_json_place_fail(at, "expected an object, got %s", va_json_type(v));
    VA_TRY(va_json_take_text(at, va_json_get(v, "sumo_term"), "sumo_term", VA_CONCEPT_MAX_NAME,
                             &name));
    VA_TRY(add_term(o, at, name, &id)); // before its children, so that numbers follow the text
    const char *text = va_json_as_string(definition);
    if (definition && !va_json_is_null(definition) && !(text && !*text))
        VA_TRY(
            va_json_take_text(at, definition, "definition", VA_CONCEPT_MAX_TEXT, &term.definition));
    VA_TRY(read_children(o, at, va_json_get(v, "category_children"), &term));
    VA_TRY(define_term(o, at, id, &term));
done:
    return st;
}

static va_status read_file(va_ontology *o, const char *path) {
    va_status st = VA_OK;
    va_json *root = NULL;
    int64_t layer, unused;
    va_json_place at = {.ctx = o->ctx, .arena = o->arena, .index = -1};
    VA_TRY_ALLOC(o->ctx, at.file, va_arena_strdup(o->arena, path));
    VA_TRY(va_name_set_add(&o->files, at.file, &unused));
    VA_TRY(va_json_load(o->ctx, path, VA_CONCEPT_MAX_BYTES, &root));
    const va_json *concepts = va_json_get(root, "concepts");
    if (!va_json_is_object(root))
        VA_TRY(va_json_place_fail(&at, "expected an object, got %s", va_json_type(root)));
    if (!va_json_is_array(concepts))
        VA_TRY(
            va_json_place_fail(&at, "concepts: expected an array, got %s", va_json_type(concepts)));
    VA_TRY(va_json_take_layer(&at, va_json_get(root, "layer"), &layer));
    for (const va_json *c = va_json_first(concepts); c; c = va_json_next(c)) {
        at.index++;
        VA_TRY(read_term(o, &at, c, layer));
    }
done:
    va_json_free(&root);
    return st;
}

// -- folders ---------------------------------------------------------------------------------

static int is_json(const struct dirent *entry) {
    const size_t n = strlen(entry->d_name);
    return n > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 5, ".json") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name); // alphasort would ask the locale
}

static va_status read_folder(va_ontology *o, const char *dir) {
    va_status st = VA_OK;
    struct dirent **entry = NULL;
    const int n = scandir(dir, &entry, is_json, by_name);
    if (n < 0)
        return va_fail(o->ctx, VA_ERR_FILE, "%s: cannot be read: %s", dir, strerror(errno));
    if (n == 0)
        VA_TRY(va_fail(o->ctx, VA_ERR_FILE, "%s: expected *.json files, found none", dir));
    if (n > VA_CONCEPT_MAX_FILES)
        VA_TRY(va_fail(o->ctx, VA_ERR_FILE, "%s: expected at most %d *.json files, found %d", dir,
                       VA_CONCEPT_MAX_FILES, n));
    for (int i = 0; i < n; i++) {
        const char *path;
        VA_TRY_ALLOC(o->ctx, path, va_path_join(o->arena, dir, entry[i]->d_name));
        VA_TRY(read_file(o, path));
    }
done:
    for (int i = 0; i < n; i++)
        free(entry[i]);
    free(entry);
    return st;
}

// -- parents ---------------------------------------------------------------------------------

// A term that lists itself is not its own parent; one that lists another twice is twice.
static va_status link_parents(va_ontology *o) {
    va_status st = VA_OK;
    for (int64_t i = 0; i < o->names.n; i++)
        for (int64_t c = 0; c < o->term[i].n_children; c++)
            o->term[o->term[i].child[c]].n_parents += o->term[i].child[c] != i;
    for (int64_t i = 0; i < o->names.n; i++) {
        va_term *t = &o->term[i];
        VA_TRY_ALLOC(o->ctx, t->parent, VA_NEW_ARRAY(o->arena, int64_t, t->n_parents));
        t->n_parents = 0;
    }
    for (int64_t i = 0; i < o->names.n; i++) {
        for (int64_t c = 0; c < o->term[i].n_children; c++) {
            va_term *t = &o->term[o->term[i].child[c]];
            if (t == &o->term[i])
                continue;
            if (!t->file && t->n_parents == 0) // only defined terms have children
                t->layer = o->term[i].layer + 1;
            t->parent[t->n_parents++] = i;
        }
    }
done:
    return st;
}

va_status va_ontology_read(va_ctx *ctx, va_arena *arena, const char *const *paths, int64_t n_paths,
                           va_ontology **ontology) {
    va_status st = VA_OK;
    va_ontology *o;
    *ontology = NULL;
    if (n_paths < 1 || n_paths > VA_CONCEPT_MAX_FILES)
        return va_fail(ctx, VA_ERR_USAGE, "an ontology: expected 1 to %d files, got %lld",
                       VA_CONCEPT_MAX_FILES, (long long)n_paths);
    VA_TRY_ALLOC(ctx, o, VA_NEW(arena, va_ontology));
    *o = (va_ontology){.ctx = ctx,
                       .arena = arena,
                       .names = {.ctx = ctx, .arena = arena},
                       .files = {.ctx = ctx, .arena = arena}};
    VA_TRY_ALLOC(ctx, o->where, va_arena_strdup(arena, paths[0]));
    for (int64_t i = 0; i < n_paths; i++)
        VA_TRY(va_path_is_dir(paths[i]) ? read_folder(o, paths[i]) : read_file(o, paths[i]));
    if (o->names.n == 0)
        VA_TRY(va_fail(ctx, VA_ERR_FORMAT, "%s: expected concepts, found none", o->where));
    VA_TRY(link_parents(o));
    *ontology = o;
done:
    return st;
}

va_strings va_ontology_files(const va_ontology *o) {
    return (va_strings){.item = o->files.name, .n = o->files.n};
}

int64_t va_ontology_count(const va_ontology *o) {
    return o->names.n;
}

const char *va_ontology_name(const va_ontology *o, int64_t i) {
    return o->names.name[i];
}

bool va_ontology_defined(const va_ontology *o, int64_t i) {
    return o->term[i].file != NULL;
}
