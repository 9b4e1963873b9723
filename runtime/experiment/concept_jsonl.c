// concept_jsonl.c: concepts out of JSON lines, in two forms: a concept a line, or an item a line.
// SPDX-License-Identifier: Apache-2.0
#include "concept_priv.h"

#include <stdlib.h>
#include <string.h>

enum side { POSITIVE, HARD, RANDOM, SIDES };

// An item of the second form.
typedef struct item {
    int64_t concept_id;
    enum side side;
    const char *text;
} item;

typedef struct jsonl {
    va_json_place at; // the line at hand
    const char *text; // of the file
    int64_t size;
    va_name_set names;
    va_concept_items *concepts; // [lines], names.n of them used
    item *items;                // [lines], n_items of them used
    int64_t n_items;
    int64_t first_line; // the first one that is not blank
    bool has_items;     // the form that it has
} jsonl;

// -- lines -----------------------------------------------------------------------------------

// Bytes of the line at text[begin], the end of line left out.
static int64_t line_bytes(const jsonl *r, int64_t begin) {
    const char *end = memchr(r->text + begin, '\n', (size_t)(r->size - begin));
    return end ? end - (r->text + begin) : r->size - begin;
}

static bool is_blank(const char *s, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r')
            return false;
    return true;
}

// The line at text[begin] as JSON. Where that fails it is read once more behind as many blank lines
// as stand before it in the file, for the fault's place.
static va_status parse_line(const jsonl *r, int64_t begin, int64_t n, va_json **root) {
    va_status st = va_json_parse(r->at.ctx, r->at.file, r->text + begin, n, root);
    if (st != VA_ERR_FORMAT)
        return st;
    char *blank = malloc((size_t)(begin + n));
    if (!blank)
        return st;
    for (int64_t i = 0; i < begin; i++)
        blank[i] = r->text[i] == '\n' ? '\n' : ' ';
    memcpy(blank + begin, r->text + begin, (size_t)n);
    st = va_json_parse(r->at.ctx, r->at.file, blank, begin + n, root);
    free(blank);
    return st;
}

static va_status check_keys(const jsonl *r, const va_json *v, const char *const *keys, int64_t n) {
    for (const va_json *c = va_json_first(v); c; c = va_json_next(c)) {
        const char *key = va_json_key(c);
        bool known = false;
        for (int64_t k = 0; k < n; k++)
            known |= strcmp(keys[k], key) == 0;
        const char *near = known ? NULL : va_did_you_mean(key, keys, n);
        if (!known)
            return va_json_place_fail(&r->at, "unknown key '%.60s'%s%s%s", key,
                                      near ? ", did you mean '" : "", near ? near : "",
                                      near ? "'?" : "");
    }
    return VA_OK;
}

// -- a concept a line ------------------------------------------------------------------------

static va_status read_negatives(const jsonl *r, const va_json *v, const char *key,
                                va_strings *out) {
    const va_json *list = va_json_get(v, key);
    return list ? va_json_take_texts(&r->at, list, key, VA_CONCEPT_MAX_TEXT, out) : VA_OK;
}

static va_status read_concept(jsonl *r, const va_json *v) {
    static const char *const keys[] = {"name",           "definition",       "positives",
                                       "hard_negatives", "random_negatives", "layer"};
    va_status st = VA_OK;
    va_concept_items c = {.line = r->at.line};
    const va_json *definition = va_json_get(v, "definition");
    int64_t id, n = r->names.n;
    VA_TRY(check_keys(r, v, keys, VA_COUNT(keys)));
    VA_TRY(va_json_take_text(&r->at, va_json_get(v, "name"), "name", VA_CONCEPT_MAX_NAME, &c.name));
    if (definition)
        VA_TRY(va_json_take_text(&r->at, definition, "definition", VA_CONCEPT_MAX_TEXT,
                                 &c.definition));
    if (!va_json_get(v, "positives"))
        VA_TRY(va_json_place_fail(&r->at, "positives is missing"));
    VA_TRY(va_json_take_texts(&r->at, va_json_get(v, "positives"), "positives", VA_CONCEPT_MAX_TEXT,
                              &c.positives));
    VA_TRY(read_negatives(r, v, "hard_negatives", &c.hard_negatives));
    VA_TRY(read_negatives(r, v, "random_negatives", &c.random_negatives));
    VA_TRY(va_json_take_layer(&r->at, va_json_get(v, "layer"), &c.layer));
    VA_TRY(va_name_set_add(&r->names, c.name, &id));
    if (id < n)
        VA_TRY(va_json_place_fail(&r->at, "concept '%.100s' is there twice, first in line %lld",
                                  c.name, (long long)r->concepts[id].line));
    r->concepts[id] = c;
done:
    return st;
}

// -- an item a line --------------------------------------------------------------------------

static va_status read_side(const jsonl *r, const va_json *v, enum side *side) {
    const va_json *label = va_json_get(v, "label"), *kind = va_json_get(v, "kind");
    const char *name = va_json_as_string(kind);
    int64_t is_positive;
    double got;
    if (!label)
        return va_json_place_fail(&r->at, "label is missing");
    if (!va_json_as_double(label, &got))
        return va_json_place_fail(&r->at, "label: expected 0 or 1, got %s", va_json_type(label));
    if (!va_json_as_int(label, &is_positive) || is_positive < 0 || is_positive > 1)
        return va_json_place_fail(&r->at, "label: expected 0 or 1, got %g", got);
    if (kind && is_positive)
        return va_json_place_fail(&r->at, "kind: expected only beside label 0, got label 1");
    if (kind && (!name || (strcmp(name, "hard") != 0 && strcmp(name, "random") != 0)))
        return va_json_place_fail(&r->at, "kind: expected hard or random, got %.60s",
                                  name ? name : va_json_type(kind));
    *side = is_positive ? POSITIVE : name && strcmp(name, "random") == 0 ? RANDOM : HARD;
    return VA_OK;
}

static va_status read_item(jsonl *r, const va_json *v) {
    static const char *const keys[] = {"concept", "text", "label", "kind"};
    va_status st = VA_OK;
    const char *name;
    item *it = &r->items[r->n_items];
    VA_TRY(check_keys(r, v, keys, VA_COUNT(keys)));
    VA_TRY(va_json_take_text(&r->at, va_json_get(v, "concept"), "concept", VA_CONCEPT_MAX_NAME,
                             &name));
    VA_TRY(
        va_json_take_text(&r->at, va_json_get(v, "text"), "text", VA_CONCEPT_MAX_TEXT, &it->text));
    VA_TRY(read_side(r, v, &it->side));
    VA_TRY(va_name_set_add(&r->names, name, &it->concept_id));
    va_concept_items *c = &r->concepts[it->concept_id];
    if (!c->name)
        *c = (va_concept_items){.name = name, .line = r->at.line};
    r->n_items++;
done:
    return st;
}

static va_strings *list_of(va_concept_items *c, enum side side) {
    va_strings *const lists[SIDES] = {&c->positives, &c->hard_negatives, &c->random_negatives};
    return lists[side];
}

static va_status gather_items(jsonl *r) {
    va_status st = VA_OK;
    for (int64_t i = 0; i < r->n_items; i++)
        list_of(&r->concepts[r->items[i].concept_id], r->items[i].side)->n++;
    for (int64_t c = 0; c < r->names.n; c++) {
        for (int s = 0; s < SIDES; s++) {
            va_strings *list = list_of(&r->concepts[c], (enum side)s);
            VA_TRY_ALLOC(r->at.ctx, list->item, VA_NEW_ARRAY(r->at.arena, const char *, list->n));
            list->n = 0;
        }
    }
    for (int64_t i = 0; i < r->n_items; i++) {
        va_strings *list = list_of(&r->concepts[r->items[i].concept_id], r->items[i].side);
        list->item[list->n++] = r->items[i].text;
    }
done:
    return st;
}

// -- the file --------------------------------------------------------------------------------

static va_status read_object(jsonl *r, const va_json *v) {
    const bool is_item = va_json_get(v, "concept") != NULL;
    if (!va_json_is_object(v))
        return va_json_place_fail(&r->at, "expected an object, got %s", va_json_type(v));
    if (!is_item && !va_json_get(v, "name"))
        return va_json_place_fail(&r->at, "expected \"name\" (a concept) or \"concept\" (one of "
                                          "its items), got neither");
    if (!r->first_line) {
        r->first_line = r->at.line;
        r->has_items = is_item;
    }
    if (is_item != r->has_items)
        return va_json_place_fail(
            &r->at, "%s, where line %lld is %s: a file has one form",
            is_item ? "one item of a concept" : "a concept with all its items",
            (long long)r->first_line, is_item ? "a concept with all its items" : "one item");
    return is_item ? read_item(r, v) : read_concept(r, v);
}

static va_status read_lines(jsonl *r) {
    va_status st = VA_OK;
    va_json *root = NULL;
    for (int64_t begin = 0, n; begin < r->size; begin += n + 1) {
        n = line_bytes(r, begin);
        r->at.line++;
        if (is_blank(r->text + begin, n))
            continue;
        VA_TRY(parse_line(r, begin, n, &root));
        VA_TRY(read_object(r, root));
        va_json_free(&root);
    }
done:
    va_json_free(&root);
    return st;
}

// Room for as many concepts and items as there are lines.
static va_status make_room(jsonl *r, va_arena *step) {
    va_status st = VA_OK;
    int64_t lines = 0;
    for (int64_t begin = 0, n; begin < r->size; begin += n + 1) {
        n = line_bytes(r, begin);
        lines += !is_blank(r->text + begin, n);
    }
    if (lines == 0)
        return va_fail(r->at.ctx, VA_ERR_FORMAT, "%s: expected concepts, found none", r->at.file);
    if (lines > VA_CONCEPT_MAX_LINES)
        return va_fail(r->at.ctx, VA_ERR_FORMAT, "%s: expected at most %d lines, got %lld",
                       r->at.file, VA_CONCEPT_MAX_LINES, (long long)lines);
    VA_TRY_ALLOC(r->at.ctx, r->concepts, VA_NEW_ARRAY(step, va_concept_items, lines));
    VA_TRY_ALLOC(r->at.ctx, r->items, VA_NEW_ARRAY(step, item, lines));
done:
    return st;
}

static va_status open_limited(va_ctx *ctx, const char *path, va_map *map) {
    va_status st = VA_OK;
    VA_TRY(va_map_open(ctx, path, map));
    if (map->size_bytes > VA_CONCEPT_MAX_BYTES) {
        char got[32], limit[32];
        st = va_fail(ctx, VA_ERR_FORMAT, "%s: expected at most %s, got %s", path,
                     va_format_bytes(limit, VA_CONCEPT_MAX_BYTES),
                     va_format_bytes(got, map->size_bytes));
    }
done:
    return st;
}

va_status va_concepts_jsonl(va_ctx *ctx, va_arena *arena, const char *path, va_concept_items **list,
                            int64_t *n) {
    va_status st = VA_OK;
    va_map map = {0};
    va_arena *step = NULL;
    *list = NULL;
    *n = 0;
    VA_TRY(open_limited(ctx, path, &map));
    VA_TRY_ALLOC(ctx, step, va_arena_create());
    jsonl r = {.at = {.ctx = ctx, .arena = arena, .file = path},
               .text = (const char *)map.data,
               .size = map.size_bytes,
               .names = {.ctx = ctx, .arena = step}};
    VA_TRY(make_room(&r, step));
    VA_TRY(read_lines(&r));
    if (r.has_items)
        VA_TRY(gather_items(&r));
    VA_TRY_ALLOC(ctx, *list, VA_NEW_ARRAY(arena, va_concept_items, r.names.n));
    memcpy(*list, r.concepts, (size_t)r.names.n * sizeof **list);
    *n = r.names.n;
done:
    va_arena_destroy(&step);
    va_map_close(&map);
    return st;
}
