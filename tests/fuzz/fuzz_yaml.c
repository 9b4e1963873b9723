// YAML text: the tree keeps its limits, and what is written of it reads as the same tree.
// libs: va_io
// seeds: experiments/*.yaml
// max_len: 4096
// dict: yaml
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include "vkalign/io.h"

#include <string.h>

static const va_yaml_limits limits = {.max_bytes = 8192, .max_nodes = 2000, .max_depth = 16};

// Returns the nodes from n down, aliases expanded; adds their bytes.
static int64_t check_node(const va_yaml *n, int depth, int64_t *n_bytes) {
    int64_t count = 1, i;
    double d;
    bool b;
    FUZZ_REQUIRE(n->line >= 1 && n->col >= 1);
    FUZZ_REQUIRE(n->kind != VA_YAML_SCALAR || n->text);
    *n_bytes += n->text ? (int64_t)strlen(n->text) : 0;
    FUZZ_REQUIRE((va_yaml_as_int(n, &i) || va_yaml_as_double(n, &d)) + va_yaml_as_bool(n, &b) <= 1);
    if (n->kind != VA_YAML_SEQ && n->kind != VA_YAML_MAP)
        return count;
    FUZZ_REQUIRE(depth < limits.max_depth);
    for (int64_t k = 0; k < n->n; k++) {
        count += check_node(n->item[k], depth + 1, n_bytes);
        if (n->kind == VA_YAML_MAP) {
            FUZZ_REQUIRE(n->key[k]->kind == VA_YAML_SCALAR);
            FUZZ_REQUIRE(va_yaml_get(n, n->key[k]->text) == n->item[k]);
            *n_bytes += (int64_t)strlen(n->key[k]->text);
            count++;
        }
    }
    return count;
}

// The same values by the same accessors.
static void check_same(const va_yaml *a, const va_yaml *b) {
    FUZZ_REQUIRE(a->kind == b->kind);
    if (a->kind == VA_YAML_SCALAR)
        FUZZ_REQUIRE(strcmp(a->text, b->text) == 0);
    if (a->kind != VA_YAML_SEQ && a->kind != VA_YAML_MAP)
        return;
    FUZZ_REQUIRE(a->n == b->n);
    for (int64_t k = 0; k < a->n; k++) {
        check_same(a->item[k], b->item[k]);
        if (a->kind == VA_YAML_MAP)
            FUZZ_REQUIRE(strcmp(a->key[k]->text, b->key[k]->text) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    va_ctx *ctx = fuzz_ctx();
    va_arena *arena = va_arena_create();
    FUZZ_REQUIRE(arena);
    va_yaml *root = NULL, *again = NULL;
    int64_t n_bytes = 0;
    va_status st =
        va_yaml_parse(ctx, arena, "fuzz.yaml", (const char *)data, (int64_t)size, &limits, &root);
    if (st == VA_OK) {
        FUZZ_REQUIRE(check_node(root, 0, &n_bytes) <= limits.max_nodes);
        FUZZ_REQUIRE(n_bytes <= limits.max_bytes);
        va_strbuf text = {0};
        va_yaml_write(root, &text);
        FUZZ_REQUIRE(!text.failed && text.len > 0);
        st = va_yaml_parse(ctx, arena, "written", text.data, text.len, NULL, &again);
        FUZZ_REQUIRE(st == VA_OK);
        check_same(root, again);
        va_strbuf_free(&text);
    } else {
        FUZZ_REQUIRE(!root);
        FUZZ_REFUSED(ctx, st, VA_ERR_SPEC);
    }
    va_arena_destroy(&arena);
    return 0;
}
