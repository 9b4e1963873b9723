// Mistral and Ministral: "Mistral 7B", arXiv 2310.06825; keys and defaults of HF's MistralConfig,
// MinistralConfig and Ministral3Config, the last also inside a multimodal Mistral3Config.
//
//   Llama's block without biases; attention in a window of the last tokens, on all layers or on
//   those that layer_types names. Ministral 3 has YaRN and scales q by 1 + beta ln(1 + floor(t /
//   context)).
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <string.h>

static const char *const mistral_types[] = {"mistral", "ministral", "ministral3", "mistral3", NULL};

static va_status read_windows(va_config_reader *r, const va_arch_config *c, va_arch_decoder *own,
                              int64_t when_absent) {
    va_status st = VA_OK;
    int64_t window = when_absent;
    bool given;
    VA_TRY(va_config_window(r, &window));
    VA_TRY(va_config_layer_types(r, c, own, window, &given));
    for (int64_t n = 0; n < c->n_layer && !given; n++)
        own->layer[n].window = window;
done:
    return st;
}

// What Ministral3Config takes for a rope that is not given.
static const va_rope ministral3_rope = {.type = VA_ROPE_YARN,
                                        .theta = 1e6,
                                        .part = 1,
                                        .factor = 16,
                                        .original_context = 16384,
                                        .beta_fast = 32,
                                        .beta_slow = 1,
                                        .mscale = 1,
                                        .mscale_all_dim = 1,
                                        .truncate = true,
                                        .query_beta = 0.1};

static va_status read_text(va_config_reader *r, va_arena *arena, const char *type,
                           va_arch_config *c) {
    va_status st = VA_OK;
    va_arch_decoder *own;
    const bool third = strcmp(type, "ministral3") == 0;
    c->n_layer = third ? 34 : 32, c->d_model = 4096, c->n_head = 32, c->n_kv_head = 8;
    c->d_head = third ? 128 : 0, c->d_ff = 14336, c->vocab_size = third ? 131072 : 32000;
    c->max_context = third ? 262144 : 131072, c->bos_id = 1;
    VA_TRY(va_config_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    if (third && !va_config_has(r, "rope_parameters") && !va_config_has(r, "rope_scaling"))
        own->rope[0] = ministral3_rope;
    VA_TRY(va_config_rope(r, arena, c, false, &own->rope[0]));
    if (!third && own->rope[0].query_beta != 0)
        return va_config_unsupported(r, "rope_parameters",
                                     "llama_4_scaling_beta is read for ministral3 only");
    VA_TRY(read_windows(r, c, own, third ? 0 : 4096));
    own->eps = third ? 1e-5 : 1e-6;
    VA_TRY(va_config_positive(r, "rms_norm_eps", &own->eps));
    VA_TRY(va_config_act(r, "hidden_act", &own->act));
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
done:
    return st;
}

static va_status mistral_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    static const char *const vision_keys[] = {"multimodal_projector_bias", "projector_hidden_act",
                                              "spatial_merge_size",        "vision_feature_layer",
                                              "tie_word_embeddings",       NULL};
    va_status st = VA_OK;
    va_config_reader text;
    const char *type = NULL;
    if (strcmp(c->model_type, "mistral3") != 0)
        return read_text(r, arena, c->model_type, c);
    va_config_ignore(r, vision_keys);
    VA_TRY(va_config_text_part(r, &text));
    VA_TRY(va_config_string(&text, "model_type", &type));
    if (!type || (strcmp(type, "mistral") != 0 && strcmp(type, "ministral3") != 0))
        return va_config_unsupported(&text, "model_type", "expected mistral or ministral3");
    VA_TRY(read_text(&text, arena, type, c));
    VA_TRY(va_config_finish(&text));
done:
    return st;
}

const va_arch va_arch_mistral = {.family = "mistral",
                                 .model_types = mistral_types,
                                 .parse = mistral_parse,
                                 .block = arch_pre_norm_block};
