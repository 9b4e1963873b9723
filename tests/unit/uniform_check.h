// uniform_check.h: numbers that must be near, and p-values that must be uniform.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_UNIFORM_CHECK_H
#define VA_UNIFORM_CHECK_H

#include "test_support.h"

#include <math.h>

// Relative; exact for tolerance 0.
static inline void assert_near(double got, double expected, double tolerance) {
    if (!(fabs(got - expected) <= tolerance * fmax(fabs(expected), 1e-300)))
        fail_msg("expected %.17g, got %.17g", expected, got);
}

// Absolute.
static inline void assert_close(double got, double expected, double tolerance) {
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("expected %.17g, got %.17g", expected, got);
}

static inline int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

// For uniform values sqrt(n) D, D the Kolmogorov-Smirnov distance, exceeds b with probability
// 2 exp(-2 b^2): here 1 in 1000.
#define KS_999 1.95

// sqrt(n) times the largest distance of the empirical distribution from the uniform one.
static inline double ks_uniform(double *p, int64_t n) {
    double distance = 0;
    qsort(p, (size_t)n, sizeof *p, by_value);
    for (int64_t i = 0; i < n; i++) {
        double below = (double)i / (double)n, upto = (double)(i + 1) / (double)n;
        distance = fmax(distance, fmax(fabs(p[i] - below), fabs(p[i] - upto)));
    }
    return distance * sqrt((double)n);
}

// The same for p-values that take few values, ties and all: under the null P(p <= v) = v holds at
// each value that p can take, so distances are taken there alone.
static inline double ks_discrete(double *p, int64_t n) {
    double distance = 0;
    qsort(p, (size_t)n, sizeof *p, by_value);
    for (int64_t i = 0; i < n; i++)
        if (i + 1 == n || p[i + 1] > p[i])
            distance = fmax(distance, fabs((double)(i + 1) / (double)n - p[i]));
    return distance * sqrt((double)n);
}

#endif
