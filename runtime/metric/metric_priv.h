// metric_priv.h: what the files of the metric layer share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_METRIC_PRIV_H
#define VA_METRIC_PRIV_H

#include "vkalign/metric_compare.h"

#include <math.h>

// a . b; four sums, which the compiler may keep side by side.
static inline double va_metric_dot(const double *a, const double *b, int64_t n) {
    double sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int64_t j = 0; j < 4; j++)
            sum[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// VA_ERR_NUMERIC, "WHAT i of n is not finite", for the first that is not.
va_status va_metric_check_finite(va_ctx *ctx, const char *what, const double *x, int64_t n);
// out: [n, d] the rows divided by their lengths; an error names `what` and the row.
va_status va_metric_unit_rows(va_ctx *ctx, const char *what, const va_metric_rows *rows,
                              double *out);
// L [k, min(k, m)], row by row: L L' ~ Wishart_k(m, I), also for m < k, where it is singular
// (Bartlett's decomposition). L_ii^2 ~ chi-square(m - i), below it N(0, 1). k, m >= 1.
void va_metric_bartlett(va_rng *rng, int64_t k, int64_t m, double *L);

#endif
