// safetensors_read.c: one .safetensors file, checked whole before anything of it is used.
//
// A file is: header length N (u64), N bytes of JSON, the data. The JSON maps each tensor's name to
// dtype, shape and [begin, end) in the data; the ranges must tile the data without gap or overlap.
// SPDX-License-Identifier: Apache-2.0
#include "safetensors_priv.h"

#include <stdlib.h>
#include <string.h>

// A tensor of the file being read, before it joins the others.
typedef struct range {
    va_file_tensor tensor;
    int64_t begin, end; // bytes within the data
} range;

static va_status read_dtype(va_ctx *ctx, const char *path, const char *name, const va_json *v,
                            va_dtype *dtype) {
    const char *text = va_json_as_string(v);
    if (!text)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: tensor '%s': expected dtype to be a string, got %s",
                       path, name, va_json_type(v));
#define VA_X(id, block, bytes, st_name)                                                            \
    if ((block) == 1 && strcmp(text, st_name) == 0) {                                              \
        *dtype = id;                                                                               \
        return VA_OK;                                                                              \
    }
    VA_DTYPE_LIST(VA_X)
#undef VA_X
    return va_fail(ctx, VA_ERR_FORMAT, "%s: tensor '%s': unknown dtype '%.40s'", path, name, text);
}

static va_status read_shape(va_ctx *ctx, const char *path, const va_json *v, va_file_tensor *t) {
    if (!va_json_is_array(v))
        return va_fail(ctx, VA_ERR_FORMAT, "%s: tensor '%s': expected shape to be an array, got %s",
                       path, t->name, va_json_type(v));
    t->n_elem = 1;
    for (const va_json *d = va_json_first(v); d; d = va_json_next(d)) {
        int64_t size;
        if (t->n_dim == VA_MAX_DIM)
            return va_fail(ctx, VA_ERR_FORMAT,
                           "%s: tensor '%s': expected at most %d dimensions, "
                           "got %lld",
                           path, t->name, VA_MAX_DIM, (long long)va_json_count(v));
        if (!va_json_as_int(d, &size) || size < 0)
            return va_fail(ctx, VA_ERR_FORMAT, "%s: tensor '%s': dimension %d is no size", path,
                           t->name, t->n_dim);
        t->shape[t->n_dim++] = size;
        if (!va_mul_i64(t->n_elem, size, &t->n_elem))
            return va_fail(ctx, VA_ERR_FORMAT, "%s: tensor '%s': the shape overflows", path,
                           t->name);
    }
    t->size_bytes = va_dtype_size(t->dtype, t->n_elem);
    if (t->size_bytes < 0)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: tensor '%s': the shape overflows", path, t->name);
    return VA_OK;
}

static va_status read_offsets(va_ctx *ctx, const char *path, const va_json *v, int64_t data_bytes,
                              range *r) {
    const va_json *first = va_json_is_array(v) && va_json_count(v) == 2 ? va_json_first(v) : NULL;
    if (!first || !va_json_as_int(first, &r->begin) ||
        !va_json_as_int(va_json_next(first), &r->end))
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: tensor '%s': expected data_offsets [begin, end], got %s", path,
                       r->tensor.name, va_json_type(v));
    if (r->begin < 0 || r->begin > r->end || r->end > data_bytes)
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: tensor '%s': data_offsets [%lld, %lld] do not lie in order within the "
                       "%lld bytes of data",
                       path, r->tensor.name, (long long)r->begin, (long long)r->end,
                       (long long)data_bytes);
    if (r->end - r->begin != r->tensor.size_bytes)
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: tensor '%s': dtype and shape need %lld bytes, data_offsets give %lld",
                       path, r->tensor.name, (long long)r->tensor.size_bytes,
                       (long long)(r->end - r->begin));
    return VA_OK;
}

static va_status read_tensor(va_ctx *ctx, va_arena *arena, const char *path, const va_json *entry,
                             const uint8_t *data, int64_t data_bytes, range *r) {
    va_status st = VA_OK;
    va_file_tensor *t = &r->tensor;
    const char *key = va_json_key(entry);
    if (!va_json_is_object(entry))
        VA_TRY(va_fail(ctx, VA_ERR_FORMAT, "%s: tensor '%s': expected an object, got %s", path, key,
                       va_json_type(entry)));
    VA_TRY_ALLOC(ctx, t->name, va_arena_strdup(arena, key));
    t->file = path;
    VA_TRY(read_dtype(ctx, path, key, va_json_get(entry, "dtype"), &t->dtype));
    VA_TRY(read_shape(ctx, path, va_json_get(entry, "shape"), t));
    VA_TRY(read_offsets(ctx, path, va_json_get(entry, "data_offsets"), data_bytes, r));
    t->data = data + r->begin;
done:
    return st;
}

static int compare_ranges(const void *a, const void *b) {
    const range *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

// The ranges, sorted by place, tile the data.
static va_status check_tiling(va_ctx *ctx, const char *path, const range *ranges, int64_t n,
                              int64_t data_bytes) {
    int64_t covered = 0;
    for (int64_t i = 0; i < n; i++) {
        if (ranges[i].begin < covered)
            return va_fail(
                ctx, VA_ERR_FORMAT, "%s: tensor '%s' begins at byte %lld, inside tensor '%s'", path,
                ranges[i].tensor.name, (long long)ranges[i].begin, ranges[i - 1].tensor.name);
        if (ranges[i].begin > covered)
            return va_fail(ctx, VA_ERR_FORMAT,
                           "%s: bytes %lld to %lld before tensor '%s' belong to no tensor", path,
                           (long long)covered, (long long)ranges[i].begin, ranges[i].tensor.name);
        covered = ranges[i].end;
    }
    if (covered != data_bytes)
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: the header describes %lld bytes of data, the file has %lld after it",
                       path, (long long)covered, (long long)data_bytes);
    return VA_OK;
}

static va_status add_metadata(va_ctx *ctx, va_safetensors *s, const char *path, const va_json *v) {
    va_status st = VA_OK;
    const char *(*pairs)[2];
    if (!v)
        return VA_OK;
    if (!va_json_is_object(v))
        return va_fail(ctx, VA_ERR_FORMAT, "%s: expected __metadata__ to be an object, got %s",
                       path, va_json_type(v));
    VA_TRY_ALLOC(
        ctx, pairs,
        va_arena_array(s->arena, s->n_metadata + va_json_count(v), (int64_t)sizeof *pairs));
    if (s->n_metadata > 0)
        memcpy(pairs, s->metadata, (size_t)s->n_metadata * sizeof *pairs);
    s->metadata = pairs;
    for (const va_json *m = va_json_first(v); m; m = va_json_next(m)) {
        const char *value = va_json_as_string(m);
        if (!value)
            VA_TRY(va_fail(ctx, VA_ERR_FORMAT, "%s: __metadata__ '%s': expected a string, got %s",
                           path, va_json_key(m), va_json_type(m)));
        VA_TRY_ALLOC(ctx, pairs[s->n_metadata][0], va_arena_strdup(s->arena, va_json_key(m)));
        VA_TRY_ALLOC(ctx, pairs[s->n_metadata][1], va_arena_strdup(s->arena, value));
        s->n_metadata++;
    }
done:
    return st;
}

// Length of the JSON, checked against the file.
static va_status read_header(va_ctx *ctx, const char *path, va_map map, int64_t *header_bytes,
                             va_json **header) {
    uint64_t length = 0;
    if (map.size_bytes < 8)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: expected at least 8 bytes, got %lld", path,
                       (long long)map.size_bytes);
    memcpy(&length, map.data, 8);
    if (length > VA_ST_MAX_HEADER)
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: expected a header of at most 100 MB, got %llu bytes", path,
                       (unsigned long long)length);
    if ((int64_t)length > map.size_bytes - 8)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: the header has %llu bytes, the file only %lld more",
                       path, (unsigned long long)length, (long long)map.size_bytes - 8);
    *header_bytes = (int64_t)length;
    va_status st = va_json_parse(ctx, "header", (const char *)map.data + 8, *header_bytes, header);
    if (st != VA_OK)
        return va_fail_in(ctx, st, "%s", path);
    if (map.data[8] != '{') // white space may follow the object, not come before it
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: expected the header to begin with '{', got byte "
                       "0x%02x",
                       path, map.data[8]);
    return VA_OK;
}

va_status va_safetensors_add_file(va_ctx *ctx, va_safetensors *s, const char *path) {
    va_status st = VA_OK;
    va_json *header = NULL;
    range *ranges = NULL;
    va_map *map = &s->maps[s->n_maps];
    int64_t header_bytes = 0, n = 0;
    VA_TRY(va_map_open(ctx, path, map));
    s->n_maps++;
    VA_TRY(read_header(ctx, path, *map, &header_bytes, &header));
    const uint8_t *data = map->data + 8 + header_bytes;
    int64_t data_bytes = map->size_bytes - 8 - header_bytes;
    const va_json *metadata = va_json_get(header, "__metadata__");
    VA_TRY(add_metadata(ctx, s, path, metadata));
    VA_TRY_ALLOC(ctx, ranges, calloc((size_t)va_json_count(header) + 1, sizeof *ranges));
    for (const va_json *v = va_json_first(header); v; v = va_json_next(v))
        if (v != metadata)
            VA_TRY(read_tensor(ctx, s->arena, path, v, data, data_bytes, &ranges[n++]));
    qsort(ranges, (size_t)n, sizeof *ranges, compare_ranges);
    VA_TRY(check_tiling(ctx, path, ranges, n, data_bytes));
    va_file_tensor *all;
    VA_TRY_ALLOC(ctx, all, VA_NEW_ARRAY(s->arena, va_file_tensor, s->n_tensors + n));
    if (s->n_tensors > 0)
        memcpy(all, s->tensors, (size_t)s->n_tensors * sizeof *all);
    for (int64_t i = 0; i < n; i++)
        all[s->n_tensors + i] = ranges[i].tensor;
    s->tensors = all;
    s->n_tensors += n;
done:
    free(ranges);
    va_json_free(&header);
    return st;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const va_file_tensor *)a)->name, ((const va_file_tensor *)b)->name);
}

va_status va_safetensors_sort(va_ctx *ctx, va_safetensors *s) {
    if (s->n_tensors > 0)
        qsort(s->tensors, (size_t)s->n_tensors, sizeof *s->tensors, compare_names);
    for (int64_t i = 1; i < s->n_tensors; i++)
        if (compare_names(&s->tensors[i - 1], &s->tensors[i]) == 0)
            return va_fail(ctx, VA_ERR_FORMAT, "tensor '%s' stands in both %s and %s",
                           s->tensors[i].name, s->tensors[i - 1].file, s->tensors[i].file);
    return VA_OK;
}

int64_t va_safetensors_count(const va_safetensors *s) {
    return s->n_tensors;
}

const va_file_tensor *va_safetensors_at(const va_safetensors *s, int64_t i) {
    return i >= 0 && i < s->n_tensors ? &s->tensors[i] : NULL;
}

const va_file_tensor *va_safetensors_find(const va_safetensors *s, const char *name) {
    va_file_tensor key = {.name = name};
    if (s->n_tensors == 0)
        return NULL;
    return bsearch(&key, s->tensors, (size_t)s->n_tensors, sizeof key, compare_names);
}

const char *va_safetensors_metadata(const va_safetensors *s, const char *key) {
    for (int64_t i = 0; i < s->n_metadata; i++)
        if (strcmp(s->metadata[i][0], key) == 0)
            return s->metadata[i][1];
    return NULL;
}
