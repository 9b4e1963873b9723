// gguf_open.c: opening a GGUF file.
//
// A file is: "GGUF", version (u32), counts of tensors and of values (u64 each), the values (a key
// and a typed value each), descriptions of the tensors, padding to the alignment, the tensors'
// data.
// SPDX-License-Identifier: Apache-2.0
#include "gguf_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

va_status va_gguf_fail(const va_gguf_reader *r, va_status code, const char *fmt, ...) {
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return va_fail(r->ctx, code, "%s: byte %lld: %s", r->file->path, (long long)r->at, what);
}

va_status va_gguf_take(va_gguf_reader *r, const char *what, void *out, int64_t size_bytes) {
    const int64_t rest = r->file->map.size_bytes - r->at;
    if (size_bytes > rest)
        return va_gguf_fail(r, VA_ERR_FORMAT, "expected %lld bytes of %s, got %lld",
                            (long long)size_bytes, what, (long long)rest);
    memcpy(out, r->file->map.data + r->at, (size_t)size_bytes);
    r->at += size_bytes;
    return VA_OK;
}

va_status va_gguf_take_length(va_gguf_reader *r, const char *what, int64_t *n) {
    uint64_t length = 0;
    const va_status st = va_gguf_take(r, what, &length, sizeof length);
    if (st != VA_OK)
        return st;
    const int64_t rest = r->file->map.size_bytes - r->at;
    if (length > (uint64_t)rest)
        return va_gguf_fail(r, VA_ERR_FORMAT, "%s has %llu bytes, the file only %lld more", what,
                            (unsigned long long)length, (long long)rest);
    *n = (int64_t)length;
    return VA_OK;
}

va_status va_gguf_take_name(va_gguf_reader *r, const char *what, const char **name) {
    va_status st = VA_OK;
    int64_t n;
    VA_TRY(va_gguf_take_length(r, what, &n));
    const char *s = (const char *)r->file->map.data + r->at;
    if (n < 1 || n > UINT16_MAX)
        return va_gguf_fail(r, VA_ERR_FORMAT, "%s: expected 1 to 65535 bytes, got %lld", what,
                            (long long)n);
    if (memchr(s, 0, (size_t)n) || va_io_utf8_invalid(s, n) >= 0)
        return va_gguf_fail(r, VA_ERR_FORMAT, "%s: expected UTF-8 without NUL", what);
    VA_TRY_ALLOC(r->ctx, *name, va_arena_strndup(r->file->arena, s, n));
    r->at += n;
done:
    return st;
}

static va_status check_version(va_gguf_reader *r) {
    va_status st = VA_OK;
    char magic[4] = {0};
    uint32_t version = 0;
    VA_TRY(va_gguf_take(r, "magic", magic, sizeof magic));
    if (memcmp(magic, "GGUF", sizeof magic) != 0)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: expected the magic GGUF, got %02x %02x %02x %02x", r->file->path,
                       magic[0] & 0xFF, magic[1] & 0xFF, magic[2] & 0xFF, magic[3] & 0xFF);
    VA_TRY(va_gguf_take(r, "version", &version, sizeof version));
    if (version != 0 && (version & 0xFFFF) == 0)
        return va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                       "%s: expected a little-endian file, got a big-endian one", r->file->path);
    if (version != 2 && version != 3)
        return va_fail(r->ctx, VA_ERR_UNSUPPORTED, "%s: expected GGUF version 2 or 3, got %lu",
                       r->file->path, (unsigned long)version);
done:
    return st;
}

// A count of which each has at least min_bytes in the rest of the file, so that what is allocated
// for them is in proportion to the file.
static va_status check_count(const va_gguf_reader *r, const char *what, uint64_t n,
                             int64_t min_bytes, int64_t *count) {
    const int64_t rest = r->file->map.size_bytes - r->at;
    if (n > (uint64_t)(rest / min_bytes))
        return va_gguf_fail(r, VA_ERR_FORMAT, "%llu %s do not fit into the %lld bytes that follow",
                            (unsigned long long)n, what, (long long)rest);
    *count = (int64_t)n;
    return VA_OK;
}

static va_status read_file(va_gguf_reader *r) {
    enum {
        MIN_VALUE = 8 + 1 + 4 + 1,          // length, key, type, value
        MIN_TENSOR = 8 + 1 + 4 + 0 + 4 + 8, // length, name, dimensions (none), type, offset
    };
    va_status st = VA_OK;
    uint64_t n_tensors = 0, n_values = 0;
    VA_TRY(check_version(r));
    VA_TRY(va_gguf_take(r, "tensor count", &n_tensors, sizeof n_tensors));
    VA_TRY(va_gguf_take(r, "value count", &n_values, sizeof n_values));
    VA_TRY(check_count(r, "values", n_values, MIN_VALUE, &r->file->n_values));
    VA_TRY(va_gguf_take_values(r));
    VA_TRY(check_count(r, "tensors", n_tensors, MIN_TENSOR, &r->file->n_tensors));
    VA_TRY(va_gguf_take_tensors(r));
    r->file->header_bytes = r->at;
done:
    return st;
}

va_status va_gguf_open(va_ctx *ctx, const char *path, va_gguf **out) {
    va_status st = VA_OK;
    va_gguf *g = NULL;
    *out = NULL;
    VA_TRY_ALLOC(ctx, g, calloc(1, sizeof *g));
    VA_TRY_ALLOC(ctx, g->arena, va_arena_create());
    VA_TRY_ALLOC(ctx, g->path, va_arena_strdup(g->arena, path));
    VA_TRY(va_map_open(ctx, path, &g->map));
    VA_TRY(read_file(&(va_gguf_reader){.ctx = ctx, .file = g}));
    *out = g;
    g = NULL;
done:
    va_gguf_close(&g);
    return st;
}

void va_gguf_close(va_gguf **g) {
    if (!g || !*g)
        return;
    va_map_close(&(*g)->map);
    va_arena_destroy(&(*g)->arena);
    free(*g);
    *g = NULL;
}

const void *va_gguf_header(const va_gguf *g, int64_t *size_bytes) {
    *size_bytes = g->header_bytes;
    return g->map.data;
}
