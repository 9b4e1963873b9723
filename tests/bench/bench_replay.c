// bench_replay.c: what a sweep costs the host, and what it takes altogether, by three ways:
// recorded each time because the blocks at its ends change, replayed, and copied through fixed
// blocks.
//
//   bench_replay [SHAPE] [LAYERS] [VECTORS] [ROUNDS]
// SHAPE as in vkalign bench (tiny). Prints medians in ms of one jvp and one vjp from the embeddings
// to norm:LAYERS@last, 8 tokens: until the call returns, until its result is there, processor time.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/bench.h"
#include "vkalign/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_ROUNDS = 1000, TOKENS = 8 };
enum { CHANGING, FIXED, COPIED, N_WAYS };
static const char *const way_names[] = {"blocks change", "replayed", "copied"};

typedef struct job {
    va_ctx *ctx;
    va_gpu *gpu;
    va_linmap *map;
    va_buffer *buffers[6]; // three pairs
    va_block x[3], y[3];
    double host[MAX_ROUNDS], whole[MAX_ROUNDS], cpu[MAX_ROUNDS];
} job;

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_ms(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, ascending);
    return 1e3 * x[n / 2];
}

static va_status make_blocks(job *j, int64_t k) {
    va_status st = VA_OK;
    const va_linmap_shape s = va_linmap_get_shape(j->map);
    for (int i = 0; i < 3; i++) {
        VA_TRY(va_block_create(j->gpu, s.T_in, k, s.d_in, "x", &j->buffers[2 * i], &j->x[i]));
        VA_TRY(va_block_create(j->gpu, s.T_out, k, s.d_out, "y", &j->buffers[2 * i + 1], &j->y[i]));
        VA_TRY(va_vec_fill(j->gpu, &j->x[i], 0.5f));
        VA_TRY(va_vec_fill(j->gpu, &j->y[i], 0.5f));
    }
done:
    return st;
}

static va_status apply(job *j, int way, bool transposed, int round) {
    va_status st = VA_OK;
    const int at = way == CHANGING ? 1 + round % 2 : 0;
    const va_block *from = transposed ? j->y : j->x, *to = transposed ? j->x : j->y;
    if (way == COPIED)
        VA_TRY(va_gpu_copy(j->gpu, from[0].mem, from[1].mem));
    VA_TRY(transposed ? va_linmap_apply_t(j->map, &from[at], &to[at])
                      : va_linmap_apply(j->map, &from[at], &to[at]));
    if (way == COPIED)
        VA_TRY(va_gpu_copy(j->gpu, to[1].mem, to[0].mem));
    VA_TRY(va_gpu_flush(j->gpu));
done:
    return st;
}

static va_status measure(job *j, int way, bool transposed, int rounds) {
    va_status st = VA_OK;
    for (int r = -4; r < rounds; r++) { // the first ones make the recording
        VA_TRY(va_gpu_wait(j->gpu));
        const double start = va_time_s(), cpu = cpu_s();
        VA_TRY(apply(j, way, transposed, r + 4));
        const double host = va_time_s() - start;
        VA_TRY(va_gpu_wait(j->gpu));
        if (r < 0)
            continue;
        j->host[r] = host;
        j->whole[r] = va_time_s() - start;
        j->cpu[r] = cpu_s() - cpu;
    }
    printf("%s  %-13s  host %8.3f  whole %8.3f  cpu %8.3f\n", transposed ? "vjp" : "jvp",
           way_names[way], median_ms(j->host, rounds), median_ms(j->whole, rounds),
           median_ms(j->cpu, rounds));
done:
    return st;
}

static va_status bench(va_ctx *ctx, va_gpu *gpu, const char *name, int layers, int k, int rounds) {
    va_status st = VA_OK;
    const va_bench_shape *shape;
    va_model *model = NULL;
    va_prompt *prompt = NULL;
    static job j;
    j.ctx = ctx, j.gpu = gpu;
    VA_TRY(va_bench_shape_find(ctx, name, &shape));
    VA_TRY(va_model_open_random(ctx, shape->name, shape->config_json, 0, &model));
    VA_TRY(va_model_attach(model, gpu));
    static const int32_t ids[TOKENS] = {1, 2, 3, 4, 5, 6, 7, 8};
    const va_site sites[] = {
        {.kind = VA_SITE_EMBED, .position = VA_POS_ALL},
        {.kind = VA_SITE_NORM, .layer = layers > 0 ? layers : -1, .position = VA_POS_LAST}};
    const va_prompt_params params = {
        .ids = ids, .seq_len = TOKENS, .sites = sites, .n_sites = 2, .derivatives = true};
    VA_TRY(va_prompt_create(model, &params, &prompt));
    const va_map_budget budget = {.min_k = k, .max_k = k};
    VA_TRY(va_prompt_linmap(prompt, 0, 1, VA_EXACT, &budget, &j.map));
    VA_TRY(make_blocks(&j, k));
    for (int transposed = 0; transposed < 2; transposed++)
        for (int way = 0; way < N_WAYS; way++)
            VA_TRY(measure(&j, way, transposed, rounds));
done:
    for (int i = 0; i < 6; i++)
        va_buffer_destroy(&j.buffers[i]);
    va_linmap_destroy(&j.map);
    va_prompt_destroy(&prompt);
    va_model_close(&model);
    return st;
}

int main(int argc, char **argv) {
    va_ctx *ctx = va_ctx_create(NULL);
    va_gpu *gpu = NULL;
    if (!ctx)
        return 1;
    const int rounds = argc > 4 ? atoi(argv[4]) : 50;
    va_status st = va_gpu_open(ctx, NULL, &gpu);
    if (st == VA_OK)
        st = bench(ctx, gpu, argc > 1 ? argv[1] : "tiny", argc > 2 ? atoi(argv[2]) : 0,
                   argc > 3 ? atoi(argv[3]) : 16, VA_MIN(VA_MAX(rounds, 1), MAX_ROUNDS));
    if (st != VA_OK)
        fprintf(stderr, "%s\n", va_error_message(ctx));
    if (gpu)
        va_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
    return st != VA_OK;
}
