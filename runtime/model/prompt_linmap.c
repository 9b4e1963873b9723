// The derivative of one site with respect to another at a prompt, as a linear map.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct prompt_map {
    va_prompt *p; // borrowed
    const prompt_site *from, *to;
    va_mode mode;
} prompt_map;

// The rows of the graph's node that a site takes.
static va_row_range site_rows(const prompt_site *s) {
    return (va_row_range){s->first, s->count};
}

static va_status map_apply(void *self, const va_block *x, const va_block *y) {
    va_status st = VA_OK;
    prompt_map *map = self;
    VA_TRY(prompt_forward(map->p));
    VA_TRY(va_graph_jvp(map->p->graph, map->mode, map->from->full, site_rows(map->from),
                        map->to->node, x, y));
done:
    return st;
}

static va_status map_apply_t(void *self, const va_block *y, const va_block *x) {
    va_status st = VA_OK;
    prompt_map *map = self;
    VA_TRY(prompt_forward(map->p));
    VA_TRY(va_graph_vjp(map->p->graph, map->mode, map->to->node, y, &map->from->full, 1,
                        site_rows(map->from), x));
done:
    return st;
}

static void map_destroy(void *self) {
    free(self);
}

va_status prompt_check_request(const va_prompt *p, const int64_t *from, int64_t n_from, int64_t to,
                               va_mode mode) {
    va_ctx *ctx = p->model->ctx;
    char a[64], b[64];
    for (int64_t i = 0; i < n_from; i++) {
        if (from[i] < 0 || from[i] >= p->n_sites || to < 0 || to >= p->n_sites || !p->derivatives)
            return va_fail(ctx, VA_ERR_USAGE,
                           "the prompt was not made for derivatives of site %lld by "
                           "site %lld",
                           (long long)to, (long long)from[i]);
        const va_site *f = &p->sites[from[i]].site, *t = &p->sites[to].site;
        if (!(p->modes >> mode & 1))
            return va_fail(ctx, VA_ERR_USAGE, "the prompt was not made for %s derivatives",
                           mode == VA_EXACT ? "exact" : "detached");
        if (f->position == VA_POS_MEAN)
            return va_fail(ctx, VA_ERR_USAGE,
                           "a derivative from %s: expected positions, not a mean",
                           va_site_text(f, a));
        if (!va_site_precedes(f, t))
            return va_fail(ctx, VA_ERR_USAGE, "%s does not come before %s in the forward pass",
                           va_site_text(f, a), va_site_text(t, b));
    }
    return VA_OK;
}

// A map for this use of it.
static va_status make_map(va_prompt *prompt, int64_t from, int64_t to, va_mode mode, va_map_use use,
                          const va_map_budget *budget, va_linmap **map) {
    va_status st = VA_OK;
    prompt_map *self = NULL;
    char a[64], b[64], label[160];
    va_map_plan plan;
    *map = NULL;
    VA_TRY(prompt_check_request(prompt, &from, 1, to, mode));
    prompt_request r = {.from = &from,
                        .nodes = &prompt->sites[from].full,
                        .n_from = 1,
                        .to = to,
                        .mode = mode,
                        .use = use};
    VA_TRY(prompt_fit(prompt, &r, budget, &plan));
    VA_TRY_ALLOC(prompt->model->ctx, self, calloc(1, sizeof *self));
    *self = (prompt_map){
        .p = prompt, .from = &prompt->sites[from], .to = &prompt->sites[to], .mode = mode};
    snprintf(label, sizeof label, "%s -> %s (%s)", va_site_text(&self->from->site, a),
             va_site_text(&self->to->site, b), mode == VA_EXACT ? "exact" : "detached");
    const va_linmap_shape shape = {.T_in = self->from->count,
                                   .d_in = self->from->width,
                                   .T_out = self->to->rows,
                                   .d_out = self->to->width};
    const va_linmap_ops ops = {map_apply, map_apply_t, map_destroy};
    prompt_map *taken = self;
    self = NULL;
    VA_TRY(va_linmap_create(prompt->model->gpu, &shape, plan.k, &ops, taken, label, map));
done:
    free(self);
    return st;
}

va_status va_prompt_linmap(va_prompt *prompt, int64_t from, int64_t to, va_mode mode,
                           const va_map_budget *budget, va_linmap **map) {
    return make_map(prompt, from, to, mode, VA_MAP_APPLY, budget, map);
}

va_status va_prompt_rows(va_prompt *prompt, int64_t from, int64_t to, va_mode mode,
                         const va_map_budget *budget, va_rows_fn fn, void *user) {
    va_status st = VA_OK;
    va_linmap *map;
    VA_TRY(make_map(prompt, from, to, mode, VA_MAP_DENSE, budget, &map));
    VA_TRY(va_linmap_rows(map, fn, user));
done:
    va_linmap_destroy(&map);
    return st;
}

va_status va_prompt_jx(va_prompt *prompt, int64_t from, int64_t to, va_linmap *map, float *Jx) {
    va_status st = VA_OK;
    va_ctx *ctx = prompt->model->ctx;
    float *x = NULL;
    VA_TRY(prompt_check_request(prompt, &from, 1, to,
                                prompt->modes >> VA_EXACT & 1 ? VA_EXACT : VA_DETACHED));
    const prompt_site *s = &prompt->sites[from];
    VA_TRY_ALLOC(ctx, x, malloc((size_t)(s->rows * s->width) * sizeof *x));
    VA_TRY(va_prompt_read(prompt, from, x));
    VA_TRY(va_linmap_apply_host(map, x, 1, Jx));
done:
    free(x);
    return st;
}
