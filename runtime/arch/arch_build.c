// A forward pass written down, block by block: the parts that families share.
// Legend of shapes: tensor.h.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// -- parts ----------------------------------------------------------------------------------------

static va_node weight(const arch_builder *b, int64_t n, const char *part, int64_t n0, int64_t n1) {
    char name[160];
    snprintf(name, sizeof name, "model.layers.%" PRId64 ".%s", n, part);
    return va_graph_weight(b->g, name, n0, n1);
}

static va_node op(const arch_builder *b, int64_t n, const char *what, va_op_id id, va_op_attr attr,
                  va_node x0, va_node x1, va_node x2) {
    char name[64];
    const va_node in[VA_OP_MAX_IN] = {x0, x1, x2, VA_NODE_NONE};
    snprintf(name, sizeof name, "%" PRId64 ".%s", n, what);
    attr.seq_len = b->seq_len;
    return va_graph_op(b->g, id, &attr, in, name);
}

va_node arch_add(const arch_builder *b, int64_t n, const char *what, va_node x, va_node y) {
    return op(b, n, what, VA_OP_ADD, (va_op_attr){0}, x, y, VA_NODE_NONE);
}

static float norm_offset(const va_arch_config *c) {
    return c->is_gguf ? 0 : (float)c->decoder->norm_offset; // GGUF stores 1 + w
}

// The family's norm with weights given.
static va_node norm_of(const arch_builder *b, int64_t n, const char *what, va_node x, va_node w,
                       va_node bias) {
    const va_arch_decoder *own = b->own;
    const va_op_attr attr = {.eps = (float)own->eps, .weight_offset = norm_offset(b->c)};
    return op(b, n, what, own->layer_norm ? VA_OP_LAYERNORM : VA_OP_RMSNORM, attr, x, w, bias);
}

va_node arch_norm(const arch_builder *b, int64_t n, const char *what, va_node x, int64_t width) {
    char part[96];
    snprintf(part, sizeof part, "%s.weight", what);
    const va_node w = weight(b, n, part, width, 0);
    snprintf(part, sizeof part, "%s.bias", what);
    const va_node bias = b->own->layer_norm ? weight(b, n, part, width, 0) : VA_NODE_NONE;
    return norm_of(b, n, what, x, w, bias);
}

// heads > 0: [M, heads, n_out / heads].
static va_node linear(const arch_builder *b, int64_t n, const char *what, va_node x, int64_t n_out,
                      int64_t n_in, int64_t heads, bool with_bias) {
    char part[96];
    snprintf(part, sizeof part, "%s.weight", what);
    const va_node w = weight(b, n, part, n_out, n_in);
    snprintf(part, sizeof part, "%s.bias", what);
    const va_node bias = with_bias ? weight(b, n, part, n_out, 0) : VA_NODE_NONE;
    return op(b, n, what, VA_OP_LINEAR, (va_op_attr){.heads = heads}, x, w, bias);
}

static va_node rotate(const arch_builder *b, int64_t n, const char *what, va_node x,
                      const va_node *tables) {
    const int rope = b->own->layer[n].rope;
    if (rope == ARCH_NO_ROPE)
        return x;
    return op(b, n, what, VA_OP_ROPE, (va_op_attr){0}, x, tables[rope], VA_NODE_NONE);
}

va_node arch_attention(const arch_builder *b, int64_t n, va_node x) {
    const va_arch_config *c = b->c;
    const va_arch_decoder *own = b->own;
    const int64_t d = c->d_model, D = c->d_head, H = c->n_head, G = c->n_kv_head;
    const bool per_head = own->qk_norm == ARCH_QK_PER_HEAD;

    va_node q = linear(b, n, "self_attn.q_proj", x, H * D, d, H, own->qkv_bias); // [M, H, D]
    va_node k = linear(b, n, "self_attn.k_proj", x, G * D, d, G, own->qkv_bias); // [M, G, D]
    va_node v = linear(b, n, "self_attn.v_proj", x, G * D, d, G, own->qkv_bias); // [M, G, D]
    if (own->qk_norm != ARCH_QK_PLAIN) {
        q = arch_norm(b, n, "self_attn.q_norm", q, per_head ? D : H * D);
        k = arch_norm(b, n, "self_attn.k_norm", k, per_head ? D : G * D);
    }
    q = rotate(b, n, "self_attn.q_rope", q, b->rope_q);
    k = rotate(b, n, "self_attn.k_rope", k, b->rope_k);
    const va_op_attr attr = {.scale = (float)own->attention_scale,
                             .softcap = (float)own->attention_softcap,
                             .window = own->layer[n].window};
    const va_node y = op(b, n, "self_attn", VA_OP_ATTENTION, attr, q, k, v); // [M, H, D]
    return linear(b, n, "self_attn.o_proj", y, d, H * D, 0, own->out_bias);  // [M, d]
}

// act(x W_gate') * (x W_up') [M, F]: one op, but where there are biases.
static va_node gated(const arch_builder *b, int64_t n, va_node x) {
    const int64_t d = b->c->d_model, F = b->c->d_ff;
    const va_op_attr attr = {.act = b->own->act};
    if (b->own->mlp_bias) {
        const va_node gate = linear(b, n, "mlp.gate_proj", x, F, d, 0, true);
        const va_node up = linear(b, n, "mlp.up_proj", x, F, d, 0, true);
        return op(b, n, "mlp.act", VA_OP_GLU, attr, gate, up, VA_NODE_NONE);
    }
    const va_node w_gate = weight(b, n, "mlp.gate_proj.weight", F, d);
    const va_node w_up = weight(b, n, "mlp.up_proj.weight", F, d);
    return op(b, n, "mlp.gated", VA_OP_GATED, attr, x, w_gate, w_up);
}

va_node arch_gated_mlp(const arch_builder *b, int64_t n, va_node x) {
    const va_node y = gated(b, n, x);
    return linear(b, n, "mlp.down_proj", y, b->c->d_model, b->c->d_ff, 0, b->own->mlp_bias);
}

// act(x) = x * factor(x)
static va_act factor_of(va_act act) {
    return act == VA_ACT_GELU_TANH ? VA_ACT_PHI_TANH
           : act == VA_ACT_GELU    ? VA_ACT_PHI
           : act == VA_ACT_SILU    ? VA_ACT_SIGMOID
                                   : VA_ACT_STEP;
}

va_node arch_plain_mlp(const arch_builder *b, int64_t n, va_node x) {
    const int64_t d = b->c->d_model, F = b->c->d_ff;
    const bool bias = b->own->mlp_bias;
    const va_node up = linear(b, n, "mlp.up_proj", x, F, d, 0, bias); // [M, F]
    const va_op_attr attr = {.act = factor_of(b->own->act)};
    const va_node y = op(b, n, "mlp.act", VA_OP_GLU, attr, up, up, VA_NODE_NONE);
    return linear(b, n, "mlp.down_proj", y, d, F, 0, bias); // [M, d]
}

// -- blocks ---------------------------------------------------------------------------------------

void arch_pre_norm_block(const arch_builder *b, int64_t n, va_node h, arch_block *out) {
    const int64_t d = b->c->d_model;
    out->attn = arch_attention(b, n, arch_norm(b, n, "input_layernorm", h, d));
    if (!out->with_mlp)
        return;
    h = arch_add(b, n, "attn_residual", h, out->attn);
    out->mlp = arch_gated_mlp(b, n, arch_norm(b, n, "post_attention_layernorm", h, d));
    out->resid = arch_add(b, n, "mlp_residual", h, out->mlp);
}

void arch_sandwich_block(const arch_builder *b, int64_t n, va_node h, arch_block *out) {
    const int64_t d = b->c->d_model;
    out->attn = arch_norm(b, n, "post_attention_layernorm",
                          arch_attention(b, n, arch_norm(b, n, "input_layernorm", h, d)), d);
    if (!out->with_mlp)
        return;
    h = arch_add(b, n, "attn_residual", h, out->attn);
    out->mlp =
        arch_norm(b, n, "post_feedforward_layernorm",
                  arch_gated_mlp(b, n, arch_norm(b, n, "pre_feedforward_layernorm", h, d)), d);
    out->resid = arch_add(b, n, "mlp_residual", h, out->mlp);
}

// -- before and after the blocks ------------------------------------------------------------------

// Row m of the result is row at[m] of the table.
static va_node rows_of(va_graph *g, va_node table, va_node at, const char *name) {
    const va_node in[VA_OP_MAX_IN] = {table, at, VA_NODE_NONE, VA_NODE_NONE};
    return va_graph_op(g, VA_OP_EMBED, &(va_op_attr){0}, in, name);
}

// The row of learned positions that each of the M tokens takes.
static va_status position_ids(va_ctx *ctx, const arch_builder *b, int64_t M, va_node *ids) {
    va_status st = VA_OK;
    uint32_t *at;
    VA_TRY_ALLOC(ctx, at, malloc((size_t)M * sizeof *at));
    for (int64_t m = 0; m < M; m++)
        at[m] = (uint32_t)(m % b->seq_len);
    *ids = va_graph_const(b->g, "positions", VA_U32, 1, &M, at);
    free(at);
done:
    return st;
}

static va_status embed(va_ctx *ctx, const arch_builder *b, int64_t n_rows, int64_t M, va_node ids,
                       va_node *h) {
    va_status st = VA_OK;
    const int64_t d = b->c->d_model;
    const va_node table = va_graph_weight(b->g, VA_ARCH_EMBED_ROWS, n_rows, d);
    *h = rows_of(b->g, table, ids, "embed_tokens");
    if (b->own->embed_scale != 1) {
        const va_node x[VA_OP_MAX_IN] = {*h, VA_NODE_NONE, VA_NODE_NONE, VA_NODE_NONE};
        const va_op_attr attr = {.factor = (float)b->own->embed_scale};
        *h = va_graph_op(b->g, VA_OP_SCALE, &attr, x, "embed_scale");
    }
    if (b->own->positions) {
        va_node at = VA_NODE_NONE;
        VA_TRY(position_ids(ctx, b, M, &at));
        const va_node w =
            va_graph_weight(b->g, "model.embed_positions.weight", b->c->max_context, d);
        const va_node x[VA_OP_MAX_IN] = {*h, rows_of(b->g, w, at, "embed_positions"), VA_NODE_NONE,
                                         VA_NODE_NONE};
        *h = va_graph_op(b->g, VA_OP_ADD, &(va_op_attr){0}, x, "embed_sum");
    }
done:
    return st;
}

#define FINAL_NORM "model.norm.weight"

va_arch_norm va_arch_final_norm(const va_arch_config *c) {
    return (va_arch_norm){FINAL_NORM, norm_offset(c), c->decoder->layer_norm};
}

bool va_arch_has_biases(const va_arch_config *c) {
    const va_arch_decoder *own = c->decoder;
    return own->layer_norm || own->qkv_bias || own->out_bias || own->mlp_bias;
}

static va_node final_norm(const arch_builder *b, int64_t n, va_node h) {
    const int64_t d = b->c->d_model;
    const va_node w = va_graph_weight(b->g, FINAL_NORM, d, 0);
    const va_node bias =
        b->own->layer_norm ? va_graph_weight(b->g, "model.norm.bias", d, 0) : VA_NODE_NONE;
    return norm_of(b, n, "final_norm", h, w, bias);
}

va_node va_arch_unembed(va_graph *g, const va_arch_config *c, va_node x) {
    const double cap = c->decoder->final_softcap;
    const va_node w = va_graph_weight(g, c->unembed_weight, c->vocab_size, c->d_model);
    const va_node in[VA_OP_MAX_IN] = {x, w, VA_NODE_NONE, VA_NODE_NONE};
    const va_node y = va_graph_op(g, VA_OP_LINEAR, &(va_op_attr){0}, in, "unembed");
    if (cap <= 0)
        return y;
    const va_node z[VA_OP_MAX_IN] = {y, VA_NODE_NONE, VA_NODE_NONE, VA_NODE_NONE};
    return va_graph_op(g, VA_OP_SOFTCAP, &(va_op_attr){.softcap = (float)cap}, z, "final_softcap");
}

static va_status build_rope(va_ctx *ctx, arch_builder *b, int i) {
    va_status st = VA_OK;
    const va_rope *rope = &b->own->rope[i];
    const char *name = b->own->rope_name[i];
    const int64_t D = b->c->d_head;
    VA_TRY(va_rope_const(ctx, b->g, name, rope, b->seq_len, D, false, &b->rope_k[i]));
    b->rope_q[i] = b->rope_k[i];
    if (rope->query_beta != 0)
        VA_TRY(va_rope_const(ctx, b->g, "rope.query", rope, b->seq_len, D, true, &b->rope_q[i]));
done:
    return st;
}

// The tables that the first n_blocks blocks use.
static va_status build_ropes(va_ctx *ctx, arch_builder *b, int64_t n_blocks) {
    va_status st = VA_OK;
    bool used[ARCH_MAX_ROPE] = {false};
    for (int64_t n = 0; n < n_blocks; n++)
        if (b->own->layer[n].rope != ARCH_NO_ROPE)
            used[b->own->layer[n].rope] = true;
    for (int i = 0; i < ARCH_MAX_ROPE; i++)
        if (used[i])
            VA_TRY(build_rope(ctx, b, i));
done:
    return st;
}

// -- the whole ------------------------------------------------------------------------------------

// Values by layer, for the sites: resid [L + 1], attn and mlp [L], norm [L + 1].
typedef struct values {
    va_node *resid, *attn, *mlp, *norm;
} values;

static va_node value_at(const arch_builder *b, values *v, const va_site *s) {
    switch (s->kind) {
    case VA_SITE_EMBED:
    case VA_SITE_RESID:
        return v->resid[s->layer];
    case VA_SITE_ATTN:
        return v->attn[s->layer];
    case VA_SITE_MLP:
        return v->mlp[s->layer];
    case VA_SITE_NORM:
    case VA_SITE_LOGITS:
        break;
    }
    if (v->norm[s->layer] == VA_NODE_NONE)
        v->norm[s->layer] = final_norm(b, s->layer, v->resid[s->layer]);
    return v->norm[s->layer];
}

static void build_blocks(const arch_builder *b, values *v, int64_t n_blocks, int64_t order) {
    for (int64_t n = 0; n < n_blocks; n++) {
        arch_block out = {order > 3 * n + 1, VA_NODE_NONE, VA_NODE_NONE, VA_NODE_NONE};
        b->c->arch->block(b, n, v->resid[n], &out);
        v->attn[n] = out.attn;
        v->mlp[n] = out.mlp;
        v->resid[n + 1] = out.resid;
    }
}

va_status va_arch_build(va_ctx *ctx, va_graph *g, const va_arch_config *c,
                        const va_arch_build_params *p, int64_t n_rows, va_node *ids,
                        va_node *nodes) {
    va_status st = VA_OK;
    const int64_t per_list = c->n_layer + 1, M = VA_MAX(p->n_seq, 1) * p->seq_len;
    int64_t n_blocks = 0, order = 0;
    va_node *lists = NULL;
    arch_builder b = {.g = g, .c = c, .own = c->decoder, .seq_len = p->seq_len};
    VA_TRY_ALLOC(ctx, lists, malloc((size_t)(4 * per_list) * sizeof *lists));
    for (int64_t i = 0; i < 4 * per_list; i++)
        lists[i] = VA_NODE_NONE;
    values v = {lists, lists + per_list, lists + 2 * per_list, lists + 3 * per_list};
    for (int64_t i = 0; i < p->n_sites; i++) {
        n_blocks = VA_MAX(n_blocks, va_site_blocks(&p->sites[i]));
        order = VA_MAX(order, va_site_order(&p->sites[i]));
    }
    *ids = va_graph_input(g, "ids", VA_U32, 1, &M);
    VA_TRY(build_ropes(ctx, &b, n_blocks));
    VA_TRY(embed(ctx, &b, n_rows, M, *ids, &v.resid[0]));
    build_blocks(&b, &v, n_blocks, order);
    for (int64_t i = 0; i < p->n_sites; i++)
        nodes[i] = value_at(&b, &v, &p->sites[i]);
done:
    free(lists);
    return st;
}
