// linear_case.h: what the tests of linear directions share: a context, the methods, one fit.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_LINEAR_CASE_H
#define VA_LINEAR_CASE_H

#include "test_support.h"

#include <math.h>

#include "vkalign/probe_linear.h"

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
} fixture;

static inline int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    *state = f;
    return 0;
}

static inline int teardown(void **state) {
    fixture *f = *state;
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static inline va_status fit(fixture *f, const float *X, int64_t n, int64_t d,
                            const va_fit_problem *problem, const va_linear_params *params,
                            va_linear_model *model) {
    return va_linear_fit(f->ctx, NULL, f->arena, X, n, d, problem, 1, params, model);
}

// Names as in tests/reference/make_linear.py; the last, without shrinkage, needs many rows.
static const struct {
    const char *name;
    va_linear_params params;
} methods[] = {
    {"logistic.1.0", {.method = VA_LINEAR_LOGISTIC}},
    {"logistic.0.01", {.method = VA_LINEAR_LOGISTIC, .l2 = 0.01}},
    {"difference", {.method = VA_LINEAR_DIFFERENCE}},
    {"pca", {.method = VA_LINEAR_PCA}},
    {"lda.auto", {.method = VA_LINEAR_LDA}},
    {"lda.0.3", {.method = VA_LINEAR_LDA, .shrinkage = 0.3}},
    {"lda.none", {.method = VA_LINEAR_LDA, .shrinkage = -1}},
};
enum { N_METHODS = sizeof methods / sizeof *methods };

#endif
