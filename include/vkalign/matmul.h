// matmul.h: the kernels for products with a weight: what there is, whether each computes right
// here.
//
// All ops multiply by one call, which picks a kernel for the device: "scalar" (tiles in shared
// memory, f32), "cpu" (drivers that run on the processor, f32), "coopmat"
// (VK_KHR_cooperative_matrix), "coopmat-bf16" (the same with bf16 operands, VK_KHR_shader_bfloat16)
// or "coopmat2" (VK_NV_cooperative_matrix2). coopmat and coopmat2 split f32 into pairs of f16,
// which keeps 22 bits. coopmat-bf16 splits f32 into three bf16, which keeps all, and takes weights
// that are bf16 as they are; it does so for products of up to 128 rows (64 where sums have more
// than 43,690 terms) and leaves all others to coopmat. All three leave products of up to 16 rows to
// the first. On GPUs a kernel on matrix cores is picked once it has passed its test on that device
// and driver; one that failed there, or whose test did not come to its end twice, is switched off
// until va_matmul_test tests it again. VA_MATMUL in the environment is a list: "coopmat" takes that
// kernel and no other ("coopmat-bf16" that pair), tested or not;
// "-coopmat,-coopmat2" forbids those, and without coopmat there is no coopmat-bf16.
// Depends on base.h, gpu.h.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_MATMUL_H
#define VKALIGN_MATMUL_H

#include "vkalign/gpu.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VA_MATMUL_KERNELS = 5 };
// Largest error that a kernel may make, relative to the sum of the products' magnitudes. Rounding
// of a sum of 301 f32 products, the test's, is 301 * 2^-24 = 1.8e-5 at the very most.
#define VA_MATMUL_TOLERANCE 2e-5

typedef struct va_matmul_kernel {
    const char *name;
    bool built;          // in this build
    bool offered;        // by the device
    bool tested, passed; // here
    bool picked;         // for products of many rows, with what it leaves them to
    double error;        // of the test: the largest; infinite where something was not finite
} va_matmul_kernel;

// Tests all kernels that are built and offered, on both kinds of product, each dtype of weights,
// odd sizes, large tiles and sums that hang on the last digits, against double loops, and remembers
// the verdicts. A kernel that the driver refuses has failed, with an infinite error; a lost device
// is an error. Waits.
va_status va_matmul_test(va_gpu *gpu, va_matmul_kernel list[VA_MATMUL_KERNELS]);
// Tests what would be picked and was not tested on this device before; else does nothing.
va_status va_matmul_prepare(va_gpu *gpu);
// The kernel that products of many rows take, with the one that it leaves some to, after
// va_matmul_prepare: its bits are its own.
va_status va_matmul_picked(va_gpu *gpu, const char **name);

typedef struct va_matmul_tuned {
    char what[64];         // "coopmat NT BF16, 128 rows"
    char tile[48];         // "64x64 of 32x32": a workgroup's, an invocation's or subgroup's part
    double gflops;         // with it
    double default_gflops; // with the tile that was taken before
} va_matmul_tuned;
// Times the tiles of the picked kernel, or of the one that it leaves a product to, for each kind of
// product (dtype, direction, number of rows), by a weight [width, width], and keeps the fastest for
// this device and driver. Results do not depend on tiles. Waits; takes up to minutes. list from the
// arena; empty where the kernel has no tiles.
va_status va_matmul_tune(va_gpu *gpu, int64_t width, va_arena *arena, va_matmul_tuned **list,
                         int64_t *n);

#ifdef __cplusplus
}
#endif
#endif
