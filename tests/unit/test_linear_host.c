// test_linear_host.c: linear directions against scikit-learn (float64), their invariances, errors.
// libs: va_probe va_metric
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <math.h>

#include "vkalign/metric.h"
#include "vkalign/probe_linear.h"

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static va_status fit(fixture *f, const float *X, int64_t n, int64_t d,
                     const va_fit_problem *problem, const va_linear_params *params,
                     va_linear_model *model) {
    return va_linear_fit(f->ctx, NULL, f->arena, X, n, d, problem, 1, params, model);
}

// -- scikit-learn ---------------------------------------------------------------------------------

static const struct {
    const char *name;
    va_linear_params params;
} methods[] = {
    {"logistic.1.0", {.method = VA_LINEAR_LOGISTIC}},
    {"logistic.0.01", {.method = VA_LINEAR_LOGISTIC, .l2 = 0.01}},
    {"difference", {.method = VA_LINEAR_DIFFERENCE}},
    {"pca", {.method = VA_LINEAR_PCA}},
    {"lda.auto", {.method = VA_LINEAR_LDA}},
    {"lda.0.3", {.method = VA_LINEAR_LDA, .shrinkage = 0.3}},
    {"lda.none", {.method = VA_LINEAR_LDA, .shrinkage = -1}},
};
enum { N_METHODS = sizeof methods / sizeof *methods, N_PROBLEMS = 4 };

typedef struct reference {
    va_safetensors *file;
    const float *X, *test_X, *test_y;
    int64_t n, d, n_test;
    va_fit_problem problem[N_PROBLEMS];
} reference;

static const va_file_tensor *find(const reference *r, const char *prefix, const char *name) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return va_safetensors_find(r->file, full);
}

static void open_reference(fixture *f, const char *name, reference *r) {
    char file[64], path[VA_TEST_PATH];
    snprintf(file, sizeof file, "linear/%s.safetensors", name);
    assert_ok(f->ctx, va_safetensors_open(f->ctx, va_test_fixture(path, file), &r->file));
    const va_file_tensor *X = find(r, "", "X"), *test_X = find(r, "", "test.X");
    r->X = X->data;
    r->n = X->shape[0];
    r->d = X->shape[1];
    r->test_X = test_X->data;
    r->n_test = test_X->shape[0];
    r->test_y = find(r, "", "test.y")->data;
    for (int p = 0; p < N_PROBLEMS; p++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%d.", p);
        const va_file_tensor *rows = find(r, prefix, "rows");
        r->problem[p] = (va_fit_problem){
            .rows = rows->data, .labels = find(r, prefix, "labels")->data, .n = rows->n_elem};
    }
}

static double column_std(const reference *r, int64_t j) {
    double mean = 0, square = 0;
    for (int64_t i = 0; i < r->n; i++)
        mean += (double)r->X[i * r->d + j] / (double)r->n;
    for (int64_t i = 0; i < r->n; i++)
        square += pow((double)r->X[i * r->d + j] - mean, 2) / (double)r->n;
    return sqrt(square);
}

// Of w, and of w times the columns' standard deviations: the parts of small columns count too.
static void assert_weights(const char *name, const reference *r, const va_linear_model *m,
                           const double *w) {
    double off[2] = {0}, size[2] = {0};
    for (int64_t j = 0; j < r->d; j++) {
        const double scale[2] = {1, column_std(r, j)};
        for (int k = 0; k < 2; k++) {
            off[k] += pow(scale[k] * ((double)m->w[j] - w[j]), 2);
            size[k] += pow(scale[k] * w[j], 2);
        }
    }
    // f32 of each weight: 6e-8. The bound leaves room for another LAPACK.
    if (!(sqrt(off[0] / size[0]) < 1e-6 && sqrt(off[1] / size[1]) < 1e-6))
        fail_msg("%s: weights differ by %g, scaled %g", name, sqrt(off[0] / size[0]),
                 sqrt(off[1] / size[1]));
}

static void assert_scores(fixture *f, const char *name, const reference *r,
                          const va_linear_model *m, const double *w, double b, double f1) {
    double scores[256], most = 0, off = 0;
    bool labels[256];
    va_metric_scores found;
    assert_in_range(r->n_test, 1, 256);
    va_linear_scores(m, r->test_X, r->n_test, scores);
    for (int64_t i = 0; i < r->n_test; i++) {
        double expected = b;
        for (int64_t j = 0; j < r->d; j++)
            expected += w[j] * (double)r->test_X[i * r->d + j];
        off = fmax(off, fabs(expected - scores[i]));
        most = fmax(most, fabs(expected));
        labels[i] = r->test_y[i] == 1;
    }
    if (!(off < 1e-6 * most))
        fail_msg("%s: scores differ by %g of %g", name, off, most);
    assert_ok(f->ctx, va_metric_classify(f->ctx, scores, labels, r->n_test, 0, &found));
    if (!(fabs(found.f1 - f1) < 0.01))
        fail_msg("%s: F1 %g, expected %g", name, found.f1, f1);
}

static void compare(fixture *f, const char *file) {
    reference r;
    open_reference(f, file, &r);
    for (int k = 0; k < N_METHODS; k++) {
        if (!find(&r, "0.", methods[k].name) && k == N_METHODS - 1 && r.n <= r.d)
            continue; // without shrinkage only the tall one has a covariance
        va_linear_model models[N_PROBLEMS];
        assert_ok(f->ctx, va_linear_fit(f->ctx, NULL, f->arena, r.X, r.n, r.d, r.problem,
                                        N_PROBLEMS, &methods[k].params, models));
        for (int p = 0; p < N_PROBLEMS; p++) {
            char name[64];
            snprintf(name, sizeof name, "%d.%s", p, methods[k].name);
            const double *w = find(&r, name, ".w")->data;
            const double b = *(const double *)find(&r, name, ".b")->data;
            assert_true(models[p].converged);
            assert_weights(name, &r, &models[p], w);
            assert_scores(f, name, &r, &models[p], w, b,
                          *(const double *)find(&r, name, ".f1")->data);
        }
    }
    va_safetensors_close(&r.file);
}

static void more_columns_than_rows(void **state) {
    compare(*state, "wide");
}

static void more_rows_than_columns(void **state) {
    compare(*state, "tall");
}

static void separable_rows(void **state) {
    compare(*state, "separable");
}

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
        cmocka_unit_test_setup_teardown(more_columns_than_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(more_rows_than_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(separable_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(together_as_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(repeated_rows_weigh, setup, teardown),
        cmocka_unit_test_setup_teardown(order_pairs_the_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(little_penalty_on_separable_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(too_few_steps_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_input, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_to_find, setup, teardown),
        cmocka_unit_test_setup_teardown(covariance_without_inverse, setup, teardown),
        cmocka_unit_test_setup_teardown(progress_and_interrupt, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
