// aggregate.c: metrics over several results: how well a direction agrees with itself, and whether
// two metrics rank the concepts alike.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "measure.h"
#include "series.h"

// What an entry is of; -1 and NULL: that it does not depend on, or goes over.
typedef struct place {
    int64_t concept_index, layer, prompt; // layer: index into spec.layers
} place;

static va_json *add_entry(va_run *run, va_json *list, const place *at) {
    const va_spec *s = &run->e->spec;
    va_json *o = va_json_add_object(list, NULL);
    if (at->concept_index >= 0)
        va_json_add_string(o, "concept", s->concepts[at->concept_index].name);
    if (at->layer >= 0)
        va_json_add_int(o, "model_layer", s->layers[at->layer]);
    if (at->prompt >= 0)
        va_json_add_string(o, "prompt", s->prompts.item[at->prompt]);
    return o;
}

// Mean of the entries' numbers, and how many there are.
static void add_mean(va_json *o, const va_json *list, const char *key) {
    double sum = 0;
    int64_t n = 0;
    for (const va_json *e = va_json_first(list); e; e = va_json_next(e)) {
        double v;
        if (!va_json_as_double(va_json_get(e, key), &v))
            continue;
        sum += v;
        n++;
    }
    va_json_add_int(o, "n", n);
    if (n > 0)
        va_json_add_double(o, "mean", sum / (double)n);
}

// Corrects the p-values of the entries that have one for their number, and says how many differ
// from chance.
static va_status add_verdicts(va_run *run, va_arena *arena, va_json *o, const va_json *list) {
    va_status st = VA_OK;
    const va_chance_spec *chance = &run->e->spec.chance;
    double *p = VA_NEW_ARRAY(arena, double, va_json_count(list)), one;
    int64_t n = 0, i = 0, n_significant = 0;
    VA_TRY_ALLOC(run->ctx, p, p);
    for (const va_json *e = va_json_first(list); e; e = va_json_next(e))
        if (va_json_as_double(va_json_get(e, "p_value"), &one))
            p[n++] = one;
    if (n == 0)
        goto done;
    VA_TRY(va_metric_adjust(run->ctx, chance->correction, p, n, p));
    for (va_json *e = (va_json *)va_json_first(list); e; e = (va_json *)va_json_next(e)) {
        if (!va_json_get(e, "p_value"))
            continue;
        va_json_add_double(e, "p_adjusted", p[i]); // the tree is ours
        va_json_add_bool(e, "differs_from_chance", p[i] <= chance->alpha);
        n_significant += p[i++] <= chance->alpha;
    }
    va_json_add_double(o, "alpha", chance->alpha);
    va_json_add_string(o, "correction", va_metric_correction_name(chance->correction));
    va_json_add_int(o, "n_tests", n);
    va_json_add_int(o, "n_significant", n_significant);
done:
    return st;
}

// -- agreement -----------------------------------------------------------------------------------

// The directions that are compared with each other, [n, d]; those that failed are left out.
static va_status gather(va_run *run, va_arena *arena, const va_metric_spec *m, const place *at,
                        int64_t n, va_metric_rows *out) {
    va_status st = VA_OK;
    float *x = NULL;
    *out = (va_metric_rows){0};
    for (int64_t i = 0; i < n; i++) {
        const int64_t unit = va_plan_find(run->e, m->index[0], at->concept_index,
                                          m->over == VA_OVER_LAYERS ? i : VA_MAX(at->layer, 0),
                                          m->over == VA_OVER_PROMPTS ? i : VA_MAX(at->prompt, 0),
                                          m->over == VA_OVER_SEEDS ? i : 0);
        const va_file_tensor *t = va_run_direction(run, unit);
        if (!t)
            continue;
        if (!x) {
            out->d = t->n_elem;
            VA_TRY_ALLOC(run->ctx, x, VA_NEW_ARRAY(arena, float, n * out->d));
        }
        memcpy(x + out->n++ * out->d, t->data, (size_t)t->size_bytes);
    }
    out->x = x;
done:
    return st;
}

static va_status add_agreement(va_run *run, va_arena *arena, const va_metric_spec *m,
                               const place *at, int64_t n, va_json *list) {
    va_status st = VA_OK;
    const int64_t n_draws = run->e->spec.chance.draws;
    va_rng rng = va_rng_make((uint64_t)run->e->spec.seed, va_hash64("null.agreement"));
    va_metric_rows rows;
    va_metric_agreement out;
    double *draws, p;
    VA_TRY(gather(run, arena, m, at, n, &rows));
    if (rows.n < 2)
        goto done;
    VA_TRY(va_metric_agree(run->ctx, &rows, &out));
    va_json *o = add_entry(run, list, at);
    va_json_add_int(o, "n", rows.n);
    va_json_add_double(o, "value", out.mean);
    va_json_add_double(o, "mean", out.mean);
    va_json_add_double(o, "mean_abs", out.mean_abs);
    va_json_add_double(o, "min", out.min);
    va_json_add_double(o, "max", out.max);
    if (m->nulls.n == 0)
        goto done;
    VA_TRY_ALLOC(run->ctx, draws, VA_NEW_ARRAY(arena, double, n_draws));
    VA_TRY(va_metric_agreement_null(run->ctx, rows.n, rows.d, &rng, n_draws, draws, NULL));
    VA_TRY(va_metric_tail_p(run->ctx, VA_METRIC_TAIL_ABS, out.mean, draws, n_draws, &p));
    va_record_range(o, (const char *const[]){"chance_low", "chance_high"}, VA_METRIC_TAIL_ABS,
                    run->e->spec.chance.alpha, 0, draws, n_draws);
    va_json_add_double(o, "chance_std", out.chance_std);
    va_json_add_double(o, "chance_mean_abs", out.chance_abs);
    va_json_add_double(o, "p_value", p);
done:
    return st;
}

va_status va_run_agreement(va_run *run, const va_metric_spec *m, va_json *o) {
    va_status st = VA_OK;
    const va_spec *s = &run->e->spec;
    const va_unit_block *b = &run->e->plan.blocks[m->index[0]];
    const int64_t n = m->over == VA_OVER_SEEDS    ? b->n_seeds
                      : m->over == VA_OVER_LAYERS ? b->n_layers
                                                  : b->n_prompts;
    const int64_t n_layers = m->over == VA_OVER_LAYERS ? 1 : b->n_layers;
    const int64_t n_prompts = m->over == VA_OVER_PROMPTS ? 1 : b->n_prompts;
    va_arena *arena = va_arena_create();
    VA_TRY_ALLOC(run->ctx, arena, arena);
    va_json_add_string(o, "over", va_over_names[m->over]);
    va_json *list = va_json_add_array(o, "entries");
    for (int64_t i = 0; i < s->n_concepts * n_layers * n_prompts; i++) {
        const place at = {.concept_index = i / n_prompts / n_layers,
                          .layer = n_layers > 1 ? i / n_prompts % n_layers : -1,
                          .prompt = n_prompts > 1 ? i % n_prompts : -1};
        VA_TRY(add_agreement(run, arena, m, &at, n, list));
    }
    add_mean(o, list, "value");
    VA_TRY(add_verdicts(run, arena, o, list));
done:
    va_arena_destroy(&arena);
    return st;
}

// -- ranks ---------------------------------------------------------------------------------------

// The number of a series for a concept; one that does not depend on the layer or the prompt stands
// at the first of them.
static bool value_at(const va_run *run, const va_metric_spec *m, const va_series *s, int64_t c,
                     const place *at, double *value) {
    const va_spec *spec = &run->e->spec;
    const int64_t layer = spec->layers[va_metric_has_layer(spec, m) ? VA_MAX(at->layer, 0) : 0];
    const int64_t prompt = va_metric_has_prompt(spec, m) ? VA_MAX(at->prompt, 0) : 0;
    const char *text = run->e->plan.prompts[c * spec->prompts.n + prompt].text;
    for (int64_t i = 0; i < s->n; i++)
        if (s->layer[i] == layer && strcmp(s->concept_name[i], spec->concepts[c].name) == 0 &&
            strcmp(s->prompt[i], text) == 0) {
            *value = s->value[i];
            return true;
        }
    return false;
}

static va_status add_spearman(va_run *run, va_arena *arena, const va_metric_spec *m,
                              const va_series series[2], const place *at, va_json *list) {
    va_status st = VA_OK;
    const va_spec *s = &run->e->spec;
    double *x[2], rho, p;
    int64_t n = 0;
    for (int k = 0; k < 2; k++)
        VA_TRY_ALLOC(run->ctx, x[k], VA_NEW_ARRAY(arena, double, s->n_concepts));
    for (int64_t c = 0; c < s->n_concepts; c++)
        if (value_at(run, &s->metrics[m->index[0]], &series[0], c, at, &x[0][n]) &&
            value_at(run, &s->metrics[m->index[1]], &series[1], c, at, &x[1][n]))
            n++;
    if (n < 3)
        goto done;
    va_json *o = add_entry(run, list, at);
    va_json_add_int(o, "n", n);
    if (va_metric_spearman(run->ctx, x[0], x[1], n, &rho, &p) != VA_OK) { // all equal
        va_json_add_string(o, "error", va_error_message(run->ctx));
        va_error_clear(run->ctx);
        goto done;
    }
    va_json_add_double(o, "value", rho);
    va_json_add_double(o, "rho", rho);
    if (m->nulls.n > 0)
        va_json_add_double(o, "p_value", p);
done:
    return st;
}

va_status va_run_spearman(va_run *run, const va_json *results, const va_metric_spec *m,
                          va_json *o) {
    va_status st = VA_OK;
    const va_spec *s = &run->e->spec;
    const int64_t n_layers = va_metric_has_layer(s, m) ? s->n_layers : 1;
    const int64_t n_prompts = va_metric_has_prompt(s, m) ? s->prompts.n : 1;
    va_arena *arena = va_arena_create();
    va_series series[2];
    VA_TRY_ALLOC(run->ctx, arena, arena);
    for (int k = 0; k < 2; k++)
        VA_TRY(va_series_collect(run, arena, results, &s->metrics[m->index[k]], &series[k]));
    va_json *list = va_json_add_array(o, "entries");
    for (int64_t i = 0; i < n_layers * n_prompts; i++) {
        const place at = {.concept_index = -1,
                          .layer = n_layers > 1 ? i / n_prompts : -1,
                          .prompt = n_prompts > 1 ? i % n_prompts : -1};
        VA_TRY(add_spearman(run, arena, m, series, &at, list));
    }
    add_mean(o, list, "value");
    VA_TRY(add_verdicts(run, arena, o, list));
done:
    va_arena_destroy(&arena);
    return st;
}
