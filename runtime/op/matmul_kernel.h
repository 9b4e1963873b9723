// matmul_kernel.h: what the matmul kernels share, and the table of them.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_MATMUL_KERNEL_H
#define VA_MATMUL_KERNEL_H

#include "vkalign/matmul.h"

#include "op_matmul.h"

typedef struct matmul_push { // shaders/lib/matmul.glsl
    uint32_t n_rows, n_cols, n_inner;
    uint32_t row0, a_stride, a_0, w_stride, c_stride, c_0;
    uint32_t has_bias, has_residual;
    uint32_t n_parts, part_size;
    uint32_t fa_rows, fa_stride, fa_0, fc_rows, fc_stride, fc_0;
    uint32_t k_packed, n_packed;
} matmul_push;

// One product with bindable operands, and the bindings that all kernels have.
typedef struct matmul_job {
    const va_op_call *c;
    const op_matmul *m;
    // What is not there is bound to something that is.
    va_slice a, w, bias, out, factor_a, factor_c, residual;
    va_slice scratch; // for the kernel: of op_matmul_scratch bytes what is not for unpacked rows
    matmul_push p;
} matmul_job;

// What decides which kernel multiplies, and by which tile where none was tuned.
typedef struct matmul_shape {
    va_dtype w;
    int64_t n_rows, n_cols, n_inner;
} matmul_shape;

// bm x bn of C a workgroup; rm x rn of it an invocation of the scalar kernel, a subgroup of the
// matrix kernels.
typedef struct matmul_tile {
    uint32_t bm, bn, rm, rn;
} matmul_tile;

// Whether a device takes a tile for weights of dtype w.
typedef bool (*matmul_tile_fits)(const va_gpu_info *info, va_dtype w, const matmul_tile *t);

typedef struct matmul_kernel {
    const char *name, *shader; // one of its shaders, which a build has or has not
    bool (*offered)(const va_gpu_info *info);
    bool baseline;         // runs on every device, and is trusted before it was tested
    matmul_tile_fits fits; // NULL: it has no tiles
    va_status (*run)(const matmul_job *job);
    // Not NULL: the products that it is for; all others are left to rest.
    bool (*takes)(const matmul_shape *s);
    const struct matmul_kernel *rest;
} matmul_kernel;

extern const matmul_kernel matmul_scalar, matmul_cpu, matmul_coopmat, matmul_coopmat_bf16,
    matmul_coopmat2;

enum {
    MATMUL_FEW_ROWS = 16,   // up to which GPUs have kernels of their own,
    MATMUL_FEW_PARTS = 32,  // and the parts that those cut the inner index into, at most
    MATMUL_ALIGNMENT = 256, // Vulkan's limit on storage-buffer offset alignment
};

// The number of steps that hold n, and that many of them.
int64_t matmul_count(int64_t n, int64_t step);
int64_t matmul_round(int64_t n, int64_t step);

// -- matmul_pick.c ---------------------------------------------------------------------------

enum { MATMUL_KERNELS = VA_MATMUL_KERNELS };
const matmul_kernel *matmul_kernel_at(int i);
// The kernel for products on this device. VA_ERR_UNSUPPORTED when VA_MATMUL in the environment asks
// for what this build or device has not.
va_status matmul_pick(va_gpu *gpu, const matmul_kernel **kernel);
// The one of k and its rest that such a product is for.
const matmul_kernel *matmul_for(const matmul_kernel *k, const matmul_shape *s);
bool matmul_is_built(const matmul_kernel *k);
// Whether VA_MATMUL leaves the choice of k to us.
va_status matmul_is_wanted(va_gpu *gpu, const matmul_kernel *k, bool *wanted);

// What is known of a kernel on a device, among its facts. Below 0: so many tests did not come to
// their end.
enum { MATMUL_FAILED = 0, MATMUL_PASSED = 1, MATMUL_UNTESTED = 2 };
void matmul_verdict_key(const matmul_kernel *k, char key[64]);
int64_t matmul_verdict(const va_gpu *gpu, const matmul_kernel *k);
// Never tested, or one test did not end.
bool matmul_is_testable(int64_t verdict);

// -- matmul_tile.c ---------------------------------------------------------------------------

// All that could be picked, large ones first.
const matmul_tile *matmul_tiles(const matmul_kernel *k, int *n);
// Rows of the largest tile that a product of so many rows may take.
int64_t matmul_most_bm(int64_t n_rows);

matmul_shape matmul_shape_of(bool transpose, int64_t n_rows, const va_tensor *w);
bool matmul_tile_is_for(const va_gpu_info *info, const matmul_kernel *k, const matmul_shape *s,
                        const matmul_tile *t);
// Needs no device, so that ci/portability can ask for absent ones.
bool matmul_default_tile(const va_gpu_info *info, const matmul_kernel *k, const matmul_shape *s,
                         matmul_tile *tile);
// The one for a job: as tuned on the device, or its vendor's default. False where none fits; scalar
// has one for all.
bool matmul_pick_tile(const matmul_job *job, const matmul_kernel *k, matmul_tile *tile);
// Keeps one for jobs like this.
va_status matmul_keep_tile(const matmul_job *job, const matmul_kernel *k, const matmul_tile *t);

// -- op_matmul.c -----------------------------------------------------------------------------

// A product of few tiles is cut along the inner index into parts, ranges of whole steps, which run
// side by side and whose sums go to scratch [n_parts, n_rows, n_cols]. Depends on the shape alone,
// so that the sums' order does. Sets n_parts and part_size.
void matmul_cut(const matmul_job *job, matmul_push *p);
// The inner index of the largest range that op_matmul_run makes.
int64_t matmul_most_inner(bool transpose, const va_tensor *w);
// C = the sum of p's parts, with its factor, bias and residual.
va_status matmul_sum_parts(const matmul_job *job, const matmul_push *p, va_slice parts);

// -- matmul_matrix.c -------------------------------------------------------------------------

// The kernel of a matrix kernel for weights of dtype w whose rows are whole eights, without bias
// and factor. Its tile fits.
va_kernel matmul_matrix_kernel(const va_gpu_info *info, const matmul_kernel *k, bool transpose,
                               va_dtype w, const matmul_tile *t);

enum { MATMUL_PACK_BYTES = 32 << 20 }; // of rows of A that are made ready at once
// Scratch before that of parts.
int64_t matmul_pack_bytes(bool transpose, int64_t n_rows, const va_tensor *w);

// -- matmul_cpu.c ----------------------------------------------------------------------------

// Rows of A that are multiplied by their factor at once, as f32.
int64_t matmul_scaled_rows(bool transpose, int64_t n_rows, const va_tensor *w);

#endif
