// report_doc.c: headings, paragraphs and tables in Markdown and HTML.
// SPDX-License-Identifier: Apache-2.0
#include "report_doc.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#222;background:#fff}h1,h2{line-height:1.2}h2{margin-top:2.2rem}"
    "table{border-collapse:collapse;margin:1rem "
    "0;display:block;overflow-x:auto}th,td{padding:.25rem .8rem;text-align:left;"
    "border-bottom:1px solid #ddd}th{border-bottom:2px solid #888}"
    ".r{text-align:right;font-variant-numeric:tabular-nums}"
    "blockquote{border-left:4px solid #88a;margin:1rem 0;padding:.2rem 1rem;color:#445}"
    "figure{margin:1rem 0}figcaption{color:#555;font-size:.9rem}svg{max-width:100%;height:auto}";

static const char *html_escape(char c) {
    return c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : NULL;
}

// Characters that Markdown or its tables would take for markup; & only where an entity could begin.
static bool needs_backslash(const char *text) {
    return strchr("|<*`[\\", *text) ||
           (*text == '&' && (isalnum((unsigned char)text[1]) || text[1] == '#'));
}

void va_report_escape(va_strbuf *out, const char *text, va_doc_format format) {
    for (; *text; text++) {
        const char *s = format == VA_DOC_HTML ? html_escape(*text) : NULL;
        if (format == VA_DOC_MARKDOWN && (*text == '\n' || *text == '\r'))
            s = " ";
        else if (format == VA_DOC_MARKDOWN && needs_backslash(text))
            va_strbuf_puts(out, "\\");
        if (s)
            va_strbuf_puts(out, s);
        else
            va_strbuf_append(out, text, 1);
    }
}

static void escaped(va_doc *d, const char *text) {
    va_report_escape(d->out, text, d->format);
}

static void wrapped(va_doc *d, const char *open, const char *text, const char *close) {
    va_strbuf_puts(d->out, open);
    escaped(d, text);
    va_strbuf_puts(d->out, close);
}

void va_doc_begin(va_doc *d, const char *title) {
    if (d->format == VA_DOC_MARKDOWN) {
        wrapped(d, "# ", title, "\n\n");
        return;
    }
    va_strbuf_puts(d->out, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                           "<meta name=\"viewport\" content=\"width=device-width\">\n");
    wrapped(d, "<title>", title, "</title>\n<style>");
    va_strbuf_puts(d->out, style);
    va_strbuf_puts(d->out, "</style>\n");
    wrapped(d, "<h1>", title, "</h1>\n");
}

void va_doc_end(va_doc *d) {
    if (d->format == VA_DOC_HTML)
        va_strbuf_puts(d->out, "</html>\n");
}

void va_doc_heading(va_doc *d, const char *text) {
    if (d->format == VA_DOC_HTML)
        wrapped(d, "<h2>", text, "</h2>\n");
    else
        wrapped(d, "## ", text, "\n\n");
}

void va_doc_quote(va_doc *d, const char *text) {
    if (d->format == VA_DOC_HTML)
        wrapped(d, "<blockquote>", text, "</blockquote>\n");
    else
        wrapped(d, "> ", text, "\n\n");
}

void va_doc_paragraph(va_doc *d, const char *fmt, ...) {
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (d->format == VA_DOC_HTML)
        wrapped(d, "<p>", text, "</p>\n");
    else
        wrapped(d, "", text, "\n\n");
}

// Right-aligned columns are remembered in the bits above the number of columns.
enum { COLUMN_BITS = 8 };

void va_doc_table(va_doc *d, const char *const *titles, int n) {
    bool html = d->format == VA_DOC_HTML;
    d->n_columns = n;
    va_strbuf_puts(d->out, html ? "<table>\n<tr>" : "|");
    for (int i = 0; i < n; i++) {
        bool right = titles[i][0] == '>';
        d->n_columns |= right << (COLUMN_BITS + i);
        wrapped(d,
                !html   ? " "
                : right ? "<th class=\"r\">"
                        : "<th>",
                titles[i] + right, html ? "</th>" : " |");
    }
    va_strbuf_puts(d->out, html ? "</tr>\n" : "\n|");
    for (int i = 0; i < n && !html; i++)
        va_strbuf_puts(d->out, titles[i][0] == '>' ? "---:|" : "---|");
    va_strbuf_puts(d->out, html ? "" : "\n");
}

void va_doc_row(va_doc *d, const char *const *cells) {
    bool html = d->format == VA_DOC_HTML;
    int n = d->n_columns & ((1 << COLUMN_BITS) - 1);
    va_strbuf_puts(d->out, html ? "<tr>" : "|");
    for (int i = 0; i < n; i++) {
        bool right = d->n_columns >> (COLUMN_BITS + i) & 1;
        wrapped(d,
                !html   ? " "
                : right ? "<td class=\"r\">"
                        : "<td>",
                cells[i], html ? "</td>" : " |");
    }
    va_strbuf_puts(d->out, html ? "</tr>\n" : "\n");
}

void va_doc_table_end(va_doc *d) {
    va_strbuf_puts(d->out, d->format == VA_DOC_HTML ? "</table>\n" : "\n");
}

void va_doc_figure(va_doc *d, const va_strbuf *svg, const char *caption) {
    if (d->format != VA_DOC_HTML || !svg->data)
        return;
    va_strbuf_puts(d->out, "<figure>\n");
    va_strbuf_append(d->out, svg->data, svg->len);
    wrapped(d, "<figcaption>", caption, "</figcaption>\n</figure>\n");
}
