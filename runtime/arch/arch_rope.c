// Rotary position embeddings: their configuration and the table of cosines and sines.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_known_key(const char *key) {
    static const char *const known[] = {"rope_type", "type", "factor", "rope_theta"};
    for (int64_t i = 0; i < VA_COUNT(known); i++)
        if (strcmp(known[i], key) == 0)
            return true;
    return false;
}

va_status va_config_rope(va_config_reader *r, const char *key, const va_json *obj, va_rope *rope) {
    if (!obj || va_json_is_null(obj))
        return VA_OK;
    if (!va_json_is_object(obj))
        return va_fail(r->ctx, VA_ERR_FORMAT, "%s: %s%s: expected an object, got %s", r->path,
                       r->prefix, key, va_json_type(obj));
    for (const va_json *v = va_json_first(obj); v; v = va_json_next(v))
        if (!is_known_key(va_json_key(v)))
            return va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                           "%s: %s%s.%s: unknown key, expected rope_type, factor, rope_theta",
                           r->path, r->prefix, key, va_json_key(v));
    char where[128];
    snprintf(where, sizeof where, "%s%s.", r->prefix, key);
    va_config_reader in = {.ctx = r->ctx, .path = r->path, .prefix = where, .obj = obj};
    const char *type = "default";
    double factor = 0;
    va_status st = VA_OK;
    VA_TRY(va_config_string(&in, "type", &type)); // the older spelling
    VA_TRY(va_config_string(&in, "rope_type", &type));
    VA_TRY(va_config_positive(&in, "factor", &factor));
    VA_TRY(va_config_positive(&in, "rope_theta", &rope->theta));
    if (strcmp(type, "linear") == 0) {
        if (factor <= 0)
            return va_fail(r->ctx, VA_ERR_FORMAT,
                           "%s: %sfactor: linear scaling needs a number above 0", r->path, where);
        rope->factor = factor;
    } else if (strcmp(type, "default") != 0) {
        return va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                       "%s: %srope_type = \"%s\": expected default or linear", r->path, where,
                       type);
    } else if (factor > 0) {
        return va_fail(r->ctx, VA_ERR_UNSUPPORTED, "%s: %sfactor = %g without rope_type \"linear\"",
                       r->path, where, factor);
    }
done:
    return st;
}

va_status va_rope_const(va_ctx *ctx, va_graph *g, const char *name, const va_rope *rope,
                        int64_t seq_len, int64_t d_head, va_node *node) {
    const int64_t half = d_head / 2;
    int64_t n;
    va_status st = VA_OK;
    float *table = NULL;
    if (!va_mul_i64(seq_len, 2 * half, &n) || n > INT64_MAX / (int64_t)sizeof *table)
        return va_fail(ctx, VA_ERR_MEMORY, "RoPE table of %lld positions is too large",
                       (long long)seq_len);
    VA_TRY_ALLOC(ctx, table, malloc((size_t)n * sizeof *table));
    for (int64_t i = 0; i < half; i++) {
        // Each step rounded to float32, as transformers does it.
        const float power = (float)(2 * i) / (float)d_head;
        float inv_freq = 1.0f / powf((float)rope->theta, power);
        if (rope->factor != 1)
            inv_freq /= (float)rope->factor;
        for (int64_t t = 0; t < seq_len; t++) {
            const float angle = (float)t * inv_freq;
            table[(t * half + i) * 2] = cosf(angle);
            table[(t * half + i) * 2 + 1] = sinf(angle);
        }
    }
    *node = va_graph_const(g, name, 3, (const int64_t[]){seq_len, half, 2}, table);
done:
    free(table);
    return st;
}
