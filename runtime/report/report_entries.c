// report_entries.c: metrics over several results: how far a direction agrees with itself, whether
// two metrics rank the concepts alike.
// SPDX-License-Identifier: Apache-2.0
#include "report_sections.h"

#include <math.h>
#include <string.h>

enum { MAX_NAMED = 6, MAX_DOTS = 40 };

bool va_report_has_entries(const va_json *stat) {
    const char *kind = va_report_string(stat, "kind");
    return strcmp(kind, "agreement") == 0 || strcmp(kind, "spearman") == 0;
}

static bool is_agreement(const va_json *stat) {
    return strcmp(va_report_string(stat, "kind"), "agreement") == 0;
}

// "Physical, layer 4"
static const char *place(va_doc *d, const va_json *e) {
    return va_report_place(d, e, "all concepts");
}

// -- answer ------------------------------------------------------------------------------------

static void say_entries(va_doc *d, const va_json *stat, va_strbuf *out) {
    int64_t n = 0;
    const va_json *e = va_json_first(va_json_get(stat, "entries"));
    for (; e; e = va_json_next(e)) {
        const double value = va_report_number(e, "value");
        if (isnan(value) || n++ >= MAX_NAMED)
            continue;
        va_strbuf_printf(out, "%s%s %s", n > 1 ? "; " : " ", place(d, e),
                         va_report_real(d, value, 3, true));
        if (is_agreement(stat))
            va_strbuf_printf(out, " (%s to %s)",
                             va_report_real(d, va_report_number(e, "min"), 3, true),
                             va_report_real(d, va_report_number(e, "max"), 3, true));
        else if (!isnan(va_report_number(e, "p_adjusted")))
            va_strbuf_printf(out, " (p %s)", va_report_p(d, va_report_number(e, "p_adjusted")));
    }
    if (n > MAX_NAMED)
        va_strbuf_printf(out, "; and %lld more", (long long)(n - MAX_NAMED));
    if (n > 0)
        va_strbuf_puts(out, ".");
}

void va_report_entries_answer(va_doc *d, const va_json *stat) {
    const double n = va_report_number(stat, "n"), k = va_report_number(stat, "n_significant");
    const double tests = va_report_number(stat, "n_tests");
    const char *of = va_report_joined(d, va_json_get(stat, "of"), 2);
    const char *name = va_report_string(stat, "name"), *over = va_report_string(stat, "over");
    va_strbuf text = {0};
    if (isnan(n) || n == 0)
        va_strbuf_puts(&text, "nothing could be measured; see the errors below.");
    else if (is_agreement(stat))
        va_strbuf_printf(&text, "%s agrees with itself%s at a mean cosine of %s.", of,
                         strstr(name, over) ? "" : va_doc_text(d, " over %s", over),
                         va_report_real(d, va_report_number(stat, "mean"), 3, true));
    else
        va_strbuf_printf(&text, "%s rank the concepts alike with a mean correlation of %s.", of,
                         va_report_real(d, va_report_number(stat, "mean"), 3, true));
    if (n > 0 && !isnan(k))
        va_strbuf_printf(
            &text, " %s of %.0f %s from chance after %s:", k > 0 ? va_report_count(d, k) : "None",
            isnan(tests) ? n : tests, k > 1 ? "differ" : "differs", va_report_correction(stat));
    say_entries(d, stat, &text);
    va_doc_answer(d, name, &text);
}

// -- table -------------------------------------------------------------------------------------

static void agreement_row(va_doc *d, const va_json *e) {
    const char *const cells[] = {
        place(d, e),
        va_report_count(d, va_report_number(e, "n")),
        va_report_real(d, va_report_number(e, "value"), 4, true),
        va_report_real(d, va_report_number(e, "mean_abs"), 4, false),
        va_report_real(d, va_report_number(e, "min"), 4, true),
        va_report_real(d, va_report_number(e, "max"), 4, true),
        va_report_real(d, va_report_number(e, "chance_std"), 4, false),
        va_report_real(d, va_report_number(e, "chance_mean_abs"), 4, false),
        va_report_p(d, va_report_number(e, "p_adjusted"))};
    va_doc_row(d, cells);
}

static void spearman_row(va_doc *d, const va_json *e) {
    const char *error = va_report_string(e, "error");
    const char *const cells[] = {place(d, e),
                                 va_report_count(d, va_report_number(e, "n")),
                                 va_report_real(d, va_report_number(e, "value"), 4, true),
                                 va_report_p(d, va_report_number(e, "p_value")),
                                 va_report_p(d, va_report_number(e, "p_adjusted")),
                                 error[0] ? error : ""};
    va_doc_row(d, cells);
}

static void entries_table(va_doc *d, const va_json *stat) {
    static const char *const agreement[] = {
        "Of",   ">n",           ">Mean cosine",           ">Mean |cosine|", ">Min",
        ">Max", ">Std, chance", ">Mean |cosine|, chance", ">p adjusted"};
    static const char *const spearman[] = {"Of", ">n", ">rho", ">p", ">p adjusted", "Error"};
    int64_t n = 0;
    if (is_agreement(stat))
        va_doc_table(d, agreement, (int)VA_COUNT(agreement));
    else
        va_doc_table(d, spearman, (int)VA_COUNT(spearman));
    const va_json *e = va_json_first(va_json_get(stat, "entries"));
    for (; e; e = va_json_next(e))
        if (n++ < VA_DOC_MAX_ROWS)
            (is_agreement(stat) ? agreement_row : spearman_row)(d, e);
    va_doc_table_end(d);
    va_report_rest(d, VA_DOC_MAX_ROWS, n, "results.json");
}

// -- figure ------------------------------------------------------------------------------------

static void entries_figure(va_doc *d, const va_json *stat) {
    static const char *const nulls[] = {"analytic"};
    va_dot_row rows[MAX_DOTS];
    va_dot dots[MAX_DOTS];
    va_strbuf svg = {0};
    int64_t n = 0;
    bool any_chance = false;
    const va_json *e = va_json_first(va_json_get(stat, "entries"));
    for (; e && n < MAX_DOTS; e = va_json_next(e), n++) {
        const va_range chance = {va_report_number(e, "chance_low"),
                                 va_report_number(e, "chance_high")};
        dots[n] = (va_dot){va_report_number(e, "value"), va_report_flag(e, "differs_from_chance")};
        rows[n] = (va_dot_row){.label = place(d, e),
                               .dots = &dots[n],
                               .n_dots = 1,
                               .mean = NAN,
                               .interval = {va_report_number(e, "min"), va_report_number(e, "max")},
                               .chance = {chance, {NAN, NAN}, {NAN, NAN}, {NAN, NAN}}};
        any_chance |= va_report_has_range(chance);
    }
    const va_dot_chart chart = {.axis = is_agreement(stat) ? "mean cosine of pairs"
                                                           : "rank correlation",
                                .interval = "least to largest of the pairs",
                                .nulls = nulls,
                                .n_nulls = any_chance,
                                .has_verdict = !isnan(va_report_number(stat, "n_significant")),
                                .symmetric = true,
                                .lowest = -1,
                                .highest = 1,
                                .rows = rows,
                                .n_rows = n};
    va_chart_dots(&svg, &chart);
    va_doc_figure(
        d, &svg,
        va_doc_text(d, "%s.%s", va_report_string(stat, "name"),
                    any_chance ? " Bars: what chance alone gives a mean of as many." : ""));
}

void va_report_entries(va_doc *d, const va_json *stat) {
    const char *name = va_report_string(stat, "name"), *over = va_report_string(stat, "over");
    va_doc_heading(d, is_agreement(stat)
                          ? va_doc_text(d, "%s: agreement%s", name,
                                        strstr(name, over) ? "" : va_doc_text(d, " over %s", over))
                          : va_doc_text(d, "%s: rank correlation of two metrics", name));
    if (va_json_count(va_json_get(stat, "entries")) == 0) {
        va_doc_paragraph(d, "Nothing could be measured.");
        return;
    }
    entries_table(d, stat);
    if (d->format == VA_DOC_HTML)
        entries_figure(d, stat);
}
