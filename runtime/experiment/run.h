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
    const char *matmul; // the kernel in use
    double start_s, flop_done, flop_total; // for progress
    const char *label;                     // unit under way
    double unit_flop;
    int64_t unit_texts;         // capture: texts of the unit
    va_arena *arena;            // of the run
    va_metric_spread **spreads; // [n_sites, n_concepts]
    va_run_summary summary;
} va_run;

// Compute one unit and put it into the store, each in a file of its own.
va_status va_run_capture(va_run *run, int64_t unit);
va_status va_run_map(va_run *run, int64_t unit);   // of a derivative
va_status va_run_probe(va_run *run, int64_t unit); // learnt from items
va_status va_run_file(va_run *run, int64_t unit);  // read from a file, or from a pack's classifier
va_status va_run_drawn(va_run *run, int64_t unit); // permuted, resampled: many of one direction
// Errors that end the run: all others stay with the unit or the result.
bool va_run_is_fatal(va_status st);
// Reports progress with a share (0..1) of the current unit done.
void va_run_progress(va_run *run, double share, bool finished);

// Rows of activations: X [n, d].
typedef struct va_rows {
    float *X;
    int64_t n, d;
} va_rows;
// All of va_plan.texts as captured at the site of a direction that learns.
va_status va_run_texts(va_run *run, va_arena *arena, const va_direction_spec *dir, int64_t layer,
                       va_rows *rows);
va_status va_run_gather(va_run *run, va_arena *arena, const va_rows *texts, const int64_t *row,
                        int64_t n, va_rows *out);
// How a concept's texts are spread at the site of a unit that learns from them; made once a run.
va_status va_run_spread(va_run *run, const va_unit *u, const va_metric_spread **spread);

// Of a drawn unit: a concept's frames [n, rank, d]; NULL when it is not there.
const float *va_run_drawn_frames(const va_run *run, int64_t unit, int64_t concept_index, int64_t *n,
                                 int64_t *rank, int64_t *d);
// How many of these fits did not converge ("n_unconverged"), or have no direction ("n_failed"): the
// frames of those are zero.
int64_t va_run_drawn_count(const va_run *run, int64_t unit, int64_t concept_index, const char *key);
// The saved direction of a unit, NULL when it failed (results.c).
const va_file_tensor *va_run_direction(const va_run *run, int64_t unit);
// results.json as a tree; vectors.safetensors, classifiers/, experiment.yaml, log, reports.
va_status va_run_results(va_run *run, va_json **results);
va_status va_run_write(va_run *run);
// The parts of results.json about what was run and where (provenance.c).
va_status va_run_metadata(va_run *run, va_json *root);
// Statistics over the results of each metric (statistics.c).
va_status va_run_statistics(va_run *run, va_json *root);

#endif
