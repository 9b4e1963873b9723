// vkalign report: rebuilds report.md and report.html from results.json.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include "vkalign/report.h"

va_status va_cli_report(va_cli *cli) {
    va_status st = va_report_write(cli->ctx, cli->args[0]);
    if (st == VA_OK) {
        va_json_add_string(cli->out, "out", cli->args[0]);
        va_cli_print(cli, "wrote %s/report.md and %s/report.html\n", cli->args[0], cli->args[0]);
    }
    return st;
}
