// run_rows.c: captured activations as rows of a matrix.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "run.h"

static int64_t capture_site(const va_run *run, const va_site *site) {
    const va_plan *p = &run->e->plan;
    for (int64_t i = 0; i < p->n_sites; i++)
        if (memcmp(&p->sites[i], site, sizeof *site) == 0)
            return i;
    return -1;
}

va_status va_run_texts(va_run *run, va_arena *arena, const va_direction_spec *dir, int64_t layer,
                       va_rows *rows) {
    va_status st = VA_OK;
    const va_plan *p = &run->e->plan;
    va_site site = {0};
    char name[32];
    va_plan_site(run->e, dir, dir->site, layer, &site); // checked when planned
    snprintf(name, sizeof name, "site%lld", (long long)capture_site(run, &site));
    *rows = (va_rows){.n = p->n_texts, .d = va_plan_site_width(run->e, &site)};
    VA_TRY_ALLOC(run->ctx, rows->X, VA_NEW_ARRAY(arena, float, rows->n * rows->d));
    for (int64_t i = 0; i < p->n_units && p->units[i].kind == VA_UNIT_CAPTURE; i++) {
        const va_safetensors *t = va_store_tensors(run->store, i);
        const va_file_tensor *x = t ? va_safetensors_find(t, name) : NULL;
        if (!x) {
            st = va_fail(run->ctx, VA_ERR_NUMERIC, "%s failed: %s", p->units[i].name,
                         va_store_error(run->store, i));
            goto done;
        }
        memcpy(rows->X + p->units[i].first * rows->d, x->data, (size_t)x->size_bytes);
    }
done:
    return st;
}

va_status va_run_gather(va_run *run, va_arena *arena, const va_rows *texts, const int64_t *row,
                        int64_t n, va_rows *out) {
    *out = (va_rows){.n = n, .d = texts->d, .X = VA_NEW_ARRAY(arena, float, n * texts->d)};
    if (!out->X)
        return va_fail(run->ctx, VA_ERR_MEMORY, "out of host memory");
    for (int64_t i = 0; i < n; i++)
        memcpy(out->X + i * out->d, texts->X + row[i] * out->d, (size_t)out->d * sizeof *out->X);
    return VA_OK;
}

va_status va_run_spread(va_run *run, const va_unit *u, const va_metric_spread **spread) {
    va_status st = VA_OK;
    const va_experiment *e = run->e;
    const va_direction_spec *dir = &e->spec.directions[u->direction];
    const va_dataset *data = &e->plan.datasets[u->concept_index];
    const int64_t n_spreads = e->plan.n_sites * e->spec.n_concepts;
    va_arena *arena = va_arena_create();
    va_site site = {0};
    va_rows texts, rows;
    VA_TRY_ALLOC(run->ctx, arena, arena);
    if (!run->spreads)
        VA_TRY_ALLOC(run->ctx, run->spreads,
                     VA_NEW_ARRAY(run->arena, va_metric_spread *, n_spreads));
    va_plan_site(run->e, dir, dir->site, u->layer, &site); // checked when planned
    va_metric_spread **slot =
        &run->spreads[capture_site(run, &site) * e->spec.n_concepts + u->concept_index];
    if (!*slot) {
        VA_TRY(va_run_texts(run, arena, dir, u->layer, &texts));
        VA_TRY(va_run_gather(run, arena, &texts, data->text, data->n, &rows));
        VA_TRY(va_metric_spread_make(run->ctx, run->arena, rows.X, rows.n, rows.d, slot));
    }
    *spread = *slot;
done:
    va_arena_destroy(&arena);
    return st;
}
