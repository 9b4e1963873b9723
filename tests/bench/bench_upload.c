// bench_upload.c: how fast a model's weights reach the device.
//
//   bench_upload MODEL [TIMES] [LAYERS] [run]
// Opens the model and makes a prompt of 8 tokens, with logits, so that every weight is checked and
// uploaded, or up to norm:LAYERS@last; the first time also reads the file. Prints GB/s by the clock
// and by processor time, then how long the forward pass took once the weights were there (with
// pipelines built in the first time) and what the two took together. With `run` (LAYERS 0: logits)
// the forward pass follows the weights as they arrive.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { TOKENS = 8 };

static va_status bench(va_ctx *ctx, va_gpu *gpu, const char *path, int layers, bool run) {
    va_status st = VA_OK;
    va_model *model = NULL;
    va_prompt *prompt = NULL;
    int64_t bytes = 0;
    static const int32_t ids[TOKENS] = {1, 2, 3, 4, 5, 6, 7, 8};
    float *out = NULL;
    VA_TRY(va_model_open(ctx, path, &model));
    VA_TRY(va_model_attach(model, gpu));
    const va_arch_config *c = va_model_config(model);
    const bool logits = layers < 1;
    const int64_t n_layer = logits ? c->n_layer : layers;
    const va_site site = {
        .kind = logits ? VA_SITE_LOGITS : VA_SITE_NORM, .layer = n_layer, .position = VA_POS_LAST};
    const va_prompt_params params = {
        .ids = ids, .seq_len = TOKENS, .sites = &site, .n_sites = 1, .run = run};
    VA_TRY(va_model_weight_bytes(model, n_layer, logits, &bytes));
    VA_TRY_ALLOC(ctx, out, malloc((size_t)VA_MAX(c->d_model, c->vocab_size) * sizeof *out));
    const double wall = va_time_s(), cpu = cpu_s();
    VA_TRY(va_prompt_create(model, &params, &prompt));
    VA_TRY(va_gpu_wait(gpu));
    const double gb = 1e-9 * (double)bytes, sent = va_time_s(), sent_cpu = cpu_s();
    VA_TRY(va_prompt_read(prompt, 0, out));
    const double end = va_time_s();
    printf("%.3f GB  %.3f s  %6.2f GB/s  %6.2f GB per cpu-second  forward %.3f s  both %.3f s\n",
           gb, sent - wall, gb / (sent - wall), gb / (sent_cpu - cpu), end - sent, end - wall);
done:
    free(out);
    va_prompt_destroy(&prompt);
    va_model_close(&model);
    return st;
}

int main(int argc, char **argv) {
    const int times = argc > 2 ? atoi(argv[2]) : 3;
    va_ctx *ctx = va_ctx_create(NULL);
    va_gpu *gpu = NULL;
    const bool run = argc > 4 && strcmp(argv[4], "run") == 0;
    const int layers = argc > 3 ? atoi(argv[3]) : 0;
    if (argc < 2 || !ctx) {
        fprintf(stderr, "usage: bench_upload MODEL [TIMES] [LAYERS] [run]\n");
        return 2;
    }
    va_status st = va_gpu_open(ctx, NULL, &gpu);
    for (int i = 0; i < times && st == VA_OK; i++)
        st = bench(ctx, gpu, argv[1], layers, run);
    if (st != VA_OK)
        fprintf(stderr, "%s\n", va_error_message(ctx));
    if (gpu)
        va_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
    return st != VA_OK;
}
