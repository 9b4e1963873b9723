// statistics.c: each metric over all results: summary, histogram, chance after Holm's correction.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "vkalign/metric.h"

enum { N_BINS = 40 };
#define ALPHA 0.05

enum { MAX_NULLS = 4 };

typedef struct va_series { // one metric's values over the results that have it
    double *cosine;
    double *p[MAX_NULLS], *adjusted[MAX_NULLS]; // by null, in the order asked for
    va_json **metric;                           // where they come from
    const char **concept_name;
    int64_t n, dimension;
    bool across_sites;
} va_series;

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
    va_json_as_double(va_json_get(metric, "cosine"), &s->cosine[s->n]);
    va_json_as_int(va_json_get(metric, "dimension"), &s->dimension);
    if (va_json_as_bool(va_json_get(metric, "across_sites"), &across))
        s->across_sites |= across;
    for (int64_t k = 0; k < spec->nulls.n; k++)
        va_json_as_double(va_json_get(null_of(s, s->n, spec->nulls.item[k]), "p_value"),
                          &s->p[k][s->n]);
    s->n++;
}

static va_status collect(va_run *run, va_arena *arena, const va_json *results,
                         const va_metric_spec *spec, va_series *s) {
    va_status st = VA_OK;
    int64_t n = va_json_count(results);
    VA_TRY_ALLOC(run->ctx, s->cosine, VA_NEW_ARRAY(arena, double, n));
    VA_TRY_ALLOC(run->ctx, s->metric, VA_NEW_ARRAY(arena, va_json *, n));
    VA_TRY_ALLOC(run->ctx, s->concept_name, VA_NEW_ARRAY(arena, const char *, n));
    for (int64_t k = 0; k < spec->nulls.n; k++) {
        VA_TRY_ALLOC(run->ctx, s->p[k], VA_NEW_ARRAY(arena, double, n));
        VA_TRY_ALLOC(run->ctx, s->adjusted[k], VA_NEW_ARRAY(arena, double, n));
    }
    for (const va_json *r = va_json_first(results); r; r = va_json_next(r)) {
        const char *status = va_json_as_string(va_json_get(r, "status"));
        va_json *m = strcmp(status, "success") == 0 ? find_metric(r, spec->name) : NULL;
        s->concept_name[s->n] = va_json_as_string(va_json_get(r, "concept"));
        if (m)
            add_value(s, spec, m);
    }
done:
    return st;
}

static va_status add_summary(va_run *run, va_arena *arena, va_json *o, const va_series *s) {
    va_status st = VA_OK;
    va_metric_summary m;
    int64_t *counts = NULL;
    VA_TRY(va_metric_summarize(run->ctx, s->cosine, s->n, &m));
    VA_TRY_ALLOC(run->ctx, counts, VA_NEW_ARRAY(arena, int64_t, N_BINS));
    VA_TRY(va_metric_histogram(run->ctx, s->cosine, s->n, N_BINS, counts));
    va_json_add_double(o, "mean", m.mean);
    va_json_add_double(o, "median", m.median);
    va_json_add_double(o, "std", m.std);
    va_json_add_string(o, "std_convention", VA_METRIC_STD_CONVENTION);
    va_json_add_double(o, "min", m.min);
    va_json_add_double(o, "max", m.max);
    va_json_add_double(o, "range", m.range);
    va_json_add_double(o, "mean_abs", m.mean_abs);
    va_json *h = va_json_add_object(o, "histogram");
    va_json *edges = va_json_add_array(h, "edges"), *bins = va_json_add_array(h, "counts");
    for (int64_t i = 0; i <= N_BINS; i++)
        va_json_add_double(edges, NULL, va_metric_histogram_edge(N_BINS, i));
    for (int64_t i = 0; i < N_BINS; i++)
        va_json_add_int(bins, NULL, counts[i]);
done:
    return st;
}

// One null over all results. Holm's correction holds under any dependence, and results of one model
// are not independent.
static va_status add_null(va_run *run, va_json *o, va_series *s, const char *name, int64_t k) {
    va_status st = VA_OK;
    double least = 1;
    int64_t n_significant = 0;
    VA_TRY(va_metric_adjust(run->ctx, VA_METRIC_HOLM, s->p[k], s->n, s->adjusted[k]));
    for (int64_t i = 0; i < s->n; i++) {
        va_json_add_double(null_of(s, i, name), "p_adjusted", s->adjusted[k][i]);
        least = fmin(least, s->adjusted[k][i]);
        n_significant += s->adjusted[k][i] <= ALPHA;
    }
    va_json_add_int(o, "n_significant", n_significant);
    va_json_add_double(o, "min_p_adjusted", least);
done:
    return st;
}

// A result differs from chance when it does so by every null asked for.
static va_status add_chance(va_run *run, va_json *o, const va_metric_spec *m, va_series *s) {
    va_status st = VA_OK;
    double least = 1;
    int64_t n_significant = 0;
    va_json_add_double(o, "alpha", ALPHA);
    va_json_add_string(o, "correction", va_metric_correction_name(VA_METRIC_HOLM));
    va_json_add_double(o, "chance_std", va_metric_cosine_std(s->dimension));
    va_json_add_double(o, "chance_mean_abs", va_metric_cosine_mean_abs(s->dimension));
    va_json *nulls = va_json_add_object(o, "nulls");
    for (int64_t k = 0; k < m->nulls.n; k++)
        VA_TRY(add_null(run, va_json_add_object(nulls, m->nulls.item[k]), s, m->nulls.item[k], k));
    va_json *names = va_json_add_array(o, "significant");
    for (int64_t i = 0; i < s->n; i++) {
        double p = 0;
        for (int64_t k = 0; k < m->nulls.n; k++)
            p = fmax(p, s->adjusted[k][i]);
        least = fmin(least, p);
        n_significant += p <= ALPHA;
        if (p <= ALPHA)
            va_json_add_string(names, NULL, s->concept_name[i]);
    }
    va_json_add_int(o, "n_significant", n_significant);
    va_json_add_double(o, "min_p_adjusted", least);
    va_json_add_bool(o, "differs_from_chance", n_significant > 0);
done:
    return st;
}

static va_status add_metric(va_run *run, va_arena *arena, const va_json *results,
                            const va_metric_spec *m, va_json *o) {
    va_status st = VA_OK;
    va_series s = {0};
    VA_TRY(collect(run, arena, results, m, &s));
    va_json_add_string(o, "name", m->name);
    va_json_add_int(o, "n", s.n);
    va_json_add_bool(o, "across_sites", s.across_sites);
    if (s.n == 0)
        goto done;
    va_json_add_int(o, "dimension", s.dimension);
    VA_TRY(add_summary(run, arena, o, &s));
    if (m->nulls.n > 0)
        VA_TRY(add_chance(run, o, m, &s));
done:
    return st;
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
