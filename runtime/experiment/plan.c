// plan.c: units, sites and prompts of an experiment, without a device.
// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include <stdio.h>
#include <string.h>

bool va_plan_uses_layer(const va_direction_spec *dir) {
    if (dir->kind == VA_DIRECTION_MLP)
        return strstr(dir->site, "{layer}") != NULL;
    return strstr(dir->from, "{layer}") || strstr(dir->to, "{layer}");
}

bool va_plan_site(va_experiment *e, const va_direction_spec *dir, const char *text, int64_t layer,
                  va_site *site) {
    const va_arch_config *config = va_model_config(e->plan.model);
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)layer);
    const char *full = va_spec_expand(e->arena, text, "{layer}", number);
    if (va_site_parse(e->ctx, full, config->n_layer, site) == VA_OK)
        return true;
    va_diagnose(&e->diag, dir->place, "", "directions.%s: %s", dir->name, va_error_message(e->ctx));
    return false;
}

int64_t va_plan_find(const va_plan *plan, int64_t direction, int64_t concept_index, int64_t layer,
                     int64_t prompt) {
    for (int64_t i = 0; i < plan->n_units; i++) {
        const va_unit *u = &plan->units[i];
        if (u->kind == VA_UNIT_DIRECTION && u->direction == direction &&
            u->concept_index == concept_index && (u->layer < 0 || u->layer == layer) &&
            (u->prompt < 0 || u->prompt == prompt))
            return i;
    }
    return -1;
}

void va_plan_free(va_plan *plan) {
    va_model_close(&plan->model);
}

// -- layers, sites, prompts --------------------------------------------------------------------

static void check_layers(va_experiment *e) {
    int64_t L = va_model_config(e->plan.model)->n_layer;
    for (int64_t i = 0; i < e->spec.n_layers; i++)
        if (e->spec.layers[i] > L)
            va_diagnose(&e->diag, e->spec.layers_place, "",
                        "model.layers[%lld]: layer %lld is out of range; %s has layers 0 to %lld",
                        (long long)i, (long long)e->spec.layers[i], e->spec.model_path,
                        (long long)L);
}

void va_plan_check_model(va_experiment *e) {
    if (!e->spec.model_path || e->spec.n_layers == 0)
        return; // diagnosed
    if (va_model_open(e->ctx, e->spec.model_path, &e->plan.model) == VA_OK)
        check_layers(e);
    else
        va_diagnose(&e->diag, e->spec.model_place, "", "model.path: %s", va_error_message(e->ctx));
}

enum { MAX_SITES = 1000 };

static void need_site(va_experiment *e, const va_site *site, bool capture) {
    va_plan *p = &e->plan;
    p->n_blocks = VA_MAX(p->n_blocks, va_site_blocks(site));
    p->unembed |= site->kind == VA_SITE_LOGITS;
    if (!capture)
        return;
    for (int64_t i = 0; i < p->n_sites; i++)
        if (memcmp(&p->sites[i], site, sizeof *site) == 0)
            return;
    if (p->n_sites == MAX_SITES)
        va_diagnose(&e->diag, (va_place){e->path, 0, 0}, "", "classifiers read more than %d sites",
                    MAX_SITES);
    else
        p->sites[p->n_sites++] = *site;
}

static va_status plan_sites(va_experiment *e) {
    va_status st = VA_OK;
    va_spec *s = &e->spec;
    va_plan_check_size(e);
    if (e->diag.n > 0)
        return VA_OK;
    VA_TRY_ALLOC(e->ctx, e->plan.sites,
                 VA_NEW_ARRAY(e->arena, va_site, s->n_directions * s->n_layers));
    for (int64_t i = 0; i < s->n_directions; i++)
        for (int64_t l = 0; l < s->n_layers; l++) {
            const va_direction_spec *dir = &s->directions[i];
            va_site site = {0};
            bool mlp = dir->kind == VA_DIRECTION_MLP;
            if (s->layers[l] > va_model_config(e->plan.model)->n_layer)
                continue; // diagnosed once, not for every direction
            if (va_plan_site(e, dir, mlp ? dir->site : dir->to, s->layers[l], &site))
                need_site(e, &site, mlp);
            if (!mlp && va_plan_site(e, dir, dir->from, s->layers[l], &site))
                need_site(e, &site, false);
        }
done:
    return st;
}

static va_status plan_prompts(va_experiment *e) {
    va_status st = VA_OK;
    va_spec *s = &e->spec;
    VA_TRY_ALLOC(e->ctx, e->plan.prompts,
                 VA_NEW_ARRAY(e->arena, va_plan_prompt, s->n_concepts * s->prompts.n));
    for (int64_t c = 0; c < s->n_concepts; c++)
        for (int64_t i = 0; i < s->prompts.n; i++) {
            va_plan_prompt *p = &e->plan.prompts[c * s->prompts.n + i];
            p->text =
                va_spec_expand(e->arena, s->prompts.item[i], "{concept}", s->concepts[c].name);
            VA_TRY(va_model_tokenize(e->plan.model, e->arena, p->text, s->concepts[c].name, &p->ids,
                                     &p->n_ids, &p->concept_first, &p->concept_count));
        }
done:
    return st;
}

// -- units -------------------------------------------------------------------------------------

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

static va_status add_direction_unit(va_experiment *e, int64_t d, int64_t c, int64_t layer,
                                    int64_t prompt) {
    va_status st = VA_OK;
    va_unit *u = &e->plan.units[e->plan.n_units];
    *u = (va_unit){.kind = VA_UNIT_DIRECTION,
                   .direction = d,
                   .concept_index = c,
                   .layer = layer,
                   .prompt = prompt};
    const char *name =
        va_arena_printf(e->arena, "%s/%s", e->spec.directions[d].name, e->spec.concepts[c].name);
    if (layer >= 0)
        name = va_arena_printf(e->arena, "%s/layer%lld", name, (long long)layer);
    if (prompt >= 0)
        name = va_arena_printf(e->arena, "%s/prompt%lld", name, (long long)prompt);
    VA_TRY_ALLOC(e->ctx, u->name, name);
    e->plan.n_units++;
done:
    return st;
}

static va_status plan_directions(va_experiment *e) {
    va_status st = VA_OK;
    const va_spec *s = &e->spec;
    for (int64_t d = 0; d < s->n_directions; d++) {
        bool layered = va_plan_uses_layer(&s->directions[d]);
        bool prompted = s->directions[d].kind == VA_DIRECTION_JACOBIAN;
        for (int64_t c = 0; c < s->n_concepts; c++)
            for (int64_t l = 0; l < (layered ? s->n_layers : 1); l++)
                for (int64_t i = 0; i < (prompted ? s->prompts.n : 1); i++)
                    VA_TRY(add_direction_unit(e, d, c, layered ? s->layers[l] : -1,
                                              prompted ? i : -1));
    }
done:
    return st;
}

static va_status plan_units(va_experiment *e) {
    va_status st = VA_OK;
    const va_spec *s = &e->spec;
    int64_t most = e->plan.n_texts / VA_CAPTURE_CHUNK + 1 +
                   s->n_directions * s->n_concepts * s->n_layers * s->prompts.n;
    VA_TRY_ALLOC(e->ctx, e->plan.units, VA_NEW_ARRAY(e->arena, va_unit, most));
    VA_TRY(plan_captures(e));
    VA_TRY(plan_directions(e));
done:
    return st;
}

va_status va_plan_make(va_experiment *e) {
    va_status st = VA_OK;
    VA_TRY(va_model_open(e->ctx, e->spec.model_path, &e->plan.model));
    check_layers(e);
    VA_TRY(plan_sites(e));
    if (e->diag.n > 0)
        goto done;
    VA_TRY(plan_prompts(e));
    if (e->plan.n_sites > 0)
        VA_TRY(va_plan_datasets(e));
    VA_TRY(plan_units(e));
    VA_TRY(va_plan_cost(e));
    e->planned = e->diag.n == 0;
done:
    return st;
}
