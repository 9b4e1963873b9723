// text_json.c: reading the parts of tokenizer.json, with messages that name the place.
// SPDX-License-Identifier: Apache-2.0
#include "text_read.h"

#include <string.h>

const char *text_place(va_tokenizer *tok) {
    int64_t line, col;
    if (!tok->reading)
        return tok->path;
    va_json_cursor_place(tok->reading, &line, &col);
    char *place =
        va_arena_printf(tok->arena, "%s:%lld:%lld", tok->path, (long long)line, (long long)col);
    return place ? place : tok->path;
}

va_status text_wrong_type(va_tokenizer *tok, const char *where, const char *expected,
                          const va_json *got) {
    return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s: expected %s, got %s", tok->path, where,
                   expected, got ? va_json_type(got) : "nothing");
}

va_status text_unknown(va_tokenizer *tok, const char *where, const char *type,
                       const char *supported) {
    return va_fail(tok->ctx, VA_ERR_UNSUPPORTED, "%s: %s: '%s' is not supported (supported: %s)",
                   tok->path, where, type, supported);
}

va_status text_check_keys(va_tokenizer *tok, const va_json *obj, const char *where,
                          const char *const *keys) {
    for (const va_json *v = va_json_first(obj); v; v = va_json_next(v)) {
        const char *key = va_json_key(v);
        bool known = false;
        for (int64_t i = 0; keys[i] && !known; i++)
            known = strcmp(keys[i], key) == 0;
        if (!known && !va_json_is_null(v))
            return va_fail(tok->ctx, VA_ERR_UNSUPPORTED, "%s: %s: unknown setting '%s'", tok->path,
                           where, key);
    }
    return VA_OK;
}

va_status text_get_bool(va_tokenizer *tok, const va_json *obj, const char *where, const char *key,
                        bool when_absent, bool *out) {
    const va_json *v = va_json_get(obj, key);
    *out = when_absent;
    if (!v || va_json_is_null(v) || va_json_as_bool(v, out))
        return VA_OK;
    return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s.%s: expected true or false, got %s", tok->path,
                   where, key, va_json_type(v));
}

va_status text_get_string(va_tokenizer *tok, const va_json *obj, const char *where, const char *key,
                          text_str *out) {
    const va_json *v = va_json_get(obj, key);
    const char *s = v ? va_json_as_string(v) : NULL;
    if (!s)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s.%s: expected a string, got %s", tok->path,
                       where, key, v ? va_json_type(v) : "nothing");
    int64_t n = (int64_t)strlen(s);
    int64_t bad = text_first_invalid(s, n);
    if (bad >= 0)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s.%s: byte %lld is not UTF-8", tok->path,
                       where, key, (long long)bad);
    *out = (text_str){va_arena_strndup(tok->arena, s, n), n};
    return out->s ? VA_OK : text_out_of_memory(tok);
}

static va_status each_step(va_tokenizer *tok, const va_json *v, const char *list_key,
                           const char *where, int depth, text_step_fn fn) {
    enum { MAX_DEPTH = 8 }; // real files have one or two
    va_status st = VA_OK;
    va_strbuf place = {0};
    if (!v || va_json_is_null(v))
        return VA_OK;
    if (!va_json_is_object(v))
        return text_wrong_type(tok, where, "an object", v);
    const va_json *type_json = va_json_get(v, "type");
    const char *type = type_json ? va_json_as_string(type_json) : NULL;
    if (!type)
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s.type: expected a string, got %s", tok->path,
                       where, type_json ? va_json_type(type_json) : "nothing");
    if (strcmp(type, "Sequence") != 0)
        return fn(tok, v, type, where);
    if (depth == MAX_DEPTH)
        return text_unknown(tok, where, "more than 8 sequences within each other", "8");
    const char *const keys[] = {"type", list_key, NULL};
    VA_TRY(text_check_keys(tok, v, where, keys));
    const va_json *list = va_json_get(v, list_key);
    if (!list || !va_json_is_array(list))
        return va_fail(tok->ctx, VA_ERR_FORMAT, "%s: %s.%s: expected an array, got %s", tok->path,
                       where, list_key, list ? va_json_type(list) : "nothing");
    int64_t i = 0;
    for (const va_json *item = va_json_first(list); item; item = va_json_next(item), i++) {
        place.len = 0;
        va_strbuf_printf(&place, "%s.%s[%lld]", where, list_key, (long long)i);
        if (place.failed)
            VA_TRY(text_out_of_memory(tok));
        if (va_json_is_null(item))
            VA_TRY(text_wrong_type(tok, place.data, "an object", item));
        VA_TRY(each_step(tok, item, list_key, place.data, depth + 1, fn));
    }
done:
    va_strbuf_free(&place);
    return st;
}

va_status text_each_step(va_tokenizer *tok, const va_json *v, const char *list_key,
                         const char *where, text_step_fn fn) {
    return each_step(tok, v, list_key, where, 0, fn);
}
