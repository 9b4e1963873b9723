// linmap.c: a linear map from callbacks; checked applications on device blocks.
// SPDX-License-Identifier: Apache-2.0
#include "linmap_priv.h"

#include <stdlib.h>
#include <string.h>

static bool shape_is_good(const va_linmap_shape *s) {
    return s->T_in >= 1 && s->d_in >= 1 && s->T_out >= 1 && s->d_out >= 1 &&
           va_block_bytes(s->T_in, 1, s->d_in) > 0 && va_block_bytes(s->T_out, 1, s->d_out) > 0;
}

va_status va_linmap_create(va_gpu *gpu, const va_linmap_shape *shape, int64_t max_k,
                           const va_linmap_ops *ops, void *self, const char *label,
                           va_linmap **map) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(gpu);
    va_linmap *made = NULL;
    *map = NULL;
    if (!shape_is_good(shape) || max_k < 1) {
        st = va_fail(ctx, VA_ERR_SHAPE,
                     "map %s: expected positive sizes and at least one vector at once, got "
                     "[%lld, %lld] -> [%lld, %lld] and %lld",
                     label ? label : "", (long long)shape->T_in, (long long)shape->d_in,
                     (long long)shape->T_out, (long long)shape->d_out, (long long)max_k);
        goto done;
    }
    VA_TRY_ALLOC(ctx, made, calloc(1, sizeof *made));
    *made = (va_linmap){.gpu = gpu, .shape = *shape, .max_k = max_k, .ops = *ops, .self = self};
    VA_TRY_ALLOC(ctx, made->label, strdup(label ? label : ""));
    *map = made;
done:
    if (st != VA_OK) {
        if (ops->destroy)
            ops->destroy(self);
        free(made);
    }
    return st;
}

void va_linmap_destroy(va_linmap **map) {
    if (!map || !*map)
        return;
    if ((*map)->ops.destroy)
        (*map)->ops.destroy((*map)->self);
    va_buffer_destroy(&(*map)->in.buffer);
    va_buffer_destroy(&(*map)->out.buffer);
    free((*map)->label);
    free(*map);
    *map = NULL;
}

va_linmap_shape va_linmap_get_shape(const va_linmap *map) {
    return map->shape;
}

int64_t va_linmap_max_k(const va_linmap *map) {
    return map->max_k;
}

va_gpu *va_linmap_gpu(const va_linmap *map) {
    return map->gpu;
}

const char *va_linmap_label(const va_linmap *map) {
    return map->label;
}

int64_t va_linmap_in(const va_linmap *map) {
    return map->shape.T_in * map->shape.d_in;
}

int64_t va_linmap_out(const va_linmap *map) {
    return map->shape.T_out * map->shape.d_out;
}

va_status va_linmap_scratch(va_gpu *gpu, va_scratch_block *s, int64_t T, int64_t k, int64_t d,
                            va_block *block) {
    int64_t bytes = va_block_bytes(T, k, d);
    if (s->buffer && va_buffer_size(s->buffer) < bytes)
        va_buffer_destroy(&s->buffer);
    if (!s->buffer) {
        va_status st = va_block_create(gpu, T, k, d, "linmap scratch", &s->buffer, block);
        if (st != VA_OK)
            return st;
    }
    *block = (va_block){T, k, d, va_slice_at(va_buffer_all(s->buffer), 0, bytes)};
    return VA_OK;
}

static bool block_is(const va_block *b, int64_t T, int64_t k, int64_t d) {
    return b->T == T && b->d == d && b->k == k && b->mem.buffer &&
           b->mem.size_bytes >= va_block_bytes(T, k, d);
}

static va_status check_blocks(const va_linmap *map, const va_block *x, const va_block *y) {
    const va_linmap_shape *s = &map->shape;
    if (x->k >= 1 && x->k <= map->max_k && block_is(x, s->T_in, x->k, s->d_in) &&
        block_is(y, s->T_out, x->k, s->d_out))
        return VA_OK;
    return va_fail(va_gpu_ctx(map->gpu), VA_ERR_SHAPE,
                   "map %s: expected blocks [%lld, k, %lld] -> [%lld, k, %lld] with k from 1 to "
                   "%lld, got [%lld, %lld, %lld] -> [%lld, %lld, %lld]",
                   map->label, (long long)s->T_in, (long long)s->d_in, (long long)s->T_out,
                   (long long)s->d_out, (long long)map->max_k, (long long)x->T, (long long)x->k,
                   (long long)x->d, (long long)y->T, (long long)y->k, (long long)y->d);
}

va_status va_linmap_apply(va_linmap *map, const va_block *x, const va_block *y) {
    va_status st = check_blocks(map, x, y);
    return st == VA_OK ? map->ops.apply(map->self, x, y) : st;
}

va_status va_linmap_apply_t(va_linmap *map, const va_block *y, const va_block *x) {
    va_status st = check_blocks(map, x, y);
    return st == VA_OK ? map->ops.apply_t(map->self, y, x) : st;
}
