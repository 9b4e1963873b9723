// fit.h: directions learnt from a concept's items: which rows, how, and what comes out. Private.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_FIT_H
#define VKALIGN_FIT_H

#include "run.h"
#include "vkalign/probe_linear.h"

// A concept's items; all texts of an item are on the same side.
typedef struct va_items {
    const va_dataset *data;
    int64_t concept_index, seed;
    int64_t *first; // [n_items + 1] rows of item i are first[i] to first[i + 1]
    float *label;   // [n_items]
    bool *held;     // [n_items] kept for the test
    int64_t *train; // [n_train] the others, shuffled
    int64_t n_train;
} va_items;

// Holds a share of the items of each class out: at least one of each, and not all. The same for
// every direction of the concept with this seed.
va_status va_run_split(va_run *run, va_arena *arena, int64_t concept_index, int64_t seed,
                       double share, va_items *items);
// The training items as a problem: as they are; with their labels permuted over the items; drawn
// with replacement. draw numbers the draws. Rows are indices of va_plan.texts.
va_status va_run_problem(va_run *run, va_arena *arena, const va_items *items, va_fit_problem *out);
va_status va_run_permuted(va_run *run, va_arena *arena, const va_items *items, int64_t draw,
                          va_fit_problem *out);
va_status va_run_resampled(va_run *run, va_arena *arena, const va_items *items, int64_t draw,
                           va_fit_problem *out);

// The texts of the held-out items: rows [n] and whether they are positive.
va_status va_run_held_out(va_run *run, va_arena *arena, const va_items *items, int64_t **row,
                          bool **positive, int64_t *n);

// What came out of one problem; valid during the call.
typedef struct va_fitted {
    float *frame; // [rank, d] orthonormal; NULL: of many fits this one has no direction
    int64_t rank, d;
    const double *sigma; // [rank] singular values that the frame comes from; NULL: none
    double norm;         // of a vector before it was made unit length
    bool converged;
    const va_mlp *mlp;            // of kind mlp
    const va_linear_model *model; // of the others
} va_fitted;
// Puts a frame as a unit: hashes it, adds site, norm, dimension, rank and sha256 to the record.
// extra: n_extra more tensors. VA_ERR_NUMERIC for one that is zero or not finite.
va_status va_run_put_frame(va_run *run, int64_t unit, const va_site *site, const va_fitted *fitted,
                           va_json *record, const va_file_tensor *extra, int64_t n_extra);
typedef va_status (*va_fitted_fn)(void *user, int64_t problem, const va_fitted *fitted);

// Fits all problems on rows of X [n_texts, d] as the direction says; fn is called in order.
va_status va_run_fit(va_run *run, const va_direction_spec *dir, const va_rows *X,
                     const va_fit_problem *problems, int64_t n_problems, va_fitted_fn fn,
                     void *user);
// The frame of a network by its direction's kind, oriented by the rows X [n, d].
va_status va_run_mlp_frame(va_run *run, va_arena *arena, const va_direction_spec *dir,
                           const va_mlp *mlp, const float *X, int64_t n, va_fitted *fitted);

#endif
