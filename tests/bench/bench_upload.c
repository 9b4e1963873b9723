// bench_upload.c: how fast a model's weights reach the device.
//
//   bench_upload MODEL [TIMES]
// Opens the model and makes a prompt with logits, so that every weight is checked and uploaded; the
// first time also reads the file. Prints GB/s by the clock and by processor time.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static va_status bench(va_ctx *ctx, va_gpu *gpu, const char *path) {
    va_status st = VA_OK;
    va_model *model = NULL;
    va_prompt *prompt = NULL;
    int64_t bytes = 0;
    const int32_t id = 1;
    VA_TRY(va_model_open(ctx, path, &model));
    VA_TRY(va_model_attach(model, gpu));
    const int64_t n_layer = va_model_config(model)->n_layer;
    const va_site site = {.kind = VA_SITE_LOGITS, .layer = n_layer, .position = VA_POS_LAST};
    const va_prompt_params params = {.ids = &id, .seq_len = 1, .sites = &site, .n_sites = 1};
    VA_TRY(va_model_weight_bytes(model, n_layer, true, &bytes));
    const double wall = va_time_s(), cpu = cpu_s();
    VA_TRY(va_prompt_create(model, &params, &prompt));
    VA_TRY(va_gpu_wait(gpu));
    const double gb = 1e-9 * (double)bytes;
    printf("%.3f GB  %.3f s  %6.2f GB/s  %6.2f GB per cpu-second\n", gb, va_time_s() - wall,
           gb / (va_time_s() - wall), gb / (cpu_s() - cpu));
done:
    va_prompt_destroy(&prompt);
    va_model_close(&model);
    return st;
}

int main(int argc, char **argv) {
    const int times = argc > 2 ? atoi(argv[2]) : 3;
    va_ctx *ctx = va_ctx_create(NULL);
    va_gpu *gpu = NULL;
    if (argc < 2 || !ctx) {
        fprintf(stderr, "usage: bench_upload MODEL [TIMES]\n");
        return 2;
    }
    va_status st = va_gpu_open(ctx, NULL, &gpu);
    for (int i = 0; i < times && st == VA_OK; i++)
        st = bench(ctx, gpu, argv[1]);
    if (st != VA_OK)
        fprintf(stderr, "%s\n", va_error_message(ctx));
    if (gpu)
        va_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
    return st != VA_OK;
}
