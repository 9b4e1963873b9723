// report_figures.c: a metric's results as figures: dots over chance, lines over layers.
// SPDX-License-Identifier: Apache-2.0
#include "report_sections.h"

#include <math.h>
#include <string.h>

enum { MAX_ROWS = 40, MAX_NODES = 20000, HISTOGRAM_FROM = 20 };

static const va_range none = {NAN, NAN};

static const char *interval_name(va_doc *d, const va_json *interval, const char *of) {
    return va_doc_text(d, "%sinterval over %s", va_report_level(d, interval), of);
}

// -- dots --------------------------------------------------------------------------------------

typedef struct rows {
    va_dot_row *row; // [concepts]
    va_dot *dots;    // [points], a concept's one after another
    const char *interval;
} rows;

static void add_dot(const va_points *p, const va_point *x, va_dot_row *row) {
    va_dot *at = (va_dot *)row->dots + row->n_dots++; // into rows.dots
    *at = (va_dot){x->value, x->differs};
    for (int k = 0; k < p->n_nulls; k++) {
        const va_range r = va_point_chance(p, x, k);
        if (va_report_has_range(r))
            va_range_join(&row->chance[k], r);
    }
}

static bool at_layer(const va_point *x, int64_t layer) {
    return x->metric && (layer < 0 || x->layer == layer);
}

static void begin_rows(const va_points *p, int64_t layer, rows *r) {
    int64_t first = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (at_layer(&p->at[i], layer))
            r->row[p->at[i].concept_index].n_dots++;
    for (int64_t c = 0; c < p->n_concepts; c++) {
        va_dot_row *row = &r->row[c];
        const int64_t n = row->n_dots;
        *row = (va_dot_row){.label = p->concept_name[c],
                            .dots = r->dots + first,
                            .mean = NAN,
                            .interval = none,
                            .chance = {none, none, none, none}};
        first += n;
    }
}

// Error bars: of the mean over prompts where there are several, else over items.
static void add_intervals(va_doc *d, const va_points *p, int64_t layer, rows *r) {
    const va_json **means = va_points_means(d, p, layer);
    for (int64_t i = 0; i < p->n && !p->several; i++) {
        const va_json *interval = va_json_get(p->at[i].metric, "interval_items");
        if (!at_layer(&p->at[i], layer) || !interval)
            continue;
        r->row[p->at[i].concept_index].interval = va_report_range_of(interval);
        r->interval = interval_name(d, interval, "items");
    }
    for (int64_t c = 0; means && c < p->n_concepts; c++) {
        const va_json *interval = va_json_get(means[c], "interval_prompts");
        r->row[c].mean = va_report_number(means[c], "mean");
        if (!interval)
            continue;
        r->row[c].interval = va_report_range_of(interval);
        r->interval = interval_name(d, interval, "prompts");
    }
}

static bool make_rows(va_doc *d, const va_points *p, int64_t layer, rows *r) {
    *r = (rows){.row = VA_DOC_ARRAY(d, va_dot_row, p->n_concepts),
                .dots = VA_DOC_ARRAY(d, va_dot, p->n)};
    if (!r->row || !r->dots)
        return false;
    begin_rows(p, layer, r);
    for (int64_t i = 0; i < p->n; i++)
        if (at_layer(&p->at[i], layer))
            add_dot(p, &p->at[i], &r->row[p->at[i].concept_index]);
    add_intervals(d, p, layer, r);
    return true;
}

static const char *dots_caption(va_doc *d, const va_points *p, int64_t layer, int64_t n_rows) {
    const char *at = layer >= 0 && p->n_layers > 1
                         ? va_doc_text(d, " at layer %.0f, where it is strongest", p->layer[layer])
                         : "";
    const char *chance = p->n_nulls == 0 ? ""
                         : p->several
                             ? " Bars: what chance alone gives a single result, over all of the "
                               "concept's prompts; the verdict corrects for the number of results."
                             : " Bars: what chance alone gives a single result; the verdict "
                               "corrects for the number of results.";
    return n_rows < p->n_concepts ? va_doc_text(d, "%s: %s of the first %lld of %lld concepts%s.%s",
                                                p->name, p->kind->number, (long long)n_rows,
                                                (long long)p->n_concepts, at, chance)
                                  : va_doc_text(d, "%s: %s of each concept%s.%s", p->name,
                                                p->kind->number, at, chance);
}

static void dots_figure(va_doc *d, const va_points *p, int64_t layer) {
    rows r;
    va_strbuf svg = {0};
    if (!make_rows(d, p, layer, &r))
        return;
    const va_dot_chart chart = {.axis = p->kind->number,
                                .interval = r.interval,
                                .mean = p->several ? "mean over prompts" : NULL,
                                .nulls = p->null_name,
                                .n_nulls = p->n_nulls,
                                .has_verdict = p->n_nulls > 0,
                                .symmetric =
                                    isfinite(p->kind->lowest) && p->kind->lowest < p->kind->centre,
                                .centre = p->kind->centre,
                                .lowest = p->kind->lowest,
                                .highest = p->kind->highest,
                                .rows = r.row,
                                .n_rows = VA_MIN(p->n_concepts, MAX_ROWS)};
    va_chart_dots(&svg, &chart);
    va_doc_figure(d, &svg, dots_caption(d, p, layer, chart.n_rows));
}

// -- lines over layers -------------------------------------------------------------------------

typedef struct layers {
    va_line *line; // [concepts]
    double *y;     // [concepts, layers]
    bool *differs;
    va_range *interval, *chance[VA_CHART_NULLS]; // chance: [layers], over all concepts
    bool any_interval;
} layers;

static bool make_layers(va_doc *d, const va_points *p, layers *l) {
    const int64_t n = p->n_concepts * p->n_layers;
    *l = (layers){.line = VA_DOC_ARRAY(d, va_line, p->n_concepts),
                  .y = VA_DOC_ARRAY(d, double, n),
                  .differs = VA_DOC_ARRAY(d, bool, n),
                  .interval = VA_DOC_ARRAY(d, va_range, n)};
    if (!l->line || !l->y || !l->differs || !l->interval)
        return false;
    for (int64_t i = 0; i < n; i++) {
        l->y[i] = NAN;
        l->interval[i] = none;
    }
    for (int k = 0; k < p->n_nulls; k++) {
        l->chance[k] = VA_DOC_ARRAY(d, va_range, p->n_layers);
        if (!l->chance[k])
            return false;
        for (int64_t i = 0; i < p->n_layers; i++)
            l->chance[k][i] = none;
    }
    return true;
}

// Single results; where a concept has several, their means take their place.
static void take_points(const va_points *p, layers *l) {
    for (int64_t i = 0; i < p->n; i++) {
        const va_point *x = &p->at[i];
        const int64_t at = x->concept_index * p->n_layers + x->layer;
        if (!x->metric || x->layer < 0)
            continue;
        l->y[at] = x->value;
        l->differs[at] |= x->differs;
        for (int k = 0; k < p->n_nulls; k++)
            va_range_join(&l->chance[k][x->layer], va_point_chance(p, x, k));
    }
    const va_json *o = va_json_first(va_json_get(p->stat, "by_concept"));
    for (; o; o = va_json_next(o)) {
        const int64_t c = va_points_concept(p, va_report_string(o, "concept"));
        const int64_t layer = va_points_layer(p, va_report_number(o, "model_layer"));
        const va_json *interval = va_json_get(o, "interval_prompts");
        if (c < 0 || layer < 0)
            continue;
        l->y[c * p->n_layers + layer] = va_report_number(o, "mean");
        l->interval[c * p->n_layers + layer] = va_report_range_of(interval);
        l->any_interval |= interval != NULL;
    }
}

static const char *layers_caption(va_doc *d, const va_points *p, const layers *l) {
    return va_doc_text(
        d, "%s over layers%s.%s%s%s", p->name, p->several ? ", mean over prompts" : "",
        p->n_nulls > 0 ? " Bands: the widest range that chance alone gives any concept there." : "",
        l->any_interval ? " Upright bars: intervals of the mean." : "",
        p->several && p->n_nulls > 0 ? " Filled: differs from chance at one prompt or more." : "");
}

static void layers_figure(va_doc *d, const va_points *p) {
    layers l;
    va_strbuf svg = {0};
    if (p->n_concepts * p->n_layers > MAX_NODES) { // both at most 2^24: no overflow
        va_doc_paragraph(d, "There are too many results for a figure over layers.");
        return;
    }
    if (!make_layers(d, p, &l))
        return;
    take_points(p, &l);
    for (int64_t c = 0; c < p->n_concepts; c++)
        l.line[c] = (va_line){.label = p->concept_name[c],
                              .y = l.y + c * p->n_layers,
                              .differs = p->n_nulls > 0 ? l.differs + c * p->n_layers : NULL,
                              .interval = l.any_interval ? l.interval + c * p->n_layers : NULL};
    va_line_chart chart = {.x_axis = "layer",
                           .y_axis = p->kind->number,
                           .x = p->layer,
                           .n_x = p->n_layers,
                           .lines = l.line,
                           .n_lines = p->n_concepts,
                           .nulls = p->null_name,
                           .n_nulls = p->n_nulls,
                           .centre = p->kind->centre};
    memcpy(chart.chance, l.chance, sizeof l.chance);
    va_chart_lines(&svg, &chart);
    va_doc_figure(d, &svg, layers_caption(d, p, &l));
}

// -- all ---------------------------------------------------------------------------------------

static void histogram_figure(va_doc *d, const va_points *p) {
    const va_json *list = va_json_get(va_json_get(p->stat, "histogram"), "counts");
    const int64_t n = va_json_count(list);
    double *counts = n > 0 && n <= 400 ? VA_DOC_ARRAY(d, double, n) : NULL;
    va_strbuf svg = {0};
    int64_t i = 0;
    if (!counts || p->n < HISTOGRAM_FROM)
        return;
    for (const va_json *c = va_json_first(list); c; c = va_json_next(c))
        va_json_as_double(c, &counts[i++]);
    va_chart_histogram(&svg, counts, n);
    va_doc_figure(d, &svg, va_doc_text(d, "Histogram of %s over [-1, 1].", p->name));
}

void va_report_figures(va_doc *d, const va_points *p) {
    const int64_t layer = va_points_strongest_layer(p);
    if (d->format != VA_DOC_HTML || p->n == p->n_failed)
        return;
    if (p->n_layers > 1)
        layers_figure(d, p);
    dots_figure(d, p, p->n_layers > 1 ? layer : -1);
    histogram_figure(d, p);
}
