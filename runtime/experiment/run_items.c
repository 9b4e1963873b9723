// run_items.c: a concept's items divided into training and test, and the fits they make: as they
// are, with permuted labels, drawn with replacement.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "fit.h"

// The same stream for every direction of a concept, so that their splits and draws are the same.
static va_rng stream(const va_run *run, const char *what, int64_t c, int64_t seed, int64_t draw) {
    const uint64_t name = va_hash64(run->e->spec.concepts[c].name);
    return va_rng_make((uint64_t)(run->e->spec.seed + seed),
                       (va_hash64(what) ^ name) + (uint64_t)draw);
}

static va_status place_items(va_run *run, va_arena *arena, const va_dataset *data,
                             va_items *items) {
    va_status st = VA_OK;
    items->data = data;
    VA_TRY_ALLOC(run->ctx, items->held, VA_NEW_ARRAY(arena, bool, data->n_items));
    VA_TRY_ALLOC(run->ctx, items->label, VA_NEW_ARRAY(arena, float, data->n_items));
    VA_TRY_ALLOC(run->ctx, items->first, VA_NEW_ARRAY(arena, int64_t, data->n_items + 1));
    VA_TRY_ALLOC(run->ctx, items->train, VA_NEW_ARRAY(arena, int64_t, data->n_items));
    for (int64_t i = data->n - 1; i >= 0; i--) {
        items->label[data->item[i]] = data->label[i];
        items->first[data->item[i]] = i;
    }
    items->first[data->n_items] = data->n;
done:
    return st;
}

va_status va_run_split(va_run *run, va_arena *arena, int64_t c, int64_t seed, double share,
                       va_items *items) {
    va_status st = VA_OK;
    const va_dataset *data = &run->e->plan.datasets[c];
    va_rng rng = stream(run, "split/", c, seed, 0);
    int64_t *order = VA_NEW_ARRAY(arena, int64_t, data->n_items);
    int64_t count[2] = {0, 0}, quota[2];
    *items = (va_items){.concept_index = c, .seed = seed};
    VA_TRY_ALLOC(run->ctx, order, order);
    VA_TRY(place_items(run, arena, data, items));
    for (int64_t i = 0; i < data->n_items; i++) {
        order[i] = i;
        count[items->label[i] > 0]++;
    }
    for (int k = 0; k < 2; k++)
        quota[k] = va_items_held(share, count[k]);
    va_rng_shuffle(&rng, order, data->n_items);
    for (int64_t i = 0; i < data->n_items; i++) {
        const int k = items->label[order[i]] > 0;
        items->held[order[i]] = quota[k]-- > 0;
        if (!items->held[order[i]])
            items->train[items->n_train++] = order[i];
    }
done:
    return st;
}

typedef struct row_list {
    const va_items *items;
    const int64_t *item; // [n_items] chosen
    const float *label;  // [n_items]
    int64_t n_items;
    int64_t *rows; // [n]
    float *labels;
    int64_t n;
} row_list;

// Rows of a template in each class; appends those numbered from[k] to to[k] of class k.
static void take_form(row_list *l, int64_t form, const int64_t from[2], const int64_t to[2],
                      int64_t count[2]) {
    const va_dataset *data = l->items->data;
    count[0] = count[1] = 0;
    for (int64_t i = 0; i < l->n_items; i++)
        for (int64_t r = l->items->first[l->item[i]]; r < l->items->first[l->item[i] + 1]; r++) {
            if (data->form[r] != form)
                continue;
            const int k = l->label[i] > 0;
            const int64_t number = count[k]++;
            if (number < from[k] || number >= to[k])
                continue;
            l->rows[l->n] = data->text[r];
            l->labels[l->n++] = l->label[i];
        }
}

// The rows of item[0..n) with their labels. The i-th positive and the i-th negative have the same
// template, form by form, as far as there are as many; then what is left, the definition, which has
// no template, last.
static va_status make_problem(va_run *run, va_arena *arena, const va_items *items,
                              const int64_t *item, const float *label, int64_t n,
                              va_fit_problem *out) {
    va_status st = VA_OK;
    const int64_t n_forms = run->e->spec.templates.n, none[2] = {0, 0};
    const int64_t all[2] = {INT64_MAX, INT64_MAX};
    row_list l = {.items = items, .item = item, .label = label, .n_items = n};
    int64_t n_rows = 0, count[2];
    for (int64_t i = 0; i < n; i++)
        n_rows += items->first[item[i] + 1] - items->first[item[i]];
    VA_TRY_ALLOC(run->ctx, l.rows, VA_NEW_ARRAY(arena, int64_t, n_rows));
    VA_TRY_ALLOC(run->ctx, l.labels, VA_NEW_ARRAY(arena, float, n_rows));
    for (int left = 0; left < 2; left++)
        for (int64_t form = 0; form < n_forms; form++) {
            take_form(&l, form, none, none, count);
            const int64_t least = VA_MIN(count[0], count[1]), both[2] = {least, least};
            take_form(&l, form, left ? both : none, left ? all : both, count);
        }
    take_form(&l, -1, none, all, count);
    *out = (va_fit_problem){.rows = l.rows, .labels = l.labels, .n = l.n};
done:
    return st;
}

static va_status item_labels(va_run *run, va_arena *arena, const va_items *items, float **label) {
    va_status st = VA_OK;
    VA_TRY_ALLOC(run->ctx, *label, VA_NEW_ARRAY(arena, float, items->n_train));
    for (int64_t i = 0; i < items->n_train; i++)
        (*label)[i] = items->label[items->train[i]];
done:
    return st;
}

// Weights, order of rows and dropout depend on the concept and the seed, not on the direction's
// name: the same work in another experiment gives the same bits.
static uint64_t fit_seed(const va_run *run, const va_items *items, const char *what, int64_t draw) {
    va_rng rng = stream(run, what, items->concept_index, items->seed, draw);
    return (uint64_t)va_rng_u32(&rng) << 32 | va_rng_u32(&rng);
}

va_status va_run_problem(va_run *run, va_arena *arena, const va_items *items, va_fit_problem *out) {
    va_status st = VA_OK;
    float *label;
    VA_TRY(item_labels(run, arena, items, &label));
    VA_TRY(make_problem(run, arena, items, items->train, label, items->n_train, out));
    out->seed = fit_seed(run, items, "fit/", 0);
done:
    return st;
}

va_status va_run_permuted(va_run *run, va_arena *arena, const va_items *items, int64_t draw,
                          va_fit_problem *out) {
    va_status st = VA_OK;
    va_rng rng = stream(run, "permute/", items->concept_index, items->seed, draw);
    float *label, *permuted;
    int64_t *place, *order, n = 0; // of the items that are permuted
    VA_TRY(item_labels(run, arena, items, &label));
    VA_TRY(item_labels(run, arena, items, &permuted));
    VA_TRY_ALLOC(run->ctx, place, VA_NEW_ARRAY(arena, int64_t, items->n_train));
    VA_TRY_ALLOC(run->ctx, order, VA_NEW_ARRAY(arena, int64_t, items->n_train));
    // The definition stands in no template: it is no item among others, and keeps its label.
    for (int64_t i = 0; i < items->n_train; i++)
        if (items->data->form[items->first[items->train[i]]] >= 0) {
            order[n] = n;
            place[n++] = i;
        }
    va_rng_shuffle(&rng, order, n);
    for (int64_t i = 0; i < n; i++)
        permuted[place[i]] = label[place[order[i]]];
    VA_TRY(make_problem(run, arena, items, items->train, permuted, items->n_train, out));
    out->seed = fit_seed(run, items, "permuted fit/", draw);
done:
    return st;
}

// Within each class, so that both are always there.
va_status va_run_resampled(va_run *run, va_arena *arena, const va_items *items, int64_t draw,
                           va_fit_problem *out) {
    va_status st = VA_OK;
    va_rng rng = stream(run, "resample/", items->concept_index, items->seed, draw);
    int64_t *drawn, *of_class, n = 0;
    float *label;
    VA_TRY_ALLOC(run->ctx, drawn, VA_NEW_ARRAY(arena, int64_t, items->n_train));
    VA_TRY_ALLOC(run->ctx, of_class, VA_NEW_ARRAY(arena, int64_t, items->n_train));
    VA_TRY_ALLOC(run->ctx, label, VA_NEW_ARRAY(arena, float, items->n_train));
    for (int k = 0; k < 2; k++) {
        int64_t n_class = 0;
        for (int64_t i = 0; i < items->n_train; i++)
            if ((items->label[items->train[i]] > 0) == k)
                of_class[n_class++] = items->train[i];
        for (int64_t i = 0; i < n_class; i++) {
            drawn[n] = of_class[va_rng_below(&rng, (uint32_t)n_class)];
            label[n++] = (float)k;
        }
    }
    VA_TRY(make_problem(run, arena, items, drawn, label, n, out));
    out->seed = fit_seed(run, items, "resampled fit/", draw);
done:
    return st;
}

va_status va_run_held_out(va_run *run, va_arena *arena, const va_items *items, int64_t **row,
                          bool **positive, int64_t *n) {
    va_status st = VA_OK;
    const va_dataset *data = items->data;
    VA_TRY_ALLOC(run->ctx, *row, VA_NEW_ARRAY(arena, int64_t, data->n));
    VA_TRY_ALLOC(run->ctx, *positive, VA_NEW_ARRAY(arena, bool, data->n));
    *n = 0;
    for (int64_t r = 0; r < data->n; r++)
        if (items->held[data->item[r]]) {
            (*row)[*n] = data->text[r];
            (*positive)[(*n)++] = data->label[r] > 0;
        }
done:
    return st;
}
