// Where a model's tensors lie: safetensors files or a GGUF file behind one face.
// SPDX-License-Identifier: Apache-2.0
#include "model_priv.h"

// All of a model, not one part of several.
static va_status check_whole(va_ctx *ctx, const char *path, const va_gguf *g) {
    int64_t n_parts = 1;
    const va_gguf_value *v = va_gguf_get(g, "split.count");
    if (!v || (va_gguf_as_int(v, &n_parts) && n_parts <= 1))
        return VA_OK;
    return va_fail(ctx, VA_ERR_UNSUPPORTED,
                   "%s: expected a whole model, got one of %lld parts: merge them first", path,
                   (long long)n_parts);
}

va_status model_files_open(va_ctx *ctx, const char *path, bool is_gguf, model_files *files) {
    va_status st = VA_OK;
    *files = (model_files){0};
    if (!is_gguf)
        return va_safetensors_open_dir(ctx, path, &files->folder);
    VA_TRY(va_gguf_open(ctx, path, &files->gguf));
    VA_TRY(check_whole(ctx, path, files->gguf));
done:
    return st;
}

void model_files_close(model_files *files) {
    va_safetensors_close(&files->folder);
    va_gguf_close(&files->gguf);
}

int64_t model_files_count(const model_files *files) {
    return files->gguf ? va_gguf_count(files->gguf) : va_safetensors_count(files->folder);
}

const va_file_tensor *model_files_at(const model_files *files, int64_t i) {
    return files->gguf ? va_gguf_at(files->gguf, i) : va_safetensors_at(files->folder, i);
}

const va_file_tensor *model_files_find(const model_files *files, const char *name) {
    return files->gguf ? va_gguf_find(files->gguf, name) : va_safetensors_find(files->folder, name);
}
