// Reading config.json: every key is read, known to be harmless, or refused by name and value.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Keys that transformers writes and that do not change the forward pass of a text model in
// inference: bookkeeping, token ids, generation and training settings, the vision part.
static const char *const harmless_keys[] = {
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attn_implementation",
    "attn_pdrop",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "boi_token_id",
    "boi_token_index",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "eoi_token_id",
    "eoi_token_index",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "id2label",
    "image_token_id",
    "image_token_index",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "mm_tokens_per_image",
    "model_type",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "vision_config",
};

// Keys that are harmless only when off.
static const char *const off_keys[] = {
    "add_cross_attention", "is_encoder_decoder",  "lm_head_bias", "pruned_heads",
    "rope_interleaved",    "tie_encoder_decoder", "use_mrope"};

static bool is_in(const char *key, const char *const *list, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (strcmp(list[i], key) == 0)
            return true;
    return false;
}

static va_status fail_type(va_config_reader *r, const char *key, const char *expected,
                           const va_json *v) {
    char *got = va_json_print(v, false);
    const va_status st = va_fail(r->ctx, VA_ERR_FORMAT, "%s: %s%s: expected %s, got %.60s", r->path,
                                 r->prefix, key, expected, got ? got : va_json_type(v));
    free(got);
    return st;
}

va_status va_config_unsupported(va_config_reader *r, const char *key, const char *why) {
    const va_json *v = va_json_get(r->obj, key);
    char *got = v ? va_json_print(v, false) : NULL;
    const va_status st = va_fail(r->ctx, VA_ERR_UNSUPPORTED, "%s: %s%s = %.80s: %s", r->path,
                                 r->prefix, key, got ? got : "?", why);
    free(got);
    return st;
}

va_status va_config_wrong(va_config_reader *r, const char *key, const char *expected) {
    return fail_type(r, key, expected, va_json_get(r->obj, key));
}

bool va_config_has(const va_config_reader *r, const char *key) {
    const va_json *v = va_json_get(r->obj, key);
    return v && !va_json_is_null(v);
}

bool va_config_is_null(const va_config_reader *r, const char *key) {
    const va_json *v = va_json_get(r->obj, key);
    return v && va_json_is_null(v);
}

const va_json *va_config_take(va_config_reader *r, const char *key) {
    if (!is_in(key, r->read, r->n_read) && r->n_read < VA_CONFIG_MAX_READ)
        r->read[r->n_read++] = key;
    return va_config_has(r, key) ? va_json_get(r->obj, key) : NULL;
}

va_status va_config_int(va_config_reader *r, const char *key, int64_t min, int64_t max,
                        int64_t *out) {
    const va_json *v = va_config_take(r, key);
    int64_t got;
    char expected[96];
    if (!v)
        return VA_OK;
    snprintf(expected, sizeof expected, "an integer from %" PRId64 " to %" PRId64, min, max);
    if (!va_json_as_int(v, &got) || got < min || got > max)
        return fail_type(r, key, expected, v);
    *out = got;
    return VA_OK;
}

va_status va_config_number(va_config_reader *r, const char *key, double *out) {
    const va_json *v = va_config_take(r, key);
    double got;
    if (!v)
        return VA_OK;
    if (!va_json_as_double(v, &got) || !isfinite(got))
        return fail_type(r, key, "a number", v);
    *out = got;
    return VA_OK;
}

va_status va_config_positive(va_config_reader *r, const char *key, double *out) {
    const va_json *v = va_config_take(r, key);
    double got;
    if (!v)
        return VA_OK;
    if (!va_json_as_double(v, &got) || got <= 0)
        return fail_type(r, key, "a number above 0", v);
    if (!(got >= FLT_MIN && got <= FLT_MAX)) // it is computed with in float32
        return fail_type(r, key, "a number that float32 holds", v);
    *out = got;
    return VA_OK;
}

va_status va_config_floats(va_config_reader *r, va_arena *arena, const char *key, int64_t n,
                           const float **out, int64_t *n_out) {
    va_status st = VA_OK;
    const va_json *v = va_config_take(r, key);
    const int64_t count = va_json_count(v);
    float *list;
    char expected[64];
    if (!v)
        return VA_OK;
    snprintf(expected, sizeof expected, n < 0 ? "numbers above 0" : "%" PRId64 " numbers above 0",
             n);
    if (!va_json_is_array(v) || count < 1 || (n >= 0 && count != n))
        return fail_type(r, key, expected, v);
    VA_TRY_ALLOC(r->ctx, list, VA_NEW_ARRAY(arena, float, count));
    int64_t i = 0;
    for (const va_json *x = va_json_first(v); x; x = va_json_next(x), i++) {
        double got;
        if (!va_json_as_double(x, &got) || !isfinite((float)got) || got <= 0)
            return fail_type(r, key, expected, x);
        list[i] = (float)got;
    }
    *out = list;
    *n_out = count;
done:
    return st;
}

va_status va_config_bool(va_config_reader *r, const char *key, bool *out) {
    const va_json *v = va_config_take(r, key);
    if (v && !va_json_as_bool(v, out))
        return fail_type(r, key, "true or false", v);
    return VA_OK;
}

va_status va_config_string(va_config_reader *r, const char *key, const char **out) {
    const va_json *v = va_config_take(r, key);
    if (!v)
        return VA_OK;
    *out = va_json_as_string(v);
    return *out ? VA_OK : fail_type(r, key, "a string", v);
}

static bool is_off(const va_json *v) {
    bool b;
    double d;
    if (va_json_as_bool(v, &b))
        return !b;
    if (va_json_as_double(v, &d))
        return d == 0;
    return (va_json_is_object(v) || va_json_is_array(v)) && va_json_count(v) == 0;
}

va_status va_config_refuse(va_config_reader *r, const char *key, const char *why) {
    const va_json *v = va_config_take(r, key);
    return !v || is_off(v) ? VA_OK : va_config_unsupported(r, key, why);
}

void va_config_ignore(va_config_reader *r, const char *const *keys) {
    for (; *keys; keys++)
        va_config_take(r, *keys);
}

va_status va_config_act(va_config_reader *r, const char *key, va_act *act) {
    static const struct {
        const char *name;
        va_act act;
    } known[] = {{"gelu_pytorch_tanh", VA_ACT_GELU_TANH},
                 {"gelu_new", VA_ACT_GELU_TANH},
                 {"gelu_fast", VA_ACT_GELU_TANH},
                 {"gelu", VA_ACT_GELU},
                 {"silu", VA_ACT_SILU},
                 {"swish", VA_ACT_SILU},
                 {"relu", VA_ACT_RELU}};
    const char *name = NULL;
    const va_status st = va_config_string(r, key, &name);
    if (st != VA_OK || !name)
        return st;
    for (int64_t i = 0; i < VA_COUNT(known); i++) {
        if (strcmp(known[i].name, name) == 0) {
            *act = known[i].act;
            return VA_OK;
        }
    }
    return va_config_unsupported(r, key,
                                 "unknown activation, expected gelu_pytorch_tanh, gelu_new, "
                                 "gelu_fast, gelu, silu, swish or relu");
}

static bool is_unknown(const va_config_reader *r, const char *key) {
    return !is_in(key, r->read, r->n_read) && !is_in(key, harmless_keys, VA_COUNT(harmless_keys));
}

va_status va_config_finish(va_config_reader *r) {
    va_status st = VA_OK;
    const char *first = NULL;
    va_strbuf others = {0};
    for (int64_t i = 0; i < VA_COUNT(off_keys); i++)
        VA_TRY(va_config_refuse(r, off_keys[i], "not supported"));
    for (const va_json *v = va_json_first(r->obj); v; v = va_json_next(v)) {
        const char *key = va_json_key(v);
        if (is_unknown(r, key) && !first)
            first = key;
        else if (is_unknown(r, key))
            va_strbuf_printf(&others, "%s%s", others.len ? ", " : " (so is ", key);
    }
    if (first) {
        char why[256];
        snprintf(why, sizeof why, "unknown key, which may change the forward pass; refused%.160s%s",
                 others.data ? others.data : "", others.len ? ")" : "");
        st = va_config_unsupported(r, first, why);
    }
done:
    va_strbuf_free(&others);
    return st;
}
