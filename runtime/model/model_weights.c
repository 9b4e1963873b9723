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
    const bool blocks = va_dtype_quantised(t->dtype) && expected->n_dim == 2;
    if (t->n_dim == expected->n_dim && va_tensor_same_shape(&got, expected) && (floats || blocks))
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
    if (m->is_random)
        return model_random_source(m, name, expected, found);
    *found = (model_source){.tensor = *expected};
    VA_TRY_ALLOC(m->ctx, arena, va_arena_create());
    const int64_t n = va_arch_sources(&m->config, arena, name, expected->shape[0], sources);
    for (int64_t i = 0; i < n && !found->file; i++) {
        found->file = model_files_find(&m->files, sources[i].name);
        found->rows = sources[i];
    }
    if (!found->file)
        VA_TRY(fail_missing(m, name, sources, n));
    const va_tensor whole = fitting_shape(expected, &found->rows);
    VA_TRY(check_fits(m->ctx, found->file, &whole));
    if (found->rows.transposed && va_dtype_quantised(found->file->dtype))
        VA_TRY(va_fail(m->ctx, VA_ERR_UNSUPPORTED,
                       "%s: tensor %s: expected F32, BF16 or F16 where rows are columns, got %s",
                       found->file->file, found->file->name, va_dtype_name(found->file->dtype)));
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

va_status model_find_graph_weight(va_model *m, const va_graph *g, int64_t i, model_source *found) {
    const va_node node = va_graph_weight_at(g, i);
    const va_tensor expected = va_graph_tensor(g, node);
    if (strcmp(va_graph_name(g, node), VA_ARCH_EMBED_ROWS) == 0)
        return model_find_embedding(m, &found->file);
    return model_find_weight(m, va_graph_name(g, node), &expected, found);
}

va_status model_plan_weights(va_model *m, va_graph *g) {
    va_status st = VA_OK;
    model_source source;
    for (int64_t i = 0; i < va_graph_weight_count(g); i++) {
        const va_node node = va_graph_weight_at(g, i);
        VA_TRY(model_find_graph_weight(m, g, i, &source));
        // Quantised ones stay packed where all that read them can.
        const va_dtype dtype = source.file->dtype;
        va_graph_weight_dtype(g, node, va_graph_weight_takes(g, node, dtype) ? dtype : VA_F32);
    }
done:
    return st;
}

static va_status sum_weights(va_model *model, int64_t n_blocks, bool unembed, bool padded,
                             int64_t *bytes) {
    va_status st = VA_OK;
    va_graph *g = NULL;
    int64_t sum = 0;
    VA_TRY(model_probe_graph(model, n_blocks, unembed, &g));
    for (int64_t i = 0; i < va_graph_weight_count(g); i++) {
        const va_node node = va_graph_weight_at(g, i);
        const va_tensor t = va_graph_tensor(g, node);
        if (strcmp(va_graph_name(g, node), VA_ARCH_EMBED_ROWS) != 0)
            sum += padded ? prompt_padded(va_tensor_bytes(&t)) : va_tensor_bytes(&t);
    }
    *bytes = sum;
done:
    va_graph_destroy(&g);
    return st;
}

va_status va_model_weight_bytes(va_model *model, int64_t n_blocks, bool unembed, int64_t *bytes) {
    return sum_weights(model, n_blocks, unembed, false, bytes);
}

va_status va_model_buffer_bytes(va_model *model, int64_t n_blocks, bool unembed, int64_t *bytes) {
    return sum_weights(model, n_blocks, unembed, true, bytes);
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

// Configuration and tokenizer.
static va_status hash_settings(va_model *m, va_sha256 *h) {
    va_status st = VA_OK;
    if (m->files.gguf) {
        int64_t size_bytes;
        const void *header = va_gguf_header(m->files.gguf, &size_bytes);
        hash_part(h, header, size_bytes);
        return VA_OK;
    }
    VA_TRY(hash_file(m, h, "config.json"));
    VA_TRY(hash_file(m, h, "tokenizer.json"));
done:
    return st;
}

va_status va_model_hash(va_model *model, int64_t n_blocks, bool unembed, char hex[65]) {
    va_status st = VA_OK;
    va_graph *g = NULL;
    va_sha256 *h = NULL;
    const va_file_tensor **list = NULL;
    int64_t n = 0;
    VA_TRY(model_need_files(model, "a hash"));
    VA_TRY(model_probe_graph(model, n_blocks, unembed, &g));
    VA_TRY_ALLOC(model->ctx, list, malloc((size_t)(va_graph_weight_count(g) + 1) * sizeof *list));
    VA_TRY_ALLOC(model->ctx, h, va_sha256_create());
    for (; n < va_graph_weight_count(g); n++) {
        model_source source;
        VA_TRY(model_find_graph_weight(model, g, n, &source));
        list[n] = source.file;
    }
    qsort(list, (size_t)n, sizeof *list, by_name);
    VA_TRY(hash_settings(model, h));
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
