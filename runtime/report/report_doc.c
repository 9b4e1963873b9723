// report_doc.c: headings, paragraphs, tables and figures in Markdown and HTML.
// SPDX-License-Identifier: Apache-2.0
#include "report_doc.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_style.h"

// -- text --------------------------------------------------------------------------------------

static const char *html_escape(char c) {
    return c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : NULL;
}

// Characters that Markdown would take for markup: < and & only where a tag or an entity could
// begin, | only in a table.
static bool needs_backslash(const char *text, bool cell) {
    const char next = text[1];
    if (*text == '<')
        return isalpha((unsigned char)next) || (next && strchr("/!?", next));
    if (*text == '&')
        return isalnum((unsigned char)next) || next == '#';
    return strchr("*`[\\", *text) || (cell && *text == '|');
}

void va_report_escape(va_strbuf *out, const char *text, va_doc_format format) {
    for (; *text; text++) {
        const char *s = format == VA_DOC_HTML ? html_escape(*text) : NULL;
        if (format != VA_DOC_HTML && (*text == '\n' || *text == '\r'))
            s = " ";
        else if (format != VA_DOC_HTML && needs_backslash(text, format == VA_DOC_MARKDOWN_CELL))
            va_strbuf_puts(out, "\\");
        if (s)
            va_strbuf_puts(out, s);
        else
            va_strbuf_append(out, text, 1);
    }
}

static void wrapped(va_doc *d, const char *open, const char *text, const char *close) {
    va_strbuf_puts(d->out, open);
    const bool cell = d->in_table && d->format == VA_DOC_MARKDOWN;
    va_report_escape(d->out, text, cell ? VA_DOC_MARKDOWN_CELL : d->format);
    va_strbuf_puts(d->out, close);
}

static const char *formatted(va_doc *d, const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    char *text = n < 0 ? NULL : va_arena_alloc(d->arena, (int64_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    else
        d->out->failed = true;
    va_end(again);
    return text ? text : "";
}

const char *va_doc_text(va_doc *d, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    const char *text = formatted(d, fmt, args);
    va_end(args);
    return text;
}

void *va_doc_array(va_doc *d, int64_t n, int64_t elem_bytes) {
    void *a = va_arena_array(d->arena, n, elem_bytes);
    d->out->failed |= !a;
    return a;
}

// -- blocks ------------------------------------------------------------------------------------

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

static void block(va_doc *d, const char *markdown, const char *open, const char *close,
                  const char *text) {
    if (d->format == VA_DOC_HTML)
        wrapped(d, open, text, close);
    else
        wrapped(d, markdown, text, "\n\n");
}

void va_doc_heading(va_doc *d, const char *text) {
    block(d, "## ", "<h2>", "</h2>\n", text);
}

void va_doc_subheading(va_doc *d, const char *text) {
    block(d, "### ", "<h3>", "</h3>\n", text);
}

void va_doc_quote(va_doc *d, const char *text) {
    block(d, "> ", "<blockquote>", "</blockquote>\n", text);
}

void va_doc_paragraph(va_doc *d, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    const char *text = formatted(d, fmt, args);
    va_end(args);
    const bool warns = strncmp(text, "Caution: ", 9) == 0;
    block(d, "", warns ? "<p class=\"warn\">" : "<p>", "</p>\n", text);
}

void va_doc_answer(va_doc *d, const char *lead, va_strbuf *text) {
    const bool html = d->format == VA_DOC_HTML;
    wrapped(d, html ? "<p class=\"lead\"><strong>" : "", lead, html ? "</strong>: " : ": ");
    wrapped(d, "", text->data ? text->data : "", html ? "</p>\n" : "\n\n");
    d->out->failed |= text->failed;
    va_strbuf_free(text);
}

// -- tables ------------------------------------------------------------------------------------

void va_doc_table(va_doc *d, const char *const *titles, int n) {
    const bool html = d->format == VA_DOC_HTML;
    d->n_columns = n;
    d->in_table = true;
    d->right = d->wide = 0;
    va_strbuf_puts(d->out, html ? "<table>\n<tr>" : "|");
    for (int i = 0; i < n; i++) {
        const bool right = titles[i][0] == '>', wide = titles[i][0] == '<';
        d->right |= (uint32_t)right << i;
        d->wide |= (uint32_t)wide << i;
        wrapped(d,
                !html   ? " "
                : right ? "<th class=\"r\">"
                        : "<th>",
                titles[i] + (right || wide), html ? "</th>" : " |");
    }
    va_strbuf_puts(d->out, html ? "</tr>\n" : "\n|");
    for (int i = 0; i < n && !html; i++)
        va_strbuf_puts(d->out, titles[i][0] == '>' ? "---:|" : "---|");
    va_strbuf_puts(d->out, html ? "" : "\n");
}

// What a path may hold as it is in a link. A colon is none of it: no path is taken for a scheme.
static const char *link_to(va_doc *d, const char *path) {
    va_strbuf link = {0};
    for (const unsigned char *c = (const unsigned char *)path; *c; c++)
        if (isalnum(*c) || strchr("/._-=,", *c))
            va_strbuf_append(&link, (const char *)c, 1);
        else
            va_strbuf_printf(&link, "%%%02X", *c);
    const char *text = va_doc_text(d, "%s", link.data ? link.data : "");
    d->out->failed |= link.failed;
    va_strbuf_free(&link);
    return text;
}

static void put_cell(va_doc *d, const char *cell, const char *path) {
    const bool html = d->format == VA_DOC_HTML;
    if (!path) {
        wrapped(d, "", cell, "");
        return;
    }
    va_strbuf_puts(d->out, html ? "<a href=\"" : "[");
    if (html)
        wrapped(d, link_to(d, path), "", "\">");
    wrapped(d, "", cell, html ? "</a>" : "](");
    if (!html)
        wrapped(d, link_to(d, path), "", ")");
}

void va_doc_row_link(va_doc *d, const char *const *cells, const char *path) {
    const bool html = d->format == VA_DOC_HTML;
    va_strbuf_puts(d->out, html ? "<tr>" : "|");
    for (int i = 0; i < d->n_columns; i++) {
        const bool right = d->right >> i & 1, wide = d->wide >> i & 1;
        va_strbuf_puts(d->out, !html   ? " "
                               : right ? "<td class=\"r\">"
                               : wide  ? "<td class=\"w\">"
                                       : "<td>");
        put_cell(d, cells[i], i == 0 ? path : NULL);
        va_strbuf_puts(d->out, html ? "</td>" : " |");
    }
    va_strbuf_puts(d->out, html ? "</tr>\n" : "\n");
}

void va_doc_row(va_doc *d, const char *const *cells) {
    va_doc_row_link(d, cells, NULL);
}

void va_doc_table_end(va_doc *d) {
    d->in_table = false;
    va_strbuf_puts(d->out, d->format == VA_DOC_HTML ? "</table>\n" : "\n");
}

void va_doc_figure(va_doc *d, va_strbuf *svg, const char *caption) {
    d->out->failed |= svg->failed;
    if (d->format == VA_DOC_HTML && svg->data) {
        va_strbuf_puts(d->out, "<figure>\n");
        va_strbuf_append(d->out, svg->data, svg->len);
        wrapped(d, "<figcaption>", caption, "</figcaption>\n</figure>\n");
    }
    va_strbuf_free(svg);
}
