// test_probe_captures.c: on activations of the shipped model, captured by transformers, every
// method scores on held-out items as scikit-learn, numpy and torch do (make_probe_captures.py).
// libs: va_probe va_metric
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include <math.h>

#include "vkalign/metric.h"
#include "vkalign/probe_linear.h"

enum { D = 160, MAX_ROWS = 400, SEEDS = 32 };

static struct {
    va_ctx *ctx;
    va_gpu *gpu;
    va_safetensors *file;
    float X[MAX_ROWS * D], test[MAX_ROWS * D], labels[MAX_ROWS];
    int64_t rows[MAX_ROWS], n, n_train, n_test;
    bool truth[MAX_ROWS];
} env;

static const va_file_tensor *find(const char *name) {
    const va_file_tensor *t = va_safetensors_find(env.file, name);
    assert_non_null(t);
    return t;
}

static int setup(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    env.ctx = va_test_ctx();
    env.gpu = va_test_gpu(env.ctx);
    va_test_fixture(path, "probe_captures/captures.safetensors");
    assert_ok(env.ctx, va_safetensors_open(env.ctx, path, &env.file));
    env.n = find("y")->n_elem;
    assert_true(env.n <= MAX_ROWS && find("X")->n_elem == env.n * D);
    va_convert_to_f32(env.X, find("X")->data, VA_F16, env.n * D);
    const uint8_t *y = find("y")->data, *train = find("train")->data;
    for (int64_t r = 0; r < env.n; r++) {
        if (train[r]) {
            env.labels[env.n_train] = y[r];
            env.rows[env.n_train++] = r;
            continue;
        }
        memcpy(env.test + env.n_test * D, env.X + r * D, D * sizeof *env.X);
        env.truth[env.n_test++] = y[r] > 0;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_safetensors_close(&env.file);
    va_test_gpu_close(&env.gpu);
    va_ctx_destroy(&env.ctx);
    return 0;
}

static void score(const double *scores, double *f1, double *auroc) {
    va_metric_scores got;
    assert_ok(env.ctx, va_metric_classify(env.ctx, scores, env.truth, env.n_test, 0, &got));
    assert_ok(env.ctx, va_metric_auroc(env.ctx, scores, env.truth, env.n_test, auroc));
    *f1 = got.f1;
}

static void compare(const char *name, double f1, double auroc) {
    double want[2];
    memcpy(want, find(name)->data, sizeof want);
    printf("%s: f1 %.4f, reference %.4f; auroc %.4f, reference %.4f\n", name, f1, want[0], auroc,
           want[1]);
    assert_true(fabs(f1 - want[0]) < 0.01);
    assert_true(fabs(auroc - want[1]) < 0.01);
}

static void linear_methods(void **state) {
    (void)state;
    static const struct {
        va_linear_method method;
        const char *name;
    } methods[] = {{VA_LINEAR_LOGISTIC, "logistic"},
                   {VA_LINEAR_LDA, "lda"},
                   {VA_LINEAR_DIFFERENCE, "difference"}};
    const va_fit_problem problem = {env.rows, env.labels, env.n_train, 0};
    va_arena *arena = va_arena_create();
    for (int64_t i = 0; i < VA_COUNT(methods); i++) {
        const va_linear_params params = {.method = methods[i].method};
        va_linear_model model;
        double scores[MAX_ROWS], f1, auroc;
        assert_ok(env.ctx, va_linear_fit(env.ctx, env.gpu, arena, env.X, env.n, D, &problem, 1,
                                         &params, &model));
        assert_true(model.converged);
        va_linear_scores(&model, env.test, env.n_test, scores);
        score(scores, &f1, &auroc);
        compare(methods[i].name, f1, auroc);
    }
    va_arena_destroy(&arena);
}

static va_status add_scores(void *user, int64_t problem, const va_mlp *mlp) {
    double *sums = user, scores[MAX_ROWS], f1, auroc;
    float logits[MAX_ROWS];
    (void)problem;
    va_mlp_logits(mlp, env.test, env.n_test, logits);
    for (int64_t i = 0; i < env.n_test; i++)
        scores[i] = logits[i];
    score(scores, &f1, &auroc);
    sums[0] += f1 / SEEDS;
    sums[1] += auroc / SEEDS;
    return VA_OK;
}

static void networks(void **state) {
    (void)state;
    va_fit_problem problems[SEEDS];
    double sums[2] = {0, 0};
    for (int p = 0; p < SEEDS; p++)
        problems[p] = (va_fit_problem){env.rows, env.labels, env.n_train, (uint64_t)p};
    assert_ok(env.ctx,
              va_mlp_train_each(env.gpu, env.X, env.n, D, problems, SEEDS, NULL, add_scores, sums));
    compare("mlp", sums[0], sums[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_methods),
        cmocka_unit_test(networks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
