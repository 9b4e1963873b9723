// mlp_file.c: multilayer perceptrons as safetensors files, in torch's names and shapes.
// SPDX-License-Identifier: Apache-2.0
#include "mlp_priv.h"

#include <math.h>

// Place in the torch.nn.Sequential of the header.
static const char *const weight_name[MLP_LAYERS] = {"0.weight", "3.weight", "6.weight"};
static const char *const bias_name[MLP_LAYERS] = {"0.bias", "3.bias", "6.bias"};

va_status va_mlp_save(va_ctx *ctx, const char *path, const va_mlp *mlp) {
    va_status st = VA_OK;
    const int64_t width[] = {mlp->d, mlp->h1, mlp->h2, 1};
    const char *const meta[][2] = {{"format", "pt"}};
    va_file_tensor entry[2 * MLP_LAYERS];
    VA_TRY(mlp_check_finite(ctx, path, mlp));
    for (int l = 0; l < MLP_LAYERS; l++) {
        mlp_host_layer layer = mlp_layer_of(mlp, l);
        entry[2 * l] = (va_file_tensor){.name = weight_name[l],
                                        .dtype = VA_F32,
                                        .n_dim = 2,
                                        .shape = {width[l + 1], width[l]},
                                        .data = layer.w};
        entry[2 * l + 1] = (va_file_tensor){.name = bias_name[l],
                                            .dtype = VA_F32,
                                            .n_dim = 1,
                                            .shape = {width[l + 1]},
                                            .data = layer.b};
    }
    VA_TRY(va_safetensors_write(ctx, path, entry, VA_COUNT(entry), meta, VA_COUNT(meta)));
done:
    return st;
}

// n_dim dimensions; shape < 0: any of at least 1.
static va_status find(va_ctx *ctx, const char *path, const va_safetensors *file, const char *name,
                      int n_dim, const int64_t *shape, const va_file_tensor **found) {
    const va_file_tensor *t = *found = va_safetensors_find(file, name);
    if (!t)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: not a classifier: no tensor \"%s\"", path, name);
    if (t->dtype != VA_F32 && t->dtype != VA_F64 && t->dtype != VA_F16 && t->dtype != VA_BF16)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: expected floats, got %s", path, name,
                       va_dtype_name(t->dtype));
    if (t->n_dim != n_dim)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: expected %d dimensions, got %d", path, name,
                       n_dim, t->n_dim);
    for (int i = 0; i < n_dim; i++)
        if (shape[i] < 0 ? t->shape[i] < 1 : t->shape[i] != shape[i])
            return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: dimension %d: expected %lld, got %lld", path,
                           name, i, (long long)VA_MAX(shape[i], 1), (long long)t->shape[i]);
    return VA_OK;
}

va_status va_mlp_load(va_ctx *ctx, va_arena *arena, const char *path, va_mlp *mlp) {
    va_status st = VA_OK;
    va_safetensors *file = NULL;
    const va_file_tensor *w[MLP_LAYERS], *b[MLP_LAYERS];
    int64_t n_in = -1;
    VA_TRY(va_safetensors_open(ctx, path, &file));
    for (int l = 0; l < MLP_LAYERS; l++) {
        const int64_t shape[] = {l == MLP_LAYERS - 1 ? 1 : -1, n_in};
        VA_TRY(find(ctx, path, file, weight_name[l], 2, shape, &w[l]));
        VA_TRY(find(ctx, path, file, bias_name[l], 1, &w[l]->shape[0], &b[l]));
        n_in = w[l]->shape[0];
    }
    VA_TRY(mlp_alloc(ctx, arena, w[0]->shape[1], w[0]->shape[0], w[1]->shape[0], mlp));
    for (int l = 0; l < MLP_LAYERS; l++) {
        mlp_host_layer layer = mlp_layer_of(mlp, l);
        va_convert_to_f32(layer.w, w[l]->data, w[l]->dtype, w[l]->n_elem);
        va_convert_to_f32(layer.b, b[l]->data, b[l]->dtype, b[l]->n_elem);
    }
    VA_TRY(mlp_check_finite(ctx, path, mlp));
done:
    va_safetensors_close(&file);
    return st;
}
