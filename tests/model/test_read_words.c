// Vectors as words, and the tables they are read from: against plain loops over the files' tensors.
// libs: va_read
// SPDX-License-Identifier: Apache-2.0
#include "read_fixture.h"

// -- tables ---------------------------------------------------------------------------------------

typedef struct table {
    float *rows;
    int64_t d, n;
} table;

static va_status copy_rows(void *user, int64_t first, int64_t count, const float *rows) {
    table *t = user;
    assert_int_equal(first, t->n);
    memcpy(t->rows + first * t->d, rows, (size_t)(count * t->d) * sizeof *rows);
    t->n += count;
    return VA_OK;
}

static void check_table(fixture *f, va_model_table which, const char *name) {
    table t = {.rows = VA_NEW_ARRAY(f->arena, float, f->V * f->d), .d = f->d};
    const float *expected = tensor_of(f, f->file, name, f->V * f->d);
    assert_ok(env.ctx, va_model_table_rows(f->model, which, copy_rows, &t));
    assert_int_equal(t.n, f->V);
    assert_memory_equal(t.rows, expected, (size_t)(f->V * f->d) * sizeof *expected);
}

static void test_tables(void **state) {
    (void)state;
    static const struct {
        const char *folder, *embed, *unembed, *norm;
        float offset;
        bool centred;
    } cases[] = {
        {"gemma3-plain", "model.embed_tokens.weight", "model.embed_tokens.weight",
         "model.norm.weight", 1, false},
        {"llama-plain", "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight", 0,
         false},
        {"gpt2-plain", "wte.weight", "wte.weight", "ln_f.weight", 0, true},
    };
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        fixture f;
        bool centred;
        open_fixture(&f, cases[i].folder);
        check_table(&f, VA_TABLE_EMBED, cases[i].embed);
        check_table(&f, VA_TABLE_UNEMBED, cases[i].unembed);
        const float *w = tensor_of(&f, f.file, cases[i].norm, f.d);
        float *gain = VA_NEW_ARRAY(f.arena, float, f.d);
        assert_ok(env.ctx, va_model_norm_gain(f.model, gain, &centred));
        for (int64_t c = 0; c < f.d; c++)
            assert_true(gain[c] == w[c] + cases[i].offset);
        assert_int_equal(centred, cases[i].centred);
        close_fixture(&f);
    }
}

// -- words ----------------------------------------------------------------------------------------

typedef struct expected_scores {
    const float *table, *gain; // gain NULL: none
    bool centred, by_cosine;
    int64_t V, d;
} expected_scores;

// Plain double loops.
static double score_of(const expected_scores *e, int64_t token, const float *x) {
    double sum = 0, mean = 0, xx = 0, rr = 0;
    for (int64_t c = 0; c < e->d; c++) {
        mean += e->centred ? x[c] / (double)e->d : 0;
        xx += (double)x[c] * x[c];
    }
    for (int64_t c = 0; c < e->d; c++) {
        const double w = e->table[token * e->d + c];
        sum += w * (e->gain ? e->gain[c] : 1) * (x[c] - mean);
        rr += w * w;
    }
    return e->by_cosine ? sum / sqrt(xx * rr) : sum;
}

// The list holds the n largest scores in order: each listed score is right, and only listed tokens
// score above the last one.
static void check_list(const expected_scores *e, const float *x, double sign,
                       const va_read_token *list, int64_t n) {
    double largest = 0;
    for (int64_t t = 0; t < e->V; t++)
        largest = fmax(largest, fabs(score_of(e, t, x)));
    for (int64_t i = 0; i < n; i++) {
        assert_true(list[i].id >= 0 && list[i].id < e->V);
        assert_true(fabs(list[i].score - sign * score_of(e, list[i].id, x)) <= 1e-6 * largest);
        assert_true(i == 0 || list[i].score <= list[i - 1].score);
        for (int64_t k = 0; k < i; k++)
            assert_int_not_equal(list[k].id, list[i].id);
    }
    int64_t above = 0;
    for (int64_t t = 0; t < e->V; t++)
        above += sign * score_of(e, t, x) > list[n - 1].score + 1e-6 * largest;
    assert_true(above < n);
}

static void check_words(const expected_scores *e, const va_read_words_params *p,
                        const va_read_word *words) {
    for (int64_t j = 0; j < p->k; j++) {
        const float *vector = p->vectors + j * p->rows * p->width;
        double squared = 0, last = 1;
        for (int64_t i = 0; i < p->rows * p->width; i++)
            squared += (double)vector[i] * vector[i];
        assert_int_equal(words[j].n_parts, p->n_parts);
        assert_int_equal(words[j].n_tokens, p->n_tokens);
        for (int64_t i = 0; i < words[j].n_parts; i++) {
            const va_read_part *part = &words[j].parts[i];
            const float *x = vector + part->row * p->width;
            double own = 0;
            for (int64_t c = 0; c < p->width; c++)
                own += (double)x[c] * x[c];
            expect_close("share", part->share, own / squared, 1e-12);
            assert_true(part->share <= last);
            last = part->share;
            check_list(e, x, 1, part->plus, p->n_tokens);
            check_list(e, x, -1, part->minus, p->n_tokens);
        }
    }
}

static float *random_floats(va_arena *arena, int64_t n, const char *stream) {
    va_rng r = va_rng_make(3, va_hash64(stream));
    float *x = VA_NEW_ARRAY(arena, float, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)va_rng_normal(&r);
    return x;
}

// Five vectors (no multiple of the kernel's four) on three rows, of which two are read.
static void check_folder(const char *folder, const char *embed, const char *unembed) {
    enum { K = 5, ROWS = 3 };
    fixture f;
    va_read_word words[K];
    open_fixture(&f, folder);
    bool centred;
    float *gain = VA_NEW_ARRAY(f.arena, float, f.d);
    assert_ok(env.ctx, va_model_norm_gain(f.model, gain, &centred));
    const float *E = tensor_of(&f, f.file, embed, f.V * f.d);
    const float *W = tensor_of(&f, f.file, unembed, f.V * f.d);
    va_read_words_params p = {.vectors = random_floats(f.arena, K * ROWS * f.d, "vectors"),
                              .k = K,
                              .rows = ROWS,
                              .width = f.d,
                              .n_parts = 2,
                              .n_tokens = 9};
    p.by = VA_READ_GAIN;
    assert_ok(env.ctx, va_read_words(f.model, f.arena, &p, words));
    check_words(&(expected_scores){W, gain, centred, false, f.V, f.d}, &p, words);
    p.by = VA_READ_DIRECT;
    assert_ok(env.ctx, va_read_words(f.model, f.arena, &p, words));
    check_words(&(expected_scores){W, NULL, false, false, f.V, f.d}, &p, words);
    p.by = VA_READ_NEAREST;
    assert_ok(env.ctx, va_read_words(f.model, f.arena, &p, words));
    check_words(&(expected_scores){E, NULL, false, true, f.V, f.d}, &p, words);
    close_fixture(&f);
}

static void test_words(void **state) {
    (void)state;
    check_folder("gemma3-plain", "model.embed_tokens.weight", "model.embed_tokens.weight");
    check_folder("llama-plain", "model.embed_tokens.weight", "lm_head.weight");
    check_folder("gpt2-plain", "wte.weight", "wte.weight");
}

// Logits are their own scores; of equal ones the lower id comes first; rows of zeros are no part.
static void test_entries(void **state) {
    (void)state;
    fixture f;
    va_read_word word;
    open_fixture(&f, "gemma3-plain");
    float *x = VA_NEW_ARRAY(f.arena, float, 2 * f.V);
    x[f.V + 5] = 2, x[f.V + 9] = 2, x[f.V + 1] = 3, x[f.V + 70] = -4;
    const va_read_words_params p = {
        .vectors = x, .k = 1, .rows = 2, .width = f.V, .by = VA_READ_ENTRIES, .n_tokens = 3};
    assert_ok(env.ctx, va_read_words(f.model, f.arena, &p, &word));
    assert_int_equal(word.n_parts, 1);
    assert_int_equal(word.parts[0].row, 1);
    assert_true(word.parts[0].share == 1);
    assert_int_equal(word.parts[0].plus[0].id, 1);
    assert_int_equal(word.parts[0].plus[1].id, 5);
    assert_int_equal(word.parts[0].plus[2].id, 9);
    assert_int_equal(word.parts[0].minus[0].id, 70);
    assert_true(word.parts[0].minus[0].score == 4);
    assert_int_equal(word.parts[0].minus[1].id, 0);
    close_fixture(&f);
}

static void test_word_mistakes(void **state) {
    (void)state;
    fixture f;
    va_read_word words[1];
    open_fixture(&f, "gemma3-plain");
    float *x = random_floats(f.arena, f.d, "x");
    va_read_words_params p = {.vectors = x, .k = 1, .rows = 1, .width = f.d, .by = VA_READ_DIRECT};
    p.width = f.d - 1;
    assert_error(env.ctx, VA_ERR_SHAPE, "expected vectors of width 32, got 31",
                 va_read_words(f.model, f.arena, &p, words));
    p.by = VA_READ_ENTRIES;
    assert_error(env.ctx, VA_ERR_SHAPE, "width 100, got 31",
                 va_read_words(f.model, f.arena, &p, words));
    p.by = VA_READ_DIRECT, p.width = f.d, p.n_tokens = 1025;
    assert_error(env.ctx, VA_ERR_USAGE, "0 to 1024 tokens",
                 va_read_words(f.model, f.arena, &p, words));
    p.n_tokens = 1024; // more than the vocabulary
    assert_ok(env.ctx, va_read_words(f.model, f.arena, &p, words));
    assert_int_equal(words[0].n_tokens, f.V);
    x[3] = NAN;
    assert_error(env.ctx, VA_ERR_NUMERIC, "NaN or infinity",
                 va_read_words(f.model, f.arena, &p, words));
    close_fixture(&f);
}

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *to;
        va_read_by by;
    } cases[] = {{"resid:2", VA_READ_GAIN},
                 {"attn:1", VA_READ_GAIN},
                 {"mlp:1", VA_READ_GAIN},
                 {"norm:3", VA_READ_DIRECT},
                 {"logits", VA_READ_ENTRIES}};
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_site site;
        assert_ok(env.ctx, va_site_parse(env.ctx, cases[i].to, 3, &site));
        assert_int_equal(va_read_by_default(&site), cases[i].by);
    }
    assert_string_equal(va_read_by_name(VA_READ_GAIN), "gain");
    assert_string_equal(va_read_by_text(VA_READ_GAIN), "W_U (g * z)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),  cmocka_unit_test(test_words),
        cmocka_unit_test(test_entries), cmocka_unit_test(test_word_mistakes),
        cmocka_unit_test(test_names),
    };
    return run_read_tests(tests, (size_t)VA_COUNT(tests));
}
