// cli_process.h: the program as a process: started, signalled, waited for; what it said, what it
// took. Needs VA_CLI, the path of the program.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_CLI_PROCESS_H
#define VA_CLI_PROCESS_H

#include "test_support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CLI_MAX_ARGS = 20, CLI_KILLED = 1000 }; // status of a process that a signal ended: + signal

typedef struct cli_process {
    pid_t pid;
    int out_fd, err_fd;
    double start_s;
    int status; // exit status, or CLI_KILLED + signal
    char out[1 << 16], err[1 << 15];
    double seconds, cpu_seconds; // passed; of all its threads
    int64_t peak_bytes;          // of host memory
} cli_process;

static inline int cli_temp_fd(void) {
    FILE *f = tmpfile();
    assert_non_null(f);
    int fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 10);
    fclose(f);
    assert_true(fd >= 0);
    return fd;
}

// Starts vkalign with args (NULL-terminated); env: one NAME=VALUE to add, NULL: none.
static inline void cli_start(cli_process *p, const char *env, const char *const *args) {
    const char *argv[CLI_MAX_ARGS + 2] = {VA_CLI};
    for (int i = 0; args[i]; i++) {
        assert_true(i < CLI_MAX_ARGS);
        argv[i + 1] = args[i];
    }
    p->out_fd = cli_temp_fd();
    p->err_fd = cli_temp_fd();
    p->start_s = va_time_s();
    p->pid = fork();
    if (p->pid == 0) {
        int null_fd = open("/dev/null", O_RDONLY);
        if (env)
            putenv((char *)env);
        if (dup2(null_fd, 0) >= 0 && dup2(p->out_fd, 1) >= 0 && dup2(p->err_fd, 2) >= 0)
            execv(VA_CLI, (char *const *)argv);
        _exit(127);
    }
    assert_true(p->pid > 0);
}

static inline void cli_read_back(int fd, char *text, size_t size) {
    ssize_t n = pread(fd, text, size - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
}

static inline int cli_wait(cli_process *p) {
    struct rusage usage;
    int code;
    assert_int_equal(wait4(p->pid, &code, 0, &usage), p->pid);
    p->seconds = va_time_s() - p->start_s;
    p->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    p->peak_bytes = (int64_t)usage.ru_maxrss * 1024; // Linux: KiB
    p->status = WIFEXITED(code) ? WEXITSTATUS(code) : CLI_KILLED + WTERMSIG(code);
    cli_read_back(p->out_fd, p->out, sizeof p->out);
    cli_read_back(p->err_fd, p->err, sizeof p->err);
    return p->status;
}

static inline bool cli_running(const cli_process *p) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

// Runs to the end and fails the test unless it exits with the status.
static inline void cli_run(cli_process *p, int status, const char *env, const char *const *args) {
    cli_start(p, env, args);
    if (cli_wait(p) == status)
        return;
    for (int i = 0; args[i]; i++)
        print_error("%s ", args[i]);
    fail_msg("expected exit status %d, got %d: %s", status, p->status, p->err);
}
#define CLI_ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline void cli_sleep_ms(int ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static inline int cli_count_lines(const char *text) {
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

// -- files ----------------------------------------------------------------------------------------

// A file's bytes and a NUL, malloc'ed; size may be NULL.
static inline char *cli_load(const char *path, int64_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s: cannot be opened", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long n = ftell(f);
    rewind(f);
    char *data = malloc((size_t)n + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)n, f), n);
    data[n] = '\0';
    fclose(f);
    if (size)
        *size = n;
    return data;
}

static inline void cli_store(const char *path, const char *data, int64_t size) {
    FILE *f = fopen(path, "wb");
    if (!f)
        fail_msg("%s: cannot be written", path);
    assert_int_equal(fwrite(data, 1, (size_t)size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline bool cli_same_bytes(const char *path_a, const char *path_b) {
    int64_t n_a, n_b;
    char *a = cli_load(path_a, &n_a), *b = cli_load(path_b, &n_b);
    bool same = n_a == n_b && memcmp(a, b, (size_t)n_a) == 0;
    free(a);
    free(b);
    return same;
}

// text with the first `old` replaced; malloc'ed.
static inline char *cli_replace(const char *text, const char *old, const char *new_text) {
    const char *at = strstr(text, old);
    if (!at)
        fail_msg("'%s' is not in the text", old);
    size_t size = strlen(text) + strlen(new_text) + 1;
    char *out = malloc(size);
    assert_non_null(out);
    snprintf(out, size, "%.*s%s%s", (int)(at - text), text, new_text, at + strlen(old));
    return out;
}

// -- an experiment of a second --------------------------------------------------------------------

static const char cli_experiment[] =
    "version: 1\n"                                                                   // 1
    "name: quick\n"                                                                  // 2
    "question: Is it quick?\n"                                                       // 3
    "model: {path: \"" VA_FIXTURES "/gemma3-bf16\", layers: [2]}\n"                  // 4
    "concepts:\n"                                                                    // 5
    "  - name: Physical\n"                                                           // 6
    "    definition: a thing that takes room\n"                                      // 7
    "    layer: 1\n"                                                                 // 8
    "    positives: [stone, water, tree, hand]\n"                                    // 9
    "    hard_negatives: [number, idea]\n"                                           // 10
    "    random_negatives: [run, fast]\n"                                            // 11
    "  - name: Abstract\n"                                                           // 12
    "    positives: [number, idea, law, truth]\n"                                    // 13
    "    hard_negatives: [stone, water, tree, hand]\n"                               // 14
    "prompts: [\"The concept of {concept} means\"]\n"                                // 15
    "directions:\n"                                                                  // 16
    "  jac: {kind: jacobian, to: \"norm:{layer}@last\"}\n"                           // 17
    "  far: {kind: mlp, site: \"norm:last@mean\", hidden: [16, 8], epochs: 2}\n"     // 18
    "  near: {kind: mlp, site: \"norm:{layer}@last\", hidden: [16, 8], epochs: 2}\n" // 19
    "metrics:\n"                                                                     // 20
    "  - {name: alignment, of: [jac, far], across_sites: true}\n"                    // 21
    "  - {name: matched, of: [jac, near]}\n"                                         // 22
    "seed: 3\n"                                                                      // 23
    "output: out\n";                                                                 // 24

#endif
