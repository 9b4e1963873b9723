// matmul_matrix.c: the kernels on matrix cores: `coopmat` (VK_KHR_cooperative_matrix, matrices of
// the device's own shape), the same with bf16 operands, and `coopmat2` (VK_NV_cooperative_matrix2,
// one matrix for each subgroup's or workgroup's part of the tile).
//
// A is packed into pairs of f16 first, by ranges of rows, and the scales of W's rows are found
// where it is not f16 itself; see shaders/op/matmul_pack.comp for how that keeps 22 bits. Where W
// and the operands are bf16, A becomes three of them, which keeps all of its 24 bits, and nothing
// is asked of W.
// SPDX-License-Identifier: Apache-2.0
#include "matmul_kernel.h"

enum { F16_BYTES = 2 * 2, BF16_BYTES = 3 * 2 }; // of an element of A: so many terms
enum {
    ROW_STEP = 128, // a whole number of any tile's rows,
    K_STEP = 64,    // and of any kernel's steps
    MOST_INNER =
        MATMUL_PACK_BYTES / (F16_BYTES * ROW_STEP), // longer rows are left to the scalar kernel
    PACK_LOCAL = 64,                                // in shaders/op/matmul_pack.comp
    NO_SHAPE = -1
};

// -- bf16 ------------------------------------------------------------------------------------

// A third product where f16 has two costs 2 R E flop for R rows and E weights; W, read once more
// for its scales and made f16 on its way, costs f16 more than 2 E bytes. So f16 pays from R = flop
// per byte of the device on, which is 160 to 300 by what makers say of those that offer bf16;
// kernels come closer to the bytes than to the flop. Not measured.
enum { BF16_ROWS = 128 };

// All rows are packed at once, within the bytes that f16 has.
static bool takes_bf16(const matmul_shape *s) {
    const int64_t packed = matmul_round(s->n_rows, matmul_most_bm(s->n_rows)),
                  n_inner = VA_MIN(s->n_inner, OP_MATMUL_MOST_ROWS); // of one range
    return s->w == VA_BF16 && s->n_rows <= BF16_ROWS &&
           packed * BF16_BYTES * n_inner <= MATMUL_PACK_BYTES;
}

static bool is_flexible(const matmul_kernel *k) {
    return k == &matmul_coopmat2;
}

static bool is_bf16(const matmul_kernel *k) {
    return k == &matmul_coopmat_bf16;
}

static int64_t a_bytes(bool bf16) {
    return bf16 ? BF16_BYTES : F16_BYTES;
}

// -- scratch ---------------------------------------------------------------------------------

// How scratch is divided: by the whole product, whatever ranges of it are run.
typedef struct areas {
    int64_t rows;               // of A that are packed at once, with those that fill the last tile
    int64_t undo, scale, parts; // where these begin; the packed rows are first
} areas;

// Rows of W in the largest range that op_matmul_run makes, and the inner index of one.
static int64_t range_rows(bool transpose, const va_tensor *w) {
    return transpose ? w->shape[0] : VA_MIN(w->shape[0], OP_MATMUL_MOST_ROWS);
}

static areas areas_of(bool transpose, int64_t n_rows, const va_tensor *w) {
    matmul_shape shape = matmul_shape_of(transpose, n_rows, w);
    shape.w = VA_BF16; // weights of each dtype take the room that one takes: see graph.h
    const int64_t row_bytes =
        a_bytes(takes_bf16(&shape)) * matmul_round(matmul_most_inner(transpose, w), K_STEP);
    const int64_t most = VA_MAX(MATMUL_PACK_BYTES / row_bytes / ROW_STEP * ROW_STEP, ROW_STEP);
    areas at = {.rows = VA_MIN(matmul_round(n_rows, matmul_most_bm(n_rows)), most)};
    at.undo = at.rows * row_bytes;
    at.scale = at.undo + matmul_round(4 * at.rows, MATMUL_ALIGNMENT);
    at.parts = at.scale + matmul_round(4 * range_rows(transpose, w), MATMUL_ALIGNMENT);
    return at;
}

// Few rows are read faster than they are packed, and longer ones than MOST_INNER take too much
// room.
static bool is_for_scalar(bool transpose, int64_t n_rows, const va_tensor *w) {
    return n_rows <= MATMUL_FEW_ROWS || matmul_most_inner(transpose, w) > MOST_INNER;
}

int64_t matmul_pack_bytes(bool transpose, int64_t n_rows, const va_tensor *w) {
    return is_for_scalar(transpose, n_rows, w) ? 0 : areas_of(transpose, n_rows, w).parts;
}

// -- tiles -----------------------------------------------------------------------------------

// Inner indices between two loads of shared memory, where f32 weights take twice the room.
static uint32_t step_of(va_dtype w) {
    return w == VA_F32 ? 16 : 32;
}

// A workgroup's matrix is its tile; subgroups have several.
static bool is_whole(const va_gpu_matrix *s, const matmul_tile *t) {
    const bool single = t->rm == t->bm && t->rn == t->bn;
    return t->rm % s->m == 0 && t->rn % s->n == 0 && single == (s->invocations > 0);
}

// The shape of the device's that a tile is made of. All tiles that subgroups share are made of one,
// so that they sum in one order.
static int find_shape(const va_gpu_info *info, const matmul_kernel *k, const matmul_tile *t) {
    const bool single = t->rm == t->bm && t->rn == t->bn;
    for (int i = 0; i < info->n_matrix; i++) {
        const va_gpu_matrix *s = &info->matrix[i];
        if (s->flexible == is_flexible(k) && s->bf16 == is_bf16(k) &&
            step_of(is_bf16(k) ? VA_BF16 : VA_F32) % s->k == 0 && (s->invocations > 0) == single)
            return is_whole(s, t) ? i : NO_SHAPE;
    }
    return NO_SHAPE;
}

static uint32_t local_size(const va_gpu_info *info, const matmul_tile *t, const va_gpu_matrix *s) {
    return s->invocations > 0 ? s->invocations
                              : info->matrix_subgroup * (t->bm / t->rm) * (t->bn / t->rn);
}

// The tiles in shared memory, padded as in shaders/lib/linear_matrix.glsl. Finished matrices of all
// subgroups pass through that of A.
static int64_t shared_bytes(va_dtype w, const matmul_tile *t, const va_gpu_matrix *s) {
    const uint32_t step = step_of(w);
    int64_t of_a = (step / 8 + 1) * a_bytes(s->bf16) / 2 * t->bm;
    int64_t of_w = VA_MAX((step / 8 + 1) * t->bn, (t->bn / 8 + 1) * step);
    int64_t stage = (int64_t)(t->bm / t->rm) * (t->bn / t->rn) * s->m * s->n / 4;
    return 16 * (VA_MAX(of_a, stage) + (w == VA_F32 ? 2 : 1) * of_w);
}

static bool tile_fits(const va_gpu_info *info, const matmul_kernel *k, va_dtype w,
                      const matmul_tile *t) {
    const int shape = find_shape(info, k, t);
    if (shape == NO_SHAPE)
        return false;
    const va_gpu_matrix *s = &info->matrix[shape];
    const int64_t reserved = s->invocations > 0 ? info->matrix_reserved_bytes : 0;
    return shared_bytes(w, t, s) <= info->max_shared_bytes - reserved &&
           local_size(info, t, s) <= info->max_invocations &&
           (!is_flexible(k) || VA_MAX(t->rm, t->rn) <= info->matrix_max_size);
}

static bool fits_fixed(const va_gpu_info *info, va_dtype w, const matmul_tile *t) {
    return tile_fits(info, &matmul_coopmat, w, t);
}

static bool fits_bf16(const va_gpu_info *info, va_dtype w, const matmul_tile *t) {
    return tile_fits(info, &matmul_coopmat_bf16, w, t);
}

static bool fits_flexible(const va_gpu_info *info, va_dtype w, const matmul_tile *t) {
    return tile_fits(info, &matmul_coopmat2, w, t);
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

// Whether W's rows are scaled.
static bool is_scaled(const matmul_kernel *k, va_dtype w) {
    return w != (is_bf16(k) ? VA_BF16 : VA_F16);
}

static va_status pack_rows(const matmul_job *job, const matmul_kernel *k, const matmul_push *p,
                           va_slice packed, va_slice undo, va_slice scale) {
    va_kernel kernel =
        pack_kernel(job, is_bf16(k) ? "op/matmul_pack.PACK_BF16" : "op/matmul_pack.PACK", 5);
    kernel.write_mask = 1u << 3 | 1u << 4;
    const bool reverse = !job->m->transpose;
    kernel.spec[2] = reverse && is_scaled(k, job->m->w->dtype);
    kernel.spec[3] = p->fa_rows > 0;
    const va_slice bind[] = {job->a, scale, job->factor_a, packed, undo};
    return op_run_groups(job->c, &kernel, bind, p, p->n_packed);
}

va_kernel matmul_matrix_kernel(const va_gpu_info *info, const matmul_kernel *k, bool transpose,
                               va_dtype w, const matmul_tile *t) {
    static const char *const shader[3][2] = {
        {"op/linear_coopmat.NN", "op/linear_coopmat.NT"},
        {"op/linear_coopmat_bf16.NN", "op/linear_coopmat_bf16.NT"},
        {"op/linear_coopmat2.NN", "op/linear_coopmat2.NT"}};
    const va_gpu_matrix *s = &info->matrix[find_shape(info, k, t)];
    const uint32_t step = step_of(w);
    const uint32_t workgroup = 2, subgroup = 3; // gl_Scope...
    return (va_kernel){.shader = shader[is_flexible(k) ? 2 : is_bf16(k)][transpose],
                       .n_bind = 8,
                       .write_mask = 1u << 3,
                       .push_bytes = sizeof(matmul_push),
                       .matrix = true,
                       .n_spec = 14,
                       .spec = {w, VA_F32, 0, 1, t->bm, t->bn, step, t->rm, t->rn, s->m, s->n,
                                is_flexible(k) ? step : s->k, local_size(info, t, s),
                                s->invocations ? workgroup : subgroup}};
}

static va_kernel matrix_kernel(const matmul_job *job, const matmul_kernel *k,
                               const matmul_tile *t) {
    const op_matmul *m = job->m;
    va_kernel kernel =
        matmul_matrix_kernel(va_gpu_get_info(job->c->gpu), k, m->transpose, m->w->dtype, t);
    kernel.spec[1] = m->bias ? m->bias->dtype : VA_F32;
    kernel.spec[2] = job->p.fc_rows > 0;
    kernel.spec[3] = job->p.w_stride % 8 == 0;
    return kernel;
}

// Rows p->row0.. of the product, packed and multiplied.
static va_status run_chunk(const matmul_job *job, const matmul_kernel *k, matmul_push p,
                           const matmul_tile *t, const va_kernel *kernel) {
    va_status st = VA_OK;
    const op_matmul *m = job->m;
    const int64_t n_w_rows = m->transpose ? p.n_cols : p.n_inner;
    const areas at = areas_of(m->transpose, m->n_rows, m->w);
    const int64_t n_tiles = matmul_count(p.n_rows, t->bm) * matmul_count(p.n_cols, t->bn);
    p.n_packed = (uint32_t)matmul_round(p.n_rows, t->bm);
    p.k_packed = (uint32_t)matmul_round(p.n_inner, K_STEP);
    const int64_t packed_bytes = a_bytes(is_bf16(k)) * p.n_packed * p.k_packed;
    const va_slice packed = va_slice_at(job->scratch, 0, packed_bytes),
                   undo = va_slice_at(job->scratch, at.undo, (int64_t)p.n_packed * 4),
                   scale = va_slice_at(job->scratch, at.scale, n_w_rows * 4);
    VA_TRY(pack_rows(job, k, &p, packed, undo, scale));
    matmul_cut(job, &p);
    const int64_t part_bytes = (int64_t)p.n_parts * p.n_rows * p.n_cols * 4;
    const va_slice out = p.n_parts > 1 ? va_slice_at(job->scratch, at.parts, part_bytes) : job->out;
    VA_TRY(op_run_groups(
        job->c, kernel,
        (va_slice[]){packed, job->w, job->bias, out, job->factor_c, job->residual, undo, scale}, &p,
        n_tiles * p.n_parts));
    if (p.n_parts > 1)
        VA_TRY(matmul_sum_parts(job, &p, out));
done:
    return st;
}

static va_status run(const matmul_job *job, const matmul_kernel *k) {
    va_status st = VA_OK;
    const op_matmul *m = job->m;
    matmul_tile t;
    if (is_for_scalar(m->transpose, m->n_rows, m->w) || !matmul_pick_tile(job, k, &t))
        return (k->rest ? k->rest : &matmul_scalar)->run(job);
    const va_kernel kernel = matrix_kernel(job, k, &t);
    const int64_t n_w_rows = m->transpose ? job->p.n_cols : job->p.n_inner;
    const areas at = areas_of(m->transpose, m->n_rows, m->w);
    if (is_scaled(k, m->w->dtype))
        VA_TRY(find_scales(job, va_slice_at(job->scratch, at.scale, n_w_rows * 4)));
    for (int64_t row = 0; row < job->p.n_rows; row += at.rows) {
        matmul_push p = job->p;
        p.row0 += (uint32_t)row;
        p.n_rows = (uint32_t)VA_MIN(at.rows, job->p.n_rows - row);
        VA_TRY(run_chunk(job, k, p, &t, &kernel));
    }
done:
    return st;
}

static va_status run_fixed(const matmul_job *job) {
    return run(job, &matmul_coopmat);
}

static va_status run_bf16(const matmul_job *job) {
    return run(job, &matmul_coopmat_bf16);
}

static va_status run_flexible(const matmul_job *job) {
    return run(job, &matmul_coopmat2);
}

// Some tile fits, whatever the weight that it is for.
static bool any_fits(const va_gpu_info *info, const matmul_kernel *k) {
    const va_dtype w = is_bf16(k) ? VA_BF16 : VA_F32;
    int n;
    const matmul_tile *tiles = matmul_tiles(k, &n);
    bool found = false;
    for (int i = 0; i < n && !found; i++)
        found = k->fits(info, w, &tiles[i]);
    return found;
}

static bool offered_fixed(const va_gpu_info *info) {
    return any_fits(info, &matmul_coopmat);
}

static bool offered_bf16(const va_gpu_info *info) {
    return any_fits(info, &matmul_coopmat_bf16) && offered_fixed(info);
}

static bool offered_flexible(const va_gpu_info *info) {
    return any_fits(info, &matmul_coopmat2);
}

const matmul_kernel matmul_coopmat = {.name = "coopmat",
                                      .shader = "op/linear_coopmat.NT",
                                      .offered = offered_fixed,
                                      .fits = fits_fixed,
                                      .run = run_fixed};
const matmul_kernel matmul_coopmat_bf16 = {.name = "coopmat-bf16",
                                           .shader = "op/linear_coopmat_bf16.NT",
                                           .offered = offered_bf16,
                                           .fits = fits_bf16,
                                           .run = run_bf16,
                                           .takes = takes_bf16,
                                           .rest = &matmul_coopmat};
const matmul_kernel matmul_coopmat2 = {.name = "coopmat2",
                                       .shader = "op/linear_coopmat2.NT",
                                       .offered = offered_flexible,
                                       .fits = fits_flexible,
                                       .run = run_flexible};
