// SPDX-License-Identifier: Apache-2.0
#include "gguf_bytes.h"

#include <string.h>

void gguf_put(va_strbuf *b, uint64_t value, int bytes) {
    va_strbuf_append(b, (const char *)&value, bytes);
}

void gguf_put_float(va_strbuf *b, float value) {
    va_strbuf_append(b, (const char *)&value, sizeof value);
}

void gguf_put_string(va_strbuf *b, const char *s) {
    gguf_put(b, strlen(s), 8);
    va_strbuf_puts(b, s);
}

void gguf_put_head(va_strbuf *b, uint32_t version, uint64_t n_tensors, uint64_t n_values) {
    va_strbuf_puts(b, "GGUF");
    gguf_put(b, version, 4);
    gguf_put(b, n_tensors, 8);
    gguf_put(b, n_values, 8);
}

void gguf_put_key(va_strbuf *b, const char *key, uint32_t type) {
    gguf_put_string(b, key);
    gguf_put(b, type, 4);
}

void gguf_put_tensor(va_strbuf *b, const char *name, uint32_t n_dim, uint64_t d0, uint64_t d1,
                     uint32_t type, uint64_t offset) {
    gguf_put_string(b, name);
    gguf_put(b, n_dim, 4);
    if (n_dim > 0)
        gguf_put(b, d0, 8);
    if (n_dim > 1)
        gguf_put(b, d1, 8);
    gguf_put(b, type, 4);
    gguf_put(b, offset, 8);
}

void gguf_pad(va_strbuf *b, int64_t alignment, int64_t n_data) {
    while (b->len % alignment != 0)
        gguf_put(b, 0, 1);
    for (int64_t i = 0; i < n_data; i++)
        gguf_put(b, (uint64_t)i, 1);
}
