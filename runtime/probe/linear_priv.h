// linear_priv.h: what the files of linear directions share. Coordinates are those of X less
// `centre`.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_LINEAR_PRIV_H
#define VA_LINEAR_PRIV_H

#include "vkalign/probe_linear.h"

enum { LINEAR_LANES = 2 }; // rows of doubles are padded to so many with zeros

// The rows that some problem uses. They are less the mean of all rows of X, not of those in use, so
// that a problem's numbers do not depend on the problems beside it.
typedef struct linear_data {
    va_ctx *ctx;
    va_gpu *gpu; // or NULL
    int64_t n_x, d, stride, n_used;
    double *centre; // [d]
    int64_t *slot;  // [n_x] place among the rows in use, or -1
    double *X;      // [n_used, stride]
    double *G;      // [n_used, n_used] inner products, or NULL: each problem makes its own
} linear_data;

// Equal rows of one label are one row with a count; rows in order of slot, then label.
typedef struct linear_problem {
    int64_t n, m, n_class[2];
    int64_t *slot;   // [m]
    int *label;      // [m]
    double *count;   // [m]
    double *mean[2]; // [stride] of each class
    double *delta;   // [stride] mean[1] - mean[0]
    const va_fit_problem *given;
} linear_problem;

typedef struct linear_solution {
    double *w; // [stride]
    double b;  // score = w . (x - centre) + b
    int64_t iterations;
    double gradient_norm;
    bool converged;
} linear_solution;

// One fit; memory comes from scratch, which the caller frees.
typedef struct linear_job {
    const linear_data *data;
    const va_linear_params *params; // resolved: no field has its default's 0
    const linear_problem *problem;
    va_arena *scratch;
    linear_solution *out;
} linear_job;

va_status linear_fit_logistic(const linear_job *job);
va_status linear_fit_difference(const linear_job *job);
va_status linear_fit_pca(const linear_job *job);
va_status linear_fit_lda(const linear_job *job);

// -- linear_data.c ------------------------------------------------------------------------------

int64_t linear_stride(int64_t n); // n rounded up to LINEAR_LANES
va_status linear_data_create(va_ctx *ctx, va_gpu *gpu, va_arena *arena, const float *X, int64_t n_x,
                             int64_t d, const va_fit_problem *problems, int64_t n_problems,
                             linear_data *data);
// Inner products of all rows in use, where the problems together would make more of them.
va_status linear_data_gram(linear_data *data, va_arena *arena, const va_fit_problem *problems,
                           int64_t n_problems);
va_status linear_problem_create(const linear_data *data, va_arena *scratch,
                                const va_fit_problem *given, linear_problem *problem);
const double *linear_row(const linear_job *job, int64_t i); // [stride] of row i < m
// K [m, m]: inner products of the problem's rows.
va_status linear_problem_gram(const linear_job *job, double **K);

// -- linear_host.c ------------------------------------------------------------------------------

// Rows are aligned to 16 bytes, stride is a multiple of LINEAR_LANES.
double linear_dot(const double *a, const double *b, int64_t stride);
void linear_axpy(double alpha, const double *x, double *y, int64_t stride); // y += alpha x
// G [n, n] of rows [n, stride]. An entry depends on its two rows alone, bit by bit.
void linear_gram(const double *rows, int64_t n, int64_t stride, double *G);
// A [n, stride(d)] to [d, stride(n)].
va_status linear_transpose(va_ctx *ctx, va_arena *scratch, const double *A, int64_t n, int64_t d,
                           double **At);
// Cholesky of symmetric M [n, n] in place; *positive tells whether there is one.
va_status linear_factor(va_ctx *ctx, double *M, int64_t n, bool *positive);
va_status linear_solve(va_ctx *ctx, const double *M, int64_t n, double *x); // x = M^-1 x
// Zeroed [rows, cols] doubles of the arena; NULL on overflow as well.
double *linear_matrix(va_arena *arena, int64_t rows, int64_t cols);

// -- linear_newton.c ----------------------------------------------------------------------------

// Coefficients z of w, w = B z; scores f = A z + b of the rows; P = B' B. The penalty is
// l2/2 z' P z, and all steps are linear: f and P z are carried along.
typedef struct linear_newton {
    const linear_job *job;
    int64_t k;             // length of z, a multiple of LINEAR_LANES
    double *z, *Pz;        // [k]
    double *f;             // [m] scores, with b
    double *g, *W;         // [m] first and second derivative of the loss by f
    double *dz, *Pdz, *df; // the step; df without db
    double b, db, loss;
    void *self;
    // The Newton step of (z, b): fills dz, Pdz, df, db.
    va_status (*step)(struct linear_newton *s);
    // |dF/dw|
    double (*gradient)(struct linear_newton *s);
} linear_newton;
va_status linear_newton_run(linear_newton *s);
// Memory for k coefficients, z = 0.
va_status linear_newton_create(const linear_job *job, int64_t k, linear_newton *s);

// -- linear_cg.c --------------------------------------------------------------------------------

enum { LINEAR_MAX_CG = 100 }; // steps of one solution; what is left, the next Newton step corrects

typedef struct linear_cg {
    va_ctx *ctx;
    int64_t n, stride;
    double *factor;                         // [n, n] Cholesky of the preconditioner
    double *r, *y;                          // [stride] right side and residual
    double *p, *Hp;                         // [stride]
    int64_t n_steps;                        // counted by the solutions, set back by the caller
    const void *self;                       // for multiply
    void (*multiply)(struct linear_cg *cg); // Hp = H p
} linear_cg;
va_status linear_cg_create(const linear_job *job, int64_t n, linear_cg *cg);
// x = H^-1 r until |r| is tolerance times as small; r is used up.
va_status linear_cg_solve(linear_cg *cg, double tolerance, double *x);
double linear_cg_tolerance(const linear_newton *s);

// -- logistic regression ------------------------------------------------------------------------

// Rows not more than columns, and more.
va_status linear_logistic_wide(const linear_job *job);
va_status linear_logistic_tall(const linear_job *job);

#endif
