// metric_scores.c: how well scores tell positives from negatives.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/metric.h"

#include <math.h>
#include <stdlib.h>

static va_status check_scores(va_ctx *ctx, const double *scores, int64_t n) {
    if (n < 1)
        return va_fail(ctx, VA_ERR_USAGE, "expected one score or more, got %lld", (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(scores[i]))
            return va_fail(ctx, VA_ERR_NUMERIC, "score %lld of %lld is not finite", (long long)i,
                           (long long)n);
    return VA_OK;
}

static double ratio(int64_t a, int64_t b) {
    return b > 0 ? (double)a / (double)b : 0;
}

va_status va_metric_classify(va_ctx *ctx, const double *scores, const bool *labels, int64_t n,
                             double threshold, va_metric_scores *out) {
    va_status st = VA_OK;
    va_metric_scores s = {0};
    VA_TRY(check_scores(ctx, scores, n));
    if (isnan(threshold))
        return va_fail(ctx, VA_ERR_NUMERIC, "the threshold is not a number");
    for (int64_t i = 0; i < n; i++) {
        bool positive = scores[i] > threshold;
        (*(positive ? labels[i] ? &s.tp : &s.fp : labels[i] ? &s.fn : &s.tn))++;
    }
    s.accuracy = ratio(s.tp + s.tn, n);
    s.precision = ratio(s.tp, s.tp + s.fp);
    s.recall = ratio(s.tp, s.tp + s.fn);
    s.f1 = ratio(2 * s.tp, 2 * s.tp + s.fp + s.fn);
    *out = s;
done:
    return st;
}

typedef struct scored {
    double score;
    bool label;
} scored;

static int by_score(const void *a, const void *b) {
    const scored *x = a, *y = b;
    return x->score < y->score ? -1 : x->score > y->score;
}

va_status va_metric_auroc(va_ctx *ctx, const double *scores, const bool *labels, int64_t n,
                          double *auroc) {
    va_status st = VA_OK;
    scored *s = NULL;
    VA_TRY(check_scores(ctx, scores, n));
    VA_TRY_ALLOC(ctx, s, calloc((size_t)n, sizeof *s));
    for (int64_t i = 0; i < n; i++)
        s[i] = (scored){scores[i], labels[i]};
    qsort(s, (size_t)n, sizeof *s, by_score);
    double wins = 0; // of pairs (positive, negative); ties count half
    int64_t negatives = 0, positives = 0;
    for (int64_t i = 0; i < n;) {
        int64_t tied_positives = 0, tied = 0;
        for (; i + tied < n && s[i + tied].score == s[i].score; tied++)
            tied_positives += s[i + tied].label;
        int64_t tied_negatives = tied - tied_positives;
        wins += (double)tied_positives * ((double)negatives + (double)tied_negatives / 2);
        positives += tied_positives;
        negatives += tied_negatives;
        i += tied;
    }
    if (positives == 0 || negatives == 0) {
        st = va_fail(ctx, VA_ERR_NUMERIC,
                     "AUROC needs both classes, got %lld positives and %lld "
                     "negatives",
                     (long long)positives, (long long)negatives);
        goto done;
    }
    *auroc = wins / ((double)positives * (double)negatives);
done:
    free(s);
    return st;
}
