// graph_build.c: writing a graph down: nodes, shapes, what is kept and wanted.
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

#include <stdlib.h>
#include <string.h>

va_graph *va_graph_create(va_ctx *ctx) {
    va_graph *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->ctx = ctx;
    g->arena = va_arena_create();
    if (!g->arena) {
        free(g);
        return NULL;
    }
    return g;
}

void va_graph_destroy(va_graph **pg) {
    if (!pg || !*pg)
        return;
    va_graph *g = *pg;
    for (int i = 0; i < PLAN_CACHE; i++)
        va_graph_plan_destroy(&g->plans[i]);
    va_recording_destroy(&g->forward.recording);
    for (int32_t i = 0; i < g->n_pool; i++)
        va_buffer_destroy(&g->pool[i]);
    for (int32_t i = 0; g->slots && i < g->n_slots; i++)
        va_buffer_destroy(&g->slots[i]);
    for (int64_t i = 0; i < g->n_nodes; i++) {
        va_buffer_destroy(&g->nodes[i].y_buffer);
        va_buffer_destroy(&g->nodes[i].aux_buffer);
    }
    free(g->pool);
    free(g->slots);
    free(g->wants);
    free(g->nodes);
    va_arena_destroy(&g->arena);
    free(g);
    *pg = NULL;
}

// Records the first mistake; `st` was just recorded in the context.
static va_node mistake(va_graph *g, va_status st) {
    if (g->error == VA_OK) {
        g->error = st;
        g->error_text = va_arena_strdup(g->arena, va_error_message(g->ctx));
    }
    return VA_NODE_NONE;
}

static bool closed(va_graph *g, const char *name) {
    if (g->finished)
        mistake(g, va_fail(g->ctx, VA_ERR_USAGE, "%s: the graph is finished; nothing can be added",
                           name ? name : "(unnamed)"));
    return g->error != VA_OK;
}

bool va_graph_has(const va_graph *g, va_node n) {
    return n >= 0 && n < g->n_nodes;
}

static va_node add_node(va_graph *g, const node *nd) {
    if (g->n_nodes == g->cap_nodes) {
        int64_t cap = VA_MAX(64, 2 * g->cap_nodes);
        node *grown = cap > INT32_MAX ? NULL : realloc(g->nodes, (size_t)cap * sizeof *grown);
        if (!grown)
            return mistake(g, va_fail(g->ctx, VA_ERR_MEMORY, "out of host memory for the graph"));
        g->nodes = grown;
        g->cap_nodes = cap;
    }
    node *to = &g->nodes[g->n_nodes];
    *to = *nd;
    to->y_slot = to->aux_slot = to->scratch_slot = NO_SLOT;
    to->fused_into = VA_NODE_NONE;
    to->name = va_arena_strdup(g->arena, nd->name ? nd->name : "(unnamed)");
    if (!to->name)
        return mistake(g, va_fail(g->ctx, VA_ERR_MEMORY, "out of host memory for the graph"));
    return (va_node)g->n_nodes++;
}

// Checks a shape given by the caller and makes the tensor.
static bool make_tensor(va_graph *g, const char *name, va_dtype dtype, int n_dim,
                        const int64_t *shape, va_tensor *t) {
    bool good = n_dim >= 1 && n_dim <= VA_TENSOR_MAX_DIM;
    for (int i = 0; good && i < n_dim; i++)
        good = shape[i] >= 1;
    if (good) {
        *t = va_tensor_make(dtype, n_dim, shape);
        good = va_tensor_bytes(t) > 0;
    }
    if (!good)
        mistake(g, va_fail(g->ctx, VA_ERR_SHAPE,
                           "%s: expected 1 to %d dimensions, each at least 1 and their product "
                           "within 63 bits",
                           name, VA_TENSOR_MAX_DIM));
    return good;
}

// What the caller gives, now or before each run.
static bool make_given(va_graph *g, const char *name, va_dtype dtype, int n_dim,
                       const int64_t *shape, va_tensor *t) {
    if (dtype == VA_F32 || dtype == VA_U32)
        return make_tensor(g, name, dtype, n_dim, shape, t);
    mistake(g, va_fail(g->ctx, VA_ERR_SHAPE, "input %s: expected F32 or U32, got %s", name,
                       va_dtype_name(dtype)));
    return false;
}

va_node va_graph_input(va_graph *g, const char *name, va_dtype dtype, int n_dim,
                       const int64_t *shape) {
    if (closed(g, name))
        return VA_NODE_NONE;
    node nd = {.kind = NODE_INPUT, .name = name};
    return make_given(g, name, dtype, n_dim, shape, &nd.y) ? add_node(g, &nd) : VA_NODE_NONE;
}

va_node va_graph_weight(va_graph *g, const char *name, int64_t n0, int64_t n1) {
    if (closed(g, name))
        return VA_NODE_NONE;
    const int64_t shape[2] = {n0, n1};
    node nd = {.kind = NODE_WEIGHT, .name = name};
    if (!make_tensor(g, name, VA_F32, n1 ? 2 : 1, shape, &nd.y))
        return VA_NODE_NONE;
    for (int64_t i = 0; i < g->n_nodes; i++) {
        const node *old = &g->nodes[i];
        if (old->kind != NODE_WEIGHT || strcmp(old->name, name) != 0)
            continue;
        if (va_tensor_same_shape(&old->y, &nd.y))
            return (va_node)i;
        char a[96], b[96];
        return mistake(g, va_fail(g->ctx, VA_ERR_SHAPE, "weight %s: expected %s as before, got %s",
                                  name, va_tensor_text(&old->y, a), va_tensor_text(&nd.y, b)));
    }
    return add_node(g, &nd);
}

// The ops that read the weight take it in this dtype. ctx NULL: no message.
static va_status check_readers(va_ctx *ctx, const va_graph *g, va_node weight, va_dtype dtype) {
    for (int64_t n = 0; n < g->n_nodes; n++) {
        const node *nd = &g->nodes[n];
        va_tensor x[VA_OP_MAX_IN] = {0}, y, aux;
        bool reads = false;
        for (int i = 0; nd->kind == NODE_OP && i < VA_OP_MAX_IN; i++) {
            if (nd->in[i] == VA_NODE_NONE)
                continue;
            x[i] = g->nodes[nd->in[i]].y;
            if (nd->in[i] == weight) {
                x[i].dtype = dtype;
                reads = true;
            }
        }
        va_status st = reads ? nd->op->infer(ctx, &nd->attr, x, &y, &aux) : VA_OK;
        if (st != VA_OK)
            return va_fail_in(ctx, st, "%s (%s)", nd->name, nd->op->name);
    }
    return VA_OK;
}

static bool is_weight(const va_graph *g, va_node n) {
    return va_graph_has(g, n) && g->nodes[n].kind == NODE_WEIGHT;
}

bool va_graph_weight_takes(const va_graph *g, va_node weight, va_dtype dtype) {
    return is_weight(g, weight) && check_readers(NULL, g, weight, dtype) == VA_OK;
}

void va_graph_weight_dtype(va_graph *g, va_node weight, va_dtype dtype) {
    if (closed(g, "weight dtype"))
        return;
    va_status st = is_weight(g, weight) ? check_readers(g->ctx, g, weight, dtype)
                                        : va_fail(g->ctx, VA_ERR_USAGE, "dtype: %s is not a weight",
                                                  va_graph_name(g, weight));
    if (st == VA_OK)
        g->nodes[weight].y.dtype = dtype;
    else
        mistake(g, st);
}

va_node va_graph_const(va_graph *g, const char *name, va_dtype dtype, int n_dim,
                       const int64_t *shape, const void *data) {
    if (closed(g, name))
        return VA_NODE_NONE;
    node nd = {.kind = NODE_CONST, .name = name};
    if (!make_given(g, name, dtype, n_dim, shape, &nd.y))
        return VA_NODE_NONE;
    int64_t bytes = va_tensor_bytes(&nd.y);
    void *copy = va_arena_alloc(g->arena, bytes);
    if (!copy)
        return mistake(g, va_fail(g->ctx, VA_ERR_MEMORY, "out of host memory for %s", name));
    memcpy(copy, data, (size_t)bytes);
    nd.data = copy;
    return add_node(g, &nd);
}

// Copies the inputs' numbers, checking that they exist and that none is missing.
static bool take_inputs(va_graph *g, node *nd, const va_node *in, va_tensor *x) {
    for (int i = 0; i < VA_OP_MAX_IN; i++) {
        nd->in[i] = i < nd->op->n_in ? in[i] : VA_NODE_NONE;
        x[i] = (va_tensor){0};
        bool optional = i >= nd->op->n_in || (nd->op->optional_in >> i & 1);
        if (nd->in[i] == VA_NODE_NONE && optional)
            continue;
        if (!va_graph_has(g, nd->in[i])) {
            mistake(g, va_fail(g->ctx, VA_ERR_USAGE, "%s (%s): input %d is not a node of the graph",
                               nd->name, nd->op->name, i));
            return false;
        }
        x[i] = g->nodes[nd->in[i]].y;
    }
    return true;
}

va_node va_graph_op(va_graph *g, va_op_id op, const va_op_attr *attr, const va_node *in,
                    const char *name) {
    if (closed(g, name))
        return VA_NODE_NONE;
    node nd = {.kind = NODE_OP, .name = name ? name : "(unnamed)", .op_id = op};
    nd.op = op < VA_OP_COUNT ? va_op_get(op) : NULL;
    if (!nd.op)
        return mistake(g, va_fail(g->ctx, VA_ERR_USAGE, "%s: there is no op %d", nd.name, (int)op));
    if (attr)
        nd.attr = *attr;
    va_tensor x[VA_OP_MAX_IN];
    if (!take_inputs(g, &nd, in, x))
        return VA_NODE_NONE;
    va_status st = nd.op->infer(g->ctx, &nd.attr, x, &nd.y, &nd.aux);
    if (st != VA_OK)
        return mistake(g, va_fail_in(g->ctx, st, "%s (%s)", nd.name, nd.op->name));
    if (va_tensor_bytes(&nd.y) <= 0 || (nd.aux.n_dim > 0 && va_tensor_bytes(&nd.aux) <= 0))
        return mistake(g, va_fail(g->ctx, VA_ERR_SHAPE, "%s (%s): the result's size overflows",
                                  nd.name, nd.op->name));
    return add_node(g, &nd);
}

void va_graph_keep(va_graph *g, va_node n) {
    if (closed(g, "keep"))
        return;
    if (va_graph_has(g, n))
        g->nodes[n].keep = true;
    else
        mistake(g, va_fail(g->ctx, VA_ERR_USAGE, "keep: %d is not a node of the graph", (int)n));
}

void va_graph_want(va_graph *g, va_mode mode, va_node from, va_node to) {
    if (closed(g, "want"))
        return;
    if (!va_graph_has(g, from) || !va_graph_has(g, to)) {
        mistake(g, va_fail(g->ctx, VA_ERR_USAGE, "want: %d or %d is not a node of the graph",
                           (int)from, (int)to));
        return;
    }
    if (g->n_wants == g->cap_wants) {
        int64_t cap = VA_MAX(16, 2 * g->cap_wants);
        want *grown = realloc(g->wants, (size_t)cap * sizeof *grown);
        if (!grown) {
            mistake(g, va_fail(g->ctx, VA_ERR_MEMORY, "out of host memory for the graph"));
            return;
        }
        g->wants = grown;
        g->cap_wants = cap;
    }
    g->wants[g->n_wants++] = (want){mode, from, to};
}

const char *va_graph_name(const va_graph *g, va_node n) {
    return va_graph_has(g, n) ? g->nodes[n].name : "(none)";
}

va_tensor va_graph_tensor(const va_graph *g, va_node n) {
    if (!va_graph_has(g, n))
        return (va_tensor){0};
    va_tensor t = g->nodes[n].y;
    if (!g->nodes[n].keep && g->nodes[n].kind != NODE_WEIGHT)
        t.mem = (va_slice){0};
    return t;
}

int64_t va_graph_weight_count(const va_graph *g) {
    int64_t count = 0;
    for (int64_t i = 0; i < g->n_nodes; i++)
        count += g->nodes[i].kind == NODE_WEIGHT;
    return count;
}

va_node va_graph_weight_at(const va_graph *g, int64_t i) {
    for (int64_t n = 0; n < g->n_nodes; n++)
        if (g->nodes[n].kind == NODE_WEIGHT && i-- == 0)
            return (va_node)n;
    return VA_NODE_NONE;
}
