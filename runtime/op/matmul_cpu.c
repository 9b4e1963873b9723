// matmul_cpu.c: the kernel for drivers that run on the processor.
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"

enum { COLS = 8 }; // of a lane, as in shaders/op/linear_cpu.comp

// Groups of rows in a tile: more share each load of W. Large tiles take seconds to compile; there
// the last one is as full as the others.
static uint32_t n_groups(uint32_t n_rows, uint32_t lanes, bool large) {
    const uint32_t most = 8 * lanes, n_tiles = (n_rows + most - 1) / most;
    if (large && n_rows > 4 * lanes)
        return (n_rows + n_tiles * lanes - 1) / (n_tiles * lanes);
    return n_rows <= lanes ? 1 : n_rows <= 2 * lanes ? 2 : 4;
}

static va_status run(const matmul_job *job) {
    matmul_push push = job->p, *p = &push;
    push.n_parts = 0; // touch() in the shader wants it so
    uint32_t lanes = va_gpu_get_info(job->c->gpu)->subgroup_size >= 8 ? 8 : 4;
    uint32_t whole = p->a_stride | p->a_0 | p->w_stride | p->n_inner | p->n_cols | p->c_stride |
                     p->c_0 | p->f_stride | p->f_0;
    bool aligned = whole % 8 == 0;
    bool large = aligned && (uint64_t)p->n_rows * p->n_cols * p->n_inner >= 1 << 26;
    uint32_t groups = n_groups(p->n_rows, lanes, large);
    const op_matmul *m = job->m;
    va_kernel kernel = {.shader = m->transpose ? "op/linear_cpu.NT" : "op/linear_cpu.NN",
                        .n_bind = 6,
                        .write_mask = 1u << 3,
                        .push_bytes = sizeof *p,
                        .n_spec = 7,
                        .spec = {m->w->dtype, m->bias ? m->bias->dtype : VA_F32, aligned, lanes,
                                 groups, p->has_residual, p->f_rows > 0}};
    const va_slice bind[] = {job->a, job->w, job->bias, job->out, job->factor, job->residual};
    return op_run_groups(job->c, &kernel, bind, p,
                         matmul_count(p->n_rows, groups * lanes) *
                             matmul_count(p->n_cols, COLS * lanes));
}

static bool offered(const va_gpu_info *info) {
    return info->has_subgroup_shuffle;
}

const matmul_kernel matmul_cpu = {
    .name = "cpu", .shader = "op/linear_cpu.NT", .offered = offered, .baseline = true, .run = run};
