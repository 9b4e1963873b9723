// run_drawn.c: one unit: a direction of every concept found again many times, from permuted labels
// or from items drawn with replacement. All concepts and draws are trained together.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "fit.h"

typedef struct drawn {
    float *frames; // [n_concepts * count, rank, d]
    int64_t count;
    int64_t *n_unconverged; // [n_concepts]
    int64_t *n_failed;      // [n_concepts] without a direction: their frames stay zero
} drawn;

static va_status on_fitted(void *user, int64_t problem, const va_fitted *f) {
    drawn *out = user;
    const int64_t size = f->rank * f->d;
    if (!f->frame) {
        out->n_failed[problem / out->count]++;
        return VA_OK;
    }
    memcpy(out->frames + problem * size, f->frame, (size_t)size * sizeof *f->frame);
    out->n_unconverged[problem / out->count] += !f->converged;
    return VA_OK;
}

static va_status make_problems(va_run *run, va_arena *arena, const va_unit *u,
                               va_fit_problem *problem) {
    va_status st = VA_OK;
    const va_spec *s = &run->e->spec;
    for (int64_t c = 0; c < s->n_concepts; c++) {
        va_items items;
        VA_TRY(va_run_split(run, arena, c, 0, s->directions[u->direction].held_out, &items));
        for (int64_t i = 0; i < u->count; i++)
            VA_TRY((u->kind == VA_UNIT_PERMUTED ? va_run_permuted : va_run_resampled)(
                run, arena, &items, i, problem++));
    }
done:
    return st;
}

// How many fits of each concept something is the matter with.
static void add_counts(va_run *run, const va_unit *u, va_json *record, const char *key,
                       const char *what, const int64_t *count) {
    va_json *list = va_json_add_array(record, key);
    for (int64_t c = 0; c < run->e->spec.n_concepts; c++) {
        va_json_add_int(list, NULL, count[c]);
        if (count[c] > 0)
            va_log(run->ctx, VA_LOG_WARN, "%s/%s: %lld of %lld fits %s", u->name,
                   run->e->spec.concepts[c].name, (long long)count[c], (long long)u->count, what);
    }
}

static va_status put(va_run *run, int64_t unit, const drawn *out, int64_t rank, int64_t d) {
    va_status st = VA_OK;
    const va_unit *u = &run->e->plan.units[unit];
    const int64_t n_concepts = run->e->spec.n_concepts;
    va_json *record = va_json_object();
    const va_file_tensor t = {.name = "frames",
                              .dtype = VA_F32,
                              .n_dim = 4,
                              .shape = {n_concepts, u->count, rank, d},
                              .data = out->frames};
    VA_TRY_ALLOC(run->ctx, record, record);
    va_json_add_int(record, "n_draws", u->count);
    add_counts(run, u, record, "n_unconverged", "did not converge", out->n_unconverged);
    add_counts(run, u, record, "n_failed", "have no direction", out->n_failed);
    VA_TRY(va_store_put(run->store, unit, &t, 1, record));
done:
    va_json_free(&record);
    return st;
}

va_status va_run_drawn(va_run *run, int64_t unit) {
    va_status st = VA_OK;
    const va_unit *u = &run->e->plan.units[unit];
    const va_direction_spec *dir = &run->e->spec.directions[u->direction];
    const int64_t n = run->e->spec.n_concepts * u->count;
    va_arena *arena = va_arena_create();
    va_fit_problem *problems = arena ? VA_NEW_ARRAY(arena, va_fit_problem, n) : NULL;
    va_rows texts;
    drawn out = {0};
    VA_TRY_ALLOC(run->ctx, problems, problems);
    VA_TRY(va_run_texts(run, arena, dir, u->layer, &texts));
    out.count = u->count;
    VA_TRY_ALLOC(run->ctx, out.n_unconverged,
                 VA_NEW_ARRAY(arena, int64_t, run->e->spec.n_concepts));
    VA_TRY_ALLOC(run->ctx, out.n_failed, VA_NEW_ARRAY(arena, int64_t, run->e->spec.n_concepts));
    VA_TRY_ALLOC(run->ctx, out.frames, VA_NEW_ARRAY(arena, float, n * dir->rank * texts.d));
    VA_TRY(make_problems(run, arena, u, problems));
    VA_TRY(va_run_fit(run, dir, &texts, problems, n, on_fitted, &out));
    VA_TRY(put(run, unit, &out, dir->rank, texts.d));
done:
    va_arena_destroy(&arena);
    return st;
}

const float *va_run_drawn_frames(const va_run *run, int64_t unit, int64_t concept_index, int64_t *n,
                                 int64_t *rank, int64_t *d) {
    const va_safetensors *file = unit >= 0 ? va_store_tensors(run->store, unit) : NULL;
    const va_file_tensor *t = file ? va_safetensors_find(file, "frames") : NULL;
    if (!t)
        return NULL;
    *n = t->shape[1];
    *rank = t->shape[2];
    *d = t->shape[3];
    return (const float *)t->data + concept_index * *n * *rank * *d;
}

int64_t va_run_drawn_count(const va_run *run, int64_t unit, int64_t concept_index,
                           const char *key) {
    const va_json *n = va_json_first(va_json_get(va_store_record(run->store, unit), key));
    int64_t count = 0;
    while (n && concept_index-- > 0)
        n = va_json_next(n);
    va_json_as_int(n, &count);
    return count;
}
