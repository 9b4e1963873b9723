// plan.h: the work of an experiment, unit by unit, worked out without a device. Private.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_PLAN_H
#define VKALIGN_PLAN_H

#include "spec.h"
#include "vkalign/model.h"

// What a classifier of one concept learns from: rows are (text, label), grouped by item.
typedef struct va_dataset {
    int64_t n, n_items;
    int64_t *text; // [n] index into va_plan.texts
    int64_t *item; // [n]
    float *label;  // [n] 1 positive, 0 negative
} va_dataset;

// One Jacobian prompt: a concept's name put into a prompt, tokenized.
typedef struct va_plan_prompt {
    const char *text;
    int32_t *ids;
    int64_t n_ids, concept_first, concept_count;
} va_plan_prompt;

typedef enum va_unit_kind { VA_UNIT_CAPTURE, VA_UNIT_DIRECTION } va_unit_kind;

// A piece of work that is saved by itself.
typedef struct va_unit {
    va_unit_kind kind;
    const char *name;                 // "capture/0", "jacobian/Physical/6/0", "published/Physical"
    int64_t first, count;             // capture: range of va_plan.texts
    int64_t direction, concept_index; // direction
    int64_t layer, prompt; // direction: value of {layer} and prompt index; -1: independent
    double flop;
} va_unit;

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
    va_unit *units;
    int64_t n_units;
    int64_t n_blocks; // blocks that must be on the device
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
    const char *path, *tool_version;
    char *resolved; // the experiment as resolved, YAML text
};

// Fills the plan; what is wrong with the experiment goes to its diagnostics.
va_status va_plan_make(va_experiment *e);
void va_plan_free(va_plan *plan);
// Of an experiment with mistakes: what the model's folder alone shows to be wrong, too.
void va_plan_check_model(va_experiment *e);
// Diagnoses parts that multiply to more than can be planned (plan_size.c). Of a spec without
// mistakes.
void va_plan_check_size(va_experiment *e);
// Datasets and unique texts (plan_data.c).
va_status va_plan_datasets(va_experiment *e);
// FLOPs of every unit, device memory (plan_cost.c).
va_status va_plan_cost(va_experiment *e);
// Site of a direction (jacobian: `to`) at a layer. Errors are diagnosed at the direction's place.
bool va_plan_site(va_experiment *e, const va_direction_spec *dir, const char *text, int64_t layer,
                  va_site *site);
bool va_plan_uses_layer(const va_direction_spec *dir);
// Index of the unit, -1 when there is none.
int64_t va_plan_find(const va_plan *plan, int64_t direction, int64_t concept_index, int64_t layer,
                     int64_t prompt);

#endif
