// read_table.c: the tokens of a table whose rows score highest against some vectors.
//
// One pass over the rows; each is multiplied with all vectors while it is in the cache. Sums are
// f32 in eight lanes, added in double: the error is below 1e-5 of ||row|| ||x||.
// SPDX-License-Identifier: Apache-2.0
#include "read_priv.h"

#include <math.h>

enum { LANES = 8 };

// Four vectors at once, so that a row's element is loaded once for them.
static void dot4(const float *row, const float *const q[4], int64_t d, double out[4]) {
    float acc[4][LANES] = {{0}};
    int64_t c = 0;
    for (; c + LANES <= d; c += LANES)
        for (int v = 0; v < 4; v++)
            for (int l = 0; l < LANES; l++)
                acc[v][l] += row[c + l] * q[v][c + l];
    for (int v = 0; v < 4; v++) {
        double sum = 0;
        for (int l = 0; l < LANES; l++)
            sum += acc[v][l];
        for (int64_t i = c; i < d; i++)
            sum += (double)row[i] * q[v][i];
        out[v] = sum;
    }
}

static double norm_of(const float *x, int64_t d) {
    double out[4];
    dot4(x, (const float *const[4]){x, x, x, x}, d, out);
    return sqrt(out[0]);
}

void read_offer(va_read_token *list, int64_t n, int32_t id, float score) {
    int64_t at = n;
    while (at > 0 && (list[at - 1].id < 0 || score > list[at - 1].score))
        at--;
    if (at == n)
        return;
    for (int64_t i = n - 1; i > at; i--)
        list[i] = list[i - 1];
    list[at] = (va_read_token){id, score};
}

void read_clear(va_read_token *list, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        list[i] = (va_read_token){-1, 0};
}

static void offer_row(const read_scan *s, int32_t id, const float *row) {
    const double norm = s->by_cosine ? norm_of(row, s->d) : 1;
    for (int64_t v = 0; v < s->n; v += 4) {
        const float *q[4];
        double score[4];
        for (int i = 0; i < 4; i++)
            q[i] = s->x + VA_MIN(v + i, s->n - 1) * s->d;
        dot4(row, q, s->d, score);
        for (int i = 0; i < 4 && v + i < s->n; i++) {
            const float x = norm > 0 ? (float)(score[i] / norm) : 0;
            read_offer(s->plus + (v + i) * s->n_tokens, s->n_tokens, id, x);
            read_offer(s->minus + (v + i) * s->n_tokens, s->n_tokens, id, -x);
        }
    }
}

static va_status scan_rows(void *user, int64_t first, int64_t count, const float *rows) {
    const read_scan *s = user;
    for (int64_t r = 0; r < count; r++)
        offer_row(s, (int32_t)(first + r), rows + r * s->d);
    return VA_OK;
}

va_status read_scan_table(va_model *model, va_model_table table, read_scan *s) {
    for (int64_t v = 0; v < s->n; v++) {
        read_clear(s->plus + v * s->n_tokens, s->n_tokens);
        read_clear(s->minus + v * s->n_tokens, s->n_tokens);
    }
    return va_model_table_rows(model, table, scan_rows, s);
}
