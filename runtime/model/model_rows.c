// Rows of a weight out of the file's tensor that holds it: fused, interleaved or transposed; rows
// of the embedding table.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <string.h>

// A column of rows first..first+n-1 is part of a row of the file.
static void gather_transposed(const model_source *s, int64_t first, int64_t n, uint8_t *to) {
    const int64_t size = va_dtype_bytes(s->tensor.dtype), n_in = s->tensor.shape[1];
    const uint8_t *from = s->file->data;
    for (int64_t c = 0; c < n_in; c++)
        for (int64_t r = 0; r < n; r++) {
            const int64_t at = c * s->rows.n_rows + va_arch_source_row(&s->rows, first + r);
            memcpy(to + (r * n_in + c) * size, from + at * size, (size_t)size);
        }
}

const void *model_source_rows(const model_source *s, int64_t first, int64_t n, void *temp) {
    const int64_t n_rows = s->tensor.shape[0];
    const int64_t row_bytes = va_dtype_size(s->tensor.dtype, va_tensor_elems(&s->tensor) / n_rows);
    const uint8_t *data = s->file->data;
    uint8_t *to = temp;
    if (va_arch_source_is_plain(&s->rows, n_rows))
        return data + (s->rows.first + first) * row_bytes;
    if (s->rows.transposed)
        gather_transposed(s, first, n, to);
    for (int64_t r = 0; r < n && !s->rows.transposed; r++)
        memcpy(to + r * row_bytes, data + va_arch_source_row(&s->rows, first + r) * row_bytes,
               (size_t)row_bytes);
    return to;
}

va_status model_embedding_row(va_model *m, const va_file_tensor *table, int32_t id, va_dtype dtype,
                              void *to) {
    const int64_t d = table->shape[1], bytes = va_dtype_size(table->dtype, d);
    if (m->is_random) {
        const va_tensor whole = va_tensor_make(VA_BF16, 2, table->shape);
        const va_random numbers = model_random_of(m, table->name, &whole);
        va_random_bf16(&numbers, id * d, d, to);
        return VA_OK;
    }
    const uint8_t *from = (const uint8_t *)table->data + id * bytes;
    const va_status st = model_check_finite(m->ctx, table, from, d, id * d);
    if (st != VA_OK)
        return st;
    if (dtype == table->dtype)
        memcpy(to, from, (size_t)bytes);
    else
        va_convert_to_f32(to, from, table->dtype, d);
    return VA_OK;
}
