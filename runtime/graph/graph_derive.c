// graph_derive.c: the jvp and vjp sweeps, recorded from a plan.
//
// jvp: nodes in order, each tangent dy_n = sum_i (d n / d in_i) dx_i. vjp: nodes in reverse; when a
// node is reached all its differentiated consumers have been, so its cotangent is complete and is
// passed on to its inputs. The first contribution to a cotangent overwrites, later ones add.
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

#include <stdlib.h>
#include <string.h>

// A sweep while it is recorded.
typedef struct sweep {
    va_graph *g;
    sweep_plan *p;
    const va_block *to;   // the caller's block at p->to
    const va_block *from; // [p->n_from]
    uint8_t *filled;      // vjp: [n_nodes] has a contribution already
} sweep;

// Makes the pool large enough for a plan. On failure what was there may be gone.
static va_status grow_pool(va_graph *g, const sweep_plan *p) {
    if (p->n_slots > g->n_pool) {
        va_buffer **grown = realloc(g->pool, (size_t)p->n_slots * sizeof *grown);
        if (!grown)
            return va_fail(g->ctx, VA_ERR_MEMORY, "out of host memory for a sweep");
        g->pool = grown;
        while (g->n_pool < p->n_slots)
            g->pool[g->n_pool++] = NULL;
    }
    for (int32_t s = 0; s < p->n_slots; s++) {
        if (g->pool[s] && va_buffer_size(g->pool[s]) >= p->slot_bytes[s])
            continue;
        va_buffer_destroy(&g->pool[s]);
        va_status st = va_buffer_create(g->gpu, p->slot_bytes[s], "sweep slot", &g->pool[s]);
        if (st != VA_OK)
            return st;
    }
    return VA_OK;
}

static va_status reserve_pool(va_graph *g, const sweep_plan *p) {
    va_status st = grow_pool(g, p);
    if (st == VA_ERR_MEMORY) { // other plans' slots may be in the way
        for (int32_t s = 0; s < g->n_pool; s++)
            va_buffer_destroy(&g->pool[s]);
        st = grow_pool(g, p);
    }
    return st;
}

// The tangent or cotangent that stands for node n's, in the caller's block or in its slot.
static va_status derivative_at(const sweep *s, va_node of, va_tensor *t) {
    const va_node n = s->p->held[of];
    va_status st = va_graph_sweep_tensor(s->g, s->p, n, t);
    if (st != VA_OK)
        return st;
    int64_t bytes = va_tensor_bytes(t);
    const va_block *end = n == s->p->to ? s->to : NULL;
    for (int64_t i = 0; i < s->p->n_from && !end; i++)
        if (n == s->p->from[i] && va_graph_from_is_direct(s->p, i))
            end = &s->from[i];
    va_slice all = end ? end->mem : va_buffer_all(s->g->pool[s->p->slot[n]]);
    t->mem = va_slice_at(all, 0, bytes);
    return VA_OK;
}

// The part of it that the call of node n reads or writes, for input i.
static va_status input_derivative(const sweep *s, va_node n, int i, va_tensor *t) {
    const va_node in = s->p->held[s->g->nodes[n].in[i]];
    const va_row_range held = s->p->rows[in], read = va_graph_read_rows(s->g, s->p, n, i);
    const va_status st = derivative_at(s, in, t);
    if (st != VA_OK || va_graph_same_rows(held, read))
        return st;
    const int64_t row_bytes = va_tensor_bytes(t) / t->shape[0];
    t->shape[0] = read.count;
    t->mem = va_slice_at(t->mem, (read.first - held.first) * row_bytes, read.count * row_bytes);
    return VA_OK;
}

// The derivative call of node n, without dx.
static va_status derivative_call(const sweep *s, va_node n, va_op_call *c, va_op_attr *attr) {
    const node *nd = &s->g->nodes[n];
    *c = va_graph_call(s->g, n);
    va_graph_cut_call(s->g, s->p, n, c, attr);
    c->mode = s->p->mode;
    c->k = s->p->k;
    if (s->p->scratch_slot[n] != NO_SLOT)
        c->scratch = va_buffer_all(s->g->pool[s->p->scratch_slot[n]]);
    for (int i = 0; i < VA_OP_MAX_IN; i++)
        if (nd->in[i] != VA_NODE_NONE && s->g->nodes[nd->in[i]].kind == NODE_WEIGHT &&
            !va_tensor_present(&c->x[i]))
            return va_fail(s->g->ctx, VA_ERR_USAGE, "weight %s was not bound",
                           s->g->nodes[nd->in[i]].name);
    return derivative_at(s, n, &c->dy);
}

static va_status check_scratch(const sweep *s, const node *nd, const va_op_call *c) {
    int64_t need = va_graph_scratch(nd, c, s->p->pass);
    if (need <= c->scratch.size_bytes)
        return VA_OK;
    return va_fail(s->g->ctx, VA_ERR_MEMORY, "the op asks for %lld bytes of scratch, planned %lld",
                   (long long)need, (long long)c->scratch.size_bytes);
}

static va_status jvp_node(const sweep *s, va_node n) {
    va_status st = VA_OK;
    const node *nd = &s->g->nodes[n];
    va_op_call c;
    va_op_attr attr;
    VA_TRY(derivative_call(s, n, &c, &attr));
    for (int i = 0; i < VA_OP_MAX_IN; i++)
        if (va_graph_is_input(s->g, s->p, n, i))
            VA_TRY(input_derivative(s, n, i, &c.dx[i]));
    VA_TRY(check_scratch(s, nd, &c));
    va_graph_time(nd, &c, VA_JVP);
    VA_TRY(nd->op->jvp(&c));
done:
    return st;
}

// A first contribution to some of the rows only: the others begin at zero.
static va_status fill_others(const sweep *s, va_node n, int i) {
    const va_node in = s->p->held[s->g->nodes[n].in[i]];
    va_tensor whole;
    if (s->filled[in] || va_graph_same_rows(s->p->rows[in], va_graph_read_rows(s->g, s->p, n, i)))
        return VA_OK;
    const va_status st = derivative_at(s, in, &whole);
    s->filled[in] = 1;
    return st == VA_OK ? va_gpu_fill(s->g->gpu, whole.mem, 0) : st;
}

// Inputs whose cotangent is one and the same must not be written by one call: each call takes the
// first of every node that is left.
static va_status vjp_node(const sweep *s, va_node n) {
    va_status st = VA_OK;
    const node *nd = &s->g->nodes[n];
    bool left[VA_OP_MAX_IN];
    va_node held[VA_OP_MAX_IN];
    int n_left = 0;
    for (int i = 0; i < VA_OP_MAX_IN; i++) {
        held[i] = nd->in[i] == VA_NODE_NONE ? VA_NODE_NONE : s->p->held[nd->in[i]];
        n_left += left[i] = va_graph_is_input(s->g, s->p, n, i);
    }
    while (n_left > 0) {
        va_op_call c;
        va_op_attr attr;
        VA_TRY(derivative_call(s, n, &c, &attr));
        for (int i = 0; i < VA_OP_MAX_IN; i++) {
            bool taken = false;
            for (int j = 0; j < i; j++)
                taken = taken || (c.dx[j].n_dim > 0 && held[j] == held[i]);
            if (!left[i] || taken)
                continue;
            VA_TRY(fill_others(s, n, i));
            VA_TRY(input_derivative(s, n, i, &c.dx[i]));
            c.accumulate[i] = s->filled[held[i]];
            left[i] = false;
            n_left--;
        }
        VA_TRY(check_scratch(s, nd, &c));
        va_graph_time(nd, &c, VA_VJP);
        VA_TRY(nd->op->vjp(&c));
        for (int i = 0; i < VA_OP_MAX_IN; i++)
            if (c.dx[i].n_dim > 0)
                s->filled[held[i]] = 1;
    }
done:
    return st;
}

// The caller's block at node n: [rows, k, d] with d elements to a row.
static va_status check_block(const va_graph *g, va_node n, int64_t rows, const va_block *b,
                             int64_t k) {
    const va_tensor *y = &g->nodes[n].y;
    const int64_t width = va_tensor_elems(y) / y->shape[0];
    if (b->T == rows && b->d == width && b->k == k && b->mem.buffer &&
        b->mem.size_bytes >= va_block_bytes(rows, k, width))
        return VA_OK;
    return va_fail(g->ctx, VA_ERR_SHAPE,
                   "block at %s: expected [%lld, %lld, %lld], got [%lld, %lld, %lld] of %lld bytes",
                   g->nodes[n].name, (long long)rows, (long long)k, (long long)width,
                   (long long)b->T, (long long)b->k, (long long)b->d, (long long)b->mem.size_bytes);
}

static va_status begin(va_graph *g, const va_sweep *r, const va_block *to_block,
                       const va_block *from_block, sweep *s) {
    va_status st = VA_OK;
    *s = (sweep){.g = g, .to = to_block, .from = from_block};
    if (!g->ran)
        return va_fail(g->ctx, VA_ERR_USAGE, "va_graph_forward comes before derivatives");
    VA_TRY(va_graph_get_plan(g, r, &s->p));
    VA_TRY(check_block(g, r->to, g->nodes[r->to].y.shape[0], to_block, s->p->k));
    for (int64_t i = 0; i < r->n_from; i++) {
        const int64_t M = g->nodes[r->from[i]].y.shape[0];
        VA_TRY(check_block(g, r->from[i], r->rows.count > 0 ? r->rows.count : M, &from_block[i],
                           s->p->k));
    }
    int64_t limit = va_gpu_get_info(g->gpu)->max_range_bytes;
    if (s->p->largest_bytes > limit)
        VA_TRY(va_fail(g->ctx, VA_ERR_MEMORY,
                       "%lld vectors make a tensor of %lld bytes, but the device binds at most "
                       "%lld at once (see va_graph_max_k)",
                       (long long)s->p->k, (long long)s->p->largest_bytes, (long long)limit));
    VA_TRY(reserve_pool(g, s->p));
done:
    return st;
}

static va_status name_failure(const sweep *s, va_node n, const char *what, va_status st) {
    const node *nd = &s->g->nodes[n];
    return va_fail_in(s->g->ctx, st, "%s of %s (%s)", what, nd->name, nd->op->name);
}

static va_slice block_bytes(const va_block *b) {
    return va_slice_at(b->mem, 0, va_block_bytes(b->T, b->k, b->d));
}

// Rows first..first+count-1 of a block that holds rows from `held` on.
static va_slice block_rows(const va_block *b, int64_t held, int64_t first, int64_t count) {
    const int64_t row_bytes = va_block_bytes(1, b->k, b->d);
    return va_slice_at(b->mem, (first - held) * row_bytes, count * row_bytes);
}

// Copies the rows that the caller's block at from node i and what the sweep carries share, out of
// one into the other, whose remaining rows become zero.
static va_status exchange_rows(const sweep *s, int64_t i, bool into_sweep) {
    va_status st = VA_OK;
    const va_node n = s->p->from[i];
    const va_row_range held = s->p->rows[n], asked = s->p->from_rows;
    const int64_t first = VA_MAX(held.first, asked.first);
    const int64_t end = VA_MIN(held.first + held.count, asked.first + asked.count);
    va_tensor t;
    VA_TRY(derivative_at(s, n, &t));
    const va_block sweep_block = {held.count, s->p->k, s->from[i].d, t.mem};
    const va_block *to = into_sweep ? &sweep_block : &s->from[i];
    const va_block *from = into_sweep ? &s->from[i] : &sweep_block;
    const int64_t to_first = into_sweep ? held.first : asked.first;
    const int64_t from_first = into_sweep ? asked.first : held.first;
    VA_TRY(va_gpu_fill(s->g->gpu, block_bytes(to), 0));
    if (end > first)
        VA_TRY(va_gpu_copy(s->g->gpu, block_rows(to, to_first, first, end - first),
                           block_rows(from, from_first, first, end - first)));
done:
    return st;
}

static va_status record_jvp(void *user) {
    va_status st = VA_OK;
    sweep *s = user;
    va_gpu *gpu = s->g->gpu;
    const va_node from = s->p->from[0], to = s->p->to;
    if (from == to || !s->p->active[to])
        VA_TRY(va_gpu_fill(gpu, block_bytes(s->to), 0));
    if (from == to)
        return va_gpu_copy(gpu, block_rows(s->to, 0, s->p->from_rows.first, s->from->T),
                           block_bytes(s->from));
    if (s->p->active[to] && !va_graph_from_is_direct(s->p, 0))
        VA_TRY(exchange_rows(s, 0, true));
    for (va_node n = from + 1; n <= to; n++)
        if (s->p->exec[n] && (st = jvp_node(s, n)) != VA_OK)
            return name_failure(s, n, "jvp", st);
    va_gpu_time_group(gpu, NULL, 0, 0);
done:
    return st;
}

// Blocks that the sweep itself does not write: the identity, zeros, some rows of what it carries,
// and nodes listed twice.
static va_status finish_vjp(const sweep *s) {
    va_status st = VA_OK;
    const int64_t first_row = s->p->from_rows.first;
    for (int64_t i = 0; i < s->p->n_from; i++) {
        const va_node n = s->p->from[i];
        const va_block *b = &s->from[i];
        int64_t first = 0;
        while (s->p->from[first] != n)
            first++;
        if (n == s->p->to)
            VA_TRY(va_gpu_copy(s->g->gpu, block_bytes(b), block_rows(s->to, 0, first_row, b->T)));
        else if (!s->p->active[n])
            VA_TRY(va_gpu_fill(s->g->gpu, block_bytes(b), 0));
        else if (first < i)
            VA_TRY(va_gpu_copy(s->g->gpu, block_bytes(b), block_bytes(&s->from[first])));
        else if (!va_graph_from_is_direct(s->p, i))
            VA_TRY(exchange_rows(s, i, false));
    }
done:
    return st;
}

static va_status record_vjp(void *user) {
    va_status st = VA_OK;
    sweep *s = user;
    VA_TRY_ALLOC(s->g->ctx, s->filled, calloc((size_t)s->g->n_nodes, 1));
    for (va_node n = s->p->to; n >= 0; n--) {
        if (!s->p->exec[n])
            continue;
        st = vjp_node(s, n);
        if (st != VA_OK) {
            name_failure(s, n, "vjp", st);
            goto done;
        }
    }
    va_gpu_time_group(s->g->gpu, NULL, 0, 0);
    VA_TRY(finish_vjp(s));
done:
    free(s->filled);
    return st;
}

// -- entry points -----------------------------------------------------------------------------

static va_status run_sweep(va_graph *g, const va_sweep *r, const va_block *to, const va_block *from,
                           va_graph_record_fn record) {
    va_status st = VA_OK;
    sweep s;
    va_slice *ends = NULL;
    VA_TRY(begin(g, r, to, from, &s));
    VA_TRY_ALLOC(g->ctx, ends, calloc((size_t)r->n_from + 1, sizeof *ends));
    ends[0] = block_bytes(to);
    for (int64_t i = 0; i < r->n_from; i++)
        ends[1 + i] = block_bytes(&from[i]);
    VA_TRY(va_graph_run_or_replay(g, &s.p->replay, ends, record, &s));
done:
    free(ends);
    return st;
}

va_status va_graph_jvp(va_graph *g, va_mode mode, va_node from, va_row_range rows, va_node to,
                       const va_block *dx, const va_block *dy) {
    const va_sweep r = {VA_JVP, mode, &from, 1, rows, to, dy->k};
    return run_sweep(g, &r, dy, dx, record_jvp);
}

va_status va_graph_vjp(va_graph *g, va_mode mode, va_node to, const va_block *dy,
                       const va_node *from, int64_t n_from, va_row_range rows, const va_block *dx) {
    const va_sweep r = {VA_VJP, mode, from, n_from, rows, to, dy->k};
    return run_sweep(g, &r, dy, dx, record_vjp);
}
