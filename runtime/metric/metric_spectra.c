// metric_spectra.c: how many directions a spectrum fills, and how alike two spectra are.
//
// With p_i = sigma_i^2 / sum sigma^2, and q of the other spectrum,
//     JSD(p, q) = 1/2 sum_i p_i log2(p_i / m_i) + q_i log2(q_i / m_i),  m = (p + q) / 2,
// in [0, 1] (J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory
// 37, 1991). With s = p_i + q_i and t = (p_i - q_i) / s one term is
//     s/4 ((1 + t) log2(1 + t) + (1 - t) log2(1 - t)),
// which is 0 for equal shares and cancels less than the logarithms of ratios near 1 do.
// SPDX-License-Identifier: Apache-2.0
#include "metric_priv.h"

double va_metric_stable_rank(double frobenius_squared, double sigma_1) {
    return sigma_1 > 0 ? frobenius_squared / sigma_1 / sigma_1 : NAN;
}

// The largest value, by which the others are divided so that no square leaves the range.
static double largest_of(const double *sigma, int64_t n) {
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(sigma[i]));
    return largest;
}

static double share(double sigma, double largest) {
    return sigma / largest * (sigma / largest);
}

static double sum_shares(const double *sigma, int64_t n, double largest) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += share(sigma[i], largest);
    return sum;
}

double va_metric_participation_ratio(const double *sigma, int64_t n) {
    const double largest = largest_of(sigma, n), sum = sum_shares(sigma, n, largest);
    double squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += share(sigma[i], largest) * share(sigma[i], largest);
    return largest > 0 ? sum * sum / squares : NAN;
}

double va_metric_entropy_rank(const double *sigma, int64_t n) {
    const double largest = largest_of(sigma, n), sum = sum_shares(sigma, n, largest);
    double entropy = 0;
    for (int64_t i = 0; i < n; i++) {
        const double p = share(sigma[i], largest) / sum;
        entropy -= p > 0 ? p * log(p) : 0;
    }
    return largest > 0 ? exp(entropy) : NAN;
}

// -- two spectra ----------------------------------------------------------------------------------

static va_status check_spectrum(va_ctx *ctx, const char *what, const double *sigma, int64_t n) {
    va_status st = VA_OK;
    VA_TRY(va_metric_check_finite(ctx, what, sigma, n));
    for (int64_t i = 0; i < n; i++)
        if (sigma[i] < 0 || (i > 0 && sigma[i] > sigma[i - 1]))
            return va_fail(ctx, VA_ERR_USAGE,
                           "%s: expected values >= 0 in descending order, got %.9g at %lld", what,
                           sigma[i], (long long)i);
    if (sigma[0] == 0)
        return va_fail(ctx, VA_ERR_NUMERIC, "%s: all values are 0, and have no shape", what);
done:
    return st;
}

static va_metric_spectrum summarise(const double *sigma, int64_t n, double *normalised) {
    for (int64_t i = 0; normalised && i < n; i++)
        normalised[i] = sigma[i] / sigma[0];
    return (va_metric_spectrum){.stable_rank = sum_shares(sigma, n, sigma[0]),
                                .participation_ratio = va_metric_participation_ratio(sigma, n),
                                .entropy_rank = va_metric_entropy_rank(sigma, n)};
}

static double xlog2(double x, double less_one) {
    return x > 0 ? x * log1p(less_one) / log(2) : 0;
}

static double divergence(const double *a, const double *b, int64_t n) {
    const double a_sum = sum_shares(a, n, a[0]), b_sum = sum_shares(b, n, b[0]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double p = share(a[i], a[0]) / a_sum, q = share(b[i], b[0]) / b_sum, s = p + q;
        const double t = s > 0 ? (p - q) / s : 0;
        sum += s / 4 * (xlog2(1 + t, t) + xlog2(1 - t, -t));
    }
    return fmin(fmax(sum, 0), 1);
}

va_status va_metric_compare_spectra(va_ctx *ctx, const double *a, int64_t n_a, const double *b,
                                    int64_t n_b, double *a_normalised, double *b_normalised,
                                    va_metric_spectra *out) {
    va_status st = VA_OK;
    if (n_a < 1 || n_b < 1)
        return va_fail(ctx, VA_ERR_USAGE, "spectra: expected one value or more, got %lld and %lld",
                       (long long)n_a, (long long)n_b);
    if (n_a != n_b)
        return va_fail(ctx, VA_ERR_SHAPE,
                       "spectra: expected as many values of both, got %lld and %lld (cut one, or "
                       "fill up with zeros one that is whole)",
                       (long long)n_a, (long long)n_b);
    VA_TRY(check_spectrum(ctx, "first spectrum", a, n_a));
    VA_TRY(check_spectrum(ctx, "second spectrum", b, n_a));
    *out = (va_metric_spectra){.a = summarise(a, n_a, a_normalised),
                               .b = summarise(b, n_a, b_normalised),
                               .divergence = divergence(a, b, n_a)};
done:
    return st;
}
