// op_matmul.c: picks the matmul kernel, and cuts large products into dispatches.
//
// A product is cut along the weight's rows where the weight is larger than one binding, and along
// A's rows where one dispatch would hold up a display (DESIGN section 4). Cut along the inner index
// (C = A W), the parts add up in C one after another. A quantised weight is cut into ranges of rows
// that are unpacked to f32 one after another; the kernels see f32.
// Kernels: `cpu` for drivers on the processor; `scalar` on GPUs, with one of its own for few rows,
// where shared-memory tiles would leave most of the device idle. VA_MATMUL=cpu|scalar in the
// environment overrides the choice, so that tests reach every kernel on any device.
// SPDX-License-Identifier: Apache-2.0
#include "op_matmul.h"

#include "op_dequant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct matmul_push { // shaders/lib/matmul.glsl
    uint32_t n_rows, n_cols, n_inner;
    uint32_t row0, a_stride, a_0, w_stride, c_stride, c_0;
    uint32_t has_bias, accumulate;
    uint32_t n_parts, part_size;
} matmul_push;

// Tiles of the shared-memory kernel: specialisation constants of shaders/op/linear.comp.
typedef struct tile_shape {
    uint32_t rows, cols, inner, my_rows, my_cols;
} tile_shape;

static tile_shape pick_tile(const matmul_push *p) {
    if (p->n_rows <= 32)
        return (tile_shape){32, 128, 16, 4, 4};
    if (p->n_rows < 1024 || p->n_cols < 1024)
        return (tile_shape){64, 64, 16, 4, 4};
    return (tile_shape){128, 128, 16, 8, 8};
}

static va_status run_tiles(const va_op_call *c, const op_matmul *m, const va_slice *bind,
                           const matmul_push *p) {
    tile_shape t = pick_tile(p);
    va_kernel kernel = {.shader = m->transpose ? "op/linear.NT" : "op/linear.NN",
                        .n_bind = 4,
                        .write_mask = 1u << 3,
                        .push_bytes = sizeof *p,
                        .n_spec = 7,
                        .spec = {m->w->dtype, m->bias ? m->bias->dtype : VA_F32, t.rows, t.cols,
                                 t.inner, t.my_rows, t.my_cols}};
    int64_t n_tiles = ((p->n_rows + t.rows - 1) / t.rows) * ((p->n_cols + t.cols - 1) / t.cols);
    return op_run_groups(c, &kernel, bind, p, n_tiles);
}

// -- few rows on GPUs ------------------------------------------------------------------------

// In shaders/op/linear_few.comp: the local size, and rows and columns of a workgroup.
enum { FEW_LOCAL = 128, FEW_ROWS = 8, FEW_OUTS = 4 };
enum { MAX_FEW_ROWS = 16, MAX_PARTS = 16 };

static int64_t parts_bytes(bool transpose, int64_t n_rows, int64_t n_in) {
    return transpose || n_rows > MAX_FEW_ROWS ? 0 : MAX_PARTS * n_rows * n_in * 4;
}

static va_status run_few_nt(const va_op_call *c, const op_matmul *m, const va_slice *bind,
                            const matmul_push *p) {
    va_kernel kernel = {.shader = "op/linear_few.NT",
                        .n_bind = 4,
                        .write_mask = 1u << 3,
                        .push_bytes = sizeof *p,
                        .n_spec = 2,
                        .spec = {m->w->dtype, m->bias ? m->bias->dtype : VA_F32}};
    int64_t n_row_blocks = (p->n_rows + FEW_ROWS - 1) / FEW_ROWS;
    return op_run_groups(c, &kernel, bind, p, (p->n_cols + FEW_OUTS - 1) / FEW_OUTS * n_row_blocks);
}

// Parts of the inner index side by side, then their sum.
static va_status run_few_nn(const va_op_call *c, const op_matmul *m, const va_slice *bind,
                            matmul_push p) {
    va_status st = VA_OK;
    va_kernel parts = {.shader = "op/linear_few.NN",
                       .n_bind = 3,
                       .write_mask = 1u << 2,
                       .push_bytes = sizeof p,
                       .n_spec = 2,
                       .spec = {m->w->dtype, VA_F32}};
    static const va_kernel sum = {
        .shader = "op/linear_few.SUM", .n_bind = 2, .write_mask = 1u << 1, .push_bytes = sizeof p};
    // Whole loads of shared memory each.
    p.part_size = (p.n_inner + MAX_PARTS - 1) / MAX_PARTS;
    p.part_size = (p.part_size + FEW_LOCAL - 1) / FEW_LOCAL * FEW_LOCAL;
    p.n_parts = (p.n_inner + p.part_size - 1) / p.part_size;
    int64_t n_elem = (int64_t)p.n_rows * p.n_cols;
    int64_t n_row_blocks = (p.n_rows + FEW_ROWS - 1) / FEW_ROWS;
    int64_t n_groups = (p.n_cols + FEW_LOCAL - 1) / FEW_LOCAL * n_row_blocks * p.n_parts;
    va_slice scratch = va_slice_at(m->scratch, 0, p.n_parts * n_elem * 4);
    VA_TRY(op_run_groups(c, &parts, (va_slice[]){bind[0], bind[1], scratch}, &p, n_groups));
    VA_TRY(op_run_groups(c, &sum, (va_slice[]){scratch, bind[3]}, &p,
                         (n_elem + FEW_LOCAL - 1) / FEW_LOCAL));
done:
    return st;
}

// -- processors ------------------------------------------------------------------------------

// Groups of rows in a tile of the processor's kernel: more share each load of W. Large tiles take
// seconds to compile; there the last one is as full as the others.
static uint32_t cpu_groups(uint32_t n_rows, uint32_t lanes, bool large) {
    const uint32_t most = 8 * lanes, n_tiles = (n_rows + most - 1) / most;
    if (large && n_rows > 4 * lanes)
        return (n_rows + n_tiles * lanes - 1) / (n_tiles * lanes);
    return n_rows <= lanes ? 1 : n_rows <= 2 * lanes ? 2 : 4;
}

static va_status run_cpu(const va_op_call *c, const op_matmul *m, const va_slice *bind,
                         const matmul_push *p) {
    enum { COLS = 8 }; // of a lane, as in the shader
    uint32_t lanes = va_gpu_get_info(c->gpu)->subgroup_size >= 8 ? 8 : 4;
    uint32_t whole =
        p->a_stride | p->a_0 | p->w_stride | p->n_inner | p->n_cols | p->c_stride | p->c_0;
    bool aligned = whole % 8 == 0;
    bool large = aligned && (uint64_t)p->n_rows * p->n_cols * p->n_inner >= 1 << 26;
    uint32_t groups = cpu_groups(p->n_rows, lanes, large);
    va_kernel kernel = {.shader = m->transpose ? "op/linear_cpu.NT" : "op/linear_cpu.NN",
                        .n_bind = 4,
                        .write_mask = 1u << 3,
                        .push_bytes = sizeof *p,
                        .n_spec = 6,
                        .spec = {m->w->dtype, m->bias ? m->bias->dtype : VA_F32, aligned, lanes,
                                 groups, p->accumulate}};
    int64_t rows = groups * lanes, cols = COLS * lanes;
    int64_t n_tiles = ((p->n_rows + rows - 1) / rows) * ((p->n_cols + cols - 1) / cols);
    return op_run_groups(c, &kernel, bind, p, n_tiles);
}

// -- choice and cuts -------------------------------------------------------------------------

static bool is_cpu(const va_gpu_info *info) {
    const char *forced = getenv("VA_MATMUL");
    if (forced && *forced)
        return strcmp(forced, "cpu") == 0;
    return info->kind == VA_GPU_CPU;
}

static va_status run_kernel(const va_op_call *c, const op_matmul *m, const va_slice *bind,
                            const matmul_push *p) {
    if (is_cpu(va_gpu_get_info(c->gpu)))
        return run_cpu(c, m, bind, p);
    if (m->n_rows > MAX_FEW_ROWS)
        return run_tiles(c, m, bind, p);
    return m->transpose ? run_few_nt(c, m, bind, p) : run_few_nn(c, m, bind, *p);
}

// Multiplications of one dispatch: about 100 ms on the slowest device that drives a display, a few
// seconds on a processor.
static int64_t dispatch_limit(const va_gpu_info *info) {
    return info->kind == VA_GPU_DISCRETE ? (int64_t)5e10
           : info->kind == VA_GPU_CPU    ? (int64_t)1e10
                                         : (int64_t)5e9;
}

enum { ROW_STEP = OP_MATMUL_STEP }; // a whole number of tiles of any kernel

// The product with rows first..first+n-1 of the weight, which are `rows`.
static va_status run_range(const va_op_call *c, const op_matmul *m, int64_t first, int64_t n,
                           va_slice rows) {
    va_status st = VA_OK;
    int64_t n_out = m->w->shape[0], n_in = m->w->shape[1];
    matmul_push p = {.n_cols = (uint32_t)(m->transpose ? n : n_in),
                     .n_inner = (uint32_t)(m->transpose ? n_in : n),
                     .a_stride = (uint32_t)(m->transpose ? n_in : n_out),
                     .a_0 = (uint32_t)(m->transpose ? 0 : first),
                     .w_stride = (uint32_t)n_in,
                     .c_stride = (uint32_t)(m->transpose ? n_out : n_in),
                     .c_0 = (uint32_t)(m->transpose ? first : 0),
                     .has_bias = m->bias != NULL,
                     .accumulate = m->accumulate || (!m->transpose && first > 0)};
    va_slice bind[] = {m->a, rows, m->bias ? op_slice(m->bias) : m->a, m->c};
    int64_t step = dispatch_limit(va_gpu_get_info(c->gpu)) / (n * n_in) / ROW_STEP * ROW_STEP;
    step = VA_MAX(step, ROW_STEP);
    for (int64_t row = 0; row < m->n_rows; row += step) {
        p.row0 = (uint32_t)(m->row0 + row);
        p.n_rows = (uint32_t)VA_MIN(step, m->n_rows - row);
        VA_TRY(run_kernel(c, m, bind, &p));
    }
done:
    return st;
}

// Scratch of a quantised weight: the parts' sums, then the rows unpacked, at a bindable offset.
enum { SCRATCH_STEP = 256 }; // Vulkan's limit on storage-buffer offset alignment

static int64_t rows_at(bool transpose, int64_t n_rows, int64_t n_in) {
    int64_t parts = parts_bytes(transpose, n_rows, n_in);
    return (parts + SCRATCH_STEP - 1) / SCRATCH_STEP * SCRATCH_STEP;
}

int64_t op_matmul_scratch(bool transpose, int64_t n_rows, const va_tensor *w) {
    if (!va_dtype_quantised(w->dtype))
        return parts_bytes(transpose, n_rows, w->shape[1]);
    return rows_at(transpose, n_rows, w->shape[1]) + op_dequant_bytes(w);
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
    // lavapipe leaves a shader's loop after 65,535 rounds without a word: a longer inner index (the
    // vocabulary, backwards through the unembedding) is cut too.
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
    return op_dequant_run(c, w, first, n, to, is_cpu(va_gpu_get_info(c->gpu)));
}

static va_status run_quantised_range(const va_op_call *c, const op_matmul *m, int64_t first,
                                     int64_t n) {
    va_status st = VA_OK;
    int64_t n_in = m->w->shape[1];
    va_slice rows = va_slice_at(m->scratch, rows_at(m->transpose, m->n_rows, n_in), n * n_in * 4);
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
    for (int64_t first = 0; first < n_out; first += step) {
        int64_t n = VA_MIN(step, n_out - first);
        VA_TRY(va_dtype_quantised(m->w->dtype)
                   ? run_quantised_range(c, m, first, n)
                   : run_range(c, m, first, n, op_row_slice(m->w, first, n)));
    }
done:
    return st;
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
