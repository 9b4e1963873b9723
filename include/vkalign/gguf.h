// gguf.h: GGUF files: typed metadata, and tensors as those of safetensors files. Belongs to the io
// layer; depends on io.h.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_GGUF_H
#define VKALIGN_GGUF_H

#include "vkalign/io.h"

#ifdef __cplusplus
extern "C" {
#endif

// A GGUF file, version 2 or 3, little-endian, in a map: metadata and tensors. The whole header is
// checked before anything is used (VA_ERR_FORMAT: file, byte, what, expected, got). Refused with
// VA_ERR_UNSUPPORTED: other versions, big-endian files, arrays of arrays, tensor types that are not
// in VA_DTYPE_LIST. Shapes are row-major, GGUF's dimensions reversed.
typedef struct va_gguf va_gguf;
va_status va_gguf_open(va_ctx *ctx, const char *path, va_gguf **g);
void va_gguf_close(va_gguf **g);
int64_t va_gguf_count(const va_gguf *g);
const va_file_tensor *va_gguf_at(const va_gguf *g, int64_t i); // sorted by name
const va_file_tensor *va_gguf_find(const va_gguf *g, const char *name);

// All bytes before the tensors' data: metadata and descriptions.
const void *va_gguf_header(const va_gguf *g, int64_t *size_bytes);

typedef enum va_gguf_kind {
    VA_GGUF_NONE, // of NULL, the value of an absent key
    VA_GGUF_UINT,
    VA_GGUF_INT,
    VA_GGUF_FLOAT,
    VA_GGUF_BOOL,
    VA_GGUF_STRING,
    VA_GGUF_ARRAY
} va_gguf_kind;
// A value of the metadata; immutable, owned by the file. NULL is taken everywhere.
typedef struct va_gguf_value va_gguf_value;
int64_t va_gguf_key_count(const va_gguf *g);
const char *va_gguf_key_at(const va_gguf *g, int64_t i);             // sorted
const va_gguf_value *va_gguf_get(const va_gguf *g, const char *key); // NULL when absent
va_gguf_kind va_gguf_value_kind(const va_gguf_value *v);
const char *va_gguf_type_text(const va_gguf_value *v); // "UINT32", "ARRAY of STRING", "nothing"
// Scalars: false or NULL for arrays and other kinds.
bool va_gguf_as_int(const va_gguf_value *v, int64_t *out);   // UINT and INT up to INT64_MAX
bool va_gguf_as_double(const va_gguf_value *v, double *out); // finite FLOAT; exact UINT and INT
bool va_gguf_as_bool(const va_gguf_value *v, bool *out);
const char *va_gguf_as_string(const va_gguf_value *v); // NULL too with a NUL or invalid UTF-8 in it
// Arrays of one kind (not VA_GGUF_ARRAY). Every access takes constant time; false when i or the
// kind is wrong. A scalar is read as an array of one.
int64_t va_gguf_length(const va_gguf_value *v); // 0 of NULL
va_gguf_kind va_gguf_element_kind(const va_gguf_value *v);
bool va_gguf_int_at(const va_gguf_value *v, int64_t i, int64_t *out);
bool va_gguf_number_at(const va_gguf_value *v, int64_t i, double *out); // as it stands, also NaN
bool va_gguf_bool_at(const va_gguf_value *v, int64_t i, bool *out);
// n bytes of any values, in the map and without a NUL behind them.
bool va_gguf_string_at(const va_gguf_value *v, int64_t i, const char **s, int64_t *n);

#ifdef __cplusplus
}
#endif
#endif
