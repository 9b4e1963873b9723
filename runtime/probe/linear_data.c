// linear_data.c: rows in double, and the problems on them.
// SPDX-License-Identifier: Apache-2.0
#include "linear_priv.h"

#include <math.h>
#include <string.h>

static va_status column_means(va_arena *arena, const float *X, linear_data *data) {
    va_status st = VA_OK;
    VA_TRY_ALLOC(data->ctx, data->centre, VA_NEW_ARRAY(arena, double, data->d));
    for (int64_t i = 0; i < data->n_x; i++)
        for (int64_t j = 0; j < data->d; j++)
            data->centre[j] += (double)X[i * data->d + j];
    for (int64_t j = 0; j < data->d; j++)
        data->centre[j] /= (double)data->n_x;
done:
    return st;
}

va_status linear_data_create(va_ctx *ctx, va_gpu *gpu, va_arena *arena, const float *X, int64_t n_x,
                             int64_t d, const va_fit_problem *problems, int64_t n_problems,
                             linear_data *data) {
    va_status st = VA_OK;
    *data = (linear_data){.ctx = ctx, .gpu = gpu, .n_x = n_x, .d = d, .stride = linear_stride(d)};
    VA_TRY(column_means(arena, X, data));
    VA_TRY_ALLOC(ctx, data->slot, VA_NEW_ARRAY(arena, int64_t, n_x));
    for (int64_t p = 0; p < n_problems; p++)
        for (int64_t r = 0; r < problems[p].n; r++)
            data->slot[problems[p].rows[r]] = 1;
    for (int64_t i = 0; i < n_x; i++)
        data->slot[i] = data->slot[i] ? data->n_used++ : -1;
    VA_TRY_ALLOC(ctx, data->X, linear_matrix(arena, data->n_used, data->stride));
    for (int64_t i = 0; i < n_x; i++) {
        if (data->slot[i] < 0)
            continue;
        double *row = data->X + data->slot[i] * data->stride;
        for (int64_t j = 0; j < d; j++)
            row[j] = (double)X[i * d + j] - data->centre[j];
    }
done:
    return st;
}

va_status linear_data_gram(linear_data *data, va_arena *arena, const va_fit_problem *problems,
                           int64_t n_problems) {
    va_status st = VA_OK;
    double apart = 0, together = (double)data->n_used * (double)data->n_used;
    for (int64_t p = 0; p < n_problems; p++)
        if (problems[p].n <= data->d)
            apart += (double)problems[p].n * (double)problems[p].n;
    if (apart < together || n_problems < 2)
        return VA_OK;
    VA_TRY_ALLOC(data->ctx, data->G, linear_matrix(arena, data->n_used, data->n_used));
    linear_gram(data->X, data->n_used, data->stride, data->G);
done:
    return st;
}

// Counts of (slot, label), then those that occur, in order.
static va_status collect_rows(const linear_data *data, va_arena *scratch, linear_problem *problem) {
    va_status st = VA_OK;
    const va_fit_problem *given = problem->given;
    int32_t *times;
    VA_TRY_ALLOC(data->ctx, times, VA_NEW_ARRAY(scratch, int32_t, 2 * data->n_used));
    for (int64_t r = 0; r < given->n; r++) {
        const int label = given->labels[r] == 1;
        int32_t *t = &times[2 * data->slot[given->rows[r]] + label];
        if (*t == INT32_MAX)
            return va_fail(data->ctx, VA_ERR_SHAPE, "row %lld occurs more than %d times",
                           (long long)given->rows[r], INT32_MAX);
        problem->m += (*t)++ == 0;
        problem->n_class[label]++;
    }
    VA_TRY_ALLOC(data->ctx, problem->slot, VA_NEW_ARRAY(scratch, int64_t, problem->m));
    VA_TRY_ALLOC(data->ctx, problem->label, VA_NEW_ARRAY(scratch, int, problem->m));
    VA_TRY_ALLOC(data->ctx, problem->count, VA_NEW_ARRAY(scratch, double, problem->m));
    for (int64_t k = 0, i = 0; k < 2 * data->n_used; k++) {
        if (times[k] == 0)
            continue;
        problem->slot[i] = k / 2;
        problem->label[i] = k % 2;
        problem->count[i++] = times[k];
    }
done:
    return st;
}

// Class means; VA_ERR_NUMERIC when they are equal up to rounding, as no direction parts them then.
static va_status class_means(const linear_data *data, va_arena *scratch, linear_problem *problem) {
    va_status st = VA_OK;
    const int64_t stride = data->stride;
    double size = 0;
    for (int c = 0; c < 2; c++)
        VA_TRY_ALLOC(data->ctx, problem->mean[c], VA_NEW_ARRAY(scratch, double, stride));
    VA_TRY_ALLOC(data->ctx, problem->delta, VA_NEW_ARRAY(scratch, double, stride));
    for (int64_t i = 0; i < problem->m; i++) {
        const double *row = data->X + problem->slot[i] * stride;
        const int label = problem->label[i];
        const double share = problem->count[i] / (double)problem->n_class[label];
        linear_axpy(share, row, problem->mean[label], stride);
        size = fmax(size, linear_dot(row, row, stride));
    }
    memcpy(problem->delta, problem->mean[1], (size_t)stride * sizeof(double));
    linear_axpy(-1, problem->mean[0], problem->delta, stride);
    if (linear_dot(problem->delta, problem->delta, stride) <= 1e-26 * size)
        return va_fail(data->ctx, VA_ERR_NUMERIC,
                       "the means of both classes are equal: no direction parts them");
done:
    return st;
}

va_status linear_problem_create(const linear_data *data, va_arena *scratch,
                                const va_fit_problem *given, linear_problem *problem) {
    va_status st = VA_OK;
    *problem = (linear_problem){.n = given->n, .given = given};
    VA_TRY(collect_rows(data, scratch, problem));
    VA_TRY(class_means(data, scratch, problem));
done:
    return st;
}

const double *linear_row(const linear_job *job, int64_t i) {
    return job->data->X + job->problem->slot[i] * job->data->stride;
}

va_status linear_problem_gram(const linear_job *job, double **K) {
    va_status st = VA_OK;
    const linear_data *data = job->data;
    const int64_t m = job->problem->m, *slot = job->problem->slot;
    double *rows;
    VA_TRY_ALLOC(data->ctx, *K, linear_matrix(job->scratch, m, m));
    if (data->G) {
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < m; j++)
                (*K)[i * m + j] = data->G[slot[i] * data->n_used + slot[j]];
        return VA_OK;
    }
    VA_TRY_ALLOC(data->ctx, rows, linear_matrix(job->scratch, m, data->stride));
    for (int64_t i = 0; i < m; i++)
        memcpy(rows + i * data->stride, linear_row(job, i), (size_t)data->stride * sizeof *rows);
    linear_gram(rows, m, data->stride, *K);
done:
    return st;
}
