// spec_override.c: values put into the tree of an experiment: --set, and a matrix's variants.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "matrix.h"

static void mark_override(va_yaml *n) {
    n->line = VA_LINE_OF_SET;
    for (int64_t i = 0; i < n->n; i++) {
        mark_override(n->item[i]);
        if (n->kind == VA_YAML_MAP)
            n->key[i]->line = VA_LINE_OF_SET;
    }
}

// Where a node stands that this place puts in.
static int line_of(va_place at) {
    return strcmp(at.file, "--set") == 0 ? VA_LINE_OF_SET : at.line;
}

// The map's value slot for key, added when absent.
static va_yaml **slot_of(va_arena *arena, va_yaml *map, const char *key, va_place at) {
    for (int64_t i = 0; i < map->n; i++)
        if (strcmp(map->key[i]->text, key) == 0)
            return &map->item[i];
    va_yaml **items = VA_NEW_ARRAY(arena, va_yaml *, map->n + 1);
    va_yaml **keys = VA_NEW_ARRAY(arena, va_yaml *, map->n + 1);
    va_yaml *name = VA_NEW(arena, va_yaml);
    if (!items || !keys || !name)
        return NULL;
    for (int64_t i = 0; i < map->n; i++) {
        items[i] = map->item[i];
        keys[i] = map->key[i];
    }
    *name = (va_yaml){.kind = VA_YAML_SCALAR, .line = line_of(at), .col = at.col, .text = key};
    keys[map->n] = name;
    map->item = items;
    map->key = keys;
    return &map->item[map->n++];
}

// A copy of the node with lists of its own: an alias may have put it elsewhere in the tree too.
static va_yaml *unshared(va_arena *arena, const va_yaml *n) {
    va_yaml *copy = VA_NEW(arena, va_yaml);
    if (!copy)
        return NULL;
    *copy = *n;
    if (n->kind != VA_YAML_MAP || n->n == 0)
        return copy;
    copy->item = VA_NEW_ARRAY(arena, va_yaml *, n->n);
    copy->key = VA_NEW_ARRAY(arena, va_yaml *, n->n);
    if (!copy->item || !copy->key)
        return NULL;
    memcpy(copy->item, n->item, (size_t)n->n * sizeof *n->item);
    memcpy(copy->key, n->key, (size_t)n->n * sizeof *n->key);
    return copy;
}

// Walks down to the map that holds the last part of the path; NULL (diagnosed) when there is none.
static va_yaml **slot_at(va_diagnostics *d, va_yaml *root, char *path, va_place at,
                         const char *shown) {
    va_yaml *node = root;
    for (char *dot = strchr(path, '.'); dot; dot = strchr(path, '.')) {
        *dot = '\0';
        va_yaml **slot = node->kind == VA_YAML_MAP ? slot_of(d->arena, node, path, at) : NULL;
        if (slot)
            *slot = *slot ? unshared(d->arena, *slot) : VA_NEW(d->arena, va_yaml);
        if (slot && *slot && (*slot)->kind == VA_YAML_NULL) {
            (*slot)->kind = VA_YAML_MAP;
            (*slot)->line = line_of(at);
            (*slot)->col = at.col;
        }
        if (!slot || !*slot || (*slot)->kind != VA_YAML_MAP) {
            va_diagnose(d, at, "", "%s: '%s' is not a map", shown, path);
            return NULL;
        }
        node = *slot;
        path = dot + 1;
    }
    return node->kind == VA_YAML_MAP ? slot_of(d->arena, node, path, at) : NULL;
}

void va_spec_put(va_diagnostics *d, va_yaml *root, const char *path, va_yaml *value, va_place at) {
    char *copy = va_arena_strdup(d->arena, path);
    va_yaml **slot = copy ? slot_at(d, root, copy, at, path) : NULL;
    if (slot)
        *slot = value;
}

static void override_one(va_diagnostics *d, va_yaml *root, const char *set) {
    const va_place at = {"--set", 0, 0};
    const char *eq = strchr(set, '=');
    if (!eq || eq == set) {
        va_diagnose(d, at, "", "expected key=value, got '%s'", set);
        return;
    }
    va_yaml *value = NULL;
    va_ctx *quiet = va_ctx_create(NULL);
    if (eq[1] && va_yaml_parse(quiet, d->arena, "--set", eq + 1, (int64_t)strlen(eq + 1), NULL,
                               &value) != VA_OK)
        va_diagnose(d, at, "", "%s: the value is not YAML: %s", set, va_error_message(quiet));
    va_ctx_destroy(&quiet);
    if (!value)
        value = VA_NEW(d->arena, va_yaml); // key= clears it
    char *path = va_arena_strndup(d->arena, set, eq - set);
    va_yaml **slot = value && path ? slot_at(d, root, path, at, set) : NULL;
    if (!slot)
        return;
    mark_override(value);
    *slot = value;
}

void va_spec_override(va_diagnostics *d, va_yaml *root, const char *const *sets, int64_t n_sets) {
    for (int64_t i = 0; i < n_sets; i++)
        override_one(d, root, sets[i]);
}
