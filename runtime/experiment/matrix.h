// matrix.h: values put into the tree of an experiment: by --set, and by `matrix`, which makes
// variants. Private.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_MATRIX_H
#define VKALIGN_MATRIX_H

#include "spec.h"

// Applies "a.b=value" to the tree (nodes are arena-owned; places in it become file "--set").
void va_spec_override(va_diagnostics *d, va_yaml *root, const char *const *sets, int64_t n_sets);
// Puts a node where the dotted path says, at: for messages.
void va_spec_put(va_diagnostics *d, va_yaml *root, const char *path, va_yaml *value, va_place at);

typedef struct va_variant_value {
    const char *path; // "directions.jacobian.mode"
    const va_yaml *value;
} va_variant_value;

typedef struct va_variant {
    int64_t count;    // of all variants; 1 without a matrix
    const char *name; // "mode=exact,seed=1"; "" without a matrix
    va_variant_value *set;
    int64_t n_set;
} va_variant;

// Takes `matrix` out of the tree and puts the values of variant `index` in; the last key varies
// fastest.
va_variant va_matrix_apply(va_diagnostics *d, const char *file, va_yaml *root, int64_t index);

#endif
