// schema_json.c: the table of fields as a JSON schema (draft 2020-12) for editors.
// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <stdlib.h>

static void add_object(va_json *o, const va_field *fields);

static void add_choices(va_json *o, const char *const *choices) {
    va_json *list = va_json_add_array(o, "enum");
    for (int64_t i = 0; choices[i]; i++)
        va_json_add_string(list, NULL, choices[i]);
}

static void add_bounds(va_json *o, const va_field *f) {
    bool integer = f->type != VA_FIELD_DOUBLE;
    va_json_add_string(o, "type", integer ? "integer" : "number");
    if (f->max == 0)
        return;
    va_json_add_double(o, "minimum", f->min);
    va_json_add_double(o, "maximum", f->max);
}

static va_json *add_array(va_json *o, const va_field *f) {
    va_json_add_string(o, "type", "array");
    if (f->min_items > 0)
        va_json_add_int(o, "minItems", f->min_items);
    va_json_add_int(o, "maxItems", va_field_max_items(f));
    return va_json_add_object(o, "items");
}

// The list itself, or a map that says where it is.
static void add_list_or_map(va_json *o, const va_field *f) {
    va_json *any = va_json_add_array(o, "oneOf");
    add_object(add_array(va_json_add_object(any, NULL), f), f->sub);
    add_object(va_json_add_object(any, NULL), f->map_sub);
}

// Dotted keys, each with the values that it takes.
static void add_matrix(va_json *o) {
    va_json_add_string(o, "type", "object");
    va_json *values = va_json_add_object(o, "additionalProperties");
    va_json_add_string(values, "type", "array");
    va_json_add_int(values, "minItems", 1);
}

// A map of names to maps, one schema for each kind.
static void add_named(va_json *o, const va_field *f) {
    va_json_add_string(o, "type", "object");
    va_json_add_int(o, "minProperties", f->min_items);
    va_json_add_int(o, "maxProperties", va_field_max_items(f));
    va_json *any = va_json_add_array(va_json_add_object(o, "additionalProperties"), "oneOf");
    const char *const *kinds = f->variants[0]->choices;
    for (int64_t i = 0; kinds[i]; i++) {
        va_json *one = va_json_add_object(any, NULL);
        va_json_add_string(one, "title", kinds[i]);
        add_object(one, f->variants[i]);
    }
}

// A text, or several that are one item.
static void add_items(va_json *o) {
    va_json *any = va_json_add_array(o, "oneOf");
    va_json_add_string(va_json_add_object(any, NULL), "type", "string");
    va_json *list = va_json_add_object(any, NULL);
    va_json_add_string(list, "type", "array");
    va_json_add_int(list, "minItems", 1);
    va_json_add_string(va_json_add_object(list, "items"), "type", "string");
}

static void add_field(va_json *o, const va_field *f) {
    va_json_add_string(o, "description", f->help);
    switch (f->type) {
    case VA_FIELD_STRING:
        va_json_add_string(o, "type", "string");
        break;
    case VA_FIELD_INT:
    case VA_FIELD_DOUBLE:
        add_bounds(o, f);
        break;
    case VA_FIELD_BOOL:
        va_json_add_string(o, "type", "boolean");
        break;
    case VA_FIELD_CHOICE:
    case VA_FIELD_ENUM:
        add_choices(o, f->choices);
        break;
    case VA_FIELD_STRINGS:
        va_json_add_string(add_array(o, f), "type", "string");
        break;
    case VA_FIELD_ITEMS:
        add_items(add_array(o, f));
        break;
    case VA_FIELD_CHOICES:
        add_choices(add_array(o, f), f->choices);
        break;
    case VA_FIELD_INTS:
        add_bounds(add_array(o, f), f);
        break;
    case VA_FIELD_GROUP:
        add_object(o, f->sub);
        break;
    case VA_FIELD_LIST:
        add_object(add_array(o, f), f->sub);
        break;
    case VA_FIELD_NAMED:
        add_named(o, f);
        break;
    case VA_FIELD_LIST_OR_MAP:
        add_list_or_map(o, f);
        break;
    case VA_FIELD_MATRIX:
        add_matrix(o);
        break;
    }
    if (f->default_text)
        va_json_add_string(o, "$comment",
                           f->default_text[0] ? f->default_text : "empty"); // the default, as YAML
}

static void add_object(va_json *o, const va_field *fields) {
    va_json_add_string(o, "type", "object");
    va_json_add_bool(o, "additionalProperties", false);
    va_json *required = va_json_add_array(o, "required");
    va_json *props = va_json_add_object(o, "properties");
    for (const va_field *f = fields; f->key; f++) {
        if (f->required)
            va_json_add_string(required, NULL, f->key);
        add_field(va_json_add_object(props, f->key), f);
    }
}

void va_experiment_schema(va_strbuf *out) {
    va_json *root = va_json_object();
    va_json_add_string(root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    va_json_add_string(root, "title", "vkalign experiment, version 1");
    add_object(root, va_experiment_fields);
    char *text = va_json_print(root, true);
    va_strbuf_puts(out, text ? text : "");
    va_strbuf_puts(out, "\n");
    free(text);
    va_json_free(&root);
}
