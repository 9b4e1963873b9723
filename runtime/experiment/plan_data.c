// plan_data.c: items and templates -> labelled texts, each distinct text once.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "plan.h"

typedef struct va_text_entry {
    const char *text, *about; // about: the item, for @concept
    int64_t n_tokens, id;     // id: order of first appearance
} va_text_entry;

typedef struct va_text_set {
    va_arena *arena;
    va_text_entry *entry; // [n] in order of first appearance
    int64_t n, cap;
    int64_t *slot; // open addressing, [n_slots], -1 empty
    int64_t n_slots;
} va_text_set;

static int64_t add_text(va_text_set *s, const char *text, const char *about) {
    uint64_t h = va_hash64(text);
    int64_t i = (int64_t)(h % (uint64_t)s->n_slots);
    for (; s->slot[i] >= 0; i = (i + 1) % s->n_slots)
        if (strcmp(s->entry[s->slot[i]].text, text) == 0)
            return s->slot[i];
    s->entry[s->n] = (va_text_entry){.text = text, .about = about, .id = s->n};
    s->slot[i] = s->n;
    return s->n++;
}

static int64_t count_rows(const va_spec *s, const va_concept *c) {
    int64_t items = c->positives.n + c->hard_negatives.n + c->random_negatives.n;
    return items * s->templates.n + 1; // and the definition
}

static va_status make_set(va_experiment *e, int64_t rows, va_text_set *set) {
    va_status st = VA_OK;
    *set = (va_text_set){.arena = e->arena, .cap = rows, .n_slots = 2 * rows + 1};
    VA_TRY_ALLOC(e->ctx, set->entry, VA_NEW_ARRAY(e->arena, va_text_entry, rows));
    VA_TRY_ALLOC(e->ctx, set->slot, VA_NEW_ARRAY(e->arena, int64_t, set->n_slots));
    for (int64_t i = 0; i < set->n_slots; i++)
        set->slot[i] = -1;
done:
    return st;
}

// seen: the items of this label so far; each counts once.
static void add_items(va_experiment *e, va_text_set *set, va_dataset *d, const va_strings *items,
                      va_text_set *seen, float label) {
    for (int64_t i = 0; i < items->n; i++) {
        int64_t n_seen = seen->n;
        add_text(seen, items->item[i], NULL);
        if (seen->n == n_seen)
            continue;
        for (int64_t t = 0; t < e->spec.templates.n; t++) {
            const char *text =
                va_spec_expand(e->arena, e->spec.templates.item[t], "{item}", items->item[i]);
            d->text[d->n] = add_text(set, text, items->item[i]);
            d->item[d->n] = d->n_items;
            d->label[d->n++] = label;
        }
        d->n_items++;
    }
}

static va_status add_concept(va_experiment *e, va_text_set *set, const va_concept *c,
                             va_dataset *d) {
    va_status st = VA_OK;
    int64_t rows = count_rows(&e->spec, c);
    va_text_set positive, negative;
    VA_TRY(make_set(e, c->positives.n, &positive));
    VA_TRY(make_set(e, c->hard_negatives.n + c->random_negatives.n, &negative));
    VA_TRY_ALLOC(e->ctx, d->text, VA_NEW_ARRAY(e->arena, int64_t, rows));
    VA_TRY_ALLOC(e->ctx, d->item, VA_NEW_ARRAY(e->arena, int64_t, rows));
    VA_TRY_ALLOC(e->ctx, d->label, VA_NEW_ARRAY(e->arena, float, rows));
    if (c->definition && c->definition[0]) {
        d->text[0] = add_text(set, c->definition, c->name);
        d->label[0] = 1;
        d->n = d->n_items = 1;
    }
    add_items(e, set, d, &c->positives, &positive, 1);
    add_items(e, set, d, &c->hard_negatives, &negative, 0);
    add_items(e, set, d, &c->random_negatives, &negative, 0);
done:
    return st;
}

static int by_length(const void *a, const void *b) {
    const va_text_entry *x = a, *y = b;
    if (x->n_tokens != y->n_tokens)
        return x->n_tokens < y->n_tokens ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

// Sorts by token count, so that captures batch well, and renumbers the datasets' rows.
static va_status order_texts(va_experiment *e, va_text_set *set) {
    va_status st = VA_OK;
    va_plan *p = &e->plan;
    int64_t *place = NULL;
    va_arena *step = va_arena_create();
    for (int64_t i = 0; i < set->n; i++) {
        int32_t *ids = NULL;
        int64_t first = 0, count = 0;
        va_arena_reset(step);
        VA_TRY(va_model_tokenize(p->model, step, set->entry[i].text, NULL, &ids,
                                 &set->entry[i].n_tokens, &first, &count));
    }
    qsort(set->entry, (size_t)set->n, sizeof *set->entry, by_length);
    VA_TRY_ALLOC(e->ctx, place, VA_NEW_ARRAY(e->arena, int64_t, set->n));
    VA_TRY_ALLOC(e->ctx, p->texts, VA_NEW_ARRAY(e->arena, const char *, set->n));
    VA_TRY_ALLOC(e->ctx, p->text_concept, VA_NEW_ARRAY(e->arena, const char *, set->n));
    VA_TRY_ALLOC(e->ctx, p->text_tokens, VA_NEW_ARRAY(e->arena, int64_t, set->n));
    for (int64_t i = 0; i < set->n; i++) {
        place[set->entry[i].id] = i;
        p->texts[i] = set->entry[i].text;
        p->text_concept[i] = set->entry[i].about;
        p->text_tokens[i] = set->entry[i].n_tokens;
    }
    p->n_texts = set->n;
    for (int64_t c = 0; c < e->spec.n_concepts; c++)
        for (int64_t r = 0; r < p->datasets[c].n; r++)
            p->datasets[c].text[r] = place[p->datasets[c].text[r]];
done:
    va_arena_destroy(&step);
    return st;
}

va_status va_plan_datasets(va_experiment *e) {
    va_status st = VA_OK;
    va_text_set set;
    int64_t rows = 0;
    for (int64_t c = 0; c < e->spec.n_concepts; c++)
        rows += count_rows(&e->spec, &e->spec.concepts[c]);
    VA_TRY_ALLOC(e->ctx, e->plan.datasets, VA_NEW_ARRAY(e->arena, va_dataset, e->spec.n_concepts));
    VA_TRY(make_set(e, rows, &set));
    for (int64_t c = 0; c < e->spec.n_concepts; c++)
        VA_TRY(add_concept(e, &set, &e->spec.concepts[c], &e->plan.datasets[c]));
    VA_TRY(order_texts(e, &set));
done:
    return st;
}
