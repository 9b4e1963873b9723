// run_map.c: one unit: a direction that a derivative gives at a prompt, or over all prompts.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "fit.h"
#include "record.h"

// The prompts of the unit: one, or all of the concept's.
static va_status take_prompts(va_run *run, va_arena *arena, const va_unit *u,
                              va_map_direction_params *params) {
    va_status st = VA_OK;
    const int64_t n = run->e->spec.prompts.n, first = u->prompt < 0 ? 0 : u->prompt;
    const va_plan_prompt *text = &run->e->plan.prompts[u->concept_index * n + first];
    va_mean_prompt *prompts;
    params->n_prompts = u->prompt < 0 ? n : 1;
    VA_TRY_ALLOC(run->ctx, prompts, VA_NEW_ARRAY(arena, va_mean_prompt, params->n_prompts));
    for (int64_t i = 0; i < params->n_prompts; i++)
        prompts[i] = (va_mean_prompt){.ids = text[i].ids,
                                      .seq_len = text[i].n_ids,
                                      .concept_first = text[i].concept_first,
                                      .concept_count = text[i].concept_count};
    params->prompts = prompts;
done:
    return st;
}

// The direction that is pulled back, of the same concept and layer.
static va_status take_pulled(va_run *run, const va_unit *u, const va_direction_spec *dir,
                             va_map_direction_params *params) {
    const int64_t of = va_plan_find(run->e, dir->pulled, u->concept_index,
                                    va_plan_layer_index(run->e, u->layer), 0, 0);
    const va_file_tensor *w = va_run_direction(run, of);
    if (!w)
        return va_fail(run->ctx, VA_ERR_NUMERIC, "%s failed, which is pulled back",
                       run->e->plan.units[of].name);
    params->w = w->data;
    params->n_w = w->n_elem;
    return VA_OK;
}

static void add_record(va_run *run, const va_unit *u, const va_map_direction_params *params,
                       const va_map_direction *out, va_json *record) {
    const va_direction_spec *dir = &run->e->spec.directions[u->direction];
    const int64_t n = run->e->spec.prompts.n, first = u->prompt < 0 ? 0 : u->prompt;
    const va_plan_prompt *text = &run->e->plan.prompts[u->concept_index * n + first];
    const char *mode = dir->mode == VA_EXACT ? "exact" : "detached";
    char buf[64];
    va_json_add_string(
        record, "method",
        va_arena_printf(run->e->arena, "jacobian %s, %s%s", mode,
                        dir->reduce == VA_REDUCE_JX ? "J x" : va_map_reduce_name(dir->reduce),
                        u->prompt < 0 ? ", mean over prompts" : ""));
    va_json_add_string(record, "orientation", va_map_reduce_orientation(dir->reduce));
    va_json_add_string(record, "from", va_site_text(&params->from, buf));
    va_json_add_string(record, "to", va_site_text(&params->to, buf));
    va_json_add_string(record, "mode", mode);
    va_json_add_string(record, "reduce", va_map_reduce_name(dir->reduce));
    if (u->prompt < 0)
        va_json_add_int(record, "n_prompts", n);
    else
        va_json_add_string(record, "prompt", text->text);
    if (u->prompt >= 0)
        va_json_add_int(record, "n_tokens", text->n_ids);
    va_json_add_double(record, "forward_time", out->forward_s);
    va_json_add_double(record, "map_time", out->map_s);
    va_json_add_double(record, "jacobian_time", out->forward_s + out->map_s);
    if (dir->reduce == VA_REDUCE_JX)
        va_json_add_double(record, "reconstruction_error", out->reconstruction_error);
    if (!out->sigma)
        return;
    va_record_doubles(record, "residual", out->residual, out->rank);
    va_json_add_bool(record, "converged", out->converged);
}

va_status va_run_map(va_run *run, int64_t unit) {
    va_status st = VA_OK;
    va_experiment *e = run->e;
    const va_unit *u = &e->plan.units[unit];
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    va_arena *arena = va_arena_create();
    va_json *record = va_json_object();
    va_map_direction out;
    va_map_direction_params params;
    VA_TRY_ALLOC(run->ctx, record, arena ? record : NULL);
    VA_TRY(va_plan_map(e, u, &params));
    VA_TRY(take_prompts(run, arena, u, &params));
    if (dir->reduce == VA_REDUCE_PULLBACK)
        VA_TRY(take_pulled(run, u, dir, &params));
    VA_TRY(va_read_map_direction(e->plan.model, arena, &params, &out));
    add_record(run, u, &params, &out, record);
    if (out.sigma && !out.converged)
        va_log(run->ctx, VA_LOG_WARN, "%s: singular vectors did not converge", u->name);
    const va_fitted fitted = {.frame = out.rows,
                              .rank = out.rank,
                              .d = out.d,
                              .sigma = out.sigma,
                              .converged = out.sigma ? out.converged : true};
    VA_TRY(va_run_put_frame(run, unit,
                            va_map_reduce_at_from(dir->reduce) ? &params.from : &params.to, &fitted,
                            record, NULL, 0));
done:
    va_json_free(&record);
    va_arena_destroy(&arena);
    return st;
}
