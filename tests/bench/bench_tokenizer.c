// bench_tokenizer.c: how long a tokenizer takes to load.
//
//   taskset -c 0 bench_tokenizer FILE [TIMES]
// By the clock and by processor time, which a busy machine leaves alone. FILE is a tokenizer.json,
// as make_large_tokenizer.py writes one, or a FILE.gguf.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static va_status load(va_ctx *ctx, const char *path, va_tokenizer **tok) {
    va_gguf *g = NULL;
    if (!strstr(path, ".gguf"))
        return va_tokenizer_load(ctx, path, tok);
    va_status st = va_gguf_open(ctx, path, &g);
    if (st == VA_OK)
        st = va_tokenizer_load_gguf(ctx, g, path, tok);
    va_gguf_close(&g);
    return st;
}

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: bench_tokenizer FILE [TIMES]\n");
        return 2;
    }
    va_ctx *ctx = va_ctx_create(NULL);
    int times = argc > 2 ? atoi(argv[2]) : 5;
    for (int i = 0; i < times; i++) {
        va_tokenizer *tok = NULL;
        double start = va_time_s(), cpu = cpu_s();
        if (load(ctx, argv[1], &tok) != VA_OK) {
            fprintf(stderr, "%s\n", va_error_message(ctx));
            return 1;
        }
        printf("%lld tokens: %.3f s (processor %.3f s)\n", (long long)va_tokenizer_vocab_size(tok),
               va_time_s() - start, cpu_s() - cpu);
        va_tokenizer_free(&tok);
    }
    va_ctx_destroy(&ctx);
    return 0;
}
