// vkalign run: an experiment file, unit by unit, to a folder of results.
// SPDX-License-Identifier: Apache-2.0
#include "cli_experiment.h"

#include <string.h>

static void print_plan(va_cli *cli, const va_experiment *e) {
    va_strbuf text = {0};
    const va_plan_summary plan = va_experiment_plan(e);
    va_experiment_plan_text(e, &text);
    va_cli_print(cli, "%s", text.data ? text.data : "");
    va_cli_json_plan(va_json_add_object(cli->out, "plan"), &plan);
    va_strbuf_free(&text);
}

// Each variant by its name, and what all of them take: units that they share are counted for each.
static va_status print_variants(va_cli *cli, int64_t n) {
    va_status st = VA_OK;
    va_experiment *e = NULL;
    va_plan_summary all = {0};
    va_json *names = va_json_add_array(cli->out, "variant_names");
    va_cli_print(cli, "variants    %lld\n", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        VA_TRY(va_cli_load_experiment(cli, cli->args[0], i, &e));
        const va_plan_summary plan = va_experiment_plan(e);
        va_cli_add_plan(&all, &plan);
        va_json_add_string(names, NULL, va_experiment_variant_name(e));
        va_cli_print(cli, "  %-40s %lld units, %.3g GFLOP\n", va_experiment_variant_name(e),
                     (long long)plan.n_units, plan.flop / 1e9);
        va_experiment_free(&e);
    }
    va_cli_json_plan(va_json_add_object(cli->out, "all_variants"), &all);
    va_cli_print(cli, "  %-40s %lld units, %.3g GFLOP\n\nThe first variant:\n", "together",
                 (long long)all.n_units, all.flop / 1e9);
done:
    va_experiment_free(&e);
    return st;
}

// What the report says before its first heading, which answers the question. A context of its own
// keeps what the run said went wrong.
static void print_answer(va_cli *cli, const char *out) {
    va_map map = {0};
    va_ctx *quiet = va_ctx_create(NULL);
    const char *path = va_path_join(cli->arena, out, "report.md");
    if (quiet && path && va_map_open(quiet, path, &map) == VA_OK) {
        const char *text = map.size_bytes > 0 ? (const char *)map.data : "";
        int64_t n = 0;
        while (n < map.size_bytes && (map.size_bytes - n < 4 || memcmp(text + n, "\n## ", 4) != 0))
            n++;
        va_cli_print(cli, "%.*s\n", (int)VA_MIN(n, INT32_MAX), text);
        va_map_close(&map);
    }
    va_ctx_destroy(&quiet);
}

// "86 units (80 from the cache) in 1.2 s, 1.5 GB of device memory at the peak"
static void print_counts(va_cli *cli, const char *out, const va_run_summary *s) {
    const bool cache = !va_cli_has(cli, OPT_RESUME); // else some may be of the run that goes on
    char memory[32];
    va_cli_print(cli, "%lld units ", (long long)s->n_units);
    if (s->n_reused > 0)
        va_cli_print(cli, "(%lld %s) ", (long long)s->n_reused,
                     cache ? "from the cache" : "from before");
    va_cli_print(cli, "in %.1f s", s->seconds);
    if (s->device_peak_bytes > 0)
        va_cli_print(cli, ", %s of device memory at the peak",
                     va_format_bytes(memory, s->device_peak_bytes));
    va_cli_print(cli, "; results in %s\nread %s/report.md or open %s/report.html\n", out, out, out);
}

static void print_summary(va_cli *cli, const char *out, const va_run_summary *s) {
    va_json_add_string(cli->out, "out", out);
    va_json_add_int(cli->out, "units", s->n_units);
    va_json_add_int(cli->out, "reused", s->n_reused);
    va_json_add_int(cli->out, "failed", s->n_failed);
    va_json_add_double(cli->out, "seconds", s->seconds);
    if (s->first_dispatch_s > 0)
        va_json_add_double(cli->out, "first_dispatch_s", s->first_dispatch_s);
    va_json_add_int(cli->out, "expected", s->n_expected);
    va_json_add_int(cli->out, "held", s->n_held);
    va_json_add_int(cli->out, "device_peak_bytes", s->device_peak_bytes);
    print_answer(cli, out);
    print_counts(cli, out, s);
}

// Bounds that do not hold, with --check: status 1, also where that is due to what failed (ran).
static va_status check(va_cli *cli, const va_run_summary *s, const char *out, va_status ran) {
    const long long n = s->n_expected, not_held = n - s->n_held;
    if (not_held == 0) {
        va_cli_print(cli, "all %lld expectations hold\n", n);
        return ran;
    }
    if (ran == VA_OK)
        return va_fail(cli->ctx, VA_ERR_PARTIAL, "%lld of %lld expectations do not hold; see %s",
                       not_held, n, out);
    const char *failed = va_arena_strdup(cli->arena, va_error_message(cli->ctx));
    return va_fail(cli->ctx, ran, "%s; %lld of %lld expectations do not hold", failed ? failed : "",
                   not_held, n);
}

static va_status run(va_cli *cli, va_experiment **e, const char *out, va_run_summary *summary) {
    const va_run_params params = {.out_dir = out,
                                  .resume = va_cli_has(cli, OPT_RESUME),
                                  .cache_dir = va_cli_has(cli, OPT_NO_CACHE) ? "" : NULL,
                                  .gpu.device = va_cli_value_of(cli, OPT_DEVICE),
                                  .start_s = cli->start_s};
    if (va_experiment_variant_count(*e) == 1)
        return va_experiment_run(cli->ctx, *e, &params, summary);
    va_status st = VA_OK;
    va_experiment_params experiment;
    const int64_t n = va_experiment_variant_count(*e);
    int64_t n_units = va_experiment_plan(*e).n_units;
    va_experiment_free(e);
    for (int64_t i = 1; i < n; i++) { // what is wrong is said before anything runs
        VA_TRY(va_cli_load_experiment(cli, cli->args[0], i, e));
        n_units += va_experiment_plan(*e).n_units;
        va_experiment_free(e);
    }
    VA_TRY(va_cli_experiment_params(cli, cli->args[0], &experiment));
    st = va_sweep_run(cli->ctx, &experiment, &params, summary);
    summary->n_units = n_units; // also of variants that an interrupted sweep has not come to
done:
    return st;
}

va_status va_cli_run(va_cli *cli) {
    va_status st = VA_OK;
    va_experiment *e = NULL;
    va_run_summary summary = {0};
    VA_TRY(va_cli_load_experiment(cli, cli->args[0], 0, &e));
    if (va_cli_has(cli, OPT_CHECK) && va_experiment_expect_count(e) == 0) {
        st = va_fail(cli->ctx, VA_ERR_SPEC, "%s: --check: the experiment has no `expect`",
                     cli->args[0]);
        goto done;
    }
    va_json_add_string(cli->out, "experiment", va_experiment_name(e));
    va_json_add_int(cli->out, "variants", va_experiment_variant_count(e));
    if (va_cli_has(cli, OPT_DRY_RUN)) {
        const int64_t n = va_experiment_variant_count(e);
        if (n > 1)
            VA_TRY(print_variants(cli, n));
        print_plan(cli, e);
        goto done;
    }
    const char *out = va_cli_value_of(cli, OPT_OUT);
    out = va_arena_strdup(cli->arena, out ? out : va_experiment_output(e));
    st = run(cli, &e, out, &summary);
    if (st == VA_OK || st == VA_ERR_PARTIAL) {
        print_summary(cli, out, &summary);
        if (va_cli_has(cli, OPT_CHECK))
            st = check(cli, &summary, out, st);
    }
    if (st == VA_ERR_INTERRUPTED)
        va_fail(cli->ctx, st, "interrupted; %lld of %lld units are saved; go on with --resume",
                (long long)(summary.n_done + summary.n_reused), (long long)summary.n_units);
done:
    va_experiment_free(&e);
    return st;
}
