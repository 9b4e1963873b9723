// vkalign: the command line's frame: parse, run the verb, report its failure, exit status.
// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <string.h>
#include <unistd.h>

// --help, --version, help [VERB]; -1 when it is something else.
static int answer_help(int argc, char **argv) {
    const char *first = argc > 0 ? argv[0] : "";
    int n_words;
    if (strcmp(first, "--version") == 0) {
        puts("vkalign " VA_VERSION);
        return 0;
    }
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 ||
        (strcmp(first, "help") == 0 && argc == 1)) {
        va_cli_help(NULL, stdout);
        return 0;
    }
    const va_verb *verb =
        strcmp(first, "help") == 0 ? va_cli_find_verb(argc - 1, argv + 1, &n_words) : NULL;
    if (verb) {
        va_cli_help(verb, stdout);
        return 0;
    }
    return -1;
}

static bool is_given(int argc, char **argv, const char *name, const char *letter) {
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], name) == 0 || (letter && strcmp(argv[i], letter) == 0))
            return true;
    return false;
}

// One message on stderr; with --json the document on stdout says the same.
static void report_failure(va_cli *cli, va_status st) {
    const char *message = va_error_message(cli->ctx);
    if (!message[0])
        message = va_status_text(st);
    if (!cli->told)
        fprintf(stderr, "vkalign: %s\n", message);
    if (cli->json && cli->out) {
        va_json_add_string(cli->out, "error", message);
        va_json_add_int(cli->out, "exit_status", va_status_exit(st));
    }
}

static va_status run_verb(va_cli *cli, int argc, char **argv) {
    va_status st = VA_OK;
    VA_TRY_ALLOC(cli->ctx, cli->arena, va_arena_create());
    VA_TRY_ALLOC(cli->ctx, cli->out, va_json_object());
    VA_TRY(va_cli_parse(cli, argc, argv));
    cli->json = va_cli_has(cli, OPT_JSON); // until here a guess, for errors of the command line
    if (va_cli_has(cli, OPT_HELP)) {
        cli->json = false;
        va_cli_help(cli->verb, stdout);
        goto done;
    }
    va_cli_catch_interrupts(cli->ctx);
    va_cli_catch_lost_files();
    VA_TRY(cli->verb->run(cli));
done:
    return st;
}

int main(int argc, char **argv) {
    const double start_s = va_time_s();
    argc--, argv++;
    if (argc < 1) {
        va_cli_help(NULL, stderr);
        return va_status_exit(VA_ERR_USAGE);
    }
    const int answered = answer_help(argc, argv);
    if (answered >= 0)
        return answered;
    va_cli_ui ui = {.terminal = isatty(STDERR_FILENO),
                    .quiet = is_given(argc, argv, "--quiet", "-q"),
                    .verbose = is_given(argc, argv, "--verbose", "-v")};
    va_cli cli = {.start_s = start_s, .json = is_given(argc, argv, "--json", NULL)};
    cli.ctx = va_ctx_create(&(va_ctx_params){.log = va_cli_log,
                                             .log_user = &ui,
                                             .log_level = VA_LOG_INFO,
                                             .progress = va_cli_progress,
                                             .progress_user = &ui});
    if (!cli.ctx) {
        fputs("vkalign: out of memory\n", stderr);
        return va_status_exit(VA_ERR_MEMORY);
    }
    const va_status st = run_verb(&cli, argc, argv);
    if (st != VA_OK)
        report_failure(&cli, st);
    if (cli.json && cli.out)
        va_cli_print_json(cli.out);
    va_json_free(&cli.out);
    va_arena_destroy(&cli.arena);
    va_ctx_destroy(&cli.ctx);
    return va_status_exit(st);
}
