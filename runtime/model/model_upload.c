// Weights onto the device: checked, unpacked where the graph cannot, moved once.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// -- NaN and infinity -----------------------------------------------------------------------------

// A float is NaN or infinite when all bits of its exponent are set: then one more in the exponent's
// last place carries into the sign's. All elements of a word at once; short lanes repeat.
typedef struct exponent_bits {
    uint64_t exponent, last, sign;
} exponent_bits;

static exponent_bits bits_of(va_dtype dtype) {
    const uint64_t lanes = dtype == VA_F32 ? 0x0000000100000001u : 0x0001000100010001u;
    if (dtype == VA_F32)
        return (exponent_bits){lanes * 0x7f800000u, lanes * 0x00800000u, lanes * 0x80000000u};
    if (dtype == VA_BF16)
        return (exponent_bits){lanes * 0x7f80, lanes * 0x0080, lanes * 0x8000};
    return (exponent_bits){lanes * 0x7c00, lanes * 0x0400, lanes * 0x8000};
}

static bool any_special_float(const uint8_t *p, int64_t size_bytes, va_dtype dtype) {
    const exponent_bits bits = bits_of(dtype);
    uint64_t word, carried = 0;
    int64_t at = 0;
    for (; at + 8 <= size_bytes; at += 8) {
        memcpy(&word, p + at, sizeof word);
        carried |= (word & bits.exponent) + bits.last;
    }
    word = 0;
    memcpy(&word, p + at, (size_t)(size_bytes - at));
    carried |= (word & bits.exponent) + bits.last;
    return (carried & bits.sign) != 0;
}

// Codes are finite, so a block is when its scales are (runtime/io/dequant.c).
static bool any_special_scale(const uint8_t *p, int64_t n_blocks, va_dtype dtype) {
    const int64_t bytes = va_dtype_bytes(dtype), first = dtype == VA_Q6_K ? bytes - 2 : 0;
    const int64_t scale_bytes = dtype == VA_Q4_K || dtype == VA_Q5_K ? 4 : 2;
    for (int64_t i = 0; i < n_blocks; i++)
        if (any_special_float(p + i * bytes + first, scale_bytes, VA_F16))
            return true;
    return false;
}

static bool any_special(const uint8_t *p, int64_t n_blocks, va_dtype dtype) {
    return va_dtype_quantised(dtype)
               ? any_special_scale(p, n_blocks, dtype)
               : any_special_float(p, n_blocks * va_dtype_bytes(dtype), dtype);
}

va_status model_check_finite(va_ctx *ctx, const va_file_tensor *t, const void *data, int64_t n,
                             int64_t base) {
    enum { CHUNK = 4096 };
    const int64_t bytes = va_dtype_bytes(t->dtype), block = va_dtype_block(t->dtype);
    const int64_t n_blocks = n / block;
    const uint8_t *p = data;
    for (int64_t at = 0; at < n_blocks; at += CHUNK) {
        if (!any_special(p + at * bytes, VA_MIN(CHUNK, n_blocks - at), t->dtype))
            continue;
        int64_t i = at;
        while (!any_special(p + i * bytes, 1, t->dtype))
            i++;
        if (base < 0)
            return va_fail(ctx, VA_ERR_NUMERIC, "%s: tensor %s holds NaN or infinity", t->file,
                           t->name);
        return va_fail(ctx, VA_ERR_NUMERIC,
                       "%s: tensor %s holds NaN or infinity at flat index %lld", t->file, t->name,
                       (long long)(base + i * block));
    }
    return VA_OK;
}

va_status model_check_rows(va_ctx *ctx, const model_source *s, const void *data, int64_t row,
                           int64_t count, int64_t n, int64_t n_rows) {
    const bool plain = va_arch_source_is_plain(&s->rows, n_rows);
    return model_check_finite(ctx, s->file, data, count * n,
                              plain ? va_arch_source_row(&s->rows, row) * n : -1);
}

// -- uploading ------------------------------------------------------------------------------------

// size_bytes of p to where `at` bytes of dst are; what does not fill a word is padded.
static va_status upload_piece(va_model *m, va_slice dst, int64_t at, const void *p,
                              int64_t size_bytes) {
    va_status st = VA_OK;
    const int64_t whole = size_bytes / 4 * 4;
    if (whole > 0)
        VA_TRY(va_gpu_upload(m->gpu, va_slice_at(dst, at, whole), p));
    if (whole < size_bytes) { // an odd number of 16-bit elements or blocks at the end
        uint32_t word = 0;
        memcpy(&word, (const uint8_t *)p + whole, (size_t)(size_bytes - whole));
        VA_TRY(va_gpu_upload(m->gpu, va_slice_at(dst, at + whole, 4), &word));
    }
done:
    return st;
}

// In pieces that the caches hold, so that what was checked is moved from there; every piece but the
// last begins and ends at a whole word.
static va_status upload(va_model *m, const model_source *s, const va_tensor *to) {
    enum { PIECE_BYTES = 1 << 20 };
    va_status st = VA_OK;
    const int64_t n_rows = to->shape[0], n = va_tensor_elems(to) / n_rows;
    const int64_t from_bytes = va_dtype_size(s->tensor.dtype, n);
    const int64_t to_bytes = va_dtype_size(to->dtype, n);
    const int64_t step = VA_MAX(PIECE_BYTES / to_bytes / 4 * 4, 4), most = VA_MIN(step, n_rows);
    uint8_t *gathered = NULL;
    float *unpacked = NULL;
    if (!va_arch_source_is_plain(&s->rows, n_rows))
        VA_TRY_ALLOC(m->ctx, gathered, malloc((size_t)(most * from_bytes)));
    if (to->dtype != s->tensor.dtype)
        VA_TRY_ALLOC(m->ctx, unpacked, malloc((size_t)(most * to_bytes)));
    for (int64_t row = 0; row < n_rows; row += step) {
        const int64_t count = VA_MIN(step, n_rows - row);
        VA_TRY(va_check_interrupt(m->ctx));
        const void *p = model_source_rows(s, row, count, gathered);
        VA_TRY(model_check_rows(m->ctx, s, p, row, count, n, n_rows));
        if (unpacked)
            va_convert_to_f32(unpacked, p, s->tensor.dtype, count * n);
        VA_TRY(upload_piece(m, to->mem, row * to_bytes, unpacked ? unpacked : p, count * to_bytes));
    }
done:
    free(unpacked);
    free(gathered);
    return st;
}

static model_weight *known_weight(va_model *m, const char *name) {
    for (int64_t i = 0; i < m->n_weights; i++)
        if (strcmp(m->weights[i].name, name) == 0)
            return &m->weights[i];
    return NULL;
}

// dtype: f32 or that of the source.
static va_status add_weight(va_model *m, const char *name, const model_source *s, va_dtype dtype) {
    va_status st = VA_OK;
    model_weight w = {.tensor = s->tensor};
    w.tensor.dtype = dtype;
    if (m->n_weights == m->cap_weights) {
        const int64_t cap = VA_MAX(64, 2 * m->cap_weights);
        model_weight *grown;
        VA_TRY_ALLOC(m->ctx, grown, realloc(m->weights, (size_t)cap * sizeof *grown));
        m->weights = grown;
        m->cap_weights = cap;
    }
    VA_TRY_ALLOC(m->ctx, w.name, va_arena_strdup(m->arena, name));
    VA_TRY(va_buffer_create(m->gpu, va_tensor_bytes(&w.tensor), name, &w.buffer));
    w.tensor.mem = va_buffer_all(w.buffer);
    if (m->is_random) {
        const va_random numbers = model_random_of(m, name, &w.tensor);
        VA_TRY(va_vec_random(m->gpu, &numbers, true, w.tensor.mem));
    } else {
        VA_TRY(upload(m, s, &w.tensor));
    }
    m->weights[m->n_weights++] = w;
done:
    if (st != VA_OK)
        va_buffer_destroy(&w.buffer);
    return st;
}

va_status model_get_weight(va_model *m, const char *name, const va_tensor *expected,
                           va_tensor *tensor) {
    va_status st = VA_OK;
    model_source source;
    if (!known_weight(m, name)) {
        VA_TRY(model_find_weight(m, name, expected, &source));
        const va_dtype dtype = source.tensor.dtype;
        VA_TRY(add_weight(m, name, &source, va_dtype_quantised(dtype) ? expected->dtype : dtype));
    }
    *tensor = known_weight(m, name)->tensor;
done:
    return st;
}

va_status model_bind_weights(va_model *m, va_graph *g, const va_tensor *rows, bool run) {
    va_status st = VA_OK;
    bool finished = false;
    for (int64_t i = 0; i < va_graph_weight_count(g); i++) {
        const va_node node = va_graph_weight_at(g, i);
        const char *name = va_graph_name(g, node);
        const va_tensor expected = va_graph_tensor(g, node);
        va_tensor tensor;
        if (rows && strcmp(name, VA_ARCH_EMBED_ROWS) == 0)
            tensor = *rows;
        else
            VA_TRY(model_get_weight(m, name, &expected, &tensor));
        VA_TRY(va_graph_bind(g, node, &tensor));
        if (run) { // the device works on this block while the host moves the next
            VA_TRY(va_graph_forward_part(g, &finished));
            VA_TRY(va_gpu_flush(m->gpu));
        }
    }
    assert(!run || finished);
done:
    return st;
}
