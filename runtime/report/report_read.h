// report_read.h: reading results.json for the report: numbers that may be absent, kinds of metrics,
// a metric's results in order. Private to the layer.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_REPORT_READ_H
#define VKALIGN_REPORT_READ_H

#include "report_chart.h"
#include "report_doc.h"

// -- values ------------------------------------------------------------------------------------

double va_report_number(const va_json *o, const char *key);      // NAN when absent
const char *va_report_string(const va_json *o, const char *key); // "" when absent
bool va_report_flag(const va_json *o, const char *key);          // false when absent
va_range va_report_range_of(const va_json *o);                   // its low and high
bool va_report_has_range(va_range r);

// -- as text: "-" for what is missing
// --------------------------------------------------------------

const char *va_report_count(va_doc *d, double v);
const char *va_report_real(va_doc *d, double v, int digits, bool plus);
const char *va_report_of(va_doc *d, double k, double n); // "2 of 5"
const char *va_report_p(va_doc *d, double p);
const char *va_report_range(va_doc *d, va_range r, int digits);  // "-0.15 to 0.15"
const char *va_report_level(va_doc *d, const va_json *interval); // "95 % ", "" when unknown
// "A, B, C and 4 more" of a list of strings, at most `most` by name.
const char *va_report_joined(va_doc *d, const va_json *list, int64_t most);

// What an entry or a bound is about: "Physical, layer 4, PROMPT"; `all` when it names nothing.
const char *va_report_place(va_doc *d, const va_json *o, const char *all);

// -- kinds of metrics
// ------------------------------------------------------------------------------

typedef struct va_report_kind {
    const char *name, *key; // in the file; key of the number
    const char *number;     // what it is called: "cosine"
    const char *one, *many; // results: "alignment", "alignments"
    bool has_sign;          // means are taken of absolute numbers as well
    double centre;          // where chance lies
    double lowest, highest; // bounds
} va_report_kind;

// Of a metric's statistics; files without kinds hold cosines.
const va_report_kind *va_report_kind_of(const va_json *stat);
// The mean that tells how strong a metric is: of absolute numbers where they have signs.
double va_report_strength(const va_report_kind *kind, const va_json *stat);
const char *va_report_strength_name(va_doc *d, const va_report_kind *kind); // "|cosine|"
// "Holm's correction"
const char *va_report_correction(const va_json *stat);
// Of a null of a result; files without it have a standard deviation.
va_range va_report_chance(const va_json *null);
// Of the null that a result is hardest to tell from, by its p: the one that binds the verdict.
va_range va_report_binding(const va_json *metric);

// -- a metric's results
// ----------------------------------------------------------------------------

typedef struct va_point {
    const va_json *result, *metric; // metric NULL: failed
    int64_t concept_index, layer;   // indexes into va_points; layer -1: none
    double value;
    bool differs; // from chance
} va_point;

typedef struct va_points {
    const va_json *stat;
    const va_report_kind *kind;
    const char *name;
    va_point *at; // in the file's order
    int64_t n, n_failed;
    const char **concept_name; // in order of first appearance
    int64_t n_concepts;
    double *layer; // ascending
    int64_t n_layers;
    const char *null_name[VA_CHART_NULLS];
    int n_nulls;
    bool several;                  // results of a concept at one layer: prompts
    const struct va_named *sorted; // concepts by name
} va_points;

// false when memory ran out, which the document remembers.
bool va_points_collect(va_doc *d, const va_json *results, const va_json *stat, va_points *p);
int64_t va_points_concept(const va_points *p, const char *name); // -1: none
int64_t va_points_layer(const va_points *p, double layer);       // -1: none
// Where the metric is strongest over the concepts, or else in one of them; -1: no layers.
int64_t va_points_strongest_layer(const va_points *p);
// Distance from where chance lies; NAN for a number that is missing.
double va_point_distance(const va_points *p, const va_point *x);
va_range va_point_chance(const va_points *p, const va_point *x, int null); // NAN: none
// Each concept's object of by_concept at a layer (-1: any): over prompts; NULL where none is.
const va_json **va_points_means(va_doc *d, const va_points *p, int64_t layer);

#endif
