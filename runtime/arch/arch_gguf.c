// GGUF metadata as the config.json of the same model: every key of the architecture is translated,
// known to change nothing, or refused by name. What GGUF does not say and its readers know by heart
// (Gemma's score scales by model size, periods of windows) is filled in here. The keys and what
// absent ones mean are llama.cpp's.
// SPDX-License-Identifier: Apache-2.0
#include "arch_gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LLAMA_KEYS                                                                                 \
    "num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size",                \
        "max_position_embeddings", "rope_theta", "rms_norm_eps"
static const arch_gguf_family gguf_families[] = {
    {"llama", "llama", LLAMA_KEYS, ARCH_GGUF_NO_WINDOWS, 0, 0},
    {"qwen2", "qwen2", LLAMA_KEYS, ARCH_GGUF_NO_WINDOWS, 0, 0},
    {"qwen3", "qwen3", LLAMA_KEYS, ARCH_GGUF_NO_WINDOWS, 0, 0},
    {"phi3", "phi3", LLAMA_KEYS, ARCH_GGUF_ALL_LAYERS, 0, 0},
    {"olmo2", "olmo2", LLAMA_KEYS, ARCH_GGUF_BY_PERIOD, 4, 0},
    {"gemma2", "gemma2", LLAMA_KEYS, ARCH_GGUF_BY_PERIOD, 2, 4096},
    {"gemma3", "gemma3_text", LLAMA_KEYS, ARCH_GGUF_BY_PERIOD, 6, 0},
    {"smollm3", "smollm3", LLAMA_KEYS, ARCH_GGUF_NO_WINDOWS, 0, 0},
    {"gpt2", "gpt2", "n_layer", "n_embd", "n_head", "n_inner", "n_positions", NULL,
     "layer_norm_epsilon", ARCH_GGUF_NO_WINDOWS, 0, 0},
    {"gptneox", "gpt_neox", "num_hidden_layers", "hidden_size", "num_attention_heads",
     "intermediate_size", "max_position_embeddings", "rotary_emb_base", "layer_norm_eps",
     ARCH_GGUF_NO_WINDOWS, 0, 0},
};

// -- reading --------------------------------------------------------------------------------------

bool arch_gguf_is(const arch_gguf_reader *r, const char *arch) {
    return strcmp(r->family->arch, arch) == 0;
}

bool arch_gguf_has_tensor(const arch_gguf_reader *r, const char *name) {
    return va_gguf_find(r->g, name) != NULL;
}

const va_gguf_value *arch_gguf_take(arch_gguf_reader *r, const char *key) {
    char full[ARCH_GGUF_KEY_SIZE];
    snprintf(full, sizeof full, "%s.%s", r->family->arch, key);
    if (r->n_read < ARCH_GGUF_MAX_KEYS)
        memcpy(r->read[r->n_read++], full, sizeof full);
    return va_gguf_get(r->g, full);
}

// A scalar as it stands, of other values the type.
static const char *value_text(const va_gguf_value *v, char buf[64]) {
    int64_t i;
    double x;
    bool on;
    if (va_gguf_as_int(v, &i))
        snprintf(buf, 64, "%" PRId64, i);
    else if (va_gguf_as_double(v, &x))
        snprintf(buf, 64, "%g", x);
    else if (va_gguf_as_bool(v, &on))
        snprintf(buf, 64, "%s", on ? "true" : "false");
    else if (va_gguf_as_string(v))
        snprintf(buf, 64, "'%.60s'", va_gguf_as_string(v));
    else
        snprintf(buf, 64, "%s", va_gguf_type_text(v));
    return buf;
}

static va_status fail_key(arch_gguf_reader *r, va_status code, const char *key,
                          const char *expected) {
    char full[ARCH_GGUF_KEY_SIZE], got[64];
    snprintf(full, sizeof full, "%s.%s", r->family->arch, key);
    return va_fail(r->ctx, code, "%s: %s: expected %s, got %s", r->path, full, expected,
                   value_text(va_gguf_get(r->g, full), got));
}

va_status arch_gguf_wrong(arch_gguf_reader *r, const char *key, const char *expected) {
    return fail_key(r, VA_ERR_FORMAT, key, expected);
}

va_status arch_gguf_unsupported(arch_gguf_reader *r, const char *key, const char *expected) {
    return fail_key(r, VA_ERR_UNSUPPORTED, key, expected);
}

va_status arch_gguf_int(arch_gguf_reader *r, const char *key, bool required, int64_t min,
                        int64_t max, int64_t *out) {
    const va_gguf_value *v = arch_gguf_take(r, key);
    int64_t got;
    char expected[96];
    if (!v && !required)
        return VA_OK;
    snprintf(expected, sizeof expected, "an integer from %" PRId64 " to %" PRId64, min, max);
    if (!va_gguf_as_int(v, &got) || got < min || got > max)
        return arch_gguf_wrong(r, key, expected);
    *out = got;
    return VA_OK;
}

va_status arch_gguf_positive(arch_gguf_reader *r, const char *key, bool required, double *out) {
    const va_gguf_value *v = arch_gguf_take(r, key);
    double got;
    if (!v && !required)
        return VA_OK;
    if (!va_gguf_as_double(v, &got) || got <= 0)
        return arch_gguf_wrong(r, key, "a number above 0");
    *out = got;
    return VA_OK;
}

// -- sizes ----------------------------------------------------------------------------------------

enum { MOST_LAYERS = 4096, MOST_HEADS = 65536, WIDEST = 1 << 24 };

static va_status translate_sizes(arch_gguf_reader *r) {
    va_status st = VA_OK;
    const arch_gguf_family *f = r->family;
    const va_file_tensor *embd = va_gguf_find(r->g, "token_embd.weight");
    int64_t ff = 0, context = 0, bos;
    double eps = 0;
    const char *eps_key =
        strstr(f->eps, "rms") ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
    VA_TRY(arch_gguf_int(r, "block_count", true, 1, MOST_LAYERS, &r->layers));
    VA_TRY(arch_gguf_int(r, "embedding_length", true, 1, WIDEST, &r->width));
    VA_TRY(arch_gguf_int(r, "feed_forward_length", true, 1, WIDEST, &ff));
    VA_TRY(arch_gguf_int(r, "context_length", true, 1, INT32_MAX, &context));
    VA_TRY(arch_gguf_positive(r, eps_key, true, &eps));
    arch_gguf_take(r, "vocab_size"); // the embedding table says it
    if (!embd || embd->n_dim != 2)
        return va_fail(r->ctx, VA_ERR_FORMAT, "%s: tensor token_embd.weight: expected a matrix",
                       r->path);
    va_json_add_int(r->out, "vocab_size", embd->shape[0]);
    va_json_add_int(r->out, f->layers, r->layers);
    va_json_add_int(r->out, f->width, r->width);
    va_json_add_int(r->out, f->ff, ff);
    va_json_add_int(r->out, f->context, context);
    va_json_add_double(r->out, f->eps, eps);
    if (va_gguf_as_int(va_gguf_get(r->g, "tokenizer.ggml.bos_token_id"), &bos))
        va_json_add_int(r->out, "bos_token_id", bos);
done:
    return st;
}

// A head is as wide as the stream over their number, and has keys of its own, unless said
// otherwise.
static va_status translate_heads(arch_gguf_reader *r) {
    va_status st = VA_OK;
    const bool grouped = strcmp(r->family->eps, "rms_norm_eps") == 0; // others have no such key
    int64_t groups, value;
    VA_TRY(arch_gguf_int(r, "attention.head_count", true, 1, MOST_HEADS, &r->heads));
    groups = r->heads;
    VA_TRY(arch_gguf_int(r, "attention.head_count_kv", false, 1, MOST_HEADS, &groups));
    VA_TRY(arch_gguf_int(r, "attention.key_length", false, 1, MOST_HEADS, &r->head_width));
    if (r->head_width == 0 && r->width % r->heads != 0)
        return arch_gguf_wrong(r, "attention.head_count",
                               "a divisor of embedding_length, as there is no "
                               "attention.key_length");
    if (r->head_width == 0)
        r->head_width = r->width / r->heads;
    value = r->head_width;
    VA_TRY(arch_gguf_int(r, "attention.value_length", false, 1, MOST_HEADS, &value));
    if (value != r->head_width)
        return arch_gguf_unsupported(r, "attention.value_length", "the width of the keys");
    if (!grouped && groups != r->heads)
        return arch_gguf_unsupported(r, "attention.head_count_kv", "as in attention.head_count");
    if (!grouped && r->head_width * r->heads != r->width)
        return arch_gguf_unsupported(r, "attention.key_length", "embedding_length over heads");
    va_json_add_int(r->out, r->family->heads, r->heads);
    if (grouped) {
        va_json_add_int(r->out, "num_key_value_heads", groups);
        va_json_add_int(r->out, "head_dim", r->head_width);
    }
done:
    return st;
}

// -- windows --------------------------------------------------------------------------------------

// Which layers have windows: all but every period-th, or a list with something other than 0 or
// false for each that has.
static va_status add_layer_types(arch_gguf_reader *r) {
    static const char key[] = "attention.sliding_window_pattern";
    const va_gguf_value *v = arch_gguf_take(r, key);
    const bool list = va_gguf_value_kind(v) == VA_GGUF_ARRAY;
    int64_t period = r->family->period;
    if (v && !list && (!va_gguf_as_int(v, &period) || period < 0))
        return arch_gguf_wrong(r, key, "a period, or a list");
    if (list && va_gguf_length(v) != r->layers)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: %s.%s: expected one for each of %lld blocks, got %lld", r->path,
                       r->family->arch, key, (long long)r->layers, (long long)va_gguf_length(v));
    va_json *types = va_json_add_array(r->out, "layer_types");
    for (int64_t n = 0; n < r->layers; n++) {
        bool slides = period == 0 || n % period < period - 1;
        int64_t number = 0;
        if (list && !va_gguf_bool_at(v, n, &slides)) {
            if (!va_gguf_int_at(v, n, &number))
                return arch_gguf_wrong(r, key, "a list of integers or booleans");
            slides = number != 0;
        }
        va_json_add_string(types, NULL,
                           slides && r->window ? "sliding_attention" : "full_attention");
    }
    return VA_OK;
}

static va_status translate_windows(arch_gguf_reader *r) {
    va_status st = VA_OK;
    const arch_gguf_family *f = r->family;
    if (f->windows == ARCH_GGUF_NO_WINDOWS)
        return VA_OK;
    r->window = f->window;
    VA_TRY(arch_gguf_int(r, "attention.sliding_window", false, f->window ? 1 : 0, INT32_MAX,
                         &r->window));
    if (r->window > 0)
        va_json_add_int(r->out, "sliding_window", r->window);
    if (f->windows == ARCH_GGUF_BY_PERIOD && (r->window || !arch_gguf_is(r, "olmo2")))
        VA_TRY(add_layer_types(r));
done:
    return st;
}

// -- the rest -------------------------------------------------------------------------------------

// Of one size of Gemma 2 and one of Gemma 3 scores are scaled by another width than the head's.
static va_status translate_gemma(arch_gguf_reader *r) {
    static const char *const caps[] = {"attn_logit_softcapping", "final_logit_softcapping"};
    va_status st = VA_OK;
    const bool second = arch_gguf_is(r, "gemma2");
    if (!second && !arch_gguf_is(r, "gemma3"))
        return VA_OK;
    for (int64_t i = second ? 0 : 1; i < VA_COUNT(caps); i++) {
        double cap = 0;
        VA_TRY(arch_gguf_positive(r, caps[i], false, &cap));
        if (cap > 0)
            va_json_add_double(r->out, caps[i], cap);
    }
    const bool is_27b = r->layers == (second ? 46 : 62);
    va_json_add_int(r->out, "query_pre_attn_scalar", is_27b ? r->width / r->heads : r->head_width);
done:
    return st;
}

static va_status translate_neox(arch_gguf_reader *r) {
    static const char key[] = "use_parallel_residual";
    bool on;
    if (!arch_gguf_is(r, "gptneox"))
        return VA_OK;
    if (!va_gguf_as_bool(arch_gguf_take(r, key), &on))
        return arch_gguf_wrong(r, key, "true or false");
    va_json_add_bool(r->out, key, on);
    va_json_add_bool(r->out, "attention_bias", arch_gguf_has_tensor(r, "blk.0.attn_qkv.bias"));
    return VA_OK;
}

// Biases are there or not; families that always or never have them have no such keys.
static void translate_biases(arch_gguf_reader *r) {
    static const char *const attention[] = {"llama", "smollm3", "qwen3",
                                            "olmo2", "gemma2",  "gemma3"};
    for (int64_t i = 0; i < VA_COUNT(attention); i++)
        if (arch_gguf_is(r, attention[i]))
            va_json_add_bool(r->out, "attention_bias",
                             arch_gguf_has_tensor(r, "blk.0.attn_q.bias"));
    if (arch_gguf_is(r, "llama") || arch_gguf_is(r, "smollm3"))
        va_json_add_bool(r->out, "mlp_bias", arch_gguf_has_tensor(r, "blk.0.ffn_up.bias"));
}

static va_status translate_rest(arch_gguf_reader *r) {
    va_status st = VA_OK;
    bool causal;
    const va_gguf_value *v = arch_gguf_take(r, "attention.causal");
    if (v && (!va_gguf_as_bool(v, &causal) || !causal))
        return arch_gguf_unsupported(r, "attention.causal", "true");
    arch_gguf_take(r, "tensor_data_layout");
    arch_gguf_take(r, "pooling_type"); // of what embeds texts, after the last site
    VA_TRY(translate_gemma(r));
    VA_TRY(translate_neox(r));
    translate_biases(r);
    va_json_add_bool(r->out, "tie_word_embeddings", !arch_gguf_has_tensor(r, "output.weight"));
done:
    return st;
}

static va_status refuse_unread(const arch_gguf_reader *r) {
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

static va_status refuse_unknown_tensors(const arch_gguf_reader *r, const va_arch_config *c) {
    for (int64_t i = 0; i < va_gguf_count(r->g); i++) {
        const char *name = va_gguf_at(r->g, i)->name;
        if (strncmp(name, "rope_f", 6) != 0 && !arch_has_gguf_tensor(c, name)) // those were read
            return va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                           "%s: tensor %s: not a part of %s as far as is known; refused", r->path,
                           name, r->family->arch);
    }
    return VA_OK;
}

static va_status find_gguf_family(arch_gguf_reader *r) {
    const char *arch = va_gguf_as_string(va_gguf_get(r->g, "general.architecture"));
    va_strbuf known = {0};
    if (!arch)
        return va_fail(r->ctx, VA_ERR_FORMAT, "%s: general.architecture: expected a string, got %s",
                       r->path, va_gguf_type_text(va_gguf_get(r->g, "general.architecture")));
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
    arch_gguf_reader r = {.ctx = ctx, .path = path, .g = g};
    VA_TRY(find_gguf_family(&r));
    VA_TRY_ALLOC(ctx, r.out, va_json_object());
    VA_TRY(translate_sizes(&r));
    VA_TRY(translate_heads(&r));
    VA_TRY(translate_windows(&r));
    VA_TRY(arch_gguf_rope(&r));
    VA_TRY(translate_rest(&r));
    VA_TRY(refuse_unread(&r));
    const bool olmo3 = arch_gguf_is(&r, "olmo2") && r.window > 0; // the same name for both
    va_json_add_string(r.out, "model_type", olmo3 ? "olmo3" : r.family->model_type);
    VA_TRY(va_arch_parse(ctx, arena, r.out, path, config));
    config->is_gguf = true;
    VA_TRY(refuse_unknown_tensors(&r, config));
done:
    va_json_free(&r.out);
    return st;
}
