// svd_check.c: matrices of known spectrum, maps on the host, and what every result must satisfy.
// SPDX-License-Identifier: Apache-2.0
#include "svd_check.h"

#include <float.h>
#include <lapacke.h>

// The project's promise: singular values within 1e-4. Relative to the value itself down to 1 % of
// sigma_1, and to 1 % of sigma_1 below (1e-6 sigma_1), where float32 maps carry no more.
static const double VALUE_TOLERANCE = 1e-4, SMALL = 1e-2;
// Orthonormality of vectors rounded to float32: a few eps for each of up to 500 entries' sums.
static const double ORTHO_TOLERANCE = 1e-5;

int svd_setup(void **state) {
    static svd_fixture f;
    f.ctx = va_test_ctx();
    f.gpu = va_test_gpu(f.ctx);
    f.arena = va_arena_create();
    *state = &f;
    return 0;
}

int svd_teardown(void **state) {
    svd_fixture *f = *state;
    va_arena_destroy(&f->arena);
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    return 0;
}

int svd_reset(void **state) {
    va_arena_reset(((svd_fixture *)*state)->arena);
    return 0;
}

// -- matrices ---------------------------------------------------------------------------------

double *svd_orthogonal(va_arena *arena, int n, int r, uint64_t stream) {
    double *Q = VA_NEW_ARRAY(arena, double, n *r);
    va_rng rng = va_rng_make(7, stream);
    for (int j = 0; j < r; j++) {
        for (int i = 0; i < n; i++)
            Q[i * r + j] = va_rng_normal(&rng);
        for (int pass = 0; pass < 2; pass++)
            for (int l = 0; l <= j; l++) { // l == j normalises
                double dot = 0;
                for (int i = 0; i < n; i++)
                    dot += Q[i * r + j] * Q[i * r + l];
                for (int i = 0; i < n; i++)
                    Q[i * r + j] =
                        l < j ? Q[i * r + j] - dot * Q[i * r + l] : Q[i * r + j] / sqrt(dot);
            }
    }
    return Q;
}

float *svd_with_spectrum(va_arena *arena, int m, int n, int r, const double *sigma) {
    double *U = svd_orthogonal(arena, m, r, 1), *V = svd_orthogonal(arena, n, r, 2);
    float *A = VA_NEW_ARRAY(arena, float, m *n);
    for (int i = 0; i < m; i++)
        for (int c = 0; c < n; c++) {
            double sum = 0;
            for (int j = 0; j < r; j++)
                sum += U[i * r + j] * sigma[j] * V[c * r + j];
            A[i * n + c] = (float)sum;
        }
    return A;
}

double *svd_reference(va_arena *arena, const float *A, int64_t m, int64_t n) {
    int64_t r = VA_MIN(m, n);
    double *M = VA_NEW_ARRAY(arena, double, m *n), *S = VA_NEW_ARRAY(arena, double, r);
    double *superb = VA_NEW_ARRAY(arena, double, r), unused[1];
    for (int64_t i = 0; i < m * n; i++)
        M[i] = A[i];
    assert_int_equal(LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'N', 'N', (int)m, (int)n, M, (int)n, S,
                                    unused, 1, unused, 1, superb),
                     0);
    return S;
}

typedef struct host_map {
    va_gpu *gpu;
    const float *A, *B; // B is applied transposed
    int64_t m, n;
} host_map;

// to = A from or A' from for k vectors, through the host.
static va_status apply_host(host_map *h, bool transposed, const va_block *from,
                            const va_block *to) {
    va_status st = VA_OK;
    va_ctx *ctx = va_gpu_ctx(h->gpu);
    const int64_t n_from = transposed ? h->m : h->n, n_to = transposed ? h->n : h->m;
    float *x = calloc((size_t)(from->k * n_from), sizeof *x), *y = NULL;
    VA_TRY_ALLOC(ctx, y, calloc((size_t)(to->k * n_to), sizeof *y));
    VA_TRY(va_block_to_host(h->gpu, from, x));
    for (int64_t j = 0; j < from->k; j++)
        for (int64_t i = 0; i < h->m; i++)
            for (int64_t c = 0; c < h->n; c++)
                if (transposed)
                    y[j * n_to + c] += h->B[i * h->n + c] * x[j * n_from + i];
                else
                    y[j * n_to + i] += h->A[i * h->n + c] * x[j * n_from + c];
    VA_TRY(va_block_from_host(h->gpu, to, y));
done:
    free(x);
    free(y);
    return st;
}

static va_status host_apply(void *self, const va_block *x, const va_block *y) {
    return apply_host(self, false, x, y);
}

static va_status host_apply_t(void *self, const va_block *y, const va_block *x) {
    return apply_host(self, true, y, x);
}

static va_linmap *make_map(svd_fixture *f, const host_map *h, const va_linmap_shape *shape,
                           int64_t max_k) {
    static const va_linmap_ops ops = {host_apply, host_apply_t, free};
    va_linmap *map;
    host_map *self = malloc(sizeof *self);
    assert_non_null(self);
    *self = *h;
    assert_ok(f->ctx, va_linmap_create(f->gpu, shape, max_k, &ops, self, "host matrix", &map));
    return map;
}

va_linmap *svd_host_map(svd_fixture *f, const float *A, const va_linmap_shape *s, int64_t max_k) {
    const host_map h = {f->gpu, A, A, s->T_out * s->d_out, s->T_in * s->d_in};
    return make_map(f, &h, s, max_k);
}

va_linmap *svd_false_map(svd_fixture *f, const float *A, const float *B, const va_linmap_shape *s) {
    const host_map h = {f->gpu, A, B, s->T_out * s->d_out, s->T_in * s->d_in};
    return make_map(f, &h, s, 64);
}

va_svd_result svd_solve(svd_fixture *f, const float *A, int64_t m, int64_t n,
                        const va_svd_params *p) {
    va_linmap *map;
    va_svd_result r;
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, m, n, &map));
    assert_ok(f->ctx, va_svd(f->ctx, f->arena, map, p, &r));
    va_linmap_destroy(&map);
    return r;
}

// -- results ----------------------------------------------------------------------------------

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

void svd_check_orthonormal(const float *Q, int64_t k, int64_t n) {
    for (int64_t a = 0; a < k; a++)
        for (int64_t b = 0; b <= a; b++) {
            double error = dot(Q + a * n, Q + b * n, n) - (a == b);
            if (!(fabs(error) <= ORTHO_TOLERANCE))
                fail_msg("vectors %lld and %lld are not orthonormal: %g", (long long)a,
                         (long long)b, error);
        }
}

// The rule of svd.h, by the letter.
static void check_sign(const float *v, int64_t n) {
    float largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmaxf(largest, fabsf(v[i]));
    for (int64_t i = 0; i < n; i++)
        if (fabsf(v[i]) >= 0.9991f * largest) {
            assert_true(v[i] > 0);
            return;
        } else if (fabsf(v[i]) >= 0.9989f * largest) {
            return; // rounding decides
        }
    fail();
}

double svd_true_residual(const float *A, const va_svd_result *r, int64_t j) {
    const float *u = r->U + j * r->m, *v = r->V + j * r->n;
    double sum = 0;
    for (int64_t i = 0; i < r->m; i++) {
        double e = dot(A + i * r->n, v, r->n) - r->sigma[j] * u[i];
        sum += e * e;
    }
    for (int64_t c = 0; c < r->n; c++) {
        double e = -r->sigma[j] * v[c];
        for (int64_t i = 0; i < r->m; i++)
            e += (double)A[i * r->n + c] * u[i];
        sum += e * e;
    }
    return sqrt(sum);
}

static void check_counts(const va_svd_result *r) {
    bool all = true;
    int64_t rank = 0, last = r->n_history - 1, n_converged = 0;
    for (int64_t j = 0; j < r->k; j++) {
        all = all && r->is_converged[j];
        n_converged += r->is_converged[j];
        rank += r->sigma[j] > (double)VA_MAX(r->m, r->n) * (double)FLT_EPSILON * r->sigma[0];
    }
    assert_int_equal(r->converged, all);
    assert_int_equal(r->rank, rank);
    assert_true(r->n_history >= 1 && r->n_history <= VA_SVD_HISTORY);
    for (int64_t i = 0; i < r->n_history; i++) {
        const va_svd_progress *h = &r->history[i];
        assert_true(isfinite(h->residual) && h->residual >= 0);
        assert_true(h->n_converged >= 0 && h->n_converged <= r->k);
        assert_true(i == 0 || (h->iterations > h[-1].iterations && h->vectors > h[-1].vectors));
    }
    assert_true(r->history[last].iterations == r->iterations);
    assert_true(r->history[last].vectors == r->vectors);
    assert_true(r->history[last].n_converged == n_converged);
}

// The reported residual may differ from the true one by the map's float32 rounding.
void svd_check_result(const float *A, const va_svd_result *r, double residual) {
    svd_check_orthonormal(r->U, r->k, r->m);
    svd_check_orthonormal(r->V, r->k, r->n);
    check_counts(r);
    for (int64_t j = 0; j < r->k; j++) {
        assert_true(isfinite(r->sigma[j]) && r->sigma[j] >= 0);
        assert_true(j == 0 || r->sigma[j] <= r->sigma[j - 1]);
        check_sign(r->V + j * r->n, r->n);
        double got = svd_true_residual(A, r, j);
        if (!(got <= residual * r->sigma[0] && fabs(got - r->residual[j]) <= 3e-6 * r->sigma[0]))
            fail_msg("triplet %lld: residual %g sigma_1, reported %g sigma_1", (long long)j,
                     got / r->sigma[0], r->residual[j] / r->sigma[0]);
    }
}

void svd_check_values(const va_svd_result *r, const double *sigma) {
    for (int64_t j = 0; j < r->k; j++) {
        double scale = fmax(sigma[j], SMALL * sigma[0]);
        if (!(fabs(r->sigma[j] - sigma[j]) <= VALUE_TOLERANCE * scale))
            fail_msg("sigma[%lld]: got %.9g, expected %.9g", (long long)j, r->sigma[j], sigma[j]);
    }
}

void svd_check_methods(svd_fixture *f, const float *A, int m, int n, int k, const double *sigma,
                       bool with_power) {
    va_svd_result r;
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = k, .method = (va_svd_method)method, .seed = 3};
        if (method == VA_SVD_POWER && !with_power)
            continue;
        r = svd_solve(f, A, m, n, &p);
        assert_int_equal(r.k, k);
        if (!r.converged)
            fail_msg("%s did not converge in %lld", va_svd_method_name(p.method),
                     (long long)r.iterations);
        svd_check_values(&r, sigma);
        svd_check_result(A, &r, 1.1e-5); // the default tolerance, and the map's rounding
    }
    assert_ok(f->ctx, va_svd_host(f->ctx, f->arena, A, m, n, k, &r));
    svd_check_values(&r, sigma);
    svd_check_result(A, &r, 1e-6);
}

// The Frobenius norm of (I - B B') Q' bounds the sine. k <= stride.
double svd_angle(const float *Q, const double *B, int64_t n, int k, int stride) {
    double outside = 0;
    for (int a = 0; a < k; a++) {
        double inside = 0;
        for (int j = 0; j < k; j++) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++)
                sum += Q[a * n + i] * B[i * stride + j];
            inside += sum * sum;
        }
        outside += fmax(0, dot(Q + a * n, Q + a * n, n) - inside);
    }
    return sqrt(outside);
}
