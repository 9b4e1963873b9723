// concept_items.c: which terms of an ontology are a concept's positives and negatives.
//
// The draw of random negatives gives every term a number that depends on seed, concept and term
// alone, and takes the smallest: a uniform sample without replacement that another term, another
// concept or another order of files does not disturb.
// SPDX-License-Identifier: Apache-2.0
#include "concept_priv.h"

#include <stdlib.h>
#include <string.h>

enum mark {
    BELOW = 1,
    ABOVE = 2, // both in a cycle
    SELF = 4,
    RELATED = BELOW | ABOVE | SELF,
    SIBLING = 8,
    QUEUED = 16, // a sibling or below one
    HARD = 32,   // taken
};

typedef struct picker {
    const va_ontology *o;
    const va_item_params *params;
    va_arena *arena, *step; // of the items; of everything else
    int64_t self;
    uint8_t *mark;  // [n]
    int64_t *queue; // [n]
    // Texts that are no item any more: those taken, and from the negatives on those of all that is
    // above or below.
    va_name_set used;
} picker;

// -- texts -----------------------------------------------------------------------------------

enum { FORMS = 2 };

// The term's name, its definition: NULL where it has none, or none is asked for.
static va_status texts_of(picker *p, int64_t i, const char *text[FORMS]) {
    va_status st = VA_OK;
    text[0] = p->o->names.name[i];
    text[1] = p->params->definitions ? p->o->term[i].definition : NULL;
    if (!p->params->raw_names)
        VA_TRY_ALLOC(p->o->ctx, text[0], va_concept_words(p->step, text[0]));
done:
    return st;
}

static va_status use_text(picker *p, const char *text, bool *is_new) {
    const int64_t n = p->used.n;
    int64_t id;
    const va_status st = va_name_set_add(&p->used, text, &id);
    *is_new = p->used.n > n;
    return st;
}

static va_status use_term(picker *p, int64_t i) {
    va_status st = VA_OK;
    const char *text[FORMS];
    bool is_new;
    VA_TRY(texts_of(p, i, text));
    for (int f = 0; f < FORMS; f++)
        if (text[f])
            VA_TRY(use_text(p, text[f], &is_new));
done:
    return st;
}

// Room for max items, or for all that there are.
static va_status begin_items(picker *p, int64_t max, va_strings *out) {
    va_status st = VA_OK;
    *out = (va_strings){0};
    const int64_t most = VA_MIN(max, FORMS * p->o->names.n);
    VA_TRY_ALLOC(p->o->ctx, out->item, VA_NEW_ARRAY(p->arena, const char *, most));
    VA_TRY_ALLOC(p->o->ctx, out->joined, VA_NEW_ARRAY(p->arena, bool, most));
done:
    return st;
}

// The term's texts that are new, while there is room: one item.
static va_status take_term(picker *p, int64_t i, int64_t max, va_strings *out) {
    va_status st = VA_OK;
    const char *text[FORMS];
    const int64_t first = out->n;
    VA_TRY(texts_of(p, i, text));
    for (int f = 0; f < FORMS && out->n < max; f++) {
        bool is_new = false;
        if (text[f])
            VA_TRY(use_text(p, text[f], &is_new));
        if (!is_new)
            continue;
        VA_TRY_ALLOC(p->o->ctx, out->item[out->n], va_arena_strdup(p->arena, text[f]));
        out->joined[out->n] = out->n > first;
        out->n++;
    }
done:
    return st;
}

// -- relations -------------------------------------------------------------------------------

// Marks what is below (children) or above (parents) and leaves it in queue, breadth first.
static int64_t walk(picker *p, enum mark which) {
    int64_t n = 0;
    for (int64_t at = -1; at < n; at++) {
        const va_term *t = &p->o->term[at < 0 ? p->self : p->queue[at]];
        const int64_t *next = which == BELOW ? t->child : t->parent;
        const int64_t n_next = which == BELOW ? t->n_children : t->n_parents;
        for (int64_t c = 0; c < n_next; c++) {
            if (p->mark[next[c]] & (which | SELF))
                continue;
            p->mark[next[c]] |= (uint8_t)which;
            p->queue[n++] = next[c];
        }
    }
    return n;
}

static va_status pick_positives(picker *p, va_concept_items *out) {
    va_status st = VA_OK;
    const int64_t max = p->params->positives, n_below = walk(p, BELOW);
    bool is_new;
    VA_TRY(begin_items(p, max, &out->positives));
    if (out->definition)
        VA_TRY(use_text(p, out->definition, &is_new));
    for (int64_t i = 0; i < n_below && out->positives.n < max; i++)
        VA_TRY(take_term(p, p->queue[i], max, &out->positives));
    walk(p, ABOVE);
    for (int64_t i = 0; i < p->o->names.n; i++)
        if (p->mark[i] & RELATED)
            VA_TRY(use_term(p, i));
done:
    return st;
}

// -- hard negatives --------------------------------------------------------------------------

static int64_t add_sibling(picker *p, int64_t n, int64_t i) {
    if (p->mark[i] & (RELATED | SIBLING))
        return n;
    p->mark[i] |= SIBLING | QUEUED;
    p->queue[n] = i;
    return n + 1;
}

// Into queue; returns how many.
static int64_t find_siblings(picker *p) {
    const va_ontology *o = p->o;
    const va_term *self = &o->term[p->self];
    int64_t n = 0;
    for (int64_t i = 0; i < self->n_parents; i++) {
        const va_term *parent = &o->term[self->parent[i]];
        for (int64_t c = 0; c < parent->n_children; c++)
            n = add_sibling(p, n, parent->child[c]);
    }
    for (int64_t i = 0; self->n_parents == 0 && i < o->names.n; i++)
        if (o->term[i].n_parents == 0 && o->term[i].layer == self->layer)
            n = add_sibling(p, n, i);
    return n;
}

// One sibling's terms that wait, a list through `next` (-1: the end).
typedef struct waiting {
    int64_t first, last;
} waiting;

static int64_t pop(waiting *w, const int64_t *next) {
    const int64_t i = w->first;
    w->first = next[i];
    return i;
}

static void push_children(picker *p, int64_t i, waiting *w, int64_t *next) {
    const va_term *t = &p->o->term[i];
    for (int64_t c = 0; c < t->n_children; c++) {
        const int64_t child = t->child[c];
        if (p->mark[child] & (RELATED | QUEUED))
            continue;
        p->mark[child] |= QUEUED;
        next[child] = -1;
        if (w->first < 0)
            w->first = child;
        else
            next[w->last] = child;
        w->last = child;
    }
}

static va_status pick_hard(picker *p, va_concept_items *out) {
    va_status st = VA_OK;
    const int64_t max = p->params->hard_negatives;
    int64_t n = find_siblings(p), *next;
    waiting *turn;
    VA_TRY(begin_items(p, max, &out->hard_negatives));
    VA_TRY_ALLOC(p->o->ctx, next, VA_NEW_ARRAY(p->step, int64_t, p->o->names.n));
    VA_TRY_ALLOC(p->o->ctx, turn, VA_NEW_ARRAY(p->step, waiting, n));
    for (int64_t s = 0; s < n; s++) {
        turn[s] = (waiting){p->queue[s], p->queue[s]};
        next[p->queue[s]] = -1;
    }
    while (n > 0 && out->hard_negatives.n < max) {
        int64_t left = 0; // siblings whose turn comes again
        for (int64_t s = 0; s < n && out->hard_negatives.n < max; s++) {
            const int64_t i = pop(&turn[s], next);
            p->mark[i] |= HARD;
            VA_TRY(take_term(p, i, max, &out->hard_negatives));
            push_children(p, i, &turn[s], next);
            if (turn[s].first >= 0)
                turn[left++] = turn[s];
        }
        n = left;
    }
done:
    return st;
}

// -- random negatives ------------------------------------------------------------------------

typedef struct ticket {
    uint64_t number;
    const char *name;
    int64_t term;
} ticket;

static int by_number(const void *a, const void *b) {
    const ticket *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return strcmp(x->name, y->name);
}

static ticket draw_ticket(const picker *p, uint64_t stream, int64_t i) {
    const char *name = p->o->names.name[i];
    va_rng rng = va_rng_make(p->params->seed, stream);
    rng.counter = va_hash64(name);
    const uint64_t high = va_rng_u32(&rng);
    return (ticket){high << 32 | va_rng_u32(&rng), name, i};
}

static va_status pick_random(picker *p, va_concept_items *out) {
    va_status st = VA_OK;
    const int64_t max = p->params->random_negatives;
    const uint64_t stream = va_hash64(p->o->names.name[p->self]);
    int64_t n = 0;
    ticket *tickets;
    VA_TRY(begin_items(p, max, &out->random_negatives));
    if (max == 0)
        return VA_OK;
    VA_TRY_ALLOC(p->o->ctx, tickets, VA_NEW_ARRAY(p->step, ticket, p->o->names.n));
    for (int64_t i = 0; i < p->o->names.n; i++)
        if (!(p->mark[i] & (RELATED | SIBLING | HARD)))
            tickets[n++] = draw_ticket(p, stream, i);
    if (n > 0)
        qsort(tickets, (size_t)n, sizeof *tickets, by_number);
    for (int64_t i = 0; i < n && out->random_negatives.n < max; i++)
        VA_TRY(take_term(p, tickets[i].term, max, &out->random_negatives));
done:
    return st;
}

// -- the whole -------------------------------------------------------------------------------

static va_status find_term(va_ctx *ctx, const va_ontology *o, const char *name, int64_t *id) {
    *id = va_name_set_find(&o->names, name);
    if (*id >= 0)
        return VA_OK;
    const char *near = va_did_you_mean(name, o->names.name, o->names.n);
    return va_fail(ctx, VA_ERR_SPEC, "%s: no term '%.100s' among %lld%s%.100s%s", o->where, name,
                   (long long)o->names.n, near ? ", did you mean '" : "", near ? near : "",
                   near ? "'?" : "");
}

static va_status check_params(va_ctx *ctx, const va_item_params *params) {
    const int64_t least =
        VA_MIN(params->positives, VA_MIN(params->hard_negatives, params->random_negatives));
    if (least < 0)
        return va_fail(ctx, VA_ERR_USAGE, "items of a concept: expected counts >= 0, got %lld",
                       (long long)least);
    return VA_OK;
}

static va_status begin_concept(const picker *p, va_concept_items *out) {
    va_status st = VA_OK;
    va_ctx *ctx = p->o->ctx;
    const va_term *self = &p->o->term[p->self];
    out->layer = self->layer;
    VA_TRY_ALLOC(ctx, out->name, va_arena_strdup(p->arena, p->o->names.name[p->self]));
    if (p->params->definitions && self->definition)
        VA_TRY_ALLOC(ctx, out->definition, va_arena_strdup(p->arena, self->definition));
done:
    return st;
}

va_status va_ontology_items(va_ctx *ctx, va_arena *arena, const va_ontology *o, const char *name,
                            const va_item_params *params, va_concept_items *out) {
    va_status st = VA_OK;
    va_arena *step = NULL;
    picker p = {.o = o, .params = params, .arena = arena};
    *out = (va_concept_items){0};
    VA_TRY(check_params(ctx, params));
    VA_TRY(find_term(ctx, o, name, &p.self));
    VA_TRY_ALLOC(ctx, step, va_arena_create());
    p.step = step;
    p.used = (va_name_set){.ctx = ctx, .arena = step};
    VA_TRY_ALLOC(ctx, p.mark, VA_NEW_ARRAY(step, uint8_t, o->names.n));
    VA_TRY_ALLOC(ctx, p.queue, VA_NEW_ARRAY(step, int64_t, o->names.n));
    p.mark[p.self] = SELF;
    VA_TRY(begin_concept(&p, out));
    VA_TRY(pick_positives(&p, out));
    VA_TRY(pick_hard(&p, out));
    VA_TRY(pick_random(&p, out));
done:
    va_arena_destroy(&step);
    return st;
}
