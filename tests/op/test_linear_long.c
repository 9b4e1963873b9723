// An inner index longer than lavapipe lets a loop run (65,535 rounds): backwards through a weight
// of 300,000 rows, as through the unembedding of a large vocabulary. libs: va_op
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "vkalign/op.h"

enum { N_OUT = 300000, N_IN = 4 };

static void test_vjp(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(ctx);
    va_buffer *w, *x, *dy, *dx;
    float *host = malloc(sizeof(float) * N_OUT * N_IN), got[N_IN];
    double want[N_IN] = {0};
    assert_ok(ctx, va_buffer_create(gpu, 4 * N_OUT * N_IN, "w", &w));
    assert_ok(ctx, va_buffer_create(gpu, 4 * N_OUT, "dy", &dy));
    assert_ok(ctx, va_buffer_create(gpu, 4 * N_IN, "x", &x));
    assert_ok(ctx, va_buffer_create(gpu, 4 * N_IN, "dx", &dx));
    for (int64_t i = 0; i < N_OUT * N_IN; i++) {
        host[i] = (float)(i / N_IN % 7) - 2; // the last rows count as much as the first
        want[i % N_IN] += host[i];
    }
    assert_ok(ctx, va_gpu_upload(gpu, va_buffer_all(w), host));
    for (int64_t i = 0; i < N_OUT; i++)
        host[i] = 1;
    assert_ok(ctx, va_gpu_upload(gpu, va_buffer_all(dy), host));
    assert_ok(ctx, va_gpu_upload(gpu, va_buffer_all(x), host));
    va_op_attr attr = {0};
    va_op_call c = {.gpu = gpu, .attr = &attr, .k = 1};
    c.x[0] = va_tensor_make(VA_F32, 2, (const int64_t[]){1, N_IN});
    c.x[1] = va_tensor_make(VA_F32, 2, (const int64_t[]){N_OUT, N_IN});
    c.dx[0] = va_tensor_make(VA_F32, 3, (const int64_t[]){1, 1, N_IN});
    c.dy = va_tensor_make(VA_F32, 3, (const int64_t[]){1, 1, N_OUT});
    c.y = va_tensor_make(VA_F32, 2, (const int64_t[]){1, N_OUT});
    c.x[0].mem = va_buffer_all(x);
    c.x[1].mem = va_buffer_all(w);
    c.dx[0].mem = va_buffer_all(dx);
    c.dy.mem = va_buffer_all(dy);
    va_buffer *scratch = NULL;
    const va_op *op = va_op_get(VA_OP_LINEAR);
    int64_t bytes = op->scratch_bytes ? op->scratch_bytes(&c, VA_VJP) : 0;
    if (bytes > 0) {
        assert_ok(ctx, va_buffer_create(gpu, bytes, "scratch", &scratch));
        c.scratch = va_buffer_all(scratch);
    }
    assert_ok(ctx, op->vjp(&c));
    assert_ok(ctx, va_gpu_download(gpu, va_buffer_all(dx), got));
    // Sums of small integers below 2^24 are exact in f32.
    for (int64_t i = 0; i < N_IN; i++)
        assert_true(got[i] == (float)want[i]);
    free(host);
    va_buffer_destroy(&w);
    va_buffer_destroy(&x);
    va_buffer_destroy(&dy);
    va_buffer_destroy(&dx);
    va_buffer_destroy(&scratch);
    va_test_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vjp)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
