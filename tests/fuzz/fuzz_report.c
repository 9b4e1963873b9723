// A results.json, as `vkalign report` reads it: both reports are text, and names do not end tags.
// libs: va_report
// max_len: 4096
// dict: json
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_json *root = NULL;
    va_strbuf md = {0}, html = {0};
    if (va_json_parse(ctx, "results.json", (const char *)data, (int64_t)size, &root) != VA_OK)
        return 0; // fuzz_json's
    va_status st = va_report_markdown(ctx, root, &md);
    if (st == VA_OK) {
        FUZZ_REQUIRE(md.len > 0);
        FUZZ_REQUIRE(va_report_html(ctx, root, &html) == VA_OK);
        check_html(&html);
    } else {
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT);
    }
    va_strbuf_free(&md);
    va_strbuf_free(&html);
    va_json_free(&root);
    return 0;
}
