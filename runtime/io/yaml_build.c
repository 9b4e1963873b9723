// yaml_build.c: libyaml's events to a tree with places.
//
// Limits hold while the tree grows, so a hostile file costs no more than the limits say. Aliases
// point at the anchored node; how many nodes and bytes they would expand to is computed from the
// sizes of what they point at, never by expanding.
// SPDX-License-Identifier: Apache-2.0
#include "yaml_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

va_status va_yaml_fail_at(va_yaml_builder *b, int64_t line, int64_t col, const char *fmt, ...) {
    va_list args;
    char message[512];
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    return va_fail(b->ctx, VA_ERR_SPEC, "%s:%lld:%lld: %s", b->name, (long long)line,
                   (long long)col, message);
}

va_status va_yaml_fail_memory(va_yaml_builder *b) {
    return va_fail(b->ctx, VA_ERR_MEMORY, "%s: out of host memory", b->name);
}

#define FAIL_MARK(b, mark, ...)                                                                    \
    va_yaml_fail_at((b), (int64_t)(mark).line + 1, (int64_t)(mark).column + 1, __VA_ARGS__)

static int64_t add_saturating(int64_t x, int64_t y) {
    int64_t sum = INT64_MAX;
    va_add_i64(x, y, &sum);
    return sum;
}

static va_status make_node(va_yaml_builder *b, va_yaml_kind kind, yaml_mark_t place,
                           va_yaml **node) {
    if (b->n_made++ >= b->limits.max_nodes)
        return FAIL_MARK(b, place, "more than %lld nodes", (long long)b->limits.max_nodes);
    *node = VA_NEW(b->arena, va_yaml);
    if (!*node)
        return va_yaml_fail_memory(b);
    (*node)->kind = kind;
    (*node)->line = (int)place.line + 1;
    (*node)->col = (int)place.column + 1;
    return VA_OK;
}

static va_status add_anchor(va_yaml_builder *b, const yaml_char_t *name, yaml_mark_t place,
                            va_yaml *node, va_yaml_extent size, bool open, int *index) {
    *index = -1;
    if (!name)
        return VA_OK;
    if (b->n_anchors == VA_YAML_MAX_ANCHORS)
        return FAIL_MARK(b, place, "more than %d anchors", VA_YAML_MAX_ANCHORS);
    const char *copy = va_arena_strdup(b->arena, (const char *)name);
    if (!copy)
        return va_yaml_fail_memory(b);
    *index = b->n_anchors++;
    b->anchors[*index] = (va_yaml_anchor){copy, node, size, open};
    return VA_OK;
}

// -- putting nodes into what is open ---------------------------------------------------------

static va_status grow(va_yaml_builder *b, va_yaml_frame *f) {
    if (f->node->n < f->cap)
        return VA_OK;
    int64_t cap = VA_MAX(2 * f->cap, 8);
    va_yaml **item = realloc(f->item, (size_t)cap * sizeof *item);
    if (!item)
        return va_yaml_fail_memory(b);
    f->item = item;
    va_yaml **key = realloc(f->key, (size_t)cap * sizeof *key);
    if (!key)
        return va_yaml_fail_memory(b);
    f->key = key;
    f->cap = cap;
    return VA_OK;
}

static va_status check_key(va_yaml_builder *b, const va_yaml *key, yaml_mark_t place) {
    if (!key->text)
        return FAIL_MARK(b, place, "a key must be a scalar, got a sequence or map");
    if (!key->quoted && strcmp(key->text, "<<") == 0)
        return FAIL_MARK(b, place, "merge keys (<<) are not supported: write the entries out");
    if (!key->quoted && key->text[0] == '\0')
        return FAIL_MARK(b, place, "expected a key before ':'");
    return VA_OK;
}

// Adds a finished node, or an alias's, to the innermost open node.
static va_status attach(va_yaml_builder *b, va_yaml *node, va_yaml_extent size, yaml_mark_t place) {
    if (b->depth == 0) {
        b->root = node;
        return VA_OK;
    }
    va_status st = VA_OK;
    va_yaml_frame *f = &b->stack[b->depth - 1];
    f->extent.n_nodes = add_saturating(f->extent.n_nodes, size.n_nodes);
    f->extent.n_bytes = add_saturating(f->extent.n_bytes, size.n_bytes);
    f->extent.height = VA_MAX(f->extent.height, size.height + 1);
    if (f->extent.n_nodes > b->limits.max_nodes)
        return FAIL_MARK(b, place, "more than %lld nodes once aliases are expanded",
                         (long long)b->limits.max_nodes);
    if (f->extent.n_bytes > b->limits.max_bytes)
        return FAIL_MARK(b, place, "more than %lld bytes of text once aliases are expanded",
                         (long long)b->limits.max_bytes);
    if (b->depth + size.height > b->limits.max_depth)
        return FAIL_MARK(b, place, "nested deeper than %d levels once aliases are expanded",
                         b->limits.max_depth);
    if (f->node->kind == VA_YAML_MAP && !f->pending) {
        VA_TRY(check_key(b, node, place));
        node->kind = VA_YAML_SCALAR; // also when its text is "null"
        f->pending = node;
        return VA_OK;
    }
    VA_TRY(grow(b, f));
    f->key[f->node->n] = f->pending;
    f->item[f->node->n++] = node;
    f->pending = NULL;
done:
    return st;
}

static bool is_null(const char *text) {
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
           strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

// Tags would change what a scalar means; only "it is a string" can be said by them.
static va_status check_tag(va_yaml_builder *b, const yaml_char_t *tag, yaml_mark_t place,
                           bool *string) {
    const char *t = (const char *)tag;
    *string = t && (strcmp(t, YAML_STR_TAG) == 0 || strcmp(t, "!") == 0);
    if (!t || *string)
        return VA_OK;
    return FAIL_MARK(b, place, "the tag %.80s is not supported", t);
}

static va_status on_scalar(va_yaml_builder *b, const yaml_event_t *e) {
    va_status st = VA_OK;
    va_yaml *node;
    bool string;
    int index;
    const char *text = (const char *)e->data.scalar.value;
    size_t length = e->data.scalar.length;
    const va_yaml_extent size = {1, (int64_t)length, 0};
    VA_TRY(check_tag(b, e->data.scalar.tag, e->start_mark, &string));
    if (memchr(text, '\0', length))
        VA_TRY(FAIL_MARK(b, e->start_mark, "a NUL character (\\0) in a string is not supported"));
    VA_TRY(make_node(b, VA_YAML_SCALAR, e->start_mark, &node));
    node->quoted = string || e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    VA_TRY_ALLOC(b->ctx, node->text, va_arena_strndup(b->arena, text, (int64_t)length));
    if (!node->quoted && is_null(node->text))
        node->kind = VA_YAML_NULL;
    VA_TRY(add_anchor(b, e->data.scalar.anchor, e->start_mark, node, size, false, &index));
    VA_TRY(attach(b, node, size, e->start_mark));
done:
    return st;
}

static va_status on_alias(va_yaml_builder *b, const yaml_event_t *e) {
    const char *name = (const char *)e->data.alias.anchor;
    int i = b->n_anchors - 1;
    while (i >= 0 && strcmp(b->anchors[i].name, name) != 0)
        i--;
    yaml_mark_t m = e->start_mark;
    if (i < 0)
        return FAIL_MARK(b, m, "no anchor &%.80s before the alias *%.80s", name, name);
    if (b->anchors[i].open)
        return FAIL_MARK(b, m, "the alias *%.80s stands inside its own anchor", name);
    const va_yaml_frame *f = b->depth > 0 ? &b->stack[b->depth - 1] : NULL;
    if (f && f->node->kind == VA_YAML_MAP && !f->pending)
        return FAIL_MARK(b, m, "an alias cannot be a key");
    return attach(b, b->anchors[i].node, b->anchors[i].extent, m);
}

static va_status on_start(va_yaml_builder *b, va_yaml_kind kind, const yaml_char_t *anchor_name,
                          const yaml_char_t *tag, yaml_mark_t place) {
    va_status st = VA_OK;
    va_yaml *node;
    int index;
    const char *core = kind == VA_YAML_SEQ ? YAML_SEQ_TAG : YAML_MAP_TAG;
    if (tag && strcmp((const char *)tag, core) != 0)
        VA_TRY(FAIL_MARK(b, place, "the tag %.80s is not supported", (const char *)tag));
    if (b->depth == b->limits.max_depth)
        VA_TRY(FAIL_MARK(b, place, "nested deeper than %d levels", b->limits.max_depth));
    VA_TRY(make_node(b, kind, place, &node));
    VA_TRY(add_anchor(b, anchor_name, place, node, (va_yaml_extent){1, 0, 1}, true, &index));
    b->stack[b->depth++] = (va_yaml_frame){.node = node, .extent = {1, 0, 1}, .anchor = index};
done:
    return st;
}

static int compare_keys(const void *a, const void *b) {
    const va_yaml *x = *(va_yaml *const *)a, *y = *(va_yaml *const *)b;
    int order = strcmp(x->text, y->text);
    if (order != 0)
        return order;
    return x->line != y->line ? (x->line < y->line ? -1 : 1) : x->col - y->col;
}

static va_status check_duplicates(va_yaml_builder *b, const va_yaml *map) {
    if (map->n < 2)
        return VA_OK;
    va_yaml **sorted = malloc((size_t)map->n * sizeof *sorted);
    if (!sorted)
        return va_yaml_fail_memory(b);
    va_status st = VA_OK;
    memcpy(sorted, map->key, (size_t)map->n * sizeof *sorted);
    qsort(sorted, (size_t)map->n, sizeof *sorted, compare_keys);
    for (int64_t i = 1; i < map->n; i++)
        if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0)
            VA_TRY(va_yaml_fail_at(b, sorted[i]->line, sorted[i]->col,
                                   "key '%.80s' stands here and at %d:%d", sorted[i]->text,
                                   sorted[i - 1]->line, sorted[i - 1]->col));
done:
    free(sorted);
    return st;
}

static va_status on_end(va_yaml_builder *b) {
    va_status st = VA_OK;
    va_yaml_frame *f = &b->stack[b->depth - 1];
    va_yaml *node = f->node;
    bool is_map = node->kind == VA_YAML_MAP;
    VA_TRY_ALLOC(b->ctx, node->item, VA_NEW_ARRAY(b->arena, va_yaml *, node->n));
    if (is_map)
        VA_TRY_ALLOC(b->ctx, node->key, VA_NEW_ARRAY(b->arena, va_yaml *, node->n));
    if (node->n > 0) {
        memcpy(node->item, f->item, (size_t)node->n * sizeof *f->item);
        if (is_map)
            memcpy(node->key, f->key, (size_t)node->n * sizeof *f->key);
    }
    if (is_map)
        VA_TRY(check_duplicates(b, node));
    va_yaml_extent size = f->extent;
    if (f->anchor >= 0) {
        b->anchors[f->anchor].extent = size;
        b->anchors[f->anchor].open = false;
    }
    free(f->item);
    free(f->key);
    b->depth--;
    VA_TRY(attach(b, node, size, (yaml_mark_t){0, (size_t)node->line - 1, (size_t)node->col - 1}));
done:
    return st;
}

va_status va_yaml_on_event(va_yaml_builder *b, const yaml_event_t *e) {
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return b->root ? FAIL_MARK(b, e->start_mark, "expected one document, got a second one")
                       : VA_OK;
    case YAML_SCALAR_EVENT:
        return on_scalar(b, e);
    case YAML_ALIAS_EVENT:
        return on_alias(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(b, VA_YAML_SEQ, e->data.sequence_start.anchor, e->data.sequence_start.tag,
                        e->start_mark);
    case YAML_MAPPING_START_EVENT:
        return on_start(b, VA_YAML_MAP, e->data.mapping_start.anchor, e->data.mapping_start.tag,
                        e->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(b);
    default:
        return VA_OK;
    }
}
