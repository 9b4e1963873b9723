// record.c: pieces that stand in several places of the results.
// SPDX-License-Identifier: Apache-2.0
#include "record.h"

#include <math.h>
#include <stdlib.h>

void va_record_doubles(va_json *o, const char *key, const double *x, int64_t n) {
    va_json *list = va_json_add_array(o, key);
    for (int64_t i = 0; i < n; i++)
        va_json_add_double(list, NULL, x[i]);
}

void va_record_interval(va_json *o, const char *key, const va_metric_interval *interval,
                        double level, int64_t n) {
    va_json *i = va_json_add_object(o, key);
    va_json_add_double(i, "level", level);
    va_json_add_string(i, "method", va_metric_interval_name(VA_METRIC_PERCENTILE));
    va_json_add_double(i, "low", interval->low);
    va_json_add_double(i, "high", interval->high);
    va_json_add_double(i, "std_error", interval->std_error);
    va_json_add_int(i, "n_resamples", n);
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void va_record_range(va_json *o, const char *const keys[2], va_metric_tail tail, double alpha,
                     double centre, double *draws, int64_t n) {
    const bool above = tail == VA_METRIC_TAIL_GREATER;
    const int64_t cut = (int64_t)floor(alpha / (above ? 1 : 2) * (double)(n - 1));
    qsort(draws, (size_t)n, sizeof *draws, by_value);
    va_json_add_double(o, keys[0], draws[above ? 0 : cut] + centre);
    va_json_add_double(o, keys[1], draws[n - 1 - cut] + centre);
}
