// run_fit.c: a direction's method on many problems at once.
// SPDX-License-Identifier: Apache-2.0
#include "fit.h"

#include <math.h>
#include <string.h>

typedef struct fit {
    va_run *run;
    const va_direction_spec *dir;
    const va_rows *X;
    const va_fit_problem *problems;
    int64_t n_problems;
    va_fitted_fn fn;
    void *user;
} fit;

static void tick(void *user, double share) {
    const fit *f = user;
    va_run_progress(f->run, share, false);
}

static void tick_problems(void *user, int64_t n_done) {
    const fit *f = user;
    tick(user, (double)n_done / (double)f->n_problems);
}

// -- networks ------------------------------------------------------------------------------------

va_status va_run_mlp_frame(va_run *run, va_arena *arena, const va_direction_spec *dir,
                           const va_mlp *mlp, const float *X, int64_t n, va_fitted *fitted) {
    va_status st = VA_OK;
    double *sigma;
    *fitted = (va_fitted){.rank = dir->rank, .d = mlp->d, .norm = 1, .converged = true, .mlp = mlp};
    VA_TRY_ALLOC(run->ctx, fitted->frame, VA_NEW_ARRAY(arena, float, dir->rank * mlp->d));
    VA_TRY_ALLOC(run->ctx, sigma, VA_NEW_ARRAY(arena, double, dir->rank));
    if (dir->rank == 1) {
        VA_TRY(va_mlp_direction(run->ctx, mlp, dir->direction, X, n, fitted->frame, NULL));
        goto done;
    }
    VA_TRY(va_mlp_frame(run->ctx, mlp, X, n, dir->rank, fitted->frame, sigma));
    fitted->sigma = sigma;
done:
    return st;
}

static va_status on_network(void *user, int64_t p, const va_mlp *mlp) {
    va_status st = VA_OK;
    const fit *f = user;
    va_arena *arena = va_arena_create();
    va_rows rows;
    va_fitted fitted;
    VA_TRY_ALLOC(f->run->ctx, arena, arena);
    VA_TRY(va_run_gather(f->run, arena, f->X, f->problems[p].rows, f->problems[p].n, &rows));
    st = va_run_mlp_frame(f->run, arena, f->dir, mlp, rows.X, rows.n, &fitted);
    if (st == VA_ERR_NUMERIC && f->n_problems > 1) // of many fits one may have no direction
        fitted = (va_fitted){.rank = f->dir->rank, .d = f->X->d};
    else
        VA_TRY(st);
    VA_TRY(f->fn(f->user, p, &fitted));
done:
    va_arena_destroy(&arena);
    return st;
}

static va_status fit_networks(fit *f) {
    const va_direction_spec *dir = f->dir;
    const va_mlp_params params = {
        .h1 = dir->hidden[0],
        .h2 = dir->hidden[1],
        .epochs = dir->epochs,
        .batch = dir->batch,
        .learning_rate = (float)dir->learning_rate,
        .weight_decay = dir->weight_decay > 0 ? (float)dir->weight_decay : -1,
        .dropout = dir->dropout > 0 ? (float)dir->dropout : -1,
        .tick = tick,
        .tick_user = f,
    };
    return va_mlp_train_each(f->run->gpu, f->X->X, f->X->n, f->X->d, f->problems, f->n_problems,
                             &params, on_network, f);
}

// -- linear methods ------------------------------------------------------------------------------

static const va_linear_method methods[] = {
    [VA_DIRECTION_LOGISTIC] = VA_LINEAR_LOGISTIC,
    [VA_DIRECTION_DIFFERENCE] = VA_LINEAR_DIFFERENCE,
    [VA_DIRECTION_PCA] = VA_LINEAR_PCA,
    [VA_DIRECTION_LDA] = VA_LINEAR_LDA,
};

static va_status on_model(const fit *f, int64_t p, const va_linear_model *model) {
    va_status st = VA_OK;
    const int64_t d = f->X->d;
    va_arena *arena = va_arena_create();
    va_fitted fitted = {.rank = 1, .d = d, .converged = model->converged, .model = model};
    double *sigma;
    VA_TRY_ALLOC(f->run->ctx, arena, arena);
    VA_TRY(va_check_interrupt(f->run->ctx));
    VA_TRY_ALLOC(f->run->ctx, fitted.frame, VA_NEW_ARRAY(arena, float, f->dir->rank *d));
    if (f->dir->rank > 1) {
        VA_TRY_ALLOC(f->run->ctx, sigma, VA_NEW_ARRAY(arena, double, f->dir->rank));
        VA_TRY(va_linear_components(f->run->ctx, f->X->X, d, &f->problems[p], f->dir->rank,
                                    fitted.frame, sigma));
        fitted.sigma = sigma;
        fitted.rank = f->dir->rank;
        fitted.norm = 1;
    } else {
        VA_TRY(va_metric_norm(f->run->ctx, model->w, d, &fitted.norm));
        for (int64_t i = 0; i < d; i++)
            fitted.frame[i] = (float)(model->w[i] / fitted.norm);
    }
    VA_TRY(f->fn(f->user, p, &fitted));
done:
    va_arena_destroy(&arena);
    return st;
}

static va_status fit_linear(fit *f) {
    va_status st = VA_OK;
    const double shrinkage = f->dir->shrinkage; // negative: found from the data
    const va_linear_params params = {.method = methods[f->dir->kind],
                                     .l2 = f->dir->l2,
                                     .shrinkage = shrinkage < 0    ? 0
                                                  : shrinkage == 0 ? -1
                                                                   : shrinkage,
                                     .tick = tick_problems,
                                     .user = f};
    va_arena *arena = va_arena_create();
    va_linear_model *models = arena ? VA_NEW_ARRAY(arena, va_linear_model, f->n_problems) : NULL;
    VA_TRY_ALLOC(f->run->ctx, models, models);
    VA_TRY(va_linear_fit(f->run->ctx, f->run->gpu, arena, f->X->X, f->X->n, f->X->d, f->problems,
                         f->n_problems, &params, models));
    for (int64_t p = 0; p < f->n_problems; p++)
        VA_TRY(on_model(f, p, &models[p]));
done:
    va_arena_destroy(&arena);
    return st;
}

va_status va_run_fit(va_run *run, const va_direction_spec *dir, const va_rows *X,
                     const va_fit_problem *problems, int64_t n_problems, va_fitted_fn fn,
                     void *user) {
    fit f = {run, dir, X, problems, n_problems, fn, user};
    return dir->kind == VA_DIRECTION_MLP ? fit_networks(&f) : fit_linear(&f);
}
