// report_svg.c: what figures are drawn with: scales, ticks, marks, legends.
// SPDX-License-Identifier: Apache-2.0
#include "report_chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report_doc.h"

// -- scales ------------------------------------------------------------------------------------

static double measure(const va_scale *s, double v) {
    return s->log ? log10(v) : v;
}

double va_scale_at(const va_scale *s, double v) {
    const double from = measure(s, s->from), to = measure(s, s->to);
    const double share = (measure(s, v) - from) / (to - from);
    if (!(share >= 0)) // NaN as well
        return s->first;
    return s->first + fmin(share, 1) * (s->last - s->first);
}

bool va_scale_holds(const va_scale *s, double v) {
    return v >= s->from && v <= s->to;
}

void va_range_add(va_range *range, double v) {
    range->low = fmin(range->low, v); // fmin and fmax pass over NaN
    range->high = fmax(range->high, v);
}

void va_range_join(va_range *range, va_range other) {
    va_range_add(range, other.low);
    va_range_add(range, other.high);
}

// -- marks -------------------------------------------------------------------------------------

void va_svg_open(va_strbuf *svg, double width, double height, const char *label) {
    va_strbuf_printf(svg,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
                     "width=\"%.0f\" height=\"%.0f\" role=\"img\" aria-label=\"",
                     width, height, width, height);
    va_report_escape(svg, label, VA_DOC_HTML);
    va_strbuf_puts(svg, "\">\n");
}

void va_svg_close(va_strbuf *svg) {
    va_strbuf_puts(svg, "</svg>\n");
}

void va_svg_line(va_strbuf *svg, const char *style, double x0, double y0, double x1, double y1) {
    va_strbuf_printf(svg, "<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", style, x0, y0, x1,
                     y1);
}

void va_svg_rect(va_strbuf *svg, const char *style, double x, double y, double w, double h) {
    va_strbuf_printf(svg,
                     "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                     style, x, y, w, h);
}

void va_svg_circle(va_strbuf *svg, const char *style, double x, double y, double r) {
    va_strbuf_printf(svg, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n", style, x,
                     y, r);
}

void va_svg_text(va_strbuf *svg, const char *style, double x, double y, const char *anchor,
                 const char *text) {
    va_strbuf_printf(svg, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", style, x,
                     y, anchor);
    va_report_escape(svg, text, VA_DOC_HTML);
    va_strbuf_puts(svg, "</text>\n");
}

static bool begins_character(char c) {
    return ((unsigned char)c & 0xc0) != 0x80; // UTF-8
}

void va_svg_label(va_strbuf *svg, double x, double y, const char *anchor, const char *text,
                  int most) {
    char cut[256];
    int n_characters = 0, n = 0, end = 0;
    for (; text[n] && n < (int)sizeof cut - 8; n++)
        if (begins_character(text[n]) && ++n_characters == most)
            end = n; // room for the ellipsis
    if (!text[n] && n_characters <= most) {
        va_svg_text(svg, "", x, y, anchor, text);
        return;
    }
    snprintf(cut, sizeof cut, "%.*s\xe2\x80\xa6", end, text);
    va_strbuf_printf(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"><title>", x, y, anchor);
    va_report_escape(svg, text, VA_DOC_HTML);
    va_strbuf_puts(svg, "</title>");
    va_report_escape(svg, cut, VA_DOC_HTML);
    va_strbuf_puts(svg, "</text>\n");
}

double va_svg_width(const char *text) {
    double width = 0;
    for (; *text; text++)
        width += begins_character(*text) ? VA_CHART_CHARACTER : 0;
    return width;
}

void va_svg_bar(va_strbuf *svg, double x0, double x1, double y) {
    va_strbuf_printf(svg, "<path class=\"bar\" d=\"M%.1f %.1fv8m0 -4H%.1fm0 -4v8\"/>\n", x0, y - 4,
                     x1);
}

void va_svg_upright(va_strbuf *svg, double x, double y0, double y1) {
    va_strbuf_printf(svg, "<path class=\"bar\" d=\"M%.1f %.1fh6m-3 0V%.1fm-3 0h6\"/>\n", x - 3, y0,
                     y1);
}

// -- ticks -------------------------------------------------------------------------------------

// 1, 2 or 5 times a power of ten, for about n ticks.
static double nice_step(double from, double to, int n) {
    const double raw = (to - from) / n, power = pow(10, floor(log10(raw)));
    const double digits = raw / power;
    return power * (digits <= 1 ? 1 : digits <= 2 ? 2 : digits <= 5 ? 5 : 10);
}

// The ticks of a scale, at most `most`, which holds them all: about n of them.
static int ticks_of(const va_scale *s, int n, double *at, int most) {
    int count = 0;
    if (s->log) { // powers of ten, or 1, 2 and 5 times them
        const bool fine = log10(s->to / s->from) < 2;
        for (double e = floor(log10(s->from)); pow(10, e) <= s->to && count < most - 2; e++)
            for (int k = 0; k < (fine ? 3 : 1); k++) {
                const double v = pow(10, e) * (k == 0 ? 1 : k == 1 ? 2 : 5);
                if (va_scale_holds(s, v))
                    at[count++] = v;
            }
        return count;
    }
    const double nice = nice_step(s->from, s->to, n), step = s->whole ? fmax(nice, 1) : nice;
    const double slack = step * 1e-6;
    if (!(step > 0) || !isfinite(step))
        return 0;
    double v = ceil((s->from - slack) / step) * step;
    for (; v <= s->to + slack && count < most; v += step)
        at[count++] = fabs(v) < slack ? 0 : v;
    return count;
}

enum { MAX_TICKS = 24 };

void va_svg_ticks_x(va_strbuf *svg, const va_scale *x, double y, double top, const char *name) {
    double at[MAX_TICKS];
    const int n = ticks_of(x, x->whole ? 12 : 6, at, MAX_TICKS);
    for (int i = 0; i < n; i++) {
        char number[32];
        const double place = va_scale_at(x, at[i]);
        snprintf(number, sizeof number, "%g", at[i]);
        if (top < y)
            va_svg_line(svg, "grid", place, top, place, y);
        va_svg_line(svg, "axis", place, y, place, y + 5);
        va_svg_text(svg, "s", place, y + 19, "middle", number);
    }
    va_svg_line(svg, "axis", x->first, y, x->last, y);
    va_svg_text(svg, "s", (x->first + x->last) / 2, y + 37, "middle", name);
}

void va_svg_ticks_y(va_strbuf *svg, const va_scale *y, double left, double right,
                    const char *name) {
    double at[MAX_TICKS];
    const int n = ticks_of(y, 5, at, MAX_TICKS);
    for (int i = 0; i < n; i++) {
        char number[32];
        const double place = va_scale_at(y, at[i]);
        snprintf(number, sizeof number, "%g", at[i]);
        va_svg_line(svg, "grid", left, place, right, place);
        va_svg_text(svg, "s", left - 8, place + 4, "end", number);
    }
    va_svg_text(svg, "s", left, y->last - 10, "start", name);
}

// -- legends -----------------------------------------------------------------------------------

const char *va_svg_null_style(const char *name) {
    static const char *const styles[VA_CHART_NULLS][2] = {
        {"analytic", "n1"}, {"random", "n2"}, {"covariance", "n3"}, {"permutation", "n4"}};
    for (int i = 0; i < VA_CHART_NULLS; i++)
        if (strcmp(styles[i][0], name) == 0)
            return styles[i][1];
    return styles[0][1];
}

enum { MARK = 26, GAP = 18, LINE = 20 };

// Where the next item's mark begins; goes to the next line when its text would not fit.
static double next_item(va_legend *l, const char *text) {
    const double width = MARK + va_svg_width(text) + GAP;
    if (l->x + width > l->right + GAP && l->x > l->left) {
        l->x = l->left;
        l->y += LINE;
    }
    const double x = l->x;
    va_svg_text(l->svg, "", x + MARK, l->y + 4, "start", text);
    l->x += width;
    return x;
}

void va_legend_null(va_legend *l, const char *name) {
    char text[128];
    snprintf(text, sizeof text, "chance, %.100s", name);
    const double x = next_item(l, text);
    va_svg_rect(l->svg, va_svg_null_style(name), x, l->y - 4, 20, 7);
}

void va_legend_dot(va_legend *l, const char *style, const char *text) {
    const double x = next_item(l, text);
    va_svg_circle(l->svg, style, x + 12, l->y, 4.5);
}

void va_legend_bar(va_legend *l, const char *text) {
    const double x = next_item(l, text);
    va_svg_bar(l->svg, x, x + 20, l->y);
}

void va_legend_end(va_legend *l) {
    l->y += LINE;
    l->x = l->left;
}
