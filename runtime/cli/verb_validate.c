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

// Every variant of an experiment with a matrix; the first that is wrong ends it.
static va_status validate(va_cli *cli, const char *path, va_json *o) {
    va_status st = VA_OK;
    va_plan_summary sum = {0};
    int64_t n = 1;
    for (int64_t i = 0; i < n && st == VA_OK; i++) {
        va_experiment *e = NULL;
        st = va_cli_load_experiment(cli, path, i, &e);
        if (st == VA_OK) {
            const va_plan_summary plan = va_experiment_plan(e);
            n = va_experiment_variant_count(e);
            va_cli_add_plan(&sum, &plan);
        }
        va_experiment_free(&e);
    }
    va_json_add_string(o, "file", path);
    va_json_add_bool(o, "valid", st == VA_OK);
    if (st != VA_OK) {
        va_json_add_string(o, "error", va_error_message(cli->ctx));
        return st;
    }
    va_cli_json_plan(o, &sum);
    va_json_add_int(o, "variants", n);
    va_cli_print(cli, "%s: valid; ", path);
    if (n > 1)
        va_cli_print(cli, "%lld variants, ", (long long)n);
    va_cli_print(cli, "%lld units, %lld results\n", (long long)sum.n_units,
                 (long long)sum.n_results);
    return VA_OK;
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
        const va_status st = validate(cli, cli->args[i], va_json_add_object(files, NULL));
        worst = worst == VA_OK ? st : worst;
    }
    cli->told = true;
    return worst;
}
