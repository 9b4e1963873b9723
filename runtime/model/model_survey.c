// Everything that keeps a model from being run, told at once.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <stdlib.h>

enum { MOST_WEIGHTS = 5 }; // faults of single weights that are listed

typedef struct fault_list {
    va_ctx *ctx;
    va_arena *arena;
    va_model_fault *items;
    int64_t n, cap;
} fault_list;

// What has just failed with st joins the list; only a lack of memory and an interrupt go on up.
static va_status note(fault_list *list, va_status st) {
    if (st == VA_OK || st == VA_ERR_MEMORY || st == VA_ERR_INTERRUPTED)
        return st;
    if (list->n == list->cap) {
        va_model_fault *grown = VA_NEW_ARRAY(list->arena, va_model_fault, 2 * list->cap + 8);
        if (!grown)
            return va_fail(list->ctx, VA_ERR_MEMORY, "out of host memory");
        for (int64_t i = 0; i < list->n; i++)
            grown[i] = list->items[i];
        list->items = grown;
        list->cap = 2 * list->cap + 8;
    }
    const char *message = va_arena_strdup(list->arena, va_error_message(list->ctx));
    if (!message)
        return va_fail(list->ctx, VA_ERR_MEMORY, "out of host memory");
    list->items[list->n++] = (va_model_fault){st, message};
    return VA_OK;
}

static va_status note_weights(fault_list *list, va_model *m) {
    va_status st = VA_OK;
    va_graph *g = NULL;
    int64_t n_bad = 0;
    st = model_bare_graph(m, m->config.n_layer, true, &g);
    if (st != VA_OK)
        return note(list, st);
    for (int64_t i = 0; i < va_graph_weight_count(g); i++) {
        model_source source;
        const va_status found = model_find_graph_weight(m, g, i, &source);
        if (found != VA_OK && n_bad++ < MOST_WEIGHTS)
            VA_TRY(note(list, found));
    }
    if (n_bad > MOST_WEIGHTS)
        VA_TRY(note(list, va_fail(m->ctx, VA_ERR_FORMAT, "%s: and %lld more weights like these",
                                  m->dir, (long long)(n_bad - MOST_WEIGHTS))));
done:
    va_graph_destroy(&g);
    return st;
}

// A folder's parts stand in files of their own, a GGUF file holds everything.
static va_status note_parts(fault_list *list, va_model *m, bool is_gguf) {
    va_status st = VA_OK, files = VA_OK;
    if (is_gguf) {
        files = model_files_open(m->ctx, m->dir, true, &m->files);
        VA_TRY(note(list, files));
        if (files != VA_OK)
            return VA_OK;
    }
    const va_status config = model_load_config(m);
    VA_TRY(note(list, config));
    VA_TRY(note(list, model_load_tokenizer(m)));
    if (!is_gguf) {
        files = model_files_open(m->ctx, m->dir, false, &m->files);
        VA_TRY(note(list, files));
    }
    if (config == VA_OK && files == VA_OK)
        VA_TRY(note_weights(list, m));
done:
    return st;
}

va_status va_model_survey(va_ctx *ctx, va_arena *arena, const char *path,
                          const va_model_fault **faults, int64_t *n) {
    va_status st = VA_OK;
    va_model *m = NULL;
    bool is_gguf = false;
    fault_list list = {.ctx = ctx, .arena = arena};
    const va_status created = model_create(ctx, path, &is_gguf, &m);
    VA_TRY(note(&list, created));
    if (created == VA_OK)
        VA_TRY(note_parts(&list, m, is_gguf));
    *faults = list.items;
    *n = list.n;
done:
    va_model_close(&m);
    return st;
}
