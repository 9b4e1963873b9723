// metric_compare.h: how alike are subspaces, spectra, activations, rankings, repeated runs?
//
// A part of the metric layer, under metric.h's rules: pure functions of host arrays. A component
// that is not finite, or input without an answer (dependent rows, rows that do not differ, equal
// ranks), is VA_ERR_NUMERIC; sizes that do not fit are VA_ERR_USAGE or VA_ERR_SHAPE. Outputs, but
// for arrays of draws, are untouched after an error. p-values are two-sided unless said.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_METRIC_COMPARE_H
#define VKALIGN_METRIC_COMPARE_H

#include "vkalign/base.h"

#ifdef __cplusplus
extern "C" {
#endif

// n rows of d floats, one after another; borrowed.
typedef struct va_metric_rows {
    const float *x; // [n, d]
    int64_t n, d;
} va_metric_rows;

// -- subspaces -------------------------------------------------------------------------------

// Principal angles between the spans of the rows of U [r, d] and V [s, d], m = min(r, s) of them
// (Bjorck, Golub, Math. Comp. 27, 1973). cosines: [m], descending, in [0, 1]; angles: [m],
// ascending, radians in [0, pi/2]; either may be NULL. Angles below pi/4 are taken from their sines
// and so keep their digits (Knyazev, Argentati, SIAM J. Sci. Comput. 23, 2002).
// Rows need not be orthonormal, but independent: a row that lies within 1e-6 of its length in the
// span of the others, which float rounding alone can do, is VA_ERR_NUMERIC; r > d is VA_ERR_SHAPE.
va_status va_metric_principal_angles(va_ctx *ctx, const va_metric_rows *U, const va_metric_rows *V,
                                     double *cosines, double *angles);
// Projection overlap ||Q_U Q_V'||_F^2 / m = sum cos^2 / m of orthonormal bases, in [0, 1]: 1 when
// one subspace lies in the other. From the m >= 1 cosines (else NaN).
double va_metric_overlap(const double *cosines, int64_t m);

// Subspaces of dimensions r and s in d; 1 <= r, s <= d and d >= 2, or VA_ERR_USAGE.
typedef struct va_metric_subspaces {
    int64_t r, s, d;
} va_metric_subspaces;
// What chance makes of the overlap of two independent uniformly random subspaces: the mean
// r s / d / m = max(r, s) / d and the standard deviation
// sqrt(2 r s (d - r) (d - s) / (d^2 (d - 1) (d + 2))) / m, both exact (second moments of Haar
// measure: Collins, Sniady, Commun. Math. Phys. 264, 2006). NaN for other dimensions.
double va_metric_overlap_mean(const va_metric_subspaces *dims);
double va_metric_overlap_std(const va_metric_subspaces *dims);
// P(overlap >= the one given), one-sided and exact, for min(r, s) = 1 and M = max(r, s) < d:
// overlap ~ Beta(M/2, (d - M)/2); r = s = 1 is va_metric_cosine_p(). Otherwise VA_ERR_USAGE: no
// closed form; draw with va_metric_subspace_null().
va_status va_metric_overlap_p(va_ctx *ctx, double overlap, const va_metric_subspaces *dims,
                              double *p);
// Draws of the principal cosines of random subspaces. cos^2 are the eigenvalues of A (A + B)^-1,
// A ~ Wishart_m(M), B ~ Wishart_m(d - M) (Muirhead, Aspects of Multivariate Statistical Theory,
// 1982, sections 3.2.4 and 3.3); O(m^3) a draw, whatever d. cosines: [n_draws, m], descending in
// each draw; overlaps: [n_draws]; either may be NULL.
va_status va_metric_subspace_null(va_ctx *ctx, const va_metric_subspaces *dims, va_rng *rng,
                                  int64_t n_draws, double *overlaps, double *cosines);

// -- spectra ---------------------------------------------------------------------------------

// How many directions singular values fill; between 1 and their rank, NaN for the zero map. sigma
// [n] is the whole spectrum in any order; p_i = sigma_i^2 / sum sigma^2.
// ||A||_F^2 / sigma_1^2
double va_metric_stable_rank(double frobenius_squared, double sigma_1);
// Participation ratio 1 / sum p_i^2 = (sum sigma^2)^2 / sum sigma^4.
double va_metric_participation_ratio(const double *sigma, int64_t n);
// exp(-sum p_i ln p_i), never below the participation ratio. (O. Roy, M. Vetterli, "The effective
// rank", EUSIPCO 2007, take p_i = sigma_i / sum sigma instead.)
double va_metric_entropy_rank(const double *sigma, int64_t n);

typedef struct va_metric_spectrum {
    double stable_rank; // sum sigma^2 / sigma_1^2
    double participation_ratio, entropy_rank;
} va_metric_spectrum;
typedef struct va_metric_spectra {
    va_metric_spectrum a, b;
    double divergence; // Jensen-Shannon, of p and q, base 2, in [0, 1): 0 when one is a multiple of
                       // the other; its square root is a metric
} va_metric_spectra;
// Two spectra side by side, whatever their scales: descending values >= 0, not all 0. All numbers
// are of the values given: of the k largest alone they say how these k compare, so both must be cut
// at one k (VA_ERR_SHAPE); a whole spectrum may be filled up with zeros. Values not in order are
// VA_ERR_USAGE. a_normalised, b_normalised: [n] out, sigma / sigma_1; either may be NULL.
va_status va_metric_compare_spectra(va_ctx *ctx, const double *a, int64_t n_a, const double *b,
                                    int64_t n_b, double *a_normalised, double *b_normalised,
                                    va_metric_spectra *out);

// -- activations -----------------------------------------------------------------------------

// Linear centred kernel alignment of X [n, d1] and Y [n, d2], the same n inputs in the same order
// (Kornblith, Norouzi, Lee, Hinton, "Similarity of neural network representations revisited", ICML
// 2019): <K, L> / (|K| |L|) in the Frobenius sense, of the Gram matrices X X' and Y Y'
//   BIASED   centred on both sides: in [0, 1], ||Yc' Xc||_F^2 / (||Xc' Xc||_F ||Yc' Yc||_F); chance
//            is far above 0 when d is not far below n; n >= 2;
//   UNBIASED U-centred: the HSIC_1 of Song et al. (JMLR 13, 2012, section 3.1) in all three places;
//            in [-1, 1], near 0 by chance; n >= 4.
// O(n^2 (d1 + d2)) time and 2 n^2 doubles.
typedef enum va_metric_cka_kind { VA_METRIC_CKA_BIASED, VA_METRIC_CKA_UNBIASED } va_metric_cka_kind;
va_status va_metric_cka(va_ctx *ctx, va_metric_cka_kind kind, const va_metric_rows *X,
                        const va_metric_rows *Y, double *cka);
// The same with the rows of Y shuffled, n_draws times: the null that inputs do not correspond.
// O(n^2) a draw. cka may be NULL; draws: [n_draws] out.
va_status va_metric_cka_null(va_ctx *ctx, va_metric_cka_kind kind, const va_metric_rows *X,
                             const va_metric_rows *Y, va_rng *rng, int64_t n_draws, double *cka,
                             double *draws);

// -- rankings --------------------------------------------------------------------------------

enum { VA_METRIC_SPEARMAN_EXACT_N = 9 };
// Spearman's rank correlation of n >= 2 pairs: Pearson's of the ranks, ties at their mean rank.
// p (may be NULL): P(|rho| >= the one found) when every pairing is as likely. Up to
// VA_METRIC_SPEARMAN_EXACT_N pairs over all n! pairings, ties kept; above, Student's t with n - 2
// degrees of freedom for rho sqrt((n - 2) / (1 - rho^2)), as is usual, but at least 2/n!. At n = 10
// that is within .014 of exact, and where exact is .01 to .1 it is .72 to .93 of it. n <= 10^6.
va_status va_metric_spearman(va_ctx *ctx, const double *x, const double *y, int64_t n, double *rho,
                             double *p);

// -- agreement -------------------------------------------------------------------------------

// Of n directions (over prompts, layers or seeds): the cosines of all n (n - 1) / 2 pairs. Of
// independent uniformly random directions the cosines of any two pairs are independent, so what
// stands beside a mean is exact: the standard deviation by chance of `mean` (around 0), the mean
// and the standard deviation by chance of `mean_abs`.
typedef struct va_metric_agreement {
    int64_t n_pairs;
    double mean, mean_abs, min, max;
    double chance_std, chance_abs, chance_abs_std;
} va_metric_agreement;
// Two rows or more, of two components or more; a zero row is VA_ERR_NUMERIC.
va_status va_metric_agree(va_ctx *ctx, const va_metric_rows *directions, va_metric_agreement *out);
// Draws of mean and mean_abs of n independent uniformly random directions in d dimensions, from the
// normalised Bartlett factor of their Gram matrix; O(n^3) a draw, whatever d. means, mean_abs:
// [n_draws]; either may be NULL.
va_status va_metric_agreement_null(va_ctx *ctx, int64_t n, int64_t d, va_rng *rng, int64_t n_draws,
                                   double *means, double *mean_abs);

// Intraclass correlation of a number measured k times (prompts, seeds) for each of n targets
// (concepts), the repeats interchangeable: ICC(1,1) of Shrout, Fleiss, Psychol. Bull. 86, 1979,
// (B - W) / (B + (k - 1) W) from the mean squares between and within targets; in [-1/(k - 1), 1].
// x: [n, k]; n, k >= 2. p (may be NULL): one-sided, of F = B / W with n - 1 and n (k - 1) degrees
// of freedom, exact for normal values that the target has no part in.
va_status va_metric_icc(va_ctx *ctx, const double *x, int64_t n, int64_t k, double *icc, double *p);

#ifdef __cplusplus
}
#endif
#endif
