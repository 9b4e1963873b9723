// report_dots.c: dots in rows, each over the ranges that chance alone reaches; a histogram.
// SPDX-License-Identifier: Apache-2.0
#include "report_chart.h"

#include <math.h>

enum { RIGHT = 24, BAR = 7, MIN_ROW = 24, BOTTOM = 46, LABEL = 30 };

typedef struct dots {
    va_strbuf *svg;
    const va_dot_chart *c;
    va_scale x;
    double row_height, top;
} dots;

static double left_of(const va_dot_chart *c) {
    double width = 40;
    for (int64_t i = 0; i < c->n_rows; i++)
        width = fmax(width, fmin(va_svg_width(c->rows[i].label), LABEL * VA_CHART_CHARACTER));
    return width + 24;
}

// All that is drawn, with some room, within the bounds.
static void find_range(const va_dot_chart *c, va_scale *x) {
    va_range all = {c->centre, c->centre};
    for (int64_t i = 0; i < c->n_rows; i++) {
        const va_dot_row *row = &c->rows[i];
        for (int64_t k = 0; k < row->n_dots; k++)
            va_range_add(&all, row->dots[k].value);
        va_range_add(&all, row->mean);
        va_range_join(&all, row->interval);
        for (int k = 0; k < c->n_nulls; k++)
            va_range_join(&all, row->chance[k]);
    }
    if (c->symmetric) {
        const double half = fmax(c->centre - all.low, all.high - c->centre);
        all = (va_range){c->centre - half, c->centre + half};
    }
    const double room = all.high > all.low ? 0.06 * (all.high - all.low) : 0.5;
    x->from = all.low < c->centre || c->symmetric ? fmax(all.low - room, c->lowest) : all.low;
    x->to = fmin(all.high + room, c->highest);
    if (!(x->to > x->from) || !isfinite(x->to - x->from)) { // numbers out of any use
        x->from = c->centre - 1;
        x->to = c->centre + 1;
    }
}

static void legend(va_strbuf *svg, const va_dot_chart *c, double left, double *top) {
    bool any_interval = false, any_mean = false;
    va_legend l = {.svg = svg, .x = left, .y = 12, .left = left, .right = VA_CHART_WIDTH - RIGHT};
    for (int64_t i = 0; i < c->n_rows; i++) {
        any_interval |= c->rows[i].interval.low <= c->rows[i].interval.high;
        any_mean |= !isnan(c->rows[i].mean);
    }
    for (int k = 0; k < c->n_nulls; k++)
        va_legend_null(&l, c->nulls[k]);
    if (c->has_verdict) {
        va_legend_dot(&l, "yes", "differs from chance");
        va_legend_dot(&l, "no", "does not");
    }
    if (any_mean && c->mean)
        va_legend_dot(&l, "mean", c->mean);
    if (any_interval && c->interval)
        va_legend_bar(&l, c->interval);
    if (l.x > left || l.y > 12)
        va_legend_end(&l);
    *top = l.y + 2;
}

// Chance as bars one below the other, in the legend's order.
static void chance_bars(const dots *p, const va_dot_row *row, double top) {
    double y = top + (p->row_height - BAR * p->c->n_nulls) / 2;
    for (int k = 0; k < p->c->n_nulls; k++, y += BAR) {
        const va_range r = row->chance[k];
        if (!(r.low <= r.high))
            continue;
        const double x0 = va_scale_at(&p->x, r.low), x1 = va_scale_at(&p->x, r.high);
        va_svg_rect(p->svg, va_svg_null_style(p->c->nulls[k]), x0, y + 1, x1 - x0, BAR - 2);
    }
}

static void draw_row(const dots *p, int64_t i) {
    const va_dot_row *row = &p->c->rows[i];
    const double top = p->top + p->row_height * (double)i, y = top + p->row_height / 2;
    va_svg_label(p->svg, p->x.first - 12, y + 4, "end", row->label, LABEL);
    if (i > 0)
        va_svg_line(p->svg, "grid", p->x.first, top, p->x.last, top);
    chance_bars(p, row, top);
    if (row->interval.low <= row->interval.high)
        va_svg_bar(p->svg, va_scale_at(&p->x, row->interval.low),
                   va_scale_at(&p->x, row->interval.high), y);
    for (int64_t k = 0; k < row->n_dots; k++) {
        const double x = va_scale_at(&p->x, row->dots[k].value);
        if (isnan(row->dots[k].value))
            continue;
        if (row->n_dots == 1 && p->c->n_nulls > 0)
            va_svg_line(p->svg, "at", x, top + 2, x, top + p->row_height - 2);
        va_svg_circle(p->svg, row->dots[k].differs || !p->c->has_verdict ? "yes" : "no", x, y,
                      row->n_dots == 1 ? 5 : 3.5);
    }
    if (!isnan(row->mean))
        va_svg_circle(p->svg, "mean", va_scale_at(&p->x, row->mean), y, 5);
}

void va_chart_dots(va_strbuf *svg, const va_dot_chart *c) {
    dots p = {.svg = svg, .c = c, .row_height = fmax(MIN_ROW, BAR * c->n_nulls + 12)};
    const double left = left_of(c);
    va_strbuf head = {0};
    p.x = (va_scale){.first = left, .last = VA_CHART_WIDTH - RIGHT};
    find_range(c, &p.x);
    legend(&head, c, left, &p.top);
    const double bottom = p.top + p.row_height * (double)c->n_rows;
    va_svg_open(svg, VA_CHART_WIDTH, bottom + BOTTOM, c->axis);
    va_strbuf_append(svg, head.data ? head.data : "", head.len);
    svg->failed |= head.failed;
    va_strbuf_free(&head);
    va_svg_ticks_x(svg, &p.x, bottom, p.top, c->axis);
    if (va_scale_holds(&p.x, c->centre))
        va_svg_line(svg, "zero", va_scale_at(&p.x, c->centre), p.top, va_scale_at(&p.x, c->centre),
                    bottom);
    for (int64_t i = 0; i < c->n_rows; i++)
        draw_row(&p, i);
    va_svg_close(svg);
}

// -- histogram ---------------------------------------------------------------------------------

void va_chart_histogram(va_strbuf *svg, const double *counts, int64_t n) {
    enum { LEFT = 64, TOP = 26, HEIGHT = 130 };
    double most = 1;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, counts[i]);
    const va_scale x = {-1, 1, LEFT, VA_CHART_WIDTH - RIGHT, false, false};
    const va_scale y = {0, most, TOP + HEIGHT, TOP, false, true};
    va_svg_open(svg, VA_CHART_WIDTH, TOP + HEIGHT + BOTTOM, "histogram");
    va_svg_ticks_y(svg, &y, LEFT, VA_CHART_WIDTH - RIGHT, "results");
    for (int64_t i = 0; i < n; i++) {
        const double a = va_scale_at(&x, 2 * (double)i / (double)n - 1);
        const double b = va_scale_at(&x, 2 * (double)(i + 1) / (double)n - 1);
        const double top = va_scale_at(&y, counts[i]);
        if (counts[i] > 0)
            va_svg_rect(svg, "bin", a + 0.5, top, fmax(b - a - 1, 0.5), TOP + HEIGHT - top);
    }
    va_svg_ticks_x(svg, &x, TOP + HEIGHT, TOP + HEIGHT, "value");
    va_svg_close(svg);
}
