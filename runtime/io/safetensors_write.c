// safetensors_write.c: writing a .safetensors file: widest elements first, then by name, so that
// every tensor is aligned to its element within the data.
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

va_status va_safetensors_write(va_ctx *ctx, const char *path, const va_file_tensor *entries,
                               int64_t n, const char *const (*meta)[2], int64_t n_meta) {
    va_status st = VA_OK;
    const va_file_tensor **sorted = NULL;
    va_json *header = NULL;
    va_strbuf text = {0};
    va_atomic_file *file = NULL;
    int64_t bytes;
    VA_TRY_ALLOC(ctx, sorted, calloc((size_t)n + 1, sizeof *sorted));
    for (int64_t i = 0; i < n; i++)
        sorted[i] = &entries[i];
    qsort(sorted, (size_t)n, sizeof *sorted, compare_entries);
    VA_TRY_ALLOC(ctx, header, va_json_object());
    VA_TRY(build_header(ctx, path, sorted, n, meta, n_meta, header));
    VA_TRY(print_header(ctx, path, header, &text));
    VA_TRY(va_atomic_open(ctx, path, &file));
    uint64_t length = (uint64_t)text.len;
    VA_TRY(va_atomic_write(file, &length, sizeof length));
    VA_TRY(va_atomic_write(file, text.data, text.len));
    for (int64_t i = 0; i < n; i++) {
        VA_TRY(entry_bytes(ctx, path, sorted[i], &bytes));
        VA_TRY(va_atomic_write(file, sorted[i]->data, bytes));
    }
    VA_TRY(va_atomic_commit(&file));
done:
    va_atomic_abort(&file);
    va_strbuf_free(&text);
    va_json_free(&header);
    free(sorted);
    return st;
}
