// test_vec.c: blocks of vectors against double loops on the host.
// SPDX-License-Identifier: Apache-2.0
// libs: va_vec
#include "test_gpu.h"

#include "vkalign/vec.h"

#include <float.h>
#include <math.h>

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
    va_rng r;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->gpu = va_test_gpu(f->ctx);
    f->r = va_rng_make(11, 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

// A block with the same numbers on the host, vector-major [k, T*d].
typedef struct twin {
    va_buffer *buffer;
    va_block block;
    int64_t n;
    float *host;
} twin;

static twin make(fixture *f, int64_t T, int64_t k, int64_t d) {
    twin w = {.n = T * k * d};
    w.host = malloc((size_t)w.n * sizeof *w.host);
    for (int64_t i = 0; i < w.n; i++)
        w.host[i] = (float)va_rng_normal(&f->r);
    assert_ok(f->ctx, va_block_create(f->gpu, T, k, d, "twin", &w.buffer, &w.block));
    assert_ok(f->ctx, va_block_from_host(f->gpu, &w.block, w.host));
    return w;
}

static void drop(twin *w) {
    va_buffer_destroy(&w->buffer);
    free(w->host);
}

static float *fetch(fixture *f, const twin *w) {
    float *got = malloc((size_t)w->n * sizeof *got);
    assert_ok(f->ctx, va_block_to_host(f->gpu, &w->block, got));
    return got;
}

static const int64_t shapes[][3] = {{1, 1, 1},  {1, 1, 4}, {1, 3, 5},   {3, 1, 7},    {2, 3, 4},
                                    {5, 7, 66}, {7, 5, 1}, {3, 17, 67}, {4, 24, 260}, {2, 9, 1100}};

static void test_layout(void **state) {
    fixture *f = *state;
    for (int64_t s = 0; s < VA_COUNT(shapes); s++) {
        int64_t T = shapes[s][0], k = shapes[s][1], d = shapes[s][2];
        twin x = make(f, T, k, d);
        float *got = fetch(f, &x), *raw = malloc((size_t)x.n * sizeof *raw);
        assert_memory_equal(got, x.host, (size_t)x.n * 4);
        assert_ok(f->ctx, va_gpu_download(f->gpu, x.block.mem, raw));
        for (int64_t t = 0; t < T; t++)
            for (int64_t j = 0; j < k; j++)
                for (int64_t c = 0; c < d; c++)
                    assert_true(raw[(t * k + j) * d + c] == x.host[j * T * d + t * d + c]);
        free(got);
        free(raw);
        drop(&x);
    }
}

static void test_fill(void **state) {
    fixture *f = *state;
    twin x = make(f, 3, 2, 5);
    assert_ok(f->ctx, va_vec_fill(f->gpu, &x.block, -1.5f));
    float *got = fetch(f, &x);
    for (int64_t i = 0; i < x.n; i++)
        assert_true(got[i] == -1.5f);
    free(got);
    drop(&x);
}

static void test_axpby(void **state) {
    fixture *f = *state;
    static const float factors[][2] = {{1, 1}, {-2.5f, 0.75f}, {3, 0}, {0, 2}, {0, 0}};
    for (int64_t s = 0; s < VA_COUNT(shapes); s++) {
        for (int64_t i = 0; i < VA_COUNT(factors); i++) {
            twin x = make(f, shapes[s][0], shapes[s][1], shapes[s][2]);
            twin y = make(f, shapes[s][0], shapes[s][1], shapes[s][2]);
            float alpha = factors[i][0], beta = factors[i][1];
            if (beta == 0) // what y held must not matter
                assert_ok(f->ctx, va_vec_fill(f->gpu, &y.block, NAN));
            assert_ok(f->ctx, va_vec_axpby(f->gpu, alpha, &x.block, beta, &y.block));
            float *got = fetch(f, &y);
            for (int64_t j = 0; j < x.n; j++) {
                double a = (double)alpha * (double)x.host[j];
                double b = beta == 0 ? 0 : (double)beta * (double)y.host[j];
                // Three roundings of at most half an ulp, of the terms and of the sum.
                assert_true(fabs((double)got[j] - (a + b)) <=
                            1.5 * FLT_EPSILON * (fabs(a) + fabs(b)));
            }
            free(got);
            drop(&x);
            drop(&y);
        }
    }
}

static void test_one_hot(void **state) {
    fixture *f = *state;
    static const int64_t firsts[] = {0, 1, 3, 6, 13, 14, 1000};
    for (int64_t s = 0; s < VA_COUNT(firsts); s++) {
        twin x = make(f, 2, 5, 7); // T*d = 14: some vectors end past it
        assert_ok(f->ctx, va_block_one_hot(f->gpu, &x.block, firsts[s]));
        float *got = fetch(f, &x);
        for (int64_t j = 0; j < 5; j++)
            for (int64_t i = 0; i < 14; i++)
                assert_true(got[j * 14 + i] == (i == firsts[s] + j ? 1.0f : 0.0f));
        free(got);
        drop(&x);
    }
    twin x = make(f, 1, 200, 300);
    assert_ok(f->ctx, va_block_one_hot(f->gpu, &x.block, 50));
    float *got = fetch(f, &x);
    for (int64_t j = 0; j < 200; j++)
        for (int64_t i = 0; i < 300; i++)
            assert_true(got[j * 300 + i] == (i == 50 + j ? 1.0f : 0.0f));
    assert_error(f->ctx, VA_ERR_SHAPE, "negative", va_block_one_hot(f->gpu, &x.block, -1));
    free(got);
    drop(&x);
}

// Every inner product within n * eps of the sum of magnitudes, n the terms in one f32 partial sum.
static void check_gram(fixture *f, const twin *x, const twin *y, int64_t terms) {
    int64_t kx = x->block.k, ky = y->block.k, n = x->block.T * x->block.d;
    double *G = malloc((size_t)(kx * ky) * sizeof *G),
           *again = malloc((size_t)(kx * ky) * sizeof *G);
    assert_ok(f->ctx, va_block_gram(f->gpu, &x->block, &y->block, G));
    for (int64_t a = 0; a < kx; a++) {
        for (int64_t b = 0; b < ky; b++) {
            double sum = 0, size = 0;
            for (int64_t i = 0; i < n; i++) {
                double p = (double)x->host[a * n + i] * (double)y->host[b * n + i];
                sum += p;
                size += fabs(p);
            }
            assert_true(fabs(G[a * ky + b] - sum) <= (double)terms * FLT_EPSILON * size);
        }
    }
    assert_ok(f->ctx, va_block_gram(f->gpu, &x->block, &y->block, again));
    assert_memory_equal(G, again, (size_t)(kx * ky) * sizeof *G); // the same bits
    free(G);
    free(again);
}

static void test_gram(void **state) {
    fixture *f = *state;
    static const int64_t other_k[] = {1, 3, 4, 10};
    for (int64_t s = 0; s < VA_COUNT(shapes); s++) {
        int64_t T = shapes[s][0], k = shapes[s][1], d = shapes[s][2];
        int64_t terms = T * ((d + 63) / 64) + 4; // 4: the four products of a vec4
        twin x = make(f, T, k, d);
        check_gram(f, &x, &x, terms);
        for (int64_t i = 0; i < VA_COUNT(other_k); i++) {
            twin y = make(f, T, other_k[i], d);
            check_gram(f, &x, &y, terms);
            drop(&y);
        }
        drop(&x);
    }
}

// Enough products for fewer parts and, with 32 MiB of parts a dispatch, for several dispatches.
static void test_gram_large(void **state) {
    fixture *f = *state;
    twin x = make(f, 2, 1100, 12), y = make(f, 2, 1030, 12);
    check_gram(f, &x, &y, 2 * 2 + 4);
    drop(&x);
    drop(&y);
}

static void check_mul(fixture *f, int64_t T, int64_t kx, int64_t ky, int64_t d) {
    twin x = make(f, T, kx, d), y = make(f, T, ky, d);
    double *R = malloc((size_t)(kx * ky) * sizeof *R);
    for (int64_t i = 0; i < kx * ky; i++)
        R[i] = va_rng_normal(&f->r);
    assert_ok(f->ctx, va_vec_fill(f->gpu, &y.block, NAN)); // everything is written
    assert_ok(f->ctx, va_block_mul(f->gpu, &x.block, R, &y.block));
    float *got = fetch(f, &y);
    int64_t n = T * d;
    for (int64_t b = 0; b < ky; b++) {
        for (int64_t i = 0; i < n; i++) {
            double sum = 0, size = 0;
            for (int64_t a = 0; a < kx; a++) {
                double p = (double)x.host[a * n + i] * R[a * ky + b];
                sum += p;
                size += fabs(p);
            }
            // kx roundings of sums, one of each product, one of each entry of R.
            assert_true(fabs((double)got[b * n + i] - sum) <=
                        (double)(kx + 2) * FLT_EPSILON * size);
        }
    }
    free(got);
    free(R);
    drop(&x);
    drop(&y);
}

static void test_mul(void **state) {
    fixture *f = *state;
    static const int64_t other_k[] = {1, 3, 4, 10};
    for (int64_t s = 0; s < VA_COUNT(shapes); s++)
        for (int64_t i = 0; i < VA_COUNT(other_k); i++)
            check_mul(f, shapes[s][0], shapes[s][1], other_k[i], shapes[s][2]);
    check_mul(f, 2, 150, 130, 40); // a matrix of more than 64 KiB
}

static void test_errors(void **state) {
    fixture *f = *state;
    twin x = make(f, 2, 3, 4), y = make(f, 2, 3, 5);
    double R[9] = {0}, G[9];
    va_buffer *b;
    va_block big, part;
    assert_error(f->ctx, VA_ERR_SHAPE, "axpby", va_vec_axpby(f->gpu, 1, &x.block, 1, &y.block));
    assert_error(f->ctx, VA_ERR_SHAPE, "gram", va_block_gram(f->gpu, &x.block, &y.block, G));
    assert_error(f->ctx, VA_ERR_SHAPE, "mul", va_block_mul(f->gpu, &x.block, R, &y.block));
    assert_error(f->ctx, VA_ERR_USAGE, "share", va_block_mul(f->gpu, &x.block, R, &x.block));
    assert_error(f->ctx, VA_ERR_SHAPE, "bytes",
                 va_block_create(f->gpu, 1 << 20, 1 << 20, 1 << 20, "big", &b, &big));
    assert_null(b);
    assert_error(f->ctx, VA_ERR_SHAPE, "bytes",
                 va_block_create(f->gpu, INT64_MAX / 2, 3, 1, "big", &b, &big));
    part = x.block;
    part.k = 4; // more than its memory holds
    assert_error(f->ctx, VA_ERR_SHAPE, "memory", va_vec_fill(f->gpu, &part, 0));
    assert_int_equal(va_block_bytes(2, 3, 5), 120);
    assert_int_equal(va_block_bytes(INT64_MAX / 2, 3, 1), -1);
    assert_int_equal(va_block_bytes(-1, 3, 1), -1);
    drop(&x);
    drop(&y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fill, setup, teardown),
        cmocka_unit_test_setup_teardown(test_axpby, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_hot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gram_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mul, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
