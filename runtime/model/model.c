// Opening a model's folder or GGUF file: configuration, tokenizer, weights' headers. No device, no
// weight data.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <stdlib.h>
#include <string.h>

va_status model_load_config(va_model *m) {
    va_status st = VA_OK;
    va_json *root = NULL;
    const char *path;
    if (m->files.gguf)
        return va_arch_parse_gguf(m->ctx, m->arena, m->files.gguf, m->dir, &m->config);
    VA_TRY_ALLOC(m->ctx, path, va_path_join(m->arena, m->dir, "config.json"));
    VA_TRY(va_json_load(m->ctx, path, 0, &root));
    VA_TRY(va_arch_parse(m->ctx, m->arena, root, path, &m->config));
done:
    va_json_free(&root);
    return st;
}

va_status model_load_tokenizer(va_model *m) {
    va_status st = VA_OK;
    const char *path;
    if (m->files.gguf && va_gguf_get(m->files.gguf, "tokenizer.ggml.model"))
        return va_tokenizer_load_gguf(m->ctx, m->files.gguf, m->dir, &m->tokenizer);
    VA_TRY_ALLOC(m->ctx, path, va_path_join(m->arena, m->dir, "tokenizer.json"));
    if (va_path_exists(path))
        VA_TRY(va_tokenizer_load(m->ctx, path, &m->tokenizer));
done:
    return st;
}

// A configuration that ties the tables over files that hold two different ones: transformers then
// keeps both, and so is done here.
static va_status settle_tying(va_model *m) {
    va_status st = VA_OK;
    const int64_t V = m->config.vocab_size, d = m->config.d_model;
    va_arch_source sources[VA_ARCH_MAX_SOURCES];
    const va_file_tensor *head = NULL, *table;
    if (!m->config.tied_embeddings)
        return VA_OK;
    const int64_t n = va_arch_sources(&m->config, m->arena, "lm_head.weight", V, sources);
    for (int64_t i = 0; i < n && !head; i++)
        head = model_files_find(&m->files, sources[i].name);
    if (!head || head->n_dim != 2 || head->shape[0] != V || head->shape[1] != d)
        return VA_OK;
    VA_TRY(model_find_embedding(m, &table));
    if (table->dtype == head->dtype &&
        memcmp(table->data, head->data, (size_t)table->size_bytes) == 0)
        return VA_OK;
    va_log(m->ctx, VA_LOG_WARN,
           "%s: the configuration ties the embeddings, but %s is another table; both are used, as "
           "in transformers",
           m->dir, head->name);
    m->config.tied_embeddings = false;
    m->config.unembed_weight = "lm_head.weight";
done:
    return st;
}

// Counts parameters and names the dtypes of the files, "BF16+F32".
static va_status survey_files(va_model *m) {
    va_status st = VA_OK;
    bool seen[VA_DTYPE_COUNT] = {false};
    va_strbuf text = {0};
    for (int64_t i = 0; i < model_files_count(&m->files); i++) {
        const va_file_tensor *t = model_files_at(&m->files, i);
        m->param_count += t->n_elem;
        seen[t->dtype] = true;
        m->is_quantised = m->is_quantised || va_dtype_quantised(t->dtype);
    }
    for (int t = 0; t < VA_DTYPE_COUNT; t++)
        if (seen[t])
            va_strbuf_printf(&text, "%s%s", text.len ? "+" : "", va_dtype_name((va_dtype)t));
    VA_TRY_ALLOC(m->ctx, m->dtype_text, va_arena_strdup(m->arena, text.data ? text.data : ""));
done:
    va_strbuf_free(&text);
    return st;
}

va_status model_create(va_ctx *ctx, const char *path, bool *is_gguf, va_model **model) {
    va_status st = VA_OK;
    va_model *m = NULL;
    *model = NULL;
    *is_gguf = va_path_exists(path) && !va_path_is_dir(path);
    if (!*is_gguf && !va_path_is_dir(path))
        return va_fail(ctx, VA_ERR_FILE,
                       "%s: expected a model folder (config.json, *.safetensors) or a GGUF file",
                       path);
    VA_TRY_ALLOC(ctx, m, calloc(1, sizeof *m));
    m->ctx = ctx;
    VA_TRY_ALLOC(ctx, m->arena, va_arena_create());
    VA_TRY_ALLOC(ctx, m->dir, va_arena_strdup(m->arena, path));
    *model = m;
done:
    if (st != VA_OK)
        va_model_close(&m);
    return st;
}

va_status va_model_open(va_ctx *ctx, const char *path, va_model **model) {
    va_status st = VA_OK;
    va_model *m = NULL;
    bool is_gguf;
    *model = NULL;
    VA_TRY(model_create(ctx, path, &is_gguf, &m));
    if (is_gguf) // which holds the configuration and the tokenizer too
        VA_TRY(model_files_open(ctx, path, true, &m->files));
    VA_TRY(model_load_config(m));
    VA_TRY(model_load_tokenizer(m));
    if (!is_gguf)
        VA_TRY(model_files_open(ctx, path, false, &m->files));
    VA_TRY(settle_tying(m));
    VA_TRY(survey_files(m));
    *model = m;
done:
    if (st != VA_OK)
        va_model_close(&m);
    return st;
}

void va_model_close(va_model **model) {
    va_model *m = *model;
    *model = NULL;
    if (!m)
        return;
    for (int64_t i = 0; i < m->n_weights; i++)
        va_buffer_destroy(&m->weights[i].buffer);
    free(m->weights);
    va_tokenizer_free(&m->tokenizer);
    model_files_close(&m->files);
    va_arena_destroy(&m->arena);
    free(m);
}

va_ctx *va_model_ctx(const va_model *model) {
    return model->ctx;
}

const va_arch_config *va_model_config(const va_model *model) {
    return &model->config;
}

va_tokenizer *va_model_tokenizer(va_model *model) {
    return model->tokenizer;
}

const char *va_model_dir(const va_model *model) {
    return model->dir;
}

int64_t va_model_param_count(const va_model *model) {
    return model->param_count;
}

bool va_model_is_quantised(const va_model *model) {
    return model->is_quantised;
}

const char *va_model_dtype_text(const va_model *model) {
    return model->dtype_text;
}

va_status va_model_attach(va_model *model, va_gpu *gpu) {
    if (model->gpu && model->gpu != gpu)
        return va_fail(model->ctx, VA_ERR_USAGE, "%s: the model is on another device already",
                       model->dir);
    model->gpu = gpu;
    return VA_OK;
}

va_status model_bare_graph(va_model *m, int64_t n_blocks, bool unembed, va_graph **graph) {
    va_status st = VA_OK;
    va_node ids, node;
    const va_site site = {.kind = VA_SITE_NORM, .layer = n_blocks, .position = VA_POS_ALL};
    const va_arch_build_params params = {.n_seq = 1, .seq_len = 1, .sites = &site, .n_sites = 1};
    *graph = NULL;
    if (n_blocks < 0 || n_blocks > m->config.n_layer)
        return va_fail(m->ctx, VA_ERR_USAGE, "%s: expected 0 to %lld blocks, got %lld", m->dir,
                       (long long)m->config.n_layer, (long long)n_blocks);
    VA_TRY_ALLOC(m->ctx, *graph, va_graph_create(m->ctx));
    VA_TRY(va_arch_build(m->ctx, *graph, &m->config, &params, 1, &ids, &node));
    if (unembed)
        node = va_arch_unembed(*graph, &m->config, node);
    va_graph_keep(*graph, node);
done:
    if (st != VA_OK)
        va_graph_destroy(graph);
    return st;
}

va_status model_probe_graph(va_model *m, int64_t n_blocks, bool unembed, va_graph **graph) {
    va_status st = VA_OK;
    VA_TRY(model_bare_graph(m, n_blocks, unembed, graph));
    VA_TRY(model_plan_weights(m, *graph));
    VA_TRY(va_graph_finish(*graph));
done:
    if (st != VA_OK)
        va_graph_destroy(graph);
    return st;
}
