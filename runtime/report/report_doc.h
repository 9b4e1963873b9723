// report_doc.h: one document, written as Markdown or as HTML. Private to the layer.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_REPORT_DOC_H
#define VKALIGN_REPORT_DOC_H

#include "vkalign/io.h"

typedef enum va_doc_format { VA_DOC_MARKDOWN, VA_DOC_HTML } va_doc_format;

typedef struct va_doc {
    va_doc_format format;
    va_strbuf *out;
    va_arena *arena; // of texts that are formatted on the way
    int n_columns;   // of the open table
} va_doc;

// All texts are plain; what is special in the format is escaped here.
void va_doc_begin(va_doc *d, const char *title);
void va_doc_end(va_doc *d);
void va_doc_heading(va_doc *d, const char *text);
void va_doc_quote(va_doc *d, const char *text);
void va_doc_paragraph(va_doc *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Columns' titles; a title that begins with '>' is set to the right (numbers).
void va_doc_table(va_doc *d, const char *const *titles, int n);
void va_doc_row(va_doc *d, const char *const *cells);
void va_doc_table_end(va_doc *d);
// SVG goes into HTML only.
void va_doc_figure(va_doc *d, const va_strbuf *svg, const char *caption);

// The whole report (report.c).
va_status va_report_content(va_ctx *ctx, va_doc *d, const va_json *results);
// One dot for each result of a metric over its chance band (report_svg.c).
void va_report_dots(va_strbuf *svg, const va_json *results, const char *metric, double chance_std);
// Histogram over [-1, 1].
void va_report_histogram(va_strbuf *svg, const va_json *histogram);
void va_report_escape(va_strbuf *out, const char *text, va_doc_format format);

// Reading with a default, for numbers and texts that may be absent.
double va_report_number(const va_json *o, const char *key);
const char *va_report_text(const va_json *o, const char *key);
// The metric of a result by name, NULL when it failed.
const va_json *va_report_metric(const va_json *result, const char *name);

#endif
