// Directions of a mean map over prompts: against torch's mean Jacobians and the prompts' own.
// libs: va_read
// SPDX-License-Identifier: Apache-2.0
#include "direction_check.h"

enum { N_TRAIN = 5 };

typedef struct prompts {
    fixture f;
    va_safetensors *expected;
    va_mean_prompt list[N_TRAIN];
} prompts;

static int64_t int_of(va_safetensors *file, const char *name, int64_t i) {
    const va_file_tensor *t = va_safetensors_find(file, name);
    int64_t v;
    assert_true(t && i < t->n_elem);
    memcpy(&v, (const uint8_t *)t->data + 8 * i, sizeof v);
    return v;
}

static void open_prompts(prompts *p, const char *folder) {
    char path[VA_TEST_PATH], file[64], name[32];
    open_fixture(&p->f, folder);
    snprintf(file, sizeof file, "relation/%s.safetensors", folder);
    assert_ok(env.ctx, va_safetensors_open(env.ctx, va_test_fixture(path, file), &p->expected));
    for (int64_t i = 0; i < N_TRAIN; i++) {
        snprintf(name, sizeof name, "p%lld.ids", (long long)i);
        const int64_t n = va_safetensors_find(p->expected, name)->n_elem;
        const int64_t subject = int_of(p->expected, "subjects", i);
        int32_t *ids = VA_NEW_ARRAY(p->f.arena, int32_t, n);
        for (int64_t j = 0; j < n; j++)
            ids[j] = (int32_t)int_of(p->expected, name, j);
        // the concept: the subject and the token before
        p->list[i] = (va_mean_prompt){
            .ids = ids, .seq_len = n, .concept_first = subject - 1, .concept_count = 2};
    }
}

static void close_prompts(prompts *p) {
    va_safetensors_close(&p->expected);
    close_fixture(&p->f);
}

static va_site site_of(const char *text) {
    va_site site;
    assert_ok(env.ctx, va_site_parse(env.ctx, text, 3, &site));
    return site;
}

static va_map_direction_params params_of(prompts *p, const char *to, va_mode mode) {
    return (va_map_direction_params){.prompts = p->list,
                                     .n_prompts = N_TRAIN,
                                     .from = site_of("resid:1@concept"),
                                     .to = site_of(to),
                                     .mode = mode};
}

// The mean of p0.WHAT, p1.WHAT, ...
static const float *mean_value(prompts *p, const char *what) {
    float *mean = VA_NEW_ARRAY(p->f.arena, float, p->f.d);
    for (int i = 0; i < N_TRAIN; i++) {
        char name[32];
        snprintf(name, sizeof name, "p%d.%s", i, what);
        const float *x = tensor_of(&p->f, p->expected, name, p->f.d);
        for (int64_t j = 0; j < p->f.d; j++)
            mean[j] += x[j] / N_TRAIN;
    }
    return mean;
}

static void check_model(const char *folder, va_mode mode, va_mean_keep keep) {
    prompts p;
    open_prompts(&p, folder);
    const int64_t d = p.f.d;
    const char *key = mode == VA_EXACT ? "exact.W" : "detached.W";
    va_map_direction_params params = params_of(&p, "resid:3@last", mode);
    params.keep = keep;
    const expectation e = {.name = key,
                           .arena = p.f.arena,
                           .J = tensor_of(&p.f, p.expected, key, d * d),
                           .x = mean_value(&p, "s"),
                           .y = mean_value(&p, "o"),
                           .T_in = 1,
                           .d_in = d,
                           .T_out = 1,
                           .d_out = d};
    check_reductions(&e, p.f.model, &params);
    close_prompts(&p);
}

static void test_torch(void **state) {
    (void)state;
    check_model("gemma3-plain", VA_EXACT, VA_MEAN_KEEP_AUTO);
    check_model("gemma3-plain", VA_DETACHED, VA_MEAN_KEEP_NONE);
    check_model("gpt2-plain", VA_EXACT, VA_MEAN_KEEP_AUTO);
    check_model("gpt2-plain", VA_DETACHED, VA_MEAN_KEEP_AUTO);
}

typedef struct row_mean {
    float *J;
    int64_t n;
} row_mean;

static va_status add_rows(void *user, int64_t first, int64_t count, const float *rows) {
    row_mean *to = user;
    for (int64_t i = 0; i < count * to->n; i++)
        to->J[first * to->n + i] += rows[i] / N_TRAIN;
    return VA_OK;
}

// [d_out, d], the mean of the explicit Jacobians.
static const float *mean_matrix(prompts *p, const va_map_direction_params *params, int64_t d_out) {
    row_mean mean = {VA_NEW_ARRAY(p->f.arena, float, d_out * p->f.d), p->f.d};
    for (int i = 0; i < N_TRAIN; i++) {
        const va_mean_prompt *one = &params->prompts[i];
        va_site sites[] = {params->from, params->to};
        va_prompt *prompt;
        sites[0].position = VA_POS_INDEX;
        sites[0].index = one->concept_first + one->concept_count - 1;
        const va_prompt_params q = {.ids = one->ids,
                                    .seq_len = one->seq_len,
                                    .sites = sites,
                                    .n_sites = 2,
                                    .derivatives = true};
        assert_ok(env.ctx, va_prompt_create(p->f.model, &q, &prompt));
        assert_ok(env.ctx, va_prompt_rows(prompt, 0, 1, params->mode, NULL, add_rows, &mean));
        va_prompt_destroy(&prompt);
    }
    return mean.J;
}

static void test_parts(void **state) {
    (void)state;
    static const char *const targets[] = {"logits@last", "norm:2@mean"};
    prompts p;
    open_prompts(&p, "gemma3-plain");
    for (int64_t i = 0; i < VA_COUNT(targets); i++) {
        const va_map_direction_params params = params_of(&p, targets[i], VA_EXACT);
        const int64_t d_out = params.to.kind == VA_SITE_LOGITS ? p.f.V : p.f.d;
        const expectation e = {.name = targets[i],
                               .arena = p.f.arena,
                               .J = mean_matrix(&p, &params, d_out),
                               .T_in = 1,
                               .d_in = p.f.d,
                               .T_out = 1,
                               .d_out = d_out};
        check_reductions(&e, p.f.model, &params);
    }
    close_prompts(&p);
}

// The one prompt of a list is that prompt, and a mean names the prompt that it cannot take.
static void test_refusals(void **state) {
    (void)state;
    prompts p;
    va_map_direction out;
    open_prompts(&p, "gemma3-plain");
    va_map_direction_params q = params_of(&p, "resid:3@last", VA_EXACT);
    q.from = site_of("resid:1@all");
    assert_error(env.ctx, VA_ERR_USAGE,
                 "prompt 0: a mean over prompts: expected one position, got resid:1@all",
                 va_read_map_direction(p.f.model, p.f.arena, &q, &out));
    q = params_of(&p, "resid:3@all", VA_EXACT);
    assert_error(env.ctx, VA_ERR_USAGE, "expected one position or @mean, got resid:3@all",
                 va_read_map_direction(p.f.model, p.f.arena, &q, &out));
    q = params_of(&p, "resid:3@last", VA_EXACT);
    q.from = site_of("resid:1@6");
    assert_error(env.ctx, VA_ERR_USAGE, "prompt 1: site resid:1@6 is outside the prompt of 5",
                 va_read_map_direction(p.f.model, p.f.arena, &q, &out));
    q.from = site_of("resid:1@concept");
    q.reduce = VA_REDUCE_RIGHT, q.rank = p.f.d + 1;
    assert_error(env.ctx, VA_ERR_USAGE, "right: rank 33 exceeds the map's 32 singular values",
                 va_read_map_direction(p.f.model, p.f.arena, &q, &out));
    q.rank = 0;
    p.list[2].ids = NULL;
    assert_error(env.ctx, VA_ERR_USAGE, "prompt 2: expected at least one token",
                 va_read_map_direction(p.f.model, p.f.arena, &q, &out));
    q.n_prompts = 0;
    assert_error(env.ctx, VA_ERR_USAGE, "expected a prompt or more",
                 va_read_map_direction(p.f.model, p.f.arena, &q, &out));
    close_prompts(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torch),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refusals),
    };
    return run_direction_tests(tests, (size_t)VA_COUNT(tests));
}
