// A model at a prompt: the graph with its sites at their positions, weights bound, values read.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// -- building -------------------------------------------------------------------------------------

static va_status check_params(const va_model *m, const va_prompt_params *p) {
    va_ctx *ctx = m->ctx;
    if (p->seq_len < 1 || p->n_seq < 0 || p->n_sites < 1)
        return va_fail(ctx, VA_ERR_USAGE, "a prompt needs at least one token and one site");
    if (p->seq_len > m->config.max_context)
        return va_fail(ctx, VA_ERR_USAGE, "the prompt has %lld tokens, the model's context is %lld",
                       (long long)p->seq_len, (long long)m->config.max_context);
    if (p->derivatives && p->n_seq > 1)
        return va_fail(ctx, VA_ERR_USAGE, "derivatives take one sequence at a time, got %lld",
                       (long long)p->n_seq);
    return VA_OK;
}

va_status model_resolve_site(const va_model *m, va_site *s) {
    const int64_t L = m->config.n_layer;
    const bool part = s->kind == VA_SITE_ATTN || s->kind == VA_SITE_MLP;
    char text[64];
    if (s->layer == -1) // "last", parsed before the model was known
        s->layer = part ? L - 1 : L;
    if (s->layer < 0 || s->layer > (part ? L - 1 : L))
        return va_fail(m->ctx, VA_ERR_USAGE, "site %s: the model has %lld blocks",
                       va_site_text(s, text), (long long)L);
    return VA_OK;
}

static va_status resolve_position(const va_model *m, const va_prompt_params *p, prompt_site *s) {
    const int64_t T = p->seq_len;
    char text[64];
    s->first = 0, s->count = T;
    switch (s->site.position) {
    case VA_POS_ALL:
    case VA_POS_MEAN:
        break;
    case VA_POS_LAST:
        s->first = T - 1, s->count = 1;
        break;
    case VA_POS_CONCEPT:
        s->first = p->concept_first, s->count = p->concept_count;
        break;
    case VA_POS_INDEX:
        s->first = s->site.index < 0 ? T + s->site.index : s->site.index, s->count = 1;
        break;
    }
    if (s->count == 0)
        return va_fail(m->ctx, VA_ERR_USAGE, "site %s: the concept's name is not in the prompt",
                       va_site_text(&s->site, text));
    if (s->first < 0 || s->count < 0 || s->first > T - s->count)
        return va_fail(m->ctx, VA_ERR_USAGE, "site %s is outside the prompt of %lld tokens",
                       va_site_text(&s->site, text), (long long)T);
    return VA_OK;
}

static va_node select_rows(va_prompt *p, va_node x, int64_t first, int64_t count, bool mean) {
    const va_node in[VA_OP_MAX_IN] = {x, VA_NODE_NONE, VA_NODE_NONE, VA_NODE_NONE};
    const va_op_attr attr = {.seq_len = p->seq_len, .first = first, .count = count, .mean = mean};
    if (!mean && count == p->seq_len)
        return x;
    return va_graph_op(p->graph, VA_OP_SELECT, &attr, in, mean ? "mean" : "select");
}

static void place_site(va_prompt *p, prompt_site *s, va_node value) {
    const bool mean = s->site.position == VA_POS_MEAN;
    s->full = value;
    if (s->site.kind == VA_SITE_LOGITS) { // the rows first: the unembedding is the costly part
        s->full = va_arch_unembed(p->graph, &p->model->config,
                                  select_rows(p, value, s->first, s->count, false));
        s->node = mean ? select_rows(p, s->full, 0, s->count, true) : s->full;
    } else {
        s->node = select_rows(p, value, s->first, s->count, mean);
    }
    const va_tensor t = va_graph_tensor(p->graph, s->node);
    s->rows = mean ? 1 : s->count;
    s->width = t.n_dim >= 2 ? t.shape[1] : 0;
    va_graph_keep(p->graph, s->node);
}

static bool is_pair(const va_prompt *p, int64_t from, int64_t to) {
    return p->sites[from].site.position != VA_POS_MEAN &&
           va_site_precedes(&p->sites[from].site, &p->sites[to].site);
}

static void want_derivatives(va_prompt *p) {
    for (int64_t i = 0; i < p->n_sites; i++)
        for (int64_t j = 0; j < p->n_sites; j++)
            for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++)
                if (p->modes >> mode & 1 && is_pair(p, i, j))
                    va_graph_want(p->graph, (va_mode)mode, p->sites[i].full, p->sites[j].node);
}

static va_status build_graph(va_prompt *p, const va_site *edit) {
    va_status st = VA_OK;
    va_model *m = p->model;
    va_site *sites;
    va_node *nodes;
    VA_TRY_ALLOC(m->ctx, sites, VA_NEW_ARRAY(p->arena, va_site, p->n_sites));
    VA_TRY_ALLOC(m->ctx, nodes, VA_NEW_ARRAY(p->arena, va_node, p->n_sites));
    for (int64_t i = 0; i < p->n_sites; i++)
        sites[i] = p->sites[i].site;
    const va_arch_build_params build = {.n_seq = p->n_seq,
                                        .seq_len = p->seq_len,
                                        .sites = sites,
                                        .n_sites = p->n_sites,
                                        .edit = edit,
                                        .edit_input = &p->edit};
    VA_TRY_ALLOC(m->ctx, p->graph, va_graph_create(m->ctx));
    VA_TRY(
        va_arch_build(m->ctx, p->graph, &m->config, &build, p->n_seq * p->seq_len, &p->ids, nodes));
    for (int64_t i = 0; i < p->n_sites; i++)
        place_site(p, &p->sites[i], nodes[i]);
    if (p->derivatives)
        want_derivatives(p);
    VA_TRY(model_plan_weights(m, p->graph));
    VA_TRY(va_graph_finish(p->graph));
done:
    return st;
}

va_status prompt_build(va_model *m, const va_prompt_params *params, va_prompt **prompt) {
    va_status st = VA_OK;
    va_prompt *p = NULL;
    va_site at, *edit = NULL;
    *prompt = NULL;
    if (params->edit)
        at = *params->edit, edit = &at;
    VA_TRY(check_params(m, params));
    VA_TRY_ALLOC(m->ctx, p, calloc(1, sizeof *p));
    p->model = m;
    p->n_seq = VA_MAX(params->n_seq, 1);
    p->seq_len = params->seq_len;
    p->derivatives = params->derivatives;
    p->modes = params->modes ? params->modes : 1u << VA_EXACT | 1u << VA_DETACHED;
    p->n_sites = params->n_sites;
    p->edit = VA_NODE_NONE;
    VA_TRY_ALLOC(m->ctx, p->arena, va_arena_create());
    VA_TRY_ALLOC(m->ctx, p->sites, VA_NEW_ARRAY(p->arena, prompt_site, p->n_sites));
    for (int64_t i = 0; i < p->n_sites; i++) {
        p->sites[i].site = params->sites[i];
        VA_TRY(model_resolve_site(m, &p->sites[i].site));
        VA_TRY(resolve_position(m, params, &p->sites[i]));
    }
    if (edit)
        VA_TRY(model_resolve_site(m, edit));
    VA_TRY(build_graph(p, edit));
    *prompt = p;
done:
    if (st != VA_OK)
        va_prompt_destroy(&p);
    return st;
}

static va_status check_ids(const va_prompt *p, const int32_t *ids) {
    const int64_t V = p->model->config.vocab_size;
    for (int64_t i = 0; i < p->n_seq * p->seq_len; i++)
        if (ids[i] < 0 || ids[i] >= V)
            return va_fail(p->model->ctx, VA_ERR_USAGE,
                           "token %lld has id %d, the vocabulary is 0 to %lld", (long long)i,
                           ids[i], (long long)V - 1);
    return VA_OK;
}

va_status va_prompt_plan(va_model *model, const va_prompt_params *params, va_graph_cost *forward,
                         va_graph_cost *jvp_1) {
    va_status st = VA_OK;
    va_prompt *p = NULL;
    bool found = false;
    VA_TRY(prompt_build(model, params, &p));
    if (params->ids)
        VA_TRY(check_ids(p, params->ids));
    *forward = va_graph_forward_cost(p->graph);
    forward->memory_bytes = prompt_value_bytes(p);
    if (jvp_1)
        *jvp_1 = (va_graph_cost){0};
    const va_mode mode = p->modes & 1u << VA_EXACT ? VA_EXACT : VA_DETACHED;
    for (int64_t i = 0; i < p->n_sites && p->derivatives && jvp_1 && !found; i++) {
        for (int64_t j = 0; j < p->n_sites && !found; j++) {
            found = is_pair(p, i, j);
            if (found)
                VA_TRY(va_graph_sweep_cost(p->graph,
                                           &(va_sweep){VA_JVP,
                                                       mode,
                                                       &p->sites[i].full,
                                                       1,
                                                       {p->sites[i].first, p->sites[i].count},
                                                       p->sites[j].node,
                                                       1},
                                           jvp_1));
        }
    }
done:
    va_prompt_destroy(&p);
    return st;
}

// -- on a device ----------------------------------------------------------------------------------

// Row m of the small table is the embedding of token m: only M rows of the vocabulary are moved,
// quantised ones as f32.
va_status va_prompt_set_ids(va_prompt *prompt, const int32_t *ids) {
    va_status st = VA_OK;
    va_model *m = prompt->model;
    const int64_t M = prompt->n_seq * prompt->seq_len, d = m->config.d_model;
    const va_file_tensor *table;
    uint8_t *rows = NULL; // of rows_tensor
    VA_TRY(check_ids(prompt, ids));
    VA_TRY(model_find_embedding(m, &table));
    const va_dtype dtype = prompt->rows_tensor.dtype;
    const int64_t to_bytes = va_dtype_size(dtype, d);
    const int64_t padded = va_tensor_bytes(&prompt->rows_tensor);
    VA_TRY_ALLOC(m->ctx, rows, calloc(1, (size_t)padded));
    for (int64_t i = 0; i < M; i++)
        VA_TRY(model_embedding_row(m, table, ids[i], dtype, rows + i * to_bytes));
    VA_TRY(va_gpu_upload(m->gpu, va_slice_at(va_buffer_all(prompt->rows_buffer), 0, padded), rows));
    prompt->ran = false;
done:
    free(rows);
    return st;
}

static va_status make_rows(va_prompt *p) {
    va_status st = VA_OK;
    va_model *m = p->model;
    const va_file_tensor *table;
    VA_TRY(model_find_embedding(m, &table));
    p->rows_tensor = va_tensor_make(va_dtype_quantised(table->dtype) ? VA_F32 : table->dtype, 2,
                                    (const int64_t[]){p->n_seq * p->seq_len, m->config.d_model});
    VA_TRY(va_buffer_create(m->gpu, va_tensor_bytes(&p->rows_tensor), VA_ARCH_EMBED_ROWS,
                            &p->rows_buffer));
    p->rows_tensor.mem = va_buffer_all(p->rows_buffer);
done:
    return st;
}

static va_status number_rows(va_prompt *p) {
    va_status st = VA_OK;
    const int64_t M = p->n_seq * p->seq_len;
    uint32_t *ids;
    VA_TRY_ALLOC(p->model->ctx, ids, VA_NEW_ARRAY(p->arena, uint32_t, M));
    for (int64_t i = 0; i < M; i++)
        ids[i] = (uint32_t)i;
    VA_TRY(va_graph_set(p->graph, p->ids, ids));
done:
    return st;
}

va_status va_prompt_create(va_model *model, const va_prompt_params *params, va_prompt **prompt) {
    va_status st = VA_OK;
    va_prompt *p = NULL;
    *prompt = NULL;
    if (!model->gpu)
        return va_fail(model->ctx, VA_ERR_USAGE, "%s: va_model_attach comes before a prompt",
                       model->dir);
    VA_TRY(prompt_build(model, params, &p));
    VA_TRY(check_ids(p, params->ids));
    VA_TRY(make_rows(p));
    VA_TRY(va_prompt_set_ids(p, params->ids));
    VA_TRY(va_graph_realize(p->graph, model->gpu));
    VA_TRY(number_rows(p));
    VA_TRY(prompt_make_edits(p));
    p->ran = params->run && !p->edit_stale;
    VA_TRY(model_bind_weights(model, p->graph, &p->rows_tensor, p->ran));
    *prompt = p;
done:
    if (st != VA_OK)
        va_prompt_destroy(&p);
    return st;
}

void va_prompt_destroy(va_prompt **prompt) {
    va_prompt *p = *prompt;
    *prompt = NULL;
    if (!p)
        return;
    va_graph_destroy(&p->graph);
    va_buffer_destroy(&p->rows_buffer);
    va_arena_destroy(&p->arena);
    free(p);
}

// -- reading --------------------------------------------------------------------------------------

va_status prompt_forward(va_prompt *p) {
    va_status st = VA_OK;
    if (p->ran)
        return VA_OK;
    if (p->edit_stale)
        VA_TRY(va_graph_set(p->graph, p->edit, p->edits));
    p->edit_stale = false;
    VA_TRY(va_graph_forward(p->graph));
    p->ran = true;
done:
    return st;
}

void va_prompt_site_shape(const va_prompt *prompt, int64_t site, int64_t *rows, int64_t *width) {
    *rows = prompt->sites[site].rows;
    *width = prompt->sites[site].width;
}

va_model *va_prompt_model(const va_prompt *prompt) {
    return prompt->model;
}

va_site va_prompt_site(const va_prompt *prompt, int64_t site, int64_t *first, int64_t *count) {
    const prompt_site *s = &prompt->sites[site];
    *first = s->first;
    *count = s->count;
    return s->site;
}

va_status va_prompt_read(va_prompt *prompt, int64_t site, float *data) {
    va_status st = VA_OK;
    va_ctx *ctx = prompt->model->ctx;
    const prompt_site *s;
    if (site < 0 || site >= prompt->n_sites)
        return va_fail(ctx, VA_ERR_USAGE, "the prompt has %lld sites, not one numbered %lld",
                       (long long)prompt->n_sites, (long long)site);
    s = &prompt->sites[site];
    VA_TRY(prompt_forward(prompt));
    VA_TRY(va_graph_read(prompt->graph, s->node, data));
    for (int64_t i = 0; i < prompt->n_seq * s->rows * s->width; i++) {
        char text[64];
        if (!isfinite(data[i]))
            return va_fail(ctx, VA_ERR_NUMERIC, "%s: %s holds NaN or infinity at flat index %lld",
                           prompt->model->dir, va_site_text(&s->site, text), (long long)i);
    }
done:
    return st;
}
