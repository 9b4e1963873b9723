// metric_resample.h: bootstrap intervals, p-values from draws, random directions of a given norm.
//
// A part of the metric layer, under metric.h's rules. All randomness comes from the caller's
// counter-based generator: the same seed and stream give the same numbers everywhere.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_METRIC_RESAMPLE_H
#define VKALIGN_METRIC_RESAMPLE_H

#include "vkalign/base.h"

#ifdef __cplusplus
extern "C" {
#endif

// -- intervals -------------------------------------------------------------------------------

// X(enum, name): how bootstrap draws become an interval of level 1 - 2 a.
//   BCA         bias-corrected and accelerated (Efron, JASA 82, 1987): the quantiles at
//               Phi(z0 + (z0 + z) / (1 - acceleration (z0 + z))), z = +-Phi^-1(1 - a)
//   PERCENTILE  the quantiles a and 1 - a of the draws
// Quantiles interpolate linearly between order statistics (Hyndman, Fan, 1996, type 7).
#define VA_METRIC_INTERVAL_LIST(X)                                                                 \
    X(VA_METRIC_BCA, "bca")                                                                        \
    X(VA_METRIC_PERCENTILE, "percentile")
typedef enum va_metric_interval_kind {
#define VA_X(name, text) name,
    VA_METRIC_INTERVAL_LIST(VA_X)
#undef VA_X
} va_metric_interval_kind;
const char *va_metric_interval_name(va_metric_interval_kind kind);

typedef struct va_metric_interval {
    double estimate, low, high; // the statistic itself may lie outside a skewed interval
    double std_error;           // standard deviation of the draws (ddof 1)
    double z0, acceleration;    // of BCa; 0 for percentile
} va_metric_interval;

typedef struct va_metric_draws {
    va_metric_interval_kind kind; // default BCa
    double level;                 // in (0, 1); 0 = 0.95
    double estimate;              // the statistic of the data
    const double *draws;          // [n_draws] of resamples, borrowed
    int64_t n_draws;              // >= 2
    const double *jackknife;      // [n_jackknife] leaving one unit out each; BCa alone reads it
    int64_t n_jackknife;          // >= 2
} va_metric_draws;
// z0 = Phi^-1(share of draws below the estimate, ties half); acceleration = sum e^3 / (6 (sum
// e^2)^(3/2)), e = mean of jackknife - jackknife. VA_ERR_NUMERIC when a number is not finite, or
// for BCa when all draws lie on one side of the estimate, or no unit matters.
va_status va_metric_interval_of(va_ctx *ctx, const va_metric_draws *draws, va_metric_interval *out);

// -- bootstrap -------------------------------------------------------------------------------

// The statistic of some of the data: items[0..n) are indices into it, with repetitions. A failure
// ends the bootstrap; it goes up with the number of the resample.
typedef va_status (*va_metric_statistic_fn)(void *user, const int64_t *items, int64_t n,
                                            double *value);

// X(enum, name): what is drawn with replacement.
//   ITEMS   items, all alike and independent
//   GROUPS  groups (prompts), each kept whole: items within a group may depend on each other
//   BOTH    groups, then items within each group drawn. The variance within groups of b items then
//           counts once more, (b - 1)/b of it: intervals are wider, and those of GROUPS are the
//           fitting ones for a mean (Davison, Hinkley, Bootstrap Methods and their Application,
//           1997, section 3.8)
#define VA_METRIC_RESAMPLE_LIST(X)                                                                 \
    X(VA_METRIC_RESAMPLE_ITEMS, "items")                                                           \
    X(VA_METRIC_RESAMPLE_GROUPS, "groups")                                                         \
    X(VA_METRIC_RESAMPLE_BOTH, "groups-then-items")
typedef enum va_metric_resample {
#define VA_X(name, text) name,
    VA_METRIC_RESAMPLE_LIST(VA_X)
#undef VA_X
} va_metric_resample;
const char *va_metric_resample_name(va_metric_resample resample);

typedef struct va_metric_bootstrap_params {
    int64_t n_items;                // 2 or more
    va_metric_resample resample;    // default items
    const int64_t *group_size;      // [n_groups] items of each group, group after group, each >= 1,
                                    // n_items in all; NULL for items
    int64_t n_groups;               // 2 or more; 0 for items
    int64_t n_resamples;            // 2 to 10^7; 0 = 2000
    va_metric_interval_kind kind;   // default BCa
    double level;                   // in (0, 1); 0 = 0.95
    va_metric_statistic_fn measure; // called 1 + n_resamples times, for BCa once more for each
                                    // item (or group, left out whole)
    void *user;                     // passed to measure
} va_metric_bootstrap_params;
// draws: [n_resamples] out, may be NULL. Stops at va_interrupt(). With few units intervals are
// short: of the mean of 50 normal values, at level .95, both kinds hold the truth .94 of the time
// (tests/unit/test_metric_bootstrap.c), of 20 groups .93.
va_status va_metric_bootstrap(va_ctx *ctx, const va_metric_bootstrap_params *params, va_rng *rng,
                              double *draws, va_metric_interval *out);
// A va_metric_statistic_fn: the mean of the items; user: double [n_items].
va_status va_metric_item_mean(void *user, const int64_t *items, int64_t n, double *value);

// -- p-values from draws ---------------------------------------------------------------------

// X(enum, name): which draws count as far out as the observed value.
//   ABS      |draw| >= |observed|: two-sided around 0, as va_metric_permutation_p()
//   GREATER  draw >= observed
//   LESS     draw <= observed
//   EITHER   twice the smaller of the latter two's p, at most 1: two-sided around any centre
#define VA_METRIC_TAIL_LIST(X)                                                                     \
    X(VA_METRIC_TAIL_ABS, "abs")                                                                   \
    X(VA_METRIC_TAIL_GREATER, "greater")                                                           \
    X(VA_METRIC_TAIL_LESS, "less")                                                                 \
    X(VA_METRIC_TAIL_EITHER, "either")
typedef enum va_metric_tail {
#define VA_X(name, text) name,
    VA_METRIC_TAIL_LIST(VA_X)
#undef VA_X
} va_metric_tail;
const char *va_metric_tail_name(va_metric_tail tail);
// (1 + #{draws as far out}) / (1 + n): for statistics under label permutations, or draws of any
// null; never 0 (Phipson, Smyth, SAGMB 9, 2010). Under the null P(p <= a) <= a. n >= 1.
va_status va_metric_tail_p(va_ctx *ctx, va_metric_tail tail, double observed, const double *null,
                           int64_t n, double *p);

// -- random directions -----------------------------------------------------------------------

// n uniformly random vectors of Euclidean length `norm` (to float rounding): what a direction of
// that length does by chance, for statistics that grow with the length. rows: [n, d] out.
// norm in (0, FLT_MAX].
va_status va_metric_random_directions(va_ctx *ctx, double norm, int64_t d, va_rng *rng, int64_t n,
                                      float *rows);

#ifdef __cplusplus
}
#endif
#endif
