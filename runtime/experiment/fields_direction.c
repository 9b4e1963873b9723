// fields_direction.c: what a direction may say, by its kind.
// SPDX-License-Identifier: Apache-2.0
#include "fields.h"

#define VA_X(name, text) text,
const char *const va_direction_kind_names[] = {VA_DIRECTION_KIND_LIST(VA_X) NULL};
#undef VA_X
static const char *const mode_names[] = {"exact", "detached", NULL}; // in the order of va_mode
static const char *const reduce_names[] = {"jx",       "right",    "left",
                                           "gradient", "pullback", NULL}; // of va_map_reduce
static const char *const mlp_direction_names[] = {"w1_svd", "mean_gradient", "weighted_w1",
                                                  NULL}; // of va_mlp_direction_kind

#define KIND                                                                                       \
    {                                                                                              \
        .key = "kind", .type = VA_FIELD_ENUM, .required = true,                                    \
        .choices = va_direction_kind_names, AT(va_direction_spec, kind),                           \
        .help = "jacobian: from a derivative of the model; mlp, logistic, difference, pca, lda: "  \
                "from the activations of a concept's items; file, pack: made by others"            \
    }

#define RANK                                                                                       \
    {                                                                                              \
        .key = "rank", .type = VA_FIELD_INT, AT(va_direction_spec, rank), .min = 1, .max = 1024,   \
        .default_text = "1", .help = "Vectors of the frame, the most important first"              \
    }

// Of the kinds that learn from items.
#define TRAINED                                                                                    \
    {.key = "site",                                                                                \
     .type = VA_FIELD_STRING,                                                                      \
     .required = true,                                                                             \
     AT(va_direction_spec, site),                                                                  \
     .help = "Site whose activations are learnt from; {layer} stands for model.layers' current "   \
             "entry"},                                                                             \
        {.key = "held_out",                                                                        \
         .type = VA_FIELD_DOUBLE,                                                                  \
         AT(va_direction_spec, held_out),                                                          \
         .min = 0.05,                                                                              \
         .max = 0.9,                                                                               \
         .default_text = "0.2",                                                                    \
         .help = "Share of the items kept for the test"},                                          \
    {                                                                                              \
        .key = "seeds", .type = VA_FIELD_INT, AT(va_direction_spec, seeds), .min = 1, .max = 100,  \
        .default_text = "1", .help = "Trained so often, each time with the next seed and split"    \
    }

#define W1_HELP                                                                                    \
    "w1_svd: top right singular vectors of the first layer; weighted_w1: of its rows times their " \
    "importance to the logit; mean_gradient: of the logit, over the training items"

static const va_field jacobian_fields[] = {
    KIND,
    {.key = "from",
     .type = VA_FIELD_STRING,
     AT(va_direction_spec, from),
     .default_text = "embed@all",
     .help = "Site differentiated by"},
    {.key = "to",
     .type = VA_FIELD_STRING,
     .required = true,
     AT(va_direction_spec, to),
     .help = "Site differentiated; {layer} stands for model.layers' current entry"},
    {.key = "mode",
     .type = VA_FIELD_ENUM,
     .choices = mode_names,
     AT(va_direction_spec, mode),
     .default_text = "exact",
     .help = "exact, or detached (arXiv 2505.24293)"},
    {.key = "reduce",
     .type = VA_FIELD_ENUM,
     .choices = reduce_names,
     AT(va_direction_spec, reduce),
     .default_text = "jx",
     .help = "jx: J applied to the activation at `from`; right, left: singular vectors; gradient: "
             "of a token's logit; pullback: J' of the direction `of`, at `from`"},
    RANK,
    {.key = "token",
     .type = VA_FIELD_STRING,
     AT(va_direction_spec, token),
     .default_text = "''",
     .help = "gradient: text of the token; {concept} stands for the concept's name"},
    {.key = "versus",
     .type = VA_FIELD_STRING,
     AT(va_direction_spec, versus),
     .default_text = "''",
     .help = "gradient: text of the token whose logit is taken away"},
    {.key = "of",
     .type = VA_FIELD_STRING,
     AT(va_direction_spec, of),
     .default_text = "''",
     .help = "pullback: the direction, which lives at `to`"},
    {.key = "average",
     .type = VA_FIELD_BOOL,
     AT(va_direction_spec, average),
     .default_text = "false",
     .help = "One map, the mean over all prompts; `from` and `to` are then at one position"},
    {0},
};

static const va_field mlp_fields[] = {
    KIND,
    TRAINED,
    RANK,
    {.key = "hidden",
     .type = VA_FIELD_INTS,
     AT(va_direction_spec, hidden),
     COUNT(va_direction_spec, n_hidden),
     .min = 1,
     .max = 65536,
     .default_text = "[128, 64]",
     .min_items = 2,
     .help = "Widths of the two hidden layers"},
    {.key = "direction",
     .type = VA_FIELD_ENUM,
     .choices = mlp_direction_names,
     AT(va_direction_spec, direction),
     .default_text = "w1_svd",
     .help = W1_HELP},
    {.key = "epochs",
     .type = VA_FIELD_INT,
     AT(va_direction_spec, epochs),
     .min = 1,
     .max = 100000,
     .default_text = "50",
     .help = "Passes over the training items"},
    {.key = "batch",
     .type = VA_FIELD_INT,
     AT(va_direction_spec, batch),
     .min = 1,
     .max = 4096,
     .default_text = "32",
     .help = "Rows of a training step"},
    {.key = "learning_rate",
     .type = VA_FIELD_DOUBLE,
     AT(va_direction_spec, learning_rate),
     .min = 1e-9,
     .max = 10,
     .default_text = "0.001",
     .help = "AdamW's step size"},
    {.key = "weight_decay",
     .type = VA_FIELD_DOUBLE,
     AT(va_direction_spec, weight_decay),
     .min = 0,
     .max = 10,
     .default_text = "0.01",
     .help = "AdamW's decoupled decay"},
    {.key = "dropout",
     .type = VA_FIELD_DOUBLE,
     AT(va_direction_spec, dropout),
     .min = 0,
     .max = 0.95,
     .default_text = "0.2",
     .help = "Probability of dropping a hidden unit"},
    {0},
};

static const va_field logistic_fields[] = {
    KIND,
    TRAINED,
    {.key = "l2",
     .type = VA_FIELD_DOUBLE,
     AT(va_direction_spec, l2),
     .min = 1e-9,
     .max = 1e9,
     .default_text = "1",
     .help = "Penalty: l2 / 2 times the squared weights, beside the sum of losses"},
    {0},
};

static const va_field difference_fields[] = {KIND, TRAINED, {0}};
static const va_field pca_fields[] = {KIND, TRAINED, RANK, {0}};

static const va_field lda_fields[] = {
    KIND,
    TRAINED,
    {.key = "shrinkage",
     .type = VA_FIELD_DOUBLE,
     AT(va_direction_spec, shrinkage),
     .min = -1,
     .max = 1,
     .default_text = "-1",
     .help = "Of the covariance, 0 to 1; -1: as Ledoit and Wolf find it"},
    {0},
};

#define SITE_OF_OTHERS                                                                             \
    {                                                                                              \
        .key = "site", .type = VA_FIELD_STRING, .required = true, AT(va_direction_spec, site),     \
        .help = "Site that the directions were made for"                                           \
    }

static const va_field file_fields[] = {
    KIND,
    {.key = "path",
     .type = VA_FIELD_STRING,
     .required = true,
     AT(va_direction_spec, path),
     PLACE(va_direction_spec, path_place),
     .help = "FILE.npy, FILE.safetensors:NAME, FILE.gguf:LAYER or FILE.pt:KEY, relative to this "
             "file; {concept} and {layer} stand for the current ones"},
    SITE_OF_OTHERS,
    {0},
};

static const va_field pack_fields[] = {
    KIND,
    {.key = "path",
     .type = VA_FIELD_STRING,
     .required = true,
     AT(va_direction_spec, path),
     PLACE(va_direction_spec, path_place),
     .help = "Folder of trained classifiers: layerN/CONCEPT_classifier.pt or layerN/CONCEPT.pt, N "
             "the concept's layer; relative to this file"},
    SITE_OF_OTHERS,
    RANK,
    {.key = "direction",
     .type = VA_FIELD_ENUM,
     .choices = mlp_direction_names,
     AT(va_direction_spec, direction),
     .default_text = "w1_svd",
     .help = W1_HELP},
    {0},
};

const va_field *const va_direction_variants[] = {
    [VA_DIRECTION_JACOBIAN] = jacobian_fields, [VA_DIRECTION_MLP] = mlp_fields,
    [VA_DIRECTION_LOGISTIC] = logistic_fields, [VA_DIRECTION_DIFFERENCE] = difference_fields,
    [VA_DIRECTION_PCA] = pca_fields,           [VA_DIRECTION_LDA] = lda_fields,
    [VA_DIRECTION_FILE] = file_fields,         [VA_DIRECTION_PACK] = pack_fields,
};
