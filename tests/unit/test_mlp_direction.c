// test_mlp_direction.c: directions of every kind against torch's gradients and numpy's SVD
// (make_classifier_directions.py), on a network with more inputs than hidden units and one with
// fewer; the top singular vector against a full decomposition.
// libs: va_probe
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <math.h>

#include "vkalign/probe.h"

enum { D_MAX = 20 };

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    va_safetensors *file;
} fixture;

static int setup(void **state) {
    char path[VA_TEST_PATH];
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    assert_ok(f->ctx,
              va_safetensors_open(
                  f->ctx, va_test_fixture(path, "classifier_directions/directions.safetensors"),
                  &f->file));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_safetensors_close(&f->file);
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static const va_file_tensor *find(const fixture *f, const char *network, const char *name) {
    char full[64];
    snprintf(full, sizeof full, "%s.%s", network, name);
    const va_file_tensor *t = va_safetensors_find(f->file, full);
    assert_non_null(t);
    return t;
}

static float *floats(fixture *f, const char *network, const char *name) {
    const va_file_tensor *t = find(f, network, name);
    float *x = VA_NEW_ARRAY(f->arena, float, t->n_elem);
    assert_int_equal(t->dtype, VA_F32);
    va_convert_to_f32(x, t->data, t->dtype, t->n_elem);
    return x;
}

static double *doubles(fixture *f, const char *network, const char *name) {
    const va_file_tensor *t = find(f, network, name);
    double *x = VA_NEW_ARRAY(f->arena, double, t->n_elem);
    assert_int_equal(t->dtype, VA_F64);
    memcpy(x, t->data, (size_t)t->n_elem * sizeof *x);
    return x;
}

static va_mlp load(fixture *f, const char *network) {
    const va_file_tensor *w1 = find(f, network, "0.weight"), *w2 = find(f, network, "3.weight");
    return (va_mlp){.d = w1->shape[1],
                    .h1 = w1->shape[0],
                    .h2 = w2->shape[0],
                    .W1 = floats(f, network, "0.weight"),
                    .b1 = floats(f, network, "0.bias"),
                    .W2 = floats(f, network, "3.weight"),
                    .b2 = floats(f, network, "3.bias"),
                    .W3 = floats(f, network, "6.weight"),
                    .b3 = floats(f, network, "6.bias")};
}

static const struct {
    va_mlp_direction_kind kind;
    const char *direction, *sigma;
} kinds[] = {
    {VA_MLP_W1_SVD, "w1.direction", "w1.sigma"},
    {VA_MLP_MEAN_GRADIENT, "gradient", NULL},
    {VA_MLP_WEIGHTED_W1, "weighted.direction", "weighted.sigma"},
};

// sign: of W3 and so of the logit, which turns every direction.
static void check_kinds(fixture *f, const char *network, float sign) {
    va_mlp mlp = load(f, network);
    const float *X = floats(f, network, "X");
    const int64_t n = find(f, network, "X")->shape[0], k = VA_MIN(mlp.h1, mlp.d);
    for (int64_t v = 0; v < mlp.h2; v++)
        mlp.W3[v] *= sign;
    for (int64_t i = 0; i < VA_COUNT(kinds); i++) {
        float got[D_MAX], again[D_MAX];
        double expected[D_MAX], sigma[D_MAX];
        const double *direction = doubles(f, network, kinds[i].direction);
        for (int64_t c = 0; c < mlp.d; c++)
            expected[c] = sign * direction[c];
        assert_ok(f->ctx, va_mlp_direction(f->ctx, &mlp, kinds[i].kind, X, n, got, NULL));
        assert_true(va_test_max_error(got, expected, mlp.d) < 1e-7); // rounding to f32
        if (!kinds[i].sigma)
            continue;
        assert_ok(f->ctx, va_mlp_direction(f->ctx, &mlp, kinds[i].kind, X, n, again, sigma));
        assert_memory_equal(got, again, (size_t)mlp.d * sizeof *got);
        const double *expected_sigma = doubles(f, network, kinds[i].sigma);
        for (int64_t j = 0; j < k; j++)
            assert_true(fabs(sigma[j] - expected_sigma[j]) < 1e-12 * expected_sigma[0]);
    }
}

static void directions_are_those_of_torch_and_numpy(void **state) {
    check_kinds(*state, "wide", 1);
    check_kinds(*state, "wide", -1);
    check_kinds(*state, "tall", 1);
    check_kinds(*state, "tall", -1);
}

static void mean_gradient_is_that_of_torch(void **state) {
    fixture *f = *state;
    const va_mlp mlp = load(f, "wide");
    double gradient[D_MAX];
    const double *expected = doubles(f, "wide", "mean_gradient");
    va_mlp_mean_gradient(&mlp, floats(f, "wide", "X"), find(f, "wide", "X")->shape[0], gradient);
    for (int64_t i = 0; i < mlp.d; i++)
        assert_true(fabs(gradient[i] - expected[i]) < 1e-12);
}

static void refuses_what_has_no_direction(void **state) {
    fixture *f = *state;
    va_mlp mlp = load(f, "tall");
    const float *X = floats(f, "tall", "X");
    float v[D_MAX];
    double sigma[D_MAX];
#define DIRECTION(kind, s) va_mlp_direction(f->ctx, &mlp, kind, X, 11, v, s)
    assert_error(f->ctx, VA_ERR_USAGE, "no singular values",
                 DIRECTION(VA_MLP_MEAN_GRADIENT, sigma));
    assert_error(f->ctx, VA_ERR_USAGE, "from 0 to 2, got 3",
                 DIRECTION((va_mlp_direction_kind)3, NULL));
    for (int64_t u = 0; u < mlp.h1; u++)
        mlp.b1[u] = -1e3f; // no unit is ever on
    assert_error(f->ctx, VA_ERR_NUMERIC, "mean gradient has largest component 0",
                 DIRECTION(VA_MLP_MEAN_GRADIENT, NULL));
    assert_error(f->ctx, VA_ERR_NUMERIC, "zero matrix [15, 6]",
                 DIRECTION(VA_MLP_WEIGHTED_W1, NULL));
    assert_ok(f->ctx, DIRECTION(VA_MLP_W1_SVD, NULL)); // W1 is still there
    memset(mlp.W1, 0, (size_t)(mlp.h1 * mlp.d) * sizeof *mlp.W1);
    assert_error(f->ctx, VA_ERR_NUMERIC, "zero matrix [15, 6]", DIRECTION(VA_MLP_W1_SVD, NULL));
#undef DIRECTION
}

// -- the top singular vector ----------------------------------------------------------------------

// A [m, n] of normal numbers times scale, the first row times `first`: near 1 the top is close to
// the second, and far above it stands out.
static void check_top(fixture *f, int64_t m, int64_t n, double scale, double first) {
    va_rng rng = va_rng_make((uint64_t)(m * n), va_hash64("test_mlp_direction"));
    float *A = VA_NEW_ARRAY(f->arena, float, m *n);
    double *as_double = VA_NEW_ARRAY(f->arena, double, m *n);
    double *v = VA_NEW_ARRAY(f->arena, double, n), sigma[2], along = 0, length = 0;
    va_svd_result full;
    for (int64_t i = 0; i < m * n; i++) {
        A[i] = (float)(va_rng_normal(&rng) * scale * (i < n ? first : 1));
        as_double[i] = A[i];
    }
    assert_ok(f->ctx, va_svd_host(f->ctx, f->arena, A, m, n, 2, &full));
    assert_ok(f->ctx, va_svd_host_top(f->ctx, as_double, m, n, v, sigma, VA_MIN(2, VA_MIN(m, n))));
    for (int64_t i = 0; i < n; i++) {
        along += v[i] * full.V[i];
        length += v[i] * v[i];
    }
    assert_true(fabs(length - 1) < 1e-13);
    assert_true(fabs(sigma[0] / full.sigma[0] - 1) < 1e-13);
    for (int64_t i = 0; i < n; i++) // 3e-8: the full one's rounding to f32
        assert_true(fabs(v[i] - (along < 0 ? -1 : 1) * (double)full.V[i]) < 6e-8);
}

static void top_vector_is_that_of_a_full_decomposition(void **state) {
    check_top(*state, 1, 1, 1, 1);
    check_top(*state, 1, 50, 1, 1);
    check_top(*state, 50, 1, 1, 1);
    check_top(*state, 128, 160, 0.05, 1);
    check_top(*state, 160, 128, 0.05, 1);
    check_top(*state, 128, 1000, 0.05, 20);
    check_top(*state, 30, 40, 1e-30, 1); // squares are below what a float holds
    check_top(*state, 30, 40, 1e30, 1);
}

static void top_vector_refuses(void **state) {
    fixture *f = *state;
    const double A[] = {0, 0, 0, INFINITY};
    double v[2];
    assert_error(f->ctx, VA_ERR_NUMERIC, "[1, 1] is inf",
                 va_svd_host_top(f->ctx, A, 2, 2, v, NULL, 0));
    assert_error(f->ctx, VA_ERR_NUMERIC, "zero matrix [1, 2]",
                 va_svd_host_top(f->ctx, A, 1, 2, v, NULL, 0));
    assert_error(f->ctx, VA_ERR_USAGE, "got 0, 2, 0", va_svd_host_top(f->ctx, A, 0, 2, v, NULL, 0));
    assert_error(f->ctx, VA_ERR_USAGE, "got 1, 2, 2", va_svd_host_top(f->ctx, A, 1, 2, v, v, 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(directions_are_those_of_torch_and_numpy),
        TEST(mean_gradient_is_that_of_torch),
        TEST(refuses_what_has_no_direction),
        TEST(top_vector_is_that_of_a_full_decomposition),
        TEST(top_vector_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
