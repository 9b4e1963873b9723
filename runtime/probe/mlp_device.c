// mlp_device.c: P networks on the GPU: their buffers, weights there and back.
// SPDX-License-Identifier: Apache-2.0
#include "mlp_priv.h"

#include <stdlib.h>
#include <string.h>

// bytes of [a, b, c] f32, -1 on overflow
static int64_t bytes_of(int64_t a, int64_t b, int64_t c) {
    int64_t n;
    if (!va_mul_i64(a, b, &n) || !va_mul_i64(n, c, &n) || !va_mul_i64(n, 4, &n))
        return -1;
    return n;
}

int64_t mlp_device_largest(const mlp_config *c, int64_t n, int64_t n_problems) {
    int64_t rows = bytes_of(n_problems, n, 1);
    int64_t most = bytes_of(n_problems, mlp_steps_per_epoch(c, n), sizeof(mlp_step) / 4);
    bool ok = rows >= 0 && most >= 0;
    most = VA_MAX(most, rows);
    for (int l = 0; ok && l < MLP_LAYERS; l++) {
        int64_t w = bytes_of(n_problems, mlp_round4(c->width[l + 1]), mlp_round4(c->width[l] + 1));
        int64_t a = bytes_of(n_problems, mlp_batch(c, n), mlp_round4(c->width[l + 1] + 1));
        ok = w >= 0 && a >= 0;
        most = VA_MAX(most, VA_MAX(w, a));
    }
    return ok ? most : -1;
}

// Buffers are padded to 256 bytes, as the device pads them.
static bool add_buffers(int64_t *sum, int64_t count, int64_t bytes) {
    return bytes >= 0 && va_mul_i64((bytes + 255) / 256 * 256, count, &bytes) &&
           va_add_i64(*sum, bytes, sum);
}

int64_t mlp_device_bytes(const mlp_config *c, int64_t n) {
    int64_t sum = 0, batch = mlp_batch(c, n);
    bool ok = add_buffers(&sum, 2, bytes_of(n, 1, 1)) && // entries, losses
              add_buffers(&sum, 1, bytes_of(mlp_steps_per_epoch(c, n), sizeof(mlp_step) / 4, 1));
    for (int l = 0; ok && l < MLP_LAYERS; l++) {
        const int64_t stride = mlp_round4(c->width[l] + 1);
        ok = add_buffers(&sum, 3, bytes_of(mlp_round4(c->width[l + 1]), stride, 1)) &&
             add_buffers(&sum, l > 0, bytes_of(batch, stride, 1)) &&
             add_buffers(&sum, 1, bytes_of(batch, mlp_dz_stride(c, l), 1));
    }
    return ok ? sum : -1;
}

// Host weights to the device's layout.
static void pack(const mlp_layer *layer, mlp_host_layer host, float *dst) {
    for (int64_t o = 0; o < layer->n_out; o++) {
        float *row = dst + o * layer->stride;
        memcpy(row, host.w + o * layer->n_in, (size_t)layer->n_in * sizeof *row);
        row[layer->n_in] = host.b[o];
    }
}

static void unpack(const mlp_layer *layer, const float *src, mlp_host_layer host) {
    for (int64_t o = 0; o < layer->n_out; o++) {
        const float *row = src + o * layer->stride;
        memcpy(host.w + o * layer->n_in, row, (size_t)layer->n_in * sizeof *row);
        host.b[o] = row[layer->n_in];
    }
}

static va_status create_weights(mlp_device *dev, int l, const va_mlp *start) {
    va_status st = VA_OK;
    mlp_layer *layer = &dev->layer[l];
    float *host = NULL;
    int64_t size = layer->rows * layer->stride, bytes = bytes_of(dev->n_problems, size, 1);
    VA_TRY_ALLOC(va_gpu_ctx(dev->gpu), host, calloc((size_t)bytes, 1));
    for (int64_t p = 0; p < dev->n_problems; p++)
        pack(layer, mlp_layer_of(&start[p], l), host + p * size);
    VA_TRY(va_buffer_create(dev->gpu, bytes, "mlp weights", &layer->w));
    VA_TRY(va_buffer_create(dev->gpu, bytes, "mlp first moments", &layer->m));
    VA_TRY(va_buffer_create(dev->gpu, bytes, "mlp second moments", &layer->v));
    VA_TRY(va_gpu_upload(dev->gpu, va_buffer_all(layer->w), host));
    VA_TRY(va_gpu_fill(dev->gpu, va_buffer_all(layer->m), 0));
    VA_TRY(va_gpu_fill(dev->gpu, va_buffer_all(layer->v), 0));
done:
    free(host);
    return st;
}

// Input of layer l > 0: ones in the bias's column, zeros elsewhere.
static va_status create_activations(mlp_device *dev, int l) {
    va_status st = VA_OK;
    const mlp_layer *layer = &dev->layer[l];
    float *host = NULL;
    int64_t rows = dev->n_problems * dev->batch;
    int64_t bytes = bytes_of(rows, layer->stride, 1);
    VA_TRY_ALLOC(va_gpu_ctx(dev->gpu), host, calloc((size_t)bytes, 1));
    for (int64_t r = 0; r < rows; r++)
        host[r * layer->stride + layer->n_in] = 1;
    VA_TRY(va_buffer_create(dev->gpu, bytes, "mlp activations", &dev->a[l]));
    VA_TRY(va_gpu_upload(dev->gpu, va_buffer_all(dev->a[l]), host));
done:
    free(host);
    return st;
}

static va_status create_layer(mlp_device *dev, int l, const va_mlp *start) {
    va_status st = VA_OK;
    const mlp_config *c = dev->config;
    dev->layer[l] = (mlp_layer){.n_in = c->width[l],
                                .n_out = c->width[l + 1],
                                .rows = mlp_round4(c->width[l + 1]),
                                .stride = mlp_round4(c->width[l] + 1)};
    VA_TRY(create_weights(dev, l, start));
    if (l > 0)
        VA_TRY(create_activations(dev, l));
    VA_TRY(va_buffer_create(dev->gpu, bytes_of(dev->n_problems, dev->batch, mlp_dz_stride(c, l)),
                            "mlp gradients", &dev->dz[l]));
    VA_TRY(va_gpu_fill(dev->gpu, va_buffer_all(dev->dz[l]), 0));
done:
    return st;
}

va_status mlp_device_create(va_gpu *gpu, const mlp_config *config, va_slice x,
                            const va_fit_problem *problems, int64_t n_problems, const va_mlp *start,
                            mlp_device *dev) {
    va_status st = VA_OK;
    *dev = (mlp_device){
        .gpu = gpu, .config = config, .problems = problems, .n_problems = n_problems, .x = x};
    for (int64_t p = 0; p < n_problems; p++) {
        dev->n_entries += problems[p].n;
        dev->batch = VA_MAX(dev->batch, mlp_batch(config, problems[p].n));
        dev->n_steps = VA_MAX(dev->n_steps, mlp_steps_per_epoch(config, problems[p].n));
    }
    for (int l = 0; l < MLP_LAYERS; l++)
        VA_TRY(create_layer(dev, l, start));
    VA_TRY(va_buffer_create(gpu, bytes_of(dev->n_entries, 1, 1), "mlp entries", &dev->entries));
    VA_TRY(va_buffer_create(gpu, bytes_of(dev->n_steps, n_problems, sizeof(mlp_step) / 4),
                            "mlp steps", &dev->steps));
    VA_TRY(va_buffer_create(gpu, bytes_of(dev->n_entries, 1, 1), "mlp losses", &dev->loss));
done:
    return st;
}

void mlp_device_destroy(mlp_device *dev) {
    for (int l = 0; l < MLP_LAYERS; l++) {
        va_buffer_destroy(&dev->layer[l].w);
        va_buffer_destroy(&dev->layer[l].m);
        va_buffer_destroy(&dev->layer[l].v);
        va_buffer_destroy(&dev->a[l]);
        va_buffer_destroy(&dev->dz[l]);
    }
    va_buffer_destroy(&dev->entries);
    va_buffer_destroy(&dev->steps);
    va_buffer_destroy(&dev->loss);
}

va_status mlp_device_read(mlp_device *dev, va_mlp *mlp) {
    va_status st = VA_OK;
    float *host = NULL;
    for (int l = 0; l < MLP_LAYERS; l++) {
        const mlp_layer *layer = &dev->layer[l];
        free(host);
        VA_TRY_ALLOC(va_gpu_ctx(dev->gpu), host, malloc((size_t)va_buffer_size(layer->w)));
        VA_TRY(va_gpu_download(dev->gpu, va_buffer_all(layer->w), host));
        for (int64_t p = 0; p < dev->n_problems; p++)
            unpack(layer, host + p * layer->rows * layer->stride, mlp_layer_of(&mlp[p], l));
    }
done:
    free(host);
    return st;
}
