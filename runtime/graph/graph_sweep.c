// graph_sweep.c: plans of jvp and vjp sweeps: which ops run, where tangents live, what it costs.
//
// A node n between `from` and `to` carries a tangent (jvp) or cotangent (vjp) that is alive from n
// to the last of its consumers that are differentiated, in either direction of time. The ends live
// in the caller's blocks and take no slot.
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

#include <stdlib.h>
#include <string.h>

void va_graph_plan_destroy(sweep_plan **plan) {
    if (*plan) {
        va_arena *arena = (*plan)->arena;
        va_recording_destroy(&(*plan)->replay.recording);
        va_arena_destroy(&arena);
    }
    *plan = NULL;
}

bool va_graph_from_is_direct(const sweep_plan *p, int64_t i) {
    return va_graph_same_rows(p->rows[p->from[i]], p->from_rows);
}

// The tangent lives in the caller's block.
static bool is_end(const sweep_plan *p, int64_t n) {
    bool end = n == p->to;
    for (int64_t i = 0; i < p->n_from && !end; i++)
        end = n == p->from[i] && va_graph_from_is_direct(p, i);
    return end;
}

va_status va_graph_sweep_tensor(const va_graph *g, const sweep_plan *p, va_node n, va_tensor *t) {
    const va_status st = va_graph_derivative(g, n, p->k, t);
    if (st == VA_OK)
        t->shape[0] = p->rows[n].count;
    return st;
}

// What the derivative of node n's op reads must have outlived the forward pass.
static va_status check_stored(const va_graph *g, const sweep_plan *p, va_node n) {
    const node *nd = &g->nodes[n];
    uint32_t keep = va_graph_keep_bits(nd, p->mode);
    bool there = !(keep & VA_KEEP_Y) || nd->stored & STORED_Y;
    there = there && (!(keep & VA_KEEP_AUX) || nd->aux.n_dim == 0 || nd->stored & STORED_AUX);
    for (int i = 0; i < VA_OP_MAX_IN; i++)
        if (keep >> i & 1 && nd->in[i] != VA_NODE_NONE)
            there = there && (g->nodes[nd->in[i]].kind == NODE_WEIGHT ||
                              g->nodes[nd->in[i]].stored & STORED_Y);
    if (there)
        return VA_OK;
    return va_fail(g->ctx, VA_ERR_USAGE,
                   "the derivative of %s by %s was not asked for with va_graph_want (values that "
                   "%s needs were not kept)",
                   g->nodes[p->to].name, g->nodes[p->from[0]].name, nd->name);
}

// Shapes of the derivative call of node n; memory is filled in when it is run.
static va_status sweep_call(const va_graph *g, const sweep_plan *p, va_node n, va_op_call *c,
                            va_op_attr *attr) {
    va_status st = VA_OK;
    const node *nd = &g->nodes[n];
    *c = va_graph_call(g, n);
    va_graph_cut_call(g, p, n, c, attr);
    c->gpu = NULL; // costs do not depend on the device
    c->mode = p->mode;
    c->k = p->k;
    VA_TRY(va_graph_sweep_tensor(g, p, n, &c->dy));
    for (int i = 0; i < VA_OP_MAX_IN; i++)
        if (va_graph_is_input(g, p, n, i))
            VA_TRY(va_graph_sweep_tensor(g, p, nd->in[i], &c->dx[i]));
done:
    return st;
}

// First op that makes what stands for a node, and last differentiated consumer of it; the node
// itself when there is none. A source's cotangent that is copied out waits for the end of the
// reverse sweep, node 0.
static void find_uses(const va_graph *g, const sweep_plan *p, int32_t *first, int32_t *last) {
    for (int64_t n = 0; n < g->n_nodes; n++)
        first[n] = last[n] = (int32_t)n;
    for (int64_t n = 0; n < g->n_nodes; n++) {
        first[p->held[n]] = VA_MIN(first[p->held[n]], (int32_t)n);
        uint32_t diff = p->exec[n] ? va_graph_diff_in(&g->nodes[n], p->mode) : 0;
        for (int i = 0; i < VA_OP_MAX_IN; i++)
            if (diff >> i & 1 && g->nodes[n].in[i] != VA_NODE_NONE)
                last[p->held[g->nodes[n].in[i]]] = (int32_t)n;
    }
    for (int64_t i = 0; i < p->n_from && p->pass == VA_VJP; i++)
        first[p->from[i]] = 0;
}

// Checks, costs and memory intervals of node n; its interval(s) are appended.
static va_status plan_node(const va_graph *g, sweep_plan *p, va_node n, const int32_t *first,
                           const int32_t *last, va_interval *iv, int32_t **where, int64_t *n_iv) {
    va_status st = VA_OK;
    const node *nd = &g->nodes[n];
    va_tensor t;
    VA_TRY(va_graph_sweep_tensor(g, p, n, &t));
    int64_t bytes = va_tensor_bytes(&t);
    p->largest_bytes = VA_MAX(p->largest_bytes, bytes);
    if (p->held[n] == n && !is_end(p, n)) {
        iv[*n_iv] = (va_interval){first[n], last[n], va_graph_padded(bytes), NO_SLOT};
        where[(*n_iv)++] = &p->slot[n];
    }
    if (!p->exec[n])
        goto done;
    const va_node reads[] = {n, p->in_factor[n], p->out_factor[n]};
    for (int i = 0; i < VA_COUNT(reads); i++)
        if (reads[i] != VA_NODE_NONE)
            VA_TRY(check_stored(g, p, reads[i]));
    va_op_call c;
    va_op_attr attr;
    VA_TRY(sweep_call(g, p, n, &c, &attr));
    va_op_cost cost = va_graph_op_cost(nd, &c, p->pass);
    p->cost.flop += cost.flop;
    p->cost.bytes += cost.bytes;
    int64_t scratch = va_graph_scratch(nd, &c, p->pass);
    p->largest_bytes = VA_MAX(p->largest_bytes, scratch);
    if (scratch > 0) {
        iv[*n_iv] = (va_interval){n, n, va_graph_padded(scratch), NO_SLOT};
        where[(*n_iv)++] = &p->scratch_slot[n];
    }
done:
    return st;
}

static va_status plan_memory(const va_graph *g, sweep_plan *p) {
    va_status st = VA_OK;
    size_t count = (size_t)g->n_nodes + 1;
    int64_t n_iv = 0;
    int32_t *first = NULL, *last = NULL, **where = NULL;
    va_interval *iv = NULL;
    VA_TRY_ALLOC(g->ctx, first, calloc(count, sizeof *first));
    VA_TRY_ALLOC(g->ctx, last, calloc(count, sizeof *last));
    VA_TRY_ALLOC(g->ctx, iv, calloc(2 * count, sizeof *iv));
    VA_TRY_ALLOC(g->ctx, where, calloc(2 * count, sizeof *where));
    find_uses(g, p, first, last);
    for (int64_t n = 0; n < g->n_nodes; n++)
        if (p->active[n])
            VA_TRY(plan_node(g, p, (va_node)n, first, last, iv, where, &n_iv));
    VA_TRY(va_graph_assign_slots(g->ctx, p->arena, iv, n_iv, &p->slot_bytes, &p->n_slots));
    for (int64_t i = 0; i < n_iv; i++)
        *where[i] = iv[i].slot;
    for (int32_t s = 0; s < p->n_slots; s++)
        p->cost.memory_bytes += p->slot_bytes[s];
done:
    free(where);
    free(iv);
    free(last);
    free(first);
    return st;
}

// The ends' blocks belong to the caller, but must be bindable as well.
static va_status plan_ends(const va_graph *g, sweep_plan *p) {
    va_status st = VA_OK;
    va_tensor t;
    VA_TRY(va_graph_derivative(g, p->to, p->k, &t));
    p->largest_bytes = VA_MAX(p->largest_bytes, va_tensor_bytes(&t));
    for (int64_t i = 0; i < p->n_from; i++) {
        VA_TRY(va_graph_derivative(g, p->from[i], p->k, &t));
        t.shape[0] = VA_MAX(p->from_rows.count, p->rows[p->from[i]].count);
        p->largest_bytes = VA_MAX(p->largest_bytes, va_tensor_bytes(&t));
    }
done:
    return st;
}

// VA_ALL_ROWS are those of the first from node.
static va_row_range rows_asked(const va_graph *g, const va_sweep *r) {
    return r->rows.count != 0 ? r->rows : (va_row_range){0, g->nodes[r->from[0]].y.shape[0]};
}

// Every from node has the rows asked for; when all are, none has more than the first.
static va_status check_rows(const va_graph *g, const va_sweep *r) {
    for (int64_t i = 0; i < r->n_from; i++) {
        const int64_t M = g->nodes[r->from[i]].y.shape[0];
        if (r->rows.count == 0 && M <= rows_asked(g, r).count)
            continue;
        if (r->rows.count == 0)
            return va_fail(g->ctx, VA_ERR_USAGE,
                           "derivative by all rows of %s, %lld: expected no source with more, got "
                           "%s with %lld",
                           g->nodes[r->from[0]].name, (long long)rows_asked(g, r).count,
                           g->nodes[r->from[i]].name, (long long)M);
        if (r->rows.first < 0 || r->rows.count < 0 || r->rows.first > M - r->rows.count)
            return va_fail(g->ctx, VA_ERR_USAGE,
                           "derivative by rows %lld to %lld of %s, which has %lld",
                           (long long)r->rows.first, (long long)(r->rows.first + r->rows.count - 1),
                           g->nodes[r->from[i]].name, (long long)M);
    }
    return VA_OK;
}

static va_status check_request(const va_graph *g, const va_sweep *r) {
    const va_node *from = r->from, to = r->to;
    const int64_t n_from = r->n_from, k = r->k;
    const va_pass pass = r->pass;
    if (!g->finished)
        return va_fail(g->ctx, VA_ERR_USAGE, "a sweep needs a finished graph");
    if ((pass != VA_JVP && pass != VA_VJP) || k < 1 || n_from < 1 || !va_graph_has(g, to))
        return va_fail(g->ctx, VA_ERR_USAGE,
                       "a sweep expects jvp or vjp, at least one vector and nodes of the graph; "
                       "got %lld vectors, from %lld nodes, to node %d",
                       (long long)k, (long long)n_from, (int)to);
    for (int64_t i = 0; i < n_from; i++) {
        if (!va_graph_has(g, from[i]))
            return va_fail(g->ctx, VA_ERR_USAGE, "derivative of %s by %d: not a node of the graph",
                           g->nodes[to].name, (int)from[i]);
        if (g->nodes[from[i]].kind == NODE_WEIGHT)
            return va_fail(g->ctx, VA_ERR_USAGE, "derivatives by the weight %s are not offered",
                           g->nodes[from[i]].name);
        if (g->nodes[from[i]].fused_into != VA_NODE_NONE)
            return va_fail(g->ctx, VA_ERR_USAGE,
                           "the derivative of %s by %s was not asked for with va_graph_want (%s "
                           "makes it)",
                           g->nodes[to].name, g->nodes[from[i]].name,
                           g->nodes[g->nodes[from[i]].fused_into].name);
    }
    return check_rows(g, r);
}

va_status va_graph_make_plan(const va_graph *g, const va_sweep *r, sweep_plan **plan) {
    va_status st = check_request(g, r);
    const int64_t n_from = r->n_from;
    *plan = NULL;
    if (st != VA_OK)
        return st;
    va_arena *arena = va_arena_create();
    sweep_plan *p = arena ? VA_NEW(arena, sweep_plan) : NULL;
    if (!p) {
        va_arena_destroy(&arena);
        return va_fail(g->ctx, VA_ERR_MEMORY, "out of host memory for a sweep's plan");
    }
    *p = (sweep_plan){.arena = arena,
                      .pass = r->pass,
                      .mode = r->mode,
                      .k = r->k,
                      .to = r->to,
                      .n_from = n_from,
                      .from_rows = rows_asked(g, r)};
    VA_TRY_ALLOC(g->ctx, p->from, VA_NEW_ARRAY(arena, va_node, n_from));
    VA_TRY_ALLOC(g->ctx, p->active, VA_NEW_ARRAY(arena, uint8_t, g->n_nodes));
    VA_TRY_ALLOC(g->ctx, p->exec, VA_NEW_ARRAY(arena, uint8_t, g->n_nodes));
    VA_TRY_ALLOC(g->ctx, p->slot, VA_NEW_ARRAY(arena, int32_t, g->n_nodes));
    VA_TRY_ALLOC(g->ctx, p->scratch_slot, VA_NEW_ARRAY(arena, int32_t, g->n_nodes));
    VA_TRY_ALLOC(g->ctx, p->rows, VA_NEW_ARRAY(arena, va_row_range, g->n_nodes));
    VA_TRY_ALLOC(g->ctx, p->held, VA_NEW_ARRAY(arena, va_node, g->n_nodes));
    VA_TRY_ALLOC(g->ctx, p->in_factor, VA_NEW_ARRAY(arena, va_node, g->n_nodes));
    VA_TRY_ALLOC(g->ctx, p->out_factor, VA_NEW_ARRAY(arena, va_node, g->n_nodes));
    p->replay.n_ends = n_from + 1;
    VA_TRY_ALLOC(g->ctx, p->replay.ends, VA_NEW_ARRAY(arena, va_slice, n_from + 1));
    memcpy(p->from, r->from, (size_t)n_from * sizeof *p->from);
    for (int64_t n = 0; n < g->n_nodes; n++)
        p->slot[n] = p->scratch_slot[n] = NO_SLOT;
    va_graph_activity(g, r->mode, r->from, n_from, r->to, p->active, p->exec);
    VA_TRY(va_graph_mark_rows(g, p));
    va_graph_absorb(g, p);
    VA_TRY(plan_ends(g, p));
    VA_TRY(plan_memory(g, p));
    *plan = p;
done:
    if (st != VA_OK)
        va_arena_destroy(&arena);
    return st;
}

static bool same_request(const va_graph *g, const sweep_plan *p, const va_sweep *r) {
    return p && p->pass == r->pass && p->mode == r->mode && p->to == r->to && p->k == r->k &&
           p->n_from == r->n_from &&
           memcmp(p->from, r->from, (size_t)r->n_from * sizeof *r->from) == 0 &&
           va_graph_same_rows(p->from_rows, rows_asked(g, r));
}

va_status va_graph_get_plan(va_graph *g, const va_sweep *r, sweep_plan **plan) {
    int oldest = 0;
    for (int i = 0; i < PLAN_CACHE; i++) {
        if (same_request(g, g->plans[i], r)) {
            g->plans[i]->used = ++g->clock;
            *plan = g->plans[i];
            return VA_OK;
        }
        uint64_t used = g->plans[i] ? g->plans[i]->used : 0;
        if (used < (g->plans[oldest] ? g->plans[oldest]->used : 0))
            oldest = i;
    }
    sweep_plan *made;
    va_status st = va_graph_make_plan(g, r, &made);
    if (st != VA_OK)
        return st;
    va_graph_plan_destroy(&g->plans[oldest]);
    g->plans[oldest] = made;
    made->used = ++g->clock;
    *plan = made;
    return VA_OK;
}
