// Rotary position embeddings in GGUF metadata, as readers of GGUF take it: scaling is linear unless
// said otherwise, and factors of frequencies stand in tensors.
// SPDX-License-Identifier: Apache-2.0
#include "arch_gguf.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SCALING "rope.scaling."

typedef struct scaling {
    bool linear, yarn, longrope; // else none
    double factor;               // 1: none
    double original;             // context before the extension; 0: not given
    double attention;            // what cosines and sines are multiplied by, besides YaRN's own
    double beta_fast, beta_slow; // 0: not given
} scaling;

// -- reading --------------------------------------------------------------------------------------

static va_status read_type(arch_gguf_reader *r, scaling *s) {
    const va_gguf_value *v = arch_gguf_take(r, SCALING "type");
    const char *type = v ? va_gguf_as_string(v) : "linear";
    s->linear = type && strcmp(type, "linear") == 0;
    s->yarn = type && strcmp(type, "yarn") == 0;
    s->longrope = type && strcmp(type, "longrope") == 0;
    if (s->linear || s->yarn || s->longrope || (type && strcmp(type, "none") == 0))
        return VA_OK;
    return arch_gguf_unsupported(r, SCALING "type", "none, linear, yarn or longrope");
}

// The factor, or the key that it had before; 0 stands for none.
static va_status read_factor(arch_gguf_reader *r, scaling *s) {
    static const char *const keys[] = {"rope.scale_linear", SCALING "factor"};
    s->factor = 1;
    for (int64_t i = 0; i < VA_COUNT(keys); i++) {
        const va_gguf_value *v = arch_gguf_take(r, keys[i]);
        double factor;
        if (!v)
            continue;
        if (!va_gguf_as_double(v, &factor) || factor < 0)
            return arch_gguf_wrong(r, keys[i], "a number of at least 0");
        s->factor = factor > 0 ? factor : 1;
    }
    return VA_OK;
}

// YaRN's own scale 0.1 ln(factor) + 1 is what HF transformers and llama.cpp both take. Files repeat
// it (OLMo 3), or hold its inverse (DeepSeek-R1-0528's distillation), which neither of them
// applies.
static va_status read_yarn(arch_gguf_reader *r, const scaling *s) {
    va_status st = VA_OK;
    const double own = s->factor > 1 ? 0.1 * log(s->factor) + 1 : 1;
    double attention = s->yarn ? own : 1, extrapolation = 1;
    VA_TRY(arch_gguf_positive(r, SCALING "yarn_attn_factor", false, &attention));
    VA_TRY(arch_gguf_positive(r, SCALING "yarn_ext_factor", false, &extrapolation));
    if (extrapolation != 1)
        return arch_gguf_unsupported(r, SCALING "yarn_ext_factor", "1");
    if (s->yarn && own > 1 && fabs(attention * own - 1) < 1e-4)
        va_log(r->ctx, VA_LOG_WARN,
               "%s: %s." SCALING "yarn_attn_factor = %g is not applied (nor do transformers and "
               "llama.cpp)",
               r->path, r->family->arch, attention);
    else if (fabs(attention - (s->yarn ? own : 1)) > 1e-4)
        return arch_gguf_unsupported(r, SCALING "yarn_attn_factor",
                                     "0.1 ln(factor) + 1 with yarn, which readers take, or none");
done:
    return st;
}

static va_status read_scaling(arch_gguf_reader *r, scaling *s) {
    va_status st = VA_OK;
    *s = (scaling){.attention = 1};
    VA_TRY(read_type(r, s));
    VA_TRY(read_factor(r, s));
    VA_TRY(arch_gguf_positive(r, SCALING "original_context_length", false, &s->original));
    VA_TRY(arch_gguf_positive(r, SCALING "attn_factor", false, &s->attention));
    VA_TRY(arch_gguf_positive(r, SCALING "yarn_beta_fast", false, &s->beta_fast));
    VA_TRY(arch_gguf_positive(r, SCALING "yarn_beta_slow", false, &s->beta_slow));
    VA_TRY(read_yarn(r, s));
    arch_gguf_take(r, SCALING "finetuned");
done:
    return st;
}

// -- factors in tensors ---------------------------------------------------------------------------

static va_status add_factors(arch_gguf_reader *r, va_json *to, const char *key, const char *tensor,
                             int64_t n) {
    const va_file_tensor *t = va_gguf_find(r->g, tensor);
    if (!t || t->dtype != VA_F32 || t->n_dim != 1 || t->n_elem != n)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: tensor %s: expected a vector of %lld F32, one for each rotating pair, "
                       "got %lld elements of %s",
                       r->path, tensor, (long long)n, (long long)(t ? t->n_elem : 0),
                       t ? va_dtype_name(t->dtype) : "nothing");
    va_json *list = va_json_add_array(to, key);
    for (int64_t i = 0; i < n; i++) {
        float factor;
        memcpy(&factor, (const char *)t->data + 4 * i, sizeof factor);
        if (!isfinite(factor) || factor <= 0)
            return va_fail(r->ctx, VA_ERR_FORMAT,
                           "%s: tensor %s: expected finite numbers above 0, got %g", r->path,
                           tensor, (double)factor);
        va_json_add_double(list, NULL, (double)factor);
    }
    return VA_OK;
}

// Llama 3's factors hold for all lengths, LongRoPE's are of two kinds.
static va_status add_tensors(arch_gguf_reader *r, const scaling *s, bool one, int64_t n_pairs,
                             va_json *to) {
    va_status st = VA_OK;
    const bool phi3 = arch_gguf_is(r, "phi3");
    if (!phi3 && !arch_gguf_is(r, "llama"))
        return va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                       "%s: factors of frequencies in tensors are not supported for %s", r->path,
                       r->family->arch);
    if (s->yarn || s->factor != 1)
        return arch_gguf_unsupported(r, s->yarn ? SCALING "type" : SCALING "factor",
                                     "no scaling besides factors in tensors");
    va_json_add_string(to, "rope_type", "longrope");
    va_json_add_double(to, "attention_factor", s->attention);
    VA_TRY(add_factors(r, to, "short_factor",
                       one ? "rope_freqs.weight" : "rope_factors_short.weight", n_pairs));
    VA_TRY(add_factors(r, to, "long_factor", one ? "rope_freqs.weight" : "rope_factors_long.weight",
                       n_pairs));
    if (s->original > 0)
        va_json_add_double(phi3 ? r->out : to, "original_max_position_embeddings", s->original);
done:
    return st;
}

// -- writing --------------------------------------------------------------------------------------

static va_status add_yarn(arch_gguf_reader *r, const scaling *s, va_json *to) {
    va_json_add_string(to, "rope_type", "yarn");
    va_json_add_double(to, "factor", s->factor);
    if (s->original <= 0)
        return arch_gguf_wrong(r, SCALING "original_context_length", "a number with yarn");
    va_json_add_double(to, "original_max_position_embeddings", s->original);
    va_json_add_double(to, "beta_fast", s->beta_fast);
    va_json_add_double(to, "beta_slow", s->beta_slow);
    return VA_OK;
}

// What is scaled, into an object of config.json: rope_scaling or one of rope_parameters.
static va_status add_scaling(arch_gguf_reader *r, int64_t n_pairs, va_json *to) {
    va_status st = VA_OK;
    scaling s;
    const bool one = arch_gguf_has_tensor(r, "rope_freqs.weight");
    VA_TRY(read_scaling(r, &s));
    if (one || s.longrope || arch_gguf_has_tensor(r, "rope_factors_short.weight"))
        return add_tensors(r, &s, one, n_pairs, to);
    if (s.attention != 1)
        return arch_gguf_unsupported(r, SCALING "attn_factor", "1 without factors in tensors");
    if (s.yarn)
        return add_yarn(r, &s, to);
    va_json_add_string(to, "rope_type", s.linear && s.factor != 1 ? "linear" : "default");
    if (s.linear && s.factor != 1)
        va_json_add_double(to, "factor", s.factor);
done:
    return st;
}

// OLMo 3 scales the layers without windows alone.
static va_status add_by_layer(arch_gguf_reader *r, double theta, double local) {
    va_json *both = va_json_add_object(r->out, "rope_parameters");
    va_json *sliding = va_json_add_object(both, "sliding_attention");
    va_json *full = va_json_add_object(both, "full_attention");
    va_json_add_double(sliding, "rope_theta", local);
    va_json_add_double(full, "rope_theta", theta);
    return add_scaling(r, r->head_width / 2, full);
}

// Whole heads rotate unless said otherwise, also GPT-NeoX's.
static va_status add_part(arch_gguf_reader *r, int64_t rotating) {
    const bool neox = arch_gguf_is(r, "gptneox");
    if (rotating > r->head_width ||
        (rotating != r->head_width && !neox && !arch_gguf_is(r, "phi3")))
        return arch_gguf_unsupported(r, "rope.dimension_count", "the width of a head");
    // A little more, so that the product with the head's width is never a hair below.
    const double part = ((double)rotating + 1e-9) / (double)r->head_width;
    if (neox || rotating != r->head_width)
        va_json_add_double(r->out, neox ? "rotary_pct" : "partial_rotary_factor",
                           rotating == r->head_width ? 1 : part);
    return VA_OK;
}

va_status arch_gguf_rope(arch_gguf_reader *r) {
    va_status st = VA_OK;
    const bool gemma3 = arch_gguf_is(r, "gemma3"), olmo3 = arch_gguf_is(r, "olmo2") && r->window;
    double theta = 1e4;
    int64_t rotating = r->head_width;
    if (!r->family->theta)
        return VA_OK;
    VA_TRY(arch_gguf_positive(r, "rope.freq_base", false, &theta));
    double local = gemma3 ? 1e4 : theta;
    VA_TRY(arch_gguf_int(r, "rope.dimension_count", false, 1, INT32_MAX, &rotating));
    VA_TRY(add_part(r, rotating));
    if (r->family->windows == ARCH_GGUF_BY_PERIOD)
        VA_TRY(arch_gguf_positive(r, "rope.freq_base_swa", false, &local));
    if (olmo3)
        return add_by_layer(r, theta, local);
    if (r->window && !gemma3 && local != theta)
        return arch_gguf_unsupported(r, "rope.freq_base_swa", "the same as rope.freq_base");
    va_json_add_double(r->out, r->family->theta, theta);
    if (gemma3)
        va_json_add_double(r->out, "rope_local_base_freq", local);
    VA_TRY(add_scaling(r, rotating / 2, va_json_add_object(r->out, "rope_scaling")));
done:
    return st;
}
