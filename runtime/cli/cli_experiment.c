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

va_status va_cli_load_experiment(va_cli *cli, const char *path, va_experiment **experiment) {
    va_status st = VA_OK;
    const char *const *sets = NULL;
    int64_t n_sets = 0;
    const va_diagnostic *list = NULL;
    VA_TRY(va_cli_all(cli, OPT_SET, &sets, &n_sets));
    st = va_experiment_load(
        cli->ctx,
        &(va_experiment_params){
            .path = path, .sets = sets, .n_sets = n_sets, .tool_version = VA_VERSION},
        experiment);
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
