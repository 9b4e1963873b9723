// read_spectrum.c: the top of a map's spectrum, its norms and how many directions it fills.
//
// A small matrix is formed once and gives all singular values; of a larger one the rows are summed
// as they come; of the largest the norm is estimated (svd_estimate.c).
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/read.h"

#include "vkalign/metric_compare.h"

#include <math.h>

static int64_t limit(int64_t given, int64_t usual) {
    return given == 0 ? usual : given;
}

// Keeps the k largest triplets of a whole decomposition.
static void keep_top(va_svd_result *r, int64_t k) {
    r->k = VA_MIN(r->k, k);
    r->rank = VA_MIN(r->rank, r->k);
    r->converged = true;
    for (int64_t j = 0; j < r->k; j++)
        r->converged &= r->is_converged[j];
}

// The whole spectrum by LAPACK; with method dense its triplets are the result.
static va_status form_matrix(va_ctx *ctx, va_arena *arena, va_linmap *map, int64_t m, int64_t n,
                             const va_svd_params *params, va_read_spectrum_result *out) {
    va_status st = VA_OK;
    const bool dense = params->method == VA_SVD_DENSE;
    va_arena *temp = NULL;
    va_svd_result all;
    float *A;
    double *sigma, squared = 0;
    VA_TRY_ALLOC(ctx, temp, va_arena_create());
    VA_TRY_ALLOC(ctx, A, VA_NEW_ARRAY(temp, float, m *n));
    VA_TRY_ALLOC(ctx, sigma, VA_NEW_ARRAY(arena, double, VA_MIN(m, n)));
    VA_TRY(va_linmap_dense(map, A));
    VA_TRY(va_svd_host(ctx, dense ? arena : temp, A, m, n, VA_MIN(m, n), &all));
    for (int64_t i = 0; i < all.k; i++) {
        sigma[i] = all.sigma[i];
        squared += sigma[i] * sigma[i];
    }
    out->whole = true;
    out->sigma = sigma;
    out->n_sigma = all.k;
    out->frobenius = sqrt(squared);
    if (dense) {
        keep_top(&all, params->k);
        out->svd = all;
    }
done:
    va_arena_destroy(&temp);
    return st;
}

static va_status estimate_norm(va_ctx *ctx, va_linmap *map, const va_read_spectrum_params *p,
                               va_read_spectrum_result *out) {
    va_status st = VA_OK;
    va_svd_estimate e;
    VA_TRY(va_svd_frobenius_estimate(ctx, map, p->probes > 0 ? p->probes : 64, p->svd.seed, &e));
    double known = 0; // the norm is at least that of the triplets found
    for (int64_t j = 0; j < out->svd.k; j++)
        known += out->svd.sigma[j] * out->svd.sigma[j];
    out->probes = e.probes;
    out->frobenius = sqrt(fmax(e.mean, known));
    out->frobenius_error = out->frobenius > 0 ? e.standard_error / (2 * out->frobenius) : 0;
    if (out->svd.sigma[0] > 0)
        out->stable_rank_error = e.standard_error / out->svd.sigma[0] / out->svd.sigma[0];
done:
    return st;
}

// Of the n values the first k are known, and none of the others is above the k-th, sigma_k. Their
// squares sum to ||A||_F^2 less the known ones. A spectrum fills most directions when these are all
// equal, and fewest when as many as possible are sigma_k: sum p^2 is convex, the entropy concave.
static void bound_dimensions(int64_t n, va_read_spectrum_result *s) {
    const int64_t k = s->n_sigma;
    const double last = pow(s->sigma[k - 1], 2);
    double known = 0, fourth = 0, entropy = 0;
    for (int64_t i = 0; i < k; i++)
        known += pow(s->sigma[i], 2);
    const double total = fmax(s->frobenius * s->frobenius, known), rest = total - known;
    const double even = k < n ? fmin(rest / (double)(n - k), last) : 0;
    for (int64_t i = 0; i < k; i++) {
        const double p = pow(s->sigma[i], 2) / total;
        fourth += p * p;
        entropy -= p > 0 ? p * log(p) : 0;
    }
    const double share = rest / total, p_even = even / total, p_last = last / total;
    s->participation_bounds =
        (va_read_range){1 / (fourth + share * p_last), 1 / (fourth + share * p_even)};
    s->entropy_bounds = (va_read_range){exp(entropy), exp(entropy)};
    if (even > 0) {
        s->entropy_bounds.low = exp(entropy - share * log(p_last));
        s->entropy_bounds.high = exp(entropy - share * log(p_even));
    }
}

va_status va_read_spectrum(va_ctx *ctx, va_arena *arena, va_linmap *map,
                           const va_read_spectrum_params *p, va_read_spectrum_result *out) {
    va_status st = VA_OK;
    const va_linmap_shape s = va_linmap_get_shape(map);
    const int64_t m = s.T_out * s.d_out, n = s.T_in * s.d_in;
    const bool dense = p->svd.method == VA_SVD_DENSE;
    int64_t n_entries;
    *out = (va_read_spectrum_result){0};
    if (!va_mul_i64(m, n, &n_entries))
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %lld x %lld entries overflow", va_linmap_label(map),
                       (long long)m, (long long)n);
    if (p->svd.k < 1)
        return va_fail(ctx, VA_ERR_USAGE, "spectrum: expected k >= 1, got %lld",
                       (long long)p->svd.k);
    if (dense || n_entries <= limit(p->whole_limit, (int64_t)1 << 19))
        VA_TRY(form_matrix(ctx, arena, map, m, n, &p->svd, out));
    if (!dense)
        VA_TRY(va_svd(ctx, arena, map, &p->svd, &out->svd));
    if (!out->whole) {
        out->sigma = out->svd.sigma;
        out->n_sigma = out->svd.k;
        if (n_entries <= limit(p->exact_limit, (int64_t)1 << 22)) {
            double squared;
            VA_TRY(va_svd_frobenius_squared(ctx, map, &squared));
            out->frobenius = sqrt(squared);
        } else {
            VA_TRY(estimate_norm(ctx, map, p, out));
        }
    }
    out->stable_rank = va_metric_stable_rank(out->frobenius * out->frobenius, out->svd.sigma[0]);
    out->participation_ratio = va_metric_participation_ratio(out->sigma, out->n_sigma);
    out->entropy_rank = va_metric_entropy_rank(out->sigma, out->n_sigma);
    out->participation_bounds = (va_read_range){out->participation_ratio, out->participation_ratio};
    out->entropy_bounds = (va_read_range){out->entropy_rank, out->entropy_rank};
    if (!out->whole && out->svd.sigma[0] > 0)
        bound_dimensions(VA_MIN(m, n), out);
done:
    return st;
}
