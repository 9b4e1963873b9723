// linear_fit.c: linear directions: what is asked for, one problem after another, scores.
// SPDX-License-Identifier: Apache-2.0
#include "fit_check.h"
#include "linear_priv.h"

#include <math.h>
#include <string.h>

const char *va_linear_method_name(va_linear_method method) {
    switch (method) {
#define VA_X(name, text)                                                                           \
    case name:                                                                                     \
        return text;
        VA_LINEAR_METHOD_LIST(VA_X)
#undef VA_X
    }
    return NULL;
}

static va_linear_params resolve(const va_linear_params *asked) {
    va_linear_params p = asked ? *asked : (va_linear_params){0};
    p.l2 = p.l2 == 0 ? 1 : p.l2;
    p.max_iterations = p.max_iterations == 0 ? 100 : p.max_iterations;
    p.tolerance = p.tolerance == 0 ? 1e-10 : p.tolerance;
    return p;
}

static va_status check_params(va_ctx *ctx, const va_linear_params *p) {
    if (!va_linear_method_name(p->method))
        return va_fail(ctx, VA_ERR_USAGE, "direction: there is no method %d", (int)p->method);
    if (!(p->l2 > 0 && isfinite(p->l2)) || !(p->tolerance > 0 && isfinite(p->tolerance)) ||
        p->max_iterations < 1)
        return va_fail(ctx, VA_ERR_USAGE,
                       "direction: expected positive l2, tolerance and max_iterations, got %g, %g, "
                       "%lld",
                       p->l2, p->tolerance, (long long)p->max_iterations);
    if (!(p->shrinkage <= 1))
        return va_fail(ctx, VA_ERR_USAGE, "direction: expected a shrinkage of at most 1, got %g",
                       p->shrinkage);
    return VA_OK;
}

va_status linear_fit_logistic(const linear_job *job) {
    return job->problem->m <= job->data->d ? linear_logistic_wide(job) : linear_logistic_tall(job);
}

// To f32, and b to the coordinates of X: with the rounded w, so that the scores of rows far from 0
// keep their place.
static va_status to_model(const linear_job *job, va_arena *arena, va_linear_model *model) {
    va_status st = VA_OK;
    const linear_data *data = job->data;
    const linear_solution *s = job->out;
    *model = (va_linear_model){.d = data->d,
                               .b = s->b,
                               .iterations = s->iterations,
                               .gradient_norm = s->gradient_norm,
                               .converged = s->converged};
    VA_TRY_ALLOC(data->ctx, model->w, VA_NEW_ARRAY(arena, float, data->d));
    for (int64_t j = 0; j < data->d; j++) {
        model->w[j] = (float)s->w[j];
        model->b -= (double)model->w[j] * data->centre[j];
        if (!isfinite(model->w[j]))
            return va_fail(data->ctx, VA_ERR_NUMERIC, "weight %lld is %g", (long long)j, s->w[j]);
    }
done:
    return st;
}

static va_status fit(const linear_data *data, const va_linear_params *params, va_arena *arena,
                     va_arena *scratch, const va_fit_problem *given, va_linear_model *model) {
    static va_status (*const fits[])(const linear_job *) = {
        [VA_LINEAR_LOGISTIC] = linear_fit_logistic,
        [VA_LINEAR_DIFFERENCE] = linear_fit_difference,
        [VA_LINEAR_PCA] = linear_fit_pca,
        [VA_LINEAR_LDA] = linear_fit_lda};
    va_status st = VA_OK;
    linear_problem problem;
    linear_solution solution = {.converged = true};
    VA_TRY(linear_problem_create(data, scratch, given, &problem));
    VA_TRY_ALLOC(data->ctx, solution.w, VA_NEW_ARRAY(scratch, double, data->stride));
    const linear_job job = {data, params, &problem, scratch, &solution};
    VA_TRY(fits[params->method](&job));
    VA_TRY(to_model(&job, arena, model));
done:
    return st;
}

va_status va_linear_fit(va_ctx *ctx, va_gpu *gpu, va_arena *arena, const float *X, int64_t n_x,
                        int64_t d, const va_fit_problem *problems, int64_t n_problems,
                        const va_linear_params *asked, va_linear_model *models) {
    va_status st = VA_OK;
    const va_linear_params params = resolve(asked);
    va_arena *shared = NULL, *scratch = NULL;
    linear_data data;
    VA_TRY(check_params(ctx, &params));
    VA_TRY(fit_check_rows(ctx, "direction", X, n_x, d));
    VA_TRY(fit_check_problems(ctx, "direction", problems, n_problems, n_x));
    VA_TRY_ALLOC(ctx, shared, va_arena_create());
    VA_TRY_ALLOC(ctx, scratch, va_arena_create());
    VA_TRY(linear_data_create(ctx, gpu, shared, X, n_x, d, problems, n_problems, &data));
    if (params.method == VA_LINEAR_LOGISTIC)
        VA_TRY(linear_data_gram(&data, shared, problems, n_problems));
    for (int64_t p = 0; p < n_problems; p++) {
        VA_TRY(va_check_interrupt(ctx));
        va_arena_reset(scratch);
        st = fit(&data, &params, arena, scratch, &problems[p], &models[p]);
        if (st != VA_OK)
            VA_TRY(va_fail_in(ctx, st, "direction %lld (%s)", (long long)p,
                              va_linear_method_name(params.method)));
        if (params.tick)
            params.tick(params.user, p + 1);
    }
done:
    va_arena_destroy(&scratch);
    va_arena_destroy(&shared);
    return st;
}

void va_linear_scores(const va_linear_model *model, const float *X, int64_t n, double *scores) {
    for (int64_t i = 0; i < n; i++) {
        double sum = model->b;
        for (int64_t j = 0; j < model->d; j++)
            sum += (double)model->w[j] * (double)X[i * model->d + j];
        scores[i] = sum;
    }
}
