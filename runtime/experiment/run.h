// run.h: what the steps of a run share. Private to the layer.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_RUN_H
#define VKALIGN_RUN_H

#include "plan.h"
#include "store.h"

typedef struct va_run {
    va_ctx *ctx;
    va_experiment *e;
    va_gpu *gpu;
    va_store *store;
    const char *out_dir;
    char model_sha256[65], key[65];
    double start_s, flop_done, flop_total; // for progress
    const char *label;                     // unit under way
    double unit_flop;
    int64_t unit_texts; // capture: texts of the unit
    va_run_summary summary;
} va_run;

// Compute one unit and put it into the store (run_capture in run_probe.c).
va_status va_run_capture(va_run *run, int64_t unit);
va_status va_run_jacobian(va_run *run, int64_t unit);
va_status va_run_mlp(va_run *run, int64_t unit);
// Reports progress with a share (0..1) of the current unit done.
void va_run_progress(va_run *run, double share, bool finished);

// Puts a direction: normalises vector [d] to unit length, hashes it, and adds name, site, norm and
// sha256 to the record. extra: n_extra more tensors. VA_ERR_NUMERIC for a zero or non-finite one.
va_status va_run_put_direction(va_run *run, int64_t unit, const va_site *site, float *vector,
                               int64_t d, va_json *record, const va_file_tensor *extra,
                               int64_t n_extra);

// Rows of activations: X [n, d] and label [n].
typedef struct va_rows {
    float *X, *label;
    int64_t n, d;
} va_rows;
// The concept's texts as captured at capture site `site` (of va_plan.sites): all of them (held
// NULL), or those whose item's held[] is want_held.
va_status va_run_rows(va_run *run, va_arena *arena, int64_t concept_index, int64_t site,
                      const bool *held, bool want_held, va_rows *rows);
int64_t va_run_site_width(const va_run *run, const va_site *site);
int64_t va_run_capture_site(const va_run *run, const va_site *site); // index, -1: not captured

// The saved direction of a unit, NULL when it failed (results.c).
const va_file_tensor *va_run_direction(const va_run *run, int64_t unit);
// Adds "nulls" with the chance levels that the metric asks for, for a cosine in d dimensions.
va_status va_run_nulls(va_run *run, const va_metric_spec *m, const int64_t unit[2], double cosine,
                       int64_t d, va_json *metric);

// results.json as a tree; vectors.safetensors, classifiers/, experiment.yaml, log, reports.
va_status va_run_results(va_run *run, va_json **results);
va_status va_run_write(va_run *run);
// The parts of results.json about what was run and where (provenance.c).
va_status va_run_metadata(va_run *run, va_json *root);
// Statistics over the results of each metric (statistics.c).
va_status va_run_statistics(va_run *run, va_json *root);

#endif
