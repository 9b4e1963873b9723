// mlp_step.c: one training step of P networks on the GPU: seven dispatches, see shaders/probe.
// SPDX-License-Identifier: Apache-2.0
#include "mlp_priv.h"

// A step's place in the epoch.
typedef struct step_info {
    int64_t first;  // of the problems' mlp_step
    int64_t n_rows; // of the largest batch
    float scale;    // 1 / (1 - dropout)
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
    struct {
        uint32_t n_out, w_rows, stride, out_stride, batch, first_step, layer, drop_below;
        float scale;
    } push = {(uint32_t)layer->n_out,
              (uint32_t)layer->rows,
              (uint32_t)layer->stride,
              (uint32_t)dev->layer[l + 1].stride,
              (uint32_t)dev->batch,
              (uint32_t)s->first,
              (uint32_t)l,
              (uint32_t)(c->dropout * 0x1p32), // dropout < 1
              s->scale};
    va_kernel kernel =
        tiled(dev->gpu, l == 0 ? "probe/mlp_forward.FIRST" : "probe/mlp_forward.NEXT",
              l == 0 ? "probe/mlp_forward.FIRST_LANES" : "probe/mlp_forward.NEXT_LANES",
              (tile){4, 4}, 5, 1u << 2, sizeof push);
    va_dispatch d = {
        .bind = {all(layer->w), input_of(dev, l), all(dev->a[l + 1]), all(dev->entries),
                 all(dev->steps)},
        .push = &push,
    };
    return run_tiled(dev, &kernel, &d, layer->n_out, s->n_rows);
}

// The last layer, the losses, and the gradient of the layer before.
static va_status last_layer(mlp_device *dev, const step_info *s) {
    const mlp_layer *layer = &dev->layer[2];
    struct {
        uint32_t stride, batch, first_step;
        float scale;
    } push = {(uint32_t)layer->stride, (uint32_t)dev->batch, (uint32_t)s->first, s->scale};
    va_kernel kernel = {.shader = "probe/mlp_logit",
                        .n_bind = 7,
                        .write_mask = 1u << 2 | 1u << 3 | 1u << 6,
                        .push_bytes = sizeof push,
                        .n_spec = 1,
                        .spec = {va_gpu_get_info(dev->gpu)->kind == VA_GPU_CPU ? 8 : 32}};
    va_dispatch d = {
        .kernel = &kernel,
        .bind = {all(layer->w), all(dev->a[2]), all(dev->dz[1]), all(dev->dz[2]), all(dev->entries),
                 all(dev->steps), all(dev->loss)},
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
        uint32_t n_in, w_rows, stride, next_stride, batch, first_step;
        float scale;
    } push = {(uint32_t)next->n_in,
              (uint32_t)next->rows,
              (uint32_t)next->stride,
              (uint32_t)mlp_dz_stride(dev->config, l + 1),
              (uint32_t)dev->batch,
              (uint32_t)s->first,
              s->scale};
    va_kernel kernel = tiled(dev->gpu, "probe/mlp_backward.TILES", "probe/mlp_backward.LANES",
                             (tile){4, 4}, 5, 1u << 3, sizeof push);
    va_dispatch d = {
        .bind = {all(next->w), all(dev->dz[l + 1]), all(dev->a[l + 1]), all(dev->dz[l]),
                 all(dev->steps)},
        .push = &push,
    };
    return run_tiled(dev, &kernel, &d, next->n_in, s->n_rows);
}

// Gradient of layer l's weights and their AdamW step.
static va_status update(mlp_device *dev, int l, const step_info *s) {
    const mlp_config *c = dev->config;
    const mlp_layer *layer = &dev->layer[l];
    struct {
        uint32_t n_out, w_rows, stride, dz_stride, batch, first_step;
        float keep;
        float beta1, beta2, one_minus_beta1, one_minus_beta2, eps;
    } push = {(uint32_t)layer->n_out,
              (uint32_t)layer->rows,
              (uint32_t)layer->stride,
              (uint32_t)mlp_dz_stride(c, l),
              (uint32_t)dev->batch,
              (uint32_t)s->first,
              (float)(1 - c->learning_rate * c->weight_decay),
              (float)MLP_BETA1,
              (float)MLP_BETA2,
              (float)(1 - MLP_BETA1),
              (float)(1 - MLP_BETA2),
              (float)1e-8};
    va_kernel kernel =
        tiled(dev->gpu, l == 0 ? "probe/mlp_update.FIRST" : "probe/mlp_update.NEXT",
              l == 0 ? "probe/mlp_update.FIRST_LANES" : "probe/mlp_update.NEXT_LANES", (tile){4, 1},
              7, 7, sizeof push);
    va_dispatch d = {
        .bind = {all(layer->w), all(layer->m), all(layer->v), all(dev->dz[l]), input_of(dev, l),
                 all(dev->entries), all(dev->steps)},
        .push = &push,
    };
    return run_tiled(dev, &kernel, &d, layer->n_out, layer->stride / 4);
}

va_status mlp_device_step(mlp_device *dev, int64_t b, int64_t n_rows) {
    va_status st = VA_OK;
    const step_info s = {.first = b * dev->n_problems,
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
