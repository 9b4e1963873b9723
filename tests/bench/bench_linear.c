// bench_linear.c: time of fitting linear directions, on the host.
//   bench_linear ROWS COLUMNS PROBLEMS
// Each problem takes ROWS of 2 ROWS rows, whose columns have deviations of .1 to 10, and labels
// that depend on one column.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "vkalign/probe_linear.h"

static float *make_rows(va_arena *arena, va_rng *rng, int64_t n, int64_t d) {
    float *X = VA_NEW_ARRAY(arena, float, n *d);
    for (int64_t i = 0; X && i < n * d; i++)
        X[i] = (float)(va_rng_normal(rng) * pow(10, cos((double)(i % d))) + 7);
    return X;
}

static va_fit_problem make_problem(va_arena *arena, va_rng *rng, const float *X, int64_t n,
                                   int64_t d) {
    int64_t *rows = VA_NEW_ARRAY(arena, int64_t, 2 * n);
    float *labels = VA_NEW_ARRAY(arena, float, n);
    for (int64_t i = 0; i < 2 * n; i++)
        rows[i] = i;
    va_rng_shuffle(rng, rows, 2 * n);
    for (int64_t i = 0; i < n; i++)
        labels[i] = va_rng_uniform(rng) < (X[rows[i] * d] > 7 ? 0.7 : 0.3);
    return (va_fit_problem){rows, labels, n, 0};
}

static void measure(va_ctx *ctx, const float *X, int64_t n, int64_t d,
                    const va_fit_problem *problems, int64_t n_problems,
                    const va_linear_params *params) {
    va_arena *arena = va_arena_create();
    va_linear_model *models = VA_NEW_ARRAY(arena, va_linear_model, n_problems);
    int64_t steps = 0, converged = 0;
    double gradient = 0, begin = va_time_s();
    va_status st =
        va_linear_fit(ctx, NULL, arena, X, 2 * n, d, problems, n_problems, params, models);
    printf("%-10s shrinkage %3.1f  %7.2f s", va_linear_method_name(params->method),
           params->shrinkage, va_time_s() - begin);
    for (int64_t p = 0; st == VA_OK && p < n_problems; p++) {
        steps = VA_MAX(steps, models[p].iterations);
        gradient = fmax(gradient, models[p].gradient_norm);
        converged += models[p].converged;
    }
    if (st != VA_OK)
        printf("  %s\n", va_error_message(ctx));
    else
        printf("  %lld converged, at most %lld steps, gradient %.0e\n", (long long)converged,
               (long long)steps, gradient);
    va_arena_destroy(&arena);
}

int main(int argc, char **argv) {
    const va_linear_params params[] = {{.method = VA_LINEAR_LOGISTIC},
                                       {.method = VA_LINEAR_DIFFERENCE},
                                       {.method = VA_LINEAR_PCA},
                                       {.method = VA_LINEAR_LDA},
                                       {.method = VA_LINEAR_LDA, .shrinkage = 0.3}};
    const int64_t n = argc > 3 ? atoll(argv[1]) : 0, d = argc > 3 ? atoll(argv[2]) : 0;
    const int64_t n_problems = argc > 3 ? atoll(argv[3]) : 0;
    if (n < 2 || d < 1 || n_problems < 1 || n > 1000000 || d > 1000000) {
        fprintf(stderr, "bench_linear ROWS COLUMNS PROBLEMS\n");
        return 2;
    }
    va_ctx *ctx = va_ctx_create(NULL);
    va_arena *arena = va_arena_create();
    va_rng rng = va_rng_make(1, va_hash64("bench_linear"));
    const float *X = make_rows(arena, &rng, 2 * n, d);
    va_fit_problem *problems = VA_NEW_ARRAY(arena, va_fit_problem, n_problems);
    for (int64_t p = 0; p < n_problems; p++)
        problems[p] = make_problem(arena, &rng, X, n, d);
    for (int i = 0; i < VA_COUNT(params); i++)
        measure(ctx, X, n, d, problems, n_problems, &params[i]);
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
    return 0;
}
