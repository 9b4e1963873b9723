// report_points.c: a metric's results in the file's order, with the concepts and layers there are.
// SPDX-License-Identifier: Apache-2.0
#include "report_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct va_named {
    const char *name;
    int64_t at; // first appearance, then the concept's index
} va_named;

static int by_name(const void *a, const void *b) {
    const va_named *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int by_place(const void *a, const void *b) {
    const va_named *const *x = a, *const *y = b;
    return ((*x)->at > (*y)->at) - ((*x)->at < (*y)->at);
}

static int by_number(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const va_json *metric_of(const va_json *result, const char *name) {
    const va_json *m = va_json_first(va_json_get(result, "metrics"));
    while (m && strcmp(va_report_string(m, "name"), name) != 0)
        m = va_json_next(m);
    return m;
}

static double value_of(const va_report_kind *kind, const va_json *metric) {
    const double v = va_report_number(metric, "value");
    return isnan(v) ? va_report_number(metric, kind->key) : v;
}

// Files that do not say have the adjusted p of every null: all must be small.
static bool differs(const va_json *stat, const va_json *metric) {
    bool verdict = true;
    double alpha = va_report_number(stat, "alpha");
    const va_json *null = va_json_first(va_json_get(metric, "nulls"));
    if (va_json_as_bool(va_json_get(metric, "differs_from_chance"), &verdict))
        return verdict;
    if (!null)
        return false;
    for (; null; null = va_json_next(null))
        verdict &= va_report_number(null, "p_adjusted") <= (isnan(alpha) ? 0.05 : alpha);
    return verdict;
}

// -- concepts and layers -----------------------------------------------------------------------

static bool index_concepts(va_doc *d, va_points *p) {
    va_named *all = VA_DOC_ARRAY(d, va_named, p->n);
    va_named **order = VA_DOC_ARRAY(d, va_named *, p->n);
    p->concept_name = VA_DOC_ARRAY(d, const char *, p->n);
    if (!all || !order || !p->concept_name)
        return false;
    for (int64_t i = 0; i < p->n; i++)
        all[i] = (va_named){va_report_string(p->at[i].result, "concept"), i};
    if (p->n > 0)
        qsort(all, (size_t)p->n, sizeof *all, by_name);
    for (int64_t i = 0; i < p->n; i++) // the first of each name
        if (i == 0 || strcmp(all[i].name, all[p->n_concepts - 1].name) != 0)
            all[p->n_concepts++] = all[i];
    for (int64_t i = 0; i < p->n_concepts; i++)
        order[i] = &all[i];
    if (p->n_concepts > 0)
        qsort(order, (size_t)p->n_concepts, sizeof *order, by_place);
    for (int64_t i = 0; i < p->n_concepts; i++) {
        p->concept_name[i] = order[i]->name;
        order[i]->at = i;
    }
    p->sorted = all;
    for (int64_t i = 0; i < p->n; i++)
        p->at[i].concept_index = va_points_concept(p, va_report_string(p->at[i].result, "concept"));
    return true;
}

static bool index_layers(va_doc *d, va_points *p) {
    int64_t n = 0;
    p->layer = VA_DOC_ARRAY(d, double, p->n);
    if (!p->layer)
        return false;
    for (int64_t i = 0; i < p->n; i++) {
        const double layer = va_report_number(p->at[i].result, "model_layer");
        if (p->at[i].metric && !isnan(layer))
            p->layer[n++] = layer;
    }
    if (n > 0)
        qsort(p->layer, (size_t)n, sizeof *p->layer, by_number);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || p->layer[i] > p->layer[p->n_layers - 1])
            p->layer[p->n_layers++] = p->layer[i];
    for (int64_t i = 0; i < p->n; i++)
        p->at[i].layer = va_points_layer(p, va_report_number(p->at[i].result, "model_layer"));
    return true;
}

int64_t va_points_concept(const va_points *p, const char *name) {
    int64_t low = 0, high = p->n_concepts;
    while (low < high) {
        const int64_t mid = (low + high) / 2;
        const int order = strcmp(p->sorted[mid].name, name);
        if (order == 0)
            return p->sorted[mid].at;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

int64_t va_points_layer(const va_points *p, double layer) {
    const double *at = p->n_layers > 0 ? bsearch(&layer, p->layer, (size_t)p->n_layers,
                                                 sizeof *p->layer, by_number)
                                       : NULL;
    return at && !isnan(layer) ? at - p->layer : -1;
}

// -- points ------------------------------------------------------------------------------------

// A result that failed lacks the metric, but so does one that the metric does not depend on: it
// stands at the first layer alone. Where the metric's concept was measured it is the latter.
static bool drop_others(va_doc *d, va_points *p) {
    bool *measured = VA_DOC_ARRAY(d, bool, p->n_concepts);
    int64_t n = 0;
    if (!measured)
        return false;
    for (int64_t i = 0; i < p->n; i++)
        measured[p->at[i].concept_index] |= p->at[i].metric != NULL;
    for (int64_t i = 0; i < p->n; i++) {
        const bool kept = p->at[i].metric || p->n_layers > 1 || !measured[p->at[i].concept_index];
        if (!kept)
            continue;
        p->n_failed += !p->at[i].metric;
        p->at[n++] = p->at[i];
    }
    p->n = n;
    return true;
}

static int by_concept(const void *a, const void *b) {
    const va_point *const *x = a, *const *y = b;
    const int64_t order = (*x)->concept_index != (*y)->concept_index
                              ? (*x)->concept_index - (*y)->concept_index
                              : (*x)->layer - (*y)->layer;
    return (order > 0) - (order < 0);
}

static bool find_several(va_doc *d, va_points *p) {
    const va_point **order = VA_DOC_ARRAY(d, const va_point *, p->n);
    if (!order)
        return false;
    for (int64_t i = 0; i < p->n; i++)
        order[i] = &p->at[i];
    if (p->n > 0)
        qsort(order, (size_t)p->n, sizeof *order, by_concept);
    for (int64_t i = 1; i < p->n; i++)
        p->several |= by_concept(&order[i - 1], &order[i]) == 0;
    return true;
}

bool va_points_collect(va_doc *d, const va_json *results, const va_json *stat, va_points *p) {
    const va_json *list = va_json_get(results, "results");
    *p = (va_points){
        .stat = stat, .kind = va_report_kind_of(stat), .name = va_report_string(stat, "name")};
    p->at = VA_DOC_ARRAY(d, va_point, va_json_count(list));
    if (!p->at)
        return false;
    const va_json *null = va_json_first(va_json_get(stat, "nulls"));
    for (; null && p->n_nulls < VA_CHART_NULLS; null = va_json_next(null))
        p->null_name[p->n_nulls++] = va_json_key(null);
    for (const va_json *r = va_json_first(list); r; r = va_json_next(r)) {
        const va_json *m = metric_of(r, p->name);
        if (m || strcmp(va_report_string(r, "status"), "failed") == 0)
            p->at[p->n++] = (va_point){.result = r,
                                       .metric = m,
                                       .value = m ? value_of(p->kind, m) : NAN,
                                       .differs = m && differs(stat, m)};
    }
    return index_concepts(d, p) && index_layers(d, p) && drop_others(d, p) && find_several(d, p);
}

double va_point_distance(const va_points *p, const va_point *x) {
    return fabs(x->value - p->kind->centre);
}

int64_t va_points_strongest_layer(const va_points *p) {
    const va_point *far = NULL;
    double most = NAN;
    int64_t layer = -1;
    const va_json *o = va_json_first(va_json_get(p->stat, "by_layer"));
    for (; o; o = va_json_next(o)) {
        const int64_t at = va_points_layer(p, va_report_number(o, "model_layer"));
        const double v = va_report_strength(p->kind, o);
        if (at < 0 || isnan(v) || v <= most)
            continue;
        most = v;
        layer = at;
    }
    if (layer >= 0)
        return layer;
    for (int64_t i = 0; i < p->n; i++)
        if (!isnan(p->at[i].value) &&
            (!far || va_point_distance(p, &p->at[i]) > va_point_distance(p, far)))
            far = &p->at[i];
    return far ? far->layer : -1;
}

va_range va_point_chance(const va_points *p, const va_point *x, int null) {
    const va_json *o = va_json_get(va_json_get(x->metric, "nulls"), p->null_name[null]);
    return o ? va_report_chance(o) : (va_range){NAN, NAN};
}

const va_json **va_points_means(va_doc *d, const va_points *p, int64_t layer) {
    const va_json **means = VA_DOC_ARRAY(d, const va_json *, p->n_concepts);
    const va_json *o = va_json_first(va_json_get(p->stat, "by_concept"));
    for (; means && o; o = va_json_next(o)) {
        const int64_t c = va_points_concept(p, va_report_string(o, "concept"));
        const double at = va_report_number(o, "model_layer");
        if (c >= 0 && (isnan(at) || layer < 0 || va_points_layer(p, at) == layer))
            means[c] = o;
    }
    return means;
}
