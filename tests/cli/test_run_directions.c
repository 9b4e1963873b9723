// Directions of derivatives that a run writes, computed again from the dense Jacobians and the
// activations that the other verbs give: J x, singular vectors, gradients, pullbacks, means over
// prompts.
// SPDX-License-Identifier: Apache-2.0
#include "run_check.h"

// Of float32 sums over at most 7 tokens of width 24, on either side.
static const double TOLERANCE = 2e-5;

static const char *const concepts[] = {"Physical", "Abstract"};
static const char *const prompts[] = {"The concept of %s means", "The word %s is"};

static const char experiment[] =
    "version: 1\n"
    "name: directions\n"
    "model: {path: \"" MODEL "\", layers: [2]}\n"
    "concepts:\n"
    "  - name: Physical\n"
    "    positives: [stone, water, tree, hand]\n"
    "    hard_negatives: [number, idea, run, fast]\n"
    "  - name: Abstract\n"
    "    positives: [number, idea, law, truth]\n"
    "    hard_negatives: [stone, water, tree, hand]\n"
    "prompts: [\"The concept of {concept} means\", \"The word {concept} is\"]\n"
    "directions:\n"
    "  jx: {kind: jacobian, to: \"norm:{layer}@last\"}\n"
    "  detached: {kind: jacobian, to: \"norm:{layer}@last\", mode: detached}\n"
    "  spread: {kind: jacobian, to: \"norm:{layer}@mean\"}\n"
    "  right: {kind: jacobian, from: embed@1, to: \"norm:{layer}@last\", reduce: right, rank: 3}\n"
    "  left: {kind: jacobian, to: \"norm:{layer}@last\", reduce: left, rank: 3}\n"
    "  gradient: {kind: jacobian, from: \"resid:{layer}@last\", to: logits@last,\n"
    "             reduce: gradient, token: hysical}\n"
    "  contrast: {kind: jacobian, to: logits@last, reduce: gradient, token: hysical,\n"
    "             versus: \" means\"}\n"
    "  pulled: {kind: jacobian, from: embed@1, to: \"norm:{layer}@last\", reduce: pullback,\n"
    "           of: difference}\n"
    "  mean: {kind: jacobian, from: embed@concept, to: \"norm:{layer}@last\", average: true}\n"
    "  difference: {kind: difference, site: \"norm:{layer}@last\"}\n"
    "metrics:\n"
    "  - {name: alignment, of: [jx, difference]}\n"
    "  - {name: pairs, kind: subspace, of: [left, left], ranks: [1, 3]}\n"
    "  - {name: modes, of: [jx, detached]}\n";

static outcome out;

static int setup_group(void **state) {
    run_setup(state);
    run_experiment(&out, write_text("d.yaml", experiment), "out", "--no-cache");
    return 0;
}

static int teardown_group(void **state) {
    close_outcome(&out);
    return run_teardown(state);
}

// -- the other verbs ------------------------------------------------------------------------------

typedef struct place {
    const char *concept_name, *text;
    int prompt;
} place;

static place place_of(int i) {
    const place p = {.concept_name = concepts[i / 2], .prompt = i % 2};
    char line[64];
    snprintf(line, sizeof line, i % 2 ? prompts[1] : prompts[0], p.concept_name);
    return (place){p.concept_name, va_arena_strdup(env.arena, line), p.prompt};
}

static const float *load(const char *path, int64_t *count) {
    int n_dim;
    int64_t shape[VA_MAX_DIM];
    float *x;
    assert_ok(env.ctx, va_npy_load(env.ctx, env.arena, path, &n_dim, shape, &x));
    *count = 1;
    for (int i = 0; i < n_dim; i++)
        *count *= shape[i];
    return x;
}

// The value at a site, [count / D, D].
static const float *value(const place *p, const char *site, int64_t *count) {
    const char *path = path_of(env.dir, "x.npy");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("forward", "--model", MODEL, "--text", p->text, "--concept", p->concept_name,
                     "--site", site, "--out", path));
    return load(path, count);
}

// J [rows, n]; option with its value: one more, NULL: none.
static const float *jacobian(const place *p, const char *from, const char *to, int64_t rows,
                             int64_t *n, const char *option, const char *with_value) {
    const char *path = path_of(env.dir, "J.npy");
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("jacobian", "--model", MODEL, "--text", p->text, "--concept", p->concept_name,
                     "--from", from, "--to", to, "--out", path, option, with_value));
    const float *J = load(path, n);
    assert_int_equal(*n % rows, 0);
    *n /= rows;
    return J;
}

// -- comparing ------------------------------------------------------------------------------------

// The unit's saved direction of unit length times its norm is `want`.
static void expect_direction(const char *unit, const float *want) {
    const float *got = saved(&out, unit, D);
    const double norm = number(direction(&out, unit), "norm");
    double error = 0;
    expect_close(sqrt(dot(got, got, D)), 1, 1e-6);
    for (int64_t i = 0; i < D; i++)
        error += (norm * got[i] - want[i]) * (norm * got[i] - want[i]);
    error = sqrt(error / dot(want, want, D));
    if (!(error <= TOLERANCE))
        fail_msg("%s: relative error %g", unit, error);
}

static const char *unit_of(const char *name, const place *p) {
    return va_arena_printf(env.arena, "%s/%s/layer2/prompt%d", name, p->concept_name, p->prompt);
}

// J [D, n] x.
static void apply(const float *J, const float *x, int64_t n, float *y) {
    for (int64_t i = 0; i < D; i++)
        y[i] = (float)dot(J + i * n, x, n);
}

// -- tests ----------------------------------------------------------------------------------------

static void expect_jx(const place *p, const char *name, const char *mode) {
    int64_t n, n_x;
    float y[D];
    const float *J = jacobian(p, "embed@all", "norm:2@last", D, &n, "--mode", mode);
    const float *x = value(p, "embed@all", &n_x);
    assert_int_equal(n, n_x);
    apply(J, x, n, y);
    expect_direction(unit_of(name, p), y);
}

static void test_jx(void **state) {
    (void)state;
    for (int i = 0; i < 4; i += 3) {
        const place p = place_of(i);
        expect_jx(&p, "jx", "exact");
        expect_jx(&p, "detached", "detached");
    }
    // a detached map gives the site's value back; the exact one does not
    const place p = place_of(0);
    int64_t n;
    expect_direction(unit_of("detached", &p), value(&p, "norm:2@last", &n));
    const double error = number(direction(&out, unit_of("jx", &p)), "reconstruction_error");
    assert_true(error > 0.01);
}

// At @mean of all tokens.
static void test_jx_at_mean(void **state) {
    (void)state;
    const place p = place_of(1);
    int64_t n, n_x;
    float y[D];
    const float *J = jacobian(&p, "embed@all", "norm:2@mean", D, &n, NULL, NULL);
    apply(J, value(&p, "embed@all", &n_x), n, y);
    expect_direction(unit_of("spread", &p), y);
}

// The frame is orthonormal, and each vector and value is that of vkalign svd.
static void expect_frame(const place *p, const char *name, const char *from, const char *tensor) {
    const char *path = path_of(env.dir, "s.safetensors"), *unit = unit_of(name, p);
    const float *got = saved(&out, unit, 3 * D);
    va_safetensors *st;
    cli_run(&env.p, 0, NULL,
            CLI_ARGS("svd", "--model", MODEL, "--text", p->text, "--from", from, "--to",
                     "norm:2@last", "-k", "3", "--out", path));
    assert_ok(env.ctx, va_safetensors_open(env.ctx, path, &st));
    const float *want = floats(va_safetensors_find(st, tensor), 3 * D);
    const float *sigma = floats(va_safetensors_find(st, "S"), 3);
    for (int i = 0; i < 3; i++) {
        double v;
        for (int j = 0; j <= i; j++)
            expect_close(dot(got + i * D, got + j * D, D), i == j, 1e-5);
        // the sign too, which both choose by one rule
        expect_close(dot(got + i * D, want + i * D, D), 1, 1e-4);
        assert_true(va_json_as_double(item(va_json_get(direction(&out, unit), "sigma"), i), &v));
        expect_close(v, sigma[i], TOLERANCE * sigma[0]);
    }
    assert_true(truth(direction(&out, unit), "converged"));
    va_safetensors_close(&st);
}

static void test_frames(void **state) {
    (void)state;
    const place p = place_of(3);
    expect_frame(&p, "right", "embed@1", "V");
    expect_frame(&p, "left", "embed@all", "U");
}

// Of a logit: J's row of the token; of two, their difference, summed over the tokens of embed@all.
static void test_gradients(void **state) {
    (void)state;
    const place p = place_of(3);
    float sum[D] = {0};
    int64_t n;
    const float *J = jacobian(&p, "resid:2@last", "logits@last", 1, &n, "--tokens", "hysical");
    assert_int_equal(n, D);
    expect_direction(unit_of("gradient", &p), J);
    J = jacobian(&p, "embed@all", "logits@last", 2, &n, "--tokens", "hysical means");
    for (int64_t k = 0; k < n; k++)
        sum[k % D] += J[k] - J[n + k];
    // no {layer} in it
    expect_direction(va_arena_printf(env.arena, "contrast/%s/prompt%d", p.concept_name, p.prompt),
                     sum);
}

static void test_pullback(void **state) {
    (void)state;
    for (int i = 0; i < 4; i += 3) {
        const place p = place_of(i);
        const float *w =
            saved(&out, va_arena_printf(env.arena, "difference/%s/layer2", p.concept_name), D);
        int64_t n;
        float pulled[D] = {0};
        const float *J = jacobian(&p, "embed@1", "norm:2@last", D, &n, NULL, NULL);
        assert_int_equal(n, D);
        for (int64_t r = 0; r < D; r++)
            for (int64_t k = 0; k < D; k++)
                pulled[k] += w[r] * J[r * D + k];
        expect_direction(unit_of("pulled", &p), pulled);
    }
}

// One map: the mean over prompts of J and of x, both at the concept's last token.
static void test_average(void **state) {
    (void)state;
    for (int c = 0; c < 2; c++) {
        float mean_J[D * D] = {0}, mean_x[D] = {0}, y[D];
        for (int i = 0; i < 2; i++) {
            const place p = place_of(2 * c + i);
            int64_t n, n_x;
            const float *J = jacobian(&p, "embed@concept", "norm:2@last", D, &n, NULL, NULL);
            const float *x = value(&p, "embed@concept", &n_x);
            assert_int_equal(n, n_x);
            for (int64_t k = 0; k < D; k++) {
                mean_x[k] += x[n - D + k] / 2;
                for (int64_t r = 0; r < D; r++)
                    mean_J[r * D + k] += J[r * n + n - D + k] / 2;
            }
        }
        apply(mean_J, mean_x, D, y);
        const char *unit = va_arena_printf(env.arena, "mean/%s/layer2", concepts[c]);
        expect_direction(unit, y);
        assert_int_equal(number(direction(&out, unit), "n_prompts"), 2);
    }
}

// What does not apply to a direction is left out of its record, not null.
static void test_records(void **state) {
    (void)state;
    const va_json *d = va_json_first(va_json_get(out.results, "directions"));
    int64_t n = 0;
    for (; d; d = va_json_next(d), n++) {
        const va_json *error = va_json_get(d, "reconstruction_error");
        assert_false(error && va_json_is_null(error));
        assert_int_equal(!!error, va_json_get(d, "reduce") && strcmp(text(d, "reduce"), "jx") == 0);
        assert_string_equal(text(d, "status"), "success");
    }
    assert_int_equal(n, 8 * 4 + 2 + 2);
}

// A metric of directions of one prompt has one number for each, and cosines are those of vectors.
static void test_cosines(void **state) {
    (void)state;
    const va_json *r = va_json_first(va_json_get(out.results, "results"));
    for (; r; r = va_json_next(r)) {
        const va_json *list = va_json_get(r, "metrics");
        assert_int_equal(va_json_count(list), 4);
        for (int i = 0; i < 2; i++) {
            const va_json *m = with(list, "name", i ? "modes" : "alignment");
            const va_json *names = va_json_get(m, "directions");
            const float *a = saved(&out, va_json_as_string(item(names, 0)), D);
            const float *b = saved(&out, va_json_as_string(item(names, 1)), D);
            expect_close(number(m, "value"), cosine(a, b, D), 1e-6);
        }
        // a frame overlaps wholly with itself
        expect_close(number(with(list, "name", "pairs rank 1"), "overlap"), 1, 1e-5);
        expect_close(number(with(list, "name", "pairs rank 3"), "overlap"), 1, 1e-5);
    }
    assert_int_equal(number(statistics(&out, "alignment"), "n"), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jx),       cmocka_unit_test(test_jx_at_mean),
        cmocka_unit_test(test_frames),   cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_pullback), cmocka_unit_test(test_average),
        cmocka_unit_test(test_records),  cmocka_unit_test(test_cosines),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
