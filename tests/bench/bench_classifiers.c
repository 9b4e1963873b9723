// bench_classifiers.c: classifiers of permuted labels, trained together, and their directions.
//
//   bench_classifiers [PROBLEMSxROWSxD[:EPOCHS]]...      default: 1000x150x160:50 20x150x2560:50
// Each problem takes ROWS rows of ten times as many and labels of its own; a d-128-64-1 network in
// batches of 32. Prints time by the clock and by processor time, the latter being what a busy
// machine leaves alone when the device is the processor, and the arithmetic of the dense layers.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { H1 = 128, H2 = 64 };

typedef struct shape {
    long problems, rows, d, epochs;
} shape;

// What a callback takes of the networks: their directions of every kind.
typedef struct sink {
    va_ctx *ctx;
    const float *X;
    float *direction; // [d]
    int64_t rows;
    double seconds[3];
} sink;

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static va_status directions(void *user, int64_t problem, const va_mlp *mlp) {
    va_status st = VA_OK;
    sink *s = user;
    (void)problem;
    for (int kind = VA_MLP_W1_SVD; kind <= VA_MLP_WEIGHTED_W1; kind++) {
        double t = va_time_s();
        VA_TRY(va_mlp_direction(s->ctx, mlp, (va_mlp_direction_kind)kind, s->X, s->rows,
                                s->direction, NULL));
        s->seconds[kind] += va_time_s() - t;
    }
done:
    return st;
}

static va_fit_problem *make_problems(va_arena *arena, const shape *s, va_rng *rng) {
    va_fit_problem *problems = VA_NEW_ARRAY(arena, va_fit_problem, s->problems);
    for (long p = 0; p < s->problems; p++) {
        int64_t *rows = VA_NEW_ARRAY(arena, int64_t, s->rows);
        float *labels = VA_NEW_ARRAY(arena, float, s->rows);
        for (long r = 0; r < s->rows; r++) {
            rows[r] = (int64_t)(va_rng_uniform(rng) * (double)(10 * s->rows));
            labels[r] = r < 2 ? (float)r : va_rng_uniform(rng) < 0.5;
        }
        problems[p] = (va_fit_problem){rows, labels, s->rows, (uint64_t)p};
    }
    return problems;
}

static va_status bench(va_gpu *gpu, const shape *s) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(gpu);
    va_arena *arena = va_arena_create();
    va_rng rng = va_rng_make(1, 1);
    const int64_t n_x = 10 * s->rows;
    float *X = VA_NEW_ARRAY(arena, float, n_x * s->d);
    va_fit_problem *problems = make_problems(arena, s, &rng);
    for (int64_t i = 0; i < n_x * s->d; i++)
        X[i] = (float)va_rng_normal(&rng);
    sink k = {.ctx = ctx, .X = X, .direction = VA_NEW_ARRAY(arena, float, s->d), .rows = s->rows};
    va_mlp_params params = {.h1 = H1, .h2 = H2, .epochs = 1};
    VA_TRY(va_mlp_train_each(gpu, X, n_x, s->d, problems, 1, &params, directions, &k)); // pipelines
    params.epochs = s->epochs;
    k.seconds[0] = k.seconds[1] = k.seconds[2] = 0;
    double wall = va_time_s(), cpu = cpu_s();
    VA_TRY(va_mlp_train_each(gpu, X, n_x, s->d, problems, s->problems, &params, directions, &k));
    wall = va_time_s() - wall;
    cpu = cpu_s() - cpu;
    double in_sink = k.seconds[0] + k.seconds[1] + k.seconds[2];
    double flop = 6.0 * (double)(s->d * H1 + H1 * H2 + H2) * (double)s->rows * (double)s->epochs *
                  (double)s->problems;
    printf("%ld problems of %ld x %ld, %ld epochs: training %.2f s, %.2f cpu-s, %.0f a minute, "
           "%.2f GFLOP/s\n",
           s->problems, s->rows, s->d, s->epochs, wall - in_sink, cpu - in_sink,
           60 * (double)s->problems / (wall - in_sink), 1e-9 * flop / (wall - in_sink));
    printf("  directions: W1 %.2f ms, mean gradient %.2f ms, weighted W1 %.2f ms each\n",
           1e3 * k.seconds[0] / (double)s->problems, 1e3 * k.seconds[1] / (double)s->problems,
           1e3 * k.seconds[2] / (double)s->problems);
    fflush(stdout);
done:
    va_arena_destroy(&arena);
    return st;
}

int main(int argc, char **argv) {
    static char *defaults[] = {"", "1000x150x160:50", "20x150x2560:50"};
    if (argc == 1) {
        argc = sizeof defaults / sizeof *defaults;
        argv = defaults;
    }
    va_ctx *ctx = va_ctx_create(NULL);
    va_gpu *gpu = NULL;
    if (!ctx || va_gpu_open(ctx, NULL, &gpu) != VA_OK) {
        fprintf(stderr, "%s\n", ctx ? va_error_message(ctx) : "out of memory");
        return 1;
    }
    printf("%s\n", va_gpu_get_info(gpu)->name);
    for (int i = 1; i < argc; i++) {
        shape s = {.epochs = 50};
        if (sscanf(argv[i], "%ldx%ldx%ld:%ld", &s.problems, &s.rows, &s.d, &s.epochs) < 3 ||
            s.problems < 1 || s.rows < 3 || s.d < 1 || s.epochs < 1) {
            fprintf(stderr, "%s: expected PROBLEMSxROWSxD[:EPOCHS], at least 3 rows\n", argv[i]);
            return 2;
        }
        if (bench(gpu, &s) != VA_OK) {
            fprintf(stderr, "%s\n", va_error_message(ctx));
            return 1;
        }
    }
    va_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
    return 0;
}
