// probe.h: activations captured from a model, classifiers trained on them, their directions.
// Depends on model.h, svd.h and below. Metrics of the classifier's scores are metric.h's.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_PROBE_H
#define VKALIGN_PROBE_H

#include "vkalign/model.h"
#include "vkalign/svd.h"

#ifdef __cplusplus
extern "C" {
#endif

// -- capture ------------------------------------------------------------------------------------

typedef struct va_capture_params {
    const char *const *texts;    // [n_texts] UTF-8
    const char *const *concepts; // [n_texts] what @concept looks for, entries may be NULL; or NULL
    int64_t n_texts;
    const va_site *sites; // each at one position: @last, @mean, @N; @concept is averaged
    int64_t n_sites;
    int64_t batch; // sequences of one length run together; 0 = 16
} va_capture_params;

// Runs every text once and reads all sites: out[s] is [n_texts, width of site s] f32, filled by
// the call. Texts of one token count are batched. Long: reports progress through `tick` (may be
// NULL: called with texts done) and stops at va_interrupt.
typedef void (*va_capture_tick_fn)(void *user, int64_t n_done);
va_status va_capture(va_model *model, const va_capture_params *params, va_capture_tick_fn tick,
                     void *user, float *const *out);

// -- what classifiers and directions are fitted to ----------------------------------------------

typedef struct va_fit_problem {
    const int64_t *rows; // [n] indices into X, repetitions allowed
    const float *labels; // [n] 0 or 1
    int64_t n;
    uint64_t seed;
} va_fit_problem;

// -- multilayer perceptron d - h1 - h2 - 1, ReLU, dropout ---------------------------------------

// Weights as torch.nn.Sequential(Linear, ReLU, Dropout, Linear, ReLU, Dropout, Linear) has them;
// saved under "0.weight", "0.bias", "3.weight", "3.bias", "6.weight", "6.bias".
typedef struct va_mlp {
    int64_t d, h1, h2;
    float *W1, *b1; // [h1, d], [h1]
    float *W2, *b2; // [h2, h1], [h2]
    float *W3, *b3; // [1, h2], [1]
} va_mlp;

typedef struct va_mlp_params {
    int64_t h1, h2;        // 0 = 128, 64
    int64_t epochs;        // 0 = 50
    int64_t batch;         // 0 = 32; the last batch of an epoch may be smaller
    float learning_rate;   // 0 = 1e-3
    float weight_decay;    // decoupled (AdamW); negative = 0, 0 = torch's default 0.01
    float dropout;         // probability; negative = none, 0 = 0.2
    uint64_t seed;         // initial weights, shuffling, dropout
    bool no_shuffle;       // rows in the given order in every epoch
    const va_mlp *initial; // every problem starts from these weights, and h1, h2 of 0 are theirs;
                           // NULL: torch's default uniform initialisation
} va_mlp_params;

// n_problems classifiers on the same rows with different labels (and seeds seed + p), trained
// together on the GPU by AdamW (beta .9, .999, eps 1e-8) on mean binary cross-entropy of the logit.
// X [n, d]; labels [n_problems, n] of 0 or 1; mlp [n_problems] get arena-owned weights; loss (may
// be NULL) [n_problems, steps] mean loss of each batch, steps = epochs * ceil(n / batch).
// VA_ERR_NUMERIC when X, a loss or a weight is not finite; VA_ERR_SHAPE for n = 0, labels that are
// not 0 or 1 or of one class only, a batch over 65,535 or a width of 262,140 or more; VA_ERR_USAGE
// for rates and counts that make no sense; VA_ERR_MEMORY when X [n, d] is more than the device
// binds at once. Problems that do not fit together are trained one group after another: the
// results are the same bits as one by one.
va_status va_mlp_train(va_gpu *gpu, va_arena *arena, const float *X, int64_t n, int64_t d,
                       const float *labels, int64_t n_problems, const va_mlp_params *params,
                       va_mlp *mlp, float *loss);
// Device bytes that this takes for one problem, -1 when they overflow.
int64_t va_mlp_train_bytes(const va_mlp_params *params, int64_t n, int64_t d);
// Logits of n rows, host, double accumulation. NaN when out of memory, as below.
void va_mlp_logits(const va_mlp *mlp, const float *X, int64_t n, float *logits);
// Mean over rows of d logit / d x, [d].
void va_mlp_mean_gradient(const va_mlp *mlp, const float *X, int64_t n, double *gradient);
// Principal direction: top right singular vector of W1, unit length, oriented so that the logit
// rises along it on average over the rows X: <mean gradient, v> >= 0. sigma (may be NULL): the
// singular values of W1, [min(h1, d)].
va_status va_mlp_direction(va_ctx *ctx, va_arena *arena, const va_mlp *mlp, const float *X,
                           int64_t n, float *direction, double *sigma);
va_status va_mlp_save(va_ctx *ctx, const char *path, const va_mlp *mlp);
// Reads what va_mlp_save writes, and, by the path's end .pt or .pth, PyTorch checkpoints (pt.h): a
// state dict with the names above, or the same under model_state_dict. The names may begin with
// "net.". Checks names, shapes and finiteness, and refuses a file with other entries beside the six
// (VA_ERR_UNSUPPORTED): it has other layers. Weights are arena-owned.
va_status va_mlp_load(va_ctx *ctx, va_arena *arena, const char *path, va_mlp *mlp);

#ifdef __cplusplus
}
#endif
#endif
