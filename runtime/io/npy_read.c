// npy_read.c: NumPy's .npy arrays, versions 1.0 and 2.0 (NEP 1; numpy.lib.format).
//
// The header is the text of a Python dict with exactly three keys:
//     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <string.h>

typedef struct header {
    const char *path;
    const char *p, *end; // what is still to be read
    bool has_descr, has_order, has_shape;
    va_dtype dtype;
    int n_dim;
    int64_t shape[VA_MAX_DIM];
} header;

static va_status fail_header(va_ctx *ctx, const header *h, const char *expected) {
    return va_fail(ctx, VA_ERR_FORMAT, "%s: npy header: expected %s, got '%.*s'", h->path, expected,
                   (int)VA_MIN(h->end - h->p, 24), h->p);
}

static void skip_space(header *h) {
    while (h->p < h->end && (*h->p == ' ' || *h->p == '\n' || *h->p == '\t'))
        h->p++;
}

static bool take(header *h, const char *text) {
    int64_t n = (int64_t)strlen(text);
    skip_space(h);
    if (h->end - h->p < n || memcmp(h->p, text, (size_t)n) != 0)
        return false;
    h->p += n;
    return true;
}

static bool take_string(header *h, const char *text) {
    const char *start = h->p;
    char quote = take(h, "'") ? '\'' : take(h, "\"") ? '"' : '\0';
    int64_t n = (int64_t)strlen(text);
    if (quote && h->end - h->p > n && memcmp(h->p, text, (size_t)n) == 0 && h->p[n] == quote) {
        h->p += n + 1;
        return true;
    }
    h->p = start;
    return false;
}

static bool take_size(header *h, int64_t *size) {
    skip_space(h);
    const char *start = h->p;
    *size = 0;
    for (; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++)
        if (!va_mul_i64(*size, 10, size) || !va_add_i64(*size, *h->p - '0', size))
            return false;
    return h->p > start;
}

static va_status read_shape(va_ctx *ctx, header *h) {
    bool need_comma = false;
    if (!take(h, "("))
        return fail_header(ctx, h, "'(' of the shape");
    while (!take(h, ")")) {
        if (need_comma)
            return fail_header(ctx, h, "',' or ')'");
        if (h->n_dim == VA_MAX_DIM)
            return fail_header(ctx, h, "at most 8 dimensions");
        if (!take_size(h, &h->shape[h->n_dim++]))
            return fail_header(ctx, h, "a size");
        need_comma = !take(h, ",");
        if (need_comma && h->n_dim == 1) // (3) is no tuple
            return fail_header(ctx, h, "',' after the first size");
    }
    return VA_OK;
}

static va_status read_dtype(va_ctx *ctx, header *h) {
    static const struct {
        const char *descr;
        va_dtype dtype;
    } known[] = {{"<f4", VA_F32}, {"<f8", VA_F64}, {"<f2", VA_F16}};
    for (int64_t i = 0; i < VA_COUNT(known); i++)
        if (take_string(h, known[i].descr)) {
            h->dtype = known[i].dtype;
            return VA_OK;
        }
    skip_space(h);
    return fail_header(ctx, h, "descr '<f4', '<f8' or '<f2'");
}

static va_status read_entry(va_ctx *ctx, header *h) {
    bool *seen = NULL;
    if (take_string(h, "descr"))
        seen = &h->has_descr;
    else if (take_string(h, "fortran_order"))
        seen = &h->has_order;
    else if (take_string(h, "shape"))
        seen = &h->has_shape;
    if (!seen || *seen)
        return fail_header(ctx, h, "descr, fortran_order and shape, each once");
    *seen = true;
    if (!take(h, ":"))
        return fail_header(ctx, h, "':'");
    if (seen == &h->has_descr)
        return read_dtype(ctx, h);
    if (seen == &h->has_shape)
        return read_shape(ctx, h);
    return take(h, "False") ? VA_OK : fail_header(ctx, h, "fortran_order False (C order)");
}

static va_status read_dict(va_ctx *ctx, header *h) {
    va_status st = VA_OK;
    if (!take(h, "{"))
        VA_TRY(fail_header(ctx, h, "'{'"));
    bool need_comma = false;
    while (!take(h, "}")) {
        if (need_comma)
            VA_TRY(fail_header(ctx, h, "',' or '}'"));
        VA_TRY(read_entry(ctx, h));
        need_comma = !take(h, ",");
    }
    skip_space(h);
    if (h->p != h->end)
        VA_TRY(fail_header(ctx, h, "the end"));
    if (!h->has_descr || !h->has_order || !h->has_shape)
        VA_TRY(fail_header(ctx, h, "descr, fortran_order and shape"));
done:
    return st;
}

// Places h on the dict's text and *data behind it.
static va_status find_header(va_ctx *ctx, const char *path, va_map map, header *h,
                             int64_t *data_at) {
    if (map.size_bytes < 12 || memcmp(map.data, "\x93NUMPY", 6) != 0)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: not a .npy file", path);
    int major = map.data[6], minor = map.data[7];
    if ((major != 1 && major != 2) || minor != 0)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: expected .npy version 1.0 or 2.0, got %d.%d", path,
                       major, minor);
    uint32_t length = 0;
    int length_bytes = major == 1 ? 2 : 4;
    memcpy(&length, map.data + 8, (size_t)length_bytes);
    int64_t start = 8 + length_bytes;
    if (length > map.size_bytes - start)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: the header has %u bytes, the file only %lld more",
                       path, length, (long long)(map.size_bytes - start));
    h->p = (const char *)map.data + start;
    h->end = h->p + length;
    *data_at = start + length;
    return VA_OK;
}

va_status va_npy_load(va_ctx *ctx, va_arena *arena, const char *path, int *n_dim,
                      int64_t shape[VA_MAX_DIM], float **data) {
    va_status st = VA_OK;
    va_map map = {0};
    header h = {.path = path};
    int64_t data_at = 0, n_elem = 1, bytes = 0;
    VA_TRY(va_map_open(ctx, path, &map));
    VA_TRY(find_header(ctx, path, map, &h, &data_at));
    VA_TRY(read_dict(ctx, &h));
    bool ok = true;
    for (int i = 0; ok && i < h.n_dim; i++)
        ok = va_mul_i64(n_elem, h.shape[i], &n_elem);
    bytes = ok ? va_dtype_size(h.dtype, n_elem) : -1;
    if (bytes < 0)
        VA_TRY(va_fail(ctx, VA_ERR_FORMAT, "%s: the shape overflows", path));
    if (bytes != map.size_bytes - data_at)
        VA_TRY(va_fail(ctx, VA_ERR_FORMAT, "%s: dtype and shape need %lld bytes of data, got %lld",
                       path, (long long)bytes, (long long)(map.size_bytes - data_at)));
    VA_TRY_ALLOC(ctx, *data, VA_NEW_ARRAY(arena, float, n_elem));
    va_convert_to_f32(*data, map.data + data_at, h.dtype, n_elem);
    *n_dim = h.n_dim;
    memcpy(shape, h.shape, sizeof h.shape);
done:
    va_map_close(&map);
    return st;
}
