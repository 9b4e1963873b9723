// fields_metric.c: what a metric may say.
// SPDX-License-Identifier: Apache-2.0
#include "fields.h"

#define VA_X(name, text) text,
const char *const va_metric_kind_names[] = {VA_METRIC_KIND_LIST(VA_X) NULL};
#undef VA_X
const char *const va_over_names[] = {"prompts", "layers", "seeds", NULL};
static const char *const null_names[] = {"analytic", "covariance", "permutation", "random", NULL};
static const char *const bootstrap_names[] = {"items", "prompts", NULL};

const va_field va_metric_fields[] = {
    {.key = "name",
     .type = VA_FIELD_STRING,
     .required = true,
     AT(va_metric_spec, name),
     PLACE(va_metric_spec, place),
     .help = "Name of the number in the results"},
    {.key = "kind",
     .type = VA_FIELD_ENUM,
     .choices = va_metric_kind_names,
     AT(va_metric_spec, kind),
     .default_text = "cosine",
     .help = "cosine of two directions; subspace: overlap of two frames; spectrum: two frames' "
             "singular values; cka: of the activations at two directions' sites; transfer: the "
             "first direction on the second one's held-out items; agreement: one direction with "
             "itself; spearman: two metrics' ranks over the concepts"},
    {.key = "of",
     .type = VA_FIELD_STRINGS,
     .required = true,
     .min_items = 1,
     AT(va_metric_spec, of),
     .help = "What is compared, by name: two directions; agreement: one; spearman: two metrics"},
    {.key = "across_sites",
     .type = VA_FIELD_BOOL,
     AT(va_metric_spec, across_sites),
     .default_text = "false",
     .help = "Allow directions of different sites; the results are flagged"},
    {.key = "nulls",
     .type = VA_FIELD_CHOICES,
     .choices = null_names,
     AT(va_metric_spec, nulls),
     PRESENT(va_metric_spec, has_nulls),
     .help = "Chance levels. analytic: random directions, in closed form; random: such directions "
             "drawn; covariance: drawn as the items' activations are spread; permutation: the "
             "direction found again from permuted labels (cka: items permuted)"},
    {.key = "bootstrap",
     .type = VA_FIELD_CHOICES,
     .choices = bootstrap_names,
     AT(va_metric_spec, bootstrap),
     .help = "Intervals. items: the direction found again from items drawn with replacement; "
             "prompts: of each concept's mean over prompts"},
    {.key = "over",
     .type = VA_FIELD_ENUM,
     .choices = va_over_names,
     AT(va_metric_spec, over),
     .default_text = "prompts",
     .help = "agreement: over prompts, layers or seeds"},
    {.key = "ranks",
     .type = VA_FIELD_INTS,
     AT(va_metric_spec, ranks),
     COUNT(va_metric_spec, n_ranks),
     .min = 1,
     .max = 1024,
     .min_items = 1,
     .help = "subspace: of the first so many vectors of both frames; default: all"},
    {0},
};
