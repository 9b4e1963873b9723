// spec_write.c: parts of a typed experiment as YAML again, for the experiment as resolved.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "spec.h"

static va_yaml *scalar(va_arena *arena, const char *text, bool quoted) {
    va_yaml *n = VA_NEW(arena, va_yaml);
    if (n)
        *n = (va_yaml){.kind = VA_YAML_SCALAR, .text = text, .quoted = quoted};
    return n;
}

static va_yaml *branch(va_arena *arena, va_yaml_kind kind, int64_t cap) {
    va_yaml *n = VA_NEW(arena, va_yaml);
    if (!n)
        return NULL;
    *n = (va_yaml){.kind = kind,
                   .item = VA_NEW_ARRAY(arena, va_yaml *, cap),
                   .key = VA_NEW_ARRAY(arena, va_yaml *, cap)};
    return n->item && n->key ? n : NULL;
}

// false when memory ran out, for the item too.
static bool add(va_arena *arena, va_yaml *map, const char *key, va_yaml *item) {
    if (!item)
        return false;
    if (map->kind == VA_YAML_MAP && !(map->key[map->n] = scalar(arena, key, false)))
        return false;
    map->item[map->n++] = item;
    return true;
}

// Texts of one item are a list of their own.
static va_yaml *item_node(va_arena *arena, const va_strings *list, int64_t first, int64_t n) {
    if (n == 1)
        return scalar(arena, list->item[first], true);
    va_yaml *node = branch(arena, VA_YAML_SEQ, n);
    for (int64_t i = first; node && i < first + n; i++)
        if (!add(arena, node, NULL, scalar(arena, list->item[i], true)))
            return NULL;
    return node;
}

static va_yaml *texts(va_arena *arena, const va_strings *list) {
    va_yaml *node = branch(arena, VA_YAML_SEQ, list->n);
    for (int64_t i = 0, n; node && i < list->n; i += n) {
        for (n = 1; list->joined && i + n < list->n && list->joined[i + n];)
            n++;
        if (!add(arena, node, NULL, item_node(arena, list, i, n)))
            return NULL;
    }
    return node;
}

static va_yaml *concept_node(va_arena *arena, const va_concept *c) {
    enum { MAX_KEYS = 6 };
    va_yaml *n = branch(arena, VA_YAML_MAP, MAX_KEYS);
    if (!n || !add(arena, n, "name", scalar(arena, c->name, true)))
        return NULL;
    if (c->definition && c->definition[0] &&
        !add(arena, n, "definition", scalar(arena, c->definition, true)))
        return NULL;
    const char *layer = va_arena_printf(arena, "%lld", (long long)c->layer);
    if (!layer || !add(arena, n, "layer", scalar(arena, layer, false)) ||
        !add(arena, n, "positives", texts(arena, &c->positives)) ||
        !add(arena, n, "hard_negatives", texts(arena, &c->hard_negatives)) ||
        !add(arena, n, "random_negatives", texts(arena, &c->random_negatives)))
        return NULL;
    return n;
}

va_yaml *va_spec_concepts_yaml(va_arena *arena, const va_spec *s) {
    va_yaml *list = branch(arena, VA_YAML_SEQ, s->n_concepts);
    for (int64_t i = 0; list && i < s->n_concepts; i++)
        if (!add(arena, list, NULL, concept_node(arena, &s->concepts[i])))
            return NULL;
    return list;
}
