// Gemma 3 (text): "Gemma 3 Technical Report", arXiv 2503.19786; keys and defaults of HF's
// Gemma3TextConfig. Weight names are HF's. Legend of shapes: tensor.h.
//
//   h0 = sqrt(d) E[ids]
//   block: a = h + norm(attention(norm(h)));  h' = a + norm(mlp(norm(a)))
//   attention: q, k normed per head, rotated; local blocks see a window, global ones all
//   mlp: down(gelu_tanh(gate x) * up x)
//   logits = softcap(norm(h) E')
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct gemma3_config {
    double eps, attention_scale, final_softcap; // final_softcap 0: none
    int64_t window;
    bool attention_bias;
    va_act act;
    va_rope rope_sliding, rope_full;
    const bool *full; // [n_layer] global attention
} gemma3_config;

// -- configuration --------------------------------------------------------------------------------

static va_status layer_list(va_config_reader *r, const va_json *list, int64_t n_layer, bool *full) {
    if (!va_json_is_array(list) || va_json_count(list) != n_layer)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: %slayer_types: expected a list of %" PRId64
                       " entries, got %s of %" PRId64,
                       r->path, r->prefix, n_layer, va_json_type(list), va_json_count(list));
    const va_json *v = va_json_first(list);
    for (int64_t n = 0; n < n_layer; n++, v = va_json_next(v)) {
        const char *type = va_json_as_string(v);
        if (!type ||
            (strcmp(type, "full_attention") != 0 && strcmp(type, "sliding_attention") != 0))
            return va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                           "%s: %slayer_types[%" PRId64 "] = %s: expected \"full_attention\" or "
                           "\"sliding_attention\"",
                           r->path, r->prefix, n, type ? type : va_json_type(v));
        full[n] = strcmp(type, "full_attention") == 0;
    }
    return VA_OK;
}

// The list in layer_types, or else every sliding_window_pattern-th block global.
static va_status read_layers(va_config_reader *r, va_arena *arena, int64_t n_layer,
                             gemma3_config *own) {
    va_status st = VA_OK;
    bool *full;
    int64_t pattern = 6, stored = 0;
    const va_json *list = va_config_take(r, "layer_types");
    VA_TRY_ALLOC(r->ctx, full, VA_NEW_ARRAY(arena, bool, n_layer));
    VA_TRY(va_config_int(r, "_sliding_window_pattern", 1, 1 << 20, &stored));
    VA_TRY(va_config_int(r, "sliding_window_pattern", 1, 1 << 20, &pattern));
    if (list)
        VA_TRY(layer_list(r, list, n_layer, full));
    else if (stored != 0 && stored != pattern)
        return va_config_unsupported(r, "_sliding_window_pattern",
                                     "disagrees with sliding_window_pattern, and no layer_types");
    for (int64_t n = 0; n < n_layer && !list; n++)
        full[n] = (n + 1) % pattern == 0;
    own->full = full;
done:
    return st;
}

// The older keys, then rope_parameters by layer type; rope_scaling belongs to the global blocks.
static va_status read_rope(va_config_reader *r, gemma3_config *own) {
    va_status st = VA_OK;
    own->rope_full = (va_rope){.theta = 1e6, .factor = 1};
    own->rope_sliding = (va_rope){.theta = 1e4, .factor = 1};
    const va_json *by_type = va_config_take(r, "rope_parameters");
    const va_json *scaling = va_config_take(r, "rope_scaling");
    VA_TRY(va_config_positive(r, "rope_theta", &own->rope_full.theta));
    VA_TRY(va_config_positive(r, "rope_local_base_freq", &own->rope_sliding.theta));
    if (by_type && !va_json_is_object(by_type))
        return va_fail(r->ctx, VA_ERR_FORMAT, "%s: %srope_parameters: expected an object, got %s",
                       r->path, r->prefix, va_json_type(by_type));
    for (const va_json *v = by_type ? va_json_first(by_type) : NULL; v; v = va_json_next(v)) {
        if (strcmp(va_json_key(v), "full_attention") == 0)
            VA_TRY(va_config_rope(r, "rope_parameters.full_attention", v, &own->rope_full));
        else if (strcmp(va_json_key(v), "sliding_attention") == 0)
            VA_TRY(va_config_rope(r, "rope_parameters.sliding_attention", v, &own->rope_sliding));
        else
            return va_config_unsupported(r, "rope_parameters",
                                         "expected full_attention and sliding_attention");
    }
    VA_TRY(va_config_rope(r, "rope_scaling", scaling, &own->rope_full));
done:
    return st;
}

static va_status read_attention(va_config_reader *r, va_arena *arena, va_arch_config *c,
                                gemma3_config *own) {
    va_status st = VA_OK;
    double scalar = 256, cap = 0;
    own->window = 4096;
    VA_TRY(va_config_positive(r, "query_pre_attn_scalar", &scalar));
    own->attention_scale = 1 / sqrt(scalar);
    VA_TRY(va_config_bool(r, "attention_bias", &own->attention_bias));
    VA_TRY(
        va_config_refuse(r, "use_bidirectional_attention", "only causal attention is supported"));
    if (va_json_is_null(va_json_get(r->obj, "sliding_window")))
        return va_config_unsupported(r, "sliding_window", "expected a number of tokens");
    VA_TRY(va_config_int(r, "sliding_window", 1, INT32_MAX, &own->window));
    VA_TRY(va_config_positive(r, "attn_logit_softcapping", &cap));
    if (cap > 0)
        va_log(
            r->ctx, VA_LOG_WARN,
            "%s: %sattn_logit_softcapping = %g is not applied (nor does transformers for Gemma 3)",
            r->path, r->prefix, cap);
    VA_TRY(read_layers(r, arena, c->n_layer, own));
    VA_TRY(read_rope(r, own));
done:
    return st;
}

static va_status read_sizes(va_config_reader *r, va_arch_config *c) {
    enum { WIDE = 1 << 24 };
    va_status st = VA_OK;
    int64_t bos = 2;
    c->n_layer = 26, c->d_model = 2304, c->n_head = 8, c->n_kv_head = 4, c->d_head = 256;
    c->d_ff = 9216, c->vocab_size = 262208, c->max_context = 131072;
    VA_TRY(va_config_int(r, "num_hidden_layers", 1, 4096, &c->n_layer));
    VA_TRY(va_config_int(r, "hidden_size", 1, WIDE, &c->d_model));
    VA_TRY(va_config_int(r, "num_attention_heads", 1, 65536, &c->n_head));
    VA_TRY(va_config_int(r, "num_key_value_heads", 1, 65536, &c->n_kv_head));
    VA_TRY(va_config_int(r, "head_dim", 2, 65536, &c->d_head));
    VA_TRY(va_config_int(r, "intermediate_size", 1, WIDE, &c->d_ff));
    VA_TRY(va_config_int(r, "vocab_size", 1, WIDE, &c->vocab_size));
    VA_TRY(va_config_int(r, "max_position_embeddings", 1, INT32_MAX, &c->max_context));
    if (va_config_has(r, "bos_token_id") || !va_json_get(r->obj, "bos_token_id"))
        VA_TRY(va_config_int(r, "bos_token_id", 0, INT32_MAX, &bos));
    else
        bos = -1;
    c->bos_id = (int32_t)bos;
    if (c->n_head % c->n_kv_head != 0)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: %snum_attention_heads = %" PRId64 " is no multiple of "
                       "num_key_value_heads = %" PRId64,
                       r->path, r->prefix, c->n_head, c->n_kv_head);
    if (c->d_head % 2 != 0)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: %shead_dim = %" PRId64 ": expected an even number", r->path, r->prefix,
                       c->d_head);
done:
    return st;
}

static va_status read_text(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    va_status st = VA_OK;
    gemma3_config *own;
    VA_TRY_ALLOC(r->ctx, own, VA_NEW(arena, gemma3_config));
    c->family_config = own;
    own->eps = 1e-6;
    own->act = VA_ACT_GELU_TANH;
    VA_TRY(read_sizes(r, c));
    VA_TRY(read_attention(r, arena, c, own));
    VA_TRY(va_config_positive(r, "rms_norm_eps", &own->eps));
    VA_TRY(va_config_positive(r, "final_logit_softcapping", &own->final_softcap));
    VA_TRY(va_config_act(r, "hidden_activation", &own->act));
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
done:
    return st;
}

static va_status gemma3_parse(va_ctx *ctx, va_arena *arena, const va_json *root, const char *path,
                              va_arch_config *c) {
    va_status st = VA_OK;
    va_config_reader outer = {.ctx = ctx, .path = path, .prefix = "", .obj = root};
    va_config_reader inner = {.ctx = ctx, .path = path, .prefix = "text_config."};
    const bool nested = strcmp(c->model_type, "gemma3") == 0;
    c->tied_embeddings = true;
    if (nested) {
        inner.obj = va_config_take(&outer, "text_config");
        if (!va_json_is_object(inner.obj))
            return va_fail(ctx, VA_ERR_FORMAT, "%s: text_config: expected an object", path);
        VA_TRY(read_text(&inner, arena, c));
        const bool tied = c->tied_embeddings;
        VA_TRY(va_config_bool(&outer, "tie_word_embeddings", &c->tied_embeddings));
        if (va_config_has(&inner, "tie_word_embeddings") && tied != c->tied_embeddings)
            return va_config_unsupported(&outer, "tie_word_embeddings",
                                         "disagrees with text_config.tie_word_embeddings");
        VA_TRY(va_config_finish(&inner));
    } else {
        VA_TRY(read_text(&outer, arena, c));
    }
    VA_TRY(va_config_finish(&outer));
    c->embed_weight = "model.embed_tokens.weight";
    c->unembed_weight = c->tied_embeddings ? c->embed_weight : "lm_head.weight";
done:
    return st;
}

// -- graph ----------------------------------------------------------------------------------------

typedef struct gemma3_build {
    va_graph *g;
    const va_arch_config *c;
    const gemma3_config *own;
    int64_t seq_len;
    va_node rope_sliding, rope_full;
    va_node *resid, *attn, *mlp; // by layer, for the sites
} gemma3_build;

static va_node weight(const gemma3_build *b, int64_t n, const char *part, int64_t n0, int64_t n1) {
    char name[160];
    snprintf(name, sizeof name, "model.layers.%" PRId64 ".%s", n, part);
    return va_graph_weight(b->g, name, n0, n1);
}

static va_node op(const gemma3_build *b, int64_t n, const char *what, va_op_id id, va_op_attr attr,
                  va_node x0, va_node x1, va_node x2) {
    char name[64];
    const va_node in[VA_OP_MAX_IN] = {x0, x1, x2, VA_NODE_NONE};
    snprintf(name, sizeof name, "%" PRId64 ".%s", n, what);
    attr.seq_len = b->seq_len;
    return va_graph_op(b->g, id, &attr, in, name);
}

// x * (1 + w) / rms(x), over the last axis of width.
static va_node norm(const gemma3_build *b, int64_t n, const char *what, va_node x, int64_t width) {
    char part[96];
    snprintf(part, sizeof part, "%s.weight", what);
    const va_op_attr attr = {.eps = (float)b->own->eps, .weight_offset = 1};
    return op(b, n, what, VA_OP_RMSNORM, attr, x, weight(b, n, part, width, 0), VA_NODE_NONE);
}

static va_node linear(const gemma3_build *b, int64_t n, const char *what, va_node x, int64_t n_out,
                      int64_t n_in, int64_t heads, bool with_bias) {
    char part[96];
    snprintf(part, sizeof part, "%s.weight", what);
    const va_node w = weight(b, n, part, n_out, n_in);
    snprintf(part, sizeof part, "%s.bias", what);
    const va_node bias = with_bias ? weight(b, n, part, n_out, 0) : VA_NODE_NONE;
    return op(b, n, what, VA_OP_LINEAR, (va_op_attr){.heads = heads}, x, w, bias);
}

static va_node add(const gemma3_build *b, int64_t n, const char *what, va_node x, va_node y) {
    return op(b, n, what, VA_OP_ADD, (va_op_attr){0}, x, y, VA_NODE_NONE);
}

static va_node attention(const gemma3_build *b, int64_t n, va_node x) {
    const va_arch_config *c = b->c;
    const bool full = b->own->full[n], bias = b->own->attention_bias;
    const int64_t d = c->d_model, D = c->d_head, H = c->n_head, G = c->n_kv_head;
    const va_node rope = full ? b->rope_full : b->rope_sliding;

    va_node q = linear(b, n, "self_attn.q_proj", x, H * D, d, H, bias); // [M, H, D]
    va_node k = linear(b, n, "self_attn.k_proj", x, G * D, d, G, bias); // [M, G, D]
    va_node v = linear(b, n, "self_attn.v_proj", x, G * D, d, G, bias); // [M, G, D]
    q = norm(b, n, "self_attn.q_norm", q, D);
    k = norm(b, n, "self_attn.k_norm", k, D);
    q = op(b, n, "self_attn.q_rope", VA_OP_ROPE, (va_op_attr){0}, q, rope, VA_NODE_NONE);
    k = op(b, n, "self_attn.k_rope", VA_OP_ROPE, (va_op_attr){0}, k, rope, VA_NODE_NONE);
    const va_op_attr attr = {.scale = (float)b->own->attention_scale,
                             .window = full ? 0 : b->own->window};
    const va_node y = op(b, n, "self_attn", VA_OP_ATTENTION, attr, q, k, v); // [M, H, D]
    return linear(b, n, "self_attn.o_proj", y, d, H * D, 0, bias);           // [M, d]
}

static va_node mlp(const gemma3_build *b, int64_t n, va_node x) {
    const int64_t d = b->c->d_model, F = b->c->d_ff;
    const va_node gate = linear(b, n, "mlp.gate_proj", x, F, d, 0, false); // [M, F]
    const va_node up = linear(b, n, "mlp.up_proj", x, F, d, 0, false);     // [M, F]
    const va_node y =
        op(b, n, "mlp.act", VA_OP_GLU, (va_op_attr){.act = b->own->act}, gate, up, VA_NODE_NONE);
    return linear(b, n, "mlp.down_proj", y, d, F, 0, false); // [M, d]
}

// Fills attn[n], mlp[n], resid[n + 1]; the last block's mlp only if it is needed.
static void block(const gemma3_build *b, int64_t n, bool with_mlp) {
    const int64_t d = b->c->d_model;
    va_node h = b->resid[n];
    b->attn[n] = norm(b, n, "post_attention_layernorm",
                      attention(b, n, norm(b, n, "input_layernorm", h, d)), d);
    if (!with_mlp)
        return;
    h = add(b, n, "attn_residual", h, b->attn[n]);
    b->mlp[n] = norm(b, n, "post_feedforward_layernorm",
                     mlp(b, n, norm(b, n, "pre_feedforward_layernorm", h, d)), d);
    b->resid[n + 1] = add(b, n, "mlp_residual", h, b->mlp[n]);
}

static va_node embed(const gemma3_build *b, int64_t n_rows, va_node ids) {
    const va_node rows = va_graph_weight(b->g, VA_ARCH_EMBED_ROWS, n_rows, b->c->d_model);
    const va_node in[VA_OP_MAX_IN] = {rows, ids, VA_NODE_NONE, VA_NODE_NONE};
    const va_node e = va_graph_op(b->g, VA_OP_EMBED, &(va_op_attr){0}, in, "embed_tokens");
    const va_node x[VA_OP_MAX_IN] = {e, VA_NODE_NONE, VA_NODE_NONE, VA_NODE_NONE};
    const va_op_attr attr = {.factor = (float)sqrt((double)b->c->d_model)};
    return va_graph_op(b->g, VA_OP_SCALE, &attr, x, "embed_scale");
}

static va_node final_norm(const gemma3_build *b, int64_t n) {
    char name[32];
    snprintf(name, sizeof name, "%" PRId64 ".final_norm", n);
    const va_node w = va_graph_weight(b->g, "model.norm.weight", b->c->d_model, 0);
    const va_node in[VA_OP_MAX_IN] = {b->resid[n], w, VA_NODE_NONE, VA_NODE_NONE};
    const va_op_attr attr = {.eps = (float)b->own->eps, .weight_offset = 1};
    return va_graph_op(b->g, VA_OP_RMSNORM, &attr, in, name);
}

static va_node gemma3_unembed(va_graph *g, const va_arch_config *c, va_node x) {
    const gemma3_config *own = c->family_config;
    const va_node w = va_graph_weight(g, c->unembed_weight, c->vocab_size, c->d_model);
    const va_node in[VA_OP_MAX_IN] = {x, w, VA_NODE_NONE, VA_NODE_NONE};
    const va_node y = va_graph_op(g, VA_OP_LINEAR, &(va_op_attr){0}, in, "unembed");
    if (own->final_softcap <= 0)
        return y;
    const va_node z[VA_OP_MAX_IN] = {y, VA_NODE_NONE, VA_NODE_NONE, VA_NODE_NONE};
    const va_op_attr attr = {.softcap = (float)own->final_softcap};
    return va_graph_op(g, VA_OP_SOFTCAP, &attr, z, "final_softcap");
}

static va_status build_ropes(va_ctx *ctx, gemma3_build *b, int64_t n_blocks) {
    va_status st = VA_OK;
    bool full = false, sliding = false;
    for (int64_t n = 0; n < n_blocks; n++)
        *(b->own->full[n] ? &full : &sliding) = true;
    if (full)
        VA_TRY(va_rope_const(ctx, b->g, "rope.full", &b->own->rope_full, b->seq_len, b->c->d_head,
                             &b->rope_full));
    if (sliding)
        VA_TRY(va_rope_const(ctx, b->g, "rope.sliding", &b->own->rope_sliding, b->seq_len,
                             b->c->d_head, &b->rope_sliding));
done:
    return st;
}

static void give_sites(gemma3_build *b, const va_arch_build_params *p, va_node *norms,
                       va_node *nodes) {
    for (int64_t i = 0; i < p->n_sites; i++) {
        const va_site *s = &p->sites[i];
        switch (s->kind) {
        case VA_SITE_EMBED:
        case VA_SITE_RESID:
            nodes[i] = b->resid[s->layer];
            break;
        case VA_SITE_ATTN:
            nodes[i] = b->attn[s->layer];
            break;
        case VA_SITE_MLP:
            nodes[i] = b->mlp[s->layer];
            break;
        case VA_SITE_NORM:
        case VA_SITE_LOGITS:
            if (norms[s->layer] == VA_NODE_NONE)
                norms[s->layer] = final_norm(b, s->layer);
            nodes[i] = norms[s->layer];
            break;
        }
    }
}

static va_status gemma3_build_graph(va_ctx *ctx, va_graph *g, const va_arch_config *c,
                                    const va_arch_build_params *p, int64_t n_rows, va_node *ids,
                                    va_node *nodes) {
    va_status st = VA_OK;
    const int64_t per_list = c->n_layer + 1, n_seq = VA_MAX(p->n_seq, 1);
    int64_t n_blocks = 0, order = 0;
    va_node *lists = NULL;
    gemma3_build b = {.g = g, .c = c, .own = c->family_config, .seq_len = p->seq_len};
    VA_TRY_ALLOC(ctx, lists, malloc((size_t)(4 * per_list) * sizeof *lists));
    for (int64_t i = 0; i < 4 * per_list; i++)
        lists[i] = VA_NODE_NONE;
    b.resid = lists, b.attn = lists + per_list, b.mlp = lists + 2 * per_list;
    for (int64_t i = 0; i < p->n_sites; i++) {
        n_blocks = VA_MAX(n_blocks, va_site_blocks(&p->sites[i]));
        order = VA_MAX(order, va_site_order(&p->sites[i]));
    }
    *ids = va_graph_input(g, "ids", VA_U32, 1, (const int64_t[]){n_seq * p->seq_len});
    VA_TRY(build_ropes(ctx, &b, n_blocks));
    b.resid[0] = embed(&b, n_rows, *ids);
    for (int64_t n = 0; n < n_blocks; n++)
        block(&b, n, order > 3 * n + 1);
    give_sites(&b, p, lists + 3 * per_list, nodes);
done:
    free(lists);
    return st;
}

// -- files ----------------------------------------------------------------------------------------

// "model.X" is also "language_model.model.X" (as the multimodal checkpoints have it),
// "model.language_model.X" (as transformers 5 writes it) and "X" (a bare text model);
// "lm_head.X" also "language_model.lm_head.X".
static const char *gemma3_alias(va_arena *arena, const char *name, int64_t i) {
    static const char model[] = "model.";
    if (i == 0)
        return name;
    if (i == 1)
        return va_arena_printf(arena, "language_model.%s", name);
    if (strncmp(name, model, sizeof model - 1) != 0)
        return NULL;
    const char *rest = name + sizeof model - 1;
    return i == 2 ? va_arena_printf(arena, "model.language_model.%s", rest) : i == 3 ? rest : NULL;
}

static int64_t gemma3_block_params(const va_arch_config *c) {
    const gemma3_config *own = c->family_config;
    const int64_t d = c->d_model, D = c->d_head, q = c->n_head * D, kv = c->n_kv_head * D;
    const int64_t bias = own->attention_bias ? q + 2 * kv + d : 0;
    return d * (2 * q + 2 * kv) + bias + 2 * D + 4 * d + 3 * d * c->d_ff;
}

static const char *gemma3_layer_text(const va_arch_config *c, char buf[256]) {
    const gemma3_config *own = c->family_config;
    int64_t n_full = 0;
    for (int64_t n = 0; n < c->n_layer; n++)
        n_full += own->full[n];
    snprintf(buf, 256,
             "%" PRId64 " sliding (window %" PRId64 ", RoPE base %g, factor %g), %" PRId64
             " full (RoPE base %g, factor %g)",
             c->n_layer - n_full, own->window, own->rope_sliding.theta, own->rope_sliding.factor,
             n_full, own->rope_full.theta, own->rope_full.factor);
    return buf;
}

static const char *const gemma3_types[] = {"gemma3_text", "gemma3", NULL};

const va_arch va_arch_gemma3 = {
    .family = "gemma3",
    .model_types = gemma3_types,
    .parse = gemma3_parse,
    .build = gemma3_build_graph,
    .unembed = gemma3_unembed,
    .alias = gemma3_alias,
    .block_params = gemma3_block_params,
    .layer_text = gemma3_layer_text,
};
