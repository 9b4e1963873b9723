// safetensors_write.c: writing a .safetensors file: widest elements first, then by name, so that
// every tensor is aligned to its element within the data. Sizes follow from the header, so the data
// may come in any order of tensors and are written to their places.
// SPDX-License-Identifier: Apache-2.0
#include "safetensors_priv.h"

#include <stdlib.h>
#include <string.h>

static int compare_entries(const void *a, const void *b) {
    const va_file_tensor *x = *(const va_file_tensor *const *)a;
    const va_file_tensor *y = *(const va_file_tensor *const *)b;
    int64_t x_bytes = va_dtype_bytes(x->dtype), y_bytes = va_dtype_bytes(y->dtype);
    if (x_bytes != y_bytes)
        return x_bytes > y_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static va_status entry_bytes(va_ctx *ctx, const char *path, const va_file_tensor *t,
                             int64_t *bytes) {
    bool ok = t->n_dim >= 0 && t->n_dim <= VA_MAX_DIM;
    if (va_dtype_quantised(t->dtype))
        return va_fail(ctx, VA_ERR_SHAPE, "%s: tensor '%s': safetensors files hold no %s", path,
                       t->name, va_dtype_name(t->dtype));
    *bytes = va_dtype_bytes(t->dtype);
    for (int i = 0; ok && i < t->n_dim; i++)
        ok = t->shape[i] >= 0 && va_mul_i64(*bytes, t->shape[i], bytes);
    return ok ? VA_OK
              : va_fail(ctx, VA_ERR_SHAPE, "%s: tensor '%s': %d dimensions are no shape", path,
                        t->name, t->n_dim);
}

static bool add_tensor(va_json *header, const va_file_tensor *t, int64_t begin, int64_t end) {
    va_json *entry = va_json_add_object(header, t->name);
    bool ok = entry && va_json_add_string(entry, "dtype", va_dtype_name(t->dtype));
    va_json *shape = ok ? va_json_add_array(entry, "shape") : NULL;
    ok = shape != NULL;
    for (int i = 0; ok && i < t->n_dim; i++)
        ok = va_json_add_int(shape, NULL, t->shape[i]);
    va_json *offsets = ok ? va_json_add_array(entry, "data_offsets") : NULL;
    return offsets && va_json_add_int(offsets, NULL, begin) && va_json_add_int(offsets, NULL, end);
}

static va_status build_header(va_ctx *ctx, const char *path, const va_file_tensor *const *sorted,
                              int64_t n, const char *const (*meta)[2], int64_t n_meta,
                              va_json *header) {
    va_status st = VA_OK;
    int64_t at = 0, bytes, end;
    if (n_meta > 0) {
        va_json *pairs;
        VA_TRY_ALLOC(ctx, pairs, va_json_add_object(header, "__metadata__"));
        for (int64_t i = 0; i < n_meta; i++)
            if (!va_json_add_string(pairs, meta[i][0], meta[i][1]))
                VA_TRY(va_fail(ctx, VA_ERR_MEMORY, "%s: out of host memory", path));
    }
    for (int64_t i = 0; i < n; i++) {
        const char *name = sorted[i]->name;
        VA_TRY(entry_bytes(ctx, path, sorted[i], &bytes));
        if (strcmp(name, "__metadata__") == 0)
            VA_TRY(va_fail(ctx, VA_ERR_USAGE, "%s: a tensor is named '%s'", path, name));
        if (!va_add_i64(at, bytes, &end))
            VA_TRY(va_fail(ctx, VA_ERR_SHAPE, "%s: tensor '%s': the sizes overflow", path, name));
        if (!add_tensor(header, sorted[i], at, end))
            VA_TRY(va_fail(ctx, VA_ERR_MEMORY, "%s: out of host memory", path));
        at = end;
    }
done:
    return st;
}

// Header text, padded with spaces so that the data begin on a multiple of 8. A reader's own rules
// (one name once, UTF-8, size) are applied by parsing what was built.
static va_status print_header(va_ctx *ctx, const char *path, const va_json *header,
                              va_strbuf *text) {
    va_status st = VA_OK;
    va_json *check = NULL;
    char *json = NULL;
    VA_TRY_ALLOC(ctx, json, va_json_print(header, false));
    va_strbuf_puts(text, json);
    while (text->len % 8 != 0 && !text->failed)
        va_strbuf_puts(text, " ");
    if (text->failed)
        VA_TRY(va_fail(ctx, VA_ERR_MEMORY, "%s: out of host memory", path));
    if (text->len > VA_ST_MAX_HEADER)
        VA_TRY(va_fail(ctx, VA_ERR_SHAPE,
                       "%s: the header has %lld bytes, at most 100 MB are allowed", path,
                       (long long)text->len));
    st = va_json_parse(ctx, "header", text->data, text->len, &check);
    if (st != VA_OK)
        st = va_fail_in(ctx, VA_ERR_USAGE, "%s: cannot be written", path);
done:
    va_json_free(&check);
    free(json);
    return st;
}

// -- streaming ------------------------------------------------------------------------------------

// An entry's place in the file.
typedef struct place {
    char *name;
    int64_t elem_bytes, n_elem;
    int64_t at;     // byte of the file where its data begin
    int64_t n_done; // elements that came
} place;

struct va_safetensors_writer {
    va_ctx *ctx;
    va_atomic_file *file;
    char *path;
    place *places; // [n], in the caller's order
    int64_t n;
    bool refused; // a put that did not fit
};

// The data of the sorted entries lie one behind the other from byte `at` on.
static va_status make_places(va_safetensors_writer *w, const va_file_tensor *entries,
                             const va_file_tensor *const *sorted, int64_t at) {
    va_status st = VA_OK;
    for (int64_t i = 0; i < w->n; i++) {
        int64_t bytes;
        place *p = &w->places[sorted[i] - entries];
        VA_TRY(entry_bytes(w->ctx, w->path, sorted[i], &bytes));
        VA_TRY_ALLOC(w->ctx, p->name, strdup(sorted[i]->name));
        p->elem_bytes = va_dtype_bytes(sorted[i]->dtype);
        p->n_elem = bytes / p->elem_bytes;
        p->at = at;
        at += bytes; // fits: the header's sums did, and the header is short
    }
done:
    return st;
}

static va_status write_header(va_safetensors_writer *w, const va_file_tensor *entries,
                              const char *const (*meta)[2], int64_t n_meta) {
    va_status st = VA_OK;
    const va_file_tensor **sorted = NULL;
    va_json *header = NULL;
    va_strbuf text = {0};
    VA_TRY_ALLOC(w->ctx, sorted, calloc((size_t)w->n + 1, sizeof *sorted));
    for (int64_t i = 0; i < w->n; i++)
        sorted[i] = &entries[i];
    qsort(sorted, (size_t)w->n, sizeof *sorted, compare_entries);
    VA_TRY_ALLOC(w->ctx, header, va_json_object());
    VA_TRY(build_header(w->ctx, w->path, sorted, w->n, meta, n_meta, header));
    VA_TRY(print_header(w->ctx, w->path, header, &text));
    const uint64_t length = (uint64_t)text.len;
    VA_TRY(make_places(w, entries, sorted, (int64_t)sizeof length + text.len));
    VA_TRY(va_atomic_open(w->ctx, w->path, &w->file));
    VA_TRY(va_atomic_write(w->file, &length, sizeof length));
    VA_TRY(va_atomic_write(w->file, text.data, text.len));
done:
    va_strbuf_free(&text);
    va_json_free(&header);
    free(sorted);
    return st;
}

va_status va_safetensors_create(va_ctx *ctx, const char *path, const va_file_tensor *entries,
                                int64_t n, const char *const (*meta)[2], int64_t n_meta,
                                va_safetensors_writer **w) {
    va_status st = VA_OK;
    va_safetensors_writer *made = NULL;
    *w = NULL;
    VA_TRY_ALLOC(ctx, made, calloc(1, sizeof *made));
    made->ctx = ctx;
    VA_TRY_ALLOC(ctx, made->path, strdup(path));
    VA_TRY_ALLOC(ctx, made->places, calloc((size_t)n + 1, sizeof *made->places));
    made->n = n;
    VA_TRY(write_header(made, entries, meta, n_meta));
    *w = made;
    made = NULL;
done:
    va_safetensors_abort(&made);
    return st;
}

va_status va_safetensors_put(va_safetensors_writer *w, int64_t i, int64_t first, const void *data,
                             int64_t count) {
    place *p = i >= 0 && i < w->n ? &w->places[i] : NULL;
    if (!p || first != p->n_done || count < 0 || count > p->n_elem - first) {
        w->refused = true;
        if (!p)
            return va_fail(w->ctx, VA_ERR_SHAPE, "%s: expected one of %lld tensors, got %lld",
                           w->path, (long long)w->n, (long long)i);
        return va_fail(w->ctx, VA_ERR_SHAPE,
                       "%s: tensor '%s': expected elements from %lld to at most %lld, got %lld "
                       "from %lld on",
                       w->path, p->name, (long long)p->n_done, (long long)p->n_elem,
                       (long long)count, (long long)first);
    }
    p->n_done += count;
    return va_atomic_write_at(w->file, p->at + first * p->elem_bytes, data, count * p->elem_bytes);
}

static va_status check_complete(const va_safetensors_writer *w) {
    for (int64_t i = 0; i < w->n; i++) {
        const place *p = &w->places[i];
        if (p->n_done != p->n_elem)
            return va_fail(w->ctx, VA_ERR_SHAPE,
                           "%s: tensor '%s': expected %lld elements, got %lld", w->path, p->name,
                           (long long)p->n_elem, (long long)p->n_done);
    }
    if (w->refused)
        return va_fail(w->ctx, VA_ERR_SHAPE, "%s: not written: some elements were refused",
                       w->path);
    return VA_OK;
}

va_status va_safetensors_commit(va_safetensors_writer **w) {
    va_status st = check_complete(*w);
    if (st == VA_OK)
        st = va_atomic_commit(&(*w)->file);
    va_safetensors_abort(w);
    return st;
}

void va_safetensors_abort(va_safetensors_writer **w) {
    if (!w || !*w)
        return;
    va_safetensors_writer *f = *w;
    *w = NULL;
    va_atomic_abort(&f->file);
    for (int64_t i = 0; i < f->n; i++)
        free(f->places[i].name);
    free(f->places);
    free(f->path);
    free(f);
}

va_status va_safetensors_write(va_ctx *ctx, const char *path, const va_file_tensor *entries,
                               int64_t n, const char *const (*meta)[2], int64_t n_meta) {
    va_status st = VA_OK;
    va_safetensors_writer *w = NULL;
    VA_TRY(va_safetensors_create(ctx, path, entries, n, meta, n_meta, &w));
    for (int64_t i = 0; i < n; i++)
        VA_TRY(va_safetensors_put(w, i, 0, entries[i].data, w->places[i].n_elem));
    VA_TRY(va_safetensors_commit(&w));
done:
    va_safetensors_abort(&w);
    return st;
}
