// GPT-2: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019; keys and
// defaults of HF's GPT2Config.
//
//   h0 = E[ids] + P[position]
//   block: a = h + attention(norm(h));  h' = a + mlp(norm(a)), norms with mean and bias
//   mlp: down(gelu_tanh(up x)); every linear map has a bias
//   In files matrices are stored [n_in, n_out], and q, k and v are one.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

static void gpt2_block(const arch_builder *b, int64_t n, va_node h, arch_block *out) {
    const int64_t d = b->c->d_model;
    out->attn = arch_attention(b, n, arch_norm(b, n, "input_layernorm", h, d));
    if (!out->with_mlp)
        return;
    h = arch_add(b, n, "attn_residual", h, out->attn);
    out->mlp = arch_plain_mlp(b, n, arch_norm(b, n, "post_attention_layernorm", h, d));
    out->resid = arch_add(b, n, "mlp_residual", h, out->mlp);
}

static va_status read_sizes(va_config_reader *r, va_arch_config *c) {
    enum { WIDEST = 1 << 24 };
    va_status st = VA_OK;
    c->n_layer = 12, c->d_model = 768, c->n_head = 12;
    c->vocab_size = 50257, c->max_context = 1024, c->bos_id = 50256;
    VA_TRY(va_config_int(r, "n_layer", 1, 4096, &c->n_layer));
    VA_TRY(va_config_int(r, "n_embd", 1, WIDEST / 4, &c->d_model));
    VA_TRY(va_config_int(r, "n_head", 1, 65536, &c->n_head));
    VA_TRY(va_config_int(r, "n_positions", 1, INT32_MAX, &c->max_context));
    VA_TRY(va_config_int(r, "vocab_size", 1, WIDEST, &c->vocab_size));
    c->d_ff = 4 * c->d_model;
    VA_TRY(va_config_int(r, "n_inner", 1, WIDEST, &c->d_ff));
    VA_TRY(va_config_bos(r, c));
    VA_TRY(va_config_check_sizes(r, c));
    if (c->d_model % c->n_head != 0)
        return va_config_wrong(r, "n_head", "a divisor of n_embd");
done:
    return st;
}

static va_status gpt2_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    static const char *const unused[] = {"n_ctx",
                                         "reorder_and_upcast_attn",
                                         "summary_activation",
                                         "summary_first_dropout",
                                         "summary_proj_to_labels",
                                         "summary_type",
                                         "summary_use_proj",
                                         NULL};
    va_status st = VA_OK;
    va_arch_decoder *own;
    bool scale_weights = true;
    VA_TRY(read_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    own->eps = 1e-5;
    own->act = VA_ACT_GELU_TANH;
    own->layer_norm = own->positions = true;
    own->qkv_bias = own->out_bias = own->mlp_bias = true;
    for (int64_t n = 0; n < c->n_layer; n++)
        own->layer[n].rope = ARCH_NO_ROPE;
    VA_TRY(va_config_positive(r, "layer_norm_epsilon", &own->eps));
    VA_TRY(va_config_act(r, "activation_function", &own->act));
    VA_TRY(va_config_bool(r, "scale_attn_weights", &scale_weights));
    if (!scale_weights)
        own->attention_scale = 1;
    VA_TRY(va_config_refuse(r, "scale_attn_by_inverse_layer_idx", "not supported"));
    c->tied_embeddings = true;
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
    va_config_ignore(r, unused);
done:
    return st;
}

static const char *const gpt2_types[] = {"gpt2", NULL};
static const arch_part gpt2_parts[] = {{"embed_tokens", "wte", ARCH_ROWS_ALL, false},
                                       {"embed_positions", "wpe", ARCH_ROWS_ALL, false},
                                       {"norm", "ln_f", ARCH_ROWS_ALL, false},
                                       {"input_layernorm", "ln_1", ARCH_ROWS_ALL, false},
                                       {"post_attention_layernorm", "ln_2", ARCH_ROWS_ALL, false},
                                       {"self_attn.q_proj", "attn.c_attn", ARCH_ROWS_Q, true},
                                       {"self_attn.k_proj", "attn.c_attn", ARCH_ROWS_K, true},
                                       {"self_attn.v_proj", "attn.c_attn", ARCH_ROWS_V, true},
                                       {"self_attn.o_proj", "attn.c_proj", ARCH_ROWS_ALL, true},
                                       {"mlp.up_proj", "mlp.c_fc", ARCH_ROWS_ALL, true},
                                       {"mlp.down_proj", "mlp.c_proj", ARCH_ROWS_ALL, true},
                                       {NULL, NULL, 0, false}};
static const arch_part gpt2_gguf[] = {{"self_attn.q_proj", "attn_qkv", ARCH_ROWS_Q, false},
                                      {"self_attn.k_proj", "attn_qkv", ARCH_ROWS_K, false},
                                      {"self_attn.v_proj", "attn_qkv", ARCH_ROWS_V, false},
                                      {NULL, NULL, 0, false}};

const va_arch va_arch_gpt2 = {.family = "gpt2",
                              .model_types = gpt2_types,
                              .parse = gpt2_parse,
                              .block = gpt2_block,
                              .prefix = "transformer.",
                              .layers = "h.",
                              .parts = gpt2_parts,
                              .gguf_parts = gpt2_gguf};
