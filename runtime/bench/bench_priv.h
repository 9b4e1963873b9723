// bench_priv.h: what the files of runtime/bench share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_BENCH_PRIV_H
#define VKALIGN_BENCH_PRIV_H

#include "vkalign/bench.h"

enum { BENCH_MAX_JOBS = 64, BENCH_TOP_K = 8 };

// All of one va_bench_run.
typedef struct bench {
    va_ctx *ctx;
    va_gpu *gpu;
    va_arena *arena;   // of the result
    va_bench_params p; // resolved: no defaults left
    const va_bench_shape *shape;
    va_model *model;
    int32_t *ids;      // [tokens]
    va_bench_job *job; // [BENCH_MAX_JOBS]
    int64_t n_job;
    double flop_ceiling, bytes_ceiling; // 0 until measured
    va_graph_cost forward, kept;        // a forward pass alone, and one that derivatives follow
    int64_t weight_bytes, planned_bytes;
    int64_t derivative_bytes; // that derivatives may take, weights too
} bench;

// -- timing (bench_time.c) -----------------------------------------------------------------------

typedef struct bench_work {
    va_status (*prepare)(void *user); // not timed; NULL: nothing
    va_status (*run)(void *user);     // recorded work is waited for after it
    void *user;
} bench_work;
// Adds a job: warms up, runs, and profiles it. `job` gives what is known: the rest is filled, and
// *added points at it.
va_status bench_time(bench *b, const va_bench_job *job, const bench_work *work,
                     va_bench_job **added);
// Rates and shares of every job, once flop and bytes are known and the ceilings measured.
void bench_rate(bench *b, va_bench_job *job);

// -- kinds ----------------------------------------------------------------------------------------

// Copies and products: the ceilings (bench_ceilings.c).
va_status bench_ceilings(bench *b);
int64_t bench_ceilings_bytes(const bench *b); // of device memory
// Everything with the model (bench_model.c). The plan first: VA_ERR_MEMORY when it does not fit.
va_status bench_plan(bench *b);
va_status bench_model(bench *b);
va_status bench_probe(bench *b); // bench_probe.c

static inline bool bench_wants(const bench *b, va_bench_kind kind) {
    return b->p.kinds >> kind & 1;
}

#endif
