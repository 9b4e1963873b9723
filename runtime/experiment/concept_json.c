// concept_json.c: checked values out of JSON files of concepts, mistakes with their places.
// SPDX-License-Identifier: Apache-2.0
#include "concept_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

va_status va_json_place_fail(const va_json_place *p, const char *fmt, ...) {
    char what[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (p->line > 0)
        return va_fail(p->ctx, VA_ERR_FORMAT, "%s:%lld: %s", p->file, (long long)p->line, what);
    if (p->index >= 0)
        return va_fail(p->ctx, VA_ERR_FORMAT, "%s: concepts[%lld]: %s", p->file,
                       (long long)p->index, what);
    return va_fail(p->ctx, VA_ERR_FORMAT, "%s: %s", p->file, what);
}

va_status va_json_take_text(const va_json_place *p, const va_json *v, const char *key,
                            int64_t max_bytes, const char **out) {
    va_status st = VA_OK;
    const char *s = va_json_as_string(v);
    if (!v)
        return va_json_place_fail(p, "%s is missing", key);
    if (!s)
        return va_json_place_fail(p, "%s: expected a text, got %s", key, va_json_type(v));
    const int64_t n = (int64_t)strlen(s);
    if (n < 1 || n > max_bytes)
        return va_json_place_fail(p, "%s: expected 1 to %lld bytes of text, got %lld", key,
                                  (long long)max_bytes, (long long)n);
    VA_TRY_ALLOC(p->ctx, *out, va_arena_strdup(p->arena, s));
done:
    return st;
}

va_status va_json_take_texts(const va_json_place *p, const va_json *v, const char *key,
                             int64_t max_bytes, va_strings *out) {
    va_status st = VA_OK;
    *out = (va_strings){0};
    if (!va_json_is_array(v))
        return va_json_place_fail(p, "%s: expected an array of texts, got %s", key,
                                  va_json_type(v));
    VA_TRY_ALLOC(p->ctx, out->item, VA_NEW_ARRAY(p->arena, const char *, va_json_count(v)));
    for (const va_json *c = va_json_first(v); c; c = va_json_next(c))
        VA_TRY(va_json_take_text(p, c, key, max_bytes, &out->item[out->n++]));
done:
    return st;
}

va_status va_json_take_layer(const va_json_place *p, const va_json *v, int64_t *out) {
    *out = 0;
    if (!v || (va_json_as_int(v, out) && *out >= 0 && *out <= VA_CONCEPT_MAX_LAYER))
        return VA_OK;
    double got;
    if (va_json_as_double(v, &got))
        return va_json_place_fail(p, "layer: expected an integer from 0 to %d, got %g",
                                  VA_CONCEPT_MAX_LAYER, got);
    return va_json_place_fail(p, "layer: expected an integer from 0 to %d, got %s",
                              VA_CONCEPT_MAX_LAYER, va_json_type(v));
}
