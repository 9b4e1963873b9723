// json_read.c: JSON text to a cJSON tree, and reading that tree.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static va_status fail_at(va_ctx *ctx, const char *name, const va_io_json_scan *s,
                         const char *what) {
    va_io_place p = va_io_place_of(s->text, s->size, s->at);
    return va_fail(ctx, VA_ERR_FORMAT, "%s:%lld:%lld: %s (byte %lld)", name, (long long)p.line,
                   (long long)p.col, what, (long long)s->at);
}

typedef struct hashed_key {
    uint64_t hash;
    const cJSON *item;
} hashed_key;

// By hash, then by name, then in the order of the text.
static int compare_keys(const void *a, const void *b) {
    const hashed_key *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return strcmp(x->item->string, y->item->string);
}

// A child whose key a sibling has too, or NULL. Pairwise for small objects, which are many;
// *failed is set when memory runs out.
static const cJSON *duplicate_child(const cJSON *object, bool *failed) {
    enum { SMALL = 16 };
    int64_t n = 0;
    for (const cJSON *c = object->child; c; c = c->next)
        n++;
    if (n <= SMALL) {
        for (const cJSON *c = object->child; c; c = c->next)
            for (const cJSON *d = c->next; d; d = d->next)
                if (strcmp(c->string, d->string) == 0)
                    return d;
        return NULL;
    }
    hashed_key *keys = malloc((size_t)n * sizeof *keys);
    *failed = !keys;
    if (!keys)
        return NULL;
    int64_t i = 0;
    for (const cJSON *c = object->child; c; c = c->next)
        keys[i++] = (hashed_key){va_hash64(c->string), c};
    qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    const cJSON *found = NULL;
    for (i = 1; i < n && !found; i++)
        if (compare_keys(&keys[i - 1], &keys[i]) == 0)
            found = keys[i].item;
    free(keys);
    return found;
}

static const cJSON *find_duplicate(const cJSON *v, bool *failed) {
    const cJSON *found = cJSON_IsObject(v) ? duplicate_child(v, failed) : NULL;
    for (const cJSON *c = v->child; c && !found && !*failed; c = c->next)
        if (c->child)
            found = find_duplicate(c, failed);
    return found;
}

// Counts keys in the order of the text up to target; true when it was reached.
static bool key_ordinal(const cJSON *v, const cJSON *target, int64_t *ordinal) {
    for (const cJSON *c = v->child; c; c = c->next) {
        if (c == target)
            return true;
        *ordinal += c->string != NULL;
        if (key_ordinal(c, target, ordinal))
            return true;
    }
    return false;
}

static va_status check_duplicates(va_ctx *ctx, const char *name, const va_io_json_scan *scanned,
                                  const cJSON *root) {
    bool failed = false;
    const cJSON *duplicate = find_duplicate(root, &failed);
    if (failed)
        return va_fail(ctx, VA_ERR_MEMORY, "%s: out of host memory", name);
    if (!duplicate)
        return VA_OK;
    va_io_json_range range[VA_JSON_MAX_LARGE] = {{0, 0}};
    va_io_json_scan s = {.text = scanned->text,
                         .size = scanned->size,
                         .large = scanned->large,
                         .range = range,
                         .n_large = scanned->n_large};
    key_ordinal(root, duplicate, &s.want_key);
    va_io_json_scan_text(&s);
    va_io_place p = va_io_place_of(s.text, s.size, s.at);
    return va_fail(ctx, VA_ERR_FORMAT, "%s:%lld:%lld: key '%.100s' stands twice (byte %lld)", name,
                   (long long)p.line, (long long)p.col, duplicate->string, (long long)s.at);
}

static int by_place(const void *a, const void *b) {
    const va_io_json_range *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

// The text with its large values empty, for cJSON. The caller frees it.
static char *without_large(const va_io_json_scan *s, int64_t *size) {
    va_io_json_range range[VA_JSON_MAX_LARGE];
    char *out = malloc((size_t)s->size + VA_IO_JSON_TAIL);
    int64_t n = 0, at = 0;
    if (!out)
        return NULL;
    memcpy(range, s->range, (size_t)s->n_large * sizeof *range);
    qsort(range, (size_t)s->n_large, sizeof *range, by_place);
    for (int64_t i = 0; i < s->n_large; i++) {
        if (range[i].end == 0)
            continue;
        memcpy(out + n, s->text + at, (size_t)(range[i].begin + 1 - at));
        n += range[i].begin + 1 - at;
        at = range[i].end - 1;
    }
    memcpy(out + n, s->text + at, (size_t)(s->size - at));
    n += s->size - at;
    memset(out + n, 0, VA_IO_JSON_TAIL);
    *size = n;
    return out;
}

va_status va_io_json_parse(va_ctx *ctx, const char *name, va_io_json_scan *s, va_json **root) {
    va_status st = VA_OK;
    char *reduced = NULL;
    const char *text = s->text, *end = NULL;
    int64_t size = s->size;
    cJSON *tree = NULL;
    if (!va_io_json_scan_text(s))
        VA_TRY(fail_at(ctx, name, s, s->what));
    if (s->n_large > 0) {
        VA_TRY_ALLOC(ctx, reduced, without_large(s, &size));
        text = reduced;
    }
    tree = cJSON_ParseWithLengthOpts(text, (size_t)size + 1, &end, false);
    if (!tree) // valid text: what is left is memory
        VA_TRY(va_fail(ctx, VA_ERR_MEMORY, "%s: out of host memory at byte %lld of JSON", name,
                       (long long)(end ? end - text : 0)));
    VA_TRY(check_duplicates(ctx, name, s, tree));
    *root = tree;
    tree = NULL;
done:
    cJSON_Delete(tree);
    free(reduced);
    return st;
}

va_status va_json_parse(va_ctx *ctx, const char *name, const char *text, int64_t size,
                        va_json **root) {
    va_status st = VA_OK;
    char *copy = NULL;
    *root = NULL;
    if (size < 0 || size > INT64_MAX - VA_IO_JSON_TAIL)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: %lld bytes of JSON", name, (long long)size);
    VA_TRY_ALLOC(ctx, copy, malloc((size_t)size + VA_IO_JSON_TAIL));
    if (size > 0)
        memcpy(copy, text, (size_t)size);
    memset(copy + size, 0, VA_IO_JSON_TAIL);
    va_io_json_scan s = {.text = copy, .size = size, .want_key = -1};
    VA_TRY(va_io_json_parse(ctx, name, &s, root));
done:
    free(copy);
    return st;
}

va_status va_json_load(va_ctx *ctx, const char *path, int64_t max_bytes, va_json **root) {
    va_status st = VA_OK;
    va_map map = {0};
    *root = NULL;
    int64_t limit = max_bytes ? max_bytes : (int64_t)256 << 20;
    VA_TRY(va_io_map_limited(ctx, path, limit, VA_ERR_FORMAT, &map));
    VA_TRY(va_json_parse(ctx, path, (const char *)map.data, map.size_bytes, root));
done:
    va_map_close(&map);
    return st;
}

void va_json_free(va_json **root) {
    if (!root)
        return;
    cJSON_Delete(*root);
    *root = NULL;
}

const va_json *va_json_get(const va_json *obj, const char *key) {
    return va_json_is_object(obj) ? cJSON_GetObjectItemCaseSensitive(obj, key) : NULL;
}

bool va_json_is_null(const va_json *v) {
    return cJSON_IsNull(v);
}

bool va_json_is_object(const va_json *v) {
    return cJSON_IsObject(v);
}

bool va_json_is_array(const va_json *v) {
    return cJSON_IsArray(v);
}

bool va_json_as_double(const va_json *v, double *out) {
    if (cJSON_IsNumber(v))
        *out = v->valuedouble;
    else if (cJSON_IsRaw(v)) // an integer beyond 2^53, from va_json_add_int
        *out = strtod(v->valuestring, NULL);
    else
        return false;
    return true;
}

bool va_json_as_int(const va_json *v, int64_t *out) {
    const double max_exact = 0x1p53;
    double d;
    if (!va_json_as_double(v, &d) || !(fabs(d) <= max_exact) || d != trunc(d))
        return false;
    *out = (int64_t)d;
    return true;
}

bool va_json_as_bool(const va_json *v, bool *out) {
    if (!cJSON_IsBool(v))
        return false;
    *out = cJSON_IsTrue(v);
    return true;
}

const char *va_json_as_string(const va_json *v) {
    return cJSON_GetStringValue(v);
}

const char *va_json_key(const va_json *v) {
    return v ? v->string : NULL;
}

const char *va_json_type(const va_json *v) {
    if (!v)
        return "nothing";
    switch (v->type & 0xFF) {
    case cJSON_False:
    case cJSON_True:
        return "boolean";
    case cJSON_NULL:
        return "null";
    case cJSON_Number:
    case cJSON_Raw:
        return "number";
    case cJSON_String:
        return "string";
    case cJSON_Array:
        return "array";
    case cJSON_Object:
        return "object";
    default:
        return "nothing";
    }
}

int64_t va_json_count(const va_json *v) {
    int64_t n = 0;
    for (const va_json *c = va_json_first(v); c; c = c->next)
        n++;
    return n;
}

const va_json *va_json_first(const va_json *v) {
    return v ? v->child : NULL;
}

const va_json *va_json_next(const va_json *v) {
    return v ? v->next : NULL;
}
