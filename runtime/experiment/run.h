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
    int64_t unit_texts;                    // capture: texts of the unit
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

// results.json as a tree; vectors.safetensors, classifiers/, experiment.yaml, log, reports.
va_status va_run_results(va_run *run, va_json **results);
va_status va_run_write(va_run *run);
// The parts of results.json about what was run and where (provenance.c).
va_status va_run_metadata(va_run *run, va_json *root);
// Statistics over the results of each metric (statistics.c).
va_status va_run_statistics(va_run *run, va_json *root);

#endif
