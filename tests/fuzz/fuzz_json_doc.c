// JSON text with large values that get no tree: walking them in place sees what a tree has.
// libs: va_io
// max_len: 2048
// dict: json
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/json_doc.h"

#include <string.h>

static const va_json_path large[] = {{"a", "b"}, {"a", "c"}};

static bool same_text(const char *s, int64_t n, const char *whole) {
    return (int64_t)strlen(whole) == n && (n == 0 || memcmp(s, whole, (size_t)n) == 0);
}

// The children under the cursor are those of the tree.
static void check_children(va_json_cursor *c, const va_json *tree) {
    const va_json *v = va_json_first(tree);
    for (; va_json_cursor_next(c); v = va_json_next(v)) {
        int64_t i, j, line, col;
        FUZZ_REQUIRE(v);
        FUZZ_REQUIRE(strcmp(va_json_kind_text(c->kind), va_json_type(v)) == 0);
        FUZZ_REQUIRE((c->key != NULL) == (va_json_key(v) != NULL));
        if (c->key)
            FUZZ_REQUIRE(same_text(c->key, c->key_n, va_json_key(v)));
        if (c->kind == VA_JSON_STRING)
            FUZZ_REQUIRE(same_text(c->string, c->string_n, va_json_as_string(v)));
        bool is_int = va_json_as_int(v, &i);
        FUZZ_REQUIRE(va_json_cursor_int(c, &j) == is_int && (!is_int || i == j));
        va_json_cursor_place(c, &line, &col);
        FUZZ_REQUIRE(line >= 1 && col >= 1);
        if (va_json_count(v) % 2 == 0) { // the others are passed over
            va_json_cursor inner = va_json_cursor_enter(c);
            check_children(&inner, v);
        }
    }
    FUZZ_REQUIRE(!c->failed && !v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_json_doc *doc = NULL;
    va_json *tree = NULL;
    va_status st = va_json_doc_open(ctx, fuzz_file(data, size), 0, large, VA_COUNT(large), &doc);
    va_status st_tree = va_json_parse(ctx, "fuzz.json", (const char *)data, (int64_t)size, &tree);
    if (st != VA_OK) {
        FUZZ_REQUIRE(!doc && st_tree == st);
        FUZZ_REFUSED(ctx, st, VA_ERR_FORMAT);
    } else if (st_tree == VA_OK) { // else a key stands twice in a large value
        for (int64_t i = 0; i < VA_COUNT(large); i++) {
            const va_json *v = va_json_get(va_json_get(tree, large[i].object), large[i].key);
            va_json_cursor c = va_json_doc_large(doc, i);
            check_children(&c, v);
            const va_json *stub =
                va_json_get(va_json_get(va_json_doc_root(doc), large[i].object), large[i].key);
            FUZZ_REQUIRE(strcmp(va_json_type(stub), va_json_type(v)) == 0);
            FUZZ_REQUIRE(va_json_count(stub) == 0);
        }
    }
    va_json_doc_close(&doc);
    va_json_free(&tree);
    return 0;
}
