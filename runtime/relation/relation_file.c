// Relation files: prompts and examples out of YAML, every mistake with its place.
// SPDX-License-Identifier: Apache-2.0
#include "relation_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROMPTS = 64, MAX_EXAMPLES = 10000 };
static const char slot[] = "{subject}";

typedef struct reader {
    va_ctx *ctx;
    va_arena *arena;
    const char *file;
} reader;

static const char *kind_text(const va_yaml *n) {
    return n->kind == VA_YAML_SEQ    ? "a list"
           : n->kind == VA_YAML_MAP  ? "a map"
           : n->kind == VA_YAML_NULL ? "nothing"
                                     : n->text;
}

static va_status fail_at(const reader *r, const va_yaml *n, const char *what,
                         const char *expected) {
    return va_fail(r->ctx, VA_ERR_SPEC, "%s:%d:%d: %s: expected %s, got '%.60s'", r->file, n->line,
                   n->col, what, expected, kind_text(n));
}

// No keys but these; n_required of them, the first ones, must be there.
static va_status check_keys(const reader *r, const va_yaml *map, const char *what,
                            const char *const *keys, int64_t n, int64_t n_required) {
    if (map->kind != VA_YAML_MAP)
        return fail_at(r, map, what, "a map");
    for (int64_t i = 0; i < map->n; i++) {
        const char *key = map->key[i]->text;
        bool known = false;
        for (int64_t k = 0; k < n; k++)
            known |= strcmp(keys[k], key) == 0;
        const char *near = known ? NULL : va_did_you_mean(key, keys, n);
        if (!known)
            return va_fail(r->ctx, VA_ERR_SPEC, "%s:%d:%d: %s: unknown key '%.60s'%s%s%s", r->file,
                           map->key[i]->line, map->key[i]->col, what, key,
                           near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    for (int64_t k = 0; k < n_required; k++)
        if (!va_yaml_get(map, keys[k]))
            return va_fail(r->ctx, VA_ERR_SPEC, "%s:%d:%d: %s: %s is missing", r->file, map->line,
                           map->col, what, keys[k]);
    return VA_OK;
}

static va_status check_list(const reader *r, const va_yaml *n, const char *what, int64_t least,
                            int64_t most) {
    if (n->kind != VA_YAML_SEQ)
        return fail_at(r, n, what, "a list");
    if (n->n >= least && n->n <= most)
        return VA_OK;
    return va_fail(r->ctx, VA_ERR_SPEC, "%s:%d:%d: %s: expected %lld to %lld entries, got %lld",
                   r->file, n->line, n->col, what, (long long)least, (long long)most,
                   (long long)n->n);
}

static va_status take_text(const reader *r, const va_yaml *n, const char *what, const char **out) {
    va_status st = VA_OK;
    if (n->kind != VA_YAML_SCALAR || !n->text[0])
        return fail_at(r, n, what, "a text that is not empty");
    VA_TRY_ALLOC(r->ctx, *out, va_arena_strdup(r->arena, n->text));
done:
    return st;
}

static va_status take_int(const reader *r, const va_yaml *n, const char *what, int64_t least,
                          int64_t most, int64_t *out) {
    int64_t v;
    if (va_yaml_as_int(n, &v) && v >= least && v <= most) {
        *out = v;
        return VA_OK;
    }
    return va_fail(r->ctx, VA_ERR_SPEC,
                   "%s:%d:%d: %s: expected an integer from %lld to %lld, got '%.60s'", r->file,
                   n->line, n->col, what, (long long)least, (long long)most, kind_text(n));
}

static bool ends_in_space(const char *s) {
    const size_t n = strlen(s);
    return n > 0 && isspace((unsigned char)s[n - 1]);
}

static va_status read_prompts(const reader *r, const va_yaml *n, va_relation_data *data) {
    va_status st = VA_OK;
    const char **list;
    VA_TRY(check_list(r, n, "prompts", 1, MAX_PROMPTS));
    VA_TRY_ALLOC(r->ctx, list, VA_NEW_ARRAY(r->arena, const char *, n->n));
    for (int64_t i = 0; i < n->n; i++) {
        VA_TRY(take_text(r, n->item[i], "prompts", &list[i]));
        const char *at = strstr(list[i], slot);
        if (!at || strstr(at + 1, slot))
            VA_TRY(fail_at(r, n->item[i], "prompts", "{subject} once"));
        if (ends_in_space(list[i]))
            VA_TRY(fail_at(r, n->item[i], "prompts",
                           "no space at the end, one is set before objects"));
    }
    data->prompts = list;
    data->n_prompts = n->n;
done:
    return st;
}

typedef struct named {
    const char *subject;
    const va_yaml *node;
} named;

static int by_subject(const void *a, const void *b) {
    const named *x = a, *y = b;
    const int order = strcmp(x->subject, y->subject);
    return order ? order : (x->node->line > y->node->line) - (x->node->line < y->node->line);
}

// A subject that stood on both sides of the split would be no test.
static va_status check_distinct(const reader *r, named *list, int64_t n) {
    qsort(list, (size_t)n, sizeof *list, by_subject);
    for (int64_t i = 1; i < n; i++)
        if (strcmp(list[i - 1].subject, list[i].subject) == 0)
            return va_fail(r->ctx, VA_ERR_SPEC,
                           "%s:%d:%d: examples: subject '%.60s' is there twice, first in line %d",
                           r->file, list[i].node->line, list[i].node->col, list[i].subject,
                           list[i - 1].node->line);
    return VA_OK;
}

static va_status read_examples(const reader *r, const va_yaml *n, va_relation_data *data) {
    static const char *const keys[] = {"subject", "object"};
    va_status st = VA_OK;
    va_relation_example *list;
    named *names = NULL;
    VA_TRY(check_list(r, n, "examples", 3, MAX_EXAMPLES));
    VA_TRY_ALLOC(r->ctx, list, VA_NEW_ARRAY(r->arena, va_relation_example, n->n));
    VA_TRY_ALLOC(r->ctx, names, malloc((size_t)n->n * sizeof *names));
    for (int64_t i = 0; i < n->n; i++) {
        const va_yaml *e = n->item[i];
        VA_TRY(check_keys(r, e, "examples", keys, 2, 2));
        const va_yaml *subject = va_yaml_get(e, "subject");
        VA_TRY(take_text(r, subject, "subject", &list[i].subject));
        VA_TRY(take_text(r, va_yaml_get(e, "object"), "object", &list[i].object));
        names[i] = (named){list[i].subject, subject};
    }
    VA_TRY(check_distinct(r, names, n->n));
    data->examples = list;
    data->n_examples = n->n;
done:
    free(names);
    return st;
}

static va_status read_data(const reader *r, const va_yaml *root, va_relation_data *data) {
    static const char *const keys[] = {"prompts", "examples", "n_train", "seed"};
    va_status st = VA_OK;
    int64_t seed = 0;
    *data = (va_relation_data){0};
    VA_TRY(check_keys(r, root, "a relation", keys, VA_COUNT(keys), 3));
    VA_TRY(read_prompts(r, va_yaml_get(root, "prompts"), data));
    VA_TRY(read_examples(r, va_yaml_get(root, "examples"), data));
    VA_TRY(take_int(r, va_yaml_get(root, "n_train"), "n_train", 1, data->n_examples - 2,
                    &data->n_train)); // two at least on the other side
    const va_yaml *s = va_yaml_get(root, "seed");
    if (s)
        VA_TRY(take_int(r, s, "seed", 0, INT32_MAX, &seed));
    data->seed = (uint64_t)seed;
done:
    return st;
}

va_status va_relation_load(va_ctx *ctx, va_arena *arena, const char *path, va_relation_data *data) {
    va_status st = VA_OK;
    const reader r = {ctx, arena, path};
    va_yaml *root;
    VA_TRY(va_yaml_load(ctx, arena, path, NULL, &root));
    VA_TRY(read_data(&r, root, data));
done:
    return st;
}

va_status va_relation_parse(va_ctx *ctx, va_arena *arena, const char *name, const char *text,
                            int64_t size, va_relation_data *data) {
    va_status st = VA_OK;
    const reader r = {ctx, arena, name};
    va_yaml *root;
    VA_TRY(va_yaml_parse(ctx, arena, name, text, size, NULL, &root));
    VA_TRY(read_data(&r, root, data));
done:
    return st;
}
