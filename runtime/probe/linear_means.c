// linear_means.c: difference of means, and the principal component of paired differences.
// SPDX-License-Identifier: Apache-2.0
#include "linear_priv.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

// The midpoint of the means scores 0.
static void bias_of_midpoint(const linear_job *job) {
    const linear_problem *p = job->problem;
    const int64_t stride = job->data->stride;
    const double *w = job->out->w;
    job->out->b = -(linear_dot(w, p->mean[0], stride) + linear_dot(w, p->mean[1], stride)) / 2;
}

va_status linear_fit_difference(const linear_job *job) {
    memcpy(job->out->w, job->problem->delta, (size_t)job->data->stride * sizeof(double));
    bias_of_midpoint(job);
    return VA_OK;
}

// [n_pairs, stride]: the i-th positive less the i-th negative, as given.
static va_status paired_differences(const linear_job *job, double **rows, int64_t *n_pairs) {
    va_status st = VA_OK;
    const linear_data *data = job->data;
    const va_fit_problem *given = job->problem->given;
    int64_t seen[2] = {0};
    *n_pairs = VA_MIN(job->problem->n_class[0], job->problem->n_class[1]);
    VA_TRY_ALLOC(data->ctx, *rows, linear_matrix(job->scratch, *n_pairs, data->stride));
    for (int64_t r = 0; r < given->n; r++) {
        const int label = given->labels[r] == 1;
        const double *row = data->X + data->slot[given->rows[r]] * data->stride;
        if (seen[label] < *n_pairs)
            linear_axpy(label ? 1 : -1, row, *rows + seen[label] * data->stride, data->stride);
        seen[label]++;
    }
done:
    return st;
}

// The first eigenvector of G [n, n], which is overwritten. VA_ERR_NUMERIC unless its eigenvalue is
// alone: of equal ones any mixture would do.
static va_status first_eigenvector(const linear_job *job, double *G, int64_t n, double **vector) {
    va_status st = VA_OK;
    va_ctx *ctx = job->data->ctx;
    const int64_t n_wanted = VA_MIN(n, 2);
    const lapack_int size = (lapack_int)n, low = (lapack_int)(n - n_wanted + 1);
    double *values, *vectors;
    lapack_int *support, found;
    if (n > INT32_MAX)
        return va_fail(ctx, VA_ERR_SHAPE, "%lld pairs are too many", (long long)n);
    VA_TRY_ALLOC(ctx, values, VA_NEW_ARRAY(job->scratch, double, n));
    VA_TRY_ALLOC(ctx, vectors, linear_matrix(job->scratch, 2, n));
    VA_TRY_ALLOC(ctx, support, VA_NEW_ARRAY(job->scratch, lapack_int, 4));
    lapack_int info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'L', size, G, size, 0, 0, low,
                                     size, 0, &found, values, vectors, size, support);
    if (info != 0 || found != n_wanted)
        return va_fail(ctx, info == LAPACK_WORK_MEMORY_ERROR ? VA_ERR_MEMORY : VA_ERR_NUMERIC,
                       "LAPACK dsyevr failed (info %lld, %lld eigenvalues)", (long long)info,
                       (long long)found);
    const double most = values[n_wanted - 1], next = n_wanted > 1 ? values[0] : 0;
    if (!(most - next > 1e-10 * most))
        return va_fail(ctx, VA_ERR_NUMERIC,
                       "expected one largest singular value of the paired differences, got %g and "
                       "%g",
                       sqrt(fmax(most, 0)), sqrt(fmax(next, 0)));
    *vector = vectors + (n_wanted - 1) * n;
done:
    return st;
}

// w from the smaller of D D' [n, n] and D' D [d, d].
static va_status right_singular_vector(const linear_job *job, const double *D, int64_t n) {
    va_status st = VA_OK;
    const linear_data *data = job->data;
    const int64_t size = VA_MIN(n, data->d);
    double *G, *Dt, *vector, *w = job->out->w;
    VA_TRY_ALLOC(data->ctx, G, linear_matrix(job->scratch, size, size));
    if (n <= data->d) {
        linear_gram(D, n, data->stride, G);
        VA_TRY(first_eigenvector(job, G, n, &vector));
        for (int64_t i = 0; i < n; i++)
            linear_axpy(vector[i], D + i * data->stride, w, data->stride);
    } else {
        VA_TRY(linear_transpose(data->ctx, job->scratch, D, n, data->d, &Dt));
        linear_gram(Dt, data->d, linear_stride(n), G);
        VA_TRY(first_eigenvector(job, G, data->d, &vector));
        memcpy(w, vector, (size_t)data->d * sizeof *w);
    }
done:
    return st;
}

va_status linear_fit_pca(const linear_job *job) {
    va_status st = VA_OK;
    const int64_t stride = job->data->stride;
    double *D, *w = job->out->w;
    int64_t n_pairs;
    VA_TRY(paired_differences(job, &D, &n_pairs));
    VA_TRY(right_singular_vector(job, D, n_pairs));
    double scale = 1 / sqrt(linear_dot(w, w, stride));
    if (linear_dot(w, job->problem->delta, stride) < 0)
        scale = -scale;
    for (int64_t j = 0; j < stride; j++)
        w[j] *= scale;
    bias_of_midpoint(job);
done:
    return st;
}
