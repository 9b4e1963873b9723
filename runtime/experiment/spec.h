// spec.h: the typed experiment, and the table that describes its YAML. Private to the layer.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_SPEC_H
#define VKALIGN_SPEC_H

#include "vkalign/experiment.h"
#include "vkalign/io.h"
#include "vkalign/metric.h"
#include "vkalign/probe.h"
#include "vkalign/read_direction.h"

// Where a value stood, for messages that come after the YAML tree is gone.
typedef struct va_place {
    const char *file;
    int line, col;
} va_place;

typedef struct va_strings {
    const char **item;
    int64_t n;
    bool *joined; // [n] the text is another one of the item before it; NULL: each is an item
} va_strings;

typedef struct va_concept {
    const char *name, *definition;
    int64_t layer; // of the ontology, not of the model
    va_strings positives, hard_negatives, random_negatives;
    va_place place;
} va_concept;

// Concepts that are not inline.
typedef struct va_concept_source {
    const char *file;           // "": none
    va_strings ontology, names; // paths; terms
    int64_t positives, hard_negatives, random_negatives, seed;
    bool definitions, raw_names;
    va_place place, ontology_place;
} va_concept_source;

// X(enum name, text in files): how a direction is found.
#define VA_DIRECTION_KIND_LIST(X)                                                                  \
    X(VA_DIRECTION_JACOBIAN, "jacobian")                                                           \
    X(VA_DIRECTION_MLP, "mlp")                                                                     \
    X(VA_DIRECTION_LOGISTIC, "logistic")                                                           \
    X(VA_DIRECTION_DIFFERENCE, "difference")                                                       \
    X(VA_DIRECTION_PCA, "pca")                                                                     \
    X(VA_DIRECTION_LDA, "lda")                                                                     \
    X(VA_DIRECTION_FILE, "file")                                                                   \
    X(VA_DIRECTION_PACK, "pack")
typedef enum va_direction_kind {
#define VA_X(name, text) name,
    VA_DIRECTION_KIND_LIST(VA_X)
#undef VA_X
} va_direction_kind;
extern const char *const va_direction_kind_names[];

// Fields of all kinds; each kind reads its own (see the tables in fields_direction.c).
typedef struct va_direction_spec {
    const char *name;
    va_direction_kind kind;
    va_place place;
    const char *from, *to; // jacobian: site texts, may hold {layer}
    va_mode mode;
    va_map_reduce reduce;
    const char *token, *versus; // gradient: texts of one token, may hold {concept}; "": none
    const char *of;             // pullback: a direction at `to`
    int64_t pulled;             // its index
    bool average;               // over all prompts, as one mean map
    int64_t rank;               // of a frame
    const char *site;           // all others
    int64_t seeds;              // trained kinds: so many times, with seeds one apart
    double held_out;
    int64_t *hidden; // mlp: [n_hidden]
    int64_t n_hidden;
    va_mlp_direction_kind direction; // mlp, pack
    int64_t epochs, batch;
    double learning_rate, weight_decay, dropout;
    double l2, shrinkage; // logistic; lda, negative: found from the data
    const char *path;     // file, pack; may hold {layer} and {concept}
    va_place path_place;
} va_direction_spec;

// What a direction depends on.
bool va_direction_is_trained(const va_direction_spec *dir); // learns from a concept's items
bool va_direction_is_pullback(const va_direction_spec *dir);
bool va_direction_has_prompt(const va_direction_spec *dir); // there is one for each prompt
bool va_direction_has_layer(const va_direction_spec *dir);  // {layer} stands in it
// The text of the site that it lives at.
const char *va_direction_site(const va_direction_spec *dir);

// X(enum name, text in files)
#define VA_METRIC_KIND_LIST(X)                                                                     \
    X(VA_METRIC_COSINE, "cosine")                                                                  \
    X(VA_METRIC_SUBSPACE, "subspace")                                                              \
    X(VA_METRIC_SPECTRUM, "spectrum")                                                              \
    X(VA_METRIC_CKA, "cka")                                                                        \
    X(VA_METRIC_TRANSFER, "transfer")                                                              \
    X(VA_METRIC_AGREEMENT, "agreement")                                                            \
    X(VA_METRIC_SPEARMAN, "spearman")
typedef enum va_metric_kind {
#define VA_X(name, text) name,
    VA_METRIC_KIND_LIST(VA_X)
#undef VA_X
} va_metric_kind;
extern const char *const va_metric_kind_names[];
// One number for each result, or (agreement, spearman) one over several.
bool va_metric_is_single(va_metric_kind kind);

typedef enum va_over { VA_OVER_PROMPTS, VA_OVER_LAYERS, VA_OVER_SEEDS } va_over;
extern const char *const va_over_names[];

typedef struct va_metric_spec {
    const char *name;
    va_metric_kind kind;
    va_strings of; // directions; spearman: metrics
    bool across_sites;
    va_strings nulls, bootstrap;
    bool has_nulls; // else the kind's default
    va_over over;   // agreement
    int64_t *ranks; // [n_ranks] subspace: of the first so many of both frames
    int64_t n_ranks;
    va_place place;
    int64_t index[2]; // resolved `of`
} va_metric_spec;

// What the numbers that a metric compares with chance are drawn with.
typedef struct va_chance_spec {
    int64_t permutations, draws, resamples;
    double alpha, level;
    va_metric_correction correction;
} va_chance_spec;

// A bound on a number of the results.
typedef struct va_expect_spec {
    const char *metric, *statistic, *concept_name; // concept_name "": none
    int64_t layer;                                 // -1: none
    double min, max;
    bool has_min, has_max;
    va_place place;
    int64_t index; // of the metric
} va_expect_spec;

typedef struct va_spec {
    int64_t version;
    const char *name, *question;
    const char *model_path;
    va_place model_place, layers_place;
    int64_t *layers;
    int64_t n_layers;
    va_concept *concepts;
    int64_t n_concepts;
    va_concept_source source;  // when they are not inline
    va_strings concept_inputs; // files that they were read from
    va_strings prompts, templates;
    va_place prompts_place, templates_place;
    va_direction_spec *directions;
    int64_t n_directions;
    va_metric_spec *metrics;
    int64_t n_metrics;
    va_chance_spec chance;
    va_expect_spec *expect;
    int64_t n_expect;
    int64_t seed;
    const char *output;
} va_spec;

// Whether a metric has a number for each prompt, for each layer.
bool va_metric_has_prompt(const va_spec *spec, const va_metric_spec *m);
bool va_metric_has_layer(const va_spec *spec, const va_metric_spec *m);
// One that does not stands at the first alone, and results without any metric are left out.
bool va_metric_stands_at(const va_spec *spec, const va_metric_spec *m, int64_t layer,
                         int64_t prompt);
bool va_spec_has_result(const va_spec *spec, int64_t layer, int64_t prompt);

// Collects what is wrong; messages live in arena.
typedef struct va_diagnostics {
    va_arena *arena;
    va_diagnostic *item;
    int64_t n, cap;
} va_diagnostics;
void va_diagnose(va_diagnostics *d, va_place at, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

// By the table of fields. Mistakes go to d; spec is complete only without any.
va_status va_spec_read(va_ctx *ctx, va_diagnostics *d, const va_yaml *root, const char *path,
                       va_spec *spec);
// Concepts out of spec->source; path: of the experiment. A file that cannot be used is diagnosed
// and returned.
va_status va_spec_load_concepts(va_ctx *ctx, va_diagnostics *d, const char *path, va_spec *spec);
int64_t va_spec_find_direction(const va_spec *spec, const char *name); // -1: there is none
int64_t va_spec_find_metric(const va_spec *spec, const char *name);

// The concepts as a list for an experiment file; NULL: out of memory.
va_yaml *va_spec_concepts_yaml(va_arena *arena, const va_spec *spec);

// The text with every `key` ("{layer}") replaced. Arena-owned.
const char *va_spec_expand(va_arena *arena, const char *text, const char *key, const char *value);

// Marks nodes that an override made: their places are shown as "--set".
enum { VA_LINE_OF_SET = -1 };

#endif
