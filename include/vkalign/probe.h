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

// One fit: which rows of X [n_x, d], with repetitions allowed, and their labels.
typedef struct va_fit_problem {
    const int64_t *rows; // [n] indices into X
    const float *labels; // [n] 0 or 1
    int64_t n;
    uint64_t seed; // initial weights, shuffling, dropout
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

// Share of the training that is done, 0 < done <= 1.
typedef void (*va_mlp_tick_fn)(void *user, double done);

typedef struct va_mlp_params {
    int64_t h1, h2;        // 0 = 128, 64
    int64_t epochs;        // 0 = 50
    int64_t batch;         // 0 = 32; the last batch of an epoch may be smaller
    float learning_rate;   // 0 = 1e-3
    float weight_decay;    // decoupled (AdamW); negative = 0, 0 = torch's default 0.01
    float dropout;         // probability; negative = none, 0 = 0.2
    uint64_t seed;         // va_mlp_train: that of problem 0; va_mlp_train_each has its problems'
    bool no_shuffle;       // rows in the given order in every epoch
    const va_mlp *initial; // every problem starts from these weights, and h1, h2 of 0 are theirs;
                           // NULL: torch's default uniform initialisation
    va_mlp_tick_fn tick;   // called after each epoch of a group; NULL: not
    void *tick_user;       // passed to tick
} va_mlp_params;

// Called once for each problem, in order, with its trained network (valid during the call only).
// What it returns other than VA_OK ends the training with that status.
typedef va_status (*va_mlp_each_fn)(void *user, int64_t problem, const va_mlp *mlp);

// Classifiers, each on rows of its own of one X, trained together on the GPU by AdamW (beta .9,
// .999, eps 1e-8) on mean binary cross-entropy of the logit. A problem takes epochs * ceil(n /
// min(batch, n)) steps of its own, and its network has the same bits as when it is trained alone,
// or by va_mlp_train on its rows gathered. Problems go in groups, whose largest buffer is at most a
// quarter of a gigabyte or one problem's; only a group's weights are held on the host. Long: stops
// at va_interrupt.
// VA_ERR_NUMERIC when X, a loss or a weight is not finite; VA_ERR_SHAPE for no rows or problems, a
// row outside X, labels that are not 0 or 1 or of one class only, a batch over 65,535 or a width of
// 262,140 or more; VA_ERR_USAGE for rates and counts that make no sense; VA_ERR_MEMORY when X or
// one network is more than the device binds at once. All problems are checked before the first.
va_status va_mlp_train_each(va_gpu *gpu, const float *X, int64_t n_x, int64_t d,
                            const va_fit_problem *problems, int64_t n_problems,
                            const va_mlp_params *params, va_mlp_each_fn fn, void *user);
// The same for problems on all rows of X [n, d] with different labels [n_problems, n] and the seeds
// seed + p. mlp [n_problems] get arena-owned weights; loss (may be NULL) [n_problems, steps] the
// mean loss of each batch.
va_status va_mlp_train(va_gpu *gpu, va_arena *arena, const float *X, int64_t n, int64_t d,
                       const float *labels, int64_t n_problems, const va_mlp_params *params,
                       va_mlp *mlp, float *loss);
// Device bytes that this takes at most for n_problems of n rows of X [n_x, d], however few of them
// the device binds at once; -1 when they overflow.
int64_t va_mlp_train_bytes(const va_mlp_params *params, int64_t n_x, int64_t d, int64_t n,
                           int64_t n_problems);
// Logits of n rows, host, double accumulation. NaN when out of memory, as below.
void va_mlp_logits(const va_mlp *mlp, const float *X, int64_t n, float *logits);
// Mean over rows of d logit / d x, [d].
void va_mlp_mean_gradient(const va_mlp *mlp, const float *X, int64_t n, double *gradient);

typedef enum va_mlp_direction_kind {
    VA_MLP_W1_SVD,        // top right singular vector of W1
    VA_MLP_MEAN_GRADIENT, // mean over rows of d logit / d x
    VA_MLP_WEIGHTED_W1,   // top right singular vector of diag(importance) W1, see below
} va_mlp_direction_kind;

// The classifier's direction [d], unit length, oriented so that the logit rises along it on average
// over the rows X [n, d]: <mean gradient, v> >= 0. The importance of hidden unit j is the mean over
// the rows of |d logit / d z1_j|, z1 = W1 x + b1, which is 0 where the unit's ReLU is off: rows of
// W1 count by how much the logit hears of them. sigma (may be NULL): the singular values of the
// decomposed matrix, [min(h1, d)]; VA_ERR_USAGE for the mean gradient, which decomposes none.
// VA_ERR_NUMERIC when a weight is not finite or the vector would be zero (no unit is ever on).
va_status va_mlp_direction(va_ctx *ctx, const va_mlp *mlp, va_mlp_direction_kind kind,
                           const float *X, int64_t n, float *direction, double *sigma);
// The first `rank` right singular vectors of W1, rows [rank, d], each oriented as above, and their
// singular values sigma [rank]. VA_ERR_USAGE for a rank outside 1 to min(h1, d); VA_ERR_NUMERIC
// above the numerical rank, where vectors are arbitrary.
va_status va_mlp_frame(va_ctx *ctx, const va_mlp *mlp, const float *X, int64_t n, int64_t rank,
                       float *rows, double *sigma);
enum { VA_MLP_TENSORS = 6 };
// The weights as tensors of a file, under the names above; names are static, data borrowed.
void va_mlp_tensors(const va_mlp *mlp, va_file_tensor out[VA_MLP_TENSORS]);
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
