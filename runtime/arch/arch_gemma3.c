// Gemma 3 (text): "Gemma 3 Technical Report", arXiv 2503.19786; keys and defaults of HF's
// Gemma3TextConfig, also inside a multimodal Gemma3Config.
//
//   h0 = sqrt(d) E[ids]
//   block: a = h + norm(attention(norm(h)));  h' = a + norm(mlp(norm(a)))
//   attention: q, k normed per head, rotated; local layers see a window, global ones all
//   mlp: down(gelu_tanh(gate x) * up x)
//   logits = softcap(norm(h) E')
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <math.h>
#include <string.h>

enum { GLOBAL, LOCAL }; // the two ropes

// The list in layer_types, or else every sliding_window_pattern-th layer global.
static va_status read_layers(va_config_reader *r, const va_arch_config *c, va_arch_decoder *own) {
    va_status st = VA_OK;
    int64_t pattern = 6, stored = 0, window = 4096;
    bool given;
    VA_TRY(va_config_window(r, &window));
    if (window == 0)
        return va_config_unsupported(r, "sliding_window", "expected a number of tokens");
    VA_TRY(va_config_int(r, "_sliding_window_pattern", 1, 1 << 20, &stored));
    VA_TRY(va_config_int(r, "sliding_window_pattern", 1, 1 << 20, &pattern));
    VA_TRY(va_config_layer_types(r, c, own, window, &given));
    if (!given && stored != 0 && stored != pattern)
        return va_config_unsupported(r, "_sliding_window_pattern",
                                     "disagrees with sliding_window_pattern, and no layer_types");
    for (int64_t n = 0; n < c->n_layer; n++) {
        if (!given)
            own->layer[n].window = (n + 1) % pattern == 0 ? 0 : window;
        own->layer[n].rope = own->layer[n].window > 0 ? LOCAL : GLOBAL;
    }
done:
    return st;
}

// The older keys, then rope_parameters by layer type; rope_scaling belongs to the global layers.
static va_status read_ropes(va_config_reader *r, va_arena *arena, const va_arch_config *c,
                            va_arch_decoder *own) {
    va_status st = VA_OK;
    va_rope *full = &own->rope[GLOBAL], *sliding = &own->rope[LOCAL];
    const va_json *by_type = va_config_take(r, "rope_parameters");
    const va_json *scaling = va_config_take(r, "rope_scaling");
    own->rope_name[GLOBAL] = "rope.full";
    own->rope_name[LOCAL] = "rope.sliding";
    full->theta = 1e6;
    VA_TRY(va_config_positive(r, "rope_theta", &full->theta));
    VA_TRY(va_config_positive(r, "rope_local_base_freq", &sliding->theta));
    if (by_type && !va_json_is_object(by_type))
        return va_config_wrong(r, "rope_parameters", "an object");
    for (const va_json *v = by_type ? va_json_first(by_type) : NULL; v; v = va_json_next(v)) {
        if (strcmp(va_json_key(v), "full_attention") == 0)
            VA_TRY(va_config_rope_object(r, arena, "rope_parameters.full_attention", v, full));
        else if (strcmp(va_json_key(v), "sliding_attention") == 0)
            VA_TRY(
                va_config_rope_object(r, arena, "rope_parameters.sliding_attention", v, sliding));
        else
            return va_config_unsupported(r, "rope_parameters",
                                         "expected full_attention and sliding_attention");
    }
    VA_TRY(va_config_rope_object(r, arena, "rope_scaling", scaling, full));
    for (int i = 0; i < ARCH_MAX_ROPE; i++) {
        VA_TRY(va_config_rope_finish(r, c, "rope_parameters", &own->rope[i]));
        if (own->rope[i].part != 1)
            return va_config_unsupported(r, "rope_parameters", "this family rotates whole heads");
    }
done:
    return st;
}

static va_status read_attention(va_config_reader *r, va_arena *arena, const va_arch_config *c,
                                va_arch_decoder *own) {
    va_status st = VA_OK;
    double scalar = 256, cap = 0;
    own->qk_norm = ARCH_QK_PER_HEAD;
    VA_TRY(va_config_positive(r, "query_pre_attn_scalar", &scalar));
    own->attention_scale = 1 / sqrt(scalar);
    VA_TRY(va_config_bool(r, "attention_bias", &own->qkv_bias));
    own->out_bias = own->qkv_bias;
    VA_TRY(
        va_config_refuse(r, "use_bidirectional_attention", "only causal attention is supported"));
    VA_TRY(va_config_positive(r, "attn_logit_softcapping", &cap));
    if (cap > 0)
        va_log(
            r->ctx, VA_LOG_WARN,
            "%s: %sattn_logit_softcapping = %g is not applied (nor does transformers for Gemma 3)",
            r->path, r->prefix, cap);
    VA_TRY(read_layers(r, c, own));
    VA_TRY(read_ropes(r, arena, c, own));
done:
    return st;
}

static va_status read_text(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    va_status st = VA_OK;
    va_arch_decoder *own;
    c->n_layer = 26, c->d_model = 2304, c->n_head = 8, c->n_kv_head = 4, c->d_head = 256;
    c->d_ff = 9216, c->vocab_size = 262208, c->max_context = 131072, c->bos_id = 2;
    VA_TRY(va_config_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    own->norm_offset = 1;
    own->embed_scale = sqrt((double)c->d_model);
    own->act = VA_ACT_GELU_TANH;
    VA_TRY(read_attention(r, arena, c, own));
    VA_TRY(va_config_positive(r, "rms_norm_eps", &own->eps));
    VA_TRY(va_config_positive(r, "final_logit_softcapping", &own->final_softcap));
    VA_TRY(va_config_act(r, "hidden_activation", &own->act));
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
done:
    return st;
}

static va_status gemma3_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    va_status st = VA_OK;
    va_config_reader text;
    c->tied_embeddings = true;
    if (strcmp(c->model_type, "gemma3") != 0)
        return read_text(r, arena, c);
    VA_TRY(va_config_text_part(r, &text));
    VA_TRY(read_text(&text, arena, c));
    const bool tied = c->tied_embeddings;
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
    if (va_config_has(&text, "tie_word_embeddings") && tied != c->tied_embeddings)
        return va_config_unsupported(r, "tie_word_embeddings",
                                     "disagrees with text_config.tie_word_embeddings");
    VA_TRY(va_config_finish(&text));
done:
    return st;
}

static const char *const gemma3_types[] = {"gemma3_text", "gemma3", NULL};
static const arch_part gemma3_gguf[] = {
    {"post_attention_layernorm", "post_attention_norm", ARCH_ROWS_ALL, false},
    {NULL, NULL, 0, false}};

const va_arch va_arch_gemma3 = {.family = "gemma3",
                                .model_types = gemma3_types,
                                .parse = gemma3_parse,
                                .block = arch_sandwich_block,
                                .gguf_parts = gemma3_gguf};
