// svd.h: the largest singular triplets of a linear map, matrix-free.
// Depends on linmap.h and below (LAPACK on the host for small dense problems).
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_SVD_H
#define VKALIGN_SVD_H

#include "vkalign/linmap.h"

#ifdef __cplusplus
extern "C" {
#endif

// X(enum, name on the command line, what it is)
#define VA_SVD_METHOD_LIST(X)                                                                      \
    X(VA_SVD_SUBSPACE, "subspace", "subspace iteration with Rayleigh-Ritz")                        \
    X(VA_SVD_POWER, "power", "power iteration with deflation, one triplet after another")          \
    X(VA_SVD_DENSE, "dense", "forms the matrix and calls LAPACK")
typedef enum va_svd_method {
#define VA_X(id, name, text) id,
    VA_SVD_METHOD_LIST(VA_X)
#undef VA_X
        VA_SVD_METHOD_COUNT
} va_svd_method;
const char *va_svd_method_name(va_svd_method m);
bool va_svd_method_parse(const char *name, va_svd_method *m);

typedef struct va_svd_params {
    int64_t k;              // triplets wanted, >= 1; reduced to min(m, n) with a warning
    va_svd_method method;   // default subspace
    double tolerance;       // stop when every residual <= tolerance * sigma_1; 0 = 1e-5
    int64_t max_iterations; // A and A' applications per triplet or block; 0 = 200
    int64_t oversample;     // extra vectors of subspace iteration; 0 = max(8, k)
    uint64_t seed;          // start vectors
} va_svd_params;

// Sign rule: in every right singular vector the entry of largest magnitude (the first of equals)
// is positive; the left one follows from u = A v / sigma.
typedef struct va_svd_result {
    int64_t k, m, n;
    double *sigma;    // [k] descending
    float *U;         // [k, m], row j = left singular vector j, unit length
    float *V;         // [k, n]
    double *residual; // [k] sqrt(||A v - s u||^2 + ||A' u - s v||^2), absolute
    int64_t rank;     // triplets with sigma > max(m, n) * eps_f32 * sigma_1; beyond it U and V are
                      // still orthonormal but arbitrary
    int64_t iterations; // applications of A or A' to blocks
    bool converged;     // every residual within tolerance
} va_svd_result;

// result's arrays live in arena. Not converging is no error: the result says so and a warning is
// logged. Non-finite numbers from the map are VA_ERR_NUMERIC.
va_status va_svd(va_ctx *ctx, va_arena *arena, va_linmap *map, const va_svd_params *params,
                 va_svd_result *result);
// The same for a small host matrix A [m, n] row-major by LAPACK in double; residuals are computed.
va_status va_svd_host(va_ctx *ctx, va_arena *arena, const float *A, int64_t m, int64_t n, int64_t k,
                      va_svd_result *result);

#ifdef __cplusplus
}
#endif
#endif
