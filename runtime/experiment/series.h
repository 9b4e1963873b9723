// series.h: a metric's numbers over the results, gathered from the tree of results. Private.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_SERIES_H
#define VKALIGN_SERIES_H

#include "record.h"
#include "run.h"

enum { VA_MAX_NULLS = 4 };

typedef struct va_series {
    double *value;
    double *p[VA_MAX_NULLS], *adjusted[VA_MAX_NULLS]; // by null, in the order asked for
    double *worst;                                    // [n] largest p of all nulls, adjusted
    va_json **metric;                                 // where they come from
    const char **concept_name, **prompt;
    int64_t *layer; // of the model
    int64_t n, dimension;
    bool across_sites;
} va_series;

// The numbers of a metric with one for each result, of the results that have it.
va_status va_series_collect(va_run *run, va_arena *arena, const va_json *results,
                            const va_metric_spec *spec, va_series *s);
// Statistics of groups: each layer, each concept over its prompts (groups.c). Only where there are
// several.
va_status va_run_layers(va_run *run, va_arena *arena, const va_metric_spec *m, const va_series *s,
                        va_json *o);
va_status va_run_stability(va_run *run, va_arena *arena, const va_metric_spec *m,
                           const va_series *s, va_json *o);
// Metrics over several results: "entries" and their mean (aggregate.c).
va_status va_run_agreement(va_run *run, const va_metric_spec *m, va_json *o);
va_status va_run_spearman(va_run *run, const va_json *results, const va_metric_spec *m, va_json *o);
// Adds "expectations" to the results and counts what is not held (expect.c).
va_status va_run_expectations(va_run *run, va_json *root);

#endif
