// nulls.c: what chance would give: the null distributions of a cosine.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <string.h>

#include "run.h"
#include "vkalign/metric.h"

enum { N_DRAWS = 2000 }; // p-values down to 1/2001

// Random directions in d dimensions.
static va_status add_analytic(va_run *run, va_json *null, double cosine, int64_t d) {
    va_status st = VA_OK;
    double p = 0;
    VA_TRY(va_metric_cosine_p(run->ctx, cosine, d, &p));
    va_json_add_double(null, "std", va_metric_cosine_std(d));
    va_json_add_double(null, "p_value", p);
done:
    return st;
}

// The classifier's direction replaced by random combinations of the activations it was trained on
// (centred), which are spread as those are; the other direction stays.
static va_status add_covariance(va_run *run, va_json *null, double cosine, const int64_t unit[2]) {
    va_status st = VA_OK;
    va_experiment *e = run->e;
    va_arena *arena = va_arena_create();
    const int mlp = e->spec.directions[e->plan.units[unit[1]].direction].kind == VA_DIRECTION_MLP;
    const va_unit *u = &e->plan.units[unit[mlp]]; // checked when read: one of them is a classifier
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    const va_file_tensor *other = va_run_direction(run, unit[!mlp]);
    va_rng rng =
        va_rng_make((uint64_t)e->spec.seed, va_hash64("null.covariance") ^ va_hash64(u->name));
    va_rows rows = {0};
    va_site site = {0};
    double *draws = NULL, square = 0, p = 0;
    va_plan_site(e, dir, dir->site, u->layer, &site);
    VA_TRY(va_run_rows(run, arena, u->concept_index, va_run_capture_site(run, &site), NULL, false,
                       &rows));
    VA_TRY_ALLOC(run->ctx, draws, VA_NEW_ARRAY(arena, double, N_DRAWS));
    VA_TRY(va_metric_covariance_null(run->ctx, rows.X, rows.n, rows.d, other->data, &rng, N_DRAWS,
                                     draws));
    VA_TRY(va_metric_permutation_p(run->ctx, cosine, draws, N_DRAWS, &p));
    for (int64_t i = 0; i < N_DRAWS; i++)
        square += draws[i] * draws[i] / N_DRAWS;
    va_json_add_double(null, "std", sqrt(square));
    va_json_add_double(null, "p_value", p);
    va_json_add_int(null, "n_draws", N_DRAWS);
done:
    va_arena_destroy(&arena);
    return st;
}

va_status va_run_nulls(va_run *run, const va_metric_spec *m, const int64_t unit[2], double cosine,
                       int64_t d, va_json *metric) {
    va_status st = VA_OK;
    va_json *nulls = va_json_add_object(metric, "nulls");
    for (int64_t i = 0; i < m->nulls.n; i++) {
        va_json *null = va_json_add_object(nulls, m->nulls.item[i]);
        if (strcmp(m->nulls.item[i], "covariance") == 0)
            VA_TRY(add_covariance(run, null, cosine, unit));
        else
            VA_TRY(add_analytic(run, null, cosine, d));
    }
done:
    return st;
}
