// bench_tokenizer.c: how long a tokenizer takes to load.
//
//   taskset -c 0 bench_tokenizer FILE [TIMES]      FILE from make_large_tokenizer.py
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/text.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: bench_tokenizer FILE [TIMES]\n");
        return 2;
    }
    va_ctx *ctx = va_ctx_create(NULL);
    int times = argc > 2 ? atoi(argv[2]) : 5;
    for (int i = 0; i < times; i++) {
        va_tokenizer *tok = NULL;
        double start = va_time_s();
        if (va_tokenizer_load(ctx, argv[1], &tok) != VA_OK) {
            fprintf(stderr, "%s\n", va_error_message(ctx));
            return 1;
        }
        double loaded = va_time_s();
        printf("%lld tokens: load %.3f s, ", (long long)va_tokenizer_vocab_size(tok),
               loaded - start);
        va_tokenizer_free(&tok);
        printf("free %.3f s\n", va_time_s() - loaded);
    }
    va_ctx_destroy(&ctx);
    return 0;
}
