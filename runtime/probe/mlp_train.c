// mlp_train.c: training: what is asked for, initial weights, the order of rows, epochs, losses.
// SPDX-License-Identifier: Apache-2.0
#include "mlp_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// -- what is asked for ----------------------------------------------------------------------------

static va_status check_rows(va_ctx *ctx, const float *X, int64_t n, int64_t d) {
    for (int64_t i = 0; i < n * d; i++)
        if (!isfinite(X[i]))
            return va_fail(
                ctx, VA_ERR_NUMERIC,
                "classifier: expected finite activations, got %g at row %lld, column %lld",
                (double)X[i], (long long)(i / d), (long long)(i % d));
    return VA_OK;
}

static va_status check_labels(va_ctx *ctx, const float *labels, int64_t n, int64_t n_problems) {
    for (int64_t p = 0; p < n_problems; p++) {
        int64_t n_ones = 0;
        for (int64_t r = 0; r < n; r++) {
            float y = labels[p * n + r];
            if (y != 0 && y != 1)
                return va_fail(ctx, VA_ERR_SHAPE,
                               "classifier %lld: expected labels of 0 or 1, got %g at row %lld",
                               (long long)p, (double)y, (long long)r);
            n_ones += y == 1;
        }
        if (n_ones == 0 || n_ones == n)
            return va_fail(ctx, VA_ERR_SHAPE,
                           "classifier %lld: expected labels of both classes, got %lld times %d",
                           (long long)p, (long long)n, n_ones > 0);
    }
    return VA_OK;
}

static int64_t or_default(int64_t value, int64_t def) {
    return value == 0 ? def : value;
}

// A rate of which 0 means the default and a negative one none.
static double rate(float value, double def) {
    return value == 0 ? def : value < 0 ? 0 : value;
}

static mlp_config resolve(const va_mlp_params *p, int64_t n, int64_t d) {
    const va_mlp *initial = p->initial;
    mlp_config c = {.n = n,
                    .d = d,
                    .width = {d, or_default(p->h1, initial ? initial->h1 : 128),
                              or_default(p->h2, initial ? initial->h2 : 64), 1},
                    .epochs = or_default(p->epochs, 50),
                    .batch = VA_MIN(or_default(p->batch, 32), n),
                    .learning_rate = p->learning_rate == 0 ? 1e-3 : p->learning_rate,
                    .weight_decay = rate(p->weight_decay, 0.01),
                    .dropout = rate(p->dropout, 0.2),
                    .seed = p->seed,
                    .shuffle = !p->no_shuffle,
                    .initial = initial};
    c.steps_per_epoch = c.batch > 0 ? (n - 1) / c.batch + 1 : 0;
    return c;
}

static va_status check_config(va_ctx *ctx, const mlp_config *c, int64_t n_problems) {
    const va_mlp *i = c->initial;
    int64_t steps;
    if (c->n < 1 || c->d < 1 || n_problems < 1)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "classifier: expected at least one row, column and problem, got %lld, %lld, "
                       "%lld",
                       (long long)c->n, (long long)c->d, (long long)n_problems);
    if (c->width[1] < 1 || c->width[2] < 1 || c->epochs < 1 || c->batch < 1)
        return va_fail(ctx, VA_ERR_USAGE,
                       "classifier: expected positive widths, epochs and batch, got %lld and %lld, "
                       "%lld, %lld",
                       (long long)c->width[1], (long long)c->width[2], (long long)c->epochs,
                       (long long)c->batch);
    int64_t widest = VA_MAX(c->d, VA_MAX(c->width[1], c->width[2]));
    if (c->batch > MLP_MAX_LOOP || widest >= 4 * MLP_MAX_LOOP)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "classifier: expected a batch of at most %d and widths below %d, got %lld "
                       "and %lld",
                       MLP_MAX_LOOP, 4 * MLP_MAX_LOOP, (long long)c->batch, (long long)widest);
    if (!(c->learning_rate > 0 && isfinite(c->learning_rate)) || !isfinite(c->weight_decay) ||
        !(c->dropout < 1))
        return va_fail(
            ctx, VA_ERR_USAGE,
            "classifier: expected learning_rate > 0, finite weight_decay and dropout < 1, "
            "got %g, %g, %g",
            c->learning_rate, c->weight_decay, c->dropout);
    if (i && (i->d != c->d || i->h1 != c->width[1] || i->h2 != c->width[2]))
        return va_fail(
            ctx, VA_ERR_SHAPE,
            "classifier: expected initial weights %lld-%lld-%lld-1, got %lld-%lld-%lld-1",
            (long long)c->d, (long long)c->width[1], (long long)c->width[2], (long long)i->d,
            (long long)i->h1, (long long)i->h2);
    if (!va_mul_i64(c->epochs, c->steps_per_epoch, &steps) || steps > UINT32_MAX ||
        c->n > UINT32_MAX)
        return va_fail(ctx, VA_ERR_SHAPE, "classifier: too many steps or rows for 32 bits");
    return VA_OK;
}

// -- weights --------------------------------------------------------------------------------------

// torch.nn.Linear's default: weights and biases uniform in +-1 / sqrt(n_in).
static void init_layer(va_rng *rng, mlp_host_layer layer, int64_t n_in, int64_t n_out) {
    double bound = 1 / sqrt((double)n_in);
    for (int64_t i = 0; i < n_in * n_out; i++)
        layer.w[i] = (float)((2 * va_rng_uniform(rng) - 1) * bound);
    for (int64_t i = 0; i < n_out; i++)
        layer.b[i] = (float)((2 * va_rng_uniform(rng) - 1) * bound);
}

static va_status init_weights(va_ctx *ctx, va_arena *arena, const mlp_config *c, int64_t p,
                              va_mlp *mlp) {
    va_status st = VA_OK;
    va_rng rng = va_rng_make(c->seed + (uint64_t)p, va_hash64("mlp.init"));
    VA_TRY(mlp_alloc(ctx, arena, c->width[0], c->width[1], c->width[2], mlp));
    for (int l = 0; l < MLP_LAYERS; l++) {
        mlp_host_layer layer = mlp_layer_of(mlp, l);
        int64_t n_in = c->width[l], n_out = c->width[l + 1];
        if (!c->initial) {
            init_layer(&rng, layer, n_in, n_out);
            continue;
        }
        mlp_host_layer from = mlp_layer_of(c->initial, l);
        memcpy(layer.w, from.w, (size_t)(n_in * n_out) * sizeof *layer.w);
        memcpy(layer.b, from.b, (size_t)n_out * sizeof *layer.b);
    }
    VA_TRY(mlp_check_finite(ctx, "classifier: initial weights", mlp));
done:
    return st;
}

// X with a column of ones for the biases, padded to fours.
static va_status upload_rows(va_gpu *gpu, const mlp_config *c, const float *X, va_buffer **x) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(gpu);
    int64_t stride = mlp_round4(c->d + 1), bytes, limit = va_gpu_get_info(gpu)->max_range_bytes;
    float *host = NULL;
    if (!va_mul_i64(c->n, 4 * stride, &bytes) || bytes > limit)
        return va_fail(ctx, VA_ERR_MEMORY,
                       "classifier: %lld rows of %lld activations are more than this device binds "
                       "at once: at most %lld rows",
                       (long long)c->n, (long long)c->d, (long long)(limit / (4 * stride)));
    VA_TRY_ALLOC(ctx, host, calloc((size_t)bytes, 1));
    for (int64_t r = 0; r < c->n; r++) {
        memcpy(host + r * stride, X + r * c->d, (size_t)c->d * sizeof *host);
        host[r * stride + c->d] = 1;
    }
    VA_TRY(va_buffer_create(gpu, bytes, "mlp rows", x));
    VA_TRY(va_gpu_upload(gpu, va_buffer_all(*x), host));
done:
    free(host);
    return st;
}

// -- training -------------------------------------------------------------------------------------

// Host arrays of the problems that are trained together.
typedef struct epoch_data {
    uint32_t *index; // [P, n]
    int64_t *order;  // [n]
    float *row_loss; // [P, n]
} epoch_data;

static void order_rows(const mlp_device *dev, int64_t epoch, epoch_data *data) {
    const mlp_config *c = dev->config;
    for (int64_t p = 0; p < dev->n_problems; p++) {
        for (int64_t r = 0; r < c->n; r++)
            data->order[r] = r;
        if (c->shuffle) {
            va_rng rng = va_rng_make(c->seed + (uint64_t)(dev->first_problem + p),
                                     va_hash64("mlp.shuffle") + (uint64_t)epoch);
            va_rng_shuffle(&rng, data->order, c->n);
        }
        for (int64_t r = 0; r < c->n; r++)
            data->index[p * c->n + r] = (uint32_t)data->order[r];
    }
}

// Mean loss of every batch of the epoch, [P, steps of the training], and that they are finite.
static va_status collect_losses(mlp_device *dev, int64_t epoch, const float *row_loss,
                                float *loss) {
    const mlp_config *c = dev->config;
    int64_t n_steps = c->epochs * c->steps_per_epoch;
    for (int64_t p = 0; p < dev->n_problems; p++) {
        for (int64_t b = 0; b < c->steps_per_epoch; b++) {
            int64_t begin = b * c->batch, end = VA_MIN(begin + c->batch, c->n);
            int64_t step = epoch * c->steps_per_epoch + b;
            double sum = 0;
            for (int64_t r = begin; r < end; r++)
                sum += row_loss[p * c->n + r];
            double mean = sum / (double)(end - begin);
            if (!isfinite(mean))
                return va_fail(va_gpu_ctx(dev->gpu), VA_ERR_NUMERIC,
                               "classifier %lld: loss %g at step %lld (epoch %lld): a lower "
                               "learning_rate than %g, or smaller activations?",
                               (long long)(dev->first_problem + p), mean, (long long)step,
                               (long long)epoch, c->learning_rate);
            if (loss)
                loss[p * n_steps + step] = (float)mean;
        }
    }
    return VA_OK;
}

static va_status train_epoch(mlp_device *dev, int64_t epoch, epoch_data *data, float *loss) {
    va_status st = VA_OK;
    const mlp_config *c = dev->config;
    if (epoch == 0 || c->shuffle) {
        order_rows(dev, epoch, data);
        VA_TRY(va_gpu_upload(dev->gpu, va_buffer_all(dev->index), data->index));
    }
    for (int64_t b = 0; b < c->steps_per_epoch; b++) {
        int64_t row0 = b * c->batch;
        VA_TRY(va_check_interrupt(va_gpu_ctx(dev->gpu)));
        VA_TRY(mlp_device_step(dev, epoch * c->steps_per_epoch + b, row0,
                               VA_MIN(c->batch, c->n - row0)));
    }
    VA_TRY(va_gpu_download(dev->gpu, va_buffer_all(dev->loss), data->row_loss));
    VA_TRY(collect_losses(dev, epoch, data->row_loss, loss));
done:
    return st;
}

static va_status train(mlp_device *dev, va_mlp *mlp, float *loss) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(dev->gpu);
    const mlp_config *c = dev->config;
    size_t n = (size_t)(dev->n_problems * c->n);
    epoch_data data = {0};
    VA_TRY_ALLOC(ctx, data.index, malloc(n * sizeof *data.index));
    VA_TRY_ALLOC(ctx, data.order, malloc((size_t)c->n * sizeof *data.order));
    VA_TRY_ALLOC(ctx, data.row_loss, malloc(n * sizeof *data.row_loss));
    for (int64_t epoch = 0; epoch < c->epochs; epoch++)
        VA_TRY(train_epoch(dev, epoch, &data, loss));
    VA_TRY(mlp_device_read(dev, mlp));
    for (int64_t p = 0; p < dev->n_problems; p++)
        VA_TRY(mlp_check_finite(ctx, "classifier: after training", &mlp[p]));
done:
    free(data.index);
    free(data.order);
    free(data.row_loss);
    return st;
}

// As many problems at once as fit one binding each, and a quarter of a gigabyte.
static va_status problems_at_once(va_gpu *gpu, const mlp_config *c, int64_t n_problems,
                                  int64_t *at_once) {
    int64_t limit = va_gpu_get_info(gpu)->max_range_bytes, one = mlp_device_largest(c, 1);
    if (one < 0 || one > limit)
        return va_fail(
            va_gpu_ctx(gpu), VA_ERR_MEMORY,
            "classifier: a network %lld-%lld-%lld-1 in batches of %lld is more than this "
            "device binds at once (%lld bytes)",
            (long long)c->d, (long long)c->width[1], (long long)c->width[2], (long long)c->batch,
            (long long)limit);
    int64_t many = VA_MIN(limit, INT64_C(256) << 20) / one;
    *at_once = VA_MAX(1, VA_MIN(VA_MIN(many, 65535), n_problems));
    return VA_OK;
}

int64_t va_mlp_train_bytes(const va_mlp_params *params, int64_t n, int64_t d) {
    const va_mlp_params defaults = {0};
    const mlp_config c = resolve(params ? params : &defaults, n, d);
    return n < 1 || d < 1 || c.width[1] < 1 || c.width[2] < 1 || c.batch < 1 ? -1
                                                                             : mlp_device_bytes(&c);
}

va_status va_mlp_train(va_gpu *gpu, va_arena *arena, const float *X, int64_t n, int64_t d,
                       const float *labels, int64_t n_problems, const va_mlp_params *params,
                       va_mlp *mlp, float *loss) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(gpu);
    const va_mlp_params defaults = {0};
    mlp_config config = resolve(params ? params : &defaults, n, d);
    mlp_device dev = {0};
    va_buffer *x = NULL;
    int64_t at_once = 1;
    VA_TRY(check_config(ctx, &config, n_problems));
    VA_TRY(check_rows(ctx, X, n, d));
    VA_TRY(check_labels(ctx, labels, n, n_problems));
    VA_TRY(problems_at_once(gpu, &config, n_problems, &at_once));
    VA_TRY(upload_rows(gpu, &config, X, &x));
    for (int64_t p = 0; p < n_problems; p++)
        VA_TRY(init_weights(ctx, arena, &config, p, &mlp[p]));
    for (int64_t p = 0; p < n_problems; p += at_once) {
        int64_t count = VA_MIN(at_once, n_problems - p);
        mlp_device_destroy(&dev);
        VA_TRY(mlp_device_create(gpu, &config, va_buffer_all(x), p, count, labels + p * n, &mlp[p],
                                 &dev));
        VA_TRY(
            train(&dev, &mlp[p], loss ? loss + p * config.epochs * config.steps_per_epoch : NULL));
    }
done:
    mlp_device_destroy(&dev);
    va_buffer_destroy(&x);
    return st;
}
