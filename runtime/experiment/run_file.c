// run_file.c: one unit: a direction that others made: a vector in a file, or a trained classifier.
// SPDX-License-Identifier: Apache-2.0
#include "fit.h"

static va_status read_vector(va_run *run, va_arena *arena, const char *path, const va_site *site,
                             va_fitted *out) {
    va_status st = VA_OK;
    *out = (va_fitted){.rank = 1, .d = va_plan_site_width(run->e, site), .converged = true};
    VA_TRY(va_plan_read_vector(run->e, arena, path, site, &out->frame));
done:
    return st;
}

// The direction of a trained classifier, oriented by the concept's own items.
static va_status read_classifier(va_run *run, va_arena *arena, const va_unit *u, const char *path,
                                 const va_site *site, va_fitted *out) {
    va_status st = VA_OK;
    const va_direction_spec *dir = &run->e->spec.directions[u->direction];
    const va_dataset *data = &run->e->plan.datasets[u->concept_index];
    va_mlp *mlp;
    va_rows texts, rows;
    VA_TRY_ALLOC(run->ctx, mlp, VA_NEW(arena, va_mlp));
    VA_TRY(va_plan_read_classifier(run->e, arena, path, site, mlp));
    VA_TRY(va_run_texts(run, arena, dir, u->layer, &texts));
    VA_TRY(va_run_gather(run, arena, &texts, data->text, data->n, &rows));
    VA_TRY(va_run_mlp_frame(run, arena, dir, mlp, rows.X, rows.n, out));
done:
    return st;
}

va_status va_run_file(va_run *run, int64_t unit) {
    va_status st = VA_OK;
    va_experiment *e = run->e;
    const va_unit *u = &e->plan.units[unit];
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    const bool pack = dir->kind == VA_DIRECTION_PACK;
    const char *path = pack ? va_plan_file(e, dir, u) : va_plan_path(e, dir, u);
    va_arena *arena = va_arena_create();
    va_json *record = va_json_object();
    va_site site = {0};
    va_fitted fitted;
    VA_TRY_ALLOC(run->ctx, record, arena ? record : NULL);
    va_plan_site(e, dir, dir->site, u->layer, &site); // checked when planned
    if (pack)
        VA_TRY(read_classifier(run, arena, u, path, &site, &fitted));
    else
        VA_TRY(read_vector(run, arena, path, &site, &fitted));
    va_json_add_string(record, "method", pack ? "trained classifier of a pack" : "from a file");
    va_json_add_string(record, "orientation",
                       pack ? "the classifier's logit rises along it on average"
                            : "as the file has it");
    va_json_add_string(record, "path", path);
    VA_TRY(va_run_put_frame(run, unit, &site, &fitted, record, NULL, 0));
done:
    va_json_free(&record);
    va_arena_destroy(&arena);
    return st;
}
