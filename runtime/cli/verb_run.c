// vkalign run: an experiment file, unit by unit, to a folder of results.
// SPDX-License-Identifier: Apache-2.0
#include "cli_experiment.h"

static void print_plan(va_cli *cli, const va_experiment *e) {
    va_strbuf text = {0};
    const va_plan_summary plan = va_experiment_plan(e);
    va_experiment_plan_text(e, &text);
    va_cli_print(cli, "%s", text.data ? text.data : "");
    va_cli_json_plan(va_json_add_object(cli->out, "plan"), &plan);
    va_strbuf_free(&text);
}

// The first lines of the report, which answer the question.
static void print_summary(va_cli *cli, const char *out, const va_run_summary *s) {
    char memory[32];
    va_json_add_string(cli->out, "out", out);
    va_json_add_int(cli->out, "units", s->n_units);
    va_json_add_int(cli->out, "reused", s->n_reused);
    va_json_add_int(cli->out, "failed", s->n_failed);
    va_json_add_double(cli->out, "seconds", s->seconds);
    va_json_add_int(cli->out, "device_peak_bytes", s->device_peak_bytes);
    va_cli_print(cli, "%lld units in %.1f s, %s of device memory at the peak; results in %s\n",
                 (long long)s->n_units, s->seconds, va_format_bytes(memory, s->device_peak_bytes),
                 out);
    va_cli_print(cli, "read %s/report.md or open %s/report.html\n", out, out);
}

va_status va_cli_run(va_cli *cli) {
    va_status st = VA_OK;
    va_experiment *e = NULL;
    va_run_summary summary = {0};
    VA_TRY(va_cli_load_experiment(cli, cli->args[0], &e));
    va_json_add_string(cli->out, "experiment", va_experiment_name(e));
    if (va_cli_has(cli, OPT_DRY_RUN)) {
        print_plan(cli, e);
        goto done;
    }
    const char *out = va_cli_value_of(cli, OPT_OUT);
    out = out ? out : va_experiment_output(e);
    const va_run_params params = {.out_dir = out,
                                  .resume = va_cli_has(cli, OPT_RESUME),
                                  .gpu.device = va_cli_value_of(cli, OPT_DEVICE)};
    st = va_experiment_run(cli->ctx, e, &params, &summary);
    if (st == VA_OK || st == VA_ERR_PARTIAL)
        print_summary(cli, out, &summary);
    if (st == VA_ERR_INTERRUPTED)
        va_fail(cli->ctx, st, "interrupted; %lld of %lld units are saved; go on with --resume",
                (long long)(summary.n_done + summary.n_reused), (long long)summary.n_units);
done:
    va_experiment_free(&e);
    return st;
}
