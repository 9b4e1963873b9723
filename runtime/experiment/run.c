// run.c: the loop over units: each is computed, saved, logged; failures stay with their unit.
// SPDX-License-Identifier: Apache-2.0
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void va_run_progress(va_run *run, double share, bool finished) {
    double done = run->flop_done + share * run->unit_flop;
    va_progress p = {.label = run->label,
                     .done = (int64_t)(1000 * done / VA_MAX(run->flop_total, 1)),
                     .total = 1000,
                     .elapsed_s = va_time_s() - run->start_s,
                     .finished = finished};
    va_progress_report(run->ctx, &p);
}

va_status va_run_put_direction(va_run *run, int64_t unit, const va_site *site, float *vector,
                               int64_t d, va_json *record, const va_file_tensor *extra,
                               int64_t n_extra) {
    enum { MAX_TENSORS = 8 };
    va_file_tensor t[MAX_TENSORS];
    char text[64], hex[65];
    double norm = 0;
    for (int64_t i = 0; i < d; i++)
        norm += (double)vector[i] * vector[i];
    norm = sqrt(norm);
    if (!isfinite(norm) || norm == 0)
        return va_fail(run->ctx, VA_ERR_NUMERIC, "the direction has norm %g", norm);
    for (int64_t i = 0; i < d; i++)
        vector[i] = (float)(vector[i] / norm);
    va_sha256 *h = va_sha256_create();
    va_sha256_update(h, vector, d * (int64_t)sizeof *vector);
    va_sha256_finish(&h, hex);
    va_json_add_string(record, "site", va_site_text(site, text));
    va_json_add_double(record, "norm", norm);
    va_json_add_int(record, "dimension", d);
    va_json_add_string(record, "sha256", hex);
    t[0] = (va_file_tensor){
        .name = "direction", .dtype = VA_F32, .n_dim = 1, .shape = {d}, .data = vector};
    for (int64_t i = 0; i < n_extra; i++)
        t[1 + i] = extra[i];
    return va_store_put(run->store, unit, t, 1 + n_extra, record);
}

// Everything the units depend on: experiment, model, tool, device.
static va_status make_key(va_run *run) {
    va_status st = VA_OK;
    va_experiment *e = run->e;
    const va_gpu_info *info = va_gpu_get_info(run->gpu);
    VA_TRY(va_model_hash(e->plan.model, e->plan.n_blocks, e->plan.unembed, run->model_sha256));
    va_sha256 *h = va_sha256_create();
    VA_TRY_ALLOC(run->ctx, h, h);
    const char *part[] = {e->resolved, run->model_sha256, e->tool_version, info->name,
                          info->driver};
    for (int64_t i = 0; i < VA_COUNT(part); i++)
        va_sha256_update(h, part[i], (int64_t)strlen(part[i]) + 1);
    for (int64_t i = 0; i < e->plan.n_texts; i++) // concepts may stand in a file of their own
        va_sha256_update(h, e->plan.texts[i], (int64_t)strlen(e->plan.texts[i]) + 1);
    va_sha256_finish(&h, run->key);
done:
    return st;
}

static va_status log_unit(va_run *run, int64_t unit, const char *status, double seconds,
                          const char *error) {
    va_json *event = va_json_object();
    va_json_add_string(event, "unit", run->e->plan.units[unit].name);
    va_json_add_string(event, "status", status);
    va_json_add_double(event, "seconds", seconds);
    if (error)
        va_json_add_string(event, "error", error);
    va_status st = va_store_log(run->store, event);
    va_json_free(&event);
    return st;
}

static va_status compute(va_run *run, int64_t unit) {
    const va_unit *u = &run->e->plan.units[unit];
    if (u->kind == VA_UNIT_CAPTURE)
        return va_run_capture(run, unit);
    if (run->e->spec.directions[u->direction].kind == VA_DIRECTION_JACOBIAN)
        return va_run_jacobian(run, unit);
    return va_run_mlp(run, unit);
}

// Errors that end the run: all others stay with the unit.
static bool fatal(va_status st) {
    return st == VA_ERR_DEVICE || st == VA_ERR_FILE || st == VA_ERR_INTERRUPTED;
}

static va_status run_unit(va_run *run, int64_t unit) {
    va_status st = VA_OK;
    const va_unit *u = &run->e->plan.units[unit];
    if (va_store_tensors(run->store, unit)) {
        run->summary.n_reused++;
        return VA_OK;
    }
    run->label = u->name;
    run->unit_flop = u->flop;
    va_run_progress(run, 0, false);
    double t0 = va_time_s();
    VA_TRY(va_check_interrupt(run->ctx));
    st = compute(run, unit);
    if (fatal(st))
        goto done;
    if (st == VA_OK) {
        run->summary.n_done++;
        VA_TRY(log_unit(run, unit, "done", va_time_s() - t0, NULL));
    } else {
        run->summary.n_failed++;
        va_store_fail(run->store, unit, va_error_message(run->ctx));
        va_log(run->ctx, VA_LOG_ERROR, "%s: %s", u->name, va_error_message(run->ctx));
        VA_TRY(log_unit(run, unit, "failed", va_time_s() - t0, va_store_error(run->store, unit)));
    }
done:
    return st;
}

static va_status run_units(va_run *run) {
    va_status st = VA_OK;
    const va_plan *p = &run->e->plan;
    run->flop_total = p->summary.flop;
    for (int64_t i = 0; i < p->n_units; i++) {
        VA_TRY(run_unit(run, i));
        run->flop_done += p->units[i].flop;
    }
    run->label = "writing results";
    run->unit_flop = 0;
    va_run_progress(run, 0, false);
done:
    return st;
}

// Weights that cannot be used end the run before there is an output folder.
static va_status load_weights(va_run *run) {
    va_status st = VA_OK;
    const va_plan *p = &run->e->plan;
    const va_plan_prompt *text = &p->prompts[0];
    va_prompt *prompt = NULL;
    va_site site;
    char name[48];
    snprintf(name, sizeof name, "%s:%lld@last", p->unembed ? "logits" : "norm",
             (long long)p->n_blocks);
    VA_TRY(va_site_parse(run->ctx, name, va_model_config(p->model)->n_layer, &site));
    va_prompt_params params = {
        .ids = text->ids, .seq_len = text->n_ids, .sites = &site, .n_sites = 1};
    VA_TRY(va_prompt_create(p->model, &params, &prompt));
done:
    va_prompt_destroy(&prompt);
    return st;
}

static va_status start(va_run *run, const va_run_params *params) {
    va_status st = VA_OK;
    VA_TRY(va_gpu_open(run->ctx, &params->gpu, &run->gpu));
    VA_TRY(va_model_attach(run->e->plan.model, run->gpu));
    VA_TRY(make_key(run));
    VA_TRY(load_weights(run));
    VA_TRY(va_store_open(run->ctx, run->out_dir, run->key, params->resume, run->e->plan.n_units,
                         &run->store));
done:
    return st;
}

va_status va_experiment_run(va_ctx *ctx, va_experiment *experiment, const va_run_params *params,
                            va_run_summary *summary) {
    va_status st = VA_OK;
    va_run run = {.ctx = ctx,
                  .e = experiment,
                  .start_s = va_time_s(),
                  .label = "starting",
                  .out_dir = params->out_dir ? params->out_dir : experiment->spec.output};
    bool whole = false;
    run.summary.n_units = experiment->plan.n_units;
    if (!experiment->planned)
        return va_fail(ctx, VA_ERR_SPEC, "the experiment has mistakes and cannot be run");
    VA_TRY(start(&run, params));
    VA_TRY(run_units(&run));
    run.summary.seconds = va_time_s() - run.start_s;
    run.summary.device_peak_bytes = va_gpu_get_memory(run.gpu).peak_bytes;
    VA_TRY(va_run_write(&run));
    whole = run.summary.n_failed == 0;
    if (!whole)
        st = va_fail(ctx, VA_ERR_PARTIAL,
                     "%lld of %lld units failed; the others are saved in %s, try again with "
                     "--resume",
                     (long long)run.summary.n_failed, (long long)run.summary.n_units, run.out_dir);
done:
    run.unit_flop = 0;
    va_run_progress(&run, 0, true); // takes the bar away, however the run ended
    va_store_close(&run.store, whole);
    va_model_close(&experiment->plan.model); // frees its device memory before the device goes
    va_gpu_close(&run.gpu);
    *summary = run.summary;
    return st;
}
