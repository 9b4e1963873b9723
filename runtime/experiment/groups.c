// groups.c: a metric at each layer, and how stable each concept's number is over prompts.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <string.h>

#include "measure.h"
#include "series.h"

// A part of a series.
typedef struct group {
    double *value, *p; // p: the largest adjusted one of all nulls
    const char **concept_name;
    int64_t n;
} group;

static va_status take(va_run *run, va_arena *arena, const va_series *s, const char *concept_name,
                      int64_t layer, group *g) {
    va_status st = VA_OK;
    *g = (group){0};
    VA_TRY_ALLOC(run->ctx, g->value, VA_NEW_ARRAY(arena, double, s->n));
    VA_TRY_ALLOC(run->ctx, g->p, VA_NEW_ARRAY(arena, double, s->n));
    VA_TRY_ALLOC(run->ctx, g->concept_name, VA_NEW_ARRAY(arena, const char *, s->n));
    for (int64_t i = 0; i < s->n; i++) {
        if (s->layer[i] != layer || (concept_name && strcmp(s->concept_name[i], concept_name) != 0))
            continue;
        g->concept_name[g->n] = s->concept_name[i];
        g->p[g->n] = s->worst[i];
        g->value[g->n++] = s->value[i];
    }
done:
    return st;
}

static va_status add_summary(va_run *run, const group *g, va_json *o) {
    va_status st = VA_OK;
    va_metric_summary m;
    VA_TRY(va_metric_summarize(run->ctx, g->value, g->n, &m));
    va_json_add_int(o, "n", g->n);
    va_json_add_double(o, "mean", m.mean);
    va_json_add_double(o, "mean_abs", m.mean_abs);
    va_json_add_double(o, "std", m.std);
    va_json_add_double(o, "min", m.min);
    va_json_add_double(o, "max", m.max);
done:
    return st;
}

static void add_significant(const va_run *run, const group *g, va_json *o) {
    va_json *names = va_json_add_array(o, "significant");
    int64_t n = 0;
    double least = 1;
    for (int64_t i = 0; i < g->n; i++) {
        least = fmin(least, g->p[i]);
        if (g->p[i] > run->e->spec.chance.alpha)
            continue;
        va_json_add_string(names, NULL, g->concept_name[i]);
        n++;
    }
    va_json_add_int(o, "n_significant", n);
    va_json_add_double(o, "min_p_adjusted", least);
}

va_status va_run_layers(va_run *run, va_arena *arena, const va_metric_spec *m, const va_series *s,
                        va_json *o) {
    va_status st = VA_OK;
    const va_spec *spec = &run->e->spec;
    if (spec->n_layers < 2 || !va_metric_has_layer(spec, m))
        return VA_OK;
    va_json *list = va_json_add_array(o, "by_layer");
    for (int64_t l = 0; l < spec->n_layers; l++) {
        group g;
        VA_TRY(take(run, arena, s, NULL, spec->layers[l], &g));
        if (g.n == 0)
            continue;
        va_json *one = va_json_add_object(list, NULL);
        va_json_add_int(one, "model_layer", spec->layers[l]);
        VA_TRY(add_summary(run, &g, one));
        if (m->nulls.n > 0)
            add_significant(run, &g, one);
    }
done:
    return st;
}

// -- over prompts --------------------------------------------------------------------------------

static bool wants_prompts(const va_metric_spec *m) {
    for (int64_t i = 0; i < m->bootstrap.n; i++)
        if (strcmp(m->bootstrap.item[i], "prompts") == 0)
            return true;
    return false;
}

// Of the mean over prompts, prompts drawn with replacement. All alike: no interval.
static va_status add_interval(va_run *run, const group *g, const va_metric_spec *m, int64_t layer,
                              va_json *o) {
    va_status st = VA_OK;
    const va_chance_spec *chance = &run->e->spec.chance;
    va_rng rng = va_rng_make((uint64_t)run->e->spec.seed,
                             va_hash64(va_arena_printf(run->arena, "prompts/%s/%s/%lld", m->name,
                                                       g->concept_name[0], (long long)layer)));
    const va_metric_bootstrap_params params = {.n_items = g->n,
                                               .n_resamples = chance->resamples,
                                               .kind = VA_METRIC_PERCENTILE,
                                               .level = chance->level,
                                               .measure = va_metric_item_mean,
                                               .user = g->value};
    va_metric_interval out;
    VA_TRY(va_metric_bootstrap(run->ctx, &params, &rng, NULL, &out));
    va_record_interval(o, "interval_prompts", &out, chance->level, chance->resamples);
done:
    return st;
}

// The share of the numbers that have the mean's sign.
static double same_sign(const group *g) {
    double sum = 0, same = 0;
    for (int64_t i = 0; i < g->n; i++)
        sum += g->value[i];
    for (int64_t i = 0; i < g->n; i++)
        same += (g->value[i] > 0) == (sum > 0);
    return same / (double)g->n;
}

static va_status add_concept(va_run *run, const group *g, const va_metric_spec *m, int64_t layer,
                             va_json *list) {
    va_status st = VA_OK;
    va_json *o = va_json_add_object(list, NULL);
    va_json_add_string(o, "concept", g->concept_name[0]);
    if (va_metric_has_layer(&run->e->spec, m))
        va_json_add_int(o, "model_layer", layer);
    VA_TRY(add_summary(run, g, o));
    va_json_add_double(o, "same_sign", same_sign(g));
    if (m->nulls.n > 0) {
        int64_t n = 0;
        for (int64_t i = 0; i < g->n; i++)
            n += g->p[i] <= run->e->spec.chance.alpha;
        va_json_add_int(o, "n_significant", n);
    }
    if (wants_prompts(m))
        VA_TRY(add_interval(run, g, m, layer, o));
done:
    return st;
}

va_status va_run_stability(va_run *run, va_arena *arena, const va_metric_spec *m,
                           const va_series *s, va_json *o) {
    va_status st = VA_OK;
    const va_spec *spec = &run->e->spec;
    const int64_t n_layers = va_metric_has_layer(spec, m) ? spec->n_layers : 1;
    if (spec->prompts.n < 2 || !va_metric_has_prompt(spec, m))
        return VA_OK;
    va_json *list = va_json_add_array(o, "by_concept");
    for (int64_t l = 0; l < n_layers; l++)
        for (int64_t c = 0; c < spec->n_concepts; c++) {
            group g;
            VA_TRY(take(run, arena, s, spec->concepts[c].name, spec->layers[l], &g));
            if (g.n > 1)
                VA_TRY(add_concept(run, &g, m, spec->layers[l], list));
        }
done:
    return st;
}
