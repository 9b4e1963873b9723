// spec_metric.c: the checks of metrics.
// SPDX-License-Identifier: Apache-2.0
#include "spec_check.h"

#include <math.h>
#include <string.h>

// What could not be read (NULL, no entries) was diagnosed then, and is passed over here.

// What each kind of metric takes: entries of `of`, null distributions, whether it looks at frames.
typedef struct kind_rule {
    int64_t n_of;
    const char *nulls[5]; // NULL-terminated
    bool frames, bootstrap_items;
} kind_rule;

static const kind_rule rules[] = {
    [VA_METRIC_COSINE] = {2, {"analytic", "random", "covariance", "permutation"}, false, true},
    [VA_METRIC_SUBSPACE] = {2, {"analytic", "permutation"}, true, true},
    [VA_METRIC_SPECTRUM] = {2, {NULL}, true, false},
    [VA_METRIC_CKA] = {2, {"permutation"}, true, false},
    [VA_METRIC_TRANSFER] = {2, {"random", "permutation"}, false, false},
    [VA_METRIC_AGREEMENT] = {1, {"analytic"}, false, false},
    [VA_METRIC_SPEARMAN] = {2, {"analytic"}, true, false},
};

static void wrong(va_diagnostics *d, const va_metric_spec *m, const char *what) {
    va_diagnose(d, m->place, "", "metric '%s': %s", m->name, what);
}

int64_t va_spec_find_metric(const va_spec *s, const char *name) {
    for (int64_t i = 0; i < s->n_metrics; i++)
        if (s->metrics[i].name && strcmp(s->metrics[i].name, name) == 0)
            return i;
    return -1;
}

const char *va_spec_metric_hint(va_arena *arena, const va_spec *s, const char *name) {
    return va_spec_hint(arena, name, s->metrics, s->n_metrics, sizeof *s->metrics,
                        offsetof(va_metric_spec, name));
}

static bool resolve(va_diagnostics *d, const va_spec *s, va_metric_spec *m) {
    const bool of_metrics = m->kind == VA_METRIC_SPEARMAN;
    for (int64_t k = 0; k < m->of.n; k++) {
        m->index[k] = of_metrics ? va_spec_find_metric(s, m->of.item[k])
                                 : va_spec_find_direction(s, m->of.item[k]);
        if (m->index[k] >= 0)
            continue;
        va_diagnose(d, m->place,
                    of_metrics
                        ? va_spec_metric_hint(d->arena, s, m->of.item[k])
                        : va_spec_hint(d->arena, m->of.item[k], s->directions, s->n_directions,
                                       sizeof *s->directions, offsetof(va_direction_spec, name)),
                    "metric '%s': there is no %s '%s'", m->name,
                    of_metrics ? "metric" : "direction", m->of.item[k]);
        return false;
    }
    return true;
}

// -- what is compared ----------------------------------------------------------------------------

// Directions of different sites are compared only when the file says so.
static void check_sites(va_diagnostics *d, const va_metric_spec *m, const va_direction_spec *a,
                        const va_direction_spec *b) {
    const char *at_a = va_direction_site(a), *at_b = va_direction_site(b);
    if (m->kind == VA_METRIC_CKA || m->kind == VA_METRIC_SPECTRUM || m->across_sites)
        return; // they need no common space
    if (at_a && at_b && strcmp(at_a, at_b) != 0)
        va_diagnose(d, m->place, "set across_sites: true to compare them all the same",
                    "metric '%s': '%s' lives at %s and '%s' at %s", m->name, a->name, at_a, b->name,
                    at_b);
}

static bool has_spectrum(const va_direction_spec *dir) {
    if (dir->rank < 2)
        return false;
    switch (dir->kind) {
    case VA_DIRECTION_JACOBIAN:
        return dir->reduce == VA_REDUCE_RIGHT || dir->reduce == VA_REDUCE_LEFT;
    case VA_DIRECTION_MLP:
    case VA_DIRECTION_PACK:
        return dir->direction != VA_MLP_MEAN_GRADIENT;
    default:
        return dir->kind == VA_DIRECTION_PCA;
    }
}

static void check_pair(va_diagnostics *d, const va_metric_spec *m, const va_direction_spec *a,
                       const va_direction_spec *b) {
    check_sites(d, m, a, b);
    if (!rules[m->kind].frames && (a->rank > 1 || b->rank > 1))
        wrong(d, m, "expected directions of rank 1; kind subspace compares frames");
    for (int64_t i = 0; i < m->n_ranks; i++)
        if (m->kind != VA_METRIC_SUBSPACE)
            wrong(d, m, "ranks are for kind subspace");
        else if (m->ranks[i] > VA_MIN(a->rank, b->rank))
            va_diagnose(d, m->place, "", "metric '%s': ranks[%lld]: %lld exceeds the frames' %lld",
                        m->name, (long long)i, (long long)m->ranks[i],
                        (long long)VA_MIN(a->rank, b->rank));
    if (m->kind == VA_METRIC_SPECTRUM && (!has_spectrum(a) || !has_spectrum(b)))
        wrong(d, m,
              "expected frames of rank 2 or more with singular values: reduce right or left, "
              "mlp, pca");
    if (m->kind == VA_METRIC_CKA && (!va_direction_is_trained(a) || !va_direction_is_trained(b)))
        wrong(d, m,
              "cka compares the activations that two directions were learnt from; expected "
              "two that learn");
    if (m->kind == VA_METRIC_TRANSFER && !va_direction_is_trained(b))
        wrong(d, m,
              "the second direction must be one that learns: its held-out items are the "
              "test");
}

// Both are divided alike, so that with equal shares no test item was learnt from.
static void check_transfer(va_diagnostics *d, const va_spec *s, const va_metric_spec *m,
                           const va_direction_spec *a, const va_direction_spec *b) {
    if (va_direction_is_pullback(a))
        a = &s->directions[a->pulled];
    if (va_direction_is_trained(a) && va_direction_is_trained(b) && a->held_out < b->held_out)
        va_diagnose(d, m->place, "let both hold the same share out",
                    "metric '%s': '%s' holds %g of the items out and '%s' %g, so that it has "
                    "learnt from some of the test items",
                    m->name, a->name, a->held_out, b->name, b->held_out);
}

static void check_agreement(va_diagnostics *d, const va_spec *s, const va_metric_spec *m,
                            const va_direction_spec *dir) {
    const int64_t n = m->over == VA_OVER_SEEDS ? dir->seeds
                      : m->over == VA_OVER_LAYERS
                          ? (va_direction_has_layer(dir) ? s->n_layers : 1)
                          : (va_direction_has_prompt(dir) ? s->prompts.n : 1);
    if (dir->rank > 1)
        wrong(d, m, "expected a direction of rank 1");
    if (n < 2)
        va_diagnose(d, m->place, "", "metric '%s': expected at least two %s of '%s', got %lld",
                    m->name, va_over_names[m->over], dir->name, (long long)VA_MAX(n, 1));
}

static void check_spearman(va_diagnostics *d, const va_spec *s, const va_metric_spec *m) {
    for (int k = 0; k < 2; k++)
        if (!va_metric_is_single(s->metrics[m->index[k]].kind))
            wrong(d, m, "expected metrics with one number for each concept");
    if (s->n_concepts < 3)
        va_diagnose(d, m->place, "", "metric '%s': expected at least 3 concepts to rank, got %lld",
                    m->name, (long long)s->n_concepts);
}

// -- chance --------------------------------------------------------------------------------------

static bool listed(const char *const *list, int64_t n, const char *item) {
    for (int64_t i = 0; i < n && list[i]; i++)
        if (strcmp(list[i], item) == 0)
            return true;
    return false;
}

// Holm's correction and Bonferroni's multiply the smallest p, 1 / (n + 1) of n draws, by the number
// of tests: with too few draws nothing could ever differ from chance.
static void check_draws(va_diagnostics *d, const va_spec *s, const va_metric_spec *m,
                        const char *null) {
    const va_chance_spec *chance = &s->chance;
    const bool permutation = strcmp(null, "permutation") == 0;
    const int64_t draws = permutation ? chance->permutations : chance->draws;
    const double tests = (double)s->n_concepts *
                         (double)(va_metric_has_layer(s, m) ? s->n_layers : 1) *
                         (double)(va_metric_has_prompt(s, m) ? s->prompts.n : 1);
    const bool multiplies =
        chance->correction == VA_METRIC_HOLM || chance->correction == VA_METRIC_BONFERRONI;
    if (!va_metric_is_single(m->kind) || strcmp(null, "analytic") == 0 || !multiplies ||
        tests / (double)(draws + 1) <= chance->alpha)
        return;
    va_diagnose(d, m->place, "or take the correction benjamini-hochberg",
                "metric '%s': %lld draws cannot show p below %g after %s's correction of %.0f "
                "tests; expected chance.%s of %.0f at least",
                m->name, (long long)draws, chance->alpha,
                va_metric_correction_name(chance->correction), tests,
                permutation ? "permutations" : "draws", ceil(tests / chance->alpha) - 1);
}

// Random directions, and, where there are activations to tell, directions spread as they are: by
// the first alone too much would differ from chance.
static va_strings default_nulls(const kind_rule *rule, bool trained) {
    static const char *both[] = {"analytic", "covariance"};
    const bool spread = trained && listed(rule->nulls, VA_COUNT(rule->nulls), both[1]);
    return (va_strings){.item = both, .n = spread ? 2 : 1};
}

static void check_nulls(va_diagnostics *d, const va_spec *s, va_metric_spec *m, bool trained) {
    const kind_rule *rule = &rules[m->kind];
    for (int64_t i = 0; i < m->nulls.n; i++) {
        const char *null = m->nulls.item[i];
        const bool from_items = strcmp(null, "covariance") == 0 || strcmp(null, "permutation") == 0;
        if (listed(m->nulls.item, i, null))
            va_diagnose(d, m->place, "", "metric '%s': the null '%s' stands there twice", m->name,
                        null);
        if (!listed(rule->nulls, VA_COUNT(rule->nulls), null))
            va_diagnose(d, m->place, "", "metric '%s': kind %s has no null '%s'", m->name,
                        va_metric_kind_names[m->kind], null);
        else if (from_items && !trained)
            va_diagnose(d, m->place, "",
                        "metric '%s': the %s null needs a direction that learns from items (mlp, "
                        "logistic, difference, pca, lda)",
                        m->name, null);
    }
    for (int64_t i = 0; i < m->nulls.n; i++)
        check_draws(d, s, m, m->nulls.item[i]);
    if (m->nulls.n == 0 && !m->has_nulls && listed(rule->nulls, 1, "analytic"))
        m->nulls = default_nulls(rule, trained);
}

static void check_bootstrap(va_diagnostics *d, const va_spec *s, const va_metric_spec *m,
                            bool trained, bool prompted) {
    const bool of_metrics = m->kind == VA_METRIC_SPEARMAN;
    const va_direction_spec *a = of_metrics ? NULL : &s->directions[m->index[0]];
    const va_direction_spec *b = of_metrics ? NULL : &s->directions[m->index[m->of.n - 1]];
    for (int64_t i = 0; i < m->bootstrap.n; i++) {
        const bool items = strcmp(m->bootstrap.item[i], "items") == 0;
        if (listed(m->bootstrap.item, i, m->bootstrap.item[i]))
            wrong(d, m, "a bootstrap stands there twice");
        if (!va_metric_is_single(m->kind))
            wrong(d, m, "bootstrap is for metrics with one number for each concept");
        else if (items && (!rules[m->kind].bootstrap_items || !trained))
            wrong(d, m,
                  "bootstrap items needs kind cosine or subspace and a direction that learns "
                  "from items");
        else if (items && (va_direction_is_pullback(a) || va_direction_is_pullback(b)))
            wrong(d, m, "bootstrap items finds no pullback again; expected other directions");
        else if (items && va_direction_is_trained(a) && va_direction_is_trained(b) &&
                 a->held_out != b->held_out)
            wrong(d, m,
                  "bootstrap items draws the same items for both directions; expected one "
                  "held_out");
        else if (!items && (!prompted || s->prompts.n < 3))
            wrong(d, m,
                  "bootstrap prompts needs a direction that depends on the prompt, and at "
                  "least 3 prompts");
    }
}

static void check_metric(va_diagnostics *d, const va_spec *s, va_metric_spec *m, bool whole) {
    const int64_t n_of = rules[m->kind].n_of;
    if (!m->name || m->of.n == 0)
        return;
    if (m->of.n != n_of) {
        va_diagnose(d, m->place, "", "metric '%s': expected %s, got %lld", m->name,
                    n_of == 1                       ? "one direction"
                    : m->kind == VA_METRIC_SPEARMAN ? "two metrics"
                                                    : "two directions",
                    (long long)m->of.n);
        return;
    }
    if (!resolve(d, s, m) || !whole)
        return;
    if (m->kind == VA_METRIC_SPEARMAN) {
        check_spearman(d, s, m);
        check_nulls(d, s, m, false);
        check_bootstrap(d, s, m, false, false);
        return;
    }
    const va_direction_spec *a = &s->directions[m->index[0]];
    const va_direction_spec *b = &s->directions[m->index[n_of - 1]];
    const bool trained = m->kind == VA_METRIC_TRANSFER
                             ? va_direction_is_trained(a)
                             : va_direction_is_trained(a) || va_direction_is_trained(b);
    if (m->kind == VA_METRIC_AGREEMENT)
        check_agreement(d, s, m, a);
    else
        check_pair(d, m, a, b);
    if (m->kind == VA_METRIC_TRANSFER)
        check_transfer(d, s, m, a, b);
    check_nulls(d, s, m, trained);
    check_bootstrap(d, s, m, trained, va_direction_has_prompt(a) || va_direction_has_prompt(b));
}

// -- all of them --------------------------------------------------------------------------------

// A metric of several ranks becomes one for each: "overlap rank 4".
static void split_ranks(va_diagnostics *d, va_spec *s) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->n_metrics; i++)
        n += VA_MAX(s->metrics[i].n_ranks, 1);
    va_metric_spec *all = n > s->n_metrics ? VA_NEW_ARRAY(d->arena, va_metric_spec, n) : NULL;
    if (!all)
        return;
    n = 0;
    for (int64_t i = 0; i < s->n_metrics; i++) {
        const va_metric_spec *m = &s->metrics[i];
        all[n++] = *m;
        for (int64_t k = 0; k < m->n_ranks; k++) {
            va_metric_spec *one = &all[n - 1 + (k > 0)];
            *one = *m;
            one->n_ranks = 1;
            one->ranks = &m->ranks[k];
            one->name = m->n_ranks > 1 ? va_arena_printf(d->arena, "%s rank %lld", m->name,
                                                         (long long)m->ranks[k])
                                       : m->name;
            n += k > 0;
        }
    }
    s->metrics = all;
    s->n_metrics = n;
}

// After ranks have made names of their own.
static void check_names_differ(va_diagnostics *d, const va_spec *s) {
    for (int64_t i = 0; i < s->n_metrics; i++)
        for (int64_t j = 0; j < i && s->metrics[i].name; j++)
            if (s->metrics[j].name && strcmp(s->metrics[i].name, s->metrics[j].name) == 0)
                va_diagnose(d, s->metrics[i].place, "", "metrics: '%s' stands there twice",
                            s->metrics[i].name);
}

void va_spec_check_metrics(va_diagnostics *d, va_spec *s) {
    const bool whole = d->n == 0;
    for (int64_t i = 0; i < s->n_metrics; i++)
        if (s->metrics[i].kind != VA_METRIC_SPEARMAN)
            check_metric(d, s, &s->metrics[i], whole);
    split_ranks(d, s);
    check_names_differ(d, s);
    for (int64_t i = 0; i < s->n_metrics; i++)
        if (s->metrics[i].kind == VA_METRIC_SPEARMAN)
            check_metric(d, s, &s->metrics[i], whole);
}
