// cli_experiment.c: loading an experiment file and saying all that is wrong with it.
// SPDX-License-Identifier: Apache-2.0
#include "cli_experiment.h"

#include <string.h>

static va_json *error_list(va_cli *cli) {
    va_json *list = (va_json *)va_json_get(cli->out, "errors");
    return list ? list : va_json_add_array(cli->out, "errors");
}

static void show_diagnostic(va_cli *cli, const va_diagnostic *d) {
    va_json *o = va_json_add_object(error_list(cli), NULL);
    va_json_add_string(o, "file", d->file);
    va_json_add_int(o, "line", d->line);
    va_json_add_int(o, "column", d->col);
    va_json_add_string(o, "message", d->message);
    va_json_add_string(o, "hint", d->hint);
    fprintf(stderr, "%s:", d->file);
    if (d->line > 0)
        fprintf(stderr, "%d:%d:", d->line, d->col);
    fprintf(stderr, " %s%s%s\n", d->message, d->hint[0] ? "; " : "", d->hint);
}

// The program's own hash (Linux); elsewhere the version has to do.
static const char *build_of(va_cli *cli) {
    char hex[65];
    va_ctx *quiet = va_ctx_create(NULL);
    const bool ok = quiet && va_file_sha256(quiet, "/proc/self/exe", hex) == VA_OK;
    va_ctx_destroy(&quiet);
    return ok ? va_arena_strdup(cli->arena, hex) : NULL;
}

va_status va_cli_experiment_params(va_cli *cli, const char *path, va_experiment_params *params) {
    va_status st = VA_OK;
    *params = (va_experiment_params){
        .path = path, .tool_version = VA_VERSION, .tool_build = build_of(cli)};
    VA_TRY(va_cli_all(cli, OPT_SET, &params->sets, &params->n_sets));
done:
    return st;
}

va_status va_cli_load_experiment(va_cli *cli, const char *path, int64_t variant,
                                 va_experiment **experiment) {
    va_status st = VA_OK;
    va_experiment_params params;
    const va_diagnostic *list = NULL;
    VA_TRY(va_cli_experiment_params(cli, path, &params));
    params.variant = variant;
    st = va_experiment_load(cli->ctx, &params, experiment);
    const int64_t n = *experiment ? va_experiment_diagnostics(*experiment, &list) : 0;
    for (int64_t i = 0; i < n; i++)
        show_diagnostic(cli, &list[i]);
    if (st != VA_OK && n == 0)
        fprintf(stderr, "vkalign: %s\n", va_error_message(cli->ctx));
    else if (st != VA_OK && n > 1)
        fprintf(stderr, "vkalign: %s: %lld mistakes\n", path, (long long)n);
    cli->told = st != VA_OK;
done:
    return st;
}

void va_cli_json_plan(va_json *obj, const va_plan_summary *plan) {
    va_json_add_int(obj, "units", plan->n_units);
    va_json_add_int(obj, "captures", plan->n_captures);
    va_json_add_int(obj, "directions", plan->n_directions);
    va_json_add_int(obj, "results", plan->n_results);
    va_json_add_double(obj, "flop", plan->flop);
    va_json_add_int(obj, "weight_bytes", plan->weight_bytes);
    va_json_add_int(obj, "device_bytes", plan->device_bytes);
}

void va_cli_add_plan(va_plan_summary *all, const va_plan_summary *plan) {
    all->n_units += plan->n_units;
    all->n_captures += plan->n_captures;
    all->n_directions += plan->n_directions;
    all->n_results += plan->n_results;
    all->flop += plan->flop;
    all->weight_bytes = VA_MAX(all->weight_bytes, plan->weight_bytes);
    all->device_bytes = VA_MAX(all->device_bytes, plan->device_bytes);
}
