// report.c: the order of a report's parts, and its files.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/report.h"

#include "report_sections.h"

// -- the report of an experiment
// -------------------------------------------------------------------

// What the sections go through must be there; single numbers may be missing and are shown as "-".
static va_status check_shape(va_ctx *ctx, const va_json *results) {
    static const struct {
        const char *inside, *key;
        bool list;
    } needed[] = {{NULL, "metadata", false},     {"metadata", "model", false},
                  {"metadata", "device", false}, {NULL, "results", true},
                  {NULL, "statistics", false},   {"statistics", "by_metric", true},
                  {NULL, "directions", true}};
    for (int64_t i = 0; i < VA_COUNT(needed); i++) {
        const char *in = needed[i].inside;
        const va_json *v = va_json_get(in ? va_json_get(results, in) : results, needed[i].key);
        if (!(needed[i].list ? va_json_is_array(v) : va_json_is_object(v)))
            return va_fail(ctx, VA_ERR_FORMAT, "%s%s%s: expected %s, got %s", in ? in : "",
                           in ? "." : "", needed[i].key, needed[i].list ? "a list" : "an object",
                           v ? va_json_type(v) : "nothing");
    }
    return VA_OK;
}

va_status va_report_content(va_ctx *ctx, va_doc *d, const va_json *results) {
    const va_status st = check_shape(ctx, results);
    if (st != VA_OK)
        return st;
    const va_json *meta = va_json_get(results, "metadata");
    const va_json *by_metric = va_json_get(va_json_get(results, "statistics"), "by_metric");
    const va_json *directions = va_json_get(results, "directions");
    const va_json *expectations = va_json_get(results, "expectations");
    const char *name = va_report_string(meta, "name"), *variant = va_report_string(meta, "variant");
    va_doc_begin(d, variant[0] ? va_doc_text(d, "%s, %s", name, variant) : name);
    if (va_report_string(meta, "question")[0])
        va_doc_quote(d, va_report_string(meta, "question"));
    for (const va_json *s = va_json_first(by_metric); s; s = va_json_next(s))
        va_report_answer(d, results, s);
    va_report_expected(d, expectations);
    va_report_cautions(d, results);
    va_report_failures(d, results);
    for (const va_json *s = va_json_first(by_metric); s; s = va_json_next(s))
        va_report_metric(d, results, s);
    va_report_expectations(d, expectations);
    va_report_statistics(d, by_metric);
    va_report_classifiers(d, directions);
    va_report_files(d, directions);
    va_report_jacobians(d, directions);
    va_report_provenance(d, meta);
    va_doc_end(d);
    return VA_OK;
}

// -- public
// ----------------------------------------------------------------------------------------

typedef va_status (*content_fn)(va_ctx *ctx, va_doc *d, const va_json *root);

static va_status write_as(va_ctx *ctx, content_fn content, const va_json *root,
                          va_doc_format format, va_strbuf *out) {
    va_doc d = {.format = format, .out = out, .arena = va_arena_create()};
    if (!d.arena)
        return va_fail(ctx, VA_ERR_MEMORY, "out of host memory");
    va_status st = content(ctx, &d, root);
    va_arena_destroy(&d.arena);
    if (st == VA_OK && out->failed)
        st = va_fail(ctx, VA_ERR_MEMORY, "out of host memory");
    return st;
}

va_status va_report_markdown(va_ctx *ctx, const va_json *results, va_strbuf *out) {
    return write_as(ctx, va_report_content, results, VA_DOC_MARKDOWN, out);
}

va_status va_report_html(va_ctx *ctx, const va_json *results, va_strbuf *out) {
    return write_as(ctx, va_report_content, results, VA_DOC_HTML, out);
}

va_status va_report_sweep_markdown(va_ctx *ctx, const va_json *sweep, va_strbuf *out) {
    return write_as(ctx, va_report_sweep_content, sweep, VA_DOC_MARKDOWN, out);
}

va_status va_report_sweep_html(va_ctx *ctx, const va_json *sweep, va_strbuf *out) {
    return write_as(ctx, va_report_sweep_content, sweep, VA_DOC_HTML, out);
}

// Both texts are made before either is written.
static va_status write_files(va_ctx *ctx, content_fn content, const char *dir, const char *from) {
    va_status st = VA_OK;
    va_json *root = NULL;
    va_strbuf md = {0}, html = {0};
    const char *path = NULL;
    va_arena *arena = va_arena_create();
    VA_TRY_ALLOC(ctx, path, arena ? va_path_join(arena, dir, from) : NULL);
    VA_TRY(va_json_load(ctx, path, 0, &root));
    st = write_as(ctx, content, root, VA_DOC_MARKDOWN, &md);
    if (st == VA_OK)
        st = write_as(ctx, content, root, VA_DOC_HTML, &html);
    if (st != VA_OK) {
        va_fail_in(ctx, st, "%s", path);
        goto done;
    }
    VA_TRY(va_file_write(ctx, va_path_join(arena, dir, "report.md"), md.data, md.len));
    VA_TRY(va_file_write(ctx, va_path_join(arena, dir, "report.html"), html.data, html.len));
done:
    va_strbuf_free(&md);
    va_strbuf_free(&html);
    va_json_free(&root);
    va_arena_destroy(&arena);
    return st;
}

va_status va_report_write(va_ctx *ctx, const char *dir) {
    return write_files(ctx, va_report_content, dir, "results.json");
}

va_status va_report_sweep_write(va_ctx *ctx, const char *dir) {
    return write_files(ctx, va_report_sweep_content, dir, "sweep.json");
}
