// plan_cost.c: FLOPs and device memory of an experiment's units, without a device.
// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include "vkalign/probe.h"

#include <string.h>

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

static va_status cost_of_jacobian(va_experiment *e, va_unit *u, int64_t *peak) {
    va_status st = VA_OK;
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    const va_plan_prompt *prompt =
        &e->plan.prompts[u->concept_index * e->spec.prompts.n + u->prompt];
    va_site sites[2];
    if (!va_plan_site(e, dir, dir->from, u->layer, &sites[0]) ||
        !va_plan_site(e, dir, dir->to, u->layer, &sites[1]))
        goto done; // diagnosed
    va_prompt_params params = {.seq_len = prompt->n_ids,
                               .sites = sites,
                               .n_sites = 2,
                               .derivatives = true,
                               .modes = 1u << dir->mode,
                               .concept_first = prompt->concept_first,
                               .concept_count = prompt->concept_count,
                               .ids = prompt->ids};
    va_graph_cost forward = {0};
    va_map_plan jvp;
    st = va_prompt_plan(e->plan.model, &params, &forward, NULL);
    if (st == VA_OK)
        st = va_prompt_plan_map(e->plan.model, &params, 0, 1, dir->mode, VA_MAP_FORWARD,
                                &(va_map_budget){.max_k = 1}, &jvp);
    if (st != VA_OK) {
        va_diagnose(&e->diag, dir->place, "", "directions.%s: %s", dir->name,
                    va_error_message(e->ctx));
        goto done;
    }
    u->flop = forward.flop + jvp.flop;
    *peak = VA_MAX(*peak, jvp.peak_bytes - jvp.weight_bytes);
done:
    return st;
}

// Forward and backward through the dense layers: about 6 operations for each weight and row.
static void cost_of_mlp(const va_experiment *e, va_unit *u, int64_t *peak) {
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    const va_arch_config *config = va_model_config(e->plan.model);
    const int64_t h1 = dir->hidden[0], h2 = dir->hidden[1];
    const double rows = (double)e->plan.datasets[u->concept_index].n;
    const bool logits = strncmp(dir->site, "logits", 6) == 0;
    const int64_t d = logits ? config->vocab_size : config->d_model;
    const double weights = (double)d * (double)h1 + (double)h1 * (double)h2 + (double)h2;
    const va_mlp_params params = {.h1 = h1, .h2 = h2, .batch = dir->batch};
    const int64_t n_train = VA_MAX(1, (int64_t)(rows * (1 - dir->held_out) + 0.5));
    u->flop = 6 * weights * rows * (double)dir->epochs;
    *peak = VA_MAX(*peak, va_mlp_train_bytes(&params, n_train, d));
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
    int64_t peak = 0, weights;
    VA_TRY(cost_of_loading(e, &peak));
    for (int64_t i = 0; i < p->n_units; i++) {
        va_unit *u = &p->units[i];
        if (u->kind == VA_UNIT_CAPTURE)
            VA_TRY(cost_of_captures(e, u, &peak));
        else if (e->spec.directions[u->direction].kind == VA_DIRECTION_JACOBIAN)
            VA_TRY(cost_of_jacobian(e, u, &peak));
        else
            cost_of_mlp(e, u, &peak);
        sum->flop += u->flop;
        sum->n_directions += u->kind == VA_UNIT_DIRECTION;
    }
    VA_TRY(va_model_weight_bytes(p->model, p->n_blocks, p->unembed, &sum->weight_bytes));
    sum->n_units = p->n_units;
    sum->n_captures = p->n_sites > 0 ? p->n_texts : 0;
    sum->n_results = e->spec.n_concepts * e->spec.n_layers * e->spec.prompts.n;
    VA_TRY(va_model_buffer_bytes(p->model, p->n_blocks, p->unembed, &weights));
    sum->device_bytes = weights + peak;
done:
    return st;
}
