// matmul_scalar.c: the kernels that every GPU runs: tiles in shared memory, and for few rows, where
// those would leave most of the device idle, kernels whose speed is that of reading W.
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"

// In shaders/op/linear_few.comp: the local size, and rows and columns of a workgroup.
enum { FEW_LOCAL = 128, FEW_ROWS = 8, FEW_OUTS = 4, FEW_UNIT = 4 };
enum { TILE_LOCAL = 256, STEP = 16 }; // in shaders/op/linear.comp

static va_status run_on(const matmul_job *job, const va_kernel *kernel, const matmul_push *p,
                        va_slice out, int64_t n_groups) {
    const va_slice bind[] = {job->a,        job->w,        job->bias,    out,
                             job->factor_c, job->residual, job->factor_a};
    return op_run_groups(job->c, kernel, bind, p, n_groups);
}

static va_kernel kernel_of(const matmul_job *job, const char *shader) {
    return (va_kernel){.shader = shader,
                       .n_bind = 7,
                       .write_mask = 1u << 3,
                       .push_bytes = sizeof(matmul_push),
                       .n_spec = 4,
                       .spec = {job->m->w->dtype, job->m->bias ? job->m->bias->dtype : VA_F32,
                                job->p.fa_rows > 0, job->p.fc_rows > 0}};
}

// -- tiles -----------------------------------------------------------------------------------

static bool fits(const va_gpu_info *info, va_dtype w, const matmul_tile *t) {
    (void)w;
    return (t->bm + t->bn + 2) * STEP * 4 <= info->max_shared_bytes;
}

static va_status run_tiles(const matmul_job *job) {
    va_status st = VA_OK;
    matmul_tile t;
    matmul_pick_tile(job, &matmul_scalar, &t); // there are tiles for every device
    matmul_push p = job->p;
    va_kernel kernel = kernel_of(job, job->m->transpose ? "op/linear.NT" : "op/linear.NN");
    const uint32_t tile[] = {t.bm, t.bn, STEP, t.rm, t.rn};
    for (int i = 0; i < VA_COUNT(tile); i++)
        kernel.spec[kernel.n_spec++] = tile[i];
    int64_t n_tiles = matmul_count(p.n_rows, t.bm) * matmul_count(p.n_cols, t.bn);
    matmul_cut(job, &p);
    VA_TRY(run_on(job, &kernel, &p, p.n_parts > 1 ? job->scratch : job->out, n_tiles * p.n_parts));
    if (p.n_parts > 1)
        VA_TRY(matmul_sum_parts(job, &p, job->scratch));
done:
    return st;
}

// -- few rows --------------------------------------------------------------------------------

static va_kernel few_kernel(const matmul_job *job, const char *shader) {
    const matmul_push *p = &job->p;
    const uint32_t whole = p->a_stride | p->a_0 | p->w_stride | p->n_inner | p->fa_stride | p->fa_0;
    va_kernel kernel = kernel_of(job, shader);
    kernel.spec[kernel.n_spec++] = whole % FEW_UNIT == 0;
    return kernel;
}

static va_status run_few_nt(const matmul_job *job) {
    const va_kernel kernel = few_kernel(job, "op/linear_few.NT");
    return run_on(job, &kernel, &job->p, job->out,
                  matmul_count(job->p.n_cols, FEW_OUTS) * matmul_count(job->p.n_rows, FEW_ROWS));
}

// Parts of the inner index side by side, then their sum.
static va_status run_few_nn(const matmul_job *job) {
    va_status st = VA_OK;
    matmul_push p = job->p;
    const va_kernel kernel = few_kernel(job, "op/linear_few.NN");
    const int64_t columns = FEW_LOCAL * (kernel.spec[kernel.n_spec - 1] ? FEW_UNIT : 1);
    // Whole loads of shared memory each.
    p.part_size = (uint32_t)matmul_round(matmul_count(p.n_inner, MATMUL_FEW_PARTS), FEW_LOCAL);
    p.n_parts = (uint32_t)matmul_count(p.n_inner, p.part_size);
    VA_TRY(run_on(job, &kernel, &p, p.n_parts > 1 ? job->scratch : job->out,
                  matmul_count(p.n_cols, columns) * matmul_count(p.n_rows, FEW_ROWS) * p.n_parts));
    if (p.n_parts > 1)
        VA_TRY(matmul_sum_parts(job, &p, job->scratch));
done:
    return st;
}

static va_status run(const matmul_job *job) {
    if (job->m->n_rows > MATMUL_FEW_ROWS)
        return run_tiles(job);
    return job->m->transpose ? run_few_nt(job) : run_few_nn(job);
}

static bool offered(const va_gpu_info *info) {
    return info->max_invocations >= TILE_LOCAL;
}

const matmul_kernel matmul_scalar = {.name = "scalar",
                                     .shader = "op/linear.NT",
                                     .offered = offered,
                                     .baseline = true,
                                     .fits = fits,
                                     .run = run};
