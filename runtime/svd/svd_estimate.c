// svd_estimate.c: the Frobenius norm of a map, exact or estimated.
//
// Method: for independent random signs z, E z z' = I and so E ||A z||^2 = trace(A' A) = ||A||_F^2,
// with variance 2 (||A'A||_F^2 - sum_i (A'A)_ii^2) per probe.
// Reference: M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix for
// Laplacian smoothing splines", Communications in Statistics - Simulation and Computation 19
// (1990).
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_PROBES_AT_ONCE = 64 }; // bounds host memory to 64 (m + n) floats

// Sum of squares of floats from the map; VA_ERR_NUMERIC when one is not finite. Squares of floats
// are exact in double and cannot overflow there.
static va_status add_squares(va_linmap *map, const float *x, int64_t n, double *sum) {
    double squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)x[i] * x[i];
    if (!isfinite(squares))
        return va_fail(va_gpu_ctx(va_linmap_gpu(map)), VA_ERR_NUMERIC,
                       "map %s gave NaN or infinity", va_linmap_label(map));
    *sum += squares;
    return VA_OK;
}

// -- exact ------------------------------------------------------------------------------------

typedef struct row_sum {
    va_linmap *map;
    int64_t n; // length of a row
    double squared;
} row_sum;

static va_status add_rows(void *user, int64_t first, int64_t count, const float *rows) {
    va_status st = VA_OK;
    row_sum *s = user;
    (void)first;
    for (int64_t i = 0; i < count; i++)
        VA_TRY(add_squares(s->map, rows + i * s->n, s->n, &s->squared));
done:
    return st;
}

va_status va_svd_frobenius_squared(va_ctx *ctx, va_linmap *map, double *squared) {
    const va_linmap_shape shape = va_linmap_get_shape(map);
    row_sum s = {.map = map, .n = shape.T_in * shape.d_in};
    va_status st = va_linmap_rows(map, add_rows, &s);
    *squared = st == VA_OK ? s.squared : NAN;
    return st == VA_OK ? st : va_fail_in(ctx, st, "Frobenius norm");
}

// -- estimated --------------------------------------------------------------------------------

// Probe `number`: n signs of a stream of its own, 32 to a random word.
static void make_probe(uint64_t seed, int64_t number, int64_t n, float *z) {
    va_rng rng = va_rng_make(seed, va_hash64("svd.frobenius") + (uint64_t)number);
    uint32_t word = 0;
    for (int64_t i = 0; i < n; i++) {
        word = i % 32 == 0 ? va_rng_u32(&rng) : word >> 1;
        z[i] = word & 1 ? 1.0f : -1.0f;
    }
}

typedef struct probing {
    va_linmap *map;
    int64_t m, n;
    uint64_t seed;
    float *z, *Az;   // [chunk, n], [chunk, m]
    double *squared; // [probes] ||A z||^2
} probing;

static va_status apply_probes(probing *p, int64_t first, int64_t count) {
    va_status st = VA_OK;
    for (int64_t i = 0; i < count; i++)
        make_probe(p->seed, first + i, p->n, p->z + i * p->n);
    VA_TRY(va_linmap_apply_host(p->map, p->z, count, p->Az));
    for (int64_t i = 0; i < count; i++)
        VA_TRY(add_squares(p->map, p->Az + i * p->m, p->m, p->squared + first + i));
done:
    return st;
}

// Mean and standard error; deviations from the mean, so that nothing cancels.
static void summarise(const double *x, int64_t n, va_svd_estimate *e) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    *e = (va_svd_estimate){
        .mean = mean, .standard_error = sqrt(squares / (double)(n - 1) / (double)n), .probes = n};
}

va_status va_svd_frobenius_estimate(va_ctx *ctx, va_linmap *map, int64_t probes, uint64_t seed,
                                    va_svd_estimate *estimate) {
    va_status st = VA_OK;
    const va_linmap_shape s = va_linmap_get_shape(map);
    probing p = {.map = map, .m = s.T_out * s.d_out, .n = s.T_in * s.d_in, .seed = seed};
    va_arena *arena = NULL;
    int64_t most = VA_MIN(MAX_PROBES_AT_ONCE, va_linmap_max_k(map)), n_z, n_Az;
    if (probes < 2)
        return va_fail(ctx, VA_ERR_USAGE,
                       "Frobenius norm: expected at least 2 probes for a standard error, got %lld",
                       (long long)probes);
    const int64_t chunk = VA_MIN(probes, most);
    if (!va_mul_i64(chunk, p.n, &n_z) || !va_mul_i64(chunk, p.m, &n_Az))
        return va_fail(ctx, VA_ERR_SHAPE, "Frobenius norm: %lld probes overflow", (long long)chunk);
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY_ALLOC(ctx, p.z, VA_NEW_ARRAY(arena, float, n_z));
    VA_TRY_ALLOC(ctx, p.Az, VA_NEW_ARRAY(arena, float, n_Az));
    VA_TRY_ALLOC(ctx, p.squared, VA_NEW_ARRAY(arena, double, probes));
    for (int64_t first = 0; first < probes; first += chunk)
        VA_TRY(apply_probes(&p, first, VA_MIN(chunk, probes - first)));
    summarise(p.squared, probes, estimate);
done:
    va_arena_destroy(&arena);
    return st;
}
