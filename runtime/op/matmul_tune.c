// matmul_tune.c: times every tile of the picked kernel on the device, and keeps the fastest.
//
// One square weight stands for all; what differs by tile is how many rows there are, the direction
// and how the weight is unpacked. Times are of the host's clock around whole batches, best of
// three.
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"

#include <stdio.h>

enum { BATCHES = 3 };
static const double BATCH_S = 0.02; // at least, of one batch
static const double WORTH = 1.03;   // by how much a tile must be faster than the one before
static const int64_t all_rows[] = {32, 128, 1024, 2048}; // one of each class of matmul_tile.c
static const va_dtype dtypes[] = {VA_BF16, VA_F16, VA_F32};

typedef struct tuner {
    va_gpu *gpu;
    const matmul_kernel *kernel;
    va_buffer *w, *a, *c, *scratch;
    int64_t width;
    va_tensor weight; // of the product at hand
    op_matmul m;
} tuner;

static va_status open_tuner(tuner *t) {
    va_status st = VA_OK;
    const int64_t most_rows = all_rows[VA_COUNT(all_rows) - 1], row = t->width * 4;
    const va_tensor w = va_tensor_make(VA_F32, 2, (const int64_t[]){t->width, t->width});
    int64_t scratch = 0;
    for (int i = 0; i < VA_COUNT(all_rows); i++)
        scratch = VA_MAX(scratch, VA_MAX(op_matmul_scratch(true, all_rows[i], &w, false),
                                         op_matmul_scratch(false, all_rows[i], &w, false)));
    VA_TRY(va_buffer_create(t->gpu, t->width * row, "tuned W", &t->w));
    VA_TRY(va_buffer_create(t->gpu, most_rows * row, "tuned A", &t->a));
    VA_TRY(va_buffer_create(t->gpu, most_rows * row, "tuned C", &t->c));
    VA_TRY(va_buffer_create(t->gpu, scratch, "tuning scratch", &t->scratch));
    VA_TRY(va_gpu_fill(t->gpu, va_buffer_all(t->w), 0x3c003c00)); // normal in each dtype
    VA_TRY(va_gpu_fill(t->gpu, va_buffer_all(t->a), 0x3f000000));
done:
    return st;
}

static void close_tuner(tuner *t) {
    va_buffer_destroy(&t->w);
    va_buffer_destroy(&t->a);
    va_buffer_destroy(&t->c);
    va_buffer_destroy(&t->scratch);
}

static void set_product(tuner *t, va_dtype dtype, bool transpose, int64_t n_rows) {
    t->weight = va_tensor_make(dtype, 2, (const int64_t[]){t->width, t->width});
    t->weight.mem = va_slice_at(va_buffer_all(t->w), 0, va_tensor_bytes(&t->weight));
    t->m = (op_matmul){.transpose = transpose,
                       .n_rows = n_rows,
                       .a = va_buffer_all(t->a),
                       .c = va_buffer_all(t->c),
                       .w = &t->weight,
                       .scratch = va_buffer_all(t->scratch),
                       .kernel = t->kernel};
}

static va_status run_batch(tuner *t, int64_t times, double *seconds) {
    va_status st = VA_OK;
    const va_op_call call = {.gpu = t->gpu};
    const double start = va_time_s();
    for (int64_t i = 0; i < times; i++)
        VA_TRY(op_matmul_run(&call, &t->m));
    VA_TRY(va_gpu_wait(t->gpu));
    *seconds = va_time_s() - start;
done:
    return st;
}

// Seconds of one product with a tile.
static va_status time_tile(tuner *t, const matmul_tile *tile, double *seconds) {
    va_status st = VA_OK;
    double one, batch;
    t->m.tile = tile;
    VA_TRY(run_batch(t, 1, &one)); // builds the pipelines
    VA_TRY(run_batch(t, 1, &one));
    const int64_t times = 1 + (int64_t)VA_MIN(BATCH_S / VA_MAX(one, 1e-7), 1000.0);
    *seconds = one;
    for (int i = 0; i < BATCHES; i++) {
        VA_TRY(va_check_interrupt(va_gpu_ctx(t->gpu)));
        VA_TRY(run_batch(t, times, &batch));
        *seconds = VA_MIN(*seconds, batch / (double)times);
    }
done:
    return st;
}

// What decides about the tile: matmul_pick_tile reads no more of a job.
static matmul_job job_of(const va_op_call *call, const tuner *t) {
    return (matmul_job){.c = call,
                        .m = &t->m,
                        .p = {.n_rows = (uint32_t)t->m.n_rows, .n_cols = (uint32_t)t->width}};
}

static va_status tune_product(tuner *t, va_matmul_tuned *out) {
    va_status st = VA_OK;
    const va_op_call call = {.gpu = t->gpu};
    const matmul_job job = job_of(&call, t);
    const matmul_shape shape = matmul_shape_of(t->m.transpose, t->m.n_rows, &t->weight);
    const matmul_kernel *k = matmul_for(t->kernel, &shape);
    int n;
    const matmul_tile *tiles = matmul_tiles(k, &n);
    const double flop = 2.0 * (double)t->m.n_rows * (double)t->width * (double)t->width;
    matmul_tile best;
    double before, fastest;
    if (!matmul_pick_tile(&job, k, &best))
        return VA_OK;
    const matmul_tile first = best;
    VA_TRY(time_tile(t, &first, &before));
    fastest = before;
    for (int i = 0; i < n; i++) {
        double seconds;
        if (!matmul_tile_is_for(va_gpu_get_info(t->gpu), k, &shape, &tiles[i]))
            continue;
        VA_TRY(time_tile(t, &tiles[i], &seconds));
        if (seconds * WORTH < fastest)
            best = tiles[i], fastest = seconds;
    }
    t->m.tile = NULL;
    VA_TRY(matmul_keep_tile(&job, k, &best));
    snprintf(out->what, sizeof out->what, "%s %s %s, %lld rows", k->name,
             t->m.transpose ? "NT" : "NN", va_dtype_name(t->weight.dtype), (long long)t->m.n_rows);
    snprintf(out->tile, sizeof out->tile, "%ux%u of %ux%u", best.bm, best.bn, best.rm, best.rn);
    out->gflops = flop / fastest * 1e-9;
    out->default_gflops = flop / before * 1e-9;
done:
    return st;
}

va_status va_matmul_tune(va_gpu *gpu, int64_t width, va_arena *arena, va_matmul_tuned **list,
                         int64_t *n) {
    va_status st = VA_OK;
    tuner t = {.gpu = gpu, .width = width};
    *n = 0;
    VA_TRY_ALLOC(va_gpu_ctx(gpu), *list,
                 VA_NEW_ARRAY(arena, va_matmul_tuned, 2 * VA_COUNT(dtypes) * VA_COUNT(all_rows)));
    VA_TRY(va_matmul_prepare(gpu));
    VA_TRY(matmul_pick(gpu, &t.kernel));
    if (!t.kernel->fits)
        goto done;
    VA_TRY(open_tuner(&t));
    for (int d = 0; d < VA_COUNT(dtypes); d++)
        for (int transpose = 0; transpose < 2; transpose++)
            for (int r = 0; r < VA_COUNT(all_rows); r++) {
                set_product(&t, dtypes[d], transpose, all_rows[r]);
                VA_TRY(tune_product(&t, &(*list)[*n]));
                ++*n;
            }
done:
    close_tuner(&t);
    return st;
}
