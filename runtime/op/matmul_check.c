// matmul_check.c: the kernels' self-test on a device.
//
// Products of both kinds, with weights of each dtype, are compared with double loops: a small one
// whose sizes are odd, so that every tile has an edge and nothing is aligned; three that are
// aligned, with factors and accumulated: one for the tiles of fewest rows, its inner index cut in
// parts, one of the size that kernels of bf16 take at most, one large enough for the largest tiles.
// Of these some rows and columns are looked at. And one that comes out right only with all the
// digits that kernels promise.
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"

#include <math.h>
#include <stdlib.h>

typedef struct test_size {
    int64_t rows, n_inner, n_cols;
    bool fused; // with both factors, of F_ROWS rows each, and accumulated
    int row_step, col_step;
    bool digits;
} test_size;

static const test_size sizes[] = {{37, 301, 139, false, 1, 1, false},
                                  {24, 600, 136, true, 1, 5, false},
                                  {123, 264, 256, true, 5, 7, false},
                                  {260, 264, 1024, true, 7, 13, false},
                                  {24, 600, 136, false, 1, 1, true}};
enum { F_ROWS = 3 };

typedef struct test {
    va_gpu *gpu;
    const matmul_kernel *kernel;
    test_size size;
    va_dtype dtype;
    bool transpose;
    va_buffer *buffer[6];
    float *w, *a, *c, *before; // on the host: W, A, C after, C before,
    float *fa, *fc;            // factors of A and C
    uint16_t *half;            // W in 16 bits
    va_arena *arena;
} test;

static int64_t n_in(const test *t) { // of the weight [n_out, n_in]
    return t->transpose ? t->size.n_inner : t->size.n_cols;
}

static int64_t n_out(const test *t) {
    return t->transpose ? t->size.n_cols : t->size.n_inner;
}

static int64_t n_factors(const test *t, int64_t n) {
    return (t->size.rows + F_ROWS - 1) / F_ROWS * n;
}

static float random_f32(va_rng *r, int scale) {
    return (float)ldexp(va_rng_normal(r), scale);
}

// Rows of very different sizes: a scaling that is off by a row shows.
static void fill_random(const test *t) {
    va_rng r = va_rng_make(1, va_hash64("self-test"));
    const test_size *s = &t->size;
    for (int64_t i = 0; i < s->rows * t->size.n_inner; i++)
        t->a[i] = random_f32(&r, (int)(i / t->size.n_inner * 5 % 41) - 20);
    for (int64_t i = 0; i < n_out(t) * n_in(t); i++) {
        const float w = random_f32(&r, t->dtype == VA_F16 ? 0 : (int)(i / n_in(t) * 3 % 31) - 15);
        t->half[i] = t->dtype == VA_BF16 ? va_f32_to_bf16(w) : va_f32_to_f16(w);
        t->w[i] = t->dtype == VA_BF16  ? va_bf16_to_f32(t->half[i])
                  : t->dtype == VA_F16 ? va_f16_to_f32(t->half[i])
                                       : w;
    }
    for (int64_t i = 0; i < n_factors(t, s->n_inner); i++)
        t->fa[i] = random_f32(&r, 0);
    for (int64_t i = 0; i < n_factors(t, s->n_cols); i++)
        t->fc[i] = random_f32(&r, 0);
    for (int64_t i = 0; i < s->rows * t->size.n_cols; i++)
        t->before[i] = random_f32(&r, 0);
}

// Each row of A has two elements, 1 + 2^-9 + 2^-20 and -(1 + 2^-9), which meet weights that are the
// same 1 or -1: the sum is the last digit. f16 pairs hold one digit more, three bf16 three.
// Few terms, so that even sums that are cut off lose less than half of it.
static const float DIGIT = 0x1p-20f;

static int64_t digit_at(const test *t, int64_t row) {
    return row * 14 % (t->size.n_inner - 1) / 2 * 2;
}

static void fill_digits(const test *t) {
    for (int64_t row = 0; row < t->size.rows; row++) {
        float *a = t->a + row * t->size.n_inner + digit_at(t, row);
        a[0] = 1 + 0x1p-9f + DIGIT;
        a[1] = -(1 + 0x1p-9f);
    }
    for (int64_t i = 0; i < n_out(t) * n_in(t); i++) {
        const int64_t inner = t->transpose ? i % n_in(t) : i / n_in(t),
                      col = t->transpose ? i / n_in(t) : i % n_in(t);
        const float w = (inner / 2 * 5 + col * 3) % 7 < 3 ? -1 : 1;
        t->half[i] = t->dtype == VA_BF16 ? va_f32_to_bf16(w) : va_f32_to_f16(w);
        t->w[i] = w;
    }
}

static va_status make_host(test *t) {
    va_status st = VA_OK;
    const test_size *s = &t->size;
    va_ctx *ctx = va_gpu_ctx(t->gpu);
    const int64_t n_w = n_out(t) * n_in(t) + 1; // one more makes whole words of 16-bit ones
    VA_TRY_ALLOC(ctx, t->arena, va_arena_create());
    VA_TRY_ALLOC(ctx, t->w, VA_NEW_ARRAY(t->arena, float, n_w));
    VA_TRY_ALLOC(ctx, t->half, VA_NEW_ARRAY(t->arena, uint16_t, n_w));
    VA_TRY_ALLOC(ctx, t->a, VA_NEW_ARRAY(t->arena, float, s->rows * t->size.n_inner));
    VA_TRY_ALLOC(ctx, t->c, VA_NEW_ARRAY(t->arena, float, s->rows * t->size.n_cols));
    VA_TRY_ALLOC(ctx, t->before, VA_NEW_ARRAY(t->arena, float, s->rows * t->size.n_cols));
    VA_TRY_ALLOC(ctx, t->fa, VA_NEW_ARRAY(t->arena, float, n_factors(t, s->n_inner)));
    VA_TRY_ALLOC(ctx, t->fc, VA_NEW_ARRAY(t->arena, float, n_factors(t, s->n_cols)));
    if (s->digits)
        fill_digits(t);
    else
        fill_random(t);
done:
    return st;
}

static va_status upload(test *t, int i, const void *data, int64_t bytes) {
    va_status st = VA_OK;
    VA_TRY(va_buffer_create(t->gpu, VA_MAX(bytes, 4), "self-test", &t->buffer[i]));
    if (data)
        VA_TRY(va_gpu_upload(t->gpu, va_buffer_all(t->buffer[i]), data));
done:
    return st;
}

static va_status multiply(test *t) {
    va_status st = VA_OK;
    enum { W, A, C, FA, FC, SCRATCH };
    const test_size *s = &t->size;
    va_tensor w = va_tensor_make(t->dtype, 2, (const int64_t[]){n_out(t), n_in(t)});
    VA_TRY(upload(t, W, t->dtype == VA_F32 ? (const void *)t->w : t->half,
                  (va_tensor_bytes(&w) + 3) / 4 * 4));
    VA_TRY(upload(t, A, t->a, s->rows * t->size.n_inner * 4));
    VA_TRY(upload(t, C, t->before, s->rows * t->size.n_cols * 4));
    VA_TRY(upload(t, FA, t->fa, n_factors(t, s->n_inner) * 4));
    VA_TRY(upload(t, FC, t->fc, n_factors(t, s->n_cols) * 4));
    VA_TRY(upload(t, SCRATCH, NULL, op_matmul_scratch(t->transpose, s->rows, &w, s->fused)));
    w.mem = va_slice_at(va_buffer_all(t->buffer[W]), 0, va_tensor_bytes(&w));
    const va_op_call call = {.gpu = t->gpu};
    const op_factor none = {0}, of_a = {va_buffer_all(t->buffer[FA]), F_ROWS, s->n_inner, 0},
                    of_c = {va_buffer_all(t->buffer[FC]), F_ROWS, s->n_cols, 0};
    const op_matmul m = {.transpose = t->transpose,
                         .n_rows = s->rows,
                         .a = va_buffer_all(t->buffer[A]),
                         .c = va_buffer_all(t->buffer[C]),
                         .w = &w,
                         .scratch = va_buffer_all(t->buffer[SCRATCH]),
                         .residual = s->fused ? va_buffer_all(t->buffer[C]) : (va_slice){0},
                         .factor_in = !s->fused      ? none
                                      : t->transpose ? of_a
                                                     : of_c,
                         .factor_out = !s->fused      ? none
                                       : t->transpose ? of_c
                                                      : of_a,
                         .kernel = t->kernel};
    VA_TRY(op_matmul_run(&call, &m));
    VA_TRY(va_gpu_download(t->gpu, va_buffer_all(t->buffer[C]), t->c));
done:
    return st;
}

static double error_at(const test *t, int64_t row, int64_t col) {
    const test_size *s = &t->size;
    const float *fa = t->fa + row / F_ROWS * s->n_inner, *fc = t->fc + row / F_ROWS * s->n_cols;
    double sum = 0, size = 0;
    for (int64_t i = 0; i < t->size.n_inner; i++) {
        double p = (double)t->a[row * t->size.n_inner + i] *
                   t->w[t->transpose ? col * n_in(t) + i : i * n_in(t) + col];
        if (s->fused)
            p *= (double)fa[i] * fc[col];
        sum += p;
        size += fabs(p);
    }
    if (s->fused) {
        sum += t->before[row * t->size.n_cols + col];
        size += fabs(t->before[row * t->size.n_cols + col]);
    }
    if (s->digits) // half a digit is more than is allowed
        size = DIGIT / 2 / VA_MATMUL_TOLERANCE;
    const double e = fabs(t->c[row * t->size.n_cols + col] - sum) / size;
    return isfinite(e) ? e : INFINITY;
}

// Products that it leaves to another kernel are in that one's test.
static bool takes_product(const test *t) {
    const va_tensor w = va_tensor_make(t->dtype, 2, (const int64_t[]){n_out(t), n_in(t)});
    const matmul_shape shape = matmul_shape_of(t->transpose, t->size.rows, &w);
    return matmul_for(t->kernel, &shape) == t->kernel;
}

static va_status test_product(test *t, double *error) {
    va_status st = VA_OK;
    if (!takes_product(t))
        return VA_OK;
    VA_TRY(make_host(t));
    VA_TRY(multiply(t));
    for (int64_t row = 0; row < t->size.rows; row += t->size.row_step)
        for (int64_t col = 0; col < t->size.n_cols; col += t->size.col_step)
            *error = fmax(*error, error_at(t, row, col));
done:
    for (int i = 0; i < VA_COUNT(t->buffer); i++)
        va_buffer_destroy(&t->buffer[i]);
    va_arena_destroy(&t->arena);
    return st;
}

static va_status test_products(va_gpu *gpu, const matmul_kernel *k, double *error) {
    static const va_dtype dtypes[] = {VA_F32, VA_BF16, VA_F16};
    va_status st = VA_OK;
    *error = 0;
    for (int s = 0; s < VA_COUNT(sizes); s++)
        for (int i = 0; i < 2 * VA_COUNT(dtypes); i++) {
            test t = {.gpu = gpu,
                      .kernel = k,
                      .size = sizes[s],
                      .dtype = dtypes[i / 2],
                      .transpose = i % 2};
            VA_TRY(test_product(&t, error));
        }
done:
    return st;
}

// -- verdicts --------------------------------------------------------------------------------

// What a test comes to: an error of the driver is a kernel that failed, unless the device is lost
// (then nothing goes on) or memory was short (then nothing is known).
static va_status judge(va_gpu *gpu, const matmul_kernel *k, va_status ran, double error,
                       int64_t *verdict) {
    va_ctx *ctx = va_gpu_ctx(gpu);
    if (ran == VA_OK && error <= VA_MATMUL_TOLERANCE) {
        *verdict = MATMUL_PASSED;
        return VA_OK;
    }
    *verdict = ran == VA_ERR_MEMORY ? MATMUL_UNTESTED : MATMUL_FAILED;
    if (ran == VA_ERR_INTERRUPTED) {
        *verdict = MATMUL_UNTESTED;
        return ran;
    }
    if (ran == VA_OK)
        va_log(ctx, VA_LOG_WARN,
               "matmul kernel %s is switched off on %s: its error is %.1e, allowed %.0e", k->name,
               va_gpu_get_info(gpu)->name, error, VA_MATMUL_TOLERANCE);
    else
        va_log(ctx, VA_LOG_WARN, "matmul kernel %s is not used on %s: %s", k->name,
               va_gpu_get_info(gpu)->name, va_error_message(ctx));
    if (ran != VA_OK && ran != VA_ERR_MEMORY && va_gpu_wait(gpu) != VA_OK)
        return va_fail_in(
            ctx, ran, "self-test of the matmul kernel %s, which the next run leaves out", k->name);
    va_error_clear(ctx);
    return VA_OK;
}

// Of a kernel that is no baseline the attempt is on disk before it is made, so that a driver that
// crashes twice is left alone from then on.
static va_status test_kernel(va_gpu *gpu, const matmul_kernel *k, double *error, bool *passed) {
    va_status st = VA_OK;
    char key[64];
    const int64_t before = matmul_verdict(gpu, k);
    int64_t verdict;
    matmul_verdict_key(k, key);
    if (!k->baseline)
        VA_TRY(va_gpu_remember(gpu, key, before < 0 ? before - 1 : -1));
    const va_status ran = test_products(gpu, k, error);
    st = judge(gpu, k, ran, *error, &verdict);
    if (ran != VA_OK)
        *error = INFINITY;
    *passed = verdict == MATMUL_PASSED;
    const va_status kept = va_gpu_remember(gpu, key, verdict);
    st = st != VA_OK ? st : kept;
done:
    return st;
}

va_status va_matmul_test(va_gpu *gpu, va_matmul_kernel list[VA_MATMUL_KERNELS]) {
    va_status st = VA_OK;
    const matmul_kernel *picked;
    for (int i = MATMUL_KERNELS - 1; i >= 0; i--) { // those first that others leave products to
        const matmul_kernel *k = matmul_kernel_at(i);
        va_matmul_kernel *out = &list[i];
        *out = (va_matmul_kernel){.name = k->name,
                                  .built = matmul_is_built(k),
                                  .offered = k->offered(va_gpu_get_info(gpu))};
        if (!out->built || !out->offered)
            continue;
        VA_TRY(test_kernel(gpu, k, &out->error, &out->passed));
        out->tested = true;
    }
    st = matmul_pick(gpu, &picked);
    if (st == VA_ERR_UNSUPPORTED) { // none is left, or what was asked for is not here
        va_error_clear(va_gpu_ctx(gpu));
        return VA_OK;
    }
    for (int i = 0; i < MATMUL_KERNELS && st == VA_OK; i++)
        list[i].picked = matmul_kernel_at(i) == picked;
done:
    return st;
}

// Tests k, and before it the kernel that it leaves products to, unless the verdicts are known.
static va_status ensure_tested(va_gpu *gpu, const matmul_kernel *k, bool *passed) {
    va_status st = VA_OK;
    double error;
    *passed = true;
    if (k->rest)
        VA_TRY(ensure_tested(gpu, k->rest, passed));
    if (!*passed)
        goto done;
    *passed = matmul_verdict(gpu, k) == MATMUL_PASSED;
    if (matmul_is_testable(matmul_verdict(gpu, k)))
        VA_TRY(test_kernel(gpu, k, &error, passed));
done:
    return st;
}

va_status va_matmul_prepare(va_gpu *gpu) {
    va_status st = VA_OK;
    const va_gpu_info *info = va_gpu_get_info(gpu);
    for (int i = 0; i < MATMUL_KERNELS && info->kind != VA_GPU_CPU; i++) {
        const matmul_kernel *k = matmul_kernel_at(i);
        bool wanted, passed;
        VA_TRY(matmul_is_wanted(gpu, k, &wanted));
        if (k->baseline)
            break; // so is what follows
        if (!wanted || !matmul_is_built(k) || !k->offered(info))
            continue;
        VA_TRY(ensure_tested(gpu, k, &passed));
        if (passed)
            break; // it will be picked
    }
done:
    return st;
}

va_status va_matmul_picked(va_gpu *gpu, const char **name) {
    va_status st = VA_OK;
    const matmul_kernel *k;
    VA_TRY(va_matmul_prepare(gpu));
    VA_TRY(matmul_pick(gpu, &k));
    *name = k->name;
done:
    return st;
}
