// npy_write.c: writing a float32 .npy array (version 1.0) as its rows come.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <stdlib.h>
#include <string.h>

struct va_npy_writer {
    va_ctx *ctx;
    va_atomic_file *file;
    char *path;
    int64_t n_elem, n_written;
    bool too_many; // an append that did not fit was refused
};

// The header: the data behind it begin on a multiple of 64 bytes, as NumPy's own do.
static void write_header(va_strbuf *out, int n_dim, const int64_t *shape) {
    va_strbuf dict = {0};
    va_strbuf_puts(&dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < n_dim; i++)
        va_strbuf_printf(&dict, "%s%lld", i ? ", " : "", (long long)shape[i]);
    va_strbuf_puts(&dict, n_dim == 1 ? ",), }" : "), }");
    while ((10 + dict.len + 1) % 64 != 0 && !dict.failed)
        va_strbuf_puts(&dict, " ");
    va_strbuf_puts(&dict, "\n");
    const char length[2] = {(char)(dict.len & 0xFF), (char)(dict.len >> 8)};
    va_strbuf_append(out, "\x93NUMPY\x01\x00", 8);
    va_strbuf_append(out, length, 2);
    va_strbuf_append(out, dict.data, dict.len);
    out->failed = out->failed || dict.failed;
    va_strbuf_free(&dict);
}

va_status va_npy_create(va_ctx *ctx, const char *path, int n_dim, const int64_t *shape,
                        va_npy_writer **w) {
    va_status st = VA_OK;
    va_strbuf text = {0};
    va_npy_writer *made = NULL;
    *w = NULL;
    VA_TRY_ALLOC(ctx, made, calloc(1, sizeof *made));
    made->ctx = ctx;
    made->n_elem = 1;
    bool ok = n_dim >= 0 && n_dim <= VA_MAX_DIM;
    for (int i = 0; ok && i < n_dim; i++)
        ok = shape[i] >= 0 && va_mul_i64(made->n_elem, shape[i], &made->n_elem);
    if (!ok)
        VA_TRY(va_fail(ctx, VA_ERR_SHAPE, "%s: %d dimensions are no shape", path, n_dim));
    write_header(&text, n_dim, shape);
    VA_TRY_ALLOC(ctx, made->path, strdup(path));
    if (text.failed)
        VA_TRY(va_fail(ctx, VA_ERR_MEMORY, "%s: out of host memory", path));
    VA_TRY(va_atomic_open(ctx, path, &made->file));
    VA_TRY(va_atomic_write(made->file, text.data, text.len));
    *w = made;
    made = NULL;
done:
    va_npy_abort(&made);
    va_strbuf_free(&text);
    return st;
}

va_status va_npy_append(va_npy_writer *w, const float *data, int64_t n) {
    if (n > w->n_elem - w->n_written) {
        w->too_many = true;
        return va_fail(w->ctx, VA_ERR_SHAPE, "%s: expected %lld elements, got at least %lld",
                       w->path, (long long)w->n_elem, (long long)(w->n_written + n));
    }
    w->n_written += n;
    return va_atomic_write(w->file, data, n * (int64_t)sizeof(float));
}

va_status va_npy_commit(va_npy_writer **w) {
    va_status st = VA_OK;
    va_npy_writer *f = *w;
    if (f->too_many || f->n_written != f->n_elem)
        st =
            va_fail(f->ctx, VA_ERR_SHAPE, "%s: expected %lld elements, got %s%lld", f->path,
                    (long long)f->n_elem, f->too_many ? "more than " : "", (long long)f->n_written);
    else
        st = va_atomic_commit(&f->file);
    va_npy_abort(w);
    return st;
}

void va_npy_abort(va_npy_writer **w) {
    if (!w || !*w)
        return;
    va_atomic_abort(&(*w)->file);
    free((*w)->path);
    free(*w);
    *w = NULL;
}
