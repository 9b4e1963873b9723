// test_metric_calibration.c: under a true null p-values are uniform; a planted direction is found
// as often as theory predicts.
// libs: va_metric
// SPDX-License-Identifier: Apache-2.0
#include "uniform_check.h"

#include "vkalign/metric.h"
#include "vkalign/metric_compare.h"
#include "vkalign/metric_resample.h"

enum { SETS = 2000, DRAWS = 99 }; // p from draws: 0.01, 0.02, ..., 1

static void fill(va_rng *rng, float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)va_rng_normal(rng);
}

static double exponential(va_rng *rng) {
    return -log(1 - va_rng_uniform(rng));
}

static double tail_p(va_ctx *ctx, va_metric_tail tail, double observed, const double *null) {
    double p = NAN;
    assert_ok(ctx, va_metric_tail_p(ctx, tail, observed, null, DRAWS, &p));
    return p;
}

// Prints and holds the distance to the bound that chance passes 1 time in 1000.
static void assert_uniform(const char *what, double distance) {
    print_message("  %-40s sqrt(n) D = %.2f\n", what, distance);
    assert_true(distance < KS_999);
}

// -- p-values from draws ---------------------------------------------------------------------

// A skewed, shifted null: only the tails that do not lean on 0 as its centre.
static void draws_of_any_null(void **state) {
    (void)state;
    static const va_metric_tail tails[] = {VA_METRIC_TAIL_GREATER, VA_METRIC_TAIL_LESS,
                                           VA_METRIC_TAIL_EITHER, VA_METRIC_TAIL_ABS};
    va_ctx *ctx = va_test_ctx();
    static double p[4][SETS];
    va_rng rng = va_rng_make(40, 0);
    for (int64_t s = 0; s < SETS; s++) {
        double null[DRAWS], observed = 3 + exponential(&rng);
        for (int64_t i = 0; i < DRAWS; i++)
            null[i] = 3 + exponential(&rng);
        for (int64_t k = 0; k < 4; k++)
            p[k][s] = tail_p(ctx, tails[k], observed, null);
    }
    for (int64_t k = 0; k < 4; k++)
        assert_uniform(va_metric_tail_name(tails[k]), ks_discrete(p[k], SETS));
    va_ctx_destroy(&ctx);
}

static double difference_of_means(const double *x, const int64_t *order, int64_t n, int64_t half) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += i < half ? x[order[i]] / (double)half : -x[order[i]] / (double)(n - half);
    return sum;
}

static void label_permutations(void **state) {
    (void)state;
    enum { N = 20, POSITIVES = 6 };
    va_ctx *ctx = va_test_ctx();
    static double two_sided[SETS], one_sided[SETS];
    va_rng rng = va_rng_make(41, 0);
    for (int64_t s = 0; s < SETS; s++) {
        double x[N], null[DRAWS];
        int64_t order[N];
        for (int64_t i = 0; i < N; i++) {
            x[i] = exponential(&rng);
            order[i] = i;
        }
        const double observed = difference_of_means(x, order, N, POSITIVES);
        for (int64_t i = 0; i < DRAWS; i++) {
            va_rng_shuffle(&rng, order, N);
            null[i] = difference_of_means(x, order, N, POSITIVES);
        }
        two_sided[s] = tail_p(ctx, VA_METRIC_TAIL_ABS, observed, null);
        one_sided[s] = tail_p(ctx, VA_METRIC_TAIL_GREATER, observed, null);
    }
    assert_uniform("label permutation, two-sided", ks_discrete(two_sided, SETS));
    assert_uniform("label permutation, one-sided", ks_discrete(one_sided, SETS));
    va_ctx_destroy(&ctx);
}

// Spans of Gaussian rows against draws of their null, and against those of two dimensions more.
static void overlap_of_frames(void **state) {
    (void)state;
    const va_metric_subspaces dims = {2, 3, 12}, wrong = {2, 3, 14}, line = {1, 4, 12};
    va_ctx *ctx = va_test_ctx();
    static double p[SETS], largest[SETS], off[SETS], exact[SETS];
    va_rng rng = va_rng_make(42, 0);
    for (int64_t s = 0; s < SETS; s++) {
        float u[24], v[48];
        double c[2], null[DRAWS], cosines[DRAWS * 2], top[DRAWS];
        fill(&rng, u, 24);
        fill(&rng, v, 48);
        assert_ok(ctx, va_metric_principal_angles(ctx, &(va_metric_rows){u, 2, 12},
                                                  &(va_metric_rows){v, 3, 12}, c, NULL));
        const double overlap = va_metric_overlap(c, 2);
        assert_ok(ctx, va_metric_subspace_null(ctx, &dims, &rng, DRAWS, null, cosines));
        for (int64_t i = 0; i < DRAWS; i++)
            top[i] = cosines[2 * i];
        p[s] = tail_p(ctx, VA_METRIC_TAIL_GREATER, overlap, null);
        largest[s] = tail_p(ctx, VA_METRIC_TAIL_GREATER, c[0], top);
        assert_ok(ctx, va_metric_subspace_null(ctx, &wrong, &rng, DRAWS, null, NULL));
        off[s] = tail_p(ctx, VA_METRIC_TAIL_GREATER, overlap, null);
        assert_ok(ctx, va_metric_principal_angles(ctx, &(va_metric_rows){u, 1, 12},
                                                  &(va_metric_rows){v, 4, 12}, c, NULL));
        assert_ok(ctx, va_metric_overlap_p(ctx, c[0] * c[0], &line, &exact[s]));
    }
    assert_uniform("overlap of planes, from draws", ks_discrete(p, SETS));
    assert_uniform("largest cosine, from draws", ks_discrete(largest, SETS));
    assert_uniform("overlap of a line, exact", ks_uniform(exact, SETS));
    assert_true(ks_discrete(off, SETS) > KS_999);
    va_ctx_destroy(&ctx);
}

static void agreement_of_directions(void **state) {
    (void)state;
    enum { N = 4, D = 6 };
    va_ctx *ctx = va_test_ctx();
    static double signed_p[SETS], absolute_p[SETS];
    va_rng rng = va_rng_make(43, 0);
    for (int64_t s = 0; s < SETS; s++) {
        float x[N * D];
        double means[DRAWS], mean_abs[DRAWS];
        va_metric_agreement a;
        fill(&rng, x, N * D);
        assert_ok(ctx, va_metric_agree(ctx, &(va_metric_rows){x, N, D}, &a));
        assert_ok(ctx, va_metric_agreement_null(ctx, N, D, &rng, DRAWS, means, mean_abs));
        signed_p[s] = tail_p(ctx, VA_METRIC_TAIL_EITHER, a.mean, means);
        absolute_p[s] = tail_p(ctx, VA_METRIC_TAIL_GREATER, a.mean_abs, mean_abs);
    }
    assert_uniform("mean pairwise cosine, two-sided", ks_discrete(signed_p, SETS));
    assert_uniform("mean pairwise |cosine|", ks_discrete(absolute_p, SETS));
    va_ctx_destroy(&ctx);
}

static void cka_of_unrelated_activations(void **state) {
    (void)state;
    enum { N = 10, D1 = 3, D2 = 12 };
    va_ctx *ctx = va_test_ctx();
    static double p[2][SETS];
    va_rng rng = va_rng_make(44, 0);
    for (int64_t s = 0; s < SETS; s++) {
        float x[N * D1], y[N * D2];
        fill(&rng, x, N * D1);
        for (int64_t i = 0; i < N * D2; i++)
            y[i] = (float)exponential(&rng);
        for (int kind = 0; kind < 2; kind++) {
            double cka = NAN, null[DRAWS];
            assert_ok(ctx,
                      va_metric_cka_null(ctx, (va_metric_cka_kind)kind, &(va_metric_rows){x, N, D1},
                                         &(va_metric_rows){y, N, D2}, &rng, DRAWS, &cka, null));
            p[kind][s] = tail_p(ctx, VA_METRIC_TAIL_GREATER, cka, null);
        }
    }
    assert_uniform("CKA, rows shuffled", ks_discrete(p[VA_METRIC_CKA_BIASED], SETS));
    assert_uniform("unbiased CKA, rows shuffled", ks_discrete(p[VA_METRIC_CKA_UNBIASED], SETS));
    va_ctx_destroy(&ctx);
}

// -- exact and approximate tests -------------------------------------------------------------

static void cosines_of_random_directions(void **state) {
    (void)state;
    enum { D = 64, N = 5 };
    va_ctx *ctx = va_test_ctx();
    static double one[SETS], mean[SETS], fisher[SETS];
    va_rng rng = va_rng_make(39, 0);
    for (int64_t s = 0; s < SETS; s++) {
        float u[D], x[D];
        double c[N], p[N];
        fill(&rng, u, D);
        for (int64_t i = 0; i < N; i++) {
            fill(&rng, x, D);
            assert_ok(ctx, va_metric_cosine(ctx, u, x, D, &c[i]));
            assert_ok(ctx, va_metric_cosine_p(ctx, c[i], D, &p[i]));
        }
        one[s] = p[0];
        assert_ok(ctx, va_metric_mean_test(ctx, c, N, D, NULL, &mean[s]));
        assert_ok(ctx, va_metric_fisher(ctx, p, N, NULL, &fisher[s]));
    }
    assert_uniform("cosine, exact", ks_uniform(one, SETS));
    assert_uniform("mean of five cosines", ks_uniform(mean, SETS));
    assert_uniform("Fisher's method on five", ks_uniform(fisher, SETS));
    va_ctx_destroy(&ctx);
}

static void spearman_of_unrelated_values(void **state) {
    (void)state;
    static const struct {
        int64_t n;
        bool ties;
        const char *what;
    } table[] = {{5, false, "Spearman of 5, exact"},
                 {7, true, "Spearman of 7 with ties, exact"},
                 {30, false, "Spearman of 30, t"}};
    va_ctx *ctx = va_test_ctx();
    static double p[SETS];
    for (int64_t k = 0; k < VA_COUNT(table); k++) {
        const int64_t n = table[k].n;
        va_rng rng = va_rng_make(45, (uint64_t)n);
        for (int64_t s = 0; s < SETS; s++) {
            double x[32], y[32], rho;
            for (int64_t i = 0; i < n; i++) { // the same ties in each set
                x[i] = table[k].ties ? (double)(i / 2) : va_rng_normal(&rng);
                y[i] = exponential(&rng);
            }
            assert_ok(ctx, va_metric_spearman(ctx, x, y, n, &rho, &p[s]));
        }
        assert_uniform(table[k].what, ks_discrete(p, SETS));
    }
    va_ctx_destroy(&ctx);
}

// Normal values without effects of targets are calibrated; with effects, F / (1 + k r) is F, r the
// ratio of variances, which gives the power.
static void intraclass_correlation(void **state) {
    (void)state;
    enum { N = 6, K = 4 };
    const double ratio = 0.5;
    va_ctx *ctx = va_test_ctx();
    static double p[SETS];
    double found = 0, icc;
    va_rng rng = va_rng_make(46, 0);
    for (int64_t s = 0; s < SETS; s++) {
        double x[N * K], y[N * K], with_effects;
        for (int64_t i = 0; i < N; i++) {
            const double effect = sqrt(ratio) * va_rng_normal(&rng);
            for (int64_t j = 0; j < K; j++) {
                x[i * K + j] = 5 + va_rng_normal(&rng);
                y[i * K + j] = x[i * K + j] + effect;
            }
        }
        assert_ok(ctx, va_metric_icc(ctx, x, N, K, &icc, &p[s]));
        assert_ok(ctx, va_metric_icc(ctx, y, N, K, &icc, &with_effects));
        found += (with_effects <= 0.05) / (double)SETS;
    }
    assert_uniform("intraclass correlation, F", ks_uniform(p, SETS));
    // scipy: f.sf(f.isf(.05, 5, 18) / 3, 5, 18)
    const double power = 0.488024;
    print_message("  intraclass correlation found: %.3f, theory %.3f\n", found, power);
    assert_close(found, power, 4 * sqrt(power * (1 - power) / SETS));
    va_ctx_destroy(&ctx);
}

// Of n independent tests under the null the smallest adjusted p is uniform for Benjamini-Hochberg
// (Simes, Biometrika 73, 1986) and times the harmonic sum for Benjamini-Yekutieli; n times the
// smallest p is at most a with probability 1 - (1 - a/n)^n for Holm.
static void corrections_of_true_nulls(void **state) {
    (void)state;
    enum { N = 10 };
    va_ctx *ctx = va_test_ctx();
    static double smallest[3][SETS];
    va_rng rng = va_rng_make(47, 0);
    double harmonic = 0;
    for (int i = 1; i <= N; i++)
        harmonic += 1.0 / i;
    for (int64_t s = 0; s < SETS; s++) {
        static const va_metric_correction kinds[] = {VA_METRIC_BH, VA_METRIC_BY, VA_METRIC_HOLM};
        double p[N], adjusted[N];
        for (int64_t i = 0; i < N; i++)
            p[i] = va_rng_uniform(&rng);
        for (int k = 0; k < 3; k++) {
            assert_ok(ctx, va_metric_adjust(ctx, kinds[k], p, N, adjusted));
            smallest[k][s] = 1;
            for (int64_t i = 0; i < N; i++)
                smallest[k][s] = fmin(smallest[k][s], adjusted[i]);
        }
        assert_close(smallest[1][s], fmin(1, harmonic * smallest[0][s]), 1e-12);
        smallest[2][s] = smallest[2][s] < 1 ? 1 - pow(1 - smallest[2][s] / N, N) : 1;
    }
    assert_uniform("smallest of Benjamini-Hochberg", ks_uniform(smallest[0], SETS));
    assert_uniform("smallest of Holm", ks_discrete(smallest[2], SETS)); // 1 takes the rest
    va_ctx_destroy(&ctx);
}

// -- power -----------------------------------------------------------------------------------

// u's shift plus noise in d dimensions: found at level .05 as often as the noncentral beta says.
static void planted_directions_are_found(void **state) {
    (void)state;
    static const struct {
        int64_t d;
        double shift;
    } table[] = {{2, 3}, {5, 2}, {16, 1}, {16, 2.5}, {256, 2}, {256, 3.5}, {1024, 2.5}};
    va_ctx *ctx = va_test_ctx();
    static float u[1024], x[1024];
    for (int64_t k = 0; k < VA_COUNT(table); k++) {
        const int64_t d = table[k].d;
        va_rng rng = va_rng_make(48, (uint64_t)k);
        double norm, power, found = 0;
        fill(&rng, u, d);
        assert_ok(ctx, va_metric_norm(ctx, u, d, &norm));
        assert_ok(ctx, va_metric_cosine_power(ctx, table[k].shift, 0.05, d, &power));
        for (int64_t s = 0; s < SETS; s++) {
            double c, p;
            for (int64_t i = 0; i < d; i++)
                x[i] = (float)(table[k].shift * u[i] / norm + va_rng_normal(&rng));
            assert_ok(ctx, va_metric_cosine(ctx, x, u, d, &c));
            assert_ok(ctx, va_metric_cosine_p(ctx, c, d, &p));
            found += (p <= 0.05) / (double)SETS;
        }
        print_message("  d = %lld, shift %g: found %.3f, theory %.3f\n", (long long)d,
                      table[k].shift, found, power);
        assert_close(found, power, 4 * sqrt(power * (1 - power) / SETS));
    }
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_of_any_null),
        cmocka_unit_test(label_permutations),
        cmocka_unit_test(overlap_of_frames),
        cmocka_unit_test(agreement_of_directions),
        cmocka_unit_test(cka_of_unrelated_activations),
        cmocka_unit_test(cosines_of_random_directions),
        cmocka_unit_test(spearman_of_unrelated_values),
        cmocka_unit_test(intraclass_correlation),
        cmocka_unit_test(corrections_of_true_nulls),
        cmocka_unit_test(planted_directions_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
