// The named shapes: what the published config.json of each says of the forward pass.
// SPDX-License-Identifier: Apache-2.0
#include "bench_priv.h"

#include <string.h>

#define GEMMA3_ROPE(scaling)                                                                       \
    "\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 1000000.0, " scaling "}, "         \
    "\"sliding_attention\": {\"rope_theta\": 10000.0, \"rope_type\": \"default\"}}, "

static const va_bench_shape shapes[] = {
    {"tiny", // the model that ships with vkalign
     "{\"model_type\": \"gemma3_text\", \"hidden_size\": 160, \"intermediate_size\": 512, "
     "\"num_hidden_layers\": 8, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
     "\"head_dim\": 32, \"query_pre_attn_scalar\": 32, \"vocab_size\": 2048, "
     "\"max_position_embeddings\": 512, \"sliding_window\": 32, \"sliding_window_pattern\": "
     "6, " GEMMA3_ROPE(
         "\"rope_type\": \"default\"") "\"hidden_activation\": \"gelu_pytorch_tanh\", "
                                       "\"rms_norm_eps\": 1e-06, "
                                       "\"tie_word_embeddings\": true}"},
    {"gemma-3-1b",
     "{\"model_type\": \"gemma3_text\", \"hidden_size\": 1152, \"intermediate_size\": 6912, "
     "\"num_hidden_layers\": 26, \"num_attention_heads\": 4, \"num_key_value_heads\": 1, "
     "\"head_dim\": 256, \"query_pre_attn_scalar\": 256, \"vocab_size\": 262144, "
     "\"max_position_embeddings\": 32768, \"sliding_window\": 512, \"sliding_window_pattern\": "
     "6, " GEMMA3_ROPE(
         "\"rope_type\": \"default\"") "\"hidden_activation\": \"gelu_pytorch_tanh\", "
                                       "\"rms_norm_eps\": 1e-06, "
                                       "\"tie_word_embeddings\": true}"},
    {"gemma-3-4b",
     "{\"model_type\": \"gemma3_text\", \"hidden_size\": 2560, \"intermediate_size\": 10240, "
     "\"num_hidden_layers\": 34, \"num_attention_heads\": 8, \"num_key_value_heads\": 4, "
     "\"head_dim\": 256, \"query_pre_attn_scalar\": 256, \"vocab_size\": 262208, "
     "\"max_position_embeddings\": 131072, \"sliding_window\": 1024, "
     "\"sliding_window_pattern\": 6, " GEMMA3_ROPE(
         "\"rope_type\": \"linear\", \"factor\": 8.0") "\"hidden_activation\": "
                                                       "\"gelu_pytorch_tanh\", \"rms_norm_eps\": "
                                                       "1e-06, "
                                                       "\"tie_word_embeddings\": true}"},
    {"llama-3.2-1b",
     "{\"model_type\": \"llama\", \"hidden_size\": 2048, \"intermediate_size\": 8192, "
     "\"num_hidden_layers\": 16, \"num_attention_heads\": 32, \"num_key_value_heads\": 8, "
     "\"head_dim\": 64, \"vocab_size\": 128256, \"max_position_embeddings\": 131072, "
     "\"rope_parameters\": {\"rope_theta\": 500000.0, \"rope_type\": \"llama3\", "
     "\"factor\": 32.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
     "\"original_max_position_embeddings\": 8192}, "
     "\"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-05, \"tie_word_embeddings\": true}"},
    {"qwen3-4b",
     "{\"model_type\": \"qwen3\", \"hidden_size\": 2560, \"intermediate_size\": 9728, "
     "\"num_hidden_layers\": 36, \"num_attention_heads\": 32, \"num_key_value_heads\": 8, "
     "\"head_dim\": 128, \"vocab_size\": 151936, \"max_position_embeddings\": 40960, "
     "\"rope_parameters\": {\"rope_theta\": 1000000.0, \"rope_type\": \"default\"}, "
     "\"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-06, \"tie_word_embeddings\": true}"},
    {"pythia-160m",
     "{\"model_type\": \"gpt_neox\", \"hidden_size\": 768, \"intermediate_size\": 3072, "
     "\"num_hidden_layers\": 12, \"num_attention_heads\": 12, \"vocab_size\": 50304, "
     "\"max_position_embeddings\": 2048, \"rotary_pct\": 0.25, \"rotary_emb_base\": 10000, "
     "\"use_parallel_residual\": true, \"hidden_act\": \"gelu\", \"layer_norm_eps\": 1e-05, "
     "\"tie_word_embeddings\": false}"},
};

const va_bench_shape *va_bench_shapes(int64_t *n) {
    *n = VA_COUNT(shapes);
    return shapes;
}

va_status va_bench_shape_find(va_ctx *ctx, const char *name, const va_bench_shape **shape) {
    va_strbuf known = {0};
    for (int64_t i = 0; i < VA_COUNT(shapes); i++) {
        *shape = &shapes[i];
        if (strcmp(shapes[i].name, name) == 0)
            return VA_OK;
    }
    for (int64_t i = 0; i < VA_COUNT(shapes); i++)
        va_strbuf_printf(&known, "%s%s", i ? ", " : "", shapes[i].name);
    const va_status st = va_fail(ctx, VA_ERR_USAGE, "shape: expected one of %s, got '%s'",
                                 known.data ? known.data : "?", name);
    va_strbuf_free(&known);
    return st;
}

// -- kinds ----------------------------------------------------------------------------------------

static const char *const kind_names[VA_BENCH_KIND_COUNT] = {
#define VA_X(id, name, text) [id] = name,
    VA_BENCH_KIND_LIST(VA_X)
#undef VA_X
};

const char *va_bench_kind_name(va_bench_kind kind) {
    return kind_names[kind];
}

bool va_bench_kind_parse(const char *name, va_bench_kind *kind) {
    for (int i = 0; i < VA_BENCH_KIND_COUNT; i++) {
        *kind = (va_bench_kind)i;
        if (strcmp(kind_names[i], name) == 0)
            return true;
    }
    return false;
}
