// graph_plan.c: what is stored, what is run, and where the forward pass puts its values.
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Vulkan's limit on storage-buffer offset alignment; buffers are padded to it in every figure.
enum { PAD_BYTES = 256 };

int64_t va_graph_padded(int64_t bytes) {
    return (bytes + PAD_BYTES - 1) / PAD_BYTES * PAD_BYTES;
}

uint32_t va_graph_diff_in(const node *nd, va_mode mode) {
    if (nd->kind != NODE_OP)
        return 0;
    return mode == VA_EXACT ? nd->op->diff_in : nd->op->detached_in;
}

uint32_t va_graph_keep_bits(const node *nd, va_mode mode) {
    return mode == VA_EXACT ? nd->op->keep_exact : nd->op->keep_detached;
}

int64_t va_graph_scratch(const node *nd, const va_op_call *c, va_pass pass) {
    int64_t bytes = nd->op->scratch_bytes ? nd->op->scratch_bytes(c, pass) : 0;
    assert(bytes >= 0);
    return bytes;
}

va_op_cost va_graph_op_cost(const node *nd, const va_op_call *c, va_pass pass) {
    return nd->op->cost ? nd->op->cost(c, pass) : (va_op_cost){0};
}

void va_graph_time(const node *nd, const va_op_call *c, va_pass pass) {
    static const char *const passes[] = {
        [VA_FORWARD] = "forward", [VA_JVP] = "jvp", [VA_VJP] = "vjp"};
    char label[64];
    if (!va_gpu_is_timed(c->gpu))
        return;
    const va_op_cost cost = va_graph_op_cost(nd, c, pass);
    snprintf(label, sizeof label, "%s %s", nd->op->name, passes[pass]);
    va_gpu_time_group(c->gpu, label, cost.flop, cost.bytes);
}

va_op_call va_graph_call(const va_graph *g, va_node n) {
    const node *nd = &g->nodes[n];
    va_op_call c = {.gpu = g->gpu, .attr = &nd->attr, .y = nd->y, .aux = nd->aux};
    if (nd->kind == NODE_OP && nd->op->aux_optional && !(nd->stored & STORED_AUX))
        c.aux = (va_tensor){0}; // nobody reads it
    for (int i = 0; i < VA_OP_MAX_IN; i++)
        if (nd->in[i] != VA_NODE_NONE)
            c.x[i] = g->nodes[nd->in[i]].y;
    return c;
}

va_status va_graph_derivative(const va_graph *g, va_node n, int64_t k, va_tensor *t) {
    const va_tensor *y = &g->nodes[n].y;
    if (y->n_dim < 1 || y->n_dim >= VA_TENSOR_MAX_DIM || y->dtype != VA_F32) {
        char text[96];
        return va_fail(g->ctx, VA_ERR_SHAPE,
                       "%s: expected an F32 value of 1 to %d dimensions to "
                       "differentiate, got %s",
                       g->nodes[n].name, VA_TENSOR_MAX_DIM - 1, va_tensor_text(y, text));
    }
    int64_t shape[VA_TENSOR_MAX_DIM] = {y->shape[0], k};
    for (int i = 1; i < y->n_dim; i++)
        shape[i + 1] = y->shape[i];
    *t = va_tensor_make(VA_F32, y->n_dim + 1, shape);
    if (va_tensor_bytes(t) <= 0)
        return va_fail(g->ctx, VA_ERR_SHAPE, "%s: %lld vectors overflow a tensor's size",
                       g->nodes[n].name, (long long)k);
    return VA_OK;
}

void va_graph_activity(const va_graph *g, va_mode mode, const va_node *from, int64_t n_from,
                       va_node to, uint8_t *active, uint8_t *exec) {
    enum { REACHED = 1, LEADS = 2 };
    memset(active, 0, (size_t)g->n_nodes);
    memset(exec, 0, (size_t)g->n_nodes);
    for (int64_t i = 0; i < n_from; i++)
        active[from[i]] |= REACHED;
    active[to] |= LEADS;
    for (int64_t n = 0; n <= to; n++) {
        uint32_t diff = va_graph_diff_in(&g->nodes[n], mode);
        for (int i = 0; i < VA_OP_MAX_IN; i++)
            if (diff >> i & 1 && g->nodes[n].in[i] != VA_NODE_NONE)
                active[n] |= active[g->nodes[n].in[i]] & REACHED;
    }
    for (int64_t n = to; n >= 0; n--) {
        uint32_t diff = active[n] & LEADS ? va_graph_diff_in(&g->nodes[n], mode) : 0;
        for (int i = 0; i < VA_OP_MAX_IN; i++)
            if (diff >> i & 1 && g->nodes[n].in[i] != VA_NODE_NONE)
                active[g->nodes[n].in[i]] |= LEADS;
    }
    for (int64_t n = 0; n < g->n_nodes; n++) {
        active[n] = active[n] == (REACHED | LEADS);
        uint32_t diff = active[n] ? va_graph_diff_in(&g->nodes[n], mode) : 0;
        for (int i = 0; i < VA_OP_MAX_IN; i++)
            if (diff >> i & 1 && g->nodes[n].in[i] != VA_NODE_NONE && active[g->nodes[n].in[i]])
                exec[n] = 1;
    }
}

// What the derivatives of node n's op read outlives the forward pass.
static void store_for_derivative(va_graph *g, va_node n, va_mode mode) {
    node *nd = &g->nodes[n];
    uint32_t keep = va_graph_keep_bits(nd, mode);
    for (int i = 0; i < VA_OP_MAX_IN; i++)
        if (keep >> i & 1 && nd->in[i] != VA_NODE_NONE)
            g->nodes[nd->in[i]].stored |= STORED_Y;
    if (keep & VA_KEEP_Y)
        nd->stored |= STORED_Y;
    if (keep & VA_KEEP_AUX && nd->aux.n_dim > 0)
        nd->stored |= STORED_AUX;
}

static va_status mark_stored(va_graph *g) {
    va_status st = VA_OK;
    uint8_t *active = malloc((size_t)g->n_nodes + 1), *exec = malloc((size_t)g->n_nodes + 1);
    if (!active || !exec) {
        st = va_fail(g->ctx, VA_ERR_MEMORY, "out of host memory for the graph's plan");
        goto done;
    }
    for (int64_t n = 0; n < g->n_nodes; n++)
        if (g->nodes[n].keep || g->nodes[n].kind == NODE_INPUT || g->nodes[n].kind == NODE_CONST)
            g->nodes[n].stored |= STORED_Y;
    for (int64_t i = 0; i < g->n_wants; i++) {
        const want *w = &g->wants[i];
        va_tensor t;
        if (g->nodes[w->from].kind == NODE_WEIGHT)
            VA_TRY(va_fail(g->ctx, VA_ERR_USAGE, "derivatives by the weight %s are not offered",
                           g->nodes[w->from].name));
        VA_TRY(va_graph_derivative(g, w->from, 1, &t));
        VA_TRY(va_graph_derivative(g, w->to, 1, &t));
        va_graph_activity(g, w->mode, &w->from, 1, w->to, active, exec);
        for (int64_t n = 0; n < g->n_nodes; n++)
            if (exec[n])
                store_for_derivative(g, (va_node)n, w->mode);
    }
    for (int64_t n = 0; n < g->n_nodes; n++)
        if (g->nodes[n].kind == NODE_WEIGHT)
            g->nodes[n].stored = 0; // borrowed, always there
done:
    free(exec);
    free(active);
    return st;
}

// last[n]: the last node that is run and reads n.
static void mark_run(va_graph *g, int32_t *last) {
    for (int64_t n = g->n_nodes - 1; n >= 0; n--) {
        node *nd = &g->nodes[n];
        nd->run = nd->kind == NODE_OP && (nd->stored || last[n] > 0);
        last[n] = VA_MAX(last[n], (int32_t)n);
        for (int i = 0; nd->run && i < VA_OP_MAX_IN; i++)
            if (nd->in[i] != VA_NODE_NONE && last[nd->in[i]] == 0)
                last[nd->in[i]] = (int32_t)n;
    }
}

// Appends an interval; its slot goes to *where once slots are known.
static void add_interval(va_interval *iv, int32_t **where, int64_t *n, int32_t *slot, int64_t first,
                         int64_t last, int64_t bytes) {
    if (bytes <= 0)
        return;
    iv[*n] = (va_interval){(int32_t)first, (int32_t)last, va_graph_padded(bytes), NO_SLOT};
    where[(*n)++] = slot;
}

// Intervals of the forward pass's passing tensors; adds up what it costs and stores.
static int64_t forward_intervals(va_graph *g, const int32_t *last, va_interval *iv,
                                 int32_t **where) {
    int64_t n_iv = 0;
    for (int64_t n = 0; n < g->n_nodes; n++) {
        node *nd = &g->nodes[n];
        if (nd->stored & STORED_Y)
            g->forward_cost.memory_bytes += va_graph_padded(va_tensor_bytes(&nd->y));
        if (nd->stored & STORED_AUX)
            g->forward_cost.memory_bytes += va_graph_padded(va_tensor_bytes(&nd->aux));
        if (!nd->run)
            continue;
        va_op_call c = va_graph_call(g, (va_node)n);
        va_op_cost cost = va_graph_op_cost(nd, &c, VA_FORWARD);
        g->forward_cost.flop += cost.flop;
        g->forward_cost.bytes += cost.bytes;
        if (!(nd->stored & STORED_Y))
            add_interval(iv, where, &n_iv, &nd->y_slot, n, last[n], va_tensor_bytes(&nd->y));
        if (!(nd->stored & STORED_AUX) && nd->aux.n_dim > 0 && !nd->op->aux_optional)
            add_interval(iv, where, &n_iv, &nd->aux_slot, n, n, va_tensor_bytes(&nd->aux));
        add_interval(iv, where, &n_iv, &nd->scratch_slot, n, n,
                     va_graph_scratch(nd, &c, VA_FORWARD));
    }
    return n_iv;
}

va_status va_graph_finish(va_graph *g) {
    va_status st = VA_OK;
    int32_t *last = NULL, **where = NULL;
    va_interval *iv = NULL;
    if (g->error != VA_OK)
        return va_fail(g->ctx, g->error, "%s", g->error_text ? g->error_text : "building failed");
    if (g->finished)
        return va_fail(g->ctx, VA_ERR_USAGE, "the graph is finished already");
    VA_TRY_ALLOC(g->ctx, last, calloc((size_t)g->n_nodes + 1, sizeof *last));
    VA_TRY_ALLOC(g->ctx, iv, calloc(3 * (size_t)g->n_nodes + 1, sizeof *iv));
    VA_TRY_ALLOC(g->ctx, where, calloc(3 * (size_t)g->n_nodes + 1, sizeof *where));
    VA_TRY(va_graph_fuse(g));
    VA_TRY(mark_stored(g));
    mark_run(g, last);
    int64_t n_iv = forward_intervals(g, last, iv, where);
    VA_TRY(va_graph_assign_slots(g->ctx, g->arena, iv, n_iv, &g->slot_bytes, &g->n_slots));
    for (int64_t i = 0; i < n_iv; i++)
        *where[i] = iv[i].slot;
    for (int32_t s = 0; s < g->n_slots; s++)
        g->forward_cost.memory_bytes += g->slot_bytes[s];
    g->finished = true;
done:
    if (st != VA_OK) {
        g->error = st;
        g->error_text = va_arena_strdup(g->arena, va_error_message(g->ctx));
    }
    free(where);
    free(iv);
    free(last);
    return st;
}

va_graph_cost va_graph_forward_cost(const va_graph *g) {
    assert(g->finished);
    return g->forward_cost;
}
