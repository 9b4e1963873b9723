// linmap_combine.c: products B A and weighted sums of linear maps.
// SPDX-License-Identifier: Apache-2.0
#include "linmap_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct product {
    va_linmap *B, *A;         // borrowed
    va_scratch_block between; // A's output
} product;

static va_status product_between(product *p, int64_t k, va_block *block) {
    const va_linmap_shape *s = &p->A->shape;
    return va_linmap_scratch(p->A->gpu, &p->between, s->T_out, k, s->d_out, block);
}

static va_status product_apply(void *self, const va_block *x, const va_block *y) {
    va_status st = VA_OK;
    product *p = self;
    va_block between;
    VA_TRY(product_between(p, x->k, &between));
    VA_TRY(va_linmap_apply(p->A, x, &between));
    VA_TRY(va_linmap_apply(p->B, &between, y));
done:
    return st;
}

static va_status product_apply_t(void *self, const va_block *y, const va_block *x) {
    va_status st = VA_OK;
    product *p = self;
    va_block between;
    VA_TRY(product_between(p, y->k, &between));
    VA_TRY(va_linmap_apply_t(p->B, y, &between));
    VA_TRY(va_linmap_apply_t(p->A, &between, x));
done:
    return st;
}

static void product_destroy(void *self) {
    product *p = self;
    va_buffer_destroy(&p->between.buffer);
    free(p);
}

va_status va_linmap_compose(va_linmap *B, va_linmap *A, va_linmap **map) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(A->gpu);
    product *p = NULL;
    va_strbuf label = {0};
    static const va_linmap_ops ops = {product_apply, product_apply_t, product_destroy};
    *map = NULL;
    if (A->gpu != B->gpu || A->shape.T_out != B->shape.T_in || A->shape.d_out != B->shape.d_in)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "product of maps: %s takes [%lld, %lld], but %s gives [%lld, %lld]",
                       B->label, (long long)B->shape.T_in, (long long)B->shape.d_in, A->label,
                       (long long)A->shape.T_out, (long long)A->shape.d_out);
    const va_linmap_shape shape = {A->shape.T_in, A->shape.d_in, B->shape.T_out, B->shape.d_out};
    va_strbuf_printf(&label, "(%s) o (%s)", B->label, A->label);
    VA_TRY_ALLOC(ctx, p, calloc(1, sizeof *p));
    *p = (product){.B = B, .A = A};
    VA_TRY(va_linmap_create(A->gpu, &shape, VA_MIN(A->max_k, B->max_k), &ops, p, label.data, map));
done:
    va_strbuf_free(&label);
    return st;
}

typedef struct sum {
    va_linmap **maps; // borrowed maps in an owned array
    double *weights;
    int64_t n;
    va_scratch_block term;
} sum;

// to = sum of the terms, each applied into a scratch block first.
static va_status sum_terms(sum *s, bool transposed, const va_block *from, const va_block *to) {
    va_status st = VA_OK;
    va_gpu *gpu = s->maps[0]->gpu;
    va_block term;
    VA_TRY(va_linmap_scratch(gpu, &s->term, to->T, to->k, to->d, &term));
    for (int64_t i = 0; i < s->n; i++) {
        if (transposed)
            VA_TRY(va_linmap_apply_t(s->maps[i], from, &term));
        else
            VA_TRY(va_linmap_apply(s->maps[i], from, &term));
        VA_TRY(va_vec_axpby(gpu, (float)s->weights[i], &term, i == 0 ? 0.0f : 1.0f, to));
    }
done:
    return st;
}

static va_status sum_apply(void *self, const va_block *x, const va_block *y) {
    return sum_terms(self, false, x, y);
}

static va_status sum_apply_t(void *self, const va_block *y, const va_block *x) {
    return sum_terms(self, true, y, x);
}

static void sum_destroy(void *self) {
    sum *s = self;
    va_buffer_destroy(&s->term.buffer);
    free(s->maps);
    free(s->weights);
    free(s);
}

static va_status check_terms(va_linmap *const *maps, int64_t n) {
    for (int64_t i = 1; i < n; i++)
        if (maps[i]->gpu != maps[0]->gpu ||
            memcmp(&maps[i]->shape, &maps[0]->shape, sizeof maps[i]->shape) != 0)
            return va_fail(va_gpu_ctx(maps[0]->gpu), VA_ERR_SHAPE,
                           "sum of maps: %s and %s differ in shape", maps[0]->label,
                           maps[i]->label);
    return VA_OK;
}

va_status va_linmap_sum(va_linmap *const *maps, const double *weights, int64_t n, va_linmap **map) {
    assert(n >= 1);
    va_ctx *ctx = va_gpu_ctx(maps[0]->gpu);
    va_status st = check_terms(maps, n);
    static const va_linmap_ops ops = {sum_apply, sum_apply_t, sum_destroy};
    int64_t max_k = INT64_MAX;
    va_strbuf label = {0};
    sum *s = NULL;
    *map = NULL;
    if (st != VA_OK)
        return st;
    VA_TRY_ALLOC(ctx, s, calloc(1, sizeof *s));
    s->n = n;
    VA_TRY_ALLOC(ctx, s->maps, calloc((size_t)n, sizeof *s->maps));
    VA_TRY_ALLOC(ctx, s->weights, calloc((size_t)n, sizeof *s->weights));
    for (int64_t i = 0; i < n; i++) {
        s->maps[i] = maps[i];
        s->weights[i] = weights[i];
        max_k = VA_MIN(max_k, maps[i]->max_k);
    }
    va_strbuf_printf(&label, "sum of %lld: %s, ...", (long long)n, maps[0]->label);
    sum *taken = s;
    s = NULL; // the map frees it from here on, also when it fails
    VA_TRY(va_linmap_create(maps[0]->gpu, &maps[0]->shape, max_k, &ops, taken, label.data, map));
done:
    if (s)
        sum_destroy(s);
    va_strbuf_free(&label);
    return st;
}
