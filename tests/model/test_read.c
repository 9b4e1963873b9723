// Derivatives read: spectra against LAPACK on the explicit matrix, values and shares against double
// loops over it.
// libs: va_read
// SPDX-License-Identifier: Apache-2.0
#include "read_fixture.h"

#include "vkalign/metric_compare.h"

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

// The bounds hold the truth, and are the dimensions of the two spectra furthest apart that have the
// same top and norm: the rest all alike, or as few as can be.
static void check_bounds(fixture *f, const va_read_spectrum_result *s,
                         const va_svd_result *lapack) {
    const int64_t n = lapack->k, k = s->n_sigma;
    const double last = s->sigma[k - 1];
    double rest = s->frobenius * s->frobenius, *x = VA_NEW_ARRAY(f->arena, double, n);
    const double ratio = va_metric_participation_ratio(lapack->sigma, n);
    const double entropy = va_metric_entropy_rank(lapack->sigma, n);
    assert_true(s->participation_bounds.low < ratio && ratio < s->participation_bounds.high);
    assert_true(s->entropy_bounds.low < entropy && entropy < s->entropy_bounds.high);
    for (int64_t i = 0; i < k; i++) {
        x[i] = s->sigma[i];
        rest -= x[i] * x[i];
    }
    for (int64_t i = k; i < n; i++)
        x[i] = sqrt(rest / (double)(n - k));
    expect_close("even", s->participation_bounds.high, va_metric_participation_ratio(x, n), 1e-6);
    expect_close("even", s->entropy_bounds.high, va_metric_entropy_rank(x, n), 1e-6);
    for (int64_t i = k; i < n; i++) { // as many of the k-th as there are, then what is left of one
        x[i] = fmin(last, sqrt(fmax(rest, 0)));
        rest -= x[i] * x[i];
    }
    assert_true(s->participation_bounds.low <= va_metric_participation_ratio(x, n) * (1 + 1e-6));
    assert_true(s->participation_bounds.low >= va_metric_participation_ratio(x, n) * 0.9);
    assert_true(s->entropy_bounds.low <= va_metric_entropy_rank(x, n) * (1 + 1e-6));
    assert_true(s->entropy_bounds.low >= va_metric_entropy_rank(x, n) * 0.9);
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
    assert_true(s.participation_bounds.low == s.participation_ratio);
    assert_true(s.entropy_bounds.high == s.entropy_rank);
    check_summary(&s, &lapack, squared, r);
    p.svd.method = VA_SVD_DENSE, p.whole_limit = -1;
    read_spectrum(&f, &j, &p, &s);
    assert_true(s.whole && s.svd.converged && s.svd.rank == K);
    check_summary(&s, &lapack, squared, r);
    p.svd.method = VA_SVD_GOLUB_KAHAN, p.whole_limit = j.m * j.n - 1;
    read_spectrum(&f, &j, &p, &s);
    assert_true(!s.whole && s.probes == 0);
    check_summary(&s, &lapack, squared, K);
    check_bounds(&f, &s, &lapack);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spectra),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_biases),
    };
    return run_read_tests(tests, (size_t)VA_COUNT(tests));
}
