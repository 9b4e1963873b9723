// bench_matmul.c: speed of the product with a weight, through the op, forwards and backwards.
//
//   bench_matmul [ROWSxN_INxN_OUT[:DTYPE]]...      default: three shapes of gemma-3-4b
// Prints GFLOP/s by the clock and by processor time, the latter being what a busy machine leaves
// alone when the device is the processor.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

typedef struct shape {
    long rows, n_in, n_out;
    va_dtype dtype;
} shape;

static va_tensor make(va_gpu *gpu, va_dtype dtype, int64_t n0, int64_t n1) {
    va_tensor t = va_tensor_make(dtype, 2, (int64_t[]){n0, n1});
    va_buffer *b = NULL;
    if (va_buffer_create(gpu, va_tensor_bytes(&t), "bench", &b) != VA_OK ||
        va_gpu_fill(gpu, va_buffer_all(b), dtype == VA_F32 ? 0x3c23d70au : 0x3c243c24u) != VA_OK) {
        fprintf(stderr, "%s\n", va_error_message(va_gpu_ctx(gpu)));
        exit(1);
    }
    t.mem = va_buffer_all(b);
    return t;
}

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static va_status run(va_op_call *c, bool back, int times) {
    const va_op *op = va_op_get(VA_OP_LINEAR);
    va_status st = VA_OK;
    for (int i = 0; i < times && st == VA_OK; i++)
        st = back ? op->vjp(c) : op->forward(c);
    return st == VA_OK ? va_gpu_wait(c->gpu) : st;
}

static void bench(va_gpu *gpu, shape s, bool back) {
    va_op_attr attr = {0};
    va_tensor w = make(gpu, s.dtype, s.n_out, s.n_in);
    va_tensor x = make(gpu, VA_F32, s.rows, s.n_in), y = make(gpu, VA_F32, s.rows, s.n_out);
    va_op_call c = {.gpu = gpu, .attr = &attr, .x = {x, w}, .y = y, .k = 1, .dx = {x}, .dy = y};
    int64_t scratch = va_op_get(VA_OP_LINEAR)->scratch_bytes(&c, back ? VA_VJP : VA_FORWARD);
    va_buffer *sb = NULL;
    if (scratch > 0 && va_buffer_create(gpu, scratch, "scratch", &sb) == VA_OK)
        c.scratch = va_buffer_all(sb);
    double gflop = 2e-9 * (double)s.rows * (double)s.n_in * (double)s.n_out;
    va_status st = run(&c, back, 1); // builds the pipelines
    int times = 1 + (int)(2 / gflop);
    double wall = va_time_s(), cpu = cpu_s();
    if (st == VA_OK)
        st = run(&c, back, times);
    wall = va_time_s() - wall;
    cpu = cpu_s() - cpu;
    if (st != VA_OK)
        fprintf(stderr, "%s\n", va_error_message(va_gpu_ctx(gpu)));
    printf("%s [%ld, %ld] x [%ld, %ld] %-4s  %8.2f ms  %8.2f GFLOP/s  %6.2f GFLOP per cpu-second\n",
           back ? "vjp" : "jvp", s.rows, back ? s.n_out : s.n_in, s.n_out, s.n_in,
           va_dtype_name(s.dtype), 1e3 * wall / times, gflop * times / wall, gflop * times / cpu);
    va_buffer *all[] = {w.mem.buffer, x.mem.buffer, y.mem.buffer, sb};
    for (int i = 0; i < 4; i++)
        va_buffer_destroy(&all[i]);
}

static bool parse(const char *text, shape *s) {
    char dtype[8] = "bf16";
    *s = (shape){.dtype = (va_dtype)VA_DTYPE_COUNT};
    if (sscanf(text, "%ldx%ldx%ld:%7s", &s->rows, &s->n_in, &s->n_out, dtype) < 3)
        return false;
    for (int t = 0; t < VA_DTYPE_COUNT; t++)
        if (strcasecmp(dtype, va_dtype_name((va_dtype)t)) == 0)
            s->dtype = (va_dtype)t;
    return (int)s->dtype < VA_DTYPE_COUNT;
}

int main(int argc, char **argv) {
    static char *defaults[] = {"", "8x2560x10240", "1280x160x640", "10240x2560x2560"};
    if (argc == 1) {
        argc = 4;
        argv = defaults;
    }
    va_ctx *ctx = va_ctx_create(NULL);
    va_gpu *gpu = NULL;
    if (!ctx || va_gpu_open(ctx, NULL, &gpu) != VA_OK) {
        fprintf(stderr, "%s\n", ctx ? va_error_message(ctx) : "out of memory");
        return 1;
    }
    printf("%s\n", va_gpu_get_info(gpu)->name);
    for (int i = 1; i < argc; i++) {
        shape s;
        if (!parse(argv[i], &s)) {
            fprintf(stderr,
                    "%s: expected ROWSxN_INxN_OUT[:DTYPE], DTYPE one of f32 bf16 f16 q8_0 ...\n",
                    argv[i]);
            return 2;
        }
        bench(gpu, s, false);
        bench(gpu, s, true);
    }
    va_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
    return 0;
}
