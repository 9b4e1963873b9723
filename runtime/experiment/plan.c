// plan.c: sites and prompts of an experiment, without a device.
// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include <stdio.h>
#include <string.h>

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

int64_t va_plan_site_width(const va_experiment *e, const va_site *site) {
    const va_arch_config *c = va_model_config(e->plan.model);
    return site->kind == VA_SITE_LOGITS ? c->vocab_size : c->d_model;
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

// Packs are oriented by activations at their site.
static void plan_site(va_experiment *e, const va_direction_spec *dir, int64_t layer) {
    va_site site = {0};
    const bool capture = va_direction_is_trained(dir) || dir->kind == VA_DIRECTION_PACK;
    if (dir->kind != VA_DIRECTION_JACOBIAN) {
        if (va_plan_site(e, dir, dir->site, layer, &site))
            need_site(e, &site, capture);
        return;
    }
    if (va_plan_site(e, dir, dir->to, layer, &site))
        need_site(e, &site, false);
    if (va_plan_site(e, dir, dir->from, layer, &site))
        need_site(e, &site, false);
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
        for (int64_t l = 0; l < s->n_layers; l++)
            if (s->layers[l] <= va_model_config(e->plan.model)->n_layer) // else diagnosed once
                plan_site(e, &s->directions[i], s->layers[l]);
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

va_status va_plan_make(va_experiment *e) {
    va_status st = VA_OK;
    VA_TRY(va_model_open(e->ctx, e->spec.model_path, &e->plan.model));
    check_layers(e);
    VA_TRY(plan_sites(e));
    if (e->diag.n > 0)
        goto done;
    VA_TRY(plan_prompts(e));
    VA_TRY(va_plan_tokens(e));
    if (e->plan.n_sites > 0)
        VA_TRY(va_plan_datasets(e));
    va_plan_check_shapes(e);
    VA_TRY(va_plan_check_files(e));
    if (e->diag.n > 0)
        goto done;
    VA_TRY(va_plan_units(e));
    va_plan_check_drawn(e);
    VA_TRY(va_plan_cost(e));
    e->planned = e->diag.n == 0;
done:
    return st;
}
