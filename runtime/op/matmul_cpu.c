// matmul_cpu.c: the kernel for drivers that run on the processor.
//
// It reads A once for each 64 columns of C, and a factor of A on the way cost 14 to 17% of a
// product of 112 to 700 rows (bench_matmul, lavapipe). So rows that have one are multiplied by it
// first, as many at once as scratch holds.
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

static va_status multiply(const matmul_job *job, const matmul_push *p, va_slice a) {
    uint32_t lanes = va_gpu_get_info(job->c->gpu)->subgroup_size >= 8 ? 8 : 4;
    uint32_t whole = p->a_stride | p->a_0 | p->w_stride | p->n_inner | p->n_cols | p->c_stride |
                     p->c_0 | p->fc_stride | p->fc_0;
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
                                 groups, p->has_residual, p->fc_rows > 0}};
    const va_slice bind[] = {a, job->w, job->bias, job->out, job->factor_c, job->residual};
    return op_run_groups(job->c, &kernel, bind, p,
                         matmul_count(p->n_rows, groups * lanes) *
                             matmul_count(p->n_cols, COLS * lanes));
}

// Rows p->row0.. of A with their factor, to the beginning of scratch.
static va_status scale_rows(const matmul_job *job, const matmul_push *p, va_slice scaled) {
    const uint32_t whole = p->a_stride | p->a_0 | p->n_inner | p->fa_stride | p->fa_0;
    const va_kernel kernel = {.shader = "op/matmul_scale",
                              .n_bind = 3,
                              .write_mask = 1u << 2,
                              .push_bytes = sizeof *p,
                              .n_spec = 3,
                              .spec = {0, op_row_local(job->c), whole % 4 == 0}};
    return op_run_groups(job->c, &kernel, (va_slice[]){job->a, job->factor_a, scaled}, p,
                         p->n_rows);
}

int64_t matmul_scaled_rows(bool transpose, int64_t n_rows, const va_tensor *w) {
    const int64_t fit = MATMUL_PACK_BYTES / (4 * matmul_most_inner(transpose, w));
    return VA_MIN(n_rows, VA_MAX(fit, 1));
}

static va_status run_scaled(const matmul_job *job, matmul_push p) {
    va_status st = VA_OK;
    const op_matmul *m = job->m;
    const uint32_t n_rows = p.n_rows, end = p.row0 + n_rows;
    const int64_t row_bytes = 4 * (int64_t)p.n_inner;
    const int64_t most = matmul_scaled_rows(m->transpose, m->n_rows, m->w);
    for (p.n_rows = (uint32_t)VA_MIN(most, n_rows); p.row0 < end; p.row0 += p.n_rows) {
        p.n_rows = VA_MIN(p.n_rows, end - p.row0);
        const va_slice scaled = va_slice_at(job->scratch, 0, p.n_rows * row_bytes);
        VA_TRY(scale_rows(job, &p, scaled));
        matmul_push q = p;
        q.a_stride = q.n_inner;
        q.a_0 = 0 - q.row0 * q.a_stride; // modulo 2^32: row row0 of C goes with the first of these
        VA_TRY(multiply(job, &q, scaled));
    }
done:
    return st;
}

static va_status run(const matmul_job *job) {
    matmul_push p = job->p;
    p.n_parts = 0; // touch() in the shader wants it so
    return p.fa_rows > 0 ? run_scaled(job, p) : multiply(job, &p, job->a);
}

static bool offered(const va_gpu_info *info) {
    return info->has_subgroup_shuffle;
}

const matmul_kernel matmul_cpu = {
    .name = "cpu", .shader = "op/linear_cpu.NT", .offered = offered, .baseline = true, .run = run};
