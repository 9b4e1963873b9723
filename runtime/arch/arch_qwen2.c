// Qwen 2 and 2.5: "Qwen2 Technical Report", arXiv 2407.10671; keys and defaults of HF's
// Qwen2Config.
//
//   Llama's block with biases on q, k and v; the layers from max_window_layers on may have windows.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

static va_status qwen2_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    va_status st = VA_OK;
    va_arch_decoder *own;
    c->n_layer = 32, c->d_model = 4096, c->n_head = 32, c->n_kv_head = 32, c->d_ff = 22016;
    c->vocab_size = 151936, c->max_context = 32768;
    VA_TRY(va_config_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    own->qkv_bias = true;
    VA_TRY(va_config_rope(r, arena, c, false, &own->rope[0]));
    VA_TRY(va_config_late_windows(r, c, own));
    VA_TRY(va_config_positive(r, "rms_norm_eps", &own->eps));
    VA_TRY(va_config_act(r, "hidden_act", &own->act));
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
done:
    return st;
}

static const char *const qwen2_types[] = {"qwen2", NULL};

const va_arch va_arch_qwen2 = {.family = "qwen2",
                               .model_types = qwen2_types,
                               .parse = qwen2_parse,
                               .block = arch_pre_norm_block};
