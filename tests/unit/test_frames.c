// test_frames.c: frames of several directions against numpy's SVD (make_frames.py), and their first
// vector against the one that each method finds alone.
// libs: va_probe va_svd
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <math.h>

#include "vkalign/probe_linear.h"
#include "vkalign/svd.h"

enum { RANK = 5, D = 20 }; // RANK: of make_frames.py; D: at most

static va_ctx *ctx;
static va_arena *arena;
static va_safetensors *frames, *networks;

static int setup(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    ctx = va_test_ctx();
    arena = va_arena_create();
    assert_ok(
        ctx, va_safetensors_open(ctx, va_test_fixture(path, "frames/frames.safetensors"), &frames));
    assert_ok(ctx, va_safetensors_open(
                       ctx, va_test_fixture(path, "classifier_directions/directions.safetensors"),
                       &networks));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_safetensors_close(&frames);
    va_safetensors_close(&networks);
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
    return 0;
}

// A copy, at an address that its elements may have.
static void *tensor(const va_safetensors *file, const char *prefix, const char *name, int64_t *rows,
                    int64_t *columns) {
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const va_file_tensor *t = va_safetensors_find(file, full);
    if (!t)
        fail_msg("no %s", full);
    if (rows)
        *rows = t->shape[0];
    if (columns)
        *columns = t->n_dim == 2 ? t->shape[1] : 1;
    void *copy = va_arena_array(arena, t->size_bytes, 1);
    memcpy(copy, t->data, (size_t)t->size_bytes);
    return copy;
}

static va_mlp network(const char *prefix) {
    va_mlp m = {0};
    m.W1 = tensor(networks, prefix, "0.weight", &m.h1, &m.d);
    m.b1 = tensor(networks, prefix, "0.bias", NULL, NULL);
    m.W2 = tensor(networks, prefix, "3.weight", &m.h2, NULL);
    m.b2 = tensor(networks, prefix, "3.bias", NULL, NULL);
    m.W3 = tensor(networks, prefix, "6.weight", NULL, NULL);
    m.b3 = tensor(networks, prefix, "6.bias", NULL, NULL);
    return m;
}

static va_fit_problem problem(const char *prefix) {
    va_fit_problem p = {0};
    p.rows = tensor(frames, prefix, "rows", &p.n, NULL);
    p.labels = tensor(frames, prefix, "labels", NULL, NULL);
    return p;
}

// rows [RANK, d] f32 and sigma are the fixture's; rows are orthonormal.
static void check_frame(const char *prefix, const float *rows, const double *sigma, int64_t d,
                        double sign) {
    const double *expected = tensor(frames, prefix, "frame", NULL, NULL);
    const double *expected_sigma = tensor(frames, prefix, "sigma", NULL, NULL);
    for (int64_t k = 0; k < RANK; k++) {
        assert_true(fabs(sigma[k] - expected_sigma[k]) < 1e-12 * expected_sigma[0]);
        for (int64_t i = 0; i < d; i++) // 6e-8: rounding to f32
            assert_true(fabs((double)rows[k * d + i] - sign * expected[k * d + i]) < 6e-8);
        for (int64_t j = 0; j <= k; j++) {
            double dot = 0;
            for (int64_t i = 0; i < d; i++)
                dot += (double)rows[k * d + i] * rows[j * d + i];
            assert_true(fabs(dot - (j == k)) < 3e-7);
        }
    }
}

static void frames_of_networks(void **state) {
    (void)state;
    static const char *const names[] = {"wide.", "tall."};
    for (int i = 0; i < 2; i++)
        for (int sign = -1; sign < 2; sign += 2) { // of the logit, which turns every vector
            va_mlp m = network(names[i]);
            int64_t n;
            const float *X = tensor(networks, names[i], "X", &n, NULL);
            float rows[RANK * D], first[D], alone[D];
            double sigma[RANK], one;
            for (int64_t v = 0; v < m.h2; v++)
                m.W3[v] *= (float)sign;
            assert_ok(ctx, va_mlp_frame(ctx, &m, X, n, RANK, rows, sigma));
            check_frame(names[i], rows, sigma, m.d, sign);
            assert_ok(ctx, va_mlp_frame(ctx, &m, X, n, 1, first, &one));
            assert_ok(ctx, va_mlp_direction(ctx, &m, VA_MLP_W1_SVD, X, n, alone, NULL));
            assert_memory_equal(first, rows, (size_t)m.d * sizeof *rows);
            assert_true(one == sigma[0]);
            for (int64_t c = 0; c < m.d; c++) // two algorithms, before rounding to f32
                assert_true(fabsf(first[c] - alone[c]) < 6e-8f);
        }
}

static void refuses_networks(void **state) {
    (void)state;
    va_mlp m = network("wide.");
    int64_t n;
    const float *X = tensor(networks, "wide.", "X", &n, NULL);
    float rows[D * D];
    double sigma[D];
#define FRAME(n_rows, rank) va_mlp_frame(ctx, &m, X, n_rows, rank, rows, sigma)
    assert_int_equal(m.h1, 12);
    assert_ok(ctx, FRAME(n, 12));
    assert_error(ctx, VA_ERR_USAGE, "expected a rank from 1 to 12, got 13", FRAME(n, 13));
    assert_error(ctx, VA_ERR_USAGE, "expected a rank from 1 to 12, got 0", FRAME(n, 0));
    assert_error(ctx, VA_ERR_SHAPE, "expected at least one row, got 0", FRAME(0, 2));
    memcpy(m.W1 + m.d, m.W1, (size_t)m.d * sizeof *m.W1); // two rows are the same
    assert_ok(ctx, FRAME(n, 11));
    assert_error(ctx, VA_ERR_NUMERIC, "at least 12 independent ones, found 11", FRAME(n, 12));
    m.W1[3] = INFINITY;
    assert_error(ctx, VA_ERR_NUMERIC, "0.weight[3]", FRAME(n, 2));
#undef FRAME
}

static void components_of_pairs(void **state) {
    (void)state;
    static const char *const names[] = {"0.", "1."};
    int64_t n, d;
    const float *X = tensor(frames, "", "X", &n, &d);
    for (int i = 0; i < 2; i++) {
        const va_fit_problem p = problem(names[i]);
        float rows[RANK * D], first[D];
        double sigma[RANK], one;
        va_linear_model model;
        const va_linear_params params = {.method = VA_LINEAR_PCA};
        assert_ok(ctx, va_linear_components(ctx, X, d, &p, RANK, rows, sigma));
        check_frame(names[i], rows, sigma, d, 1);
        assert_ok(ctx, va_linear_components(ctx, X, d, &p, 1, first, &one));
        assert_memory_equal(first, rows, (size_t)d * sizeof *rows);
        assert_ok(ctx, va_linear_fit(ctx, NULL, arena, X, n, d, &p, 1, &params, &model));
        double along = 0; // the fit turns its own by the classes' means, which are of all rows
        for (int64_t c = 0; c < d; c++)
            along += (double)first[c] * model.w[c];
        for (int64_t c = 0; c < d; c++)
            assert_true(fabs((double)first[c] - (along < 0 ? -1 : 1) * (double)model.w[c]) < 6e-8);
        if (i == 0) // as many of each class
            assert_true(along > 0);
    }
}

static void refuses_components(void **state) {
    (void)state;
    int64_t n, d;
    float *X = tensor(frames, "", "X", &n, &d), rows[D * D];
    double sigma[D];
    int64_t row[] = {0, 1, 2, 3, 0, 1};
    float label[] = {1, 0, 1, 0, 1, 0};
    const va_fit_problem p = {.rows = row, .labels = label, .n = 6};
#define COMPONENTS(rank) va_linear_components(ctx, X, d, &p, rank, rows, sigma)
    assert_ok(ctx, COMPONENTS(2));
    assert_error(ctx, VA_ERR_USAGE, "expected a rank from 1 to 3, got 4", COMPONENTS(4));
    assert_error(ctx, VA_ERR_USAGE, "expected a rank from 1 to 3, got 0", COMPONENTS(0));
    // the third pair is the first one again
    assert_error(ctx, VA_ERR_NUMERIC, "at least 3 independent ones, found 2", COMPONENTS(3));
    X[0] = INFINITY;
    assert_error(ctx, VA_ERR_NUMERIC, "[0, 0] is inf", COMPONENTS(1));
#undef COMPONENTS
}

// -- the decomposition below ---------------------------------------------------------------------

static void frame_is_that_of_a_full_decomposition(void **state) {
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1}, {7, 30, 7}, {30, 7, 7}, {64, 48, 5}};
    for (int64_t s = 0; s < VA_COUNT(shapes); s++) {
        const int64_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
        va_rng rng = va_rng_make((uint64_t)s, va_hash64("test_frames"));
        float *A = VA_NEW_ARRAY(arena, float, m *n);
        double *B = VA_NEW_ARRAY(arena, double, m *n), *V = VA_NEW_ARRAY(arena, double, k *n);
        double sigma[64];
        va_svd_result full;
        for (int64_t i = 0; i < m * n; i++)
            B[i] = A[i] = (float)va_rng_normal(&rng);
        assert_ok(ctx, va_svd_host(ctx, arena, A, m, n, k, &full));
        assert_ok(ctx, va_svd_host_frame(ctx, B, m, n, k, V, sigma));
        for (int64_t j = 0; j < k; j++) {
            double along = 0;
            assert_true(fabs(sigma[j] / full.sigma[j] - 1) < 1e-12);
            for (int64_t i = 0; i < n; i++)
                along += V[j * n + i] * full.V[j * n + i];
            assert_true(fabs(fabs(along) - 1) < 1e-6); // the full one's are rounded to f32
        }
    }
}

static void frame_refuses(void **state) {
    (void)state;
    const double A[] = {1, 0, 0, 1, 0, NAN}, zero[4] = {0};
    double V[9], sigma[3];
    assert_error(ctx, VA_ERR_USAGE, "expected 1 to 2 vectors of [2, 2], got 3",
                 va_svd_host_frame(ctx, A, 2, 2, 3, V, sigma));
    assert_error(ctx, VA_ERR_USAGE, "got 0", va_svd_host_frame(ctx, A, 2, 2, 0, V, sigma));
    assert_error(ctx, VA_ERR_NUMERIC, "[1, 2] is nan",
                 va_svd_host_frame(ctx, A, 2, 3, 1, V, sigma));
    assert_error(ctx, VA_ERR_NUMERIC, "zero matrix [2, 2]",
                 va_svd_host_frame(ctx, zero, 2, 2, 1, V, sigma));
}

// -- memory of training --------------------------------------------------------------------------

// More of anything never takes less.
static void training_bytes_rise(void **state) {
    (void)state;
    const va_mlp_params small = {.h1 = 16, .h2 = 8, .batch = 32};
    const int64_t bytes = va_mlp_train_bytes(&small, 100, 64, 50, 3);
    assert_true(bytes > 100 * 64 * 4);
    const va_mlp_params wider = {.h1 = 17, .h2 = 8, .batch = 32};
    const va_mlp_params deeper = {.h1 = 16, .h2 = 9, .batch = 32};
    const va_mlp_params longer = {.h1 = 16, .h2 = 8, .batch = 40};
    assert_true(va_mlp_train_bytes(&wider, 100, 64, 50, 3) > bytes);
    assert_true(va_mlp_train_bytes(&deeper, 100, 64, 50, 3) > bytes);
    assert_true(va_mlp_train_bytes(&longer, 100, 64, 50, 3) > bytes);
    assert_true(va_mlp_train_bytes(&small, 101, 64, 50, 3) > bytes);
    assert_true(va_mlp_train_bytes(&small, 100, 68, 50, 3) > bytes);
    assert_true(va_mlp_train_bytes(&small, 100, 64, 51, 3) >= bytes);
    assert_true(va_mlp_train_bytes(&small, 100, 64, 50, 4) > bytes);
    assert_true(va_mlp_train_bytes(&small, 100, 64, 90, 3) > bytes);
    int64_t last = 0;
    for (int64_t n = 1; n < 2000; n *= 2) {
        const int64_t now = va_mlp_train_bytes(&small, 100, 64, 50, n);
        assert_true(now > last);
        last = now;
    }
    assert_int_equal(va_mlp_train_bytes(&small, INT64_MAX / 8, 64, 50, 1), -1);
    assert_int_equal(va_mlp_train_bytes(&small, 100, INT64_MAX / 8, 50, 1), -1);
    assert_true(va_mlp_train_bytes(&small, 100, 64, 50, INT64_MAX / 8) >= last); // in groups
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(frames_of_networks),
        TEST(refuses_networks),
        TEST(components_of_pairs),
        TEST(refuses_components),
        TEST(frame_is_that_of_a_full_decomposition),
        TEST(frame_refuses),
        TEST(training_bytes_rise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
