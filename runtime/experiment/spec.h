// spec.h: the typed experiment, and the table that describes its YAML. Private to the layer.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_SPEC_H
#define VKALIGN_SPEC_H

#include "vkalign/experiment.h"
#include "vkalign/io.h"
#include "vkalign/op.h"

// Where a value stood, for messages that come after the YAML tree is gone.
typedef struct va_place {
    const char *file;
    int line, col;
} va_place;

typedef struct va_strings {
    const char **item;
    int64_t n;
} va_strings;

typedef struct va_concept {
    const char *name, *definition;
    int64_t layer; // of the ontology, not of the model
    va_strings positives, hard_negatives, random_negatives;
    va_place place;
} va_concept;

typedef enum va_direction_kind { VA_DIRECTION_JACOBIAN, VA_DIRECTION_MLP } va_direction_kind;
extern const char *const va_direction_kind_names[];

// Fields of both kinds; each kind reads its own (see the tables in schema.c).
typedef struct va_direction_spec {
    const char *name;
    va_direction_kind kind;
    va_place place;
    const char *from, *to; // jacobian: site texts, may hold {layer}
    va_mode mode;
    const char *reduce;
    const char *site; // mlp
    int64_t *hidden;  // [n_hidden]
    int64_t n_hidden;
    const char *direction;
    int64_t epochs, batch;
    double learning_rate, weight_decay, dropout, held_out;
} va_direction_spec;

typedef struct va_metric_spec {
    const char *name, *kind;
    va_strings of;
    bool across_sites;
    va_strings nulls;
    va_place place;
    int64_t direction[2]; // resolved `of`
} va_metric_spec;

typedef struct va_spec {
    int64_t version;
    const char *name, *question;
    const char *model_path;
    va_place model_place, layers_place;
    int64_t *layers;
    int64_t n_layers;
    va_concept *concepts;
    int64_t n_concepts;
    const char *concepts_file; // NULL: inline
    va_strings prompts, templates;
    va_place prompts_place, templates_place;
    va_direction_spec *directions;
    int64_t n_directions;
    va_metric_spec *metrics;
    int64_t n_metrics;
    int64_t seed;
    const char *output;
} va_spec;

// Collects what is wrong; messages live in arena.
typedef struct va_diagnostics {
    va_arena *arena;
    va_diagnostic *item;
    int64_t n, cap;
} va_diagnostics;
void va_diagnose(va_diagnostics *d, va_place at, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

// Applies "a.b=value" to the tree (nodes are arena-owned; places in it become file "--set").
void va_spec_override(va_diagnostics *d, va_yaml *root, const char *const *sets, int64_t n_sets);
// Walks the tree into spec by the table. Mistakes go to d; spec is complete only without any.
va_status va_spec_read(va_ctx *ctx, va_diagnostics *d, const va_yaml *root, const char *path,
                       va_spec *spec);
// Names and references between parts; also after mistakes, for what could be read.
void va_spec_check(va_diagnostics *d, va_spec *spec);

// "{layer}" in a site text replaced; n < 0 leaves it. Arena-owned.
const char *va_spec_expand(va_arena *arena, const char *text, const char *key, const char *value);

// Marks nodes that an override made: their places are shown as "--set".
enum { VA_LINE_OF_SET = -1 };

#endif
