// report_cautions.c: what failed, what was expected, and what to be wary of.
// SPDX-License-Identifier: Apache-2.0
#include "report_sections.h"

#include <math.h>
#include <string.h>

enum { MAX_NAMED = 6, MAX_FAILED_LOOKED_AT = 200 };

void va_report_rest(va_doc *d, int64_t shown, int64_t n, const char *file) {
    if (n > shown)
        va_doc_paragraph(d, "%lld of %lld rows; all are in %s.", (long long)shown, (long long)n,
                         file);
}

// -- cautions ----------------------------------------------------------------------------------

// Names of what a caution is about, the first few by name.
typedef struct named {
    va_strbuf names;
    int64_t n;
} named;

static void add_name(named *list, const char *name) {
    if (list->n++ < MAX_NAMED)
        va_strbuf_printf(&list->names, "%s%s", list->n > 1 ? ", " : "", name);
}

// "Caution: A, B and 3 more WHAT". Frees the list.
static void caution(va_doc *d, named *list, const char *what) {
    const char *names = list->names.data ? list->names.data : "";
    if (list->n > MAX_NAMED)
        va_doc_paragraph(d, "Caution: %s and %lld more: %s", names,
                         (long long)(list->n - MAX_NAMED), what);
    else if (list->n > 0)
        va_doc_paragraph(d, "Caution: %s: %s", names, what);
    d->out->failed |= list->names.failed;
    va_strbuf_free(&list->names);
}

// Activations and spectra can be compared without a common space.
static bool needs_one_site(const va_json *stat) {
    const char *kind = va_report_kind_of(stat)->name;
    return strcmp(kind, "cka") != 0 && strcmp(kind, "spectrum") != 0;
}

static void warn_metrics(va_doc *d, const va_json *by_metric) {
    named across = {0};
    for (const va_json *s = va_json_first(by_metric); s; s = va_json_next(s)) {
        const char *name = va_report_string(s, "name");
        const va_json *null = va_json_first(va_json_get(s, "nulls"));
        if (va_report_flag(s, "across_sites") && needs_one_site(s))
            add_name(&across, name);
        for (; null; null = va_json_next(null)) {
            const double n = va_report_number(null, "n_unconverged");
            if (n > 0)
                va_doc_paragraph(d,
                                 "Caution: %s: %.0f of the fits behind the %s chance level did not "
                                 "converge.",
                                 name, n, va_json_key(null));
        }
    }
    caution(d, &across,
            "vectors from different sites of the model are compared. They live in "
            "different spaces, and what they have in common need not mean anything.");
}

static void warn_directions(va_doc *d, const va_json *directions) {
    named weak = {0}, loose = {0}, unfitted = {0};
    for (const va_json *o = va_json_first(directions); o; o = va_json_next(o)) {
        const char *name = va_report_string(o, "name");
        const va_json *c = va_json_get(o, "classifier");
        bool converged = true;
        va_json_as_bool(va_json_get(o, "converged"), &converged);
        if (va_report_number(c, "f1") <= va_report_number(c, "f1_all_positive"))
            add_name(&weak, name);
        if (!converged)
            add_name(strcmp(va_report_string(o, "kind"), "jacobian") == 0 ? &loose : &unfitted,
                     name);
    }
    caution(d, &weak,
            "no better on held-out items than always saying yes. Such a classifier has "
            "not found its concept, and its direction means little.");
    caution(d, &loose, "the singular vectors did not converge.");
    caution(d, &unfitted, "the fit did not converge.");
}

static void warn_failures(va_doc *d, const va_json *directions) {
    int64_t n = 0;
    for (const va_json *o = va_json_first(directions); o; o = va_json_next(o))
        n += strcmp(va_report_string(o, "status"), "failed") == 0;
    if (n > 0)
        va_doc_paragraph(d, "Caution: %lld of %lld directions failed, see below.", (long long)n,
                         (long long)va_json_count(directions));
}

void va_report_cautions(va_doc *d, const va_json *results) {
    const va_json *directions = va_json_get(results, "directions");
    warn_metrics(d, va_json_get(va_json_get(results, "statistics"), "by_metric"));
    warn_directions(d, directions);
    warn_failures(d, directions);
}

// -- what failed -------------------------------------------------------------------------------

static int64_t failed_directions(va_doc *d, const va_json *directions) {
    static const char *const titles[] = {"Unit", "Error"};
    int64_t n = 0;
    for (const va_json *o = va_json_first(directions); o; o = va_json_next(o)) {
        if (strcmp(va_report_string(o, "status"), "failed") != 0)
            continue;
        if (n == 0) {
            va_doc_heading(d, "What failed");
            va_doc_table(d, titles, (int)VA_COUNT(titles));
        }
        if (n++ < VA_DOC_MAX_ROWS) {
            const char *const cells[] = {va_report_string(o, "name"), va_report_string(o, "error")};
            va_doc_row(d, cells);
        }
    }
    if (n > 0)
        va_doc_table_end(d);
    va_report_rest(d, VA_DOC_MAX_ROWS, n, "results.json");
    return n;
}

// The error names a direction that is listed already.
static bool is_known(const va_json *directions, const char *error) {
    int64_t n = 0;
    const va_json *o = va_json_first(directions);
    for (; o && n < MAX_FAILED_LOOKED_AT; o = va_json_next(o)) {
        const char *name = va_report_string(o, "name");
        if (strcmp(va_report_string(o, "status"), "failed") != 0)
            continue;
        n++;
        if (name[0] && strstr(error, name))
            return true;
    }
    return false;
}

void va_report_failures(va_doc *d, const va_json *results) {
    static const char *const titles[] = {"Concept", ">Layer", "<Prompt", "Error"};
    const va_json *directions = va_json_get(results, "directions");
    const int64_t n_directions = failed_directions(d, directions);
    int64_t n = 0;
    const va_json *r = va_json_first(va_json_get(results, "results"));
    for (; r && n < VA_DOC_MAX_ROWS; r = va_json_next(r)) {
        const char *error = va_report_string(r, "error");
        if (strcmp(va_report_string(r, "status"), "failed") != 0 || is_known(directions, error))
            continue;
        if (n == 0 && n_directions == 0)
            va_doc_heading(d, "What failed");
        if (n++ == 0)
            va_doc_table(d, titles, (int)VA_COUNT(titles));
        const char *const cells[] = {va_report_string(r, "concept"),
                                     va_report_count(d, va_report_number(r, "model_layer")),
                                     va_report_string(r, "prompt"), error};
        va_doc_row(d, cells);
    }
    if (n > 0)
        va_doc_table_end(d);
    if (r)
        va_doc_paragraph(d, "The first %d; all are in results.json.", VA_DOC_MAX_ROWS);
}

// -- what was expected -------------------------------------------------------------------------

static const char *bound(va_doc *d, const va_json *e) {
    const double min = va_report_number(e, "min"), max = va_report_number(e, "max");
    if (isnan(min) && isnan(max))
        return "-";
    if (isnan(max))
        return va_doc_text(d, "at least %g", min);
    if (isnan(min))
        return va_doc_text(d, "at most %g", max);
    return va_doc_text(d, "%g to %g", min, max);
}

void va_report_expected(va_doc *d, const va_json *expectations) {
    const int64_t n = va_json_count(expectations);
    int64_t held = 0;
    va_strbuf text = {0};
    for (const va_json *e = va_json_first(expectations); e; e = va_json_next(e))
        held += va_report_flag(e, "holds");
    if (n == 0)
        return;
    va_strbuf_printf(&text, "%lld of %lld bounds hold%s.", (long long)held, (long long)n,
                     held < n ? "; the others are marked below" : "");
    va_doc_answer(d, "Expected", &text);
}

static void expected_row(va_doc *d, const va_json *e, const char *of, const char *got) {
    const char *const cells[] = {va_report_string(e, "metric"),
                                 va_report_string(e, "statistic"),
                                 of,
                                 bound(d, e),
                                 got,
                                 va_report_flag(e, "holds") ? "yes" : "NO"};
    va_doc_row(d, cells);
}

static void failed_rows(va_doc *d, const va_json *expectations, int64_t *n) {
    for (const va_json *e = va_json_first(expectations); e; e = va_json_next(e))
        if (!va_report_flag(e, "holds") && (*n)++ < VA_DOC_MAX_ROWS)
            expected_row(d, e, va_report_place(d, e, "all"),
                         va_report_real(d, va_report_number(e, "got"), 4, false));
}

static bool same_number(const va_json *a, const va_json *b, const char *key) {
    const double x = va_report_number(a, key), y = va_report_number(b, key);
    return x == y || (isnan(x) && isnan(y));
}

// Of the same line of the experiment.
static bool same_bound(const va_json *a, const va_json *b) {
    return strcmp(va_report_string(a, "metric"), va_report_string(b, "metric")) == 0 &&
           strcmp(va_report_string(a, "statistic"), va_report_string(b, "statistic")) == 0 &&
           same_number(a, b, "min") && same_number(a, b, "max");
}

// The results that keep one bound, from e on, are one row.
static const va_json *held_row(va_doc *d, const va_json *e, int64_t *n) {
    const va_json *first = NULL, *at = e;
    double low = INFINITY, high = -INFINITY;
    int64_t count = 0;
    for (; at && same_bound(e, at); at = va_json_next(at)) {
        if (!va_report_flag(at, "holds"))
            continue;
        first = first ? first : at;
        low = fmin(low, va_report_number(at, "got"));
        high = fmax(high, va_report_number(at, "got"));
        count++;
    }
    if (count == 0 || (*n)++ >= VA_DOC_MAX_ROWS)
        return at;
    const char *least = va_report_real(d, low, 4, false);
    if (count == 1)
        expected_row(d, first, va_report_place(d, first, "all"), least);
    else
        expected_row(d, first, va_doc_text(d, "%lld results", (long long)count),
                     va_doc_text(d, "%s to %s", least, va_report_real(d, high, 4, false)));
    return at;
}

// Those that do not hold come first.
void va_report_expectations(va_doc *d, const va_json *expectations) {
    static const char *const titles[] = {"Metric", "Statistic", "Of", "Expected", ">Got", "Holds"};
    int64_t n = 0;
    if (va_json_count(expectations) == 0)
        return;
    va_doc_heading(d, "What was expected");
    va_doc_table(d, titles, (int)VA_COUNT(titles));
    failed_rows(d, expectations, &n);
    for (const va_json *e = va_json_first(expectations); e;)
        e = held_row(d, e, &n);
    va_doc_table_end(d);
    va_report_rest(d, VA_DOC_MAX_ROWS, n, "results.json");
}
