// report_answer.c: one paragraph for each metric: which results differ from chance, by how much,
// at which layer, and how stable that is.
// SPDX-License-Identifier: Apache-2.0
#include "report_sections.h"

#include <math.h>
#include <string.h>

enum { MAX_NAMED = 6 };

// What is said of a concept: its strongest result, and how many differ from chance.
typedef struct told {
    const va_point *strongest;
    int64_t n, n_differs;
} told;

static told *tell(va_doc *d, const va_points *p) {
    told *t = VA_DOC_ARRAY(d, told, p->n_concepts);
    for (int64_t i = 0; t && i < p->n; i++) {
        const va_point *x = &p->at[i];
        told *of = &t[x->concept_index];
        if (!x->metric)
            continue;
        of->n++;
        of->n_differs += x->differs;
        // of those that differ, where some do
        const bool stronger = !of->strongest || x->differs > of->strongest->differs ||
                              (x->differs == of->strongest->differs &&
                               va_point_distance(p, x) > va_point_distance(p, of->strongest));
        if (!isnan(x->value) && stronger)
            of->strongest = x;
    }
    return t;
}

// "-0.316 (chance -0.155 to 0.155; 95 % interval over items -0.4 to -0.2)"
static void say_point(va_doc *d, const va_points *p, const va_point *x, va_strbuf *out) {
    const va_range chance = va_report_binding(x->metric);
    const va_json *items = va_json_get(x->metric, "interval_items");
    const bool plus = p->kind->has_sign;
    va_strbuf_puts(out, va_report_real(d, x->value, 3, plus));
    if (p->n_layers > 1 && x->layer >= 0)
        va_strbuf_printf(out, " at layer %.0f", p->layer[x->layer]);
    if (va_report_has_range(chance) || items)
        va_strbuf_printf(out, " (");
    if (va_report_has_range(chance))
        va_strbuf_printf(out, "chance %s%s", va_report_range(d, chance, 3), items ? "; " : ")");
    if (items)
        va_strbuf_printf(out, "%sinterval over items %s)", va_report_level(d, items),
                         va_report_range(d, va_report_range_of(items), 3));
}

// -- against chance ----------------------------------------------------------------------------

// "by the analytic level", "by every level asked for (analytic, covariance)"
static const char *levels(va_doc *d, const va_points *p) {
    va_strbuf names = {0};
    if (p->n_nulls == 0)
        return "";
    for (int k = 0; k < p->n_nulls; k++)
        va_strbuf_printf(&names, "%s%s", k ? ", " : "", p->null_name[k]);
    const char *text =
        va_doc_text(d, p->n_nulls == 1 ? " by the %s level" : " by every level asked for (%s)",
                    names.data ? names.data : "");
    va_strbuf_free(&names);
    return text;
}

static void name_significant(va_doc *d, const va_points *p, const told *t, va_strbuf *out) {
    int64_t n = 0;
    for (int64_t c = 0; c < p->n_concepts; c++) {
        if (t[c].n_differs == 0 || !t[c].strongest)
            continue;
        if (n++ >= MAX_NAMED)
            continue;
        va_strbuf_printf(out, "%s%s ", n > 1 ? "; " : ": ", p->concept_name[c]);
        if (t[c].n > 1)
            va_strbuf_printf(out, "in %lld of %lld, strongest ", (long long)t[c].n_differs,
                             (long long)t[c].n);
        say_point(d, p, t[c].strongest, out);
    }
    if (n > MAX_NAMED)
        va_strbuf_printf(out, "; and %lld more concepts", (long long)(n - MAX_NAMED));
}

// What a single level would have said, where it would have said more.
static void weaker_levels(const va_points *p, double n_significant, va_strbuf *out) {
    for (int k = 0; k < p->n_nulls && p->n_nulls > 1; k++) {
        const va_json *null = va_json_get(va_json_get(p->stat, "nulls"), p->null_name[k]);
        const double n = va_report_number(null, "n_significant");
        if (n > n_significant)
            va_strbuf_printf(out, " By the %s level alone, %.0f would.", p->null_name[k], n);
    }
}

static void say_chance(va_doc *d, const va_points *p, const told *t, va_strbuf *out) {
    const double n = va_report_number(p->stat, "n");
    const double k = va_report_number(p->stat, "n_significant");
    const double alpha = va_report_number(p->stat, "alpha");
    const char *correction = va_report_correction(p->stat);
    const char *least = va_report_p(d, va_report_number(p->stat, "min_p_adjusted"));
    const va_point *most = NULL;
    for (int64_t c = 0; c < p->n_concepts; c++)
        if (t[c].strongest &&
            (!most || va_point_distance(p, t[c].strongest) > va_point_distance(p, most)))
            most = t[c].strongest;
    if (k > 0) {
        va_strbuf_printf(out, "%.0f of %.0f %s %s from chance%s after %s (p <= %g; smallest %s)", k,
                         n, n == 1 ? p->kind->one : p->kind->many, k == 1 ? "differs" : "differ",
                         levels(d, p), correction, isnan(alpha) ? 0.05 : alpha, least);
        name_significant(d, p, t, out);
        va_strbuf_puts(out, ".");
    } else {
        const char *none = n == 1 ? va_doc_text(d, "its one %s does not differ", p->kind->one)
                                  : va_doc_text(d, "none of the %.0f %s differs", n, p->kind->many);
        va_strbuf_printf(out, "%s from chance%s after %s (smallest p %s).", none, levels(d, p),
                         correction, least);
        if (most) {
            va_strbuf_printf(out, " The strongest is %s, ", p->concept_name[most->concept_index]);
            say_point(d, p, most, out);
            va_strbuf_puts(out, ".");
        }
    }
    weaker_levels(p, k, out);
}

// "The mean |cosine| is 0.115; random directions of 160 dimensions give 0.063."
static void say_size(va_doc *d, const va_points *p, va_strbuf *out) {
    const double chance = va_report_number(p->stat, "chance_mean_abs");
    const double size = va_report_strength(p->kind, p->stat);
    if (isnan(size))
        return;
    va_strbuf_printf(out, " The mean %s is %s", va_report_strength_name(d, p->kind),
                     va_report_real(d, size, 3, false));
    if (!isnan(chance))
        va_strbuf_printf(out, "; random directions of %s dimensions give %s",
                         va_report_count(d, va_report_number(p->stat, "dimension")),
                         va_report_real(d, chance, 3, false));
    va_strbuf_puts(out, ".");
}

// -- over layers -------------------------------------------------------------------------------

static void say_layer(va_doc *d, const va_points *p, const va_json *o, va_strbuf *out) {
    const double k = va_report_number(o, "n_significant");
    va_strbuf_printf(out, "layer %s (%s", va_report_count(d, va_report_number(o, "model_layer")),
                     va_report_real(d, va_report_strength(p->kind, o), 3, false));
    if (!isnan(k))
        va_strbuf_printf(out, ", %s from chance", va_report_of(d, k, va_report_number(o, "n")));
    va_strbuf_puts(out, ")");
}

static void say_layers(va_doc *d, const va_points *p, va_strbuf *out) {
    const va_json *most = NULL, *least = NULL;
    const va_json *o = va_json_first(va_json_get(p->stat, "by_layer"));
    for (; o; o = va_json_next(o)) {
        const double v = va_report_strength(p->kind, o);
        if (!isnan(v) && (!most || v > va_report_strength(p->kind, most)))
            most = o;
        if (!isnan(v) && (!least || v < va_report_strength(p->kind, least)))
            least = o;
    }
    if (!most || most == least)
        return;
    va_strbuf_printf(out, " Over layers, the mean %s is largest at ",
                     va_report_strength_name(d, p->kind));
    say_layer(d, p, most, out);
    va_strbuf_puts(out, " and smallest at ");
    say_layer(d, p, least, out);
    va_strbuf_puts(out, ".");
}

// -- stability ---------------------------------------------------------------------------------

static void say_mean(va_doc *d, const va_points *p, const va_json *o, va_strbuf *out) {
    const va_json *interval = va_json_get(o, "interval_prompts");
    const double same = va_report_number(o, "same_sign");
    va_strbuf_printf(out, "%s mean %s", va_report_string(o, "concept"),
                     va_report_real(d, va_report_number(o, "mean"), 3, p->kind->has_sign));
    if (interval)
        va_strbuf_printf(out, " (%sinterval %s)", va_report_level(d, interval),
                         va_report_range(d, va_report_range_of(interval), 3));
    if (!isnan(same) && p->kind->has_sign)
        va_strbuf_printf(out, ", same sign in %.0f %%", 100 * same);
}

static void say_prompts(va_doc *d, const va_points *p, va_strbuf *out) {
    const int64_t layer = p->n_layers > 1 ? va_points_strongest_layer(p) : -1;
    const va_json **means = va_points_means(d, p, layer);
    int64_t n = 0;
    for (int64_t c = 0; means && c < p->n_concepts; c++) {
        if (!means[c] || n++ >= MAX_NAMED)
            continue;
        if (n == 1) {
            va_strbuf_printf(out, " Over %s prompts",
                             va_report_count(d, va_report_number(means[c], "n")));
            if (layer >= 0)
                va_strbuf_printf(out, " at layer %.0f", p->layer[layer]);
        }
        va_strbuf_puts(out, n == 1 ? ": " : "; ");
        say_mean(d, p, means[c], out);
    }
    if (n > MAX_NAMED)
        va_strbuf_printf(out, "; and %lld more concepts", (long long)(n - MAX_NAMED));
    if (n > 0)
        va_strbuf_puts(out, ".");
}

// -- all ---------------------------------------------------------------------------------------

static void say_results(va_doc *d, const va_points *p, va_strbuf *out) {
    const told *t = tell(d, p);
    if (!t)
        return;
    if (!isnan(va_report_number(p->stat, "n_significant")))
        say_chance(d, p, t, out);
    else if (strcmp(p->kind->name, "spectrum") == 0)
        va_strbuf_puts(out, "spectra are compared by their divergence, which has no chance level.");
    else
        va_strbuf_puts(out, "no chance level was asked for, so nothing can be said about chance.");
    say_size(d, p, out);
    say_layers(d, p, out);
    say_prompts(d, p, out);
    if (p->n_failed > 0)
        va_strbuf_printf(out, " %lld could not be measured.", (long long)p->n_failed);
}

void va_report_answer(va_doc *d, const va_json *results, const va_json *stat) {
    const double n = va_report_number(stat, "n");
    const char *name = va_report_string(stat, "name");
    const va_json *of = va_json_get(stat, "of");
    va_strbuf text = {0};
    va_points p;
    if (va_report_has_entries(stat)) {
        va_report_entries_answer(d, stat);
        return;
    }
    if (va_json_count(of) == 2)
        name = va_doc_text(d, "%s (%s)", name, va_report_joined(d, of, 2));
    if (isnan(n) || n == 0)
        va_strbuf_puts(&text, "nothing could be measured; see the errors below.");
    else if (va_points_collect(d, results, stat, &p))
        say_results(d, &p, &text);
    va_doc_answer(d, name, &text);
}
