// gpu_facts.c: what was found out about a device, by key, kept on disk.
//
// A text file, one "key value" a line, beside the pipeline cache and keyed as that is: a new driver
// or a new shader starts with none. It is written whole at each new fact, of which there are few,
// with what other processes have written since it was read.
// SPDX-License-Identifier: Apache-2.0
#include "gpu_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gpu_fact *find(const va_gpu *gpu, const char *key) {
    for (int64_t i = 0; i < gpu->n_facts; i++)
        if (!strcmp(gpu->facts[i].key, key))
            return &gpu->facts[i];
    return NULL;
}

static va_status put(va_gpu *gpu, const char *key, int64_t value) {
    va_status st = VA_OK;
    gpu_fact *f = find(gpu, key);
    if (!f) {
        gpu_fact *grown;
        VA_TRY_ALLOC(gpu->ctx, grown,
                     realloc(gpu->facts, (size_t)(gpu->n_facts + 1) * sizeof *grown));
        gpu->facts = grown;
        f = &gpu->facts[gpu->n_facts];
        *f = (gpu_fact){0};
        VA_TRY_ALLOC(gpu->ctx, f->key, strdup(key));
        gpu->n_facts++;
    }
    f->value = value;
done:
    return st;
}

bool va_gpu_recall(const va_gpu *gpu, const char *key, int64_t *value) {
    const gpu_fact *f = find(gpu, key);
    if (f)
        *value = f->value;
    return f != NULL;
}

// Takes the file's facts, but for those that this process found out itself. A file that is not
// whole lines of ours is of no use from there on: what it says is found out again.
static va_status read_facts(va_gpu *gpu, bool warn) {
    va_status st = VA_OK;
    char line[256], key[200];
    int64_t value;
    int end;
    FILE *f = gpu->facts_path ? fopen(gpu->facts_path, "r") : NULL;
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%199s %" SCNd64 "%n", key, &value, &end) != 2 || line[end] != '\n') {
            va_log(gpu->ctx, warn ? VA_LOG_WARN : VA_LOG_DEBUG,
                   "%s is ignored from here on: \"%.40s\"", gpu->facts_path, line);
            break;
        }
        const gpu_fact *known = find(gpu, key);
        if (!known || !known->own)
            VA_TRY(put(gpu, key, value));
    }
done:
    if (f)
        fclose(f);
    return st;
}

va_status va_gpu_remember(va_gpu *gpu, const char *key, int64_t value) {
    va_status st = VA_OK;
    va_strbuf text = {0};
    assert(key[0] && !strpbrk(key, " \n"));
    VA_TRY(put(gpu, key, value));
    find(gpu, key)->own = true;
    if (!gpu->facts_path)
        return VA_OK;
    VA_TRY(read_facts(gpu, false));
    for (int64_t i = 0; i < gpu->n_facts; i++)
        va_strbuf_printf(&text, "%s %" PRId64 "\n", gpu->facts[i].key, gpu->facts[i].value);
    if (!text.failed)
        gpu_cache_write(gpu, gpu->facts_path, "", 0, text.data, (size_t)text.len);
done:
    va_strbuf_free(&text);
    return st;
}

va_status gpu_facts_open(va_gpu *gpu, const char *dir) {
    gpu->facts_path = gpu_cache_path(gpu, dir, "facts", "txt");
    return read_facts(gpu, true);
}

void gpu_facts_close(va_gpu *gpu) {
    for (int64_t i = 0; i < gpu->n_facts; i++)
        free(gpu->facts[i].key);
    free(gpu->facts);
    free(gpu->facts_path);
}
