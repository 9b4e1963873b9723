// vkalign bench: formats what va_bench_run measured.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include "vkalign/bench.h"
#include "vkalign/matmul.h"

#include <string.h>

// -- what is asked for ----------------------------------------------------------------------------

static va_status read_kinds(va_cli *cli, uint32_t *kinds) {
    va_status st = VA_OK;
    const char *list = va_cli_value_of(cli, OPT_ONLY);
    char *text, *save = NULL;
    va_bench_kind kind;
    if (!list)
        return VA_OK;
    VA_TRY_ALLOC(cli->ctx, text, va_arena_strdup(cli->arena, list));
    for (char *name = strtok_r(text, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        if (!va_bench_kind_parse(name, &kind))
            return va_fail(cli->ctx, VA_ERR_USAGE,
                           "--only: expected matmul, copy, forward, jvp, svd, dense or probe, got "
                           "'%s'",
                           name);
        *kinds |= 1u << kind;
    }
    if (*kinds == 0)
        VA_TRY(va_fail(cli->ctx, VA_ERR_USAGE, "--only: expected at least one name"));
done:
    return st;
}

static va_status read_params(va_cli *cli, va_bench_params *p) {
    va_status st = VA_OK;
    const va_bench_shape *shape;
    int64_t seed = 0;
    p->shape = va_cli_value_of(cli, OPT_SHAPE);
    if (p->shape)
        VA_TRY(va_bench_shape_find(cli->ctx, p->shape, &shape));
    VA_TRY(va_cli_int(cli, OPT_LAYERS, 1, INT32_MAX, &p->layers));
    VA_TRY(va_cli_int(cli, OPT_N_TOKENS, 1, INT32_MAX, &p->tokens));
    VA_TRY(va_cli_int(cli, OPT_REPEAT, 1, 10000, &p->repeat));
    VA_TRY(va_cli_int(cli, OPT_SEED, 0, INT64_MAX, &seed));
    VA_TRY(va_cli_positive(cli, OPT_LIMIT, &p->limit_s));
    VA_TRY(read_kinds(cli, &p->kinds));
    p->seed = (uint64_t)seed;
done:
    return st;
}

// -- JSON -----------------------------------------------------------------------------------------

static va_status json_config(va_cli *cli, const va_bench_shape *shape) {
    va_status st = VA_OK;
    va_json *config;
    VA_TRY(va_json_parse(cli->ctx, shape->name, shape->config_json,
                         (int64_t)strlen(shape->config_json), &config));
    va_json_add(cli->out, "config", config);
done:
    return st;
}

static void json_head(va_cli *cli, const va_gpu_info *info, const va_bench_result *r) {
    va_json *o = cli->out;
    va_json_add_string(o, "version", VA_VERSION);
    va_json_add_string(o, "device", info->name);
    va_json_add_string(o, "driver", info->driver);
    va_json_add_bool(o, "cpu", info->kind == VA_GPU_CPU);
    va_json_add_bool(o, "timestamps", info->has_timestamps);
    va_json_add_string(o, "shape", r->shape->name);
    va_json_add_int(o, "layers", r->layers);
    va_json_add_int(o, "tokens", r->tokens);
    va_json_add_int(o, "repeat", r->repeat);
    va_json_add_int(o, "seed", (int64_t)r->seed);
    va_json *ids = va_json_add_array(o, "ids");
    for (int64_t i = 0; i < r->tokens; i++)
        va_json_add_int(ids, NULL, r->ids[i]);
    va_json_add_int(o, "weight_bytes", r->weight_bytes);
    va_json_add_int(o, "planned_bytes", r->planned_bytes);
    va_json_add_int(o, "peak_bytes", r->peak_bytes);
    va_json_add_double(o, "ceiling_flop_per_s", r->flop_ceiling);
    va_json_add_double(o, "ceiling_bytes_per_s", r->bytes_ceiling);
}

static double per_s(double amount, int64_t time_ns) {
    return time_ns > 0 ? 1e9 * amount / (double)time_ns : 0;
}

static void json_kinds(va_json *o, const va_bench_job *j) {
    va_json *kinds = va_json_add_array(o, "op_kinds");
    for (int64_t i = 0; i < j->n_op_kind; i++) {
        const va_bench_op *k = &j->op_kind[i];
        va_json *kind = va_json_add_object(kinds, NULL);
        va_json_add_string(kind, "label", k->label);
        va_json_add_int(kind, "calls", k->calls);
        va_json_add_int(kind, "time_ns", k->time_ns);
        va_json_add_double(kind, "flop", k->flop);
        va_json_add_double(kind, "bytes", k->bytes);
        va_json_add_double(kind, "flop_per_s", per_s(k->flop, k->time_ns));
        va_json_add_double(kind, "bytes_per_s", per_s(k->bytes, k->time_ns));
    }
}

static void json_ops(va_json *o, const va_bench_job *j) {
    va_json_add_double(o, "profiled_s", j->profiled_s);
    va_json_add_double(o, "device_s", j->device_s);
    va_json *ops = va_json_add_array(o, "ops");
    for (int64_t i = 0; i < j->n_op; i++) {
        va_json *op = va_json_add_object(ops, NULL);
        va_json_add_string(op, "label", j->op[i].label);
        va_json_add_int(op, "calls", j->op[i].calls);
        va_json_add_int(op, "time_ns", j->op[i].time_ns);
    }
    json_kinds(o, j);
}

static void json_outcome(va_json *o, const va_bench_job *j) {
    const bool dense = j->kind == VA_BENCH_DENSE;
    if (j->kind == VA_BENCH_FORWARD || j->kind == VA_BENCH_JVP || dense)
        va_json_add_double(o, "norm", j->norm);
    if (dense) {
        va_json_add_int(o, "rows", j->rows);
        va_json_add_int(o, "rows_all", j->rows_all);
    }
    if (j->kind == VA_BENCH_PROBE)
        va_json_add_double(o, "loss", j->loss);
    if (j->kind != VA_BENCH_SVD)
        return;
    va_json *sigma = va_json_add_array(o, "sigma");
    for (int64_t i = 0; i < j->n_sigma; i++)
        va_json_add_double(sigma, NULL, j->sigma[i]);
    va_json_add_int(o, "vectors", j->vectors);
    va_json_add_bool(o, "converged", j->converged);
}

static void json_job(va_json *list, const va_bench_job *j) {
    va_json *o = va_json_add_object(list, NULL);
    va_json_add_string(o, "name", va_bench_kind_name(j->kind));
    if (j->mode)
        va_json_add_string(o, "mode", j->mode);
    va_json_add_string(o, "what", j->what);
    va_json_add_double(o, "flop", j->flop);
    va_json_add_double(o, "bytes", j->bytes);
    va_json *seconds = va_json_add_array(o, "seconds");
    for (int64_t i = 0; i < j->n; i++)
        va_json_add_double(seconds, NULL, j->seconds[i]);
    va_json_add_double(o, "median_s", j->median_s);
    va_json_add_double(o, "fastest_s", j->fastest_s);
    va_json_add_double(o, "slowest_s", j->slowest_s);
    va_json_add_double(o, "cpu_s", j->cpu_s);
    va_json_add_double(o, "flop_per_s", j->flop_per_s);
    va_json_add_double(o, "bytes_per_s", j->bytes_per_s);
    va_json_add_double(o, "flop_share", j->flop_share);
    va_json_add_double(o, "bytes_share", j->bytes_share);
    json_outcome(o, j);
    json_ops(o, j);
}

// -- text -----------------------------------------------------------------------------------------

static void print_head(const va_cli *cli, const va_gpu_info *info, const va_bench_result *r) {
    char weights[32], peak[32];
    va_cli_print(cli, "%s (%s)\n", info->name, info->driver);
    va_cli_print(cli, "%s, %lld blocks, %lld tokens, random weights of %s; peak %s\n",
                 r->shape->name, (long long)r->layers, (long long)r->tokens,
                 va_format_bytes(weights, r->weight_bytes), va_format_bytes(peak, r->peak_bytes));
    va_cli_print(cli, "ceilings measured: %.4g GFLOP/s, %.4g GB/s\n\n", r->flop_ceiling / 1e9,
                 r->bytes_ceiling / 1e9);
    va_cli_print(cli, "%-8s %-9s %-38s %10s %10s %10s %9s %5s %8s %5s\n", "", "", "", "median ms",
                 "fastest", "slowest", "GFLOP/s", "", "GB/s", "");
}

// Where the time on the device went, by shader, then what it was used for.
static void print_profile(const va_cli *cli, const va_bench_job *j) {
    for (int64_t i = 0; i < j->n_op; i++)
        va_cli_print(cli, "%18s %-38s %10.3f ms %4.0f%% %7lld calls\n", "", j->op[i].label,
                     1e-6 * (double)j->op[i].time_ns,
                     1e-7 * (double)j->op[i].time_ns / j->profiled_s, (long long)j->op[i].calls);
    for (int64_t i = 0; i < j->n_op_kind; i++) {
        const va_bench_op *k = &j->op_kind[i];
        va_cli_print(cli, "%20s %-36s %10.3f ms %4.0f%% %7lld calls %9.2f GFLOP/s %8.2f GB/s\n", "",
                     k->label, 1e-6 * (double)k->time_ns, 1e-7 * (double)k->time_ns / j->profiled_s,
                     (long long)k->calls, 1e-9 * per_s(k->flop, k->time_ns),
                     1e-9 * per_s(k->bytes, k->time_ns));
    }
}

static void print_job(const va_cli *cli, const va_bench_job *j) {
    va_cli_print(cli, "%-8s %-9s %-38s %10.3f %10.3f %10.3f %9.2f %4.0f%% %8.2f %4.0f%%\n",
                 va_bench_kind_name(j->kind), j->mode ? j->mode : "", j->what, 1e3 * j->median_s,
                 1e3 * j->fastest_s, 1e3 * j->slowest_s, j->flop_per_s / 1e9, 100 * j->flop_share,
                 j->bytes_per_s / 1e9, 100 * j->bytes_share);
    if (j->kind == VA_BENCH_SVD && !j->converged)
        va_cli_print(cli, "%18s NOT converged after %lld vectors\n", "", (long long)j->vectors);
    if (va_cli_has(cli, OPT_VERBOSE))
        print_profile(cli, j);
}

// -- tiles ----------------------------------------------------------------------------------------

// Refused rather than ignored: tiles are timed at shapes of their own.
static va_status refuse_with_tune(va_cli *cli) {
    static const va_opt without[] = {OPT_SHAPE, OPT_LAYERS, OPT_N_TOKENS, OPT_REPEAT,
                                     OPT_ONLY,  OPT_LIMIT,  OPT_SEED,     OPT_MEMORY};
    for (int64_t i = 0; i < VA_COUNT(without); i++)
        if (va_cli_has(cli, without[i]))
            return va_fail(cli->ctx, VA_ERR_USAGE, "bench: --tune goes with --device alone");
    return VA_OK;
}

static va_status tune(va_cli *cli) {
    va_status st = VA_OK;
    va_gpu *gpu = NULL;
    va_matmul_tuned *list;
    int64_t n;
    VA_TRY(refuse_with_tune(cli));
    VA_TRY(
        va_gpu_open(cli->ctx, &(va_gpu_params){.device = va_cli_value_of(cli, OPT_DEVICE)}, &gpu));
    const va_gpu_info *info = va_gpu_get_info(gpu);
    VA_TRY(va_matmul_tune(gpu, info->kind == VA_GPU_CPU ? 256 : 2048, cli->arena, &list, &n));
    va_json_add_string(cli->out, "device", info->name);
    va_json_add_string(cli->out, "driver", info->driver);
    va_json *tiles = va_json_add_array(cli->out, "tiles");
    if (n == 0)
        va_cli_print(cli, "the matmul kernel of %s has no tiles to choose from\n", info->name);
    for (int64_t i = 0; i < n; i++) {
        va_json *tile = va_json_add_object(tiles, NULL);
        va_json_add_string(tile, "what", list[i].what);
        va_json_add_string(tile, "tile", list[i].tile);
        va_json_add_double(tile, "gflops", list[i].gflops);
        va_json_add_double(tile, "default_gflops", list[i].default_gflops);
        va_cli_print(cli, "%-32s %-22s %9.1f GFLOP/s, before %9.1f\n", list[i].what, list[i].tile,
                     list[i].gflops, list[i].default_gflops);
    }
done:
    va_gpu_close(&gpu);
    return st;
}

va_status va_cli_bench(va_cli *cli) {
    va_status st = VA_OK;
    if (va_cli_has(cli, OPT_TUNE))
        return tune(cli);
    va_bench_params params = {0};
    va_gpu_params device = {.device = va_cli_value_of(cli, OPT_DEVICE), .timestamps = true};
    va_gpu *gpu = NULL;
    va_bench_result r;
    VA_TRY(read_params(cli, &params));
    VA_TRY(va_cli_bytes(cli, OPT_MEMORY, &device.memory_limit_bytes));
    VA_TRY(va_gpu_open(cli->ctx, &device, &gpu));
    VA_TRY(va_bench_run(cli->ctx, gpu, cli->arena, &params, &r));
    const va_gpu_info *info = va_gpu_get_info(gpu);
    json_head(cli, info, &r);
    VA_TRY(json_config(cli, r.shape));
    va_json *jobs = va_json_add_array(cli->out, "jobs");
    print_head(cli, info, &r);
    for (int64_t i = 0; i < r.n_job; i++) {
        json_job(jobs, &r.job[i]);
        print_job(cli, &r.job[i]);
    }
done:
    va_gpu_close(&gpu);
    return st;
}
