// svd_check.h: what the tests of singular values share: matrices of known spectrum, maps on the
// host, and what every result must satisfy.
// SPDX-License-Identifier: Apache-2.0
#ifndef SVD_CHECK_H
#define SVD_CHECK_H

#include "test_gpu.h"

#include "vkalign/svd.h"

#include <math.h>

typedef struct svd_fixture {
    va_ctx *ctx;
    va_gpu *gpu;
    va_arena *arena; // emptied before each test
} svd_fixture;
int svd_setup(void **state);
int svd_teardown(void **state);
int svd_reset(void **state);
#define SVD_TEST(test) cmocka_unit_test_setup(test, svd_reset)

// -- matrices ---------------------------------------------------------------------------------

// Q [n, r] row-major with orthonormal columns, from random normals by Gram-Schmidt.
double *svd_orthogonal(va_arena *arena, int n, int r, uint64_t stream);
// A [m, n] = Q1 diag(sigma) Q2' with the first r singular values given; Q1 = svd_orthogonal(m, r,
// 1), Q2 = svd_orthogonal(n, r, 2).
float *svd_with_spectrum(va_arena *arena, int m, int n, int r, const double *sigma);
// All singular values of A in double by LAPACK's dgesvd (the library uses dgesdd).
double *svd_reference(va_arena *arena, const float *A, int64_t m, int64_t n);
// The map of a host matrix A (borrowed) between sites of several positions, in float32 sums; takes
// max_k vectors at once.
va_linmap *svd_host_map(svd_fixture *f, const float *A, const va_linmap_shape *shape,
                        int64_t max_k);
// One whose other direction is that of another matrix B.
va_linmap *svd_false_map(svd_fixture *f, const float *A, const float *B,
                         const va_linmap_shape *shape);

// -- solving ----------------------------------------------------------------------------------

va_svd_result svd_solve(svd_fixture *f, const float *A, int64_t m, int64_t n,
                        const va_svd_params *p);

// -- what every result must satisfy -----------------------------------------------------------

void svd_check_orthonormal(const float *Q, int64_t k, int64_t n);
// Orthonormal, descending, oriented, counted; residuals below `residual` times sigma_1 by double
// loops over A and as reported.
void svd_check_result(const float *A, const va_svd_result *r, double residual);
// sigma within 1e-4 of the expected ones.
void svd_check_values(const va_svd_result *r, const double *sigma);
// Every method, and LAPACK on the host matrix, finds sigma. Power iteration is left out where it is
// no match for the spectrum.
void svd_check_methods(svd_fixture *f, const float *A, int m, int n, int k, const double *sigma,
                       bool with_power);
// Bound on the sine of the largest principal angle between the span of k rows of Q [k, n] and that
// of the first k columns of B [n, stride].
double svd_angle(const float *Q, const double *B, int64_t n, int k, int stride);
// ||A v - s u||, ||A' u - s v|| of triplet j together, by double loops.
double svd_true_residual(const float *A, const va_svd_result *r, int64_t j);

#endif
