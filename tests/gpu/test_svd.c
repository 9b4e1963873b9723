// test_svd.c: the front of the singular value solvers: parameters, the sign rule, history,
// messages, interruption, numbers that cannot be trusted.
// libs: va_test_svd
// SPDX-License-Identifier: Apache-2.0
#include "svd_check.h"

// -- parameters -------------------------------------------------------------------------------

static void test_methods_by_name(void **state) {
    (void)state;
    va_svd_method method;
    for (int i = 0; i < VA_SVD_METHOD_COUNT; i++) {
        assert_true(va_svd_method_parse(va_svd_method_name((va_svd_method)i), &method));
        assert_int_equal(method, i);
    }
    assert_false(va_svd_method_parse("lanczos", &method));
    assert_string_equal(va_svd_method_name((va_svd_params){0}.method), "golub-kahan");
}

static void test_parameters(void **state) {
    svd_fixture *f = *state;
    static const float A[30 * 20] = {1};
    static const struct {
        va_svd_params p;
        const char *message;
    } cases[] = {
        {{.k = 0}, "k >= 1"},
        {{.k = 1, .method = VA_SVD_METHOD_COUNT}, "a known method"},
        {{.k = 1, .tolerance = -1}, "tolerance"},
        {{.k = 1, .tolerance = NAN}, "tolerance"},
        {{.k = 1, .max_iterations = -1}, "max_iterations"},
        {{.k = 1, .block = -1}, "block"},
        {{.k = 1, .basis = -1}, "basis"},
        {{.k = 1, .method = VA_SVD_DENSE, .max_iterations = 9}, "dense takes no max_iterations"},
        {{.k = 1, .method = VA_SVD_DENSE, .block = 9}, "dense takes no block"},
        {{.k = 1, .method = VA_SVD_DENSE, .basis = 9}, "dense takes no basis"},
        {{.k = 1, .method = VA_SVD_POWER, .block = 9}, "power takes no block"},
        {{.k = 1, .method = VA_SVD_POWER, .basis = 9}, "power takes no basis"},
        {{.k = 1, .method = VA_SVD_SUBSPACE, .basis = 9}, "subspace takes no basis"},
        {{.k = 4, .method = VA_SVD_SUBSPACE, .block = 3}, "at least k = 4, got 3"},
        {{.k = 4, .block = 2, .basis = 7}, "at least 8 (k + max(k, block)), got 7"},
        {{.k = 4, .block = 6, .basis = 9}, "at least 10 (k + max(k, block)), got 9"},
        {{.k = 15, .basis = 19}, "at least 20 (k + max(k, block)), got 19"},
    };
    va_linmap *map;
    va_svd_result r;
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, 30, 20, &map));
    for (int i = 0; i < VA_COUNT(cases); i++)
        assert_error(f->ctx, VA_ERR_USAGE, cases[i].message,
                     va_svd(f->ctx, f->arena, map, &cases[i].p, &r));
    const va_svd_params huge[] = {
        {.k = INT64_MAX, .block = INT64_MAX, .basis = INT64_MAX, .max_iterations = INT64_MAX},
        {.k = INT64_MAX,
         .method = VA_SVD_SUBSPACE,
         .block = INT64_MAX,
         .max_iterations = INT64_MAX},
        {.k = INT64_MAX, .method = VA_SVD_POWER, .max_iterations = INT64_MAX},
        {.k = INT64_MAX, .method = VA_SVD_DENSE},
    };
    for (int i = 0; i < VA_COUNT(huge); i++) {
        assert_ok(f->ctx, va_svd(f->ctx, f->arena, map, &huge[i], &r));
        assert_true(r.k == 20 && r.rank == 1 && r.converged);
    }
    va_linmap_destroy(&map);
}

static void test_same_seed_same_bits(void **state) {
    svd_fixture *f = *state;
    double sigma[8] = {3, 2.5, 2, 1.5, 1, 0.5, 0.2, 0.1};
    float *A = svd_with_spectrum(f->arena, 25, 20, 8, sigma);
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 3, .method = (va_svd_method)method, .seed = 9};
        va_svd_result a = svd_solve(f, A, 25, 20, &p), b = svd_solve(f, A, 25, 20, &p);
        assert_memory_equal(a.V, b.V, 3 * 20 * sizeof(float));
        assert_memory_equal(a.U, b.U, 3 * 25 * sizeof(float));
        assert_memory_equal(a.sigma, b.sigma, 3 * sizeof(double));
    }
}

// -- the sign rule ----------------------------------------------------------------------------

// A = sum_j 2^-j e_j v_j' with v_j the rows of an 8 x 8 Hadamard matrix: all entries of each right
// vector are equal in magnitude, and rounding must not choose among them.
static void test_signs_of_ties(void **state) {
    svd_fixture *f = *state;
    enum { M = 12, N = 8 };
    float A[M * N] = {0};
    va_svd_result r;
    for (int j = 0; j < N; j++)
        for (int c = 0; c < N; c++) // Sylvester's matrix, rows negated in turn
            A[(j + 2) * N + c] = (float)(pow(0.5, j) / sqrt(N) *
                                         (__builtin_parity((unsigned)(j & c)) ^ (j & 1) ? -1 : 1));
    for (int method = 0; method <= VA_SVD_METHOD_COUNT; method++) // the last one: on the host
        for (uint64_t seed = 0; seed < 4; seed++) {
            const va_svd_params p = {.k = 5, .method = (va_svd_method)method, .seed = seed};
            if (method == VA_SVD_METHOD_COUNT)
                assert_ok(f->ctx, va_svd_host(f->ctx, f->arena, A, M, N, 5, &r));
            else
                r = svd_solve(f, A, M, N, &p);
            for (int j = 0; j < 5; j++) {
                assert_true(r.V[j * N] > 0.3f); // the first of equals
                // u = A v / sigma, and row j + 2 of A is v_j or -v_j
                assert_true(fabsf(r.U[j * M + j + 2] - (j & 1 ? -1 : 1)) < 1e-3f);
            }
            svd_check_result(A, &r, 1.1e-5);
        }
}

// Within 0.1 % of the largest counts as equal, beyond does not.
static void test_signs_near_ties(void **state) {
    svd_fixture *f = *state;
    static const float near[4] = {0.9995f, -1, 0.1f, 0.2f}, far[4] = {0.99f, -1, 0.1f, 0.2f};
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        const va_svd_params p = {.k = 1, .method = (va_svd_method)method};
        va_svd_result r = svd_solve(f, near, 1, 4, &p);
        assert_true(r.V[0] > 0 && r.V[1] < 0 && r.U[0] > 0);
        r = svd_solve(f, far, 1, 4, &p);
        assert_true(r.V[0] < 0 && r.V[1] > 0 && r.U[0] < 0);
    }
}

// -- what does not converge -------------------------------------------------------------------

// Below the float32 floor the solvers stop by themselves and say that they did not get there.
static void test_impossible_tolerance(void **state) {
    svd_fixture *f = *state;
    double sigma[10];
    for (int j = 0; j < 10; j++)
        sigma[j] = pow(0.5, j);
    float *A = svd_with_spectrum(f->arena, 80, 70, 10, sigma);
    for (int method = 0; method < VA_SVD_DENSE; method++) {
        const va_svd_params p = {
            .k = 3, .method = (va_svd_method)method, .tolerance = 1e-12, .max_iterations = 5000};
        va_svd_result r = svd_solve(f, A, 80, 70, &p);
        assert_false(r.converged);
        assert_true(r.iterations < 500);
        svd_check_values(&r, sigma);
        svd_check_result(A, &r, 5e-6);
    }
}

static void keep_warning(void *user, va_log_level level, const char *message) {
    if (level == VA_LOG_WARN)
        snprintf(user, 1024, "%s", message);
}

// A warning names the triplets, what is wrong with them and what to do.
static void test_warnings(void **state) {
    svd_fixture *f = *state;
    enum { N = 60 };
    static const struct {
        va_svd_params p;
        const char *advice;
    } cases[] = {
        {{.k = 10, .max_iterations = 3}, "raise max_iterations (3), basis (60) or the tolerance"},
        {{.k = 10, .method = VA_SVD_SUBSPACE, .max_iterations = 3},
         "raise max_iterations (3), block (20) or the tolerance"},
        {{.k = 10, .method = VA_SVD_POWER, .max_iterations = 3},
         "raise max_iterations (3) or the tolerance, or use golub-kahan"},
        {{.k = 10, .tolerance = 1e-13}, "the float32 map gives no more: raise the tolerance"},
        {{.k = 10, .method = VA_SVD_DENSE, .tolerance = 1e-13}, "raise the tolerance"},
    };
    char warning[1024];
    double sigma[N];
    va_linmap *map;
    va_svd_result r;
    for (int i = 0; i < N; i++)
        sigma[i] = 1 - 0.0123 * i;
    float *A = svd_with_spectrum(f->arena, N, N, N, sigma);
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, N, N, &map));
    for (int i = 0; i < VA_COUNT(cases); i++) {
        va_ctx *ctx = va_ctx_create(&(va_ctx_params){.log = keep_warning, .log_user = warning});
        warning[0] = '\0';
        assert_ok(ctx, va_svd(ctx, f->arena, map, &cases[i].p, &r));
        int n = 0;
        for (int j = 0; j < 10; j++)
            n += !r.is_converged[j];
        char expected[64];
        snprintf(expected, sizeof expected, "%d of 10 triplets did not converge", n);
        if (n == 0 || !strstr(warning, expected) || !strstr(warning, cases[i].advice))
            fail_msg("case %d: %d not converged, said '%s'", i, n, warning);
        if (n > 8)
            assert_non_null(strstr(warning, "more; "));
        va_ctx_destroy(&ctx);
    }
    va_linmap_destroy(&map);
}

// A' that is not the transpose of A: no method believes it.
static void test_contradiction(void **state) {
    svd_fixture *f = *state;
    enum { M = 40, N = 30 };
    const va_linmap_shape shape = {1, N, 1, M};
    double sigma[N];
    char warning[1024] = "";
    for (int j = 0; j < N; j++)
        sigma[j] = pow(0.8, j);
    float *A = svd_with_spectrum(f->arena, M, N, N, sigma),
          *B = VA_NEW_ARRAY(f->arena, float, M *N);
    for (int i = 0; i < M * N; i++)
        B[i] = A[i] * (i % 3 ? 1 : 0.5f);
    va_linmap *map = svd_false_map(f, A, B, &shape);
    for (int method = 0; method < VA_SVD_METHOD_COUNT; method++) {
        va_ctx *ctx = va_ctx_create(&(va_ctx_params){.log = keep_warning, .log_user = warning});
        const va_svd_params p = {.k = 3, .method = (va_svd_method)method};
        va_svd_result r;
        warning[0] = '\0';
        assert_ok(ctx, va_svd(ctx, f->arena, map, &p, &r));
        assert_false(r.converged);
        assert_non_null(strstr(warning, "3 of 3 triplets did not converge"));
        if (method == VA_SVD_GOLUB_KAHAN || method == VA_SVD_DENSE) // the others run on and on
            assert_non_null(strstr(warning, "is A' the transpose of A?"));
        va_ctx_destroy(&ctx);
    }
    va_linmap_destroy(&map);
}

// A block below k that has had too few steps to hold k vectors: finite, orthonormal, and said.
static void test_limit_before_k(void **state) {
    svd_fixture *f = *state;
    double sigma[30];
    for (int j = 0; j < 30; j++)
        sigma[j] = 30 - j;
    float *A = svd_with_spectrum(f->arena, 50, 30, 30, sigma);
    const va_svd_params p = {.k = 8, .block = 2, .max_iterations = 2};
    va_svd_result r = svd_solve(f, A, 50, 30, &p);
    assert_true(!r.converged && r.sigma[3] > 0 && r.sigma[4] == 0);
    svd_check_result(A, &r, 2);
}

// Whatever step is the last one, also where a narrow block has just been widened: the vectors are
// orthonormal, and as good as the steps made them.
static void test_limit_at_any_step(void **state) {
    svd_fixture *f = *state;
    double sigma[50];
    for (int j = 0; j < 50; j++)
        sigma[j] = pow(0.6, j);
    float *A = svd_with_spectrum(f->arena, 60, 50, 50, sigma);
    double before = 2;
    for (int limit = 3; limit <= 12; limit++) {
        const va_svd_params p = {.k = 6, .block = 2, .max_iterations = limit};
        va_svd_result r = svd_solve(f, A, 60, 50, &p);
        double worst = 0;
        for (int j = 0; j < 6; j++)
            worst = fmax(worst, r.residual[j] / r.sigma[0]);
        svd_check_result(A, &r, 2);
        assert_true(worst <= fmax(before, 1e-5) * 1.01);
        before = worst;
    }
}

// A long history is thinned, evenly; the last entry is the result's.
static void test_history(void **state) {
    svd_fixture *f = *state;
    double sigma[20];
    for (int j = 0; j < 20; j++)
        sigma[j] = pow(0.97, j);
    float *A = svd_with_spectrum(f->arena, 30, 20, 20, sigma);
    const va_svd_params p = {.k = 8, .method = VA_SVD_POWER, .max_iterations = 400};
    va_svd_result r = svd_solve(f, A, 30, 20, &p);
    svd_check_result(A, &r, 1e-3);
    assert_true(r.iterations > 2 * VA_SVD_HISTORY && r.n_history > VA_SVD_HISTORY / 4);
    for (int64_t i = 2; i + 1 < r.n_history; i++) { // steps of equal length but at a new triplet
        int64_t step = r.history[i].iterations - r.history[i - 1].iterations;
        assert_true(step >= 2 && step <= 64);
    }
    const va_svd_params quick = {.k = 2, .block = 16};
    r = svd_solve(f, A, 30, 20, &quick);
    assert_true(r.history[0].iterations == 2 && r.history[0].vectors == 32);
    assert_true(r.history[r.n_history - 1].n_converged == 2);
}

// -- numbers, progress, interruption ----------------------------------------------------------

static void test_not_finite(void **state) {
    svd_fixture *f = *state;
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
    svd_fixture *f = *state;
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

static void interrupt_at_third(void *user, const va_progress *p) {
    struct {
        va_ctx *ctx;
        int n;
    } *seen = user;
    if (++seen->n == 3 && !p->finished)
        va_interrupt(seen->ctx);
}

static void test_interrupt(void **state) {
    svd_fixture *f = *state;
    static float A[90 * 90];
    va_linmap *map;
    va_svd_result r;
    for (int i = 0; i < 90; i++)
        A[i * 90 + i] = (float)(200 - i);
    assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, 90, 90, &map));
    for (int method = 0; method < VA_SVD_DENSE; method++) {
        struct {
            va_ctx *ctx;
            int n;
        } seen = {0};
        seen.ctx =
            va_ctx_create(&(va_ctx_params){.progress = interrupt_at_third, .progress_user = &seen});
        const va_svd_params p = {.k = 4, .method = (va_svd_method)method, .max_iterations = 2000};
        assert_int_equal(va_svd(seen.ctx, f->arena, map, &p, &r), VA_ERR_INTERRUPTED);
        assert_int_equal(seen.n, 3);
        va_ctx_destroy(&seen.ctx);
    }
    va_linmap_destroy(&map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SVD_TEST(test_methods_by_name),
        SVD_TEST(test_parameters),
        SVD_TEST(test_same_seed_same_bits),
        SVD_TEST(test_signs_of_ties),
        SVD_TEST(test_signs_near_ties),
        SVD_TEST(test_impossible_tolerance),
        SVD_TEST(test_warnings),
        SVD_TEST(test_contradiction),
        SVD_TEST(test_limit_before_k),
        SVD_TEST(test_limit_at_any_step),
        SVD_TEST(test_history),
        SVD_TEST(test_not_finite),
        SVD_TEST(test_progress),
        SVD_TEST(test_interrupt),
    };
    return cmocka_run_group_tests(tests, svd_setup, svd_teardown);
}
