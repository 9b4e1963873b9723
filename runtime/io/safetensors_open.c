// safetensors_open.c: opening a .safetensors file, or a model folder with or without shards.
// SPDX-License-Identifier: Apache-2.0
#include "safetensors_priv.h"

#include <stdlib.h>
#include <string.h>

void va_safetensors_close(va_safetensors **s) {
    if (!s || !*s)
        return;
    for (int64_t i = 0; i < (*s)->n_maps; i++)
        va_map_close(&(*s)->maps[i]);
    free((*s)->maps);
    va_arena_destroy(&(*s)->arena);
    free(*s);
    *s = NULL;
}

// Empty, with room for n_files maps.
static va_status create(va_ctx *ctx, int64_t n_files, va_safetensors **out) {
    va_status st = VA_OK;
    va_safetensors *s = NULL;
    VA_TRY_ALLOC(ctx, s, calloc(1, sizeof *s));
    VA_TRY_ALLOC(ctx, s->arena, va_arena_create());
    VA_TRY_ALLOC(ctx, s->maps, calloc((size_t)n_files, sizeof *s->maps));
    *out = s;
    s = NULL;
done:
    va_safetensors_close(&s);
    return st;
}

va_status va_safetensors_open(va_ctx *ctx, const char *path, va_safetensors **out) {
    va_status st = VA_OK;
    va_safetensors *s = NULL;
    char *copy;
    *out = NULL;
    VA_TRY(create(ctx, 1, &s));
    VA_TRY_ALLOC(ctx, copy, va_arena_strdup(s->arena, path));
    VA_TRY(va_safetensors_add_file(ctx, s, copy));
    VA_TRY(va_safetensors_sort(ctx, s));
    *out = s;
    s = NULL;
done:
    va_safetensors_close(&s);
    return st;
}

// A shard is a file in the folder of its index: a name that leads elsewhere is refused.
static va_status check_shard_name(va_ctx *ctx, const char *index, const va_json *entry) {
    const char *name = va_json_as_string(entry);
    if (name && *name && !strchr(name, '/') && !strchr(name, '\\') && strcmp(name, ".") != 0 &&
        !strstr(name, ".."))
        return VA_OK;
    return va_fail(
        ctx, VA_ERR_FORMAT,
        "%s: weight_map '%s': expected the name of a file in the same folder, got %s%.80s", index,
        va_json_key(entry), name ? "" : va_json_type(entry), name ? name : "");
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The distinct shard names of a weight_map, sorted; free(*names). The strings belong to the map.
static va_status shard_names(va_ctx *ctx, const char *index, const va_json *weight_map,
                             const char ***names, int64_t *n_names) {
    va_status st = VA_OK;
    int64_t n = 0, kept = 0;
    VA_TRY_ALLOC(ctx, *names, calloc((size_t)va_json_count(weight_map) + 1, sizeof **names));
    for (const va_json *v = va_json_first(weight_map); v; v = va_json_next(v)) {
        VA_TRY(check_shard_name(ctx, index, v));
        (*names)[n++] = va_json_as_string(v);
    }
    qsort(*names, (size_t)n, sizeof **names, compare_strings);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || strcmp((*names)[i], (*names)[kept - 1]) != 0)
            (*names)[kept++] = (*names)[i];
    *n_names = kept;
done:
    return st;
}

// Every tensor of the map stands in the shard that the map names.
static va_status check_weight_map(va_ctx *ctx, const char *index, const va_json *weight_map,
                                  const va_safetensors *s) {
    for (const va_json *v = va_json_first(weight_map); v; v = va_json_next(v)) {
        const char *shard = va_json_as_string(v), *name = va_json_key(v);
        const va_file_tensor *t = va_safetensors_find(s, name);
        const char *file = t ? strrchr(t->file, '/') : NULL;
        if (!t)
            return va_fail(ctx, VA_ERR_FORMAT, "%s: weight_map '%s': not in its shard %s", index,
                           name, shard);
        file = file ? file + 1 : t->file;
        if (strcmp(file, shard) != 0)
            return va_fail(ctx, VA_ERR_FORMAT, "%s: weight_map '%s': expected in %s, found in %s",
                           index, name, shard, file);
    }
    return VA_OK;
}

static va_status open_shards(va_ctx *ctx, const char *dir, const char *index,
                             va_safetensors **out) {
    va_status st = VA_OK;
    va_json *root = NULL;
    va_safetensors *s = NULL;
    const char **names = NULL;
    int64_t n = 0;
    VA_TRY(va_json_load(ctx, index, 0, &root));
    const va_json *weight_map = va_json_get(root, "weight_map");
    if (!va_json_is_object(weight_map) || va_json_count(weight_map) == 0)
        VA_TRY(va_fail(ctx, VA_ERR_FORMAT,
                       "%s: expected weight_map to be an object with tensors, got %s", index,
                       va_json_type(weight_map)));
    VA_TRY(shard_names(ctx, index, weight_map, &names, &n));
    VA_TRY(create(ctx, n, &s));
    for (int64_t i = 0; i < n; i++) {
        char *path;
        VA_TRY_ALLOC(ctx, path, va_path_join(s->arena, dir, names[i]));
        VA_TRY(va_safetensors_add_file(ctx, s, path));
    }
    VA_TRY(va_safetensors_sort(ctx, s));
    VA_TRY(check_weight_map(ctx, index, weight_map, s));
    *out = s;
    s = NULL;
done:
    va_safetensors_close(&s);
    free(names);
    va_json_free(&root);
    return st;
}

va_status va_safetensors_open_dir(va_ctx *ctx, const char *dir, va_safetensors **out) {
    va_status st = VA_OK;
    va_arena *arena = NULL;
    char *whole, *index;
    *out = NULL;
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY_ALLOC(ctx, whole, va_path_join(arena, dir, "model.safetensors"));
    VA_TRY_ALLOC(ctx, index, va_path_join(arena, dir, "model.safetensors.index.json"));
    if (va_path_exists(whole))
        VA_TRY(va_safetensors_open(ctx, whole, out));
    else if (va_path_exists(index))
        VA_TRY(open_shards(ctx, dir, index, out));
    else
        VA_TRY(va_fail(ctx, VA_ERR_FILE,
                       "%s: expected model.safetensors or model.safetensors.index.json, got %s",
                       dir, va_path_is_dir(dir) ? "neither" : "no such folder"));
done:
    va_arena_destroy(&arena);
    return st;
}
