// run_write.c: the files of the output folder.
// SPDX-License-Identifier: Apache-2.0
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"
#include "vkalign/report.h"

static const char *site_of(const va_run *run, int64_t unit) {
    return va_json_as_string(va_json_get(va_store_record(run->store, unit), "site"));
}

static va_status write_vectors(va_run *run, va_arena *arena) {
    va_status st = VA_OK;
    const va_plan *p = &run->e->plan;
    va_file_tensor *t = NULL;
    int64_t n = 0;
    VA_TRY_ALLOC(run->ctx, t, VA_NEW_ARRAY(arena, va_file_tensor, p->n_units));
    for (int64_t i = 0; i < p->n_units; i++) {
        const va_file_tensor *d = va_run_direction(run, i);
        if (d) {
            t[n] = *d;
            t[n++].name = p->units[i].name;
        }
    }
    const char *const meta[][2] = {{"experiment", run->e->spec.name},
                                   {"model_sha256", run->model_sha256}};
    VA_TRY(va_safetensors_write(run->ctx, va_path_join(arena, run->out_dir, "vectors.safetensors"),
                                t, n, meta, VA_COUNT(meta)));
done:
    return st;
}

static int remove_classifier(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)at;
    const char *dot = strrchr(path, '.');
    if (kind == FTW_F && dot && strcmp(dot, ".safetensors") == 0)
        unlink(path);
    else if (kind == FTW_DP)
        rmdir(path); // when nothing else is in it
    return 0;
}

// What was trained: all of a unit's tensors but the direction taken from it.
static int64_t trained_tensors(const va_safetensors *file, va_file_tensor *out, int64_t most) {
    int64_t n = 0;
    for (int64_t i = 0; i < va_safetensors_count(file) && n < most; i++) {
        const va_file_tensor *t = va_safetensors_at(file, i);
        if (strcmp(t->name, "direction") != 0 && strcmp(t->name, "sigma") != 0)
            out[n++] = *t;
    }
    return n;
}

// classifiers/DIRECTION/CONCEPT....safetensors, networks with torch's names, for every direction
// that was trained; those of an earlier run go.
static va_status write_classifiers(va_run *run, va_arena *arena) {
    enum { MAX_TENSORS = 8 };
    va_status st = VA_OK;
    const char *dir = va_path_join(arena, run->out_dir, "classifiers");
    nftw(dir, remove_classifier, 16, FTW_DEPTH | FTW_PHYS);
    for (int64_t i = 0; i < run->e->plan.n_units; i++) {
        const va_unit *u = &run->e->plan.units[i];
        const va_safetensors *file = va_store_tensors(run->store, i);
        va_file_tensor t[MAX_TENSORS];
        if (!file || u->kind != VA_UNIT_DIRECTION ||
            !va_direction_is_trained(&run->e->spec.directions[u->direction]))
            continue;
        const char *path = va_arena_printf(arena, "%s/%s.safetensors", dir, u->name);
        const char *const meta[][2] = {{"site", site_of(run, i)}};
        VA_TRY_ALLOC(run->ctx, path, path);
        VA_TRY(va_make_dirs(run->ctx, va_arena_strndup(arena, path, strrchr(path, '/') - path)));
        VA_TRY(va_safetensors_write(run->ctx, path, t, trained_tensors(file, t, MAX_TENSORS), meta,
                                    1));
    }
done:
    return st;
}

static va_status copy_log(va_run *run, va_arena *arena) {
    va_map map = {0};
    va_status st = va_map_open(run->ctx, va_store_log_path(run->store), &map);
    if (st == VA_OK)
        st = va_file_write(run->ctx, va_path_join(arena, run->out_dir, "log.jsonl"), map.data,
                           map.size_bytes);
    va_map_close(&map);
    return st;
}

va_status va_run_write(va_run *run) {
    va_status st = VA_OK;
    va_json *results = NULL;
    char *text = NULL;
    va_arena *arena = va_arena_create();
    VA_TRY(va_run_results(run, &results));
    VA_TRY_ALLOC(run->ctx, text, va_json_print(results, true));
    VA_TRY(write_vectors(run, arena));
    VA_TRY(write_classifiers(run, arena));
    VA_TRY(va_file_write(run->ctx, va_path_join(arena, run->out_dir, "experiment.yaml"),
                         run->e->resolved, (int64_t)strlen(run->e->resolved)));
    VA_TRY(copy_log(run, arena));
    VA_TRY(va_file_write(run->ctx, va_path_join(arena, run->out_dir, "results.json"), text,
                         (int64_t)strlen(text)));
    VA_TRY(va_report_write(run->ctx, run->out_dir));
done:
    free(text);
    va_json_free(&results);
    va_arena_destroy(&arena);
    return st;
}
