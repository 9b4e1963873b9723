// What the blocks of most families are made of: sizes, parts, and what differs between layers.
// SPDX-License-Identifier: Apache-2.0
#include "arch_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// -- sizes ----------------------------------------------------------------------------------------

enum { WIDEST = 1 << 24, MOST_LAYERS = 4096, MOST_HEADS = 65536 };

va_status va_config_bos(va_config_reader *r, va_arch_config *c) {
    int64_t bos = c->bos_id;
    const va_status st = va_config_int(r, "bos_token_id", 0, INT32_MAX, &bos);
    c->bos_id = va_config_is_null(r, "bos_token_id") ? -1 : (int32_t)bos;
    return st;
}

va_status va_config_check_sizes(va_config_reader *r, va_arch_config *c) {
    if (c->n_kv_head == 0)
        c->n_kv_head = c->n_head;
    if (c->n_head % c->n_kv_head != 0)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: %snum_attention_heads = %" PRId64 " is no multiple of "
                       "num_key_value_heads = %" PRId64,
                       r->path, r->prefix, c->n_head, c->n_kv_head);
    if (c->d_head == 0 && c->d_model % c->n_head != 0)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: %swidth %" PRId64 " is no multiple of the %" PRId64
                       " attention heads, and there is no head_dim",
                       r->path, r->prefix, c->d_model, c->n_head);
    if (c->d_head == 0)
        c->d_head = c->d_model / c->n_head;
    return VA_OK;
}

va_status va_config_sizes(va_config_reader *r, va_arch_config *c) {
    va_status st = VA_OK;
    VA_TRY(va_config_int(r, "num_hidden_layers", 1, MOST_LAYERS, &c->n_layer));
    VA_TRY(va_config_int(r, "hidden_size", 1, WIDEST, &c->d_model));
    VA_TRY(va_config_int(r, "num_attention_heads", 1, MOST_HEADS, &c->n_head));
    VA_TRY(va_config_int(r, "num_key_value_heads", 1, MOST_HEADS, &c->n_kv_head));
    VA_TRY(va_config_int(r, "head_dim", 1, MOST_HEADS, &c->d_head));
    VA_TRY(va_config_int(r, "intermediate_size", 1, WIDEST, &c->d_ff));
    VA_TRY(va_config_int(r, "vocab_size", 1, WIDEST, &c->vocab_size));
    VA_TRY(va_config_int(r, "max_position_embeddings", 1, INT32_MAX, &c->max_context));
    if (va_config_is_null(r, "num_key_value_heads"))
        c->n_kv_head = 0;
    VA_TRY(va_config_bos(r, c));
    VA_TRY(va_config_check_sizes(r, c));
done:
    return st;
}

// -- parts ----------------------------------------------------------------------------------------

va_status arch_decoder_create(va_ctx *ctx, va_arena *arena, va_arch_config *c,
                              va_arch_decoder **own) {
    va_status st = VA_OK;
    va_arch_decoder *d;
    VA_TRY_ALLOC(ctx, d, VA_NEW(arena, va_arch_decoder));
    VA_TRY_ALLOC(ctx, d->layer, VA_NEW_ARRAY(arena, arch_layer, c->n_layer));
    d->eps = 1e-6;
    d->embed_scale = 1;
    d->attention_scale = 1 / sqrt((double)c->d_head);
    d->act = VA_ACT_SILU;
    for (int i = 0; i < ARCH_MAX_ROPE; i++)
        d->rope[i] = (va_rope){.theta = 1e4, .part = 1, .truncate = true};
    d->rope_name[0] = "rope";
    c->decoder = d;
    *own = d;
done:
    return st;
}

va_status va_config_layer_types(va_config_reader *r, const va_arch_config *c, va_arch_decoder *own,
                                int64_t window, bool *given) {
    const va_json *list = va_config_take(r, "layer_types");
    *given = list != NULL;
    if (!list)
        return VA_OK;
    if (!va_json_is_array(list) || va_json_count(list) != c->n_layer)
        return va_fail(r->ctx, VA_ERR_FORMAT,
                       "%s: %slayer_types: expected a list of %" PRId64
                       " entries, got %s of %" PRId64,
                       r->path, r->prefix, c->n_layer, va_json_type(list), va_json_count(list));
    const va_json *v = va_json_first(list);
    for (int64_t n = 0; n < c->n_layer; n++, v = va_json_next(v)) {
        const char *type = va_json_as_string(v);
        const bool sliding = type && strcmp(type, "sliding_attention") == 0;
        if (!sliding && (!type || strcmp(type, "full_attention") != 0))
            return va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                           "%s: %slayer_types[%" PRId64 "] = %s: expected \"full_attention\" or "
                           "\"sliding_attention\"",
                           r->path, r->prefix, n, type ? type : va_json_type(v));
        if (sliding && window == 0)
            return va_fail(r->ctx, VA_ERR_UNSUPPORTED,
                           "%s: %slayer_types[%" PRId64 "] is sliding_attention, but no "
                           "sliding_window is in use",
                           r->path, r->prefix, n);
        own->layer[n].window = sliding ? window : 0;
    }
    return VA_OK;
}

va_status va_config_window(va_config_reader *r, int64_t *window) {
    if (va_config_is_null(r, "sliding_window"))
        *window = 0;
    return va_config_int(r, "sliding_window", 1, INT32_MAX, window);
}

va_status va_config_late_windows(va_config_reader *r, const va_arch_config *c,
                                 va_arch_decoder *own) {
    va_status st = VA_OK;
    int64_t window = 4096, first = 28;
    bool use = false, given;
    VA_TRY(va_config_bool(r, "use_sliding_window", &use));
    VA_TRY(va_config_window(r, &window));
    VA_TRY(va_config_int(r, "max_window_layers", 0, MOST_LAYERS, &first));
    if (!use)
        window = 0;
    VA_TRY(va_config_layer_types(r, c, own, window, &given));
    for (int64_t n = first; n < c->n_layer && !given; n++)
        own->layer[n].window = window;
done:
    return st;
}

va_status va_config_text_part(va_config_reader *outer, va_config_reader *inner) {
    *inner = (va_config_reader){.ctx = outer->ctx,
                                .path = outer->path,
                                .prefix = "text_config.",
                                .obj = va_config_take(outer, "text_config")};
    if (va_json_is_object(inner->obj))
        return VA_OK;
    return va_fail(outer->ctx, VA_ERR_FORMAT, "%s: text_config: expected an object", outer->path);
}

// -- in words -------------------------------------------------------------------------------------

static bool same_layer(const arch_layer *a, const arch_layer *b) {
    return a->window == b->window && a->rope == b->rope;
}

static void append_kind(const va_arch_decoder *own, const arch_layer *l, int64_t count,
                        va_strbuf *out) {
    char rope[96] = "no RoPE";
    if (l->rope != ARCH_NO_ROPE)
        va_rope_text(&own->rope[l->rope], rope);
    else if (own->positions)
        snprintf(rope, sizeof rope, "learned positions");
    va_strbuf_printf(out, "%s%" PRId64, out->len ? ", " : "", count);
    if (l->window > 0)
        va_strbuf_printf(out, " sliding (window %" PRId64 ", %s)", l->window, rope);
    else
        va_strbuf_printf(out, " full (%s)", rope);
}

// Each kind of layer once, those with a window first.
const char *va_arch_layer_text(const va_arch_config *c, char buf[256]) {
    const va_arch_decoder *own = c->decoder;
    va_strbuf text = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t n = 0; n < c->n_layer; n++) {
            const arch_layer *l = &own->layer[n];
            int64_t count = 0, first = n;
            for (int64_t m = c->n_layer - 1; m >= 0; m--) {
                count += same_layer(l, &own->layer[m]);
                first = same_layer(l, &own->layer[m]) ? m : first;
            }
            if (first == n && (pass == 0) == (l->window > 0))
                append_kind(own, l, count, &text);
        }
    }
    snprintf(buf, 256, "%s", text.data ? text.data : "");
    va_strbuf_free(&text);
    return buf;
}
