// results.c: finished units -> results.json as a tree, and the files of the output folder.
// SPDX-License-Identifier: Apache-2.0
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"
#include "vkalign/metric.h"
#include "vkalign/report.h"

static double record_number(const va_json *record, const char *key, double none) {
    double v = none;
    va_json_as_double(va_json_get(record, key), &v);
    return v;
}

// The saved direction of a unit, NULL when it failed.
const va_file_tensor *va_run_direction(const va_run *run, int64_t unit) {
    const va_safetensors *t = unit >= 0 ? va_store_tensors(run->store, unit) : NULL;
    return t ? va_safetensors_find(t, "direction") : NULL;
}

static const char *site_of(const va_run *run, int64_t unit) {
    return va_json_as_string(va_json_get(va_store_record(run->store, unit), "site"));
}

// -- one metric of one result ------------------------------------------------------------------

static va_status add_cosine(va_run *run, const va_metric_spec *m, const int64_t unit[2],
                            va_json *list) {
    va_status st = VA_OK;
    double cosine = 0;
    const va_file_tensor *a = va_run_direction(run, unit[0]), *b = va_run_direction(run, unit[1]);
    if (a->n_elem != b->n_elem)
        return va_fail(run->ctx, VA_ERR_SHAPE,
                       "metric '%s': directions of %lld and %lld dimensions cannot be compared",
                       m->name, (long long)a->n_elem, (long long)b->n_elem);
    VA_TRY(va_metric_cosine(run->ctx, a->data, b->data, a->n_elem, &cosine));
    va_json *o = va_json_add_object(list, NULL);
    va_json_add_string(o, "name", m->name);
    va_json_add_double(o, "cosine", cosine);
    va_json_add_double(o, "abs_cosine", cosine < 0 ? -cosine : cosine);
    va_json_add_int(o, "dimension", a->n_elem);
    va_json *sites = va_json_add_array(o, "sites");
    va_json *names = va_json_add_array(o, "directions");
    for (int k = 0; k < 2; k++) {
        va_json_add_string(sites, NULL, site_of(run, unit[k]));
        va_json_add_string(names, NULL, run->e->plan.units[unit[k]].name);
    }
    va_json_add_bool(o, "across_sites", strcmp(site_of(run, unit[0]), site_of(run, unit[1])) != 0);
    if (m->nulls.n > 0)
        VA_TRY(va_run_nulls(run, m, unit, cosine, a->n_elem, o));
done:
    return st;
}

// -- one result: concept, layer, prompt --------------------------------------------------------

// Fields of the published file, from the first metric.
static void add_published(va_run *run, va_json *result, const int64_t unit[2],
                          const va_json *metric) {
    double cosine = record_number(metric, "cosine", 0);
    va_json_add_double(result, "alignment", cosine);
    va_json_add_double(result, "alignment_abs", cosine < 0 ? -cosine : cosine);
    for (int k = 0; k < 2; k++) {
        const va_direction_spec *dir =
            &run->e->spec.directions[run->e->plan.units[unit[k]].direction];
        const va_json *record = va_store_record(run->store, unit[k]);
        bool jacobian = dir->kind == VA_DIRECTION_JACOBIAN;
        const char *key = jacobian ? "jacobian_norm" : "classifier_norm";
        if (va_json_get(result, key))
            continue; // two of one kind: the first
        va_json_add_double(result, key, record_number(record, "norm", 0));
        if (jacobian)
            va_json_add_double(result, "jacobian_time", record_number(record, "jacobian_time", 0));
    }
}

static va_status add_metrics(va_run *run, va_json *result, int64_t c, int64_t layer,
                             int64_t prompt) {
    va_status st = VA_OK;
    const va_spec *s = &run->e->spec;
    va_json *list = va_json_add_array(result, "metrics");
    for (int64_t m = 0; m < s->n_metrics; m++) {
        int64_t unit[2];
        for (int k = 0; k < 2; k++) {
            unit[k] = va_plan_find(&run->e->plan, s->metrics[m].direction[k], c, layer, prompt);
            if (!va_run_direction(run, unit[k])) {
                const char *why = unit[k] >= 0 ? va_store_error(run->store, unit[k]) : NULL;
                return va_fail(run->ctx, VA_ERR_PARTIAL, "%s: %s",
                               unit[k] >= 0 ? run->e->plan.units[unit[k]].name : "no unit",
                               why ? why : "not computed");
            }
        }
        VA_TRY(add_cosine(run, &s->metrics[m], unit, list));
        if (m == 0)
            add_published(run, result, unit, va_json_first(list));
    }
done:
    return st;
}

static void add_result(va_run *run, va_json *list, int64_t c, int64_t layer, int64_t prompt) {
    const va_spec *s = &run->e->spec;
    va_json *r = va_json_add_object(list, NULL);
    va_json_add_string(r, "concept", s->concepts[c].name);
    va_json_add_int(r, "layer", s->concepts[c].layer);
    va_json_add_int(r, "model_layer", layer);
    va_json_add_string(r, "prompt", run->e->plan.prompts[c * s->prompts.n + prompt].text);
    if (add_metrics(run, r, c, layer, prompt) == VA_OK) {
        va_json_add_string(r, "status", "success");
        va_json_add_null(r, "error");
    } else {
        va_json_add_string(r, "status", "failed");
        va_json_add_string(r, "error", va_error_message(run->ctx));
    }
}

// -- directions --------------------------------------------------------------------------------

static void add_direction(va_run *run, va_json *list, int64_t unit) {
    const va_unit *u = &run->e->plan.units[unit];
    const va_json *record = va_store_record(run->store, unit);
    va_json *o = record ? va_json_clone(record) : va_json_object();
    va_json_add_string(o, "name", u->name);
    va_json_add_string(o, "direction", run->e->spec.directions[u->direction].name);
    va_json_add_string(o, "kind",
                       va_direction_kind_names[run->e->spec.directions[u->direction].kind]);
    va_json_add_string(o, "concept", run->e->spec.concepts[u->concept_index].name);
    if (u->layer >= 0)
        va_json_add_int(o, "model_layer", u->layer);
    va_json_add_string(o, "status", record ? "success" : "failed");
    if (!record)
        va_json_add_string(o, "error", va_store_error(run->store, unit));
    va_json_add(list, NULL, o);
}

va_status va_run_results(va_run *run, va_json **results) {
    va_status st = VA_OK;
    const va_spec *s = &run->e->spec;
    va_json *root = va_json_object();
    VA_TRY_ALLOC(run->ctx, root, root);
    va_json_add_int(root, "schema_version", 1);
    VA_TRY(va_run_metadata(run, root));
    va_json *list = va_json_add_array(root, "results");
    for (int64_t l = 0; l < s->n_layers; l++)
        for (int64_t i = 0; i < s->prompts.n; i++)
            for (int64_t c = 0; c < s->n_concepts; c++)
                add_result(run, list, c, s->layers[l], i);
    VA_TRY(va_run_statistics(run, root));
    list = va_json_add_array(root, "directions");
    for (int64_t i = 0; i < run->e->plan.n_units; i++)
        if (run->e->plan.units[i].kind == VA_UNIT_DIRECTION)
            add_direction(run, list, i);
done:
    if (st != VA_OK)
        va_json_free(&root);
    *results = root;
    return st;
}

// -- files -------------------------------------------------------------------------------------

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

// classifiers/DIRECTION/CONCEPT....safetensors with torch's names, for every direction that was
// trained; those of an earlier run go.
static va_status write_classifiers(va_run *run, va_arena *arena) {
    static const char *const names[] = {"0.weight", "0.bias",   "3.weight",
                                        "3.bias",   "6.weight", "6.bias"};
    va_status st = VA_OK;
    const char *dir = va_path_join(arena, run->out_dir, "classifiers");
    nftw(dir, remove_classifier, 16, FTW_DEPTH | FTW_PHYS);
    for (int64_t i = 0; i < run->e->plan.n_units; i++) {
        const va_safetensors *file = va_store_tensors(run->store, i);
        va_file_tensor t[VA_COUNT(names)];
        if (!file || !va_safetensors_find(file, names[0]))
            continue;
        for (int64_t k = 0; k < VA_COUNT(names); k++)
            t[k] = *va_safetensors_find(file, names[k]);
        const char *path =
            va_arena_printf(arena, "%s/%s.safetensors", dir, run->e->plan.units[i].name);
        const char *const meta[][2] = {{"site", site_of(run, i)}};
        VA_TRY_ALLOC(run->ctx, path, path);
        VA_TRY(va_make_dirs(run->ctx, va_arena_strndup(arena, path, strrchr(path, '/') - path)));
        VA_TRY(va_safetensors_write(run->ctx, path, t, VA_COUNT(names), meta, 1));
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
