// experiment.c: loading an experiment: YAML tree, overrides, typed spec, plan.
// SPDX-License-Identifier: Apache-2.0
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "spec_check.h"

// model.path relative to the experiment's folder, unless it came from --set or is absolute.
static void resolve_model_path(va_experiment *e) {
    va_spec *s = &e->spec;
    const char *slash = strrchr(e->path, '/');
    if (s->model_path && s->model_path[0] != '/' && slash &&
        strcmp(s->model_place.file, "--set") != 0)
        s->model_path =
            va_arena_printf(e->arena, "%.*s/%s", (int)(slash - e->path), e->path, s->model_path);
}

static void set_text(va_arena *arena, va_yaml *map, const char *key, const char *text) {
    va_yaml *node = VA_NEW(arena, va_yaml);
    if (!node)
        return;
    *node = (va_yaml){.kind = VA_YAML_SCALAR, .quoted = true, .text = text};
    for (int64_t i = 0; i < map->n; i++)
        if (strcmp(map->key[i]->text, key) == 0)
            map->item[i] = node; // a node of its own: the old one may stand elsewhere as an alias
}

// A node in the place of another: the old one may stand elsewhere as an alias.
static void set_node(va_yaml *map, const char *key, va_yaml *node) {
    for (int64_t i = 0; node && i < map->n; i++)
        if (strcmp(map->key[i]->text, key) == 0)
            map->item[i] = node;
}

// Paths of directions in full, as far as they do not depend on the concept.
static void resolve_paths(va_experiment *e, const va_yaml *root, const char *folder,
                          const char *working) {
    for (int64_t i = 0; i < e->spec.n_directions; i++) {
        const va_direction_spec *dir = &e->spec.directions[i];
        if (!dir->path || dir->path[0] == '/')
            continue;
        const va_yaml *map = va_yaml_get(va_yaml_get(root, "directions"), dir->name);
        const char *from = strcmp(dir->path_place.file, "--set") == 0 ? working : folder;
        set_text(e->arena, (va_yaml *)map, "path", va_path_join(e->arena, from, dir->path));
    }
}

// The experiment as text that means the same in any folder: paths in full, concepts that are made
// or stand in a file of their own put in.
static va_status resolve(va_experiment *e, va_yaml *root) {
    va_status st = VA_OK;
    va_strbuf text = {0};
    char full[PATH_MAX], working[PATH_MAX];
    const char *slash = strrchr(e->path, '/');
    const char *folder = slash ? va_arena_strndup(e->arena, e->path, slash - e->path) : ".";
    if (realpath(folder, full) && realpath(".", working))
        resolve_paths(e, root, full, working);
    if (realpath(e->spec.model_path, full))
        set_text(e->arena, (va_yaml *)va_yaml_get(root, "model"), "path",
                 va_arena_strdup(e->arena, full));
    if (e->spec.concept_inputs.n > 0)
        set_node(root, "concepts", va_spec_concepts_yaml(e->arena, &e->spec));
    va_yaml_write(root, &text);
    VA_TRY_ALLOC(e->ctx, e->resolved,
                 text.data && !text.failed ? va_arena_strdup(e->arena, text.data) : NULL);
done:
    va_strbuf_free(&text);
    return st;
}

static va_status read_spec(va_experiment *e, const va_experiment_params *params) {
    va_status st = VA_OK;
    va_yaml *root = NULL;
    VA_TRY(va_yaml_load(e->ctx, e->arena, params->path, NULL, &root));
    va_spec_override(&e->diag, root, params->sets, params->n_sets);
    e->variant = va_matrix_apply(&e->diag, e->path, root, params->variant);
    VA_TRY(va_spec_read(e->ctx, &e->diag, root, e->path, &e->spec));
    VA_TRY(va_spec_load_concepts(e->ctx, &e->diag, e->path, &e->spec));
    va_spec_check(&e->diag, &e->spec);
    resolve_model_path(e);
    if (e->diag.n > 0)
        va_plan_check_model(e);
    else
        VA_TRY(resolve(e, root));
done:
    return st;
}

va_status va_experiment_load(va_ctx *ctx, const va_experiment_params *params,
                             va_experiment **experiment) {
    va_status st = VA_OK;
    va_arena *arena = va_arena_create();
    va_experiment *e = arena ? VA_NEW(arena, va_experiment) : NULL;
    *experiment = e;
    if (!e) {
        va_arena_destroy(&arena);
        return va_fail(ctx, VA_ERR_MEMORY, "out of host memory");
    }
    e->ctx = ctx;
    e->arena = e->diag.arena = arena;
    e->variant = (va_variant){.count = 1, .name = ""}; // also of a file that cannot be read
    e->path = va_arena_strdup(arena, params->path);
    e->tool_version = params->tool_version ? params->tool_version : "unknown";
    e->tool_build = params->tool_build ? params->tool_build : "";
    VA_TRY(read_spec(e, params));
    if (e->diag.n == 0)
        VA_TRY(va_plan_make(e));
done:
    if (e->diag.n > 0 && (st == VA_OK || st == VA_ERR_SPEC || st == VA_ERR_USAGE))
        st = va_fail(ctx, VA_ERR_SPEC, "%s: %lld mistake%s", params->path, (long long)e->diag.n,
                     e->diag.n == 1 ? "" : "s");
    return st;
}

void va_experiment_free(va_experiment **experiment) {
    if (!*experiment)
        return;
    va_arena *arena = (*experiment)->arena;
    va_plan_free(&(*experiment)->plan);
    va_arena_destroy(&arena);
    *experiment = NULL;
}

int64_t va_experiment_diagnostics(const va_experiment *experiment, const va_diagnostic **list) {
    *list = experiment->diag.item;
    return experiment->diag.n;
}

const char *va_experiment_name(const va_experiment *experiment) {
    return experiment->spec.name;
}

int64_t va_experiment_variant_count(const va_experiment *experiment) {
    return experiment->variant.count;
}

const char *va_experiment_variant_name(const va_experiment *experiment) {
    return experiment->variant.name;
}

int64_t va_experiment_expect_count(const va_experiment *experiment) {
    return experiment->spec.n_expect;
}

const char *va_experiment_output(const va_experiment *experiment) {
    return experiment->spec.output;
}

va_plan_summary va_experiment_plan(const va_experiment *experiment) {
    return experiment->plan.summary;
}

void va_experiment_plan_text(const va_experiment *experiment, va_strbuf *out) {
    const va_experiment *e = experiment;
    const va_plan_summary *s = &e->plan.summary;
    const va_arch_config *config = va_model_config(e->plan.model);
    char weights[32], total[32];
    va_strbuf_printf(out, "experiment  %s (%s)\n", e->spec.name, e->path);
    va_strbuf_printf(out, "model       %s: %s, %lld layers, width %lld, %s%s\n", e->spec.model_path,
                     config->family, (long long)config->n_layer, (long long)config->d_model,
                     va_model_dtype_text(e->plan.model),
                     va_model_is_quantised(e->plan.model) ? ", dequantised" : "");
    va_strbuf_printf(out, "concepts    %lld, prompts %lld, layers %lld\n",
                     (long long)e->spec.n_concepts, (long long)e->spec.prompts.n,
                     (long long)e->spec.n_layers);
    va_strbuf_printf(out, "units       %lld: %lld texts captured at %lld sites, %lld directions\n",
                     (long long)s->n_units, (long long)s->n_captures, (long long)e->plan.n_sites,
                     (long long)s->n_directions);
    va_strbuf_printf(out, "results     %lld, of %lld metrics each\n", (long long)s->n_results,
                     (long long)e->spec.n_metrics);
    va_strbuf_printf(out, "work        %.3g GFLOP\n", s->flop / 1e9);
    va_strbuf_printf(out, "memory      %s of weights (%lld blocks), %s on the device at the peak\n",
                     va_format_bytes(weights, s->weight_bytes), (long long)e->plan.n_blocks,
                     va_format_bytes(total, s->device_bytes));
    for (int64_t i = 0; i < e->plan.n_units; i++)
        va_strbuf_printf(out, "  %-40s %8.3g GFLOP\n", e->plan.units[i].name,
                         e->plan.units[i].flop / 1e9);
}
