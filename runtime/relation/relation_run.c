// The model at many pairs: states read, the subject's edited, the next token told.
//
// Pairs of one length run together, sixteen at a time; the last batch is filled up with its last
// pair, so that one graph serves a length.
// SPDX-License-Identifier: Apache-2.0
#include "relation_priv.h"

#include <stdlib.h>
#include <string.h>

enum { SITE_S, SITE_O, SITE_LOGITS, N_SITES, BATCH = 16 };

typedef struct runner {
    va_model *model;
    const va_relation_pair *pairs;
    int64_t n, layer, d, V;
    const float *ds;
    float *s, *o;
    int32_t *next;
    int64_t *order; // [n] by length
    va_prompt *prompt;
    int64_t T, n_seq; // of the prompt
    float *values;    // of one site
    int32_t *ids;
    double start_s;
} runner;

static int32_t argmax(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return (int32_t)best;
}

static va_status sort_by_length(runner *r) {
    va_status st = VA_OK;
    int64_t longest = 0, at = 0;
    VA_TRY_ALLOC(va_model_ctx(r->model), r->order, malloc((size_t)r->n * sizeof *r->order));
    for (int64_t i = 0; i < r->n; i++)
        longest = VA_MAX(longest, r->pairs[i].seq_len);
    for (int64_t T = 0; T <= longest; T++)
        for (int64_t i = 0; i < r->n; i++)
            if (r->pairs[i].seq_len == T)
                r->order[at++] = i;
done:
    return st;
}

static va_status check_pairs(const runner *r) {
    va_ctx *ctx = va_model_ctx(r->model);
    const int64_t L = va_model_config(r->model)->n_layer;
    if (r->layer < 0 || r->layer >= L)
        return va_fail(ctx, VA_ERR_USAGE, "a relation at layer %lld: expected 0 to %lld",
                       (long long)r->layer, (long long)L - 1);
    for (int64_t i = 0; i < r->n; i++) {
        const va_relation_pair *p = &r->pairs[i];
        if (p->seq_len < 1 || p->seq_len > va_model_config(r->model)->max_context ||
            p->subject < 0 || p->subject >= p->seq_len)
            return va_fail(ctx, VA_ERR_USAGE,
                           "pair %lld: expected a subject within a prompt of 1 to %lld tokens, got "
                           "token %lld of %lld",
                           (long long)i, (long long)va_model_config(r->model)->max_context,
                           (long long)p->subject, (long long)p->seq_len);
    }
    return VA_OK;
}

// A graph for n_seq prompts of T tokens.
static va_status open_prompt(runner *r, int64_t T, int64_t n_seq) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(r->model);
    const int64_t L = va_model_config(r->model)->n_layer;
    const va_site edit = {.kind = VA_SITE_RESID, .layer = r->layer, .position = VA_POS_ALL};
    const va_site sites[N_SITES] = {
        [SITE_S] = edit,
        [SITE_O] = {.kind = VA_SITE_RESID, .layer = L, .position = VA_POS_LAST},
        [SITE_LOGITS] = {.kind = VA_SITE_LOGITS, .layer = L, .position = VA_POS_LAST}};
    const va_prompt_params params = {.ids = r->ids,
                                     .n_seq = n_seq,
                                     .seq_len = T,
                                     .sites = sites,
                                     .n_sites = N_SITES,
                                     .edit = r->ds ? &edit : NULL};
    va_prompt_destroy(&r->prompt);
    free(r->values);
    VA_TRY_ALLOC(ctx, r->values,
                 malloc((size_t)(n_seq * VA_MAX(T * r->d, r->V)) * sizeof *r->values));
    VA_TRY(va_prompt_create(r->model, &params, &r->prompt));
    r->T = T, r->n_seq = n_seq;
done:
    return st;
}

static va_status read_batch(runner *r, const int64_t *which, int64_t n) {
    va_status st = VA_OK;
    if (r->s) {
        VA_TRY(va_prompt_read(r->prompt, SITE_S, r->values));
        for (int64_t i = 0; i < n; i++)
            memcpy(r->s + which[i] * r->d,
                   r->values + (i * r->T + r->pairs[which[i]].subject) * r->d,
                   (size_t)r->d * sizeof *r->s);
    }
    if (r->o) {
        VA_TRY(va_prompt_read(r->prompt, SITE_O, r->values));
        for (int64_t i = 0; i < n; i++)
            memcpy(r->o + which[i] * r->d, r->values + i * r->d, (size_t)r->d * sizeof *r->o);
    }
    if (r->next) {
        VA_TRY(va_prompt_read(r->prompt, SITE_LOGITS, r->values));
        for (int64_t i = 0; i < n; i++)
            r->next[which[i]] = argmax(r->values + i * r->V, r->V);
    }
done:
    return st;
}

// The pairs which[0..n-1], n <= n_seq, all of T tokens.
static va_status run_batch(runner *r, const int64_t *which, int64_t n, int64_t n_seq) {
    va_status st = VA_OK;
    const int64_t T = r->pairs[which[0]].seq_len;
    free(r->ids);
    VA_TRY_ALLOC(va_model_ctx(r->model), r->ids, malloc((size_t)(n_seq * T) * sizeof *r->ids));
    for (int64_t i = 0; i < n_seq; i++)
        memcpy(r->ids + i * T, r->pairs[which[VA_MIN(i, n - 1)]].ids, (size_t)T * sizeof *r->ids);
    if (!r->prompt || r->T != T || r->n_seq != n_seq)
        VA_TRY(open_prompt(r, T, n_seq));
    else
        VA_TRY(va_prompt_set_ids(r->prompt, r->ids));
    for (int64_t row = 0; r->ds && row < n_seq * T; row++) {
        const int64_t i = which[VA_MIN(row / T, n - 1)];
        const bool subject = row % T == r->pairs[i].subject;
        VA_TRY(va_prompt_set_edit(r->prompt, row, subject ? r->ds + i * r->d : NULL));
    }
    VA_TRY(read_batch(r, which, n));
done:
    return st;
}

static void report(const runner *r, int64_t done) {
    va_progress_report(va_model_ctx(r->model), &(va_progress){.label = "prompts",
                                                              .done = done,
                                                              .total = r->n,
                                                              .elapsed_s = va_time_s() - r->start_s,
                                                              .finished = done == r->n});
}

static va_status run_all(runner *r) {
    va_status st = VA_OK;
    VA_TRY(check_pairs(r));
    VA_TRY(sort_by_length(r));
    for (int64_t first = 0, end; first < r->n; first = end) { // one length after another
        end = first + 1;
        while (end < r->n && r->pairs[r->order[end]].seq_len == r->pairs[r->order[first]].seq_len)
            end++;
        const int64_t n_seq = VA_MIN(end - first, BATCH);
        for (int64_t i = first; i < end; i += n_seq) {
            VA_TRY(va_check_interrupt(va_model_ctx(r->model)));
            VA_TRY(run_batch(r, r->order + i, VA_MIN(n_seq, end - i), n_seq));
            report(r, VA_MIN(i + n_seq, end));
        }
    }
done:
    return st;
}

va_status va_relation_run(va_model *model, int64_t layer, const va_relation_pair *pairs, int64_t n,
                          const float *ds, float *s, float *o, int32_t *next) {
    runner r = {.model = model,
                .pairs = pairs,
                .n = n,
                .layer = layer,
                .d = va_model_config(model)->d_model,
                .V = va_model_config(model)->vocab_size,
                .ds = ds,
                .s = s,
                .o = o,
                .next = next,
                .start_s = va_time_s()};
    const va_status st = run_all(&r);
    va_prompt_destroy(&r.prompt);
    free(r.order);
    free(r.values);
    free(r.ids);
    return st;
}

va_status va_relation_decode(va_model *model, const float *o, int64_t n, int32_t *tokens) {
    enum { ROWS = 64 };
    va_status st = VA_OK;
    const int64_t d = va_model_config(model)->d_model, V = va_model_config(model)->vocab_size;
    float *logits = NULL;
    VA_TRY_ALLOC(va_model_ctx(model), logits,
                 malloc((size_t)(VA_MAX(VA_MIN(n, ROWS), 1) * V) * sizeof *logits));
    for (int64_t first = 0; first < n; first += ROWS) {
        const int64_t rows = VA_MIN(n - first, ROWS);
        VA_TRY(va_model_decode(model, o + first * d, rows, logits));
        for (int64_t i = 0; i < rows; i++)
            tokens[first + i] = argmax(logits + i * V, V);
    }
done:
    free(logits);
    return st;
}
