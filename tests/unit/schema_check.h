// schema_check.h: holds a JSON document to a JSON schema, as far as our schemas go: type, enum,
// const, required, properties, additionalProperties, items, minItems, maxItems, minimum, maximum,
// allOf, $ref within the schema. Stricter than JSON schema in one thing: a key that no schema
// describes is a mistake.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_SCHEMA_CHECK_H
#define VA_SCHEMA_CHECK_H

#include "test_support.h"

#include "vkalign/io.h"

static inline const va_json *schema_of(const va_json *root, const va_json *schema) {
    const char *ref = va_json_as_string(va_json_get(schema, "$ref"));
    if (!ref)
        return schema;
    if (strncmp(ref, "#/$defs/", 8) != 0 || !va_json_get(va_json_get(root, "$defs"), ref + 8))
        fail_msg("schema: there is no %s", ref);
    return schema_of(root, va_json_get(va_json_get(root, "$defs"), ref + 8));
}

// What describes a key: the schema itself or one of allOf.
static inline const va_json *schema_key(const va_json *root, const va_json *schema,
                                        const char *key) {
    schema = schema_of(root, schema);
    const va_json *found = va_json_get(va_json_get(schema, "properties"), key);
    const va_json *part = va_json_first(va_json_get(schema, "allOf"));
    for (; !found && part; part = va_json_next(part))
        found = schema_key(root, part, key);
    return found ? found : va_json_get(schema, "additionalProperties");
}

static inline bool schema_is(const va_json *v, const char *type) {
    int64_t i;
    return strcmp(type, "integer") == 0 ? va_json_as_int(v, &i)
                                        : strcmp(type, va_json_type(v)) == 0;
}

static inline void schema_check_type(const va_json *schema, const va_json *v, const char *at) {
    const va_json *type = va_json_get(schema, "type");
    bool ok = !type || (va_json_as_string(type) && schema_is(v, va_json_as_string(type)));
    for (const va_json *t = va_json_first(type); t; t = va_json_next(t))
        ok |= schema_is(v, va_json_as_string(t));
    if (!ok)
        fail_msg("%s: has the wrong type: %s", at, va_json_type(v));
    const va_json *choices = va_json_get(schema, "enum");
    ok = !choices;
    for (const va_json *c = va_json_first(choices); c; c = va_json_next(c))
        ok |= va_json_as_string(v) && strcmp(va_json_as_string(v), va_json_as_string(c)) == 0;
    if (!ok)
        fail_msg("%s: is none of the choices", at);
}

static inline void schema_check_bounds(const va_json *schema, const va_json *v, const char *at) {
    double x = 0, bound;
    if (va_json_as_double(v, &x)) {
        if (va_json_as_double(va_json_get(schema, "minimum"), &bound) && x < bound)
            fail_msg("%s: %g is below %g", at, x, bound);
        if (va_json_as_double(va_json_get(schema, "maximum"), &bound) && x > bound)
            fail_msg("%s: %g is above %g", at, x, bound);
        if (va_json_as_double(va_json_get(schema, "const"), &bound) && x != bound)
            fail_msg("%s: %g is not %g", at, x, bound);
    }
    const double n = (double)va_json_count(v);
    if (va_json_as_double(va_json_get(schema, "minItems"), &bound) && n < bound)
        fail_msg("%s: %g items, fewer than %g", at, n, bound);
    if (va_json_as_double(va_json_get(schema, "maxItems"), &bound) && n > bound)
        fail_msg("%s: %g items, more than %g", at, n, bound);
}

// at: the value's place, for messages.
static inline void schema_check(const va_json *root, const va_json *schema, const va_json *v,
                                const char *at) {
    char place[256];
    schema = schema_of(root, schema);
    schema_check_type(schema, v, at);
    schema_check_bounds(schema, v, at);
    const va_json *name = va_json_first(va_json_get(schema, "required"));
    for (; name; name = va_json_next(name))
        if (!va_json_get(v, va_json_as_string(name)))
            fail_msg("%s: has no %s", at, va_json_as_string(name));
    for (const va_json *c = va_json_first(v); c; c = va_json_next(c)) {
        const bool in_list = va_json_is_array(v);
        const char *key = in_list ? "[]" : va_json_key(c);
        snprintf(place, sizeof place, "%.100s.%.100s", at, key);
        const va_json *of = in_list ? va_json_get(schema, "items") : schema_key(root, schema, key);
        if (!of)
            fail_msg("%s: the schema does not describe it", place);
        schema_check(root, of, c, place);
    }
}

// The document holds to experiments/NAME.
static inline void schema_check_file(va_ctx *ctx, const char *name, const va_json *doc) {
    char path[VA_TEST_PATH];
    va_json *schema = NULL;
    va_test_join(path, VA_SOURCE_DIR "/experiments", name);
    assert_ok(ctx, va_json_load(ctx, path, 0, &schema));
    schema_check(schema, schema, doc, "");
    va_json_free(&schema);
}

#endif
