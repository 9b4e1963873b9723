// test_svd_estimate.c: Frobenius norms, exact and estimated, and ranks of spectra, against explicit
// matrices and closed forms.
// libs: va_test_svd va_metric
// SPDX-License-Identifier: Apache-2.0
#include "svd_check.h"

#include "vkalign/metric_compare.h"

static float *random_matrix(svd_fixture *f, int64_t m, int64_t n, uint64_t stream) {
    va_rng rng = va_rng_make(21, stream);
    float *A = VA_NEW_ARRAY(f->arena, float, m *n);
    for (int64_t i = 0; i < m * n; i++)
        A[i] = (float)va_rng_normal(&rng);
    return A;
}

static double sum_of_squares(const float *A, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)A[i] * A[i];
    return sum;
}

// By rows (m < n) and by columns, in one chunk and in many, with positions.
static void test_exact(void **state) {
    svd_fixture *f = *state;
    static const va_linmap_shape shapes[] = {
        {1, 40, 1, 9}, {1, 9, 1, 40}, {5, 8, 3, 3}, {1, 1, 1, 1}};
    static const int64_t max_k[] = {1, 4, 100};
    for (int i = 0; i < VA_COUNT(shapes) * VA_COUNT(max_k); i++) {
        const va_linmap_shape *s = &shapes[i / VA_COUNT(max_k)];
        const int64_t m = s->T_out * s->d_out, n = s->T_in * s->d_in;
        float *A = random_matrix(f, m, n, (uint64_t)i);
        va_linmap *map = svd_host_map(f, A, s, max_k[i % VA_COUNT(max_k)]);
        double squared, expected = sum_of_squares(A, m * n);
        assert_ok(f->ctx, va_svd_frobenius_squared(f->ctx, map, &squared));
        assert_true(fabs(squared - expected) <= 1e-6 * expected); // A's entries, applied in float32
        va_linmap_destroy(&map);
    }
}

// ||A z||^2 of one probe varies by 2 (||A'A||_F^2 - sum of its squared diagonal).
static double probe_variance(const float *A, int64_t m, int64_t n) {
    double sum = 0;
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = 0; b < n; b++) {
            double g = 0;
            for (int64_t i = 0; i < m; i++)
                g += (double)A[i * n + a] * A[i * n + b];
            sum += a == b ? 0 : 2 * g * g;
        }
    return sum;
}

static void test_estimate(void **state) {
    svd_fixture *f = *state;
    enum { M = 15, N = 24, PROBES = 400 };
    const va_linmap_shape shape = {2, 12, 3, 5};
    float *A = random_matrix(f, M, N, 1);
    va_linmap *map = svd_host_map(f, A, &shape, 1 << 20);
    const double exact = sum_of_squares(A, M * N);
    const double expected = sqrt(probe_variance(A, M, N) / PROBES);
    int inside = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        va_svd_estimate e;
        assert_ok(f->ctx, va_svd_frobenius_estimate(f->ctx, map, PROBES, seed, &e));
        assert_int_equal(e.probes, PROBES);
        assert_true(fabs(e.mean - exact) <= 5 * expected);
        // The deviation of 400 values is known to some 1/sqrt(800), heavier tails aside.
        assert_true(fabs(e.standard_error / expected - 1) <= 0.25);
        inside += fabs(e.mean - exact) <= e.standard_error;
    }
    assert_true(inside >= 18 && inside <= 36); // 68 % of 40, binomial: 27 +- 3
    va_linmap_destroy(&map);
}

// One probe is one probe, whatever the map takes at once; more probes only add to them.
static void test_estimate_by_chunks(void **state) {
    svd_fixture *f = *state;
    enum { M = 10, N = 70 };
    static const int64_t max_k[] = {1, 7, 64, 1000};
    const va_linmap_shape shape = {1, N, 1, M};
    float *A = random_matrix(f, M, N, 2);
    double mean = 0, error = 0;
    for (int i = 0; i < VA_COUNT(max_k); i++) {
        va_linmap *map = svd_host_map(f, A, &shape, max_k[i]);
        va_svd_estimate e;
        assert_ok(f->ctx, va_svd_frobenius_estimate(f->ctx, map, 150, 3, &e));
        assert_true(i == 0 || (e.mean == mean && e.standard_error == error));
        mean = e.mean, error = e.standard_error;
        va_svd_estimate other;
        assert_ok(f->ctx, va_svd_frobenius_estimate(f->ctx, map, 150, 4, &other));
        assert_true(other.mean != e.mean);
        va_linmap_destroy(&map);
    }
}

// Signs are signs: a diagonal matrix has ||A z||^2 = ||A||_F^2 for every probe.
static void test_estimate_of_diagonal(void **state) {
    svd_fixture *f = *state;
    static float A[40 * 40];
    va_linmap *map;
    va_svd_estimate e;
    for (int i = 0; i < 40; i++)
        A[i * 41] = (float)(i - 7);
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, 40, 40, &map));
    assert_ok(f->ctx, va_svd_frobenius_estimate(f->ctx, map, 2, 0, &e));
    assert_true(e.mean == sum_of_squares(A, 1600) && e.standard_error == 0);
    va_linmap_destroy(&map);
}

static void test_refused(void **state) {
    svd_fixture *f = *state;
    float A[6] = {1, 2, NAN, 4, 5, 6};
    va_linmap *map;
    va_svd_estimate e;
    double squared = 0;
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, 2, 3, &map));
    assert_error(f->ctx, VA_ERR_NUMERIC, "NaN or infinity",
                 va_svd_frobenius_squared(f->ctx, map, &squared));
    assert_true(isnan(squared));
    assert_error(f->ctx, VA_ERR_NUMERIC, "NaN or infinity",
                 va_svd_frobenius_estimate(f->ctx, map, 4, 0, &e));
    assert_error(f->ctx, VA_ERR_USAGE, "at least 2 probes",
                 va_svd_frobenius_estimate(f->ctx, map, 1, 0, &e));
    va_linmap_destroy(&map);
}

// The ranks of an explicit matrix, all from what the library finds.
static void test_ranks_of_matrix(void **state) {
    svd_fixture *f = *state;
    enum { M = 40, N = 30, R = 12 };
    double sigma[R], squares = 0, fourth = 0, squared;
    for (int j = 0; j < R; j++) {
        sigma[j] = 3 * pow(0.8, j);
        squares += sigma[j] * sigma[j];
        fourth += pow(sigma[j], 4);
    }
    float *A = svd_with_spectrum(f->arena, M, N, R, sigma);
    va_linmap *map;
    va_svd_result r;
    const va_svd_params p = {.k = N};
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, M, N, &map));
    assert_ok(f->ctx, va_svd(f->ctx, f->arena, map, &p, &r));
    assert_ok(f->ctx, va_svd_frobenius_squared(f->ctx, map, &squared));
    const double stable = va_metric_stable_rank(squared, r.sigma[0]);
    const double participation = va_metric_participation_ratio(r.sigma, r.k);
    assert_true(fabs(stable - squares / 9) <= 1e-4 * stable);
    assert_true(fabs(participation - squares * squares / fourth) <= 1e-4 * participation);
    assert_true(va_metric_entropy_rank(r.sigma, r.k) >= participation);
    va_linmap_destroy(&map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SVD_TEST(test_exact),
        SVD_TEST(test_estimate),
        SVD_TEST(test_estimate_by_chunks),
        SVD_TEST(test_estimate_of_diagonal),
        SVD_TEST(test_refused),
        SVD_TEST(test_ranks_of_matrix),
    };
    return cmocka_run_group_tests(tests, svd_setup, svd_teardown);
}
