// graph_priv.h: what the files of runtime/graph share.
//
// A graph is one array of nodes in topological order, since it is built forward only. A value is
// "stored" when it lives as long as the graph: inputs, constants, kept values, and what wanted
// derivatives read. Every other value, tangent, cotangent and scratch area is an interval of nodes
// during which it is alive, and intervals that do not overlap share a slot. A slot is a buffer of
// its own: a tensor is then one binding at offset 0, and no allocation is larger than the largest
// tensor, whatever the device's limits are.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_PRIV_H
#define GRAPH_PRIV_H

#include "vkalign/graph.h"

typedef enum node_kind { NODE_INPUT, NODE_WEIGHT, NODE_CONST, NODE_OP } node_kind;

// Bits of node.stored: which tensors outlive the forward pass.
enum { STORED_Y = 1, STORED_AUX = 2 };
enum { NO_SLOT = -1 };

typedef struct node {
    node_kind kind;
    const char *name;
    va_tensor y;   // mem: stored values and bound weights; others get their slot for the run only
    va_tensor aux; // n_dim 0: none
    const void *data; // NODE_CONST
    va_op_id op_id;   // NODE_OP
    const va_op *op;
    va_op_attr attr;
    va_node in[VA_OP_MAX_IN]; // VA_NODE_NONE: absent
    va_node fused_into;       // the node that makes this one's value on its way, or VA_NODE_NONE
    bool keep;                // asked for by va_graph_keep
    bool run;                 // part of the forward pass
    bool is_set;              // NODE_INPUT: va_graph_set was called
    uint32_t stored;
    int32_t y_slot, aux_slot, scratch_slot; // forward slots, or NO_SLOT
    va_buffer *y_buffer, *aux_buffer;       // owned, of stored tensors
} node;

// Alive from node `first` to node `last`, both included.
typedef struct va_interval {
    int32_t first, last;
    int64_t size_bytes;
    int32_t slot; // out
} va_interval;

// Gives each interval a slot such that no two alive at once share one. Greedy by size: the largest
// goes first, each into the first slot that is free during its life; slots are then never larger
// than needed and come out in descending size. size[] is allocated in arena.
va_status va_graph_assign_slots(va_ctx *ctx, va_arena *arena, va_interval *iv, int64_t n,
                                int64_t **size, int32_t *n_slots);

typedef struct want {
    va_mode mode;
    va_node from, to;
} want;

// A pass of the graph that may be run again, and the recording of it. The first run goes the
// ordinary way, so that single ones cost nothing more; the second in the same memory is recorded.
typedef struct replay {
    va_slice *ends; // [n_ends] the caller's blocks of the last run; buffers borrowed, compared only
    int64_t n_ends;
    uint64_t memory; // va_graph.memory at the last run; 0: never run
    va_recording *recording;
} replay;

// A sweep worked out: which ops run and where each tangent or cotangent lives.
typedef struct sweep_plan {
    va_arena *arena; // owns the rest
    va_pass pass;
    va_mode mode;
    int64_t k;
    va_node to;
    va_node *from;
    int64_t n_from;
    va_row_range from_rows; // of every from node, as asked for; never {0, 0}
    va_row_range *rows;     // [n_nodes] that its tangent or cotangent holds
    uint8_t *active;        // [n_nodes] carries a tangent or cotangent
    uint8_t *exec;          // [n_nodes] the op's derivative is run
    // See graph_absorb.c. All [n_nodes].
    va_node *held;                   // the node whose tangent or cotangent stands for this one's
    va_node *in_factor, *out_factor; // nodes whose aux the op multiplies by, or VA_NODE_NONE
    int32_t *slot, *scratch_slot;    // [n_nodes]
    int64_t *slot_bytes;             // [n_slots], descending
    int32_t n_slots;
    va_graph_cost cost;
    int64_t largest_bytes; // largest tensor or scratch, the ends included
    uint64_t used;         // when last used, for the cache
    replay replay;         // ends: to, then every from
} sweep_plan;

enum { PLAN_CACHE = 8 };

struct va_graph {
    va_ctx *ctx;
    va_arena *arena;
    node *nodes;
    int64_t n_nodes, cap_nodes;
    want *wants;
    int64_t n_wants, cap_wants;
    va_status error; // the first mistake while building
    const char *error_text;
    bool finished, ran;
    va_graph_cost forward_cost;
    int64_t *slot_bytes; // forward slots
    int32_t n_slots;
    va_gpu *gpu; // NULL until realised
    va_buffer **slots;
    sweep_plan *plans[PLAN_CACHE];
    uint64_t clock; // of the plan cache
    // Sweeps' slots: one pool for all plans, so that it grows to the largest need per place and
    // repeated sweeps allocate nothing.
    va_buffer **pool;
    int32_t n_pool;
    uint64_t memory; // number of the present choice of buffers for weights
    replay forward;
    int64_t forward_at; // node that the forward pass by pieces comes to next
};

// Bytes that a tensor or scratch area takes: rounded as buffers are.
int64_t va_graph_padded(int64_t bytes);
bool va_graph_has(const va_graph *g, va_node n);
// The call of node n's op with its primal tensors; mem of those that are not stored stays NULL.
va_op_call va_graph_call(const va_graph *g, va_node n);
// [M, k, ...] of a value [M, ...].
va_status va_graph_derivative(const va_graph *g, va_node n, int64_t k, va_tensor *t);
int64_t va_graph_scratch(const node *nd, const va_op_call *c, va_pass pass);
va_op_cost va_graph_op_cost(const node *nd, const va_op_call *c, va_pass pass);
// From here on the device's time counts for this kind of op and pass, where it is measured.
void va_graph_time(const node *nd, const va_op_call *c, va_pass pass);
// Inputs that carry derivatives in a mode.
uint32_t va_graph_diff_in(const node *nd, va_mode mode);
uint32_t va_graph_keep_bits(const node *nd, va_mode mode);

// Lets products make the sums that follow them; before anything is planned. See graph_fuse.c.
va_status va_graph_fuse(va_graph *g);
// active: nodes between any of `from` and `to` along differentiable inputs; exec: those of them
// whose op has an active input. Both [n_nodes].
void va_graph_activity(const va_graph *g, va_mode mode, const va_node *from, int64_t n_from,
                       va_node to, uint8_t *active, uint8_t *exec);
// The plan of a sweep, from the cache when it is there; owned by the graph.
va_status va_graph_get_plan(va_graph *g, const va_sweep *r, sweep_plan **plan);
// A plan of its own; destroy it.
va_status va_graph_make_plan(const va_graph *g, const va_sweep *r, sweep_plan **plan);
void va_graph_plan_destroy(sweep_plan **plan);

// Fills plan->rows; after active and exec.
va_status va_graph_mark_rows(const va_graph *g, sweep_plan *p);
bool va_graph_same_rows(va_row_range a, va_row_range b);
// Input i of node n carries a derivative in this sweep.
bool va_graph_is_input(const va_graph *g, const sweep_plan *p, int64_t n, int i);
// Fills plan->held and the factors, and takes what is absorbed out of plan->exec; after mark_rows.
void va_graph_absorb(const va_graph *g, sweep_plan *p);
// VA_FUSE=0 in the environment leaves graphs and sweeps as they were written.
bool va_graph_may_fuse(void);
// Cuts the primal tensors of node n's derivative call to its rows. attr holds the call's
// attributes.
void va_graph_cut_call(const va_graph *g, const sweep_plan *p, va_node n, va_op_call *c,
                       va_op_attr *attr);
va_row_range va_graph_read_rows(const va_graph *g, const sweep_plan *p, va_node n, int i);
// The tangent or cotangent of node n by the rows that the plan carries, without memory.
va_status va_graph_sweep_tensor(const va_graph *g, const sweep_plan *p, va_node n, va_tensor *t);
// Runs a pass: record, or the replay of what it recorded before with the same ends.
typedef va_status (*va_graph_record_fn)(void *user);
va_status va_graph_run_or_replay(va_graph *g, replay *r, const va_slice *ends,
                                 va_graph_record_fn record, void *user);
// Whether the tangent of from node i is the caller's block itself.
bool va_graph_from_is_direct(const sweep_plan *p, int64_t i);

#endif
