// GGUF metadata as the config.json of the same model: every key of the architecture is translated,
// known to change nothing, or refused by name. What GGUF does not say and its readers know by heart
// (Gemma's score scales by model size, Gemma 3's pattern of windows) is filled in here.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <stdio.h>
#include <string.h>

typedef struct gguf_family {
    const char *arch, *model_type;
    const char *layers, *width, *heads, *ff, *context, *theta, *eps; // keys of config.json
} gguf_family;

#define LLAMA_KEYS                                                                                 \
    "num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size",                \
        "max_position_embeddings", "rope_theta", "rms_norm_eps"
static const gguf_family gguf_families[] = {
    {"llama", "llama", LLAMA_KEYS},
    {"qwen2", "qwen2", LLAMA_KEYS},
    {"qwen3", "qwen3", LLAMA_KEYS},
    {"phi3", "phi3", LLAMA_KEYS},
    {"olmo2", "olmo2", LLAMA_KEYS},
    {"gemma2", "gemma2", LLAMA_KEYS},
    {"gemma3", "gemma3_text", LLAMA_KEYS},
    {"smollm3", "smollm3", LLAMA_KEYS},
    {"gpt2", "gpt2", "n_layer", "n_embd", "n_head", "n_inner", "n_positions", NULL,
     "layer_norm_epsilon"},
    {"gptneox", "gpt_neox", "num_hidden_layers", "hidden_size", "num_attention_heads",
     "intermediate_size", "max_position_embeddings", "rotary_emb_base", "layer_norm_eps"},
};

enum { MAX_KEYS = 48 };

typedef struct gguf_reader {
    va_ctx *ctx;
    const char *path;
    const va_gguf *g;
    const gguf_family *family;
    va_json *out;
    char read[MAX_KEYS][96]; // keys asked for so far
    int n_read;
    int64_t layers, width, heads, head_width;
} gguf_reader;

// The value of ARCH.key, NULL when absent; marks it as read.
static const va_gguf_value *take(gguf_reader *r, const char *key) {
    char full[96];
    snprintf(full, sizeof full, "%s.%s", r->family->arch, key);
    if (r->n_read < MAX_KEYS)
        memcpy(r->read[r->n_read++], full, sizeof full);
    return va_gguf_get(r->g, full);
}

static va_status wrong(gguf_reader *r, const char *key, const char *expected,
                       const va_gguf_value *v) {
    return va_fail(r->ctx, v ? VA_ERR_UNSUPPORTED : VA_ERR_FORMAT, "%s: %s.%s: expected %s, got %s",
                   r->path, r->family->arch, key, expected, va_gguf_type_text(v));
}

// *out stays when the key is absent and not required.
static va_status take_int(gguf_reader *r, const char *key, bool required, int64_t *out) {
    const va_gguf_value *v = take(r, key);
    if ((!v && !required) || va_gguf_as_int(v, out))
        return VA_OK;
    return wrong(r, key, "an integer", v);
}

static va_status take_double(gguf_reader *r, const char *key, bool required, double *out) {
    const va_gguf_value *v = take(r, key);
    if ((!v && !required) || va_gguf_as_double(v, out))
        return VA_OK;
    return wrong(r, key, "a number", v);
}

static bool has_tensor(const gguf_reader *r, const char *name) {
    return va_gguf_find(r->g, name) != NULL;
}

// -- sizes ----------------------------------------------------------------------------------------

static va_status translate_sizes(gguf_reader *r) {
    va_status st = VA_OK;
    const gguf_family *f = r->family;
    const va_file_tensor *embd = va_gguf_find(r->g, "token_embd.weight");
    int64_t ff = 0, context = 0, groups = 0, bos;
    double eps = 0;
    const char *eps_key =
        strstr(f->eps, "rms") ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
    VA_TRY(take_int(r, "block_count", true, &r->layers));
    VA_TRY(take_int(r, "embedding_length", true, &r->width));
    VA_TRY(take_int(r, "attention.head_count", true, &r->heads));
    VA_TRY(take_int(r, "feed_forward_length", true, &ff));
    VA_TRY(take_int(r, "context_length", true, &context));
    VA_TRY(take_int(r, "attention.head_count_kv", false, &groups));
    VA_TRY(take_double(r, eps_key, true, &eps));
    take(r, "vocab_size"); // the embedding table says it
    va_json_add_int(r->out, f->layers, r->layers);
    va_json_add_int(r->out, f->width, r->width);
    va_json_add_int(r->out, f->heads, r->heads);
    va_json_add_int(r->out, f->ff, ff);
    va_json_add_int(r->out, f->context, context);
    va_json_add_double(r->out, f->eps, eps);
    const bool grouped = strcmp(f->eps, "rms_norm_eps") == 0; // others have no such key
    if (grouped && groups > 0)
        va_json_add_int(r->out, "num_key_value_heads", groups);
    else if (groups > 0 && groups != r->heads)
        return wrong(r, "attention.head_count_kv", "as many as attention.head_count",
                     take(r, "attention.head_count_kv"));
    if (embd && embd->n_dim == 2)
        va_json_add_int(r->out, "vocab_size", embd->shape[0]);
    if (va_gguf_as_int(va_gguf_get(r->g, "tokenizer.ggml.bos_token_id"), &bos))
        va_json_add_int(r->out, "bos_token_id", bos);
done:
    return st;
}

static va_status translate_heads(gguf_reader *r) {
    va_status st = VA_OK;
    int64_t key = 0, value = 0;
    VA_TRY(take_int(r, "attention.key_length", false, &key));
    value = key;
    VA_TRY(take_int(r, "attention.value_length", false, &value));
    if (value != key)
        return wrong(r, "attention.value_length", "the same as attention.key_length",
                     take(r, "attention.value_length"));
    if (key > 0)
        va_json_add_int(r->out, "head_dim", key);
    r->head_width = key > 0 ? key : r->heads > 0 ? r->width / r->heads : 0;
done:
    return st;
}

// -- rotary position embeddings -------------------------------------------------------------------

static va_status add_factors(gguf_reader *r, va_json *to, const char *key, const char *tensor) {
    enum { MAX_FACTORS = 65536 }; // heads are no wider
    const va_file_tensor *t = va_gguf_find(r->g, tensor);
    va_json *list = va_json_add_array(to, key);
    if (!t || t->dtype != VA_F32 || t->n_dim != 1 || t->n_elem > MAX_FACTORS)
        return va_fail(r->ctx, VA_ERR_FORMAT, "%s: tensor %s: expected a vector of at most %d F32",
                       r->path, tensor, MAX_FACTORS);
    for (int64_t i = 0; i < t->n_elem; i++) {
        float factor;
        memcpy(&factor, (const char *)t->data + 4 * i, sizeof factor);
        va_json_add_double(list, NULL, (double)factor);
    }
    return VA_OK;
}

// Factors of frequencies stand in tensors: Llama 3's for all lengths, LongRoPE's for two.
static va_status translate_factors(gguf_reader *r, double attn_factor, double original) {
    va_status st = VA_OK;
    const bool one = has_tensor(r, "rope_freqs.weight");
    if (!one && !has_tensor(r, "rope_factors_short.weight"))
        return VA_OK;
    va_json *s = va_json_add_object(r->out, "rope_scaling");
    va_json_add_string(s, "rope_type", "longrope");
    va_json_add_double(s, "attention_factor", attn_factor);
    VA_TRY(
        add_factors(r, s, "short_factor", one ? "rope_freqs.weight" : "rope_factors_short.weight"));
    VA_TRY(
        add_factors(r, s, "long_factor", one ? "rope_freqs.weight" : "rope_factors_long.weight"));
    if (original > 0 && strcmp(r->family->arch, "phi3") == 0)
        va_json_add_double(r->out, "original_max_position_embeddings", original);
done:
    return st;
}

static va_status translate_scaling(gguf_reader *r) {
    va_status st = VA_OK;
    const va_gguf_value *v = take(r, "rope.scaling.type");
    const char *type = v ? va_gguf_as_string(v) : "none";
    double factor = 0, original = 0, attn = 1, beta_fast = 0, beta_slow = 0;
    VA_TRY(take_double(r, "rope.scaling.factor", false, &factor));
    VA_TRY(take_double(r, "rope.scaling.original_context_length", false, &original));
    VA_TRY(take_double(r, "rope.scaling.attn_factor", false, &attn));
    VA_TRY(take_double(r, "rope.scaling.yarn_beta_fast", false, &beta_fast));
    VA_TRY(take_double(r, "rope.scaling.yarn_beta_slow", false, &beta_slow));
    take(r, "rope.scaling.finetuned");
    const bool linear = type && strcmp(type, "linear") == 0,
               yarn = type && strcmp(type, "yarn") == 0;
    if (!type || (!linear && !yarn && strcmp(type, "none") != 0 && strcmp(type, "longrope") != 0))
        return wrong(r, "rope.scaling.type", "none, linear, yarn or longrope", v);
    if (!linear && !yarn)
        return translate_factors(r, attn, original);
    if (attn != 1)
        return wrong(r, "rope.scaling.attn_factor", "1 with linear or yarn scaling", v);
    va_json *s = va_json_add_object(r->out, "rope_scaling");
    va_json_add_string(s, "rope_type", type);
    va_json_add_double(s, "factor", factor);
    if (yarn && original > 0)
        va_json_add_double(s, "original_max_position_embeddings", original);
    va_json_add_double(s, "beta_fast", beta_fast);
    va_json_add_double(s, "beta_slow", beta_slow);
done:
    return st;
}

static va_status translate_rope(gguf_reader *r) {
    va_status st = VA_OK;
    double theta = 1e4, local = 1e4;
    int64_t rotating = 0;
    VA_TRY(take_double(r, "rope.freq_base", false, &theta));
    VA_TRY(take_int(r, "rope.dimension_count", false, &rotating));
    if (!r->family->theta)
        return VA_OK;
    va_json_add_double(r->out, r->family->theta, theta);
    const bool pct = strcmp(r->family->arch, "gptneox") == 0;
    // A little more, so that the product with the head's width is never a hair below.
    const double part = ((double)rotating + 1e-9) / (double)VA_MAX(r->head_width, 1);
    if (rotating > 0 && (pct || rotating != r->head_width))
        va_json_add_double(r->out, pct ? "rotary_pct" : "partial_rotary_factor", part);
    if (strcmp(r->family->arch, "gemma3") == 0) {
        VA_TRY(take_double(r, "rope.freq_base_swa", false, &local));
        va_json_add_double(r->out, "rope_local_base_freq", local);
    }
    VA_TRY(translate_scaling(r));
done:
    return st;
}

// -- the rest -------------------------------------------------------------------------------------

// Windows as numbers or, newer, a list with a number for each layer: not 0 = with a window.
static va_status translate_windows(gguf_reader *r) {
    va_status st = VA_OK;
    int64_t window = 0, pattern = 0;
    const va_gguf_value *v;
    VA_TRY(take_int(r, "attention.sliding_window", false, &window));
    if (window > 0)
        va_json_add_int(r->out, "sliding_window", window);
    v = take(r, "attention.sliding_window_pattern");
    if (va_gguf_as_int(v, &pattern)) {
        va_json_add_int(r->out, "sliding_window_pattern", pattern);
    } else if (v) {
        if (va_gguf_length(v) > r->layers)
            return wrong(r, "attention.sliding_window_pattern", "one for each layer", v);
        va_json *list = va_json_add_array(r->out, "layer_types");
        for (int64_t n = 0; n < va_gguf_length(v); n++) {
            bool sliding = false;
            if (!va_gguf_bool_at(v, n, &sliding) && !va_gguf_int_at(v, n, &pattern))
                return wrong(r, "attention.sliding_window_pattern", "numbers or booleans", v);
            va_json_add_string(list, NULL,
                               sliding || pattern ? "sliding_attention" : "full_attention");
        }
    }
done:
    return st;
}

// Of one size of Gemma 2 and one of Gemma 3 scores are scaled by another width than the head's.
static void translate_gemma(gguf_reader *r) {
    const bool second = strcmp(r->family->arch, "gemma2") == 0;
    if (!second && strcmp(r->family->arch, "gemma3") != 0)
        return;
    const bool is_27b = r->layers == (second ? 46 : 62);
    va_json_add_int(r->out, "query_pre_attn_scalar",
                    is_27b && r->heads > 0 ? r->width / r->heads : r->head_width);
}

static va_status translate_rest(gguf_reader *r) {
    static const char *const softcaps[] = {"attn_logit_softcapping", "final_logit_softcapping"};
    va_status st = VA_OK;
    bool on;
    for (int64_t i = 0; i < VA_COUNT(softcaps); i++) {
        double cap = 0;
        VA_TRY(take_double(r, softcaps[i], false, &cap));
        if (cap > 0)
            va_json_add_double(r->out, softcaps[i], cap);
    }
    const va_gguf_value *v = take(r, "use_parallel_residual");
    if (va_gguf_as_bool(v, &on))
        va_json_add_bool(r->out, "use_parallel_residual", on);
    v = take(r, "attention.causal");
    if (va_gguf_as_bool(v, &on) && !on)
        return wrong(r, "attention.causal", "true", v);
    take(r, "tensor_data_layout");
    translate_gemma(r);
    va_json_add_bool(r->out, "tie_word_embeddings", !has_tensor(r, "output.weight"));
    // Biases are there or not; families that always or never have them have no such keys.
    const bool may =
        strcmp(r->family->arch, "llama") == 0 || strcmp(r->family->arch, "smollm3") == 0;
    if (has_tensor(r, "blk.0.attn_q.bias") && strcmp(r->family->arch, "qwen2") != 0)
        va_json_add_bool(r->out, "attention_bias", true);
    if (has_tensor(r, "blk.0.ffn_up.bias") && may)
        va_json_add_bool(r->out, "mlp_bias", true);
done:
    return st;
}

static va_status refuse_unread(gguf_reader *r) {
    const size_t n = strlen(r->family->arch);
    for (int64_t i = 0; i < va_gguf_key_count(r->g); i++) {
        const char *key = va_gguf_key_at(r->g, i);
        bool known = strncmp(key, r->family->arch, n) != 0 || key[n] != '.';
        for (int j = 0; j < r->n_read && !known; j++)
            known = strcmp(r->read[j], key) == 0;
        if (!known)
            return va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                           "%s: %s: unknown key, which may change the forward pass; refused",
                           r->path, key);
    }
    return VA_OK;
}

static va_status find_gguf_family(gguf_reader *r) {
    const char *arch = va_gguf_as_string(va_gguf_get(r->g, "general.architecture"));
    va_strbuf known = {0};
    if (!arch)
        return va_fail(r->ctx, VA_ERR_FORMAT, "%s: general.architecture: expected a string",
                       r->path);
    for (int64_t i = 0; i < VA_COUNT(gguf_families); i++) {
        va_strbuf_printf(&known, "%s%s", i ? ", " : "", gguf_families[i].arch);
        if (strcmp(gguf_families[i].arch, arch) == 0)
            r->family = &gguf_families[i];
    }
    const va_status st =
        r->family ? VA_OK
                  : va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                            "%s: architecture '%.64s' is not supported, expected one of %s",
                            r->path, arch, known.data ? known.data : "?");
    va_strbuf_free(&known);
    return st;
}

va_status va_arch_parse_gguf(va_ctx *ctx, va_arena *arena, const va_gguf *g, const char *path,
                             va_arch_config *config) {
    va_status st = VA_OK;
    gguf_reader r = {.ctx = ctx, .path = path, .g = g};
    VA_TRY(find_gguf_family(&r));
    VA_TRY_ALLOC(ctx, r.out, va_json_object());
    va_json_add_string(r.out, "model_type", r.family->model_type);
    VA_TRY(translate_sizes(&r));
    VA_TRY(translate_heads(&r));
    VA_TRY(translate_rope(&r));
    VA_TRY(translate_windows(&r));
    VA_TRY(translate_rest(&r));
    VA_TRY(refuse_unread(&r));
    VA_TRY(va_arch_parse(ctx, arena, r.out, path, config));
    config->is_gguf = true;
done:
    va_json_free(&r.out);
    return st;
}
