// read_direction_plan.c: work and device memory of a direction, without a device.
// SPDX-License-Identifier: Apache-2.0
#include "read_direction_priv.h"

// What one application of k vectors takes, of either kind of request.
typedef struct direction_cost {
    int64_t k, peak_bytes;
    bool repeats; // the forward pass, before every application
    double forward_flop, apply_flop, apply_t_flop;
} direction_cost;

// The basis that va_svd keeps by default, where memory allows, and the residuals.
static int64_t assumed_vectors(const va_map_direction_params *p, const va_linmap_shape *s,
                               int64_t k) {
    const int64_t rank = VA_MAX(p->rank, 1), block = VA_MAX(rank, VA_MIN(16, k));
    return VA_MIN(VA_MIN(s->T_in * s->d_in, s->T_out * s->d_out), 6 * block) + rank;
}

static double sum_flop(const va_map_direction_params *p, const va_linmap_shape *s,
                       const direction_cost *c) {
    double n_apply = p->reduce == VA_REDUCE_JX, n_apply_t = 1 - n_apply;
    double n_forward = p->reduce == VA_REDUCE_JX ? 2 : 1; // values, then J x
    if (va_map_reduce_is_frame(p->reduce)) {
        n_apply = n_apply_t = (double)assumed_vectors(p, s, c->k) / (double)c->k;
        n_forward = n_apply + n_apply_t;
    }
    return (c->repeats ? n_forward : 1) * c->forward_flop + n_apply * c->apply_flop +
           n_apply_t * c->apply_t_flop;
}

static va_status plan_one(va_model *model, const va_map_direction_params *p, va_linmap_shape *s,
                          direction_cost *cost) {
    va_status st = VA_OK;
    va_site sites[2];
    const va_prompt_params params = direction_prompt(p, sites);
    va_map_plan both, apply;
    va_graph_cost forward;
    VA_TRY(va_prompt_plan(model, &params, &forward, NULL));
    VA_TRY(va_prompt_plan_map(model, &params, 0, 1, p->mode, VA_MAP_APPLY, p->budget, &both));
    *s = (va_linmap_shape){.d_in = direction_width(model, &p->from),
                           .d_out = direction_width(model, &p->to)};
    s->T_in = both.columns / s->d_in;
    s->T_out = both.rows / s->d_out;
    VA_TRY(direction_check_shape(model, p, s));
    va_map_budget budget = direction_budget(p, s);
    VA_TRY(va_prompt_plan_map(model, &params, 0, 1, p->mode, VA_MAP_APPLY, &budget, &both));
    budget.max_k = both.k;
    VA_TRY(va_prompt_plan_map(model, &params, 0, 1, p->mode, VA_MAP_FORWARD, &budget, &apply));
    *cost = (direction_cost){.k = both.k,
                             .peak_bytes = both.peak_bytes,
                             .forward_flop = forward.flop,
                             .apply_flop = apply.flop,
                             .apply_t_flop = both.flop - apply.flop};
done:
    return st;
}

static va_status plan_mean(va_model *model, const va_map_direction_params *p, va_linmap_shape *s,
                           direction_cost *cost) {
    va_status st = VA_OK;
    *s = direction_mean_shape(model, p);
    VA_TRY(direction_check_shape(model, p, s));
    const va_map_budget budget = direction_budget(p, s);
    const va_mean_params params = direction_mean(p, &budget);
    va_mean_plan plan;
    VA_TRY(va_mean_map_plan(model, &params, &plan));
    *cost = (direction_cost){.k = plan.k,
                             .peak_bytes = plan.peak_bytes,
                             .repeats = !plan.resident,
                             .forward_flop = plan.forward_flop,
                             .apply_flop = plan.apply_flop,
                             .apply_t_flop = plan.apply_t_flop};
done:
    return st;
}

va_status va_read_map_direction_plan(va_model *model, const va_map_direction_params *p,
                                     double *flop, int64_t *peak_bytes) {
    va_status st = VA_OK;
    va_linmap_shape shape;
    direction_cost cost;
    VA_TRY(direction_check(model, p));
    VA_TRY(p->n_prompts == 1 ? plan_one(model, p, &shape, &cost)
                             : plan_mean(model, p, &shape, &cost));
    *flop = sum_flop(p, &shape, &cost);
    *peak_bytes = cost.peak_bytes;
done:
    return st;
}
