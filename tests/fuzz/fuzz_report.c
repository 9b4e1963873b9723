// A results.json and a sweep.json, as `vkalign report` reads them: both reports are text, and names
// do not end tags.
// libs: va_report
// max_len: 8192
// dict: report
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/report.h"

#include <string.h>

// What the page opens it closes: no text of the document is taken for a tag.
static void check_html(const va_strbuf *html) {
    FUZZ_REQUIRE(html->len > 0 && !memchr(html->data, 0, (size_t)html->len));
    FUZZ_REQUIRE(!strstr(html->data, "<script"));
    int64_t depth = 0;
    for (const char *p = html->data; *p; p++) {
        depth += *p == '<';
        depth -= *p == '>';
        FUZZ_REQUIRE(depth == 0 || depth == 1);
    }
    FUZZ_REQUIRE(depth == 0);
}

typedef va_status (*report_fn)(va_ctx *ctx, const va_json *root, va_strbuf *out);

// A document is refused in both formats or in none.
static void check(va_ctx *ctx, const va_json *root, report_fn markdown, report_fn html) {
    va_strbuf md = {0}, page = {0};
    const va_status st = markdown(ctx, root, &md);
    if (st == VA_OK) {
        FUZZ_REQUIRE(md.len > 0);
        FUZZ_REQUIRE(html(ctx, root, &page) == VA_OK);
        check_html(&page);
    } else {
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT);
    }
    va_strbuf_free(&md);
    va_strbuf_free(&page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_json *root = NULL;
    if (va_json_parse(ctx, "results.json", (const char *)data, (int64_t)size, &root) != VA_OK)
        return 0; // fuzz_json's
    check(ctx, root, va_report_markdown, va_report_html);
    check(ctx, root, va_report_sweep_markdown, va_report_sweep_html);
    va_json_free(&root);
    return 0;
}
