// Qwen 3, dense: "Qwen3 Technical Report", arXiv 2505.09388; keys and defaults of HF's Qwen3Config.
// Also DeepSeek-R1-0528's distillation.
//
//   Llama's block with q and k normed per head before they are rotated, no biases.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

static va_status qwen3_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    va_status st = VA_OK;
    va_arch_decoder *own;
    c->n_layer = 32, c->d_model = 4096, c->n_head = 32, c->n_kv_head = 32, c->d_head = 128;
    c->d_ff = 22016, c->vocab_size = 151936, c->max_context = 32768;
    VA_TRY(va_config_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    own->qk_norm = ARCH_QK_PER_HEAD;
    VA_TRY(va_config_rope(r, arena, c, false, &own->rope[0]));
    VA_TRY(va_config_late_windows(r, c, own));
    VA_TRY(va_config_positive(r, "rms_norm_eps", &own->eps));
    VA_TRY(va_config_act(r, "hidden_act", &own->act));
    VA_TRY(va_config_bool(r, "attention_bias", &own->qkv_bias));
    own->out_bias = own->qkv_bias;
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
done:
    return st;
}

static const char *const qwen3_types[] = {"qwen3", NULL};

const va_arch va_arch_qwen3 = {.family = "qwen3",
                               .model_types = qwen3_types,
                               .parse = qwen3_parse,
                               .block = arch_pre_norm_block};
