// report_case.h: results written by hand, as reports in both formats.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_REPORT_CASE_H
#define VA_REPORT_CASE_H

#include "schema_check.h"

#include "vkalign/report.h"

typedef struct report_case {
    va_ctx *ctx;
    va_json *doc;
    va_strbuf md, html;
} report_case;

// Text with ' for ", so that JSON can be read in C.
static inline void report_json(va_strbuf *out, const char *text) {
    for (; *text; text++)
        va_strbuf_append(out, *text == '\'' ? "\"" : text, 1);
}

static inline void report_forget(report_case *r) {
    va_json_free(&r->doc);
    va_strbuf_free(&r->md);
    va_strbuf_free(&r->html);
}

// What every results.json has around the parts that a test is about.
static const char report_head[] =
    "{'schema_version': 1, 'metadata': {'name': 'demo', 'question': 'Is 1 < 2?', 'inputs': [],"
    " 'tool': 'vkalign 0.1', 'created': '2026-01-02T03:04:05Z', 'seconds': 12.34, 'seed': 7,"
    " 'model': {'path': 'models/m', 'family': 'gemma3', 'n_layer': 4, 'd_model': 24,"
    "  'dtype': 'BF16', 'sha256': 'abc123'},"
    " 'device': {'name': 'Card', 'driver': 'D 1', 'kind': 'cpu', 'peak_bytes': 1230000}},"
    " 'results': [";

// The four parts are lists' contents; expectations may be NULL.
static inline void report_make(report_case *r, const char *results, const char *by_metric,
                               const char *directions, const char *expectations) {
    va_strbuf text = {0};
    report_forget(r);
    report_json(&text, report_head);
    report_json(&text, results);
    report_json(&text, "], 'statistics': {'name': '', 'n': 0, 'by_metric': [");
    report_json(&text, by_metric);
    report_json(&text, "]}, 'directions': [");
    report_json(&text, directions);
    report_json(&text, expectations ? "], 'expectations': [" : "]");
    report_json(&text, expectations ? expectations : "");
    report_json(&text, expectations ? "]}" : "}");
    assert_ok(r->ctx, va_json_parse(r->ctx, "results", text.data, text.len, &r->doc));
    assert_ok(r->ctx, va_report_markdown(r->ctx, r->doc, &r->md));
    assert_ok(r->ctx, va_report_html(r->ctx, r->doc, &r->html));
    va_strbuf_free(&text);
}

static inline int report_setup(void **state) {
    report_case *r = calloc(1, sizeof *r);
    r->ctx = va_test_ctx();
    *state = r;
    return 0;
}

static inline int report_teardown(void **state) {
    report_case *r = *state;
    report_forget(r);
    va_ctx_destroy(&r->ctx);
    free(r);
    return 0;
}

static inline void expect(const va_strbuf *text, const char *part) {
    if (!strstr(text->data, part))
        fail_msg("expected '%s' in: %s", part, text->data);
}

static inline void expect_none(const va_strbuf *text, const char *part) {
    if (strstr(text->data, part))
        fail_msg("did not expect '%s' in: %s", part, text->data);
}

static inline int count(const va_strbuf *text, const char *part) {
    int n = 0;
    for (const char *s = text->data; (s = strstr(s, part)); s += strlen(part))
        n++;
    return n;
}

// No tag of ours is left open, nothing is fetched or run, no NaN gets into a drawing.
static inline void check_page(const va_strbuf *html) {
    static const char *const pairs[][2] = {{"<svg ", "</svg>"},     {"<figure>", "</figure>"},
                                           {"<table>", "</table>"}, {"<tr>", "</tr>"},
                                           {"<td", "</td>"},        {"<text ", "</text>"}};
    for (int64_t i = 0; i < VA_COUNT(pairs); i++)
        assert_int_equal(count(html, pairs[i][0]), count(html, pairs[i][1]));
    expect_none(html, "<script");
    expect_none(html, "src=");
    expect_none(html, "nan");
    expect_none(html, "\"inf");
}

// The same of a document that the schema describes.
static inline void report_check(report_case *r, const char *results, const char *by_metric) {
    report_make(r, results, by_metric, "", NULL);
    schema_check_file(r->ctx, "results.schema.json", r->doc);
    check_page(&r->html);
    expect_none(&r->md, "nan");
}

// What is around every metric of a result, and of the statistics.
#define AT " 'dimension': 24, 'sites': ['a', 'b'], 'directions': ['x', 'y'], 'across_sites': false"
#define RESULT(concept_name, layer, prompt, metrics)                                               \
    "{'concept': '" concept_name "', 'layer': 0, 'model_layer': " layer ", 'prompt': '" prompt     \
    "', 'status': 'success', 'error': null, 'metrics': [" metrics "]}"
#define COSINE(value, rest)                                                                        \
    "{'name': 'far', 'kind': 'cosine', 'value': " value ", 'cosine': " value "," AT rest "}"
#define STAT(name, kind, n, mean, rest)                                                            \
    "{'name': '" name "', 'kind': '" kind "', 'of': ['jac', 'mlp'], 'n': " n                       \
    ", 'across_sites': false, 'dimension': 24, 'mean': " mean ", 'mean_abs': " mean                \
    ", 'std': 0.1, 'min': -0.5, 'max': 0.7" rest "}"

#endif
