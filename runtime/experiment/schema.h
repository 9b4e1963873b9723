// schema.h: one table of fields reads experiment files and prints their JSON schema.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_SCHEMA_H
#define VKALIGN_SCHEMA_H

#include "spec.h"

typedef enum va_field_type {
    VA_FIELD_STRING,
    VA_FIELD_INT,
    VA_FIELD_DOUBLE,
    VA_FIELD_BOOL,
    VA_FIELD_CHOICE,      // one of choices: stored as the chosen const char *
    VA_FIELD_ENUM,        // one of choices: stored as int index
    VA_FIELD_STRINGS,     // list of strings -> va_strings
    VA_FIELD_INTS,        // list of integers -> int64_t * and int64_t count beside it
    VA_FIELD_ITEMS,       // list of strings, or of lists of strings that are one item each
    VA_FIELD_CHOICES,     // list out of choices -> va_strings
    VA_FIELD_GROUP,       // map read by sub into the same struct
    VA_FIELD_LIST,        // list of maps read by sub -> array and int64_t count beside it
    VA_FIELD_NAMED,       // map name -> map, read by variants[kind]; like LIST, with the name
    VA_FIELD_LIST_OR_MAP, // LIST, or a map read by map_sub at map_offset
    VA_FIELD_MATRIX,      // map of dotted keys to lists; taken out of the tree before (sweep.c)
} va_field_type;

typedef struct va_field {
    const char *key;
    va_field_type type;
    const char *help;
    size_t offset;         // of the value in its struct
    size_t count_offset;   // INTS, LIST, NAMED: of the int64_t count; LIST_OR_MAP too
    size_t place_offset;   // of a va_place to fill, + 1; 0 = none
    size_t present_offset; // of a bool that tells whether the key is there, + 1; 0 = none
    bool required;
    double min, max;                        // INT, DOUBLE, INTS items; max 0: no bounds
    const char *const *choices;             // NULL-terminated
    const char *default_text;               // YAML text of the default; NULL: zero
    const struct va_field *sub;             // GROUP, LIST
    const struct va_field *const *variants; // NAMED: by index of the kind field's choice
    size_t size;                            // of one element: LIST, NAMED
    const struct va_field *map_sub;         // LIST_OR_MAP
    size_t map_offset;
    int64_t min_items; // STRINGS, INTS, CHOICES, LIST, NAMED
} va_field;

extern const va_field va_experiment_fields[]; // ends with key NULL
// Reads a document that is a list of the field's elements, as the field `key` of an experiment.
va_status va_schema_read_document(va_ctx *ctx, va_diagnostics *d, const char *key, const char *file,
                                  const char *where, va_spec *spec);

enum { VA_MAX_ITEMS = 10000 }; // of every list and map of names: they are compared pair by pair
// The most entries of a list: VA_MAX_ITEMS, or each choice once.
int64_t va_field_max_items(const va_field *f);

#endif
