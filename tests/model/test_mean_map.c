// The mean Jacobian over prompts: against torch, against its parts, its SVD, its memory.
// SPDX-License-Identifier: Apache-2.0
// libs: va_svd va_model
#include "test_gpu.h"

#include "vkalign/model.h"
#include "vkalign/svd.h"

#include <math.h>

// DESIGN section 7 for Jacobians; sums of some hundred f32 terms on both sides of the adjoint.
static const double JACOBIAN_TOLERANCE = 1e-4, ADJOINT_TOLERANCE = 1e-5, VALUE_TOLERANCE = 1e-4;

enum { N_ALL = 8, N_TRAIN = 5 };

typedef struct fixture {
    va_ctx *ctx;
    va_gpu *gpu;
    va_arena *arena;
    va_model *model;
    va_safetensors *expected;
    va_mean_prompt prompts[N_ALL];
    int64_t d;
} fixture;

static int64_t int_at(const va_file_tensor *t, int64_t i) {
    int64_t v;
    memcpy(&v, (const uint8_t *)t->data + 8 * i, sizeof v);
    return v;
}

static const float *expected(fixture *f, const char *name) {
    const va_file_tensor *t = va_safetensors_find(f->expected, name);
    if (!t)
        fail_msg("the fixture lacks %s", name);
    float *x = VA_NEW_ARRAY(f->arena, float, t->n_elem);
    va_convert_to_f32(x, t->data, t->dtype, t->n_elem);
    return x;
}

static void load_prompts(fixture *f) {
    const va_file_tensor *at = va_safetensors_find(f->expected, "subjects");
    assert_non_null(at);
    assert_int_equal(at->n_elem, N_ALL);
    for (int64_t i = 0; i < N_ALL; i++) {
        char name[32];
        snprintf(name, sizeof name, "p%lld.ids", (long long)i);
        const va_file_tensor *t = va_safetensors_find(f->expected, name);
        assert_non_null(t);
        int32_t *ids = VA_NEW_ARRAY(f->arena, int32_t, t->n_elem);
        for (int64_t j = 0; j < t->n_elem; j++)
            ids[j] = (int32_t)int_at(t, j);
        const int64_t subject = int_at(at, i); // the concept: it and the token before
        f->prompts[i] = (va_mean_prompt){.ids = ids,
                                         .seq_len = t->n_elem,
                                         .concept_first = VA_MAX(subject - 1, 0),
                                         .concept_count = subject > 0 ? 2 : 1};
    }
}

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

static void open_model(fixture *f, const char *name) {
    char path[VA_TEST_PATH], file[64];
    snprintf(file, sizeof file, "relation/%s.safetensors", name);
    assert_ok(f->ctx, va_safetensors_open(f->ctx, va_test_fixture(path, file), &f->expected));
    assert_ok(f->ctx, va_model_open(f->ctx, va_test_fixture(path, name), &f->model));
    assert_ok(f->ctx, va_model_attach(f->model, f->gpu));
    f->d = va_model_config(f->model)->d_model;
    load_prompts(f);
}

static void close_model(fixture *f) {
    va_model_close(&f->model);
    va_safetensors_close(&f->expected);
}

static va_site site(fixture *f, const char *text) {
    va_site s;
    assert_ok(f->ctx, va_site_parse(f->ctx, text, va_model_config(f->model)->n_layer, &s));
    return s;
}

static va_mean_params mean_params(fixture *f, va_mode mode, va_mean_keep keep) {
    return (va_mean_params){.prompts = f->prompts,
                            .n_prompts = N_TRAIN,
                            .from = site(f, "resid:1@concept"),
                            .to = site(f, "resid:3@last"),
                            .mode = mode,
                            .keep = keep};
}

static va_mean_map *make_mean(fixture *f, const va_mean_params *params) {
    va_mean_map *mean;
    assert_ok(f->ctx, va_mean_map_create(f->model, params, &mean));
    return mean;
}

static float *dense(fixture *f, va_linmap *map) {
    const va_linmap_shape s = va_linmap_get_shape(map);
    float *A = VA_NEW_ARRAY(f->arena, float, s.T_in *s.d_in *s.T_out *s.d_out);
    assert_ok(f->ctx, va_linmap_dense(map, A));
    return A;
}

// -- against torch --------------------------------------------------------------------------------

static const char *mode_name(va_mode mode) {
    return mode == VA_EXACT ? "exact" : "detached";
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static void check_adjoint(fixture *f, va_linmap *map) {
    va_rng r = va_rng_make(3, 0);
    float *x = VA_NEW_ARRAY(f->arena, float, 4 * f->d), *y = x + f->d, *Ax = y + f->d;
    float *Aty = Ax + f->d;
    for (int64_t i = 0; i < 2 * f->d; i++)
        x[i] = (float)va_rng_normal(&r);
    assert_ok(f->ctx, va_linmap_apply_host(map, x, 1, Ax));
    assert_ok(f->ctx, va_linmap_apply_t_host(map, y, 1, Aty));
    const double size = sqrt(dot(Ax, Ax, f->d) * dot(y, y, f->d));
    assert_true(size > 0 && fabs(dot(Ax, y, f->d) - dot(Aty, x, f->d)) <= ADJOINT_TOLERANCE * size);
}

static void check_means(fixture *f, va_mean_map *mean, const float *b_expected) {
    float *x = VA_NEW_ARRAY(f->arena, float, 3 * f->d), *y = x + f->d, *b = y + f->d;
    double *s = VA_NEW_ARRAY(f->arena, double, 2 * f->d), *o = s + f->d;
    assert_ok(f->ctx, va_mean_map_means(mean, x, y, b));
    float *again = VA_NEW_ARRAY(f->arena, float, 2 * f->d); // without b
    assert_ok(f->ctx, va_mean_map_means(mean, again, again + f->d, NULL));
    assert_memory_equal(again, x, (size_t)(2 * f->d) * sizeof *x);
    for (int i = 0; i < N_TRAIN; i++) {
        char name[2][16];
        snprintf(name[0], sizeof name[0], "p%d.s", i);
        snprintf(name[1], sizeof name[1], "p%d.o", i);
        const float *one_s = expected(f, name[0]), *one_o = expected(f, name[1]);
        for (int64_t j = 0; j < f->d; j++)
            s[j] += one_s[j] / (double)N_TRAIN, o[j] += one_o[j] / (double)N_TRAIN;
    }
    assert_true(va_test_max_error(x, s, f->d) <= VALUE_TOLERANCE);
    assert_true(va_test_max_error(y, o, f->d) <= VALUE_TOLERANCE);
    assert_true(va_test_max_error_f32(b, b_expected, f->d) <= VALUE_TOLERANCE);
}

static void check_against_torch(fixture *f, const char *name, va_mode mode, va_mean_keep keep) {
    char key[2][32];
    open_model(f, name);
    snprintf(key[0], sizeof key[0], "%s.W", mode_name(mode));
    snprintf(key[1], sizeof key[1], "%s.b", mode_name(mode));
    const va_mean_params params = mean_params(f, mode, keep);
    va_mean_map *mean = make_mean(f, &params);
    va_linmap *map = va_mean_map_linmap(mean);
    const double error =
        va_test_frobenius_error_f32(dense(f, map), expected(f, key[0]), f->d * f->d);
    if (!(error <= JACOBIAN_TOLERANCE))
        fail_msg("%s %s: error %.3g", name, key[0], error);
    check_adjoint(f, map);
    check_means(f, mean, expected(f, key[1]));
    // lengths and subjects: (7, 2) twice, (5, 1) twice, (7, 4)
    assert_int_equal(va_mean_map_resident(mean), keep != VA_MEAN_KEEP_NONE);
    assert_int_equal(va_mean_map_graph_count(mean), keep == VA_MEAN_KEEP_NONE ? 3 : N_TRAIN);
    va_mean_map_destroy(&mean);
    close_model(f);
}

static void test_torch(void **state) {
    static const char *const models[] = {"gemma3-plain", "gpt2-plain"};
    for (int m = 0; m < 2; m++)
        for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++) {
            check_against_torch(*state, models[m], (va_mode)mode, VA_MEAN_KEEP_AUTO);
            check_against_torch(*state, models[m], (va_mode)mode, VA_MEAN_KEEP_NONE);
        }
}

// -- against its parts ----------------------------------------------------------------------------

// The mean of the prompts' own Jacobians, in double.
static double *mean_of_parts(fixture *f, const va_mean_params *p, int64_t n_elem) {
    double *sum = VA_NEW_ARRAY(f->arena, double, n_elem);
    for (int64_t i = 0; i < p->n_prompts; i++) {
        const va_mean_prompt *q = &p->prompts[i];
        va_site sites[] = {p->from, p->to};
        va_prompt *prompt;
        va_linmap *map;
        sites[0].position = VA_POS_INDEX;
        sites[0].index = q->concept_first + q->concept_count - 1;
        const va_prompt_params params = {.ids = q->ids,
                                         .seq_len = q->seq_len,
                                         .sites = sites,
                                         .n_sites = 2,
                                         .derivatives = true};
        assert_ok(f->ctx, va_prompt_create(f->model, &params, &prompt));
        assert_ok(f->ctx, va_prompt_linmap(prompt, 0, 1, p->mode, NULL, &map));
        const float *J = dense(f, map);
        for (int64_t j = 0; j < n_elem; j++)
            sum[j] += J[j] / (double)p->n_prompts;
        va_linmap_destroy(&map);
        va_prompt_destroy(&prompt);
    }
    return sum;
}

// All positions that a mean may have; both ways of keeping give the same bits.
static void test_parts(void **state) {
    fixture *f = *state;
    static const char *const targets[] = {"resid:3@mean", "norm:2@-1", "logits@last", "mlp:1@last"};
    open_model(f, "gemma3-plain");
    for (int64_t t = 0; t < VA_COUNT(targets); t++) {
        va_mean_params params = mean_params(f, VA_EXACT, VA_MEAN_KEEP_ALL);
        params.to = site(f, targets[t]);
        params.n_prompts = N_ALL;
        va_mean_map *all = make_mean(f, &params);
        params.keep = VA_MEAN_KEEP_NONE;
        va_mean_map *none = make_mean(f, &params);
        const va_linmap_shape s = va_linmap_get_shape(va_mean_map_linmap(all));
        const int64_t n = s.d_in * s.d_out;
        const float *A = dense(f, va_mean_map_linmap(all));
        assert_memory_equal(A, dense(f, va_mean_map_linmap(none)), (size_t)n * sizeof *A);
        // again, after other ids went through the graphs
        assert_memory_equal(A, dense(f, va_mean_map_linmap(none)), (size_t)n * sizeof *A);
        assert_true(va_test_frobenius_error(A, mean_of_parts(f, &params, n), n) <= 1e-6);
        va_mean_map_destroy(&all);
        va_mean_map_destroy(&none);
    }
    close_model(f);
}

// -- singular values ------------------------------------------------------------------------------

static void check_sigma(fixture *f, va_linmap *map, va_svd_method method, const float *sigma) {
    enum { K = 6 };
    va_svd_result r;
    assert_ok(f->ctx, va_svd(f->ctx, f->arena, map,
                             &(va_svd_params){.k = K, .method = method, .tolerance = 1e-5}, &r));
    assert_true(r.converged);
    for (int64_t j = 0; j < K; j++)
        if (!(fabs(r.sigma[j] - sigma[j]) <= 1e-4 * sigma[j]))
            fail_msg("sigma %lld: expected %g, got %g", (long long)j, sigma[j], r.sigma[j]);
}

static void test_svd(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    const va_mean_params params = mean_params(f, VA_EXACT, VA_MEAN_KEEP_NONE);
    va_mean_map *mean = make_mean(f, &params);
    va_linmap *map = va_mean_map_linmap(mean);
    check_sigma(f, map, VA_SVD_SUBSPACE, expected(f, "exact.sigma"));
    check_sigma(f, map, VA_SVD_DENSE, expected(f, "exact.sigma"));
    va_mean_map_destroy(&mean);
    close_model(f);
}

// -- refusals and memory --------------------------------------------------------------------------

static void refuse(fixture *f, va_mean_params params, va_status st, const char *text) {
    va_mean_map *mean;
    assert_error(f->ctx, st, text, va_mean_map_create(f->model, &params, &mean));
    assert_null(mean);
}

static void test_refusals(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    const va_mean_params good = mean_params(f, VA_EXACT, VA_MEAN_KEEP_AUTO);
    va_mean_params p = good;
    p.from = site(f, "resid:1@all");
    refuse(f, p, VA_ERR_USAGE, "prompt 0: a mean over prompts: expected one position, got resid:1");
    p.from = site(f, "resid:1@mean");
    refuse(f, p, VA_ERR_USAGE, "expected one position, got resid:1@mean");
    p.from = site(f, "resid:1@6");
    refuse(f, p, VA_ERR_USAGE, "prompt 1: site resid:1@6 is outside the prompt of 5 tokens");
    p.from = site(f, "norm:3@last");
    refuse(f, p, VA_ERR_USAGE, "norm:3@4 does not come before resid:3");
    p = good;
    p.to = site(f, "resid:3@all");
    refuse(f, p, VA_ERR_USAGE, "expected one position or @mean, got resid:3@all");
    p = good;
    p.n_prompts = 0;
    refuse(f, p, VA_ERR_USAGE, "expected at least one, got 0");
    va_mean_prompt list[2] = {f->prompts[0], f->prompts[1]};
    p = good;
    p.prompts = list, p.n_prompts = 2;
    list[1].concept_count = 0;
    refuse(f, p, VA_ERR_USAGE, "prompt 1: site resid:1@concept: the concept's name is not");
    const int32_t wrong[] = {1, 2, 1000};
    list[1] = (va_mean_prompt){.ids = wrong, .seq_len = 3, .concept_count = 1};
    refuse(f, p, VA_ERR_USAGE, "prompt 1: token 2 has id 1000");
    close_model(f);
}

// What is refused is what it says; less memory: fewer vectors, then shared graphs, then a refusal.
static void test_memory(void **state) {
    fixture *f = *state;
    open_model(f, "gemma3-plain");
    va_map_budget budget = {0};
    va_mean_params p = mean_params(f, VA_EXACT, VA_MEAN_KEEP_ALL);
    p.budget = &budget;
    va_mean_map *mean = make_mean(f, &p);
    const int64_t all = va_mean_map_planned_bytes(mean);
    const int64_t k = va_linmap_max_k(va_mean_map_linmap(mean));
    va_mean_map_destroy(&mean);
    budget.memory_bytes = all - 1;
    mean = make_mean(f, &p);
    assert_true(va_linmap_max_k(va_mean_map_linmap(mean)) < k);
    assert_true(va_mean_map_planned_bytes(mean) < all);
    va_mean_map_destroy(&mean);
    p.keep = VA_MEAN_KEEP_AUTO; // all of them need more than half
    mean = make_mean(f, &p);
    assert_false(va_mean_map_resident(mean));
    va_mean_map_destroy(&mean);
    p.keep = VA_MEAN_KEEP_ALL;
    budget.memory_bytes = all / 12; // enough for one of them with a vector
    refuse(f, p, VA_ERR_MEMORY, "a mean over 5 prompts with 5 graphs: expected");
    close_model(f);
}

// What is taken is what was planned, within 5 % and the alignment of this model's small tensors.
static void test_peak(void **state) {
    fixture *f = *state;
    for (int keep = VA_MEAN_KEEP_ALL; keep <= VA_MEAN_KEEP_NONE; keep++) {
        va_gpu *own = va_test_gpu(f->ctx), *shared = f->gpu;
        f->gpu = own;
        open_model(f, "gemma3-plain");
        const va_mean_params p = mean_params(f, VA_EXACT, (va_mean_keep)keep);
        va_mean_map *mean = make_mean(f, &p);
        dense(f, va_mean_map_linmap(mean));
        const double planned = (double)va_mean_map_planned_bytes(mean);
        const double peak = (double)va_gpu_get_memory(own).peak_bytes;
        const double small = 65536.0 * (double)va_mean_map_graph_count(mean);
        if (!(fabs(peak - planned) <= 0.05 * peak + small))
            fail_msg("planned %.0f bytes, taken %.0f", planned, peak);
        va_mean_map_destroy(&mean);
        close_model(f);
        f->gpu = shared;
        va_test_gpu_close(&own);
    }
}

static void test_interrupt(void **state) {
    (void)state;
    fixture f = {.ctx = va_test_ctx(), .arena = va_arena_create()};
    f.gpu = va_test_gpu(f.ctx);
    open_model(&f, "gemma3-plain");
    const va_mean_params p = mean_params(&f, VA_EXACT, VA_MEAN_KEEP_NONE);
    va_mean_map *mean = make_mean(&f, &p);
    float *x = VA_NEW_ARRAY(f.arena, float, 2 * f.d);
    va_interrupt(f.ctx);
    assert_int_equal(va_linmap_apply_host(va_mean_map_linmap(mean), x, 1, x + f.d),
                     VA_ERR_INTERRUPTED);
    assert_int_equal(va_mean_map_means(mean, x, NULL, NULL), VA_ERR_INTERRUPTED);
    va_mean_map_destroy(&mean);
    assert_int_equal(va_mean_map_create(f.model, &p, &mean), VA_ERR_INTERRUPTED);
    close_model(&f);
    va_test_gpu_close(&f.gpu);
    va_arena_destroy(&f.arena);
    va_ctx_destroy(&f.ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torch),     cmocka_unit_test(test_parts),
        cmocka_unit_test(test_svd),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory),    cmocka_unit_test(test_peak),
        cmocka_unit_test(test_interrupt),
    };
    return cmocka_run_group_tests_name("mean map", tests, setup, teardown);
}
