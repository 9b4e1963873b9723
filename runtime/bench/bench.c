// A benchmark from its parameters to its result: the shape, the plan, the ceilings, the work.
// SPDX-License-Identifier: Apache-2.0
#include "bench_priv.h"

static va_status resolve(bench *b, const va_bench_params *p) {
    va_status st = VA_OK;
    const bool cpu = va_gpu_get_info(b->gpu)->kind == VA_GPU_CPU;
    b->p = *p;
    b->p.shape = p->shape ? p->shape : cpu ? "tiny" : "gemma-3-4b";
    b->p.tokens = p->tokens ? p->tokens : 8;
    b->p.repeat = p->repeat ? p->repeat : 5;
    b->p.limit_s = p->limit_s > 0 ? p->limit_s : 20;
    b->p.kinds = p->kinds ? p->kinds : (1u << VA_BENCH_KIND_COUNT) - 1;
    VA_TRY(va_bench_shape_find(b->ctx, b->p.shape, &b->shape));
    VA_TRY(
        va_model_open_random(b->ctx, b->shape->name, b->shape->config_json, b->p.seed, &b->model));
    const va_arch_config *c = va_model_config(b->model);
    b->p.layers = p->layers ? p->layers : c->n_layer;
    if (b->p.layers < 1 || b->p.layers > c->n_layer)
        VA_TRY(va_fail(b->ctx, VA_ERR_USAGE, "%s: expected 1 to %lld layers, got %lld",
                       b->shape->name, (long long)c->n_layer, (long long)b->p.layers));
    if (b->p.tokens < 1 || b->p.tokens > c->max_context || b->p.repeat < 1)
        VA_TRY(va_fail(b->ctx, VA_ERR_USAGE,
                       "%s: expected 1 to %lld tokens and at least one run, got %lld and %lld",
                       b->shape->name, (long long)c->max_context, (long long)b->p.tokens,
                       (long long)b->p.repeat));
done:
    return st;
}

static va_status choose_ids(bench *b) {
    va_status st = VA_OK;
    va_rng rng = va_rng_make(b->p.seed, va_hash64("bench.ids"));
    const int64_t V = va_model_config(b->model)->vocab_size;
    VA_TRY_ALLOC(b->ctx, b->ids, VA_NEW_ARRAY(b->arena, int32_t, b->p.tokens));
    for (int64_t i = 0; i < b->p.tokens; i++)
        b->ids[i] = (int32_t)va_rng_below(&rng, (uint32_t)V);
done:
    return st;
}

static void fill_result(bench *b, va_bench_result *result) {
    for (int64_t i = 0; i < b->n_job; i++)
        bench_rate(b, &b->job[i]);
    *result = (va_bench_result){.shape = b->shape,
                                .layers = b->p.layers,
                                .tokens = b->p.tokens,
                                .repeat = b->p.repeat,
                                .seed = b->p.seed,
                                .ids = b->ids,
                                .weight_bytes = b->weight_bytes,
                                .planned_bytes = b->planned_bytes,
                                .peak_bytes = va_gpu_get_memory(b->gpu).peak_bytes,
                                .flop_ceiling = b->flop_ceiling,
                                .bytes_ceiling = b->bytes_ceiling,
                                .job = b->job,
                                .n_job = b->n_job};
}

va_status va_bench_run(va_ctx *ctx, va_gpu *gpu, va_arena *arena, const va_bench_params *params,
                       va_bench_result *result) {
    va_status st = VA_OK;
    bench b = {.ctx = ctx, .gpu = gpu, .arena = arena};
    VA_TRY_ALLOC(ctx, b.job, VA_NEW_ARRAY(arena, va_bench_job, BENCH_MAX_JOBS));
    VA_TRY(resolve(&b, params));
    VA_TRY(va_model_attach(b.model, gpu));
    VA_TRY(choose_ids(&b));
    VA_TRY(bench_plan(&b));
    VA_TRY(bench_ceilings(&b));
    VA_TRY(bench_model(&b));
    if (bench_wants(&b, VA_BENCH_PROBE))
        VA_TRY(bench_probe(&b));
    fill_result(&b, result);
done:
    va_model_close(&b.model);
    return st;
}
