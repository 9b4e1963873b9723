// svd_basis.c: orthonormal bases in double that grow by blocks of vectors.
//
// A block is first made orthogonal to the whole basis at once (classical Gram-Schmidt, matrix
// products), then vector by vector to everything before it (modified Gram-Schmidt), again and again
// until a pass takes no more than half of a vector's length: "twice is enough" (Parlett, The
// Symmetric Eigenvalue Problem, section 6.9) unless the block is nearly dependent.
// SPDX-License-Identifier: Apache-2.0
#include "svd_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STRIP = 512 }; // coordinates at a time, so that a basis of some 50 vectors stays in cache

// Four sums at once: the order is fixed, and the processor need not wait for each addition.
double va_svd_dot(const double *a, const double *b, int64_t n) {
    double s[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int l = 0; l < 4; l++)
            s[l] += a[i + l] * b[i + l];
    for (; i < n; i++)
        s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static void add_multiple(double *z, double c, const double *q, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        z[i] += c * q[i];
}

// c[0..3] += <q_a, z> for four rows of Q, over `length` coordinates.
static void add_four_dots(const double *q, int64_t n, const double *z, int64_t length, double *c) {
    const double *q1 = q + n, *q2 = q1 + n, *q3 = q2 + n;
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int64_t i = 0; i < length; i++) {
        s0 += q[i] * z[i];
        s1 += q1[i] * z[i];
        s2 += q2[i] * z[i];
        s3 += q3[i] * z[i];
    }
    c[0] += s0, c[1] += s1, c[2] += s2, c[3] += s3;
}

// C [count, ld] += Z Q' over the basis of `first` rows; Z stands after it.
static void block_dots(const double *Q, const svd_extension *e, double *C) {
    const int64_t n = e->n;
    for (int64_t s = 0; s < n; s += STRIP) {
        const int64_t length = VA_MIN(STRIP, n - s);
        for (int64_t j = 0; j < e->count; j++) {
            const double *z = Q + (e->first + j) * n + s;
            int64_t a = 0;
            for (; a + 4 <= e->first; a += 4)
                add_four_dots(Q + a * n + s, n, z, length, C + j * e->ld + a);
            for (; a < e->first; a++)
                C[j * e->ld + a] += va_svd_dot(Q + a * n + s, z, length);
        }
    }
}

// Z -= C Q
static void block_subtract(double *Q, const svd_extension *e, const double *C) {
    const int64_t n = e->n;
    for (int64_t s = 0; s < n; s += STRIP) {
        const int64_t length = VA_MIN(STRIP, n - s);
        for (int64_t j = 0; j < e->count; j++)
            for (int64_t a = 0; a < e->first; a++)
                add_multiple(Q + (e->first + j) * n + s, -C[j * e->ld + a], Q + a * n + s, length);
    }
}

static double length_of(const double *z, int64_t n) {
    return sqrt(va_svd_dot(z, z, n));
}

// Takes the components along the first `count` rows of Q out of z, until little is taken. Returns
// the length that is left. coef may be NULL.
static double project(double *z, const double *Q, int64_t count, int64_t n, double lost,
                      double *coef) {
    double before = length_of(z, n), after = before;
    for (int pass = 0; pass < 5; pass++) {
        for (int64_t a = 0; a < count; a++) {
            double c = va_svd_dot(z, Q + a * n, n);
            add_multiple(z, -c, Q + a * n, n);
            if (coef)
                coef[a] += c;
        }
        after = length_of(z, n);
        if (after > 0.5 * before || after <= lost)
            break;
        before = after;
    }
    return after;
}

static double random_direction(double *z, const double *Q, int64_t count, int64_t n, va_rng *rng) {
    double length = 0;
    while (!(length > 1e-3)) { // 1 is to be expected
        for (int64_t i = 0; i < n; i++)
            z[i] = va_rng_normal(rng);
        length = project(z, Q, count, n, 0, NULL);
    }
    return length;
}

void va_svd_extend(double *Q, const svd_extension *e) {
    memset(e->coef, 0, (size_t)(e->count * e->ld) * sizeof *e->coef);
    block_dots(Q, e, e->coef);
    block_subtract(Q, e, e->coef);
    for (int64_t j = 0; j < e->count; j++) {
        const int64_t at = e->first + VA_MIN(j, e->room); // rows before the vector
        double *z = Q + (e->first + j) * e->n, *coef = e->coef + j * e->ld;
        double length = project(z, Q, at, e->n, e->lost, coef);
        if (j >= e->room)
            continue;
        coef[at] = length;
        if (!(length > e->lost)) {
            coef[at] = 0;
            length = random_direction(z, Q, at, e->n, e->rng);
            ++*e->n_random;
        }
        for (int64_t i = 0; i < e->n; i++)
            z[i] /= length;
    }
}

va_status va_svd_combine(va_ctx *ctx, double *Q, int64_t k, int64_t n, const double *R, int64_t ld,
                         int64_t b) {
    va_status st = VA_OK;
    double *strip;
    VA_TRY_ALLOC(ctx, strip, malloc((size_t)(b * STRIP) * sizeof *strip));
    for (int64_t s = 0; s < n; s += STRIP) {
        const int64_t length = VA_MIN(STRIP, n - s);
        memset(strip, 0, (size_t)(b * STRIP) * sizeof *strip);
        for (int64_t j = 0; j < b; j++)
            for (int64_t a = 0; a < k; a++)
                add_multiple(strip + j * STRIP, R[j * ld + a], Q + a * n + s, length);
        for (int64_t j = 0; j < b; j++)
            memcpy(Q + j * n + s, strip + j * STRIP, (size_t)length * sizeof *strip);
    }
    free(strip);
done:
    return st;
}
