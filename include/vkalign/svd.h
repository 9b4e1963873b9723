// svd.h: the largest singular triplets of a linear map, matrix-free; its norms.
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
    X(VA_SVD_GOLUB_KAHAN, "golub-kahan", "block Golub-Kahan with thick restart")                   \
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

// What a method has no use for must be 0: VA_ERR_USAGE otherwise. Host memory in doubles for a map
// of R^n to R^m, besides 3 k (m + n) for the result: golub-kahan (basis + 2 block) (m + n) and
// 4 basis^2, subspace 2 block (m + n), power m, dense 4 m n.
typedef struct va_svd_params {
    int64_t k;              // triplets wanted, >= 1; reduced to min(m, n) with a warning
    va_svd_method method;   // default golub-kahan
    double tolerance;       // wanted: every residual <= tolerance * sigma_1; 0 = 1e-5
    int64_t max_iterations; // steps, each A and A' once on a block (power: on a vector, for each
                            // triplet); 0 = 200; not for dense
    int64_t block;          // vectors the map is applied to at once.
                            // golub-kahan: 0 = max(k, min(8, va_linmap_max_k)); below k, the
                            // last steps are widened to k, or copies of a multiple value could be
                            // missed. subspace: >= k, 0 = k + max(8, k)
    int64_t basis;          // golub-kahan: vectors kept on either side, >= k + max(k, block) or
                            // min(m, n), where there is no restart. 0 = 2 max(k, block) + 10 block,
                            // within 1 GiB unless k + 2 max(k, block) takes more
    uint64_t seed;          // random start vectors; not for dense
} va_svd_params;

// The fewest and the most vectors that the method applies a map of R^n to R^m to at once, where the
// map lets it: what a va_map_budget's min_k and max_k should be.
void va_svd_block_range(const va_svd_params *params, int64_t m, int64_t n, int64_t *fewest,
                        int64_t *most);

typedef struct va_svd_progress { // the state after a step
    int64_t iterations, vectors; // as in the result, so far
    double residual;             // largest of the wanted triplets, relative to sigma_1, as the
                                 // solver estimates it; power: of the triplet at hand
    int64_t n_converged;         // triplets within the tolerance
} va_svd_progress;
enum { VA_SVD_HISTORY = 256 };

// Sign rule: in every right singular vector the first of the entries whose magnitude is at least
// 0.999 of the largest is positive, so that rounding does not choose among equals. The left vector
// follows from u = A v / sigma. Where sigma = 0 its sign is arbitrary, and within a group of equal
// values the vectors are any orthonormal basis.
typedef struct va_svd_result {
    int64_t k, m, n;
    double *sigma;      // [k] descending
    float *U;           // [k, m], row j = left singular vector j, unit length
    float *V;           // [k, n]
    double *residual;   // [k] sqrt(||A v - s u||^2 + ||A' u - s v||^2) of these vectors, absolute
    bool *is_converged; // [k] residual within tolerance * sigma_1
    bool converged;     // all of them
    double tolerance;   // that this means
    int64_t rank; // triplets with sigma > max(m, n) * eps_f32 * sigma_1; beyond it U and V are
                  // still orthonormal but arbitrary
    int64_t iterations;        // applications of A or A' to blocks
    int64_t vectors;           // vectors in these blocks
    int64_t random_directions; // golub-kahan: directions that the map did not give (its range was
                               // exhausted) and that were completed at random
    va_svd_progress *history; // [n_history] one entry a step, thinned evenly to VA_SVD_HISTORY; the
    int64_t n_history;        // last one holds the residuals of the result
} va_svd_result;

// result's arrays live in arena. Not converging is no error: the result says so, and a warning
// names the triplets and what to raise. The map works in float32, so residuals end near 1e-7 to
// 1e-6 sigma_1 and a smaller tolerance is never met. Non-finite numbers from the map are
// VA_ERR_NUMERIC.
va_status va_svd(va_ctx *ctx, va_arena *arena, va_linmap *map, const va_svd_params *params,
                 va_svd_result *result);
// The same for a small host matrix A [m, n] row-major by LAPACK in double; residuals are computed.
va_status va_svd_host(va_ctx *ctx, va_arena *arena, const float *A, int64_t m, int64_t n, int64_t k,
                      va_svd_result *result);
// The top right singular vector v [n] of A [m, n] f64, unit length and of either sign, by the Gram
// matrix of the smaller side in double: as exact as a full decomposition for this vector, whose
// error is about 1e-16 sigma_1 / (sigma_1 - sigma_2) either way, and many times faster. sigma [k],
// k <= min(m, n), the first singular values, is by a full decomposition; k may be 0.
// VA_ERR_NUMERIC when an element is not finite or all are 0.
va_status va_svd_host_top(va_ctx *ctx, const double *A, int64_t m, int64_t n, double *v,
                          double *sigma, int64_t k);

// The first k right singular vectors V [k, n] of A [m, n] f64, k <= min(m, n), and their values
// sigma [k], by a full decomposition; signs as LAPACK gives them. Errors as above.
va_status va_svd_host_frame(va_ctx *ctx, const double *A, int64_t m, int64_t n, int64_t k,
                            double *V, double *sigma);

// -- norms ----------------------------------------------------------------------------------------

// ||A||_F^2 = sum of squares, formed from the rows of A (va_linmap_rows) and summed in double.
va_status va_svd_frobenius_squared(va_ctx *ctx, va_linmap *map, double *squared);

// ||A||_F^2 without forming A: the mean of ||A z||^2 over random z of independent signs, which is
// unbiased (M. F. Hutchinson, Communications in Statistics 19, 1990). A probe depends on (seed, its
// number) alone, so the estimate does not depend on how the map takes its blocks.
typedef struct va_svd_estimate {
    double mean, standard_error; // of ||A||_F^2; the error is the probes' deviation / sqrt(probes)
    int64_t probes;
} va_svd_estimate;
va_status va_svd_frobenius_estimate(va_ctx *ctx, va_linmap *map, int64_t probes, // >= 2
                                    uint64_t seed, va_svd_estimate *estimate);

#ifdef __cplusplus
}
#endif
#endif
