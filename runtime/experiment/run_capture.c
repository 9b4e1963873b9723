// run_capture.c: one unit: the activations of some texts at all sites that are learnt from.
// SPDX-License-Identifier: Apache-2.0
#include "run.h"
#include "vkalign/probe.h"

static void tick(void *user, int64_t n_done) {
    va_run *run = user;
    va_run_progress(run, (double)n_done / (double)run->unit_texts, false);
}

va_status va_run_capture(va_run *run, int64_t unit) {
    va_status st = VA_OK;
    const va_plan *p = &run->e->plan;
    const va_unit *u = &p->units[unit];
    va_arena *arena = va_arena_create();
    va_json *record = va_json_object();
    float **out;
    va_file_tensor *tensors;
    VA_TRY_ALLOC(run->ctx, record, arena ? record : NULL);
    VA_TRY_ALLOC(run->ctx, out, VA_NEW_ARRAY(arena, float *, p->n_sites));
    VA_TRY_ALLOC(run->ctx, tensors, VA_NEW_ARRAY(arena, va_file_tensor, p->n_sites));
    for (int64_t s = 0; s < p->n_sites; s++) {
        const int64_t width = va_plan_site_width(run->e, &p->sites[s]);
        VA_TRY_ALLOC(run->ctx, out[s], VA_NEW_ARRAY(arena, float, u->count *width));
        tensors[s] = (va_file_tensor){
            .dtype = VA_F32, .n_dim = 2, .shape = {u->count, width}, .data = out[s]};
        VA_TRY_ALLOC(run->ctx, tensors[s].name, va_arena_printf(arena, "site%lld", (long long)s));
    }
    va_capture_params params = {.texts = p->texts + u->first,
                                .n_texts = u->count,
                                .concepts = p->text_concept + u->first,
                                .sites = p->sites,
                                .n_sites = p->n_sites,
                                .batch = VA_CAPTURE_BATCH};
    double t0 = va_time_s();
    run->unit_texts = u->count;
    VA_TRY(va_capture(p->model, &params, tick, run, out));
    va_json_add_double(record, "seconds", va_time_s() - t0);
    VA_TRY(va_store_put(run->store, unit, tensors, p->n_sites, record));
done:
    va_json_free(&record);
    va_arena_destroy(&arena);
    return st;
}
