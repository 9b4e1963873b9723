// mlp_train.c: training: initial weights, rows on the device, groups of problems.
// SPDX-License-Identifier: Apache-2.0
#include "fit_check.h"
#include "mlp_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// -- weights --------------------------------------------------------------------------------------

// torch.nn.Linear's default: weights and biases uniform in +-1 / sqrt(n_in).
static void init_layer(va_rng *rng, mlp_host_layer layer, int64_t n_in, int64_t n_out) {
    double bound = 1 / sqrt((double)n_in);
    for (int64_t i = 0; i < n_in * n_out; i++)
        layer.w[i] = (float)((2 * va_rng_uniform(rng) - 1) * bound);
    for (int64_t i = 0; i < n_out; i++)
        layer.b[i] = (float)((2 * va_rng_uniform(rng) - 1) * bound);
}

static va_status init_weights(va_ctx *ctx, va_arena *arena, const mlp_config *c, uint64_t seed,
                              va_mlp *mlp) {
    va_status st = VA_OK;
    va_rng rng = va_rng_make(seed, va_hash64("mlp.init"));
    if (c->initial) {
        VA_TRY(mlp_copy(ctx, arena, c->initial, mlp));
    } else {
        VA_TRY(mlp_alloc(ctx, arena, c->width[0], c->width[1], c->width[2], mlp));
        for (int l = 0; l < MLP_LAYERS; l++)
            init_layer(&rng, mlp_layer_of(mlp, l), c->width[l], c->width[l + 1]);
    }
    VA_TRY(mlp_check_finite(ctx, "classifier: initial weights", mlp));
done:
    return st;
}

// -- rows -----------------------------------------------------------------------------------------

// That X with its column of ones can be bound: it has then fewer than 2^28 rows, and an entry has
// room for a label.
static va_status check_size(va_gpu *gpu, int64_t n_x, int64_t d) {
    int64_t stride = mlp_round4(d + 1), bytes, limit = va_gpu_get_info(gpu)->max_range_bytes;
    if (!va_mul_i64(n_x, 4 * stride, &bytes) || bytes > limit)
        return va_fail(va_gpu_ctx(gpu), VA_ERR_MEMORY,
                       "classifier: %lld rows of %lld activations are more than this device binds "
                       "at once: at most %lld rows",
                       (long long)n_x, (long long)d, (long long)(limit / (4 * stride)));
    return VA_OK;
}

// X with a column of ones for the biases, padded to fours.
static va_status upload_rows(va_gpu *gpu, const float *X, int64_t n_x, int64_t d, va_buffer **x) {
    va_status st = VA_OK;
    int64_t stride = mlp_round4(d + 1), bytes = n_x * 4 * stride;
    float *host = NULL;
    VA_TRY_ALLOC(va_gpu_ctx(gpu), host, calloc((size_t)bytes, 1));
    for (int64_t r = 0; r < n_x; r++) {
        memcpy(host + r * stride, X + r * d, (size_t)d * sizeof *host);
        host[r * stride + d] = 1;
    }
    VA_TRY(va_buffer_create(gpu, bytes, "mlp rows", x));
    VA_TRY(va_gpu_upload(gpu, va_buffer_all(*x), host));
done:
    free(host);
    return st;
}

// -- groups ---------------------------------------------------------------------------------------

static va_status train_group(mlp_run *run, va_slice x, int64_t count) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(run->gpu);
    const va_fit_problem *problems = run->problems + run->first;
    mlp_device dev = {0};
    va_mlp *mlp = NULL;
    char where[64];
    va_arena *arena = va_arena_create();
    VA_TRY_ALLOC(ctx, mlp, arena ? VA_NEW_ARRAY(arena, va_mlp, count) : NULL);
    for (int64_t p = 0; p < count; p++)
        VA_TRY(init_weights(ctx, arena, &run->config, problems[p].seed, &mlp[p]));
    VA_TRY(mlp_device_create(run->gpu, &run->config, x, problems, count, mlp, &dev));
    VA_TRY(mlp_train_epochs(run, &dev));
    VA_TRY(mlp_device_read(&dev, mlp));
    for (int64_t p = 0; p < count; p++) {
        snprintf(where, sizeof where, "classifier %lld: after training",
                 (long long)(run->first + p));
        VA_TRY(mlp_check_finite(ctx, where, &mlp[p]));
        VA_TRY(run->fn(run->user, run->first + p, &mlp[p]));
        if (run->loss)
            run->loss += run->config.epochs * mlp_steps_per_epoch(&run->config, problems[p].n);
    }
    run->first += count;
done:
    mlp_device_destroy(&dev);
    va_arena_destroy(&arena);
    return st;
}

#define GROUP_BYTES (INT64_C(256) << 20) // of a group's largest buffer

static bool fits(const mlp_run *run, int64_t n, int64_t count) {
    int64_t limit = VA_MIN(va_gpu_get_info(run->gpu)->max_range_bytes, GROUP_BYTES);
    int64_t largest = mlp_device_largest(&run->config, n, count);
    return largest >= 0 && largest <= limit;
}

// As many problems from run->first on as fit one binding each, and a quarter of a gigabyte.
static int64_t group_size(const mlp_run *run) {
    int64_t n_max = 0, count = 0;
    for (; run->first + count < run->n_problems && count < 65535; count++) {
        n_max = VA_MAX(n_max, run->problems[run->first + count].n);
        if (count > 0 && !fits(run, n_max, count + 1))
            break;
    }
    return count;
}

static va_status check_network(const mlp_run *run) {
    const mlp_config *c = &run->config;
    int64_t limit = va_gpu_get_info(run->gpu)->max_range_bytes, n_max = 1;
    for (int64_t p = 0; p < run->n_problems; p++)
        n_max = VA_MAX(n_max, run->problems[p].n);
    int64_t one = mlp_device_largest(c, n_max, 1);
    if (one < 0 || one > limit)
        return va_fail(
            va_gpu_ctx(run->gpu), VA_ERR_MEMORY,
            "classifier: a network %lld-%lld-%lld-1 in batches of %lld on %lld rows is more than "
            "this device binds at once (%lld bytes)",
            (long long)c->width[0], (long long)c->width[1], (long long)c->width[2],
            (long long)mlp_batch(c, n_max), (long long)n_max, (long long)limit);
    return VA_OK;
}

static va_status train_all(mlp_run *run, const float *X, int64_t n_x) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(run->gpu);
    const mlp_config *c = &run->config;
    const int64_t d = c->width[0];
    va_buffer *x = NULL;
    VA_TRY(mlp_check_config(ctx, c, n_x, run->n_problems));
    VA_TRY(check_size(run->gpu, n_x, d));
    VA_TRY(fit_check_rows(ctx, "classifier", X, n_x, d));
    VA_TRY(mlp_check_problems(ctx, c, n_x, run->problems, run->n_problems));
    VA_TRY(check_network(run));
    VA_TRY(upload_rows(run->gpu, X, n_x, d, &x));
    while (run->first < run->n_problems)
        VA_TRY(train_group(run, va_buffer_all(x), group_size(run)));
done:
    va_buffer_destroy(&x);
    return st;
}

// -- public ---------------------------------------------------------------------------------------

int64_t va_mlp_train_bytes(const va_mlp_params *params, int64_t n_x, int64_t d, int64_t n,
                           int64_t n_problems) {
    const mlp_config c = mlp_resolve(params, d);
    int64_t x, bytes, largest;
    if (n_x < 1 || n < 1 || d < 1 || c.width[1] < 1 || c.width[2] < 1 || c.batch < 1 ||
        n_problems < 1 || !va_mul_i64(n_x, 4 * mlp_round4(d + 1), &x))
        return -1;
    bytes = mlp_device_bytes(&c, n);
    largest = mlp_device_largest(&c, n, 1);
    if (bytes < 0 || largest < 0)
        return -1;
    const int64_t group = VA_MAX(1, VA_MIN(n_problems, GROUP_BYTES / largest));
    return !va_mul_i64(bytes, group, &bytes) || !va_add_i64(bytes, x, &bytes) ? -1 : bytes;
}

va_status va_mlp_train_each(va_gpu *gpu, const float *X, int64_t n_x, int64_t d,
                            const va_fit_problem *problems, int64_t n_problems,
                            const va_mlp_params *params, va_mlp_each_fn fn, void *user) {
    mlp_run run = {.gpu = gpu,
                   .config = mlp_resolve(params, d),
                   .problems = problems,
                   .n_problems = n_problems,
                   .fn = fn,
                   .user = user};
    return train_all(&run, X, n_x);
}

typedef struct keep_args {
    va_ctx *ctx;
    va_arena *arena;
    va_mlp *mlp;
} keep_args;

static va_status keep(void *user, int64_t p, const va_mlp *mlp) {
    const keep_args *k = user;
    return mlp_copy(k->ctx, k->arena, mlp, &k->mlp[p]);
}

va_status va_mlp_train(va_gpu *gpu, va_arena *arena, const float *X, int64_t n, int64_t d,
                       const float *labels, int64_t n_problems, const va_mlp_params *params,
                       va_mlp *mlp, float *loss) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(gpu);
    keep_args args = {ctx, arena, mlp};
    va_arena *temp = va_arena_create();
    int64_t *rows = NULL;
    va_fit_problem *problems = NULL;
    VA_TRY_ALLOC(ctx, rows, temp ? VA_NEW_ARRAY(temp, int64_t, VA_MAX(n, 0)) : NULL);
    VA_TRY_ALLOC(ctx, problems, VA_NEW_ARRAY(temp, va_fit_problem, VA_MAX(n_problems, 0)));
    for (int64_t r = 0; r < n; r++)
        rows[r] = r;
    for (int64_t p = 0; p < n_problems; p++)
        problems[p] =
            (va_fit_problem){rows, labels + p * n, n, (params ? params->seed : 0) + (uint64_t)p};
    mlp_run run = {.gpu = gpu,
                   .config = mlp_resolve(params, d),
                   .problems = problems,
                   .n_problems = n_problems,
                   .fn = keep,
                   .user = &args,
                   .loss = loss};
    VA_TRY(train_all(&run, X, n));
done:
    va_arena_destroy(&temp);
    return st;
}
