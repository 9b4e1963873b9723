// Llama 2 and 3: "The Llama 3 Herd of Models", arXiv 2407.21783; keys and defaults of HF's
// LlamaConfig. Also SmolLM 1 and 2, DeepSeek-R1's distillations of it, and others of that form.
//
//   h0 = E[ids]
//   block: a = h + attention(norm(h));  h' = a + mlp(norm(a))
//   attention: grouped queries, q and k rotated; mlp: down(silu(gate x) * up x)
//   logits = norm(h) U'
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

static va_status llama_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    va_status st = VA_OK;
    va_arch_decoder *own;
    c->n_layer = 32, c->d_model = 4096, c->n_head = 32, c->d_ff = 11008;
    c->vocab_size = 32000, c->max_context = 2048, c->bos_id = 1;
    VA_TRY(va_config_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    VA_TRY(va_config_rope(r, arena, c, false, &own->rope[0]));
    VA_TRY(va_config_positive(r, "rms_norm_eps", &own->eps));
    VA_TRY(va_config_act(r, "hidden_act", &own->act));
    VA_TRY(va_config_bool(r, "attention_bias", &own->qkv_bias));
    own->out_bias = own->qkv_bias;
    VA_TRY(va_config_bool(r, "mlp_bias", &own->mlp_bias));
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
done:
    return st;
}

static const char *const llama_types[] = {"llama", NULL};
static const arch_part llama_gguf[] = {{"self_attn.q_proj", "attn_q", ARCH_ROWS_PAIRED, false},
                                       {"self_attn.k_proj", "attn_k", ARCH_ROWS_PAIRED, false},
                                       {NULL, NULL, 0, false}};

const va_arch va_arch_llama = {.family = "llama",
                               .model_types = llama_types,
                               .parse = llama_parse,
                               .block = arch_pre_norm_block,
                               .gguf_parts = llama_gguf};
