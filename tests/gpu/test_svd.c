// test_svd.c: singular triplets by every method against LAPACK and known spectra, on explicit
// matrices and on maps that misbehave.
// libs: va_svd PkgConfig::LAPACKE
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "vkalign/svd.h"

#include <lapacke.h>
#include <math.h>

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
    va_arena *arena;
} fixture;

// The project's promise: singular values within 1e-4. Relative to the value itself down to 1 % of
// sigma_1, and to 1 % of sigma_1 below (1e-6 sigma_1), where float32 maps carry no more.
static const double VALUE_TOLERANCE = 1e-4, SMALL = 1e-2;
// Orthonormality of vectors rounded to float32: a few eps for each of up to 500 entries' sums.
static const double ORTHO_TOLERANCE = 1e-5;

static int setup(void **state) {
    static fixture f;
    f.ctx = va_test_ctx();
    f.gpu = va_test_gpu(f.ctx);
    f.arena = va_arena_create();
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_arena_destroy(&f->arena);
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    return 0;
}

static int reset(void **state) {
    va_arena_reset(((fixture *)*state)->arena);
    return 0;
}

// -- matrices of known spectrum ---------------------------------------------------------------

// Q [n, r] row-major with orthonormal columns, from random normals by Gram-Schmidt.
static double *random_orthogonal(va_arena *arena, int n, int r, uint64_t stream) {
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

// A [m, n] with the first r singular values given.
static float *with_spectrum(va_arena *arena, int m, int n, int r, const double *sigma) {
    double *U = random_orthogonal(arena, m, r, 1), *V = random_orthogonal(arena, n, r, 2);
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

// -- what every result must satisfy -----------------------------------------------------------

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static void check_orthonormal(const float *Q, int64_t k, int64_t n) {
    for (int64_t a = 0; a < k; a++)
        for (int64_t b = 0; b <= a; b++)
            assert_true(fabs(dot(Q + a * n, Q + b * n, n) - (a == b)) <= ORTHO_TOLERANCE);
}

static void check_sign(const float *v, int64_t n) {
    int64_t largest = 0;
    for (int64_t i = 1; i < n; i++)
        if (fabsf(v[i]) > fabsf(v[largest]))
            largest = i;
    assert_true(v[largest] > 0);
}

// The residual by double loops over A; the reported one may differ by the map's float32 rounding.
static double true_residual(const float *A, const va_svd_result *r, int64_t j) {
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

static void check_result(const float *A, const va_svd_result *r, double residual) {
    check_orthonormal(r->U, r->k, r->m);
    check_orthonormal(r->V, r->k, r->n);
    for (int64_t j = 0; j < r->k; j++) {
        assert_true(isfinite(r->sigma[j]) && r->sigma[j] >= 0);
        assert_true(j == 0 || r->sigma[j] <= r->sigma[j - 1]);
        check_sign(r->V + j * r->n, r->n);
        double got = true_residual(A, r, j);
        if (!(got <= residual * r->sigma[0] && fabs(got - r->residual[j]) <= 3e-6 * r->sigma[0]))
            fail_msg("triplet %lld: residual %g sigma_1, reported %g sigma_1", (long long)j,
                     got / r->sigma[0], r->residual[j] / r->sigma[0]);
    }
}

static void check_values(const va_svd_result *r, const double *sigma) {
    for (int64_t j = 0; j < r->k; j++) {
        double scale = fmax(sigma[j], SMALL * sigma[0]);
        if (!(fabs(r->sigma[j] - sigma[j]) <= VALUE_TOLERANCE * scale))
            fail_msg("sigma[%lld]: got %.9g, expected %.9g", (long long)j, r->sigma[j], sigma[j]);
    }
}

static va_svd_result solve(fixture *f, const float *A, int64_t m, int64_t n,
                           const va_svd_params *p) {
    va_linmap *map;
    va_svd_result r;
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, m, n, &map));
    assert_ok(f->ctx, va_svd(f->ctx, f->arena, map, p, &r));
    va_linmap_destroy(&map);
    return r;
}

// Every method on A with the spectrum sigma.
static void check_methods(fixture *f, const float *A, int m, int n, int k, const double *sigma) {
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = k, .method = (va_svd_method)method, .seed = 3};
        va_svd_result r = solve(f, A, m, n, &p);
        assert_int_equal(r.k, k);
        if (!r.converged)
            fail_msg("%s did not converge in %lld", va_svd_method_name(p.method),
                     (long long)r.iterations);
        check_values(&r, sigma);
        check_result(A, &r, 1.1e-5); // the default tolerance, and the map's rounding
    }
    va_svd_result r;
    assert_ok(f->ctx, va_svd_host(f->ctx, f->arena, A, m, n, k, &r));
    check_values(&r, sigma);
    check_result(A, &r, 1e-6);
}

// Sine of the largest angle between the span of k rows of Q [k, n] and of the columns of B [n, k].
static double subspace_sine(const float *Q, const double *B, int64_t n, int k, int stride) {
    double worst = 0;
    for (int a = 0; a < k; a++) { // Frobenius norm of (I - B B') Q' bounds the sine
        double inside = 0;
        for (int j = 0; j < k; j++) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++)
                sum += Q[a * n + i] * B[i * stride + j];
            inside += sum * sum;
        }
        worst += fmax(0, dot(Q + a * n, Q + a * n, n) - inside);
    }
    return sqrt(worst);
}

// -- tests ------------------------------------------------------------------------------------

static void test_geometric(void **state) {
    fixture *f = *state;
    static const int sizes[][2] = {{60, 45}, {45, 60}, {20, 120}};
    double sigma[20];
    for (int j = 0; j < 20; j++)
        sigma[j] = 5 * pow(0.6, j);
    for (int i = 0; i < VA_COUNT(sizes); i++) {
        int m = sizes[i][0], n = sizes[i][1];
        float *A = with_spectrum(f->arena, m, n, 20, sigma);
        check_methods(f, A, m, n, 5, sigma);
        va_arena_reset(f->arena);
    }
}

// Two clusters that are not separated at all: values and the span count, vectors are arbitrary.
static void test_multiplicity(void **state) {
    fixture *f = *state;
    enum { M = 50, N = 40, R = 12 };
    static const double sigma[R] = {3, 3, 3, 2, 2, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.01};
    float *A = with_spectrum(f->arena, M, N, R, sigma);
    check_methods(f, A, M, N, 5, sigma);
    double *U = random_orthogonal(f->arena, M, R, 1), *V = random_orthogonal(f->arena, N, R, 2);
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 3, .method = (va_svd_method)method};
        va_svd_result r = solve(f, A, M, N, &p);
        // Residual 1e-5 * 3 over the gap of 1, for three vectors: 5e-5.
        assert_true(subspace_sine(r.V, V, N, 3, R) <= 2e-4);
        assert_true(subspace_sine(r.U, U, M, 3, R) <= 2e-4);
    }
}

static void test_clustered(void **state) {
    fixture *f = *state;
    enum { M = 70, N = 64, R = 30 };
    double sigma[R];
    for (int j = 0; j < R; j++)
        sigma[j] = j < 6 ? 1 - 1e-3 * j : 0.5 * pow(0.8, j - 6);
    float *A = with_spectrum(f->arena, M, N, R, sigma);
    const va_svd_params p = {.k = 4}, dense = {.k = 4, .method = VA_SVD_DENSE};
    va_svd_result r = solve(f, A, M, N, &p);
    assert_true(r.converged);
    check_values(&r, sigma);
    check_result(A, &r, 1.1e-5);
    r = solve(f, A, M, N, &dense);
    check_values(&r, sigma);
    // Power iteration cannot tell such values apart in 200 steps, and must say so or be right.
    const va_svd_params power = {.k = 4, .method = VA_SVD_POWER, .max_iterations = 30};
    r = solve(f, A, M, N, &power);
    assert_false(r.converged);
    check_orthonormal(r.V, r.k, r.n);
    for (int j = 0; j < 4; j++)
        assert_true(fabs(true_residual(A, &r, j) - r.residual[j]) <= 3e-6 * r.sigma[0]);
}

static void test_more_than_rank(void **state) {
    fixture *f = *state;
    enum { M = 30, N = 26, R = 4 };
    static const double sigma[10] = {4, 3, 2, 1};
    float *A = with_spectrum(f->arena, M, N, R, sigma);
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 10, .method = (va_svd_method)method};
        va_svd_result r = solve(f, A, M, N, &p);
        assert_int_equal(r.rank, R);
        assert_true(r.converged);
        check_values(&r, sigma);
        check_result(A, &r, 1.1e-5);
    }
}

static void test_zero_map(void **state) {
    fixture *f = *state;
    static const float A[9 * 5];
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 3, .method = (va_svd_method)method};
        va_svd_result r = solve(f, A, 9, 5, &p);
        assert_true(r.rank == 0 && r.converged && r.sigma[0] == 0 && r.sigma[2] == 0);
        check_orthonormal(r.U, 3, 9);
        check_orthonormal(r.V, 3, 5);
    }
}

// One row, one column, one number; all triplets; more than there are.
static void test_extreme_shapes(void **state) {
    fixture *f = *state;
    static const int sizes[][2] = {{1, 1}, {1, 33}, {33, 1}, {12, 12}, {12, 31}, {31, 12}};
    for (int i = 0; i < VA_COUNT(sizes); i++) {
        int m = sizes[i][0], n = sizes[i][1], r = VA_MIN(m, n);
        double sigma[12];
        for (int j = 0; j < r; j++)
            sigma[j] = 12 - j;
        float *A = with_spectrum(f->arena, m, n, r, sigma);
        check_methods(f, A, m, n, r, sigma);
        const va_svd_params p = {.k = r + 5};
        assert_int_equal(solve(f, A, m, n, &p).k, r);
    }
}

static void test_same_seed_same_bits(void **state) {
    fixture *f = *state;
    double sigma[8] = {3, 2.5, 2, 1.5, 1, 0.5, 0.2, 0.1};
    float *A = with_spectrum(f->arena, 25, 20, 8, sigma);
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 3, .method = (va_svd_method)method, .seed = 9};
        va_svd_result a = solve(f, A, 25, 20, &p), b = solve(f, A, 25, 20, &p);
        assert_memory_equal(a.V, b.V, 3 * 20 * sizeof(float));
        assert_memory_equal(a.U, b.U, 3 * 25 * sizeof(float));
        assert_memory_equal(a.sigma, b.sigma, 3 * sizeof(double));
    }
}

// Below the float32 floor the solvers stop by themselves and say that they did not get there.
static void test_impossible_tolerance(void **state) {
    fixture *f = *state;
    double sigma[10];
    for (int j = 0; j < 10; j++)
        sigma[j] = pow(0.5, j);
    float *A = with_spectrum(f->arena, 80, 70, 10, sigma);
    for (int method = VA_SVD_SUBSPACE; method <= VA_SVD_POWER; method++) {
        const va_svd_params p = {
            .k = 3, .method = (va_svd_method)method, .tolerance = 1e-12, .max_iterations = 5000};
        va_svd_result r = solve(f, A, 80, 70, &p);
        assert_false(r.converged);
        assert_true(r.iterations < 500);
        check_values(&r, sigma);
        check_result(A, &r, 5e-6);
    }
}

static void test_not_finite(void **state) {
    fixture *f = *state;
    float A[12 * 10];
    for (int i = 0; i < 120; i++)
        A[i] = (float)i;
    A[57] = NAN;
    va_linmap *map;
    va_svd_result r;
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, 12, 10, &map));
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 2, .method = (va_svd_method)method};
        assert_error(f->ctx, VA_ERR_NUMERIC, "matrix", va_svd(f->ctx, f->arena, map, &p, &r));
    }
    va_linmap_destroy(&map);
    assert_error(f->ctx, VA_ERR_NUMERIC, "[5, 7]", va_svd_host(f->ctx, f->arena, A, 12, 10, 2, &r));
}

static void test_parameters(void **state) {
    fixture *f = *state;
    static const float A[4] = {1, 2, 3, 4};
    va_linmap *map;
    va_svd_result r;
    va_svd_method method;
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, 2, 2, &map));
    const va_svd_params none = {.k = 0}, negative = {.k = 1, .tolerance = -1};
    assert_error(f->ctx, VA_ERR_USAGE, "k >= 1", va_svd(f->ctx, f->arena, map, &none, &r));
    assert_error(f->ctx, VA_ERR_USAGE, "tolerance", va_svd(f->ctx, f->arena, map, &negative, &r));
    va_linmap_destroy(&map);
    for (int i = 0; i < VA_SVD_METHOD_COUNT; i++) {
        assert_true(va_svd_method_parse(va_svd_method_name((va_svd_method)i), &method));
        assert_int_equal(method, i);
    }
    assert_false(va_svd_method_parse("lanczos", &method));
}

typedef struct reports {
    int n, n_finished;
    double last_s; // elapsed
} reports;

static void on_progress(void *user, const va_progress *p) {
    reports *seen = user;
    assert_true(p->done <= p->total && p->elapsed_s >= seen->last_s);
    assert_int_equal(seen->n_finished, 0); // nothing comes after the end
    seen->n++;
    seen->n_finished += p->finished;
    seen->last_s = p->elapsed_s;
}

static void test_progress(void **state) {
    fixture *f = *state;
    static const float A[4] = {1, 2, 3, 4};
    va_linmap *map;
    va_svd_result r;
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, 2, 2, &map));
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        reports seen = {0};
        va_ctx *ctx =
            va_ctx_create(&(va_ctx_params){.progress = on_progress, .progress_user = &seen});
        const va_svd_params p = {.k = 2, .method = (va_svd_method)method};
        assert_ok(ctx, va_svd(ctx, f->arena, map, &p, &r));
        assert_int_equal(seen.n_finished, 1);
        assert_true(seen.last_s > 0);
        assert_true(seen.n > 1 || method == VA_SVD_DENSE); // which is one step
        va_ctx_destroy(&ctx);
    }
    va_linmap_destroy(&map);
}

// -- real matrices ----------------------------------------------------------------------------

// A Matrix Market file of real coordinates, general or symmetric, as a dense matrix.
static float *read_mtx(fixture *f, const char *path, int *m, int *n) {
    FILE *file = fopen(path, "r");
    char line[1024];
    int entries = 0;
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    bool symmetric = strstr(line, "symmetric") != NULL;
    assert_non_null(strstr(line, "coordinate real"));
    while (fgets(line, sizeof line, file) && line[0] == '%')
        continue;
    assert_int_equal(sscanf(line, "%d %d %d", m, n, &entries), 3);
    float *A = VA_NEW_ARRAY(f->arena, float, *m **n);
    for (int e = 0; e < entries; e++) {
        int i, j;
        double value;
        assert_int_equal(fscanf(file, "%d %d %lf", &i, &j, &value), 3);
        assert_true(i >= 1 && i <= *m && j >= 1 && j <= *n);
        A[(i - 1) * *n + j - 1] = (float)value;
        if (symmetric)
            A[(j - 1) * *n + i - 1] = (float)value;
    }
    fclose(file);
    return A;
}

// One value a line after comments, descending.
static void read_sigma(const char *path, int count, double *sigma) {
    FILE *file = fopen(path, "r");
    char line[256];
    int i = 0;
    assert_non_null(file);
    while (i < count && fgets(line, sizeof line, file))
        if (line[0] != '#')
            sigma[i++] = strtod(line, NULL);
    assert_int_equal(i, count);
    fclose(file);
}

// Singular values of A by LAPACK's dgesvd (the library uses dgesdd).
static double *lapack_sigma(fixture *f, const float *A, int m, int n) {
    int r = VA_MIN(m, n);
    double *M = VA_NEW_ARRAY(f->arena, double, m *n), *S = VA_NEW_ARRAY(f->arena, double, r);
    double *superb = VA_NEW_ARRAY(f->arena, double, r), unused[1];
    for (int i = 0; i < m * n; i++)
        M[i] = A[i];
    assert_int_equal(
        LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'N', 'N', m, n, M, n, S, unused, 1, unused, 1, superb), 0);
    return S;
}

static void check_file(fixture *f, const char *name, int k) {
    char base[64], path[VA_TEST_PATH];
    int m, n;
    double published[16];
    snprintf(base, sizeof base, "svd/%s.mtx", name);
    float *A = read_mtx(f, va_test_shared(path, base), &m, &n);
    snprintf(base, sizeof base, "svd/%s.sigma.txt", name);
    read_sigma(va_test_shared(path, base), k, published);
    double *sigma = lapack_sigma(f, A, m, n);
    for (int j = 0; j < k; j++) // the file rounded to float32
        assert_true(fabs(sigma[j] - published[j]) <= 1e-6 * published[0]);
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        if (method == VA_SVD_POWER)
            continue; // these spectra are too flat for it
        const va_svd_params p = {
            .k = k, .method = (va_svd_method)method, .block = method == VA_SVD_SUBSPACE ? 32 : 0, .max_iterations = 400};
        va_svd_result r = solve(f, A, m, n, &p);
        if (!r.converged)
            fail_msg("%s by %s: not converged after %lld", name, va_svd_method_name(p.method),
                     (long long)r.iterations);
        check_values(&r, published);
        check_result(A, &r, 1.1e-5);
    }
}

static void test_abb313(void **state) {
    check_file(*state, "abb313", 8);
}

static void test_west0479(void **state) {
    check_file(*state, "west0479", 8);
}

static void test_lunda(void **state) {
    check_file(*state, "LUNDA", 8);
}

int main(void) {
#define SVD_TEST(test) cmocka_unit_test_setup(test, reset)
    const struct CMUnitTest tests[] = {
        SVD_TEST(test_geometric),  SVD_TEST(test_multiplicity),
        SVD_TEST(test_clustered),  SVD_TEST(test_more_than_rank),
        SVD_TEST(test_zero_map),   SVD_TEST(test_extreme_shapes),
        SVD_TEST(test_not_finite), SVD_TEST(test_same_seed_same_bits),
        SVD_TEST(test_parameters), SVD_TEST(test_impossible_tolerance),
        SVD_TEST(test_progress),   SVD_TEST(test_abb313),
        SVD_TEST(test_west0479),   SVD_TEST(test_lunda),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
