// json_doc.h: large JSON documents, walked in place. Depends on io.h.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_JSON_DOC_H
#define VKALIGN_JSON_DOC_H

#include "vkalign/io.h"

#ifdef __cplusplus
extern "C" {
#endif

// A document whose large values get no tree: they are read as strictly as all else (apart from
// duplicate keys, which whoever walks them sees), stand empty in the tree, and are walked by
// cursor.
typedef struct va_json_doc va_json_doc;
typedef struct va_json_path { // root[object][key], an object or array
    const char *object, *key;
} va_json_path;
enum { VA_JSON_MAX_LARGE = 4 };
// As va_json_load. n_large <= VA_JSON_MAX_LARGE.
va_status va_json_doc_open(va_ctx *ctx, const char *path, int64_t max_bytes,
                           const va_json_path *large, int64_t n_large, va_json_doc **doc);
void va_json_doc_close(va_json_doc **doc);
const va_json *va_json_doc_root(const va_json_doc *doc);

typedef enum va_json_kind {
    VA_JSON_NULL,
    VA_JSON_BOOL,
    VA_JSON_NUMBER,
    VA_JSON_STRING,
    VA_JSON_ARRAY,
    VA_JSON_OBJECT
} va_json_kind;
const char *va_json_kind_text(va_json_kind kind); // as va_json_type
// Children of a value in the order of the text. Strings live as long as the document and end
// without NUL.
typedef struct va_json_cursor {
    va_json_kind kind; // of the child at hand
    const char *key;   // NULL in an array
    const char *string;
    int64_t key_n, string_n;       // bytes
    bool failed;                   // out of memory: va_json_cursor_next said false too early
    bool in_object;                // private from here
    const char *value, *next;      // where the child stands, and what follows it
    struct va_json_cursor *parent; // told where this one ended
    va_json_doc *doc;
} va_json_cursor;
// Large value i; without children when the document has none, or no object or array.
va_json_cursor va_json_doc_large(va_json_doc *doc, int64_t i);
bool va_json_cursor_next(va_json_cursor *c); // false: no more
// The children of the child at hand; c must stay where it is meanwhile.
va_json_cursor va_json_cursor_enter(va_json_cursor *c);
bool va_json_cursor_int(const va_json_cursor *c, int64_t *out); // as va_json_as_int
// 1-based, of the child at hand.
void va_json_cursor_place(const va_json_cursor *c, int64_t *line, int64_t *col);

#ifdef __cplusplus
}
#endif
#endif
