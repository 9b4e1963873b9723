// fields.c: the table of everything an experiment file may say. Reading (schema.c) and the JSON
// schema for editors (schema_json.c) both follow it, so they cannot disagree.
// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#define AT(type, member) .offset = offsetof(type, member)
#define COUNT(type, member) .count_offset = offsetof(type, member)
#define PLACE(type, member) .place_offset = offsetof(type, member) + 1

const char *const va_direction_kind_names[] = {"jacobian", "mlp", NULL};
static const char *const mode_names[] = {"exact", "detached", NULL}; // in the order of va_mode
static const char *const reduce_names[] = {"jx", NULL};
static const char *const mlp_direction_names[] = {"w1_svd", NULL};
static const char *const metric_kinds[] = {"cosine", NULL};
static const char *const null_names[] = {"analytic", "covariance", NULL};

static const va_field concept_fields[] = {
    {.key = "name", .type = VA_FIELD_STRING, .required = true, AT(va_concept, name),
     PLACE(va_concept, place), .help = "The concept's name, as it stands in prompts"},
    {.key = "definition", .type = VA_FIELD_STRING, AT(va_concept, definition),
     .help = "What the concept means; one more positive for classifiers"},
    {.key = "layer", .type = VA_FIELD_INT, AT(va_concept, layer), .min = 0, .max = 1000,
     .default_text = "0", .help = "Layer of the ontology the concept comes from"},
    {.key = "positives", .type = VA_FIELD_STRINGS, .required = true, .min_items = 4,
     AT(va_concept, positives), .help = "Items that fall under the concept"},
    {.key = "hard_negatives", .type = VA_FIELD_STRINGS, AT(va_concept, hard_negatives),
     .help = "Items close to the concept that do not fall under it"},
    {.key = "random_negatives", .type = VA_FIELD_STRINGS, AT(va_concept, random_negatives),
     .help = "Items of any other kind"},
    {0},
};

#define DIRECTION_KIND                                                                             \
    {.key = "kind", .type = VA_FIELD_ENUM, .required = true,                                       \
     .choices = va_direction_kind_names, AT(va_direction_spec, kind),                              \
     .help = "jacobian: from the derivative of the model; mlp: from a classifier"}

static const va_field jacobian_fields[] = {
    DIRECTION_KIND,
    {.key = "from", .type = VA_FIELD_STRING, AT(va_direction_spec, from),
     .default_text = "embed@all", .help = "Site differentiated by"},
    {.key = "to", .type = VA_FIELD_STRING, .required = true, AT(va_direction_spec, to),
     .help = "Site differentiated; {layer} stands for model.layers' current entry"},
    {.key = "mode", .type = VA_FIELD_ENUM, .choices = mode_names, AT(va_direction_spec, mode),
     .default_text = "exact", .help = "exact, or detached (arXiv 2505.24293)"},
    {.key = "reduce", .type = VA_FIELD_CHOICE, .choices = reduce_names,
     AT(va_direction_spec, reduce), .default_text = "jx",
     .help = "jx: J applied to the activation at `from`"},
    {0},
};

static const va_field mlp_fields[] = {
    DIRECTION_KIND,
    {.key = "site", .type = VA_FIELD_STRING, .required = true, AT(va_direction_spec, site),
     .help = "Site whose activations are classified"},
    {.key = "hidden", .type = VA_FIELD_INTS, AT(va_direction_spec, hidden),
     COUNT(va_direction_spec, n_hidden), .min = 1, .max = 65536, .default_text = "[128, 64]",
     .min_items = 2, .help = "Widths of the two hidden layers"},
    {.key = "direction", .type = VA_FIELD_CHOICE, .choices = mlp_direction_names,
     AT(va_direction_spec, direction), .default_text = "w1_svd",
     .help = "w1_svd: top right singular vector of the first layer"},
    {.key = "epochs", .type = VA_FIELD_INT, AT(va_direction_spec, epochs), .min = 1,
     .max = 100000, .default_text = "50", .help = "Passes over the training items"},
    {.key = "batch", .type = VA_FIELD_INT, AT(va_direction_spec, batch), .min = 1, .max = 4096,
     .default_text = "32", .help = "Rows of a training step"},
    {.key = "learning_rate", .type = VA_FIELD_DOUBLE, AT(va_direction_spec, learning_rate),
     .min = 1e-9, .max = 10, .default_text = "0.001", .help = "AdamW's step size"},
    {.key = "weight_decay", .type = VA_FIELD_DOUBLE, AT(va_direction_spec, weight_decay),
     .min = 0, .max = 10, .default_text = "0.01", .help = "AdamW's decoupled decay"},
    {.key = "dropout", .type = VA_FIELD_DOUBLE, AT(va_direction_spec, dropout), .min = 0,
     .max = 0.95, .default_text = "0.2", .help = "Probability of dropping a hidden unit"},
    {.key = "held_out", .type = VA_FIELD_DOUBLE, AT(va_direction_spec, held_out), .min = 0.05,
     .max = 0.9, .default_text = "0.2", .help = "Share of the items kept for the test"},
    {0},
};
static const va_field *const direction_variants[] = {jacobian_fields, mlp_fields};

static const va_field metric_fields[] = {
    {.key = "name", .type = VA_FIELD_STRING, .required = true, AT(va_metric_spec, name),
     PLACE(va_metric_spec, place), .help = "Name of the number in the results"},
    {.key = "kind", .type = VA_FIELD_CHOICE, .choices = metric_kinds, AT(va_metric_spec, kind),
     .default_text = "cosine", .help = "cosine of two directions"},
    {.key = "of", .type = VA_FIELD_STRINGS, .required = true, .min_items = 2,
     AT(va_metric_spec, of), .help = "The two directions compared, by name"},
    {.key = "across_sites", .type = VA_FIELD_BOOL, AT(va_metric_spec, across_sites),
     .default_text = "false",
     .help = "Allow directions of different sites; the results are flagged"},
    {.key = "nulls", .type = VA_FIELD_CHOICES, .choices = null_names, AT(va_metric_spec, nulls),
     .default_text = "[analytic]",
     .help = "Chance levels: analytic = random directions of the same dimension; covariance = "
             "spread as the classifier's activations are"},
    {0},
};

static const va_field model_fields[] = {
    {.key = "path", .type = VA_FIELD_STRING, .required = true, AT(va_spec, model_path),
     PLACE(va_spec, model_place),
     .help = "Model folder (config.json, tokenizer.json, safetensors), relative to this file"},
    {.key = "layers", .type = VA_FIELD_INTS, .required = true, .min_items = 1,
     AT(va_spec, layers), COUNT(va_spec, n_layers), PLACE(va_spec, layers_place), .min = 0,
     .max = 10000, .help = "Layers that {layer} runs over: blocks passed, 0 to n_layer"},
    {0},
};

const va_field va_experiment_fields[] = {
    {.key = "version", .type = VA_FIELD_INT, .required = true, AT(va_spec, version), .min = 1,
     .max = 1, .help = "Version of this format: 1"},
    {.key = "name", .type = VA_FIELD_STRING, .required = true, AT(va_spec, name),
     .help = "Name of the experiment"},
    {.key = "question", .type = VA_FIELD_STRING, AT(va_spec, question), .default_text = "''",
     .help = "The question it answers, for the report"},
    {.key = "model", .type = VA_FIELD_GROUP, .required = true, .sub = model_fields,
     .help = "The language model"},
    {.key = "concepts", .type = VA_FIELD_LIST_OR_FILE, .required = true, .min_items = 1,
     .sub = concept_fields, .size = sizeof(va_concept), AT(va_spec, concepts),
     COUNT(va_spec, n_concepts), .help = "Concepts, inline or in a file of their own"},
    {.key = "prompts", .type = VA_FIELD_STRINGS, .required = true, .min_items = 1,
     AT(va_spec, prompts), PLACE(va_spec, prompts_place),
     .help = "Prompts of the Jacobians; {concept} stands for the concept's name"},
    {.key = "templates", .type = VA_FIELD_STRINGS, .min_items = 1, AT(va_spec, templates),
     PLACE(va_spec, templates_place), .default_text = "['The concept of {item} means']",
     .help = "Texts that classifiers see; {item} stands for a positive or negative"},
    {.key = "directions", .type = VA_FIELD_NAMED, .required = true, .min_items = 1,
     .variants = direction_variants, .size = sizeof(va_direction_spec),
     AT(va_spec, directions), COUNT(va_spec, n_directions), .help = "Directions, by name"},
    {.key = "metrics", .type = VA_FIELD_LIST, .required = true, .min_items = 1,
     .sub = metric_fields, .size = sizeof(va_metric_spec), AT(va_spec, metrics),
     COUNT(va_spec, n_metrics), .help = "What is measured; the first fills `alignment`"},
    {.key = "seed", .type = VA_FIELD_INT, AT(va_spec, seed), .min = 0, .max = 2147483647,
     .default_text = "0", .help = "Seed of everything random"},
    {.key = "output", .type = VA_FIELD_STRING, AT(va_spec, output), .default_text = "results",
     .help = "Output folder, relative to the working directory"},
    {0},
};
