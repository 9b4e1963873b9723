// test_support.c: what the tests share.
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <dirent.h>
#include <ftw.h>
#include <math.h>
#include <unistd.h>

static void print_log(void *user, va_log_level level, const char *message) {
    (void)user;
    fprintf(stderr, "[%d] %s\n", (int)level, message);
}

va_ctx *va_test_ctx(void) {
    va_ctx_params params = {.log = getenv("VA_TEST_VERBOSE") ? print_log : NULL};
    va_ctx *ctx = va_ctx_create(&params);
    assert_non_null(ctx);
    return ctx;
}

void va_test_check_error(va_ctx *ctx, va_status got, va_status expected, const char *text,
                         const char *expr, const char *file, int line) {
    const char *message = got == VA_OK ? "(it succeeded)" : va_error_message(ctx);
    if (got == expected && strstr(message, text))
        return;
    print_error("%s: expected status %d and a message with \"%s\", got %d: %s\n", expr,
                (int)expected, text, (int)got, message);
    _fail(file, line);
}

// Running maximum and sums of squares of the difference and of the expected values.
typedef struct errors {
    double max_diff, max_expected, sq_diff, sq_expected;
    bool finite;
} errors;

static void add_error(errors *e, double got, double expected) {
    double diff = got - expected;
    e->finite = e->finite && isfinite(got) && isfinite(expected);
    e->max_diff = fmax(e->max_diff, fabs(diff));
    e->max_expected = fmax(e->max_expected, fabs(expected));
    e->sq_diff += diff * diff;
    e->sq_expected += expected * expected;
}

static errors errors_f64(const float *got, const double *expected, int64_t n) {
    errors e = {.finite = true};
    for (int64_t i = 0; i < n; i++)
        add_error(&e, got[i], expected[i]);
    return e;
}

static errors errors_f32(const float *got, const float *expected, int64_t n) {
    errors e = {.finite = true};
    for (int64_t i = 0; i < n; i++)
        add_error(&e, got[i], expected[i]);
    return e;
}

static double max_error(errors e) {
    if (!e.finite)
        return INFINITY;
    return e.max_expected > 0 ? e.max_diff / e.max_expected : e.max_diff;
}

static double frobenius_error(errors e) {
    if (!e.finite)
        return INFINITY;
    return e.sq_expected > 0 ? sqrt(e.sq_diff / e.sq_expected) : sqrt(e.sq_diff);
}

double va_test_max_error(const float *got, const double *expected, int64_t n) {
    return max_error(errors_f64(got, expected, n));
}

double va_test_max_error_f32(const float *got, const float *expected, int64_t n) {
    return max_error(errors_f32(got, expected, n));
}

double va_test_frobenius_error(const float *got, const double *expected, int64_t n) {
    return frobenius_error(errors_f64(got, expected, n));
}

double va_test_frobenius_error_f32(const float *got, const float *expected, int64_t n) {
    return frobenius_error(errors_f32(got, expected, n));
}

const char *va_test_join(char path[VA_TEST_PATH], const char *folder, const char *name) {
    int n = snprintf(path, VA_TEST_PATH, "%s/%s", folder, name);
    assert_in_range(n, 0, VA_TEST_PATH - 1);
    return path;
}

void va_test_temp_dir(char path[VA_TEST_PATH]) {
    const char *parent = getenv("TMPDIR");
    va_test_join(path, parent && *parent ? parent : "/tmp", "vkalign-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *where) {
    (void)s, (void)type, (void)where;
    return remove(path);
}

void va_test_temp_remove(const char *path) {
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int va_test_count_files(const char *dir) {
    DIR *d = opendir(dir);
    assert_non_null(d);
    int n = 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

const char *va_test_fixture(char path[VA_TEST_PATH], const char *name) {
    return va_test_join(path, VA_FIXTURES, name);
}

const char *va_test_shared(char path[VA_TEST_PATH], const char *name) {
    if (access(VA_SHARED_DATA, R_OK) != 0) {
        print_message("skipped: no folder %s\n", VA_SHARED_DATA);
        skip();
    }
    return va_test_join(path, VA_SHARED_DATA, name);
}
