// metric_frames.c: principal angles between subspaces, through LAPACK, in double.
//
// With orthonormal bases Q_U and Q_V the cosines are the singular values of Q_U' Q_V. Near 1 they
// say little about the angle; there the sines do, the singular values of Q_V - Q_U Q_U' Q_V for
// the smaller subspace V.
// SPDX-License-Identifier: Apache-2.0
#include "metric_priv.h"
#include "vkalign/metric.h"

#include <lapacke.h>

static const double RANK_TOLERANCE = 1e-6; // 8 FLT_EPSILON: sums of float rows reach 1 or so

va_status va_metric_unit_rows(va_ctx *ctx, const char *what, const va_metric_rows *rows,
                              double *out) {
    va_status st = VA_OK;
    for (int64_t i = 0; i < rows->n; i++) {
        double norm;
        st = va_metric_norm(ctx, rows->x + i * rows->d, rows->d, &norm);
        if (st == VA_OK && norm == 0)
            st = va_fail(ctx, VA_ERR_NUMERIC, "a zero vector has no direction");
        if (st != VA_OK)
            return va_fail_in(ctx, st, "%s, row %lld", what, (long long)i);
        for (int64_t k = 0; k < rows->d; k++)
            out[i * rows->d + k] = rows->x[i * rows->d + k] / norm;
    }
    return st;
}

static va_status failed(va_ctx *ctx, const char *routine, lapack_int info) {
    return va_fail(ctx, info == LAPACK_WORK_MEMORY_ERROR ? VA_ERR_MEMORY : VA_ERR_NUMERIC,
                   "LAPACK %s failed (info %lld)", routine, (long long)info);
}

static va_status check_frame(va_ctx *ctx, const char *what, const va_metric_rows *frame) {
    const int64_t limit = sizeof(lapack_int) == 8 ? INT64_MAX : INT32_MAX;
    int64_t n_elem;
    if (frame->n < 1 || frame->d < 1)
        return va_fail(ctx, VA_ERR_USAGE, "%s: expected one row or more, got [%lld, %lld]", what,
                       (long long)frame->n, (long long)frame->d);
    if (frame->n > frame->d)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: %lld rows in %lld dimensions are dependent", what,
                       (long long)frame->n, (long long)frame->d);
    if (!va_mul_i64(frame->n, frame->d, &n_elem) || n_elem > limit)
        return va_fail(ctx, VA_ERR_SHAPE, "%s: [%lld, %lld] is too large for LAPACK", what,
                       (long long)frame->n, (long long)frame->d);
    return VA_OK;
}

// Q: [n, d] out, an orthonormal basis of the rows' span. QR with pivoting: the diagonal of R falls,
// and shows the rank.
static va_status orthonormalise(va_ctx *ctx, va_arena *arena, const char *what,
                                const va_metric_rows *frame, double **Q) {
    va_status st = VA_OK;
    const lapack_int n = (lapack_int)frame->n, d = (lapack_int)frame->d;
    lapack_int *pivot;
    double *tau;
    VA_TRY_ALLOC(ctx, *Q, VA_NEW_ARRAY(arena, double, frame->n * frame->d));
    VA_TRY_ALLOC(ctx, pivot, VA_NEW_ARRAY(arena, lapack_int, n));
    VA_TRY_ALLOC(ctx, tau, VA_NEW_ARRAY(arena, double, n));
    VA_TRY(va_metric_unit_rows(ctx, what, frame, *Q));
    lapack_int info = LAPACKE_dgeqp3(LAPACK_COL_MAJOR, d, n, *Q, d, pivot, tau);
    if (info != 0)
        VA_TRY(failed(ctx, "dgeqp3", info));
    for (int64_t i = 0; i < n; i++)
        if (fabs((*Q)[i * d + i]) < RANK_TOLERANCE) {
            st = va_fail(ctx, VA_ERR_NUMERIC,
                         "%s: expected %lld independent rows, got rank %lld (row %lld depends on "
                         "others)",
                         what, (long long)n, (long long)i, (long long)pivot[i] - 1);
            goto done;
        }
    info = LAPACKE_dorgqr(LAPACK_COL_MAJOR, d, n, n, *Q, d, tau);
    if (info != 0)
        VA_TRY(failed(ctx, "dorgqr", info));
done:
    return st;
}

// The singular values of the [rows, cols] matrix M, descending; M is lost.
static va_status singular_values(va_ctx *ctx, double *M, int64_t rows, int64_t cols, double *S) {
    double unused;
    lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', (lapack_int)cols, (lapack_int)rows, M,
                                     (lapack_int)cols, S, &unused, 1, &unused, 1);
    return info == 0 ? VA_OK : failed(ctx, "dgesdd", info);
}

// Of the larger frame P [p, d] and the smaller Q [q, d], which becomes Q - Q P' P.
static va_status cosines_and_sines(va_ctx *ctx, va_arena *arena, const double *P, int64_t p,
                                   double *Q, int64_t q, int64_t d, double *cosines,
                                   double *sines) {
    va_status st = VA_OK;
    double *product; // [q, p]
    VA_TRY_ALLOC(ctx, product, VA_NEW_ARRAY(arena, double, q *p));
    for (int64_t i = 0; i < q; i++) {
        for (int64_t j = 0; j < p; j++)
            product[i * p + j] = va_metric_dot(Q + i * d, P + j * d, d);
        for (int64_t j = 0; j < p; j++)
            for (int64_t k = 0; k < d; k++)
                Q[i * d + k] -= product[i * p + j] * P[j * d + k];
    }
    VA_TRY(singular_values(ctx, product, q, p, cosines));
    VA_TRY(singular_values(ctx, Q, q, d, sines));
done:
    return st;
}

va_status va_metric_principal_angles(va_ctx *ctx, const va_metric_rows *U, const va_metric_rows *V,
                                     double *cosines, double *angles) {
    va_status st = VA_OK;
    va_arena *arena = NULL;
    const bool swap = U->n < V->n;
    const int64_t m = VA_MIN(U->n, V->n);
    double *Q[2], *c, *s;
    VA_TRY(check_frame(ctx, "first frame", U));
    VA_TRY(check_frame(ctx, "second frame", V));
    if (U->d != V->d)
        return va_fail(ctx, VA_ERR_SHAPE, "frames in %lld and %lld dimensions have no angles",
                       (long long)U->d, (long long)V->d);
    VA_TRY_ALLOC(ctx, arena, va_arena_create());
    VA_TRY(orthonormalise(ctx, arena, "first frame", U, &Q[0]));
    VA_TRY(orthonormalise(ctx, arena, "second frame", V, &Q[1]));
    VA_TRY_ALLOC(ctx, c, VA_NEW_ARRAY(arena, double, m));
    VA_TRY_ALLOC(ctx, s, VA_NEW_ARRAY(arena, double, m));
    VA_TRY(cosines_and_sines(ctx, arena, Q[swap], VA_MAX(U->n, V->n), Q[!swap], m, U->d, c, s));
    for (int64_t i = 0; i < m; i++) {
        double cosine = fmin(1, c[i]), sine = fmin(1, s[m - 1 - i]);
        if (cosines)
            cosines[i] = cosine;
        if (angles)
            angles[i] = cosine * cosine >= 0.5 ? asin(sine) : acos(cosine);
    }
done:
    va_arena_destroy(&arena);
    return st;
}

double va_metric_overlap(const double *cosines, int64_t m) {
    return m >= 1 ? va_metric_dot(cosines, cosines, m) / (double)m : NAN;
}
