// schema.c: walks a YAML tree by the table of fields into typed structs, collecting all mistakes.
// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <math.h>
#include <string.h>

typedef struct va_walk {
    va_ctx *ctx;
    va_diagnostics *diag;
    va_arena *arena;
    const char *file;
} va_walk;

static void read_map(va_walk *w, const va_field *fields, const va_yaml *map, const char *where,
                     char *base);

static va_place place_of(const va_walk *w, const va_yaml *n) {
    if (n->line == VA_LINE_OF_SET)
        return (va_place){"--set", 0, 0};
    return (va_place){w->file, n->line, n->col};
}

static const char *node_text(const va_yaml *n) {
    switch (n->kind) {
    case VA_YAML_NULL:
        return "nothing";
    case VA_YAML_SEQ:
        return "a list";
    case VA_YAML_MAP:
        return "a map";
    default:
        return n->text;
    }
}

static void expected(va_walk *w, const va_yaml *n, const char *where, const char *what) {
    va_diagnose(w->diag, place_of(w, n), "", "%s: expected %s, got %s%.60s%s", where, what,
                n->kind == VA_YAML_SCALAR ? "'" : "", node_text(n),
                n->kind == VA_YAML_SCALAR ? "'" : "");
}

// "one of exact, detached"
static const char *choice_text(va_walk *w, const char *const *choices) {
    const char *text = choices[1] ? "one of " : "";
    for (int64_t i = 0; choices[i]; i++)
        text = va_arena_printf(w->arena, "%s%s%s", text, i ? ", " : "", choices[i]);
    return text;
}

static int64_t find_choice(va_walk *w, const va_field *f, const va_yaml *n, const char *where) {
    int64_t n_choices = 0;
    for (; f->choices[n_choices]; n_choices++)
        if (n->kind == VA_YAML_SCALAR && strcmp(f->choices[n_choices], n->text) == 0)
            return n_choices;
    const char *near =
        n->kind == VA_YAML_SCALAR ? va_did_you_mean(n->text, f->choices, n_choices) : NULL;
    va_diagnose(w->diag, place_of(w, n),
                near ? va_arena_printf(w->arena, "did you mean '%s'?", near) : "",
                "%s: expected %s, got '%.60s'", where, choice_text(w, f->choices), node_text(n));
    return -1;
}

static bool in_bounds(va_walk *w, const va_field *f, const va_yaml *n, const char *where,
                      double v) {
    if (f->max == 0 || (v >= f->min && v <= f->max))
        return true;
    va_diagnose(w->diag, place_of(w, n), "", "%s: expected a number from %g to %g, got %s", where,
                f->min, f->max, n->text);
    return false;
}

static bool read_int(va_walk *w, const va_field *f, const va_yaml *n, const char *where,
                     int64_t *out) {
    if (!va_yaml_as_int(n, out)) {
        expected(w, n, where, "an integer");
        return false;
    }
    return in_bounds(w, f, n, where, (double)*out);
}

static bool is_text(const va_yaml *n) {
    return n->kind == VA_YAML_SCALAR && n->text[0] != '\0';
}

int64_t va_field_max_items(const va_field *f) {
    int64_t n = 0;
    while (f->type == VA_FIELD_CHOICES && f->choices[n])
        n++;
    return n ? n : VA_MAX_ITEMS;
}

static bool count_ok(va_walk *w, const va_field *f, const va_yaml *n, const char *where) {
    int64_t most = va_field_max_items(f);
    if (n->n >= f->min_items && n->n <= most)
        return true;
    int64_t bound = n->n < f->min_items ? f->min_items : most;
    va_diagnose(w->diag, place_of(w, n), "", "%s: expected at %s %lld %s, got %lld", where,
                n->n < f->min_items ? "least" : "most", (long long)bound,
                bound == 1 ? "entry" : "entries", (long long)n->n);
    return false;
}

// Items of a list field; a lone scalar is not a list.
static bool list_ok(va_walk *w, const va_field *f, const va_yaml *n, const char *where,
                    const char *what) {
    if (n->kind != VA_YAML_SEQ) {
        expected(w, n, where, what);
        return false;
    }
    return count_ok(w, f, n, where);
}

static void read_strings(va_walk *w, const va_field *f, const va_yaml *n, const char *where,
                         va_strings *out) {
    if (!list_ok(w, f, n, where, "a list of strings"))
        return;
    out->item = VA_NEW_ARRAY(w->arena, const char *, n->n);
    for (int64_t i = 0; i < n->n && out->item; i++) {
        const char *at = va_arena_printf(w->arena, "%s[%lld]", where, (long long)i);
        if (f->type == VA_FIELD_CHOICES) {
            int64_t c = find_choice(w, f, n->item[i], at);
            if (c >= 0)
                out->item[out->n++] = f->choices[c];
        } else if (is_text(n->item[i])) {
            out->item[out->n++] = va_arena_strdup(w->arena, n->item[i]->text);
        } else {
            expected(w, n->item[i], at, "a string that is not empty");
        }
    }
}

static int64_t count_texts(const va_yaml *list) {
    int64_t n = 0;
    for (int64_t i = 0; i < list->n; i++)
        n += list->item[i]->kind == VA_YAML_SEQ ? list->item[i]->n : 1;
    return n;
}

// A string, or a list of strings that belong together.
static void read_items(va_walk *w, const va_field *f, const va_yaml *n, const char *where,
                       va_strings *out) {
    if (!list_ok(w, f, n, where, "a list of strings"))
        return;
    const int64_t most = count_texts(n);
    out->item = VA_NEW_ARRAY(w->arena, const char *, most);
    out->joined = VA_NEW_ARRAY(w->arena, bool, most);
    for (int64_t i = 0; i < n->n && out->item && out->joined; i++) {
        va_yaml *const *texts = n->item[i]->kind == VA_YAML_SEQ ? n->item[i]->item : &n->item[i];
        const int64_t n_texts = n->item[i]->kind == VA_YAML_SEQ ? n->item[i]->n : 1;
        const char *at = va_arena_printf(w->arena, "%s[%lld]", where, (long long)i);
        if (n_texts == 0)
            expected(w, n->item[i], at, "a string, or a list of them");
        for (int64_t k = 0; k < n_texts; k++) {
            if (!is_text(texts[k])) {
                expected(w, texts[k], at, "a string that is not empty");
                continue;
            }
            out->joined[out->n] = k > 0;
            out->item[out->n++] = va_arena_strdup(w->arena, texts[k]->text);
        }
    }
}

static void read_ints(va_walk *w, const va_field *f, const va_yaml *n, const char *where,
                      int64_t **out, int64_t *count) {
    if (!list_ok(w, f, n, where, "a list of integers"))
        return;
    *out = VA_NEW_ARRAY(w->arena, int64_t, n->n);
    *count = 0;
    for (int64_t i = 0; i < n->n && *out; i++) {
        const char *at = va_arena_printf(w->arena, "%s[%lld]", where, (long long)i);
        if (read_int(w, f, n->item[i], at, &(*out)[*count]))
            (*count)++;
    }
}

static void read_list(va_walk *w, const va_field *f, const va_yaml *n, const char *where,
                      char *base) {
    if (!list_ok(w, f, n, where, "a list of maps"))
        return;
    char *array = va_arena_array(w->arena, n->n, (int64_t)f->size);
    for (int64_t i = 0; i < n->n && array; i++) {
        const char *at = va_arena_printf(w->arena, "%s[%lld]", where, (long long)i);
        read_map(w, f->sub, n->item[i], at, array + i * (int64_t)f->size);
    }
    memcpy(base + f->offset, &array, sizeof array);
    memcpy(base + f->count_offset, &n->n, sizeof n->n);
}

static void read_named(va_walk *w, const va_field *f, const va_yaml *n, const char *where,
                       char *base) {
    if (n->kind != VA_YAML_MAP || n->n < f->min_items) {
        expected(w, n, where, "a map of names with at least one entry");
        return;
    }
    if (!count_ok(w, f, n, where))
        return;
    va_direction_spec *array = va_arena_array(w->arena, n->n, (int64_t)f->size);
    for (int64_t i = 0; i < n->n && array; i++) {
        const char *at = va_arena_printf(w->arena, "%s.%.80s", where, n->key[i]->text);
        array[i].name = va_arena_strdup(w->arena, n->key[i]->text);
        array[i].place = place_of(w, n->key[i]);
        const va_yaml *kind = va_yaml_get(n->item[i], "kind");
        if (n->item[i]->kind != VA_YAML_MAP || !kind) {
            va_diagnose(w->diag, place_of(w, n->item[i]), "", "%s: expected a map with 'kind' (%s)",
                        at, choice_text(w, f->variants[0]->choices));
            continue;
        }
        int64_t c = find_choice(w, f->variants[0], kind, va_arena_printf(w->arena, "%s.kind", at));
        if (c >= 0)
            read_map(w, f->variants[c], n->item[i], at, (char *)&array[i]);
    }
    memcpy(base + f->offset, &array, sizeof array);
    memcpy(base + f->count_offset, &n->n, sizeof n->n);
}

static void read_double(va_walk *w, const va_field *f, const va_yaml *n, const char *where,
                        void *at) {
    double v = 0;
    if (!va_yaml_as_double(n, &v) || !isfinite(v))
        expected(w, n, where, "a number");
    else if (in_bounds(w, f, n, where, v))
        memcpy(at, &v, sizeof v);
}

static void read_value(va_walk *w, const va_field *f, const va_yaml *n, const char *where,
                       char *base) {
    void *at = base + f->offset;
    int64_t i = 0;
    bool b = false;
    switch (f->type) {
    case VA_FIELD_STRING:
        if (n->kind != VA_YAML_SCALAR || (f->required && !is_text(n))) {
            expected(w, n, where, f->required ? "a string that is not empty" : "a string");
            break;
        }
        *(const char **)at = va_arena_strdup(w->arena, n->text);
        break;
    case VA_FIELD_INT:
        if (read_int(w, f, n, where, &i))
            memcpy(at, &i, sizeof i);
        break;
    case VA_FIELD_DOUBLE:
        read_double(w, f, n, where, at);
        break;
    case VA_FIELD_BOOL:
        if (va_yaml_as_bool(n, &b))
            memcpy(at, &b, sizeof b);
        else
            expected(w, n, where, "true or false");
        break;
    case VA_FIELD_CHOICE:
    case VA_FIELD_ENUM:
        i = find_choice(w, f, n, where);
        if (i >= 0 && f->type == VA_FIELD_CHOICE)
            *(const char **)at = f->choices[i];
        else if (i >= 0)
            *(int *)at = (int)i;
        break;
    case VA_FIELD_STRINGS:
    case VA_FIELD_CHOICES:
        read_strings(w, f, n, where, at);
        break;
    case VA_FIELD_INTS:
        read_ints(w, f, n, where, at, (int64_t *)(void *)(base + f->count_offset));
        break;
    case VA_FIELD_ITEMS:
        read_items(w, f, n, where, at);
        break;
    case VA_FIELD_GROUP:
        read_map(w, f->sub, n, where, base);
        break;
    case VA_FIELD_LIST:
        read_list(w, f, n, where, base);
        break;
    case VA_FIELD_NAMED:
        read_named(w, f, n, where, base);
        break;
    case VA_FIELD_LIST_OR_MAP:
        if (n->kind == VA_YAML_MAP)
            read_map(w, f->map_sub, n, where, base + f->map_offset);
        else
            read_list(w, f, n, where, base);
        break;
    case VA_FIELD_MATRIX:
        break;
    }
}

static void read_default(va_walk *w, const va_field *f, const char *where, char *base) {
    va_yaml *n = NULL;
    if (!f->default_text)
        return;
    if (va_yaml_parse(w->ctx, w->arena, "default", f->default_text,
                      (int64_t)strlen(f->default_text), NULL, &n) == VA_OK)
        read_value(w, f, n, where, base);
}

static void report_unknown(va_walk *w, const va_field *fields, const va_yaml *key,
                           const char *where) {
    const char *known[64] = {0};
    int64_t n = 0;
    for (const va_field *f = fields; f->key && n < 64; f++)
        known[n++] = f->key;
    const char *near = va_did_you_mean(key->text, known, n);
    const char *list = "";
    for (int64_t i = 0; i < n; i++)
        list = va_arena_printf(w->arena, "%s%s%s", list, i ? ", " : "", known[i]);
    va_diagnose(w->diag, place_of(w, key),
                near ? va_arena_printf(w->arena, "did you mean '%s'?", near) : "",
                "%s: unknown key '%.60s'; expected one of %s", where[0] ? where : "experiment",
                key->text, list);
}

static void read_map(va_walk *w, const va_field *fields, const va_yaml *map, const char *where,
                     char *base) {
    if (map->kind != VA_YAML_MAP) {
        expected(w, map, where[0] ? where : "experiment", "a map");
        return;
    }
    for (int64_t i = 0; i < map->n; i++) {
        const va_field *f = fields;
        while (f->key && strcmp(f->key, map->key[i]->text) != 0)
            f++;
        if (!f->key)
            report_unknown(w, fields, map->key[i], where);
    }
    for (const va_field *f = fields; f->key; f++) {
        const va_yaml *n = va_yaml_get(map, f->key);
        const char *at = where[0] ? va_arena_printf(w->arena, "%s.%s", where, f->key) : f->key;
        if (f->place_offset) {
            va_place p = place_of(w, n ? n : map);
            memcpy(base + f->place_offset - 1, &p, sizeof p);
        }
        const bool present = n && !(n->kind == VA_YAML_NULL && !f->required);
        if (f->present_offset)
            memcpy(base + f->present_offset - 1, &present, sizeof present);
        if (present)
            read_value(w, f, n, at, base);
        else if (f->required)
            va_diagnose(w->diag, place_of(w, map), "", "%s: missing (%s)", at, f->help);
        else
            read_default(w, f, at, base);
    }
}

va_status va_schema_read_document(va_ctx *ctx, va_diagnostics *d, const char *key, const char *file,
                                  const char *where, va_spec *spec) {
    va_status st = VA_OK;
    va_walk w = {.ctx = ctx, .diag = d, .arena = d->arena, .file = file};
    const va_field *f = va_experiment_fields;
    va_yaml *root = NULL;
    while (strcmp(f->key, key) != 0)
        f++;
    VA_TRY(va_yaml_load(ctx, d->arena, file, NULL, &root));
    read_list(&w, f, root, where, (char *)spec);
done:
    return st;
}

va_status va_spec_read(va_ctx *ctx, va_diagnostics *d, const va_yaml *root, const char *path,
                       va_spec *spec) {
    va_walk w = {.ctx = ctx, .diag = d, .arena = d->arena, .file = path};
    read_map(&w, va_experiment_fields, root, "", (char *)spec);
    return VA_OK;
}
