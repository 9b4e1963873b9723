// expect.c: the bounds that an experiment sets to its results, held against them.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "series.h"

// A bound with the object of the results that it is held against.
typedef struct held {
    va_run *run;
    const va_expect_spec *x;
    va_json *list; // of the expectations
    int64_t n;     // compared
} held;

static bool is_of(const va_json *o, const va_expect_spec *x) {
    const char *name = va_json_as_string(va_json_get(o, "concept"));
    int64_t layer = -1;
    if (x->concept_name[0] && (!name || strcmp(name, x->concept_name) != 0))
        return false;
    return x->layer < 0 ||
           (va_json_as_int(va_json_get(o, "model_layer"), &layer) && layer == x->layer);
}

static bool worst_p(const va_json *metric, double *p) {
    bool any = false;
    *p = 0;
    const va_json *null = va_json_first(va_json_get(metric, "nulls"));
    for (double one; null; null = va_json_next(null))
        if (va_json_as_double(va_json_get(null, "p_value"), &one)) {
            *p = fmax(*p, one); // of all nulls, as the verdict is
            any = true;
        }
    return any || va_json_as_double(va_json_get(metric, "p_value"), p);
}

static bool number_of(const va_json *o, const char *statistic, double *value) {
    if (strcmp(statistic, "abs") == 0) {
        bool ok = va_json_as_double(va_json_get(o, "value"), value);
        *value = fabs(*value);
        return ok;
    }
    if (strcmp(statistic, "p") == 0)
        return worst_p(o, value);
    if (strcmp(statistic, "low") == 0 || strcmp(statistic, "high") == 0)
        return va_json_as_double(va_json_get(va_json_get(o, "interval_items"), statistic), value);
    return va_json_as_double(va_json_get(o, statistic), value);
}

static void tell(const held *h, const va_json *e, double got) {
    const char *concept_name = va_json_as_string(va_json_get(e, "concept"));
    const va_expect_spec *x = h->x;
    char text[64], bounds[64];
    int64_t layer;
    text[0] = '\0';
    if (va_json_as_int(va_json_get(e, "model_layer"), &layer))
        snprintf(text, sizeof text, " at layer %lld", (long long)layer);
    if (x->has_min && x->has_max)
        snprintf(bounds, sizeof bounds, "%g to %g", x->min, x->max);
    else
        snprintf(bounds, sizeof bounds, "at %s %g", x->has_min ? "least" : "most",
                 x->has_min ? x->min : x->max);
    va_log(h->run->ctx, VA_LOG_WARN, "expect: %s of %s%s%s%s is %g, expected %s", x->statistic,
           x->metric, concept_name ? " of " : "", concept_name ? concept_name : "", text, got,
           bounds);
}

// at: what carries concept, layer and prompt.
static void compare(held *h, const va_json *o, const va_json *at) {
    const va_expect_spec *x = h->x;
    double got = NAN;
    const bool there = number_of(o, x->statistic, &got);
    if (!there)
        got = NAN;
    const bool holds = there && (!x->has_min || got >= x->min) && (!x->has_max || got <= x->max);
    va_json *e = va_json_add_object(h->list, NULL);
    va_json_add_string(e, "metric", x->metric);
    va_json_add_string(e, "statistic", x->statistic);
    static const char *const keys[] = {"concept", "model_layer", "prompt"};
    for (int64_t i = 0; at && i < VA_COUNT(keys); i++)
        if (va_json_get(at, keys[i]))
            va_json_add(e, keys[i], va_json_clone(va_json_get(at, keys[i])));
    if (x->has_min)
        va_json_add_double(e, "min", x->min);
    if (x->has_max)
        va_json_add_double(e, "max", x->max);
    va_json_add_double(e, "got", got);
    va_json_add_bool(e, "holds", holds);
    h->n++;
    h->run->summary.n_expected++;
    h->run->summary.n_held += holds;
    if (!holds)
        tell(h, e, got);
}

static const va_json *named(const va_json *list, const char *name) {
    for (const va_json *o = va_json_first(list); o; o = va_json_next(o)) {
        const char *is = va_json_as_string(va_json_get(o, "name"));
        if (is && strcmp(is, name) == 0)
            return o;
    }
    return NULL;
}

// value, abs, p, p_adjusted, low, high are of every result; the rest of all of them.
static bool is_single(const char *statistic) {
    static const char *const names[] = {"value", "abs", "p", "p_adjusted", "low", "high"};
    for (int64_t i = 0; i < VA_COUNT(names); i++)
        if (strcmp(names[i], statistic) == 0)
            return true;
    return false;
}

// The objects over several results that the bound's concept and layer choose.
static void hold_summary(held *h, const va_json *metric) {
    const va_expect_spec *x = h->x;
    const char *const groups[] = {x->concept_name[0] ? "by_concept" : "by_layer", "entries"};
    if (!x->concept_name[0] && x->layer < 0) {
        compare(h, metric, NULL);
        return;
    }
    for (int64_t i = 0; i < VA_COUNT(groups); i++) {
        const va_json *o = va_json_first(va_json_get(metric, groups[i]));
        for (; o; o = va_json_next(o))
            if (is_of(o, x))
                compare(h, o, o);
    }
}

static void hold(held *h, const va_json *root) {
    const va_expect_spec *x = h->x;
    const va_json *by_metric = va_json_get(va_json_get(root, "statistics"), "by_metric");
    const va_json *metric = named(by_metric, x->metric);
    if (!is_single(x->statistic)) {
        hold_summary(h, metric);
    } else {
        const va_json *o = va_json_first(va_json_get(metric, "entries"));
        for (; o; o = va_json_next(o))
            if (is_of(o, x))
                compare(h, o, o);
        for (o = va_json_first(va_json_get(root, "results")); o; o = va_json_next(o)) {
            const va_json *m = named(va_json_get(o, "metrics"), x->metric);
            if (m && is_of(o, x))
                compare(h, m, o);
        }
    }
    if (h->n == 0) // nothing was measured: not held
        compare(h, NULL, NULL);
}

va_status va_run_expectations(va_run *run, va_json *root) {
    va_status st = VA_OK;
    const va_spec *s = &run->e->spec;
    if (s->n_expect == 0)
        return VA_OK;
    va_json *list = va_json_add_array(root, "expectations");
    VA_TRY_ALLOC(run->ctx, list, list);
    for (int64_t i = 0; i < s->n_expect; i++) {
        held h = {.run = run, .x = &s->expect[i], .list = list};
        hold(&h, root);
    }
done:
    return st;
}
