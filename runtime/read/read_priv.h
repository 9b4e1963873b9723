// read_priv.h: what the files of runtime/read share.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_READ_PRIV_H
#define VKALIGN_READ_PRIV_H

#include "vkalign/read.h"

// Vectors to be scored against every row of a table, and the best rows of each.
typedef struct read_scan {
    const float *x; // [n, d]
    int64_t n, d, n_tokens;
    bool by_cosine;              // scores are divided by the row's norm (not by x's)
    va_read_token *plus, *minus; // [n, n_tokens]
} read_scan;

// A list of n tokens, the best first; empty places have id -1.
void read_clear(va_read_token *list, int64_t n);
// Puts the token in its place, after those that score as high; offer ids in ascending order.
void read_offer(va_read_token *list, int64_t n, int32_t id, float score);
va_status read_scan_table(va_model *model, va_model_table table, read_scan *s);

// -- numbers of a map -----------------------------------------------------------------------------

// Standard deviation of the n entries of x, or of x - less.
double read_deviation(const float *x, const float *less, int64_t n);
// VA_ERR_NUMERIC, naming the map and what the n numbers are.
va_status read_check_finite(va_ctx *ctx, const va_linmap *map, const char *what, const float *x,
                            int64_t n);

#endif
