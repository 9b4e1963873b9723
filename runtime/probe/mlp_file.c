// mlp_file.c: multilayer perceptrons as safetensors files, in torch's names and shapes; reading
// also PyTorch checkpoints of the same.
// SPDX-License-Identifier: Apache-2.0
#include "mlp_priv.h"

#include "vkalign/pt.h"

#include <stdio.h>
#include <string.h>

// Place in the torch.nn.Sequential of the header.
static const char *const weight_name[MLP_LAYERS] = {"0.weight", "3.weight", "6.weight"};
static const char *const bias_name[MLP_LAYERS] = {"0.bias", "3.bias", "6.bias"};

static_assert(VA_MLP_TENSORS == 2 * MLP_LAYERS, "a weight and a bias each");

void va_mlp_tensors(const va_mlp *mlp, va_file_tensor out[VA_MLP_TENSORS]) {
    const int64_t width[] = {mlp->d, mlp->h1, mlp->h2, 1};
    for (int l = 0; l < MLP_LAYERS; l++) {
        mlp_host_layer layer = mlp_layer_of(mlp, l);
        out[2 * l] = (va_file_tensor){.name = weight_name[l],
                                      .dtype = VA_F32,
                                      .n_dim = 2,
                                      .shape = {width[l + 1], width[l]},
                                      .data = layer.w};
        out[2 * l + 1] = (va_file_tensor){.name = bias_name[l],
                                          .dtype = VA_F32,
                                          .n_dim = 1,
                                          .shape = {width[l + 1]},
                                          .data = layer.b};
    }
}

va_status va_mlp_save(va_ctx *ctx, const char *path, const va_mlp *mlp) {
    va_status st = VA_OK;
    const char *const meta[][2] = {{"format", "pt"}};
    va_file_tensor t[VA_MLP_TENSORS];
    VA_TRY(mlp_check_finite(ctx, path, mlp));
    va_mlp_tensors(mlp, t);
    VA_TRY(va_safetensors_write(ctx, path, t, VA_COUNT(t), meta, VA_COUNT(meta)));
done:
    return st;
}

// -- reading -----------------------------------------------------------------------------------

// Where the six tensors come from: a safetensors file, or a dict of a PyTorch checkpoint.
typedef struct source {
    va_ctx *ctx;
    const char *path;
    const char *prefix; // of the names
    va_safetensors *file;
    va_pt *pt;
    const va_pt_value *dict;
    va_arena *scratch;
} source;

static bool is_checkpoint(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".pt") == 0 || strcmp(dot, ".pth") == 0);
}

// false when there is no entry of that name.
static bool has(const source *s, const char *name) {
    return s->pt ? va_pt_get(s->dict, name) != NULL : va_safetensors_find(s->file, name) != NULL;
}

static va_status open_source(source *s) {
    va_status st = VA_OK;
    if (is_checkpoint(s->path)) {
        VA_TRY_ALLOC(s->ctx, s->scratch, va_arena_create());
        VA_TRY(va_pt_open(s->ctx, s->path, &s->pt));
        const va_pt_value *root = va_pt_root(s->pt), *nested = va_pt_get(root, "model_state_dict");
        s->dict = nested ? nested : root;
        if (va_pt_value_kind(s->dict) != VA_PT_DICT)
            return va_fail(s->ctx, VA_ERR_FORMAT, "%s: not a classifier: expected a dict, got %s",
                           s->path, va_pt_type_text(s->dict));
    } else {
        VA_TRY(va_safetensors_open(s->ctx, s->path, &s->file));
    }
    // A module that keeps the Sequential as its member net.
    s->prefix = !has(s, "0.weight") && has(s, "net.0.weight") ? "net." : "";
done:
    return st;
}

static void close_source(source *s) {
    va_safetensors_close(&s->file);
    va_pt_close(&s->pt);
    va_arena_destroy(&s->scratch);
}

// Other layers than the six tensors' would be left out silently.
static va_status check_no_more(const source *s) {
    const int64_t n = s->pt ? va_pt_count(s->dict) : va_safetensors_count(s->file);
    for (int64_t i = 0; i < n; i++) {
        const char *name =
            s->pt ? va_pt_as_string(va_pt_key_at(s->dict, i)) : va_safetensors_at(s->file, i)->name;
        bool known = false;
        for (int l = 0; name && l < MLP_LAYERS; l++) {
            const size_t n_prefix = strlen(s->prefix);
            known = known || (strncmp(name, s->prefix, n_prefix) == 0 &&
                              (strcmp(name + n_prefix, weight_name[l]) == 0 ||
                               strcmp(name + n_prefix, bias_name[l]) == 0));
        }
        if (!known)
            return va_fail(s->ctx, VA_ERR_UNSUPPORTED,
                           "%s: not a classifier of three linear layers: an entry \"%.80s\"",
                           s->path, name ? name : "that is no name");
    }
    return VA_OK;
}

// n_dim dimensions; shape < 0: any of at least 1.
static va_status find(const source *s, const char *suffix, int n_dim, const int64_t *shape,
                      va_file_tensor *t) {
    va_status st = VA_OK;
    va_ctx *ctx = s->ctx;
    char name[32];
    snprintf(name, sizeof name, "%s%s", s->prefix, suffix);
    if (!has(s, name))
        return va_fail(ctx, VA_ERR_FORMAT, "%s: not a classifier: no tensor \"%s\"", s->path, name);
    if (s->pt)
        VA_TRY(va_pt_tensor(ctx, s->scratch, s->pt, va_pt_get(s->dict, name), suffix, t));
    else
        *t = *va_safetensors_find(s->file, name);
    if (t->dtype != VA_F32 && t->dtype != VA_F64 && t->dtype != VA_F16 && t->dtype != VA_BF16)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: expected floats, got %s", s->path, name,
                       va_dtype_name(t->dtype));
    if (t->n_dim != n_dim)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: expected %d dimensions, got %d", s->path, name,
                       n_dim, t->n_dim);
    for (int i = 0; i < n_dim; i++)
        if (shape[i] < 0 ? t->shape[i] < 1 : t->shape[i] != shape[i])
            return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: dimension %d: expected %lld, got %lld",
                           s->path, name, i, (long long)VA_MAX(shape[i], 1),
                           (long long)t->shape[i]);
done:
    return st;
}

va_status va_mlp_load(va_ctx *ctx, va_arena *arena, const char *path, va_mlp *mlp) {
    va_status st = VA_OK;
    source s = {.ctx = ctx, .path = path};
    va_file_tensor w[MLP_LAYERS], b[MLP_LAYERS];
    int64_t n_in = -1;
    VA_TRY(open_source(&s));
    for (int l = 0; l < MLP_LAYERS; l++) {
        const int64_t shape[] = {l == MLP_LAYERS - 1 ? 1 : -1, n_in};
        VA_TRY(find(&s, weight_name[l], 2, shape, &w[l]));
        VA_TRY(find(&s, bias_name[l], 1, &w[l].shape[0], &b[l]));
        n_in = w[l].shape[0];
    }
    VA_TRY(check_no_more(&s));
    VA_TRY(mlp_alloc(ctx, arena, w[0].shape[1], w[0].shape[0], w[1].shape[0], mlp));
    for (int l = 0; l < MLP_LAYERS; l++) {
        mlp_host_layer layer = mlp_layer_of(mlp, l);
        va_convert_to_f32(layer.w, w[l].data, w[l].dtype, w[l].n_elem);
        va_convert_to_f32(layer.b, b[l].data, b[l].dtype, b[l].n_elem);
    }
    VA_TRY(mlp_check_finite(ctx, path, mlp));
done:
    close_source(&s);
    return st;
}
