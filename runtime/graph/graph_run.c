// graph_run.c: a graph on a device: values allocated, weights bound, the forward pass recorded.
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

#include "vkalign/matmul.h"

#include <stdlib.h>

// A buffer of its own for a stored tensor.
static va_status store_tensor(va_graph *g, const node *nd, va_tensor *t, va_buffer **buffer) {
    int64_t bytes = va_tensor_bytes(t);
    int64_t limit = va_gpu_get_info(g->gpu)->max_range_bytes;
    if (bytes > limit)
        return va_fail(g->ctx, VA_ERR_MEMORY,
                       "%s takes %lld bytes, but the device binds at most %lld at once", nd->name,
                       (long long)bytes, (long long)limit);
    va_status st = va_buffer_create(g->gpu, va_graph_padded(bytes), nd->name, buffer);
    if (st == VA_OK)
        t->mem = va_slice_at(va_buffer_all(*buffer), 0, bytes);
    return st;
}

va_status va_graph_realize(va_graph *g, va_gpu *gpu) {
    va_status st = VA_OK;
    if (!g->finished || g->gpu)
        return va_fail(g->ctx, VA_ERR_USAGE, "a graph is realised once, after va_graph_finish");
    g->gpu = gpu;
    for (int64_t n = 0; n < g->n_nodes; n++) {
        node *nd = &g->nodes[n];
        if (nd->stored & STORED_Y)
            VA_TRY(store_tensor(g, nd, &nd->y, &nd->y_buffer));
        if (nd->stored & STORED_AUX)
            VA_TRY(store_tensor(g, nd, &nd->aux, &nd->aux_buffer));
        if (nd->kind == NODE_CONST)
            VA_TRY(va_gpu_upload(gpu, nd->y.mem, nd->data));
    }
    g->memory++;
    VA_TRY(va_matmul_prepare(gpu));
    VA_TRY_ALLOC(g->ctx, g->slots, calloc((size_t)g->n_slots + 1, sizeof *g->slots));
    for (int32_t s = 0; s < g->n_slots; s++)
        VA_TRY(va_buffer_create(gpu, g->slot_bytes[s], "forward slot", &g->slots[s]));
done:
    return st == VA_OK ? st : va_fail_in(g->ctx, st, "graph");
}

va_status va_graph_bind(va_graph *g, va_node weight, const va_tensor *tensor) {
    if (!va_graph_has(g, weight) || g->nodes[weight].kind != NODE_WEIGHT)
        return va_fail(g->ctx, VA_ERR_USAGE, "bind: %s is not a weight", va_graph_name(g, weight));
    node *nd = &g->nodes[weight];
    bool quantised = va_dtype_quantised(nd->y.dtype);
    bool dtype_good =
        quantised ? tensor->dtype == nd->y.dtype
                  : tensor->dtype == VA_F32 || tensor->dtype == VA_BF16 || tensor->dtype == VA_F16;
    if (!va_tensor_same_shape(tensor, &nd->y) || !dtype_good) {
        char expected[96], got[96];
        return va_fail(g->ctx, VA_ERR_SHAPE, "weight %s: expected %s%s, got %s", nd->name,
                       va_tensor_text(&nd->y, expected), quantised ? "" : " (or BF16, F16)",
                       va_tensor_text(tensor, got));
    }
    if (!va_tensor_present(tensor) || tensor->mem.size_bytes < va_tensor_bytes(tensor))
        return va_fail(g->ctx, VA_ERR_USAGE, "weight %s: expected %lld bytes of memory, got %lld",
                       nd->name, (long long)va_tensor_bytes(tensor),
                       (long long)(va_tensor_present(tensor) ? tensor->mem.size_bytes : 0));
    if (va_tensor_present(&nd->y))
        g->forward_at = 0; // what ran may have read the old one
    nd->y = *tensor;
    g->ran = false;
    g->memory++;
    return VA_OK;
}

va_status va_graph_set(va_graph *g, va_node input, const void *data) {
    if (!va_graph_has(g, input) || g->nodes[input].kind != NODE_INPUT)
        return va_fail(g->ctx, VA_ERR_USAGE, "set: %s is not an input", va_graph_name(g, input));
    if (!g->gpu)
        return va_fail(g->ctx, VA_ERR_USAGE, "set %s: the graph is not realised",
                       g->nodes[input].name);
    node *nd = &g->nodes[input];
    va_status st = va_gpu_upload(g->gpu, nd->y.mem, data);
    if (st != VA_OK)
        return va_fail_in(g->ctx, st, "%s", nd->name);
    nd->is_set = true;
    g->ran = false; // stored values belong to the old input
    g->forward_at = 0;
    return VA_OK;
}

// The tensor of a node with memory, wherever it lives during the forward pass.
static va_tensor placed(const va_graph *g, va_tensor t, int32_t slot) {
    if (slot != NO_SLOT)
        t.mem = va_slice_at(va_buffer_all(g->slots[slot]), 0, va_tensor_bytes(&t));
    return t;
}

static va_status run_node(va_graph *g, va_node n) {
    const node *nd = &g->nodes[n];
    va_op_call c = va_graph_call(g, n);
    c.y = placed(g, c.y, nd->y_slot);
    c.aux = placed(g, c.aux, nd->aux_slot);
    if (nd->scratch_slot != NO_SLOT)
        c.scratch = va_buffer_all(g->slots[nd->scratch_slot]);
    for (int i = 0; i < VA_OP_MAX_IN; i++) {
        if (nd->in[i] == VA_NODE_NONE)
            continue;
        const node *in = &g->nodes[nd->in[i]];
        c.x[i] = placed(g, c.x[i], in->y_slot);
        if (!va_tensor_present(&c.x[i]) || (in->kind == NODE_INPUT && !in->is_set))
            return va_fail(g->ctx, VA_ERR_USAGE, "%s %s was not %s",
                           in->kind == NODE_WEIGHT ? "weight" : "input", in->name,
                           in->kind == NODE_WEIGHT ? "bound" : "set");
    }
    int64_t scratch = va_graph_scratch(nd, &c, VA_FORWARD);
    if (scratch > c.scratch.size_bytes)
        return va_fail(g->ctx, VA_ERR_MEMORY, "the op asks for %lld bytes of scratch, planned %lld",
                       (long long)scratch, (long long)c.scratch.size_bytes);
    va_graph_time(nd, &c, VA_FORWARD);
    return nd->op->forward(&c);
}

static va_status run_named(va_graph *g, int64_t n) {
    const va_status st = run_node(g, (va_node)n);
    return st == VA_OK ? st
                       : va_fail_in(g->ctx, st, "%s (%s)", g->nodes[n].name, g->nodes[n].op->name);
}

static va_status record_forward(void *user) {
    va_status st = VA_OK;
    va_graph *g = user;
    for (int64_t n = 0; n < g->n_nodes; n++)
        if (g->nodes[n].run)
            VA_TRY(run_named(g, n));
done:
    va_gpu_time_group(g->gpu, NULL, 0, 0);
    return st;
}

static bool has_weights(const va_graph *g, const node *nd) {
    for (int i = 0; i < VA_OP_MAX_IN; i++)
        if (nd->in[i] != VA_NODE_NONE && g->nodes[nd->in[i]].kind == NODE_WEIGHT &&
            !va_tensor_present(&g->nodes[nd->in[i]].y))
            return false;
    return true;
}

va_status va_graph_forward_part(va_graph *g, bool *finished) {
    va_status st = VA_OK;
    *finished = false;
    if (!g->gpu)
        return va_fail(g->ctx, VA_ERR_USAGE, "forward: the graph is not realised");
    for (; g->forward_at < g->n_nodes; g->forward_at++) {
        const node *nd = &g->nodes[g->forward_at];
        if (nd->run && !has_weights(g, nd))
            goto done;
        if (nd->run)
            VA_TRY(run_named(g, g->forward_at));
    }
    *finished = g->ran = true;
done:
    va_gpu_time_group(g->gpu, NULL, 0, 0);
    return st;
}

va_status va_graph_forward(va_graph *g) {
    if (!g->gpu)
        return va_fail(g->ctx, VA_ERR_USAGE, "forward: the graph is not realised");
    g->ran = false;
    g->forward_at = 0; // what va_graph_forward_part left is overwritten
    const va_status st = va_graph_run_or_replay(g, &g->forward, NULL, record_forward, g);
    g->ran = st == VA_OK;
    return st;
}

va_status va_graph_read(va_graph *g, va_node n, float *data) {
    if (!va_graph_has(g, n) || !g->nodes[n].keep || g->nodes[n].kind == NODE_WEIGHT)
        return va_fail(g->ctx, VA_ERR_USAGE, "read: the value %s was not kept",
                       va_graph_name(g, n));
    const node *nd = &g->nodes[n];
    if (nd->y.dtype != VA_F32)
        return va_fail(g->ctx, VA_ERR_SHAPE, "read: expected an F32 value, %s is %s", nd->name,
                       va_dtype_name(nd->y.dtype));
    if (!g->ran)
        return va_fail(g->ctx, VA_ERR_USAGE, "read %s: va_graph_forward comes first", nd->name);
    va_status st = va_gpu_download(g->gpu, nd->y.mem, data);
    return st == VA_OK ? st : va_fail_in(g->ctx, st, "%s", nd->name);
}
