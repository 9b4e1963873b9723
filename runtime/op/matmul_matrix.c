// matmul_matrix.c: the kernels on matrix cores: `coopmat` (VK_KHR_cooperative_matrix, matrices of
// the device's own shape) and `coopmat2` (VK_NV_cooperative_matrix2, one matrix for each subgroup's
// or workgroup's part of the tile).
//
// A is packed into pairs of f16 first, by ranges of rows, and the scales of W's rows are found
// where it is not f16 itself; see shaders/op/matmul_pack.comp for how that keeps 22 bits.
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"

enum {
    ROW_STEP = 128, // a whole number of any tile's rows,
    K_STEP = 64,    // and of any kernel's steps
    PACK_BYTES = 32 << 20,
    MOST_INNER = PACK_BYTES / (4 * ROW_STEP), // longer rows are left to the scalar kernel
    PACK_LOCAL = 64,                          // in shaders/op/matmul_pack.comp
    NO_SHAPE = -1
};

// -- scratch ---------------------------------------------------------------------------------

// Rows of A that are packed at once, with those that fill the last tile.
static int64_t chunk_rows(int64_t n_rows, int64_t n_inner) {
    int64_t most = PACK_BYTES / (4 * matmul_round(n_inner, K_STEP)) / ROW_STEP * ROW_STEP;
    return VA_MIN(matmul_round(n_rows, matmul_most_bm(n_rows)), VA_MAX(most, ROW_STEP));
}

// Where the parts of scratch begin.
typedef struct areas {
    int64_t undo, scale, parts; // the packed rows are first
} areas;

static areas areas_of(int64_t n_rows, int64_t n_inner, int64_t n_w_rows) {
    areas at;
    int64_t rows = chunk_rows(n_rows, n_inner);
    at.undo = rows * 4 * matmul_round(n_inner, K_STEP);
    at.scale = at.undo + matmul_round(4 * rows, MATMUL_ALIGNMENT);
    at.parts = at.scale + matmul_round(4 * n_w_rows, MATMUL_ALIGNMENT);
    return at;
}

int64_t matmul_pack_bytes(bool transpose, int64_t n_rows, const va_tensor *w) {
    // The rows of the largest range that op_matmul_run makes.
    int64_t n_w_rows = transpose ? w->shape[0] : VA_MIN(w->shape[0], OP_MATMUL_MOST_ROWS);
    int64_t n_inner = transpose ? w->shape[1] : n_w_rows;
    return n_inner <= MOST_INNER ? areas_of(n_rows, n_inner, n_w_rows).parts : 0;
}

// -- tiles -----------------------------------------------------------------------------------

// Inner indices between two loads of shared memory, where f32 weights take twice the room.
static uint32_t step_of(va_dtype w) {
    return w == VA_F32 ? 16 : 32;
}

static bool shape_fits(const va_gpu_matrix *s, const matmul_tile *t, bool flexible) {
    bool whole = t->rm % s->m == 0 && t->rn % s->n == 0 && step_of(VA_F32) % s->k == 0;
    return whole && !s->bf16 && s->flexible == flexible &&
           (s->invocations == 0 || (t->rm == t->bm && t->rn == t->bn));
}

// The shape of the device's that a tile is made of.
static int find_shape(const va_gpu_info *info, const matmul_tile *t, bool flexible) {
    for (int i = 0; i < info->n_matrix; i++)
        if (shape_fits(&info->matrix[i], t, flexible))
            return i;
    return NO_SHAPE;
}

static uint32_t local_size(const va_gpu_info *info, const matmul_tile *t, const va_gpu_matrix *s) {
    return s->invocations > 0 ? s->invocations
                              : info->matrix_subgroup * (t->bm / t->rm) * (t->bn / t->rn);
}

// The tiles in shared memory, padded as in shaders/lib/linear_matrix.glsl.
static int64_t shared_bytes(va_dtype w, const matmul_tile *t) {
    const uint32_t step = step_of(w);
    int64_t of_w = VA_MAX((step / 8 + 1) * t->bn, (t->bn / 8 + 1) * step);
    return 16 * ((step / 8 + 1) * 2 * t->bm + (w == VA_F32 ? 2 : 1) * of_w);
}

static bool tile_fits(const va_gpu_info *info, va_dtype w, const matmul_tile *t, bool flexible) {
    int shape = find_shape(info, t, flexible);
    if (shape == NO_SHAPE || shared_bytes(w, t) > info->max_shared_bytes)
        return false;
    const va_gpu_matrix *s = &info->matrix[shape];
    // Finished matrices of all subgroups pass through the shared memory of A's tile.
    int64_t stage = (int64_t)(t->bm / t->rm) * (t->bn / t->rn) * s->m * s->n * 4;
    return local_size(info, t, s) <= info->max_invocations &&
           (flexible || stage <= 16 * (step_of(w) / 8 + 1) * 2 * t->bm);
}

static bool fits_fixed(const va_gpu_info *info, va_dtype w, const matmul_tile *t) {
    return tile_fits(info, w, t, false);
}

static bool fits_flexible(const va_gpu_info *info, va_dtype w, const matmul_tile *t) {
    return tile_fits(info, w, t, true);
}

// -- running ---------------------------------------------------------------------------------

static va_kernel pack_kernel(const matmul_job *job, const char *shader, uint32_t n_bind) {
    return (va_kernel){.shader = shader,
                       .n_bind = n_bind,
                       .push_bytes = sizeof(matmul_push),
                       .n_spec = 4,
                       .spec = {job->m->w->dtype, PACK_LOCAL}};
}

static va_status find_scales(const matmul_job *job, va_slice scale) {
    va_kernel kernel = pack_kernel(job, "op/matmul_pack.ROWS", 2);
    kernel.write_mask = 1u << 1;
    matmul_push p = job->p;
    p.n_rows = job->m->transpose ? p.n_cols : p.n_inner; // of W
    return op_run_groups(job->c, &kernel, (va_slice[]){job->w, scale}, &p, p.n_rows);
}

static va_status pack_rows(const matmul_job *job, const matmul_push *p, va_slice packed,
                           va_slice undo, va_slice scale) {
    va_kernel kernel = pack_kernel(job, "op/matmul_pack.PACK", 5);
    kernel.write_mask = 1u << 3 | 1u << 4;
    const bool reverse = !job->m->transpose;
    kernel.spec[2] = reverse && job->m->w->dtype != VA_F16;
    kernel.spec[3] = reverse && p->f_rows > 0;
    const va_slice bind[] = {job->a, scale, job->factor, packed, undo};
    return op_run_groups(job->c, &kernel, bind, p, p->n_packed);
}

static va_kernel matrix_kernel(const matmul_job *job, const matmul_tile *t, bool flexible) {
    const va_gpu_info *info = va_gpu_get_info(job->c->gpu);
    const va_gpu_matrix *s = &info->matrix[find_shape(info, t, flexible)];
    const char *shader[2][2] = {{"op/linear_coopmat.NN", "op/linear_coopmat.NT"},
                                {"op/linear_coopmat2.NN", "op/linear_coopmat2.NT"}};
    const bool nt = job->m->transpose;
    const uint32_t step = step_of(job->m->w->dtype);
    const uint32_t workgroup = 2, subgroup = 3; // gl_Scope...
    return (va_kernel){.shader = shader[flexible][nt],
                       .n_bind = 8,
                       .write_mask = 1u << 3,
                       .push_bytes = sizeof(matmul_push),
                       .matrix = true,
                       .n_spec = 14,
                       .spec = {job->m->w->dtype, job->m->bias ? job->m->bias->dtype : VA_F32,
                                nt && job->p.f_rows > 0, job->p.w_stride % 8 == 0, t->bm, t->bn,
                                step, t->rm, t->rn, s->m, s->n, flexible ? step : s->k,
                                local_size(info, t, s), s->invocations ? workgroup : subgroup}};
}

// Rows p->row0.. of the product, packed and multiplied.
static va_status run_chunk(const matmul_job *job, matmul_push p, const matmul_tile *t,
                           const va_kernel *kernel) {
    va_status st = VA_OK;
    const int64_t n_w_rows = job->m->transpose ? p.n_cols : p.n_inner;
    const areas at = areas_of(job->p.n_rows, p.n_inner, n_w_rows);
    const int64_t n_tiles = matmul_count(p.n_rows, t->bm) * matmul_count(p.n_cols, t->bn);
    p.n_packed = (uint32_t)matmul_round(p.n_rows, t->bm);
    p.k_packed = (uint32_t)matmul_round(p.n_inner, K_STEP);
    const va_slice packed = va_slice_at(job->scratch, 0, (int64_t)p.n_packed * p.k_packed * 4),
                   undo = va_slice_at(job->scratch, at.undo, (int64_t)p.n_packed * 4),
                   scale = va_slice_at(job->scratch, at.scale, n_w_rows * 4);
    VA_TRY(pack_rows(job, &p, packed, undo, scale));
    matmul_cut(job, &p);
    const int64_t part_bytes = (int64_t)p.n_parts * p.n_rows * p.n_cols * 4;
    const va_slice out = p.n_parts > 1 ? va_slice_at(job->scratch, at.parts, part_bytes) : job->out;
    VA_TRY(op_run_groups(
        job->c, kernel,
        (va_slice[]){packed, job->w, job->bias, out, job->factor, job->residual, undo, scale}, &p,
        n_tiles * p.n_parts));
    if (p.n_parts > 1)
        VA_TRY(matmul_sum_parts(job, &p, out));
done:
    return st;
}

static va_status run(const matmul_job *job, const matmul_kernel *k, bool flexible) {
    va_status st = VA_OK;
    if (job->p.n_inner > MOST_INNER)
        return matmul_scalar.run(job);
    const matmul_tile t = matmul_pick_tile(job, k);
    const va_kernel kernel = matrix_kernel(job, &t, flexible);
    const int64_t n_w_rows = job->m->transpose ? job->p.n_cols : job->p.n_inner;
    const areas at = areas_of(job->p.n_rows, job->p.n_inner, n_w_rows);
    const int64_t step = chunk_rows(job->p.n_rows, job->p.n_inner);
    if (job->m->w->dtype != VA_F16)
        VA_TRY(find_scales(job, va_slice_at(job->scratch, at.scale, n_w_rows * 4)));
    for (int64_t row = 0; row < job->p.n_rows; row += step) {
        matmul_push p = job->p;
        p.row0 += (uint32_t)row;
        p.n_rows = (uint32_t)VA_MIN(step, job->p.n_rows - row);
        VA_TRY(run_chunk(job, p, &t, &kernel));
    }
done:
    return st;
}

static va_status run_fixed(const matmul_job *job) {
    return run(job, &matmul_coopmat, false);
}

static va_status run_flexible(const matmul_job *job) {
    return run(job, &matmul_coopmat2, true);
}

// Some tile fits, whatever the weight.
static bool any_fits(const va_gpu_info *info, const matmul_kernel *k) {
    int n;
    const matmul_tile *tiles = matmul_tiles(k, &n);
    bool found = false;
    for (int i = 0; i < n && !found; i++)
        found = k->fits(info, VA_F32, &tiles[i]);
    return found;
}

static bool offered_fixed(const va_gpu_info *info) {
    return any_fits(info, &matmul_coopmat);
}

static bool offered_flexible(const va_gpu_info *info) {
    return any_fits(info, &matmul_coopmat2);
}

const matmul_kernel matmul_coopmat = {.name = "coopmat",
                                      .shader = "op/linear_coopmat.NT",
                                      .offered = offered_fixed,
                                      .fits = fits_fixed,
                                      .run = run_fixed};
const matmul_kernel matmul_coopmat2 = {.name = "coopmat2",
                                       .shader = "op/linear_coopmat2.NT",
                                       .offered = offered_flexible,
                                       .fits = fits_flexible,
                                       .run = run_flexible};
