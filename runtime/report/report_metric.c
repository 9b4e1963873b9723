// report_metric.c: the tables of a metric: every result, then over layers and over prompts.
// SPDX-License-Identifier: Apache-2.0
#include "report_sections.h"

#include <math.h>
#include <string.h>

// -- every result ------------------------------------------------------------------------------

// Titles and cells of a table, put together column by column.
typedef struct columns {
    const char *text[VA_DOC_MAX_COLUMNS];
    int n;
} columns;

static void add(columns *c, const char *text) {
    if (c->n < VA_DOC_MAX_COLUMNS)
        c->text[c->n++] = text;
}

// What a kind tells beside its number.
typedef struct extra {
    const char *kind, *key, *title;
    int digits; // 0: counts something
} extra;
static const extra extras[] = {
    {"subspace", "rank", ">Rank", 0},
    {"spectrum", "rank", ">Rank", 0},
    {"cka", "cka_biased", ">CKA, biased", 4},
    {"cka", "n_items", ">Items", 0},
    {"transfer", "f1", ">F1", 3},
    {"transfer", "accuracy", ">Accuracy", 3},
    {"transfer", "n_test", ">Test texts", 0},
};

static bool has_items(const va_points *p) {
    for (int64_t i = 0; i < p->n; i++)
        if (va_json_get(p->at[i].metric, "interval_items"))
            return true;
    return false;
}

// The layer is told unless the metric depends on none while the experiment has several.
static bool has_layer(const va_points *p) {
    return p->n_layers > 1 || va_json_count(va_json_get(p->stat, "by_layer")) > 0 ||
           (p->n_layers == 1 && p->n_concepts == p->n);
}

static const char *number_title(va_doc *d, const va_points *p) {
    const char *name = p->kind->number;
    const bool lower = name[0] >= 'a' && name[0] <= 'z';
    return va_doc_text(d, ">%c%s", lower ? name[0] - 'a' + 'A' : name[0], name + 1);
}

static void result_titles(va_doc *d, const va_points *p, bool items, columns *c) {
    add(c, "Concept");
    if (has_layer(p))
        add(c, ">Layer");
    if (p->several)
        add(c, "<Prompt");
    add(c, number_title(d, p));
    if (p->n_nulls > 0)
        add(c, "Differs");
    for (int64_t i = 0; i < VA_COUNT(extras); i++)
        if (strcmp(extras[i].kind, p->kind->name) == 0)
            add(c, extras[i].title);
    if (strcmp(p->kind->name, "spectrum") == 0) {
        add(c, ">Stable ranks");
        add(c, ">Entropy ranks");
    }
    if (items)
        add(c, ">Interval over items");
    for (int k = 0; k < p->n_nulls; k++)
        add(c, va_doc_text(d, ">Chance, %s (p adjusted)", p->null_name[k]));
}

static const char *both(va_doc *d, const va_json *spectra, const char *key) {
    const va_json *a = va_json_first(spectra);
    const char *first = va_report_real(d, va_report_number(a, key), 2, false);
    return va_doc_text(d, "%s, %s", first,
                       va_report_real(d, va_report_number(va_json_next(a), key), 2, false));
}

static void add_extras(va_doc *d, const va_points *p, const va_json *metric, columns *c) {
    for (int64_t i = 0; i < VA_COUNT(extras); i++) {
        const double v = va_report_number(metric, extras[i].key);
        if (strcmp(extras[i].kind, p->kind->name) == 0)
            add(c, extras[i].digits ? va_report_real(d, v, extras[i].digits, false)
                                    : va_report_count(d, v));
    }
    if (strcmp(p->kind->name, "spectrum") == 0) {
        add(c, both(d, va_json_get(metric, "spectra"), "stable_rank"));
        add(c, both(d, va_json_get(metric, "spectra"), "entropy_rank"));
    }
}

// "-0.155 to 0.155, p 0.0330"
static const char *chance_cell(va_doc *d, const va_points *p, const va_point *x, int k) {
    const va_json *null = va_json_get(va_json_get(x->metric, "nulls"), p->null_name[k]);
    const char *range = va_report_range(d, va_point_chance(p, x, k), 3);
    const double adjusted = va_report_number(null, "p_adjusted");
    return isnan(adjusted) ? range : va_doc_text(d, "%s, p %s", range, va_report_p(d, adjusted));
}

static void result_row(va_doc *d, const va_points *p, const va_point *x, bool items) {
    const bool plus = p->kind->has_sign;
    columns c = {0};
    add(&c, p->concept_name[x->concept_index]);
    if (has_layer(p))
        add(&c, va_report_count(d, va_report_number(x->result, "model_layer")));
    if (p->several)
        add(&c, va_report_string(x->result, "prompt"));
    add(&c, x->metric ? va_report_real(d, x->value, 4, plus) : "failed");
    if (p->n_nulls > 0)
        add(&c, !x->metric ? "-" : x->differs ? "yes" : "no");
    add_extras(d, p, x->metric, &c);
    if (items)
        add(&c,
            va_report_range(d, va_report_range_of(va_json_get(x->metric, "interval_items")), 3));
    for (int k = 0; k < p->n_nulls; k++)
        add(&c, chance_cell(d, p, x, k));
    va_doc_row(d, c.text);
}

static void results_table(va_doc *d, const va_points *p) {
    const bool items = has_items(p), all = p->n <= VA_DOC_MAX_ROWS;
    columns c = {0};
    int64_t n = 0;
    result_titles(d, p, items, &c);
    va_doc_table(d, c.text, c.n);
    for (int first = 1; first >= 0; first--) // of too many, those that differ come first
        for (int64_t i = 0; i < p->n; i++)
            if ((all ? first == 1 : p->at[i].differs == (first == 1)) && n++ < VA_DOC_MAX_ROWS)
                result_row(d, p, &p->at[i], items);
    va_doc_table_end(d);
    if (!all)
        va_doc_paragraph(d,
                         "%d of %lld rows, those that differ from chance first; all are in "
                         "results.json.",
                         VA_DOC_MAX_ROWS, (long long)p->n);
}

// -- over layers and prompts -------------------------------------------------------------------

static const char *differ(va_doc *d, const va_json *o) {
    return va_report_of(d, va_report_number(o, "n_significant"), va_report_number(o, "n"));
}

static void layer_row(va_doc *d, const va_points *p, const va_json *o) {
    const bool plus = p->kind->has_sign;
    columns c = {0};
    add(&c, va_report_count(d, va_report_number(o, "model_layer")));
    add(&c, va_report_real(d, va_report_number(o, "mean"), 4, plus));
    if (plus)
        add(&c, va_report_real(d, va_report_number(o, "mean_abs"), 4, false));
    add(&c, va_report_real(d, va_report_number(o, "std"), 4, false));
    add(&c, va_report_real(d, va_report_number(o, "min"), 4, plus));
    add(&c, va_report_real(d, va_report_number(o, "max"), 4, plus));
    add(&c, differ(d, o));
    add(&c, va_report_p(d, va_report_number(o, "min_p_adjusted")));
    add(&c, va_report_joined(d, va_json_get(o, "significant"), 6));
    va_doc_row(d, c.text);
}

static void layers_table(va_doc *d, const va_points *p) {
    static const char *const rest[] = {">Std", ">Min", ">Max", ">Differ", ">Smallest p", "Which"};
    const va_json *list = va_json_get(p->stat, "by_layer");
    columns c = {0};
    int64_t n = 0;
    if (va_json_count(list) < 2)
        return;
    va_doc_subheading(d, va_doc_text(d, "%s over layers", p->name));
    add(&c, ">Layer");
    add(&c, va_doc_text(d, ">Mean %s", p->kind->number));
    if (p->kind->has_sign)
        add(&c, va_doc_text(d, ">Mean %s", va_report_strength_name(d, p->kind)));
    for (int64_t i = 0; i < VA_COUNT(rest); i++)
        add(&c, rest[i]);
    va_doc_table(d, c.text, c.n);
    for (const va_json *o = va_json_first(list); o; o = va_json_next(o))
        if (n++ < VA_DOC_MAX_ROWS)
            layer_row(d, p, o);
    va_doc_table_end(d);
    va_report_rest(d, VA_DOC_MAX_ROWS, n, "results.json");
}

static void stability_row(va_doc *d, const va_points *p, const va_json *o) {
    const va_json *interval = va_json_get(o, "interval_prompts");
    const double same = va_report_number(o, "same_sign");
    const bool plus = p->kind->has_sign;
    const char *const cells[] = {va_report_string(o, "concept"),
                                 va_report_count(d, va_report_number(o, "model_layer")),
                                 va_report_count(d, va_report_number(o, "n")),
                                 va_report_real(d, va_report_number(o, "mean"), 4, plus),
                                 va_report_range(d, va_report_range_of(interval), 3),
                                 va_report_real(d, va_report_number(o, "std"), 4, false),
                                 va_report_real(d, va_report_number(o, "min"), 4, plus),
                                 va_report_real(d, va_report_number(o, "max"), 4, plus),
                                 isnan(same) ? "-" : va_doc_text(d, "%.0f %%", 100 * same),
                                 differ(d, o)};
    va_doc_row(d, cells);
}

static void stability_table(va_doc *d, const va_points *p) {
    static const char *const titles[] = {"Concept", ">Layer", ">Prompts", ">Mean",      ">Interval",
                                         ">Std",    ">Min",   ">Max",     ">Same sign", ">Differ"};
    const va_json *list = va_json_get(p->stat, "by_concept");
    int64_t n = 0;
    if (va_json_count(list) == 0)
        return;
    va_doc_subheading(d, va_doc_text(d, "%s over prompts", p->name));
    va_doc_table(d, titles, (int)VA_COUNT(titles));
    for (const va_json *o = va_json_first(list); o; o = va_json_next(o))
        if (n++ < VA_DOC_MAX_ROWS)
            stability_row(d, p, o);
    va_doc_table_end(d);
    va_report_rest(d, VA_DOC_MAX_ROWS, n, "results.json");
}

// -- all ---------------------------------------------------------------------------------------

static const char *heading(va_doc *d, const va_points *p) {
    static const char *const texts[][2] = {
        {"subspace", "overlap of subspaces"},
        {"spectrum", "spectra"},
        {"cka", "similarity of activations"},
        {"transfer", "transfer to the other's held-out items"},
    };
    for (int64_t i = 0; i < VA_COUNT(texts); i++)
        if (strcmp(texts[i][0], p->kind->name) == 0)
            return va_doc_text(d, "%s: %s", p->name, texts[i][1]);
    return va_doc_text(d, "%s: %s %s", p->name, p->kind->number,
                       va_report_flag(p->stat, "across_sites") ? "across sites (flagged)"
                                                               : "at one site");
}

void va_report_metric(va_doc *d, const va_json *results, const va_json *stat) {
    va_points p;
    if (va_report_has_entries(stat)) {
        va_report_entries(d, stat);
        return;
    }
    if (!va_points_collect(d, results, stat, &p))
        return;
    va_doc_heading(d, heading(d, &p));
    if (p.n == 0) {
        va_doc_paragraph(d, "Nothing could be measured.");
        return;
    }
    layers_table(d, &p);
    stability_table(d, &p);
    if (va_json_count(va_json_get(stat, "by_layer")) > 1 ||
        va_json_count(va_json_get(stat, "by_concept")) > 0)
        va_doc_subheading(d, va_doc_text(d, "%s, every result", p.name));
    results_table(d, &p);
    va_report_figures(d, &p);
    va_report_spectra(d, &p);
    va_report_ranks(d, results, stat);
}

void va_report_statistics(va_doc *d, const va_json *by_metric) {
    static const char *const titles[] = {"Metric", ">n",   ">Mean",  ">Median",  ">Std",
                                         ">Min",   ">Max", ">Range", ">Mean |.|"};
    static const char *const keys[] = {"mean", "median", "std", "min", "max", "range", "mean_abs"};
    va_doc_heading(d, "Statistics");
    va_doc_table(d, titles, (int)VA_COUNT(titles));
    for (const va_json *s = va_json_first(by_metric); s; s = va_json_next(s)) {
        const char *cells[9] = {va_report_string(s, "name"),
                                va_report_count(d, va_report_number(s, "n"))};
        for (int64_t i = 0; i < VA_COUNT(keys); i++)
            cells[2 + i] = va_report_real(d, va_report_number(s, keys[i]), 4,
                                          va_report_kind_of(s)->has_sign && i < 5 && i != 2);
        va_doc_row(d, cells);
    }
    va_doc_table_end(d);
    va_doc_paragraph(d, "Std is that of the population (divisor n), as numpy computes it.");
}
