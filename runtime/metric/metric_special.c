// metric_special.c: the special functions behind the p-values.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/metric.h"

#include <float.h>
#include <math.h>

static double log_gamma(double x) {
    int sign; // lgamma() would write a global
    return lgamma_r(x, &sign);
}

// Partial numerator j >= 1 of the fraction below.
static double beta_numerator(double a, double b, double x, int j) {
    double m = j / 2, k = a + 2 * m;
    if (j % 2 == 0)
        return m * (b - m) * x / ((k - 1) * k);
    return -(a + m) * (a + b + m) * x / (k * (k + 1));
}

// 1 / (1 + d1 / (1 + d2 / (1 + ...))), I_x(a, b) without its prefactor (DLMF 8.17.22), with
//   d_(2m)     =  m (b - m) x / ((a + 2m - 1)(a + 2m))
//   d_(2m + 1) = -(a + m)(a + b + m) x / ((a + 2m)(a + 2m + 1))
// For x < (a + 1)/(a + b + 2) in O(sqrt(max(a, b))) terms. The ratios of successive convergents'
// numerators and of their denominators are iterated (Lentz; Thompson and Barnett 1986).
static double beta_fraction(double a, double b, double x) {
    const double tiny = DBL_MIN / DBL_EPSILON; // stands for a ratio of 0
    const int max_terms = 100000;
    double bottom = 1, up = 1, down = 0; // bottom = 1 + d1 / (1 + ...); down is inverted
    for (int j = 1; j <= max_terms; j++) {
        double term = beta_numerator(a, b, x, j);
        up = 1 + term / up;
        up = fabs(up) < tiny ? tiny : up;
        down = 1 + term * down;
        down = 1 / (fabs(down) < tiny ? tiny : down);
        bottom *= up * down;
        if (fabs(up * down - 1) < 2 * DBL_EPSILON)
            return 1 / bottom;
    }
    return NAN;
}

double va_metric_beta_inc(double a, double b, double x, double y) {
    if (!(a > 0 && b > 0 && x >= 0 && y >= 0))
        return NAN;
    if (x == 0)
        return 0;
    if (y == 0)
        return 1;
    double log_front = a * log(x < 0.5 ? x : 1) + (x < 0.5 ? 0 : a * log1p(-y)) +
                       b * log(y < 0.5 ? y : 1) + (y < 0.5 ? 0 : b * log1p(-x)) + log_gamma(a + b) -
                       log_gamma(a) - log_gamma(b);
    double front = exp(log_front);
    if (x < (a + 1) / (a + b + 2))
        return front / a * beta_fraction(a, b, x);
    return 1 - front / b * beta_fraction(b, a, y);
}

// e^(-x/2) sum over i < half_df of (x/2)^i / i!, each term through its logarithm.
double va_metric_chi2_sf(double x, int64_t half_df) {
    if (!(x >= 0) || half_df < 1)
        return NAN;
    if (x == 0)
        return 1;
    if (isinf(x))
        return 0;
    double half = x / 2, sum = 0;
    for (int64_t i = 0; i < half_df; i++)
        sum += exp((double)i * log(half) - log_gamma((double)i + 1) - half);
    return fmin(sum, 1);
}
