// report_directions.c: how the directions were found: classifiers, derivatives, files; and what it
// was all run on.
// SPDX-License-Identifier: Apache-2.0
#include "report_sections.h"

#include <math.h>
#include <string.h>

// -- a table of the directions that are of one sort
// ------------------------------------------------

typedef struct sort {
    const char *heading, *note;
    const char *const *titles;
    int n_titles;
    bool (*is)(const va_json *direction);
    void (*row)(va_doc *d, const va_json *direction);
} sort;

static void table(va_doc *d, const va_json *directions, const sort *s) {
    int64_t n = 0;
    for (const va_json *o = va_json_first(directions); o; o = va_json_next(o)) {
        if (!s->is(o))
            continue;
        if (n == 0) {
            va_doc_heading(d, s->heading);
            va_doc_table(d, s->titles, s->n_titles);
        }
        if (n++ < VA_DOC_MAX_ROWS)
            s->row(d, o);
    }
    if (n == 0)
        return;
    va_doc_table_end(d);
    va_report_rest(d, VA_DOC_MAX_ROWS, n, "results.json");
    va_doc_paragraph(d, "%s", s->note);
}

static const char *converged(va_doc *d, const va_json *o) {
    const double n = va_report_number(o, "iterations");
    if (!va_json_get(o, "converged"))
        return "-";
    const char *said = va_report_flag(o, "converged") ? "yes" : "NO";
    return isnan(n) ? said : va_doc_text(d, "%s, %.0f iterations", said, n);
}

// -- classifiers -------------------------------------------------------------------------------

static bool is_classifier(const va_json *o) {
    return va_json_get(o, "classifier");
}

static void classifier_row(va_doc *d, const va_json *o) {
    const va_json *c = va_json_get(o, "classifier");
    const char *const cells[] = {
        va_report_string(o, "name"),
        va_report_string(o, "kind"),
        va_report_string(o, "site"),
        va_report_count(d, va_report_number(c, "n_train")),
        va_report_count(d, va_report_number(c, "n_test")),
        va_report_real(d, va_report_number(c, "f1"), 3, false),
        va_report_real(d, va_report_number(c, "f1_all_positive"), 3, false),
        va_report_real(d, va_report_number(c, "auroc"), 3, false),
        converged(d, o)};
    va_doc_row(d, cells);
}

void va_report_classifiers(va_doc *d, const va_json *directions) {
    static const char *const titles[] = {
        "Classifier",        "Kind",   "Site",     ">Train", ">Test", ">F1",
        ">F1 of always yes", ">AUROC", "Converged"};
    const sort s = {.heading = "Classifiers on held-out items",
                    .note = "Train and Test count texts; all texts of an item stand on one side. A "
                            "classifier no better than always saying yes has not found its "
                            "concept, and its direction means little.",
                    .titles = titles,
                    .n_titles = (int)VA_COUNT(titles),
                    .is = is_classifier,
                    .row = classifier_row};
    table(d, directions, &s);
}

// -- files -------------------------------------------------------------------------------------

static bool is_file(const va_json *o) {
    return va_json_get(o, "path");
}

static void file_row(va_doc *d, const va_json *o) {
    const char *const cells[] = {
        va_report_string(o, "name"), va_report_string(o, "method"), va_report_string(o, "site"),
        va_report_real(d, va_report_number(o, "norm"), 4, false), va_report_string(o, "path")};
    va_doc_row(d, cells);
}

void va_report_files(va_doc *d, const va_json *directions) {
    static const char *const titles[] = {"Direction", "Method", "Site", ">Norm", "File"};
    const sort s = {.heading = "Directions from files",
                    .note = "These were made elsewhere; nothing is known here of how they do on "
                            "held-out items.",
                    .titles = titles,
                    .n_titles = (int)VA_COUNT(titles),
                    .is = is_file,
                    .row = file_row};
    table(d, directions, &s);
}

// -- derivatives -------------------------------------------------------------------------------

static bool is_jacobian(const va_json *o) {
    return va_json_get(o, "map_time") || va_json_get(o, "jvp_time"); // jvp_time: older files
}

static const char *context(va_doc *d, const va_json *o) {
    const double prompts = va_report_number(o, "n_prompts");
    const double tokens = va_report_number(o, "n_tokens");
    if (!isnan(prompts))
        return va_doc_text(d, "mean of %.0f prompts", prompts);
    return isnan(tokens) ? "-" : va_doc_text(d, "%.0f tokens", tokens);
}

static const char *size(va_doc *d, const va_json *o) {
    double sigma;
    if (va_json_as_double(va_json_first(va_json_get(o, "sigma")), &sigma))
        return va_doc_text(d, "sigma %.4g", sigma);
    const double norm = va_report_number(o, "norm");
    return isnan(norm) ? "-" : va_doc_text(d, "%.4g", norm);
}

static void jacobian_row(va_doc *d, const va_json *o) {
    const char *to = va_report_string(o, "to"), *reduce = va_report_string(o, "reduce");
    const double map = va_report_number(o, va_json_get(o, "map_time") ? "map_time" : "jvp_time");
    const double error = va_report_number(o, "reconstruction_error");
    const char *const cells[] = {
        va_report_string(o, "name"),
        va_report_string(o, "from"),
        to[0] ? to : va_report_string(o, "site"),
        va_report_string(o, "mode"),
        reduce[0] ? reduce : "jx",
        va_report_count(d, va_report_number(o, "rank")),
        context(d, o),
        size(d, o),
        va_report_real(d, 1e3 * va_report_number(o, "forward_time"), 2, false),
        va_report_real(d, 1e3 * map, 2, false),
        isnan(error) ? "-" : va_doc_text(d, "%.3g", error),
        converged(d, o)};
    va_doc_row(d, cells);
}

void va_report_jacobians(va_doc *d, const va_json *directions) {
    static const char *const titles[] = {"Jacobian",
                                         "From",
                                         "To",
                                         "Mode",
                                         "Reduced to",
                                         ">Rank",
                                         ">Over",
                                         ">Norm or largest sigma",
                                         ">Forward ms",
                                         ">Map ms",
                                         ">std(y - Jx)/std(y)",
                                         "Converged"};
    const sort s = {.heading = "Jacobians",
                    .note =
                        "In detached mode the map reproduces the output, and std(y - Jx)/std(y) "
                        "is rounding; the exact Jacobian is the derivative, and need not.",
                    .titles = titles,
                    .n_titles = (int)VA_COUNT(titles),
                    .is = is_jacobian,
                    .row = jacobian_row};
    table(d, directions, &s);
}

// -- provenance --------------------------------------------------------------------------------

static void concepts(va_doc *d, const va_json *list) {
    static const char *const titles[] = {"Concept", ">Positives", ">Hard negatives",
                                         ">Random negatives"};
    int64_t n = 0;
    if (va_json_count(list) == 0)
        return;
    va_doc_table(d, titles, (int)VA_COUNT(titles));
    for (const va_json *c = va_json_first(list); c; c = va_json_next(c)) {
        if (n++ >= VA_DOC_MAX_ROWS)
            continue;
        const char *const cells[] = {va_report_string(c, "name"),
                                     va_report_count(d, va_report_number(c, "positives")),
                                     va_report_count(d, va_report_number(c, "hard_negatives")),
                                     va_report_count(d, va_report_number(c, "random_negatives"))};
        va_doc_row(d, cells);
    }
    va_doc_table_end(d);
    va_report_rest(d, VA_DOC_MAX_ROWS, n, "results.json");
}

void va_report_provenance(va_doc *d, const va_json *meta) {
    const va_json *model = va_json_get(meta, "model"), *device = va_json_get(meta, "device");
    const double bytes = va_report_number(device, "peak_bytes");
    const bool dequantised = va_report_flag(model, "dequantised");
    const double units = va_report_number(meta, "n_units");
    const double reused = va_report_number(meta, "n_units_reused");
    const char *peak = "";
    char size[32];
    if (bytes > 0 && bytes < 0x1p63)
        peak = va_doc_text(d, ", %s of device memory at the peak",
                           va_format_bytes(size, (int64_t)bytes));
    va_doc_heading(d, "How it was made");
    va_doc_paragraph(d, "Model %s: %s, %s layers, width %s, %s%s, SHA-256 of the weights used %s.",
                     va_report_string(model, "path"), va_report_string(model, "family"),
                     va_report_count(d, va_report_number(model, "n_layer")),
                     va_report_count(d, va_report_number(model, "d_model")),
                     va_report_string(model, "dtype"),
                     dequantised ? " (dequantised: float32 of the packed weights)" : "",
                     va_report_string(model, "sha256"));
    va_doc_paragraph(d, "Device %s, driver %s%s.", va_report_string(device, "name"),
                     va_report_string(device, "driver"), peak);
    va_doc_paragraph(d, "%s, %s, %s s, seed %s.%s", va_report_string(meta, "tool"),
                     va_report_string(meta, "created"),
                     va_report_real(d, va_report_number(meta, "seconds"), 1, false),
                     va_report_count(d, va_report_number(meta, "seed")),
                     reused > 0 ? va_doc_text(d, " %s units were computed by earlier runs.",
                                              va_report_of(d, reused, units))
                                : "");
    concepts(d, va_json_get(meta, "concepts"));
    va_doc_paragraph(d, "Chance levels: analytic and random take directions spread evenly over all "
                        "dimensions. Activations of language models are not, so real chance can "
                        "reach farther: covariance takes directions spread as the activations are, "
                        "permutation finds the direction again from permuted labels.");
}
