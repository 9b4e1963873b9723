// plan_data.c: items and templates -> labelled texts, each distinct text once.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "name_set.h"
#include "plan.h"

typedef struct va_text_entry {
    const char *text, *about; // about: the item, for @concept
    int64_t n_tokens, id;     // id: order of first appearance
} va_text_entry;

typedef struct va_text_set {
    va_name_set texts;
    const char **about; // by the text's number
} va_text_set;

static va_status add_text(va_text_set *s, const char *text, const char *about, int64_t *id) {
    va_status st = VA_OK;
    const int64_t n = s->texts.n;
    VA_TRY(va_name_set_add(&s->texts, text, id));
    if (*id == n)
        s->about[n] = about;
done:
    return st;
}

static int64_t count_rows(const va_spec *s, const va_concept *c) {
    int64_t items = c->positives.n + c->hard_negatives.n + c->random_negatives.n;
    return items * s->templates.n + 1; // and the definition
}

// seen: the texts of this label so far; each counts once. Texts of one item share its number.
static va_status add_items(va_experiment *e, va_text_set *set, va_dataset *d,
                           const va_strings *items, va_name_set *seen, float label) {
    va_status st = VA_OK;
    bool open = false; // the item at hand has a text
    for (int64_t i = 0; i < items->n; i++) {
        const int64_t n_seen = seen->n;
        int64_t id;
        open = open && items->joined && items->joined[i];
        VA_TRY(va_name_set_add(seen, items->item[i], &id));
        if (id < n_seen)
            continue;
        d->n_items += !open;
        open = true;
        for (int64_t t = 0; t < e->spec.templates.n; t++) {
            const char *text =
                va_spec_expand(e->arena, e->spec.templates.item[t], "{item}", items->item[i]);
            VA_TRY_ALLOC(e->ctx, text, text);
            VA_TRY(add_text(set, text, items->item[i], &d->text[d->n]));
            d->item[d->n] = d->n_items - 1;
            d->form[d->n] = t;
            d->label[d->n++] = label;
        }
    }
done:
    return st;
}

static bool reads_concept(const va_plan *p) {
    for (int64_t i = 0; i < p->n_sites; i++)
        if (p->sites[i].position == VA_POS_CONCEPT)
            return true;
    return false;
}

static va_status add_concept(va_experiment *e, va_text_set *set, const va_concept *c,
                             va_dataset *d) {
    va_status st = VA_OK;
    int64_t rows = count_rows(&e->spec, c);
    va_name_set positive = {.ctx = e->ctx, .arena = e->arena}, negative = positive;
    VA_TRY_ALLOC(e->ctx, d->text, VA_NEW_ARRAY(e->arena, int64_t, rows));
    VA_TRY_ALLOC(e->ctx, d->item, VA_NEW_ARRAY(e->arena, int64_t, rows));
    VA_TRY_ALLOC(e->ctx, d->form, VA_NEW_ARRAY(e->arena, int64_t, rows));
    VA_TRY_ALLOC(e->ctx, d->label, VA_NEW_ARRAY(e->arena, float, rows));
    // At @concept a text must name its item, and a definition does not name the concept.
    if (c->definition && c->definition[0] && !reads_concept(&e->plan)) {
        VA_TRY(add_text(set, c->definition, c->name, &d->text[0]));
        d->form[0] = -1;
        d->label[0] = 1;
        d->n = d->n_items = 1;
    }
    VA_TRY(add_items(e, set, d, &c->positives, &positive, 1));
    VA_TRY(add_items(e, set, d, &c->hard_negatives, &negative, 0));
    VA_TRY(add_items(e, set, d, &c->random_negatives, &negative, 0));
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
    const int64_t n = set->texts.n;
    va_text_entry *entry = NULL;
    int64_t *place = NULL;
    va_arena *step = va_arena_create();
    VA_TRY_ALLOC(e->ctx, entry, step ? VA_NEW_ARRAY(e->arena, va_text_entry, n) : NULL);
    for (int64_t i = 0; i < n; i++) {
        int32_t *ids = NULL;
        int64_t first = 0, count = 0;
        entry[i] = (va_text_entry){.text = set->texts.name[i], .about = set->about[i], .id = i};
        va_arena_reset(step);
        VA_TRY(va_model_tokenize(p->model, step, entry[i].text, NULL, &ids, &entry[i].n_tokens,
                                 &first, &count));
    }
    qsort(entry, (size_t)n, sizeof *entry, by_length);
    VA_TRY_ALLOC(e->ctx, place, VA_NEW_ARRAY(e->arena, int64_t, n));
    VA_TRY_ALLOC(e->ctx, p->texts, VA_NEW_ARRAY(e->arena, const char *, n));
    VA_TRY_ALLOC(e->ctx, p->text_concept, VA_NEW_ARRAY(e->arena, const char *, n));
    VA_TRY_ALLOC(e->ctx, p->text_tokens, VA_NEW_ARRAY(e->arena, int64_t, n));
    for (int64_t i = 0; i < n; i++) {
        place[entry[i].id] = i;
        p->texts[i] = entry[i].text;
        p->text_concept[i] = entry[i].about;
        p->text_tokens[i] = entry[i].n_tokens;
    }
    p->n_texts = n;
    for (int64_t c = 0; c < e->spec.n_concepts; c++)
        for (int64_t r = 0; r < p->datasets[c].n; r++)
            p->datasets[c].text[r] = place[p->datasets[c].text[r]];
done:
    va_arena_destroy(&step);
    return st;
}

va_status va_plan_datasets(va_experiment *e) {
    va_status st = VA_OK;
    va_text_set set = {.texts = {.ctx = e->ctx, .arena = e->arena}};
    int64_t rows = 0;
    for (int64_t c = 0; c < e->spec.n_concepts; c++)
        rows += count_rows(&e->spec, &e->spec.concepts[c]);
    VA_TRY_ALLOC(e->ctx, e->plan.datasets, VA_NEW_ARRAY(e->arena, va_dataset, e->spec.n_concepts));
    VA_TRY_ALLOC(e->ctx, set.about, VA_NEW_ARRAY(e->arena, const char *, rows));
    for (int64_t c = 0; c < e->spec.n_concepts; c++)
        VA_TRY(add_concept(e, &set, &e->spec.concepts[c], &e->plan.datasets[c]));
    VA_TRY(order_texts(e, &set));
done:
    return st;
}
