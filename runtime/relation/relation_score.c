// What a relation operator is worth, one number at a time: rates, targets, causality.
// SPDX-License-Identifier: Apache-2.0
#include "relation_priv.h"

#include <math.h>
#include <stdlib.h>

// -- rates ----------------------------------------------------------------------------------------

// The mean over pairs, and its standard error where the pairs of a subject go together:
// G / (G - 1) sum_g (sum over the pairs of g of v - mean)^2 / n^2 of G subjects.
va_relation_rate relation_rate(const va_relation_pair *pairs, int64_t n, const double *values,
                               const bool *skip) {
    va_relation_rate rate = {.rate = NAN, .error = NAN};
    double sum = 0, squares = 0;
    int64_t groups = 0;
    for (int64_t i = 0; i < n; i++)
        if (!skip || !skip[i])
            sum += values[i], rate.n++;
    if (rate.n == 0)
        return rate;
    rate.rate = sum / (double)rate.n;
    for (int64_t i = 0; i < n;) {
        double group = 0;
        int64_t counted = 0;
        const int64_t example = pairs[i].example;
        for (; i < n && pairs[i].example == example; i++)
            if (!skip || !skip[i])
                group += values[i] - rate.rate, counted++;
        squares += group * group;
        groups += counted > 0;
    }
    if (groups > 1)
        rate.error = sqrt((double)groups / (double)(groups - 1) * squares) / (double)rate.n;
    return rate;
}

int64_t relation_measured(const int32_t *wanted, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (wanted[i] < 0)
            return 0;
    return n;
}

va_relation_rate relation_agreement(const va_relation_pair *pairs, int64_t n, const int32_t *said,
                                    const int32_t *wanted, double *temp) {
    for (int64_t i = 0; i < n; i++)
        temp[i] = said[i] == wanted[i];
    return relation_rate(pairs, relation_measured(wanted, n), temp, NULL);
}

// -- states ---------------------------------------------------------------------------------------

va_status relation_states_read(va_model *model, va_arena *arena, int64_t layer,
                               const va_relation_pair *pairs, int64_t n, relation_states *x) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(model);
    *x = (relation_states){.pairs = pairs, .n = n, .d = va_model_config(model)->d_model};
    VA_TRY_ALLOC(ctx, x->s, VA_NEW_ARRAY(arena, float, n * x->d));
    VA_TRY_ALLOC(ctx, x->o, VA_NEW_ARRAY(arena, float, n * x->d));
    VA_TRY_ALLOC(ctx, x->Ws, VA_NEW_ARRAY(arena, float, n * x->d));
    VA_TRY_ALLOC(ctx, x->next, VA_NEW_ARRAY(arena, int32_t, n));
    VA_TRY(va_relation_run(model, layer, pairs, n, NULL, x->s, x->o, x->next));
done:
    return st;
}

// -- causality ------------------------------------------------------------------------------------

static bool is_target(const relation_states *x, int64_t i, int64_t j) {
    return x->pairs[j].prompt == x->pairs[i].prompt && x->next[j] != x->next[i];
}

va_status relation_targets(va_model *model, va_arena *arena, const relation_states *x,
                           uint64_t seed, int64_t **targets) {
    enum { DRAWS = 64 }; // then the next one in order
    va_status st = VA_OK;
    va_rng rng = va_rng_make(seed, va_hash64("relation targets"));
    VA_TRY_ALLOC(va_model_ctx(model), *targets, VA_NEW_ARRAY(arena, int64_t, x->n));
    for (int64_t i = 0; i < x->n; i++) {
        int64_t found = -1, j = 0;
        for (int draw = 0; draw < DRAWS && found < 0; draw++) {
            j = va_rng_below(&rng, (uint32_t)x->n);
            found = is_target(x, i, j) ? j : -1;
        }
        for (int64_t step = 0; step < x->n && found < 0; step++) {
            j = (j + 1) % x->n;
            found = is_target(x, i, j) ? j : -1;
        }
        (*targets)[i] = found;
    }
done:
    return st;
}

static double length(const float *x, int64_t d) {
    double sum = 0;
    for (int64_t a = 0; a < d; a++)
        sum += (double)x[a] * x[a];
    return sqrt(sum);
}

static void random_direction(va_rng *rng, float *x, int64_t d, double wanted) {
    for (int64_t a = 0; a < d; a++)
        x[a] = (float)va_rng_normal(rng);
    const double scale = wanted / length(x, d);
    for (int64_t a = 0; a < d; a++)
        x[a] = (float)(scale * x[a]);
}

// What is added to every s; nothing where there is no target.
static va_status make_edits(const va_relation *relation, const relation_states *x,
                            const int64_t *targets, va_relation_edit edit, int64_t rank,
                            uint64_t seed, float *ds) {
    va_status st = VA_OK;
    const int64_t d = x->d;
    va_rng rng = va_rng_make(seed, va_hash64("relation random edit"));
    const float *values = edit == VA_RELATION_SUBSTITUTION ? x->s : x->o;
    for (int64_t i = 0; i < x->n; i++)
        for (int64_t a = 0; a < d; a++)
            ds[i * d + a] = targets[i] < 0 ? 0 : values[targets[i] * d + a] - values[i * d + a];
    if (edit != VA_RELATION_SUBSTITUTION)
        VA_TRY(va_relation_solve(relation, rank, ds, x->n, ds));
    for (int64_t i = 0; i < x->n && edit == VA_RELATION_RANDOM; i++)
        random_direction(&rng, ds + i * d, d, length(ds + i * d, d));
done:
    return st;
}

va_status relation_causality(const va_relation *relation, const relation_states *x,
                             const int64_t *targets, va_relation_edit edit, int64_t rank,
                             uint64_t seed, va_relation_rate *rate) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(relation->model);
    float *ds = NULL;
    int32_t *said = NULL;
    double *hit = NULL;
    bool *skip = NULL;
    VA_TRY_ALLOC(ctx, ds, malloc((size_t)(x->n * x->d) * sizeof *ds));
    VA_TRY_ALLOC(ctx, said, malloc((size_t)x->n * sizeof *said));
    VA_TRY_ALLOC(ctx, hit, malloc((size_t)x->n * sizeof *hit));
    VA_TRY_ALLOC(ctx, skip, malloc((size_t)x->n * sizeof *skip));
    VA_TRY(make_edits(relation, x, targets, edit, rank, seed, ds));
    VA_TRY(va_relation_run(relation->model, relation->layer, x->pairs, x->n, ds, NULL, NULL, said));
    for (int64_t i = 0; i < x->n; i++) {
        skip[i] = targets[i] < 0;
        hit[i] = !skip[i] && said[i] == x->next[targets[i]];
    }
    *rate = relation_rate(x->pairs, x->n, hit, skip);
done:
    free(ds);
    free(said);
    free(hit);
    free(skip);
    return st;
}
