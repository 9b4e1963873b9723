// report.h: results.json -> report.md and report.html; sweep.json likewise. Formats results,
// computes none. Depends on io.h and base.h.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_REPORT_H
#define VKALIGN_REPORT_H

#include "vkalign/io.h"

#ifdef __cplusplus
extern "C" {
#endif

// Appends the report as Markdown or as one self-contained HTML page (inline SVG, no scripts, light
// and dark). results is a document of experiments/results.schema.json, of this or an earlier
// release; VA_ERR_FORMAT names what is missing. The answer stands before the first heading.
va_status va_report_markdown(va_ctx *ctx, const va_json *results, va_strbuf *out);
va_status va_report_html(va_ctx *ctx, const va_json *results, va_strbuf *out);
// Reads dir/results.json and writes dir/report.md and dir/report.html, each whole or not at all;
// neither when results.json cannot be reported.
va_status va_report_write(va_ctx *ctx, const char *dir);

// The same of a sweep: {name, question, variants: [{name, set: {path: value}, status, statistics,
// expectations}]}, a row for each variant, led to its own report at NAME/report.html.
va_status va_report_sweep_markdown(va_ctx *ctx, const va_json *sweep, va_strbuf *out);
va_status va_report_sweep_html(va_ctx *ctx, const va_json *sweep, va_strbuf *out);
va_status va_report_sweep_write(va_ctx *ctx, const char *dir); // dir/sweep.json

#ifdef __cplusplus
}
#endif
#endif
