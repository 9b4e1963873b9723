// A model without files: a configuration, and random weights that are made on the device.
//
// A weight's numbers depend on (seed, its name in the graph) alone. Matrices [n_out, n_in] have
// the deviation 1 / sqrt(n_in), so that a product keeps the size of what it is given; norms lie
// about a gain of 1, biases about 0.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NORM_DEVIATION 0.1
#define BIAS_DEVIATION 0.02

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

va_random model_random_of(const va_model *m, const char *name, const va_tensor *shape) {
    va_random r = {.seed = m->seed, .stream = va_hash64(name), .deviation = BIAS_DEVIATION};
    if (shape->n_dim == 2) {
        r.deviation = (float)(1 / sqrt((double)shape->shape[1]));
    } else if (ends_with(name, ".weight")) { // of a norm: no family has another one
        r.mean = 1 - va_arch_unembed_norm(&m->config).offset;
        r.deviation = NORM_DEVIATION;
    }
    return r;
}

va_status model_random_source(va_model *m, const char *name, const va_tensor *expected,
                              model_source *found) {
    va_status st = VA_OK;
    va_file_tensor *t;
    VA_TRY_ALLOC(m->ctx, t, VA_NEW(m->arena, va_file_tensor));
    *t = (va_file_tensor){.dtype = VA_BF16, .n_dim = expected->n_dim, .file = m->dir};
    VA_TRY_ALLOC(m->ctx, t->name, va_arena_strdup(m->arena, name));
    memcpy(t->shape, expected->shape, sizeof expected->shape);
    t->n_elem = va_tensor_elems(expected);
    t->size_bytes = va_dtype_size(VA_BF16, t->n_elem);
    *found = (model_source){.file = t, .tensor = *expected};
    found->tensor.dtype = VA_BF16;
done:
    return st;
}

va_status model_need_files(const va_model *m, const char *what) {
    if (!m->is_random)
        return VA_OK;
    return va_fail(m->ctx, VA_ERR_USAGE, "%s: expected a model in files for %s, got random weights",
                   m->dir, what);
}

// Of every weight that the whole model has.
static va_status count_parameters(va_model *m) {
    va_status st = VA_OK;
    va_graph *g = NULL;
    bool has_table = false;
    VA_TRY(model_bare_graph(m, m->config.n_layer, true, &g));
    VA_TRY(va_graph_finish(g));
    for (int64_t i = 0; i < va_graph_weight_count(g); i++) {
        const char *name = va_graph_name(g, va_graph_weight_at(g, i));
        const va_tensor t = va_graph_tensor(g, va_graph_weight_at(g, i));
        if (strcmp(name, VA_ARCH_EMBED_ROWS) != 0)
            m->param_count += va_tensor_elems(&t);
        has_table = has_table || strcmp(name, m->config.embed_weight) == 0;
    }
    if (!has_table)
        m->param_count += m->config.vocab_size * m->config.d_model;
done:
    va_graph_destroy(&g);
    return st;
}

va_status va_model_open_random(va_ctx *ctx, const char *name, const char *config_json,
                               uint64_t seed, va_model **model) {
    va_status st = VA_OK;
    va_model *m = NULL;
    va_json *root = NULL;
    *model = NULL;
    VA_TRY_ALLOC(ctx, m, calloc(1, sizeof *m));
    m->ctx = ctx;
    m->is_random = true;
    m->seed = seed;
    m->dtype_text = va_dtype_name(VA_BF16);
    VA_TRY_ALLOC(ctx, m->arena, va_arena_create());
    VA_TRY_ALLOC(ctx, m->dir, va_arena_strdup(m->arena, name));
    VA_TRY(va_json_parse(ctx, name, config_json, (int64_t)strlen(config_json), &root));
    VA_TRY(va_arch_parse(ctx, m->arena, root, name, &m->config));
    VA_TRY(count_parameters(m));
    *model = m;
done:
    va_json_free(&root);
    if (st != VA_OK)
        va_model_close(&m);
    return st;
}
