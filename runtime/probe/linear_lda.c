// linear_lda.c: Fisher's linear discriminant with a shrunk within-class covariance.
//
// S = sum_c (n_c / n) ((1 - s_c) C_c + s_c T_c), C_c the covariance of class c over n_c.
//   Ledoit-Wolf ("Honey, I shrunk the sample covariance matrix", J. Portfolio Management 30, 2004;
//   s from "A well-conditioned estimator for large-dimensional covariance matrices", J.
//   Multivariate Analysis 88, 2004) on columns scaled to variance 1: T_c = mu diag(C_c), mu = 1
//   unless columns are constant, and s_c of the scaled rows.
//   A given s: T_c = (trace C_c / d) I.
// So S = diag(t) + A' A with scaled rows A [m, d]. Of m < d rows, by Woodbury's identity,
//     S^-1 v = u - T^-1 A' (I + A T^-1 A')^-1 A u, u = T^-1 v, T = diag(t);
// otherwise by Cholesky of S.
// SPDX-License-Identifier: Apache-2.0
#include "linear_priv.h"

#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

typedef struct lda {
    double *A; // [m, stride]
    double *t; // [stride]
    double shrinkage[2], mu[2];
    double *variance[2]; // [stride] of each class's columns; 1 of constant ones where they scale
} lda;

static double weight(const linear_problem *p, int64_t i, const lda *self) {
    return sqrt((1 - self->shrinkage[p->label[i]]) * p->count[i] / (double)p->n);
}

static void variances(const linear_job *job, lda *self) {
    const linear_problem *p = job->problem;
    for (int64_t i = 0; i < p->m; i++) {
        const double *row = linear_row(job, i), *mean = p->mean[p->label[i]];
        const double share = p->count[i] / (double)p->n_class[p->label[i]];
        double *variance = self->variance[p->label[i]];
        for (int64_t j = 0; j < job->data->d; j++)
            variance[j] += share * (row[j] - mean[j]) * (row[j] - mean[j]);
    }
}

// The variance that rounding alone gives column j of class c.
static double noise(const linear_job *job, int c, int64_t j) {
    const double size = fabs(job->problem->mean[c][j]) + fabs(job->data->centre[j]);
    return 16 * DBL_EPSILON * DBL_EPSILON * size * size;
}

// Constant columns have no scale of their own: they stay as they are.
static void scale_constant_columns(const linear_job *job, lda *self) {
    for (int c = 0; c < 2; c++)
        for (int64_t j = 0; j < job->data->d; j++)
            if (self->variance[c][j] <= noise(job, c, j))
                self->variance[c][j] = 1;
}

// Z [rows of class c, stride]: centred, scaled rows times sqrt(count); *fourth: sum |z|^4 count.
static va_status scaled_rows(const linear_job *job, const lda *self, int c, double **Z, int64_t *n,
                             double *fourth) {
    va_status st = VA_OK;
    const linear_problem *p = job->problem;
    const int64_t d = job->data->d, stride = job->data->stride;
    double *inverse;
    VA_TRY_ALLOC(job->data->ctx, *Z, linear_matrix(job->scratch, p->m, stride));
    VA_TRY_ALLOC(job->data->ctx, inverse, VA_NEW_ARRAY(job->scratch, double, stride));
    for (int64_t j = 0; j < d; j++)
        inverse[j] = 1 / sqrt(self->variance[c][j]);
    *n = 0;
    *fourth = 0;
    for (int64_t i = 0; i < p->m; i++) {
        if (p->label[i] != c)
            continue;
        const double *row = linear_row(job, i), root = sqrt(p->count[i]);
        double *z = *Z + (*n)++ * stride;
        for (int64_t j = 0; j < d; j++)
            z[j] = root * (row[j] - p->mean[c][j]) * inverse[j];
        const double square = linear_dot(z, z, stride);
        *fourth += square * square / p->count[i];
    }
done:
    return st;
}

// |Z' Z|_F^2 from the smaller of Z Z' and Z' Z.
static va_status gram_square(const linear_job *job, const double *Z, int64_t n, double *square) {
    va_status st = VA_OK;
    va_ctx *ctx = job->data->ctx;
    const int64_t d = job->data->d, size = VA_MIN(n, d);
    double *G, *Zt;
    VA_TRY_ALLOC(ctx, G, linear_matrix(job->scratch, size, size));
    if (n <= d) {
        linear_gram(Z, n, job->data->stride, G);
    } else {
        VA_TRY(linear_transpose(ctx, job->scratch, Z, n, d, &Zt));
        linear_gram(Zt, d, linear_stride(n), G);
    }
    *square = 0;
    for (int64_t i = 0; i < size * size; i++)
        *square += G[i] * G[i];
done:
    return st;
}

// Shrinkage of class c and the mean variance of its scaled columns. One column needs none.
static va_status ledoit_wolf(const linear_job *job, lda *self, int c) {
    va_status st = VA_OK;
    const double n = (double)job->problem->n_class[c], d = (double)job->data->d;
    double *Z, fourth = 0, square = 0, trace = 0;
    int64_t n_rows;
    VA_TRY(scaled_rows(job, self, c, &Z, &n_rows, &fourth));
    VA_TRY(gram_square(job, Z, n_rows, &square));
    for (int64_t i = 0; i < n_rows; i++)
        trace +=
            linear_dot(Z + i * job->data->stride, Z + i * job->data->stride, job->data->stride);
    self->mu[c] = trace / n / d;
    square /= n * n;
    const double delta = (square - d * self->mu[c] * self->mu[c]) / d;
    const double beta = fmin((fourth / n - square) / (n * d), delta);
    self->shrinkage[c] = job->data->d == 1 || beta <= 0 ? 0 : beta / delta;
done:
    return st;
}

static va_status shrink(const linear_job *job, lda *self) {
    va_status st = VA_OK;
    const linear_problem *p = job->problem;
    const double asked = job->params->shrinkage;
    const bool automatic = asked == 0;
    for (int c = 0; c < 2; c++)
        VA_TRY_ALLOC(job->data->ctx, self->variance[c],
                     VA_NEW_ARRAY(job->scratch, double, job->data->stride));
    variances(job, self);
    if (automatic)
        scale_constant_columns(job, self);
    for (int c = 0; c < 2; c++) {
        const double share = (double)p->n_class[c] / (double)p->n;
        double trace = 0;
        for (int64_t j = 0; j < job->data->d; j++)
            trace += self->variance[c][j];
        if (automatic)
            VA_TRY(ledoit_wolf(job, self, c));
        else
            self->shrinkage[c] = fmax(asked, 0);
        for (int64_t j = 0; j < job->data->d; j++)
            self->t[j] +=
                share * self->shrinkage[c] *
                (automatic ? self->mu[c] * self->variance[c][j] : trace / (double)job->data->d);
    }
done:
    return st;
}

static void covariance_rows(const linear_job *job, lda *self) {
    const linear_problem *p = job->problem;
    for (int64_t i = 0; i < p->m; i++) {
        const double *row = linear_row(job, i), *mean = p->mean[p->label[i]];
        const double scale = weight(p, i, self);
        for (int64_t j = 0; j < job->data->d; j++)
            self->A[i * job->data->stride + j] = scale * (row[j] - mean[j]);
    }
}

// A and w become those of columns over sqrt(t), which leaves T = I.
static va_status woodbury(const linear_job *job, lda *self) {
    va_status st = VA_OK;
    va_ctx *ctx = job->data->ctx;
    const int64_t m = job->problem->m, stride = job->data->stride;
    double *M, *Au, *w = job->out->w;
    bool positive;
    VA_TRY_ALLOC(ctx, M, linear_matrix(job->scratch, m, m));
    VA_TRY_ALLOC(ctx, Au, VA_NEW_ARRAY(job->scratch, double, m));
    for (int64_t j = 0; j < job->data->d; j++) {
        self->t[j] = 1 / sqrt(self->t[j]);
        w[j] = self->t[j] * job->problem->delta[j];
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < job->data->d; j++)
            self->A[i * stride + j] *= self->t[j];
        Au[i] = linear_dot(self->A + i * stride, w, stride);
    }
    linear_gram(self->A, m, stride, M);
    for (int64_t i = 0; i < m; i++)
        M[i * m + i] += 1;
    VA_TRY(linear_factor(ctx, M, m, &positive));
    if (!positive)
        return va_fail(ctx, VA_ERR_NUMERIC, "the within-class covariance is not positive");
    VA_TRY(linear_solve(ctx, M, m, Au));
    for (int64_t i = 0; i < m; i++)
        linear_axpy(-Au[i], self->A + i * stride, w, stride);
    for (int64_t j = 0; j < job->data->d; j++)
        w[j] *= self->t[j];
done:
    return st;
}

static va_status singular(const linear_job *job) {
    return va_fail(job->data->ctx, VA_ERR_NUMERIC,
                   "the within-class covariance of %lld rows in %lld columns cannot be inverted: "
                   "expected more shrinkage, or more rows and no constant columns",
                   (long long)job->problem->n, (long long)job->data->d);
}

// S of columns over `root`, so that its diagonal is 1 and its condition that of correlations.
static void form_covariance(const double *At, int64_t m, const double *t, int64_t d, double *root,
                            double *S) {
    linear_gram(At, d, linear_stride(m), S);
    for (int64_t j = 0; j < d; j++)
        root[j] = 1 / sqrt(S[j * d + j] + t[j]);
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j < d; j++)
            S[i * d + j] = root[i] * root[j] * (S[i * d + j] + (i == j ? t[i] : 0));
}

static va_status direct(const linear_job *job, lda *self) {
    va_status st = VA_OK;
    va_ctx *ctx = job->data->ctx;
    const int64_t m = job->problem->m, d = job->data->d;
    double *At, *S, *root, *w = job->out->w, condition = 0, norm = 0;
    bool positive = false;
    VA_TRY(linear_transpose(ctx, job->scratch, self->A, m, d, &At));
    VA_TRY_ALLOC(ctx, S, linear_matrix(job->scratch, d, d));
    VA_TRY_ALLOC(ctx, root, VA_NEW_ARRAY(job->scratch, double, d));
    for (int64_t j = 0; j < d; j++)
        if (self->t[j] == 0 && fmax(self->variance[0][j] - noise(job, 0, j),
                                    self->variance[1][j] - noise(job, 1, j)) <= 0)
            return singular(job);
    form_covariance(At, m, self->t, d, root, S);
    for (int64_t i = 0; i < d; i++) {
        double sum = 0;
        if (!isfinite(root[i]))
            return singular(job);
        for (int64_t j = 0; j < d; j++)
            sum += fabs(S[i * d + j]);
        norm = fmax(norm, sum);
    }
    VA_TRY(linear_factor(ctx, S, d, &positive));
    if (positive)
        LAPACKE_dpocon(LAPACK_COL_MAJOR, 'L', (lapack_int)d, S, (lapack_int)d, norm, &condition);
    if (condition < 1e-12)
        return singular(job);
    for (int64_t j = 0; j < d; j++)
        w[j] = root[j] * job->problem->delta[j];
    VA_TRY(linear_solve(ctx, S, d, w));
    for (int64_t j = 0; j < d; j++)
        w[j] *= root[j];
done:
    return st;
}

va_status linear_fit_lda(const linear_job *job) {
    va_status st = VA_OK;
    const linear_problem *p = job->problem;
    const int64_t stride = job->data->stride;
    const double *w = job->out->w;
    lda self = {0};
    bool full = true; // no t is 0
    VA_TRY_ALLOC(job->data->ctx, self.t, VA_NEW_ARRAY(job->scratch, double, stride));
    VA_TRY_ALLOC(job->data->ctx, self.A, linear_matrix(job->scratch, p->m, stride));
    VA_TRY(shrink(job, &self));
    covariance_rows(job, &self);
    for (int64_t j = 0; j < job->data->d; j++)
        full = full && self.t[j] > 0;
    if (full && p->m < job->data->d)
        VA_TRY(woodbury(job, &self));
    else if (!full && p->n < job->data->d + 2) // rank at most n - 2
        return singular(job);
    else
        VA_TRY(direct(job, &self));
    job->out->b = log((double)p->n_class[1] / (double)p->n_class[0]) -
                  (linear_dot(w, p->mean[0], stride) + linear_dot(w, p->mean[1], stride)) / 2;
done:
    return st;
}
