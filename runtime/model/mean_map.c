// The mean Jacobian over prompts as a linear map of its own, without keeping its parts.
//
// mean_i J_i x = sum_i (1/n) (J_i x): each term is a sweep at one prompt, added in the order of the
// units, so that one device gives one result. Where prompts share a graph, an application sets the
// ids and runs the forward pass before every sweep.
// SPDX-License-Identifier: Apache-2.0
#include "mean_map.h"

#include <stdio.h>
#include <stdlib.h>

// -- prompts on the device ------------------------------------------------------------------------

static va_status open_prompt(va_mean_map *mean, const mean_group *g, const mean_unit *u,
                             const va_map_budget *budget, va_prompt **prompt, va_linmap **map) {
    va_status st = VA_OK;
    const va_prompt_params params = mean_prompt_params(mean, g, u);
    VA_TRY(va_check_interrupt(mean->model->ctx));
    VA_TRY(va_prompt_create(mean->model, &params, prompt));
    VA_TRY(va_prompt_linmap(*prompt, 0, 1, mean->mode, budget, map));
done:
    return st == VA_OK || st == VA_ERR_INTERRUPTED
               ? st
               : va_fail_in(mean->model->ctx, st, "prompt %lld", (long long)u->index);
}

static va_status open_prompts(va_mean_map *mean, const va_map_budget *budget) {
    va_status st = VA_OK;
    for (int64_t i = 0; i < mean->n_units; i++) {
        mean_unit *u = &mean->units[i];
        mean_group *g = u->group;
        if (mean->resident) {
            VA_TRY(open_prompt(mean, g, u, budget, &u->prompt, &u->map));
            continue;
        }
        if (!g->prompt) {
            VA_TRY(open_prompt(mean, g, u, budget, &g->prompt, &g->map));
            g->held = i;
        }
        u->prompt = g->prompt;
        u->map = g->map;
    }
done:
    return st;
}

// The unit's ids are those of its prompt.
static va_status hold(va_mean_map *mean, int64_t i) {
    va_status st = VA_OK;
    const mean_unit *u = &mean->units[i];
    if (mean->resident || u->group->held == i)
        return VA_OK;
    u->group->held = -1;
    VA_TRY(va_prompt_set_ids(u->prompt, u->ids));
    u->group->held = i;
done:
    return st == VA_OK ? st : va_fail_in(mean->model->ctx, st, "prompt %lld", (long long)u->index);
}

// -- the map --------------------------------------------------------------------------------------

static void report(va_mean_map *mean, int64_t done, double start_s) {
    char label[64];
    snprintf(label, sizeof label, "mean over prompts, application %lld",
             (long long)mean->n_applied + 1);
    va_progress_report(mean->model->ctx, &(va_progress){.label = label,
                                                        .done = done,
                                                        .total = mean->n_units,
                                                        .elapsed_s = va_time_s() - start_s,
                                                        .finished = done == mean->n_units});
}

static va_status apply(va_mean_map *mean, bool transposed, const va_block *from,
                       const va_block *to) {
    va_status st = VA_OK;
    va_gpu *gpu = mean->model->gpu;
    const float weight = (float)(1.0 / (double)mean->n_units);
    const double start = va_time_s();
    const va_block term = {
        to->T, to->k, to->d,
        va_slice_at(va_buffer_all(mean->term), 0, va_block_bytes(to->T, to->k, to->d))};
    for (int64_t i = 0; i < mean->n_units; i++) {
        VA_TRY(va_check_interrupt(mean->model->ctx));
        VA_TRY(hold(mean, i));
        if (transposed)
            VA_TRY(va_linmap_apply_t(mean->units[i].map, from, &term));
        else
            VA_TRY(va_linmap_apply(mean->units[i].map, from, &term));
        VA_TRY(va_vec_axpby(gpu, weight, &term, i == 0 ? 0.0f : 1.0f, to));
        report(mean, i + 1, start);
    }
    mean->n_applied++;
done:
    return st;
}

static va_status mean_apply(void *self, const va_block *x, const va_block *y) {
    return apply(self, false, x, y);
}

static va_status mean_apply_t(void *self, const va_block *y, const va_block *x) {
    return apply(self, true, y, x);
}

static va_status make_map(va_mean_map *mean, const va_mean_params *params) {
    va_status st = VA_OK;
    static const va_linmap_ops ops = {mean_apply, mean_apply_t, NULL}; // self is the owner's
    const va_linmap_shape shape = va_linmap_get_shape(mean->units[0].map);
    char a[64], b[64], label[224];
    int64_t k = INT64_MAX;
    for (int64_t i = 0; i < mean->n_units; i++)
        k = VA_MIN(k, va_linmap_max_k(mean->units[i].map));
    const int64_t bytes = VA_MAX(va_block_bytes(shape.T_in, k, shape.d_in),
                                 va_block_bytes(shape.T_out, k, shape.d_out));
    VA_TRY(va_buffer_create(mean->model->gpu, bytes, "mean term", &mean->term));
    snprintf(label, sizeof label, "mean of %lld: %s -> %s (%s)", (long long)mean->n_units,
             va_site_text(&params->from, a), va_site_text(&params->to, b),
             mean->mode == VA_EXACT ? "exact" : "detached");
    VA_TRY(va_linmap_create(mean->model->gpu, &shape, k, &ops, mean, label, &mean->map));
done:
    return st;
}

va_status va_mean_map_create(va_model *model, const va_mean_params *params, va_mean_map **mean) {
    va_status st = VA_OK;
    va_mean_map *m = NULL;
    va_map_budget budget = {0};
    *mean = NULL;
    if (!model->gpu)
        return va_fail(model->ctx, VA_ERR_USAGE, "%s: va_model_attach comes before a mean",
                       model->dir);
    VA_TRY_ALLOC(model->ctx, m, calloc(1, sizeof *m));
    m->model = model;
    m->mode = params->mode;
    VA_TRY_ALLOC(model->ctx, m->arena, va_arena_create());
    VA_TRY(mean_group_prompts(m, params));
    if (params->budget)
        budget = *params->budget;
    VA_TRY(mean_plan(m, params, &budget.max_k));
    VA_TRY(open_prompts(m, &budget));
    VA_TRY(make_map(m, params));
    *mean = m;
done:
    if (st != VA_OK)
        va_mean_map_destroy(&m);
    return st;
}

void va_mean_map_destroy(va_mean_map **mean) {
    va_mean_map *m = *mean;
    *mean = NULL;
    if (!m)
        return;
    va_linmap_destroy(&m->map);
    for (int64_t i = 0; m->resident && m->units && i < m->n_units; i++) {
        va_linmap_destroy(&m->units[i].map);
        va_prompt_destroy(&m->units[i].prompt);
    }
    for (int64_t i = 0; i < m->n_groups; i++) {
        va_linmap_destroy(&m->groups[i].map);
        va_prompt_destroy(&m->groups[i].prompt);
    }
    va_buffer_destroy(&m->term);
    va_arena_destroy(&m->arena);
    free(m);
}

va_linmap *va_mean_map_linmap(va_mean_map *mean) {
    return mean->map;
}

bool va_mean_map_resident(const va_mean_map *mean) {
    return mean->resident;
}

int64_t va_mean_map_graph_count(const va_mean_map *mean) {
    return mean->resident ? mean->n_units : mean->n_groups;
}

int64_t va_mean_map_planned_bytes(const va_mean_map *mean) {
    return mean->planned_bytes;
}

// -- means ----------------------------------------------------------------------------------------

// Sums over the prompts in double: x, y and (if wanted) J x, one after the other in sums.
static va_status add_unit(va_mean_map *mean, int64_t i, bool with_Jx, float *one, double *sums) {
    va_status st = VA_OK;
    const mean_unit *u = &mean->units[i];
    const va_linmap_shape s = va_linmap_get_shape(mean->map);
    float *x = one, *y = one + s.d_in, *Jx = y + s.d_out;
    VA_TRY(va_check_interrupt(mean->model->ctx));
    VA_TRY(hold(mean, i));
    VA_TRY(va_prompt_read(u->prompt, 0, x));
    VA_TRY(va_prompt_read(u->prompt, 1, y));
    if (with_Jx)
        VA_TRY(va_linmap_apply_host(u->map, x, 1, Jx));
    for (int64_t j = 0; j < s.d_in + (with_Jx ? 2 : 1) * s.d_out; j++)
        sums[j] += one[j];
done:
    return st;
}

va_status va_mean_map_apply_one(va_mean_map *mean, int64_t prompt, const float *x, int64_t k,
                                float *y) {
    va_status st = VA_OK;
    int64_t i = 0;
    while (i < mean->n_units && mean->units[i].index != prompt)
        i++;
    if (i == mean->n_units)
        return va_fail(mean->model->ctx, VA_ERR_USAGE,
                       "a mean over %lld prompts has none numbered %lld", (long long)mean->n_units,
                       (long long)prompt);
    VA_TRY(hold(mean, i));
    VA_TRY(va_linmap_apply_host(mean->units[i].map, x, k, y));
done:
    return st;
}

va_status va_mean_map_means(va_mean_map *mean, float *x, float *y, float *b) {
    va_status st = VA_OK;
    va_ctx *ctx = mean->model->ctx;
    const va_linmap_shape s = va_linmap_get_shape(mean->map);
    const int64_t n_all = s.d_in + 2 * s.d_out;
    const double n = (double)mean->n_units;
    double *sums = NULL;
    float *one = NULL;
    VA_TRY_ALLOC(ctx, sums, calloc((size_t)n_all, sizeof *sums));
    VA_TRY_ALLOC(ctx, one, malloc((size_t)n_all * sizeof *one));
    for (int64_t i = 0; i < mean->n_units; i++)
        VA_TRY(add_unit(mean, i, b != NULL, one, sums));
    for (int64_t j = 0; x && j < s.d_in; j++)
        x[j] = (float)(sums[j] / n);
    for (int64_t j = 0; y && j < s.d_out; j++)
        y[j] = (float)(sums[s.d_in + j] / n);
    for (int64_t j = 0; b && j < s.d_out; j++)
        b[j] = (float)((sums[s.d_in + j] - sums[s.d_in + s.d_out + j]) / n);
done:
    free(sums);
    free(one);
    return st;
}
