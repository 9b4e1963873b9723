// matmul_pick.c: which kernel multiplies on a device.
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// In order of preference on GPUs; on processors those that need no matrix cores, last first.
static const matmul_kernel *const kernels[MATMUL_KERNELS] = {
    &matmul_coopmat2, &matmul_coopmat_bf16, &matmul_coopmat, &matmul_scalar, &matmul_cpu};

const matmul_kernel *matmul_kernel_at(int i) {
    return kernels[i];
}

const matmul_kernel *matmul_for(const matmul_kernel *k, const matmul_shape *s) {
    return k->takes && !k->takes(s) ? k->rest : k;
}

void matmul_verdict_key(const matmul_kernel *k, char key[64]) {
    snprintf(key, 64, "matmul/%s", k->name);
}

bool matmul_is_built(const matmul_kernel *k) {
    return va_gpu_has_shader(k->shader);
}

int64_t matmul_verdict(const va_gpu *gpu, const matmul_kernel *k) {
    char key[64];
    int64_t verdict = MATMUL_UNTESTED;
    matmul_verdict_key(k, key);
    va_gpu_recall(gpu, key, &verdict);
    return verdict;
}

bool matmul_is_testable(int64_t verdict) {
    return verdict == MATMUL_UNTESTED || verdict == -1;
}

// Fit for use, with what it leaves products to: built, offered, and known to be right or, of the
// baseline, not known to be wrong.
static bool is_usable(const va_gpu *gpu, const matmul_kernel *k) {
    const int64_t verdict = matmul_verdict(gpu, k);
    const bool trusted = k->baseline ? verdict != MATMUL_FAILED : verdict == MATMUL_PASSED;
    return trusted && matmul_is_built(k) && k->offered(va_gpu_get_info(gpu)) &&
           (!k->rest || is_usable(gpu, k->rest));
}

// -- VA_MATMUL -------------------------------------------------------------------------------

typedef struct wishes {
    const matmul_kernel *forced;
    bool forbidden[MATMUL_KERNELS];
} wishes;

static int index_of(const char *name, size_t len) {
    for (int i = 0; i < MATMUL_KERNELS; i++)
        if (strlen(kernels[i]->name) == len && !strncmp(kernels[i]->name, name, len))
            return i;
    return -1;
}

// With it those that leave products to it.
static void forbid(wishes *w, const matmul_kernel *k) {
    for (int i = 0; i < MATMUL_KERNELS; i++)
        if (kernels[i] == k || kernels[i]->rest == k)
            w->forbidden[i] = true;
}

static va_status read_wishes(va_ctx *ctx, wishes *w) {
    *w = (wishes){0};
    const char *text = getenv("VA_MATMUL");
    for (size_t len; text && *text; text += len + (text[len] == ',')) {
        len = strcspn(text, ",");
        const bool forbids = text[0] == '-';
        const int i = index_of(text + forbids, len - forbids);
        if (i < 0)
            return va_fail(ctx, VA_ERR_USAGE,
                           "VA_MATMUL: expected scalar, cpu, coopmat, coopmat-bf16 or coopmat2, or "
                           "\"-\" and one of these, got \"%.*s\"",
                           (int)len, text);
        if (!forbids && w->forced)
            return va_fail(ctx, VA_ERR_USAGE, "VA_MATMUL: expected one kernel, got %s and %s",
                           w->forced->name, kernels[i]->name);
        if (forbids)
            forbid(w, kernels[i]);
        else
            w->forced = kernels[i];
    }
    return VA_OK;
}

static va_status check_forced(va_gpu *gpu, const matmul_kernel *k) {
    if (!matmul_is_built(k))
        return va_fail(
            va_gpu_ctx(gpu), VA_ERR_UNSUPPORTED,
            "VA_MATMUL=%s: this build has not that kernel (its GLSL compiler was too old)",
            k->name);
    if (!k->offered(va_gpu_get_info(gpu)))
        return va_fail(va_gpu_ctx(gpu), VA_ERR_UNSUPPORTED,
                       "VA_MATMUL=%s: %s does not offer what that kernel needs", k->name,
                       va_gpu_get_info(gpu)->name);
    return VA_OK;
}

va_status matmul_is_wanted(va_gpu *gpu, const matmul_kernel *k, bool *wanted) {
    va_status st = VA_OK;
    wishes w;
    VA_TRY(read_wishes(va_gpu_ctx(gpu), &w));
    *wanted = !w.forced;
    for (int i = 0; i < MATMUL_KERNELS; i++)
        *wanted = *wanted && !(w.forbidden[i] && kernels[i] == k);
done:
    return st;
}

// -- choice ----------------------------------------------------------------------------------

va_status matmul_pick(va_gpu *gpu, const matmul_kernel **kernel) {
    va_status st = VA_OK;
    wishes w;
    VA_TRY(read_wishes(va_gpu_ctx(gpu), &w));
    if (w.forced) {
        *kernel = w.forced;
        VA_TRY(check_forced(gpu, w.forced));
        goto done;
    }
    *kernel = NULL;
    const bool cpu = va_gpu_get_info(gpu)->kind == VA_GPU_CPU;
    for (int n = 0; n < MATMUL_KERNELS && !*kernel; n++) {
        const int i = cpu ? MATMUL_KERNELS - 1 - n : n;
        if (!w.forbidden[i] && is_usable(gpu, kernels[i]))
            *kernel = kernels[i];
    }
    if (!*kernel)
        VA_TRY(
            va_fail(va_gpu_ctx(gpu), VA_ERR_UNSUPPORTED,
                    "%s: no matmul kernel is left: each failed its self-test or was forbidden by "
                    "VA_MATMUL; `vkalign devices` tests them",
                    va_gpu_get_info(gpu)->name));
done:
    return st;
}
