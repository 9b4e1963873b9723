// concept_priv.h: what the readers of concepts and the choice of items share. Private.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_CONCEPT_PRIV_H
#define VKALIGN_CONCEPT_PRIV_H

#include "concept_data.h"
#include "name_set.h"

typedef struct va_term {
    const char *definition; // NULL: none
    int64_t layer;
    const char *file; // where it is defined, NULL: known by its name only
    int64_t index;    // in the file's "concepts"
    int64_t *child;   // [n_children], as listed: repeats and the term itself may be among them
    int64_t n_children;
    int64_t *parent; // [n_parents]
    int64_t n_parents;
} va_term;

struct va_ontology {
    va_ctx *ctx;
    va_arena *arena;
    const char *where; // the first path, for messages
    va_name_set names; // a term's number is its name's
    va_term *term;     // [names.n]
    int64_t cap;
    va_name_set files; // that were read
};

// Where a value of a JSON file stands: "FILE:3" or "FILE: concepts[3]".
typedef struct va_json_place {
    va_ctx *ctx;
    va_arena *arena;
    const char *file;
    int64_t line;  // > 0: of the file
    int64_t index; // else: in "concepts", -1: the file as a whole
} va_json_place;

va_status va_json_place_fail(const va_json_place *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
// A string of 1 to max_bytes bytes, copied.
va_status va_json_take_text(const va_json_place *p, const va_json *v, const char *key,
                            int64_t max_bytes, const char **out);
va_status va_json_take_texts(const va_json_place *p, const va_json *v, const char *key,
                             int64_t max_bytes, va_strings *out);
// Absent: 0.
va_status va_json_take_layer(const va_json_place *p, const va_json *v, int64_t *out);

#endif
