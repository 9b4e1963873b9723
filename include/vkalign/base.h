// base.h: status and errors, logging, arenas, strings, counter-based random numbers, progress.
//
// Everything else in vkalign stands on this header and it stands on nothing but libc.
// A va_ctx carries the last error, the log callback and the interrupt flag; it is borrowed by
// every object made with it and must outlive them. Nothing here is thread-safe unless said.
// SPDX-License-Identifier: Apache-2.0
#ifndef VKALIGN_BASE_H
#define VKALIGN_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// One line each: code, exit status of the command line, what it means.
#define VA_STATUS_LIST(X)                                                                          \
    X(VA_OK, 0, "done")                                                                            \
    X(VA_ERR_PARTIAL, 1, "some units failed, the others are saved")                                \
    X(VA_ERR_USAGE, 2, "wrong command line or argument")                                           \
    X(VA_ERR_SPEC, 2, "the experiment file is wrong")                                              \
    X(VA_ERR_FILE, 3, "a file cannot be opened, read or written")                                  \
    X(VA_ERR_FORMAT, 3, "a file is malformed")                                                     \
    X(VA_ERR_SHAPE, 3, "a tensor has the wrong shape or dtype")                                    \
    X(VA_ERR_UNSUPPORTED, 3, "the model asks for something that cannot be run faithfully")         \
    X(VA_ERR_NUMERIC, 3, "numbers that cannot be trusted (NaN, infinity, no convergence)")         \
    X(VA_ERR_DEVICE, 4, "no device, or the driver failed")                                         \
    X(VA_ERR_MEMORY, 4, "out of host or device memory")                                            \
    X(VA_ERR_INTERRUPTED, 130, "interrupted; the run can be resumed")

typedef enum va_status {
#define VA_X(name, exit_status, text) name,
    VA_STATUS_LIST(VA_X)
#undef VA_X
} va_status;

// Exit status of the command line for a status.
int va_status_exit(va_status st);
// What the status means in general, a constant string.
const char *va_status_text(va_status st);

// -- context ---------------------------------------------------------------------------------

typedef enum va_log_level { VA_LOG_DEBUG, VA_LOG_INFO, VA_LOG_WARN, VA_LOG_ERROR } va_log_level;

typedef void (*va_log_fn)(void *user, va_log_level level, const char *message);

// Progress of a long job: `done` of `total` units; label is borrowed for the call.
// total = 0 when unknown. finished = true once, at the end.
typedef struct va_progress {
    const char *label;
    int64_t done, total;
    double elapsed_s;
    bool finished;
} va_progress;
typedef void (*va_progress_fn)(void *user, const va_progress *p);

typedef struct va_ctx va_ctx;

typedef struct va_ctx_params {
    va_log_fn log;           // NULL: messages are dropped
    void *log_user;          // passed to log
    va_log_level log_level;  // lowest level passed on; 0 = VA_LOG_DEBUG
    va_progress_fn progress; // NULL: none
    void *progress_user;
} va_ctx_params;

// NULL only when malloc fails. params may be NULL.
va_ctx *va_ctx_create(const va_ctx_params *params);
void va_ctx_destroy(va_ctx **ctx);

void va_log(va_ctx *ctx, va_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// Calls the progress callback; the caller owns p.
void va_progress_report(va_ctx *ctx, const va_progress *p);

// Asks every long job on this context to stop at its next safe point. Async-signal-safe.
void va_interrupt(va_ctx *ctx);
bool va_interrupted(const va_ctx *ctx);
// VA_ERR_INTERRUPTED (recorded) once va_interrupt() was called, VA_OK before.
va_status va_check_interrupt(va_ctx *ctx);

// -- errors ----------------------------------------------------------------------------------

// Records code and message (what, expected, got, where) as the context's error and returns code.
// A later call replaces an earlier error. In messages and log lines control characters become '?',
// and no more than 4096 bytes are kept.
va_status va_fail(va_ctx *ctx, va_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// Puts "text: " before the recorded message: the way up adds where. Keeps and returns the code st.
va_status va_fail_in(va_ctx *ctx, va_status st, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// The recorded message ("" when there is none); owned by ctx, valid until the next va_fail.
const char *va_error_message(const va_ctx *ctx);
va_status va_error_status(const va_ctx *ctx);
void va_error_clear(va_ctx *ctx);

// In a function with `va_status st = VA_OK;` and one label `done:`.
#define VA_TRY(expr)                                                                               \
    do {                                                                                           \
        st = (expr);                                                                               \
        if (st != VA_OK)                                                                           \
            goto done;                                                                             \
    } while (0)
// VA_TRY for an allocation: ptr = expr, or VA_ERR_MEMORY.
#define VA_TRY_ALLOC(ctx, ptr, expr)                                                               \
    do {                                                                                           \
        (ptr) = (expr);                                                                            \
        if (!(ptr)) {                                                                              \
            st = va_fail((ctx), VA_ERR_MEMORY, "out of host memory (%s:%d)", __FILE__, __LINE__);  \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

// -- memory ----------------------------------------------------------------------------------

// An arena frees everything at once. Lifetimes in use: program, plan, run, step.
typedef struct va_arena va_arena;
va_arena *va_arena_create(void); // NULL when malloc fails
void va_arena_destroy(va_arena **arena);
void va_arena_reset(va_arena *arena); // frees all, keeps the arena
// Zeroed, aligned to 16 bytes; NULL when malloc fails or size_bytes is negative. 0 bytes is valid.
void *va_arena_alloc(va_arena *arena, int64_t size_bytes);
// Zeroed array of count elements; NULL on overflow as well.
void *va_arena_array(va_arena *arena, int64_t count, int64_t elem_bytes);
char *va_arena_strdup(va_arena *arena, const char *s);
char *va_arena_strndup(va_arena *arena, const char *s, int64_t n);
char *va_arena_printf(va_arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define VA_NEW(arena, type) ((type *)va_arena_alloc((arena), (int64_t)sizeof(type)))
#define VA_NEW_ARRAY(arena, type, n)                                                               \
    ((type *)va_arena_array((arena), (int64_t)(n), (int64_t)sizeof(type)))
#define VA_COUNT(a) ((int64_t)(sizeof(a) / sizeof((a)[0])))
#define VA_MIN(a, b) ((a) < (b) ? (a) : (b))
#define VA_MAX(a, b) ((a) > (b) ? (a) : (b))

// false on int64 overflow; *out is then untouched.
bool va_mul_i64(int64_t a, int64_t b, int64_t *out);
bool va_add_i64(int64_t a, int64_t b, int64_t *out);

// -- strings ---------------------------------------------------------------------------------

// Growable string on the heap; {0} is empty and valid. data is NUL-terminated once anything was
// appended. When memory runs out `failed` is set and further appends do nothing.
typedef struct va_strbuf {
    char *data;
    int64_t len, cap;
    bool failed;
} va_strbuf;
void va_strbuf_append(va_strbuf *b, const char *s, int64_t n);
void va_strbuf_puts(va_strbuf *b, const char *s);
void va_strbuf_printf(va_strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void va_strbuf_free(va_strbuf *b);

// Edit distance (Levenshtein), for "did you mean".
int va_edit_distance(const char *a, const char *b);
// The nearest of n candidates within distance 3 (and less than the word's length), or NULL.
const char *va_did_you_mean(const char *word, const char *const *candidates, int64_t n);

// "1.2 GB": three significant digits, decimal units; returns buf.
const char *va_format_bytes(char buf[32], int64_t bytes);
// Seconds from a monotonic clock.
double va_time_s(void);

// -- random numbers --------------------------------------------------------------------------

// Philox4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy as 1, 2, 3").
// The n-th number depends on (seed, stream, n) alone, so runs resume and reorder freely.
typedef struct va_rng {
    uint64_t seed, stream, counter;
    uint32_t block[4]; // current output block
    int left;          // numbers left in it
} va_rng;
va_rng va_rng_make(uint64_t seed, uint64_t stream);
void va_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
uint32_t va_rng_u32(va_rng *r);
double va_rng_uniform(va_rng *r);                        // [0, 1), 53 bits
double va_rng_normal(va_rng *r);                         // N(0, 1), Box-Muller
uint32_t va_rng_below(va_rng *r, uint32_t n);            // unbiased in [0, n), n > 0
void va_rng_shuffle(va_rng *r, int64_t *idx, int64_t n); // Fisher-Yates in place
// 64-bit hash of a string (FNV-1a), to name random streams.
uint64_t va_hash64(const char *s);

#ifdef __cplusplus
}
#endif
#endif
