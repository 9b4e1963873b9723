// provenance.c: what was run, on what, from which inputs: the metadata of results.json.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

#include "name_set.h"
#include "run.h"

static const char *const kind_names[] = {
    [VA_GPU_DISCRETE] = "discrete", [VA_GPU_INTEGRATED] = "integrated",
    [VA_GPU_VIRTUAL] = "virtual",   [VA_GPU_CPU] = "cpu",
    [VA_GPU_OTHER] = "other",
};

static void add_model(va_run *run, va_json *meta) {
    const va_model *model = run->e->plan.model;
    const va_arch_config *c = va_model_config(model);
    va_json *o = va_json_add_object(meta, "model");
    va_json_add_string(o, "path", run->e->spec.model_path);
    va_json_add_string(o, "family", c->family);
    va_json_add_string(o, "model_type", c->model_type);
    va_json_add_int(o, "n_layer", c->n_layer);
    va_json_add_int(o, "d_model", c->d_model);
    va_json_add_int(o, "n_parameters", va_model_param_count(model));
    va_json_add_string(o, "dtype", va_model_dtype_text(model));
    if (va_model_is_quantised(model))
        va_json_add_bool(o, "dequantised", true);
    va_json_add_string(o, "sha256", run->model_sha256);
    va_json_add_int(o, "blocks_used", run->e->plan.n_blocks);
}

static void add_device(va_run *run, va_json *meta) {
    const va_gpu_info *i = va_gpu_get_info(run->gpu);
    struct utsname host;
    struct rusage usage;
    va_json *o = va_json_add_object(meta, "device");
    va_json_add_string(o, "name", i->name);
    va_json_add_string(o, "driver", i->driver);
    va_json_add_string(o, "kind", kind_names[i->kind]);
    va_json_add_string(o, "uuid", i->uuid);
    va_json_add_string(o, "matmul", run->matmul);
    va_json_add_int(o, "peak_bytes", run->summary.device_peak_bytes);
    o = va_json_add_object(meta, "host");
    if (uname(&host) == 0)
        va_json_add_string(o, "system",
                           va_arena_printf(run->e->arena, "%s %s", host.sysname, host.machine));
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        va_json_add_int(o, "peak_bytes", (int64_t)usage.ru_maxrss * 1024); // Linux: KiB
}

// One that is there already is left out.
static va_status add_input(va_run *run, va_json *list, va_name_set *known, const char *path) {
    va_status st = VA_OK;
    char hex[65];
    const int64_t n = known->n;
    int64_t id;
    VA_TRY(va_name_set_add(known, path, &id));
    if (id < n)
        goto done;
    VA_TRY(va_file_sha256(run->ctx, path, hex));
    va_json *o = va_json_add_object(list, NULL);
    va_json_add_string(o, "path", path);
    va_json_add_string(o, "sha256", hex);
done:
    return st;
}

// The experiment, the files of concepts, those of directions.
static va_status add_inputs(va_run *run, va_json *meta) {
    va_status st = VA_OK;
    va_experiment *e = run->e;
    va_json *list = va_json_add_array(meta, "inputs");
    va_name_set known = {.ctx = run->ctx, .arena = run->arena};
    VA_TRY(add_input(run, list, &known, e->path));
    for (int64_t i = 0; i < e->spec.concept_inputs.n; i++)
        VA_TRY(add_input(run, list, &known, e->spec.concept_inputs.item[i]));
    for (int64_t i = 0; i < e->plan.n_units; i++) {
        const va_unit *u = &e->plan.units[i];
        const va_direction_spec *dir = &e->spec.directions[u->direction];
        if (u->kind == VA_UNIT_DIRECTION &&
            (dir->kind == VA_DIRECTION_FILE || dir->kind == VA_DIRECTION_PACK))
            VA_TRY(add_input(run, list, &known, va_plan_file(e, dir, u)));
    }
done:
    return st;
}

static void add_strings(va_json *o, const char *key, const va_strings *list) {
    va_json *a = va_json_add_array(o, key);
    for (int64_t i = 0; i < list->n; i++)
        va_json_add_string(a, NULL, list->item[i]);
}

// How many items each concept has, as they were given or made.
static void add_concepts(const va_spec *s, va_json *meta) {
    va_json *list = va_json_add_array(meta, "concepts");
    for (int64_t i = 0; i < s->n_concepts; i++) {
        const va_concept *c = &s->concepts[i];
        va_json *o = va_json_add_object(list, NULL);
        va_json_add_string(o, "name", c->name);
        va_json_add_int(o, "positives", c->positives.n);
        va_json_add_int(o, "hard_negatives", c->hard_negatives.n);
        va_json_add_int(o, "random_negatives", c->random_negatives.n);
    }
}

va_status va_run_metadata(va_run *run, va_json *root) {
    va_status st = VA_OK;
    const va_spec *s = &run->e->spec;
    va_json *meta = va_json_add_object(root, "metadata");
    char now[32];
    time_t t = time(NULL);
    struct tm tm;
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    va_json_add_string(meta, "name", s->name);
    va_json_add_string(meta, "question", s->question ? s->question : "");
    va_json_add_string(meta, "tool",
                       va_arena_printf(run->e->arena, "vkalign %s", run->e->tool_version));
    va_json_add_string(meta, "created", now);
    va_json_add_double(meta, "seconds", run->summary.seconds);
    if (run->summary.first_dispatch_s > 0)
        va_json_add_double(meta, "first_dispatch_s", run->summary.first_dispatch_s);
    va_json_add_int(meta, "seed", s->seed);
    add_strings(meta, "prompts", &s->prompts);
    add_strings(meta, "templates", &s->templates);
    add_concepts(s, meta);
    if (run->e->variant.name[0])
        va_json_add_string(meta, "variant", run->e->variant.name);
    va_json_add_int(meta, "n_units", run->summary.n_units);
    va_json_add_int(meta, "n_units_reused", run->summary.n_reused);
    va_json_add_int(meta, "n_units_failed", run->summary.n_failed);
    add_model(run, meta);
    add_device(run, meta);
    VA_TRY(add_inputs(run, meta));
    va_json_add_string(meta, "key", run->key);
done:
    return st;
}
