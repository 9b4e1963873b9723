// GPT-NeoX and Pythia: Black et al., arXiv 2204.06745, Biderman et al., arXiv 2304.01373; keys and
// defaults of HF's GPTNeoXConfig.
//
//   block: h' = h + attention(norm1(h)) + mlp(norm2(h)), norms with mean and bias; without
//          use_parallel_residual GPT-2's block
//   attention: a quarter of each head rotates; mlp: down(gelu(up x))
//   In files q, k and v are one matrix, head by head.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

static void gpt_neox_block(const arch_builder *b, int64_t n, va_node h, arch_block *out) {
    const int64_t d = b->c->d_model;
    out->attn = arch_attention(b, n, arch_norm(b, n, "input_layernorm", h, d));
    if (!out->with_mlp)
        return;
    const va_node sum = arch_add(b, n, "attn_residual", h, out->attn);
    out->mlp = arch_plain_mlp(
        b, n, arch_norm(b, n, "post_attention_layernorm", b->own->parallel ? h : sum, d));
    out->resid = arch_add(b, n, "mlp_residual", sum, out->mlp);
}

static va_status gpt_neox_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    va_status st = VA_OK;
    va_arch_decoder *own;
    c->n_layer = 44, c->d_model = 6144, c->n_head = 64, c->d_ff = 24576;
    c->vocab_size = 50432, c->max_context = 2048, c->bos_id = 0;
    VA_TRY(va_config_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    own->eps = 1e-5;
    own->act = VA_ACT_GELU;
    own->layer_norm = own->mlp_bias = own->qkv_bias = own->parallel = true;
    own->rope[0].part = 0.25;
    VA_TRY(va_config_positive(r, "rotary_pct", &own->rope[0].part));
    VA_TRY(va_config_positive(r, "rotary_emb_base", &own->rope[0].theta));
    VA_TRY(va_config_rope(r, arena, c, true, &own->rope[0]));
    VA_TRY(va_config_positive(r, "layer_norm_eps", &own->eps));
    VA_TRY(va_config_act(r, "hidden_act", &own->act));
    VA_TRY(va_config_bool(r, "use_parallel_residual", &own->parallel));
    VA_TRY(va_config_bool(r, "attention_bias", &own->qkv_bias));
    own->out_bias = own->qkv_bias;
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
done:
    return st;
}

static const char *const gpt_neox_types[] = {"gpt_neox", NULL};
static const arch_part gpt_neox_parts[] = {
    {"embed_tokens", "embed_in", ARCH_ROWS_ALL, false},
    {"lm_head", "embed_out", ARCH_ROWS_ALL, false},
    {"lm_head", "lm_head", ARCH_ROWS_ALL, false},
    {"norm", "final_layer_norm", ARCH_ROWS_ALL, false},
    {"self_attn.q_proj", "attention.query_key_value", ARCH_ROWS_HEAD_Q, false},
    {"self_attn.k_proj", "attention.query_key_value", ARCH_ROWS_HEAD_K, false},
    {"self_attn.v_proj", "attention.query_key_value", ARCH_ROWS_HEAD_V, false},
    {"self_attn.o_proj", "attention.dense", ARCH_ROWS_ALL, false},
    {"mlp.up_proj", "mlp.dense_h_to_4h", ARCH_ROWS_ALL, false},
    {"mlp.down_proj", "mlp.dense_4h_to_h", ARCH_ROWS_ALL, false},
    {NULL, NULL, 0, false}};
static const arch_part gpt_neox_gguf[] = {{"self_attn.q_proj", "attn_qkv", ARCH_ROWS_Q, false},
                                          {"self_attn.k_proj", "attn_qkv", ARCH_ROWS_K, false},
                                          {"self_attn.v_proj", "attn_qkv", ARCH_ROWS_V, false},
                                          {NULL, NULL, 0, false}};

const va_arch va_arch_gpt_neox = {.family = "gpt_neox",
                                  .model_types = gpt_neox_types,
                                  .parse = gpt_neox_parse,
                                  .block = gpt_neox_block,
                                  .prefix = "gpt_neox.",
                                  .parts = gpt_neox_parts,
                                  .gguf_parts = gpt_neox_gguf};
