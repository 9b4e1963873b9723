// bench_gated.c: derivatives of a gated MLP's first half, with W_eff and without.
//
//   bench_gated [TOKENSxKxDxF[:DTYPE]]...      default: gemma-3-4b's block at several k
// Prints time by the clock and by processor time, the latter being what a busy machine leaves alone
// when the device is the processor; and the arithmetic that va_op_cost gives.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

typedef struct shape {
    long tokens, k, d, F;
    va_dtype dtype;
} shape;

static va_tensor make(va_gpu *gpu, va_tensor t) {
    va_buffer *b = NULL;
    uint32_t fill = t.dtype == VA_F32 ? 0x3c23d70au : 0x3c243c24u; // about 0.01
    if (va_buffer_create(gpu, va_tensor_bytes(&t), "bench", &b) != VA_OK ||
        va_gpu_fill(gpu, va_buffer_all(b), fill) != VA_OK) {
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

static void run(va_op_call *c, va_pass pass) {
    const va_op *op = va_op_get(VA_OP_GATED);
    if ((pass == VA_JVP ? op->jvp(c) : op->vjp(c)) == VA_OK && va_gpu_wait(c->gpu) == VA_OK)
        return;
    fprintf(stderr, "%s\n", va_error_message(va_gpu_ctx(c->gpu)));
    exit(1);
}

static void bench(const shape *s, va_op_call c, va_pass pass, const char *path) {
    enum { TIMES = 3 };
    const va_op *op = va_op_get(VA_OP_GATED);
    setenv("VA_GATED", path, 1);
    va_tensor scratch = va_tensor_make(VA_U32, 1, (int64_t[]){op->scratch_bytes(&c, pass) / 4 + 1});
    scratch = make(c.gpu, scratch);
    c.scratch = scratch.mem;
    run(&c, pass); // builds the pipelines
    double best_wall = 1e30, best_cpu = 1e30;
    for (int i = 0; i < TIMES; i++) {
        double wall = va_time_s(), cpu = cpu_s();
        run(&c, pass);
        wall = va_time_s() - wall;
        cpu = cpu_s() - cpu;
        best_wall = VA_MIN(best_wall, wall);
        best_cpu = VA_MIN(best_cpu, cpu);
    }
    printf("%s %-6s T %ld k %4ld  %-4s  %9.1f ms  %9.1f cpu-ms  %8.2f GFLOP\n",
           pass == VA_JVP ? "jvp" : "vjp", path, s->tokens, s->k, va_dtype_name(s->dtype),
           1e3 * best_wall, 1e3 * best_cpu, 1e-9 * op->cost(&c, pass).flop);
    fflush(stdout);
    va_buffer_destroy(&scratch.mem.buffer);
}

static void bench_shape(va_gpu *gpu, shape s) {
    va_op_attr attr = {.act = VA_ACT_GELU_TANH};
    const int64_t w[] = {s.F, s.d}, dx[] = {s.tokens, s.k, s.d}, dy[] = {s.tokens, s.k, s.F};
    va_op_call c = {.gpu = gpu, .attr = &attr, .k = s.k, .mode = VA_EXACT};
    c.x[0] = make(gpu, va_tensor_make(VA_F32, 2, (int64_t[]){s.tokens, s.d}));
    c.x[1] = make(gpu, va_tensor_make(s.dtype, 2, w));
    c.x[2] = make(gpu, va_tensor_make(s.dtype, 2, w));
    c.aux = make(gpu, va_tensor_make(VA_F32, 3, (int64_t[]){s.tokens, 2, s.F}));
    c.dx[0] = make(gpu, va_tensor_make(VA_F32, 3, dx));
    c.dy = make(gpu, va_tensor_make(VA_F32, 3, dy));
    for (int pass = VA_JVP; pass <= VA_VJP; pass++) {
        bench(&s, c, (va_pass)pass, "narrow");
        bench(&s, c, (va_pass)pass, "wide");
    }
    va_buffer *all[] = {c.x[0].mem.buffer, c.x[1].mem.buffer,  c.x[2].mem.buffer,
                        c.aux.mem.buffer,  c.dx[0].mem.buffer, c.dy.mem.buffer};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        va_buffer_destroy(&all[i]);
}

static bool parse(const char *text, shape *s) {
    char dtype[8] = "bf16";
    *s = (shape){.dtype = (va_dtype)VA_DTYPE_COUNT};
    if (sscanf(text, "%ldx%ldx%ldx%ld:%7s", &s->tokens, &s->k, &s->d, &s->F, dtype) < 4)
        return false;
    for (int t = 0; t < VA_DTYPE_COUNT; t++)
        if (strcasecmp(dtype, va_dtype_name((va_dtype)t)) == 0)
            s->dtype = (va_dtype)t;
    return s->tokens > 0 && s->k > 0 && s->d > 0 && s->F > 0 && (int)s->dtype < VA_DTYPE_COUNT;
}

int main(int argc, char **argv) {
    static char *defaults[] = {"", "1x32x2560x10240", "1x128x2560x10240", "1x512x2560x10240"};
    if (argc == 1) {
        argc = sizeof defaults / sizeof *defaults;
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
                    "%s: expected TOKENSxKxDxF[:DTYPE], DTYPE one of f32 bf16 f16 q8_0 ...\n",
                    argv[i]);
            return 2;
        }
        bench_shape(gpu, s);
    }
    va_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
    return 0;
}
