// test_mtx.c: Matrix Market files: what is read, and every way to be wrong.
// libs: va_io
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/io.h"

static va_ctx *ctx;
static va_arena *arena;
static char dir[VA_TEST_PATH], path[VA_TEST_PATH];

static int setup(void **state) {
    (void)state;
    ctx = va_test_ctx();
    arena = va_arena_create();
    va_test_temp_dir(dir);
    va_test_join(path, dir, "a.mtx");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    va_test_temp_remove(dir);
    va_arena_destroy(&arena);
    va_ctx_destroy(&ctx);
    return 0;
}

static void write_file(const char *text, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
}

static void check(const char *text, int64_t m, int64_t n, const float *expected) {
    int64_t got_m, got_n;
    float *A;
    write_file(text, strlen(text));
    assert_ok(ctx, va_mtx_load(ctx, arena, path, &got_m, &got_n, &A));
    assert_true(got_m == m && got_n == n);
    assert_memory_equal(A, expected, (size_t)(m * n) * sizeof *A);
}

static void test_general(void **state) {
    (void)state;
    static const float expected[] = {0, 1.5f, 0, -2, 0, 3e-5f};
    check("%%MatrixMarket matrix coordinate real general\n% a comment\n\n2 3 3\n1 2 1.5\n"
          "2 1 -2\n  2\t3 3e-5  \r\n\n% the end\n",
          2, 3, expected);
    check("%%matrixmarket MATRIX Coordinate Real General\n2 3 3\n2 3 3e-5\n2 1 -2\n1 2 1.5", 2, 3,
          expected);
    check("%%MatrixMarket matrix coordinate real general\n1 2 0\n", 1, 2, (float[]){0, 0});
}

static void test_symmetric(void **state) {
    (void)state;
    check("%%MatrixMarket matrix coordinate integer symmetric\n3 3 3\n1 1 7\n3 1 -4\n2 3 5\n", 3, 3,
          (float[]){7, 0, -4, 0, 0, 5, -4, 5, 0});
}

#define BANNER "%%MatrixMarket matrix coordinate real general\n"
#define SYMMETRIC "%%MatrixMarket matrix coordinate real symmetric\n"

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "a.mtx:1: expected '%%MatrixMarket"},
        {"hello", "a.mtx:1: expected '%%MatrixMarket"},
        {"%%MatrixMarket matrix array real general\n1 1\n1\n", ":1: expected '%%Matrix"},
        {"%%MatrixMarket matrix coordinate complex general\n1 1 0\n", "real or integer"},
        {"%%MatrixMarket matrix coordinate pattern general\n1 1 0\n", "real or integer"},
        {"%%MatrixMarket matrix coordinate real hermitian\n1 1 0\n", "general or symmetric"},
        {"%%MatrixMarket matrix coordinate real general x\n1 1 0\n", "general or symmetric"},
        {BANNER, ":2: expected rows"},
        {BANNER "2 2\n", ":2: expected rows"},
        {BANNER "0 2 0\n", ":2: expected rows"},
        {BANNER "-1 2 0\n", ":2: expected rows"},
        {BANNER "2 2 5\n", ":2: expected rows"},
        {BANNER "2 2 1 1\n1 1 1\n", ":2: expected rows"},
        {BANNER "99999999999999999999 2 1\n", ":2: expected rows"},
        {BANNER "200000000 200000000 1\n", "2^28 elements"},
        {BANNER "16385 16384 1\n", "2^28 elements"},
        {SYMMETRIC "2 3 1\n1 1 1\n", "square if symmetric"},
        {BANNER "2 2 1\n", ":3: expected an entry"},
        {BANNER "2 2 1\n3 1 1\n", ":3: expected an entry"},
        {BANNER "2 2 1\n1 0 1\n", ":3: expected an entry"},
        {BANNER "2 2 1\n1 1.0 1\n", ":3: expected an entry"},
        {BANNER "2 2 1\n1 1 nan\n", ":3: expected an entry"},
        {BANNER "2 2 1\n1 1 1e39\n", "finite value"},
        {BANNER "2 2 1\n1 1 1x\n", ":3: expected an entry"},
        {BANNER "2 2 1\n1 1 1 0\n", ":3: expected nothing after the value"},
        {BANNER "2 2 2\n1 1 1\n% c\n1 1 1\n", ":5: expected each entry once"},
        {SYMMETRIC "2 2 2\n2 1 1\n1 2 1\n", ":4: expected each entry once"},
        {BANNER "2 2 1\n1 1 1\n2 2 1\n", ":4: expected the end of the file"},
        {BANNER "2 2 1\n1 1 "
                "00000000000000000000000000000000000000000000000000000000000000000001\n",
         ":3: expected an entry"},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        int64_t m, n;
        float *A;
        write_file(cases[i].text, strlen(cases[i].text));
        assert_error(ctx, VA_ERR_FORMAT, cases[i].message,
                     va_mtx_load(ctx, arena, path, &m, &n, &A));
    }
}

// Every prefix of a file is read or refused, with bytes of any value.
static void test_any_bytes(void **state) {
    (void)state;
    static const char good[] = BANNER "2 2 2\n1 1 1\n2 2 -1e3\n";
    va_rng rng = va_rng_make(1, 1);
    for (size_t size = 0; size < sizeof good; size++)
        for (int bad = 0; bad < 20; bad++) {
            char text[sizeof good];
            int64_t m, n;
            float *A;
            memcpy(text, good, size);
            if (bad && size)
                text[va_rng_below(&rng, (uint32_t)size)] = (char)va_rng_below(&rng, 256);
            write_file(text, size);
            if (va_mtx_load(ctx, arena, path, &m, &n, &A) == VA_OK)
                assert_true(m >= 1 && n >= 1 && A[0] == A[0]);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_general),
        cmocka_unit_test(test_symmetric),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
