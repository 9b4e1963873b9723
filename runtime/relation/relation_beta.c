// How much of W s: the factor beta, chosen where the operator was not fitted.
//
// At a pair that it was fitted on, W s + b is close to o by construction, and beta would be drawn
// to 1; so each training example is judged by the operator of the others.
// SPDX-License-Identifier: Apache-2.0
#include "relation_priv.h"

#include <math.h>
#include <stdlib.h>

// The pairs first..end-1 are those of one example.
static va_status leave_example_out(const va_relation *r, const relation_states *x, int64_t first,
                                   int64_t end, float *Js, double *sums, relation_states *left) {
    va_status st = VA_OK;
    const int64_t d = x->d, k = end - first;
    const double n = (double)x->n, rest = (double)(x->n - k);
    double *Ws = sums, *b = sums + k * d;
    for (int64_t e = 0; e < k * d; e++) {
        Ws[e] = n * x->Ws[first * d + e];
        b[e] = n * r->b[e % d];
    }
    for (int64_t i = first; i < end; i++) {
        VA_TRY(va_mean_map_apply_one(r->mean, i, x->s + first * d, k, Js));
        const float *own = Js + (i - first) * d;
        for (int64_t e = 0; e < k * d; e++) {
            Ws[e] -= Js[e];
            b[e] -= (double)x->o[i * d + e % d] - own[e % d];
        }
    }
    for (int64_t e = 0; e < k * d; e++) {
        left->Ws[first * d + e] = (float)(Ws[e] / rest);
        left->b[first * d + e] = (float)(b[e] / rest);
    }
done:
    return st;
}

va_status relation_leave_out(const va_relation *relation, va_arena *arena,
                             const relation_states *train, relation_states *left, bool *possible) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(relation->model);
    const int64_t n = train->n, d = train->d;
    float *Js = NULL;
    double *sums = NULL;
    *left = *train;
    *possible = train->pairs[0].example != train->pairs[n - 1].example;
    if (!*possible)
        return VA_OK;
    VA_TRY_ALLOC(ctx, Js, malloc((size_t)(n * d) * sizeof *Js));
    VA_TRY_ALLOC(ctx, sums, malloc((size_t)(2 * n * d) * sizeof *sums));
    VA_TRY_ALLOC(ctx, left->Ws, VA_NEW_ARRAY(arena, float, n *d));
    VA_TRY_ALLOC(ctx, left->b, VA_NEW_ARRAY(arena, float, n *d));
    for (int64_t first = 0, end; first < n; first = end) {
        for (end = first; end < n && train->pairs[end].example == train->pairs[first].example;)
            end++;
        VA_TRY(va_check_interrupt(ctx));
        VA_TRY(leave_example_out(relation, train, first, end, Js, sums, left));
    }
done:
    free(Js);
    free(sums);
    return st;
}

va_status relation_says(const va_relation *relation, double beta, const relation_states *x,
                        int32_t *tokens) {
    va_status st = VA_OK;
    float *o = NULL;
    VA_TRY_ALLOC(va_model_ctx(relation->model), o, malloc((size_t)(x->n * x->d) * sizeof *o));
    va_relation_finish(relation, beta, x->Ws, x->n, o);
    for (int64_t i = 0; x->b && i < x->n * x->d; i++)
        o[i] = (float)(beta * x->Ws[i] + x->b[i]);
    VA_TRY(va_relation_decode(relation->model, o, x->n, tokens));
done:
    free(o);
    return st;
}

va_status relation_choose_beta(va_relation *relation, double given, const relation_states *train,
                               va_relation_rate *rate) {
    static const double grid[] = VA_RELATION_BETAS;
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(relation->model);
    const double *betas = given > 0 ? &given : grid;
    const int64_t n = given > 0 ? 1 : VA_COUNT(grid);
    int32_t *said = NULL;
    double *temp = NULL;
    *rate = (va_relation_rate){.rate = -1};
    VA_TRY_ALLOC(ctx, said, malloc((size_t)train->n * sizeof *said));
    VA_TRY_ALLOC(ctx, temp, malloc((size_t)train->n * sizeof *temp));
    for (int64_t i = 0; i < n; i++) {
        VA_TRY(relation_says(relation, betas[i], train, said));
        const va_relation_rate one =
            relation_agreement(train->pairs, train->n, said, train->next, temp);
        const bool nearer = fabs(log(betas[i])) < fabs(log(relation->beta));
        if (one.rate > rate->rate || (one.rate == rate->rate && nearer)) {
            *rate = one;
            relation->beta = betas[i];
        }
    }
done:
    free(said);
    free(temp);
    return st;
}
