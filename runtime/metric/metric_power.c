// metric_power.c: the normal distribution, and how large a shift the cosine's test finds.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/metric.h"

#include <math.h>

double va_metric_normal_cdf(double z) {
    return erfc(-z * M_SQRT1_2) / 2;
}

// By bisection on the half where p keeps its digits.
double va_metric_normal_quantile(double p) {
    if (!(p > 0 && p < 1))
        return NAN;
    if (p == 0.5)
        return 0;
    double low = -40, high = 0; // Phi(-40) underflows
    const double tail = p < 0.5 ? p : 1 - p;
    for (;;) {
        double middle = low + (high - low) / 2;
        if (middle == low || middle == high)
            break;
        if (va_metric_normal_cdf(middle) < tail)
            low = middle;
        else
            high = middle;
    }
    return p < 0.5 ? high : 0 - high;
}

// Terms further than 12 standard deviations from the Poisson mean, and 60 for small means, weigh
// less than double's rounding.
va_status va_metric_cosine_power(va_ctx *ctx, double shift, double alpha, int64_t d,
                                 double *power) {
    va_status st = VA_OK;
    double critical, sum = 0, weights = 0;
    if (!(fabs(shift) <= 1000))
        return va_fail(ctx, VA_ERR_USAGE, "expected a shift in [-1000, 1000], got %g", shift);
    VA_TRY(va_metric_cosine_critical(ctx, alpha, d, &critical));
    const double lambda = shift * shift / 2, reach = 12 * sqrt(lambda) + 60;
    const double x = (1 - critical) * (1 + critical), half = ((double)d - 1) / 2;
    for (double j = fmax(0, floor(lambda - reach)); j <= lambda + reach; j++) {
        int sign;
        double weight =
            lambda > 0 ? exp(j * log(lambda) - lambda - lgamma_r(j + 1, &sign)) : j == 0;
        if (weight > 0)
            sum += weight * va_metric_beta_inc(half, 0.5 + j, x, critical * critical);
        weights += weight;
    }
    if (!(fabs(weights - 1) < 1e-6) || isnan(sum))
        return va_fail(ctx, VA_ERR_NUMERIC, "no power for shift %g in %lld dimensions", shift,
                       (long long)d);
    *power = fmax(0, fmin(1, sum / weights));
done:
    return st;
}
