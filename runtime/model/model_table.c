// The tables of the vocabulary and the final norm, on the host: read out of the files piece by
// piece, so that 262,144 rows take no more memory than a few.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <stdlib.h>

enum { PIECE_BYTES = 1 << 20 }; // of f32: what a core's cache holds

va_status va_model_table_rows(va_model *model, va_model_table table, va_table_rows_fn fn,
                              void *user) {
    va_status st = VA_OK;
    const va_arch_config *c = &model->config;
    const int64_t V = c->vocab_size, d = c->d_model;
    const int64_t most = VA_MIN(VA_MAX(PIECE_BYTES / (4 * d), 1), V);
    const va_tensor expected = va_tensor_make(VA_F32, 2, (const int64_t[]){V, d});
    model_source s;
    void *gathered = NULL;
    float *rows = NULL;
    VA_TRY(model_need_files(model, "a table's rows"));
    VA_TRY(model_find_weight(model, table == VA_TABLE_EMBED ? c->embed_weight : c->unembed_weight,
                             &expected, &s));
    VA_TRY_ALLOC(model->ctx, rows, malloc((size_t)(most * d) * sizeof *rows));
    if (!va_arch_source_is_plain(&s.rows, V))
        VA_TRY_ALLOC(model->ctx, gathered, malloc((size_t)va_dtype_size(s.tensor.dtype, most * d)));
    for (int64_t first = 0; first < V; first += most) {
        const int64_t count = VA_MIN(most, V - first);
        VA_TRY(va_check_interrupt(model->ctx));
        const void *p = model_source_rows(&s, first, count, gathered);
        VA_TRY(model_check_rows(model->ctx, &s, p, first, count, d, V));
        va_convert_to_f32(rows, p, s.tensor.dtype, count * d);
        VA_TRY(fn(user, first, count, rows));
    }
done:
    free(rows);
    free(gathered);
    return st;
}

va_status va_model_norm_gain(va_model *model, float *gain, bool *centred) {
    va_status st = VA_OK;
    const int64_t d = model->config.d_model;
    const va_arch_norm norm = va_arch_unembed_norm(&model->config);
    const va_tensor expected = va_tensor_make(VA_F32, 1, &d);
    model_source s;
    VA_TRY(model_need_files(model, "a norm's gain"));
    VA_TRY(model_find_weight(model, norm.weight, &expected, &s));
    VA_TRY(model_check_finite(model->ctx, s.file, s.file->data, d, 0));
    va_convert_to_f32(gain, s.file->data, s.tensor.dtype, d);
    for (int64_t c = 0; c < d; c++)
        gain[c] += norm.offset;
    *centred = norm.centred;
done:
    return st;
}
