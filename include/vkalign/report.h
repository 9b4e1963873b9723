// report.h: results.json -> report.md and report.html. Formats results, computes none.
// Depends on io.h and base.h.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_REPORT_H
#define VKALIGN_REPORT_H

#include "vkalign/io.h"

#ifdef __cplusplus
extern "C" {
#endif

// Appends the report as Markdown or as one self-contained HTML page (inline SVG, no scripts).
// results is a document of experiments/results.schema.json; VA_ERR_FORMAT names what is missing.
va_status va_report_markdown(va_ctx *ctx, const va_json *results, va_strbuf *out);
va_status va_report_html(va_ctx *ctx, const va_json *results, va_strbuf *out);
// Reads dir/results.json and writes dir/report.md and dir/report.html, each whole or not at all.
va_status va_report_write(va_ctx *ctx, const char *dir);

#ifdef __cplusplus
}
#endif
#endif
