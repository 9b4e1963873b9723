// Timing: a run to warm up, runs by the clock without timestamps, then one with them.
// SPDX-License-Identifier: Apache-2.0
#include "bench_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Of one run.
typedef struct run_time {
    double wall_s, cpu_s;
} run_time;

static double cpu_time_s(void) {
    struct timespec t = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static va_status prepare(bench *b, const bench_work *w) {
    va_status st = VA_OK;
    VA_TRY(va_check_interrupt(b->ctx));
    if (w->prepare)
        VA_TRY(w->prepare(w->user));
    VA_TRY(va_gpu_wait(b->gpu));
done:
    return st;
}

static va_status run_once(bench *b, const bench_work *w, run_time *taken) {
    va_status st = VA_OK;
    VA_TRY(prepare(b, w));
    const double cpu = cpu_time_s(), start = va_time_s();
    VA_TRY(w->run(w->user));
    VA_TRY(va_gpu_wait(b->gpu));
    *taken = (run_time){va_time_s() - start, cpu_time_s() - cpu};
done:
    return st;
}

// A first run that takes half of the limit is no warm-up: building pipelines is little beside it.
static va_status run_all(bench *b, const bench_work *w, va_bench_job *job, double *cpu) {
    va_status st = VA_OK;
    run_time run;
    double sum = 0;
    VA_TRY(run_once(b, w, &run));
    if (run.wall_s < b->p.limit_s / 8) // the second run is the one that makes recordings
        VA_TRY(run_once(b, w, &run));
    if (run.wall_s > b->p.limit_s / 2) {
        job->seconds[job->n] = sum = run.wall_s;
        cpu[job->n++] = run.cpu_s;
    }
    while (job->n < b->p.repeat &&
           (job->n == 0 || sum * (1 + 1.0 / (double)job->n) < b->p.limit_s)) {
        VA_TRY(run_once(b, w, &run));
        job->seconds[job->n] = run.wall_s;
        cpu[job->n++] = run.cpu_s;
        sum += run.wall_s;
    }
done:
    return st;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Of sorted numbers.
static double median(const double *sorted, int64_t n) {
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

// cpu [n] gets sorted.
static va_status summarise(bench *b, va_bench_job *job, double *cpu) {
    va_status st = VA_OK;
    double *sorted;
    const int64_t n = job->n;
    VA_TRY_ALLOC(b->ctx, sorted, VA_NEW_ARRAY(b->arena, double, n));
    memcpy(sorted, job->seconds, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    qsort(cpu, (size_t)n, sizeof *cpu, ascending);
    job->median_s = median(sorted, n);
    job->fastest_s = sorted[0];
    job->slowest_s = sorted[n - 1];
    job->cpu_s = median(cpu, n);
done:
    return st;
}

static va_status keep(bench *b, const va_gpu_timing *list, int64_t n, const va_bench_op **out) {
    va_status st = VA_OK;
    va_bench_op *op;
    VA_TRY_ALLOC(b->ctx, op, VA_NEW_ARRAY(b->arena, va_bench_op, n));
    for (int64_t i = 0; i < n; i++) {
        op[i] = (va_bench_op){.calls = list[i].calls,
                              .time_ns = list[i].time_ns,
                              .flop = list[i].flop,
                              .bytes = list[i].bytes};
        VA_TRY_ALLOC(b->ctx, op[i].label, va_arena_strdup(b->arena, list[i].label));
    }
    *out = op;
done:
    return st;
}

static va_status profile(bench *b, const bench_work *w, va_bench_job *job) {
    va_status st = VA_OK;
    const va_gpu_timing *list;
    VA_TRY(prepare(b, w));
    va_gpu_reset_timings(b->gpu);
    va_gpu_pause_timings(b->gpu, false);
    const double start = va_time_s();
    VA_TRY(w->run(w->user));
    VA_TRY(va_gpu_wait(b->gpu));
    job->profiled_s = va_time_s() - start;
    VA_TRY(va_gpu_get_timings(b->gpu, &list, &job->n_op));
    VA_TRY(keep(b, list, job->n_op, &job->op));
    for (int64_t i = 0; i < job->n_op; i++)
        job->device_s += 1e-9 * (double)list[i].time_ns;
    VA_TRY(va_gpu_get_group_timings(b->gpu, &list, &job->n_op_kind));
    VA_TRY(keep(b, list, job->n_op_kind, &job->op_kind));
done:
    va_gpu_pause_timings(b->gpu, true);
    return st;
}

va_status bench_time(bench *b, const va_bench_job *job, const bench_work *work,
                     va_bench_job **added) {
    va_status st = VA_OK;
    double *cpu;
    assert(b->n_job < BENCH_MAX_JOBS);
    va_bench_job *j = &b->job[b->n_job];
    *j = *job;
    va_gpu_pause_timings(b->gpu, true);
    va_log(b->ctx, VA_LOG_INFO, "%s %s%s%s", va_bench_kind_name(j->kind), j->what,
           j->mode ? ", " : "", j->mode ? j->mode : "");
    VA_TRY_ALLOC(b->ctx, j->seconds, VA_NEW_ARRAY(b->arena, double, b->p.repeat));
    VA_TRY_ALLOC(b->ctx, cpu, VA_NEW_ARRAY(b->arena, double, b->p.repeat));
    VA_TRY(run_all(b, work, j, cpu));
    VA_TRY(summarise(b, j, cpu));
    if (va_gpu_get_info(b->gpu)->has_timestamps)
        VA_TRY(profile(b, work, j));
    b->n_job++;
    *added = j;
done:
    return st;
}

void bench_rate(bench *b, va_bench_job *job) {
    job->flop_per_s = job->flop / job->median_s;
    job->bytes_per_s = job->bytes / job->median_s;
    job->flop_share = job->flop_per_s / b->flop_ceiling;
    job->bytes_share = job->bytes_per_s / b->bytes_ceiling;
}
