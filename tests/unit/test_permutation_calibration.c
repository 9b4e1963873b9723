// test_permutation_calibration.c: directions fitted to labels that tell nothing have uniform
// permutation p-values; a planted direction is found as often as theory predicts.
// libs: va_probe va_metric
// SPDX-License-Identifier: Apache-2.0
#include "uniform_check.h"

#include "vkalign/metric.h"
#include "vkalign/metric_resample.h"
#include "vkalign/probe_linear.h"

enum { DRAWS = 99 }; // p from draws: 0.01, 0.02, ..., 1

// Labels of one set and of its permutations, and what is fitted to them.
typedef struct study {
    va_ctx *ctx;
    va_arena *arena;
    int64_t n, d, n_positive;
    float *X;      // [n, d]
    float *labels; // [1 + DRAWS, n]
    int64_t *rows; // [n] 0, 1, ...
    float *fixed;  // [d] the direction that fitted ones are compared with
    va_fit_problem problem[1 + DRAWS];
    va_linear_model model[1 + DRAWS];
} study;

static void study_begin(study *s, int64_t n, int64_t d, int64_t n_positive) {
    *s = (study){.ctx = va_test_ctx(), .n = n, .d = d, .n_positive = n_positive};
    s->arena = va_arena_create();
    s->X = calloc((size_t)(n * d), sizeof *s->X);
    s->labels = calloc((size_t)(n * (1 + DRAWS)), sizeof *s->labels);
    s->rows = calloc((size_t)n, sizeof *s->rows);
    s->fixed = calloc((size_t)d, sizeof *s->fixed);
    for (int64_t i = 0; i < n; i++)
        s->rows[i] = i;
    for (int64_t p = 0; p <= DRAWS; p++)
        s->problem[p] = (va_fit_problem){s->rows, s->labels + p * n, n, 0};
}

static void study_end(study *s) {
    free(s->X);
    free(s->labels);
    free(s->rows);
    free(s->fixed);
    va_arena_destroy(&s->arena);
    va_ctx_destroy(&s->ctx);
}

// The first n_positive of a shuffled order: problem 0 is the data's, the others are permutations.
static void draw_labels(study *s, va_rng *rng, int64_t n_problems) {
    int64_t order[64];
    assert_in_range(s->n, 2, VA_COUNT(order));
    for (int64_t i = 0; i < s->n; i++)
        order[i] = i;
    for (int64_t p = 0; p < n_problems; p++) {
        va_rng_shuffle(rng, order, s->n);
        for (int64_t i = 0; i < s->n; i++)
            s->labels[p * s->n + order[i]] = i < s->n_positive;
    }
}

static void fit(study *s, va_linear_method method, int64_t n_problems, double *cosines) {
    const va_linear_params params = {.method = method};
    va_arena_reset(s->arena);
    assert_ok(s->ctx, va_linear_fit(s->ctx, NULL, s->arena, s->X, s->n, s->d, s->problem,
                                    n_problems, &params, s->model));
    for (int64_t p = 0; p < n_problems; p++)
        assert_ok(s->ctx, va_metric_cosine(s->ctx, s->model[p].w, s->fixed, s->d, &cosines[p]));
}

static double tail_p(study *s, va_metric_tail tail, const double *cosines) {
    double p = NAN;
    assert_ok(s->ctx, va_metric_tail_p(s->ctx, tail, cosines[0], cosines + 1, DRAWS, &p));
    return p;
}

// -- no effect ------------------------------------------------------------------------------------

// Skewed, correlated columns of different scales, as activations are; the first is the largest.
static void draw_activations(study *s, va_rng *rng) {
    for (int64_t i = 0; i < s->n; i++) {
        double common = -log(1 - va_rng_uniform(rng));
        for (int64_t j = 0; j < s->d; j++)
            s->X[i * s->d + j] = (float)((common + va_rng_normal(rng)) * 4 / (double)(1 + j) + 7);
    }
}

// The fixed direction leans on the first column, where the activations are most: random directions
// are no null for it, which the last distance must show.
static void check_null(va_linear_method method, int64_t n_sets) {
    static double two_sided[1000], one_sided[1000], random[1000];
    study s;
    va_rng rng = va_rng_make(60 + (uint64_t)method, va_hash64("permutation"));
    study_begin(&s, 24, 12, 9);
    for (int64_t j = 0; j < s.d; j++)
        s.fixed[j] = j == 0 ? 2 : 0.5f;
    for (int64_t k = 0; k < n_sets; k++) {
        double cosines[1 + DRAWS];
        draw_activations(&s, &rng);
        draw_labels(&s, &rng, 1 + DRAWS);
        fit(&s, method, 1 + DRAWS, cosines);
        two_sided[k] = tail_p(&s, VA_METRIC_TAIL_ABS, cosines);
        one_sided[k] = tail_p(&s, VA_METRIC_TAIL_GREATER, cosines);
        assert_ok(s.ctx, va_metric_cosine_p(s.ctx, cosines[0], s.d, &random[k]));
    }
    const double two = ks_discrete(two_sided, n_sets), one = ks_discrete(one_sided, n_sets);
    const double off = ks_uniform(random, n_sets);
    print_message("  %s: sqrt(n) D = %.2f two-sided, %.2f one-sided; random directions %.2f\n",
                  va_linear_method_name(method), two, one, off);
    assert_true(two < KS_999);
    assert_true(one < KS_999);
    assert_true(off > KS_999);
    study_end(&s);
}

static void difference_of_unrelated_labels(void **state) {
    (void)state;
    check_null(VA_LINEAR_DIFFERENCE, 1000);
}

static void discriminant_of_unrelated_labels(void **state) {
    (void)state;
    check_null(VA_LINEAR_LDA, 200);
}

// -- a planted effect -----------------------------------------------------------------------------

// Rows N(label delta u, I): the difference of means is delta u + sqrt(1/n1 + 1/n0) z, z ~ N(0, I),
// so its cosine with u is that of shift u + z with shift = delta / sqrt(1/n1 + 1/n0).
static double found_share(study *s, va_rng *rng, double delta, int64_t n_sets) {
    double found = 0;
    for (int64_t k = 0; k < n_sets; k++) {
        double cosine, p;
        draw_labels(s, rng, 1);
        for (int64_t i = 0; i < s->n; i++)
            for (int64_t j = 0; j < s->d; j++)
                s->X[i * s->d + j] =
                    (float)(va_rng_normal(rng) + 3 + delta * (double)(s->labels[i] * s->fixed[j]));
        fit(s, VA_LINEAR_DIFFERENCE, 1, &cosine);
        assert_ok(s->ctx, va_metric_cosine_p(s->ctx, cosine, s->d, &p));
        found += p <= 0.05;
    }
    return found / (double)n_sets;
}

static void planted_direction(void **state) {
    (void)state;
    enum { SETS = 2000 };
    const double shifts[] = {0, 1.5, 3};
    study s;
    va_rng rng = va_rng_make(70, va_hash64("planted"));
    study_begin(&s, 30, 20, 12);
    s.fixed[3] = 0.6f; // of unit length
    s.fixed[17] = -0.8f;
    const double noise = sqrt(1.0 / 12 + 1.0 / 18);
    for (int k = 0; k < 3; k++) {
        double power;
        assert_ok(s.ctx, va_metric_cosine_power(s.ctx, shifts[k], 0.05, s.d, &power));
        const double found = found_share(&s, &rng, shifts[k] * noise, SETS);
        print_message("  shift %g: found %.3f, theory %.3f\n", shifts[k], found, power);
        assert_close(found, power, 4 * sqrt(power * (1 - power) / SETS));
    }
    study_end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(difference_of_unrelated_labels),
        cmocka_unit_test(discriminant_of_unrelated_labels),
        cmocka_unit_test(planted_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
