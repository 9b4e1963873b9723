// test_svd_matrices.c: singular values of real matrices by every method, against the published ones
// and LAPACK.
// libs: va_test_svd va_io
// SPDX-License-Identifier: Apache-2.0
#include "svd_check.h"

#include "vkalign/io.h"

enum { K = 8, ALL = 1024 };

// One value a line after comments, descending; returns how many.
static int read_sigma(const char *path, double sigma[ALL]) {
    FILE *file = fopen(path, "r");
    char line[256];
    int n = 0;
    assert_non_null(file);
    while (n < ALL && fgets(line, sizeof line, file))
        if (line[0] != '#')
            sigma[n++] = strtod(line, NULL);
    fclose(file);
    return n;
}

static float *load(svd_fixture *f, const char *name, int64_t *m, int64_t *n,
                   double published[ALL]) {
    char base[64], path[VA_TEST_PATH];
    float *A;
    snprintf(base, sizeof base, "svd/%s.mtx", name);
    assert_ok(f->ctx, va_mtx_load(f->ctx, f->arena, va_test_shared(path, base), m, n, &A));
    snprintf(base, sizeof base, "svd/%s.sigma.txt", name);
    assert_int_equal(read_sigma(va_test_shared(path, base), published), VA_MIN(*m, *n));
    double *sigma = svd_reference(f->arena, A, *m, *n);
    for (int j = 0; j < VA_MIN(*m, *n); j++) // the file's values, of the matrix in float32
        assert_true(fabs(sigma[j] - published[j]) <= 1e-6 * published[0]);
    return A;
}

static void check_method(svd_fixture *f, const char *name, const float *A, int64_t m, int64_t n,
                         const double *published, const va_svd_params *p) {
    va_svd_result r = svd_solve(f, A, m, n, p);
    if (!r.converged)
        fail_msg("%s by %s: not converged after %lld", name, va_svd_method_name(p->method),
                 (long long)r.iterations);
    svd_check_values(&r, published);
    svd_check_result(A, &r, 1.1 * (p->tolerance > 0 ? p->tolerance : 1e-5));
}

static void check_file(svd_fixture *f, const char *name, bool with_power) {
    int64_t m, n;
    double published[ALL];
    float *A = load(f, name, &m, &n, published);
    const va_svd_params golub_kahan = {.k = K}, narrow = {.k = K, .block = 2, .basis = 24},
                        subspace = {.k = K, .method = VA_SVD_SUBSPACE, .block = 32},
                        dense = {.k = K, .method = VA_SVD_DENSE},
                        power = {.k = K,
                                 .method = VA_SVD_POWER,
                                 .tolerance = 1e-3, // its error in sigma is the residual's square
                                 .max_iterations = 3000};
    check_method(f, name, A, m, n, published, &golub_kahan);
    check_method(f, name, A, m, n, published, &narrow);
    check_method(f, name, A, m, n, published, &subspace);
    check_method(f, name, A, m, n, published, &dense);
    if (with_power)
        check_method(f, name, A, m, n, published, &power);
}

static void test_abb313(void **state) {
    check_file(*state, "abb313", true);
}

static void test_lunda(void **state) {
    check_file(*state, "LUNDA", true);
}

// Its first five values lie within 0.7 % of each other: power iteration would take some 1e5 steps,
// and says so.
static void test_west0479(void **state) {
    svd_fixture *f = *state;
    int64_t m, n;
    double published[ALL];
    check_file(f, "west0479", false);
    float *A = load(f, "west0479", &m, &n, published);
    const va_svd_params power = {.k = 3, .method = VA_SVD_POWER};
    va_svd_result r = svd_solve(f, A, m, n, &power);
    assert_false(r.converged);
    assert_true(r.sigma[0] <= published[0] * (1 + 1e-6));
    for (int j = 0; j < 3; j++)
        assert_true(fabs(svd_true_residual(A, &r, j) - r.residual[j]) <= 3e-6 * r.sigma[0]);
}

// The whole spectrum of a matrix that is numerically rank deficient (abb313: 176 values, the last
// of them below 1e-12), as far as float32 can tell it.
static void test_whole_spectrum(void **state) {
    svd_fixture *f = *state;
    int64_t m, n;
    double published[ALL];
    float *A = load(f, "abb313", &m, &n, published);
    const va_svd_params p = {.k = VA_MIN(m, n)};
    va_svd_result r = svd_solve(f, A, m, n, &p);
    assert_true(r.converged);
    svd_check_values(&r, published);
    svd_check_result(A, &r, 1.1e-5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SVD_TEST(test_abb313),
        SVD_TEST(test_lunda),
        SVD_TEST(test_west0479),
        SVD_TEST(test_whole_spectrum),
    };
    return cmocka_run_group_tests(tests, svd_setup, svd_teardown);
}
