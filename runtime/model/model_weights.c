// Weights: found under any of their names, checked against the graph, uploaded once.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <stdlib.h>
#include <string.h>

// -- finding --------------------------------------------------------------------------------------

static va_tensor file_shape(const va_file_tensor *t) {
    va_tensor out = {.dtype = t->dtype, .n_dim = VA_MIN(t->n_dim, VA_TENSOR_MAX_DIM)};
    for (int i = 0; i < out.n_dim; i++)
        out.shape[i] = t->shape[i];
    return out;
}

// The shape of the file's tensor that holds the weight.
static va_tensor fitting_shape(const va_tensor *weight, const va_arch_source *rows) {
    va_tensor out = *weight;
    out.shape[0] = rows->n_rows;
    if (rows->transposed) {
        out.shape[0] = weight->shape[1];
        out.shape[1] = rows->n_rows;
    }
    return out;
}

static va_status check_fits(va_ctx *ctx, const va_file_tensor *t, const va_tensor *expected) {
    const va_tensor got = file_shape(t);
    char a[96], b[96];
    const bool floats = t->dtype == VA_F32 || t->dtype == VA_BF16 || t->dtype == VA_F16;
    if (t->n_dim == expected->n_dim && va_tensor_same_shape(&got, expected) && floats)
        return VA_OK;
    return va_fail(ctx, VA_ERR_SHAPE, "%s: tensor %s: expected %s (or BF16, F16), got %s%s",
                   t->file, t->name, va_tensor_text(expected, a), va_tensor_text(&got, b),
                   t->n_dim > VA_TENSOR_MAX_DIM ? " and more dimensions" : "");
}

static va_status fail_missing(va_model *m, const char *name, const va_arch_source *tried,
                              int64_t n) {
    va_strbuf list = {0};
    for (int64_t i = 0; i < n; i++)
        va_strbuf_printf(&list, "%s%s", i ? ", " : "", tried[i].name);
    const va_status st =
        va_fail(m->ctx, VA_ERR_FORMAT, "%s: the weights lack tensor %s (looked for %s)", m->dir,
                name, list.data ? list.data : "nothing");
    va_strbuf_free(&list);
    return st;
}

va_status model_find_weight(va_model *m, const char *name, const va_tensor *expected,
                            model_source *found) {
    va_status st = VA_OK;
    va_arch_source sources[VA_ARCH_MAX_SOURCES];
    va_arena *arena;
    *found = (model_source){.tensor = *expected};
    VA_TRY_ALLOC(m->ctx, arena, va_arena_create());
    const int64_t n = va_arch_sources(&m->config, arena, name, expected->shape[0], sources);
    for (int64_t i = 0; i < n && !found->file; i++) {
        found->file = va_safetensors_find(m->files, sources[i].name);
        found->rows = sources[i];
    }
    if (!found->file)
        VA_TRY(fail_missing(m, name, sources, n));
    const va_tensor whole = fitting_shape(expected, &found->rows);
    VA_TRY(check_fits(m->ctx, found->file, &whole));
    found->rows.name = found->file->name; // the other one lived in arena
    found->tensor.dtype = found->file->dtype;
done:
    va_arena_destroy(&arena);
    return st;
}

va_status model_find_embedding(va_model *m, const va_file_tensor **found) {
    const va_tensor expected = {
        .dtype = VA_F32, .n_dim = 2, .shape = {m->config.vocab_size, m->config.d_model}};
    model_source source;
    const va_status st = model_find_weight(m, m->config.embed_weight, &expected, &source);
    *found = source.file;
    return st;
}

// What stands behind weight i of a graph; of the embedding rows in use, the whole table.
static va_status find_graph_weight(va_model *m, const va_graph *g, int64_t i, model_source *found) {
    const va_node node = va_graph_weight_at(g, i);
    const va_tensor expected = va_graph_tensor(g, node);
    if (strcmp(va_graph_name(g, node), VA_ARCH_EMBED_ROWS) == 0)
        return model_find_embedding(m, &found->file);
    return model_find_weight(m, va_graph_name(g, node), &expected, found);
}

va_status model_check_weights(va_model *m, const va_graph *g) {
    va_status st = VA_OK;
    model_source source;
    for (int64_t i = 0; i < va_graph_weight_count(g); i++)
        VA_TRY(find_graph_weight(m, g, i, &source));
done:
    return st;
}

va_status va_model_weight_bytes(va_model *model, int64_t n_blocks, bool unembed, int64_t *bytes) {
    va_status st = VA_OK;
    va_graph *g = NULL;
    int64_t sum = 0;
    VA_TRY(model_probe_graph(model, n_blocks, unembed, &g));
    for (int64_t i = 0; i < va_graph_weight_count(g); i++) {
        model_source source;
        VA_TRY(find_graph_weight(model, g, i, &source));
        if (strcmp(va_graph_name(g, va_graph_weight_at(g, i)), VA_ARCH_EMBED_ROWS) != 0)
            sum += va_tensor_bytes(&source.tensor);
    }
    *bytes = sum;
done:
    va_graph_destroy(&g);
    return st;
}

// -- hash -----------------------------------------------------------------------------------------

static int by_name(const void *a, const void *b) {
    return strcmp((*(const va_file_tensor *const *)a)->name,
                  (*(const va_file_tensor *const *)b)->name);
}

// Little-endian length, then the bytes, so that no two inputs run together.
static void hash_part(va_sha256 *h, const void *data, int64_t size_bytes) {
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)size_bytes >> (8 * i));
    va_sha256_update(h, length, sizeof length);
    if (size_bytes > 0)
        va_sha256_update(h, data, size_bytes);
}

static void hash_tensor(va_sha256 *h, const va_file_tensor *t) {
    va_strbuf head = {0};
    va_strbuf_printf(&head, "%s %s", t->name, va_dtype_name(t->dtype));
    for (int i = 0; i < t->n_dim; i++)
        va_strbuf_printf(&head, " %lld", (long long)t->shape[i]);
    hash_part(h, head.data, head.len);
    va_strbuf_free(&head);
    hash_part(h, t->data, t->size_bytes);
}

static va_status hash_file(va_model *m, va_sha256 *h, const char *name) {
    va_status st = VA_OK;
    va_map map = {0};
    const char *path;
    VA_TRY_ALLOC(m->ctx, path, va_path_join(m->arena, m->dir, name));
    hash_part(h, name, (int64_t)strlen(name));
    if (va_path_exists(path))
        VA_TRY(va_map_open(m->ctx, path, &map));
    hash_part(h, map.data, map.size_bytes);
done:
    va_map_close(&map);
    return st;
}

va_status va_model_hash(va_model *model, int64_t n_blocks, bool unembed, char hex[65]) {
    va_status st = VA_OK;
    va_graph *g = NULL;
    va_sha256 *h = NULL;
    const va_file_tensor **list = NULL;
    int64_t n = 0;
    VA_TRY(model_probe_graph(model, n_blocks, unembed, &g));
    VA_TRY_ALLOC(model->ctx, list, malloc((size_t)(va_graph_weight_count(g) + 1) * sizeof *list));
    VA_TRY_ALLOC(model->ctx, h, va_sha256_create());
    for (; n < va_graph_weight_count(g); n++) {
        model_source source;
        VA_TRY(find_graph_weight(model, g, n, &source));
        list[n] = source.file;
    }
    qsort(list, (size_t)n, sizeof *list, by_name);
    VA_TRY(hash_file(model, h, "config.json"));
    VA_TRY(hash_file(model, h, "tokenizer.json"));
    for (int64_t i = 0; i < n; i++) {
        VA_TRY(va_check_interrupt(model->ctx));
        if (i == 0 || list[i] != list[i - 1]) // tied and fused tensors stand for several weights
            hash_tensor(h, list[i]);
    }
done:
    if (h) {
        char unused[65];
        va_sha256_finish(&h, st == VA_OK ? hex : unused);
    }
    free(list);
    va_graph_destroy(&g);
    return st;
}

// -- uploading ------------------------------------------------------------------------------------

// A float is NaN or infinite when all bits of its exponent are set.
static bool any_special16(const uint8_t *p, int64_t n, uint16_t mask) {
    unsigned bad = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t w;
        memcpy(&w, p + 2 * i, sizeof w);
        bad |= (w & mask) == mask;
    }
    return bad;
}

static bool any_special32(const uint8_t *p, int64_t n) {
    unsigned bad = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t w;
        memcpy(&w, p + 4 * i, sizeof w);
        bad |= (w & 0x7f800000u) == 0x7f800000u;
    }
    return bad;
}

static bool any_special(const void *data, int64_t n, va_dtype dtype) {
    return dtype == VA_F32 ? any_special32(data, n)
                           : any_special16(data, n, dtype == VA_BF16 ? 0x7f80 : 0x7c00);
}

va_status model_check_finite(va_ctx *ctx, const va_file_tensor *t, const void *data, int64_t n,
                             int64_t base) {
    enum { CHUNK = 4096 };
    const int64_t size = va_dtype_bytes(t->dtype);
    const uint8_t *p = data;
    for (int64_t at = 0; at < n; at += CHUNK) {
        const int64_t count = VA_MIN(CHUNK, n - at);
        if (!any_special(p + at * size, count, t->dtype))
            continue;
        int64_t i = at;
        while (!any_special(p + i * size, 1, t->dtype))
            i++;
        return va_fail(ctx, VA_ERR_NUMERIC,
                       "%s: tensor %s holds NaN or infinity at flat index %lld", t->file, t->name,
                       (long long)(base + i));
    }
    return VA_OK;
}

// In pieces, so that an interrupt is heard and the check's pages are still warm for the copy; every
// piece but the last begins and ends at a whole word.
static va_status upload(va_model *m, const model_source *s, va_slice dst) {
    enum { PIECE_BYTES = 64 << 20 };
    va_status st = VA_OK;
    const int64_t n_rows = s->tensor.shape[0], n = va_tensor_elems(&s->tensor) / n_rows;
    const int64_t row_bytes = va_dtype_size(s->tensor.dtype, n);
    const int64_t step = VA_MAX(PIECE_BYTES / row_bytes / 4 * 4, 4);
    const bool plain = va_arch_source_is_plain(&s->rows, n_rows);
    uint8_t *temp;
    VA_TRY_ALLOC(m->ctx, temp, malloc((size_t)(plain ? 4 : VA_MIN(step, n_rows) * row_bytes + 4)));
    for (int64_t row = 0; row < n_rows; row += step) {
        const int64_t count = VA_MIN(step, n_rows - row), bytes = count * row_bytes;
        const int64_t whole = bytes / 4 * 4;
        VA_TRY(va_check_interrupt(m->ctx));
        const uint8_t *p = model_source_rows(s, row, count, temp);
        VA_TRY(model_check_finite(m->ctx, s->file, p, count * n, row * n));
        if (whole > 0)
            VA_TRY(va_gpu_upload(m->gpu, va_slice_at(dst, row * row_bytes, whole), p));
        if (whole < bytes) { // an odd 16-bit element at the end
            uint32_t word = 0;
            memcpy(&word, p + whole, (size_t)(bytes - whole));
            VA_TRY(va_gpu_upload(m->gpu, va_slice_at(dst, row * row_bytes + whole, 4), &word));
        }
    }
done:
    free(temp);
    return st;
}

static model_weight *known_weight(va_model *m, const char *name) {
    for (int64_t i = 0; i < m->n_weights; i++)
        if (strcmp(m->weights[i].name, name) == 0)
            return &m->weights[i];
    return NULL;
}

static va_status add_weight(va_model *m, const char *name, const model_source *s) {
    va_status st = VA_OK;
    model_weight w = {.tensor = s->tensor};
    if (m->n_weights == m->cap_weights) {
        const int64_t cap = VA_MAX(64, 2 * m->cap_weights);
        model_weight *grown;
        VA_TRY_ALLOC(m->ctx, grown, realloc(m->weights, (size_t)cap * sizeof *grown));
        m->weights = grown;
        m->cap_weights = cap;
    }
    VA_TRY_ALLOC(m->ctx, w.name, va_arena_strdup(m->arena, name));
    VA_TRY(va_buffer_create(m->gpu, va_tensor_bytes(&s->tensor), name, &w.buffer));
    w.tensor.mem = va_buffer_all(w.buffer);
    VA_TRY(upload(m, s, w.tensor.mem));
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
        VA_TRY(add_weight(m, name, &source));
    }
    *tensor = known_weight(m, name)->tensor;
done:
    return st;
}
