// record.h: pieces that stand in several places of the results. Private.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_RECORD_H
#define VKALIGN_RECORD_H

#include "vkalign/io.h"
#include "vkalign/metric_resample.h"

// Adds the list of x [n].
void va_record_doubles(va_json *o, const char *key, const double *x, int64_t n);
// Adds a percentile interval of n resamples.
void va_record_interval(va_json *o, const char *key, const va_metric_interval *interval,
                        double level, int64_t n);
// Adds the range that chance leaves with probability alpha, on both sides or, of TAIL_GREATER,
// above: from draws [n], which are sorted, and the centre that was taken away from them.
void va_record_range(va_json *o, const char *const keys[2], va_metric_tail tail, double alpha,
                     double centre, double *draws, int64_t n);

#endif
