// read_direction_check.c: what a request for a direction may ask, and what it asks of the model.
// SPDX-License-Identifier: Apache-2.0
#include "read_direction_priv.h"

#include <math.h>

// -- names ----------------------------------------------------------------------------------------

typedef enum reduce_end { END_from, END_to } reduce_end;

static const struct {
    const char *name;
    reduce_end end;
    bool frame;
    const char *orientation;
} reductions[] = {
#define VA_X(id, name, site, frame, sign) [id] = {name, END_##site, frame, sign},
    VA_MAP_REDUCE_LIST(VA_X)
#undef VA_X
};
_Static_assert(sizeof reductions / sizeof *reductions == VA_REDUCE_COUNT, "one entry each");

static bool is_known(va_map_reduce r) {
    return (int)r >= 0 && r < VA_REDUCE_COUNT;
}

const char *va_map_reduce_name(va_map_reduce r) {
    return is_known(r) ? reductions[r].name : "(unknown)";
}

bool va_map_reduce_at_from(va_map_reduce r) {
    return is_known(r) && reductions[r].end == END_from;
}

bool va_map_reduce_is_frame(va_map_reduce r) {
    return is_known(r) && reductions[r].frame;
}

const char *va_map_reduce_orientation(va_map_reduce r) {
    return is_known(r) ? reductions[r].orientation : "(unknown)";
}

// -- checks ---------------------------------------------------------------------------------------

int64_t direction_width(va_model *model, const va_site *site) {
    const va_arch_config *c = va_model_config(model);
    return site->kind == VA_SITE_LOGITS ? c->vocab_size : c->d_model;
}

static va_status check_token(va_model *model, int64_t token) {
    const int64_t V = va_model_config(model)->vocab_size;
    if (token >= 0 && token < V)
        return VA_OK;
    return va_fail(va_model_ctx(model), VA_ERR_USAGE,
                   "gradient: token %lld is outside the vocabulary, expected 0 to %lld",
                   (long long)token, (long long)V - 1);
}

static va_status check_gradient(va_model *model, const va_map_direction_params *p) {
    va_status st = VA_OK;
    char text[64];
    if (p->to.kind != VA_SITE_LOGITS)
        return va_fail(va_model_ctx(model), VA_ERR_USAGE,
                       "gradient: expected a target at logits, got %s", va_site_text(&p->to, text));
    VA_TRY(check_token(model, p->token));
    if (!p->has_versus)
        return VA_OK;
    VA_TRY(check_token(model, p->versus));
    if (p->token == p->versus)
        return va_fail(va_model_ctx(model), VA_ERR_USAGE,
                       "gradient: token %lld versus itself has none", (long long)p->token);
done:
    return st;
}

static va_status check_pullback(va_model *model, const va_map_direction_params *p) {
    va_ctx *ctx = va_model_ctx(model);
    const int64_t width = direction_width(model, &p->to);
    char text[64];
    bool is_zero = true;
    if (!p->w)
        return va_fail(ctx, VA_ERR_USAGE, "pullback: expected a direction w");
    if (p->n_w != width)
        return va_fail(ctx, VA_ERR_SHAPE, "pullback: expected w of the width of %s, %lld, got %lld",
                       va_site_text(&p->to, text), (long long)width, (long long)p->n_w);
    for (int64_t i = 0; i < width; i++) {
        if (!isfinite(p->w[i]))
            return va_fail(ctx, VA_ERR_NUMERIC, "pullback: w holds NaN or infinity at index %lld",
                           (long long)i);
        is_zero &= p->w[i] == 0;
    }
    return is_zero ? va_fail(ctx, VA_ERR_NUMERIC, "pullback: w is zero") : VA_OK;
}

va_status direction_check(va_model *model, const va_map_direction_params *p) {
    va_ctx *ctx = va_model_ctx(model);
    if (p->n_prompts < 1 || !p->prompts)
        return va_fail(ctx, VA_ERR_USAGE, "a direction of a map: expected a prompt or more");
    for (int64_t i = 0; i < p->n_prompts; i++)
        if (!p->prompts[i].ids || p->prompts[i].seq_len < 1)
            return va_fail(ctx, VA_ERR_USAGE, "prompt %lld: expected at least one token",
                           (long long)i);
    if (!is_known(p->reduce) || (p->mode != VA_EXACT && p->mode != VA_DETACHED))
        return va_fail(ctx, VA_ERR_USAGE, "a direction of a map: no reduction %d or mode %d",
                       (int)p->reduce, (int)p->mode);
    const bool frame = va_map_reduce_is_frame(p->reduce);
    if (p->rank < 0 || (!frame && p->rank > 1))
        return va_fail(ctx, VA_ERR_USAGE, "%s: expected a rank of %s, got %lld",
                       va_map_reduce_name(p->reduce), frame ? "1 or more" : "1",
                       (long long)p->rank);
    if (p->reduce == VA_REDUCE_GRADIENT)
        return check_gradient(model, p);
    return p->reduce == VA_REDUCE_PULLBACK ? check_pullback(model, p) : VA_OK;
}

va_status direction_check_shape(va_model *model, const va_map_direction_params *p,
                                const va_linmap_shape *s) {
    va_ctx *ctx = va_model_ctx(model);
    const bool at_from = va_map_reduce_at_from(p->reduce);
    const int64_t rows = at_from ? s->T_in : s->T_out, rank = VA_MAX(p->rank, 1);
    const int64_t n_sigma = VA_MIN(s->T_in * s->d_in, s->T_out * s->d_out);
    char text[64];
    if (!va_map_reduce_is_frame(p->reduce))
        return VA_OK;
    if (rows != 1)
        return va_fail(ctx, VA_ERR_USAGE,
                       "%s singular vectors are directions at `%s`: expected one position there, "
                       "got %s with %lld tokens",
                       va_map_reduce_name(p->reduce), at_from ? "from" : "to",
                       va_site_text(at_from ? &p->from : &p->to, text), (long long)rows);
    if (rank > n_sigma)
        return va_fail(ctx, VA_ERR_USAGE, "%s: rank %lld exceeds the map's %lld singular values",
                       va_map_reduce_name(p->reduce), (long long)rank, (long long)n_sigma);
    return VA_OK;
}

// -- what is asked of model and svd ---------------------------------------------------------------

va_svd_params direction_svd(const va_map_direction_params *p) {
    return (va_svd_params){.k = VA_MAX(p->rank, 1),
                           .tolerance = p->tolerance,
                           .max_iterations = p->max_iterations,
                           .seed = p->seed};
}

va_map_budget direction_budget(const va_map_direction_params *p, const va_linmap_shape *s) {
    const va_svd_params svd = direction_svd(p);
    va_map_budget b = p->budget ? *p->budget : (va_map_budget){0};
    int64_t fewest = 1, most = 1;
    if (va_map_reduce_is_frame(p->reduce))
        va_svd_block_range(&svd, s->T_out * s->d_out, s->T_in * s->d_in, &fewest, &most);
    b.max_k = b.max_k > 0 ? VA_MIN(b.max_k, most) : most;
    b.min_k = VA_MIN(fewest, b.max_k);
    return b;
}

va_prompt_params direction_prompt(const va_map_direction_params *p, va_site *sites) {
    const va_mean_prompt *one = &p->prompts[0];
    sites[0] = p->from;
    sites[1] = p->to;
    return (va_prompt_params){.ids = one->ids,
                              .seq_len = one->seq_len,
                              .sites = sites,
                              .n_sites = 2,
                              .derivatives = true,
                              .modes = 1u << p->mode,
                              .concept_first = one->concept_first,
                              .concept_count = one->concept_count};
}

va_mean_params direction_mean(const va_map_direction_params *p, const va_map_budget *budget) {
    return (va_mean_params){.prompts = p->prompts,
                            .n_prompts = p->n_prompts,
                            .from = p->from,
                            .to = p->to,
                            .mode = p->mode,
                            .keep = p->keep,
                            .budget = budget};
}

va_linmap_shape direction_mean_shape(va_model *model, const va_map_direction_params *p) {
    return (va_linmap_shape){.T_in = 1,
                             .d_in = direction_width(model, &p->from),
                             .T_out = 1,
                             .d_out = direction_width(model, &p->to)};
}
