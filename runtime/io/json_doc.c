// json_doc.c: JSON documents whose large values get no tree, and walking those where they stand.
//
// The whole text was read strictly before any of it is walked, so a cursor checks nothing: inside
// a string only \" ends with a quote, outside only white space lies below '!'.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct va_json_doc {
    va_ctx *ctx;
    va_arena *arena; // strings that had escapes, and the name
    const char *name;
    char *text; // a copy: the file may change
    int64_t size, n_large;
    va_json *root;
    va_io_json_range large[VA_JSON_MAX_LARGE];
};

static va_status read_text(va_json_doc *d, const char *path, int64_t max_bytes) {
    va_status st = VA_OK;
    va_map map = {0};
    int64_t limit = max_bytes ? max_bytes : (int64_t)256 << 20;
    VA_TRY(va_io_map_limited(d->ctx, path, limit, VA_ERR_FORMAT, &map));
    VA_TRY_ALLOC(d->ctx, d->text, malloc((size_t)map.size_bytes + VA_IO_JSON_TAIL));
    if (map.size_bytes > 0)
        memcpy(d->text, map.data, (size_t)map.size_bytes);
    memset(d->text + map.size_bytes, 0, VA_IO_JSON_TAIL);
    d->size = map.size_bytes;
done:
    va_map_close(&map);
    return st;
}

va_status va_json_doc_open(va_ctx *ctx, const char *path, int64_t max_bytes,
                           const va_json_path *large, int64_t n_large, va_json_doc **doc) {
    va_status st = VA_OK;
    va_json_doc *d = NULL;
    *doc = NULL;
    assert(n_large <= VA_JSON_MAX_LARGE);
    VA_TRY_ALLOC(ctx, d, calloc(1, sizeof *d));
    d->ctx = ctx;
    d->n_large = n_large;
    VA_TRY_ALLOC(ctx, d->arena, va_arena_create());
    VA_TRY_ALLOC(ctx, d->name, va_arena_strdup(d->arena, path));
    VA_TRY(read_text(d, path, max_bytes));
    va_io_json_scan s = {.text = d->text,
                         .size = d->size,
                         .want_key = -1,
                         .large = large,
                         .range = d->large,
                         .n_large = n_large};
    VA_TRY(va_io_json_parse(ctx, path, &s, &d->root));
    *doc = d;
    d = NULL;
done:
    va_json_doc_close(&d);
    return st;
}

void va_json_doc_close(va_json_doc **doc) {
    if (!doc || !*doc)
        return;
    va_json_free(&(*doc)->root);
    va_arena_destroy(&(*doc)->arena);
    free((*doc)->text);
    free(*doc);
    *doc = NULL;
}

const va_json *va_json_doc_root(const va_json_doc *doc) {
    return doc->root;
}

// -- walking ---------------------------------------------------------------------------------

va_json_cursor va_json_doc_large(va_json_doc *doc, int64_t i) {
    assert(i >= 0 && i < doc->n_large);
    int64_t begin = doc->large[i].begin;
    if (doc->large[i].end == 0)
        return (va_json_cursor){.doc = doc};
    return (va_json_cursor){
        .doc = doc, .next = doc->text + begin + 1, .in_object = doc->text[begin] == '{'};
}

va_json_cursor va_json_cursor_enter(va_json_cursor *c) {
    if (c->kind != VA_JSON_ARRAY && c->kind != VA_JSON_OBJECT)
        return (va_json_cursor){.doc = c->doc};
    return (va_json_cursor){
        .doc = c->doc, .parent = c, .next = c->value + 1, .in_object = c->kind == VA_JSON_OBJECT};
}

static const char *skip_space(const char *s) {
    while ((unsigned char)*s <= ' ' || *s == ',' || *s == ':')
        s++;
    return s;
}

// Behind the closing quote; s is behind the opening one.
static const char *string_end(const char *s, bool *escaped) {
    *escaped = false;
    for (;; s++) {
        if (*s == '"')
            return s + 1;
        if (*s == '\\') {
            *escaped = true;
            s++;
        }
    }
}

static const char *skip_items(const char *s) {
    bool escaped;
    for (int depth = 0;;) {
        char c = *s++;
        if (c == '"')
            s = string_end(s, &escaped);
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return s;
    }
}

// The string that begins at s; returns what follows, or NULL when memory runs out.
static const char *read_string(va_json_cursor *c, const char *s, const char **text, int64_t *n) {
    bool escaped;
    const char *end = string_end(s + 1, &escaped);
    *text = s + 1;
    *n = end - 1 - *text;
    if (escaped) {
        char *plain = va_arena_alloc(c->doc->arena, *n);
        if (!plain)
            return NULL;
        *n = va_io_json_unescape(*text, *n, plain);
        *text = plain;
    }
    return end;
}

static va_json_kind kind_of(char first) {
    switch (first) {
    case '{':
        return VA_JSON_OBJECT;
    case '[':
        return VA_JSON_ARRAY;
    case '"':
        return VA_JSON_STRING;
    case 't':
    case 'f':
        return VA_JSON_BOOL;
    case 'n':
        return VA_JSON_NULL;
    default:
        return VA_JSON_NUMBER;
    }
}

// Behind a value that is no container; its string is read.
static const char *behind_scalar(va_json_cursor *c) {
    const char *s = c->value;
    if (c->kind == VA_JSON_STRING)
        return read_string(c, s, &c->string, &c->string_n);
    while (*s != ',' && *s != '}' && *s != ']' && (unsigned char)*s > ' ')
        s++;
    return s;
}

static bool fail_memory(va_json_cursor *c) {
    c->next = NULL;
    c->value = NULL;
    c->failed = true;
    return false;
}

bool va_json_cursor_next(va_json_cursor *c) {
    if (c->value && !c->next) // a container that was not walked to its end
        c->next = skip_items(c->value);
    c->string = c->key = NULL;
    c->string_n = c->key_n = 0;
    if (!c->next)
        return false;
    const char *s = skip_space(c->next);
    if (*s == '}' || *s == ']') {
        if (c->parent)
            c->parent->next = s + 1;
        c->next = c->value = NULL;
        return false;
    }
    if (c->in_object) {
        s = read_string(c, s, &c->key, &c->key_n);
        if (!s)
            return fail_memory(c);
        s = skip_space(s);
    }
    c->value = s;
    c->kind = kind_of(*s);
    c->next = NULL;
    if (c->kind == VA_JSON_OBJECT || c->kind == VA_JSON_ARRAY)
        return true;
    c->next = behind_scalar(c);
    return c->next ? true : fail_memory(c);
}

bool va_json_cursor_int(const va_json_cursor *c, int64_t *out) {
    if (c->kind != VA_JSON_NUMBER)
        return false;
    int64_t v = 0;
    const char *s = c->value;
    for (; s - c->value < 15 && *s >= '0' && *s <= '9'; s++)
        v = 10 * v + (*s - '0');
    if (s == c->next) { // plain digits, as ids are
        *out = v;
        return true;
    }
    double d = strtod(c->value, NULL);
    if (!(fabs(d) <= 0x1p53) || d != trunc(d))
        return false;
    *out = (int64_t)d;
    return true;
}

const char *va_json_kind_text(va_json_kind kind) {
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    return names[kind];
}

void va_json_cursor_place(const va_json_cursor *c, int64_t *line, int64_t *col) {
    const char *at = c->value ? c->value : c->doc->text;
    va_io_place p = va_io_place_of(c->doc->text, c->doc->size, at - c->doc->text);
    *line = p.line;
    *col = p.col;
}

// -- escapes ---------------------------------------------------------------------------------

static unsigned hex4(const char *s) {
    unsigned v = 0;
    for (int i = 0; i < 4; i++)
        v = 16 * v + (unsigned)(s[i] <= '9' ? s[i] - '0' : (s[i] | 0x20) - 'a' + 10);
    return v;
}

static int put_utf8(unsigned c, char *out) {
    int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (int i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(lead[n] | c);
    return n;
}

int64_t va_io_json_unescape(const char *s, int64_t n, char *out) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    int64_t len = 0;
    for (int64_t i = 0; i < n;) {
        if (s[i] != '\\') {
            out[len++] = s[i++];
            continue;
        }
        char c = s[i + 1];
        const char *letter = strchr(from, c);
        i += 2;
        if (c != 'u') {
            out[len++] = letter ? to[letter - from] : c;
            continue;
        }
        unsigned code = hex4(s + i);
        i += 4;
        if (code >= 0xD800 && code <= 0xDBFF) { // the other half follows: the text is valid
            code = 0x10000 + ((code - 0xD800) << 10) + (hex4(s + i + 2) - 0xDC00);
            i += 6;
        }
        len += put_utf8(code, out + len);
    }
    return len;
}
