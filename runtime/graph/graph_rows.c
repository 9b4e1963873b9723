// graph_rows.c: which rows of every tangent a sweep carries.
//
// In a causal model the rows before the source's first have no tangent, and those after the last
// that the target reads are not wanted; between the last attention and a target at one position a
// single row is. So every value has an interval of rows [low, high): low is the source's first row
// or, later on, the first row that is wanted; high comes from the target. Ops that work row by row
// are called on that part of their values, which must begin where a buffer can be bound: low is
// rounded down to such rows. Attention is told (va_op_call.dy_rows, dx_rows).
// Only sweeps of one sequence are cut; past a `select` rows count anew and all are carried.
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

#include <stdlib.h>

static int64_t rows_of(const va_graph *g, int64_t n) {
    return g->nodes[n].y.shape[0];
}

bool va_graph_is_input(const va_graph *g, const sweep_plan *p, int64_t n, int i) {
    const node *nd = &g->nodes[n];
    return va_graph_diff_in(nd, p->mode) >> i & 1 && nd->in[i] != VA_NODE_NONE &&
           p->active[nd->in[i]];
}

// Every op of the sweep has rows that can be followed, in one sequence.
static bool can_cut(const va_graph *g, const sweep_plan *p) {
    for (int64_t n = 0; n < g->n_nodes; n++) {
        const node *nd = &g->nodes[n];
        if (!p->exec[n])
            continue;
        if (nd->op->row_flow == VA_ROWS_WHOLE)
            return false;
        if (nd->op->row_flow != VA_ROWS_SAME && rows_of(g, nd->in[0]) != nd->attr.seq_len)
            return false;
    }
    return true;
}

static va_row_range hull(va_row_range a, va_row_range b) {
    if (a.count == 0 || b.count == 0)
        return a.count == 0 ? b : a;
    const int64_t first = VA_MIN(a.first, b.first);
    return (va_row_range){first, VA_MAX(a.first + a.count, b.first + b.count) - first};
}

// Rows of input i that rows `out` of node n's output depend on.
static va_row_range wanted_rows(const node *nd, int i, va_row_range out) {
    if (nd->op->row_flow == VA_ROWS_SELECT)
        return (va_row_range){nd->attr.first, nd->attr.count};
    if (nd->op->row_flow == VA_ROWS_CAUSAL && i > 0)
        return (va_row_range){0, out.first + out.count};
    return out;
}

// Past a select rows are no longer positions.
static void mark_past(const va_graph *g, const sweep_plan *p, uint8_t *past) {
    for (int64_t n = 0; n < g->n_nodes; n++)
        for (int i = 0; p->exec[n] && i < VA_OP_MAX_IN; i++)
            if (va_graph_is_input(g, p, n, i))
                past[n] |= past[g->nodes[n].in[i]] || g->nodes[n].op->row_flow == VA_ROWS_SELECT;
}

static void mark_wanted(const va_graph *g, sweep_plan *p) {
    for (int64_t n = 0; n < g->n_nodes; n++)
        p->rows[n] = (va_row_range){0, 0};
    p->rows[p->to] = (va_row_range){0, rows_of(g, p->to)};
    for (int64_t n = p->to; n >= 0; n--)
        for (int i = 0; p->exec[n] && i < VA_OP_MAX_IN; i++)
            if (va_graph_is_input(g, p, n, i)) {
                va_row_range *in = &p->rows[g->nodes[n].in[i]];
                *in = hull(*in, wanted_rows(&g->nodes[n], i, p->rows[n]));
            }
}

// Multiplies the step until steps of rows of t begin where they can be bound.
static int64_t bindable_step(const va_tensor *t, int64_t step) {
    const int64_t row_bytes = t->n_dim > 0 ? va_tensor_bytes(t) / t->shape[0] : 0;
    while (va_graph_padded(step * row_bytes) != step * row_bytes)
        step *= 2;
    return step;
}

// Rows between two that every value of the sweep can be cut at.
static int64_t cut_step(const va_graph *g, const sweep_plan *p, const uint8_t *past) {
    int64_t step = 1;
    for (int64_t n = 0; n < g->n_nodes; n++) {
        const node *nd = &g->nodes[n];
        const uint32_t cut =
            p->exec[n] && !past[n] && nd->op->row_flow == VA_ROWS_SAME ? nd->op->row_in : 0;
        if (cut == 0)
            continue;
        step = bindable_step(&nd->y, step);
        step = bindable_step(&nd->aux, step);
        for (int i = 0; i < VA_OP_MAX_IN; i++)
            if (cut >> i & 1 && nd->in[i] != VA_NODE_NONE)
                step = bindable_step(&g->nodes[nd->in[i]].y, step);
    }
    return step;
}

// Whether the rows from `low` on are all that a sweep from there needs. A target that is not past a
// select has all rows, in the caller's block.
static bool low_fits(const va_graph *g, const sweep_plan *p, const uint8_t *past, int64_t low) {
    if (!past[p->to])
        return false;
    for (int64_t n = 0; n < g->n_nodes; n++) {
        if (p->active[n] && !past[n] && p->rows[n].first + p->rows[n].count <= low)
            return false;
        if (p->exec[n] && g->nodes[n].op->row_flow == VA_ROWS_SELECT &&
            g->nodes[n].attr.first < low)
            return false;
    }
    for (int64_t i = 0; i < p->n_from; i++)
        if (past[p->from[i]] || rows_of(g, p->from[i]) != rows_of(g, p->from[0]))
            return false;
    return true;
}

va_status va_graph_mark_rows(const va_graph *g, sweep_plan *p) {
    va_status st = VA_OK;
    uint8_t *past;
    VA_TRY_ALLOC(g->ctx, past, calloc((size_t)g->n_nodes + 1, 1));
    mark_past(g, p, past);
    const bool cut = can_cut(g, p);
    if (cut)
        mark_wanted(g, p);
    const int64_t step = cut ? cut_step(g, p, past) : 1;
    const int64_t low = cut && low_fits(g, p, past, p->from_rows.first) ? p->from_rows.first : 0;
    for (int64_t n = 0; n < g->n_nodes; n++) {
        const int64_t M = g->nodes[n].y.n_dim > 0 ? rows_of(g, n) : 0;
        const int64_t end = p->rows[n].first + p->rows[n].count;
        const int64_t first = VA_MAX(p->rows[n].first, low) / step * step;
        const bool all = !cut || past[n] || !p->active[n] || n == p->to;
        p->rows[n] = all ? (va_row_range){0, M} : (va_row_range){first, end - first};
    }
done:
    free(past);
    return st;
}

bool va_graph_same_rows(va_row_range a, va_row_range b) {
    return a.first == b.first && a.count == b.count;
}

// -- calls on a part of the rows ------------------------------------------------------------------

static void cut_tensor(va_tensor *t, va_row_range rows) {
    if (t->n_dim == 0 || rows.count == t->shape[0])
        return;
    const int64_t row_bytes = va_tensor_bytes(t) / t->shape[0];
    t->shape[0] = rows.count;
    if (va_tensor_present(t))
        t->mem = va_slice_at(t->mem, rows.first * row_bytes, rows.count * row_bytes);
}

static va_tensor factor_of(const va_graph *g, va_node n, va_row_range rows) {
    va_tensor t = n == VA_NODE_NONE ? (va_tensor){0} : g->nodes[n].aux;
    cut_tensor(&t, rows);
    return t;
}

void va_graph_cut_call(const va_graph *g, const sweep_plan *p, va_node n, va_op_call *c,
                       va_op_attr *attr) {
    const node *nd = &g->nodes[n];
    const va_row_range rows = p->rows[n];
    *attr = nd->attr;
    c->attr = attr;
    switch (nd->op->row_flow) {
    case VA_ROWS_SAME:
        for (int i = 0; i < VA_OP_MAX_IN; i++)
            if (nd->op->row_in >> i & 1)
                cut_tensor(&c->x[i], rows);
        cut_tensor(&c->y, rows);
        cut_tensor(&c->aux, rows);
        c->in_factor = factor_of(g, p->in_factor[n], rows);
        c->out_factor = factor_of(g, p->out_factor[n], rows);
        if (rows.count != nd->y.shape[0])
            attr->seq_len = rows.count;
        break;
    case VA_ROWS_SELECT: {
        const va_row_range in = p->rows[nd->in[0]];
        if (in.count == c->x[0].shape[0])
            break;
        cut_tensor(&c->x[0], in);
        attr->first -= in.first;
        attr->seq_len = in.count;
        break;
    }
    case VA_ROWS_CAUSAL:
        c->dy_rows = rows;
        for (int i = 0; i < VA_OP_MAX_IN; i++)
            c->dx_rows[i] = va_graph_read_rows(g, p, n, i);
        break;
    case VA_ROWS_WHOLE:
        break;
    }
}

// What the call of node n reads or writes of the tangent of its input i.
va_row_range va_graph_read_rows(const va_graph *g, const sweep_plan *p, va_node n, int i) {
    const node *nd = &g->nodes[n];
    if (nd->in[i] == VA_NODE_NONE)
        return VA_ALL_ROWS;
    const va_row_range in = p->rows[nd->in[i]], out = p->rows[n];
    if (nd->op->row_flow == VA_ROWS_SAME || (nd->op->row_flow == VA_ROWS_CAUSAL && i == 0))
        return out;
    if (nd->op->row_flow == VA_ROWS_CAUSAL)
        return (va_row_range){in.first, out.first + out.count - in.first};
    return in;
}
