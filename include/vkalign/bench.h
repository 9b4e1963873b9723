// bench.h: how fast a device does vkalign's work at a named shape with random weights, beside what
// the same device reaches copying and multiplying. Depends on probe.h, svd.h, model.h and below.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_BENCH_H
#define VKALIGN_BENCH_H

#include "vkalign/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

// -- shapes ---------------------------------------------------------------------------------------

typedef struct va_bench_shape {
    const char *name;        // "gemma-3-4b"
    const char *config_json; // what the model's config.json says of its forward pass
} va_bench_shape;
const va_bench_shape *va_bench_shapes(int64_t *n);
// VA_ERR_USAGE with the names there are.
va_status va_bench_shape_find(va_ctx *ctx, const char *name, const va_bench_shape **shape);

// -- what is done ---------------------------------------------------------------------------------

// X(enum, name, what it is). All times of derivatives include the forward pass: that of new tokens.
#define VA_BENCH_KIND_LIST(X)                                                                      \
    X(VA_BENCH_MATMUL, "matmul", "products of rows with a weight: the ceiling of arithmetic")      \
    X(VA_BENCH_COPY, "copy", "copies within the device: the ceiling of memory traffic")            \
    X(VA_BENCH_FORWARD, "forward", "norm:N@last")                                                  \
    X(VA_BENCH_JVP, "jvp", "J x, J the derivative of norm:N@last by embed@all at x")               \
    X(VA_BENCH_SVD, "svd", "the largest 8 singular triplets of J")                                 \
    X(VA_BENCH_DENSE, "dense", "J itself, row by row")                                             \
    X(VA_BENCH_PROBE, "probe", "training one classifier d-128-64-1")
typedef enum va_bench_kind {
#define VA_X(id, name, text) id,
    VA_BENCH_KIND_LIST(VA_X)
#undef VA_X
        VA_BENCH_KIND_COUNT
} va_bench_kind;
const char *va_bench_kind_name(va_bench_kind kind);
bool va_bench_kind_parse(const char *name, va_bench_kind *kind);

typedef struct va_bench_params {
    const char *shape; // NULL: "tiny" where the device is the CPU, else "gemma-3-4b"
    int64_t layers;    // N, blocks; 0: all
    int64_t tokens;    // of the prompt; 0 = 8
    int64_t repeat;    // runs after the first; 0 = 5
    double limit_s;    // of one kind: fewer runs, and fewer rows of J, rather than longer; a
                       // single run may take longer. 0 = 20
    uint32_t kinds;    // bits 1 << va_bench_kind; 0: all. The ceilings are always measured
    uint64_t seed;     // of weights and tokens
} va_bench_params;

typedef struct va_bench_op { // device time of all dispatches of one shader, or of a kind of op's
                             // pass
    const char *label;
    int64_t calls, time_ns;
    double flop, bytes; // of a kind: by the ops' own account, bytes when nothing is cached
} va_bench_op;

// One thing that was timed.
typedef struct va_bench_job {
    va_bench_kind kind;
    const char *mode;   // "exact", "detached"; NULL: no derivative
    const char *what;   // "[512, 160] x [2048, 160]' BF16"
    double flop, bytes; // of one run, as planned: bytes when nothing is cached
    double *seconds;    // [n] in the order of the runs
    int64_t n;
    double median_s, fastest_s, slowest_s;
    double cpu_s; // median processor time of this process: what a busy machine leaves alone where
                  // the device is the CPU, else what the host does
    double flop_per_s, bytes_per_s; // at the median
    double flop_share, bytes_share; // of the ceilings

    // One further run with timestamps; 0 where the device has none.
    double profiled_s;     // by the clock
    double device_s;       // sum over ops
    const va_bench_op *op; // [n_op] by shader, longest first
    int64_t n_op;
    const va_bench_op *op_kind; // [n_op_kind] by kind of op and pass, "linear jvp", of the model
    int64_t n_op_kind;

    // What came out, to compare with others.
    double norm;              // forward, jvp: Euclidean; dense: of the rows that were formed
    int64_t rows, rows_all;   // dense: formed, and those of J
    const double *sigma;      // svd [n_sigma]
    int64_t n_sigma, vectors; // vectors: that J and J' were applied to
    bool converged;           // svd
    double loss;              // probe: of the last batch
} va_bench_job;

typedef struct va_bench_result {
    const va_bench_shape *shape;
    int64_t layers, tokens, repeat;
    uint64_t seed;
    const int32_t *ids; // [tokens]
    int64_t weight_bytes, planned_bytes,
        peak_bytes;                     // device memory: weights; all, planned and taken
    double flop_ceiling, bytes_ceiling; // per second, of the best product and copy
    const va_bench_job *job;            // [n_job]
    int64_t n_job;
} va_bench_result;

// result's arrays live in arena. gpu is best opened with timestamps; they are on in the profiled
// runs alone. VA_ERR_USAGE for what the shape does not have; VA_ERR_MEMORY, before anything is
// allocated, when it does not fit; stops at va_interrupt.
va_status va_bench_run(va_ctx *ctx, va_gpu *gpu, va_arena *arena, const va_bench_params *params,
                       va_bench_result *result);

#ifdef __cplusplus
}
#endif
#endif
