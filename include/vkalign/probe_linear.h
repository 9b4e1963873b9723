// probe_linear.h: directions fitted to labelled rows: logistic regression, difference of means,
// principal component of paired differences, linear discriminant.
// Part of the layer of probe.h. All arithmetic in double; the same bits one by one or together.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_PROBE_LINEAR_H
#define VKALIGN_PROBE_LINEAR_H

#include "vkalign/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

// One line each: enum name, text. All score a row x by w.x + b, positive for label 1.
//   LOGISTIC: the minimum of sum_i log(1 + exp(-(2 y_i - 1) (w.x_i + b))) + l2/2 |w|^2, the bias
//     not penalised: that of sklearn's LogisticRegression(C = 1 / l2).
//   DIFFERENCE: mean of the positives less mean of the negatives; the midpoint of the means
//     scores 0.
//   PCA: unit first right singular vector of the differences of the i-th positive and the i-th
//     negative, i < min(n1, n0), not centred: THE ORDER OF THE ROWS PAIRS THEM (Zou et al.,
//     "Representation Engineering", arXiv 2310.01405, 2023, section 3.1). Turned so that the
//     positives' mean scores above the negatives'; the midpoint of the means scores 0.
//   LDA: Fisher's discriminant S^-1 (mean1 - mean0), S the classes' covariances, each divided by
//     its n and shrunk, weighted by their shares of the rows; b with the log of the ratio of the
//     shares: that of sklearn's LinearDiscriminantAnalysis(solver = "lsqr").
#define VA_LINEAR_METHOD_LIST(X)                                                                   \
    X(VA_LINEAR_LOGISTIC, "logistic")                                                              \
    X(VA_LINEAR_DIFFERENCE, "difference")                                                          \
    X(VA_LINEAR_PCA, "pca")                                                                        \
    X(VA_LINEAR_LDA, "lda")
typedef enum va_linear_method {
#define VA_X(name, text) name,
    VA_LINEAR_METHOD_LIST(VA_X)
#undef VA_X
} va_linear_method;
const char *va_linear_method_name(va_linear_method method); // NULL for no method

typedef void (*va_linear_tick_fn)(void *user, int64_t n_done);

typedef struct va_linear_params {
    va_linear_method method;
    double l2;              // logistic; 0 = 1
    double shrinkage;       // lda; 0 = Ledoit-Wolf for each class, towards its columns' variances
                            // (sklearn's "auto"); (0, 1] towards their mean; negative = none
    int64_t max_iterations; // logistic: Newton steps; 0 = 100
    double tolerance;       // logistic: on gradient_norm; 0 = 1e-10
    int device;             // logistic, who forms the Hessian of more rows than columns: 0 = the
                            // device when it is large and the device is no CPU; 1 the device,
                            // -1 the host
    va_linear_tick_fn tick; // called with the problems done, or NULL
    void *user;
} va_linear_params;

typedef struct va_linear_model {
    int64_t d;
    float *w; // [d]
    double b;
    int64_t iterations;   // logistic, else 0
    double gradient_norm; // logistic: |dF/dw| over its value at w = 0, or |dF/db| / n if larger
    bool converged;       // gradient_norm <= tolerance; true of the other methods
} va_linear_model;

// X [n_x, d]; models [n_problems] get arena-owned weights. gpu may be NULL: it only makes
// Hessians faster, and the gradient, which decides, is always the host's. A problem may repeat
// rows; that weighs them. params may be NULL. Not converged is no error: look at `converged`.
// VA_ERR_SHAPE for no rows, columns or problems, fewer than two rows in a problem, a row outside X,
// labels that are not 0 or 1 or of one class; VA_ERR_NUMERIC for X that is not finite, equal class
// means, a covariance that cannot be inverted, a first singular value that is not alone;
// VA_ERR_USAGE for parameters that make no sense.
va_status va_linear_fit(va_ctx *ctx, va_gpu *gpu, va_arena *arena, const float *X, int64_t n_x,
                        int64_t d, const va_fit_problem *problems, int64_t n_problems,
                        const va_linear_params *params, va_linear_model *models);
// The first `rank` components of PCA's paired differences, rows [rank, d], each turned as w is, and
// their singular values sigma [rank]. VA_ERR_USAGE for a rank outside 1 to min(pairs, d);
// VA_ERR_NUMERIC above the numerical rank, where vectors are arbitrary, and for X that is not
// finite.
va_status va_linear_components(va_ctx *ctx, const float *X, int64_t d,
                               const va_fit_problem *problem, int64_t rank, float *rows,
                               double *sigma);
// w.x + b for n rows, accumulated in double.
void va_linear_scores(const va_linear_model *model, const float *X, int64_t n, double *scores);

#ifdef __cplusplus
}
#endif
#endif
