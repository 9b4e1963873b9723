// report_sweep.c: the variants of a sweep side by side: for each metric a row and a dot each.
// SPDX-License-Identifier: Apache-2.0
#include "report_sections.h"

#include <math.h>
#include <string.h>

enum { MAX_METRICS = 64, MAX_PATHS = 4, MAX_DOTS = 40, MAX_NAMED = 6, MAX_WORSE = 16 };

typedef struct sweep {
    va_doc *d;
    const va_json *variants; // first of the list
    int64_t n;
    const va_json *metric[MAX_METRICS]; // statistics where a name appears first
    int64_t n_metrics;
    const char *path[MAX_PATHS]; // what is set; none: too many for columns
    int64_t n_paths;
} sweep;

static const va_json *by_metric(const va_json *variant) {
    return va_json_get(va_json_get(variant, "statistics"), "by_metric");
}

static const va_json *find(const va_json *variant, const char *name) {
    const va_json *s = va_json_first(by_metric(variant));
    while (s && strcmp(va_report_string(s, "name"), name) != 0)
        s = va_json_next(s);
    return s;
}

static bool has_metric(const sweep *w, const char *name) {
    for (int64_t i = 0; i < w->n_metrics; i++)
        if (strcmp(va_report_string(w->metric[i], "name"), name) == 0)
            return true;
    return false;
}

static void take_metrics(sweep *w) {
    for (const va_json *v = w->variants; v; v = va_json_next(v))
        for (const va_json *s = va_json_first(by_metric(v)); s; s = va_json_next(s))
            if (w->n_metrics < MAX_METRICS && !has_metric(w, va_report_string(s, "name")))
                w->metric[w->n_metrics++] = s;
}

// All variants set the same.
static void take_paths(sweep *w) {
    const va_json *set = va_json_get(w->variants, "set");
    if (va_json_count(set) > MAX_PATHS)
        return;
    for (const va_json *v = va_json_first(set); v; v = va_json_next(v))
        if (va_json_key(v))
            w->path[w->n_paths++] = va_json_key(v);
}

static const char *last_word(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

// "mode" of directions.jacobian.mode; the whole where another ends so.
static const char *path_title(const sweep *w, int64_t i) {
    const char *title = last_word(w->path[i]);
    for (int64_t k = 0; k < w->n_paths; k++)
        if (k != i && strcmp(title, last_word(w->path[k])) == 0)
            title = w->path[i];
    return title[0] == '>' ? "-" : title; // not to be taken for a mark of alignment
}

// -- answer ------------------------------------------------------------------------------------

typedef struct ends {
    const va_json *low, *high; // variants
    double least, most;
    int64_t n, n_judged, n_differ; // with the number, with a verdict, with one that differs
} ends;

static ends find_ends(const sweep *w, const va_json *metric) {
    const va_report_kind *kind = va_report_kind_of(metric);
    ends e = {.least = INFINITY, .most = -INFINITY};
    for (const va_json *v = w->variants; v; v = va_json_next(v)) {
        const va_json *s = find(v, va_report_string(metric, "name"));
        const double size = va_report_strength(kind, s);
        const double value = isnan(size) ? va_report_number(s, "mean") : size;
        const double k = va_report_number(s, "n_significant");
        e.n += !isnan(value);
        e.n_judged += !isnan(k);
        e.n_differ += k > 0;
        if (value < e.least) {
            e.least = value;
            e.low = v;
        }
        if (value > e.most) {
            e.most = value;
            e.high = v;
        }
    }
    return e;
}

static void name_differing(const sweep *w, const va_json *metric, va_strbuf *out) {
    int64_t n = 0;
    for (const va_json *v = w->variants; v; v = va_json_next(v)) {
        const va_json *s = find(v, va_report_string(metric, "name"));
        const double k = va_report_number(s, "n_significant");
        if (!(k > 0) || n++ >= MAX_NAMED)
            continue;
        va_strbuf_printf(out, "%s%s (%s", n > 1 ? ", " : "", va_report_string(v, "name"),
                         va_report_of(w->d, k, va_report_number(s, "n")));
        if (va_json_count(va_json_get(s, "significant")) > 0)
            va_strbuf_printf(out, ": %s", va_report_joined(w->d, va_json_get(s, "significant"), 3));
        va_strbuf_puts(out, ")");
    }
    if (n > MAX_NAMED)
        va_strbuf_printf(out, " and %lld more", (long long)(n - MAX_NAMED));
}

static void answer(const sweep *w, const va_json *metric) {
    const va_report_kind *kind = va_report_kind_of(metric);
    const char *name = va_report_strength_name(w->d, kind);
    const ends e = find_ends(w, metric);
    va_strbuf text = {0};
    if (e.n == 0)
        va_strbuf_puts(&text, "nothing could be measured.");
    else if (e.low == e.high)
        va_strbuf_printf(&text, "the mean %s is %s.", name, va_report_real(w->d, e.most, 3, false));
    else
        va_strbuf_printf(&text, "the mean %s goes from %s (%s) to %s (%s).", name,
                         va_report_real(w->d, e.least, 3, false), va_report_string(e.low, "name"),
                         va_report_real(w->d, e.most, 3, false), va_report_string(e.high, "name"));
    if (e.n_judged > 0 && e.n_differ == 0)
        va_strbuf_puts(&text, " Nothing differs from chance in any variant.");
    if (e.n_differ > 0) {
        va_strbuf_printf(&text, " Results differ from chance in %lld of %lld variants: ",
                         (long long)e.n_differ, (long long)e.n_judged);
        name_differing(w, metric, &text);
        va_strbuf_puts(&text, ".");
    }
    va_doc_answer(w->d, va_report_string(metric, "name"), &text);
}

// -- what failed or did not hold ---------------------------------------------------------------

static int64_t held(const va_json *expectations) {
    int64_t n = 0;
    for (const va_json *e = va_json_first(expectations); e; e = va_json_next(e))
        n += va_report_flag(e, "holds");
    return n;
}

static void expected(const sweep *w) {
    int64_t n = 0, n_held = 0, n_worse = 0;
    va_strbuf text = {0}, names = {0};
    for (const va_json *v = w->variants; v; v = va_json_next(v)) {
        const va_json *e = va_json_get(v, "expectations");
        const int64_t all = va_json_count(e), good = held(e);
        n += all;
        n_held += good;
        if (good < all && n_worse++ < MAX_WORSE)
            va_strbuf_printf(&names, "%s%s (%lld of %lld)", n_worse > 1 ? ", " : "",
                             va_report_string(v, "name"), (long long)good, (long long)all);
    }
    if (n > 0) {
        va_strbuf_printf(&text, "%lld of %lld bounds hold", (long long)n_held, (long long)n);
        if (n_worse > 0)
            va_strbuf_printf(&text, "; not all in %s%s", names.data,
                             n_worse > MAX_WORSE ? " and others" : "");
        va_strbuf_puts(&text, ".");
        va_doc_answer(w->d, "Expected", &text);
    }
    va_strbuf_free(&names);
}

static void failures(const sweep *w) {
    int64_t n = 0;
    va_strbuf names = {0};
    for (const va_json *v = w->variants; v; v = va_json_next(v))
        if (strcmp(va_report_string(v, "status"), "failed") == 0 && n++ < MAX_WORSE)
            va_strbuf_printf(&names, "%s%s", n > 1 ? ", " : "", va_report_string(v, "name"));
    if (n > 0)
        va_doc_paragraph(w->d,
                         "Caution: something failed in %lld of %lld variants: %s%s. Their "
                         "own reports say what.",
                         (long long)n, (long long)w->n, names.data ? names.data : "",
                         n > MAX_WORSE ? " and others" : "");
    va_strbuf_free(&names);
}

// -- a metric over all variants ----------------------------------------------------------------

static const char *link_of(const sweep *w, const va_json *variant) {
    const char *name = va_report_string(variant, "name");
    return name[0] && name[0] != '.' && !strchr(name, '/')
               ? va_doc_text(w->d, "%s/report.html", name)
               : NULL;
}

static void row(const sweep *w, const va_json *v, const va_json *metric) {
    const va_report_kind *kind = va_report_kind_of(metric);
    const va_json *s = find(v, va_report_string(metric, "name"));
    const double k = va_report_number(s, "n_significant"), n = va_report_number(s, "n");
    const double tests = va_report_number(s, "n_tests");
    const char *cells[VA_DOC_MAX_COLUMNS];
    int c = 0;
    cells[c++] = va_report_string(v, "name");
    for (int64_t i = 0; i < w->n_paths; i++)
        cells[c++] = va_report_string(va_json_get(v, "set"), w->path[i]);
    cells[c++] = va_report_count(w->d, n);
    cells[c++] = va_report_real(w->d, va_report_number(s, "mean"), 4, kind->has_sign);
    if (kind->has_sign) {
        cells[c++] = va_report_real(w->d, va_report_number(s, "mean_abs"), 4, false);
        cells[c++] = va_report_real(w->d, va_report_number(s, "chance_mean_abs"), 4, false);
    }
    cells[c++] = va_report_real(w->d, va_report_number(s, "std"), 4, false);
    cells[c++] = va_report_of(w->d, k, isnan(tests) ? n : tests);
    cells[c++] = va_report_p(w->d, va_report_number(s, "min_p_adjusted"));
    cells[c++] = va_report_joined(w->d, va_json_get(s, "significant"), 6);
    va_doc_row_link(w->d, cells, link_of(w, v));
}

static void table(const sweep *w, const va_json *metric) {
    const va_report_kind *kind = va_report_kind_of(metric);
    const char *titles[VA_DOC_MAX_COLUMNS];
    int c = 0;
    int64_t n = 0;
    titles[c++] = "Variant";
    for (int64_t i = 0; i < w->n_paths; i++)
        titles[c++] = path_title(w, i);
    titles[c++] = ">n";
    titles[c++] = va_doc_text(w->d, ">Mean %s", kind->number);
    if (kind->has_sign) {
        titles[c++] = va_doc_text(w->d, ">Mean %s", va_report_strength_name(w->d, kind));
        titles[c++] = ">By chance";
    }
    titles[c++] = ">Std";
    titles[c++] = ">Differ";
    titles[c++] = ">Smallest p";
    titles[c++] = "Which";
    va_doc_table(w->d, titles, c);
    for (const va_json *v = w->variants; v; v = va_json_next(v))
        if (n++ < VA_DOC_MAX_ROWS)
            row(w, v, metric);
    va_doc_table_end(w->d);
    va_report_rest(w->d, VA_DOC_MAX_ROWS, n, "sweep.json");
}

// Chance: 0 to the mean absolute cosine of random directions, or to the standard deviation that a
// null gives, which are of cosines about 0.
static void fill_row(const va_json *s, const va_report_kind *kind, const char *const *nulls,
                     int n_nulls, va_dot_row *out, va_dot *dot) {
    const bool cosine = strcmp(kind->name, "cosine") == 0;
    const double size = va_report_strength(kind, s);
    dot->value = isnan(size) ? va_report_number(s, "mean") : size;
    dot->differs = va_report_number(s, "n_significant") > 0;
    for (int k = 0; k < n_nulls; k++) {
        const va_json *null = va_json_get(va_json_get(s, "nulls"), nulls[k]);
        out->chance[k] = (va_range){cosine ? 0 : NAN, va_report_number(null, "mean_std")};
    }
}

static void figure(const sweep *w, const va_json *metric) {
    const va_report_kind *kind = va_report_kind_of(metric);
    va_dot_row rows[MAX_DOTS];
    va_dot dots[MAX_DOTS];
    const char *nulls[VA_CHART_NULLS];
    va_strbuf svg = {0};
    int64_t n = 0;
    int n_nulls = 0;
    const va_json *null = va_json_first(va_json_get(metric, "nulls"));
    for (; null && n_nulls < VA_CHART_NULLS; null = va_json_next(null))
        nulls[n_nulls++] = va_json_key(null);
    for (const va_json *v = w->variants; v && n < MAX_DOTS; v = va_json_next(v), n++) {
        rows[n] = (va_dot_row){.label = va_report_string(v, "name"),
                               .dots = &dots[n],
                               .n_dots = 1,
                               .mean = NAN,
                               .interval = {NAN, NAN}};
        fill_row(find(v, va_report_string(metric, "name")), kind, nulls, n_nulls, &rows[n],
                 &dots[n]);
    }
    const bool cosine = strcmp(kind->name, "cosine") == 0;
    const va_dot_chart chart = {
        .axis = va_doc_text(w->d, "mean %s", va_report_strength_name(w->d, kind)),
        .nulls = nulls,
        .n_nulls = cosine ? n_nulls : 0,
        .has_verdict = !isnan(va_report_number(metric, "n_significant")),
        .centre = kind->centre,
        .lowest = kind->lowest,
        .highest = kind->highest,
        .rows = rows,
        .n_rows = n};
    va_chart_dots(&svg, &chart);
    va_doc_figure(w->d, &svg,
                  va_doc_text(w->d, "%s in every variant.%s%s", va_report_string(metric, "name"),
                              chart.has_verdict ? " Filled: a result or more differs." : "",
                              cosine && n_nulls > 0
                                  ? " Bars: one standard deviation of a cosine by chance."
                                  : ""));
}

// -- all ---------------------------------------------------------------------------------------

va_status va_report_sweep_content(va_ctx *ctx, va_doc *d, const va_json *root) {
    const va_json *variants = va_json_get(root, "variants");
    const char *question = va_report_string(root, "question");
    if (!va_json_is_array(variants))
        return va_fail(ctx, VA_ERR_FORMAT, "variants: expected a list, got %s",
                       variants ? va_json_type(variants) : "nothing");
    sweep w = {.d = d, .variants = va_json_first(variants), .n = va_json_count(variants)};
    take_metrics(&w);
    take_paths(&w);
    va_doc_begin(d, va_report_string(root, "name"));
    if (question[0])
        va_doc_quote(d, question);
    va_doc_paragraph(d, "%lld variants, each with its own report.", (long long)w.n);
    for (int64_t i = 0; i < w.n_metrics; i++)
        answer(&w, w.metric[i]);
    expected(&w);
    failures(&w);
    for (int64_t i = 0; i < w.n_metrics; i++) {
        va_doc_heading(d, va_report_string(w.metric[i], "name"));
        table(&w, w.metric[i]);
        if (d->format == VA_DOC_HTML)
            figure(&w, w.metric[i]);
    }
    va_doc_end(d);
    return VA_OK;
}
