// Phi-3, Phi-4 and Phi-4-mini: "Phi-3 Technical Report", arXiv 2404.14219, "Phi-4-Mini Technical
// Report", arXiv 2503.01743; keys and defaults of HF's Phi3Config.
//
//   Llama's block without biases. In files q, k and v are one matrix, gate and up another.
//   Phi-4-mini rotates a part of each head; long contexts by LongRoPE.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

// LongRoPE's original context is this key's, never that of rope_scaling.
static va_status read_rope(va_config_reader *r, va_arena *arena, const va_arch_config *c,
                           va_rope *rope) {
    va_status st = VA_OK;
    const char *key;
    VA_TRY(va_config_rope_read(r, arena, true, rope, &key));
    if (rope->type == VA_ROPE_YARN && rope->short_factor) // an older name
        rope->type = VA_ROPE_LONGROPE;
    if (rope->type != VA_ROPE_DEFAULT && rope->type != VA_ROPE_LONGROPE)
        return va_config_unsupported(r, key, "expected longrope for this family");
    rope->original_context = 4096;
    VA_TRY(va_config_positive(r, "original_max_position_embeddings", &rope->original_context));
    VA_TRY(va_config_rope_finish(r, c, key, rope));
done:
    return st;
}

static va_status phi3_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    // Of the first releases' own code; transformers reads none of them.
    static const char *const unused[] = {"attention_bias", "full_attn_mod", "interpolate_factor",
                                         "mlp_bias", NULL};
    va_status st = VA_OK;
    va_arch_decoder *own;
    int64_t window = 0;
    c->n_layer = 32, c->d_model = 3072, c->n_head = 32, c->d_ff = 8192;
    c->vocab_size = 32064, c->max_context = 4096, c->bos_id = 1;
    VA_TRY(va_config_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    VA_TRY(read_rope(r, arena, c, &own->rope[0]));
    VA_TRY(va_config_window(r, &window));
    for (int64_t n = 0; n < c->n_layer; n++)
        own->layer[n].window = window;
    own->eps = 1e-5;
    VA_TRY(va_config_positive(r, "rms_norm_eps", &own->eps));
    VA_TRY(va_config_act(r, "hidden_act", &own->act));
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
    va_config_ignore(r, unused);
done:
    return st;
}

static const char *const phi3_types[] = {"phi3", NULL};
static const arch_part phi3_parts[] = {
    {"self_attn.q_proj", "self_attn.qkv_proj", ARCH_ROWS_Q, false},
    {"self_attn.k_proj", "self_attn.qkv_proj", ARCH_ROWS_K, false},
    {"self_attn.v_proj", "self_attn.qkv_proj", ARCH_ROWS_V, false},
    {"mlp.gate_proj", "mlp.gate_up_proj", ARCH_ROWS_GATE, false},
    {"mlp.up_proj", "mlp.gate_up_proj", ARCH_ROWS_UP, false},
    {NULL, NULL, 0, false}};
static const arch_part phi3_gguf[] = {{"self_attn.q_proj", "attn_qkv", ARCH_ROWS_Q, false},
                                      {"self_attn.k_proj", "attn_qkv", ARCH_ROWS_K, false},
                                      {"self_attn.v_proj", "attn_qkv", ARCH_ROWS_V, false},
                                      {"mlp.gate_proj", "ffn_up", ARCH_ROWS_GATE, false},
                                      {"mlp.up_proj", "ffn_up", ARCH_ROWS_UP, false},
                                      {NULL, NULL, 0, false}};

const va_arch va_arch_phi3 = {.family = "phi3",
                              .model_types = phi3_types,
                              .parse = phi3_parse,
                              .block = arch_pre_norm_block,
                              .parts = phi3_parts,
                              .gguf_parts = phi3_gguf};
