// A mean over prompts, before anything is allocated: prompts grouped, memory planned.
//
// Prompts of one length with the same positions can share a graph, for ids are an input; the
// positions are not.
// SPDX-License-Identifier: Apache-2.0
#include "mean_map.h"

#include <stdlib.h>
#include <string.h>

// -- groups ---------------------------------------------------------------------------------------

// The one token that a site names in a prompt; -1: the mean of all.
static va_status resolve(va_ctx *ctx, const va_mean_prompt *p, const va_site *s, bool may_be_mean,
                         int64_t *at) {
    char text[64];
    switch (s->position) {
    case VA_POS_LAST:
        *at = p->seq_len - 1;
        break;
    case VA_POS_INDEX:
        *at = s->index < 0 ? p->seq_len + s->index : s->index;
        break;
    case VA_POS_CONCEPT:
        *at = p->concept_count > 0 ? p->concept_first + p->concept_count - 1 : -1;
        if (p->concept_count < 1)
            return va_fail(ctx, VA_ERR_USAGE, "site %s: the concept's name is not in the prompt",
                           va_site_text(s, text));
        break;
    case VA_POS_MEAN:
    case VA_POS_ALL:
        *at = -1;
        if (s->position == VA_POS_MEAN && may_be_mean)
            return VA_OK;
        return va_fail(ctx, VA_ERR_USAGE, "a mean over prompts: expected one position%s, got %s",
                       may_be_mean ? " or @mean" : "", va_site_text(s, text));
    }
    if (*at < 0 || *at >= p->seq_len)
        return va_fail(ctx, VA_ERR_USAGE, "site %s is outside the prompt of %lld tokens",
                       va_site_text(s, text), (long long)p->seq_len);
    return VA_OK;
}

static va_status make_unit(va_mean_map *mean, const va_mean_params *params, int64_t i) {
    va_status st = VA_OK;
    va_ctx *ctx = mean->model->ctx;
    const va_mean_prompt *p = &params->prompts[i];
    mean_unit *u = &mean->units[i];
    *u = (mean_unit){.index = i, .seq_len = p->seq_len};
    if (p->seq_len < 1)
        VA_TRY(va_fail(ctx, VA_ERR_USAGE, "expected at least one token"));
    VA_TRY(resolve(ctx, p, &params->from, false, &u->from_at));
    VA_TRY(resolve(ctx, p, &params->to, true, &u->to_at));
    VA_TRY_ALLOC(ctx, u->ids, VA_NEW_ARRAY(mean->arena, int32_t, p->seq_len));
    memcpy(u->ids, p->ids, (size_t)p->seq_len * sizeof *u->ids);
done:
    return st == VA_OK ? st : va_fail_in(ctx, st, "prompt %lld", (long long)i);
}

static int compare_i64(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int compare_shape(const mean_unit *a, const mean_unit *b) {
    int order = compare_i64(a->seq_len, b->seq_len);
    if (!order)
        order = compare_i64(a->from_at, b->from_at);
    return order ? order : compare_i64(a->to_at, b->to_at);
}

static int compare_units(const void *a, const void *b) {
    const mean_unit *x = a, *y = b;
    const int order = compare_shape(x, y);
    return order ? order : compare_i64(x->index, y->index);
}

static void open_group(va_mean_map *mean, const va_mean_params *params, int64_t first) {
    const mean_unit *u = &mean->units[first];
    mean_group *g = &mean->groups[mean->n_groups++];
    *g = (mean_group){.seq_len = u->seq_len, .first = first, .held = -1};
    g->sites[0] = params->from;
    g->sites[0].position = VA_POS_INDEX, g->sites[0].index = u->from_at;
    g->sites[1] = params->to;
    if (u->to_at >= 0)
        g->sites[1].position = VA_POS_INDEX, g->sites[1].index = u->to_at;
}

va_status mean_group_prompts(va_mean_map *mean, const va_mean_params *params) {
    va_status st = VA_OK;
    va_ctx *ctx = mean->model->ctx;
    const int64_t n = params->n_prompts;
    if (n < 1)
        return va_fail(ctx, VA_ERR_USAGE, "a mean over prompts: expected at least one, got %lld",
                       (long long)n);
    mean->n_units = n;
    VA_TRY_ALLOC(ctx, mean->units, VA_NEW_ARRAY(mean->arena, mean_unit, n));
    VA_TRY_ALLOC(ctx, mean->groups, VA_NEW_ARRAY(mean->arena, mean_group, n));
    for (int64_t i = 0; i < n; i++)
        VA_TRY(make_unit(mean, params, i));
    qsort(mean->units, (size_t)n, sizeof *mean->units, compare_units);
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || compare_shape(&mean->units[i - 1], &mean->units[i]) != 0)
            open_group(mean, params, i);
        mean->units[i].group = &mean->groups[mean->n_groups - 1];
        mean->units[i].group->count++;
    }
done:
    return st;
}

va_prompt_params mean_prompt_params(const va_mean_map *mean, const mean_group *g,
                                    const mean_unit *u) {
    return (va_prompt_params){.ids = u->ids,
                              .n_seq = 1,
                              .seq_len = g->seq_len,
                              .sites = g->sites,
                              .n_sites = 2,
                              .derivatives = true,
                              .modes = 1u << mean->mode};
}

// -- memory ---------------------------------------------------------------------------------------

static va_status plan_group(va_mean_map *mean, const mean_group *g, const va_map_budget *budget,
                            va_map_plan *plan) {
    const mean_unit *u = &mean->units[g->first];
    const va_prompt_params params = mean_prompt_params(mean, g, u);
    const va_status st =
        va_prompt_plan_map(mean->model, &params, 0, 1, mean->mode, VA_MAP_APPLY, budget, plan);
    return st == VA_OK ? st : va_fail_in(mean->model->ctx, st, "prompt %lld", (long long)u->index);
}

// Device bytes of everything with k vectors: weights are shared, the rest is each graph's own.
static va_status count_bytes(va_mean_map *mean, const va_map_budget *budget, int64_t k,
                             int64_t *shared, int64_t *resident) {
    va_status st = VA_OK;
    va_map_budget b = *budget;
    int64_t weights = 0, ends = 0, once = 0, each = 0;
    b.max_k = k;
    for (int64_t i = 0; i < mean->n_groups; i++) {
        const mean_group *g = &mean->groups[i];
        va_map_plan plan;
        VA_TRY(plan_group(mean, g, &b, &plan));
        const int64_t rows = 4 * g->seq_len * mean->model->config.d_model;
        const int64_t own = plan.value_bytes + plan.sweep_bytes + rows;
        weights = VA_MAX(weights, plan.weight_bytes);
        ends = VA_MAX(ends, 2 * plan.end_bytes); // the caller's blocks, and the term's
        once += own;
        each += own * g->count;
    }
    *shared = weights + ends + once;
    *resident = weights + ends + each;
done:
    return st;
}

// Of the device what is not in use yet, though some of that may be weights that the mean shares.
static int64_t memory_limit(const va_model *m, const va_map_budget *b) {
    const int64_t device =
        m->gpu ? VA_MAX(va_gpu_memory_limit(m->gpu) - va_gpu_get_memory(m->gpu).used_bytes, 1) : 0;
    if (b->memory_bytes <= 0)
        return device;
    return device > 0 ? VA_MIN(device, b->memory_bytes) : b->memory_bytes;
}

va_status mean_plan(va_mean_map *mean, const va_mean_params *params, int64_t *max_k) {
    va_status st = VA_OK;
    const va_map_budget none = {0}, *b = params->budget ? params->budget : &none;
    const int64_t limit = memory_limit(mean->model, b);
    int64_t k = INT64_MAX, shared, resident;
    for (int64_t i = 0; i < mean->n_groups; i++) {
        va_map_plan plan;
        VA_TRY(plan_group(mean, &mean->groups[i], b, &plan));
        k = VA_MIN(k, plan.k);
    }
    for (;; k = k / 2) {
        VA_TRY(count_bytes(mean, b, k, &shared, &resident));
        const int64_t room = params->keep == VA_MEAN_KEEP_AUTO ? limit / 2 : limit;
        mean->resident = params->keep == VA_MEAN_KEEP_ALL ||
                         (params->keep == VA_MEAN_KEEP_AUTO && (limit <= 0 || resident <= room));
        mean->planned_bytes = mean->resident ? resident : shared;
        if (limit <= 0 || mean->planned_bytes <= limit || k == 1)
            break;
    }
    *max_k = k;
    if (limit > 0 && mean->planned_bytes > limit) {
        char need[32], got[32];
        VA_TRY(va_fail(mean->model->ctx, VA_ERR_MEMORY,
                       "a mean over %lld prompts with %lld graphs: expected %s of device memory "
                       "for one vector, got %s",
                       (long long)mean->n_units,
                       (long long)(mean->resident ? mean->n_units : mean->n_groups),
                       va_format_bytes(need, mean->planned_bytes), va_format_bytes(got, limit)));
    }
done:
    return st;
}

// -- without a device -----------------------------------------------------------------------------

// The work of the group's prompts, k vectors at a time.
static va_status add_flop(va_mean_map *mean, const mean_group *g, const va_map_budget *budget,
                          va_mean_plan *plan) {
    va_status st = VA_OK;
    const mean_unit *u = &mean->units[g->first];
    const va_prompt_params params = mean_prompt_params(mean, g, u);
    const double n = (double)g->count;
    va_graph_cost forward;
    va_map_plan both, apply;
    VA_TRY(va_prompt_plan(mean->model, &params, &forward, NULL));
    VA_TRY(plan_group(mean, g, budget, &both));
    VA_TRY(
        va_prompt_plan_map(mean->model, &params, 0, 1, mean->mode, VA_MAP_FORWARD, budget, &apply));
    plan->rows = both.rows;
    plan->columns = both.columns;
    plan->forward_flop += n * forward.flop;
    plan->apply_flop += n * apply.flop;
    plan->apply_t_flop += n * (both.flop - apply.flop);
done:
    return st;
}

va_status va_mean_map_plan(va_model *model, const va_mean_params *params, va_mean_plan *plan) {
    va_status st = VA_OK;
    va_mean_map mean = {.model = model, .mode = params->mode};
    va_map_budget budget = {0};
    *plan = (va_mean_plan){0};
    if (params->budget)
        budget = *params->budget;
    VA_TRY_ALLOC(model->ctx, mean.arena, va_arena_create());
    VA_TRY(mean_group_prompts(&mean, params));
    VA_TRY(mean_plan(&mean, params, &budget.max_k));
    plan->k = budget.max_k;
    plan->resident = mean.resident;
    plan->peak_bytes = mean.planned_bytes;
    for (int64_t i = 0; i < mean.n_groups; i++)
        VA_TRY(add_flop(&mean, &mean.groups[i], &budget, plan));
done:
    va_arena_destroy(&mean.arena);
    return st;
}
