// run.c: the loop over units: each is computed, saved, logged; failures stay with their unit.
// SPDX-License-Identifier: Apache-2.0
#include "run.h"
#include "unit_cache.h"

#include "vkalign/matmul.h"

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

// Everything that units depend on beside what each of them is: model, program, device.
static va_status make_base_key(va_run *run) {
    va_status st = VA_OK;
    va_experiment *e = run->e;
    const va_gpu_info *info = va_gpu_get_info(run->gpu);
    VA_TRY(va_model_hash(e->plan.model, e->plan.n_blocks, e->plan.unembed, run->model_sha256));
    va_sha256 *h = va_sha256_create();
    VA_TRY_ALLOC(run->ctx, h, h);
    // Each kernel computes bits of its own.
    const char *gated = getenv("VA_GATED"), *fuse = getenv("VA_FUSE");
    VA_TRY(va_matmul_picked(run->gpu, &run->matmul));
    const char *part[] = {run->matmul,     gated ? gated : "", fuse ? fuse : "", run->model_sha256,
                          e->tool_version, e->tool_build,      info->name,       info->driver};
    for (int64_t i = 0; i < VA_COUNT(part); i++)
        va_sha256_update(h, part[i], (int64_t)strlen(part[i]) + 1);
    va_sha256_finish(&h, run->key);
done:
    return st;
}

static va_status make_keys(va_run *run, va_arena *arena, const char ***keys) {
    va_status st = VA_OK;
    const int64_t n = run->e->plan.n_units;
    char hex[65];
    VA_TRY(make_base_key(run));
    VA_TRY_ALLOC(run->ctx, *keys, VA_NEW_ARRAY(arena, const char *, n));
    for (int64_t i = 0; i < n; i++) {
        va_sha256 *h = va_sha256_create();
        VA_TRY_ALLOC(run->ctx, h, h);
        va_sha256_update(h, run->key, (int64_t)sizeof run->key);
        st = va_plan_key(run->e, i, hex);
        va_sha256_update(h, hex, (int64_t)sizeof hex);
        va_sha256_finish(&h, hex);
        VA_TRY(st);
        VA_TRY_ALLOC(run->ctx, (*keys)[i], va_arena_strdup(arena, hex));
    }
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
    if (u->kind != VA_UNIT_DIRECTION)
        return va_run_drawn(run, unit);
    const va_direction_spec *dir = &run->e->spec.directions[u->direction];
    if (dir->kind == VA_DIRECTION_JACOBIAN)
        return va_run_map(run, unit);
    return va_direction_is_trained(dir) ? va_run_probe(run, unit) : va_run_file(run, unit);
}

bool va_run_is_fatal(va_status st) {
    return st == VA_ERR_DEVICE || st == VA_ERR_FILE || st == VA_ERR_INTERRUPTED ||
           st == VA_ERR_MEMORY;
}

static va_status run_unit(va_run *run, int64_t unit) {
    va_status st = VA_OK;
    const va_unit *u = &run->e->plan.units[unit];
    if (va_store_tensors(run->store, unit)) {
        run->summary.n_reused++;
        return log_unit(run, unit, "cached", 0, NULL);
    }
    run->label = u->name;
    run->unit_flop = u->flop;
    va_run_progress(run, 0, false);
    double t0 = va_time_s();
    VA_TRY(va_check_interrupt(run->ctx));
    st = compute(run, unit);
    if (va_run_is_fatal(st))
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
    const va_site site = {.kind = p->unembed ? VA_SITE_LOGITS : VA_SITE_NORM,
                          .layer = p->n_blocks,
                          .position = VA_POS_LAST};
    const va_prompt_params params = {
        .ids = text->ids, .seq_len = text->n_ids, .sites = &site, .n_sites = 1};
    VA_TRY(va_prompt_create(p->model, &params, &prompt));
done:
    va_prompt_destroy(&prompt);
    return st;
}

// Whether nothing is left to compute: then the weights need not go to the device.
static bool all_cached(const va_run *run, const char *cache, const char *const *keys) {
    for (int64_t i = 0; i < run->e->plan.n_units; i++)
        if (!cache || !va_unit_cache_has(cache, keys[i]))
            return false;
    return true;
}

static va_status start(va_run *run, const va_run_params *params) {
    va_status st = VA_OK;
    va_arena *arena = va_arena_create();
    const char **keys;
    VA_TRY_ALLOC(run->ctx, arena, arena);
    VA_TRY(va_gpu_open(run->ctx, &params->gpu, &run->gpu));
    VA_TRY(va_model_attach(run->e->plan.model, run->gpu));
    VA_TRY(make_keys(run, arena, &keys));
    const char *cache = params->cache_dir ? params->cache_dir : va_unit_cache_dir(arena);
    cache = cache && cache[0] ? cache : NULL;
    if (!all_cached(run, cache, keys))
        VA_TRY(load_weights(run));
    VA_TRY(va_store_open(run->ctx,
                         &(va_store_params){.out_dir = run->out_dir,
                                            .cache_dir = cache,
                                            .keys = keys,
                                            .n_units = run->e->plan.n_units,
                                            .resume = params->resume},
                         &run->store));
done:
    va_arena_destroy(&arena);
    return st;
}

va_status va_experiment_run(va_ctx *ctx, va_experiment *experiment, const va_run_params *params,
                            va_run_summary *summary) {
    va_status st = VA_OK;
    va_run run = {.ctx = ctx,
                  .e = experiment,
                  .start_s = va_time_s(),
                  .label = "starting",
                  .arena = va_arena_create(),
                  .out_dir = params->out_dir ? params->out_dir : experiment->spec.output};
    bool whole = false;
    run.summary.n_units = experiment->plan.n_units;
    if (!experiment->planned)
        VA_TRY(va_fail(ctx, VA_ERR_SPEC, "the experiment has mistakes and cannot be run"));
    VA_TRY_ALLOC(ctx, run.arena, run.arena);
    VA_TRY(start(&run, params));
    VA_TRY(run_units(&run));
    run.summary.seconds = va_time_s() - run.start_s;
    const double first_s = va_gpu_first_dispatch_s(run.gpu);
    if (first_s > 0)
        run.summary.first_dispatch_s =
            first_s - (params->start_s > 0 ? params->start_s : run.start_s);
    run.summary.device_peak_bytes = va_gpu_get_memory(run.gpu).peak_bytes;
    VA_TRY(va_run_write(&run));
    run.summary.seconds = va_time_s() - run.start_s;
    whole = run.summary.n_failed == 0 && run.summary.n_results_failed == 0;
    if (run.summary.n_failed > 0)
        st = va_fail(ctx, VA_ERR_PARTIAL,
                     "%lld of %lld units failed; the others are saved in %s, try again with "
                     "--resume",
                     (long long)run.summary.n_failed, (long long)run.summary.n_units, run.out_dir);
    else if (!whole)
        st = va_fail(ctx, VA_ERR_PARTIAL, "%lld results could not be measured in full; see %s",
                     (long long)run.summary.n_results_failed, run.out_dir);
done:
    run.unit_flop = 0;
    va_run_progress(&run, 0, true); // takes the bar away, however the run ended
    va_store_close(&run.store, whole);
    va_model_close(&experiment->plan.model); // frees its device memory before the device goes
    va_gpu_close(&run.gpu);
    va_arena_destroy(&run.arena);
    *summary = run.summary;
    return st;
}
