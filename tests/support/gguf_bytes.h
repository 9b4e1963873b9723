// gguf_bytes.h: GGUF files put together byte by byte.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_GGUF_BYTES_H
#define VA_GGUF_BYTES_H

#include "vkalign/base.h"

// Types of values, by their numbers in files.
enum {
    GGUF_U8 = 0,
    GGUF_U16 = 2,
    GGUF_U32 = 4,
    GGUF_I32 = 5,
    GGUF_F32 = 6,
    GGUF_BOOL = 7,
    GGUF_STRING = 8,
    GGUF_ARRAY = 9,
    GGUF_U64 = 10
};

void gguf_put(va_strbuf *b, uint64_t value, int bytes); // little-endian
void gguf_put_float(va_strbuf *b, float value);
void gguf_put_string(va_strbuf *b, const char *s);
void gguf_put_head(va_strbuf *b, uint32_t version, uint64_t n_tensors, uint64_t n_values);
void gguf_put_key(va_strbuf *b, const char *key, uint32_t type);
// The header of a tensor with n_dim <= 2 dimensions, rows of d0.
void gguf_put_tensor(va_strbuf *b, const char *name, uint32_t n_dim, uint64_t d0, uint64_t d1,
                     uint32_t type, uint64_t offset);
// Zeros up to a multiple of alignment, then n_data bytes 0, 1, 2, ...
void gguf_pad(va_strbuf *b, int64_t alignment, int64_t n_data);

#endif
