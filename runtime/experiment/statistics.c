// statistics.c: each metric over all results: summary, histogram, chance after correction.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "series.h"
#include "vkalign/metric.h"

enum { N_BINS = 40 };

static va_json *find_metric(const va_json *result, const char *name) {
    const va_json *m = va_json_first(va_json_get(result, "metrics"));
    for (; m; m = va_json_next(m))
        if (strcmp(va_json_as_string(va_json_get(m, "name")), name) == 0)
            return (va_json *)m; // the tree is ours and still being built
    return NULL;
}

static va_json *null_of(const va_series *s, int64_t i, const char *name) {
    return (va_json *)va_json_get(va_json_get(s->metric[i], "nulls"), name);
}

static void add_value(va_series *s, const va_metric_spec *spec, va_json *metric) {
    bool across = false;
    s->metric[s->n] = metric;
    va_json_as_double(va_json_get(metric, "value"), &s->value[s->n]);
    va_json_as_int(va_json_get(metric, "dimension"), &s->dimension);
    if (va_json_as_bool(va_json_get(metric, "across_sites"), &across))
        s->across_sites |= across;
    for (int64_t k = 0; k < spec->nulls.n; k++) {
        s->p[k][s->n] = 1; // of a null that failed
        va_json_as_double(va_json_get(null_of(s, s->n, spec->nulls.item[k]), "p_value"),
                          &s->p[k][s->n]);
    }
    s->n++;
}

static va_status make_series(va_run *run, va_arena *arena, int64_t n, int64_t n_nulls,
                             va_series *s) {
    va_status st = VA_OK;
    *s = (va_series){0};
    VA_TRY_ALLOC(run->ctx, s->value, VA_NEW_ARRAY(arena, double, n));
    VA_TRY_ALLOC(run->ctx, s->worst, VA_NEW_ARRAY(arena, double, n));
    VA_TRY_ALLOC(run->ctx, s->metric, VA_NEW_ARRAY(arena, va_json *, n));
    VA_TRY_ALLOC(run->ctx, s->concept_name, VA_NEW_ARRAY(arena, const char *, n));
    VA_TRY_ALLOC(run->ctx, s->prompt, VA_NEW_ARRAY(arena, const char *, n));
    VA_TRY_ALLOC(run->ctx, s->layer, VA_NEW_ARRAY(arena, int64_t, n));
    for (int64_t k = 0; k < n_nulls; k++) {
        VA_TRY_ALLOC(run->ctx, s->p[k], VA_NEW_ARRAY(arena, double, n));
        VA_TRY_ALLOC(run->ctx, s->adjusted[k], VA_NEW_ARRAY(arena, double, n));
    }
done:
    return st;
}

va_status va_series_collect(va_run *run, va_arena *arena, const va_json *results,
                            const va_metric_spec *spec, va_series *s) {
    va_status st = VA_OK;
    VA_TRY(make_series(run, arena, va_json_count(results), spec->nulls.n, s));
    for (const va_json *r = va_json_first(results); r; r = va_json_next(r)) {
        va_json *m = find_metric(r, spec->name); // those before a failed one are there
        if (!m)
            continue;
        s->concept_name[s->n] = va_json_as_string(va_json_get(r, "concept"));
        s->prompt[s->n] = va_json_as_string(va_json_get(r, "prompt"));
        va_json_as_int(va_json_get(r, "model_layer"), &s->layer[s->n]);
        add_value(s, spec, m);
    }
done:
    return st;
}

static va_status add_summary(va_run *run, va_arena *arena, va_json *o, const va_series *s) {
    va_status st = VA_OK;
    va_metric_summary m;
    int64_t *counts = NULL;
    VA_TRY(va_metric_summarize(run->ctx, s->value, s->n, &m));
    va_json_add_double(o, "mean", m.mean);
    va_json_add_double(o, "median", m.median);
    va_json_add_double(o, "std", m.std);
    va_json_add_string(o, "std_convention", VA_METRIC_STD_CONVENTION);
    va_json_add_double(o, "min", m.min);
    va_json_add_double(o, "max", m.max);
    va_json_add_double(o, "range", m.range);
    va_json_add_double(o, "mean_abs", m.mean_abs);
    if (m.min < -1 || m.max > 1)
        goto done; // numbers without bounds have no histogram
    VA_TRY_ALLOC(run->ctx, counts, VA_NEW_ARRAY(arena, int64_t, N_BINS));
    VA_TRY(va_metric_histogram(run->ctx, s->value, s->n, N_BINS, counts));
    va_json *h = va_json_add_object(o, "histogram");
    va_json *edges = va_json_add_array(h, "edges"), *bins = va_json_add_array(h, "counts");
    for (int64_t i = 0; i <= N_BINS; i++)
        va_json_add_double(edges, NULL, va_metric_histogram_edge(N_BINS, i));
    for (int64_t i = 0; i < N_BINS; i++)
        va_json_add_int(bins, NULL, counts[i]);
done:
    return st;
}

// Sum over results of a null's number; false when none has it.
static bool sum_null(const va_series *s, const char *name, const char *key, double *sum) {
    bool any = false;
    *sum = 0;
    for (int64_t i = 0; i < s->n; i++) {
        double one;
        if (!va_json_as_double(va_json_get(null_of(s, i, name), key), &one))
            continue;
        *sum += one;
        any = true;
    }
    return any;
}

// One null over all results, corrected for their number.
static va_status add_null(va_run *run, va_json *o, va_series *s, const char *name, int64_t k) {
    static const char *const keys[][2] = {
        {"std", "mean_std"}, {"low", "mean_low"}, {"high", "mean_high"}};
    va_status st = VA_OK;
    const va_chance_spec *chance = &run->e->spec.chance;
    double least = 1, sum;
    int64_t n_significant = 0;
    VA_TRY(va_metric_adjust(run->ctx, chance->correction, s->p[k], s->n, s->adjusted[k]));
    for (int64_t i = 0; i < s->n; i++) {
        va_json_add_double(null_of(s, i, name), "p_adjusted", s->adjusted[k][i]);
        least = fmin(least, s->adjusted[k][i]);
        n_significant += s->adjusted[k][i] <= chance->alpha;
        s->worst[i] = fmax(s->worst[i], s->p[k][i]);
    }
    for (int64_t i = 0; i < VA_COUNT(keys); i++)
        if (sum_null(s, name, keys[i][0], &sum))
            va_json_add_double(o, keys[i][1], sum / (double)s->n);
    if (sum_null(s, name, "n_unconverged", &sum))
        va_json_add_int(o, "n_unconverged", (int64_t)sum);
    va_json_add_int(o, "n_significant", n_significant);
    va_json_add_double(o, "min_p_adjusted", least);
done:
    return st;
}

// A result differs from chance when it does so by every null asked for: its p is the largest of
// theirs, which is then corrected. (Corrected each for itself, they would let through results that
// stand out by luck in one null among others that do so by right.)
static va_status add_chance(va_run *run, va_json *o, const va_metric_spec *m, va_series *s) {
    va_status st = VA_OK;
    const va_chance_spec *chance = &run->e->spec.chance;
    double least = 1;
    int64_t n_significant = 0;
    va_json_add_double(o, "alpha", chance->alpha);
    va_json_add_string(o, "correction", va_metric_correction_name(chance->correction));
    va_json_add_int(o, "n_tests", s->n);
    if (m->kind == VA_METRIC_COSINE) {
        va_json_add_double(o, "chance_std", va_metric_cosine_std(s->dimension));
        va_json_add_double(o, "chance_mean_abs", va_metric_cosine_mean_abs(s->dimension));
    }
    va_json *nulls = va_json_add_object(o, "nulls");
    for (int64_t k = 0; k < m->nulls.n; k++)
        VA_TRY(add_null(run, va_json_add_object(nulls, m->nulls.item[k]), s, m->nulls.item[k], k));
    VA_TRY(va_metric_adjust(run->ctx, chance->correction, s->worst, s->n, s->worst));
    va_json *names = va_json_add_array(o, "significant");
    for (int64_t i = 0; i < s->n; i++) {
        least = fmin(least, s->worst[i]);
        n_significant += s->worst[i] <= chance->alpha;
        va_json_add_double(s->metric[i], "p_adjusted", s->worst[i]);
        va_json_add_bool(s->metric[i], "differs_from_chance", s->worst[i] <= chance->alpha);
        if (s->worst[i] <= chance->alpha)
            va_json_add_string(names, NULL, s->concept_name[i]);
    }
    va_json_add_int(o, "n_significant", n_significant);
    va_json_add_double(o, "min_p_adjusted", least);
    va_json_add_bool(o, "differs_from_chance", n_significant > 0);
done:
    return st;
}

static va_status add_single(va_run *run, va_arena *arena, const va_json *results,
                            const va_metric_spec *m, va_json *o) {
    va_status st = VA_OK;
    va_series s;
    VA_TRY(va_series_collect(run, arena, results, m, &s));
    va_json_add_int(o, "n", s.n);
    va_json_add_bool(o, "across_sites", s.across_sites);
    if (s.n == 0)
        goto done;
    va_json_add_int(o, "dimension", s.dimension);
    VA_TRY(add_summary(run, arena, o, &s));
    if (m->nulls.n > 0)
        VA_TRY(add_chance(run, o, m, &s));
    VA_TRY(va_run_layers(run, arena, m, &s, o));
    VA_TRY(va_run_stability(run, arena, m, &s, o));
done:
    return st;
}

static va_status add_metric(va_run *run, va_arena *arena, const va_json *results,
                            const va_metric_spec *m, va_json *o) {
    va_json_add_string(o, "name", m->name);
    va_json_add_string(o, "kind", va_metric_kind_names[m->kind]);
    va_json *of = va_json_add_array(o, "of");
    for (int64_t k = 0; k < m->of.n; k++)
        va_json_add_string(of, NULL, m->of.item[k]);
    if (m->kind == VA_METRIC_AGREEMENT)
        return va_run_agreement(run, m, o);
    if (m->kind == VA_METRIC_SPEARMAN)
        return va_run_spearman(run, results, m, o);
    return add_single(run, arena, results, m, o);
}

va_status va_run_statistics(va_run *run, va_json *root) {
    va_status st = VA_OK;
    const va_spec *spec = &run->e->spec;
    const va_json *results = va_json_get(root, "results");
    va_arena *arena = va_arena_create();
    va_json *by_metric = va_json_array();
    for (int64_t i = 0; i < spec->n_metrics; i++)
        VA_TRY(add_metric(run, arena, results, &spec->metrics[i],
                          va_json_add_object(by_metric, NULL)));
    // The first metric's also stand at the top, where readers of the published file look.
    va_json *top = va_json_clone(va_json_first(by_metric));
    VA_TRY_ALLOC(run->ctx, top, top);
    va_json_add(root, "statistics", top);
    va_json_add(top, "by_metric", by_metric);
    by_metric = NULL;
done:
    va_json_free(&by_metric);
    va_arena_destroy(&arena);
    return st;
}
