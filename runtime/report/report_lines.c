// report_lines.c: lines over a number (layer, rank, index), with the ranges that chance alone
// reaches behind them.
// SPDX-License-Identifier: Apache-2.0
#include "report_chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEIGHT = 380, LEFT = 64, RIGHT = 24, BOTTOM = 50, LABEL = 24, STEP = 15, COLOURS = 8 };

typedef struct ranked {
    int64_t line;
    double reach; // how far from the centre it goes
} ranked;

typedef struct plot {
    va_strbuf *svg;
    const va_line_chart *c;
    va_scale x, y;
    ranked top[COLOURS]; // the coloured lines, farthest first
    int64_t n_top;
} plot;

// -- what is drawn -----------------------------------------------------------------------------

// Of the line that ranks k-th: 1 to 6 and again, every other one dashed; 0: grey.
static int colour_of(int64_t k) {
    return k < 0 ? 0 : (int)(k % 6) + 1;
}

static const char *dash_of(int64_t k) {
    return k >= 0 && (k % 2 == 1) != (k >= 6) ? " d" : "";
}

static int64_t rank_of(const plot *p, int64_t line) {
    for (int64_t k = 0; k < p->n_top; k++)
        if (p->top[k].line == line)
            return k;
    return -1;
}

// All lines are coloured in their order where they are few.
static void rank_lines(plot *p) {
    const va_line_chart *c = p->c;
    const double centre = isnan(c->centre) ? 0 : c->centre;
    for (int64_t i = 0; i < c->n_lines; i++) {
        double reach = -1;
        for (int64_t k = 0; k < c->n_x; k++)
            reach = fmax(reach, fabs(c->lines[i].y[k] - centre));
        int64_t at = VA_MIN(p->n_top, COLOURS);
        while (c->n_lines > COLOURS && at > 0 && p->top[at - 1].reach < reach)
            at--;
        if (at == COLOURS)
            continue;
        p->n_top = VA_MIN(p->n_top + 1, COLOURS);
        for (int64_t k = p->n_top - 1; k > at; k--)
            p->top[k] = p->top[k - 1];
        p->top[at] = (ranked){i, reach};
    }
}

static bool drawn(const va_line_chart *c, double v) {
    return !isnan(v) && (!c->log_y || v > 0);
}

static void find_range(plot *p) {
    const va_line_chart *c = p->c;
    va_range all = {c->centre, c->centre};
    for (int64_t i = 0; i < c->n_lines; i++)
        for (int64_t k = 0; k < c->n_x; k++) {
            if (drawn(c, c->lines[i].y[k]))
                va_range_add(&all, c->lines[i].y[k]);
            if (c->lines[i].interval)
                va_range_join(&all, c->lines[i].interval[k]);
        }
    for (int n = 0; n < c->n_nulls; n++)
        for (int64_t k = 0; k < c->n_x; k++)
            va_range_join(&all, c->chance[n][k]);
    const double room = 0.05 * (all.high - all.low);
    p->y.log = c->log_y;
    p->y.from = c->log_y                                  ? all.low / 1.2
                : all.low < c->centre || isnan(c->centre) ? all.low - room
                                                          : all.low;
    p->y.to = c->log_y ? all.high * 1.2 : all.high + room;
    if (!(p->y.to > p->y.from) || !isfinite(p->y.to - p->y.from)) {
        p->y.from = c->log_y ? 0.1 : -1;
        p->y.to = c->log_y ? 10 : 1;
    }
    p->x.whole = true;
    p->x.from = c->n_x > 0 ? c->x[0] : 0;
    p->x.to = c->n_x > 0 ? c->x[c->n_x - 1] : 1;
    if (!(p->x.to > p->x.from) || !isfinite(p->x.to - p->x.from)) {
        p->x.from -= 1;
        p->x.to = p->x.from + 2;
    }
}

// -- chance ------------------------------------------------------------------------------------

static bool has(const va_range *r, int64_t k) {
    return r[k].low <= r[k].high;
}

// There along the upper bounds, back along the lower; a gap ends a band.
static void draw_band(const plot *p, int null) {
    const va_range *r = p->c->chance[null];
    for (int64_t i = 0; i < p->c->n_x; i++) {
        int64_t end = i;
        while (end < p->c->n_x && has(r, end))
            end++;
        if (end - i < 2) {
            i = VA_MAX(i, end - 1);
            continue;
        }
        va_strbuf_printf(p->svg, "<path class=\"band %s\" d=\"M",
                         va_svg_null_style(p->c->nulls[null]));
        for (int64_t k = i; k < end; k++)
            va_strbuf_printf(p->svg, "%.1f %.1fL", va_scale_at(&p->x, p->c->x[k]),
                             va_scale_at(&p->y, r[k].high));
        for (int64_t k = end - 1; k >= i; k--)
            va_strbuf_printf(p->svg, "%.1f %.1f%s", va_scale_at(&p->x, p->c->x[k]),
                             va_scale_at(&p->y, r[k].low), k > i ? "L" : "Z\"/>\n");
        i = end - 1;
    }
}

// -- lines -------------------------------------------------------------------------------------

static void draw_path(const plot *p, const va_line *line, int64_t k) {
    bool on = false;
    va_strbuf_printf(p->svg, "<path class=\"l k%d%s\" d=\"", colour_of(k), dash_of(k));
    for (int64_t i = 0; i < p->c->n_x; i++) {
        const bool here = drawn(p->c, line->y[i]);
        if (here)
            va_strbuf_printf(p->svg, "%s%.1f %.1f", on ? "L" : "M", va_scale_at(&p->x, p->c->x[i]),
                             va_scale_at(&p->y, line->y[i]));
        on = here;
    }
    va_strbuf_puts(p->svg, "\"/>\n");
}

static void draw_marks(const plot *p, const va_line *line, int64_t k) {
    char style[40];
    for (int64_t i = 0; i < p->c->n_x; i++) {
        const double x = va_scale_at(&p->x, p->c->x[i]);
        if (!drawn(p->c, line->y[i]))
            continue;
        if (line->interval && has(line->interval, i))
            va_svg_upright(p->svg, x, va_scale_at(&p->y, line->interval[i].high),
                           va_scale_at(&p->y, line->interval[i].low));
        const bool filled = !line->differs || line->differs[i];
        snprintf(style, sizeof style, "k%d %s%d", colour_of(k), filled ? "f" : "hollow f",
                 colour_of(k));
        va_svg_circle(p->svg, style, x, va_scale_at(&p->y, line->y[i]), filled ? 4 : 3.5);
    }
}

static void draw_line(const plot *p, int64_t i, int64_t k) {
    const va_line *line = &p->c->lines[i];
    draw_path(p, line, k);
    if (k >= 0 && p->c->n_x <= 80)
        draw_marks(p, line, k);
}

// -- labels at the ends ------------------------------------------------------------------------

typedef struct label {
    double x, y, at; // end of the line; where the text goes
    int64_t line, rank;
} label;

static int by_height(const void *a, const void *b) {
    const label *x = a, *y = b;
    return (x->y > y->y) - (x->y < y->y);
}

static void draw_labels(const plot *p) {
    label l[COLOURS];
    int64_t n = 0;
    for (int64_t k = 0; k < p->n_top; k++) {
        const double *y = p->c->lines[p->top[k].line].y;
        int64_t last = p->c->n_x - 1;
        while (last >= 0 && !drawn(p->c, y[last]))
            last--;
        if (last >= 0)
            l[n++] = (label){va_scale_at(&p->x, p->c->x[last]), va_scale_at(&p->y, y[last]), 0,
                             p->top[k].line, k};
    }
    qsort(l, (size_t)n, sizeof *l, by_height);
    for (int64_t i = 0; i < n; i++) // none above the one before
        l[i].at = fmax(l[i].y, i > 0 ? l[i - 1].at + STEP : p->y.last);
    for (int64_t i = n - 1; i >= 0; i--) // nor below the bottom
        l[i].at = fmin(l[i].at, i < n - 1 ? l[i + 1].at - STEP : p->y.first);
    for (int64_t i = 0; i < n; i++) {
        char style[40];
        snprintf(style, sizeof style, "l k%d%s", colour_of(l[i].rank), dash_of(l[i].rank));
        va_svg_line(p->svg, "grid", l[i].x + 6, l[i].y, p->x.last + 12, l[i].at);
        va_svg_line(p->svg, style, p->x.last + 12, l[i].at, p->x.last + 30, l[i].at);
        va_svg_label(p->svg, p->x.last + 36, l[i].at + 4, "start", p->c->lines[l[i].line].label,
                     LABEL);
    }
}

static double label_width(const va_line_chart *c) {
    double width = 0;
    for (int64_t i = 0; i < c->n_lines; i++)
        width = fmax(width, fmin(va_svg_width(c->lines[i].label), LABEL * VA_CHART_CHARACTER));
    return width + 40;
}

// -- the chart ---------------------------------------------------------------------------------

static double legend(va_strbuf *svg, const va_line_chart *c, double width) {
    bool verdict = false;
    va_legend l = {.svg = svg, .x = LEFT, .y = 12, .left = LEFT, .right = width - RIGHT};
    if (c->title) {
        va_svg_label(svg, LEFT, l.y + 4, "start", c->title, 40);
        l.y += 22;
    }
    for (int k = 0; k < c->n_nulls; k++)
        va_legend_null(&l, c->nulls[k]);
    for (int64_t i = 0; i < c->n_lines; i++)
        verdict |= c->lines[i].differs != NULL;
    if (verdict) {
        va_legend_dot(&l, "k6 f6", "differs from chance");
        va_legend_dot(&l, "k6 hollow", "does not");
    }
    if (l.x > LEFT)
        va_legend_end(&l);
    return l.y + 22;
}

void va_chart_lines(va_strbuf *svg, const va_line_chart *c) {
    const double width = c->width > 0 ? c->width : VA_CHART_WIDTH;
    const double height = c->height > 0 ? c->height : HEIGHT;
    plot p = {.svg = svg, .c = c};
    va_svg_open(svg, width, height, c->y_axis);
    const double top = legend(svg, c, width);
    rank_lines(&p);
    find_range(&p);
    p.x.first = LEFT;
    p.x.last = width - RIGHT - label_width(c);
    p.y.first = height - BOTTOM;
    p.y.last = top;
    va_svg_ticks_y(svg, &p.y, LEFT, p.x.last, c->y_axis);
    for (int k = c->n_nulls - 1; k >= 0; k--)
        draw_band(&p, k);
    if (!isnan(c->centre) && va_scale_holds(&p.y, c->centre))
        va_svg_line(svg, "zero", LEFT, va_scale_at(&p.y, c->centre), p.x.last,
                    va_scale_at(&p.y, c->centre));
    va_svg_ticks_x(svg, &p.x, p.y.first, p.y.first, c->x_axis);
    for (int64_t i = 0; i < c->n_lines; i++)
        if (rank_of(&p, i) < 0)
            draw_line(&p, i, -1);
    for (int64_t k = p.n_top - 1; k >= 0; k--)
        draw_line(&p, p.top[k].line, k);
    draw_labels(&p);
    va_svg_close(svg);
}
