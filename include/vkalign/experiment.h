// experiment.h: YAML -> typed experiment -> plan (opens no device) -> run (parses nothing) ->
// results. The format is documented in experiments/schema.json; results in
// experiments/results.schema.json. Depends on probe.h, metric.h, report.h and below.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_EXPERIMENT_H
#define VKALIGN_EXPERIMENT_H

#include "vkalign/base.h"
#include "vkalign/gpu.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct va_experiment va_experiment;

// One thing that is wrong in the experiment file (or in a --set, then file is "--set").
typedef struct va_diagnostic {
    const char *file;
    int line, col;       // 1-based; 0 when there is no place
    const char *message; // what, expected, got
    const char *hint;    // "" or what to do
} va_diagnostic;

typedef struct va_experiment_params {
    const char *path;
    const char *const *sets;  // "model.path=DIR": dotted key, YAML value; paths in it are relative
    int64_t n_sets;           // to the working directory, those in the file to the file's folder
    const char *tool_version; // recorded with the results; NULL: "unknown"
    const char *tool_build;   // tells builds of one version apart, so that none takes another's
                              // units; NULL: the version alone does
    int64_t variant;          // of an experiment with a matrix: which combination, from 0
} va_experiment_params;

// Reads, checks and plans: the schema, names and references, and, when the model's folder can be
// opened, layers, sites and tokens against it. All errors are collected: VA_ERR_SPEC when any is
// the experiment file's; a model or concept file that cannot be used gives VA_ERR_FILE etc. The
// experiment is returned also on failure (to read its diagnostics), unless memory ran out.
va_status va_experiment_load(va_ctx *ctx, const va_experiment_params *params,
                             va_experiment **experiment);
void va_experiment_free(va_experiment **experiment);
int64_t va_experiment_diagnostics(const va_experiment *experiment, const va_diagnostic **list);
const char *va_experiment_name(const va_experiment *experiment);
const char *va_experiment_output(const va_experiment *experiment); // as the file says
// Combinations of the values that the experiment's matrix lists; 1 without a matrix. The loaded
// one's name: "mode=exact,seed=1", "" without a matrix.
int64_t va_experiment_variant_count(const va_experiment *experiment);
const char *va_experiment_variant_name(const va_experiment *experiment);
int64_t va_experiment_expect_count(const va_experiment *experiment); // entries of `expect`

typedef struct va_plan_summary {
    int64_t n_units;    // pieces of work that are saved one by one
    int64_t n_captures; // texts run for classifiers
    int64_t n_directions;
    int64_t n_results;
    double flop;
    int64_t weight_bytes; // device memory of weights
    int64_t device_bytes; // planned peak of device memory, weights included
} va_plan_summary;
va_plan_summary va_experiment_plan(const va_experiment *experiment);
// The plan as text for people.
void va_experiment_plan_text(const va_experiment *experiment, va_strbuf *out);
// The JSON schema of experiment files, made from the same table that checks them; pretty-printed.
void va_experiment_schema(va_strbuf *out);

typedef struct va_run_params {
    const char *out_dir;   // NULL: the experiment's own
    bool resume;           // reuse units of an interrupted run that still fit
    const char *cache_dir; // units of all experiments by content; NULL: the user's, see
                           // va_unit_cache_dir; "": none
    va_gpu_params gpu;
    double start_s; // va_time_s() when the program began; 0: when the run does
} va_run_params;

typedef struct va_run_summary {
    int64_t n_units, n_done, n_reused, n_failed;
    int64_t n_results_failed; // results that lack a number
    double seconds;
    double first_dispatch_s;    // after start_s; 0: nothing was dispatched, or of several runs
    int64_t device_peak_bytes;  // of buffers, as va_plan_summary.device_bytes
    int64_t n_expected, n_held; // bounds that `expect` sets, and those that the results keep
} va_run_summary;

// Runs unit by unit, each saved as it ends; then writes results.json, report.md, report.html,
// vectors.safetensors, experiment.yaml and log.jsonl. VA_ERR_PARTIAL when some units failed,
// VA_ERR_INTERRUPTED after va_interrupt (saved units stay for resume).
va_status va_experiment_run(va_ctx *ctx, va_experiment *experiment, const va_run_params *params,
                            va_run_summary *summary);

// Runs every variant of an experiment with a matrix into a folder of its own, OUT/NAME, and writes
// OUT/sweep.json with the statistics of all, and a report that sets them side by side. summary: of
// all together. Errors as above; a variant that failed in part does not keep the others from
// running.
va_status va_sweep_run(va_ctx *ctx, const va_experiment_params *experiment,
                       const va_run_params *params, va_run_summary *summary);

#ifdef __cplusplus
}
#endif
#endif
