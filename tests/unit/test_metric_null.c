// test_metric_null.c: metrics under a true null, where p-values are uniform, and off it.
// libs: va_metric
// SPDX-License-Identifier: Apache-2.0
#include "uniform_check.h"

#include "vkalign/metric.h"

// Exceeded with probability 1e-6 (d = 2 has 2.07 here, by chance: 0.6 with 200,000 sets); the wrong
// dimension, 3 for 2 or 4 for 3, goes beyond it.
static const double KS_BOUND = 2.7;

static double random_cosine(va_ctx *ctx, va_rng *rng, const float *u, float *x, int64_t d) {
    double c = NAN;
    for (int64_t i = 0; i < d; i++)
        x[i] = (float)va_rng_normal(rng);
    assert_ok(ctx, va_metric_cosine(ctx, u, x, d, &c));
    return c;
}

static void p_values_are_uniform_under_the_null(void **state) {
    (void)state;
    enum { N_SETS = 3000, N = 5 };
    va_ctx *ctx = va_test_ctx();
    static const int64_t dims[] = {2, 3, 37, 256};
    static double one[N_SETS], wrong[N_SETS], mean[N_SETS], fisher[N_SETS];
    float u[256], x[256];
    for (int64_t k = 0; k < VA_COUNT(dims); k++) {
        int64_t d = dims[k];
        va_rng rng = va_rng_make(20, (uint64_t)d);
        for (int64_t i = 0; i < d; i++)
            u[i] = i % 3 ? 0.5f : -2.0f;
        for (int64_t s = 0; s < N_SETS; s++) {
            double c[N], p[N];
            for (int64_t i = 0; i < N; i++) {
                c[i] = random_cosine(ctx, &rng, u, x, d);
                assert_ok(ctx, va_metric_cosine_p(ctx, c[i], d, &p[i]));
            }
            one[s] = p[0];
            assert_ok(ctx, va_metric_cosine_p(ctx, c[0], d + 1, &wrong[s]));
            assert_ok(ctx, va_metric_fisher(ctx, p, N, NULL, &fisher[s]));
            if (d > 16)
                assert_ok(ctx, va_metric_mean_test(ctx, c, N, d, NULL, &mean[s]));
        }
        assert_true(ks_uniform(one, N_SETS) < KS_BOUND);
        assert_true(ks_uniform(wrong, N_SETS) > KS_BOUND || d > 16);
        assert_true(ks_uniform(fisher, N_SETS) < KS_BOUND);
        if (d > 16)
            assert_true(ks_uniform(mean, N_SETS) < KS_BOUND);
    }
    va_ctx_destroy(&ctx);
}

static void planted_direction_is_found(void **state) {
    (void)state;
    enum { D = 2560, N = 5 };
    va_ctx *ctx = va_test_ctx();
    va_rng rng = va_rng_make(4, 0);
    static float u[D], x[D];
    for (int64_t i = 0; i < D; i++)
        u[i] = (float)va_rng_normal(&rng);
    double c[N], p[N], adjusted[N], mean = NAN, combined = NAN;
    for (int64_t k = 0; k < N; k++) {
        c[k] = random_cosine(ctx, &rng, u, x, D);
        if (k == 2) { // one planted among noise
            for (int64_t i = 0; i < D; i++)
                x[i] -= 0.2f * u[i];
            assert_ok(ctx, va_metric_cosine(ctx, x, u, D, &c[k]));
            assert_true(c[k] < -0.1);
        }
        assert_ok(ctx, va_metric_cosine_p(ctx, c[k], D, &p[k]));
    }
    assert_ok(ctx, va_metric_adjust(ctx, VA_METRIC_HOLM, p, N, adjusted));
    for (int64_t k = 0; k < N; k++)
        assert_true(k == 2 ? adjusted[k] < 1e-6 : adjusted[k] > 0.01);
    assert_ok(ctx, va_metric_fisher(ctx, p, N, NULL, &combined));
    assert_true(combined < 1e-6);
    for (int64_t k = 0; k < N; k++) // a small shift in all: none alone, the mean does
        c[k] = 0.03;
    assert_ok(ctx, va_metric_cosine_p(ctx, c[0], D, &p[0]));
    assert_ok(ctx, va_metric_mean_test(ctx, c, N, D, NULL, &mean));
    assert_true(p[0] > 0.05 && mean < 0.001);
    va_ctx_destroy(&ctx);
}

// The published five cosines: chance puts their mean as far out one time in thirty.
static void published_mean_is_within_chance(void **state) {
    (void)state;
    va_ctx *ctx = va_test_ctx();
    const double c[] = {-.0377, -.0318, -.0229, -.0062, .0052};
    double z = NAN, p = NAN;
    assert_ok(ctx, va_metric_mean_test(ctx, c, 5, 2560, &z, &p));
    assert_near(z, -0.01868 * sqrt(5 * 2560.0), 1e-12);
    assert_true(fabs(p - erfc(-z / M_SQRT2)) < 2e-4); // the correction is of order 1/(n d)
    assert_true(p > 0.03 && p < 0.04);
    va_ctx_destroy(&ctx);
}

// Rows +-e_i spread alike in all directions: the covariance null is then the analytic one.
static void covariance_null(void **state) {
    (void)state;
    enum { D = 12, N = 2 * D, DRAWS = 3000 };
    va_ctx *ctx = va_test_ctx();
    float rows[N * D] = {0}, u[D];
    static double c[DRAWS], p[DRAWS];
    va_rng rng = va_rng_make(9, 1);
    for (int64_t i = 0; i < D; i++) {
        u[i] = (float)(i + 1);
        rows[(2 * i) * D + i] = 5; // the mean, 2 e_i, counts for nothing
        rows[(2 * i + 1) * D + i] = -5;
    }
    for (int64_t i = 0; i < N * D; i++)
        rows[i] += 2;
    va_arena *arena = va_arena_create();
    va_metric_spread *spread;
    assert_ok(ctx, va_metric_spread_make(ctx, arena, rows, N, D, &spread));
    assert_ok(ctx, va_metric_spread_null(ctx, spread, u, &rng, DRAWS, c));
    for (int64_t i = 0; i < DRAWS; i++)
        assert_ok(ctx, va_metric_cosine_p(ctx, c[i], D, &p[i]));
    assert_true(ks_uniform(p, DRAWS) < KS_BOUND);
    // One line: every draw lies along it.
    for (int64_t i = 0; i < N * D; i++)
        rows[i] = (float)(i / D) * (i % D == 3 ? 1.0f : 0.0f);
    assert_ok(ctx, va_metric_spread_make(ctx, arena, rows, N, D, &spread));
    assert_ok(ctx, va_metric_spread_null(ctx, spread, u, &rng, 20, c));
    for (int64_t i = 0; i < 20; i++)
        assert_near(fabs(c[i]), 4 / sqrt(650), 1e-9); // u_3 / |u|, |u|^2 = 1 + ... + 144
    for (int64_t i = 0; i < N * D; i++)
        rows[i] = 1;
    assert_error(ctx, VA_ERR_NUMERIC, "do not differ",
                 va_metric_spread_make(ctx, arena, rows, N, D, &spread));
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
}

// More columns than rows, spread unevenly: the draws' second moments are those of
// r = sum z_i (x_i - mean) drawn plainly.
static void covariance_null_of_wide_rows(void **state) {
    (void)state;
    enum { D = 40, N = 7, DRAWS = 20000 };
    va_ctx *ctx = va_test_ctx();
    va_arena *arena = va_arena_create();
    va_metric_spread *spread;
    va_rng rng = va_rng_make(4, 2), plain = va_rng_make(5, 3);
    float rows[N * D], u[D];
    static double c[DRAWS];
    double mean[D] = {0}, got = 0, want = 0;
    for (int64_t i = 0; i < N * D; i++) {
        rows[i] = (float)(va_rng_normal(&plain) * (i % D < 3 ? 9 : 1) + 4);
        mean[i % D] += rows[i] / N;
    }
    for (int64_t j = 0; j < D; j++)
        u[j] = (float)va_rng_normal(&plain);
    assert_ok(ctx, va_metric_spread_make(ctx, arena, rows, N, D, &spread));
    assert_ok(ctx, va_metric_spread_null(ctx, spread, u, &rng, DRAWS, c));
    for (int64_t k = 0; k < DRAWS; k++) {
        double dot = 0, square = 0, norm = 0, z[N];
        for (int64_t i = 0; i < N; i++)
            z[i] = va_rng_normal(&plain);
        for (int64_t j = 0; j < D; j++) {
            double r = 0;
            for (int64_t i = 0; i < N; i++)
                r += z[i] * (rows[i * D + j] - mean[j]);
            dot += r * u[j];
            square += r * r;
            norm += (double)u[j] * u[j];
        }
        want += dot * dot / square / norm / DRAWS;
        got += c[k] * c[k] / DRAWS;
    }
    assert_true(fabs(got / want - 1) < 0.05); // deviation of each about .01
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p_values_are_uniform_under_the_null),
        cmocka_unit_test(planted_direction_is_found),
        cmocka_unit_test(published_mean_is_within_chance),
        cmocka_unit_test(covariance_null),
        cmocka_unit_test(covariance_null_of_wide_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
