// mtx_read.c: sparse matrices of the Matrix Market exchange format (R. F. Boisvert, R. Pozo, K. A.
// Remington, NISTIR 5935, 1996), as dense ones:
//     %%MatrixMarket matrix coordinate real symmetric
//     % comments
//     ROWS COLUMNS ENTRIES
//     ROW COLUMN VALUE          one line for each entry, counted from 1
// A symmetric matrix stands in the file by one of its triangles.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_ELEMENTS = 1 << 28, MAX_WORD = 64 }; // 1 GiB; characters of a word

typedef struct reader {
    va_ctx *ctx;
    const char *path, *p, *end;
    int64_t line; // 1-based, that p is in
    bool symmetric;
    int64_t m, n;
    float *A; // NaN: no entry yet
} reader;

static va_status fail_line(const reader *r, const char *expected) {
    return va_fail(r->ctx, VA_ERR_FORMAT, "%s:%lld: expected %s", r->path, (long long)r->line,
                   expected);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

// The next word of the line; false at its end or when the word is too long.
static bool take_word(reader *r, char word[MAX_WORD]) {
    int n = 0;
    while (r->p < r->end && is_blank(*r->p))
        r->p++;
    while (r->p < r->end && !is_blank(*r->p) && *r->p != '\n' && n < MAX_WORD - 1)
        word[n++] = *r->p++;
    word[n] = '\0';
    return n > 0 && n < MAX_WORD - 1;
}

// Nothing but blanks may be left of the line.
static bool end_line(reader *r) {
    while (r->p < r->end && is_blank(*r->p))
        r->p++;
    if (r->p < r->end && *r->p++ != '\n')
        return false;
    r->line++;
    return true;
}

// Past comments and empty lines.
static void skip_lines(reader *r) {
    for (;;) {
        const char *start = r->p;
        while (start < r->end && is_blank(*start))
            start++;
        if (start == r->end || (*start != '%' && *start != '\n'))
            return;
        const char *newline = memchr(start, '\n', (size_t)(r->end - start));
        r->p = newline ? newline + 1 : r->end;
        r->line++;
    }
}

static bool take_int(reader *r, int64_t min, int64_t max, int64_t *out) {
    char word[MAX_WORD];
    int64_t v = 0;
    if (!take_word(r, word))
        return false;
    for (const char *c = word; *c; c++)
        if (*c < '0' || *c > '9' || !va_mul_i64(v, 10, &v) || !va_add_i64(v, *c - '0', &v))
            return false;
    *out = v;
    return v >= min && v <= max;
}

static bool take_float(reader *r, float *out) {
    char word[MAX_WORD], *end;
    if (!take_word(r, word))
        return false;
    *out = (float)strtod(word, &end);
    return !*end && isfinite(*out);
}

static va_status read_banner(reader *r) {
    static const char *const words[] = {"%%MatrixMarket", "matrix", "coordinate"};
    char word[MAX_WORD], symmetry[MAX_WORD];
    bool ok = true;
    for (int64_t i = 0; ok && i < VA_COUNT(words); i++)
        ok = take_word(r, word) && strcasecmp(word, words[i]) == 0;
    ok = ok && take_word(r, word) && take_word(r, symmetry) &&
         (strcasecmp(word, "real") == 0 || strcasecmp(word, "integer") == 0);
    r->symmetric = ok && strcasecmp(symmetry, "symmetric") == 0;
    ok = ok && (r->symmetric || strcasecmp(symmetry, "general") == 0) && end_line(r);
    return ok ? VA_OK
              : fail_line(r, "'%%MatrixMarket matrix coordinate', real or integer, and general or "
                             "symmetric");
}

// A symmetric matrix needs an entry or its mirror image, not both.
static bool put(reader *r, int64_t i, int64_t j, float value) {
    float *a = r->A + (i - 1) * r->n + j - 1;
    if (!isnan(*a))
        return false;
    *a = value;
    if (r->symmetric)
        r->A[(j - 1) * r->n + i - 1] = value;
    return true;
}

static va_status read_entries(reader *r, int64_t n_entries) {
    for (int64_t e = 0; e < n_entries; e++) {
        int64_t i, j;
        float value;
        skip_lines(r);
        if (!take_int(r, 1, r->m, &i) || !take_int(r, 1, r->n, &j) || !take_float(r, &value))
            return fail_line(r, "an entry: a row and a column of the matrix and a finite value");
        if (!put(r, i, j, value))
            return fail_line(r, "each entry once");
        if (!end_line(r))
            return fail_line(r, "nothing after the value");
    }
    skip_lines(r);
    return r->p == r->end ? VA_OK : fail_line(r, "the end of the file after the last entry");
}

static va_status read_matrix(reader *r, va_arena *arena) {
    va_status st = VA_OK;
    int64_t elems, n_entries;
    VA_TRY(read_banner(r));
    skip_lines(r);
    if (!take_int(r, 1, MAX_ELEMENTS, &r->m) || !take_int(r, 1, MAX_ELEMENTS, &r->n) ||
        !va_mul_i64(r->m, r->n, &elems) || elems > MAX_ELEMENTS ||
        !take_int(r, 0, elems, &n_entries) || !end_line(r) || (r->symmetric && r->m != r->n))
        VA_TRY(fail_line(r, "rows, columns (square if symmetric, at most 2^28 elements) and the "
                            "number of entries"));
    VA_TRY_ALLOC(r->ctx, r->A, VA_NEW_ARRAY(arena, float, elems));
    for (int64_t i = 0; i < elems; i++)
        r->A[i] = NAN;
    VA_TRY(read_entries(r, n_entries));
    for (int64_t i = 0; i < elems; i++)
        r->A[i] = isnan(r->A[i]) ? 0 : r->A[i];
done:
    return st;
}

va_status va_mtx_load(va_ctx *ctx, va_arena *arena, const char *path, int64_t *m, int64_t *n,
                      float **A) {
    va_status st = VA_OK;
    va_map map = {0};
    VA_TRY(va_map_open(ctx, path, &map));
    const char *text = map.data ? (const char *)map.data : "";
    reader r = {.ctx = ctx, .path = path, .p = text, .end = text + map.size_bytes, .line = 1};
    VA_TRY(read_matrix(&r, arena));
    *m = r.m, *n = r.n, *A = r.A;
done:
    va_map_close(&map);
    return st;
}
