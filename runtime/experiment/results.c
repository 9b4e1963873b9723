// results.c: finished units -> results.json as a tree.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "series.h"

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

// -- one result: concept, layer, prompt --------------------------------------------------------

// Fields of the published file, from the first metric.
static void add_published(va_run *run, va_json *result, int64_t c, int64_t layer, int64_t prompt,
                          const va_json *metric) {
    const va_metric_spec *m = &run->e->spec.metrics[0];
    const double value = record_number(metric, "value", 0);
    va_json_add_double(result, "alignment", value);
    va_json_add_double(result, "alignment_abs", value < 0 ? -value : value);
    for (int64_t k = 0; k < m->of.n; k++) {
        const va_direction_spec *dir = &run->e->spec.directions[m->index[k]];
        const va_json *record =
            va_store_record(run->store, va_plan_find(run->e, m->index[k], c, layer, prompt, 0));
        bool jacobian = dir->kind == VA_DIRECTION_JACOBIAN;
        const char *key = jacobian ? "jacobian_norm" : "classifier_norm";
        if (va_json_get(result, key))
            continue; // two of one kind: the first
        va_json_add_double(result, key, record_number(record, "norm", 0));
        if (jacobian)
            va_json_add_double(result, "jacobian_time", record_number(record, "jacobian_time", 0));
    }
}

// All that can be measured is; the first that fails is the result's error. What ends a run ends it
// here too.
static va_status add_metrics(va_run *run, va_json *result, int64_t c, int64_t layer, int64_t prompt,
                             const char **error) {
    va_status st = VA_OK;
    const va_spec *s = &run->e->spec;
    va_json *list = va_json_add_array(result, "metrics");
    for (int64_t m = 0; m < s->n_metrics; m++) {
        if (!va_metric_stands_at(s, &s->metrics[m], layer, prompt))
            continue;
        VA_TRY(va_check_interrupt(run->ctx));
        const va_status one = va_measure_add(run, &s->metrics[m], c, layer, prompt, list);
        if (va_run_is_fatal(one))
            VA_TRY(one);
        if (m == 0 && va_json_first(list)) // also where only a chance level failed
            add_published(run, result, c, layer, prompt, va_json_first(list));
        if (one != VA_OK && !*error)
            *error = va_arena_printf(run->e->arena, "%s: %s", s->metrics[m].name,
                                     va_error_message(run->ctx));
    }
done:
    return st;
}

static va_status add_result(va_run *run, va_json *list, int64_t c, int64_t layer, int64_t prompt) {
    va_status st = VA_OK;
    const va_spec *s = &run->e->spec;
    const char *error = NULL;
    va_json *r = va_json_add_object(list, NULL);
    va_json_add_string(r, "concept", s->concepts[c].name);
    va_json_add_int(r, "layer", s->concepts[c].layer);
    va_json_add_int(r, "model_layer", s->layers[layer]);
    va_json_add_string(r, "prompt", run->e->plan.prompts[c * s->prompts.n + prompt].text);
    VA_TRY(add_metrics(run, r, c, layer, prompt, &error));
    run->summary.n_results_failed += error != NULL;
    va_json_add_string(r, "status", error ? "failed" : "success");
    if (error)
        va_json_add_string(r, "error", error);
    else
        va_json_add_null(r, "error");
done:
    return st;
}

// -- directions --------------------------------------------------------------------------------

static void add_sigma(va_run *run, int64_t unit, va_json *o) {
    const va_safetensors *t = va_store_tensors(run->store, unit);
    const va_file_tensor *sigma = t ? va_safetensors_find(t, "sigma") : NULL;
    va_json *list = sigma ? va_json_add_array(o, "sigma") : NULL;
    for (int64_t i = 0; sigma && i < sigma->n_elem; i++) {
        double v;
        memcpy(&v, (const char *)sigma->data + i * (int64_t)sizeof v, sizeof v);
        va_json_add_double(list, NULL, v);
    }
}

static void add_direction(va_run *run, va_json *list, int64_t unit) {
    const va_unit *u = &run->e->plan.units[unit];
    const va_json *record = va_store_record(run->store, unit);
    va_json *o = record ? va_json_clone(record) : va_json_object();
    va_json_add_string(o, "name", u->name);
    va_json_add_string(o, "direction", run->e->spec.directions[u->direction].name);
    va_json_add_string(o, "kind",
                       va_direction_kind_names[run->e->spec.directions[u->direction].kind]);
    va_json_add_string(o, "concept", run->e->spec.concepts[u->concept_index].name);
    add_sigma(run, unit, o);
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
            for (int64_t c = 0; c < s->n_concepts && va_spec_has_result(s, l, i); c++)
                VA_TRY(add_result(run, list, c, l, i));
    VA_TRY(va_run_statistics(run, root));
    VA_TRY(va_run_expectations(run, root));
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
