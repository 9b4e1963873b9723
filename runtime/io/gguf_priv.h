// gguf_priv.h: what reading a GGUF file's metadata and its tensors share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_GGUF_PRIV_H
#define VA_GGUF_PRIV_H

#include "io_priv.h"

#include "vkalign/gguf.h"

// X(number in the file, name, bytes of one, kind)
#define VA_GGUF_TYPE_LIST(X)                                                                       \
    X(0, "UINT8", 1, VA_GGUF_UINT)                                                                 \
    X(1, "INT8", 1, VA_GGUF_INT)                                                                   \
    X(2, "UINT16", 2, VA_GGUF_UINT)                                                                \
    X(3, "INT16", 2, VA_GGUF_INT)                                                                  \
    X(4, "UINT32", 4, VA_GGUF_UINT)                                                                \
    X(5, "INT32", 4, VA_GGUF_INT)                                                                  \
    X(6, "FLOAT32", 4, VA_GGUF_FLOAT)                                                              \
    X(7, "BOOL", 1, VA_GGUF_BOOL)                                                                  \
    X(8, "STRING", 0, VA_GGUF_STRING)                                                              \
    X(9, "ARRAY", 0, VA_GGUF_ARRAY)                                                                \
    X(10, "UINT64", 8, VA_GGUF_UINT)                                                               \
    X(11, "INT64", 8, VA_GGUF_INT)                                                                 \
    X(12, "FLOAT64", 8, VA_GGUF_FLOAT)
typedef struct va_gguf_type {
    const char *name, *array_name; // "INT8", "ARRAY of INT8"
    int64_t bytes;                 // of one; 0: varies
    va_gguf_kind kind;
} va_gguf_type;

struct va_gguf_value {
    const char *key;
    const va_gguf_type *type; // of the elements
    bool is_array;
    int64_t n;            // elements; 1 of a scalar
    const uint8_t *data;  // strings: the file's start; others: the elements, possibly unaligned
    const int64_t *place; // strings: where in the file each one's length stands
    const char *text;     // a scalar string that can be handed out with a NUL behind it
};

struct va_gguf {
    va_arena *arena;
    const char *path;
    va_map map;
    int64_t header_bytes;
    va_gguf_value *values; // sorted by key
    int64_t n_values;
    va_file_tensor *tensors; // sorted by name
    int64_t n_tensors;
};

// A place in the file being read; whatever is taken is first checked to be there.
typedef struct va_gguf_reader {
    va_ctx *ctx;
    va_gguf *file;
    int64_t at;
} va_gguf_reader;

// Records VA_ERR_FORMAT or another code with "path: byte AT: " and returns it.
va_status va_gguf_fail(const va_gguf_reader *r, va_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// The next size_bytes bytes; what is for the message.
va_status va_gguf_take(va_gguf_reader *r, const char *what, void *out, int64_t size_bytes);
// The length of a string of which all bytes are there; r stands at the first of them.
va_status va_gguf_take_length(va_gguf_reader *r, const char *what, int64_t *n);
// A name of 1 to 65,535 bytes of UTF-8, none a NUL, copied.
va_status va_gguf_take_name(va_gguf_reader *r, const char *what, const char **name);

// file->n_values values, sorted; and file->n_tensors descriptions of tensors, then their data.
va_status va_gguf_take_values(va_gguf_reader *r);
va_status va_gguf_take_tensors(va_gguf_reader *r);

#endif
