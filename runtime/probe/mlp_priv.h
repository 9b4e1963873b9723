// mlp_priv.h: what the files that train multilayer perceptrons share.
// Letters: P problems trained together, n rows of X, d inputs, B rows of a batch.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_MLP_PRIV_H
#define VKALIGN_MLP_PRIV_H

#include "vkalign/probe.h"

enum {
    MLP_LAYERS = 3,
    MLP_MAX_LOOP = 65535, // lavapipe leaves a shader's loop after so many iterations, silently
};

// va_mlp_params with defaults filled in, and the shape of the data.
typedef struct mlp_config {
    int64_t n, d;
    int64_t width[MLP_LAYERS + 1]; // d, h1, h2, 1
    int64_t epochs, batch;         // batch <= n
    int64_t steps_per_epoch;
    double learning_rate, weight_decay, dropout;
    uint64_t seed;
    bool shuffle;
    const va_mlp *initial; // borrowed; NULL: torch's initialisation
} mlp_config;

// Layer l of all problems, on the device: [P, rows, stride] as shaders/lib/mlp.glsl has them.
typedef struct mlp_layer {
    int64_t n_in, n_out, rows, stride;
    va_buffer *w, *m, *v; // weights, AdamW's first and second moments
} mlp_layer;

typedef struct mlp_device {
    va_gpu *gpu; // borrowed
    const mlp_config *config;
    int64_t n_problems, first_problem;
    mlp_layer layer[MLP_LAYERS];
    va_slice x;                // [n, stride of layer 0], borrowed
    va_buffer *labels;         // [P, n]
    va_buffer *index;          // [P, n] u32: rows of X in the epoch's order
    va_buffer *loss;           // [P, n]: of each row, in the epoch's order
    va_buffer *a[MLP_LAYERS];  // input of layer l, [P, B, stride of layer l]; a[0] is not used
    va_buffer *dz[MLP_LAYERS]; // gradient of layer l before its activation, [P, B, dz_stride(l)]
} mlp_device;

// Weight and bias of layer l, [n_out, n_in] and [n_out], of a network on the host.
typedef struct mlp_host_layer {
    float *w, *b;
} mlp_host_layer;
mlp_host_layer mlp_layer_of(const va_mlp *mlp, int l);
// Allocates W1 .. b3 for d, h1, h2 in the arena.
va_status mlp_alloc(va_ctx *ctx, va_arena *arena, int64_t d, int64_t h1, int64_t h2, va_mlp *mlp);
// VA_ERR_NUMERIC naming the weight ("0.weight[3]") when one is NaN or infinite.
va_status mlp_check_finite(va_ctx *ctx, const char *where, const va_mlp *mlp);

// Device bytes of one problem with its rows; -1 on overflow.
int64_t mlp_device_bytes(const mlp_config *config);
// The largest buffer that problems add; -1 on overflow.
int64_t mlp_device_largest(const mlp_config *config, int64_t n_problems);
// x: see above. labels [n_problems, n] and start [n_problems] are those of this device's problems.
va_status mlp_device_create(va_gpu *gpu, const mlp_config *config, va_slice x,
                            int64_t first_problem, int64_t n_problems, const float *labels,
                            const va_mlp *start, mlp_device *dev);
void mlp_device_destroy(mlp_device *dev);
// Records one step on rows [row0, row0 + n_rows) of the epoch's order; step counts from 0.
va_status mlp_device_step(mlp_device *dev, int64_t step, int64_t row0, int64_t n_rows);
va_status mlp_device_read(mlp_device *dev, va_mlp *mlp); // [n_problems], allocated

static inline int64_t mlp_round4(int64_t n) {
    return (n + 3) / 4 * 4;
}

#endif
