// test_svd_spectra.c: singular triplets by every method on matrices of known spectrum: decaying,
// clustered, multiple, rank-deficient, zero, of extreme shape, at any block and basis.
// libs: va_test_svd
// SPDX-License-Identifier: Apache-2.0
#include "svd_check.h"

static void test_geometric(void **state) {
    svd_fixture *f = *state;
    static const int sizes[][2] = {{60, 45}, {45, 60}, {20, 120}};
    double sigma[20];
    for (int j = 0; j < 20; j++)
        sigma[j] = 5 * pow(0.6, j);
    for (int i = 0; i < VA_COUNT(sizes); i++) {
        int m = sizes[i][0], n = sizes[i][1];
        float *A = svd_with_spectrum(f->arena, m, n, 20, sigma);
        svd_check_methods(f, A, m, n, 5, sigma, true);
        va_arena_reset(f->arena);
    }
}

// 1, 0.1, ... 1e-6: the last ones are at the float32 floor.
static void test_decades(void **state) {
    svd_fixture *f = *state;
    enum { M = 50, N = 70, R = 7 };
    double sigma[R];
    for (int j = 0; j < R; j++)
        sigma[j] = pow(0.1, j);
    float *A = svd_with_spectrum(f->arena, M, N, R, sigma);
    double *U = svd_orthogonal(f->arena, M, R, 1), *V = svd_orthogonal(f->arena, N, R, 2);
    svd_check_methods(f, A, M, N, R, svd_reference(f->arena, A, M, N), true);
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 3, .method = (va_svd_method)method};
        va_svd_result r = svd_solve(f, A, M, N, &p);
        for (int k = 1; k <= 3; k++) { // residual 1e-5 over the gap, which is 0.009 at the third
            assert_true(svd_angle(r.V, V, N, k, R) <= 1e-5 / sigma[k]);
            assert_true(svd_angle(r.U, U, M, k, R) <= 1e-5 / sigma[k]);
        }
    }
}

// Two clusters that are not separated at all: values and the span count, vectors are arbitrary.
static void test_multiplicity(void **state) {
    svd_fixture *f = *state;
    enum { M = 50, N = 40, R = 12 };
    static const double sigma[R] = {3, 3, 3, 2, 2, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.01};
    float *A = svd_with_spectrum(f->arena, M, N, R, sigma);
    svd_check_methods(f, A, M, N, 5, sigma, true);
    double *U = svd_orthogonal(f->arena, M, R, 1), *V = svd_orthogonal(f->arena, N, R, 2);
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 3, .method = (va_svd_method)method};
        va_svd_result r = svd_solve(f, A, M, N, &p);
        // Residual 1e-5 * 3 over the gap of 1, for three vectors: 5e-5.
        assert_true(svd_angle(r.V, V, N, 3, R) <= 2e-4);
        assert_true(svd_angle(r.U, U, M, 3, R) <= 2e-4);
    }
}

// A Krylov space of a block holds as many copies as the block is wide. A block narrower than k must
// find the others all the same.
static void test_multiplicity_beyond_block(void **state) {
    svd_fixture *f = *state;
    enum { M = 90, N = 80, R = 40, COPIES = 20 };
    static const int blocks[] = {1, 3, 8, 19, 0};
    double sigma[R];
    for (int j = 0; j < R; j++)
        sigma[j] = j < COPIES ? 3 : 2 * pow(0.9, j - COPIES);
    float *A = svd_with_spectrum(f->arena, M, N, R, sigma);
    double *V = svd_orthogonal(f->arena, N, R, 2);
    for (int i = 0; i < VA_COUNT(blocks); i++) {
        const va_svd_params p = {.k = COPIES + 4, .block = blocks[i], .seed = 5};
        va_svd_result r = svd_solve(f, A, M, N, &p);
        if (!r.converged)
            fail_msg("block %d did not converge", blocks[i]);
        svd_check_values(&r, sigma);
        svd_check_result(A, &r, 1.1e-5);
        assert_true(svd_angle(r.V, V, N, COPIES, R) <= 2e-4); // as above
    }
}

static void test_clustered(void **state) {
    svd_fixture *f = *state;
    enum { M = 70, N = 64, R = 30, CLUSTER = 6 };
    double sigma[R];
    for (int j = 0; j < R; j++)
        sigma[j] = j < CLUSTER ? 1 - 1e-3 * j : 0.5 * pow(0.8, j - CLUSTER);
    float *A = svd_with_spectrum(f->arena, M, N, R, sigma);
    svd_check_methods(f, A, M, N, 4, sigma, false);
    svd_check_methods(f, A, M, N, CLUSTER, sigma, false);
    double *V = svd_orthogonal(f->arena, N, R, 2);
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = CLUSTER, .method = (va_svd_method)method};
        if (method == VA_SVD_POWER)
            continue;
        va_svd_result r = svd_solve(f, A, M, N, &p);
        assert_true(svd_angle(r.V, V, N, CLUSTER, R) <= 1e-4); // the gap below is 0.5
    }
    // Power iteration cannot tell such values apart in few steps, and must say so.
    const va_svd_params power = {.k = 4, .method = VA_SVD_POWER, .max_iterations = 30};
    va_svd_result r = svd_solve(f, A, M, N, &power);
    assert_false(r.converged);
    svd_check_orthonormal(r.V, r.k, r.n);
    for (int j = 0; j < 4; j++)
        assert_true(fabs(svd_true_residual(A, &r, j) - r.residual[j]) <= 3e-6 * r.sigma[0]);
}

static void test_more_than_rank(void **state) {
    svd_fixture *f = *state;
    enum { M = 30, N = 26, R = 4 };
    static const double sigma[10] = {4, 3, 2, 1};
    float *A = svd_with_spectrum(f->arena, M, N, R, sigma);
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 10, .method = (va_svd_method)method};
        va_svd_result r = svd_solve(f, A, M, N, &p);
        assert_int_equal(r.rank, R);
        assert_true(r.converged);
        svd_check_values(&r, sigma);
        svd_check_result(A, &r, 1.1e-5);
    }
}

// Products that are exact leave a block nowhere to go: it is completed, and that is told.
static void test_exhausted_range(void **state) {
    svd_fixture *f = *state;
    enum { M = 40, N = 50 };
    static float A[M * N];
    double sigma[12] = {4, 4, 2, 2, 2};
    for (int i = 0; i < 5; i++)
        A[(3 * i + 1) * N + 7 * i] = (float)sigma[i];
    for (int block = 1; block <= 16; block += 5) {
        const va_svd_params p = {.k = 12, .block = block};
        va_svd_result r = svd_solve(f, A, M, N, &p);
        assert_true(r.converged && r.rank == 5 && r.random_directions > 0);
        svd_check_values(&r, sigma);
        svd_check_result(A, &r, 1.1e-5);
    }
    double decaying[20];
    for (int j = 0; j < 20; j++)
        decaying[j] = pow(0.5, j);
    const va_svd_params p = {.k = 3};
    va_svd_result r = svd_solve(f, svd_with_spectrum(f->arena, 60, 50, 20, decaying), 60, 50, &p);
    assert_int_equal(r.random_directions, 0);
}

// Nothing depends on the scale, as far as float32 reaches.
static void test_scales(void **state) {
    svd_fixture *f = *state;
    enum { M = 40, N = 50, R = 20 };
    static const double scales[] = {1e-25, 1e25};
    for (int i = 0; i < VA_COUNT(scales); i++) {
        double sigma[R];
        for (int j = 0; j < R; j++)
            sigma[j] = scales[i] * pow(0.7, j);
        float *A = svd_with_spectrum(f->arena, M, N, R, sigma);
        svd_check_methods(f, A, M, N, 6, sigma, true);
        const va_svd_params narrow = {.k = 6, .block = 2};
        va_svd_result r = svd_solve(f, A, M, N, &narrow);
        assert_true(r.converged);
        svd_check_values(&r, sigma);
    }
}

// All values equal: every vector is singular, and no block can find more than its own.
static void test_identity(void **state) {
    svd_fixture *f = *state;
    enum { N = 33 };
    static float A[N * N];
    double sigma[N];
    for (int i = 0; i < N; i++) {
        A[i * N + i] = 1;
        sigma[i] = 1;
    }
    svd_check_methods(f, A, N, N, 5, sigma, true);
    svd_check_methods(f, A, N, N, N, sigma, true);
    const va_svd_params narrow = {.k = 9, .block = 2};
    va_svd_result r = svd_solve(f, A, N, N, &narrow);
    svd_check_values(&r, sigma);
    svd_check_result(A, &r, 1.1e-5);
}

static void test_zero_map(void **state) {
    svd_fixture *f = *state;
    static const float A[9 * 5];
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 3, .method = (va_svd_method)method};
        va_svd_result r = svd_solve(f, A, 9, 5, &p);
        assert_true(r.rank == 0 && r.converged && r.sigma[0] == 0 && r.sigma[2] == 0);
        svd_check_result(A, &r, 0);
    }
}

// One row, one column, one number; all triplets; more than there are.
static void test_extreme_shapes(void **state) {
    svd_fixture *f = *state;
    static const int sizes[][2] = {{1, 1}, {1, 33}, {33, 1}, {2, 90}, {12, 12}, {12, 31}, {31, 12}};
    for (int i = 0; i < VA_COUNT(sizes); i++) {
        int m = sizes[i][0], n = sizes[i][1], r = VA_MIN(m, n);
        double sigma[12];
        for (int j = 0; j < r; j++)
            sigma[j] = 12 - j;
        float *A = svd_with_spectrum(f->arena, m, n, r, sigma);
        svd_check_methods(f, A, m, n, r, sigma, true);
        svd_check_methods(f, A, m, n, 1, sigma, true);
        const va_svd_params p = {.k = r + 5};
        assert_int_equal(svd_solve(f, A, m, n, &p).k, r);
    }
}

// Between sites of several positions, whatever number of vectors the map takes at once.
static void test_positions(void **state) {
    svd_fixture *f = *state;
    static const va_linmap_shape shapes[] = {
        {1, 35, 1, 27}, {5, 7, 3, 9}, {5, 7, 1, 27}, {1, 12, 4, 8}, {6, 1, 1, 6}};
    static const int64_t max_k[] = {1, 3, 64};
    for (int i = 0; i < VA_COUNT(shapes) * VA_COUNT(max_k); i++) {
        const va_linmap_shape *s = &shapes[i / VA_COUNT(max_k)];
        const int64_t m = s->T_out * s->d_out, n = s->T_in * s->d_in;
        va_rng rng = va_rng_make(11, (uint64_t)i);
        float *A = VA_NEW_ARRAY(f->arena, float, m *n);
        for (int64_t e = 0; e < m * n; e++)
            A[e] = (float)(va_rng_normal(&rng) / (double)(1 + e % n));
        double *sigma = svd_reference(f->arena, A, m, n);
        va_linmap *map = svd_host_map(f, A, s, max_k[i % VA_COUNT(max_k)]);
        for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
            const va_svd_params p = {.k = 3,
                                     .method = (va_svd_method)method,
                                     .max_iterations = method == VA_SVD_DENSE ? 0 : 2000};
            va_svd_result r;
            assert_ok(f->ctx, va_svd(f->ctx, f->arena, map, &p, &r));
            assert_true(r.m == m && r.n == n && r.converged);
            svd_check_values(&r, sigma);
            svd_check_result(A, &r, 1.1e-5);
        }
        va_linmap_destroy(&map);
    }
}

// Every block and basis gives one answer; larger ones than the map has room for are cut.
static void test_blocks_and_bases(void **state) {
    svd_fixture *f = *state;
    enum { M = 48, N = 40, K = 6 };
    static const int64_t blocks[] = {1, 2, 3, 5, 6, 7, 16, 39, 40, 1000}, more[] = {0, 1, 9, 1000};
    double sigma[N];
    for (int j = 0; j < N; j++)
        sigma[j] = 2 * pow(0.93, j);
    float *A = svd_with_spectrum(f->arena, M, N, N, sigma);
    for (int i = 0; i < VA_COUNT(blocks); i++)
        for (int j = 0; j < VA_COUNT(more); j++) {
            const int64_t least = VA_MIN(N, K + VA_MAX(K, VA_MIN(N, blocks[i])));
            const va_svd_params p = {
                .k = K, .block = blocks[i], .basis = least + more[j], .max_iterations = 3000};
            va_svd_result r = svd_solve(f, A, M, N, &p);
            if (!r.converged)
                fail_msg("block %lld, basis %lld: not converged", (long long)p.block,
                         (long long)p.basis);
            svd_check_values(&r, sigma);
            svd_check_result(A, &r, 1.1e-5);
        }
    for (int64_t block = K; block <= 1000; block *= 3) { // subspace iteration
        const va_svd_params p = {
            .k = K, .method = VA_SVD_SUBSPACE, .block = block, .max_iterations = 3000};
        va_svd_result r = svd_solve(f, A, M, N, &p);
        assert_true(r.converged);
        svd_check_values(&r, sigma);
        svd_check_result(A, &r, 1.1e-5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SVD_TEST(test_geometric),        SVD_TEST(test_decades),
        SVD_TEST(test_multiplicity),     SVD_TEST(test_multiplicity_beyond_block),
        SVD_TEST(test_clustered),        SVD_TEST(test_more_than_rank),
        SVD_TEST(test_exhausted_range),  SVD_TEST(test_identity),
        SVD_TEST(test_scales),           SVD_TEST(test_zero_map),
        SVD_TEST(test_extreme_shapes),   SVD_TEST(test_positions),
        SVD_TEST(test_blocks_and_bases),
    };
    return cmocka_run_group_tests(tests, svd_setup, svd_teardown);
}
