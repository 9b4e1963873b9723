// gguf_tensor.c: the tensors of a GGUF file, checked whole.
// SPDX-License-Identifier: Apache-2.0
#include "gguf_priv.h"

#include <stdlib.h>
#include <string.h>

// Types by their number in the file; not those that are only named, for the message.
enum { NOT_SUPPORTED = -1 };
static const struct {
    const char *name;
    int dtype;
} type_table[] = {
    [0] = {"F32", VA_F32},
    [1] = {"F16", VA_F16},
    [2] = {"Q4_0", VA_Q4_0},
    [3] = {"Q4_1", NOT_SUPPORTED},
    [4] = {"Q4_2", NOT_SUPPORTED},
    [5] = {"Q4_3", NOT_SUPPORTED},
    [6] = {"Q5_0", NOT_SUPPORTED},
    [7] = {"Q5_1", NOT_SUPPORTED},
    [8] = {"Q8_0", VA_Q8_0},
    [9] = {"Q8_1", NOT_SUPPORTED},
    [10] = {"Q2_K", NOT_SUPPORTED},
    [11] = {"Q3_K", NOT_SUPPORTED},
    [12] = {"Q4_K", VA_Q4_K},
    [13] = {"Q5_K", VA_Q5_K},
    [14] = {"Q6_K", VA_Q6_K},
    [15] = {"Q8_K", NOT_SUPPORTED},
    [16] = {"IQ2_XXS", NOT_SUPPORTED},
    [17] = {"IQ2_XS", NOT_SUPPORTED},
    [18] = {"IQ3_XXS", NOT_SUPPORTED},
    [19] = {"IQ1_S", NOT_SUPPORTED},
    [20] = {"IQ4_NL", NOT_SUPPORTED},
    [21] = {"IQ3_S", NOT_SUPPORTED},
    [22] = {"IQ2_S", NOT_SUPPORTED},
    [23] = {"IQ4_XS", NOT_SUPPORTED},
    [24] = {"I8", VA_I8},
    [25] = {"I16", VA_I16},
    [26] = {"I32", VA_I32},
    [27] = {"I64", VA_I64},
    [28] = {"F64", VA_F64},
    [29] = {"IQ1_M", NOT_SUPPORTED},
    [30] = {"BF16", VA_BF16},
    [31] = {"Q4_0_4_4", NOT_SUPPORTED},
    [32] = {"Q4_0_4_8", NOT_SUPPORTED},
    [33] = {"Q4_0_8_8", NOT_SUPPORTED},
    [34] = {"TQ1_0", NOT_SUPPORTED},
    [35] = {"TQ2_0", NOT_SUPPORTED},
    [36] = {"IQ4_NL_4_4", NOT_SUPPORTED},
    [37] = {"IQ4_NL_4_8", NOT_SUPPORTED},
    [38] = {"IQ4_NL_8_8", NOT_SUPPORTED},
    [39] = {"MXFP4", NOT_SUPPORTED},
    [40] = {"NVFP4", NOT_SUPPORTED},
    [41] = {"Q1_0", NOT_SUPPORTED},
};

// A tensor with its place in the data.
typedef struct entry {
    va_file_tensor tensor;
    uint64_t offset;
} entry;

static va_status take_shape(va_gguf_reader *r, va_file_tensor *t) {
    enum { MAX_DIM = 4 };
    va_status st = VA_OK;
    uint32_t n_dim;
    VA_TRY(va_gguf_take(r, "dimension count", &n_dim, sizeof n_dim));
    if (n_dim > MAX_DIM)
        return va_gguf_fail(r, VA_ERR_FORMAT,
                            "tensor '%.80s': expected at most 4 dimensions, got %lu", t->name,
                            (unsigned long)n_dim);
    t->n_dim = (int)n_dim;
    t->n_elem = 1;
    int64_t product = 1; // of dimensions that are not 0, so that no order of factors overflows
    for (int i = t->n_dim - 1; i >= 0; i--) { // the file has the fastest first
        uint64_t size;
        VA_TRY(va_gguf_take(r, "dimension", &size, sizeof size));
        if (size > INT64_MAX || !va_mul_i64(product, size ? (int64_t)size : 1, &product))
            return va_gguf_fail(r, VA_ERR_FORMAT, "tensor '%.80s': the shape overflows", t->name);
        t->shape[i] = (int64_t)size;
        t->n_elem = size ? t->n_elem * (int64_t)size : 0;
    }
done:
    return st;
}

static va_status take_dtype(va_gguf_reader *r, va_file_tensor *t) {
    va_status st = VA_OK;
    uint32_t number;
    VA_TRY(va_gguf_take(r, "type", &number, sizeof number));
    if (number >= VA_COUNT(type_table))
        return va_gguf_fail(r, VA_ERR_FORMAT, "tensor '%.80s': unknown type %lu", t->name,
                            (unsigned long)number);
    if (type_table[number].dtype == NOT_SUPPORTED)
        return va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                       "%s: tensor '%.80s': type %s is not supported, expected F32, F16, BF16, "
                       "Q8_0, Q4_0, Q4_K, Q5_K or Q6_K",
                       r->file->path, t->name, type_table[number].name);
    t->dtype = (va_dtype)type_table[number].dtype;
    const int64_t row = t->n_dim > 0 ? t->shape[t->n_dim - 1] : 1;
    if (row % va_dtype_block(t->dtype) != 0)
        return va_gguf_fail(r, VA_ERR_FORMAT,
                            "tensor '%.80s': expected rows of whole %s blocks of %lld, got %lld "
                            "elements",
                            t->name, type_table[number].name, (long long)va_dtype_block(t->dtype),
                            (long long)row);
    t->size_bytes = va_dtype_size(t->dtype, t->n_elem);
    if (t->size_bytes < 0)
        return va_gguf_fail(r, VA_ERR_FORMAT, "tensor '%.80s': the shape overflows", t->name);
done:
    return st;
}

static va_status take_entry(va_gguf_reader *r, entry *e) {
    va_status st = VA_OK;
    e->tensor.file = r->file->path;
    VA_TRY(va_gguf_take_name(r, "tensor name", &e->tensor.name));
    VA_TRY(take_shape(r, &e->tensor));
    VA_TRY(take_dtype(r, &e->tensor));
    VA_TRY(va_gguf_take(r, "offset", &e->offset, sizeof e->offset));
done:
    return st;
}

// -- places ----------------------------------------------------------------------------------

static va_status read_alignment(const va_gguf_reader *r, int64_t *alignment) {
    const va_gguf_value *v = va_gguf_get(r->file, "general.alignment");
    *alignment = 32;
    if (!v)
        return VA_OK;
    if (!va_gguf_as_int(v, alignment))
        return va_fail(r->ctx, VA_ERR_FORMAT, "%s: general.alignment: expected UINT32, got %s",
                       r->file->path, va_gguf_type_text(v));
    if (*alignment < 8 || *alignment > UINT32_MAX || (*alignment & (*alignment - 1)) != 0)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: general.alignment: expected a power of two from 8 on, got %lld",
                       r->file->path, (long long)*alignment);
    return VA_OK;
}

// The tensor's data lie aligned within the file's.
static va_status place_entry(const va_gguf_reader *r, int64_t alignment, int64_t data_at,
                             entry *e) {
    const int64_t data_bytes = VA_MAX(r->file->map.size_bytes - data_at, 0);
    va_file_tensor *t = &e->tensor;
    if (e->offset % (uint64_t)alignment != 0)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: tensor '%.80s': expected an offset that is a multiple of %lld, got "
                       "%llu",
                       r->file->path, t->name, (long long)alignment, (unsigned long long)e->offset);
    if (t->size_bytes > data_bytes || e->offset > (uint64_t)(data_bytes - t->size_bytes))
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: tensor '%.80s': %lld bytes from %llu on are not within the %lld bytes "
                       "of data",
                       r->file->path, t->name, (long long)t->size_bytes,
                       (unsigned long long)e->offset, (long long)data_bytes);
    t->data = r->file->map.data + (data_bytes > 0 ? data_at + (int64_t)e->offset : 0);
    return VA_OK;
}

static int compare_places(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->tensor.size_bytes < y->tensor.size_bytes
               ? -1
               : x->tensor.size_bytes > y->tensor.size_bytes;
}

static va_status check_overlap(const va_gguf_reader *r, const entry *entries, int64_t n) {
    uint64_t end = 0;
    for (int64_t i = 0; i < n; i++) {
        if (entries[i].offset < end)
            return va_fail(r->ctx, VA_ERR_FORMAT,
                           "%s: tensor '%.80s' begins at byte %llu of the data, inside tensor "
                           "'%.80s'",
                           r->file->path, entries[i].tensor.name,
                           (unsigned long long)entries[i].offset, entries[i - 1].tensor.name);
        end = entries[i].offset + (uint64_t)entries[i].tensor.size_bytes;
    }
    return VA_OK;
}

// -- all -------------------------------------------------------------------------------------

static int compare_names(const void *a, const void *b) {
    return strcmp(((const va_file_tensor *)a)->name, ((const va_file_tensor *)b)->name);
}

static va_status sort_tensors(const va_gguf_reader *r, const entry *entries) {
    va_status st = VA_OK;
    va_gguf *g = r->file;
    VA_TRY_ALLOC(r->ctx, g->tensors, VA_NEW_ARRAY(g->arena, va_file_tensor, g->n_tensors));
    for (int64_t i = 0; i < g->n_tensors; i++)
        g->tensors[i] = entries[i].tensor;
    qsort(g->tensors, (size_t)g->n_tensors, sizeof *g->tensors, compare_names);
    for (int64_t i = 1; i < g->n_tensors; i++)
        if (compare_names(&g->tensors[i - 1], &g->tensors[i]) == 0)
            return va_fail(r->ctx, VA_ERR_FORMAT, "%s: tensor '%.80s' stands twice", g->path,
                           g->tensors[i].name);
done:
    return st;
}

va_status va_gguf_take_tensors(va_gguf_reader *r) {
    va_status st = VA_OK;
    const int64_t n = r->file->n_tensors;
    int64_t alignment;
    entry *entries = NULL;
    VA_TRY(read_alignment(r, &alignment));
    VA_TRY_ALLOC(r->ctx, entries, calloc((size_t)n + 1, sizeof *entries));
    for (int64_t i = 0; i < n; i++)
        VA_TRY(take_entry(r, &entries[i]));
    const int64_t data_at = (r->at + alignment - 1) / alignment * alignment;
    for (int64_t i = 0; i < n; i++)
        VA_TRY(place_entry(r, alignment, data_at, &entries[i]));
    qsort(entries, (size_t)n, sizeof *entries, compare_places);
    VA_TRY(check_overlap(r, entries, n));
    VA_TRY(sort_tensors(r, entries));
done:
    free(entries);
    return st;
}

int64_t va_gguf_count(const va_gguf *g) {
    return g->n_tensors;
}

const va_file_tensor *va_gguf_at(const va_gguf *g, int64_t i) {
    return i >= 0 && i < g->n_tensors ? &g->tensors[i] : NULL;
}

const va_file_tensor *va_gguf_find(const va_gguf *g, const char *name) {
    const va_file_tensor key = {.name = name};
    return bsearch(&key, g->tensors, (size_t)g->n_tensors, sizeof key, compare_names);
}
