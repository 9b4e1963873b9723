// mlp_priv.h: what the files that train multilayer perceptrons share.
// Letters: P problems trained together, n rows of a problem, d inputs, B rows of a batch.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_MLP_PRIV_H
#define VKALIGN_MLP_PRIV_H

#include <assert.h>

#include "vkalign/probe.h"

enum {
    MLP_LAYERS = 3,
    MLP_MAX_LOOP = 65535, // lavapipe leaves a shader's loop after so many iterations, silently
};

// AdamW's decay of the moments.
#define MLP_BETA1 0.9
#define MLP_BETA2 0.999

// va_mlp_params with defaults filled in, and the shape of the network.
typedef struct mlp_config {
    int64_t width[MLP_LAYERS + 1]; // d, h1, h2, 1
    int64_t epochs, batch;         // batch: see mlp_batch
    double learning_rate, weight_decay, dropout;
    bool shuffle;
    const va_mlp *initial; // borrowed; NULL: torch's initialisation
    va_mlp_tick_fn tick;   // NULL: none
    void *tick_user;
} mlp_config;

// Layer l of all problems, on the device: [P, rows, stride] as shaders/lib/mlp.glsl has them.
typedef struct mlp_layer {
    int64_t n_in, n_out, rows, stride;
    va_buffer *w, *m, *v; // weights, AdamW's first and second moments
} mlp_layer;

// One problem's place at one step, as shaders/lib/mlp.glsl has it.
typedef struct mlp_step {
    uint32_t row0, n_rows; // of the entries; n_rows = 0: its epoch is over
    uint32_t step;         // of the problem's training, from 0
    uint32_t seed_low, seed_high;
    float step_size, inv_sqrt_correction; // AdamW's, see mlp_update.comp
    uint32_t unused;
} mlp_step;
static_assert(sizeof(mlp_step) == 32, "the shaders' layout");

typedef struct mlp_device {
    va_gpu *gpu; // borrowed
    const mlp_config *config;
    const va_fit_problem *problems; // [P], borrowed
    int64_t n_problems;
    int64_t n_entries;      // N: rows of all problems together
    int64_t batch, n_steps; // B and the steps of an epoch, the largest of the problems
    mlp_layer layer[MLP_LAYERS];
    va_slice x;                // [n_x, stride of layer 0], borrowed
    va_buffer *entries;        // [N] u32: rows of X in the epoch's order, label in the top bit
    va_buffer *steps;          // [n_steps, P] mlp_step of the epoch
    va_buffer *loss;           // [N]: of each row, in the epoch's order
    va_buffer *a[MLP_LAYERS];  // input of layer l, [P, B, stride of layer l]; a[0] is not used
    va_buffer *dz[MLP_LAYERS]; // gradient of layer l before its activation, [P, B, dz_stride(l)]
} mlp_device;

// All problems, and how far they are.
typedef struct mlp_run {
    va_gpu *gpu;
    mlp_config config;
    const va_fit_problem *problems;
    int64_t n_problems;
    int64_t first; // problem of the group
    va_mlp_each_fn fn;
    void *user;
    float *loss; // the group's first; [steps] of one problem after another, NULL: not wanted
} mlp_run;

// -- mlp_host.c: weights on the host --------------------------------------------------------------

// Weight and bias of layer l, [n_out, n_in] and [n_out], of a network on the host.
typedef struct mlp_host_layer {
    float *w, *b;
} mlp_host_layer;
mlp_host_layer mlp_layer_of(const va_mlp *mlp, int l);
// Allocates W1 .. b3 for d, h1, h2 in the arena.
va_status mlp_alloc(va_ctx *ctx, va_arena *arena, int64_t d, int64_t h1, int64_t h2, va_mlp *mlp);
// A copy in the arena.
va_status mlp_copy(va_ctx *ctx, va_arena *arena, const va_mlp *from, va_mlp *to);
// Of one row; work [d + h1 + h2] keeps the row and both activations.
double mlp_logit(const va_mlp *mlp, const float *x, double *work);
// VA_ERR_NUMERIC naming the weight ("0.weight[3]") when one is NaN or infinite.
va_status mlp_check_finite(va_ctx *ctx, const char *where, const va_mlp *mlp);

// -- mlp_config.c: what is asked for --------------------------------------------------------------

mlp_config mlp_resolve(const va_mlp_params *params, int64_t d); // params may be NULL
va_status mlp_check_config(va_ctx *ctx, const mlp_config *config, int64_t n_x, int64_t n_problems);
// The size of X is checked before.
va_status mlp_check_problems(va_ctx *ctx, const mlp_config *config, int64_t n_x,
                             const va_fit_problem *problems, int64_t n_problems);

// Rows of a problem's batches, and batches of its epochs.
static inline int64_t mlp_batch(const mlp_config *config, int64_t n) {
    return VA_MIN(config->batch, n);
}

static inline int64_t mlp_steps_per_epoch(const mlp_config *config, int64_t n) {
    return (n - 1) / mlp_batch(config, n) + 1;
}

// -- mlp_device.c: memory -------------------------------------------------------------------------

// Device bytes of one problem of n rows, without X; -1 on overflow.
int64_t mlp_device_bytes(const mlp_config *config, int64_t n);
// The largest buffer of n_problems of n rows; -1 on overflow.
int64_t mlp_device_largest(const mlp_config *config, int64_t n, int64_t n_problems);
// start [n_problems]: the initial weights.
va_status mlp_device_create(va_gpu *gpu, const mlp_config *config, va_slice x,
                            const va_fit_problem *problems, int64_t n_problems, const va_mlp *start,
                            mlp_device *dev);
void mlp_device_destroy(mlp_device *dev);
va_status mlp_device_read(mlp_device *dev, va_mlp *mlp); // [n_problems], allocated

// -- mlp_step.c: arithmetic -----------------------------------------------------------------------

// Records step b of the epoch whose entries and steps are on the device, for all problems that have
// one; n_rows: of the largest batch among them.
va_status mlp_device_step(mlp_device *dev, int64_t b, int64_t n_rows);

// -- mlp_epoch.c ----------------------------------------------------------------------------------

// All epochs of the group that begins at run->first, with its losses to run->loss and progress.
va_status mlp_train_epochs(const mlp_run *run, mlp_device *dev);

static inline int64_t mlp_round4(int64_t n) {
    return (n + 3) / 4 * 4;
}

// Row length of layer l's gradient: that of the next layer's input.
static inline int64_t mlp_dz_stride(const mlp_config *config, int l) {
    return mlp_round4(config->width[l + 1] + (l + 1 < MLP_LAYERS));
}

#endif
