// A relation operator beside what a number must be compared with: its chance levels.
// SPDX-License-Identifier: Apache-2.0
#include "relation_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct evaluation {
    va_model *model;
    va_ctx *ctx;
    va_arena *arena;
    const va_relation_params *params;
    va_relation *relation;
    va_relation_result *result;
    relation_states train, test;
    int32_t *said, *objects; // [n_test]
    double *temp;            // [n_test]
} evaluation;

// -- faithfulness ---------------------------------------------------------------------------------

// What e->said of the test pairs is worth.
static void record(evaluation *e, va_relation_decoder d) {
    const relation_states *x = &e->test;
    e->result->says_next[d] = relation_agreement(x->pairs, x->n, e->said, x->next, e->temp);
    e->result->says_object[d] = relation_agreement(x->pairs, x->n, e->said, e->objects, e->temp);
}

static int compare_tokens(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

// Entries of sorted[n] that are less than token.
static int64_t count_below(const int32_t *sorted, int64_t n, int64_t token) {
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sorted[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The share of the pairs of other examples that say the wanted token, as the mean over pairs.
static va_relation_rate shuffled_rate(evaluation *e, const int32_t *sorted, const int32_t *wanted) {
    const relation_states *x = &e->test;
    for (int64_t first = 0, end; first < x->n; first = end) {
        for (end = first; end < x->n && x->pairs[end].example == x->pairs[first].example;)
            end++;
        for (int64_t i = first; i < end; i++) {
            int64_t hits = count_below(sorted, x->n, (int64_t)wanted[i] + 1) -
                           count_below(sorted, x->n, wanted[i]);
            for (int64_t j = first; j < end; j++)
                hits -= e->said[j] == wanted[i];
            e->temp[i] = end - first < x->n ? (double)hits / (double)(x->n - (end - first)) : 0;
        }
    }
    return relation_rate(x->pairs, relation_measured(wanted, x->n), e->temp, NULL);
}

// e->said holds what the operator says.
static va_status record_shuffled(evaluation *e) {
    va_status st = VA_OK;
    const int64_t n = e->test.n;
    int32_t *sorted = NULL;
    VA_TRY_ALLOC(e->ctx, sorted, malloc((size_t)n * sizeof *sorted));
    memcpy(sorted, e->said, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_tokens);
    e->result->says_next[VA_RELATION_SHUFFLED] = shuffled_rate(e, sorted, e->test.next);
    e->result->says_object[VA_RELATION_SHUFFLED] = shuffled_rate(e, sorted, e->objects);
done:
    free(sorted);
    return st;
}

// The most frequent of n tokens, of equals the smallest; n_different of them.
static va_status most_frequent(va_ctx *ctx, const int32_t *tokens, int64_t n, int32_t *best,
                               int64_t *n_different) {
    va_status st = VA_OK;
    int32_t *sorted = NULL;
    int64_t most = 0;
    *n_different = 0;
    VA_TRY_ALLOC(ctx, sorted, malloc((size_t)n * sizeof *sorted));
    memcpy(sorted, tokens, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_tokens);
    for (int64_t first = 0, end; first < n; first = end, ++*n_different) {
        for (end = first; end < n && sorted[end] == sorted[first];)
            end++;
        if (end - first > most)
            most = end - first, *best = sorted[first];
    }
done:
    free(sorted);
    return st;
}

// s + shift, decoded (shift may be NULL); only_shift: the shift alone.
static va_status record_shifted(evaluation *e, va_relation_decoder d, const double *shift,
                                bool only_shift) {
    va_status st = VA_OK;
    const relation_states *x = &e->test;
    float *o = NULL;
    VA_TRY_ALLOC(e->ctx, o, malloc((size_t)(x->n * x->d) * sizeof *o));
    for (int64_t i = 0; i < x->n * x->d; i++)
        o[i] = (float)((only_shift ? 0 : x->s[i]) + (shift ? shift[i % x->d] : 0));
    VA_TRY(va_relation_decode(e->model, o, x->n, e->said));
    record(e, d);
done:
    free(o);
    return st;
}

static va_status record_simple(evaluation *e) {
    va_status st = VA_OK;
    const va_relation *r = e->relation;
    int64_t unused;
    int32_t token = 0;
    double *shift;
    VA_TRY(record_shifted(e, VA_RELATION_IDENTITY, NULL, false));
    VA_TRY_ALLOC(e->ctx, shift, VA_NEW_ARRAY(e->arena, double, r->d));
    for (int64_t a = 0; a < r->d; a++)
        shift[a] = r->b[a];
    VA_TRY(record_shifted(e, VA_RELATION_BIAS, shift, true));
    for (int64_t a = 0; a < r->d; a++)
        shift[a] = (double)r->mean_o[a] - r->mean_s[a];
    VA_TRY(record_shifted(e, VA_RELATION_TRANSLATION, shift, false));
    VA_TRY(most_frequent(e->ctx, e->train.next, e->train.n, &token, &unused));
    for (int64_t i = 0; i < e->test.n; i++)
        e->said[i] = token;
    record(e, VA_RELATION_MAJORITY);
done:
    return st;
}

// -- an operator of other prompts -----------------------------------------------------------------

static int32_t random_token(va_model *model, va_rng *rng) {
    const va_tokenizer *tok = va_model_tokenizer(model);
    int32_t id = 0;
    for (int draw = 0; draw < 64; draw++) {
        id = (int32_t)va_rng_below(rng, (uint32_t)va_model_config(model)->vocab_size);
        if (!tok || (va_tokenizer_token(tok, id) && !va_tokenizer_is_special(tok, id)))
            break;
    }
    return id;
}

// The pairs with all tokens but the first and the subject's last drawn at random.
static va_status random_prompts(evaluation *e, const va_relation_pair *pairs, int64_t n,
                                va_relation_pair **out) {
    va_status st = VA_OK;
    va_rng rng = va_rng_make(e->params->seed, va_hash64("relation other prompts"));
    VA_TRY_ALLOC(e->ctx, *out, VA_NEW_ARRAY(e->arena, va_relation_pair, n));
    for (int64_t i = 0; i < n; i++) {
        const va_relation_pair *p = &pairs[i];
        int32_t *ids;
        VA_TRY_ALLOC(e->ctx, ids, VA_NEW_ARRAY(e->arena, int32_t, p->seq_len));
        for (int64_t t = 0; t < p->seq_len; t++)
            ids[t] = t == 0 || t == p->subject ? p->ids[t] : random_token(e->model, &rng);
        (*out)[i] = *p;
        (*out)[i].ids = ids;
    }
done:
    return st;
}

// mean(o - W s) over the training pairs, in place of the bias at the prompts of the fit: otherwise
// the control would fail by its bias, whatever its W. Each example's own is that of the others.
static va_status refit_bias(evaluation *e, va_relation *r, relation_states *train) {
    va_status st = VA_OK;
    const int64_t n = train->n, d = r->d;
    VA_TRY_ALLOC(e->ctx, train->b, VA_NEW_ARRAY(e->arena, float, n *d));
    for (int64_t a = 0; a < d; a++) {
        double sum = 0, own;
        for (int64_t i = 0; i < n; i++)
            sum += (double)train->o[i * d + a] - train->Ws[i * d + a];
        r->b[a] = (float)(sum / (double)n);
        for (int64_t first = 0, end; first < n; first = end) {
            own = 0;
            for (end = first; end < n && train->pairs[end].example == train->pairs[first].example;
                 end++)
                own += (double)train->o[end * d + a] - train->Ws[end * d + a];
            for (int64_t i = first; i < end && end - first < n; i++)
                train->b[i * d + a] = (float)((sum - own) / (double)(n - (end - first)));
        }
    }
done:
    return st;
}

// The same states through another W, which knows none of them.
static va_status record_other(evaluation *e) {
    va_status st = VA_OK;
    va_relation other = {0};
    va_relation_pair *pairs;
    relation_states train = e->train, test = e->test;
    va_relation_rate unused;
    va_relation_params params = *e->params;
    va_map_budget budget = {0};
    if (params.budget)
        budget = *params.budget;
    budget.max_k = budget.max_k > 0 ? VA_MIN(budget.max_k, 16) : 16;
    params.budget = &budget;
    params.keep = VA_MEAN_KEEP_NONE;
    VA_TRY(random_prompts(e, e->train.pairs, e->train.n, &pairs));
    VA_TRY_ALLOC(e->ctx, train.Ws, VA_NEW_ARRAY(e->arena, float, train.n *train.d));
    VA_TRY_ALLOC(e->ctx, test.Ws, VA_NEW_ARRAY(e->arena, float, test.n *test.d));
    VA_TRY(va_relation_fit(e->model, e->arena, &params, pairs, train.n, &other));
    VA_TRY(va_relation_apply(&other, train.s, train.n, train.Ws));
    VA_TRY(va_relation_apply(&other, test.s, test.n, test.Ws));
    VA_TRY(refit_bias(e, &other, &train));
    const bool several = train.pairs[0].example != train.pairs[train.n - 1].example;
    VA_TRY(relation_choose_beta(&other, several || e->params->beta > 0 ? e->params->beta : 1,
                                &train, &unused));
    VA_TRY(relation_says(&other, other.beta, &test, e->said));
    record(e, VA_RELATION_OTHER);
done:
    va_relation_free(&other);
    return st;
}

// -- causality ------------------------------------------------------------------------------------

static va_status choose_rank(evaluation *e) {
    va_status st = VA_OK;
    const va_relation_params *p = e->params;
    va_relation_result *result = e->result;
    const int64_t most = VA_MIN(p->max_rank > 0 ? p->max_rank : 64, e->relation->d);
    int64_t *targets;
    result->train_causal.rate = -1;
    VA_TRY(va_relation_invert(e->relation, e->arena, p->rank > 0 ? p->rank : most));
    VA_TRY(relation_targets(e->model, e->arena, &e->train, p->seed, &targets));
    const int64_t limit = VA_MIN(e->relation->svd.k, e->relation->svd.rank);
    for (int64_t r = p->rank > 0 ? p->rank : 1; r <= limit; r *= 2) {
        va_relation_rate one;
        VA_TRY(relation_causality(e->relation, &e->train, targets, VA_RELATION_INVERSE, r, p->seed,
                                  &one));
        if (result->rank == 0 || one.rate > result->train_causal.rate)
            result->train_causal = one, result->rank = r;
        if (p->rank > 0)
            break;
    }
    if (result->rank == 0)
        VA_TRY(va_fail(e->ctx, VA_ERR_USAGE, "an inverse of rank %lld: expected 1 to %lld",
                       (long long)VA_MAX(p->rank, 1), (long long)limit));
done:
    return st;
}

static va_status record_causality(evaluation *e) {
    va_status st = VA_OK;
    int64_t *targets;
    VA_TRY(choose_rank(e));
    VA_TRY(relation_targets(e->model, e->arena, &e->test, e->params->seed, &targets));
    for (int i = 0; i < VA_RELATION_EDITS; i++)
        if (i == VA_RELATION_INVERSE || !e->params->no_controls)
            VA_TRY(relation_causality(e->relation, &e->test, targets, (va_relation_edit)i,
                                      e->result->rank, e->params->seed, &e->result->causal[i]));
done:
    return st;
}

// -- all of it ------------------------------------------------------------------------------------

// Errors and leaving one out count by example.
static va_status check_together(va_ctx *ctx, const va_relation_pair *pairs, int64_t n) {
    for (int64_t i = 1; i < n; i++)
        for (int64_t j = i - 2; j >= 0 && pairs[i].example != pairs[i - 1].example; j--)
            if (pairs[j].example == pairs[i].example)
                return va_fail(ctx, VA_ERR_USAGE,
                               "a relation: expected the pairs of an example together, got example "
                               "%lld as pairs %lld and %lld",
                               (long long)pairs[i].example, (long long)j, (long long)i);
    return VA_OK;
}

static va_status prepare(evaluation *e, const va_relation_pairs *pairs) {
    va_status st = VA_OK;
    const va_relation_params *p = e->params;
    va_relation *r = e->relation;
    relation_states left;
    bool possible;
    int32_t unused;
    if (pairs->n_train < 1 || pairs->n_test < 1)
        return va_fail(e->ctx, VA_ERR_USAGE,
                       "a relation: expected pairs to fit on and pairs to test, got %lld and %lld",
                       (long long)pairs->n_train, (long long)pairs->n_test);
    VA_TRY(check_together(e->ctx, pairs->train, pairs->n_train));
    VA_TRY(check_together(e->ctx, pairs->test, pairs->n_test));
    VA_TRY(relation_states_read(e->model, e->arena, p->layer, pairs->train, pairs->n_train,
                                &e->train));
    VA_TRY(
        relation_states_read(e->model, e->arena, p->layer, pairs->test, pairs->n_test, &e->test));
    VA_TRY_ALLOC(e->ctx, e->said, VA_NEW_ARRAY(e->arena, int32_t, pairs->n_test));
    VA_TRY_ALLOC(e->ctx, e->objects, VA_NEW_ARRAY(e->arena, int32_t, pairs->n_test));
    VA_TRY_ALLOC(e->ctx, e->temp, VA_NEW_ARRAY(e->arena, double, pairs->n_test));
    for (int64_t i = 0; i < pairs->n_test; i++)
        e->objects[i] = pairs->test[i].object;
    VA_TRY(va_relation_fit(e->model, e->arena, p, pairs->train, pairs->n_train, r));
    VA_TRY(va_relation_apply(r, e->train.s, e->train.n, e->train.Ws));
    VA_TRY(va_relation_apply(r, e->test.s, e->test.n, e->test.Ws));
    VA_TRY(relation_leave_out(r, e->arena, &e->train, &left, &possible));
    VA_TRY(relation_choose_beta(r, possible || p->beta > 0 ? p->beta : 1, &left,
                                &e->result->train_faithful));
    if (!possible) // an operator judged at what it was made of
        e->result->train_faithful = (va_relation_rate){.rate = NAN, .error = NAN};
    VA_TRY(most_frequent(e->ctx, e->test.next, e->test.n, &unused, &e->result->n_tokens));
    e->result->model_right =
        relation_agreement(pairs->test, pairs->n_test, e->test.next, e->objects, e->temp);
done:
    return st;
}

static void nothing_measured(va_relation_result *result) {
    const va_relation_rate none = {.rate = NAN, .error = NAN};
    for (int i = 0; i < VA_RELATION_DECODERS; i++)
        result->says_next[i] = result->says_object[i] = none;
    for (int i = 0; i < VA_RELATION_EDITS; i++)
        result->causal[i] = none;
}

va_status va_relation_evaluate(va_model *model, va_arena *arena, const va_relation_params *params,
                               const va_relation_pairs *pairs, va_relation *relation,
                               va_relation_result *result) {
    va_status st = VA_OK;
    evaluation e = {.model = model,
                    .ctx = va_model_ctx(model),
                    .arena = arena,
                    .params = params,
                    .relation = relation,
                    .result = result};
    *relation = (va_relation){0};
    *result = (va_relation_result){.n_train = pairs->n_train, .n_test = pairs->n_test};
    nothing_measured(result);
    VA_TRY(prepare(&e, pairs));
    result->beta = relation->beta;
    VA_TRY(relation_says(relation, relation->beta, &e.test, e.said));
    record(&e, VA_RELATION_LRE);
    if (!params->no_controls) {
        VA_TRY(record_shuffled(&e));
        VA_TRY(record_simple(&e));
        VA_TRY(record_other(&e));
    }
    VA_TRY(record_causality(&e));
done:
    return st;
}
