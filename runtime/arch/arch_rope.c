// Rotary position embeddings: their configuration, in the older form (rope_theta, rope_scaling) and
// the current one (rope_parameters).
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {
#define VA_X(id, name) [id] = name,
    VA_ROPE_LIST(VA_X)
#undef VA_X
};

int64_t va_rope_pairs(const va_rope *rope, int64_t d_head) {
    return ((int64_t)((double)d_head * rope->part) + 1) / 2;
}

const char *va_rope_text(const va_rope *rope, char buf[96]) {
    char part[32] = "", scheme[32] = "";
    if (rope->part < 1)
        snprintf(part, sizeof part, " on %g of each head", rope->part);
    if (rope->type != VA_ROPE_DEFAULT && rope->type != VA_ROPE_LINEAR)
        snprintf(scheme, sizeof scheme, "%s ", type_names[rope->type]);
    snprintf(buf, 96, "RoPE base %g%s, %sfactor %g", rope->theta, part, scheme,
             rope->factor > 0 ? rope->factor : 1);
    return buf;
}

static va_status read_type(va_config_reader *in, va_rope *rope) {
    va_status st = VA_OK;
    const char *name = NULL;
    VA_TRY(va_config_string(in, "type", &name)); // the older spelling
    VA_TRY(va_config_string(in, "rope_type", &name));
    if (!name)
        return VA_OK;
    if (strcmp(name, "su") == 0) // Phi-3's first name for it
        name = "longrope";
    for (int64_t i = 0; i < VA_COUNT(type_names); i++) {
        if (strcmp(type_names[i], name) == 0) {
            rope->type = (va_rope_type)i;
            return VA_OK;
        }
    }
    return va_config_unsupported(in, va_config_has(in, "rope_type") ? "rope_type" : "type",
                                 "expected default, linear, dynamic, llama3, yarn or longrope");
done:
    return st;
}

static va_status read_numbers(va_config_reader *in, va_arena *arena, va_rope *rope) {
    const struct {
        const char *key;
        double *to;
    } numbers[] = {{"factor", &rope->factor},
                   {"rope_theta", &rope->theta},
                   {"partial_rotary_factor", &rope->part},
                   {"original_max_position_embeddings", &rope->original_context},
                   {"max_position_embeddings", &rope->max_context},
                   {"low_freq_factor", &rope->low_freq},
                   {"high_freq_factor", &rope->high_freq},
                   {"attention_factor", &rope->attention_factor}};
    const struct {
        const char *key;
        double *to;
    } or_zero[] = {{"beta_fast", &rope->beta_fast},
                   {"beta_slow", &rope->beta_slow},
                   {"mscale", &rope->mscale},
                   {"mscale_all_dim", &rope->mscale_all_dim},
                   {"llama_4_scaling_beta", &rope->query_beta}};
    va_status st = VA_OK;
    int64_t n_long = 0;
    for (int64_t i = 0; i < VA_COUNT(numbers); i++)
        VA_TRY(va_config_positive(in, numbers[i].key, numbers[i].to));
    for (int64_t i = 0; i < VA_COUNT(or_zero); i++)
        VA_TRY(va_config_number(in, or_zero[i].key, or_zero[i].to));
    VA_TRY(va_config_bool(in, "truncate", &rope->truncate));
    if (va_config_take(in, "attn_factor")) // in DeepSeek-R1-0528-Qwen3-8B
        va_log(in->ctx, VA_LOG_WARN, "%s: %sattn_factor is not applied (nor does transformers)",
               in->path, in->prefix);
    VA_TRY(va_config_floats(in, arena, "short_factor", -1, &rope->short_factor, &rope->n_factor));
    VA_TRY(va_config_floats(in, arena, "long_factor", -1, &rope->long_factor, &n_long));
    if (n_long != rope->n_factor)
        VA_TRY(va_config_wrong(in, "long_factor", "as many numbers as in short_factor"));
done:
    return st;
}

static va_status check_object(va_config_reader *in, const va_rope *rope) {
    const bool scaled = rope->type == VA_ROPE_LINEAR || rope->type == VA_ROPE_DYNAMIC ||
                        rope->type == VA_ROPE_LLAMA3;
    if (scaled && rope->factor <= 0)
        return va_fail(in->ctx, VA_ERR_FORMAT, "%s: %sfactor: %s scaling needs a number above 0",
                       in->path, in->prefix, type_names[rope->type]);
    if (rope->type == VA_ROPE_DEFAULT && rope->factor > 0)
        return va_config_unsupported(in, "factor", "a factor without rope_type");
    if (rope->type == VA_ROPE_LLAMA3 && !(rope->low_freq > 0 && rope->high_freq > rope->low_freq))
        return va_fail(in->ctx, VA_ERR_FORMAT,
                       "%s: %shigh_freq_factor: llama3 scaling needs low_freq_factor and a larger "
                       "high_freq_factor, got %g and %g",
                       in->path, in->prefix, rope->low_freq, rope->high_freq);
    if (rope->type == VA_ROPE_LONGROPE && !rope->short_factor)
        return va_fail(in->ctx, VA_ERR_FORMAT,
                       "%s: %sshort_factor: longrope needs short_factor and long_factor", in->path,
                       in->prefix);
    return VA_OK;
}

va_status va_config_rope_object(va_config_reader *r, va_arena *arena, const char *key,
                                const va_json *obj, va_rope *rope) {
    va_status st = VA_OK;
    if (!obj || va_json_is_null(obj))
        return VA_OK;
    if (!va_json_is_object(obj))
        return va_fail(r->ctx, VA_ERR_FORMAT, "%s: %s%s: expected an object, got %s", r->path,
                       r->prefix, key, va_json_type(obj));
    char where[128];
    snprintf(where, sizeof where, "%s%s.", r->prefix, key);
    va_config_reader in = {.ctx = r->ctx, .path = r->path, .prefix = where, .obj = obj};
    VA_TRY(read_type(&in, rope));
    VA_TRY(read_numbers(&in, arena, rope));
    VA_TRY(check_object(&in, rope));
    VA_TRY(va_config_finish(&in));
done:
    return st;
}

va_status va_config_rope_finish(va_config_reader *r, const va_arch_config *c, const char *key,
                                va_rope *rope) {
    const bool is_part = rope->part > 0 && rope->part <= 1;
    const int64_t width = is_part ? (int64_t)((double)c->d_head * rope->part) : 0;
    if (width < 2 || (width == c->d_head && width % 2 != 0))
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: %shead_dim = %lld, of which %g rotate: expected an even number of at "
                       "least 2",
                       r->path, r->prefix, (long long)c->d_head, rope->part);
    if (rope->n_factor > 0 && rope->n_factor != va_rope_pairs(rope, c->d_head))
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: %s%s.short_factor: expected %lld numbers, one for each rotating pair, "
                       "got %lld",
                       r->path, r->prefix, key, (long long)va_rope_pairs(rope, c->d_head),
                       (long long)rope->n_factor);
    rope->max_context = (double)c->max_context;
    if (rope->original_context <= 0)
        rope->original_context = rope->max_context;
    const bool by_rotations = rope->type == VA_ROPE_YARN || rope->type == VA_ROPE_LONGROPE;
    if (rope->factor <= 0 && by_rotations)
        rope->factor = rope->max_context / rope->original_context;
    if (rope->type == VA_ROPE_LONGROPE && !(rope->original_context > 1))
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: %soriginal_max_position_embeddings: expected more than 1, got %g",
                       r->path, r->prefix, rope->original_context);
    if (rope->type == VA_ROPE_YARN && rope->theta == 1)
        return va_fail(r->ctx, VA_ERR_FORMAT, "%s: %srope_theta: yarn needs another base than 1",
                       r->path, r->prefix);
    return VA_OK;
}

va_status va_config_rope_read(va_config_reader *r, va_arena *arena, bool partial, va_rope *rope,
                              const char **key) {
    va_status st = VA_OK;
    const va_json *scaling = va_config_take(r, "rope_scaling");
    const va_json *parameters = va_config_take(r, "rope_parameters");
    const bool older = scaling && va_json_count(scaling) > 0; // it wins, as in transformers
    *key = older ? "rope_scaling" : "rope_parameters";
    VA_TRY(va_config_positive(r, "rope_theta", &rope->theta));
    if (partial)
        VA_TRY(va_config_positive(r, "partial_rotary_factor", &rope->part));
    VA_TRY(va_config_rope_object(r, arena, *key, older ? scaling : parameters, rope));
    if (!partial && rope->part != 1)
        return va_config_unsupported(r, *key, "this family rotates whole heads");
done:
    return st;
}

va_status va_config_rope(va_config_reader *r, va_arena *arena, va_arch_config *c, bool partial,
                         va_rope *rope) {
    va_status st = VA_OK;
    const char *key;
    VA_TRY(va_config_rope_read(r, arena, partial, rope, &key));
    VA_TRY(va_config_rope_finish(r, c, key, rope));
    if (rope->type == VA_ROPE_DYNAMIC)
        c->max_context = (int64_t)fmax(fmin(rope->max_context * rope->factor, INT32_MAX), 1);
done:
    return st;
}
