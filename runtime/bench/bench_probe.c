// Training one classifier on random rows as wide as the model.
// SPDX-License-Identifier: Apache-2.0
#include "bench_priv.h"

enum { ROWS = 128, H1 = 128, H2 = 64, EPOCHS = 5, BATCH = 32, STEPS = EPOCHS * ROWS / BATCH };

typedef struct probe_work {
    bench *b;
    va_arena *arena; // of one run
    float *X;        // [ROWS, d]
    float labels[ROWS];
    float loss[STEPS];
    int64_t d;
} probe_work;

static const va_mlp_params params = {.h1 = H1, .h2 = H2, .epochs = EPOCHS, .batch = BATCH};

static va_status probe_run(void *user) {
    probe_work *w = user;
    va_mlp mlp;
    va_arena_reset(w->arena);
    return va_mlp_train(w->b->gpu, w->arena, w->X, ROWS, w->d, w->labels, 1, &params, &mlp,
                        w->loss);
}

// Each weight multiplies a row three times (forward, its own gradient, the input's). A step at
// least reads the weights twice, and reads and writes them and AdamW's two moments.
static void count_work(va_bench_job *job, int64_t d) {
    const double weights = (double)(d * H1 + H1 * H2 + H2);
    job->flop = 6.0 * EPOCHS * ROWS * weights;
    job->bytes = 4.0 * (8.0 * STEPS * weights + 2.0 * EPOCHS * ROWS * (double)d);
}

va_status bench_probe(bench *b) {
    va_status st = VA_OK;
    probe_work w = {.b = b, .d = va_model_config(b->model)->d_model};
    va_bench_job job = {.kind = VA_BENCH_PROBE}, *added;
    va_rng rng = va_rng_make(b->p.seed, va_hash64("bench.probe"));
    VA_TRY_ALLOC(b->ctx, w.arena, va_arena_create());
    VA_TRY_ALLOC(b->ctx, w.X, VA_NEW_ARRAY(b->arena, float, ROWS *w.d));
    for (int64_t i = 0; i < ROWS * w.d; i++)
        w.X[i] = (float)va_rng_normal(&rng);
    for (int i = 0; i < ROWS; i++)
        w.labels[i] = (float)(i % 2);
    count_work(&job, w.d);
    VA_TRY_ALLOC(b->ctx, job.what,
                 va_arena_printf(b->arena, "%lld-%d-%d-1, %d rows, %d epochs in batches of %d",
                                 (long long)w.d, H1, H2, ROWS, EPOCHS, BATCH));
    VA_TRY(bench_time(b, &job, &(bench_work){.run = probe_run, .user = &w}, &added));
    added->loss = (double)w.loss[STEPS - 1];
done:
    va_arena_destroy(&w.arena);
    return st;
}
