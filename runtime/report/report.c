// report.c: what the report says, from results.json alone.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkalign/report.h"

#include "report_doc.h"

double va_report_number(const va_json *o, const char *key) {
    double v = NAN;
    va_json_as_double(va_json_get(o, key), &v);
    return v;
}

const char *va_report_text(const va_json *o, const char *key) {
    const char *s = va_json_as_string(va_json_get(o, key));
    return s ? s : "";
}

const va_json *va_report_metric(const va_json *result, const char *name) {
    const va_json *m = va_json_first(va_json_get(result, "metrics"));
    while (m && strcmp(va_report_text(m, "name"), name) != 0)
        m = va_json_next(m);
    return m;
}

static bool flag(const va_json *o, const char *key) {
    bool b = false;
    return va_json_as_bool(va_json_get(o, key), &b) && b;
}

// "-" for what is missing.
static const char *number(va_doc *d, const char *fmt, double v) {
    char text[64];
    if (isnan(v))
        return "-";
    snprintf(text, sizeof text, fmt, v);
    return va_arena_strdup(d->arena, text);
}

static const char *p_value(va_doc *d, double p) {
    return p < 1e-4 ? number(d, "%.1e", p) : number(d, "%.4f", p);
}

// -- sections ----------------------------------------------------------------------------------

// "Entity, Process"
static const char *joined(va_doc *d, const va_json *list) {
    va_strbuf text = {0};
    for (const va_json *s = va_json_first(list); s; s = va_json_next(s))
        va_strbuf_printf(&text, "%s%s", text.len ? ", " : "",
                         va_json_as_string(s) ? va_json_as_string(s) : "");
    const char *copy = va_arena_strndup(d->arena, text.data ? text.data : "", text.len);
    va_strbuf_free(&text);
    return copy;
}

static void compare_with_chance(va_doc *d, const va_json *s, double n, double k) {
    const char *name = va_report_text(s, "name");
    const char *least = p_value(d, va_report_number(s, "min_p_adjusted"));
    if (k > 0)
        va_doc_paragraph(d,
                         "%s: %.0f of %.0f alignments %s from chance: %s (two-sided p <= %g "
                         "after Holm's correction; the smallest is %s).",
                         name, k, n, k == 1 ? "differs" : "differ",
                         joined(d, va_json_get(s, "significant")), va_report_number(s, "alpha"),
                         least);
    else
        va_doc_paragraph(d,
                         "%s: none of the %.0f alignments differs from chance (smallest p after "
                         "Holm's correction: %s).",
                         name, n, least);
    va_doc_paragraph(d,
                     "The mean absolute cosine is %.4f; random directions of %.0f dimensions "
                     "give %.4f.",
                     va_report_number(s, "mean_abs"), va_report_number(s, "dimension"),
                     va_report_number(s, "chance_mean_abs"));
    if (va_json_get(va_json_get(s, "nulls"), "covariance"))
        va_doc_paragraph(d, "Chance here is the larger p of two: random directions, and directions "
                            "spread as the activations that the classifier was trained on.");
}

static void answer(va_doc *d, const va_json *s) {
    const char *name = va_report_text(s, "name");
    double n = va_report_number(s, "n"), k = va_report_number(s, "n_significant");
    if (isnan(n) || n == 0) {
        va_doc_paragraph(d, "%s: nothing could be measured; see the errors below.", name);
        return;
    }
    if (isnan(k))
        va_doc_paragraph(d,
                         "%s: no chance level was asked for, so nothing can be said about "
                         "chance.",
                         name);
    else
        compare_with_chance(d, s, n, k);
    if (flag(s, "across_sites"))
        va_doc_paragraph(d,
                         "Caution: %s compares vectors from different sites of the model. They "
                         "live in different spaces, and their cosine need not mean anything.",
                         name);
}

// Columns of a table of alignments: four, and three for each null that was asked for.
enum { BASE_COLUMNS = 4, NULL_COLUMNS = 3, MAX_COLUMNS = BASE_COLUMNS + 4 * NULL_COLUMNS };

static int alignment_titles(va_doc *d, const va_json *s, const char **titles) {
    static const char *const base[BASE_COLUMNS] = {"Concept", ">Layer", "Prompt", ">Cosine"};
    int n = BASE_COLUMNS;
    memcpy(titles, base, sizeof base);
    const va_json *null = va_json_first(va_json_get(s, "nulls"));
    for (; null && n + NULL_COLUMNS <= MAX_COLUMNS; null = va_json_next(null)) {
        titles[n++] = va_arena_printf(d->arena, ">Std, %s", va_json_key(null));
        titles[n++] = ">p";
        titles[n++] = ">p (Holm)";
    }
    return n;
}

static void alignment_row(va_doc *d, const va_json *r, const va_json *s, int n_columns) {
    const va_json *m = va_report_metric(r, va_report_text(s, "name"));
    const va_json *null = va_json_first(va_json_get(s, "nulls"));
    const char *cells[MAX_COLUMNS] = {
        va_report_text(r, "concept"), number(d, "%.0f", va_report_number(r, "model_layer")),
        va_report_text(r, "prompt"),
        m ? number(d, "%+.4f", va_report_number(m, "cosine")) : "failed"};
    for (int i = BASE_COLUMNS; i < n_columns; null = va_json_next(null)) {
        const va_json *of = va_json_get(va_json_get(m, "nulls"), va_json_key(null));
        cells[i++] = number(d, "%.4f", va_report_number(of, "std"));
        cells[i++] = p_value(d, va_report_number(of, "p_value"));
        cells[i++] = p_value(d, va_report_number(of, "p_adjusted"));
    }
    va_doc_row(d, cells);
}

static void alignment_table(va_doc *d, const va_json *results, const va_json *s) {
    const char *name = va_report_text(s, "name"), *titles[MAX_COLUMNS];
    va_strbuf svg = {0};
    va_doc_heading(d, va_arena_printf(d->arena, "%s: %s", name,
                                      flag(s, "across_sites") ? "cosine across sites (flagged)"
                                                              : "cosine at one site"));
    int n = alignment_titles(d, s, titles);
    va_doc_table(d, titles, n);
    const va_json *r = va_json_first(va_json_get(results, "results"));
    for (; r; r = va_json_next(r))
        alignment_row(d, r, s, n);
    va_doc_table_end(d);
    va_report_dots(&svg, results, name, fmax(va_report_number(s, "chance_std"), 0));
    va_doc_figure(d, &svg, "Cosine of each concept; the band holds 95 % of random directions.");
    va_strbuf_free(&svg);
}

static void statistics(va_doc *d, const va_json *by_metric) {
    static const char *const titles[] = {"Metric", ">n",   ">Mean",  ">Median",    ">Std",
                                         ">Min",   ">Max", ">Range", ">Mean |cos|"};
    static const char *const keys[] = {"mean", "median", "std", "min", "max", "range", "mean_abs"};
    va_doc_heading(d, "Statistics");
    va_doc_table(d, titles, (int)VA_COUNT(titles));
    for (const va_json *s = va_json_first(by_metric); s; s = va_json_next(s)) {
        const char *cells[9] = {va_report_text(s, "name"),
                                number(d, "%.0f", va_report_number(s, "n"))};
        for (int64_t i = 0; i < VA_COUNT(keys); i++)
            cells[2 + i] = number(d, "%+.4f", va_report_number(s, keys[i]));
        va_doc_row(d, cells);
    }
    va_doc_table_end(d);
    va_doc_paragraph(d, "Std is that of the population (divisor n), as numpy computes it.");
    for (const va_json *s = va_json_first(by_metric); s; s = va_json_next(s)) {
        va_strbuf svg = {0};
        va_report_histogram(&svg, va_json_get(s, "histogram"));
        va_doc_figure(
            d, &svg,
            va_arena_printf(d->arena, "Histogram of %s over [-1, 1].", va_report_text(s, "name")));
        va_strbuf_free(&svg);
    }
}

static void classifiers(va_doc *d, const va_json *directions) {
    static const char *const titles[] = {"Classifier",        "Site",  ">Train", ">Test", ">F1",
                                         ">F1 of always yes", ">AUROC"};
    va_doc_heading(d, "Classifiers on held-out items");
    va_doc_table(d, titles, (int)VA_COUNT(titles));
    for (const va_json *o = va_json_first(directions); o; o = va_json_next(o)) {
        const va_json *c = va_json_get(o, "classifier");
        if (!c)
            continue;
        const char *const cells[] = {va_report_text(o, "name"),
                                     va_report_text(o, "site"),
                                     number(d, "%.0f", va_report_number(c, "n_train")),
                                     number(d, "%.0f", va_report_number(c, "n_test")),
                                     number(d, "%.3f", va_report_number(c, "f1")),
                                     number(d, "%.3f", va_report_number(c, "f1_all_positive")),
                                     number(d, "%.3f", va_report_number(c, "auroc"))};
        va_doc_row(d, cells);
    }
    va_doc_table_end(d);
    va_doc_paragraph(d, "Train and Test count texts; all texts of an item stand on one side. A "
                        "classifier no better than always saying yes has not found its concept, "
                        "and its direction means little.");
}

static void jacobians(va_doc *d, const va_json *directions) {
    static const char *const titles[] = {"Jacobian",    "From",    "To",
                                         "Mode",        ">Tokens", ">|J x|",
                                         ">Forward ms", ">JVP ms", ">std(y - Jx)/std(y)"};
    va_doc_heading(d, "Jacobians");
    va_doc_table(d, titles, (int)VA_COUNT(titles));
    for (const va_json *o = va_json_first(directions); o; o = va_json_next(o)) {
        if (!va_json_get(o, "jvp_time"))
            continue;
        const char *const cells[] = {
            va_report_text(o, "name"),
            va_report_text(o, "from"),
            va_report_text(o, "site"),
            va_report_text(o, "mode"),
            number(d, "%.0f", va_report_number(o, "n_tokens")),
            number(d, "%.4g", va_report_number(o, "norm")),
            number(d, "%.2f", 1e3 * va_report_number(o, "forward_time")),
            number(d, "%.2f", 1e3 * va_report_number(o, "jvp_time")),
            number(d, "%.3g", va_report_number(o, "reconstruction_error"))};
        va_doc_row(d, cells);
    }
    va_doc_table_end(d);
    va_doc_paragraph(d, "In detached mode the map reproduces the output, and the last column is "
                        "rounding; the exact Jacobian is the derivative, and need not.");
}

static void failures(va_doc *d, const va_json *directions) {
    static const char *const titles[] = {"Unit", "Error"};
    bool any = false;
    for (const va_json *o = va_json_first(directions); o; o = va_json_next(o)) {
        if (strcmp(va_report_text(o, "status"), "failed") != 0)
            continue;
        if (!any) {
            va_doc_heading(d, "What failed");
            va_doc_table(d, titles, (int)VA_COUNT(titles));
        }
        any = true;
        const char *const cells[] = {va_report_text(o, "name"), va_report_text(o, "error")};
        va_doc_row(d, cells);
    }
    if (any)
        va_doc_table_end(d);
}

static void provenance(va_doc *d, const va_json *meta) {
    const va_json *model = va_json_get(meta, "model"), *device = va_json_get(meta, "device");
    char peak[32];
    double bytes = va_report_number(device, "peak_bytes");
    va_doc_heading(d, "How it was made");
    va_doc_paragraph(
        d, "Model %s: %s, %.0f layers, width %.0f, %s%s, SHA-256 of the weights used %s.",
        va_report_text(model, "path"), va_report_text(model, "family"),
        va_report_number(model, "n_layer"), va_report_number(model, "d_model"),
        va_report_text(model, "dtype"),
        flag(model, "dequantised") ? " (dequantised: float32 of the packed weights)" : "",
        va_report_text(model, "sha256"));
    va_doc_paragraph(d, "Device %s, driver %s, %s of device memory at the peak.",
                     va_report_text(device, "name"), va_report_text(device, "driver"),
                     va_format_bytes(peak, bytes > 0 && bytes < 0x1p63 ? (int64_t)bytes : 0));
    va_doc_paragraph(d, "%s, %s, %.1f s, seed %.0f.", va_report_text(meta, "tool"),
                     va_report_text(meta, "created"), va_report_number(meta, "seconds"),
                     va_report_number(meta, "seed"));
    va_doc_paragraph(d, "The analytic chance level takes directions spread evenly over all "
                        "dimensions. Activations of language models are not, so real chance "
                        "levels can be wider, as the covariance level shows where it was asked "
                        "for.");
}

// What the sections go through must be there; single numbers may be missing and are shown as "-".
static va_status check_shape(va_ctx *ctx, const va_json *results) {
    static const struct {
        const char *inside, *key;
        bool list;
    } needed[] = {{NULL, "metadata", false},     {"metadata", "model", false},
                  {"metadata", "device", false}, {NULL, "results", true},
                  {NULL, "statistics", false},   {"statistics", "by_metric", true},
                  {NULL, "directions", true}};
    for (int64_t i = 0; i < VA_COUNT(needed); i++) {
        const char *in = needed[i].inside;
        const va_json *v = va_json_get(in ? va_json_get(results, in) : results, needed[i].key);
        if (!(needed[i].list ? va_json_is_array(v) : va_json_is_object(v)))
            return va_fail(ctx, VA_ERR_FORMAT, "%s%s%s: expected %s, got %s", in ? in : "",
                           in ? "." : "", needed[i].key, needed[i].list ? "a list" : "an object",
                           v ? va_json_type(v) : "nothing");
    }
    return VA_OK;
}

va_status va_report_content(va_ctx *ctx, va_doc *d, const va_json *results) {
    va_status st = check_shape(ctx, results);
    if (st != VA_OK)
        return st;
    const va_json *meta = va_json_get(results, "metadata");
    const va_json *by_metric = va_json_get(va_json_get(results, "statistics"), "by_metric");
    const va_json *directions = va_json_get(results, "directions");
    va_doc_begin(d, va_report_text(meta, "name"));
    if (va_report_text(meta, "question")[0])
        va_doc_quote(d, va_report_text(meta, "question"));
    for (const va_json *s = va_json_first(by_metric); s; s = va_json_next(s))
        answer(d, s);
    failures(d, directions);
    for (const va_json *s = va_json_first(by_metric); s; s = va_json_next(s))
        alignment_table(d, results, s);
    statistics(d, by_metric);
    classifiers(d, directions);
    jacobians(d, directions);
    provenance(d, meta);
    va_doc_end(d);
    return VA_OK;
}

// -- public ------------------------------------------------------------------------------------

static va_status write_as(va_ctx *ctx, const va_json *results, va_doc_format format,
                          va_strbuf *out) {
    va_doc d = {.format = format, .out = out, .arena = va_arena_create()};
    if (!d.arena)
        return va_fail(ctx, VA_ERR_MEMORY, "out of host memory");
    va_status st = va_report_content(ctx, &d, results);
    va_arena_destroy(&d.arena);
    if (st == VA_OK && out->failed)
        st = va_fail(ctx, VA_ERR_MEMORY, "out of host memory");
    return st;
}

va_status va_report_markdown(va_ctx *ctx, const va_json *results, va_strbuf *out) {
    return write_as(ctx, results, VA_DOC_MARKDOWN, out);
}

va_status va_report_html(va_ctx *ctx, const va_json *results, va_strbuf *out) {
    return write_as(ctx, results, VA_DOC_HTML, out);
}

va_status va_report_write(va_ctx *ctx, const char *dir) {
    va_status st = VA_OK;
    va_json *results = NULL;
    va_strbuf text = {0};
    va_arena *arena = va_arena_create();
    VA_TRY(va_json_load(ctx, va_path_join(arena, dir, "results.json"), 0, &results));
    st = va_report_markdown(ctx, results, &text);
    if (st != VA_OK) {
        va_fail_in(ctx, st, "%s", va_path_join(arena, dir, "results.json"));
        goto done;
    }
    VA_TRY(va_file_write(ctx, va_path_join(arena, dir, "report.md"), text.data, text.len));
    va_strbuf_free(&text);
    VA_TRY(va_report_html(ctx, results, &text));
    VA_TRY(va_file_write(ctx, va_path_join(arena, dir, "report.html"), text.data, text.len));
done:
    va_strbuf_free(&text);
    va_json_free(&results);
    va_arena_destroy(&arena);
    return st;
}
