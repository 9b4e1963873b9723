// What people see: text and JSON on stdout; log, progress on stderr; Ctrl-C.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

void va_cli_print(const va_cli *cli, const char *fmt, ...) {
    va_list args;
    if (cli->json)
        return;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
}

void va_cli_print_json(const va_json *doc) {
    char *text = va_json_print(doc, true);
    puts(text ? text : "{\"error\": \"out of memory\"}");
    free(text);
}

static void clear_bar(va_cli_ui *ui) {
    if (ui->bar_shown)
        fputs("\r\033[K", stderr);
    ui->bar_shown = false;
}

void va_cli_log(void *user, va_log_level level, const char *message) {
    va_cli_ui *ui = user;
    static const char *const prefix[] = {"debug: ", "", "warning: ", "error: "};
    if ((level < VA_LOG_WARN && !ui->verbose) || (level == VA_LOG_WARN && ui->quiet))
        return;
    clear_bar(ui);
    fprintf(stderr, "vkalign: %s%s\n", prefix[level], message);
}

static void format_left(char buf[48], const va_progress *p) {
    buf[0] = '\0';
    if (p->total > 0 && p->done > 0 && !p->finished)
        snprintf(buf, 48, ", about %.0f s left",
                 p->elapsed_s * (double)(p->total - p->done) / (double)p->done);
}

static void draw_bar(va_cli_ui *ui, const va_progress *p) {
    enum { WIDTH = 24 };
    char bar[WIDTH + 1], left[48];
    const double share = p->total > 0 ? (double)p->done / (double)p->total : 0;
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < (int)(share * WIDTH) ? '#' : '.';
    bar[WIDTH] = '\0';
    format_left(left, p);
    fprintf(stderr, "\r\033[K%s [%s] %lld/%lld, %.0f s%s", p->label ? p->label : "", bar,
            (long long)p->done, (long long)p->total, p->elapsed_s, left);
    fflush(stderr);
    ui->bar_shown = true;
}

// Short jobs stay silent; others redraw a bar often, or write a line now and then.
void va_cli_progress(void *user, const va_progress *p) {
    va_cli_ui *ui = user;
    const double now = va_time_s(), every = ui->terminal ? 0.1 : 5;
    char left[48];
    if (ui->quiet)
        return;
    if (p->finished) {
        clear_bar(ui);
        ui->last_s = now;
        if (ui->verbose)
            fprintf(stderr, "vkalign: %s: done in %.1f s\n", p->label ? p->label : "",
                    p->elapsed_s);
        return;
    }
    if (p->elapsed_s < (ui->terminal ? 0.5 : every) || now - ui->last_s < every)
        return;
    ui->last_s = now;
    if (ui->terminal) {
        draw_bar(ui, p);
        return;
    }
    format_left(left, p);
    fprintf(stderr, "vkalign: %s: %lld of %lld, %.0f s%s\n", p->label ? p->label : "",
            (long long)p->done, (long long)p->total, p->elapsed_s, left);
}

static va_ctx *volatile interrupted_ctx;

static void on_interrupt(int signal_number) {
    static const char note[] = "\nvkalign: stopping at the next safe point (again to kill)\n";
    signal(signal_number, SIG_DFL); // the second one kills
    va_interrupt(interrupted_ctx);
    if (write(STDERR_FILENO, note, sizeof note - 1) < 0)
        return;
}

// Weights are read out of maps, and a map of a file that became shorter has no other way to say so.
static void on_lost_file(int signal_number) {
    static const char note[] = "\nvkalign: a file became shorter, or its disk failed, while it was "
                               "being read\n";
    (void)signal_number;
    ssize_t n = write(STDERR_FILENO, note, sizeof note - 1);
    (void)n; // nothing to be done about it
    _exit(va_status_exit(VA_ERR_FILE));
}

void va_cli_catch_lost_files(void) {
    struct sigaction action = {.sa_handler = on_lost_file};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

void va_cli_catch_interrupts(va_ctx *ctx) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    interrupted_ctx = ctx;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
