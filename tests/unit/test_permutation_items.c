// test_permutation_items.c: p-values of permuted labels are uniform where labels mean nothing,
// though texts of an item depend on each other and the definition is unlike every item.
// libs: va_experiment
// SPDX-License-Identifier: Apache-2.0
#include "experiment_case.h"

#include <math.h>

#include "fit.h"
#include "uniform_check.h"
#include "vkalign/metric.h"
#include "vkalign/metric_resample.h"

// Few positives and many negatives: a definition that moved would weigh more on one side.
static const char text[] =
    "version: 1\n"
    "name: test\n"
    "model: {path: MODEL, layers: [2]}\n"
    "concepts:\n"
    "  - {name: Dog, definition: it barks, positives: [a, b, c, d, e, f],\n"
    "     hard_negatives: [g, h, i, j, k, l, m, n, o, p], random_negatives: [q, r, s, t, u, v]}\n"
    "prompts: [\"The {concept} is\"]\n"
    "templates: [\"{item} is\", \"What is {item}?\", \"To {item}\"]\n"
    "directions:\n"
    "  near: {kind: difference, site: \"norm:2@last\"}\n"
    "metrics:\n"
    "  - {name: x, of: [near, near]}\n";

enum { D = 6, N_TRIALS = 300, N_DRAWS = 99, MAX_TEXTS = 128 };

// Every text is its item's vector and a little of its own; the definition lies far off.
static void draw_texts(va_rng *rng, const va_experiment *e, float *X) {
    const va_dataset *data = &e->plan.datasets[0];
    float item[MAX_TEXTS][D];
    for (int64_t i = 0; i < data->n_items; i++)
        for (int k = 0; k < D; k++)
            item[i][k] = (float)va_rng_normal(rng);
    for (int64_t r = 0; r < data->n; r++)
        for (int k = 0; k < D; k++)
            X[data->text[r] * D + k] =
                data->form[r] < 0 ? (k == 0 ? 30.0f : 0.0f)
                                  : item[data->item[r]][k] + 0.3f * (float)va_rng_normal(rng);
}

// Cosine of the fitted direction with where the definition lies.
static double cosine_of(va_ctx *ctx, va_arena *arena, const float *X, int64_t n,
                        const va_fit_problem *p) {
    static const float u[D] = {1};
    const va_linear_params params = {.method = VA_LINEAR_DIFFERENCE};
    va_linear_model model;
    double cosine;
    assert_ok(ctx, va_linear_fit(ctx, NULL, arena, X, n, D, p, 1, &params, &model));
    assert_ok(ctx, va_metric_cosine(ctx, model.w, u, D, &cosine));
    return cosine;
}

static double trial(fixture *f, va_run *run, va_rng *rng, int64_t seed) {
    float X[MAX_TEXTS * D];
    double draws[N_DRAWS], p;
    va_items items;
    va_fit_problem problem;
    va_arena *arena = va_arena_create();
    const int64_t n = run->e->plan.n_texts;
    assert_true(n <= MAX_TEXTS);
    draw_texts(rng, run->e, X);
    assert_ok(f->ctx, va_run_split(run, arena, 0, seed, 0.1, &items));
    assert_ok(f->ctx, va_run_problem(run, arena, &items, &problem));
    const double observed = cosine_of(f->ctx, arena, X, n, &problem);
    for (int64_t i = 0; i < N_DRAWS; i++) {
        assert_ok(f->ctx, va_run_permuted(run, arena, &items, i, &problem));
        draws[i] = cosine_of(f->ctx, arena, X, n, &problem);
    }
    assert_ok(f->ctx, va_metric_tail_p(f->ctx, VA_METRIC_TAIL_ABS, observed, draws, N_DRAWS, &p));
    va_arena_destroy(&arena);
    return p;
}

static void p_values_are_uniform(void **state) {
    fixture *f = *state;
    static double p[N_TRIALS];
    va_experiment *e = NULL;
    va_rng rng = va_rng_make(11, 5);
    int64_t n_small = 0;
    accept_text(f, text, &e);
    va_run run = {.ctx = f->ctx, .e = e};
    for (int64_t i = 0; i < N_TRIALS; i++) {
        p[i] = trial(f, &run, &rng, i);
        n_small += p[i] <= 0.05;
    }
    printf("p <= .05 in %.3f of %d trials, sqrt(n) D = %.2f\n", (double)n_small / N_TRIALS,
           N_TRIALS, ks_discrete(p, N_TRIALS));
    assert_true(ks_discrete(p, N_TRIALS) < KS_999);
    va_experiment_free(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(p_values_are_uniform, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
