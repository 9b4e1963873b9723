// spec.c: diagnostics, and what directions and metrics are.
// SPDX-License-Identifier: Apache-2.0
#include "spec_check.h"

#include <stdio.h>
#include <string.h>

// One mistake of a direction shows at every concept and layer; it is told once.
static bool told(const va_diagnostics *d, va_place at, const char *message) {
    for (int64_t i = 0; i < d->n; i++)
        if (d->item[i].line == at.line && d->item[i].col == at.col &&
            strcmp(d->item[i].message, message) == 0)
            return true;
    return false;
}

static bool grow(va_diagnostics *d) {
    const int64_t cap = d->cap ? 2 * d->cap : 16;
    va_diagnostic *item = VA_NEW_ARRAY(d->arena, va_diagnostic, cap);
    if (!item)
        return false;
    if (d->n)
        memcpy(item, d->item, (size_t)d->n * sizeof *item);
    d->item = item;
    d->cap = cap;
    return true;
}

void va_diagnose(va_diagnostics *d, va_place at, const char *hint, const char *fmt, ...) {
    enum { MAX_MESSAGES = 100 }; // more help nobody
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (d->n >= MAX_MESSAGES || told(d, at, line) || (d->n == d->cap && !grow(d)))
        return;
    d->item[d->n++] = (va_diagnostic){.file = at.file,
                                      .line = at.line,
                                      .col = at.col,
                                      .message = va_arena_strdup(d->arena, line),
                                      .hint = va_arena_strdup(d->arena, hint)};
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

// -- what directions and metrics are -----------------------------------------------------------

bool va_direction_is_trained(const va_direction_spec *dir) {
    return dir->kind >= VA_DIRECTION_MLP && dir->kind <= VA_DIRECTION_LDA;
}

bool va_direction_is_pullback(const va_direction_spec *dir) {
    return dir->kind == VA_DIRECTION_JACOBIAN && dir->reduce == VA_REDUCE_PULLBACK;
}

bool va_direction_has_prompt(const va_direction_spec *dir) {
    return dir->kind == VA_DIRECTION_JACOBIAN && !dir->average;
}

bool va_direction_has_layer(const va_direction_spec *dir) {
    const char *const texts[] = {dir->from, dir->to, dir->site, dir->path};
    for (int64_t i = 0; i < VA_COUNT(texts); i++)
        if (texts[i] && strstr(texts[i], "{layer}"))
            return true;
    return false;
}

const char *va_direction_site(const va_direction_spec *dir) {
    if (dir->kind != VA_DIRECTION_JACOBIAN)
        return dir->site;
    return dir->reduce == VA_REDUCE_JX || dir->reduce == VA_REDUCE_LEFT ? dir->to : dir->from;
}

int64_t va_spec_find_direction(const va_spec *s, const char *name) {
    for (int64_t i = 0; i < s->n_directions; i++)
        if (strcmp(s->directions[i].name, name) == 0)
            return i;
    return -1;
}

const char *va_spec_hint(va_arena *arena, const char *word, const void *structs, int64_t n,
                         size_t size, size_t offset) {
    const char **names = VA_NEW_ARRAY(arena, const char *, n);
    int64_t n_names = 0;
    for (int64_t i = 0; names && i < n; i++) {
        const char *const *name = (const void *)((const char *)structs + (size_t)i * size + offset);
        if (*name) // else diagnosed when it was read
            names[n_names++] = *name;
    }
    const char *near = names ? va_did_you_mean(word, names, n_names) : NULL;
    return near ? va_arena_printf(arena, "did you mean '%s'?", near) : "";
}

bool va_metric_is_single(va_metric_kind kind) {
    return kind != VA_METRIC_AGREEMENT && kind != VA_METRIC_SPEARMAN;
}

static bool any(const va_spec *s, const va_metric_spec *m,
                bool (*has)(const va_direction_spec *dir)) {
    for (int64_t k = 0; k < m->of.n; k++) {
        if (m->kind != VA_METRIC_SPEARMAN && has(&s->directions[m->index[k]]))
            return true;
        if (m->kind == VA_METRIC_SPEARMAN && any(s, &s->metrics[m->index[k]], has))
            return true;
    }
    return false;
}

bool va_metric_has_prompt(const va_spec *s, const va_metric_spec *m) {
    // of activations at two sites, whatever the directions are
    return m->kind != VA_METRIC_CKA && any(s, m, va_direction_has_prompt);
}

bool va_metric_has_layer(const va_spec *s, const va_metric_spec *m) {
    return any(s, m, va_direction_has_layer);
}

bool va_metric_stands_at(const va_spec *s, const va_metric_spec *m, int64_t layer, int64_t prompt) {
    return va_metric_is_single(m->kind) && (layer == 0 || va_metric_has_layer(s, m)) &&
           (prompt == 0 || va_metric_has_prompt(s, m));
}

bool va_spec_has_result(const va_spec *s, int64_t layer, int64_t prompt) {
    for (int64_t m = 0; m < s->n_metrics; m++)
        if (va_metric_stands_at(s, &s->metrics[m], layer, prompt))
            return true;
    return false;
}
