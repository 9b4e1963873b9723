// strbuf.c: growable strings, edit distance, sizes for people.
// SPDX-License-Identifier: Apache-2.0
#include "vkalign/base.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Room for n more bytes and the terminator.
static bool reserve(va_strbuf *b, int64_t n) {
    int64_t need;
    if (b->failed || n < 0 || !va_add_i64(b->len, n, &need) || !va_add_i64(need, 1, &need))
        goto failed;
    if (need <= b->cap)
        return true;
    int64_t cap = b->cap < INT64_MAX / 2 ? VA_MAX(2 * b->cap, 64) : need;
    cap = VA_MAX(cap, need);
    char *data = realloc(b->data, (size_t)cap);
    if (!data)
        goto failed;
    b->data = data;
    b->cap = cap;
    return true;
failed:
    b->failed = true;
    return false;
}

void va_strbuf_append(va_strbuf *b, const char *s, int64_t n) {
    if (!reserve(b, n))
        return;
    if (n > 0)
        memcpy(b->data + b->len, s, (size_t)n);
    b->len += n;
    b->data[b->len] = '\0';
}

void va_strbuf_puts(va_strbuf *b, const char *s) {
    va_strbuf_append(b, s, (int64_t)strlen(s));
}

void va_strbuf_printf(va_strbuf *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        b->failed = true;
    else if (reserve(b, n)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += n;
    }
    va_end(again);
}

void va_strbuf_free(va_strbuf *b) {
    free(b->data);
    *b = (va_strbuf){0};
}

int va_edit_distance(const char *a, const char *b) {
    size_t n_b = strlen(b);
    if (n_b > (size_t)INT_MAX - 1)
        return INT_MAX;
    int *row = malloc((n_b + 1) * sizeof *row); // distances of a's prefix to each prefix of b
    if (!row)
        return INT_MAX;
    for (size_t j = 0; j <= n_b; j++)
        row[j] = (int)j;
    for (size_t i = 0; a[i]; i++) {
        int diagonal = row[0];
        row[0] = (int)i + 1;
        for (size_t j = 0; j < n_b; j++) {
            int substitute = diagonal + (a[i] != b[j]);
            int insert_or_delete = VA_MIN(row[j], row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = VA_MIN(substitute, insert_or_delete);
        }
    }
    int distance = row[n_b];
    free(row);
    return distance;
}

const char *va_did_you_mean(const char *word, const char *const *candidates, int64_t n) {
    const char *best = NULL;
    int64_t n_word = (int64_t)strlen(word);
    int64_t best_distance = VA_MIN(4, n_word); // the first distance that is too far
    for (int64_t i = 0; i < n; i++) {
        int64_t n_candidate = (int64_t)strlen(candidates[i]);
        int64_t at_least = n_word > n_candidate ? n_word - n_candidate : n_candidate - n_word;
        if (at_least >= best_distance)
            continue;
        int distance = va_edit_distance(word, candidates[i]);
        if (distance < best_distance) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

const char *va_format_bytes(char buf[32], int64_t bytes) {
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = fabs((double)bytes);
    int64_t u = 0;
    while (v >= 999.5 && u + 1 < VA_COUNT(unit)) { // 999.5 kB would print as 1e+03 kB
        v /= 1000;
        u++;
    }
    snprintf(buf, 32, "%s%.3g %s", bytes < 0 ? "-" : "", v, unit[u]);
    return buf;
}
