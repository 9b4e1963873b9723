// vkalign devices: what there is, what it can do, and whether it computes right.
//
// The self-test runs every matmul kernel that the device can run against double loops; ops differ
// in little else between devices.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include "vkalign/matmul.h"

#include <math.h>

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

static va_status test_kernels(va_cli *cli, int index, va_matmul_kernel *list) {
    va_status st = VA_OK;
    va_gpu *gpu = NULL;
    char number[16];
    snprintf(number, sizeof number, "%d", index);
    VA_TRY(va_gpu_open(cli->ctx, &(va_gpu_params){.device = number}, &gpu));
    VA_TRY(va_matmul_test(gpu, list));
done:
    va_gpu_close(&gpu);
    return st;
}

static void show_kernel(va_cli *cli, va_json *list, const va_matmul_kernel *k) {
    va_json *d = va_json_add_object(list, NULL);
    va_json_add_string(d, "name", k->name);
    va_json_add_bool(d, "built", k->built);
    va_json_add_bool(d, "offered", k->offered);
    va_json_add_bool(d, "used", k->picked);
    va_cli_print(cli, "   %-12s ", k->name);
    if (!k->built) {
        va_cli_print(cli, "not in this build: its GLSL compiler was too old\n");
    } else if (!k->offered) {
        va_cli_print(cli, "not offered by the device\n");
    } else {
        va_json_add_bool(d, "passed", k->passed);
        if (isfinite(k->error))
            va_json_add_double(d, "max_error", k->error);
        va_cli_print(cli, "self-test %s: largest error %.1e (allowed %.0e)%s\n",
                     k->passed ? "passed" : "FAILED, switched off here", k->error,
                     VA_MATMUL_TOLERANCE, k->picked ? ", in use" : "");
    }
}

static void show_matrices(va_cli *cli, va_json *d, const va_gpu_info *info) {
    va_json *list = va_json_add_array(d, "matrix_shapes");
    for (int i = 0; i < info->n_matrix; i++) {
        const va_gpu_matrix *m = &info->matrix[i];
        va_json *shape = va_json_add_object(list, NULL);
        va_json_add_int(shape, "m", m->m);
        va_json_add_int(shape, "n", m->n);
        va_json_add_int(shape, "k", m->k);
        va_json_add_string(shape, "element", m->bf16 ? "bf16" : "f16");
        va_json_add_bool(shape, "flexible", m->flexible);
        va_cli_print(cli, "%s%s %ux%ux%u%s",
                     i ? ", " : "   matrix cores: ", m->bf16 ? "BF16" : "F16", m->m, m->n, m->k,
                     m->flexible ? " and multiples" : "");
    }
    va_cli_print(cli, info->n_matrix ? "\n" : "   no matrix cores\n");
}

// Prints and describes one device; a self-test that fails is its own answer, not the command's. A
// device passes while some kernel does.
static bool show_device(va_cli *cli, va_json *list, const va_gpu_info *info) {
    char memory[32];
    bool good = false;
    va_matmul_kernel kernels[VA_MATMUL_KERNELS];
    va_json *d = describe_device(list, info);
    va_cli_print(cli, "%d: %s\n   %s, %s, %s\n", info->index, info->name, kind_name(info->kind),
                 info->driver, va_format_bytes(memory, info->memory_bytes));
    if (!info->usable) {
        va_cli_print(cli, "   not usable: %s\n", info->why_not);
        return false;
    }
    show_matrices(cli, d, info);
    if (test_kernels(cli, info->index, kernels) != VA_OK) {
        va_json_add_string(d, "self_test_error", va_error_message(cli->ctx));
        va_cli_print(cli, "   self-test FAILED: %s\n", va_error_message(cli->ctx));
    } else {
        va_json *of = va_json_add_array(d, "kernels");
        for (int i = 0; i < VA_MATMUL_KERNELS; i++) {
            show_kernel(cli, of, &kernels[i]);
            good = good || (kernels[i].picked && kernels[i].passed);
        }
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
    if (n_usable == 0)
        VA_TRY(va_fail(cli->ctx, VA_ERR_DEVICE, "none of %lld devices is usable", (long long)n));
    if (n_good < n_usable)
        VA_TRY(va_fail(cli->ctx, VA_ERR_DEVICE, "%lld of %lld usable devices failed the self-test",
                       (long long)(n_usable - n_good), (long long)n_usable));
done:
    return st;
}
