// report_frames.c: figures of frames: overlap over rank, spectra side by side.
// SPDX-License-Identifier: Apache-2.0
#include "report_sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RANKS = 32, MAX_PANELS = 6, MAX_SIGMA = 1024, MAX_CONCEPTS = 200 };

// -- overlap over rank -------------------------------------------------------------------------

typedef struct member {
    const va_json *stat;
    double rank;
    va_points p;
} member;

// "frames" of "frames rank 4"; 0: no such name. Its length, and the rank.
static int64_t base_of(const char *name, double *rank) {
    const char *at = NULL;
    for (const char *s = name; (s = strstr(s, " rank ")); s++)
        at = s;
    if (!at)
        return 0;
    char *end;
    *rank = strtod(at + strlen(" rank "), &end);
    return *end == '\0' && *rank >= 1 && *rank < 1e9 ? at - name : 0;
}

static int by_rank(const void *a, const void *b) {
    const member *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

// The metrics that share a base; 0 when another of them comes before stat.
static int64_t find_members(const va_json *results, const va_json *stat, member *m) {
    double rank;
    const char *name = va_report_string(stat, "name");
    const int64_t length = base_of(name, &rank);
    const va_json *s = va_json_first(va_json_get(va_json_get(results, "statistics"), "by_metric"));
    int64_t n = 0;
    for (; s && length > 0 && n < MAX_RANKS; s = va_json_next(s)) {
        const char *other = va_report_string(s, "name");
        if (base_of(other, &rank) != length || strncmp(other, name, (size_t)length) != 0)
            continue;
        if (n == 0 && s != stat)
            return 0;
        m[n++] = (member){.stat = s, .rank = rank};
    }
    qsort(m, (size_t)n, sizeof *m, by_rank);
    return n;
}

typedef struct overlaps {
    const va_points *first; // names the concepts
    double *y;              // [concepts, n]
    va_range *chance[VA_CHART_NULLS];
    int64_t n;
} overlaps;

static void take_rank(va_doc *d, const va_points *p, int64_t layer, int64_t k, overlaps *o) {
    const va_json **means = va_points_means(d, p, layer);
    for (int64_t i = 0; i < p->n; i++) {
        const va_point *x = &p->at[i];
        const int64_t c = va_points_concept(o->first, p->concept_name[x->concept_index]);
        if (!x->metric || c < 0 || (layer >= 0 && x->layer != layer))
            continue;
        o->y[c * o->n + k] = means && means[x->concept_index]
                                 ? va_report_number(means[x->concept_index], "mean")
                                 : x->value;
        for (int null = 0; null < p->n_nulls && null < o->first->n_nulls; null++)
            va_range_join(&o->chance[null][k], va_point_chance(p, x, null));
    }
}

static bool make_overlaps(va_doc *d, const member *m, int64_t n, overlaps *o) {
    *o = (overlaps){.first = &m[0].p, .n = n};
    o->y = VA_DOC_ARRAY(d, double, o->first->n_concepts *n);
    if (!o->y)
        return false;
    for (int64_t i = 0; i < o->first->n_concepts * n; i++)
        o->y[i] = NAN;
    for (int null = 0; null < o->first->n_nulls; null++) {
        o->chance[null] = VA_DOC_ARRAY(d, va_range, n);
        if (!o->chance[null])
            return false;
        for (int64_t k = 0; k < n; k++)
            o->chance[null][k] = (va_range){NAN, NAN};
    }
    for (int64_t k = 0; k < n; k++)
        take_rank(d, &m[k].p, va_points_strongest_layer(&m[k].p), k, o);
    return true;
}

static void draw_ranks(va_doc *d, const member *m, const overlaps *o) {
    va_line line[MAX_CONCEPTS];
    double x[MAX_RANKS];
    va_strbuf svg = {0};
    for (int64_t c = 0; c < o->first->n_concepts; c++)
        line[c] = (va_line){.label = o->first->concept_name[c], .y = o->y + c * o->n};
    for (int64_t k = 0; k < o->n; k++)
        x[k] = m[k].rank;
    va_line_chart chart = {.x_axis = "rank",
                           .y_axis = "overlap",
                           .x = x,
                           .n_x = o->n,
                           .lines = line,
                           .n_lines = o->first->n_concepts,
                           .nulls = o->first->null_name,
                           .n_nulls = o->first->n_nulls,
                           .centre = 0};
    memcpy(chart.chance, o->chance, sizeof o->chance);
    va_chart_lines(&svg, &chart);
    va_doc_figure(d, &svg,
                  va_doc_text(d,
                              "Overlap of the first R vectors over R%s. Bands: the widest range "
                              "that chance alone gives any concept.",
                              o->first->n_layers > 1 ? ", each at its strongest layer" : ""));
}

void va_report_ranks(va_doc *d, const va_json *results, const va_json *stat) {
    member m[MAX_RANKS];
    overlaps o;
    const bool subspace = strcmp(va_report_kind_of(stat)->name, "subspace") == 0;
    const int64_t n = subspace ? find_members(results, stat, m) : 0;
    if (d->format != VA_DOC_HTML || n < 2)
        return;
    for (int64_t k = 0; k < n; k++)
        if (!va_points_collect(d, results, m[k].stat, &m[k].p))
            return;
    if (m[0].p.n_concepts <= MAX_CONCEPTS && make_overlaps(d, m, n, &o))
        draw_ranks(d, m, &o);
}

// -- spectra -----------------------------------------------------------------------------------

// The two directions' names, from the statistics or from the result.
static const char *side_name(const va_points *p, const va_point *x, int k) {
    const va_json *of = va_json_first(va_json_get(p->stat, "of"));
    const va_json *names = va_json_first(va_json_get(x->metric, "directions"));
    for (int i = 0; i < k; i++) {
        of = va_json_next(of);
        names = va_json_next(names);
    }
    const char *name = va_json_as_string(of ? of : names);
    return name ? name : k == 0 ? "first" : "second";
}

static int64_t take_sigma(const va_json *spectrum, double *y) {
    int64_t n = 0;
    const va_json *v = va_json_first(va_json_get(spectrum, "sigma"));
    for (; v && n < MAX_SIGMA; v = va_json_next(v), n++)
        if (!va_json_as_double(v, &y[n]))
            y[n] = NAN;
    return n;
}

static void panel(va_doc *d, const va_points *p, const va_point *x, va_strbuf *svg) {
    const va_json *a = va_json_first(va_json_get(x->metric, "spectra")), *b = va_json_next(a);
    double *index = VA_DOC_ARRAY(d, double, MAX_SIGMA);
    double *y[2] = {VA_DOC_ARRAY(d, double, MAX_SIGMA), VA_DOC_ARRAY(d, double, MAX_SIGMA)};
    if (!index || !y[0] || !y[1])
        return;
    for (int64_t i = 0; i < MAX_SIGMA; i++) {
        index[i] = (double)i + 1;
        y[0][i] = y[1][i] = NAN;
    }
    const int64_t n_a = take_sigma(a, y[0]), n_b = take_sigma(b, y[1]);
    const va_line lines[] = {{.label = side_name(p, x, 0), .y = y[0]},
                             {.label = side_name(p, x, 1), .y = y[1]}};
    const va_line_chart chart = {.title = p->concept_name[x->concept_index],
                                 .x_axis = "index",
                                 .y_axis = "singular value (log)",
                                 .width = 480,
                                 .height = 260,
                                 .x = index,
                                 .n_x = VA_MAX(n_a, n_b),
                                 .lines = lines,
                                 .n_lines = 2,
                                 .log_y = true,
                                 .centre = NAN};
    if (chart.n_x > 0)
        va_chart_lines(svg, &chart);
}

void va_report_spectra(va_doc *d, const va_points *p) {
    const int64_t layer = va_points_strongest_layer(p);
    va_strbuf svg = {0};
    int64_t n = 0, shown = 0;
    if (d->format != VA_DOC_HTML || strcmp(p->kind->name, "spectrum") != 0)
        return;
    for (int64_t i = 0; i < p->n; i++) {
        const va_point *x = &p->at[i];
        if (!x->metric || (p->n_layers > 1 && x->layer != layer))
            continue;
        if (n++ < MAX_PANELS) {
            panel(d, p, x, &svg);
            shown++;
        }
    }
    const char *at = p->n_layers > 1 && layer >= 0
                         ? va_doc_text(d, " at layer %.0f, where they differ most", p->layer[layer])
                         : "";
    va_doc_figure(d, &svg,
                  va_doc_text(d, "%s: singular values of both%s%s.", p->name, at,
                              n > shown ? va_doc_text(d, ", the first %lld of %lld",
                                                      (long long)shown, (long long)n)
                                        : ""));
}
