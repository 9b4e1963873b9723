// control_vector.c: control vectors in GGUF files, as llama.cpp's --control-vector reads them.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include "vkalign/direction.h"
#include "vkalign/gguf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    int64_t layer;
    const va_file_tensor *tensor;
} entry;

// N of "direction.N", digits alone, no leading zero; -1 for other names.
static int64_t layer_of(const char *name) {
    static const char prefix[] = "direction.";
    const size_t n = sizeof prefix - 1;
    if (strncmp(name, prefix, n) != 0)
        return -1;
    const char *digits = name + n;
    const size_t n_digits = strspn(digits, "0123456789");
    if (n_digits < 1 || n_digits > 9 || digits[n_digits] || (n_digits > 1 && *digits == '0'))
        return -1;
    return strtol(digits, NULL, 10);
}

static int compare_layers(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return (x->layer > y->layer) - (x->layer < y->layer);
}

static va_status check_architecture(va_ctx *ctx, const char *path, const va_gguf *g) {
    const char *arch = va_gguf_as_string(va_gguf_get(g, "general.architecture"));
    if (!arch || strcmp(arch, "controlvector") != 0)
        return va_fail(ctx, VA_ERR_FORMAT,
                       "%s: expected a control vector (general.architecture controlvector), got "
                       "%.80s",
                       path, arch ? arch : "no architecture");
    if (va_gguf_count(g) == 0)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: a control vector without directions", path);
    return VA_OK;
}

static va_status check_tensor(va_ctx *ctx, const char *path, const entry *e, int64_t d) {
    const va_file_tensor *t = e->tensor;
    if (e->layer < 0)
        return va_fail(ctx, VA_ERR_FORMAT, "%s: tensor '%.80s': expected direction.LAYER", path,
                       t->name);
    if (t->dtype != VA_F32 || t->n_dim != 1)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: expected F32 of 1 dimension, got %s of %d", path,
                       t->name, va_dtype_name(t->dtype), t->n_dim);
    if (t->n_elem != d || d < 1)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %s: expected %lld elements, as the others, got %lld",
                       path, t->name, (long long)VA_MAX(d, 1), (long long)t->n_elem);
    return VA_OK;
}

static va_status take_rows(va_ctx *ctx, va_arena *arena, const char *path, const entry *entries,
                           va_control_vector *cv) {
    va_status st = VA_OK;
    VA_TRY_ALLOC(ctx, cv->layer, VA_NEW_ARRAY(arena, int64_t, cv->n));
    VA_TRY_ALLOC(ctx, cv->rows, va_arena_array(arena, cv->n, cv->d * (int64_t)sizeof(float)));
    for (int64_t i = 0; i < cv->n; i++) {
        float *row = cv->rows + i * cv->d;
        cv->layer[i] = entries[i].layer;
        va_convert_to_f32(row, entries[i].tensor->data, VA_F32, cv->d);
        for (int64_t j = 0; j < cv->d; j++)
            if (!isfinite(row[j]))
                return va_fail(ctx, VA_ERR_NUMERIC, "%s: %s: element %lld is %g", path,
                               entries[i].tensor->name, (long long)j, (double)row[j]);
    }
done:
    return st;
}

va_status va_control_vector_read(va_ctx *ctx, va_arena *arena, const char *path,
                                 va_control_vector *out) {
    va_status st = VA_OK;
    va_gguf *g = NULL;
    entry *entries = NULL;
    va_control_vector cv = {.layer_count = -1};
    VA_TRY(va_gguf_open(ctx, path, &g));
    VA_TRY(check_architecture(ctx, path, g));
    cv.n = va_gguf_count(g);
    cv.d = va_gguf_at(g, 0)->n_elem;
    VA_TRY_ALLOC(ctx, entries, calloc((size_t)cv.n, sizeof *entries));
    for (int64_t i = 0; i < cv.n; i++) {
        const va_file_tensor *t = va_gguf_at(g, i);
        entries[i] = (entry){layer_of(t->name), t};
        VA_TRY(check_tensor(ctx, path, &entries[i], cv.d));
    }
    qsort(entries, (size_t)cv.n, sizeof *entries, compare_layers);
    VA_TRY(take_rows(ctx, arena, path, entries, &cv));
    const char *hint = va_gguf_as_string(va_gguf_get(g, "controlvector.model_hint"));
    if (hint)
        VA_TRY_ALLOC(ctx, cv.model_hint, va_arena_strdup(arena, hint));
    if (!va_gguf_as_int(va_gguf_get(g, "controlvector.layer_count"), &cv.layer_count))
        cv.layer_count = -1;
    *out = cv;
done:
    free(entries);
    va_gguf_close(&g);
    return st;
}
