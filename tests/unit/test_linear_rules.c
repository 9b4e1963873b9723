// test_linear_rules.c: linear directions: invariances, convergence, errors.
// libs: va_probe
// SPDX-License-Identifier: Apache-2.0
#include "linear_case.h"

// -- invariances ----------------------------------------------------------------------------------

static float *random_rows(fixture *f, uint64_t seed, int64_t n) {
    va_rng rng = va_rng_make(seed, va_hash64("test_linear"));
    float *x = VA_NEW_ARRAY(f->arena, float, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)va_rng_normal(&rng);
    return x;
}

// Problem p: every row but those with i % (p + 3) = 0, labels at random.
static void random_problems(fixture *f, int64_t n_x, va_fit_problem *problems, int64_t n_problems) {
    for (int64_t p = 0; p < n_problems; p++) {
        const float *z = random_rows(f, 100 + (uint64_t)p, n_x);
        int64_t *rows = VA_NEW_ARRAY(f->arena, int64_t, n_x), n = 0;
        float *labels = VA_NEW_ARRAY(f->arena, float, n_x);
        for (int64_t i = 0; i < n_x; i++)
            if (i % (p + 3) != 0) {
                rows[n] = i;
                labels[n++] = z[i] > 0;
            }
        labels[0] = 0;
        labels[1] = 1;
        problems[p] = (va_fit_problem){.rows = rows, .labels = labels, .n = n};
    }
}

static void assert_same_model(const va_linear_model *a, const va_linear_model *b) {
    assert_memory_equal(a->w, b->w, (size_t)a->d * sizeof *a->w);
    assert_memory_equal(&a->b, &b->b, sizeof a->b);
    assert_int_equal(a->iterations, b->iterations);
}

static void together_as_one_by_one(void **state) {
    fixture *f = *state;
    enum { N = 50, P = 7 };
    const int64_t widths[] = {73, 11};
    for (int s = 0; s < 2; s++) {
        va_fit_problem problems[P];
        const float *X = random_rows(f, 1, N * widths[s]);
        random_problems(f, N, problems, P);
        for (int k = 0; k < N_METHODS - 1; k++) {
            va_linear_model all[P], one;
            assert_ok(f->ctx, va_linear_fit(f->ctx, NULL, f->arena, X, N, widths[s], problems, P,
                                            &methods[k].params, all));
            for (int p = 0; p < P; p++) {
                assert_ok(f->ctx, fit(f, X, N, widths[s], &problems[p], &methods[k].params, &one));
                assert_same_model(&all[p], &one);
            }
        }
    }
}

// Rows in any order, and repeated under a penalty as many times larger: the same, but for pairs.
static void repeated_rows_weigh(void **state) {
    fixture *f = *state;
    enum { N = 30 };
    const int64_t widths[] = {41, 9};
    for (int s = 0; s < 2; s++) {
        const float *X = random_rows(f, 2, N * widths[s]);
        int64_t rows[3 * N];
        float labels[3 * N];
        va_fit_problem once, thrice = {.rows = rows, .labels = labels, .n = 3 * N};
        random_problems(f, N, &once, 1);
        thrice.n = 3 * once.n;
        for (int64_t i = 0; i < thrice.n; i++) {
            rows[i] = once.rows[(i * 7) % once.n]; // 7 and 20 have no common factor
            labels[i] = once.labels[(i * 7) % once.n];
        }
        assert_int_equal(once.n, 20);
        for (int k = 0; k < N_METHODS - 1; k++) {
            if (methods[k].params.method == VA_LINEAR_PCA || k == 4) // Ledoit-Wolf counts rows
                continue;
            va_linear_model a, b;
            va_linear_params params = methods[k].params;
            assert_ok(f->ctx, fit(f, X, N, widths[s], &once, &params, &a));
            params.l2 = 3 * (params.l2 == 0 ? 1 : params.l2);
            assert_ok(f->ctx, fit(f, X, N, widths[s], &thrice, &params, &b));
            assert_true(va_test_max_error_f32(b.w, a.w, widths[s]) < 1e-6);
            assert_true(fabs(a.b - b.b) < 1e-6 * (1 + fabs(a.b)));
        }
    }
}

// The i-th positive with the i-th negative: differences along e0, then a mixture.
static void order_pairs_the_rows(void **state) {
    fixture *f = *state;
    enum { D = 2, N = 4 };
    const float X[N * D] = {1, 0, 0, 0, 5, 5, 4, 5}; // + - + -: both pairs differ by e0
    const int64_t paired[] = {0, 1, 2, 3}, crossed[] = {0, 3, 2, 1};
    const float labels[] = {1, 0, 1, 0};
    const va_linear_params pca = {.method = VA_LINEAR_PCA};
    va_linear_model m;
    assert_ok(f->ctx, fit(f, X, N, D, &(va_fit_problem){paired, labels, N, 0}, &pca, &m));
    assert_true(fabs((double)m.w[0] - 1) < 1e-7 && fabs((double)m.w[1]) < 1e-7);
    assert_true(fabs(m.b + 2.5) < 1e-6);
    assert_ok(f->ctx, fit(f, X, N, D, &(va_fit_problem){crossed, labels, N, 0}, &pca, &m));
    // (-3, -5) and (5, 5): not along e0
    assert_true(fabs((double)m.w[1]) > 0.5);
}

// -- convergence ----------------------------------------------------------------------------------

static void little_penalty_on_separable_rows(void **state) {
    fixture *f = *state;
    enum { N = 40 };
    const int64_t widths[] = {60, 5};
    for (int s = 0; s < 2; s++) {
        const int64_t d = widths[s];
        float *X = random_rows(f, 3, N * d), labels[N];
        int64_t rows[N];
        double scores[N];
        va_linear_model m;
        for (int64_t i = 0; i < N; i++) {
            rows[i] = i;
            labels[i] = i % 2 == 0;
            X[i * d] += labels[i] == 1 ? 6 : -6;
            for (int64_t j = 0; j < d; j++) // from .01 to 100, means of up to 1000
                X[i * d + j] = X[i * d + j] * powf(10, (float)(j % 5) - 2) + 1000 * (float)(j % 3);
        }
        const va_fit_problem problem = {rows, labels, N, 0};
        for (double l2 = 1e-6; l2 < 1e4; l2 *= 1e3) {
            assert_ok(f->ctx, fit(f, X, N, d, &problem, &(va_linear_params){.l2 = l2}, &m));
            if (!m.converged)
                fail_msg("d %lld, l2 %g: %g after %lld steps", (long long)d, l2, m.gradient_norm,
                         (long long)m.iterations);
            va_linear_scores(&m, X, N, scores);
            for (int64_t i = 0; l2 < 1e-5 && i < N; i++)
                assert_true((scores[i] > 0) == (labels[i] == 1));
        }
    }
}

static void too_few_steps_are_told(void **state) {
    fixture *f = *state;
    enum { N = 40 };
    const int64_t widths[] = {60, 5};
    for (int s = 0; s < 2; s++) {
        va_fit_problem problem;
        va_linear_model m;
        const float *X = random_rows(f, 4, N * widths[s]);
        const va_linear_params params = {.max_iterations = 1, .l2 = 1e-3};
        random_problems(f, N, &problem, 1);
        assert_ok(f->ctx, fit(f, X, N, widths[s], &problem, &params, &m));
        assert_false(m.converged);
        assert_int_equal(m.iterations, 1);
        assert_true(m.gradient_norm > 1e-10 && m.gradient_norm < 1);
    }
}

// One row of each class, one column: either a direction or a refusal.
static void smallest_problems(void **state) {
    fixture *f = *state;
    const float X[] = {3, 1, 2, 5}, labels[] = {0, 1};
    const int64_t rows[] = {0, 1};
    const va_fit_problem problem = {rows, labels, 2, 0};
    for (int64_t d = 1; d <= 2; d++)
        for (int k = 0; k < N_METHODS; k++) {
            va_linear_model m;
            double scores[2];
            if (methods[k].params.method == VA_LINEAR_LDA) { // no variance within the classes
                assert_error(f->ctx, VA_ERR_NUMERIC, "cannot be inverted",
                             fit(f, X, 2, d, &problem, &methods[k].params, &m));
                continue;
            }
            assert_ok(f->ctx, fit(f, X, 2, d, &problem, &methods[k].params, &m));
            va_linear_scores(&m, X, 2, scores);
            assert_true(scores[0] < 0 && scores[1] > 0);
        }
}

// Numbers near the ends of f32 are fitted or refused, and never give a weight that is not finite.
static void extreme_activations(void **state) {
    fixture *f = *state;
    enum { N = 20 };
    const int64_t widths[] = {30, 4};
    const float scales[] = {1e-37f, 1e-15f, 1e15f, 1e37f};
    for (int s = 0; s < 8; s++) {
        const int64_t d = widths[s % 2];
        float *X = random_rows(f, 9, N * d);
        va_fit_problem problem;
        random_problems(f, N, &problem, 1);
        for (int64_t i = 0; i < N * d; i++)
            X[i] *= scales[s / 2];
        for (int k = 0; k < N_METHODS; k++) {
            va_linear_model m;
            va_status st = fit(f, X, N, d, &problem, &methods[k].params, &m);
            assert_true(st == VA_OK || st == VA_ERR_NUMERIC);
            for (int64_t j = 0; st == VA_OK && j < d; j++)
                assert_true(isfinite(m.w[j]));
        }
    }
}

// -- errors ---------------------------------------------------------------------------------------

static void wrong_input(void **state) {
    fixture *f = *state;
    float X[] = {1, 2, 3, 4, 5, 7}; // [3, 2]
    const float labels[] = {0, 1, 1}, ones[] = {1, 1, 1}, half[] = {0, 0.5f, 1};
    const int64_t rows[] = {0, 1, 2}, below[] = {0, -1, 2}, above[] = {0, 3, 2};
    const va_fit_problem good = {rows, labels, 3, 0};
    const struct {
        const char *text;
        va_fit_problem problem;
    } bad[] = {{"direction 0: expected labels of both classes, got 3 times 1", {rows, ones, 3, 0}},
               {"expected labels of 0 or 1, got 0.5 at place 1", {rows, half, 3, 0}},
               {"expected at least two rows, got 1", {rows, labels, 1, 0}},
               {"expected rows of 0 to 2, got -1 at place 1", {below, labels, 3, 0}},
               {"expected rows of 0 to 2, got 3 at place 1", {above, labels, 3, 0}}};
    va_linear_model m;
    for (int i = 0; i < VA_COUNT(bad); i++)
        assert_error(f->ctx, VA_ERR_SHAPE, bad[i].text, fit(f, X, 3, 2, &bad[i].problem, NULL, &m));
    assert_error(f->ctx, VA_ERR_SHAPE, "at least one row", fit(f, X, 0, 2, &good, NULL, &m));
    assert_error(f->ctx, VA_ERR_SHAPE, "too large", fit(f, X, INT64_MAX, 2, &good, NULL, &m));
    assert_error(f->ctx, VA_ERR_SHAPE, "at least one problem",
                 va_linear_fit(f->ctx, NULL, f->arena, X, 3, 2, &good, 0, NULL, &m));
    X[3] = NAN;
    assert_error(f->ctx, VA_ERR_NUMERIC, "got nan at row 1, column 1",
                 fit(f, X, 3, 2, &good, NULL, &m));
}

static void wrong_parameters(void **state) {
    fixture *f = *state;
    const float X[] = {1, 2, 3, 4, 5, 7}, labels[] = {0, 1, 1};
    const int64_t rows[] = {0, 1, 2};
    const va_fit_problem problem = {rows, labels, 3, 0};
    const struct {
        const char *text;
        va_linear_params params;
    } bad[] = {{"no method 9", {.method = (va_linear_method)9}},
               {"expected positive l2", {.l2 = -1}},
               {"expected positive l2", {.l2 = NAN}},
               {"expected positive l2", {.tolerance = INFINITY}},
               {"expected positive l2", {.max_iterations = -1}},
               {"shrinkage of at most 1, got 1.5", {.shrinkage = 1.5}},
               {"shrinkage of at most 1", {.shrinkage = NAN}}};
    va_linear_model m;
    for (int i = 0; i < VA_COUNT(bad); i++)
        assert_error(f->ctx, VA_ERR_USAGE, bad[i].text,
                     fit(f, X, 3, 2, &problem, &bad[i].params, &m));
}

static void nothing_to_find(void **state) {
    fixture *f = *state;
    const float same[] = {1, 2, 3, 4, 1, 2, 3, 4};   // both classes hold (1, 2) and (3, 4)
    const float square[] = {1, 0, 0, 1, 0, 0, 0, 0}; // differences e0 and e1
    const int64_t rows[] = {0, 1, 2, 3};
    const float labels[] = {1, 1, 0, 0};
    const va_fit_problem problem = {rows, labels, 4, 0};
    va_linear_model m;
    for (int k = 0; k < N_METHODS; k++)
        assert_error(f->ctx, VA_ERR_NUMERIC, "means of both classes are equal",
                     fit(f, same, 4, 2, &problem, &methods[k].params, &m));
    assert_error(f->ctx, VA_ERR_NUMERIC, "direction 0 (pca): expected one largest singular value",
                 fit(f, square, 4, 2, &problem, &(va_linear_params){.method = VA_LINEAR_PCA}, &m));
    assert_error(f->ctx, VA_ERR_NUMERIC, "cannot be inverted",
                 fit(f, square, 4, 2, &problem, &methods[N_METHODS - 1].params, &m));
}

static void covariance_without_inverse(void **state) {
    fixture *f = *state;
    enum { N = 40, D = 5 };
    float *X = random_rows(f, 6, N * D);
    va_fit_problem problem;
    va_linear_model m;
    const va_linear_params none = {.method = VA_LINEAR_LDA, .shrinkage = -1};
    random_problems(f, N, &problem, 1);
    assert_ok(f->ctx, fit(f, X, N, D, &problem, &none, &m));
    for (int64_t i = 0; i < N; i++)
        X[i * D + 4] = X[i * D] + X[i * D + 1]; // but for rounding
    assert_error(f->ctx, VA_ERR_NUMERIC, "cannot be inverted",
                 fit(f, X, N, D, &problem, &none, &m));
    for (int64_t i = 0; i < N; i++)
        X[i * D + 4] = 3;
    assert_error(f->ctx, VA_ERR_NUMERIC, "cannot be inverted",
                 fit(f, X, N, D, &problem, &none, &m));
    assert_ok(f->ctx, fit(f, X, N, D, &problem, &methods[4].params, &m)); // as sklearn does
    assert_true(m.w[4] == 0);
}

static void count_ticks(void *user, int64_t n_done) {
    int64_t *seen = user;
    assert_int_equal(n_done, *seen + 1);
    *seen = n_done;
}

static void progress_and_interrupt(void **state) {
    fixture *f = *state;
    enum { N = 20, D = 4, P = 3 };
    const float *X = random_rows(f, 7, N * D);
    int64_t seen = 0;
    va_fit_problem problems[P];
    va_linear_model models[P];
    const va_linear_params params = {.tick = count_ticks, .user = &seen};
    random_problems(f, N, problems, P);
    assert_ok(f->ctx, va_linear_fit(f->ctx, NULL, f->arena, X, N, D, problems, P, &params, models));
    assert_int_equal(seen, P);
    va_interrupt(f->ctx);
    assert_error(f->ctx, VA_ERR_INTERRUPTED, "",
                 va_linear_fit(f->ctx, NULL, f->arena, X, N, D, problems, P, &params, models));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(together_as_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(repeated_rows_weigh, setup, teardown),
        cmocka_unit_test_setup_teardown(order_pairs_the_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(little_penalty_on_separable_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(too_few_steps_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(smallest_problems, setup, teardown),
        cmocka_unit_test_setup_teardown(extreme_activations, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_input, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_to_find, setup, teardown),
        cmocka_unit_test_setup_teardown(covariance_without_inverse, setup, teardown),
        cmocka_unit_test_setup_teardown(progress_and_interrupt, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
