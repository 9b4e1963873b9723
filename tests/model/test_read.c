// Derivatives read: spectra against LAPACK on the explicit matrix, words against plain loops over
// the files' tables, values and shares against the explicit matrix.
// libs: va_read
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "vkalign/read.h"

#include <math.h>

enum { T = 7, MAX_IDS = 16 };
static const int32_t usual_ids[T] = {2, 7, 1, 9, 30, 8, 3};

static struct {
    va_ctx *ctx;
    va_gpu *gpu;
} env;

// -- a model, its files and a derivative ----------------------------------------------------------

typedef struct fixture {
    va_arena *arena;
    va_model *model;
    va_safetensors *file;
    int64_t V, d;
    int32_t ids[MAX_IDS];
    int64_t n_ids;
} fixture;

static void open_fixture(fixture *f, const char *name) {
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    f->arena = va_arena_create();
    memcpy(f->ids, usual_ids, sizeof usual_ids);
    f->n_ids = T;
    va_test_fixture(dir, name);
    assert_ok(env.ctx, va_model_open(env.ctx, dir, &f->model));
    assert_ok(env.ctx, va_model_attach(f->model, env.gpu));
    assert_ok(env.ctx,
              va_safetensors_open(env.ctx, va_test_join(path, dir, "model.safetensors"), &f->file));
    f->V = va_model_config(f->model)->vocab_size;
    f->d = va_model_config(f->model)->d_model;
}

static void close_fixture(fixture *f) {
    va_safetensors_close(&f->file);
    va_model_close(&f->model);
    va_arena_destroy(&f->arena);
}

static const float *tensor_of(fixture *f, va_safetensors *file, const char *name, int64_t n) {
    const va_file_tensor *t = va_safetensors_find(file, name);
    assert_non_null(t);
    assert_int_equal(t->n_elem, n);
    float *x = VA_NEW_ARRAY(f->arena, float, n);
    va_convert_to_f32(x, t->data, t->dtype, n);
    return x;
}

typedef struct derivative {
    va_prompt *prompt;
    va_linmap *map;
    int64_t m, n;
    float *J; // [m, n] explicit
} derivative;

static void derive(fixture *f, const char *from, const char *to, va_mode mode, derivative *j) {
    const int64_t L = va_model_config(f->model)->n_layer;
    va_site sites[2];
    assert_ok(env.ctx, va_site_parse(env.ctx, from, L, &sites[0]));
    assert_ok(env.ctx, va_site_parse(env.ctx, to, L, &sites[1]));
    const va_prompt_params params = {.ids = f->ids,
                                     .seq_len = f->n_ids,
                                     .sites = sites,
                                     .n_sites = 2,
                                     .derivatives = true,
                                     .modes = 1u << mode};
    assert_ok(env.ctx, va_prompt_create(f->model, &params, &j->prompt));
    assert_ok(env.ctx, va_prompt_linmap(j->prompt, 0, 1, mode, NULL, &j->map));
    const va_linmap_shape s = va_linmap_get_shape(j->map);
    j->m = s.T_out * s.d_out, j->n = s.T_in * s.d_in;
    j->J = VA_NEW_ARRAY(f->arena, float, j->m * j->n);
    assert_ok(env.ctx, va_linmap_dense(j->map, j->J));
}

static void drop(derivative *j) {
    va_linmap_destroy(&j->map);
    va_prompt_destroy(&j->prompt);
}

static void expect_close(const char *what, double got, double expected, double tolerance) {
    if (!(fabs(got - expected) <= tolerance * fabs(expected)))
        fail_msg("%s: got %.9g, expected %.9g", what, got, expected);
}

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

// -- spectra --------------------------------------------------------------------------------------

static double sum_squares(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static void check_summary(const va_read_spectrum_result *s, const va_svd_result *lapack,
                          double squared, int64_t n_sigma) {
    double sum = 0, fourth = 0, entropy = 0;
    assert_int_equal(s->n_sigma, n_sigma);
    for (int64_t i = 0; i < n_sigma; i++) {
        assert_true(fabs(s->sigma[i] - lapack->sigma[i]) <= 1e-5 * lapack->sigma[0]);
        sum += pow(lapack->sigma[i], 2);
        fourth += pow(lapack->sigma[i], 4);
    }
    for (int64_t i = 0; i < n_sigma; i++) {
        const double p = pow(lapack->sigma[i], 2) / sum;
        entropy -= p > 0 ? p * log(p) : 0;
    }
    for (int64_t j = 0; j < s->svd.k; j++)
        assert_true(fabs(s->svd.sigma[j] - lapack->sigma[j]) <= 1e-5 * lapack->sigma[0]);
    expect_close("stable rank", s->stable_rank,
                 s->frobenius * s->frobenius / pow(lapack->sigma[0], 2), 1e-5);
    expect_close("participation ratio", s->participation_ratio, sum * sum / fourth, 1e-5);
    expect_close("entropy rank", s->entropy_rank, exp(entropy), 1e-5);
    if (s->probes == 0)
        expect_close("Frobenius norm", s->frobenius, sqrt(squared), 1e-6);
}

static void read_spectrum(fixture *f, derivative *j, const va_read_spectrum_params *p,
                          va_read_spectrum_result *s) {
    assert_ok(env.ctx, va_read_spectrum(env.ctx, f->arena, j->map, p, s));
    assert_int_equal(s->svd.k, p->svd.k);
    assert_int_equal(s->svd.m, j->m);
    assert_int_equal(s->svd.n, j->n);
}

static void check_spectra(const char *folder, va_mode mode) {
    enum { K = 4 };
    fixture f;
    derivative j;
    va_svd_result lapack;
    va_read_spectrum_result s, again;
    open_fixture(&f, folder);
    derive(&f, "embed@all", "norm:3@last", mode, &j);
    const int64_t r = VA_MIN(j.m, j.n);
    assert_ok(env.ctx, va_svd_host(env.ctx, f.arena, j.J, j.m, j.n, r, &lapack));
    const double squared = sum_squares(j.J, j.m * j.n);
    va_read_spectrum_params p = {.svd = {.k = K}};
    read_spectrum(&f, &j, &p, &s);
    assert_true(s.whole && s.probes == 0 && s.frobenius_error == 0 && s.stable_rank_error == 0);
    check_summary(&s, &lapack, squared, r);
    p.svd.method = VA_SVD_DENSE, p.whole_limit = -1;
    read_spectrum(&f, &j, &p, &s);
    assert_true(s.whole && s.svd.converged && s.svd.rank == K);
    check_summary(&s, &lapack, squared, r);
    p.svd.method = VA_SVD_GOLUB_KAHAN, p.whole_limit = j.m * j.n - 1;
    read_spectrum(&f, &j, &p, &s);
    assert_true(!s.whole && s.probes == 0);
    check_summary(&s, &lapack, squared, K);
    p.exact_limit = -1, p.probes = 200, p.svd.seed = 5;
    read_spectrum(&f, &j, &p, &s);
    read_spectrum(&f, &j, &p, &again);
    assert_true(!s.whole && s.probes == 200 && s.frobenius_error > 0 && s.stable_rank_error > 0);
    assert_true(s.frobenius == again.frobenius && s.frobenius_error == again.frobenius_error);
    assert_true(fabs(s.frobenius - sqrt(squared)) <= 4 * s.frobenius_error);
    assert_true(s.frobenius_error < 0.1 * s.frobenius);
    expect_close("stable rank's error", s.stable_rank_error,
                 2 * s.frobenius * s.frobenius_error / pow(lapack.sigma[0], 2), 1e-4);
    check_summary(&s, &lapack, squared, K);
    drop(&j);
    close_fixture(&f);
}

static void test_spectra(void **state) {
    (void)state;
    check_spectra("gemma3-plain", VA_EXACT);
    check_spectra("llama-plain", VA_DETACHED);
}

// -- values ---------------------------------------------------------------------------------------

static void read_value(fixture *f, derivative *j, va_mode mode, va_read_value_result *v) {
    assert_ok(env.ctx, va_read_value(j->prompt, 0, 1, mode, j->map, f->arena, v));
    assert_int_equal(v->n, j->n);
    assert_int_equal(v->m, j->m);
}

// Everything again from the explicit matrix, in double.
static void check_value(fixture *f, const derivative *j, const va_read_value_result *v,
                        int64_t first) {
    const int64_t m = j->m, n = j->n, d = n / v->n_shares;
    double *y_i = VA_NEW_ARRAY(f->arena, double, m), *b = VA_NEW_ARRAY(f->arena, double, m);
    double yy = sum_squares(v->y, m), bb = 0, mean_b = 0, mean_y = 0, sum_b = 0, sum_y = 0;
    double shares = 0;
    for (int64_t r = 0; r < m; r++)
        b[r] = v->y[r];
    for (int64_t i = 0; i < v->n_shares; i++) {
        double norm = 0, along = 0;
        for (int64_t r = 0; r < m; r++) {
            y_i[r] = 0;
            for (int64_t c = i * d; c < (i + 1) * d; c++)
                y_i[r] += (double)j->J[r * n + c] * v->x[c];
            b[r] -= y_i[r];
            norm += y_i[r] * y_i[r];
            along += y_i[r] * v->y[r];
        }
        assert_int_equal(v->shares[i].token, first + i);
        expect_close("||J_i x_i||", v->shares[i].norm, sqrt(norm), 1e-5);
        assert_true(fabs(v->shares[i].share - along / yy) <= 1e-5);
        if (norm > 0)
            assert_true(fabs(v->shares[i].cosine - along / sqrt(norm * yy)) <= 1e-5);
        else // a token that the target does not see
            assert_true(isnan(v->shares[i].cosine));
        shares += v->shares[i].share;
    }
    assert_true(fabs(shares - v->share) <= 1e-5);
    for (int64_t r = 0; r < m; r++) {
        bb += b[r] * b[r];
        mean_b += b[r] / (double)m;
        mean_y += v->y[r] / (double)m;
    }
    for (int64_t r = 0; r < m; r++) {
        sum_b += pow(b[r] - mean_b, 2);
        sum_y += pow(v->y[r] - mean_y, 2);
    }
    assert_true(fabs(v->error - sqrt(sum_b / sum_y)) <= 1e-5);
    assert_true(fabs(v->norm_b - sqrt(bb)) <= 1e-5 * v->norm_y);
    expect_close("||y||", v->norm_y, sqrt(yy), 1e-9);
    expect_close("||J x||", v->norm_Jx, sqrt(sum_squares(v->Jx, m)), 1e-9);
}

// Without biases a whole detached map is the value, and one that is not says so.
static void check_vanishing(const char *folder) {
    fixture f;
    derivative j, exact;
    va_read_value_result v;
    open_fixture(&f, folder);
    derive(&f, "embed@all", "norm:3@last", VA_DETACHED, &j);
    read_value(&f, &j, VA_DETACHED, &v);
    check_value(&f, &j, &v, 0);
    assert_true(v.whole && !v.has_biases && v.must_vanish && !v.is_off);
    assert_true(v.error <= 2e-6 && fabs(v.share - 1) <= 1e-5);
    drop(&j);
    derive(&f, "embed@all", "norm:3@last", VA_EXACT, &exact);
    read_value(&f, &exact, VA_EXACT, &v);
    check_value(&f, &exact, &v, 0);
    assert_true(v.error > 1e-2 && !v.must_vanish && !v.is_off);
    read_value(&f, &exact, VA_DETACHED, &v); // a map that is not what it should be
    assert_true(v.must_vanish && v.is_off);
    drop(&exact);
    close_fixture(&f);
}

static void test_values(void **state) {
    (void)state;
    check_vanishing("gemma3-plain");
    check_vanishing("llama-plain");
}

// Which sites all paths to the target lead through.
static void test_whole(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
        bool whole;
        int64_t first;
    } cases[] = {
        {"embed@all", "resid:2@3", true, 0},    {"embed@last", "norm:3@last", false, T - 1},
        {"resid:1@all", "mlp:2@mean", true, 0}, {"attn:1@all", "norm:3@last", false, 0},
        {"resid:2@4", "norm:2@4", true, 4},     {"resid:2@4", "norm:2@all", false, 4},
        {"norm:3@2", "logits@2", true, 2},      {"resid:3@last", "logits@last", true, T - 1},
    };
    fixture f;
    open_fixture(&f, "gemma3-plain");
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        derivative j;
        va_read_value_result v;
        derive(&f, cases[i].from, cases[i].to, VA_DETACHED, &j);
        read_value(&f, &j, VA_DETACHED, &v);
        check_value(&f, &j, &v, cases[i].first);
        if (v.whole != cases[i].whole || v.must_vanish != v.whole || v.is_off ||
            (v.error <= 1e-5) != v.whole)
            fail_msg("%s -> %s: whole %d, error %g", cases[i].from, cases[i].to, v.whole, v.error);
        drop(&j);
    }
    close_fixture(&f);
}

// The fixture's own prompt and what its biases add to the last norm, from transformers.
static const float *expected_bias(fixture *f, const char *folder) {
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_safetensors *expected;
    va_test_fixture(dir, folder);
    assert_ok(env.ctx, va_safetensors_open(env.ctx, va_test_join(path, dir, "expected.safetensors"),
                                           &expected));
    const va_file_tensor *t = va_safetensors_find(expected, "p0.ids");
    assert_true(t && t->n_elem <= MAX_IDS);
    f->n_ids = t->n_elem;
    for (int64_t i = 0; i < f->n_ids; i++) {
        int64_t id;
        memcpy(&id, (const uint8_t *)t->data + 8 * i, sizeof id);
        f->ids[i] = (int32_t)id;
    }
    const float *b = tensor_of(f, expected, "p0.bias.embed@all>norm:3@last", f->d);
    va_safetensors_close(&expected);
    return b;
}

// With biases b is what they add, no more and no less.
static void test_biases(void **state) {
    (void)state;
    static const char *const folders[] = {"llama-bias", "gpt2-plain"};
    for (int64_t i = 0; i < VA_COUNT(folders); i++) {
        fixture f;
        derivative j;
        va_read_value_result v;
        open_fixture(&f, folders[i]);
        const float *b = expected_bias(&f, folders[i]);
        derive(&f, "embed@all", "norm:3@last", VA_DETACHED, &j);
        read_value(&f, &j, VA_DETACHED, &v);
        check_value(&f, &j, &v, 0);
        for (int64_t c = 0; c < f.d; c++)
            assert_true(fabs(v.y[c] - v.Jx[c] - b[c]) <= 1e-5 * v.norm_y);
        expect_close("||b||", v.norm_b, sqrt(sum_squares(b, f.d)), 1e-4);
        assert_true(v.whole && v.has_biases && !v.must_vanish && !v.is_off);
        drop(&j);
        close_fixture(&f);
    }
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
        cmocka_unit_test(test_spectra), cmocka_unit_test(test_values),
        cmocka_unit_test(test_whole),   cmocka_unit_test(test_biases),
        cmocka_unit_test(test_names),
    };
    env.ctx = va_test_ctx();
    env.gpu = va_test_gpu(env.ctx);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    va_test_gpu_close(&env.gpu);
    va_ctx_destroy(&env.ctx);
    return failed;
}
