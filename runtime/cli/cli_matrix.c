// A matrix in a file: .npy, a tensor of a safetensors file, or Matrix Market.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <math.h>
#include <string.h>

static va_status take_shape(va_cli *cli, const char *name, int n_dim, const int64_t *shape,
                            va_cli_matrix *A) {
    if (n_dim != 2 || shape[0] < 1 || shape[1] < 1)
        return va_fail(cli->ctx, VA_ERR_SHAPE,
                       "%s: expected a matrix (2 dimensions, not empty), got %d dimensions%s", name,
                       n_dim, n_dim == 2 ? ", one of them empty" : "");
    A->m = shape[0], A->n = shape[1];
    return VA_OK;
}

static va_status load_tensor(va_cli *cli, const char *spec, const char *colon, va_cli_matrix *A) {
    va_status st = VA_OK;
    va_safetensors *file = NULL;
    const char *path;
    VA_TRY_ALLOC(cli->ctx, path, va_arena_strndup(cli->arena, spec, colon - spec));
    VA_TRY(va_safetensors_open(cli->ctx, path, &file));
    const va_file_tensor *t = va_safetensors_find(file, colon + 1);
    if (!t)
        VA_TRY(va_fail(cli->ctx, VA_ERR_FORMAT, "%s holds no tensor '%s'", path, colon + 1));
    VA_TRY(take_shape(cli, spec, t->n_dim, t->shape, A));
    if (t->dtype != VA_F32 && t->dtype != VA_F16 && t->dtype != VA_BF16 && t->dtype != VA_F64)
        VA_TRY(va_fail(cli->ctx, VA_ERR_SHAPE, "%s: expected floats, got %s", spec,
                       va_dtype_name(t->dtype)));
    VA_TRY_ALLOC(cli->ctx, A->data, VA_NEW_ARRAY(cli->arena, float, t->n_elem));
    va_convert_to_f32(A->data, t->data, t->dtype, t->n_elem);
done:
    va_safetensors_close(&file);
    return st;
}

static va_status load_npy(va_cli *cli, const char *path, va_cli_matrix *A) {
    va_status st = VA_OK;
    int n_dim;
    int64_t shape[VA_MAX_DIM];
    VA_TRY(va_npy_load(cli->ctx, cli->arena, path, &n_dim, shape, &A->data));
    VA_TRY(take_shape(cli, path, n_dim, shape, A));
done:
    return st;
}

static bool ends_in(const char *text, const char *suffix) {
    const size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

va_status va_cli_load_matrix(va_cli *cli, const char *spec, va_cli_matrix *A) {
    static const char suffix[] = ".safetensors:";
    va_status st = VA_OK;
    const char *at = strstr(spec, suffix);
    if (at)
        VA_TRY(load_tensor(cli, spec, at + sizeof suffix - 2, A));
    else if (ends_in(spec, ".npy"))
        VA_TRY(load_npy(cli, spec, A));
    else if (ends_in(spec, ".mtx"))
        VA_TRY(va_mtx_load(cli->ctx, cli->arena, spec, &A->m, &A->n, &A->data));
    else
        VA_TRY(va_fail(cli->ctx, VA_ERR_USAGE,
                       "--matrix: expected FILE.npy, FILE.mtx or FILE.safetensors:NAME, got '%s'",
                       spec));
    for (int64_t i = 0; i < A->m * A->n; i++)
        if (!isfinite(A->data[i]))
            VA_TRY(va_fail(cli->ctx, VA_ERR_NUMERIC, "%s holds NaN or infinity at [%lld, %lld]",
                           spec, (long long)(i / A->n), (long long)(i % A->n)));
done:
    return st;
}
