// test_linear_probe.c: logistic regression whose Hessian the device forms, against the host's.
// The methods themselves are held to scikit-learn in test_linear_host.c.
// libs: va_probe
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include <math.h>

#include "vkalign/probe_linear.h"

enum { N = 300, D = 150 };

typedef struct fixture {
    va_ctx *ctx;
    va_arena *arena;
    va_gpu *gpu;
    float *X;
    va_fit_problem problem;
} fixture;

// Standard deviations of .01 to 100 and means of up to 1000.
static void make_rows(fixture *f) {
    va_rng rng = va_rng_make(5, va_hash64("test_linear_probe"));
    float *labels = VA_NEW_ARRAY(f->arena, float, N);
    int64_t *rows = VA_NEW_ARRAY(f->arena, int64_t, N);
    f->X = VA_NEW_ARRAY(f->arena, float, N *D);
    for (int64_t i = 0; i < N; i++) {
        double along = 0;
        for (int64_t j = 0; j < D; j++) {
            double z = va_rng_normal(&rng);
            along += j < 9 ? z : 0;
            f->X[i * D + j] = (float)(z * pow(10, (double)(j % 9) / 2 - 2) + 1000 * cos((double)j));
        }
        rows[i] = i;
        labels[i] = along + va_rng_normal(&rng) > 0;
    }
    f->problem = (va_fit_problem){rows, labels, N, 0};
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->arena = va_arena_create();
    f->gpu = va_test_gpu(f->ctx);
    make_rows(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_test_gpu_close(&f->gpu);
    va_arena_destroy(&f->arena);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static va_linear_model fit(fixture *f, va_gpu *gpu, double l2) {
    va_linear_model m;
    const va_linear_params params = {.l2 = l2, .device = 1};
    assert_ok(f->ctx,
              va_linear_fit(f->ctx, gpu, f->arena, f->X, N, D, &f->problem, 1, &params, &m));
    if (!m.converged)
        fail_msg("l2 %g: gradient %g after %lld steps", l2, m.gradient_norm,
                 (long long)m.iterations);
    return m;
}

// |dF/dw| from f32 weights over its value at w = 0, formula by formula.
static double gradient_of(const fixture *f, const va_linear_model *m, double l2) {
    double *g = VA_NEW_ARRAY(f->arena, double, D), *g0 = VA_NEW_ARRAY(f->arena, double, D);
    double *scores = VA_NEW_ARRAY(f->arena, double, N), share = 0, square = 0, square0 = 0;
    for (int64_t i = 0; i < N; i++)
        share += (double)f->problem.labels[i] / N;
    va_linear_scores(m, f->X, N, scores);
    for (int64_t i = 0; i < N; i++) {
        double p = 1 / (1 + exp(-scores[i])), y = f->problem.labels[i];
        for (int64_t j = 0; j < D; j++) {
            double x = (double)f->X[i * D + j] - 1000 * cos((double)j); // sum (p - y) is near 0
            g[j] += (p - y) * x;
            g0[j] += (share - y) * x;
        }
    }
    for (int64_t j = 0; j < D; j++) {
        square += pow(g[j] + l2 * (double)m->w[j], 2);
        square0 += g0[j] * g0[j];
    }
    return sqrt(square / square0);
}

static void device_finds_what_the_host_finds(void **state) {
    fixture *f = *state;
    const double l2[] = {100, 1, 1e-3};
    for (int i = 0; i < 3; i++) {
        int64_t before = va_gpu_dispatch_count(f->gpu);
        va_linear_model device = fit(f, f->gpu, l2[i]), again = fit(f, f->gpu, l2[i]);
        assert_true(va_gpu_dispatch_count(f->gpu) > before);
        va_linear_model host = fit(f, NULL, l2[i]);
        double error = va_test_max_error_f32(device.w, host.w, D);
        double gradient = gradient_of(f, &device, l2[i]);
        print_message("  l2 %g: %lld steps, %lld on the host, apart by %.1e, gradient %.1e\n",
                      l2[i], (long long)device.iterations, (long long)host.iterations, error,
                      gradient);
        assert_true(error < 1e-6); // f32 of w: 6e-8
        assert_true(gradient < 1e-5);
        assert_memory_equal(device.w, again.w, D * sizeof(float));
        assert_true(device.b == again.b);
    }
}

static void small_problems_stay_on_the_host(void **state) {
    fixture *f = *state;
    va_linear_model m;
    va_fit_problem few = f->problem;
    int64_t before = va_gpu_dispatch_count(f->gpu);
    few.n = 200;
    for (int k = VA_LINEAR_LOGISTIC; va_linear_method_name((va_linear_method)k); k++)
        assert_ok(f->ctx, va_linear_fit(f->ctx, f->gpu, f->arena, f->X, N, D, &few, 1,
                                        &(va_linear_params){.method = (va_linear_method)k}, &m));
    assert_int_equal(va_gpu_dispatch_count(f->gpu), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_finds_what_the_host_finds),
        cmocka_unit_test(small_problems_stay_on_the_host),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
