// read_words.c: vectors at a site as words of the vocabulary.
// SPDX-License-Identifier: Apache-2.0
#include "read_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct by_info {
    const char *name, *text;
} by_info;

static const by_info by_table[VA_READ_BY_COUNT] = {
#define VA_X(id, name, text) [id] = {name, text},
    VA_READ_BY_LIST(VA_X)
#undef VA_X
};

const char *va_read_by_name(va_read_by by) {
    return by_table[by].name;
}

const char *va_read_by_text(va_read_by by) {
    return by_table[by].text;
}

va_read_by va_read_by_default(const va_site *to) {
    return to->kind == VA_SITE_LOGITS ? VA_READ_ENTRIES
           : to->kind == VA_SITE_NORM ? VA_READ_DIRECT
                                      : VA_READ_GAIN;
}

// -- parts ----------------------------------------------------------------------------------------

typedef struct row_share {
    int64_t row;
    double share;
} row_share;

static int by_share(const void *a, const void *b) {
    const row_share *x = a, *y = b;
    if (x->share != y->share)
        return x->share < y->share ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

// The rows of one vector by their part of its squared norm; VA_ERR_NUMERIC unless finite.
static va_status rank_rows(va_ctx *ctx, const float *x, int64_t rows, int64_t width,
                           row_share *ranked) {
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) {
        double squared = 0;
        for (int64_t c = 0; c < width; c++)
            squared += (double)x[r * width + c] * x[r * width + c];
        ranked[r] = (row_share){r, squared};
        sum += squared;
    }
    if (!isfinite(sum))
        return va_fail(ctx, VA_ERR_NUMERIC, "a vector to be read holds NaN or infinity");
    for (int64_t r = 0; r < rows && sum > 0; r++)
        ranked[r].share /= sum;
    qsort(ranked, (size_t)rows, sizeof *ranked, by_share);
    return VA_OK;
}

// Every vector's parts, in one array behind another; *n of all.
static va_status choose_parts(va_ctx *ctx, va_arena *arena, const va_read_words_params *p,
                              int64_t n_tokens, va_read_word *words, va_read_part **parts,
                              int64_t *n) {
    va_status st = VA_OK;
    const int64_t most = VA_MIN(p->n_parts > 0 ? p->n_parts : 2, p->rows);
    row_share *ranked = NULL;
    int64_t n_all;
    *n = 0;
    if (!va_mul_i64(p->k, most, &n_all))
        return va_fail(ctx, VA_ERR_SHAPE, "%lld vectors are too many", (long long)p->k);
    VA_TRY_ALLOC(ctx, ranked, malloc((size_t)p->rows * sizeof *ranked));
    VA_TRY_ALLOC(ctx, *parts, VA_NEW_ARRAY(arena, va_read_part, n_all));
    for (int64_t j = 0; j < p->k; j++) {
        VA_TRY(rank_rows(ctx, p->vectors + j * p->rows * p->width, p->rows, p->width, ranked));
        words[j] = (va_read_word){.parts = *parts + *n, .n_tokens = n_tokens};
        for (int64_t i = 0; i < most && ranked[i].share > 0; i++, words[j].n_parts++)
            (*parts)[(*n)++] = (va_read_part){.row = ranked[i].row, .share = ranked[i].share};
    }
done:
    free(ranked);
    return st;
}

// -- scores ---------------------------------------------------------------------------------------

// x as it meets the table: in the norm's linear part, or at unit length.
static void prepare(va_read_by by, const float *gain, bool centred, int64_t d, float *x) {
    double mean = 0, squared = 0;
    for (int64_t c = 0; c < d; c++) {
        mean += x[c] / (double)d;
        squared += (double)x[c] * x[c];
    }
    for (int64_t c = 0; c < d && by == VA_READ_GAIN; c++)
        x[c] = (float)(gain[c] * (x[c] - (centred ? mean : 0)));
    for (int64_t c = 0; c < d && by == VA_READ_NEAREST; c++)
        x[c] = (float)(x[c] / sqrt(squared));
}

static va_status score_table(va_model *model, va_arena *temp, const va_read_words_params *p,
                             const va_read_word *words, read_scan *s) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(model);
    const int64_t d = p->width;
    float *gain = NULL, *x;
    bool centred = false;
    int64_t n = 0;
    if (p->by == VA_READ_GAIN) {
        VA_TRY_ALLOC(ctx, gain, VA_NEW_ARRAY(temp, float, d));
        VA_TRY(va_model_norm_gain(model, gain, &centred));
    }
    VA_TRY_ALLOC(ctx, x, VA_NEW_ARRAY(temp, float, s->n *d));
    for (int64_t j = 0; j < p->k; j++)
        for (int64_t i = 0; i < words[j].n_parts; i++, n++) {
            memcpy(x + n * d, p->vectors + (j * p->rows + words[j].parts[i].row) * d,
                   (size_t)d * sizeof *x);
            prepare(p->by, gain, centred, d, x + n * d);
        }
    s->x = x;
    s->d = d;
    s->by_cosine = p->by == VA_READ_NEAREST;
    VA_TRY(read_scan_table(model, s->by_cosine ? VA_TABLE_EMBED : VA_TABLE_UNEMBED, s));
done:
    return st;
}

static void score_entries(const va_read_words_params *p, const va_read_word *words,
                          const read_scan *s) {
    va_read_token *plus = s->plus, *minus = s->minus;
    for (int64_t j = 0; j < p->k; j++)
        for (int64_t i = 0; i < words[j].n_parts; i++) {
            const float *x = p->vectors + (j * p->rows + words[j].parts[i].row) * p->width;
            read_clear(plus, s->n_tokens);
            read_clear(minus, s->n_tokens);
            for (int64_t t = 0; t < p->width; t++) {
                read_offer(plus, s->n_tokens, (int32_t)t, x[t]);
                read_offer(minus, s->n_tokens, (int32_t)t, -x[t]);
            }
            plus += s->n_tokens;
            minus += s->n_tokens;
        }
}

static va_status check_params(va_model *model, const va_read_words_params *p) {
    va_ctx *ctx = va_model_ctx(model);
    const va_arch_config *c = va_model_config(model);
    const int64_t width = p->by == VA_READ_ENTRIES ? c->vocab_size : c->d_model;
    if (p->k < 1 || p->rows < 1 || p->n_parts < 0 || p->n_tokens < 0 || p->n_tokens > 1024 ||
        p->by >= VA_READ_BY_COUNT)
        return va_fail(ctx, VA_ERR_USAGE,
                       "words: expected at least one vector and row and 0 to 1024 tokens, got "
                       "%lld, %lld and %lld",
                       (long long)p->k, (long long)p->rows, (long long)p->n_tokens);
    if (p->width != width)
        return va_fail(ctx, VA_ERR_SHAPE, "words (%s): expected vectors of width %lld, got %lld",
                       va_read_by_text(p->by), (long long)width, (long long)p->width);
    return VA_OK;
}

va_status va_read_words(va_model *model, va_arena *arena, const va_read_words_params *p,
                        va_read_word *words) {
    va_status st = VA_OK;
    va_ctx *ctx = va_model_ctx(model);
    va_arena *temp = NULL;
    va_read_part *parts = NULL;
    read_scan s = {0};
    int64_t n_lists;
    VA_TRY(check_params(model, p));
    s.n_tokens = VA_MIN(p->n_tokens > 0 ? p->n_tokens : 6, va_model_config(model)->vocab_size);
    VA_TRY_ALLOC(ctx, temp, va_arena_create());
    VA_TRY(choose_parts(ctx, arena, p, s.n_tokens, words, &parts, &s.n));
    if (s.n == 0)
        goto done;
    if (!va_mul_i64(s.n, s.n_tokens, &n_lists))
        VA_TRY(va_fail(ctx, VA_ERR_SHAPE, "%lld vectors are too many", (long long)p->k));
    VA_TRY_ALLOC(ctx, s.plus, VA_NEW_ARRAY(arena, va_read_token, n_lists));
    VA_TRY_ALLOC(ctx, s.minus, VA_NEW_ARRAY(arena, va_read_token, n_lists));
    if (p->by == VA_READ_ENTRIES)
        score_entries(p, words, &s);
    else
        VA_TRY(score_table(model, temp, p, words, &s));
    for (int64_t i = 0; i < s.n; i++) {
        parts[i].plus = s.plus + i * s.n_tokens;
        parts[i].minus = s.minus + i * s.n_tokens;
    }
done:
    va_arena_destroy(&temp);
    return st;
}
