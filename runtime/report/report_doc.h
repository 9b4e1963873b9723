// report_doc.h: one document, written as Markdown or as HTML. Private to the layer.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_REPORT_DOC_H
#define VKALIGN_REPORT_DOC_H

#include "vkalign/io.h"

typedef enum va_doc_format {
    VA_DOC_MARKDOWN,
    VA_DOC_HTML,
    VA_DOC_MARKDOWN_CELL // for va_report_escape alone
} va_doc_format;
enum { VA_DOC_MAX_COLUMNS = 24, VA_DOC_MAX_ROWS = 60 };

typedef struct va_doc {
    va_doc_format format;
    va_strbuf *out;  // out->failed: memory ran out somewhere on the way
    va_arena *arena; // of texts that are formatted on the way
    int n_columns;   // of the open table
    uint32_t right;  // bit i: column i is set to the right
    uint32_t wide;   // likewise: keeps a width
    bool in_table;
} va_doc;

// All texts are plain; what is special in the format is escaped here.
void va_doc_begin(va_doc *d, const char *title);
void va_doc_end(va_doc *d);
void va_doc_heading(va_doc *d, const char *text);
void va_doc_subheading(va_doc *d, const char *text);
void va_doc_quote(va_doc *d, const char *text);
void va_doc_paragraph(va_doc *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// "lead: text", the lead so that the eye finds it. Frees the text.
void va_doc_answer(va_doc *d, const char *lead, va_strbuf *text);
// Columns' titles, at most VA_DOC_MAX_COLUMNS; one that begins with '>' is set to the right
// (numbers), one that begins with '<' holds long texts and keeps a width on HTML pages.
void va_doc_table(va_doc *d, const char *const *titles, int n);
void va_doc_row(va_doc *d, const char *const *cells);
// The first cell leads to a file, by its path relative to the report.
void va_doc_row_link(va_doc *d, const char *const *cells, const char *path);
void va_doc_table_end(va_doc *d);
// SVG goes into HTML only; several one after another are set side by side. Frees svg.
void va_doc_figure(va_doc *d, va_strbuf *svg, const char *caption);

// In the document's arena; "" when memory runs out, which the document then remembers.
const char *va_doc_text(va_doc *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Zeroed array or NULL, likewise remembered.
#define VA_DOC_ARRAY(d, type, n) ((type *)va_doc_array((d), (n), (int64_t)sizeof(type)))
void *va_doc_array(va_doc *d, int64_t n, int64_t elem_bytes);

void va_report_escape(va_strbuf *out, const char *text, va_doc_format format);

#endif
