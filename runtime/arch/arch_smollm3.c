// SmolLM 3: HF's SmolLM3Config and its defaults. (SmolLM 1 and 2 are of Llama's form.)
//
//   Llama's block; every fourth layer, or those where no_rope_layers holds 0, rotates nothing
//   ("RoPE to NoRoPE and Back Again", arXiv 2501.18795).
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

// no_rope_layers: 1 where a layer rotates.
static va_status read_rotations(va_config_reader *r, const va_arch_config *c,
                                va_arch_decoder *own) {
    va_status st = VA_OK;
    int64_t interval = 4, n = 0;
    const va_json *list = va_config_take(r, "no_rope_layers");
    VA_TRY(va_config_int(r, "no_rope_layer_interval", 1, INT32_MAX, &interval));
    if (list && (!va_json_is_array(list) || va_json_count(list) < c->n_layer))
        return va_config_wrong(r, "no_rope_layers", "a list with a number for each layer");
    for (const va_json *v = va_json_first(list); v && n < c->n_layer; v = va_json_next(v), n++) {
        int64_t rotates;
        if (!va_json_as_int(v, &rotates) || rotates < 0 || rotates > 1)
            return va_config_wrong(r, "no_rope_layers", "zeros and ones");
        own->layer[n].rope = rotates ? 0 : ARCH_NO_ROPE;
    }
    for (; n < c->n_layer; n++)
        own->layer[n].rope = (n + 1) % interval != 0 ? 0 : ARCH_NO_ROPE;
done:
    return st;
}

// Where windows are used, and layer_types does not say otherwise, the layers without rotation have
// them.
static va_status read_windows(va_config_reader *r, const va_arch_config *c, va_arch_decoder *own) {
    va_status st = VA_OK;
    int64_t window = 0;
    bool use = false, given;
    VA_TRY(va_config_bool(r, "use_sliding_window", &use));
    VA_TRY(va_config_window(r, &window));
    if (!use)
        window = 0;
    VA_TRY(va_config_layer_types(r, c, own, window, &given));
    for (int64_t n = 0; n < c->n_layer && !given; n++)
        own->layer[n].window = own->layer[n].rope == ARCH_NO_ROPE ? window : 0;
done:
    return st;
}

static va_status smollm3_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    va_status st = VA_OK;
    va_arch_decoder *own;
    c->n_layer = 36, c->d_model = 2048, c->n_head = 16, c->n_kv_head = 4, c->d_ff = 11008;
    c->vocab_size = 128256, c->max_context = 32768, c->bos_id = 128000;
    c->tied_embeddings = true;
    VA_TRY(va_config_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    own->rope[0].theta = 2e6;
    VA_TRY(va_config_rope(r, arena, c, false, &own->rope[0]));
    VA_TRY(read_rotations(r, c, own));
    VA_TRY(read_windows(r, c, own));
    VA_TRY(va_config_positive(r, "rms_norm_eps", &own->eps));
    VA_TRY(va_config_act(r, "hidden_act", &own->act));
    VA_TRY(va_config_bool(r, "attention_bias", &own->qkv_bias));
    own->out_bias = own->qkv_bias;
    VA_TRY(va_config_bool(r, "mlp_bias", &own->mlp_bias));
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
    va_config_take(r, "max_window_layers"); // stands in released files, read by nothing
done:
    return st;
}

static const char *const smollm3_types[] = {"smollm3", NULL};
static const arch_part smollm3_gguf[] = {{"self_attn.q_proj", "attn_q", ARCH_ROWS_PAIRED, false},
                                         {"self_attn.k_proj", "attn_k", ARCH_ROWS_PAIRED, false},
                                         {NULL, NULL, 0, false}};

const va_arch va_arch_smollm3 = {.family = "smollm3",
                                 .model_types = smollm3_types,
                                 .parse = smollm3_parse,
                                 .block = arch_pre_norm_block,
                                 .gguf_parts = smollm3_gguf};
