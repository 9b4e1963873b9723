// vkalign devices: what there is, what it can do, and whether it computes right.
//
// The self-test is one linear layer and its transposed derivative, in each dtype of weights,
// compared with double loops here.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <math.h>
#include <stdlib.h>

// Odd sizes, several tiles.
enum { ROWS = 5, N_IN = 301, N_OUT = 67 };
// Rounding of a sum of 301 products in float32: 301 * 2^-24 = 1.8e-5 at the very most.
static const double TOLERANCE = 2e-5;

static const struct {
    const char *name, *shader;
} kernels[] = {
    {"scalar", "op/linear.NT"},
    {"cpu", "op/linear_cpu.NT"},
    {"coopmat", "op/linear_coopmat.NT"},
    {"coopmat2", "op/linear_coopmat2.NT"},
};

// -- self-test ------------------------------------------------------------------------------------

typedef struct linear_test {
    va_gpu *gpu;
    va_graph *graph;
    va_buffer *weight_buffer, *dy_buffer, *dx_buffer;
    va_node x, y;
    va_dtype dtype;
    float in[ROWS * N_IN], w[N_OUT * N_IN], dy[ROWS * N_OUT];
    float out[ROWS * N_OUT], dx[ROWS * N_IN];
} linear_test;

static void fill_random(linear_test *t) {
    va_rng r = va_rng_make(1, va_hash64("self-test"));
    for (int64_t i = 0; i < VA_COUNT(t->in); i++)
        t->in[i] = (float)va_rng_normal(&r);
    for (int64_t i = 0; i < VA_COUNT(t->dy); i++)
        t->dy[i] = (float)va_rng_normal(&r);
    for (int64_t i = 0; i < VA_COUNT(t->w); i++) { // exact in every dtype
        const float w = (float)va_rng_normal(&r);
        t->w[i] = t->dtype == VA_BF16  ? va_bf16_to_f32(va_f32_to_bf16(w))
                  : t->dtype == VA_F16 ? va_f16_to_f32(va_f32_to_f16(w))
                                       : w;
    }
}

static va_status bind_weight(linear_test *t, va_node node) {
    va_status st = VA_OK;
    static uint16_t packed[N_OUT * N_IN + 1]; // the last one pads to whole words
    va_tensor w = va_tensor_make(t->dtype, 2, (const int64_t[]){N_OUT, N_IN});
    for (int64_t i = 0; i < N_OUT * N_IN; i++)
        packed[i] = t->dtype == VA_BF16 ? va_f32_to_bf16(t->w[i]) : va_f32_to_f16(t->w[i]);
    VA_TRY(va_buffer_create(t->gpu, va_tensor_bytes(&w), "self-test weight", &t->weight_buffer));
    w.mem = va_buffer_all(t->weight_buffer);
    VA_TRY(va_gpu_upload(t->gpu, w.mem, t->dtype == VA_F32 ? (void *)t->w : (void *)packed));
    VA_TRY(va_graph_bind(t->graph, node, &w));
done:
    return st;
}

static va_status build(linear_test *t) {
    va_status st = VA_OK;
    VA_TRY_ALLOC(va_gpu_ctx(t->gpu), t->graph, va_graph_create(va_gpu_ctx(t->gpu)));
    t->x = va_graph_input(t->graph, "x", VA_F32, 2, (const int64_t[]){ROWS, N_IN});
    const va_node w = va_graph_weight(t->graph, "w", N_OUT, N_IN);
    const va_node in[VA_OP_MAX_IN] = {t->x, w, VA_NODE_NONE, VA_NODE_NONE};
    t->y = va_graph_op(t->graph, VA_OP_LINEAR, &(va_op_attr){0}, in, "self-test");
    va_graph_keep(t->graph, t->y);
    va_graph_want(t->graph, VA_EXACT, t->x, t->y);
    VA_TRY(va_graph_finish(t->graph));
    VA_TRY(bind_weight(t, w));
    VA_TRY(va_graph_realize(t->graph, t->gpu));
done:
    return st;
}

static va_status compute(linear_test *t) {
    va_status st = VA_OK;
    va_block dx, dy;
    VA_TRY(va_graph_set(t->graph, t->x, t->in));
    VA_TRY(va_graph_forward(t->graph));
    VA_TRY(va_graph_read(t->graph, t->y, t->out));
    VA_TRY(va_block_create(t->gpu, ROWS, 1, N_OUT, "self-test dy", &t->dy_buffer, &dy));
    VA_TRY(va_block_create(t->gpu, ROWS, 1, N_IN, "self-test dx", &t->dx_buffer, &dx));
    VA_TRY(va_block_from_host(t->gpu, &dy, t->dy));
    VA_TRY(va_graph_vjp(t->graph, VA_EXACT, t->y, &dy, &t->x, 1, VA_ALL_ROWS, &dx));
    VA_TRY(va_block_to_host(t->gpu, &dx, t->dx));
done:
    return st;
}

// Largest error of either result, relative to the sum of the products' magnitudes.
static double largest_error(const linear_test *t) {
    double worst = 0;
    for (int64_t m = 0; m < ROWS; m++) {
        for (int64_t o = 0; o < N_OUT; o++) {
            double sum = 0, size = 0;
            for (int64_t i = 0; i < N_IN; i++) {
                const double p = (double)t->in[m * N_IN + i] * t->w[o * N_IN + i];
                sum += p, size += fabs(p);
            }
            worst = fmax(worst, fabs(t->out[m * N_OUT + o] - sum) / size);
        }
        for (int64_t i = 0; i < N_IN; i++) {
            double sum = 0, size = 0;
            for (int64_t o = 0; o < N_OUT; o++) {
                const double p = (double)t->dy[m * N_OUT + o] * t->w[o * N_IN + i];
                sum += p, size += fabs(p);
            }
            worst = fmax(worst, fabs(t->dx[m * N_IN + i] - sum) / size);
        }
    }
    return worst;
}

// All finite; fmax alone would overlook a NaN.
static bool is_finite(const linear_test *t) {
    bool finite = true;
    for (int64_t i = 0; i < VA_COUNT(t->out); i++)
        finite = finite && isfinite(t->out[i]);
    for (int64_t i = 0; i < VA_COUNT(t->dx); i++)
        finite = finite && isfinite(t->dx[i]);
    return finite;
}

static va_status test_dtype(va_gpu *gpu, va_dtype dtype, double *error) {
    va_status st = VA_OK;
    linear_test *t;
    VA_TRY_ALLOC(va_gpu_ctx(gpu), t, calloc(1, sizeof *t));
    t->gpu = gpu;
    t->dtype = dtype;
    fill_random(t);
    VA_TRY(build(t));
    VA_TRY(compute(t));
    *error = is_finite(t) ? largest_error(t) : INFINITY;
done:
    if (t) {
        va_graph_destroy(&t->graph);
        va_buffer_destroy(&t->weight_buffer);
        va_buffer_destroy(&t->dy_buffer);
        va_buffer_destroy(&t->dx_buffer);
    }
    free(t);
    return st;
}

static va_status self_test(va_cli *cli, int index, double *error) {
    static const va_dtype dtypes[] = {VA_F32, VA_BF16, VA_F16};
    va_status st = VA_OK;
    va_gpu *gpu = NULL;
    char number[16];
    *error = 0;
    snprintf(number, sizeof number, "%d", index);
    VA_TRY(va_gpu_open(cli->ctx, &(va_gpu_params){.device = number}, &gpu));
    for (int64_t i = 0; i < VA_COUNT(dtypes); i++) {
        double one = 0;
        VA_TRY(test_dtype(gpu, dtypes[i], &one));
        *error = fmax(*error, one);
    }
done:
    va_gpu_close(&gpu);
    return st;
}

// -- the list -------------------------------------------------------------------------------------

static const char *kind_name(va_gpu_kind kind) {
    static const char *const names[] = {[VA_GPU_DISCRETE] = "discrete",
                                        [VA_GPU_INTEGRATED] = "integrated",
                                        [VA_GPU_VIRTUAL] = "virtual",
                                        [VA_GPU_CPU] = "cpu",
                                        [VA_GPU_OTHER] = "other"};
    return names[kind];
}

static va_json *describe_device(va_json *list, const va_gpu_info *info) {
    va_json *d = va_json_add_object(list, NULL);
    va_json_add_int(d, "index", info->index);
    va_json_add_string(d, "name", info->name);
    va_json_add_string(d, "kind", kind_name(info->kind));
    va_json_add_string(d, "driver", info->driver);
    va_json_add_string(d, "uuid", info->uuid);
    va_json_add_int(d, "memory_bytes", info->memory_bytes);
    va_json_add_int(d, "max_range_bytes", info->max_range_bytes);
    va_json_add_int(d, "max_allocation_bytes", info->max_allocation_bytes);
    va_json_add_int(d, "max_shared_bytes", info->max_shared_bytes);
    va_json_add_int(d, "max_invocations", info->max_invocations);
    va_json_add_int(d, "subgroup_size", info->subgroup_size);
    va_json_add_bool(d, "timestamps", info->has_timestamps);
    va_json_add_bool(d, "usable", info->usable);
    if (!info->usable)
        va_json_add_string(d, "why_not", info->why_not);
    return d;
}

// Prints and describes one device; a self-test that fails is its own answer, not the command's.
static bool show_device(va_cli *cli, va_json *list, const va_gpu_info *info) {
    char memory[32];
    double error;
    bool good = false;
    va_json *d = describe_device(list, info);
    va_cli_print(cli, "%d: %s\n   %s, %s, %s\n", info->index, info->name, kind_name(info->kind),
                 info->driver, va_format_bytes(memory, info->memory_bytes));
    if (!info->usable) {
        va_cli_print(cli, "   not usable: %s\n", info->why_not);
        return false;
    }
    if (self_test(cli, info->index, &error) != VA_OK) {
        va_json_add_string(d, "self_test_error", va_error_message(cli->ctx));
        va_cli_print(cli, "   self-test FAILED: %s\n", va_error_message(cli->ctx));
    } else {
        good = error <= TOLERANCE;
        va_json_add_double(d, "self_test_max_error", error);
        va_cli_print(cli, "   self-test %s: largest error %.1e (allowed %.0e)\n",
                     good ? "passed" : "FAILED", error, TOLERANCE);
    }
    va_json_add_bool(d, "self_test", good);
    va_error_clear(cli->ctx);
    return good;
}

va_status va_cli_devices(va_cli *cli) {
    va_status st = VA_OK;
    va_gpu_info *list;
    int64_t n, n_good = 0, n_usable = 0;
    VA_TRY(va_gpu_list(cli->ctx, cli->arena, &list, &n));
    va_json *devices = va_json_add_array(cli->out, "devices");
    for (int64_t i = 0; i < n; i++) {
        VA_TRY(va_check_interrupt(cli->ctx));
        n_usable += list[i].usable;
        n_good += show_device(cli, devices, &list[i]);
    }
    va_json *built = va_json_add_array(cli->out, "kernels");
    va_cli_print(cli, "matmul kernels in this build:");
    for (int64_t i = 0; i < VA_COUNT(kernels); i++) {
        if (!va_gpu_has_shader(kernels[i].shader))
            continue;
        va_json_add_string(built, NULL, kernels[i].name);
        va_cli_print(cli, " %s", kernels[i].name);
    }
    va_cli_print(cli, "\n");
    if (n_usable == 0)
        VA_TRY(va_fail(cli->ctx, VA_ERR_DEVICE, "none of %lld devices is usable", (long long)n));
    if (n_good < n_usable)
        VA_TRY(va_fail(cli->ctx, VA_ERR_DEVICE, "%lld of %lld usable devices failed the self-test",
                       (long long)(n_usable - n_good), (long long)n_usable));
done:
    return st;
}
