// mlp_device.c: one training step of P networks on the GPU: seven dispatches, see shaders/probe.
// SPDX-License-Identifier: Apache-2.0
#include "mlp_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// -- memory ---------------------------------------------------------------------------------------

static int64_t dz_stride(const mlp_config *c, int l) {
    return mlp_round4(c->width[l + 1] + (l + 1 < MLP_LAYERS)); // that of the next layer's input
}

// bytes of [a, b, c] f32, -1 on overflow
static int64_t bytes_of(int64_t a, int64_t b, int64_t c) {
    int64_t n;
    if (!va_mul_i64(a, b, &n) || !va_mul_i64(n, c, &n) || !va_mul_i64(n, 4, &n))
        return -1;
    return n;
}

int64_t mlp_device_largest(const mlp_config *c, int64_t n_problems) {
    int64_t most = bytes_of(n_problems, c->n, 1);
    for (int l = 0; l < MLP_LAYERS; l++) {
        int64_t w = bytes_of(n_problems, mlp_round4(c->width[l + 1]), mlp_round4(c->width[l] + 1));
        int64_t a = bytes_of(n_problems, c->batch, mlp_round4(c->width[l + 1] + 1));
        if (most < 0 || w < 0 || a < 0)
            return -1;
        most = VA_MAX(most, VA_MAX(w, a));
    }
    return most;
}

// Buffers are padded to 256 bytes, as the device pads them.
static bool add_buffers(int64_t *sum, int64_t count, int64_t bytes) {
    return bytes >= 0 && va_mul_i64((bytes + 255) / 256 * 256, count, &bytes) &&
           va_add_i64(*sum, bytes, sum);
}

int64_t mlp_device_bytes(const mlp_config *c) {
    int64_t sum = 0;
    bool ok = add_buffers(&sum, 1, bytes_of(c->n, mlp_round4(c->d + 1), 1)) &&
              add_buffers(&sum, 3, bytes_of(c->n, 1, 1)); // rows; labels, order, losses
    for (int l = 0; ok && l < MLP_LAYERS; l++) {
        const int64_t stride = mlp_round4(c->width[l] + 1);
        ok = add_buffers(&sum, 3, bytes_of(mlp_round4(c->width[l + 1]), stride, 1)) &&
             add_buffers(&sum, l > 0, bytes_of(c->batch, stride, 1)) &&
             add_buffers(&sum, 1, bytes_of(c->batch, dz_stride(c, l), 1));
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
    int64_t rows = dev->n_problems * dev->config->batch;
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
    VA_TRY(va_buffer_create(dev->gpu, bytes_of(dev->n_problems, c->batch, dz_stride(c, l)),
                            "mlp gradients", &dev->dz[l]));
    VA_TRY(va_gpu_fill(dev->gpu, va_buffer_all(dev->dz[l]), 0));
done:
    return st;
}

va_status mlp_device_create(va_gpu *gpu, const mlp_config *config, va_slice x,
                            int64_t first_problem, int64_t n_problems, const float *labels,
                            const va_mlp *start, mlp_device *dev) {
    va_status st = VA_OK;
    *dev = (mlp_device){.gpu = gpu,
                        .config = config,
                        .n_problems = n_problems,
                        .first_problem = first_problem,
                        .x = x};
    int64_t bytes = bytes_of(n_problems, config->n, 1);
    for (int l = 0; l < MLP_LAYERS; l++)
        VA_TRY(create_layer(dev, l, start));
    VA_TRY(va_buffer_create(gpu, bytes, "mlp labels", &dev->labels));
    VA_TRY(va_buffer_create(gpu, bytes, "mlp row order", &dev->index));
    VA_TRY(va_buffer_create(gpu, bytes, "mlp losses", &dev->loss));
    VA_TRY(va_gpu_upload(gpu, va_buffer_all(dev->labels), labels));
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
    va_buffer_destroy(&dev->labels);
    va_buffer_destroy(&dev->index);
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

// -- one step -------------------------------------------------------------------------------------

// A step's place in the training.
typedef struct step_info {
    int64_t step, row0, n_rows;
    float scale; // 1 / (1 - dropout)
} step_info;

// Tiles of one kernel: what TILE_U and TILE_R of shaders/lib/mlp.glsl are in both of its forms.
typedef struct tile {
    uint32_t u, r;
} tile;
static const tile gpu_tile = {1, 2}; // many invocations rather than large tiles

// Does the device run the LANES form? lavapipe with AVX does. SwiftShader, whose subgroups are 4
// wide, keeps arrays in memory and is four times slower with it.
static bool has_lanes(const va_gpu *gpu) {
    const va_gpu_info *info = va_gpu_get_info(gpu);
    const uint32_t n = info->subgroup_size;
    return info->kind == VA_GPU_CPU && info->has_subgroup_ballot && (n == 8 || n == 16);
}

static va_kernel tiled(const va_gpu *gpu, const char *shader, const char *lanes_shader,
                       tile lanes_tile, uint32_t n_bind, uint32_t write_mask, uint32_t push_bytes) {
    const bool lanes = has_lanes(gpu);
    const uint32_t n_lanes = va_gpu_get_info(gpu)->subgroup_size;
    const tile t = lanes ? lanes_tile : gpu_tile;
    return (va_kernel){.shader = lanes ? lanes_shader : shader,
                       .n_bind = n_bind,
                       .write_mask = write_mask,
                       .push_bytes = push_bytes,
                       .n_spec = 4,
                       .spec = {lanes ? n_lanes : 64, t.u, t.r, lanes ? n_lanes : 4}};
}

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a - 1) / b + 1;
}

// units x across: the outputs of one problem, across in what TILE_R counts.
static va_status run_tiled(mlp_device *dev, const va_kernel *kernel, va_dispatch *d, int64_t units,
                           int64_t across) {
    const bool lanes = has_lanes(dev->gpu);
    const uint32_t *spec = kernel->spec;
    int64_t n_u = ceil_div(units, lanes ? spec[1] * spec[3] : 4 * spec[1]);
    int64_t n_r = ceil_div(across, lanes ? spec[2] * spec[3] : spec[2]);
    d->kernel = kernel;
    va_gpu_groups(dev->gpu, n_u * n_r, lanes ? 1 : spec[0], d->groups);
    d->groups[2] = (uint32_t)dev->n_problems;
    return va_gpu_dispatch(dev->gpu, d);
}

static va_slice all(va_buffer *buffer) {
    return va_buffer_all(buffer);
}

static va_slice input_of(const mlp_device *dev, int l) {
    return l == 0 ? dev->x : all(dev->a[l]);
}

static va_status forward(mlp_device *dev, int l, const step_info *s) {
    const mlp_config *c = dev->config;
    const mlp_layer *layer = &dev->layer[l];
    uint64_t seed = c->seed + (uint64_t)dev->first_problem;
    struct {
        uint32_t n_out, w_rows, stride, out_stride, n_rows, batch, n, row0;
        uint32_t step, layer, seed_low, seed_high, drop_below;
        float scale;
    } push = {(uint32_t)layer->n_out,
              (uint32_t)layer->rows,
              (uint32_t)layer->stride,
              (uint32_t)dev->layer[l + 1].stride,
              (uint32_t)s->n_rows,
              (uint32_t)c->batch,
              (uint32_t)c->n,
              (uint32_t)s->row0,
              (uint32_t)s->step,
              (uint32_t)l,
              (uint32_t)seed,
              (uint32_t)(seed >> 32),
              (uint32_t)(c->dropout * 0x1p32), // dropout < 1
              s->scale};
    va_kernel kernel =
        tiled(dev->gpu, l == 0 ? "probe/mlp_forward.FIRST" : "probe/mlp_forward.NEXT",
              l == 0 ? "probe/mlp_forward.FIRST_LANES" : "probe/mlp_forward.NEXT_LANES",
              (tile){4, 4}, 4, 1u << 2, sizeof push);
    va_dispatch d = {
        .bind = {all(layer->w), input_of(dev, l), all(dev->a[l + 1]), all(dev->index)},
        .push = &push,
    };
    return run_tiled(dev, &kernel, &d, layer->n_out, s->n_rows);
}

// The last layer, the losses, and the gradient of the layer before.
static va_status last_layer(mlp_device *dev, const step_info *s) {
    const mlp_config *c = dev->config;
    const mlp_layer *layer = &dev->layer[2];
    struct {
        uint32_t stride, n_rows, batch, n, row0;
        float scale;
    } push = {(uint32_t)layer->stride, (uint32_t)s->n_rows, (uint32_t)c->batch,
              (uint32_t)c->n,          (uint32_t)s->row0,   s->scale};
    va_kernel kernel = {.shader = "probe/mlp_logit",
                        .n_bind = 7,
                        .write_mask = 1u << 2 | 1u << 3 | 1u << 6,
                        .push_bytes = sizeof push,
                        .n_spec = 1,
                        .spec = {va_gpu_get_info(dev->gpu)->kind == VA_GPU_CPU ? 8 : 32}};
    va_dispatch d = {
        .kernel = &kernel,
        .bind = {all(layer->w), all(dev->a[2]), all(dev->dz[1]), all(dev->dz[2]), all(dev->labels),
                 all(dev->index), all(dev->loss)},
        .push = &push,
    };
    va_gpu_groups(dev->gpu, s->n_rows, kernel.spec[0], d.groups);
    d.groups[2] = (uint32_t)dev->n_problems;
    return va_gpu_dispatch(dev->gpu, &d);
}

// Gradient of layer l from that of layer l + 1.
static va_status backward(mlp_device *dev, int l, const step_info *s) {
    const mlp_layer *next = &dev->layer[l + 1];
    struct {
        uint32_t n_in, w_rows, stride, next_stride, n_rows, batch;
        float scale;
    } push = {(uint32_t)next->n_in,
              (uint32_t)next->rows,
              (uint32_t)next->stride,
              (uint32_t)dz_stride(dev->config, l + 1),
              (uint32_t)s->n_rows,
              (uint32_t)dev->config->batch,
              s->scale};
    va_kernel kernel = tiled(dev->gpu, "probe/mlp_backward.TILES", "probe/mlp_backward.LANES",
                             (tile){4, 4}, 4, 1u << 3, sizeof push);
    va_dispatch d = {
        .bind = {all(next->w), all(dev->dz[l + 1]), all(dev->a[l + 1]), all(dev->dz[l])},
        .push = &push,
    };
    return run_tiled(dev, &kernel, &d, next->n_in, s->n_rows);
}

// Gradient of layer l's weights and their AdamW step.
static va_status update(mlp_device *dev, int l, const step_info *s) {
    const mlp_config *c = dev->config;
    const mlp_layer *layer = &dev->layer[l];
    const double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, t = (double)s->step + 1;
    struct {
        uint32_t n_out, w_rows, stride, dz_stride, n_rows, batch, n, row0;
        float keep, step_size, inv_sqrt_correction;
        float beta1, beta2, one_minus_beta1, one_minus_beta2, eps;
    } push = {(uint32_t)layer->n_out,
              (uint32_t)layer->rows,
              (uint32_t)layer->stride,
              (uint32_t)dz_stride(c, l),
              (uint32_t)s->n_rows,
              (uint32_t)c->batch,
              (uint32_t)c->n,
              (uint32_t)s->row0,
              (float)(1 - c->learning_rate * c->weight_decay),
              (float)(c->learning_rate / (1 - pow(beta1, t))),
              (float)(1 / sqrt(1 - pow(beta2, t))),
              (float)beta1,
              (float)beta2,
              (float)(1 - beta1),
              (float)(1 - beta2),
              (float)eps};
    va_kernel kernel =
        tiled(dev->gpu, l == 0 ? "probe/mlp_update.FIRST" : "probe/mlp_update.NEXT",
              l == 0 ? "probe/mlp_update.FIRST_LANES" : "probe/mlp_update.NEXT_LANES", (tile){4, 1},
              6, 7, sizeof push);
    va_dispatch d = {
        .bind = {all(layer->w), all(layer->m), all(layer->v), all(dev->dz[l]), input_of(dev, l),
                 all(dev->index)},
        .push = &push,
    };
    return run_tiled(dev, &kernel, &d, layer->n_out, layer->stride / 4);
}

va_status mlp_device_step(mlp_device *dev, int64_t step, int64_t row0, int64_t n_rows) {
    va_status st = VA_OK;
    const step_info s = {.step = step,
                         .row0 = row0,
                         .n_rows = n_rows,
                         .scale = (float)(1 / (1 - dev->config->dropout))};
    VA_TRY(forward(dev, 0, &s));
    VA_TRY(forward(dev, 1, &s));
    VA_TRY(last_layer(dev, &s));
    VA_TRY(backward(dev, 0, &s));
    for (int l = MLP_LAYERS - 1; l >= 0; l--) // all gradients are there: the order is free
        VA_TRY(update(dev, l, &s));
done:
    return st;
}
