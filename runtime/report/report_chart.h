// report_chart.h: figures as SVG: dots over the ranges of chance, lines, a histogram. They know
// nothing of results.json. Colours are classes of the page's style sheet. Private to the layer.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_REPORT_CHART_H
#define VKALIGN_REPORT_CHART_H

#include "vkalign/base.h"

enum { VA_CHART_NULLS = 4, VA_CHART_WIDTH = 760, VA_CHART_CHARACTER = 8 };

typedef struct va_range { // NAN: none
    double low, high;
} va_range;

// -- dots
// ------------------------------------------------------------------------------------------

typedef struct va_dot {
    double value; // NAN: not drawn
    bool differs; // from chance: filled
} va_dot;
typedef struct va_dot_row {
    const char *label;
    const va_dot *dots;
    int64_t n_dots;
    double mean; // of several dots; NAN: none
    va_range interval;
    va_range chance[VA_CHART_NULLS];
} va_dot_row;
typedef struct va_dot_chart {
    const char *axis;     // what the numbers are
    const char *interval; // what the intervals are
    const char *mean;     // what the means are
    const char *const *nulls;
    int n_nulls;
    bool has_verdict;       // dots differ from chance or do not
    bool symmetric;         // the axis reaches as far to both sides of the centre
    double centre;          // on the axis
    double lowest, highest; // the axis ends here at the latest
    const va_dot_row *rows;
    int64_t n_rows;
} va_dot_chart;
// A row for each label.
void va_chart_dots(va_strbuf *svg, const va_dot_chart *c);

// -- lines
// -----------------------------------------------------------------------------------------

typedef struct va_line {
    const char *label;
    const double *y;          // [n_x], NAN: none
    const bool *differs;      // [n_x], or NULL: no verdict
    const va_range *interval; // [n_x], or NULL
} va_line;
typedef struct va_line_chart {
    const char *title, *x_axis, *y_axis; // title NULL: none
    double width, height;                // 0: default
    const double *x;                     // ascending
    int64_t n_x;
    const va_line *lines;
    int64_t n_lines;
    const char *const *nulls;
    const va_range *chance[VA_CHART_NULLS]; // [n_x] each
    int n_nulls;
    bool log_y;
    double centre; // on the axis; NAN: need not be
} va_line_chart;
// The lines that reach farthest are coloured and labelled at their ends, the others grey.
void va_chart_lines(va_strbuf *svg, const va_line_chart *c);

// -- histogram
// -------------------------------------------------------------------------------------

// Equal bins over [-1, 1].
void va_chart_histogram(va_strbuf *svg, const double *counts, int64_t n);

// -- what they are drawn with (report_svg.c)
// -------------------------------------------------------

// From numbers to places: linear or logarithmic.
typedef struct va_scale {
    double from, to;    // numbers
    double first, last; // places
    bool log;
    bool whole; // numbers that count something: no ticks between them
} va_scale;
double va_scale_at(const va_scale *s, double v); // always between first and last
bool va_scale_holds(const va_scale *s, double v);
// Widened to include v and r.
void va_range_add(va_range *range, double v);
void va_range_join(va_range *range, va_range other);

void va_svg_open(va_strbuf *svg, double width, double height, const char *label);
void va_svg_close(va_strbuf *svg);
void va_svg_line(va_strbuf *svg, const char *style, double x0, double y0, double x1, double y1);
void va_svg_rect(va_strbuf *svg, const char *style, double x, double y, double w, double h);
void va_svg_circle(va_strbuf *svg, const char *style, double x, double y, double r);
void va_svg_text(va_strbuf *svg, const char *style, double x, double y, const char *anchor,
                 const char *text);
// Cut at so many characters, with its whole in a tooltip.
void va_svg_label(va_strbuf *svg, double x, double y, const char *anchor, const char *text,
                  int most);
double va_svg_width(const char *text); // about, in units of the drawing
// A bar with ends, from (x0, y) to (x1, y) or, upright, from (x, y0) to (x, y1).
void va_svg_bar(va_strbuf *svg, double x0, double x1, double y);
void va_svg_upright(va_strbuf *svg, double x, double y0, double y1);
// Ticks with numbers below (x axis) or to the left with grid lines to `across` (y axis).
void va_svg_ticks_x(va_strbuf *svg, const va_scale *x, double y, double top, const char *name);
void va_svg_ticks_y(va_strbuf *svg, const va_scale *y, double left, double right, const char *name);

// Items of a legend, set one after another from the left, in several lines where they must.
typedef struct va_legend {
    va_strbuf *svg;
    double x, y, left, right;
} va_legend;
void va_legend_null(va_legend *l, const char *name);
void va_legend_dot(va_legend *l, const char *style, const char *text);
void va_legend_bar(va_legend *l, const char *text);
void va_legend_end(va_legend *l); // y: below the last line

// By the level's name, so that it looks the same in every figure of a page.
const char *va_svg_null_style(const char *name);
#endif
