// What a derivative takes, before it is run: --dry-run.
// SPDX-License-Identifier: Apache-2.0
#include "cli_prompt.h"

static void show_bytes(va_cli *cli, va_json *plan, const char *key, const char *what,
                       int64_t bytes) {
    char text[32];
    va_json_add_int(plan, key, bytes);
    va_cli_print(cli, "  %-12s %10s%s\n", what, va_format_bytes(text, bytes), "");
}

void va_cli_show_plan(va_cli *cli, const va_map_plan *plan, int64_t out_bytes) {
    va_json *o = va_json_add_object(cli->out, "plan");
    va_json_add_int(o, "rows", plan->rows);
    va_json_add_int(o, "columns", plan->columns);
    va_cli_print(cli, "%lld x %lld; device memory:\n", (long long)plan->rows,
                 (long long)plan->columns);
    show_bytes(cli, o, "weight_bytes", "weights", plan->weight_bytes);
    show_bytes(cli, o, "value_bytes", "values", plan->value_bytes);
    show_bytes(cli, o, "sweep_bytes", "temporaries", plan->sweep_bytes);
    show_bytes(cli, o, "end_bytes", "ends", plan->end_bytes);
    show_bytes(cli, o, "peak_bytes", "peak", plan->peak_bytes);
    va_json_add_int(o, "vectors_per_sweep", plan->k);
    va_json_add_double(o, "flop_per_sweep", plan->flop);
    va_cli_print(cli, "%lld vectors a sweep", (long long)plan->k);
    if (plan->sweeps > 0) {
        const double flop = plan->flop * (double)(plan->reverse ? plan->rows : plan->columns) /
                            (double)plan->k; // the last sweep may be narrower
        va_json_add_int(o, "sweeps", plan->sweeps);
        va_json_add_double(o, "flop", flop);
        va_cli_print(cli, ", %lld sweeps, %.3g TFLOP\n", (long long)plan->sweeps, flop / 1e12);
    } else {
        va_cli_print(cli, ", %.3g TFLOP a step\n", plan->flop / 1e12);
    }
    if (out_bytes > 0) {
        char text[32];
        va_json_add_int(o, "out_bytes", out_bytes);
        va_cli_print(cli, "file: %s and its header\n", va_format_bytes(text, out_bytes));
    }
}
