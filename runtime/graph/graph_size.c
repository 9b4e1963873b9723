// graph_size.c: what sweeps take before any is run: cost, memory of several together, and how many
// vectors fit.
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

#include <stdlib.h>

va_status va_graph_sweep_cost(const va_graph *g, const va_sweep *sweep, va_graph_cost *cost) {
    sweep_plan *p;
    *cost = (va_graph_cost){0};
    va_status st = va_graph_make_plan(g, sweep, &p);
    if (st == VA_OK)
        *cost = p->cost;
    va_graph_plan_destroy(&p);
    return st;
}

// The pool's place s is as large as the largest that any plan has there.
va_status va_graph_sweeps_bytes(const va_graph *g, const va_sweep *sweeps, int64_t n,
                                int64_t *bytes) {
    va_status st = VA_OK;
    sweep_plan **plans = NULL;
    *bytes = 0;
    VA_TRY_ALLOC(g->ctx, plans, calloc((size_t)n + 1, sizeof(sweep_plan *)));
    int32_t n_slots = 0;
    for (int64_t i = 0; i < n; i++) {
        VA_TRY(va_graph_make_plan(g, &sweeps[i], &plans[i]));
        n_slots = VA_MAX(n_slots, plans[i]->n_slots);
    }
    for (int32_t s = 0; s < n_slots; s++) {
        int64_t largest = 0;
        for (int64_t i = 0; i < n; i++)
            if (s < plans[i]->n_slots)
                largest = VA_MAX(largest, plans[i]->slot_bytes[s]);
        *bytes += largest;
    }
done:
    for (int64_t i = 0; plans && i < n; i++)
        va_graph_plan_destroy(&plans[i]);
    free(plans);
    return st;
}

static bool fits(const va_graph *g, va_sweep r, int64_t k, int64_t max_range_bytes,
                 int64_t budget_bytes) {
    sweep_plan *p;
    r.k = k;
    bool good = va_graph_make_plan(g, &r, &p) == VA_OK && p->largest_bytes <= max_range_bytes &&
                p->cost.memory_bytes <= budget_bytes;
    va_graph_plan_destroy(&p);
    return good;
}

int64_t va_graph_max_k(const va_graph *g, const va_sweep *sweep, int64_t max_range_bytes,
                       int64_t budget_bytes) {
    if (!fits(g, *sweep, 1, max_range_bytes, budget_bytes))
        return 0;
    int64_t good = 1, bad = 2; // `from` alone bounds k by max_range_bytes, so doubling ends
    while (fits(g, *sweep, bad, max_range_bytes, budget_bytes)) {
        good = bad;
        bad = 2 * bad;
    }
    while (bad - good > 1) {
        int64_t middle = good + (bad - good) / 2;
        if (fits(g, *sweep, middle, max_range_bytes, budget_bytes))
            good = middle;
        else
            bad = middle;
    }
    return good;
}
