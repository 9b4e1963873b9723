// plan_size.c: an experiment's parts multiply; what comes out is bounded before anything is
// planned.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "plan.h"

// Far more than anybody waits for, and what a plan of them takes is a few hundred megabytes.
static const double max_units = 1e5, max_texts = 1e6, max_text_bytes = 1e8;

typedef struct tally {
    double n, bytes, places; // texts, their bytes, and how often the placeholder stands in them
} tally;

static tally count(const va_strings *texts, const char *placeholder) {
    tally t = {.n = (double)texts->n};
    for (int64_t i = 0; i < texts->n; i++) {
        t.bytes += (double)strlen(texts->item[i]);
        for (const char *p = texts->item[i]; placeholder && (p = strstr(p, placeholder)); p++)
            t.places++;
    }
    return t;
}

// Every item put into every text.
static double expanded_bytes(tally items, tally texts) {
    return items.n * texts.bytes + items.bytes * texts.places;
}

static void check(va_experiment *e, double got, double most, const char *what) {
    if (got > most)
        va_diagnose(&e->diag, (va_place){e->path, 0, 0}, "",
                    "the experiment makes %.3g %s, expected at most %.3g", got, what, most);
}

void va_plan_check_size(va_experiment *e) {
    const va_spec *s = &e->spec;
    const tally prompts = count(&s->prompts, "{concept}");
    const tally templates = count(&s->templates, "{item}");
    double n_items = 0, bytes = 0;
    for (int64_t i = 0; i < s->n_concepts; i++) {
        const va_concept *c = &s->concepts[i];
        const va_strings *const lists[] = {&c->positives, &c->hard_negatives, &c->random_negatives};
        const tally name = {1, (double)strlen(c->name), 0};
        bytes += expanded_bytes(name, prompts);
        for (int64_t k = 0; k < VA_COUNT(lists); k++) {
            const tally items = count(lists[k], NULL);
            n_items += items.n;
            bytes += expanded_bytes(items, templates);
        }
    }
    double n_directions = 0;
    for (int64_t i = 0; i < s->n_directions; i++)
        n_directions += VA_MAX(prompts.n, (double)s->directions[i].seeds);
    n_directions *= (double)s->n_concepts * (double)s->n_layers;
    check(e, n_directions, max_units, "directions to find");
    check(e, n_items * templates.n, max_texts, "texts for classifiers");
    check(e, bytes, max_text_bytes, "bytes of text");
}
