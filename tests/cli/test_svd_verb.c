// vkalign svd --matrix from outside: every method and kind of file, and how it tells what did not
// converge.
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "cli_process.h"

#include "vkalign/io.h"

#include <math.h>

static struct {
    va_ctx *ctx;
    cli_process p;
    char dir[VA_TEST_PATH], npy[VA_TEST_PATH], mtx[VA_TEST_PATH];
} env;

static void write_npy(const char *path, int64_t m, int64_t n, const float *data) {
    va_npy_writer *w;
    assert_ok(env.ctx, va_npy_create(env.ctx, path, 2, (const int64_t[]){m, n}, &w));
    assert_ok(env.ctx, va_npy_append(w, data, m * n));
    assert_ok(env.ctx, va_npy_commit(&w));
}

// diag(4, 3, 2, 1) padded to 4 x 6, in either kind of file.
static int setup(void **state) {
    (void)state;
    float A[4 * 6] = {0};
    for (int i = 0; i < 4; i++)
        A[i * 6 + i] = (float)(4 - i);
    env.ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(env.ctx); // skips without a device
    va_test_gpu_close(&gpu);
    va_test_temp_dir(env.dir);
    write_npy(va_test_join(env.npy, env.dir, "A.npy"), 4, 6, A);
    FILE *file = fopen(va_test_join(env.mtx, env.dir, "A.mtx"), "w");
    assert_non_null(file);
    fputs("%%MatrixMarket matrix coordinate real general\n4 6 4\n1 1 4\n2 2 3\n3 3 2\n4 4 1\n",
          file);
    fclose(file);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_temp_remove(env.dir);
    va_ctx_destroy(&env.ctx);
    return 0;
}

static va_json *parse_out(void) {
    va_json *doc;
    assert_ok(env.ctx,
              va_json_parse(env.ctx, "stdout", env.p.out, (int64_t)strlen(env.p.out), &doc));
    return doc;
}

static double number_at(const va_json *array, int64_t i) {
    double value = NAN;
    const va_json *item = va_json_first(array);
    while (i-- > 0)
        item = va_json_next(item);
    assert_true(va_json_as_double(item, &value));
    return value;
}

static void expect(const char *text, const char *in) {
    if (!strstr(text, in))
        fail_msg("expected '%s' in: %s", in, text);
}

static void test_methods(void **state) {
    (void)state;
    static const char *const methods[] = {"golub-kahan", "subspace", "power", "dense"};
    for (int64_t i = 0; i < 2 * VA_COUNT(methods); i++) {
        cli_run(&env.p, 0, NULL,
                CLI_ARGS("svd", "--json", "--matrix", i % 2 ? env.mtx : env.npy, "-k", "2",
                         "--method", methods[i / 2]));
        va_json *doc = parse_out();
        bool converged = false;
        assert_true(fabs(number_at(va_json_get(doc, "sigma"), 0) - 4) < 1e-4);
        assert_true(fabs(number_at(va_json_get(doc, "sigma"), 1) - 3) < 1e-4);
        assert_true(va_json_as_bool(va_json_get(doc, "converged"), &converged) && converged);
        assert_string_equal(va_json_as_string(va_json_get(doc, "method")), methods[i / 2]);
        va_json_free(&doc);
    }
}

static void test_refused(void **state) {
    (void)state;
    char bad[VA_TEST_PATH];
    write_npy(va_test_join(bad, env.dir, "bad.npy"), 2, 2, (const float[]){1, NAN, 0, 0});
    cli_run(&env.p, 3, NULL, CLI_ARGS("svd", "--matrix", bad, "-k", "1"));
    expect(env.p.err, "NaN or infinity at [0, 1]");
    cli_run(
        &env.p, 2, NULL,
        CLI_ARGS("svd", "--matrix", env.npy, "-k", "3", "--method", "subspace", "--block", "2"));
    expect(env.p.err, "block of at least k = 3, got 2");
    cli_run(&env.p, 2, NULL,
            CLI_ARGS("svd", "--matrix", env.npy, "-k", "1", "--block", "1", "--basis", "1"));
    expect(env.p.err, "basis of at least 2 (k + max(k, block)), got 1");
    cli_run(&env.p, 2, NULL,
            CLI_ARGS("svd", "--matrix", env.npy, "--method", "power", "--block", "2"));
    expect(env.p.err, "the method power takes no block, got 2");
}

// What did not converge is a warning that names the triplets, and stands in the text and in the
// document; the exit status is 0. The history says how it went.
static void test_not_converged(void **state) {
    (void)state;
    enum { N = 60 };
    static float A[N * N];
    char flat[VA_TEST_PATH];
    for (int i = 0; i < N; i++)
        A[i * N + i] = (float)(100 - i);
    write_npy(va_test_join(flat, env.dir, "flat.npy"), N, N, A);
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("svd", "-v", "--matrix", flat, "-k", "4", "--block", "4", "--max-iterations",
                     "3"));
    expect(env.p.err, "4 of 4 triplets did not converge in 8 applications by golub-kahan");
    expect(env.p.err, "raise max_iterations (3), basis (48) or the tolerance");
    expect(env.p.out, "(NOT converged)");
    expect(env.p.out, "NOT converged: 4 of 4 triplets after 8 applications");
    expect(env.p.out, "residual / sigma_1");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("svd", "--json", "--matrix", flat, "-k", "4", "--block", "4",
                     "--max-iterations", "3", "--quiet"));
    va_json *doc = parse_out();
    const va_json *each = va_json_get(doc, "triplet_converged");
    const va_json *history = va_json_get(doc, "history"), *first = va_json_first(history);
    bool converged = true;
    int64_t applications = 0, vectors = 0;
    assert_true(va_json_as_bool(va_json_get(doc, "converged"), &converged) && !converged);
    assert_int_equal(va_json_count(each), 4);
    assert_true(va_json_as_bool(va_json_first(each), &converged) && !converged);
    assert_int_equal(va_json_count(history), 4); // three steps and the end
    assert_true(va_json_as_int(va_json_get(first, "iterations"), &applications));
    assert_true(va_json_as_int(va_json_get(first, "vectors"), &vectors));
    assert_true(applications == 2 && vectors == 8);
    va_json_free(&doc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_not_converged),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
