// vkalign report: rebuilds report.md and report.html from results.json, or from a sweep's
// sweep.json.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include "vkalign/report.h"

// What is there to report: an experiment's results, or those of a sweep's variants together.
static bool is_sweep(const char *dir) {
    va_arena *arena = va_arena_create();
    const char *results = arena ? va_path_join(arena, dir, "results.json") : NULL;
    const char *sweep = arena ? va_path_join(arena, dir, "sweep.json") : NULL;
    const bool is = results && sweep && !va_path_exists(results) && va_path_exists(sweep);
    va_arena_destroy(&arena);
    return is;
}

va_status va_cli_report(va_cli *cli) {
    const char *dir = cli->args[0];
    va_status st = (is_sweep(dir) ? va_report_sweep_write : va_report_write)(cli->ctx, dir);
    if (st == VA_OK) {
        va_json_add_string(cli->out, "out", dir);
        va_cli_print(cli, "wrote %s/report.md and %s/report.html\n", dir, dir);
    }
    return st;
}
