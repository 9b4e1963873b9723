// What derivatives take: how many vectors go through one sweep, and the device memory for that.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <string.h>

static bool is_rows(const va_prompt *p, va_node weight) {
    return strcmp(va_graph_name(p->graph, weight), VA_ARCH_EMBED_ROWS) == 0;
}

// Weights of the graph; rows: the embedding rows in use instead, which go with the prompt.
static int64_t weight_bytes(const va_prompt *p, bool rows) {
    int64_t sum = 0;
    for (int64_t i = 0; i < va_graph_weight_count(p->graph); i++) {
        const va_node node = va_graph_weight_at(p->graph, i);
        const va_tensor t = va_graph_tensor(p->graph, node);
        if (is_rows(p, node) == rows)
            sum += prompt_padded(va_tensor_bytes(&t));
    }
    return sum;
}

int64_t prompt_value_bytes(const va_prompt *p) {
    return va_graph_forward_cost(p->graph).memory_bytes + weight_bytes(p, true);
}

static int64_t site_bytes(const prompt_site *s, int64_t k) {
    return prompt_padded(va_block_bytes(s->rows, k, s->width));
}

enum { MAX_WIDTHS = 16 + 2 * 64 };

// Below k: all up to 16, then the powers of two and the numbers before them, where ops change their
// ways.
static int spread_widths(int64_t k, int64_t *width) {
    int n = 0;
    for (int64_t w = 1; w < k; w += w < 16 ? 1 : w) {
        width[n++] = w;
        if (w >= 16 && 2 * w - 1 < k)
            width[n++] = 2 * w - 1;
    }
    return n;
}

// Of the last sweep when n vectors go k at a time.
static int64_t last_width(int64_t n, int64_t k) {
    return n % k > 0 ? n % k : k;
}

// The numbers of vectors that sweeps will have where most have k. Fewer may take more: a product of
// few rows is summed in parts. A map is applied to any number; a whole matrix ends with what is
// left.
static int sweep_widths(const prompt_request *r, const va_map_plan *plan, int64_t k,
                        int64_t width[MAX_WIDTHS]) {
    int n = 0;
    width[n++] = k;
    if (r->use == VA_MAP_DENSE) {
        width[n++] = last_width(r->reverse ? plan->rows : plan->columns, k);
        return n;
    }
    if (r->min_k > 0) { // blocks of two sizes, which memory may cut
        width[n++] = last_width(r->max_k, k);
        width[n++] = last_width(r->min_k, k);
        return n;
    }
    return n + spread_widths(k, &width[n]);
}

static va_status sweeps_bytes(const va_prompt *p, const prompt_request *r, int64_t k,
                              va_map_plan *plan) {
    va_sweep sweeps[2 * MAX_WIDTHS];
    int64_t width[MAX_WIDTHS], n = 0;
    const int n_widths = sweep_widths(r, plan, k, width);
    for (int i = 0; i < n_widths; i++)
        n += prompt_sweeps(p, r, width[i], &sweeps[n]);
    return va_graph_sweeps_bytes(p->graph, sweeps, n, &plan->sweep_bytes);
}

// The bytes that k vectors take, in plan.
static va_status fill_plan(const va_prompt *p, const prompt_request *r, int64_t k,
                           va_map_plan *plan) {
    va_status st = VA_OK;
    va_sweep sweeps[2];
    const int n = prompt_sweeps(p, r, k, sweeps);
    va_graph_cost cost;
    plan->k = k;
    plan->flop = plan->bytes = 0;
    VA_TRY(sweeps_bytes(p, r, k, plan));
    for (int i = 0; i < n; i++) {
        VA_TRY(va_graph_sweep_cost(p->graph, &sweeps[i], &cost));
        plan->flop += cost.flop;
        plan->bytes += cost.bytes;
    }
    plan->end_bytes = site_bytes(&p->sites[r->to], k);
    for (int64_t i = 0; i < r->n_from; i++)
        plan->end_bytes += site_bytes(&p->sites[r->from[i]], k);
    plan->peak_bytes = plan->weight_bytes + plan->value_bytes + plan->sweep_bytes + plan->end_bytes;
    const int64_t vectors = n == 1 && sweeps[0].pass == VA_JVP ? plan->columns : plan->rows;
    plan->sweeps = (vectors + k - 1) / k;
done:
    return st;
}

int prompt_sweeps(const va_prompt *p, const prompt_request *r, int64_t k, va_sweep sweeps[2]) {
    const prompt_site *from = &p->sites[r->from[0]];
    int n = 0;
    for (int pass = VA_JVP; pass <= VA_VJP; pass++) {
        const bool wanted =
            r->use == VA_MAP_APPLY ||
            (r->use == VA_MAP_FORWARD ? pass == VA_JVP : (pass == VA_VJP) == r->reverse);
        if (wanted)
            sweeps[n++] = (va_sweep){
                (va_pass)pass,        r->mode, r->nodes, r->n_from, {from->first, from->count},
                p->sites[r->to].node, k};
    }
    return n;
}

static int64_t sweep_limit(const va_map_budget *b) {
    return b->sweep_bytes > 0 ? b->sweep_bytes : (int64_t)1 << 30;
}

static int64_t range_limit(const va_prompt *p, const va_map_budget *b) {
    const int64_t range = b->range_bytes > 0 ? b->range_bytes : (int64_t)128 << 20;
    return p->model->gpu ? VA_MIN(range, va_gpu_get_info(p->model->gpu)->max_range_bytes) : range;
}

// k as bounded by bindings and by the temporaries of one sweep.
static int64_t bounded_k(const va_prompt *p, const prompt_request *r, const va_map_budget *b,
                         int64_t most) {
    const int64_t budget = sweep_limit(b), range = range_limit(p, b);
    int64_t k = most;
    va_sweep sweeps[2];
    const int n = prompt_sweeps(p, r, 1, sweeps);
    for (int i = 0; i < n; i++)
        k = VA_MIN(k, va_graph_max_k(p->graph, &sweeps[i], range, budget));
    return k;
}

static va_status fail_memory(const va_prompt *p, const va_map_plan *one, int64_t limit) {
    char need[32], weights[32], values[32], vector[32], got[32];
    return va_fail(
        p->model->ctx, VA_ERR_MEMORY,
        "not even one vector fits: expected %lld bytes (%s) of device memory (weights %s, values "
        "%s, one vector %s), got %s",
        (long long)one->peak_bytes, va_format_bytes(need, one->peak_bytes),
        va_format_bytes(weights, one->weight_bytes), va_format_bytes(values, one->value_bytes),
        va_format_bytes(vector, one->sweep_bytes + one->end_bytes), va_format_bytes(got, limit));
}

// What keeps even one vector from its sweep.
static va_status fail_bounds(const va_prompt *p, const prompt_request *r, const va_map_budget *b,
                             const va_map_plan *one) {
    char need[32], got[32];
    va_map_budget roomy = *b;
    roomy.sweep_bytes = INT64_MAX;
    if (bounded_k(p, r, &roomy, 1) < 1)
        return va_fail(p->model->ctx, VA_ERR_MEMORY,
                       "not even one vector fits: a tensor of it is larger than the %s that one "
                       "binding holds; fewer tokens take less",
                       va_format_bytes(got, range_limit(p, b)));
    return va_fail(p->model->ctx, VA_ERR_MEMORY,
                   "not even one vector fits: expected %lld bytes (%s) for the temporaries of a "
                   "sweep, got %s",
                   (long long)one->sweep_bytes, va_format_bytes(need, one->sweep_bytes),
                   va_format_bytes(got, sweep_limit(b)));
}

// The largest k within the limit of memory: what one k takes grows with it.
static va_status fit_memory(const va_prompt *p, const prompt_request *r, int64_t limit, int64_t k,
                            va_map_plan *plan) {
    va_status st = VA_OK;
    int64_t good = 1, bad = k + 1;
    VA_TRY(fill_plan(p, r, k, plan));
    if (limit <= 0 || plan->peak_bytes <= limit)
        return VA_OK;
    VA_TRY(fill_plan(p, r, 1, plan));
    if (plan->peak_bytes > limit)
        return fail_memory(p, plan, limit);
    while (bad - good > 1) {
        const int64_t middle = good + (bad - good) / 2;
        VA_TRY(fill_plan(p, r, middle, plan));
        *(plan->peak_bytes <= limit ? &good : &bad) = middle;
    }
    VA_TRY(fill_plan(p, r, good, plan));
done:
    return st;
}

// Which way a whole matrix is formed, and the k that bindings and temporaries allow for it. The
// largest k of both directions decides between them.
static int64_t choose_direction(const va_prompt *p, prompt_request *r, const va_map_budget *b,
                                const va_map_plan *plan) {
    int64_t most = VA_MAX(plan->rows, plan->columns);
    if (b->max_k > 0)
        most = VA_MIN(most, b->max_k);
    if (r->use != VA_MAP_DENSE || r->reverse)
        return bounded_k(p, r, b, r->use != VA_MAP_DENSE ? most : VA_MIN(most, plan->rows));
    r->use = VA_MAP_APPLY;
    const int64_t k = bounded_k(p, r, b, most);
    r->use = VA_MAP_DENSE;
    r->reverse = va_linmap_rows_by_reverse(plan->rows, plan->columns, k);
    return VA_MIN(k, r->reverse ? plan->rows : plan->columns);
}

static void begin_plan(const va_prompt *p, const prompt_request *r, va_map_plan *plan) {
    int64_t columns = 0;
    for (int64_t i = 0; i < r->n_from; i++) {
        const prompt_site *from = &p->sites[r->from[i]];
        columns = VA_MAX(columns, from->rows * from->width);
    }
    *plan =
        (va_map_plan){.rows = r->rows ? r->n_rows : p->sites[r->to].rows * p->sites[r->to].width,
                      .columns = columns,
                      .weight_bytes = weight_bytes(p, false),
                      .value_bytes = prompt_value_bytes(p)};
}

va_status prompt_fit(const va_prompt *p, prompt_request *r, const va_map_budget *budget,
                     va_map_plan *plan) {
    va_status st = VA_OK;
    const va_map_budget none = {0}, *b = budget ? budget : &none;
    int64_t limit = b->memory_bytes;
    if (p->model->gpu)
        limit = limit > 0 ? VA_MIN(limit, va_gpu_memory_limit(p->model->gpu))
                          : va_gpu_memory_limit(p->model->gpu);
    r->min_k = b->min_k;
    r->max_k = b->max_k;
    begin_plan(p, r, plan);
    const int64_t k = choose_direction(p, r, b, plan);
    if (k < 1) {
        VA_TRY(fill_plan(p, r, 1, plan));
        return fail_bounds(p, r, b, plan);
    }
    VA_TRY(fit_memory(p, r, limit, k, plan));
    plan->reverse = r->use == VA_MAP_DENSE && r->reverse;
done:
    return st;
}

va_status va_prompt_plan_map(va_model *model, const va_prompt_params *params, int64_t from,
                             int64_t to, va_mode mode, va_map_use use, const va_map_budget *budget,
                             va_map_plan *plan) {
    va_status st = VA_OK;
    va_prompt *p = NULL;
    prompt_request r;
    VA_TRY(prompt_build(model, params, &p));
    VA_TRY(prompt_check_request(p, &from, 1, to, mode));
    r = (prompt_request){.from = &from,
                         .nodes = &p->sites[from].full,
                         .n_from = 1,
                         .to = to,
                         .mode = mode,
                         .use = use};
    VA_TRY(prompt_fit(p, &r, budget, plan));
done:
    va_prompt_destroy(&p);
    return st;
}

va_status va_prompt_plan_jacobians(va_model *model, const va_prompt_params *params,
                                   const va_jacobians *j, const va_map_budget *budget,
                                   va_map_plan *plan) {
    va_status st = VA_OK;
    va_prompt *p = NULL;
    prompt_request r;
    VA_TRY(prompt_build(model, params, &p));
    VA_TRY(prompt_jacobians_request(p, p->arena, j, &r));
    VA_TRY(prompt_fit(p, &r, budget, plan));
done:
    va_prompt_destroy(&p);
    return st;
}
