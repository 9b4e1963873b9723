// report_sections.h: the parts of a report, in the order in which report.c puts them. Private to
// the layer.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_REPORT_SECTIONS_H
#define VKALIGN_REPORT_SECTIONS_H

#include "report_read.h"

// What the answer says of one metric, and what warns against believing it.
void va_report_answer(va_doc *d, const va_json *results, const va_json *stat);
void va_report_cautions(va_doc *d, const va_json *results);

void va_report_failures(va_doc *d, const va_json *results);
// "2 of 3 bounds hold"; nothing where none were set.
void va_report_expected(va_doc *d, const va_json *expectations);
void va_report_expectations(va_doc *d, const va_json *expectations);

// A metric's tables and figures.
void va_report_metric(va_doc *d, const va_json *results, const va_json *stat);
void va_report_figures(va_doc *d, const va_points *p);
// Of "NAME rank R": the overlap over R, at the first of the metrics of that name.
void va_report_ranks(va_doc *d, const va_json *results, const va_json *stat);
void va_report_spectra(va_doc *d, const va_points *p);
// Metrics over several results: agreement, spearman.
bool va_report_has_entries(const va_json *stat);
void va_report_entries_answer(va_doc *d, const va_json *stat);
void va_report_entries(va_doc *d, const va_json *stat);
void va_report_statistics(va_doc *d, const va_json *by_metric);

void va_report_classifiers(va_doc *d, const va_json *directions);
void va_report_jacobians(va_doc *d, const va_json *directions);
void va_report_files(va_doc *d, const va_json *directions);
void va_report_provenance(va_doc *d, const va_json *meta);

// The whole (report.c, report_sweep.c).
va_status va_report_content(va_ctx *ctx, va_doc *d, const va_json *results);
va_status va_report_sweep_content(va_ctx *ctx, va_doc *d, const va_json *sweep);

// After a table of which only the first rows are shown.
void va_report_rest(va_doc *d, int64_t shown, int64_t n, const char *file);

#endif
