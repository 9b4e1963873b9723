// matmul_check.c: the kernels' self-test on a device.
//
// Products of both kinds, with weights of each dtype, are compared with double loops. Sizes are
// odd, so that every tile has an edge; the inner index is long enough to be cut into parts.
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 37, N_IN = 301, N_OUT = 139, BIGGEST = 301 };

typedef struct test {
    va_gpu *gpu;
    const matmul_kernel *kernel;
    va_dtype dtype;
    bool transpose;
    va_buffer *w, *a, *c, *scratch;
    float host_w[N_OUT * N_IN + 1], host_a[ROWS * BIGGEST], host_c[ROWS * BIGGEST];
} test;

static int64_t n_inner(const test *t) {
    return t->transpose ? N_IN : N_OUT;
}

static int64_t n_cols(const test *t) {
    return t->transpose ? N_OUT : N_IN;
}

// Rows of very different sizes: a scaling that is off by a row shows.
static void fill_random(test *t) {
    va_rng r = va_rng_make(1, va_hash64("self-test"));
    for (int64_t i = 0; i < ROWS * n_inner(t); i++)
        t->host_a[i] = (float)ldexp(va_rng_normal(&r), (int)(i / n_inner(t) * 5 % 41) - 20);
    for (int64_t i = 0; i < N_OUT * N_IN; i++) {
        const int scale = t->dtype == VA_F16 ? 0 : (int)(i / N_IN * 3 % 31) - 15;
        const float w = (float)ldexp(va_rng_normal(&r), scale);
        t->host_w[i] = t->dtype == VA_BF16  ? va_bf16_to_f32(va_f32_to_bf16(w))
                       : t->dtype == VA_F16 ? va_f16_to_f32(va_f32_to_f16(w))
                                            : w;
    }
}

static va_status upload_weight(const test *t) {
    static uint16_t half[N_OUT * N_IN + 1]; // the last one makes whole words
    for (int64_t i = 0; i < N_OUT * N_IN; i++)
        half[i] = t->dtype == VA_BF16 ? va_f32_to_bf16(t->host_w[i]) : va_f32_to_f16(t->host_w[i]);
    return va_gpu_upload(t->gpu, va_buffer_all(t->w),
                         t->dtype == VA_F32 ? (const void *)t->host_w : half);
}

static va_status multiply(test *t) {
    va_status st = VA_OK;
    va_tensor w = va_tensor_make(t->dtype, 2, (const int64_t[]){N_OUT, N_IN});
    const int64_t scratch = op_matmul_scratch(t->transpose, ROWS, &w),
                  w_bytes = (va_tensor_bytes(&w) + 3) / 4 * 4;
    VA_TRY(va_buffer_create(t->gpu, w_bytes, "self-test W", &t->w));
    VA_TRY(va_buffer_create(t->gpu, ROWS * n_inner(t) * 4, "self-test A", &t->a));
    VA_TRY(va_buffer_create(t->gpu, ROWS * n_cols(t) * 4, "self-test C", &t->c));
    VA_TRY(va_buffer_create(t->gpu, VA_MAX(scratch, 4), "self-test scratch", &t->scratch));
    VA_TRY(upload_weight(t));
    VA_TRY(va_gpu_upload(t->gpu, va_buffer_all(t->a), t->host_a));
    w.mem = va_buffer_all(t->w);
    const va_op_call call = {.gpu = t->gpu};
    const op_matmul m = {.transpose = t->transpose,
                         .n_rows = ROWS,
                         .a = va_buffer_all(t->a),
                         .c = va_buffer_all(t->c),
                         .w = &w,
                         .scratch = va_buffer_all(t->scratch),
                         .kernel = t->kernel};
    VA_TRY(op_matmul_run(&call, &m));
    VA_TRY(va_gpu_download(t->gpu, va_buffer_all(t->c), t->host_c));
done:
    return st;
}

static double error_at(const test *t, int64_t row, int64_t col) {
    double sum = 0, size = 0;
    for (int64_t i = 0; i < n_inner(t); i++) {
        const double p = (double)t->host_a[row * n_inner(t) + i] *
                         t->host_w[t->transpose ? col * N_IN + i : i * N_IN + col];
        sum += p;
        size += fabs(p);
    }
    const double e = fabs(t->host_c[row * n_cols(t) + col] - sum) / size;
    return isfinite(e) ? e : INFINITY;
}

static va_status test_product(va_gpu *gpu, const matmul_kernel *k, va_dtype dtype, bool transpose,
                              double *error) {
    va_status st = VA_OK;
    test *t;
    VA_TRY_ALLOC(va_gpu_ctx(gpu), t, calloc(1, sizeof *t));
    t->gpu = gpu, t->kernel = k, t->dtype = dtype, t->transpose = transpose;
    fill_random(t);
    VA_TRY(multiply(t));
    for (int64_t row = 0; row < ROWS; row++)
        for (int64_t col = 0; col < n_cols(t); col++)
            *error = fmax(*error, error_at(t, row, col));
done:
    if (t) {
        va_buffer_destroy(&t->w);
        va_buffer_destroy(&t->a);
        va_buffer_destroy(&t->c);
        va_buffer_destroy(&t->scratch);
    }
    free(t);
    return st;
}

// Until it has passed, the kernel counts as failed: a driver that crashes does so once.
static va_status test_kernel(va_gpu *gpu, const matmul_kernel *k, double *error) {
    static const va_dtype dtypes[] = {VA_F32, VA_BF16, VA_F16};
    va_status st = VA_OK;
    char key[64];
    matmul_verdict_key(k, key);
    *error = 0;
    VA_TRY(va_gpu_remember(gpu, key, 0));
    for (int i = 0; i < 2 * VA_COUNT(dtypes); i++)
        VA_TRY(test_product(gpu, k, dtypes[i / 2], i % 2, error));
    if (*error <= VA_MATMUL_TOLERANCE)
        VA_TRY(va_gpu_remember(gpu, key, 1));
    else
        va_log(va_gpu_ctx(gpu), VA_LOG_WARN,
               "matmul kernel %s is switched off on %s: its error is %.1e, allowed %.0e", k->name,
               va_gpu_get_info(gpu)->name, *error, VA_MATMUL_TOLERANCE);
done:
    return st;
}

va_status va_matmul_test(va_gpu *gpu, va_matmul_kernel list[VA_MATMUL_KERNELS]) {
    va_status st = VA_OK;
    const matmul_kernel *picked;
    for (int i = 0; i < MATMUL_KERNELS; i++) {
        const matmul_kernel *k = matmul_kernel_at(i);
        va_matmul_kernel *out = &list[i];
        *out = (va_matmul_kernel){.name = k->name,
                                  .built = matmul_is_built(k),
                                  .offered = k->offered(va_gpu_get_info(gpu))};
        if (!out->built || !out->offered)
            continue;
        VA_TRY(test_kernel(gpu, k, &out->error));
        out->tested = true;
        out->passed = out->error <= VA_MATMUL_TOLERANCE;
    }
    VA_TRY(matmul_pick(gpu, &picked));
    for (int i = 0; i < MATMUL_KERNELS; i++)
        list[i].picked = matmul_kernel_at(i) == picked;
done:
    return st;
}

va_status va_matmul_prepare(va_gpu *gpu) {
    va_status st = VA_OK;
    const va_gpu_info *info = va_gpu_get_info(gpu);
    for (int i = 0; i < MATMUL_KERNELS && info->kind != VA_GPU_CPU; i++) {
        const matmul_kernel *k = matmul_kernel_at(i);
        char key[64];
        int64_t passed;
        double error;
        matmul_verdict_key(k, key);
        if (!k->baseline && matmul_is_built(k) && k->offered(info) &&
            !va_gpu_recall(gpu, key, &passed))
            VA_TRY(test_kernel(gpu, k, &error));
    }
done:
    return st;
}
