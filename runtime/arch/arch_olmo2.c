// OLMo 2 and 3: "2 OLMo 2 Furious", arXiv 2501.00656; keys and defaults of HF's Olmo2Config and
// Olmo3Config.
//
//   block: a = h + norm(attention(h));  h' = a + norm(mlp(a))
//   attention: q and k normed over all heads together, then rotated. OLMo 3: windows on three
//   layers of four, and scaled rotations on the others.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <string.h>

static void olmo2_block(const arch_builder *b, int64_t n, va_node h, arch_block *out) {
    const int64_t d = b->c->d_model;
    out->attn = arch_norm(b, n, "post_attention_layernorm", arch_attention(b, n, h), d);
    if (!out->with_mlp)
        return;
    h = arch_add(b, n, "attn_residual", h, out->attn);
    out->mlp = arch_norm(b, n, "post_feedforward_layernorm", arch_gated_mlp(b, n, h), d);
    out->resid = arch_add(b, n, "mlp_residual", h, out->mlp);
}

// Full layers have rope 0, those with windows rope 1, which is never scaled.
static va_status read_olmo3(va_config_reader *r, va_arena *arena, va_arch_config *c,
                            va_arch_decoder *own) {
    va_status st = VA_OK;
    int64_t window = 4096;
    bool given;
    const va_json *scaling = va_config_take(r, "rope_scaling");
    const va_json *by_type = va_config_take(r, "rope_parameters");
    own->rope_name[0] = "rope.full";
    own->rope_name[1] = "rope.sliding";
    own->rope[0].theta = own->rope[1].theta = 500000;
    VA_TRY(va_config_positive(r, "rope_theta", &own->rope[0].theta));
    if (own->rope[0].theta != own->rope[1].theta && !by_type)
        return va_config_unsupported(
            r, "rope_theta", "transformers keeps 500000 on the layers with windows all the same");
    for (const va_json *v = by_type ? va_json_first(by_type) : NULL; v; v = va_json_next(v)) {
        const bool full = strcmp(va_json_key(v), "full_attention") == 0;
        if (!full && strcmp(va_json_key(v), "sliding_attention") != 0)
            return va_config_unsupported(r, "rope_parameters",
                                         "expected full_attention and sliding_attention");
        VA_TRY(va_config_rope_object(
            r, arena, full ? "rope_parameters.full_attention" : "rope_parameters.sliding_attention",
            v, &own->rope[full ? 0 : 1]));
    }
    VA_TRY(va_config_rope_object(r, arena, "rope_scaling", scaling, &own->rope[0]));
    own->rope[0].truncate = true; // transformers looks for it where it does not stand
    for (int i = 0; i < 2; i++)
        VA_TRY(va_config_rope_finish(r, c, "rope_parameters", &own->rope[i]));
    VA_TRY(va_config_window(r, &window));
    VA_TRY(va_config_layer_types(r, c, own, window, &given));
    for (int64_t n = 0; n < c->n_layer; n++) {
        if (!given)
            own->layer[n].window = (n + 1) % 4 != 0 ? window : 0;
        own->layer[n].rope = own->layer[n].window > 0;
    }
done:
    return st;
}

static va_status olmo2_parse(va_config_reader *r, va_arena *arena, va_arch_config *c) {
    va_status st = VA_OK;
    va_arch_decoder *own;
    c->n_layer = 32, c->d_model = 4096, c->n_head = 32, c->d_ff = 11008;
    c->vocab_size = 50304, c->max_context = 2048;
    VA_TRY(va_config_sizes(r, c));
    VA_TRY(arch_decoder_create(r->ctx, arena, c, &own));
    own->qk_norm = ARCH_QK_FULL_WIDTH;
    if (strcmp(c->model_type, "olmo3") == 0)
        VA_TRY(read_olmo3(r, arena, c, own));
    else
        VA_TRY(va_config_rope(r, arena, c, false, &own->rope[0]));
    own->eps = 1e-5;
    VA_TRY(va_config_positive(r, "rms_norm_eps", &own->eps));
    VA_TRY(va_config_act(r, "hidden_act", &own->act));
    VA_TRY(va_config_bool(r, "attention_bias", &own->qkv_bias));
    own->out_bias = own->qkv_bias;
    VA_TRY(va_config_bool(r, "tie_word_embeddings", &c->tied_embeddings));
done:
    return st;
}

static const char *const olmo2_types[] = {"olmo2", "olmo3", NULL};
static const arch_part olmo2_gguf[] = {
    {"post_attention_layernorm", "post_attention_norm", ARCH_ROWS_ALL, false},
    {NULL, NULL, 0, false}};

const va_arch va_arch_olmo2 = {.family = "olmo2",
                               .model_types = olmo2_types,
                               .parse = olmo2_parse,
                               .block = olmo2_block,
                               .gguf_parts = olmo2_gguf};
