// read_direction.c: a derivative at a prompt, or the mean of several, reduced to directions.
//
//     jx        J x                                         one jvp
//     gradient  J' (e_token - e_versus), never all of J     one vjp
//     pullback  J' w                                        one vjp
//     right, left: the largest singular triplets, by block Golub-Kahan (svd.h)
// SPDX-License-Identifier: Apache-2.0
#include "read_direction_priv.h"

#include <math.h>

// A request with its map.
typedef struct direction_job {
    va_model *model;
    va_ctx *ctx;
    va_arena *arena; // of the result
    const va_map_direction_params *p;
    va_map_direction *out;
    va_linmap_shape shape;
    va_prompt *prompt; // of one prompt: sites 0 (from) and 1 (to), and its map
    va_linmap *own;
    va_mean_map *mean; // of several
    va_linmap *map;    // of either
    float *x, *y;      // jx: [T_in, d_in] and [T_out, d_out], values or their means
    double start_s;    // when the prompts were there, and the one prompt's forward pass done
} direction_job;

// -- the map --------------------------------------------------------------------------------------

// Runs the forward pass, and keeps what jx needs of its values.
static va_status run_forward(direction_job *job) {
    va_status st = VA_OK;
    const double start = va_time_s();
    VA_TRY(va_prompt_read(job->prompt, 0, job->x));
    if (job->y)
        VA_TRY(va_prompt_read(job->prompt, 1, job->y));
    job->start_s = va_time_s();
    job->out->forward_s = job->start_s - start;
done:
    return st;
}

static va_status allocate_values(direction_job *job, va_arena *temp) {
    va_status st = VA_OK;
    const va_linmap_shape *s = &job->shape;
    VA_TRY_ALLOC(job->ctx, job->x, VA_NEW_ARRAY(temp, float, s->T_in * s->d_in));
    if (job->p->reduce == VA_REDUCE_JX)
        VA_TRY_ALLOC(job->ctx, job->y, VA_NEW_ARRAY(temp, float, s->T_out * s->d_out));
done:
    return st;
}

static va_status open_one(direction_job *job, va_arena *temp) {
    va_status st = VA_OK;
    va_linmap_shape *s = &job->shape;
    va_site sites[2];
    const va_prompt_params params = direction_prompt(job->p, sites);
    VA_TRY(va_prompt_create(job->model, &params, &job->prompt));
    va_prompt_site_shape(job->prompt, 0, &s->T_in, &s->d_in);
    va_prompt_site_shape(job->prompt, 1, &s->T_out, &s->d_out);
    VA_TRY(direction_check_shape(job->model, job->p, s));
    VA_TRY(allocate_values(job, temp));
    VA_TRY(run_forward(job));
    const va_map_budget budget = direction_budget(job->p, s);
    VA_TRY(va_prompt_linmap(job->prompt, 0, 1, job->p->mode, &budget, &job->own));
    job->map = job->own;
done:
    return st;
}

static va_status open_mean(direction_job *job, va_arena *temp) {
    va_status st = VA_OK;
    job->shape = direction_mean_shape(job->model, job->p);
    VA_TRY(direction_check_shape(job->model, job->p, &job->shape));
    VA_TRY(allocate_values(job, temp));
    const va_map_budget budget = direction_budget(job->p, &job->shape);
    const va_mean_params params = direction_mean(job->p, &budget);
    VA_TRY(va_mean_map_create(job->model, &params, &job->mean));
    job->start_s = va_time_s();
    job->map = va_mean_map_linmap(job->mean);
    if (job->p->reduce == VA_REDUCE_JX)
        VA_TRY(va_mean_map_means(job->mean, job->x, job->y, NULL));
done:
    return st;
}

// -- one vector -----------------------------------------------------------------------------------

// The rows of x [rows, d] added up and divided, in double.
static void combine_rows(const float *x, int64_t rows, int64_t d, double divisor, float *out) {
    for (int64_t i = 0; i < d; i++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++)
            sum += x[r * d + i];
        out[i] = (float)(sum / divisor);
    }
}

static va_status keep_vector(direction_job *job, const float *x, int64_t rows, int64_t d,
                             double divisor) {
    va_status st = VA_OK;
    va_map_direction *out = job->out;
    bool is_zero = true;
    VA_TRY(read_check_finite(job->ctx, job->map, va_map_reduce_name(job->p->reduce), x, rows * d));
    VA_TRY_ALLOC(job->ctx, out->rows, VA_NEW_ARRAY(job->arena, float, d));
    combine_rows(x, rows, d, divisor, out->rows);
    for (int64_t i = 0; i < d; i++)
        is_zero &= out->rows[i] == 0;
    if (is_zero)
        return va_fail(job->ctx, VA_ERR_NUMERIC,
                       "%s: %s is zero: at these tokens the target does not depend on the source",
                       va_linmap_label(job->map), va_map_reduce_name(job->p->reduce));
    VA_TRY(read_check_finite(job->ctx, job->map, va_map_reduce_name(job->p->reduce), out->rows, d));
    out->rank = 1;
    out->d = d;
    out->vectors = 1;
done:
    return st;
}

static va_status reduce_jx(direction_job *job, va_arena *temp) {
    va_status st = VA_OK;
    const va_linmap_shape *s = &job->shape;
    const int64_t m = s->T_out * s->d_out;
    float *Jx;
    VA_TRY_ALLOC(job->ctx, Jx, VA_NEW_ARRAY(temp, float, m));
    VA_TRY(va_linmap_apply_host(job->map, job->x, 1, Jx));
    VA_TRY(keep_vector(job, Jx, s->T_out, s->d_out, (double)s->T_out));
    job->out->reconstruction_error =
        read_deviation(job->y, Jx, m) / read_deviation(job->y, NULL, m);
done:
    return st;
}

// The cotangent: e or w at each row of `to`, divided by their number.
static void fill_cotangent(const va_map_direction_params *p, const va_linmap_shape *s,
                           float *cotangent) {
    const float n = (float)s->T_out;
    for (int64_t r = 0; r < s->T_out; r++) {
        float *row = cotangent + r * s->d_out; // zero
        for (int64_t i = 0; p->reduce == VA_REDUCE_PULLBACK && i < s->d_out; i++)
            row[i] = p->w[i] / n;
        if (p->reduce == VA_REDUCE_GRADIENT)
            row[p->token] = 1 / n;
        if (p->reduce == VA_REDUCE_GRADIENT && p->has_versus)
            row[p->versus] = -1 / n;
    }
}

static va_status reduce_cotangent(direction_job *job, va_arena *temp) {
    va_status st = VA_OK;
    const va_linmap_shape *s = &job->shape;
    float *cotangent, *x = job->x;
    VA_TRY_ALLOC(job->ctx, cotangent, VA_NEW_ARRAY(temp, float, s->T_out * s->d_out));
    fill_cotangent(job->p, s, cotangent);
    VA_TRY(va_linmap_apply_t_host(job->map, cotangent, 1, x));
    VA_TRY(keep_vector(job, x, s->T_in, s->d_in, 1));
done:
    return st;
}

// -- frames ---------------------------------------------------------------------------------------

static va_status reduce_frame(direction_job *job) {
    va_status st = VA_OK;
    va_map_direction *out = job->out;
    const va_svd_params params = direction_svd(job->p);
    const bool right = job->p->reduce == VA_REDUCE_RIGHT;
    va_svd_result r;
    VA_TRY(va_svd(job->ctx, job->arena, job->map, &params, &r));
    if (r.rank < params.k)
        return va_fail(job->ctx, VA_ERR_NUMERIC,
                       "%s: %s: expected %lld singular values above rounding, got %lld (sigma_1 = "
                       "%.3g)",
                       va_linmap_label(job->map), va_map_reduce_name(job->p->reduce),
                       (long long)params.k, (long long)r.rank, r.sigma[0]);
    *out = (va_map_direction){.rank = r.k,
                              .d = right ? r.n : r.m,
                              .rows = right ? r.V : r.U,
                              .sigma = r.sigma,
                              .residual = r.residual,
                              .converged = r.converged,
                              .tolerance = r.tolerance,
                              .vectors = r.vectors,
                              .reconstruction_error = NAN,
                              .forward_s = out->forward_s};
done:
    return st;
}

// -- entry ----------------------------------------------------------------------------------------

static va_status run(direction_job *job, va_arena *temp) {
    va_status st = VA_OK;
    VA_TRY(job->p->n_prompts == 1 ? open_one(job, temp) : open_mean(job, temp));
    if (va_map_reduce_is_frame(job->p->reduce))
        VA_TRY(reduce_frame(job));
    else if (job->p->reduce == VA_REDUCE_JX)
        VA_TRY(reduce_jx(job, temp));
    else
        VA_TRY(reduce_cotangent(job, temp));
    job->out->n_from = job->shape.T_in;
    job->out->n_to = job->shape.T_out;
    job->out->map_s = va_time_s() - job->start_s;
done:
    return st;
}

va_status va_read_map_direction(va_model *model, va_arena *arena,
                                const va_map_direction_params *params, va_map_direction *out) {
    va_status st = VA_OK;
    direction_job job = {
        .model = model, .ctx = va_model_ctx(model), .arena = arena, .p = params, .out = out};
    va_arena *temp = NULL;
    *out = (va_map_direction){.reconstruction_error = NAN};
    VA_TRY(direction_check(model, params));
    VA_TRY_ALLOC(job.ctx, temp, va_arena_create());
    VA_TRY(run(&job, temp));
done:
    va_linmap_destroy(&job.own);
    va_prompt_destroy(&job.prompt);
    va_mean_map_destroy(&job.mean);
    va_arena_destroy(&temp);
    return st;
}
