// op.h: the differentiable operations: forward, jvp (tangents forward), vjp (cotangents back).
//
// An op is shaders/op/X.comp, runtime/op/X.c, tests/ref/X_ref.c, tests/op/test_X.c and one line in
// VA_OP_LIST. Ops know neither models nor graphs. All functions record work on the gpu and do not
// wait. Values, tangents and cotangents are f32 and each fits one storage-buffer binding (the
// graph chunks k); only weights may be larger and are bound by row ranges.
// Depends on base.h, io.h (dtypes), gpu.h, vec.h, tensor.h.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_OP_H
#define VKALIGN_OP_H

#include "vkalign/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

// exact differentiates everything. detached freezes at their forward values: 1/rms or 1/std of a
// norm, the attention probabilities, act(gate) of a gated MLP, tanh(x/c)/(x/c) of a softcap (J. R.
// Golden, arXiv 2505.24293).
typedef enum va_mode { VA_EXACT, VA_DETACHED } va_mode;
typedef enum va_pass { VA_FORWARD, VA_JVP, VA_VJP } va_pass;
// The second row: the factor f(x) / x of the activation above it.
typedef enum va_act {
    VA_ACT_GELU_TANH,
    VA_ACT_GELU,
    VA_ACT_SILU,
    VA_ACT_RELU,
    VA_ACT_PHI_TANH,
    VA_ACT_PHI,
    VA_ACT_SIGMOID,
    VA_ACT_STEP
} va_act;

// Inputs -> output, and the attributes that an op reads:
// embed      table [n, d] f32|bf16|f16, ids [M] u32 -> [M, d]
// linear     x [M, ...n_in], W [n_out, n_in] f32|bf16|f16 or quantised, (bias [n_out]), (residual
//            like y) -> [M, n_out], or [M, heads, n_out/heads] with heads > 0:
//            y = x W' + bias + residual
// rmsnorm    x [M, (H,) n] or [M, H, D] with n = H*D, w [n] f32|bf16|f16 -> like x:
//            x * (w + weight_offset) / sqrt(mean x^2 + eps), the mean over n
// layernorm  x [M, n], w [n] f32|bf16|f16, (bias [n]) -> like x:
//            (x - mean x) * w / sqrt(var x + eps) + bias
// rope       x [M, H, D], table [T, R/2, 2] f32 of (cos, sin), T = seq_len, R <= D rotated -> like
//            x; pairs (i, i + R/2) rotate, row m is at position m % seq_len
// attention  q [M, H, D], k [M, G, D], v [M, G, D] -> [M, H, D]; causal within each sequence of
//            seq_len rows; scale, window (key j seen by i when 0 <= i-j < window; 0: all), softcap
// glu        gate [M, F], up [M, F] -> act(gate) * up; without a gate, f(x) is the glu of x and x
//            with f's factor, which detached mode freezes
// add        a, b of one shape -> a + b
// scale      x -> factor * x
// softcap    x -> softcap * tanh(x / softcap)
// select     x [N*T, ...] -> [N*count, ...]: rows first..first+count-1 of each sequence, or their
//            mean [N, ...] with mean = true
// gated      x [M, d], W_gate [F, d], W_up [F, d] f32|bf16|f16 or quantised -> [M, F]:
//            act(x W_gate') * (x W_up'), as the glu of two linears in one
// X(enum, symbol of the va_op)
#define VA_OP_LIST(X)                                                                              \
    X(VA_OP_EMBED, embed)                                                                          \
    X(VA_OP_LINEAR, linear)                                                                        \
    X(VA_OP_RMSNORM, rmsnorm)                                                                      \
    X(VA_OP_LAYERNORM, layernorm)                                                                  \
    X(VA_OP_ROPE, rope)                                                                            \
    X(VA_OP_ATTENTION, attention)                                                                  \
    X(VA_OP_GLU, glu)                                                                              \
    X(VA_OP_ADD, add)                                                                              \
    X(VA_OP_SCALE, scale)                                                                          \
    X(VA_OP_SOFTCAP, softcap)                                                                      \
    X(VA_OP_SELECT, select)                                                                        \
    X(VA_OP_GATED, gated)

typedef enum va_op_id {
#define VA_X(id, symbol) id,
    VA_OP_LIST(VA_X)
#undef VA_X
        VA_OP_COUNT
} va_op_id;

// Attributes of all ops; each reads only those named in its line above.
typedef struct va_op_attr {
    int64_t seq_len;      // T; rope, attention, select
    int64_t heads;        // linear: split the output; 0 = not
    float eps;            // rmsnorm, layernorm
    float weight_offset;  // rmsnorm: 0, or 1 for Gemma
    float scale;          // attention: on q.k
    float softcap;        // attention (0 = none), softcap
    int64_t window;       // attention; 0 = whole prefix
    va_act act;           // glu, gated
    float factor;         // scale
    int64_t first, count; // select
    bool mean;            // select
} va_op_attr;

enum { VA_OP_MAX_IN = 4 };
// Bits of va_op.keep_*: inputs 0..3, the output, the auxiliary tensor.
enum { VA_KEEP_Y = 1 << 8, VA_KEEP_AUX = 1 << 9 };
// Bits of va_op.factors.
enum { VA_FACTOR_IN = 1, VA_FACTOR_OUT = 2 };
// Vectors, of all rows together, from which a factor of what a product reads costs next to nothing.
// Fewer are multiplied on GPUs by kernels that read them as often as the weight.
enum { VA_FACTOR_ROWS = 17 };

typedef struct va_op_call {
    va_gpu *gpu;
    const va_op_attr *attr;
    va_tensor x[VA_OP_MAX_IN]; // primal inputs; an optional one may be absent
    va_tensor y;               // primal output (derivatives: only if VA_KEEP_Y)
    va_tensor aux;             // what forward leaves for the derivatives, shape from infer
    va_slice scratch;          // at least scratch_bytes(call, pass); size 0 when that is 0
    // derivatives only
    va_mode mode;
    int64_t k;
    va_tensor dx[VA_OP_MAX_IN];    // jvp: tangents in, absent = zero. vjp: cotangents out,
                                   // absent = not wanted. [M, k, ...]
    bool accumulate[VA_OP_MAX_IN]; // vjp: add to dx[i] instead of overwriting it
    va_tensor dy;                  // jvp: tangent out, overwritten. vjp: cotangent in
    // Absent, or numbers [M, ...] that the derivative by input 0 multiplies by, all k vectors by
    // the same: jvp tangents dx[0] as they come in and what they add to dy, vjp cotangents dy as
    // they come in and what they add to dx[0]. in_factor is like x[0], out_factor like y.
    va_tensor in_factor, out_factor;
    // Of a VA_ROWS_CAUSAL op at one sequence: the rows that dy and dx hold, when not all. Tangents
    // of other rows are zero, cotangents of other rows not wanted. Those of dy and dx[0] are the
    // same, and all end at the same row.
    va_row_range dy_rows, dx_rows[VA_OP_MAX_IN];
} va_op_call;

// What a row of the output depends on.
typedef enum va_row_flow {
    VA_ROWS_WHOLE, // all rows of all inputs
    VA_ROWS_SAME,  // the same row of the inputs in row_in: these, y and aux may be cut to some rows
    VA_ROWS_SELECT, // rows attr.first..first+count-1 of input 0, within sequences of seq_len
    VA_ROWS_CAUSAL  // the same row of input 0, and that row and earlier ones of the other inputs
} va_row_flow;

typedef struct va_op_cost {
    double flop, bytes; // arithmetic, and memory traffic when nothing is cached
} va_op_cost;

typedef struct va_op {
    const char *name;
    int n_in;             // with optional ones
    uint32_t optional_in; // inputs that may be absent
    uint32_t diff_in;     // inputs that carry derivatives in exact mode
    uint32_t detached_in; // and in detached mode
    // Primal tensors that derivatives read (bits as above), by mode. Weights (inputs that carry no
    // derivative) are always present and need no bit.
    uint32_t keep_exact, keep_detached;
    bool aux_optional; // forward runs without aux, which derivatives alone read
    uint32_t factors;  // VA_FACTOR_IN, VA_FACTOR_OUT: those of va_op_call that it takes
    // In detached mode the derivative by input 0 multiplies by aux, element by element.
    bool detached_scales;
    va_row_flow row_flow;
    uint32_t row_in; // of VA_ROWS_SAME
    // Checks shapes and dtypes (VA_ERR_SHAPE: what, expected, got), sets y and aux (n_dim 0: none)
    // without memory. No device needed.
    va_status (*infer)(va_ctx *ctx, const va_op_attr *attr, const va_tensor *x, va_tensor *y,
                       va_tensor *aux);
    // Scratch for a pass; tensors need shapes only. NULL: none.
    int64_t (*scratch_bytes)(const va_op_call *c, va_pass pass);
    va_status (*forward)(const va_op_call *c);
    va_status (*jvp)(const va_op_call *c);
    va_status (*vjp)(const va_op_call *c);
    va_op_cost (*cost)(const va_op_call *c, va_pass pass);
} va_op;

const va_op *va_op_get(va_op_id id);

#ifdef __cplusplus
}
#endif
#endif
