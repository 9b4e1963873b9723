// spec_expect.c: the checks of what is expected of the results: a bound on a number that they will
// not have would never hold.
// SPDX-License-Identifier: Apache-2.0
#include "spec_check.h"

#include <string.h>

static bool knows_concept(const va_spec *s, const char *name) {
    for (int64_t i = 0; i < s->n_concepts; i++)
        if (s->concepts[i].name && strcmp(s->concepts[i].name, name) == 0)
            return true;
    return false;
}

static bool knows_layer(const va_spec *s, int64_t layer) {
    for (int64_t i = 0; i < s->n_layers; i++)
        if (s->layers[i] == layer)
            return true;
    return false;
}

static bool is_one_of(const char *text, const char *const *list) {
    for (; *list; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

static const char *const single[] = {"value", "abs", "p", "p_adjusted", "low", "high", NULL};
static const char *const chance[] = {"p", "p_adjusted", "n_significant", NULL};

// Of a metric with a number for each result. NULL: there is such a number.
static const char *why_not_single(const va_spec *s, const va_metric_spec *m,
                                  const va_expect_spec *x) {
    const bool of_concept = x->concept_name[0] != '\0', of_layer = x->layer >= 0;
    if (of_layer && !va_metric_has_layer(s, m))
        return "it does not depend on the layer";
    if (is_one_of(x->statistic, chance) && m->nulls.n == 0)
        return "it has no nulls";
    if (is_one_of(x->statistic, (const char *const[]){"low", "high", NULL})) {
        for (int64_t i = 0; i < m->bootstrap.n; i++)
            if (strcmp(m->bootstrap.item[i], "items") == 0)
                return NULL;
        return "it has no bootstrap over items";
    }
    if (is_one_of(x->statistic, single))
        return NULL;
    if (of_concept && (s->prompts.n < 2 || !va_metric_has_prompt(s, m)))
        return "a concept has no several prompts; use statistic value";
    if (of_layer && !of_concept && s->n_layers < 2)
        return "there is one layer; leave it out";
    return NULL;
}

// Of agreement and spearman: entries, and what is over all of them.
static const char *why_not_entries(const va_spec *s, const va_metric_spec *m,
                                   const va_expect_spec *x) {
    static const char *const whole[] = {"mean", "n_significant", NULL};
    static const char *const parts[] = {"value", "abs", "p", "p_adjusted", NULL};
    static const char *const inside[] = {"mean", "mean_abs", "min", "max", NULL};
    const bool agreement = m->kind == VA_METRIC_AGREEMENT;
    const bool layers =
        va_metric_has_layer(s, m) && s->n_layers > 1 && !(agreement && m->over == VA_OVER_LAYERS);
    const bool all = x->concept_name[0] == '\0' && x->layer < 0;
    if (is_one_of(x->statistic, chance) && m->nulls.n == 0)
        return "it has no nulls";
    if (x->concept_name[0] && !agreement)
        return "it is over all concepts";
    if (x->layer >= 0 && !layers)
        return "it has no number for each layer";
    if (is_one_of(x->statistic, parts) || (all && is_one_of(x->statistic, whole)) ||
        (!all && agreement && is_one_of(x->statistic, inside)))
        return NULL;
    return "it has no such number";
}

static void check_number(va_diagnostics *d, const va_spec *s, const va_expect_spec *x) {
    const va_metric_spec *m = &s->metrics[x->index];
    const char *why =
        va_metric_is_single(m->kind) ? why_not_single(s, m, x) : why_not_entries(s, m, x);
    if (why)
        va_diagnose(d, x->place, "", "expect: %s of metric '%s': %s", x->statistic, x->metric, why);
}

static void check_bounds(va_diagnostics *d, const va_expect_spec *x) {
    if (!x->has_min && !x->has_max)
        va_diagnose(d, x->place, "", "expect: '%s' has neither min nor max", x->metric);
    else if (x->has_min && x->has_max && x->min > x->max)
        va_diagnose(d, x->place, "", "expect: min %g is above max %g", x->min, x->max);
}

static void check_expect(va_diagnostics *d, const va_spec *s, va_expect_spec *x, bool whole) {
    if (!x->metric || !x->statistic || !x->concept_name)
        return; // diagnosed when it was read
    x->index = va_spec_find_metric(s, x->metric);
    if (x->index < 0)
        va_diagnose(d, x->place, va_spec_metric_hint(d->arena, s, x->metric),
                    "expect: there is no metric '%s'", x->metric);
    if (x->concept_name[0] && !knows_concept(s, x->concept_name))
        va_diagnose(d, x->place,
                    va_spec_hint(d->arena, x->concept_name, s->concepts, s->n_concepts,
                                 sizeof *s->concepts, offsetof(va_concept, name)),
                    "expect: there is no concept '%s'", x->concept_name);
    if (x->layer >= 0 && !knows_layer(s, x->layer))
        va_diagnose(d, x->place, "", "expect: layer %lld is not in model.layers",
                    (long long)x->layer);
    check_bounds(d, x);
    if (whole && x->index >= 0)
        check_number(d, s, x);
}

void va_spec_check_expectations(va_diagnostics *d, va_spec *s) {
    const bool whole = d->n == 0; // else references of metrics may lead nowhere
    for (int64_t i = 0; i < s->n_expect; i++)
        check_expect(d, s, &s->expect[i], whole);
}
