// matmul_cpu.c: the kernel for drivers that run on the processor.
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"

enum { COLS = 8 }; // of a lane, as in shaders/op/linear_cpu.comp

// Rows of a tile: more share each load of W.
static uint32_t n_groups(uint32_t n_rows, uint32_t lanes) {
    return n_rows <= lanes ? 1 : n_rows <= 2 * lanes ? 2 : 4;
}

static va_status run(const matmul_job *job) {
    const matmul_push *p = &job->p;
    uint32_t lanes = va_gpu_get_info(job->c->gpu)->subgroup_size >= 8 ? 8 : 4;
    uint32_t groups = n_groups(p->n_rows, lanes);
    uint32_t whole =
        p->a_stride | p->a_0 | p->w_stride | p->n_inner | p->n_cols | p->c_stride | p->c_0;
    bool aligned = whole % 4 == 0;
    const op_matmul *m = job->m;
    va_kernel kernel = {.shader = m->transpose ? "op/linear_cpu.NT" : "op/linear_cpu.NN",
                        .n_bind = 4,
                        .write_mask = 1u << 3,
                        .push_bytes = sizeof *p,
                        .n_spec = 6,
                        .spec = {m->w->dtype, m->bias ? m->bias->dtype : VA_F32, aligned, lanes,
                                 groups, p->accumulate}};
    const va_slice bind[] = {job->a, job->w, job->bias, job->out};
    return op_run_groups(job->c, &kernel, bind, p,
                         matmul_count(p->n_rows, groups * lanes) *
                             matmul_count(p->n_cols, COLS * lanes));
}

static bool offered(const va_gpu_info *info) {
    return info->has_subgroup_shuffle;
}

const matmul_kernel matmul_cpu = {
    .name = "cpu", .shader = "op/linear_cpu.NT", .offered = offered, .baseline = true, .run = run};
