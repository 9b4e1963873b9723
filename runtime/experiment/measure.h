// measure.h: one metric at one result: a concept, a layer, a prompt. Private.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_MEASURE_H
#define VKALIGN_MEASURE_H

#include "record.h"
#include "run.h"
#include "vkalign/metric_compare.h"
#include "vkalign/metric_resample.h"

// A saved direction: [rank, d].
typedef struct va_frame {
    const float *rows;
    int64_t rank, d;
    const double *sigma; // [rank], NULL: none
} va_frame;

typedef struct va_measure va_measure;
// A number of two sets of rows of the frames' shapes, as rank_used and d say.
typedef va_status (*va_compare_fn)(const va_measure *m, const float *a, const float *b,
                                   double *value);
struct va_measure {
    va_run *run;
    va_arena *arena; // of the measure
    const va_metric_spec *metric;
    int64_t concept_index, layer, prompt; // layer: index into spec.layers
    int64_t unit[2];
    va_frame frame[2];
    int64_t rank; // vectors of each frame that are looked at
    va_json *out; // the metric's object in the results
    double value;
    const char *error; // of the first null that failed; NULL: none did
};

// Appends the metric's object to the list. VA_ERR_PARTIAL when a direction is missing.
va_status va_measure_add(va_run *run, const va_metric_spec *m, int64_t concept_index, int64_t layer,
                         int64_t prompt, va_json *list);

// The kinds: each fills m->value and what stands beside it, chance apart.
va_status va_measure_cosine(va_measure *m);
va_status va_measure_subspace(va_measure *m);
va_status va_measure_spectrum(va_measure *m);
va_status va_measure_cka(va_measure *m);      // with its null
va_status va_measure_transfer(va_measure *m); // with its nulls
// Nulls and intervals of a cosine or an overlap (measure_chance.c).
va_status va_measure_chance(va_measure *m);

// The object of a null; chance draws: values of the metric by chance.
va_json *va_measure_null(va_measure *m, const char *name);
// From draws around `centre` (what chance gives on average, or 0): mean, std, the range that holds
// 1 - alpha of them, p_value by the tail.
// n_failed: further draws that gave nothing.
va_status va_measure_draws(va_measure *m, va_json *null, va_metric_tail tail, double centre,
                           double *draws, int64_t n, int64_t n_failed);
// Puts the error of a null into its object, and goes on; what ends a run is returned.
va_status va_measure_null_failed(va_measure *m, const char *name, va_status st);
// Frames [n, size] of a side found again from permuted labels; those of n_failed of them are zero.
va_status va_measure_permuted(va_measure *m, int side, const float **frames, int64_t *n,
                              int64_t *size, int64_t *n_failed);
bool va_measure_is_zero(const float *x, int64_t n);
// Random numbers for one purpose at this place.
va_rng va_measure_rng(const va_measure *m, const char *what);

#endif
