// plan_map.c: what the directions of derivatives need to know beforehand.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "plan.h"

va_status va_plan_map(va_experiment *e, const va_unit *u, va_map_direction_params *params) {
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    const int64_t *token =
        e->plan.tokens + 2 * (u->direction * e->spec.n_concepts + u->concept_index);
    *params =
        (va_map_direction_params){.mode = dir->mode,
                                  .reduce = dir->reduce,
                                  .rank = dir->rank,
                                  .token = token[0],
                                  .has_versus = dir->reduce == VA_REDUCE_GRADIENT && token[1] >= 0,
                                  .versus = token[1],
                                  .seed = (uint64_t)e->spec.seed};
    if (!va_plan_site(e, dir, dir->from, u->layer, &params->from) ||
        !va_plan_site(e, dir, dir->to, u->layer, &params->to))
        return va_fail(e->ctx, VA_ERR_SPEC, "directions.%s: bad site", dir->name);
    return VA_OK;
}

// A text that must be one token; -1 for none.
static va_status one_token(va_experiment *e, const va_direction_spec *dir, const char *key,
                           const char *text, int64_t c, int64_t *token) {
    va_status st = VA_OK;
    va_tokenizer *tok = va_model_tokenizer(e->plan.model);
    const char *full = va_spec_expand(e->arena, text, "{concept}", e->spec.concepts[c].name);
    va_token *out;
    int64_t n;
    *token = -1;
    if (!text[0])
        goto done;
    if (!tok)
        return va_fail(e->ctx, VA_ERR_USAGE, "directions.%s: the model has no tokenizer",
                       dir->name);
    VA_TRY(va_tokenizer_encode(tok, e->arena, full, (int64_t)strlen(full), false, &out, &n));
    if (n == 1)
        *token = out[0].id;
    else
        va_diagnose(&e->diag, dir->place, "", "directions.%s.%s: expected one token, '%s' is %lld",
                    dir->name, key, full, (long long)n);
done:
    return st;
}

va_status va_plan_tokens(va_experiment *e) {
    va_status st = VA_OK;
    const va_spec *s = &e->spec;
    VA_TRY_ALLOC(e->ctx, e->plan.tokens,
                 VA_NEW_ARRAY(e->arena, int64_t, 2 * s->n_directions * s->n_concepts));
    for (int64_t i = 0; i < s->n_directions * s->n_concepts; i++) {
        const va_direction_spec *dir = &s->directions[i / s->n_concepts];
        if (dir->kind != VA_DIRECTION_JACOBIAN || dir->reduce != VA_REDUCE_GRADIENT)
            continue;
        const int64_t c = i % s->n_concepts;
        VA_TRY(one_token(e, dir, "token", dir->token, c, &e->plan.tokens[2 * i]));
        VA_TRY(one_token(e, dir, "versus", dir->versus, c, &e->plan.tokens[2 * i + 1]));
        const int64_t *token = &e->plan.tokens[2 * i];
        if (token[0] >= 0 && token[0] == token[1])
            va_diagnose(
                &e->diag, dir->place, "",
                "directions.%s.versus: expected another token than `token` for concept '%s'",
                dir->name, s->concepts[c].name);
    }
done:
    return st;
}
