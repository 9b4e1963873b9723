// linear_logistic_wide.c: logistic regression of m <= d rows: w = sum_i z_i (x_i - mean).
//
// With K = A A' of the centred rows A, f = K z + b, and F is least where l2 z + g = 0 and the z_i
// sum to 0. Newton's step solves (l2 I + W K) dz + db W = -(l2 z + g), sum dz = -sum z. As Gaussian
// processes do it (Rasmussen, Williams, Gaussian Processes for Machine Learning, 2006, section
// 3.4.3), with s = sqrt(W):
//     (l2 I + W K)^-1 v = (v - s (l2 I + s K s)^-1 s K v) / l2,
// which divides by no W and whose matrix has no eigenvalue below l2. K is double: its smallest
// eigenvalues matter, and those of an f32 product of badly scaled columns are noise.
// SPDX-License-Identifier: Apache-2.0
#include "linear_priv.h"

#include <math.h>

typedef struct wide {
    double *K, *M;       // [m, m]; M: Cholesky of l2 I + s K s
    double *s, *Kv, *r;  // [m]
    double *by_r, *by_W; // [m] the two solutions that make dz
} wide;

static void multiply(const double *K, const double *v, int64_t m, double *Kv) {
    for (int64_t i = 0; i < m; i++) {
        double sum[4] = {0};
        int64_t j = 0;
        for (; j + 4 <= m; j += 4)
            for (int c = 0; c < 4; c++)
                sum[c] += K[i * m + j + c] * v[j + c];
        for (; j < m; j++)
            sum[0] += K[i * m + j] * v[j];
        Kv[i] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
}

// K of the rows less the problem's mean; the sums over all rows count repetitions.
static va_status centre_gram(const linear_job *job, double *K) {
    va_status st = VA_OK;
    const linear_problem *p = job->problem;
    const int64_t m = p->m;
    double *mean, all = 0;
    VA_TRY_ALLOC(job->data->ctx, mean, VA_NEW_ARRAY(job->scratch, double, m));
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < m; j++)
            mean[i] += p->count[j] / (double)p->n * K[i * m + j];
        all += p->count[i] / (double)p->n * mean[i];
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < m; j++)
            K[i * m + j] += all - mean[i] - mean[j];
done:
    return st;
}

// x = (l2 I + W K)^-1 v
static va_status solve(const linear_newton *s, const double *v, double *x) {
    va_status st = VA_OK;
    const wide *self = s->self;
    const int64_t m = s->job->problem->m;
    multiply(self->K, v, m, self->Kv);
    for (int64_t i = 0; i < m; i++)
        x[i] = self->s[i] * self->Kv[i];
    VA_TRY(linear_solve(s->job->data->ctx, self->M, m, x));
    for (int64_t i = 0; i < m; i++)
        x[i] = (v[i] - self->s[i] * x[i]) / s->job->params->l2;
done:
    return st;
}

static va_status factor(const linear_newton *s) {
    va_status st = VA_OK;
    const wide *self = s->self;
    const int64_t m = s->job->problem->m;
    bool positive;
    for (int64_t i = 0; i < m; i++)
        self->s[i] = sqrt(s->W[i]);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < m; j++)
            self->M[i * m + j] = self->s[i] * self->K[i * m + j] * self->s[j];
        self->M[i * m + i] += s->job->params->l2;
    }
    VA_TRY(linear_factor(s->job->data->ctx, self->M, m, &positive));
    if (!positive)
        return va_fail(s->job->data->ctx, VA_ERR_NUMERIC,
                       "the Hessian is singular to double precision: expected an l2 of more than "
                       "%g for activations of this size",
                       s->job->params->l2);
done:
    return st;
}

static void residual(const linear_newton *s) {
    const wide *self = s->self;
    for (int64_t i = 0; i < s->job->problem->m; i++)
        self->r[i] = -(s->job->params->l2 * s->z[i] + s->g[i]);
}

static va_status step(linear_newton *s) {
    va_status st = VA_OK;
    const wide *self = s->self;
    const int64_t m = s->job->problem->m;
    double sum_r = 0, sum_W = 0;
    VA_TRY(factor(s));
    residual(s);
    VA_TRY(solve(s, self->r, self->by_r));
    VA_TRY(solve(s, s->W, self->by_W));
    for (int64_t i = 0; i < m; i++) {
        sum_r += self->by_r[i] + s->z[i];
        sum_W += self->by_W[i];
    }
    s->db = sum_W > 0 ? sum_r / sum_W : 0;
    for (int64_t i = 0; i < m; i++)
        s->dz[i] = self->by_r[i] - s->db * self->by_W[i];
    multiply(self->K, s->dz, m, s->Pdz);
    for (int64_t i = 0; i < m; i++)
        s->df[i] = s->Pdz[i];
done:
    return st;
}

// |A' (l2 z + g)|
static double gradient(linear_newton *s) {
    const wide *self = s->self;
    const int64_t m = s->job->problem->m;
    double square = 0;
    residual(s);
    multiply(self->K, self->r, m, self->Kv);
    for (int64_t i = 0; i < m; i++)
        square += self->r[i] * self->Kv[i];
    return sqrt(fmax(square, 0));
}

// w and b of rows that are not less the problem's mean.
static void to_weights(const linear_newton *s) {
    const linear_problem *p = s->job->problem;
    const int64_t stride = s->job->data->stride;
    linear_solution *out = s->job->out;
    double sum = 0, shift = 0;
    for (int64_t i = 0; i < p->m; i++)
        sum += s->z[i];
    for (int64_t i = 0; i < p->m; i++) // the mean's part is 0 but for rounding
        linear_axpy(s->z[i] - sum * p->count[i] / (double)p->n, linear_row(s->job, i), out->w,
                    stride);
    for (int c = 0; c < 2; c++)
        shift += (double)p->n_class[c] / (double)p->n * linear_dot(out->w, p->mean[c], stride);
    out->b = s->b - shift;
}

va_status linear_logistic_wide(const linear_job *job) {
    va_status st = VA_OK;
    va_ctx *ctx = job->data->ctx;
    const int64_t m = job->problem->m;
    linear_newton s;
    wide self = {0};
    VA_TRY(linear_newton_create(job, m, &s));
    s.self = &self;
    s.step = step;
    s.gradient = gradient;
    VA_TRY(linear_problem_gram(job, &self.K));
    VA_TRY(centre_gram(job, self.K));
    VA_TRY_ALLOC(ctx, self.M, linear_matrix(job->scratch, m, m));
    double **const vectors[] = {&self.s, &self.Kv, &self.r, &self.by_r, &self.by_W};
    for (int i = 0; i < VA_COUNT(vectors); i++)
        VA_TRY_ALLOC(ctx, *vectors[i], VA_NEW_ARRAY(job->scratch, double, m));
    VA_TRY(linear_newton_run(&s));
    to_weights(&s);
done:
    return st;
}
