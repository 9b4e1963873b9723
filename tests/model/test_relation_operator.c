// Linear relation operators against torch in float64, and what stands beside them by hand.
// SPDX-License-Identifier: Apache-2.0
// libs: va_relation
#include "test_gpu.h"

#include "relation_priv.h"

#include <math.h>

// DESIGN section 7. W_r^+ multiplies rounding by sigma_1 / sigma_r, at most 3 here.
static const double VALUE_TOLERANCE = 1e-4, INVERSE_TOLERANCE = 3e-4;

enum { N_ALL = 8, N_TRAIN = 5, N_TEST = 3, LAYER = 1, RANK = 4 };

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
    va_arena *arena;
    va_model *model;
    va_safetensors *expected;
    va_relation_pair pairs[N_ALL];
    int64_t d, V;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = va_test_ctx();
    f->gpu = va_test_gpu(f->ctx);
    f->arena = va_arena_create();
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_arena_destroy(&f->arena);
    va_test_gpu_close(&f->gpu);
    va_ctx_destroy(&f->ctx);
    free(f);
    return 0;
}

static const va_file_tensor *tensor(fixture *f, const char *mode, int i, const char *what) {
    char name[64];
    int n = snprintf(name, sizeof name, "%s%s", mode, mode[0] ? "." : "");
    if (i >= 0)
        n += snprintf(name + n, sizeof name - (size_t)n, "p%d.", i);
    snprintf(name + n, sizeof name - (size_t)n, "%s", what);
    const va_file_tensor *t = va_safetensors_find(f->expected, name);
    if (!t)
        fail_msg("the fixture lacks %s", name);
    return t;
}

static const float *floats(fixture *f, const char *mode, int i, const char *what) {
    const va_file_tensor *t = tensor(f, mode, i, what);
    float *x = VA_NEW_ARRAY(f->arena, float, t->n_elem);
    va_convert_to_f32(x, t->data, t->dtype, t->n_elem);
    return x;
}

static int64_t int_at(const va_file_tensor *t, int64_t i) {
    int64_t v;
    memcpy(&v, (const uint8_t *)t->data + 8 * i, sizeof v);
    return v;
}

static void open_model(fixture *f, const char *name) {
    char path[VA_TEST_PATH], file[64];
    snprintf(file, sizeof file, "relation/%s.safetensors", name);
    assert_ok(f->ctx, va_safetensors_open(f->ctx, va_test_fixture(path, file), &f->expected));
    assert_ok(f->ctx, va_model_open(f->ctx, va_test_fixture(path, name), &f->model));
    assert_ok(f->ctx, va_model_attach(f->model, f->gpu));
    f->d = va_model_config(f->model)->d_model;
    f->V = va_model_config(f->model)->vocab_size;
    for (int i = 0; i < N_ALL; i++) {
        const va_file_tensor *t = tensor(f, "", i, "ids");
        int32_t *ids = VA_NEW_ARRAY(f->arena, int32_t, t->n_elem);
        for (int64_t j = 0; j < t->n_elem; j++)
            ids[j] = (int32_t)int_at(t, j);
        f->pairs[i] = (va_relation_pair){.ids = ids,
                                         .seq_len = t->n_elem,
                                         .subject = int_at(tensor(f, "", -1, "subjects"), i),
                                         .object = -1,
                                         .example = i};
    }
}

static void close_model(fixture *f) {
    va_model_close(&f->model);
    va_safetensors_close(&f->expected);
}

static int32_t argmax(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return (int32_t)best;
}

static void check(const float *got, const float *expected, int64_t n, double tolerance,
                  const char *what) {
    const double error = va_test_max_error_f32(got, expected, n);
    if (!(error <= tolerance))
        fail_msg("%s: error %.3g, allowed %.3g", what, error, tolerance);
}

// -- against torch --------------------------------------------------------------------------------

static void check_states(fixture *f) {
    float *s = VA_NEW_ARRAY(f->arena, float, 2 * N_ALL * f->d), *o = s + N_ALL * f->d;
    int32_t next[N_ALL];
    assert_ok(f->ctx, va_relation_run(f->model, LAYER, f->pairs, N_ALL, NULL, s, o, next));
    for (int i = 0; i < N_ALL; i++) {
        check(s + i * f->d, floats(f, "", i, "s"), f->d, VALUE_TOLERANCE, "s");
        check(o + i * f->d, floats(f, "", i, "o"), f->d, VALUE_TOLERANCE, "o");
        assert_int_equal(next[i], argmax(floats(f, "", i, "logits"), f->V));
    }
}

static void check_operator(fixture *f, const char *mode, va_relation *r) {
    float *s = VA_NEW_ARRAY(f->arena, float, 3 * N_TEST * f->d), *Ws = s + N_TEST * f->d;
    float *o = Ws + N_TEST * f->d;
    int32_t said[N_TEST];
    for (int i = 0; i < N_TEST; i++)
        memcpy(s + i * f->d, floats(f, "", N_TRAIN + i, "s"), (size_t)f->d * sizeof *s);
    check(r->b, floats(f, mode, -1, "b"), f->d, VALUE_TOLERANCE, "b");
    assert_ok(f->ctx, va_relation_apply(r, s, N_TEST, Ws));
    va_relation_finish(r, 1.5, Ws, N_TEST, o);
    assert_ok(f->ctx, va_relation_decode(f->model, o, N_TEST, said));
    for (int i = 0; i < N_TEST; i++) {
        check(o + i * f->d, floats(f, mode, N_TRAIN + i, "lre"), f->d, VALUE_TOLERANCE, "LRE(s)");
        assert_int_equal(said[i], argmax(floats(f, mode, N_TRAIN + i, "lre.logits"), f->V));
    }
}

static void check_inverse(fixture *f, const char *mode, va_relation *r) {
    float *d_o = VA_NEW_ARRAY(f->arena, float, N_TEST * f->d);
    int32_t next[N_TEST];
    for (int i = 0; i < N_TEST; i++) {
        const float *o = floats(f, "", N_TRAIN + i, "o");
        const float *target = floats(f, "", N_TRAIN + (i + 1) % N_TEST, "o");
        for (int64_t a = 0; a < f->d; a++)
            d_o[i * f->d + a] = target[a] - o[a];
    }
    assert_ok(f->ctx, va_relation_invert(r, f->arena, RANK));
    const float *sigma = floats(f, mode, -1, "sigma");
    for (int j = 0; j < RANK; j++)
        assert_true(fabs(r->svd.sigma[j] - sigma[j]) <= 1e-4 * sigma[j]);
    assert_ok(f->ctx, va_relation_solve(r, RANK, d_o, N_TEST, d_o)); // in place
    for (int i = 0; i < N_TEST; i++)
        check(d_o + i * f->d, floats(f, mode, N_TRAIN + i, "delta"), f->d, INVERSE_TOLERANCE,
              "W_r^+ (o' - o)");
    assert_ok(f->ctx,
              va_relation_run(f->model, LAYER, f->pairs + N_TRAIN, N_TEST, d_o, NULL, NULL, next));
    for (int i = 0; i < N_TEST; i++)
        assert_int_equal(next[i], argmax(floats(f, mode, N_TRAIN + i, "edited.logits"), f->V));
    assert_error(f->ctx, VA_ERR_USAGE, "an inverse of rank 5: expected 1 to 4",
                 va_relation_solve(r, RANK + 1, d_o, N_TEST, d_o));
}

static void test_torch(void **state) {
    static const char *const models[] = {"gemma3-plain", "gpt2-plain"};
    fixture *f = *state;
    for (int m = 0; m < 2; m++) {
        open_model(f, models[m]);
        check_states(f);
        for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
            const char *name = mode == VA_EXACT ? "exact" : "detached";
            const va_relation_params params = {.layer = LAYER, .mode = (va_mode)mode};
            va_relation r;
            assert_ok(f->ctx, va_relation_fit(f->model, f->arena, &params, f->pairs, N_TRAIN, &r));
            check_operator(f, name, &r);
            check_inverse(f, name, &r);
            va_relation_free(&r);
        }
        close_model(f);
    }
}

// -- choices and rates ----------------------------------------------------------------------------

// An example left out is an operator fitted without it, also where it has two prompts.
static void test_leave_out(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    const va_relation_params params = {.layer = LAYER};
    va_relation all, rest;
    relation_states x, left;
    bool possible;
    f->pairs[1].example = 0; // pairs 0 and 1 are one example
    assert_ok(f->ctx, va_relation_fit(f->model, f->arena, &params, f->pairs, N_TRAIN, &all));
    assert_ok(f->ctx, relation_states_read(f->model, f->arena, LAYER, f->pairs, N_TRAIN, &x));
    assert_ok(f->ctx, va_relation_apply(&all, x.s, x.n, x.Ws));
    assert_ok(f->ctx, relation_leave_out(&all, f->arena, &x, &left, &possible));
    assert_true(possible);
    assert_ok(f->ctx,
              va_relation_fit(f->model, f->arena, &params, f->pairs + 2, N_TRAIN - 2, &rest));
    float *Ws = VA_NEW_ARRAY(f->arena, float, 2 * f->d);
    assert_ok(f->ctx, va_relation_apply(&rest, x.s, 2, Ws));
    check(left.Ws, Ws, 2 * f->d, 1e-5, "W s without the example");
    for (int i = 0; i < 2; i++)
        check(left.b + i * f->d, rest.b, f->d, 1e-5, "b without the example");
    va_relation_free(&rest);
    va_relation_free(&all);
    assert_ok(f->ctx, va_relation_fit(f->model, f->arena, &params, f->pairs, 2, &all));
    x.n = 2;
    assert_ok(f->ctx, relation_leave_out(&all, f->arena, &x, &left, &possible));
    assert_false(possible);
    va_relation_free(&all);
    close_model(f);
}

// By hand: means 2/3 of two examples, with and without a pair that does not count.
static void test_rates(void **state) {
    (void)state;
    const va_relation_pair pairs[] = {{.example = 4}, {.example = 4}, {.example = 1}};
    const double values[] = {1, 0, 1};
    const bool skip[] = {false, true, false};
    va_relation_rate r = relation_rate(pairs, 3, values, NULL);
    assert_int_equal(r.n, 3);
    assert_true(fabs(r.rate - 2.0 / 3) < 1e-15);
    // sums of deviations -1/3 and 1/3: sqrt(2 * 2/9) / 3
    assert_true(fabs(r.error - 2.0 / 9) < 1e-15);
    r = relation_rate(pairs, 3, values, skip);
    assert_int_equal(r.n, 2);
    assert_true(r.rate == 1 && r.error == 0);
    r = relation_rate(pairs, 2, values, NULL); // one example: no error to tell
    assert_true(r.rate == 0.5 && isnan(r.error));
    r = relation_rate(pairs, 1, values, skip + 1);
    assert_int_equal(r.n, 0);
    assert_true(isnan(r.rate));
}

static void test_targets(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    const va_relation_pair pairs[] = {{.example = 0}, {.example = 0, .prompt = 1},
                                      {.example = 1}, {.example = 1, .prompt = 1},
                                      {.example = 2}, {.example = 2, .prompt = 1}};
    int32_t next[] = {5, 5, 5, 6, 7, 5};
    const relation_states x = {.pairs = pairs, .n = 6, .next = next};
    static const int64_t expected[] = {4, 3, 4, -2, -3, 3}; // -2: 1 or 5, -3: 0 or 2
    for (uint64_t seed = 0; seed < 8; seed++) {
        int64_t *targets;
        assert_ok(f->ctx, relation_targets(f->model, f->arena, &x, seed, &targets));
        for (int i = 0; i < 6; i++)
            assert_true(targets[i] == expected[i] ||
                        (expected[i] == -2 && (targets[i] == 1 || targets[i] == 5)) ||
                        (expected[i] == -3 && (targets[i] == 0 || targets[i] == 2)));
    }
    next[3] = 5;
    int64_t *targets;
    assert_ok(f->ctx, relation_targets(f->model, f->arena, &x, 0, &targets));
    assert_int_equal(targets[1], -1); // nothing else is said in that prompt
    close_model(f);
}

// -- all together ---------------------------------------------------------------------------------

// The numbers of a random model are chance; what is counted is checked by counting again.
static void test_evaluate(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    const va_relation_pairs pairs = {f->pairs, f->pairs + N_TRAIN, N_TRAIN, N_TEST};
    const va_relation_params params = {.layer = LAYER, .beta = 1.5, .rank = RANK, .seed = 3};
    va_relation r[2];
    va_relation_result x[2];
    int32_t next[N_TEST], said[N_TEST];
    int hits = 0, pairings = 0;
    for (int i = 0; i < N_TEST; i++) {
        next[i] = argmax(floats(f, "", N_TRAIN + i, "logits"), f->V);
        said[i] = argmax(floats(f, "exact", N_TRAIN + i, "lre.logits"), f->V);
        hits += next[i] == said[i];
    }
    for (int i = 0; i < N_TEST; i++)
        for (int j = 0; j < N_TEST; j++)
            pairings += i != j && said[i] == next[j];
    for (int i = 0; i < 2; i++)
        assert_ok(f->ctx, va_relation_evaluate(f->model, f->arena, &params, &pairs, &r[i], &x[i]));
    assert_memory_equal(&x[0], &x[1], sizeof x[0]); // the same bits again
    assert_true(fabs(x[0].says_next[VA_RELATION_LRE].rate - hits / 3.0) < 1e-15);
    assert_true(fabs(x[0].says_next[VA_RELATION_SHUFFLED].rate - pairings / 6.0) < 1e-15);
    assert_int_equal(x[0].rank, RANK);
    assert_true(x[0].beta == 1.5 && isnan(x[0].model_right.rate));
    for (int i = 0; i < VA_RELATION_DECODERS; i++)
        assert_int_equal(x[0].says_next[i].n, N_TEST);
    for (int i = 0; i < VA_RELATION_EDITS; i++)
        assert_int_equal(x[0].causal[i].n, N_TEST);
    va_relation_free(&r[0]);
    va_relation_free(&r[1]);
    close_model(f);
}

static void test_refusals(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    va_relation_params params = {.layer = 3};
    va_relation r;
    va_relation_data data = {0};
    va_relation_pairs pairs;
    assert_error(f->ctx, VA_ERR_USAGE, "a relation at layer 3: expected 0 to 2",
                 va_relation_fit(f->model, f->arena, &params, f->pairs, N_TRAIN, &r));
    params.layer = 0;
    assert_error(f->ctx, VA_ERR_USAGE, "expected at least one pair, got 0",
                 va_relation_fit(f->model, f->arena, &params, f->pairs, 0, &r));
    assert_error(f->ctx, VA_ERR_USAGE, "pair 0: expected a subject within a prompt",
                 va_relation_run(f->model, 0, &(va_relation_pair){.seq_len = 3, .subject = 3}, 1,
                                 NULL, NULL, NULL, NULL));
    assert_error(f->ctx, VA_ERR_USAGE, "has no tokenizer.json, which a relation needs",
                 va_relation_tokenize(f->model, f->arena, &data, &pairs));
    close_model(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torch),    cmocka_unit_test(test_leave_out),
        cmocka_unit_test(test_rates),    cmocka_unit_test(test_targets),
        cmocka_unit_test(test_evaluate), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("relation operator", tests, setup, teardown);
}
