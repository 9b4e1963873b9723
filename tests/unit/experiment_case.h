// experiment_case.h: what the tests of experiment files share: a valid one with a piece replaced,
// loaded on a fixture's model; its diagnostics.
// SPDX-License-Identifier: Apache-2.0
#ifndef VA_EXPERIMENT_CASE_H
#define VA_EXPERIMENT_CASE_H

#include "test_support.h"

#include "vkalign/experiment.h"
#include "vkalign/io.h"

enum { D_MODEL = 24 }; // of the fixture's model

typedef struct fixture {
    va_ctx *ctx;
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
} fixture;

typedef struct case_row {
    const char *old, *new; // replacement in the valid text
    int line;              // of the expected diagnostic
    const char *message;   // part of it
} case_row;

static inline int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    va_test_temp_dir(f->dir);
    va_test_join(f->path, f->dir, "x.yaml");
    *state = f;
    return 0;
}

static inline int teardown(void **state) {
    fixture *f = *state;
    va_test_temp_remove(f->dir);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

// The first `old` replaced, which must be there. Free it.
static inline char *replace(const char *text, const char *old, const char *new) {
    const char *at = strstr(text, old);
    if (!at)
        fail_msg("not in the text: %s", old);
    size_t size = strlen(text) + strlen(new) + 1;
    char *out = malloc(size);
    assert_non_null(out);
    snprintf(out, size, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    return out;
}

// MODEL in the text stands for the fixture's folder.
static inline void write_experiment(fixture *f, const char *text) {
    char model[VA_TEST_PATH];
    char *full = replace(text, "MODEL", va_test_fixture(model, "gemma3-bf16"));
    assert_ok(f->ctx, va_file_write(f->ctx, f->path, full, (int64_t)strlen(full)));
    free(full);
}

// A file beside the experiment.
static inline void write_beside(fixture *f, const char *name, const char *text) {
    char path[VA_TEST_PATH];
    assert_ok(f->ctx,
              va_file_write(f->ctx, va_test_join(path, f->dir, name), text, (int64_t)strlen(text)));
}

// An array [k, d] with the value everywhere; k = 0: [d].
static inline void write_vectors(fixture *f, const char *name, int64_t k, int64_t d, float value) {
    char path[VA_TEST_PATH];
    const int64_t n = VA_MAX(k, 1) * d, shape[] = {k, d};
    float *x = malloc((size_t)n * sizeof *x);
    va_npy_writer *w;
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = value;
    assert_ok(f->ctx, va_npy_create(f->ctx, va_test_join(path, f->dir, name), k > 0 ? 2 : 1,
                                    k > 0 ? shape : shape + 1, &w));
    assert_ok(f->ctx, va_npy_append(w, x, n));
    assert_ok(f->ctx, va_npy_commit(&w));
    free(x);
}

static inline va_status load(fixture *f, const char *const *sets, int64_t n_sets,
                             va_experiment **e) {
    va_experiment_params params = {.path = f->path, .sets = sets, .n_sets = n_sets};
    return va_experiment_load(f->ctx, &params, e);
}

static inline void show_diagnostics(const va_experiment *e) {
    const va_diagnostic *d;
    int64_t n = va_experiment_diagnostics(e, &d);
    for (int64_t i = 0; i < n; i++)
        print_message("got %s:%d:%d: %s (%s)\n", d[i].file, d[i].line, d[i].col, d[i].message,
                      d[i].hint);
}

static inline bool has_diagnostic(const va_experiment *e, int line, const char *text) {
    const va_diagnostic *d;
    int64_t n = va_experiment_diagnostics(e, &d);
    for (int64_t i = 0; i < n; i++)
        if (d[i].line == line && strstr(d[i].message, text))
            return true;
    show_diagnostics(e);
    return false;
}

// The text is refused with exactly one mistake; its hint, which lives as long as e, is given back.
static inline const char *refuse_one(fixture *f, const char *text, int line, const char *message,
                                     va_experiment **e) {
    const va_diagnostic *d;
    write_experiment(f, text);
    assert_int_equal(load(f, NULL, 0, e), VA_ERR_SPEC);
    if (!has_diagnostic(*e, line, message))
        fail_msg("expected line %d: %s", line, message);
    if (va_experiment_diagnostics(*e, &d) != 1) {
        show_diagnostics(*e);
        fail_msg("expected one mistake: %s", message);
    }
    return d[0].hint;
}

// Each replacement in a valid text makes exactly its mistake.
static inline void check_cases(fixture *f, const char *valid, const case_row *rows, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        va_experiment *e = NULL;
        char *text = replace(valid, rows[i].old, rows[i].new);
        refuse_one(f, text, rows[i].line, rows[i].message, &e);
        va_experiment_free(&e);
        free(text);
    }
}

static inline void accept_text(fixture *f, const char *text, va_experiment **e) {
    write_experiment(f, text);
    va_status st = load(f, NULL, 0, e);
    if (st != VA_OK) {
        show_diagnostics(*e);
        fail_msg("%s\n%s", va_error_message(f->ctx), text);
    }
}

#endif
