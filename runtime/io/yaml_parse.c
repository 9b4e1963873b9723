// yaml_parse.c: YAML text to a tree, by libyaml's parser and the builder of yaml_build.c.
// SPDX-License-Identifier: Apache-2.0
#include "yaml_priv.h"

#include <stdlib.h>
#include <string.h>

// true when a tab stands in the white space at the beginning of a line (counted from 0).
static bool is_indented_by_tab(const char *text, int64_t size, size_t line) {
    int64_t i = 0;
    for (; i < size && line > 0; i++)
        line -= text[i] == '\n';
    while (i < size && text[i] == ' ')
        i++;
    return i < size && text[i] == '\t';
}

static va_status parser_error(va_yaml_builder *b, const yaml_parser_t *p, const char *text,
                              int64_t size) {
    const char *problem = p->problem ? p->problem : "not valid YAML";
    if (p->error == YAML_MEMORY_ERROR)
        return va_yaml_fail_memory(b);
    if (p->error == YAML_READER_ERROR) {
        va_io_place at = va_io_place_of(text, size, (int64_t)p->problem_offset);
        return va_yaml_fail_at(b, at.line, at.col, "%s", problem);
    }
    yaml_mark_t m = p->problem_mark;
    bool tab = is_indented_by_tab(text, size, m.line);
    const char *hint = tab ? " (a tab: YAML indents with spaces)" : "";
    if (!p->context)
        return va_yaml_fail_at(b, (int64_t)m.line + 1, (int64_t)m.column + 1, "%s%s", problem,
                               hint);
    return va_yaml_fail_at(b, (int64_t)m.line + 1, (int64_t)m.column + 1, "%s%s, %s at %zu:%zu",
                           problem, hint, p->context, p->context_mark.line + 1,
                           p->context_mark.column + 1);
}

static va_status run_parser(va_yaml_builder *b, yaml_parser_t *parser, const char *text,
                            int64_t size) {
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return parser_error(b, parser, text, size);
        bool last = event.type == YAML_STREAM_END_EVENT;
        va_status st = va_yaml_on_event(b, &event);
        yaml_event_delete(&event);
        if (st != VA_OK || last)
            return st;
    }
}

static va_status parse_text(va_yaml_builder *b, const char *text, int64_t size) {
    va_status st = VA_OK;
    int64_t invalid = va_io_utf8_invalid(text, size);
    if (invalid >= 0) {
        va_io_place at = va_io_place_of(text, size, invalid);
        return va_yaml_fail_at(b, at.line, at.col, "not valid UTF-8 (byte %lld)",
                               (long long)invalid);
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return va_yaml_fail_memory(b);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, (size_t)size);
    VA_TRY(run_parser(b, &parser, text, size));
    if (!b->root || b->root->kind == VA_YAML_NULL)
        VA_TRY(va_yaml_fail_at(b, 1, 1, "the document is empty"));
done:
    yaml_parser_delete(&parser);
    return st;
}

va_status va_yaml_parse(va_ctx *ctx, va_arena *arena, const char *name, const char *text,
                        int64_t size, const va_yaml_limits *limits, va_yaml **root) {
    va_status st = VA_OK;
    va_yaml_builder b = {.ctx = ctx, .arena = arena, .name = name};
    *root = NULL;
    if (limits)
        b.limits = *limits;
    b.limits.max_bytes = b.limits.max_bytes ? b.limits.max_bytes : (int64_t)16 << 20;
    b.limits.max_nodes = b.limits.max_nodes ? b.limits.max_nodes : 1000000;
    b.limits.max_depth = b.limits.max_depth ? b.limits.max_depth : 64;
    if (size > b.limits.max_bytes)
        VA_TRY(va_fail(ctx, VA_ERR_SPEC, "%s: expected at most %lld bytes, got %lld", name,
                       (long long)b.limits.max_bytes, (long long)size));
    VA_TRY_ALLOC(ctx, b.stack, calloc((size_t)b.limits.max_depth, sizeof *b.stack));
    VA_TRY_ALLOC(ctx, b.anchors, calloc(VA_YAML_MAX_ANCHORS, sizeof *b.anchors));
    VA_TRY(parse_text(&b, text ? text : "", size));
    *root = b.root;
done:
    for (int i = 0; i < b.depth; i++) {
        free(b.stack[i].item);
        free(b.stack[i].key);
    }
    free(b.stack);
    free(b.anchors);
    return st;
}

va_status va_yaml_load(va_ctx *ctx, va_arena *arena, const char *path, const va_yaml_limits *limits,
                       va_yaml **root) {
    va_status st = VA_OK;
    va_map map = {0};
    *root = NULL;
    int64_t max_bytes = limits && limits->max_bytes ? limits->max_bytes : (int64_t)16 << 20;
    VA_TRY(va_io_map_limited(ctx, path, max_bytes, VA_ERR_SPEC, &map));
    VA_TRY(va_yaml_parse(ctx, arena, path, (const char *)map.data, map.size_bytes, limits, root));
done:
    va_map_close(&map);
    return st;
}
