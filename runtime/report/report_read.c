// report_read.c: values of results.json as numbers and as text, and what kinds of metrics there
// are.
// SPDX-License-Identifier: Apache-2.0
#include "report_read.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// -- values ------------------------------------------------------------------------------------

double va_report_number(const va_json *o, const char *key) {
    double v = NAN;
    va_json_as_double(va_json_get(o, key), &v);
    return v;
}

const char *va_report_string(const va_json *o, const char *key) {
    const char *s = va_json_as_string(va_json_get(o, key));
    return s ? s : "";
}

bool va_report_flag(const va_json *o, const char *key) {
    bool b = false;
    return va_json_as_bool(va_json_get(o, key), &b) && b;
}

va_range va_report_range_of(const va_json *o) {
    return (va_range){va_report_number(o, "low"), va_report_number(o, "high")};
}

bool va_report_has_range(va_range r) {
    return r.low <= r.high;
}

// -- as text -----------------------------------------------------------------------------------

const char *va_report_count(va_doc *d, double v) {
    return isnan(v) ? "-" : va_doc_text(d, fabs(v) < 1e15 ? "%.0f" : "%g", v);
}

const char *va_report_of(va_doc *d, double k, double n) {
    return isnan(k) ? "-"
                    : va_doc_text(d, "%s of %s", va_report_count(d, k), va_report_count(d, n));
}

const char *va_report_level(va_doc *d, const va_json *interval) {
    const double level = va_report_number(interval, "level");
    return isnan(level) ? "" : va_doc_text(d, "%g %% ", 100 * level);
}

const char *va_report_real(va_doc *d, double v, int digits, bool plus) {
    const double size = fabs(v);
    if (isnan(v))
        return "-";
    if (size < 1e-12) // rounding
        v = 0;
    else if (size >= 1e6 || (size > 0 && size < pow(10, -digits) / 2))
        return va_doc_text(d, plus ? "%+.1e" : "%.1e", v);
    return va_doc_text(d, plus ? "%+.*f" : "%.*f", digits, v);
}

const char *va_report_p(va_doc *d, double p) {
    return isnan(p) ? "-" : va_doc_text(d, p < 1e-4 ? "%.1e" : "%.4f", p);
}

const char *va_report_range(va_doc *d, va_range r, int digits) {
    if (!va_report_has_range(r))
        return "-";
    const char *low = va_report_real(d, r.low, digits, false);
    return va_doc_text(d, "%s to %s", low, va_report_real(d, r.high, digits, false));
}

const char *va_report_joined(va_doc *d, const va_json *list, int64_t most) {
    va_strbuf text = {0};
    const int64_t n = va_json_count(list);
    const va_json *s = va_json_first(list);
    for (int64_t i = 0; s && i < most; i++, s = va_json_next(s))
        va_strbuf_printf(&text, "%s%s", i ? ", " : "",
                         va_json_as_string(s) ? va_json_as_string(s) : "-");
    if (n > most)
        va_strbuf_printf(&text, " and %lld more", (long long)(n - most));
    const char *copy = va_doc_text(d, "%s", text.data ? text.data : "");
    d->out->failed |= text.failed;
    va_strbuf_free(&text);
    return copy;
}

const char *va_report_place(va_doc *d, const va_json *o, const char *all) {
    const char *prompt = va_report_string(o, "prompt");
    const double layer = va_report_number(o, "model_layer");
    va_strbuf text = {0};
    va_strbuf_puts(&text, va_report_string(o, "concept"));
    if (!isnan(layer))
        va_strbuf_printf(&text, "%slayer %.0f", text.len ? ", " : "", layer);
    if (prompt[0])
        va_strbuf_printf(&text, "%s%s", text.len ? ", " : "", prompt);
    const char *copy = text.len > 0 ? va_doc_text(d, "%s", text.data) : all;
    d->out->failed |= text.failed;
    va_strbuf_free(&text);
    return copy;
}

// -- kinds of metrics --------------------------------------------------------------------------

static const va_report_kind kinds[] = {
    {"cosine", "cosine", "cosine", "alignment", "alignments", true, 0, -1, 1},
    {"subspace", "overlap", "overlap", "overlap", "overlaps", false, 0, 0, 1},
    {"spectrum", "divergence", "divergence", "pair of spectra", "pairs of spectra", false, 0, 0, 1},
    {"cka", "cka", "CKA", "similarity", "similarities", false, 0, -INFINITY, 1},
    {"transfer", "auroc", "AUROC", "transfer", "transfers", false, 0.5, 0, 1},
    {"agreement", "value", "cosine", "agreement", "agreements", true, 0, -1, 1},
    {"spearman", "value", "rank correlation", "rank correlation", "rank correlations", true, 0, -1,
     1},
};
static const va_report_kind other = {"",   "value", "number",  "number", "numbers",
                                     true, 0,       -INFINITY, INFINITY};

const va_report_kind *va_report_kind_of(const va_json *stat) {
    const char *name = va_report_string(stat, "kind");
    if (!name[0])
        return &kinds[0];
    for (int64_t i = 0; i < VA_COUNT(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return &other;
}

double va_report_strength(const va_report_kind *kind, const va_json *stat) {
    return va_report_number(stat, kind->has_sign ? "mean_abs" : "mean");
}

const char *va_report_strength_name(va_doc *d, const va_report_kind *kind) {
    return kind->has_sign ? va_doc_text(d, "|%s|", kind->number) : kind->number;
}

const char *va_report_correction(const va_json *stat) {
    static const char *const names[][2] = {
        {"holm", "Holm's correction"},
        {"bonferroni", "Bonferroni's correction"},
        {"benjamini-hochberg", "the Benjamini-Hochberg correction"},
        {"benjamini-yekutieli", "the Benjamini-Yekutieli correction"},
    };
    const char *name = va_report_string(stat, "correction");
    for (int64_t i = 0; i < VA_COUNT(names); i++)
        if (strcmp(names[i][0], name) == 0)
            return names[i][1];
    return names[0][1]; // files that do not say used it
}

// -- chance ------------------------------------------------------------------------------------

va_range va_report_chance(const va_json *null) {
    const va_range r = va_report_range_of(null);
    const double half = 1.96 * va_report_number(null, "std");
    return va_report_has_range(r) ? r : (va_range){-half, half};
}

// NAN counts as less than any p.
static bool binds_more(const va_json *a, const va_json *b) {
    static const char *const keys[] = {"p_value", "p_adjusted"};
    for (int64_t i = 0; i < VA_COUNT(keys); i++) {
        const double x = va_report_number(a, keys[i]), y = va_report_number(b, keys[i]);
        const double p = isnan(x) ? -1 : x, q = isnan(y) ? -1 : y;
        if (p != q)
            return p > q;
    }
    return false;
}

va_range va_report_binding(const va_json *metric) {
    const va_json *most = NULL;
    const va_json *null = va_json_first(va_json_get(metric, "nulls"));
    for (; null; null = va_json_next(null))
        if (va_report_has_range(va_report_chance(null)) && (!most || binds_more(null, most)))
            most = null;
    return most ? va_report_chance(most) : (va_range){NAN, NAN};
}
