// Directions before they are computed: what they take, and what is refused.
// libs: va_read
// SPDX-License-Identifier: Apache-2.0
#include "read_fixture.h"

#include "vkalign/read_direction.h"

static va_site site_of(const char *text) {
    va_site site;
    assert_ok(env.ctx, va_site_parse(env.ctx, text, 3, &site));
    return site;
}

static const va_mean_prompt usual[2] = {
    {.ids = usual_ids, .seq_len = T, .concept_first = 1, .concept_count = 2},
    {.ids = usual_ids, .seq_len = T - 2, .concept_first = 2, .concept_count = 1}};

static va_map_direction_params params_of(const char *from, const char *to, va_map_reduce reduce) {
    return (va_map_direction_params){.prompts = usual,
                                     .n_prompts = 1,
                                     .from = site_of(from),
                                     .to = site_of(to),
                                     .reduce = reduce};
}

// -- what it takes --------------------------------------------------------------------------------

static va_model *open_plain(va_gpu *gpu) {
    char dir[VA_TEST_PATH];
    va_model *model;
    assert_ok(env.ctx, va_model_open(env.ctx, va_test_fixture(dir, "gemma3-plain"), &model));
    if (gpu)
        assert_ok(env.ctx, va_model_attach(model, gpu));
    return model;
}

typedef struct taken {
    int64_t peak_bytes;
    va_map_direction r; // its arrays are gone
} taken;

static taken run_alone(const va_map_direction_params *p) {
    taken t;
    va_gpu *gpu = va_test_gpu(env.ctx);
    va_model *model = open_plain(gpu);
    va_arena *arena = va_arena_create();
    assert_ok(env.ctx, va_read_map_direction(model, arena, p, &t.r));
    t.peak_bytes = va_gpu_get_memory(gpu).peak_bytes;
    va_arena_destroy(&arena);
    va_model_close(&model);
    va_test_gpu_close(&gpu);
    return t;
}

typedef struct work {
    double forward, apply, apply_t; // of k vectors
    int64_t k;
} work;

static work work_of(va_model *model, const va_map_direction_params *p, int64_t k) {
    const va_site sites[] = {p->from, p->to};
    const va_map_budget b = {.max_k = k, .min_k = 1};
    const va_prompt_params params = {.ids = usual_ids,
                                     .seq_len = T,
                                     .sites = sites,
                                     .n_sites = 2,
                                     .derivatives = true,
                                     .modes = 1u << p->mode};
    va_graph_cost forward;
    va_map_plan both, apply;
    assert_ok(env.ctx, va_prompt_plan(model, &params, &forward, NULL));
    assert_ok(env.ctx, va_prompt_plan_map(model, &params, 0, 1, p->mode, VA_MAP_APPLY, &b, &both));
    assert_ok(env.ctx,
              va_prompt_plan_map(model, &params, 0, 1, p->mode, VA_MAP_FORWARD, &b, &apply));
    return (work){forward.flop, apply.flop, both.flop - apply.flop, both.k};
}

// One vector: no more bytes than planned, for a map that goes both ways; the work of one way.
static void check_vector_plan(va_model *model, const va_map_direction_params *p) {
    const char *name = va_map_reduce_name(p->reduce);
    double flop;
    int64_t bytes;
    assert_ok(env.ctx, va_read_map_direction_plan(model, p, &flop, &bytes));
    const taken t = run_alone(p);
    if (t.peak_bytes > bytes || (double)t.peak_bytes < 0.8 * (double)bytes)
        fail_msg("%s: planned %lld bytes, taken %lld", name, (long long)bytes,
                 (long long)t.peak_bytes);
    const work w = work_of(model, p, 1);
    const double expected = w.forward + (p->reduce == VA_REDUCE_JX ? w.apply : w.apply_t);
    expect_close(name, flop, expected, 1e-12);
}

// A frame: bytes within 5 %; the work of as many vectors as really went through the map, within a
// factor of two.
static void check_frame_plan(va_model *model, const va_map_direction_params *p) {
    const char *name = va_map_reduce_name(p->reduce);
    double flop;
    int64_t bytes;
    assert_ok(env.ctx, va_read_map_direction_plan(model, p, &flop, &bytes));
    const taken t = run_alone(p);
    if (!(fabs((double)(bytes - t.peak_bytes)) <= 0.05 * (double)t.peak_bytes))
        fail_msg("%s: planned %lld bytes, taken %lld", name, (long long)bytes,
                 (long long)t.peak_bytes);
    const work w = work_of(model, p, 16);
    const double expected = w.forward + (w.apply + w.apply_t) * (double)t.r.vectors / 2 / 16;
    assert_int_equal(w.k, 16);
    if (!(flop >= 0.5 * expected && flop <= 2 * expected))
        fail_msg("%s: planned %.4g flop, expected about %.4g", name, flop, expected);
}

static void test_plans(void **state) {
    (void)state;
    va_model *model = open_plain(NULL);
    va_map_direction_params p = params_of("embed@all", "norm:3@last", VA_REDUCE_JX);
    check_vector_plan(model, &p);
    p = params_of("embed@all", "logits@last", VA_REDUCE_GRADIENT);
    p.mode = VA_DETACHED;
    check_vector_plan(model, &p);
    p = params_of("embed@all", "norm:3@last", VA_REDUCE_LEFT);
    p.rank = 4;
    check_frame_plan(model, &p);
    p = params_of("resid:1@last", "logits@last", VA_REDUCE_RIGHT);
    check_frame_plan(model, &p);
    va_model_close(&model);
}

// Of several prompts: what the mean takes; all is done again where prompts are not kept.
static void test_mean_plans(void **state) {
    (void)state;
    va_model *model = open_plain(NULL);
    va_map_direction_params p = params_of("resid:1@concept", "norm:3@last", VA_REDUCE_JX);
    double all, none, forward = 0, apply = 0;
    int64_t all_bytes, none_bytes;
    for (int i = 0; i < 2; i++) { // one position each, as a mean takes them
        va_map_direction_params one = p;
        one.prompts = &usual[i];
        one.from = site_of("resid:1@2");
        double flop;
        int64_t bytes;
        assert_ok(env.ctx, va_read_map_direction_plan(model, &one, &flop, &bytes));
        apply += flop;
    }
    p.n_prompts = 2;
    p.keep = VA_MEAN_KEEP_ALL;
    assert_ok(env.ctx, va_read_map_direction_plan(model, &p, &all, &all_bytes));
    expect_close("kept", all, apply, 1e-12);
    p.keep = VA_MEAN_KEEP_NONE;
    assert_ok(env.ctx, va_read_map_direction_plan(model, &p, &none, &none_bytes));
    va_mean_params mean = {.prompts = usual,
                           .n_prompts = 2,
                           .from = p.from,
                           .to = p.to,
                           .keep = VA_MEAN_KEEP_NONE,
                           .budget = &(va_map_budget){.max_k = 1}};
    va_mean_plan plan;
    assert_ok(env.ctx, va_mean_map_plan(model, &mean, &plan));
    forward = plan.forward_flop;
    expect_close("not kept", none, all + forward, 1e-12);
    assert_true(!plan.resident && plan.k == 1 && plan.rows == 32 && plan.columns == 32);
    assert_int_equal(none_bytes, plan.peak_bytes);
    assert_true(plan.apply_flop > 0 && plan.apply_t_flop > 0);
    // with a device, and as va_mean_map_create plans it
    fixture f;
    va_mean_map *map;
    open_fixture(&f, "gemma3-plain");
    assert_ok(env.ctx, va_mean_map_create(f.model, &mean, &map));
    assert_int_equal(va_mean_map_planned_bytes(map), plan.peak_bytes);
    va_mean_map_destroy(&map);
    mean.from = site_of("resid:1@all");
    assert_error(env.ctx, VA_ERR_USAGE, "expected one position, got resid:1@all",
                 va_mean_map_plan(model, &mean, &plan));
    close_fixture(&f);
    va_model_close(&model);
}

// -- what is refused ------------------------------------------------------------------------------

// By the plan too, unless numbers alone tell.
static void refuse(fixture *f, const va_map_direction_params *p, va_status st, const char *text,
                   bool by_plan) {
    va_map_direction out;
    double flop;
    int64_t bytes;
    assert_error(env.ctx, st, text, va_read_map_direction(f->model, f->arena, p, &out));
    if (by_plan)
        assert_error(env.ctx, st, text, va_read_map_direction_plan(f->model, p, &flop, &bytes));
    else
        assert_ok(env.ctx, va_read_map_direction_plan(f->model, p, &flop, &bytes));
}

static void test_gradients_refused(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f, "gemma3-plain");
    va_map_direction_params p = params_of("embed@all", "norm:3@last", VA_REDUCE_GRADIENT);
    refuse(&f, &p, VA_ERR_USAGE, "expected a target at logits, got norm:3@last", true);
    p.to = site_of("logits@last");
    p.token = 100;
    refuse(&f, &p, VA_ERR_USAGE, "token 100 is outside the vocabulary, expected 0 to 99", true);
    p.token = -1;
    refuse(&f, &p, VA_ERR_USAGE, "token -1 is outside", true);
    p.token = 5, p.has_versus = true, p.versus = 100;
    refuse(&f, &p, VA_ERR_USAGE, "token 100 is outside", true);
    p.versus = 5;
    refuse(&f, &p, VA_ERR_USAGE, "token 5 versus itself", true);
    p.has_versus = false;
    p.from = site_of("norm:3@last");
    p.to = site_of("logits:2@last");
    refuse(&f, &p, VA_ERR_USAGE, "norm:3@last does not come before logits:2@last", true);
    p = params_of("embed@5", "logits@2", VA_REDUCE_GRADIENT); // a later token
    refuse(&f, &p, VA_ERR_NUMERIC, "gradient is zero: at these tokens the target does not", false);
    close_fixture(&f);
}

static void test_pullbacks_refused(void **state) {
    (void)state;
    fixture f;
    float w[32] = {0};
    open_fixture(&f, "gemma3-plain");
    va_map_direction_params p = params_of("embed@all", "norm:3@last", VA_REDUCE_PULLBACK);
    refuse(&f, &p, VA_ERR_USAGE, "expected a direction w", true);
    p.w = w, p.n_w = 31;
    refuse(&f, &p, VA_ERR_SHAPE, "expected w of the width of norm:3@last, 32, got 31", true);
    p.n_w = 32;
    refuse(&f, &p, VA_ERR_NUMERIC, "w is zero", true);
    w[3] = NAN;
    refuse(&f, &p, VA_ERR_NUMERIC, "w holds NaN or infinity at index 3", true);
    w[3] = 1;
    p.from = site_of("embed@4"), p.to = site_of("norm:3@1");
    refuse(&f, &p, VA_ERR_NUMERIC, "embed@4 -> norm:3@1 (exact): pullback is zero", false);
    p.reduce = VA_REDUCE_JX;
    refuse(&f, &p, VA_ERR_NUMERIC, "jx is zero", false);
    close_fixture(&f);
}

static void test_frames_refused(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f, "gemma3-plain");
    va_map_direction_params p = params_of("embed@all", "norm:3@last", VA_REDUCE_RIGHT);
    refuse(&f, &p, VA_ERR_USAGE,
           "right singular vectors are directions at `from`: expected one position there, got "
           "embed@all with 7 tokens",
           true);
    p = params_of("embed@last", "norm:3@all", VA_REDUCE_LEFT);
    refuse(&f, &p, VA_ERR_USAGE, "left singular vectors are directions at `to`", true);
    p.reduce = VA_REDUCE_RIGHT, p.rank = 33;
    refuse(&f, &p, VA_ERR_USAGE, "right: rank 33 exceeds the map's 32 singular values", true);
    p.rank = -1;
    refuse(&f, &p, VA_ERR_USAGE, "right: expected a rank of 1 or more, got -1", true);
    p.reduce = VA_REDUCE_JX, p.rank = 2;
    refuse(&f, &p, VA_ERR_USAGE, "jx: expected a rank of 1, got 2", true);
    p = params_of("embed@5", "norm:3@2", VA_REDUCE_RIGHT);
    refuse(&f, &p, VA_ERR_NUMERIC, "expected 1 singular values above rounding, got 0", false);
    p = params_of("embed@mean", "norm:3@last", VA_REDUCE_LEFT);
    refuse(&f, &p, VA_ERR_USAGE, "expected positions, not a mean", true);
    p.reduce = VA_REDUCE_COUNT;
    refuse(&f, &p, VA_ERR_USAGE, "no reduction", true);
    p.reduce = VA_REDUCE_JX, p.mode = (va_mode)7;
    refuse(&f, &p, VA_ERR_USAGE, "no reduction 0 or mode 7", true);
    close_fixture(&f);
}

// Too few steps: no error, and the residuals say so.
static void test_not_converged(void **state) {
    (void)state;
    fixture f;
    va_map_direction r;
    open_fixture(&f, "gemma3-plain");
    va_map_direction_params p = params_of("embed@all", "norm:3@last", VA_REDUCE_LEFT);
    p.rank = 3, p.max_iterations = 1, p.tolerance = 1e-6;
    assert_ok(env.ctx, va_read_map_direction(f.model, f.arena, &p, &r));
    double worst = 0;
    for (int64_t j = 0; j < r.rank; j++)
        worst = fmax(worst, r.residual[j]);
    assert_true(!r.converged && r.tolerance == 1e-6 && worst > 1e-6 * r.sigma[0]);
    close_fixture(&f);
}

static void test_names(void **state) {
    (void)state;
    for (int i = 0; i < VA_REDUCE_COUNT; i++)
        assert_true(strlen(va_map_reduce_orientation((va_map_reduce)i)) > 10);
    assert_true(va_map_reduce_at_from(VA_REDUCE_RIGHT) && !va_map_reduce_at_from(VA_REDUCE_LEFT));
    assert_true(va_map_reduce_at_from(VA_REDUCE_GRADIENT) && !va_map_reduce_at_from(VA_REDUCE_JX));
    assert_true(va_map_reduce_is_frame(VA_REDUCE_LEFT) && !va_map_reduce_is_frame(VA_REDUCE_JX));
    assert_string_equal(va_map_reduce_name(VA_REDUCE_COUNT), "(unknown)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_mean_plans),
        cmocka_unit_test(test_gradients_refused),
        cmocka_unit_test(test_pullbacks_refused),
        cmocka_unit_test(test_frames_refused),
        cmocka_unit_test(test_not_converged),
        cmocka_unit_test(test_names),
    };
    return run_read_tests(tests, (size_t)VA_COUNT(tests));
}
