// test_support.h: what the tests share: cmocka, a quiet context, error measures, temporary folders.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_TEST_SUPPORT_H
#define VA_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vkalign/base.h"

enum { VA_TEST_PATH = 512, VA_TEST_SKIPPED = 77 };

// A context that drops its log, unless VA_TEST_VERBOSE is set in the environment.
va_ctx *va_test_ctx(void);

// The call succeeds; otherwise the context's message is shown.
#define assert_ok(ctx, expr)                                                                       \
    do {                                                                                           \
        va_status st_ = (expr);                                                                    \
        if (st_ != VA_OK)                                                                          \
            fail_msg("%s: %s", #expr, va_error_message(ctx));                                      \
    } while (0)
// The call fails with the code and a message that contains text.
#define assert_error(ctx, code, text, expr)                                                        \
    va_test_check_error((ctx), (expr), (code), (text), #expr, __FILE__, __LINE__)
void va_test_check_error(va_ctx *ctx, va_status got, va_status expected, const char *text,
                         const char *expr, const char *file, int line);

// max |got - expected| / max |expected| (the plain maximum when expected is all zero).
// Infinity when anything is not finite: a NaN never passes.
double va_test_max_error(const float *got, const double *expected, int64_t n);
double va_test_max_error_f32(const float *got, const float *expected, int64_t n);
// ||got - expected||_F / ||expected||_F, with the same rules.
double va_test_frobenius_error(const float *got, const double *expected, int64_t n);
double va_test_frobenius_error_f32(const float *got, const float *expected, int64_t n);

// Makes a fresh folder and writes its path to path; fails the test when it cannot.
void va_test_temp_dir(char path[VA_TEST_PATH]);
// Removes the folder with everything in it.
void va_test_temp_remove(const char *path);
// Number of entries in a folder, hidden ones included.
int va_test_count_files(const char *dir);

// path = folder/name; returns path. Fails the test when it does not fit.
const char *va_test_join(char path[VA_TEST_PATH], const char *folder, const char *name);
// A committed fixture: tests/fixtures/name.
const char *va_test_fixture(char path[VA_TEST_PATH], const char *name);
// A file of the shared test data. Skips the running test where that folder is absent.
const char *va_test_shared(char path[VA_TEST_PATH], const char *name);

#endif
