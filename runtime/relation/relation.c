// A linear relation operator: fitted, applied, inverted; names.
// SPDX-License-Identifier: Apache-2.0
#include "relation_priv.h"

#include <stdlib.h>
#include <string.h>

// -- fitting --------------------------------------------------------------------------------------

static va_status make_mean(va_relation *r, const va_relation_params *params,
                           const va_relation_pair *pairs, int64_t n) {
    va_status st = VA_OK;
    va_mean_prompt *prompts = NULL;
    const int64_t L = va_model_config(r->model)->n_layer;
    VA_TRY_ALLOC(va_model_ctx(r->model), prompts, calloc((size_t)n, sizeof *prompts));
    for (int64_t i = 0; i < n; i++)
        prompts[i] = (va_mean_prompt){.ids = pairs[i].ids,
                                      .seq_len = pairs[i].seq_len,
                                      .concept_first = pairs[i].subject,
                                      .concept_count = 1};
    const va_mean_params mean = {
        .prompts = prompts,
        .n_prompts = n,
        .from = {.kind = VA_SITE_RESID, .layer = r->layer, .position = VA_POS_CONCEPT},
        .to = {.kind = VA_SITE_RESID, .layer = L, .position = VA_POS_LAST},
        .mode = r->mode,
        .keep = params->keep,
        .budget = params->budget};
    VA_TRY(va_mean_map_create(r->model, &mean, &r->mean));
done:
    free(prompts);
    return st;
}

va_status va_relation_fit(va_model *model, va_arena *arena, const va_relation_params *params,
                          const va_relation_pair *pairs, int64_t n, va_relation *relation) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(model);
    const int64_t L = va_model_config(model)->n_layer;
    *relation = (va_relation){.model = model,
                              .d = va_model_config(model)->d_model,
                              .layer = params->layer,
                              .mode = params->mode,
                              .beta = 1};
    if (params->layer < 0 || params->layer >= L)
        return va_fail(ctx, VA_ERR_USAGE, "a relation at layer %lld: expected 0 to %lld",
                       (long long)params->layer, (long long)L - 1);
    if (n < 1)
        return va_fail(ctx, VA_ERR_USAGE, "a relation: expected at least one pair, got %lld",
                       (long long)n);
    VA_TRY(make_mean(relation, params, pairs, n));
    VA_TRY_ALLOC(ctx, relation->b, VA_NEW_ARRAY(arena, float, relation->d));
    VA_TRY_ALLOC(ctx, relation->mean_s, VA_NEW_ARRAY(arena, float, relation->d));
    VA_TRY_ALLOC(ctx, relation->mean_o, VA_NEW_ARRAY(arena, float, relation->d));
    VA_TRY(va_mean_map_means(relation->mean, relation->mean_s, relation->mean_o, relation->b));
done:
    if (st != VA_OK)
        va_relation_free(relation);
    return st;
}

void va_relation_free(va_relation *relation) {
    if (relation->mean)
        va_mean_map_destroy(&relation->mean);
}

// -- applying -------------------------------------------------------------------------------------

va_status va_relation_apply(va_relation *relation, const float *s, int64_t n, float *Ws) {
    return va_linmap_apply_host(va_mean_map_linmap(relation->mean), s, n, Ws);
}

void va_relation_finish(const va_relation *relation, double beta, const float *Ws, int64_t n,
                        float *o) {
    for (int64_t i = 0; i < n * relation->d; i++)
        o[i] = (float)(beta * Ws[i] + relation->b[i % relation->d]);
}

// -- inverting ------------------------------------------------------------------------------------

va_status va_relation_invert(va_relation *relation, va_arena *arena, int64_t r) {
    enum { DENSE_WIDTH = 1024 }; // as wide, the whole of W is no more work than many iterations
    const va_svd_params params = {
        .k = r, .method = relation->d <= DENSE_WIDTH ? VA_SVD_DENSE : VA_SVD_SUBSPACE};
    return va_svd(va_model_ctx(relation->model), arena, va_mean_map_linmap(relation->mean), &params,
                  &relation->svd);
}

va_status va_relation_solve(const va_relation *relation, int64_t r, const float *d_o, int64_t n,
                            float *ds) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(relation->model);
    const int64_t d = relation->d;
    const va_svd_result *svd = &relation->svd;
    double *sum = NULL;
    if (r < 1 || r > VA_MIN(svd->k, svd->rank))
        return va_fail(ctx, VA_ERR_USAGE, "an inverse of rank %lld: expected 1 to %lld",
                       (long long)r, (long long)VA_MIN(svd->k, svd->rank));
    VA_TRY_ALLOC(ctx, sum, malloc((size_t)d * sizeof *sum));
    for (int64_t i = 0; i < n; i++) {
        memset(sum, 0, (size_t)d * sizeof *sum);
        for (int64_t j = 0; j < r; j++) {
            const float *u = svd->U + j * d, *v = svd->V + j * d;
            double c = 0;
            for (int64_t a = 0; a < d; a++)
                c += (double)u[a] * d_o[i * d + a];
            for (int64_t a = 0; a < d; a++)
                sum[a] += c / svd->sigma[j] * v[a];
        }
        for (int64_t a = 0; a < d; a++)
            ds[i * d + a] = (float)sum[a];
    }
done:
    free(sum);
    return st;
}

// -- names ----------------------------------------------------------------------------------------

const char *va_relation_decoder_name(va_relation_decoder d) {
    static const char *const names[] = {
#define VA_X(id, name, text) name,
        VA_RELATION_DECODER_LIST(VA_X)
#undef VA_X
    };
    return names[d];
}

const char *va_relation_decoder_text(va_relation_decoder d) {
    static const char *const texts[] = {
#define VA_X(id, name, text) text,
        VA_RELATION_DECODER_LIST(VA_X)
#undef VA_X
    };
    return texts[d];
}

const char *va_relation_edit_name(va_relation_edit e) {
    static const char *const names[] = {
#define VA_X(id, name, text) name,
        VA_RELATION_EDIT_LIST(VA_X)
#undef VA_X
    };
    return names[e];
}

const char *va_relation_edit_text(va_relation_edit e) {
    static const char *const texts[] = {
#define VA_X(id, name, text) text,
        VA_RELATION_EDIT_LIST(VA_X)
#undef VA_X
    };
    return texts[e];
}
