// plan_cost.c: FLOPs and device memory of an experiment's units, without a device.
// SPDX-License-Identifier: Apache-2.0
#include "name_set.h"
#include "plan.h"

#include "vkalign/probe.h"

typedef struct va_cost_memo { // plans of prompts of one length are alike
    int64_t n_seq, seq_len;
    va_graph_cost forward;
} va_cost_memo;

static va_status capture_cost(va_experiment *e, int64_t n_seq, int64_t seq_len,
                              va_cost_memo *memo) {
    va_status st = VA_OK;
    if (memo->n_seq == n_seq && memo->seq_len == seq_len)
        goto done;
    va_prompt_params params = {.n_seq = n_seq,
                               .seq_len = seq_len,
                               .sites = e->plan.sites,
                               .n_sites = e->plan.n_sites,
                               .concept_first = 0,
                               .concept_count = 1};
    VA_TRY(va_prompt_plan(e->plan.model, &params, &memo->forward, NULL));
    *memo = (va_cost_memo){n_seq, seq_len, memo->forward};
done:
    return st;
}

static va_status cost_of_captures(va_experiment *e, va_unit *u, int64_t *peak) {
    va_status st = VA_OK;
    const va_plan *p = &e->plan;
    va_cost_memo memo = {0};
    for (int64_t i = u->first, n; i < u->first + u->count; i += n) {
        for (n = 1; n < VA_CAPTURE_BATCH && i + n < u->first + u->count &&
                    p->text_tokens[i + n] == p->text_tokens[i];)
            n++;
        VA_TRY(capture_cost(e, n, p->text_tokens[i], &memo));
        u->flop += memo.forward.flop;
        *peak = VA_MAX(*peak, memo.forward.memory_bytes);
    }
done:
    return st;
}

// A pullback's direction is not there yet; any of its width costs the same.
static va_status stand_in(va_experiment *e, va_arena *arena, va_map_direction_params *params) {
    va_status st = VA_OK;
    float *w;
    if (params->reduce != VA_REDUCE_PULLBACK)
        return VA_OK;
    params->n_w = va_plan_site_width(e, &params->to);
    VA_TRY_ALLOC(e->ctx, w, VA_NEW_ARRAY(arena, float, params->n_w));
    w[0] = 1;
    params->w = w;
done:
    return st;
}

// Plans of a direction at prompts of the same shapes are alike: each is made once.
typedef struct map_costs {
    va_name_set shapes;
    double *flop;   // [n_units], by the shapes' number
    int64_t *bytes; // beside the weights
} map_costs;

static const char *shape_text(va_arena *arena, const va_unit *u,
                              const va_map_direction_params *params) {
    va_strbuf text = {0};
    va_strbuf_printf(&text, "%lld %lld", (long long)u->direction, (long long)u->layer);
    for (int64_t i = 0; i < params->n_prompts; i++)
        va_strbuf_printf(&text, " %lld:%lld:%lld", (long long)params->prompts[i].seq_len,
                         (long long)params->prompts[i].concept_first,
                         (long long)params->prompts[i].concept_count);
    const char *copy = text.failed ? NULL : va_arena_strdup(arena, text.data);
    va_strbuf_free(&text);
    return copy;
}

static va_status plan_map(va_experiment *e, va_arena *arena, const va_unit *u,
                          va_map_direction_params *params, double *flop, int64_t *bytes) {
    va_status st = VA_OK;
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    int64_t weights;
    VA_TRY(stand_in(e, arena, params));
    if (va_read_map_direction_plan(e->plan.model, params, flop, bytes) != VA_OK) {
        va_diagnose(&e->diag, dir->place, "", "directions.%s: %s", dir->name,
                    va_error_message(e->ctx));
        goto done;
    }
    VA_TRY(va_model_buffer_bytes(e->plan.model, e->plan.n_blocks, e->plan.unembed, &weights));
    *bytes -= weights;
done:
    return st;
}

static va_status cost_of_map(va_experiment *e, map_costs *costs, va_unit *u, int64_t *peak) {
    va_status st = VA_OK;
    const int64_t n = e->spec.prompts.n, first = u->prompt < 0 ? 0 : u->prompt;
    const va_plan_prompt *text = &e->plan.prompts[u->concept_index * n + first];
    va_arena *arena = va_arena_create();
    va_map_direction_params params;
    const char *shape;
    int64_t id;
    VA_TRY_ALLOC(e->ctx, arena, arena);
    VA_TRY(va_plan_map(e, u, &params));
    params.n_prompts = u->prompt < 0 ? n : 1;
    va_mean_prompt *prompts = VA_NEW_ARRAY(arena, va_mean_prompt, params.n_prompts);
    VA_TRY_ALLOC(e->ctx, prompts, prompts);
    for (int64_t i = 0; i < params.n_prompts; i++)
        prompts[i] = (va_mean_prompt){.ids = text[i].ids,
                                      .seq_len = text[i].n_ids,
                                      .concept_first = text[i].concept_first,
                                      .concept_count = text[i].concept_count};
    params.prompts = prompts;
    VA_TRY_ALLOC(e->ctx, shape, shape_text(e->arena, u, &params));
    const int64_t n_known = costs->shapes.n;
    VA_TRY(va_name_set_add(&costs->shapes, shape, &id));
    if (id == n_known)
        VA_TRY(plan_map(e, arena, u, &params, &costs->flop[id], &costs->bytes[id]));
    u->flop = costs->flop[id];
    *peak = VA_MAX(*peak, costs->bytes[id]);
done:
    va_arena_destroy(&arena);
    return st;
}

// Forward and backward through the dense layers: about 6 operations for each weight and row.
static void cost_of_mlp(const va_experiment *e, va_unit *u, int64_t d, double rows, int64_t most,
                        int64_t *peak) {
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    const int64_t h1 = dir->hidden[0], h2 = dir->hidden[1];
    const double weights = (double)d * (double)h1 + (double)h1 * (double)h2 + (double)h2;
    const va_mlp_params params = {.h1 = h1, .h2 = h2, .batch = dir->batch};
    const int64_t n_fits = u->concept_index < 0 ? u->count * e->spec.n_concepts : 1;
    u->flop = 6 * weights * rows * (double)dir->epochs;
    *peak = VA_MAX(*peak, va_mlp_train_bytes(&params, e->plan.n_texts, d, most, n_fits));
}

// Linear methods: about as many passes over the rows as Newton takes steps.
static void cost_of_probe(va_experiment *e, va_unit *u, int64_t *peak) {
    enum { STEPS = 20 };
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    va_site site = {0};
    va_plan_site(e, dir, dir->site, u->layer, &site); // checked before
    const int64_t d = va_plan_site_width(e, &site);
    double rows = 0;
    int64_t most = 1; // rows of one fit
    for (int64_t c = 0; c < e->spec.n_concepts; c++)
        if (u->concept_index < 0 || u->concept_index == c) {
            rows += (double)e->plan.datasets[c].n * (double)VA_MAX(u->count, 1);
            most = VA_MAX(most, e->plan.datasets[c].n);
        }
    rows *= 1 - dir->held_out;
    if (dir->kind == VA_DIRECTION_MLP)
        cost_of_mlp(e, u, d, rows, most, peak);
    else
        u->flop = 4 * STEPS * rows * (double)d;
}

// The forward pass that brings all weights to the device, before the units.
static va_status cost_of_loading(va_experiment *e, int64_t *peak) {
    va_status st = VA_OK;
    const va_plan *p = &e->plan;
    const va_site site = {.kind = p->unembed ? VA_SITE_LOGITS : VA_SITE_NORM, .layer = p->n_blocks};
    const va_prompt_params params = {
        .ids = p->prompts[0].ids, .seq_len = p->prompts[0].n_ids, .sites = &site, .n_sites = 1};
    va_graph_cost forward;
    VA_TRY(va_prompt_plan(p->model, &params, &forward, NULL));
    *peak = VA_MAX(*peak, forward.memory_bytes);
done:
    return st;
}

va_status va_plan_cost(va_experiment *e) {
    va_status st = VA_OK;
    va_plan *p = &e->plan;
    va_plan_summary *sum = &p->summary;
    map_costs costs = {.shapes = {.ctx = e->ctx, .arena = e->arena}};
    int64_t peak = 0, weights;
    VA_TRY_ALLOC(e->ctx, costs.flop, VA_NEW_ARRAY(e->arena, double, p->n_units));
    VA_TRY_ALLOC(e->ctx, costs.bytes, VA_NEW_ARRAY(e->arena, int64_t, p->n_units));
    VA_TRY(cost_of_loading(e, &peak));
    for (int64_t i = 0; i < p->n_units; i++) {
        va_unit *u = &p->units[i];
        if (u->kind == VA_UNIT_CAPTURE)
            VA_TRY(cost_of_captures(e, u, &peak));
        else if (e->spec.directions[u->direction].kind == VA_DIRECTION_JACOBIAN)
            VA_TRY(cost_of_map(e, &costs, u, &peak));
        else if (va_direction_is_trained(&e->spec.directions[u->direction]))
            cost_of_probe(e, u, &peak);
        sum->flop += u->flop;
        sum->n_directions += u->kind == VA_UNIT_DIRECTION;
    }
    VA_TRY(va_model_weight_bytes(p->model, p->n_blocks, p->unembed, &sum->weight_bytes));
    sum->n_units = p->n_units;
    sum->n_captures = p->n_sites > 0 ? p->n_texts : 0;
    for (int64_t i = 0; i < e->spec.n_layers * e->spec.prompts.n; i++)
        if (va_spec_has_result(&e->spec, i / e->spec.prompts.n, i % e->spec.prompts.n))
            sum->n_results += e->spec.n_concepts;
    VA_TRY(va_model_buffer_bytes(p->model, p->n_blocks, p->unembed, &weights));
    sum->device_bytes = weights + peak;
done:
    return st;
}
