// spec_check.h: the checks between parts of an experiment. Private to the layer.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_SPEC_CHECK_H
#define VKALIGN_SPEC_CHECK_H

#include "spec.h"

// Names and references between parts; also after mistakes, for what could be read.
void va_spec_check(va_diagnostics *d, va_spec *spec);
// The same of the metrics (spec_metric.c), and of what is expected of them (spec_expect.c).
void va_spec_check_metrics(va_diagnostics *d, va_spec *spec);
void va_spec_check_expectations(va_diagnostics *d, va_spec *spec);
// "did you mean 'x'?" of the metrics' names.
const char *va_spec_metric_hint(va_arena *arena, const va_spec *spec, const char *name);
void va_spec_check_name(va_diagnostics *d, va_place at, const char *what, const char *name);
// "did you mean 'x'?" of the names that n structs of `size` bytes begin with at `offset`; "" for
// none.
const char *va_spec_hint(va_arena *arena, const char *word, const void *structs, int64_t n,
                         size_t size, size_t offset);

#endif
