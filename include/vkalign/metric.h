// metric.h: host arrays in, numbers out: cosines and their null, summaries, tests, scores.
//
// Pure functions: no state, no files, no device. Where a number would have no meaning (a zero
// vector, a NaN, one class) there is an error, never a stand-in. Depends on base.h only.
// p-values are two-sided unless said. The layer's other headers: metric_compare.h (subspaces, CKA,
// Spearman, agreement) and metric_resample.h (bootstrap, p-values from draws).
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_METRIC_H
#define VKALIGN_METRIC_H

#include "vkalign/base.h"

#ifdef __cplusplus
extern "C" {
#endif

// -- vectors ---------------------------------------------------------------------------------

// Euclidean norm, accumulated in double; VA_ERR_NUMERIC when a component is not finite.
va_status va_metric_norm(va_ctx *ctx, const float *x, int64_t d, double *norm);
// a . b / (|a| |b|) in [-1, 1], accumulated in double. VA_ERR_NUMERIC when a vector is zero or has
// a component that is not finite.
va_status va_metric_cosine(va_ctx *ctx, const float *a, const float *b, int64_t d, double *cosine);

// -- the null of a cosine --------------------------------------------------------------------

// A uniformly random direction in d dimensions against a fixed one: cos^2 ~ Beta(1/2, (d - 1)/2)
// (Cai, Fan, Jiang, "Distributions of angles in random packing on spheres", JMLR 14, 2013).

// P(|cos| >= |cosine|), exact; d >= 2, |cosine| <= 1. Relative accuracy about 1e-16 d.
va_status va_metric_cosine_p(va_ctx *ctx, double cosine, int64_t d, double *p);
// Standard deviation 1/sqrt(d) and mean absolute value of the cosine; d >= 2 (else NaN).
double va_metric_cosine_std(int64_t d);
double va_metric_cosine_mean_abs(int64_t d);
// The |cosine| that chance reaches with probability alpha, 0 < alpha <= 1.
va_status va_metric_cosine_critical(va_ctx *ctx, double alpha, int64_t d, double *cosine);

// The power of that test: P(p <= alpha) for the cosine of a fixed unit vector u with shift u + z,
// z ~ N(0, I), where cos^2 is noncentral beta: a Poisson(shift^2 / 2) mixture over j of
// Beta(1/2 + j, (d - 1)/2) (Johnson, Kotz, Balakrishnan, Continuous Univariate Distributions 2,
// 1995, section 30.7). The planted cosine is about shift / sqrt(d + shift^2); |shift| <= 1000.
va_status va_metric_cosine_power(va_ctx *ctx, double shift, double alpha, int64_t d, double *power);

// Cosines that directions as the activations are spread would have with direction u: each draw is
// r = sum_i z_i (x_i - mean), z ~ N(0, 1), so r ~ N(0, (n - 1) times their covariance). In its
// eigenvectors, made once for rows [n, d], n >= 2, a draw takes min(n, d) numbers.
typedef struct va_metric_spread va_metric_spread;
// O(n d min(n, d)). Lives in arena; rows are not kept. VA_ERR_NUMERIC for rows that do not differ,
// or are not finite.
va_status va_metric_spread_make(va_ctx *ctx, va_arena *arena, const float *rows, int64_t n,
                                int64_t d, va_metric_spread **spread);
// cosines: [n_draws] out, with u [d]. O(d + n_draws) times min(n, d).
va_status va_metric_spread_null(va_ctx *ctx, const va_metric_spread *spread, const float *u,
                                va_rng *rng, int64_t n_draws, double *cosines);

// -- summaries -------------------------------------------------------------------------------

#define VA_METRIC_STD_CONVENTION "population (ddof 0)"
typedef struct va_metric_summary {
    int64_t n;
    double mean, median;
    double std; // divides by n, as numpy does by default
    double mean_abs, min, max;
    double range; // max - min
} va_metric_summary;
// n >= 1; VA_ERR_NUMERIC when a value is not finite.
va_status va_metric_summarize(va_ctx *ctx, const double *x, int64_t n, va_metric_summary *out);

// Counts in n_bins equal bins over [-1, 1]: each [a, b), the last [a, b]. A value outside is
// VA_ERR_NUMERIC. counts: [n_bins] out.
va_status va_metric_histogram(va_ctx *ctx, const double *x, int64_t n, int64_t n_bins,
                              int64_t *counts);
// Edge i of n_bins, i = 0..n_bins.
double va_metric_histogram_edge(int64_t n_bins, int64_t i);

// -- tests -----------------------------------------------------------------------------------

// Fisher's method: under the null, -2 sum ln p_i of n independent p-values is chi-square with 2 n
// degrees of freedom (R. A. Fisher, Statistical Methods for Research Workers, 1932, section
// 21.1). One-sided: p is small when the p_i are. With the p of cosines this asks whether they are
// larger than chance in size, whatever their signs. statistic may be NULL.
va_status va_metric_fisher(va_ctx *ctx, const double *p, int64_t n, double *statistic,
                           double *combined);
// Whether the mean of n independent signed cosines differs from 0 under the random-direction
// null. Exact for n = 1; otherwise normal with variance 1/(n d), corrected for the excess
// kurtosis -6/(n (d + 2)) to first order (Edgeworth). n (d + 2) < 100 is VA_ERR_USAGE: too few for
// that. z may be NULL.
va_status va_metric_mean_test(va_ctx *ctx, const double *cosines, int64_t n, int64_t d, double *z,
                              double *p);
// (1 + #{|null_i| >= |observed|}) / (1 + n): valid for draws from the null or permutations, and
// never 0 (Phipson, Smyth, "Permutation p-values should never be zero", SAGMB 9, 2010).
va_status va_metric_permutation_p(va_ctx *ctx, double observed, const double *null, int64_t n,
                                  double *p);

// Corrections for n tests. X(enum name, text)
//   BH: false discovery rate, independent tests (Benjamini, Hochberg, JRSS B 57, 1995);
//   BY: the same under any dependence (Benjamini, Yekutieli, Ann. Statist. 29, 2001);
//   HOLM: family-wise error under any dependence (Holm, Scand. J. Statist. 6, 1979).
#define VA_METRIC_CORRECTION_LIST(X)                                                               \
    X(VA_METRIC_BH, "benjamini-hochberg")                                                          \
    X(VA_METRIC_BY, "benjamini-yekutieli")                                                         \
    X(VA_METRIC_HOLM, "holm")                                                                      \
    X(VA_METRIC_BONFERRONI, "bonferroni")
typedef enum va_metric_correction {
#define VA_X(name, text) name,
    VA_METRIC_CORRECTION_LIST(VA_X)
#undef VA_X
} va_metric_correction;
const char *va_metric_correction_name(va_metric_correction c);
// adjusted[i] is compared with the level as p[i] would be; adjusted may be p.
va_status va_metric_adjust(va_ctx *ctx, va_metric_correction c, const double *p, int64_t n,
                           double *adjusted);

// -- classifiers -----------------------------------------------------------------------------

typedef struct va_metric_scores {
    int64_t tp, fp, tn, fn;
    double accuracy;
    double precision, recall, f1; // 0 where undefined (no positive predicted, no positive there)
} va_metric_scores;
// Positive is score > threshold; labels are true for positives. n >= 1.
va_status va_metric_classify(va_ctx *ctx, const double *scores, const bool *labels, int64_t n,
                             double threshold, va_metric_scores *out);
// Area under the ROC curve: P(positive scores above negative), ties count half (Mann-Whitney).
// VA_ERR_NUMERIC when there is one class only or a score is not finite.
va_status va_metric_auroc(va_ctx *ctx, const double *scores, const bool *labels, int64_t n,
                          double *auroc);

// -- distributions ---------------------------------------------------------------------------

// Regularised incomplete beta function I_x(a, b) for a, b > 0 and x + y = 1; y is given too
// because 1 - x loses digits. Continued fraction (DLMF 8.17.22) by the modified Lentz algorithm;
// NaN when it does not converge.
double va_metric_beta_inc(double a, double b, double x, double y);
// P(chi-square with 2 half_df degrees of freedom >= x).
double va_metric_chi2_sf(double x, int64_t half_df);
// The normal distribution Phi(z), and the z where it reaches p in (0, 1) (else NaN).
double va_metric_normal_cdf(double z);
double va_metric_normal_quantile(double p);

#ifdef __cplusplus
}
#endif
#endif
