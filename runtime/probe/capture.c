// capture.c: activations of many texts: tokenised, grouped by length, run in batches, read at
// sites.
//
// Texts of a batch share the graph, so they agree in their number of tokens and, where a site is at
// @concept, in the concept's place.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/probe.h"

#include <stdlib.h>
#include <string.h>

// A text as tokens.
typedef struct capture_item {
    int64_t index; // in params->texts
    const int32_t *ids;
    int64_t n_ids;
    int64_t concept_first, concept_count; // 0, 0 when no site asks
} capture_item;

typedef struct capture {
    va_ctx *ctx;
    va_model *model;
    const va_capture_params *params;
    va_arena *arena;
    capture_item *items; // [n_texts], sorted by shape
    va_prompt *prompt;   // of the batch before, reused when the shape is the same
    int64_t prompt_n_seq;
    const capture_item *prompt_item; // an item of the prompt's shape
    int64_t n_done;
} capture;

static bool wants_concept(const va_capture_params *p) {
    for (int64_t s = 0; s < p->n_sites; s++)
        if (p->sites[s].position == VA_POS_CONCEPT)
            return true;
    return false;
}

static va_status check_params(va_ctx *ctx, const va_capture_params *p) {
    char text[64];
    if (p->n_texts < 1 || p->n_sites < 1 || p->batch < 0)
        return va_fail(ctx, VA_ERR_USAGE,
                       "capture: expected at least one text and site and batch >= 0, got %lld, "
                       "%lld and %lld",
                       (long long)p->n_texts, (long long)p->n_sites, (long long)p->batch);
    for (int64_t s = 0; s < p->n_sites; s++)
        if (p->sites[s].position == VA_POS_ALL)
            return va_fail(ctx, VA_ERR_USAGE,
                           "capture: expected a site at one position (@last, @mean, @concept, @N), "
                           "got %s",
                           va_site_text(&p->sites[s], text));
    return VA_OK;
}

static va_status tokenize(capture *c, int64_t i) {
    va_status st = VA_OK;
    const va_capture_params *p = c->params;
    capture_item *item = &c->items[i];
    const bool at_concept = wants_concept(p);
    const char *name = p->concepts ? p->concepts[i] : NULL;
    int32_t *ids;
    item->index = i;
    VA_TRY(va_model_tokenize(c->model, c->arena, p->texts[i], at_concept ? name : NULL, &ids,
                             &item->n_ids, &item->concept_first, &item->concept_count));
    item->ids = ids;
    if (item->n_ids < 1)
        VA_TRY(va_fail(c->ctx, VA_ERR_USAGE, "no tokens"));
    if (at_concept && item->concept_count < 1)
        VA_TRY(va_fail(c->ctx, VA_ERR_USAGE, "@concept: expected %s%s%s in the text \"%.60s\"",
                       name ? "\"" : "a concept's name", name ? name : "", name ? "\"" : "",
                       p->texts[i]));
done:
    if (st != VA_OK)
        va_fail_in(c->ctx, st, "text %lld", (long long)i);
    return st;
}

static int compare_i64(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int compare_shape(const capture_item *a, const capture_item *b) {
    int order = compare_i64(a->n_ids, b->n_ids);
    if (!order)
        order = compare_i64(a->concept_first, b->concept_first);
    return order ? order : compare_i64(a->concept_count, b->concept_count);
}

static int compare_items(const void *a, const void *b) {
    const capture_item *x = a, *y = b;
    int order = compare_shape(x, y);
    return order ? order : compare_i64(x->index, y->index);
}

// The graph of the batch before, when it fits; a new one otherwise.
static va_status prepare_prompt(capture *c, const capture_item *items, int64_t n) {
    va_status st = VA_OK;
    const int64_t T = items[0].n_ids;
    int32_t *ids = NULL;
    VA_TRY_ALLOC(c->ctx, ids, malloc((size_t)(n * T) * sizeof *ids));
    for (int64_t i = 0; i < n; i++)
        memcpy(ids + i * T, items[i].ids, (size_t)T * sizeof *ids);
    if (c->prompt && c->prompt_n_seq == n && compare_shape(c->prompt_item, &items[0]) == 0) {
        VA_TRY(va_prompt_set_ids(c->prompt, ids));
        goto done;
    }
    va_prompt_destroy(&c->prompt);
    const va_prompt_params params = {.ids = ids,
                                     .n_seq = n,
                                     .seq_len = T,
                                     .sites = c->params->sites,
                                     .n_sites = c->params->n_sites,
                                     .concept_first = items[0].concept_first,
                                     .concept_count = items[0].concept_count};
    VA_TRY(va_prompt_create(c->model, &params, &c->prompt));
    c->prompt_n_seq = n;
    c->prompt_item = &items[0];
done:
    free(ids);
    return st;
}

// out[c] = mean over rows of x[rows, width]
static void mean_row(const float *x, int64_t rows, int64_t width, float *out) {
    for (int64_t c = 0; c < width; c++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++)
            sum += x[r * width + c];
        out[c] = (float)(sum / (double)rows);
    }
}

static va_status read_site(capture *c, int64_t site, const capture_item *items, int64_t n,
                           float *out) {
    va_status st = VA_OK;
    int64_t rows, width;
    float *data = NULL;
    va_prompt_site_shape(c->prompt, site, &rows, &width);
    VA_TRY_ALLOC(c->ctx, data, malloc((size_t)(n * rows * width) * sizeof *data));
    VA_TRY(va_prompt_read(c->prompt, site, data));
    for (int64_t i = 0; i < n; i++)
        mean_row(data + i * rows * width, rows, width, out + items[i].index * width);
done:
    free(data);
    return st;
}

static va_status run_batch(capture *c, const capture_item *items, int64_t n, float *const *out) {
    va_status st = VA_OK;
    VA_TRY(prepare_prompt(c, items, n));
    for (int64_t s = 0; s < c->params->n_sites; s++)
        VA_TRY(read_site(c, s, items, n, out[s]));
done:
    if (st != VA_OK)
        va_fail_in(c->ctx, st, "capture: %lld texts of %lld tokens, the first \"%.60s\"",
                   (long long)n, (long long)items[0].n_ids, c->params->texts[items[0].index]);
    return st;
}

// Texts from items[0] on that run together.
static int64_t batch_size(const capture *c, int64_t first) {
    const int64_t most = c->params->batch ? c->params->batch : 16;
    int64_t n = 1;
    while (n < most && first + n < c->params->n_texts &&
           compare_shape(&c->items[first], &c->items[first + n]) == 0)
        n++;
    return n;
}

va_status va_capture(va_model *model, const va_capture_params *params, va_capture_tick_fn tick,
                     void *user, float *const *out) {
    va_status st = VA_OK;
    capture c = {.ctx = va_model_ctx(model), .model = model, .params = params};
    VA_TRY(check_params(c.ctx, params));
    VA_TRY_ALLOC(c.ctx, c.arena, va_arena_create());
    VA_TRY_ALLOC(c.ctx, c.items, VA_NEW_ARRAY(c.arena, capture_item, params->n_texts));
    for (int64_t i = 0; i < params->n_texts; i++)
        VA_TRY(tokenize(&c, i));
    qsort(c.items, (size_t)params->n_texts, sizeof *c.items, compare_items);
    while (c.n_done < params->n_texts) {
        const int64_t n = batch_size(&c, c.n_done);
        VA_TRY(va_check_interrupt(c.ctx));
        VA_TRY(run_batch(&c, &c.items[c.n_done], n, out));
        c.n_done += n;
        if (tick)
            tick(user, c.n_done);
    }
done:
    va_prompt_destroy(&c.prompt);
    va_arena_destroy(&c.arena);
    return st;
}
