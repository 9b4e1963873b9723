// plan.h: the work of an experiment, unit by unit, worked out without a device. Private.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_PLAN_H
#define VKALIGN_PLAN_H

#include "matrix.h"
#include "vkalign/model.h"

// What a classifier of one concept learns from: rows are (text, label), grouped by item.
typedef struct va_dataset {
    int64_t n, n_items;
    int64_t *text; // [n] index into va_plan.texts
    int64_t *item; // [n] rising
    int64_t *form; // [n] index of the template, -1: the definition
    float *label;  // [n] 1 positive, 0 negative
} va_dataset;

// Of n items of a class, those kept for the test: the share, at least one and not all.
static inline int64_t va_items_held(double share, int64_t n) {
    return VA_MAX(1, VA_MIN(n - 1, (int64_t)(share * (double)n + 0.5)));
}

// One Jacobian prompt: a concept's name put into a prompt, tokenized.
typedef struct va_plan_prompt {
    const char *text;
    int32_t *ids;
    int64_t n_ids, concept_first, concept_count;
} va_plan_prompt;

typedef enum va_unit_kind {
    VA_UNIT_CAPTURE,   // activations of some texts at all sites
    VA_UNIT_DIRECTION, // one direction
    VA_UNIT_PERMUTED,  // a direction of every concept, found again from permuted labels
    VA_UNIT_RESAMPLED  // the same from items drawn with replacement
} va_unit_kind;

// A piece of work that is saved by itself.
typedef struct va_unit {
    va_unit_kind kind;
    const char *name;                 // "capture/0", "jacobian/Physical/layer6/prompt0"
    int64_t first, count;             // capture: range of va_plan.texts
    int64_t direction, concept_index; // direction
    int64_t layer, prompt; // value of {layer} and prompt index; -1: independent, or of all prompts
    int64_t seed;          // 0, 1, ... added to the experiment's
    double flop;
} va_unit;

// Where the units of a direction stand: [n_concepts, n_layers, n_prompts, n_seeds] from first on,
// and [n_layers] from permuted and resampled on; -1: there are none.
typedef struct va_unit_block {
    int64_t first, n_layers, n_prompts, n_seeds;
    int64_t permuted, resampled;
} va_unit_block;

typedef struct va_plan {
    va_model *model;           // owned by the experiment
    const char **texts;        // [n_texts] every text classifiers see, once, by rising length
    const char **text_concept; // [n_texts] what @concept finds in it: the item
    int64_t *text_tokens;      // [n_texts]
    int64_t n_texts;
    va_site *sites; // [n_sites] captured at every text
    int64_t n_sites;
    va_dataset *datasets;    // [n_concepts]
    va_plan_prompt *prompts; // [n_concepts, n_prompts]
    int64_t *tokens;         // [n_directions, n_concepts, 2] of gradients: token, versus (-1: none)
    va_unit *units;
    int64_t n_units;
    va_unit_block *blocks; // [n_directions]
    int64_t n_blocks;      // blocks that must be on the device
    bool unembed;
    va_plan_summary summary;
} va_plan;

enum { VA_CAPTURE_CHUNK = 256, VA_CAPTURE_BATCH = 16 };

struct va_experiment {
    va_ctx *ctx;
    va_arena *arena;
    va_spec spec;
    va_diagnostics diag;
    va_plan plan;
    bool planned;
    const char *path, *tool_version, *tool_build;
    va_variant variant; // of a matrix
    char *resolved;     // the experiment as resolved, YAML text
};

// Fills the plan; what is wrong with the experiment goes to its diagnostics.
va_status va_plan_make(va_experiment *e);
void va_plan_free(va_plan *plan);
// Of an experiment with mistakes: what the model's folder alone shows to be wrong, too.
void va_plan_check_model(va_experiment *e);
// Diagnoses parts that multiply to more than can be planned (plan_size.c). Of a spec without
// mistakes.
void va_plan_check_size(va_experiment *e);
// Diagnoses frames that cannot have so many vectors, and directions of different widths that are
// compared (plan_check.c). After the datasets.
void va_plan_check_shapes(va_experiment *e);
// Diagnoses fits on permuted labels that are too many to be held. After the units.
void va_plan_check_drawn(va_experiment *e);
// Datasets and unique texts (plan_data.c).
va_status va_plan_datasets(va_experiment *e);
// FLOPs of every unit, device memory (plan_cost.c).
va_status va_plan_cost(va_experiment *e);
// Site of a direction (jacobian: `to`) at a layer. Errors are diagnosed at the direction's place.
bool va_plan_site(va_experiment *e, const va_direction_spec *dir, const char *text, int64_t layer,
                  va_site *site);
int64_t va_plan_site_width(const va_experiment *e, const va_site *site);
// Units, in the order of the run (plan_units.c).
va_status va_plan_units(va_experiment *e);
// Units of a direction: of one result (seed: which of its seeds), or [VA_UNIT_PERMUTED,
// VA_UNIT_RESAMPLED] of a layer. layer is an index into spec.layers.
int64_t va_plan_find(const va_experiment *e, int64_t direction, int64_t concept_index,
                     int64_t layer, int64_t prompt, int64_t seed);
int64_t va_plan_find_drawn(const va_experiment *e, va_unit_kind kind, int64_t direction,
                           int64_t layer);
// Ids of the tokens whose logits are differentiated (plan_map.c).
va_status va_plan_tokens(va_experiment *e);
// Sites, mode and all that the experiment says of a derivative's direction; prompts and w are the
// run's.
va_status va_plan_map(va_experiment *e, const va_unit *u, va_map_direction_params *params);
int64_t va_plan_layer_index(const va_experiment *e, int64_t layer); // in spec.layers; -1: 0
// Which of a metric's two directions chance replaces.
int64_t va_plan_replaced(const va_experiment *e, const va_metric_spec *m);
// A path of a direction with {concept} and {layer} put in; relative ones are to the experiment's
// folder.
const char *va_plan_path(const va_experiment *e, const va_direction_spec *dir, const va_unit *u);
// The file that it names: without ":NAME"; of a pack the classifier's.
const char *va_plan_file(const va_experiment *e, const va_direction_spec *dir, const va_unit *u);
// The one vector of a file, or a pack's classifier, as wide as the site; arena-owned.
va_status va_plan_read_vector(va_experiment *e, va_arena *arena, const char *path,
                              const va_site *site, float **v);
va_status va_plan_read_classifier(va_experiment *e, va_arena *arena, const char *path,
                                  const va_site *site, va_mlp *mlp);
// Diagnoses those that cannot be read so.
va_status va_plan_check_files(va_experiment *e);
// What a unit depends on beside the model, the device and the program: SHA-256 (plan_key.c).
va_status va_plan_key(va_experiment *e, int64_t unit, char hex[65]);

#endif
