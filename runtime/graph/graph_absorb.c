// graph_absorb.c: norms that the products around them make.
//
// Where the derivative of an op multiplies by numbers that the forward pass left, element by
// element (va_op.detached_scales: a norm whose scale is frozen), it needs no pass of its own: the
// products that read the op's value multiply what they read (VA_FACTOR_IN), or the one that makes
// the op's input multiplies what it makes (VA_FACTOR_OUT). In the first case the tangent or
// cotangent of the input stands for that of the op, which is never made, in the second the other
// way round. A factor of a product's result costs nothing; for one of its operand see
// VA_FACTOR_ROWS.
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

static bool has_many(const sweep_plan *p, va_node n) {
    return p->rows[n].count * p->k >= VA_FACTOR_ROWS;
}

static bool is_end_of_sweep(const sweep_plan *p, va_node n) {
    bool end = n == p->to;
    for (int64_t i = 0; i < p->n_from; i++)
        end = end || n == p->from[i];
    return end;
}

// Ops that differentiate by n, and whether all of them can multiply by its factor.
static int64_t count_active_readers(const va_graph *g, const sweep_plan *p, va_node n,
                                    bool *can_scale) {
    int64_t count = 0;
    *can_scale = true;
    for (va_node m = n + 1; m <= p->to; m++)
        for (int i = 0; i < VA_OP_MAX_IN && p->active[m]; i++) {
            if (g->nodes[m].in[i] != n || !va_graph_is_input(g, p, m, i))
                continue;
            count++;
            *can_scale = *can_scale && i == 0 && g->nodes[m].op->factors & VA_FACTOR_IN &&
                         (p->pass == VA_VJP || has_many(p, m));
        }
    return count;
}

static bool absorb_after(const va_graph *g, sweep_plan *p, va_node n) {
    bool can_scale;
    if (count_active_readers(g, p, n, &can_scale) == 0 || !can_scale)
        return false;
    for (va_node m = n + 1; m <= p->to; m++)
        if (p->active[m] && va_graph_is_input(g, p, m, 0) && g->nodes[m].in[0] == n)
            p->in_factor[m] = n;
    p->held[n] = p->held[g->nodes[n].in[0]];
    return true;
}

static bool absorb_before(const va_graph *g, sweep_plan *p, va_node n) {
    const va_node before = g->nodes[n].in[0];
    const node *nd = &g->nodes[before];
    bool can_scale;
    if (p->pass == VA_VJP && !has_many(p, n))
        return false;
    if (!p->exec[before] || is_end_of_sweep(p, before) || !(nd->op->factors & VA_FACTOR_OUT) ||
        !va_graph_same_rows(p->rows[before], p->rows[n]) ||
        count_active_readers(g, p, before, &can_scale) != 1)
        return false;
    for (int i = 1; i < VA_OP_MAX_IN; i++)
        if (va_graph_is_input(g, p, before, i))
            return false; // what else is added there is not to be multiplied
    p->out_factor[before] = n;
    p->held[before] = n;
    return true;
}

void va_graph_absorb(const va_graph *g, sweep_plan *p) {
    for (int64_t n = 0; n < g->n_nodes; n++) {
        p->held[n] = (va_node)n;
        p->in_factor[n] = p->out_factor[n] = VA_NODE_NONE;
    }
    for (va_node n = 0; n < g->n_nodes && va_graph_may_fuse() && p->mode == VA_DETACHED; n++) {
        if (!p->exec[n] || !g->nodes[n].op->detached_scales || is_end_of_sweep(p, n))
            continue;
        const bool absorbed = p->pass == VA_JVP ? absorb_before(g, p, n) || absorb_after(g, p, n)
                                                : absorb_after(g, p, n) || absorb_before(g, p, n);
        if (absorbed)
            p->exec[n] = 0;
    }
}
