// spec.c: diagnostics, --set overrides, and the checks between parts of an experiment.
// SPDX-License-Identifier: Apache-2.0
#include "spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vkalign/arch.h"

void va_diagnose(va_diagnostics *d, va_place at, const char *hint, const char *fmt, ...) {
    enum { MAX_MESSAGES = 100 }; // more help nobody
    if (d->n >= MAX_MESSAGES)
        return;
    if (d->n == d->cap) {
        int64_t cap = d->cap ? 2 * d->cap : 16;
        va_diagnostic *item = VA_NEW_ARRAY(d->arena, va_diagnostic, cap);
        if (!item)
            return;
        if (d->n)
            memcpy(item, d->item, (size_t)d->n * sizeof *item);
        d->item = item;
        d->cap = cap;
    }
    va_strbuf text = {0};
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    va_strbuf_puts(&text, line);
    d->item[d->n++] = (va_diagnostic){.file = at.file,
                                      .line = at.line,
                                      .col = at.col,
                                      .message = va_arena_strdup(d->arena, text.data),
                                      .hint = va_arena_strdup(d->arena, hint)};
    va_strbuf_free(&text);
}

const char *va_spec_expand(va_arena *arena, const char *text, const char *key, const char *value) {
    va_strbuf out = {0};
    for (const char *at = strstr(text, key); at; at = strstr(text, key)) {
        va_strbuf_append(&out, text, at - text);
        va_strbuf_puts(&out, value);
        text = at + strlen(key);
    }
    va_strbuf_puts(&out, text);
    const char *copy = out.failed ? NULL : va_arena_strndup(arena, out.data, out.len);
    va_strbuf_free(&out);
    return copy;
}

// -- overrides ---------------------------------------------------------------------------------

static void mark_override(va_yaml *n) {
    n->line = VA_LINE_OF_SET;
    for (int64_t i = 0; i < n->n; i++) {
        mark_override(n->item[i]);
        if (n->kind == VA_YAML_MAP)
            n->key[i]->line = VA_LINE_OF_SET;
    }
}

// The map's value slot for key, added when absent.
static va_yaml **slot_of(va_arena *arena, va_yaml *map, const char *key) {
    for (int64_t i = 0; i < map->n; i++)
        if (strcmp(map->key[i]->text, key) == 0)
            return &map->item[i];
    va_yaml **items = VA_NEW_ARRAY(arena, va_yaml *, map->n + 1);
    va_yaml **keys = VA_NEW_ARRAY(arena, va_yaml *, map->n + 1);
    va_yaml *name = VA_NEW(arena, va_yaml);
    if (!items || !keys || !name)
        return NULL;
    for (int64_t i = 0; i < map->n; i++) {
        items[i] = map->item[i];
        keys[i] = map->key[i];
    }
    *name = (va_yaml){.kind = VA_YAML_SCALAR, .line = VA_LINE_OF_SET, .text = key};
    keys[map->n] = name;
    map->item = items;
    map->key = keys;
    return &map->item[map->n++];
}

// A copy of the node with lists of its own: an alias may have put it elsewhere in the tree too.
static va_yaml *unshared(va_arena *arena, const va_yaml *n) {
    va_yaml *copy = VA_NEW(arena, va_yaml);
    if (!copy)
        return NULL;
    *copy = *n;
    if (n->kind != VA_YAML_MAP || n->n == 0)
        return copy;
    copy->item = VA_NEW_ARRAY(arena, va_yaml *, n->n);
    copy->key = VA_NEW_ARRAY(arena, va_yaml *, n->n);
    if (!copy->item || !copy->key)
        return NULL;
    memcpy(copy->item, n->item, (size_t)n->n * sizeof *n->item);
    memcpy(copy->key, n->key, (size_t)n->n * sizeof *n->key);
    return copy;
}

static void override_one(va_diagnostics *d, va_yaml *root, const char *set) {
    const va_place at = {"--set", 0, 0};
    const char *eq = strchr(set, '=');
    if (!eq || eq == set) {
        va_diagnose(d, at, "", "expected key=value, got '%s'", set);
        return;
    }
    va_yaml *value = NULL;
    va_ctx *quiet = va_ctx_create(NULL);
    if (eq[1] && va_yaml_parse(quiet, d->arena, "--set", eq + 1, (int64_t)strlen(eq + 1), NULL,
                               &value) != VA_OK)
        va_diagnose(d, at, "", "%s: the value is not YAML: %s", set, va_error_message(quiet));
    va_ctx_destroy(&quiet);
    if (!value)
        value = VA_NEW(d->arena, va_yaml); // key= clears it
    char *path = va_arena_strndup(d->arena, set, eq - set);
    va_yaml *node = root;
    for (char *dot = strchr(path, '.'); dot; dot = strchr(path, '.')) {
        *dot = '\0';
        va_yaml **slot = node->kind == VA_YAML_MAP ? slot_of(d->arena, node, path) : NULL;
        if (slot)
            *slot = *slot ? unshared(d->arena, *slot) : VA_NEW(d->arena, va_yaml);
        if (slot && *slot && (*slot)->kind == VA_YAML_NULL)
            (*slot)->kind = VA_YAML_MAP;
        if (!slot || !*slot || (*slot)->kind != VA_YAML_MAP) {
            va_diagnose(d, at, "", "%s: '%s' is not a map", set, path);
            return;
        }
        node = *slot;
        path = dot + 1;
    }
    va_yaml **slot = node->kind == VA_YAML_MAP ? slot_of(d->arena, node, path) : NULL;
    if (!slot)
        return;
    mark_override(value);
    *slot = value;
}

void va_spec_override(va_diagnostics *d, va_yaml *root, const char *const *sets, int64_t n_sets) {
    for (int64_t i = 0; i < n_sets; i++)
        override_one(d, root, sets[i]);
}

// -- checks between parts ----------------------------------------------------------------------

// What could not be read (NULL, no entries) was diagnosed then, and is passed over here.

// Names stand in the results, in messages, and in the names of files.
static void check_name(va_diagnostics *d, va_place at, const char *what, const char *name) {
    enum { MAX_BYTES = 200 };
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
                                   const va_strings *negatives) {
    for (int64_t i = 0; i < negatives->n; i++) {
        const char *const *item = &negatives->item[i];
        if (bsearch(item, sorted, (size_t)c->positives.n, sizeof *sorted, by_text))
            va_diagnose(d, c->place, "", "concept '%s': '%s' is both positive and negative",
                        c->name, *item);
    }
}

// No item is both positive and negative.
static void check_items(va_diagnostics *d, const va_concept *c) {
    const char **sorted = VA_NEW_ARRAY(d->arena, const char *, c->positives.n);
    if (!sorted || c->positives.n == 0)
        return;
    memcpy(sorted, c->positives.item, (size_t)c->positives.n * sizeof *sorted);
    qsort(sorted, (size_t)c->positives.n, sizeof *sorted, by_text);
    check_negatives_differ(d, c, sorted, &c->hard_negatives);
    check_negatives_differ(d, c, sorted, &c->random_negatives);
}

static void check_concepts(va_diagnostics *d, const va_spec *s) {
    for (int64_t i = 0; i < s->n_concepts; i++) {
        const va_concept *c = &s->concepts[i];
        if (!c->name)
            continue;
        for (int64_t j = 0; j < i; j++)
            if (s->concepts[j].name && strcmp(s->concepts[j].name, c->name) == 0)
                va_diagnose(d, c->place, "", "concepts: '%s' stands there twice (first at line %d)",
                            c->name, s->concepts[j].place.line);
        check_name(d, c->place, "concepts", c->name);
        check_items(d, c);
    }
}

static void check_negatives(va_diagnostics *d, const va_spec *s) {
    for (int64_t i = 0; i < s->n_concepts; i++) {
        const va_concept *c = &s->concepts[i];
        if (c->hard_negatives.n + c->random_negatives.n < 4)
            va_diagnose(d, c->place, "add hard_negatives or random_negatives",
                        "concept '%s': expected at least 4 negatives for a classifier, got %lld",
                        c->name, (long long)(c->hard_negatives.n + c->random_negatives.n));
    }
}

static void check_placeholder(va_diagnostics *d, va_place at, const va_strings *texts,
                              const char *where, const char *key) {
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

static void check_directions(va_diagnostics *d, const va_spec *s) {
    const bool whole = d->n == 0;
    bool mlp = false;
    for (int64_t i = 0; i < s->n_directions; i++) {
        const va_direction_spec *dir = &s->directions[i];
        check_name(d, dir->place, "directions", dir->name);
        if (dir->kind == VA_DIRECTION_MLP) {
            mlp = true;
            check_site(d, dir, "site", dir->site, false);
            if (dir->n_hidden > 0 && dir->n_hidden != 2)
                va_diagnose(d, dir->place, "", "directions.%s.hidden: expected 2 widths, got %lld",
                            dir->name, (long long)dir->n_hidden);
        } else {
            check_site(d, dir, "from", dir->from, true);
            check_site(d, dir, "to", dir->to, false);
        }
    }
    if (mlp && whole)
        check_negatives(d, s);
}

static int64_t find_direction(const va_spec *s, const char *name) {
    for (int64_t i = 0; i < s->n_directions; i++)
        if (strcmp(s->directions[i].name, name) == 0)
            return i;
    return -1;
}

static const char *output_site(const va_direction_spec *dir) {
    return dir->kind == VA_DIRECTION_JACOBIAN ? dir->to : dir->site;
}

// Directions of different sites are compared only when the file says so.
static void check_metric_sites(va_diagnostics *d, const va_spec *s, const va_metric_spec *m) {
    const char *a = output_site(&s->directions[m->direction[0]]);
    const char *b = output_site(&s->directions[m->direction[1]]);
    if (m->across_sites || !a || !b || strcmp(a, b) == 0)
        return;
    va_diagnose(d, m->place, "set across_sites: true to compare them all the same",
                "metric '%s': '%s' lives at %s and '%s' at %s", m->name, m->of.item[0], a,
                m->of.item[1], b);
}

static bool listed(const va_strings *list, int64_t n, const char *item) {
    for (int64_t i = 0; i < n; i++)
        if (strcmp(list->item[i], item) == 0)
            return true;
    return false;
}

// The covariance null replaces a classifier's direction.
static void check_nulls(va_diagnostics *d, const va_spec *s, const va_metric_spec *m) {
    for (int64_t i = 0; i < m->nulls.n; i++) {
        if (listed(&m->nulls, i, m->nulls.item[i]))
            va_diagnose(d, m->place, "", "metric '%s': the null '%s' stands there twice", m->name,
                        m->nulls.item[i]);
        if (strcmp(m->nulls.item[i], "covariance") == 0 &&
            s->directions[m->direction[0]].kind != VA_DIRECTION_MLP &&
            s->directions[m->direction[1]].kind != VA_DIRECTION_MLP)
            va_diagnose(d, m->place, "",
                        "metric '%s': the covariance null needs a direction of kind mlp, got two "
                        "of kind jacobian",
                        m->name);
    }
}

static void check_metric(va_diagnostics *d, const va_spec *s, va_metric_spec *m, bool whole) {
    if (!m->name || m->of.n == 0)
        return;
    if (m->of.n != 2) {
        va_diagnose(d, m->place, "", "metric '%s': expected two directions, got %lld", m->name,
                    (long long)m->of.n);
        return;
    }
    for (int k = 0; k < 2; k++) {
        m->direction[k] = find_direction(s, m->of.item[k]);
        if (m->direction[k] < 0) {
            va_diagnose(d, m->place, "", "metric '%s': there is no direction '%s'", m->name,
                        m->of.item[k]);
            return;
        }
    }
    if (whole) {
        check_metric_sites(d, s, m);
        check_nulls(d, s, m);
    }
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
    check_placeholder(d, s->prompts_place, &s->prompts, "prompts", "{concept}");
    check_placeholder(d, s->templates_place, &s->templates, "templates", "{item}");
    check_directions(d, s);
    const bool whole = d->n == 0;
    for (int64_t i = 0; i < s->n_metrics; i++) {
        for (int64_t j = 0; j < i && s->metrics[i].name; j++)
            if (s->metrics[j].name && strcmp(s->metrics[i].name, s->metrics[j].name) == 0)
                va_diagnose(d, s->metrics[i].place, "", "metrics: '%s' stands there twice",
                            s->metrics[i].name);
        check_metric(d, s, &s->metrics[i], whole);
    }
}
