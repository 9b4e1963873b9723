// The model's work: forward, J x, the largest singular triplets of J, J itself.
// SPDX-License-Identifier: Apache-2.0
#include "bench_priv.h"

#include <math.h>
#include <stdlib.h>

enum { FROM, TO, N_SITES }; // embed@all, norm:N@last

typedef struct model_work {
    bench *b;
    va_prompt *prompt;
    va_linmap *map; // jvp, svd
    va_mode mode;
    va_map_budget budget;
    float *out; // [d]
    int64_t d;
    va_arena *arena;   // of one run
    va_svd_result svd; // in arena
    va_jacobians dense;
    double squares; // of the rows that the first run formed
    bool summed;
} model_work;

static const char *const mode_names[] = {[VA_EXACT] = "exact", [VA_DETACHED] = "detached"};

static void sites_of(const bench *b, va_site sites[N_SITES]) {
    sites[FROM] = (va_site){.kind = VA_SITE_EMBED, .position = VA_POS_ALL};
    sites[TO] = (va_site){.kind = VA_SITE_NORM, .layer = b->p.layers, .position = VA_POS_LAST};
}

// With derivatives both sites, without TO alone.
static va_prompt_params prompt_params(const bench *b, const va_site *sites, bool derivatives) {
    return (va_prompt_params){.ids = b->ids,
                              .seq_len = b->p.tokens,
                              .sites = derivatives ? sites : sites + TO,
                              .n_sites = derivatives ? N_SITES : 1,
                              .derivatives = derivatives};
}

static va_svd_params svd_params(const bench *b) {
    return (va_svd_params){.k = BENCH_TOP_K, .seed = b->p.seed};
}

static va_map_budget budget_of(const bench *b, va_bench_kind kind) {
    const int64_t d = va_model_config(b->model)->d_model;
    const va_svd_params params = svd_params(b);
    va_map_budget budget = {.memory_bytes = b->derivative_bytes};
    if (kind == VA_BENCH_JVP)
        budget.max_k = budget.min_k = 1;
    if (kind == VA_BENCH_SVD)
        va_svd_block_range(&params, d, b->p.tokens * d, &budget.min_k, &budget.max_k);
    return budget;
}

// -- plans ----------------------------------------------------------------------------------------

// Rows are all of J when dense names none.
static va_status plan_dense(const bench *b, va_mode mode, const va_jacobians *rows,
                            va_map_plan *plan) {
    static const int64_t from = FROM;
    va_site sites[N_SITES];
    const va_map_budget budget = budget_of(b, VA_BENCH_DENSE);
    va_jacobians j = *rows;
    sites_of(b, sites);
    const va_prompt_params params = prompt_params(b, sites, true);
    j.from = &from, j.n_from = 1, j.to = TO, j.mode = mode;
    return va_prompt_plan_jacobians(b->model, &params, &j, &budget, plan);
}

static va_status plan_map(const bench *b, va_bench_kind kind, va_mode mode, va_map_use use,
                          va_map_plan *plan) {
    va_site sites[N_SITES];
    const va_map_budget budget = budget_of(b, kind);
    sites_of(b, sites);
    const va_prompt_params params = prompt_params(b, sites, true);
    return va_prompt_plan_map(b->model, &params, FROM, TO, mode, use, &budget, plan);
}

static va_status plan_kind(const bench *b, va_bench_kind kind, va_mode mode, int64_t *peak_bytes) {
    va_status st = VA_OK;
    va_map_plan plan;
    if (kind == VA_BENCH_DENSE)
        VA_TRY(plan_dense(b, mode, &(va_jacobians){0}, &plan));
    else
        VA_TRY(plan_map(b, kind, mode, VA_MAP_APPLY, &plan));
    *peak_bytes = VA_MAX(*peak_bytes, plan.peak_bytes);
done:
    return st;
}

static va_status check_memory(const bench *b) {
    char need[32], weights[32], got[32];
    const int64_t limit = va_gpu_memory_limit(b->gpu);
    if (b->planned_bytes <= limit)
        return VA_OK;
    return va_fail(b->ctx, VA_ERR_MEMORY,
                   "%s, %lld blocks: expected %lld bytes (%s) of device memory (weights %s), got "
                   "%s; fewer layers take less",
                   b->shape->name, (long long)b->p.layers, (long long)b->planned_bytes,
                   va_format_bytes(need, b->planned_bytes),
                   va_format_bytes(weights, b->weight_bytes), va_format_bytes(got, limit));
}

va_status bench_plan(bench *b) {
    static const va_bench_kind kinds[] = {VA_BENCH_JVP, VA_BENCH_SVD, VA_BENCH_DENSE};
    va_status st = VA_OK;
    va_site sites[N_SITES];
    int64_t peak = 0;
    sites_of(b, sites);
    const va_prompt_params plain = prompt_params(b, sites, false),
                           kept = prompt_params(b, sites, true);
    VA_TRY(va_prompt_plan(b->model, &plain, &b->forward, NULL));
    VA_TRY(va_prompt_plan(b->model, &kept, &b->kept, NULL));
    VA_TRY(va_model_buffer_bytes(b->model, b->p.layers, false, &b->weight_bytes));
    b->planned_bytes = VA_MAX(b->weight_bytes + b->forward.memory_bytes, bench_ceilings_bytes(b));
    VA_TRY(check_memory(b));
    b->derivative_bytes = va_gpu_memory_limit(b->gpu) - b->forward.memory_bytes;
    for (int i = 0; i < VA_COUNT(kinds); i++)
        for (int mode = VA_EXACT; mode <= VA_DETACHED && bench_wants(b, kinds[i]); mode++)
            VA_TRY(plan_kind(b, kinds[i], (va_mode)mode, &peak));
    b->planned_bytes = VA_MAX(b->planned_bytes, peak > 0 ? peak + b->forward.memory_bytes : 0);
done:
    return st;
}

// -- runs -----------------------------------------------------------------------------------------

static va_status prepare(void *user) {
    model_work *w = user;
    return va_prompt_set_ids(w->prompt, w->b->ids);
}

static double norm_of(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

static va_status forward_run(void *user) {
    model_work *w = user;
    return va_prompt_read(w->prompt, 0, w->out);
}

static va_status measure_forward(bench *b, model_work *w) {
    va_status st = VA_OK;
    va_bench_job job = {
        .kind = VA_BENCH_FORWARD, .flop = b->forward.flop, .bytes = b->forward.bytes};
    va_bench_job *added;
    VA_TRY_ALLOC(b->ctx, job.what,
                 va_arena_printf(b->arena, "norm:%lld@last, %lld tokens", (long long)b->p.layers,
                                 (long long)b->p.tokens));
    VA_TRY(bench_time(b, &job, &(bench_work){prepare, forward_run, w}, &added));
    added->norm = norm_of(w->out, w->d);
done:
    return st;
}

static va_status jvp_run(void *user) {
    model_work *w = user;
    return va_prompt_jx(w->prompt, FROM, TO, w->map, w->out);
}

static va_status measure_jvp(bench *b, model_work *w) {
    va_status st = VA_OK;
    va_bench_job job = {.kind = VA_BENCH_JVP, .mode = mode_names[w->mode]}, *added;
    va_map_plan plan;
    VA_TRY(plan_map(b, VA_BENCH_JVP, w->mode, VA_MAP_FORWARD, &plan));
    job.flop = b->kept.flop + plan.flop;
    job.bytes = b->kept.bytes + plan.bytes;
    VA_TRY_ALLOC(b->ctx, job.what,
                 va_arena_printf(b->arena, "J x, J %lld x %lld", (long long)plan.rows,
                                 (long long)plan.columns));
    VA_TRY(va_prompt_linmap(w->prompt, FROM, TO, w->mode, &w->budget, &w->map));
    VA_TRY(bench_time(b, &job, &(bench_work){prepare, jvp_run, w}, &added));
    added->norm = norm_of(w->out, w->d);
done:
    return st;
}

static va_status svd_run(void *user) {
    model_work *w = user;
    const va_svd_params params = svd_params(w->b);
    va_arena_reset(w->arena);
    return va_svd(w->b->ctx, w->arena, w->map, &params, &w->svd);
}

static va_status keep_triplets(const model_work *w, const va_map_plan *plan, va_bench_job *job) {
    va_status st = VA_OK;
    double *sigma;
    const va_svd_result *r = &w->svd;
    VA_TRY_ALLOC(w->b->ctx, sigma, VA_NEW_ARRAY(w->b->arena, double, r->k));
    for (int64_t i = 0; i < r->k; i++)
        sigma[i] = r->sigma[i];
    job->sigma = sigma;
    job->n_sigma = r->k;
    job->vectors = r->vectors;
    job->converged = r->converged;
    // The plan's sweep is one each way: vectors by arithmetic, weights read once an application.
    job->flop += plan->flop / 2 * (double)r->vectors / (double)plan->k;
    job->bytes += plan->bytes / 2 * (double)r->iterations;
done:
    return st;
}

static va_status measure_svd(bench *b, model_work *w) {
    va_status st = VA_OK;
    va_bench_job job = {.kind = VA_BENCH_SVD,
                        .mode = mode_names[w->mode],
                        .flop = b->kept.flop,
                        .bytes = b->kept.bytes};
    va_bench_job *added;
    va_map_plan plan;
    VA_TRY(plan_map(b, VA_BENCH_SVD, w->mode, VA_MAP_APPLY, &plan));
    VA_TRY_ALLOC(
        b->ctx, job.what,
        va_arena_printf(b->arena, "top %d of J, blocks of %lld", BENCH_TOP_K, (long long)plan.k));
    VA_TRY(va_prompt_linmap(w->prompt, FROM, TO, w->mode, &w->budget, &w->map));
    VA_TRY(bench_time(b, &job, &(bench_work){prepare, svd_run, w}, &added));
    VA_TRY(keep_triplets(w, &plan, added));
done:
    return st;
}

// -- J itself -------------------------------------------------------------------------------------

static va_status take_rows(void *user, int64_t source, int64_t first, int64_t count,
                           const float *rows) {
    model_work *w = user;
    (void)source, (void)first;
    const int64_t n = count * w->b->p.tokens * w->d;
    for (int64_t i = 0; i < n && !w->summed; i++)
        w->squares += (double)rows[i] * (double)rows[i];
    return va_check_interrupt(w->b->ctx);
}

static va_status dense_run(void *user) {
    model_work *w = user;
    const va_status st = va_prompt_jacobians(w->prompt, &w->dense, &w->budget, take_rows, w);
    w->summed = true;
    return st;
}

// The first rows alone where all would take longer than the limit at the device's best.
static va_status choose_rows(bench *b, model_work *w, va_map_plan *plan) {
    va_status st = VA_OK;
    static const int64_t from = FROM;
    int64_t *rows;
    w->dense = (va_jacobians){.from = &from, .n_from = 1, .to = TO, .mode = w->mode};
    VA_TRY(plan_dense(b, w->mode, &w->dense, plan));
    const double sweeps = (double)plan->rows / (double)plan->k;
    const double expected_s = sweeps * plan->flop / b->flop_ceiling;
    if (expected_s <= b->p.limit_s)
        return VA_OK;
    const int64_t n = (int64_t)((double)plan->rows * b->p.limit_s / expected_s);
    w->dense.n_rows = VA_MAX(n, 1);
    VA_TRY_ALLOC(b->ctx, rows, VA_NEW_ARRAY(b->arena, int64_t, w->dense.n_rows));
    for (int64_t i = 0; i < w->dense.n_rows; i++)
        rows[i] = i;
    w->dense.rows = rows;
    VA_TRY(plan_dense(b, w->mode, &w->dense, plan));
done:
    return st;
}

static va_status measure_dense(bench *b, model_work *w) {
    va_status st = VA_OK;
    va_bench_job job = {.kind = VA_BENCH_DENSE, .mode = mode_names[w->mode], .rows_all = w->d};
    va_bench_job *added;
    va_map_plan plan;
    VA_TRY(choose_rows(b, w, &plan));
    const double sweeps = (double)plan.rows / (double)plan.k;
    job.rows = plan.rows;
    job.flop = b->kept.flop + sweeps * plan.flop;
    job.bytes = b->kept.bytes + (double)plan.sweeps * plan.bytes;
    VA_TRY_ALLOC(b->ctx, job.what,
                 va_arena_printf(b->arena, "%lld of %lld rows of J, %lld at once",
                                 (long long)plan.rows, (long long)w->d, (long long)plan.k));
    VA_TRY(bench_time(b, &job, &(bench_work){prepare, dense_run, w}, &added));
    added->norm = sqrt(w->squares);
done:
    return st;
}

// -- all ------------------------------------------------------------------------------------------

static va_status measure(bench *b, va_bench_kind kind, va_mode mode, va_prompt *prompt) {
    va_status st = VA_OK;
    model_work w = {.b = b, .prompt = prompt, .mode = mode, .budget = budget_of(b, kind)};
    w.d = va_model_config(b->model)->d_model;
    VA_TRY_ALLOC(b->ctx, w.arena, va_arena_create());
    VA_TRY_ALLOC(b->ctx, w.out, malloc((size_t)w.d * sizeof *w.out));
    switch (kind) {
    case VA_BENCH_FORWARD:
        VA_TRY(measure_forward(b, &w));
        break;
    case VA_BENCH_JVP:
        VA_TRY(measure_jvp(b, &w));
        break;
    case VA_BENCH_SVD:
        VA_TRY(measure_svd(b, &w));
        break;
    default:
        VA_TRY(measure_dense(b, &w));
    }
done:
    va_linmap_destroy(&w.map);
    va_arena_destroy(&w.arena);
    free(w.out);
    return st;
}

static va_status measure_derivatives(bench *b, va_prompt *prompt) {
    static const va_bench_kind kinds[] = {VA_BENCH_JVP, VA_BENCH_SVD, VA_BENCH_DENSE};
    va_status st = VA_OK;
    for (int i = 0; i < VA_COUNT(kinds); i++)
        for (int mode = VA_EXACT; mode <= VA_DETACHED && bench_wants(b, kinds[i]); mode++)
            VA_TRY(measure(b, kinds[i], (va_mode)mode, prompt));
done:
    return st;
}

va_status bench_model(bench *b) {
    va_status st = VA_OK;
    va_prompt *plain = NULL, *prompt = NULL;
    va_site sites[N_SITES];
    sites_of(b, sites);
    const uint32_t derived = 1u << VA_BENCH_JVP | 1u << VA_BENCH_SVD | 1u << VA_BENCH_DENSE;
    const va_prompt_params params[] = {prompt_params(b, sites, false),
                                       prompt_params(b, sites, true)};
    if (bench_wants(b, VA_BENCH_FORWARD)) {
        VA_TRY(va_prompt_create(b->model, &params[0], &plain));
        VA_TRY(measure(b, VA_BENCH_FORWARD, VA_EXACT, plain));
    }
    if (b->p.kinds & derived) {
        VA_TRY(va_prompt_create(b->model, &params[1], &prompt));
        VA_TRY(measure_derivatives(b, prompt));
    }
done:
    va_prompt_destroy(&prompt);
    va_prompt_destroy(&plain);
    return st;
}
