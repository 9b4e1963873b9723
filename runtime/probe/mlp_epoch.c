// mlp_epoch.c: the epochs of problems trained together: the order of their rows, where each is at
// each step, losses.
// SPDX-License-Identifier: Apache-2.0
#include "mlp_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Host arrays of a group, as mlp_device has them.
typedef struct epoch_data {
    uint32_t *entries; // [N]
    mlp_step *steps;   // [n_steps, P]
    int64_t *order;    // [largest n]
    float *row_loss;   // [N]
} epoch_data;

static void order_rows(const mlp_device *dev, int64_t epoch, epoch_data *data) {
    uint32_t *entry = data->entries;
    for (int64_t p = 0; p < dev->n_problems; p++) {
        const va_fit_problem *problem = &dev->problems[p];
        for (int64_t r = 0; r < problem->n; r++)
            data->order[r] = r;
        if (dev->config->shuffle) {
            va_rng rng = va_rng_make(problem->seed, va_hash64("mlp.shuffle") + (uint64_t)epoch);
            va_rng_shuffle(&rng, data->order, problem->n);
        }
        for (int64_t r = 0; r < problem->n; r++) {
            const int64_t i = data->order[r];
            *entry++ = (uint32_t)problem->rows[i] | (uint32_t)(problem->labels[i] == 1) << 31;
        }
    }
}

static void place_steps(const mlp_device *dev, int64_t epoch, mlp_step *steps) {
    const mlp_config *c = dev->config;
    int64_t begin = 0;
    memset(steps, 0, (size_t)(dev->n_steps * dev->n_problems) * sizeof *steps);
    for (int64_t p = 0; p < dev->n_problems; p++) {
        const va_fit_problem *problem = &dev->problems[p];
        const int64_t batch = mlp_batch(c, problem->n), count = mlp_steps_per_epoch(c, problem->n);
        for (int64_t b = 0; b < count; b++) {
            const int64_t step = epoch * count + b;
            const double t = (double)step + 1;
            steps[b * dev->n_problems + p] = (mlp_step){
                .row0 = (uint32_t)(begin + b * batch),
                .n_rows = (uint32_t)VA_MIN(batch, problem->n - b * batch),
                .step = (uint32_t)step,
                .seed_low = (uint32_t)problem->seed,
                .seed_high = (uint32_t)(problem->seed >> 32),
                .step_size = (float)(c->learning_rate / (1 - pow(MLP_BETA1, t))),
                .inv_sqrt_correction = (float)(1 / sqrt(1 - pow(MLP_BETA2, t))),
            };
        }
        begin += problem->n;
    }
}

// Mean loss of every batch of the epoch to run->loss, and that they are finite.
static va_status collect_losses(const mlp_run *run, const mlp_device *dev, int64_t epoch,
                                const float *row_loss) {
    const mlp_config *c = dev->config;
    float *loss = run->loss;
    for (int64_t p = 0; p < dev->n_problems; p++) {
        const int64_t n = dev->problems[p].n, batch = mlp_batch(c, n);
        const int64_t count = mlp_steps_per_epoch(c, n);
        for (int64_t b = 0; b < count; b++) {
            const int64_t n_rows = VA_MIN(batch, n - b * batch), step = epoch * count + b;
            double sum = 0;
            for (int64_t r = 0; r < n_rows; r++)
                sum += *row_loss++;
            double mean = sum / (double)n_rows;
            if (!isfinite(mean))
                return va_fail(va_gpu_ctx(dev->gpu), VA_ERR_NUMERIC,
                               "classifier %lld: loss %g at step %lld (epoch %lld): a lower "
                               "learning_rate than %g, or smaller activations?",
                               (long long)(run->first + p), mean, (long long)step, (long long)epoch,
                               c->learning_rate);
            if (loss)
                loss[step] = (float)mean;
        }
        if (loss)
            loss += c->epochs * count;
    }
    return VA_OK;
}

static int64_t most_rows(const mlp_device *dev, const mlp_step *steps) {
    int64_t most = 0;
    for (int64_t p = 0; p < dev->n_problems; p++)
        most = VA_MAX(most, steps[p].n_rows);
    return most;
}

static va_status train_epoch(const mlp_run *run, mlp_device *dev, int64_t epoch, epoch_data *data) {
    va_status st = VA_OK;
    const mlp_config *c = dev->config;
    if (epoch == 0 || c->shuffle) {
        order_rows(dev, epoch, data);
        VA_TRY(va_gpu_upload(dev->gpu, va_buffer_all(dev->entries), data->entries));
    }
    place_steps(dev, epoch, data->steps);
    VA_TRY(va_gpu_upload(dev->gpu, va_buffer_all(dev->steps), data->steps));
    for (int64_t b = 0; b < dev->n_steps; b++) {
        VA_TRY(va_check_interrupt(va_gpu_ctx(dev->gpu)));
        VA_TRY(mlp_device_step(dev, b, most_rows(dev, data->steps + b * dev->n_problems)));
    }
    VA_TRY(va_gpu_download(dev->gpu, va_buffer_all(dev->loss), data->row_loss));
    VA_TRY(collect_losses(run, dev, epoch, data->row_loss));
    if (c->tick)
        c->tick(c->tick_user, ((double)run->first +
                               (double)dev->n_problems * (double)(epoch + 1) / (double)c->epochs) /
                                  (double)run->n_problems);
done:
    return st;
}

va_status mlp_train_epochs(const mlp_run *run, mlp_device *dev) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(dev->gpu);
    const size_t n = (size_t)dev->n_entries, n_steps = (size_t)(dev->n_steps * dev->n_problems);
    epoch_data data = {0};
    int64_t n_max = 0;
    for (int64_t p = 0; p < dev->n_problems; p++)
        n_max = VA_MAX(n_max, dev->problems[p].n);
    VA_TRY_ALLOC(ctx, data.entries, malloc(n * sizeof *data.entries));
    VA_TRY_ALLOC(ctx, data.steps, malloc(n_steps * sizeof *data.steps));
    VA_TRY_ALLOC(ctx, data.order, malloc((size_t)n_max * sizeof *data.order));
    VA_TRY_ALLOC(ctx, data.row_loss, malloc(n * sizeof *data.row_loss));
    for (int64_t epoch = 0; epoch < dev->config->epochs; epoch++)
        VA_TRY(train_epoch(run, dev, epoch, &data));
done:
    free(data.entries);
    free(data.steps);
    free(data.order);
    free(data.row_loss);
    return st;
}
