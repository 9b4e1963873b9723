// test_linmap.c: linear maps against the matrices they stand for: application in chunks, products,
// sums, formation both ways.
// libs: va_linmap
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "vkalign/linmap.h"

#include <math.h>

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
} fixture;

// float32 sums of up to 40 terms, in the op and in products of two of them.
static const double TOLERANCE = 1e-5;
enum { MAX_SIDE = 40 };

static int setup(void **state) {
    static fixture f;
    f.ctx = va_test_ctx();
    f.gpu = va_test_gpu(f.ctx);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    return 0;
}

static void random_floats(float *x, int64_t n, uint64_t stream) {
    va_rng rng = va_rng_make(11, stream);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)va_rng_normal(&rng);
}

// C [m, n] = A [m, p] B [p, n]; with transposed = true A is [p, m].
static void multiply(const float *A, const float *B, int m, int p, int n, bool transposed,
                     double *C) {
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            C[i * n + j] = 0;
            for (int l = 0; l < p; l++)
                C[i * n + j] += (double)A[transposed ? l * m + i : i * p + l] * B[l * n + j];
        }
}

// -- a map of several tokens, written by hand -------------------------------------------------

// The matrix A [m, n] applied on the host, so that token-major layouts are checked independently.
typedef struct host_map {
    fixture *f;
    const float *A;
    va_linmap_shape s;
    int calls;
    int64_t widest; // most vectors in one call
    int *destroyed;
} host_map;

static va_status host_either(host_map *h, bool transposed, const va_block *from,
                             const va_block *to) {
    int m = (int)(h->s.T_out * h->s.d_out), n = (int)(h->s.T_in * h->s.d_in), k = (int)from->k;
    int rows = transposed ? n : m, cols = transposed ? m : n;
    float *x = calloc((size_t)(k * cols), sizeof *x), *y = calloc((size_t)(k * rows), sizeof *y);
    h->calls++;
    h->widest = VA_MAX(h->widest, from->k);
    va_status st = va_block_to_host(h->f->gpu, from, x);
    for (int j = 0; j < k; j++)
        for (int r = 0; r < rows; r++) {
            double sum = 0;
            for (int c = 0; c < cols; c++)
                sum += (double)h->A[transposed ? c * n + r : r * n + c] * x[j * cols + c];
            y[j * rows + r] = (float)sum;
        }
    st = st == VA_OK ? va_block_from_host(h->f->gpu, to, y) : st;
    free(x);
    free(y);
    return st;
}

static va_status host_apply(void *self, const va_block *x, const va_block *y) {
    return host_either(self, false, x, y);
}

static va_status host_apply_t(void *self, const va_block *y, const va_block *x) {
    return host_either(self, true, y, x);
}

static void host_destroy(void *self) {
    host_map *h = self;
    if (h->destroyed)
        ++*h->destroyed;
}

static const va_linmap_ops host_ops = {host_apply, host_apply_t, host_destroy};

static va_linmap *make_host_map(host_map *h, int64_t max_k) {
    va_linmap *map;
    assert_ok(h->f->ctx, va_linmap_create(h->f->gpu, &h->s, max_k, &host_ops, h, "by hand", &map));
    return map;
}

// -- tests ------------------------------------------------------------------------------------

static void check_applications(fixture *f, va_linmap *map, const float *A, int m, int n, int k) {
    float *x = malloc(sizeof(float) * MAX_SIDE * MAX_SIDE);
    float *xt = malloc(sizeof(float) * MAX_SIDE * MAX_SIDE);
    float *y = malloc(sizeof(float) * MAX_SIDE * MAX_SIDE);
    double *ref = malloc(sizeof(double) * MAX_SIDE * MAX_SIDE);
    double *ref_t = malloc(sizeof(double) * MAX_SIDE * MAX_SIDE);
    random_floats(x, k * n, 1); // [k, n]
    for (int i = 0; i < k * n; i++)
        xt[(i % n) * k + i / n] = x[i];
    multiply(A, xt, m, n, k, false, ref_t); // [m, k]
    for (int i = 0; i < k * m; i++)
        ref[(i % k) * m + i / k] = ref_t[i];
    assert_ok(f->ctx, va_linmap_apply_host(map, x, k, y));
    assert_true(va_test_max_error(y, ref, k * m) <= TOLERANCE);
    random_floats(x, k * m, 2); // [k, m]; A' y = (y A)
    multiply(x, A, k, m, n, false, ref);
    assert_ok(f->ctx, va_linmap_apply_t_host(map, x, k, y));
    assert_true(va_test_max_error(y, ref, k * n) <= TOLERANCE);
    free(x);
    free(xt);
    free(y);
    free(ref);
    free(ref_t);
}

static void test_matrix(void **state) {
    fixture *f = *state;
    static const int sizes[][2] = {{1, 1}, {1, 17}, {23, 1}, {7, 40}, {40, 7}, {33, 29}};
    float A[MAX_SIDE * MAX_SIDE], got[MAX_SIDE * MAX_SIDE];
    for (int i = 0; i < VA_COUNT(sizes); i++) {
        int m = sizes[i][0], n = sizes[i][1];
        va_linmap *map;
        random_floats(A, m * n, 3);
        assert_ok(f->ctx, va_linmap_from_matrix(f->gpu, A, m, n, &map));
        va_linmap_shape s = va_linmap_get_shape(map);
        assert_true(s.T_in == 1 && s.d_in == n && s.T_out == 1 && s.d_out == m);
        check_applications(f, map, A, m, n, 1);
        check_applications(f, map, A, m, n, 19);
        assert_ok(f->ctx, va_linmap_dense(map, got));
        // Unit vectors pick entries out exactly, whatever the order of the sums.
        assert_true(va_test_max_error_f32(got, A, m * n) == 0);
        va_linmap_destroy(&map);
        assert_null(map);
    }
}

static void test_chunks_and_tokens(void **state) {
    fixture *f = *state;
    float A[MAX_SIDE * MAX_SIDE];
    const va_linmap_shape s = {3, 5, 2, 7};
    int destroyed = 0;
    random_floats(A, 15 * 14, 4);
    host_map h = {.f = f, .A = A, .s = s, .destroyed = &destroyed};
    va_linmap *map = make_host_map(&h, 4);
    check_applications(f, map, A, 14, 15, 11);
    assert_int_equal(h.widest, 4);
    assert_int_equal(h.calls, 6); // 3 chunks each way
    assert_string_equal(va_linmap_label(map), "by hand");
    va_linmap_destroy(&map);
    assert_int_equal(destroyed, 1);
    const va_linmap_shape bad = {3, 5, 0, 7};
    assert_error(f->ctx, VA_ERR_SHAPE, "bad map",
                 va_linmap_create(f->gpu, &bad, 4, &host_ops, &h, "bad map", &map));
    assert_int_equal(destroyed, 2); // taken, so freed
}

typedef struct rows_seen {
    float A[MAX_SIDE * MAX_SIDE];
    int64_t n, next;
    int calls;
} rows_seen;

static va_status see_rows(void *user, int64_t first, int64_t count, const float *rows) {
    rows_seen *seen = user;
    assert_int_equal(first, seen->next);
    memcpy(seen->A + first * seen->n, rows, (size_t)(count * seen->n) * sizeof(float));
    seen->next += count;
    seen->calls++;
    return VA_OK;
}

// Wide maps are formed row by row and streamed, tall ones by columns and then handed out at once.
static void test_formation(void **state) {
    fixture *f = *state;
    static const va_linmap_shape shapes[] = {{4, 9, 2, 6}, {2, 6, 4, 9}, {1, 12, 3, 4}};
    static const int calls[] = {3, 8, 3}; // 12 rows, 12 columns, 12 rows in chunks of 5
    float A[MAX_SIDE * MAX_SIDE], dense[MAX_SIDE * MAX_SIDE];
    for (int i = 0; i < VA_COUNT(shapes); i++) {
        const va_linmap_shape *s = &shapes[i];
        int64_t m = s->T_out * s->d_out, n = s->T_in * s->d_in;
        random_floats(A, m * n, 5);
        host_map h = {.f = f, .A = A, .s = *s};
        va_linmap *map = make_host_map(&h, 5);
        rows_seen seen = {.n = n};
        assert_ok(f->ctx, va_linmap_rows(map, see_rows, &seen));
        assert_int_equal(seen.next, m);
        assert_int_equal(h.calls, 3);
        assert_int_equal(seen.calls, m <= n ? calls[i] : 1);
        assert_true(va_test_max_error_f32(seen.A, A, m * n) == 0);
        assert_ok(f->ctx, va_linmap_dense(map, dense));
        assert_true(va_test_max_error_f32(dense, A, m * n) == 0);
        va_linmap_destroy(&map);
    }
}

static va_status stop_rows(void *user, int64_t first, int64_t count, const float *rows) {
    (void)count;
    (void)rows;
    return first == 5 ? va_fail(user, VA_ERR_FILE, "disk full") : VA_OK;
}

static void test_rows_can_stop(void **state) {
    fixture *f = *state;
    float A[12 * 12];
    random_floats(A, 12 * 12, 5);
    host_map h = {.f = f, .A = A, .s = {1, 12, 1, 12}};
    va_linmap *map = make_host_map(&h, 5);
    assert_error(f->ctx, VA_ERR_FILE, "disk full", va_linmap_rows(map, stop_rows, f->ctx));
    assert_int_equal(h.calls, 2);
    va_linmap_destroy(&map);
}

static void to_float(float *to, const double *from, int n) {
    for (int i = 0; i < n; i++)
        to[i] = (float)from[i];
}

static void test_compose(void **state) {
    fixture *f = *state;
    float A[MAX_SIDE * MAX_SIDE], B[MAX_SIDE * MAX_SIDE], C[MAX_SIDE * MAX_SIDE];
    double product[MAX_SIDE * MAX_SIDE];
    random_floats(A, 10 * 21, 6); // [10, 21]: 3 tokens of 7 to 2 of 5
    random_floats(B, 13 * 10, 7);
    host_map a = {.f = f, .A = A, .s = {3, 7, 2, 5}}, b = {.f = f, .A = B, .s = {2, 5, 1, 13}};
    host_map flat = {.f = f, .A = B, .s = {1, 10, 1, 13}};
    va_linmap *ma = make_host_map(&a, 6), *mb = make_host_map(&b, 4), *mf = make_host_map(&flat, 4);
    va_linmap *map;
    assert_ok(f->ctx, va_linmap_compose(mb, ma, &map));
    assert_int_equal(va_linmap_max_k(map), 4);
    multiply(B, A, 13, 10, 21, false, product);
    to_float(C, product, 13 * 21);
    check_applications(f, map, C, 13, 21, 1); // the block between grows
    check_applications(f, map, C, 13, 21, 9);
    va_linmap_destroy(&map);
    assert_error(f->ctx, VA_ERR_SHAPE, "[1, 10]", va_linmap_compose(mf, ma, &map));
    assert_null(map);
    va_linmap_destroy(&ma);
    va_linmap_destroy(&mb);
    va_linmap_destroy(&mf);
}

static void test_sum(void **state) {
    fixture *f = *state;
    enum { TERMS = 3, M = 10, N = 21 };
    static const double weights[TERMS] = {0.5, -2, 0};
    float A[TERMS][M * N], C[M * N];
    host_map h[TERMS];
    va_linmap *maps[TERMS], *other, *map;
    for (int i = 0; i < TERMS; i++) {
        random_floats(A[i], M * N, 20 + (uint64_t)i);
        h[i] = (host_map){.f = f, .A = A[i], .s = {3, 7, 2, 5}};
        maps[i] = make_host_map(&h[i], 3 + i);
    }
    for (int i = 0; i < M * N; i++)
        C[i] = (float)(weights[0] * A[0][i] + weights[1] * A[1][i] + weights[2] * A[2][i]);
    assert_ok(f->ctx, va_linmap_sum(maps, weights, TERMS, &map));
    assert_int_equal(va_linmap_max_k(map), 3);
    check_applications(f, map, C, M, N, 1);
    check_applications(f, map, C, M, N, 8);
    va_linmap_destroy(&map);
    host_map flat = {.f = f, .A = A[0], .s = {1, 21, 2, 5}};
    other = make_host_map(&flat, 3);
    va_linmap *const mixed[] = {maps[0], other};
    assert_error(f->ctx, VA_ERR_SHAPE, "by hand", va_linmap_sum(mixed, weights, 2, &map));
    va_linmap_destroy(&other);
    for (int i = 0; i < TERMS; i++)
        va_linmap_destroy(&maps[i]);
}

static void test_mistakes(void **state) {
    fixture *f = *state;
    float A[6 * 4] = {1};
    host_map h = {.f = f, .A = A, .s = {2, 2, 3, 2}};
    va_linmap *map = make_host_map(&h, 2);
    va_buffer *bx, *by, *bw;
    va_block x, y, wide;
    assert_ok(f->ctx, va_block_create(f->gpu, 2, 2, 2, "x", &bx, &x));
    assert_ok(f->ctx, va_block_create(f->gpu, 3, 2, 2, "y", &by, &y));
    assert_ok(f->ctx, va_block_create(f->gpu, 2, 3, 2, "wide", &bw, &wide));
    assert_ok(f->ctx, va_vec_fill(f->gpu, &x, 1));
    assert_ok(f->ctx, va_linmap_apply(map, &x, &y));
    assert_error(f->ctx, VA_ERR_SHAPE, "by hand", va_linmap_apply(map, &y, &x));
    assert_error(f->ctx, VA_ERR_SHAPE, "by hand", va_linmap_apply(map, &wide, &y));
    assert_error(f->ctx, VA_ERR_SHAPE, "by hand", va_linmap_apply_t(map, &x, &y));
    float v[6] = {0};
    assert_error(f->ctx, VA_ERR_SHAPE, "by hand", va_linmap_apply_host(map, v, 0, v));
    va_buffer_destroy(&bx);
    va_buffer_destroy(&by);
    va_buffer_destroy(&bw);
    va_linmap_destroy(&map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),    cmocka_unit_test(test_chunks_and_tokens),
        cmocka_unit_test(test_formation), cmocka_unit_test(test_rows_can_stop),
        cmocka_unit_test(test_compose),   cmocka_unit_test(test_sum),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
