// spec_check.c: the checks between parts of an experiment; those of metrics are in spec_metric.c.
// SPDX-License-Identifier: Apache-2.0
#include "schema.h"
#include "spec_check.h"

#include <stdlib.h>
#include <string.h>

#include "vkalign/arch.h"

// What could not be read (NULL, no entries) was diagnosed then, and is passed over here.

// Names stand in the results, in messages, and in the names of files.
void va_spec_check_name(va_diagnostics *d, va_place at, const char *what, const char *name) {
    enum { MAX_BYTES = 200 };
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        va_diagnose(d, at, "", "%s: expected a name, got '%s'", what, name);
    if (strchr(name, '/'))
        va_diagnose(d, at, "", "%s: a name cannot hold '/', got '%.80s'", what, name);
    if (strlen(name) > MAX_BYTES)
        va_diagnose(d, at, "", "%s: a name has at most %d bytes, got %zu ('%.80s...')", what,
                    MAX_BYTES, strlen(name), name);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void check_negatives_differ(va_diagnostics *d, const va_concept *c, const char **sorted,
                                   int64_t n, const va_strings *negatives) {
    for (int64_t i = 0; i < negatives->n; i++) {
        const char *const *item = &negatives->item[i];
        if (bsearch(item, sorted, (size_t)n, sizeof *sorted, by_text))
            va_diagnose(d, c->place, "", "concept '%s': '%s' is both positive and negative",
                        c->name, *item);
    }
}

// The items sorted, each once. NULL: out of memory.
static const char **sort_items(va_arena *arena, const va_strings *const *lists, int64_t n_lists,
                               int64_t *n) {
    int64_t most = 0;
    for (int64_t k = 0; k < n_lists; k++)
        most += lists[k]->n;
    const char **sorted = VA_NEW_ARRAY(arena, const char *, most + 1);
    *n = 0;
    for (int64_t k = 0; sorted && k < n_lists; k++)
        for (int64_t i = 0; i < lists[k]->n; i++)
            sorted[(*n)++] = lists[k]->item[i];
    if (sorted && *n > 0)
        qsort(sorted, (size_t)*n, sizeof *sorted, by_text);
    int64_t n_all = *n;
    for (int64_t i = *n = 0; sorted && i < n_all; i++)
        if (*n == 0 || strcmp(sorted[*n - 1], sorted[i]) != 0)
            sorted[(*n)++] = sorted[i];
    return sorted;
}

// No item is both positive and negative.
static void check_items(va_diagnostics *d, const va_concept *c) {
    int64_t n;
    const va_strings *const list[] = {&c->positives};
    const char **sorted = sort_items(d->arena, list, 1, &n);
    if (!sorted || n == 0)
        return;
    check_negatives_differ(d, c, sorted, n, &c->hard_negatives);
    check_negatives_differ(d, c, sorted, n, &c->random_negatives);
}

static void check_concepts(va_diagnostics *d, const va_spec *s) {
    if (s->n_concepts > VA_MAX_ITEMS) { // which inline ones cannot be
        va_diagnose(d, s->source.place, "", "concepts: expected at most %d, got %lld", VA_MAX_ITEMS,
                    (long long)s->n_concepts);
        return;
    }
    for (int64_t i = 0; i < s->n_concepts; i++) {
        const va_concept *c = &s->concepts[i];
        if (!c->name)
            continue;
        for (int64_t j = 0; j < i; j++)
            if (s->concepts[j].name && strcmp(s->concepts[j].name, c->name) == 0)
                va_diagnose(d, c->place, "", "concepts: '%s' stands there twice (first at line %d)",
                            c->name, s->concepts[j].place.line);
        va_spec_check_name(d, c->place, "concepts", c->name);
        check_items(d, c);
    }
}

static int64_t count_items(const va_strings *const *lists, int64_t n_lists) {
    int64_t n = 0;
    for (int64_t k = 0; k < n_lists; k++)
        for (int64_t i = 0; i < lists[k]->n; i++)
            n += !lists[k]->joined || !lists[k]->joined[i];
    return n;
}

// A classifier holds some items of each class out and learns from the others; an item that stands
// there twice counts once.
static void check_classes(va_diagnostics *d, const va_spec *s) {
    enum { FEWEST = 4 };
    for (int64_t i = 0; i < s->n_concepts; i++) {
        const va_concept *c = &s->concepts[i];
        const va_strings *const positive[] = {&c->positives};
        const va_strings *const negative[] = {&c->hard_negatives, &c->random_negatives};
        int64_t n_positive, n_negative;
        sort_items(d->arena, positive, 1, &n_positive);
        sort_items(d->arena, negative, 2, &n_negative);
        n_positive = VA_MIN(n_positive, count_items(positive, 1));
        n_negative = VA_MIN(n_negative, count_items(negative, 2));
        if (n_positive < FEWEST)
            va_diagnose(d, c->place, "",
                        "concept '%s': expected at least %d different positives for a classifier, "
                        "got %lld",
                        c->name, FEWEST, (long long)n_positive);
        if (n_negative < FEWEST)
            va_diagnose(d, c->place, "add hard_negatives or random_negatives",
                        "concept '%s': expected at least %d negatives for a classifier, got %lld",
                        c->name, FEWEST, (long long)n_negative);
    }
}

static void check_texts(va_diagnostics *d, va_place at, const va_strings *texts, const char *where,
                        const char *key) {
    int64_t n;
    const va_strings *const lists[] = {texts};
    if (sort_items(d->arena, lists, 1, &n) && n < texts->n)
        va_diagnose(d, at, "", "%s: expected texts that differ, %lld of %lld stand there again",
                    where, (long long)(texts->n - n), (long long)texts->n);
    for (int64_t i = 0; i < texts->n; i++)
        if (!strstr(texts->item[i], key))
            va_diagnose(d, at, "", "%s[%lld]: expected %s in the text, got '%s'", where,
                        (long long)i, key, texts->item[i]);
}

// The site without a model: names and positions only.
static void check_site(va_diagnostics *d, const va_direction_spec *dir, const char *key,
                       const char *text, bool with_layer) {
    va_site site;
    if (!text)
        return;
    va_ctx *quiet = va_ctx_create(NULL);
    const char *one = va_spec_expand(d->arena, text, "{layer}", "0");
    if (va_site_parse(quiet, one, -1, &site) != VA_OK)
        va_diagnose(d, dir->place, "", "directions.%s.%s: %s", dir->name, key,
                    va_error_message(quiet));
    else if (!with_layer && (site.position == VA_POS_ALL))
        va_diagnose(d, dir->place, "use @last, @mean, @concept or a token number",
                    "directions.%s.%s: expected one position, got @all", dir->name, key);
    va_ctx_destroy(&quiet);
}

static void wrong(va_diagnostics *d, const va_direction_spec *dir, const char *key,
                  const char *expected) {
    va_diagnose(d, dir->place, "", "directions.%s.%s: expected %s", dir->name, key, expected);
}

static void check_rank(va_diagnostics *d, const va_direction_spec *dir) {
    if (dir->rank <= 1)
        return;
    if (dir->kind == VA_DIRECTION_JACOBIAN && dir->reduce != VA_REDUCE_RIGHT &&
        dir->reduce != VA_REDUCE_LEFT)
        wrong(d, dir, "rank", "1 unless reduce is right or left");
    if ((dir->kind == VA_DIRECTION_MLP || dir->kind == VA_DIRECTION_PACK) &&
        dir->direction != VA_MLP_W1_SVD)
        wrong(d, dir, "rank", "1 unless direction is w1_svd");
}

// The direction that is pulled back: at `to`, and no pullback itself.
static void check_pulled(va_diagnostics *d, const va_spec *s, va_direction_spec *dir) {
    dir->pulled = va_spec_find_direction(s, dir->of);
    if (dir->pulled < 0) {
        va_diagnose(d, dir->place,
                    va_spec_hint(d->arena, dir->of, s->directions, s->n_directions,
                                 sizeof *s->directions, offsetof(va_direction_spec, name)),
                    "directions.%s.of: there is no direction '%s'", dir->name, dir->of);
        return;
    }
    const va_direction_spec *of = &s->directions[dir->pulled];
    const char *site = of->kind == VA_DIRECTION_JACOBIAN ? NULL : of->site;
    if (!site)
        wrong(d, dir, "of", "a direction from data or a file");
    else if (dir->to && strcmp(site, dir->to) != 0)
        va_diagnose(d, dir->place, "", "directions.%s.of: '%s' lives at %s, and `to` is %s",
                    dir->name, dir->of, site, dir->to);
    if (of->rank > 1)
        wrong(d, dir, "of", "a direction of rank 1");
    if (va_direction_has_layer(of) && !va_direction_has_layer(dir))
        wrong(d, dir, "of", "a direction that does not depend on {layer}, as this one does not");
}

static void check_jacobian(va_diagnostics *d, const va_spec *s, va_direction_spec *dir) {
    const bool gradient = dir->reduce == VA_REDUCE_GRADIENT;
    const bool pullback = dir->reduce == VA_REDUCE_PULLBACK;
    check_site(d, dir, "from", dir->from, dir->reduce != VA_REDUCE_RIGHT && !dir->average);
    check_site(d, dir, "to", dir->to, false);
    if (!dir->token || !dir->versus || !dir->of || !dir->to)
        return; // diagnosed
    if (gradient != (dir->token[0] != '\0'))
        wrong(d, dir, "token",
              gradient ? "the text of one token"
                       : "nothing unless reduce is "
                         "gradient");
    if (!gradient && dir->versus[0])
        wrong(d, dir, "versus", "nothing unless reduce is gradient");
    if (gradient && strncmp(dir->to, "logits", 6) != 0)
        wrong(d, dir, "to", "logits for a gradient");
    if (pullback != (dir->of[0] != '\0'))
        wrong(d, dir, "of",
              pullback ? "the direction pulled back"
                       : "nothing unless reduce is "
                         "pullback");
    else if (pullback)
        check_pulled(d, s, dir);
}

static void check_directions(va_diagnostics *d, const va_spec *s) {
    const bool whole = d->n == 0;
    bool trained = false;
    for (int64_t i = 0; i < s->n_directions; i++) {
        va_direction_spec *dir = &s->directions[i];
        va_spec_check_name(d, dir->place, "directions", dir->name);
        trained |= va_direction_is_trained(dir);
        dir->rank = VA_MAX(dir->rank, 1); // of the kinds that have no such key
        if (dir->kind == VA_DIRECTION_JACOBIAN)
            check_jacobian(d, s, dir);
        else
            check_site(d, dir, "site", dir->site, false);
        if (dir->kind == VA_DIRECTION_MLP && dir->n_hidden > 0 && dir->n_hidden != 2)
            va_diagnose(d, dir->place, "", "directions.%s.hidden: expected 2 widths, got %lld",
                        dir->name, (long long)dir->n_hidden);
        if (dir->kind == VA_DIRECTION_LDA && dir->shrinkage < 0 && dir->shrinkage != -1)
            va_diagnose(d, dir->place, "",
                        "directions.%s.shrinkage: expected -1 or a number from 0 to 1, got %g",
                        dir->name, dir->shrinkage);
        check_rank(d, dir);
    }
    if (trained && whole)
        check_classes(d, s);
}

static void check_layers_differ(va_diagnostics *d, const va_spec *s) {
    for (int64_t i = 0; i < s->n_layers; i++)
        for (int64_t j = 0; j < i; j++)
            if (s->layers[i] == s->layers[j])
                va_diagnose(d, s->layers_place, "", "model.layers[%lld]: %lld stands there twice",
                            (long long)i, (long long)s->layers[i]);
}

void va_spec_check(va_diagnostics *d, va_spec *s) {
    check_layers_differ(d, s);
    check_concepts(d, s);
    check_texts(d, s->prompts_place, &s->prompts, "prompts", "{concept}");
    check_texts(d, s->templates_place, &s->templates, "templates", "{item}");
    check_directions(d, s);
    va_spec_check_metrics(d, s);
    va_spec_check_expectations(d, s);
}
