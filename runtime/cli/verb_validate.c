// vkalign validate: every mistake of experiment files at once.
// SPDX-License-Identifier: Apache-2.0
#include "cli_experiment.h"

static void print_schema(va_cli *cli) {
    va_strbuf text = {0};
    va_experiment_schema(&text);
    fputs(text.data ? text.data : "", stdout);
    va_strbuf_free(&text);
    va_json_free(&cli->out); // the schema is the document
}

va_status va_cli_validate(va_cli *cli) {
    va_status worst = VA_OK;
    if (va_cli_has(cli, OPT_SCHEMA)) {
        print_schema(cli);
        return VA_OK;
    }
    if (cli->n_args == 0)
        return va_fail(cli->ctx, VA_ERR_USAGE, "validate: expected at least one FILE");
    va_json *files = va_json_add_array(cli->out, "files");
    for (int i = 0; i < cli->n_args; i++) {
        va_experiment *e = NULL;
        const va_status st = va_cli_load_experiment(cli, cli->args[i], &e);
        va_json *o = va_json_add_object(files, NULL);
        va_json_add_string(o, "file", cli->args[i]);
        va_json_add_bool(o, "valid", st == VA_OK);
        if (st == VA_OK) {
            const va_plan_summary plan = va_experiment_plan(e);
            va_cli_json_plan(o, &plan);
            va_cli_print(cli, "%s: valid; %lld units, %lld results\n", cli->args[i],
                         (long long)plan.n_units, (long long)plan.n_results);
        } else {
            va_json_add_string(o, "error", va_error_message(cli->ctx));
        }
        worst = worst == VA_OK ? st : worst;
        va_experiment_free(&e);
    }
    cli->told = true;
    return worst;
}
