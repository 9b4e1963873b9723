// Gemma 2: "Gemma 2: Improving Open Language Models at a Practical Size", arXiv 2408.00118; keys
// and defaults of HF's Gemma2Config.
//
//   h0 = sqrt(d) E[ids]
//   block: a = h + norm(attention(norm(h)));  h' = a + norm(mlp(norm(a)))
//   attention: every other layer sees a window; scores and logits are soft-capped
//   mlp: down(gelu_tanh(gate x) * up x)
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <math.h>

// Softcaps stand at their default unless null.
static va_status read_softcap(va_config_reader *r, const char *key, double when_absent,
                              double *cap) {
    *cap = va_config_is_null(r, key) ? 0 : when_absent;
    return va_config_positive(r, key, cap);
}

static va_status gemma2_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    va_status st = VA_OK;
    va_arch_decoder *own;
    int64_t window = 4096;
    double scalar = 256;
    bool given;
    c->n_layer = 26, c->d_model = 2304, c->n_head = 8, c->n_kv_head = 4, c->d_head = 256;
    c->d_ff = 9216, c->vocab_size = 256000, c->max_context = 8192, c->bos_id = 2;
    c->tied_embeddings = true;
    VA_TRY(va_config_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    own->norm_offset = 1;
    own->embed_scale = sqrt((double)c->d_model);
    own->act = VA_ACT_GELU_TANH;
    VA_TRY(va_config_rope(r, arena, c, false, &own->rope[0]));
    VA_TRY(va_config_window(r, &window));
    if (window == 0)
        return va_config_unsupported(r, "sliding_window", "expected a number of tokens");
    VA_TRY(va_config_layer_types(r, c, own, window, &given));
    for (int64_t n = 0; n < c->n_layer && !given; n += 2)
        own->layer[n].window = window;
    VA_TRY(va_config_positive(r, "query_pre_attn_scalar", &scalar));
    own->attention_scale = 1 / sqrt(scalar);
    VA_TRY(read_softcap(r, "attn_logit_softcapping", 50, &own->attention_softcap));
    VA_TRY(read_softcap(r, "final_logit_softcapping", 30, &own->final_softcap));
    VA_TRY(
        va_config_refuse(r, "use_bidirectional_attention", "only causal attention is supported"));
    VA_TRY(va_config_positive(r, "rms_norm_eps", &own->eps));
    VA_TRY(va_config_act(r, "hidden_activation", &own->act));
    va_config_take(r, "hidden_act"); // stands beside it and is not read by transformers
    VA_TRY(va_config_bool(r, "attention_bias", &own->qkv_bias));
    own->out_bias = own->qkv_bias;
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
done:
    return st;
}

static const char *const gemma2_types[] = {"gemma2", NULL};
static const arch_part gemma2_gguf[] = {
    {"post_attention_layernorm", "post_attention_norm", ARCH_ROWS_ALL, false},
    {NULL, NULL, 0, false}};

const va_arch va_arch_gemma2 = {.family = "gemma2",
                                .model_types = gemma2_types,
                                .parse = gemma2_parse,
                                .block = arch_sandwich_block,
                                .gguf_parts = gemma2_gguf};
