// measure_chance.c: what chance makes of a cosine or an overlap, and how far it would move with
// other items.
// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <math.h>
#include <string.h>

// The metric's number for other rows of the same shapes.
static va_status compare(const va_measure *m, const float *a, const float *b, double *value) {
    va_status st = VA_OK;
    const int64_t d = m->frame[0].d;
    if (m->metric->kind == VA_METRIC_COSINE)
        return va_metric_cosine(m->run->ctx, a, b, d, value);
    va_arena *arena = va_arena_create();
    double *cosines = arena ? VA_NEW_ARRAY(arena, double, m->rank) : NULL;
    VA_TRY_ALLOC(m->run->ctx, cosines, cosines);
    VA_TRY(va_metric_principal_angles(m->run->ctx, &(va_metric_rows){a, m->rank, d},
                                      &(va_metric_rows){b, m->rank, d}, cosines, NULL));
    *value = va_metric_overlap(cosines, m->rank);
done:
    va_arena_destroy(&arena);
    return st;
}

static va_metric_tail tail_of(const va_measure *m) {
    return m->metric->kind == VA_METRIC_COSINE ? VA_METRIC_TAIL_ABS : VA_METRIC_TAIL_GREATER;
}

// -- closed forms --------------------------------------------------------------------------------

static va_status analytic_cosine(va_measure *m, va_json *null) {
    va_status st = VA_OK;
    const int64_t d = m->frame[0].d;
    double p, critical;
    VA_TRY(va_metric_cosine_p(m->run->ctx, m->value, d, &p));
    VA_TRY(va_metric_cosine_critical(m->run->ctx, m->run->e->spec.chance.alpha, d, &critical));
    va_json_add_double(null, "mean", 0);
    va_json_add_double(null, "std", va_metric_cosine_std(d));
    va_json_add_double(null, "low", -critical);
    va_json_add_double(null, "high", critical);
    va_json_add_double(null, "p_value", p);
done:
    return st;
}

// Random subspaces: mean and deviation exactly, p and range exactly at rank 1 and drawn beyond,
// where there is no closed form.
static va_status analytic_overlap(va_measure *m, va_json *null) {
    va_status st = VA_OK;
    const va_metric_subspaces dims = {m->rank, m->rank, m->frame[0].d};
    const int64_t n = m->run->e->spec.chance.draws;
    va_rng rng = va_measure_rng(m, "null.subspace");
    double *draws, p, critical;
    if (m->rank == 1) { // the overlap is the squared cosine
        VA_TRY(va_metric_cosine_p(m->run->ctx, sqrt(m->value), dims.d, &p));
        VA_TRY(va_metric_cosine_critical(m->run->ctx, m->run->e->spec.chance.alpha, dims.d,
                                         &critical));
        va_json_add_double(null, "mean", va_metric_overlap_mean(&dims));
        va_json_add_double(null, "std", va_metric_overlap_std(&dims));
        va_json_add_double(null, "low", 0);
        va_json_add_double(null, "high", critical * critical);
        va_json_add_double(null, "p_value", p);
        goto done;
    }
    VA_TRY_ALLOC(m->run->ctx, draws, VA_NEW_ARRAY(m->arena, double, n));
    VA_TRY(va_metric_subspace_null(m->run->ctx, &dims, &rng, n, draws, NULL));
    VA_TRY(va_measure_draws(m, null, tail_of(m), 0, draws, n, 0));
done:
    return st;
}

// -- draws ---------------------------------------------------------------------------------------

// Uniformly random vectors as long as the replaced one, against the other.
static va_status add_random(va_measure *m, va_json *null) {
    va_status st = VA_OK;
    const int side = (int)va_plan_replaced(m->run->e, m->metric);
    const int64_t n = m->run->e->spec.chance.draws, d = m->frame[0].d;
    va_rng rng = va_measure_rng(m, "null.random");
    double *draws, norm = 1;
    float *row;
    va_json_as_double(va_json_get(va_store_record(m->run->store, m->unit[side]), "norm"), &norm);
    VA_TRY_ALLOC(m->run->ctx, draws, VA_NEW_ARRAY(m->arena, double, n));
    VA_TRY_ALLOC(m->run->ctx, row, VA_NEW_ARRAY(m->arena, float, d));
    for (int64_t i = 0; i < n; i++) {
        VA_TRY(va_metric_random_directions(m->run->ctx, norm, d, &rng, 1, row));
        VA_TRY(compare(m, row, m->frame[!side].rows, &draws[i]));
    }
    VA_TRY(va_measure_draws(m, null, tail_of(m), 0, draws, n, 0));
    va_json_add_double(null, "norm", norm);
done:
    return st;
}

// The direction that learns replaced by random combinations of the activations it learns from
// (centred), which are spread as those are; the other direction stays.
static va_status add_covariance(va_measure *m, va_json *null) {
    va_status st = VA_OK;
    const va_experiment *e = m->run->e;
    const int side = (int)va_plan_replaced(e, m->metric);
    const va_unit *u = &e->plan.units[m->unit[side]];
    const int64_t n = e->spec.chance.draws;
    va_rng rng = va_measure_rng(m, "null.covariance");
    const va_metric_spread *spread;
    double *draws;
    VA_TRY(va_run_spread(m->run, u, &spread));
    VA_TRY_ALLOC(m->run->ctx, draws, VA_NEW_ARRAY(m->arena, double, n));
    VA_TRY(va_metric_spread_null(m->run->ctx, spread, m->frame[!side].rows, &rng, n, draws));
    VA_TRY(va_measure_draws(m, null, tail_of(m), 0, draws, n, 0));
done:
    return st;
}

// The direction that learns found again from permuted labels; the other stays.
static va_status add_permutation(va_measure *m, va_json *null) {
    va_status st = VA_OK;
    const int side = (int)va_plan_replaced(m->run->e, m->metric);
    const int64_t unit =
        va_plan_find_drawn(m->run->e, VA_UNIT_PERMUTED, m->metric->index[side], m->layer);
    int64_t n, size, n_failed, n_draws = 0;
    const float *frames;
    double *draws;
    VA_TRY(va_measure_permuted(m, side, &frames, &n, &size, &n_failed));
    VA_TRY_ALLOC(m->run->ctx, draws, VA_NEW_ARRAY(m->arena, double, n));
    for (int64_t i = 0; i < n; i++)
        if (n_failed == 0 || !va_measure_is_zero(frames + i * size, size))
            VA_TRY(compare(m, frames + i * size, m->frame[!side].rows, &draws[n_draws++]));
    VA_TRY(va_measure_draws(m, null, tail_of(m), 0, draws, n_draws, n_failed));
    va_json_add_int(null, "n_unconverged",
                    va_run_drawn_count(m->run, unit, m->concept_index, "n_unconverged"));
done:
    return st;
}

static va_status add_null(va_measure *m, const char *name) {
    va_json *null = va_measure_null(m, name);
    va_status st;
    if (strcmp(name, "random") == 0)
        st = add_random(m, null);
    else if (strcmp(name, "covariance") == 0)
        st = add_covariance(m, null);
    else if (strcmp(name, "permutation") == 0)
        st = add_permutation(m, null);
    else
        st = m->metric->kind == VA_METRIC_COSINE ? analytic_cosine(m, null)
                                                 : analytic_overlap(m, null);
    return va_measure_null_failed(m, name, st);
}

// -- intervals -----------------------------------------------------------------------------------

// The frames of one side for every resample: drawn ones, or the same each time.
static va_status resampled_side(va_measure *m, int side, const float **frames, int64_t *stride,
                                int64_t *n) {
    const va_experiment *e = m->run->e;
    const int64_t direction = m->metric->index[side];
    int64_t rank, d;
    *frames = m->frame[side].rows;
    *stride = 0;
    if (!va_direction_is_trained(&e->spec.directions[direction]))
        return VA_OK;
    const int64_t unit = va_plan_find_drawn(e, VA_UNIT_RESAMPLED, direction, m->layer);
    *frames = va_run_drawn_frames(m->run, unit, m->concept_index, n, &rank, &d);
    if (!*frames)
        return va_fail(m->run->ctx, VA_ERR_PARTIAL, "%s failed", e->plan.units[unit].name);
    *stride = rank * d;
    return VA_OK;
}

// Percentiles of the number over items drawn with replacement. Both sides take the same draws.
static va_status add_interval(va_measure *m) {
    va_status st = VA_OK;
    const float *a, *b;
    int64_t step_a, step_b, n = 0, n_draws = 0;
    double *draws;
    va_metric_interval out;
    VA_TRY(resampled_side(m, 0, &a, &step_a, &n));
    VA_TRY(resampled_side(m, 1, &b, &step_b, &n));
    VA_TRY_ALLOC(m->run->ctx, draws, VA_NEW_ARRAY(m->arena, double, n));
    for (int64_t i = 0; i < n; i++) // a resample without a direction has no number
        if ((step_a == 0 || !va_measure_is_zero(a + i * step_a, step_a)) &&
            (step_b == 0 || !va_measure_is_zero(b + i * step_b, step_b)))
            VA_TRY(compare(m, a + i * step_a, b + i * step_b, &draws[n_draws++]));
    VA_TRY(va_metric_interval_of(m->run->ctx,
                                 &(va_metric_draws){.kind = VA_METRIC_PERCENTILE,
                                                    .level = m->run->e->spec.chance.level,
                                                    .estimate = m->value,
                                                    .draws = draws,
                                                    .n_draws = n_draws},
                                 &out));
    va_record_interval(m->out, "interval_items", &out, m->run->e->spec.chance.level, n_draws);
done:
    return st;
}

va_status va_measure_chance(va_measure *m) {
    va_status st = VA_OK;
    for (int64_t i = 0; i < m->metric->nulls.n; i++)
        VA_TRY(add_null(m, m->metric->nulls.item[i]));
    for (int64_t i = 0; i < m->metric->bootstrap.n; i++)
        if (strcmp(m->metric->bootstrap.item[i], "items") == 0)
            VA_TRY(add_interval(m));
done:
    return st;
}
