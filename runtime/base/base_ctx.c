// base_ctx.c: the context: last error, log, progress, interrupt flag.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/base.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct va_ctx {
    va_ctx_params params;
    va_status status;
    char *message;           // owned, or NULL
    const char *message_oom; // stands in when the message could not be allocated
    atomic_int interrupted;  // lock-free, so a signal handler may set it
};

static const struct {
    int exit_status;
    const char *text;
} status_table[] = {
#define VA_X(name, exit_status, text) {exit_status, text},
    VA_STATUS_LIST(VA_X)
#undef VA_X
};

int va_status_exit(va_status st) {
    assert((int64_t)st < VA_COUNT(status_table));
    return status_table[st].exit_status;
}

const char *va_status_text(va_status st) {
    assert((int64_t)st < VA_COUNT(status_table));
    return status_table[st].text;
}

va_ctx *va_ctx_create(const va_ctx_params *params) {
    va_ctx *ctx = calloc(1, sizeof *ctx);
    if (ctx && params)
        ctx->params = *params;
    return ctx;
}

void va_ctx_destroy(va_ctx **ctx) {
    if (!ctx || !*ctx)
        return;
    free((*ctx)->message);
    free(*ctx);
    *ctx = NULL;
}

// Texts quote files. What those hold may be megabytes, or rule the terminal: control characters
// (C0, DEL, and C1 in UTF-8) become '?', and a long text ends in "...".
static void tame(char *text) {
    enum { MAX_BYTES = 4096 };
    static const char more[] = "...";
    size_t n = strnlen(text, MAX_BYTES + 1);
    if (n > MAX_BYTES) {
        n = MAX_BYTES - sizeof more;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) // not within a character
            n--;
        memcpy(text + n, more, sizeof more);
    }
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (p[0] == 0xC2 && p[1] >= 0x80 && p[1] <= 0x9F)
            p[0] = p[1] = '?';
        else if (*p < 0x20 || *p == 0x7F)
            *p = '?';
    }
}

static char *format_args(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));
static char *format_args(const char *fmt, va_list args) {
    char *text = NULL;
    if (vasprintf(&text, fmt, args) < 0)
        return NULL;
    tame(text);
    return text;
}

void va_log(va_ctx *ctx, va_log_level level, const char *fmt, ...) {
    if (!ctx || !ctx->params.log || level < ctx->params.log_level)
        return;
    va_list args;
    va_start(args, fmt);
    char *text = format_args(fmt, args);
    va_end(args);
    if (!text)
        return;
    ctx->params.log(ctx->params.log_user, level, text);
    free(text);
}

void va_progress_report(va_ctx *ctx, const va_progress *p) {
    if (ctx && ctx->params.progress)
        ctx->params.progress(ctx->params.progress_user, p);
}

void va_interrupt(va_ctx *ctx) {
    atomic_store(&ctx->interrupted, 1);
}

bool va_interrupted(const va_ctx *ctx) {
    return atomic_load(&ctx->interrupted) != 0;
}

va_status va_check_interrupt(va_ctx *ctx) {
    return va_interrupted(ctx) ? va_fail(ctx, VA_ERR_INTERRUPTED, "interrupted") : VA_OK;
}

// Takes text, which may have been formatted from the message that it replaces.
static void set_message(va_ctx *ctx, va_status code, char *text) {
    free(ctx->message);
    ctx->message = text;
    ctx->message_oom = text ? NULL : "(out of memory while writing the message)";
    ctx->status = code;
}

va_status va_fail(va_ctx *ctx, va_status code, const char *fmt, ...) {
    assert(code != VA_OK);
    if (!ctx)
        return code;
    va_list args;
    va_start(args, fmt);
    char *text = format_args(fmt, args);
    va_end(args);
    set_message(ctx, code, text);
    return code;
}

va_status va_fail_in(va_ctx *ctx, va_status st, const char *fmt, ...) {
    assert(st != VA_OK);
    if (!ctx)
        return st;
    va_list args;
    va_start(args, fmt);
    char *where = format_args(fmt, args);
    va_end(args);
    char *text = NULL;
    if (where && asprintf(&text, "%s: %s", where, va_error_message(ctx)) < 0)
        text = NULL;
    free(where);
    if (text) { // out of memory: the message without its place is worth more than none
        tame(text);
        set_message(ctx, st, text);
    }
    return st;
}

const char *va_error_message(const va_ctx *ctx) {
    if (ctx->message)
        return ctx->message;
    return ctx->message_oom ? ctx->message_oom : "";
}

va_status va_error_status(const va_ctx *ctx) {
    return ctx->status;
}

void va_error_clear(va_ctx *ctx) {
    set_message(ctx, VA_OK, NULL);
    ctx->message_oom = NULL;
}

double va_time_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
