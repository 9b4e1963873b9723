// Directions of one prompt's map: against torch's Jacobians and values.
// libs: va_read
// SPDX-License-Identifier: Apache-2.0
#include "direction_check.h"

static const char *mode_name(va_mode mode) {
    return mode == VA_EXACT ? "exact" : "detached";
}

// -- what torch says ------------------------------------------------------------------------------

static va_safetensors *open_expected(const char *folder) {
    char dir[VA_TEST_PATH], path[VA_TEST_PATH];
    va_safetensors *file;
    assert_ok(env.ctx,
              va_safetensors_open(
                  env.ctx, va_test_join(path, va_test_fixture(dir, folder), "expected.safetensors"),
                  &file));
    return file;
}

static void load_ids(fixture *f, va_safetensors *expected, int prompt) {
    char name[32];
    snprintf(name, sizeof name, "p%d.ids", prompt);
    const va_file_tensor *t = va_safetensors_find(expected, name);
    assert_true(t && t->n_elem <= MAX_IDS);
    f->n_ids = t->n_elem;
    for (int64_t i = 0; i < f->n_ids; i++) {
        int64_t id;
        memcpy(&id, (const uint8_t *)t->data + 8 * i, sizeof id);
        f->ids[i] = (int32_t)id;
    }
}

// The site's value at its position, from "p0.norm.3" [T, width].
static const float *site_value(fixture *f, va_safetensors *expected, int prompt,
                               const va_site *site, int64_t *rows, int64_t *width) {
    static const char *const kinds[] = {"resid", "resid", "attn", "mlp", "norm", "logits"};
    char name[64];
    const bool logits = site->kind == VA_SITE_LOGITS;
    snprintf(name, sizeof name, logits ? "p%d.%s" : "p%d.%s.%lld", prompt, kinds[site->kind],
             (long long)site->layer);
    *width = logits ? f->V : f->d;
    *rows = site->position == VA_POS_ALL ? f->n_ids : 1;
    const float *all = tensor_of(f, expected, name, f->n_ids * *width);
    if (site->position == VA_POS_ALL)
        return all;
    if (site->position == VA_POS_LAST)
        return all + (f->n_ids - 1) * *width;
    assert_int_equal(site->position, VA_POS_MEAN);
    float *mean = VA_NEW_ARRAY(f->arena, float, *width);
    for (int64_t i = 0; i < f->n_ids * *width; i++)
        mean[i % *width] += all[i] / (float)f->n_ids;
    return mean;
}

static va_site site_of(const char *text) {
    va_site site;
    assert_ok(env.ctx, va_site_parse(env.ctx, text, 3, &site));
    return site;
}

static void check_pair(const char *folder, int prompt, const char *from, const char *to,
                       va_mode mode) {
    fixture f;
    char name[160];
    open_fixture(&f, folder);
    va_safetensors *expected = open_expected(folder);
    load_ids(&f, expected, prompt);
    const va_mean_prompt one = {.ids = f.ids, .seq_len = f.n_ids};
    const va_map_direction_params p = {
        .prompts = &one, .n_prompts = 1, .from = site_of(from), .to = site_of(to), .mode = mode};
    expectation e = {.name = name, .arena = f.arena};
    snprintf(name, sizeof name, "p%d.jac.%s.%s>%s", prompt, mode_name(mode), from, to);
    e.x = site_value(&f, expected, prompt, &p.from, &e.T_in, &e.d_in);
    e.y = site_value(&f, expected, prompt, &p.to, &e.T_out, &e.d_out);
    e.J = tensor_of(&f, expected, name, e.T_in * e.d_in * e.T_out * e.d_out);
    check_reductions(&e, f.model, &p);
    va_safetensors_close(&expected);
    close_fixture(&f);
}

static void test_torch(void **state) {
    (void)state;
    static const struct {
        const char *folder;
        int prompt;
        const char *from, *to;
    } pairs[] = {
        {"gemma3-plain", 0, "embed@all", "logits@last"},
        {"gemma3-plain", 0, "embed@last", "resid:3@mean"},
        {"gemma3-plain", 1, "embed@all", "resid:3@all"},
        {"llama-plain", 0, "resid:2@last", "logits@last"},
        {"gpt2-plain", 0, "embed@all", "norm:3@last"},
    };
    for (int64_t i = 0; i < VA_COUNT(pairs); i++)
        for (int mode = VA_EXACT; mode <= VA_DETACHED; mode++)
            check_pair(pairs[i].folder, pairs[i].prompt, pairs[i].from, pairs[i].to, (va_mode)mode);
}

// -- positions ------------------------------------------------------------------------------------

// Of some tokens, and of a target at all: those columns of the whole map, and the mean of its rows.
static void test_positions(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *whole;
        int64_t first, count;
    } cases[] = {
        {"embed@concept", "norm:3@all", "norm:3@all", 2, 3},
        {"resid:1@4", "norm:3@all", "norm:3@all", 4, 1},
        {"resid:1@concept", "logits@all", "logits@all", 2, 3},
        {"embed@all", "logits@mean", "logits@mean", 0, T},
    };
    fixture f;
    open_fixture(&f, "gemma3-plain");
    const va_mean_prompt one = {
        .ids = f.ids, .seq_len = f.n_ids, .concept_first = 2, .concept_count = 3};
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        derivative j;
        const va_map_direction_params p = {.prompts = &one,
                                           .n_prompts = 1,
                                           .from = site_of(cases[i].from),
                                           .to = site_of(cases[i].to)};
        derive(&f, strncmp(cases[i].from, "embed", 5) == 0 ? "embed@all" : "resid:1@all",
               cases[i].whole, VA_EXACT, &j);
        const int64_t n = cases[i].count * f.d, width = p.to.kind == VA_SITE_LOGITS ? f.V : f.d;
        float *J = VA_NEW_ARRAY(f.arena, float, j.m *n);
        for (int64_t r = 0; r < j.m; r++)
            memcpy(J + r * n, j.J + r * j.n + cases[i].first * f.d, (size_t)n * sizeof *J);
        const expectation e = {.name = cases[i].from,
                               .arena = f.arena,
                               .J = J,
                               .T_in = cases[i].count,
                               .d_in = f.d,
                               .T_out = j.m / width,
                               .d_out = width};
        check_reductions(&e, f.model, &p);
        drop(&j);
    }
    close_fixture(&f);
}

// The same seed gives the same bits; another one another path to the same frame.
static void test_seeds(void **state) {
    (void)state;
    fixture f;
    va_map_direction r[3];
    open_fixture(&f, "gemma3-plain");
    const va_mean_prompt one = {.ids = f.ids, .seq_len = f.n_ids};
    va_map_direction_params p = {.prompts = &one,
                                 .n_prompts = 1,
                                 .from = site_of("embed@all"),
                                 .to = site_of("norm:3@last"),
                                 .reduce = VA_REDUCE_LEFT,
                                 .rank = 3,
                                 .seed = 9};
    for (int i = 0; i < 3; i++) {
        p.seed += i == 2;
        assert_ok(env.ctx, va_read_map_direction(f.model, f.arena, &p, &r[i]));
    }
    assert_memory_equal(r[0].rows, r[1].rows, (size_t)(3 * f.d) * sizeof(float));
    assert_true(memcmp(r[0].rows, r[2].rows, (size_t)(3 * f.d) * sizeof(float)) != 0);
    assert_true(va_test_max_error_f32(r[2].rows, r[0].rows, 3 * f.d) <= 1e-3);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torch),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_seeds),
    };
    return run_direction_tests(tests, (size_t)VA_COUNT(tests));
}
