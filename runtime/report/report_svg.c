// report_svg.c: the report's two figures.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>

#include "report_doc.h"

enum { WIDTH = 720, LEFT = 130, RIGHT = 20, ROW = 26, TOP = 14, AXIS = 34 };

static double x_of(double v, double limit) {
    return LEFT + (v / limit + 1) / 2 * (WIDTH - LEFT - RIGHT);
}

static void text_at(va_strbuf *svg, double x, double y, const char *anchor, const char *text) {
    va_strbuf_printf(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    va_report_escape(svg, text, VA_DOC_HTML);
    va_strbuf_puts(svg, "</text>\n");
}

static void open_svg(va_strbuf *svg, double height, const char *label) {
    va_strbuf_printf(svg,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" "
                     "width=\"%d\" height=\"%.0f\" font-family=\"system-ui,sans-serif\" "
                     "font-size=\"13\" fill=\"#333\" role=\"img\" aria-label=\"%s\">\n",
                     WIDTH, height, WIDTH, height, label);
}

// Ticks at -limit, -limit/2, 0, limit/2, limit.
static void axis(va_strbuf *svg, double y, double limit) {
    va_strbuf_printf(svg, "<path d=\"M%d %.1fH%d\" stroke=\"#888\"/>\n", LEFT, y, WIDTH - RIGHT);
    for (int i = -2; i <= 2; i++) {
        char number[32];
        double v = limit * i / 2;
        snprintf(number, sizeof number, "%.3g", v);
        va_strbuf_printf(svg, "<path d=\"M%.1f %.1fv5\" stroke=\"#888\"/>\n", x_of(v, limit), y);
        text_at(svg, x_of(v, limit), y + 20, i == 2 ? "end" : "middle", number);
    }
}

static double widest(const va_json *list, const char *metric, double chance_std) {
    double limit = 3 * chance_std;
    for (const va_json *r = va_json_first(list); r; r = va_json_next(r)) {
        const va_json *m = va_report_metric(r, metric);
        limit = m ? fmax(limit, 1.15 * va_report_number(m, "abs_cosine")) : limit;
    }
    return fmin(limit > 0 ? limit : 1, 1);
}

void va_report_dots(va_strbuf *svg, const va_json *results, const char *metric, double chance_std) {
    const va_json *list = va_json_get(results, "results");
    int64_t n = va_json_count(list);
    double limit = widest(list, metric, chance_std), bottom = TOP + ROW * (double)n;
    open_svg(svg, bottom + AXIS, "cosines with the chance band");
    double band = 1.96 * chance_std, x0 = x_of(fmax(-band, -limit), limit);
    va_strbuf_printf(svg,
                     "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%.1f\" "
                     "fill=\"#dde4f0\"/>\n",
                     x0, TOP, x_of(fmin(band, limit), limit) - x0, bottom - TOP);
    va_strbuf_printf(svg, "<path d=\"M%.1f %dV%.1f\" stroke=\"#99a\"/>\n", x_of(0, limit), TOP,
                     bottom);
    int64_t i = 0;
    for (const va_json *r = va_json_first(list); r; r = va_json_next(r), i++) {
        double y = TOP + ROW * ((double)i + 0.5);
        const va_json *m = va_report_metric(r, metric);
        text_at(svg, LEFT - 10, y + 4, "end", va_report_text(r, "concept"));
        if (m)
            va_strbuf_printf(svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"#b0413e\"/>\n",
                             x_of(va_report_number(m, "cosine"), limit), y);
    }
    axis(svg, bottom, limit);
    va_strbuf_puts(svg, "</svg>\n");
}

void va_report_histogram(va_strbuf *svg, const va_json *histogram) {
    enum { HEIGHT = 120 };
    const va_json *counts = va_json_get(histogram, "counts");
    int64_t n = va_json_count(counts), i = 0;
    double most = 1, count = 0;
    for (const va_json *c = va_json_first(counts); c; c = va_json_next(c))
        if (va_json_as_double(c, &count))
            most = fmax(most, count);
    open_svg(svg, TOP + HEIGHT + AXIS, "histogram of the cosines");
    for (const va_json *c = va_json_first(counts); c; c = va_json_next(c), i++) {
        double a = x_of(2 * (double)i / (double)n - 1, 1);
        double b = x_of(2 * (double)(i + 1) / (double)n - 1, 1);
        count = 0;
        va_json_as_double(c, &count);
        double h = HEIGHT * count / most;
        if (count > 0)
            va_strbuf_printf(svg,
                             "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                             "fill=\"#5b7db1\"/>\n",
                             a + 0.5, TOP + HEIGHT - h, b - a - 1, h);
    }
    char number[32];
    snprintf(number, sizeof number, "%.0f", most);
    text_at(svg, LEFT - 10, TOP + 10, "end", number);
    axis(svg, TOP + HEIGHT, 1);
    va_strbuf_puts(svg, "</svg>\n");
}
