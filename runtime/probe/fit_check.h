// fit_check.h: what every fit asks of its rows and labels.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_FIT_CHECK_H
#define VA_FIT_CHECK_H

#include "vkalign/probe.h"

// VA_ERR_SHAPE for an empty or too large X [n, d], VA_ERR_NUMERIC when it is not finite. what: who
// asks, for messages.
va_status fit_check_rows(va_ctx *ctx, const char *what, const float *X, int64_t n, int64_t d);
// Two rows or more, all inside X, labels of 0 and 1 and of both.
va_status fit_check_problems(va_ctx *ctx, const char *what, const va_fit_problem *problems,
                             int64_t n_problems, int64_t n_x);

#endif
