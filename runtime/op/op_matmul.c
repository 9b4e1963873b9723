// op_matmul.c: cuts large products into dispatches, and hands each to the kernel that was picked.
//
// A product is cut along the weight's rows where the weight is larger than one binding, and along
// A's rows where one dispatch would hold up a display (DESIGN section 4). Cut along the inner index
// (C = A W), the parts add up in C one after another. A quantised weight is cut into ranges of rows
// that are unpacked to f32 one after another; the kernels see f32.
// SPDX-License-Identifier: Apache-2.0
#include "op_matmul.h"

#include "matmul_kernel.h"
#include "op_dequant.h"

#include <assert.h>
#include <stdio.h>

static_assert(VA_FACTOR_ROWS == MATMUL_FEW_ROWS + 1, "op.h speaks of the kernels for few rows");

int64_t matmul_count(int64_t n, int64_t step) {
    return (n + step - 1) / step;
}

int64_t matmul_round(int64_t n, int64_t step) {
    return matmul_count(n, step) * step;
}

// -- parts -----------------------------------------------------------------------------------

// As many workgroups of 64 x 64 as make a GPU busy; parts of fewer inner indices cost more than
// they bring.
enum { BUSY = 128, MOST_PARTS = 8, LEAST_PART = 256, MOST_ELEMS = BUSY / 2 * 64 * 64 };
enum { PART_STEP = 64 }; // a whole number of any kernel's steps

// Parts of a product of many rows; the shape is the whole one's, whatever ranges it is run in.
static int64_t n_parts(int64_t n_rows, int64_t n_cols) {
    int64_t n_tiles = matmul_count(n_rows, 64) * matmul_count(n_cols, 64);
    return n_rows * n_cols <= MOST_ELEMS ? VA_MIN(BUSY / n_tiles, MOST_PARTS) : 1;
}

void matmul_cut(const matmul_job *job, matmul_push *p) {
    const op_matmul *m = job->m;
    int64_t n =
        VA_MIN(n_parts(m->n_rows, m->w->shape[m->transpose ? 0 : 1]), p->n_inner / LEAST_PART);
    p->part_size =
        n > 1 ? (uint32_t)matmul_round(matmul_count(p->n_inner, n), PART_STEP) : p->n_inner;
    p->n_parts = (uint32_t)matmul_count(p->n_inner, p->part_size);
}

int64_t matmul_most_inner(bool transpose, const va_tensor *w) {
    return transpose ? w->shape[1] : VA_MIN(w->shape[0], OP_MATMUL_MOST_ROWS);
}

static int64_t parts_bytes(bool transpose, int64_t n_rows, int64_t n_cols) {
    int64_t n = n_parts(n_rows, n_cols);
    if (n_rows <= MATMUL_FEW_ROWS && !transpose)
        n = VA_MAX(n, MATMUL_FEW_PARTS);
    return n > 1 ? n * n_rows * n_cols * 4 : 0;
}

va_status matmul_sum_parts(const matmul_job *job, const matmul_push *p, va_slice parts) {
    const va_tensor *bias = job->m->bias;
    const va_kernel kernel = {.shader = "op/matmul_sum",
                              .n_bind = 6,
                              .write_mask = 1u << 3,
                              .push_bytes = sizeof *p,
                              .n_spec = 3,
                              .spec = {VA_F32, bias ? bias->dtype : VA_F32, p->fc_rows > 0}};
    int64_t n = (int64_t)p->n_rows * p->n_cols;
    const va_slice bind[] = {va_slice_at(parts, 0, p->n_parts * n * 4),
                             job->w,
                             job->bias,
                             job->out,
                             job->factor_c,
                             job->residual};
    return op_run_items(job->c, &kernel, bind, p, n);
}

// -- cuts ------------------------------------------------------------------------------------

// Multiplications of one dispatch: about 100 ms on the slowest device that drives a display, a few
// seconds on a processor.
static int64_t dispatch_limit(const va_gpu_info *info) {
    return info->kind == VA_GPU_DISCRETE ? (int64_t)5e10
           : info->kind == VA_GPU_CPU    ? (int64_t)1e10
                                         : (int64_t)5e9;
}

// lavapipe leaves a shader's loop after 65,535 rounds without a word, and the cpu kernel's take
// four terms or eight: C = A W' is not offered for longer sums, which no model has.
enum { MOST_TERMS = 4 * 65535 };
enum { ROW_STEP = OP_MATMUL_STEP }; // a whole number of tiles of any kernel

// The product with rows first..first+n-1 of the weight, which are `rows`.
static va_status run_range(const va_op_call *c, const op_matmul *m, int64_t first, int64_t n,
                           va_slice rows) {
    va_status st = VA_OK;
    int64_t n_out = m->w->shape[0], n_in = m->w->shape[1];
    const matmul_kernel *kernel = m->kernel;
    const va_slice residual = m->transpose || first == 0 ? m->residual : m->c;
    const op_factor *of_a = m->transpose ? &m->factor_in : &m->factor_out,
                    *of_c = m->transpose ? &m->factor_out : &m->factor_in;
    matmul_job job = {.c = c,
                      .m = m,
                      .a = m->a,
                      .w = rows,
                      .bias = m->bias ? op_slice(m->bias) : m->a,
                      .out = m->c,
                      .factor_a = of_a->values.size_bytes > 0 ? of_a->values : m->a,
                      .factor_c = of_c->values.size_bytes > 0 ? of_c->values : m->a,
                      .residual = residual.size_bytes > 0 ? residual : m->a,
                      .scratch = m->scratch};
    job.p = (matmul_push){.n_cols = (uint32_t)(m->transpose ? n : n_in),
                          .n_inner = (uint32_t)(m->transpose ? n_in : n),
                          .a_stride = (uint32_t)(m->transpose ? n_in : n_out),
                          .a_0 = (uint32_t)(m->transpose ? 0 : first),
                          .w_stride = (uint32_t)n_in,
                          .c_stride = (uint32_t)(m->transpose ? n_out : n_in),
                          .c_0 = (uint32_t)(m->transpose ? first : 0),
                          .has_bias = m->bias != NULL,
                          .has_residual = residual.size_bytes > 0,
                          .fa_rows = (uint32_t)(of_a->values.size_bytes > 0 ? of_a->rows : 0),
                          .fa_stride = (uint32_t)of_a->stride,
                          .fa_0 = (uint32_t)of_a->first,
                          .fc_rows = (uint32_t)(of_c->values.size_bytes > 0 ? of_c->rows : 0),
                          .fc_stride = (uint32_t)of_c->stride,
                          .fc_0 = (uint32_t)of_c->first};
    job.p.n_parts = 1;
    job.p.part_size = job.p.n_inner;
    const matmul_shape shape = matmul_shape_of(m->transpose, m->n_rows, m->w);
    if (!kernel)
        VA_TRY(matmul_pick(c->gpu, &kernel));
    kernel = matmul_for(kernel, &shape);
    int64_t step = dispatch_limit(va_gpu_get_info(c->gpu)) / (n * n_in) / ROW_STEP * ROW_STEP;
    step = VA_MAX(step, ROW_STEP);
    for (int64_t row = 0; row < m->n_rows; row += step) {
        job.p.row0 = (uint32_t)(m->row0 + row);
        job.p.n_rows = (uint32_t)VA_MIN(step, m->n_rows - row);
        VA_TRY(kernel->run(&job));
    }
done:
    return st;
}

// Scratch is the kernels', then the rows unpacked of a quantised weight.
static int64_t kernel_bytes(bool transpose, int64_t n_rows, const va_tensor *w, bool scales) {
    const int64_t bytes = matmul_pack_bytes(transpose, n_rows, w) +
                          parts_bytes(transpose, n_rows, w->shape[transpose ? 0 : 1]);
    const int64_t scaled =
        scales ? matmul_scaled_rows(transpose, n_rows, w) * matmul_most_inner(transpose, w) * 4 : 0;
    return matmul_round(VA_MAX(bytes, scaled), MATMUL_ALIGNMENT);
}

static bool scales_a(const op_matmul *m) {
    return (m->transpose ? m->factor_in : m->factor_out).values.size_bytes > 0;
}

int64_t op_matmul_scratch(bool transpose, int64_t n_rows, const va_tensor *w, bool scales) {
    return kernel_bytes(transpose, n_rows, w, scales) +
           (va_dtype_quantised(w->dtype) ? op_dequant_bytes(w) : 0);
}

// Rows of the weight that one range takes; 0 when not even one aligned range is bindable.
static int64_t range_rows(const va_gpu_info *info, const op_matmul *m) {
    int64_t n_in = m->w->shape[1];
    int64_t rows =
        va_dtype_quantised(m->w->dtype) ? op_dequant_rows(m->w) : op_row_chunk(info, m->w);
    // Multiples of ROW_STEP rows begin at a bindable offset whatever the row's length.
    int64_t whole = dispatch_limit(info) / (VA_MIN(m->n_rows, ROW_STEP) * n_in);
    if (whole < rows)
        rows = VA_MIN(rows, VA_MAX(whole / ROW_STEP, 1) * ROW_STEP);
    // A longer inner index (the vocabulary, backwards through the unembedding) is cut too: see
    // MOST_TERMS.
    if (!m->transpose)
        rows = VA_MIN(rows, OP_MATMUL_MOST_ROWS);
    return rows;
}

va_status op_matmul_part(const va_op_call *c, const op_matmul *m, int64_t first, int64_t n,
                         va_slice rows) {
    va_tensor plain = va_tensor_make(VA_F32, 2, m->w->shape);
    op_matmul unpacked = *m;
    unpacked.w = &plain;
    return run_range(c, &unpacked, first, n, rows);
}

va_status op_matmul_unpack(const va_op_call *c, const va_tensor *w, int64_t first, int64_t n,
                           va_slice to) {
    va_status st = VA_OK;
    const matmul_kernel *kernel;
    VA_TRY(matmul_pick(c->gpu, &kernel));
    VA_TRY(op_dequant_run(c, w, first, n, to, kernel == &matmul_cpu));
done:
    return st;
}

static va_status run_quantised_range(const va_op_call *c, const op_matmul *m, int64_t first,
                                     int64_t n) {
    va_status st = VA_OK;
    int64_t n_in = m->w->shape[1];
    const int64_t at = kernel_bytes(m->transpose, m->n_rows, m->w, scales_a(m));
    va_slice rows = va_slice_at(m->scratch, at, n * n_in * 4);
    VA_TRY(op_matmul_unpack(c, m->w, first, n, rows));
    VA_TRY(op_matmul_part(c, m, first, n, rows));
done:
    return st;
}

va_status op_matmul_run(const va_op_call *c, const op_matmul *m) {
    va_status st = VA_OK;
    int64_t n_out = m->w->shape[0], step = range_rows(va_gpu_get_info(c->gpu), m);
    if (step == 0)
        return va_fail(va_gpu_ctx(c->gpu), VA_ERR_SHAPE,
                       "matmul: rows of %lld elements are too long for one binding",
                       (long long)m->w->shape[1]);
    if (m->transpose && m->w->shape[1] > MOST_TERMS)
        return va_fail(va_gpu_ctx(c->gpu), VA_ERR_SHAPE,
                       "matmul: expected rows of at most %d elements, got %lld", MOST_TERMS,
                       (long long)m->w->shape[1]);
    for (int64_t first = 0; first < n_out; first += step) {
        int64_t n = VA_MIN(step, n_out - first);
        VA_TRY(va_dtype_quantised(m->w->dtype)
                   ? run_quantised_range(c, m, first, n)
                   : run_range(c, m, first, n, op_row_slice(m->w, first, n)));
    }
done:
    return st;
}

op_factor op_matmul_factor(const va_op_call *c, const va_tensor *factor) {
    if (factor->n_dim == 0)
        return (op_factor){0};
    return (op_factor){op_slice(factor), c->k, op_row_elems(factor), 0};
}

va_status op_matmul_expect(va_ctx *ctx, const char *op, const char *name, const va_tensor *w,
                           int64_t n_out, int64_t n_in) {
    char what[64];
    snprintf(what, sizeof what, "%s: %s", op, name);
    if (w->n_dim == 2 && w->shape[1] % va_dtype_block(w->dtype) != 0)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "%s: expected rows of whole %s blocks of %lld, got %lld elements", what,
                       va_dtype_name(w->dtype), (long long)va_dtype_block(w->dtype),
                       (long long)w->shape[1]);
    return op_expect(ctx, what, w, OP_WEIGHT | OP_QUANTISED, 2, (int64_t[]){n_out, n_in});
}
