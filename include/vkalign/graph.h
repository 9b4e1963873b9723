// graph.h: building a graph of ops, and its forward, jvp and vjp sweeps.
//
// A graph is built once for a number of rows without any device (shapes, costs and memory are then
// known), realised on a device, and run as often as wanted with new inputs.
// Depends on op.h and below; knows no files, no YAML, no model names.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_GRAPH_H
#define VKALIGN_GRAPH_H

#include "vkalign/op.h"
#include "vkalign/vec.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct va_graph va_graph;
typedef int32_t va_node; // a value of the graph
enum { VA_NODE_NONE = -1 };

// NULL when malloc fails.
va_graph *va_graph_create(va_ctx *ctx);
// Frees device memory of values; weights stay their owner's.
void va_graph_destroy(va_graph **g);

// -- building; needs no device ---------------------------------------------------------------
// After a mistake all further building does nothing and returns VA_NODE_NONE; va_graph_finish
// returns the first error. So a forward pass can be written down without error handling.

// A value that the caller fills before each run, f32 or u32.
va_node va_graph_input(va_graph *g, const char *name, va_dtype dtype, int n_dim,
                       const int64_t *shape);
// A weight, bound later by name: [n0] or [n0, n1] (n1 = 0: one dimension). The same name gives the
// same node; a different shape is then an error.
va_node va_graph_weight(va_graph *g, const char *name, int64_t n0, int64_t n1);
// The dtype that the weight will be bound with, f32 unless said: costs and scratch depend on it.
// f32, bf16 and f16 may stand for each other when bound; a quantised dtype must be said here, and
// only ops that take one may read it.
void va_graph_weight_dtype(va_graph *g, va_node weight, va_dtype dtype);
// Whether all ops that read the weight so far take it in this dtype.
bool va_graph_weight_takes(const va_graph *g, va_node weight, va_dtype dtype);
// A table of f32 or u32; data (product of shape) is copied.
va_node va_graph_const(va_graph *g, const char *name, va_dtype dtype, int n_dim,
                       const int64_t *shape, const void *data);
// An op's output. in: up to VA_OP_MAX_IN nodes, VA_NODE_NONE where an optional one is absent.
// name is for messages and timing and is copied.
va_node va_graph_op(va_graph *g, va_op_id op, const va_op_attr *attr, const va_node *in,
                    const char *name);
// Keeps this value readable after a forward run.
void va_graph_keep(va_graph *g, va_node n);
// What may be asked of the graph later: derivatives of `to` by `from` in this mode.
// Several calls add up. Values that derivatives need are kept for these alone.
void va_graph_want(va_graph *g, va_mode mode, va_node from, va_node to);
// Checks and plans lifetimes. After it nothing can be added.
va_status va_graph_finish(va_graph *g);

const char *va_graph_name(const va_graph *g, va_node n);
// Shape and dtype of a value (mem is set only once realised and only for kept values).
va_tensor va_graph_tensor(const va_graph *g, va_node n);
int64_t va_graph_weight_count(const va_graph *g);
va_node va_graph_weight_at(const va_graph *g, int64_t i);

// -- planning; needs no device ---------------------------------------------------------------

typedef struct va_graph_cost {
    double flop, bytes;   // one sweep
    int64_t memory_bytes; // device memory that values and temporaries take, weights apart
} va_graph_cost;
va_graph_cost va_graph_forward_cost(const va_graph *g);
// A jvp or vjp sweep with k vectors, between `to` and these rows (count 0: all) of every from node;
// a jvp has one from node.
typedef struct va_sweep {
    va_pass pass;
    va_mode mode;
    const va_node *from;
    int64_t n_from;
    va_row_range rows;
    va_node to;
    int64_t k;
} va_sweep;
// The caller's own blocks at the ends are not counted.
va_status va_graph_sweep_cost(const va_graph *g, const va_sweep *sweep, va_graph_cost *cost);
// Device memory that the temporaries of all these sweeps take together: it is shared and kept.
va_status va_graph_sweeps_bytes(const va_graph *g, const va_sweep *sweeps, int64_t n,
                                int64_t *bytes);
// Largest k (that of the sweep is not read) such that every tensor fits max_range_bytes and the
// temporaries fit budget_bytes; 0 when even one does not.
int64_t va_graph_max_k(const va_graph *g, const va_sweep *sweep, int64_t max_range_bytes,
                       int64_t budget_bytes);

// -- running ---------------------------------------------------------------------------------

// Allocates values on the device and uploads constants. Once.
va_status va_graph_realize(va_graph *g, va_gpu *gpu);
// Gives a weight its device tensor (borrowed; shape must match, dtype f32, bf16, f16 or as said).
va_status va_graph_bind(va_graph *g, va_node weight, const va_tensor *tensor);
// Fills an input; size is that of its shape and dtype.
va_status va_graph_set(va_graph *g, va_node input, const void *data);
// Runs everything that kept and wanted values need. Recorded, not waited for.
va_status va_graph_forward(va_graph *g);
// The same piece by piece, for weights that arrive while the device works: runs what the weights
// bound so far allow, from where the last call stopped; *finished when that was all. Inputs are set
// before; setting one, or binding a weight for the second time, begins anew.
va_status va_graph_forward_part(va_graph *g, bool *finished);
// A kept value as float32 [product of shape]; waits.
va_status va_graph_read(va_graph *g, va_node n, float *data);
// dy = (d to / d from) dx on k vectors: dx [rows, k, width_from] at these rows of `from` (count 0:
// all), the others held; dy [M_to, k, width_to], with d = elements of a row. After
// va_graph_forward. Recorded, not waited for.
va_status va_graph_jvp(va_graph *g, va_mode mode, va_node from, va_row_range rows, va_node to,
                       const va_block *dx, const va_block *dy);
// dx_i = (d to / d from_i)' dy for all n_from nodes in one reverse sweep; dx blocks overwritten.
va_status va_graph_vjp(va_graph *g, va_mode mode, va_node to, const va_block *dy,
                       const va_node *from, int64_t n_from, va_row_range rows, const va_block *dx);

#ifdef __cplusplus
}
#endif
#endif
