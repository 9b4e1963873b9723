// test_linear_host.c: linear directions against scikit-learn (float64).
// libs: va_probe va_metric
// SPDX-License-Identifier: Apache-2.0
#include "linear_case.h"

#include "vkalign/metric.h"

enum { N_PROBLEMS = 4 };

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(more_columns_than_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(more_rows_than_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(separable_rows, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
