// graph_fuse.c: sums that a product makes on its way: add(h, linear(x)) becomes linear(x) + h.
//
// The node of the add becomes the linear with h as its residual and keeps its name; that of the
// linear is left without readers, so that it is never run. Only a value that nobody else asks for
// may go: it has one reader, and is neither kept nor an end of a wanted derivative. And no op may
// stand between the two, for the linear's input lives until the add then: so memory never grows,
// as what lives at the new node lived at the old linear already.
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

#include <stdlib.h>
#include <string.h>

enum { RESIDUAL = 3 }; // input of VA_OP_LINEAR

static bool is_end_of_want(const va_graph *g, va_node n) {
    for (int64_t i = 0; i < g->n_wants; i++)
        if (g->wants[i].from == n || g->wants[i].to == n)
            return true;
    return false;
}

static void count_readers(const va_graph *g, int32_t *readers) {
    for (int64_t n = 0; n < g->n_nodes; n++)
        for (int i = 0; g->nodes[n].kind == NODE_OP && i < VA_OP_MAX_IN; i++)
            if (g->nodes[n].in[i] != VA_NODE_NONE)
                readers[g->nodes[n].in[i]]++;
}

// No op between two nodes.
static bool are_neighbours(const va_graph *g, va_node a, va_node b) {
    for (va_node n = a + 1; n < b; n++)
        if (g->nodes[n].kind == NODE_OP)
            return false;
    return true;
}

// Whether node `at`, the sum, can be made by `product`, one of its inputs.
static bool can_fuse(const va_graph *g, const int32_t *readers, va_node product, va_node at) {
    const node *nd = &g->nodes[product];
    return nd->kind == NODE_OP && nd->op_id == VA_OP_LINEAR && nd->in[RESIDUAL] == VA_NODE_NONE &&
           nd->attr.heads == 0 && !nd->keep && readers[product] == 1 &&
           are_neighbours(g, product, at) && !is_end_of_want(g, product);
}

static void fuse(va_graph *g, va_node at, int i) {
    node *sum = &g->nodes[at], *product = &g->nodes[sum->in[i]];
    const va_node residual = sum->in[1 - i];
    sum->op_id = product->op_id;
    sum->op = product->op;
    sum->attr = product->attr;
    memcpy(sum->in, product->in, sizeof sum->in);
    sum->in[RESIDUAL] = residual;
    product->fused_into = at;
}

bool va_graph_may_fuse(void) {
    const char *wish = getenv("VA_FUSE");
    return !wish || strcmp(wish, "0") != 0;
}

va_status va_graph_fuse(va_graph *g) {
    va_status st = VA_OK;
    int32_t *readers = NULL;
    if (!va_graph_may_fuse())
        goto done;
    VA_TRY_ALLOC(g->ctx, readers, calloc((size_t)g->n_nodes + 1, sizeof *readers));
    count_readers(g, readers);
    for (int64_t n = 0; n < g->n_nodes; n++)
        for (int i = 0; i < 2 && g->nodes[n].kind == NODE_OP && g->nodes[n].op_id == VA_OP_ADD; i++)
            if (can_fuse(g, readers, g->nodes[n].in[i], (va_node)n))
                fuse(g, (va_node)n, i);
done:
    free(readers);
    return st;
}
