// plan_units.c: the pieces of work of an experiment, in the order of the run.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "plan.h"

static int64_t layer_index(const va_experiment *e, int64_t direction, int64_t layer) {
    return e->plan.blocks[direction].n_layers > 1 ? layer : 0;
}

int64_t va_plan_find(const va_experiment *e, int64_t direction, int64_t concept_index,
                     int64_t layer, int64_t prompt, int64_t seed) {
    const va_unit_block *b = &e->plan.blocks[direction];
    int64_t i = concept_index * b->n_layers + layer_index(e, direction, layer);
    i = i * b->n_prompts + (b->n_prompts > 1 ? prompt : 0);
    return b->first + i * b->n_seeds + seed;
}

int64_t va_plan_find_drawn(const va_experiment *e, va_unit_kind kind, int64_t direction,
                           int64_t layer) {
    const va_unit_block *b = &e->plan.blocks[direction];
    const int64_t first = kind == VA_UNIT_PERMUTED ? b->permuted : b->resampled;
    return first < 0 ? -1 : first + layer_index(e, direction, layer);
}

int64_t va_plan_layer_index(const va_experiment *e, int64_t layer) {
    for (int64_t l = 0; l < e->spec.n_layers; l++)
        if (e->spec.layers[l] == layer)
            return l;
    return 0;
}

static va_status plan_captures(va_experiment *e) {
    va_status st = VA_OK;
    va_plan *p = &e->plan;
    for (int64_t first = 0; first < p->n_texts && p->n_sites > 0; first += VA_CAPTURE_CHUNK) {
        va_unit *u = &p->units[p->n_units];
        *u = (va_unit){.kind = VA_UNIT_CAPTURE,
                       .first = first,
                       .layer = -1,
                       .prompt = -1,
                       .count = VA_MIN(VA_CAPTURE_CHUNK, p->n_texts - first)};
        VA_TRY_ALLOC(e->ctx, u->name,
                     va_arena_printf(e->arena, "capture/%lld", (long long)p->n_units));
        p->n_units++;
    }
done:
    return st;
}

// Adds the unit, named after what it depends on.
static va_status add_unit(va_experiment *e, const va_unit *unit, const char *name) {
    va_status st = VA_OK;
    va_unit *u = &e->plan.units[e->plan.n_units];
    *u = *unit;
    if (u->layer >= 0)
        name = va_arena_printf(e->arena, "%s/layer%lld", name, (long long)u->layer);
    if (u->prompt >= 0)
        name = va_arena_printf(e->arena, "%s/prompt%lld", name, (long long)u->prompt);
    if (u->seed > 0)
        name = va_arena_printf(e->arena, "%s/seed%lld", name, (long long)u->seed);
    VA_TRY_ALLOC(e->ctx, u->name, name);
    e->plan.n_units++;
done:
    return st;
}

static va_status plan_direction(va_experiment *e, int64_t d) {
    va_status st = VA_OK;
    const va_spec *s = &e->spec;
    const va_direction_spec *dir = &s->directions[d];
    va_unit_block *b = &e->plan.blocks[d];
    const bool layered = va_direction_has_layer(dir), prompted = va_direction_has_prompt(dir);
    *b = (va_unit_block){.first = e->plan.n_units,
                         .n_layers = layered ? s->n_layers : 1,
                         .n_prompts = prompted ? s->prompts.n : 1,
                         .n_seeds = va_direction_is_trained(dir) ? dir->seeds : 1,
                         .permuted = -1,
                         .resampled = -1};
    const int64_t each = b->n_layers * b->n_prompts * b->n_seeds;
    for (int64_t i = 0; i < s->n_concepts * each; i++) {
        const int64_t c = i / each, seed = i % b->n_seeds;
        const int64_t prompt = i / b->n_seeds % b->n_prompts;
        const int64_t layer = i / b->n_seeds / b->n_prompts % b->n_layers;
        const va_unit u = {.kind = VA_UNIT_DIRECTION,
                           .direction = d,
                           .concept_index = c,
                           .layer = layered ? s->layers[layer] : -1,
                           .prompt = prompted ? prompt : -1,
                           .seed = seed};
        VA_TRY(add_unit(e, &u, va_arena_printf(e->arena, "%s/%s", dir->name, s->concepts[c].name)));
    }
done:
    return st;
}

// -- what chance asks for ------------------------------------------------------------------------

static bool listed(const va_strings *list, const char *item) {
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i], item) == 0)
            return true;
    return false;
}

// The direction of a pair that chance replaces: the one that learns, of two the second; a transfer
// asks what the first is worth.
int64_t va_plan_replaced(const va_experiment *e, const va_metric_spec *m) {
    const bool second = va_direction_is_trained(&e->spec.directions[m->index[1]]);
    return second && m->kind != VA_METRIC_TRANSFER ? 1 : 0;
}

static bool is_drawn(const va_experiment *e, va_unit_kind kind, int64_t d) {
    const va_spec *s = &e->spec;
    for (int64_t i = 0; i < s->n_metrics; i++) {
        const va_metric_spec *m = &s->metrics[i];
        if (!va_metric_is_single(m->kind) || m->kind == VA_METRIC_CKA)
            continue;
        if (kind == VA_UNIT_PERMUTED && listed(&m->nulls, "permutation") &&
            m->index[va_plan_replaced(e, m)] == d)
            return true;
        if (kind == VA_UNIT_RESAMPLED && listed(&m->bootstrap, "items") &&
            (m->index[0] == d || m->index[1] == d))
            return true;
    }
    return false;
}

static va_status plan_drawn(va_experiment *e, va_unit_kind kind, int64_t d) {
    va_status st = VA_OK;
    const va_spec *s = &e->spec;
    va_unit_block *b = &e->plan.blocks[d];
    if (!va_direction_is_trained(&s->directions[d]) || !is_drawn(e, kind, d))
        goto done;
    *(kind == VA_UNIT_PERMUTED ? &b->permuted : &b->resampled) = e->plan.n_units;
    for (int64_t l = 0; l < b->n_layers; l++) {
        const bool layered = va_direction_has_layer(&s->directions[d]);
        const va_unit u = {.kind = kind,
                           .direction = d,
                           .concept_index = -1,
                           .layer = layered ? s->layers[l] : -1,
                           .prompt = -1,
                           .count = kind == VA_UNIT_PERMUTED ? s->chance.permutations
                                                             : s->chance.resamples};
        VA_TRY(add_unit(e, &u,
                        va_arena_printf(e->arena, "%s/%s", s->directions[d].name,
                                        kind == VA_UNIT_PERMUTED ? "permuted" : "resampled")));
    }
done:
    return st;
}

va_status va_plan_units(va_experiment *e) {
    va_status st = VA_OK;
    const va_spec *s = &e->spec;
    int64_t most = e->plan.n_texts / VA_CAPTURE_CHUNK + 1;
    for (int64_t d = 0; d < s->n_directions; d++)
        most += s->n_concepts * s->n_layers * VA_MAX(s->prompts.n, s->directions[d].seeds) +
                2 * s->n_layers;
    VA_TRY_ALLOC(e->ctx, e->plan.units, VA_NEW_ARRAY(e->arena, va_unit, most));
    VA_TRY_ALLOC(e->ctx, e->plan.blocks, VA_NEW_ARRAY(e->arena, va_unit_block, s->n_directions));
    VA_TRY(plan_captures(e));
    for (int pulled = 0; pulled < 2; pulled++) // what is pulled back must be there
        for (int64_t d = 0; d < s->n_directions; d++)
            if (va_direction_is_pullback(&s->directions[d]) == (pulled == 1))
                VA_TRY(plan_direction(e, d));
    for (int64_t d = 0; d < s->n_directions; d++) {
        VA_TRY(plan_drawn(e, VA_UNIT_PERMUTED, d));
        VA_TRY(plan_drawn(e, VA_UNIT_RESAMPLED, d));
    }
done:
    return st;
}
