// test_capture.c: activations of batches of texts against transformers' values (fixture
// gemma3-bf16) and against the same texts run one by one; order, grouping, what is refused.
// libs: va_probe
// SPDX-License-Identifier: Apache-2.0
#include "test_gpu.h"

#include "vkalign/probe.h"

static struct {
    va_ctx *ctx;
    va_gpu *gpu;
} env;

typedef struct fixture {
    va_arena *arena;
    va_model *model;
    va_safetensors *expected;
    int64_t d, L;
} fixture;

// Of several lengths, in no order; the first, second and fifth are in the fixture (p0, p1, p2).
static const char *const texts[] = {
    "The concept of Physical means", "The concept of Entity means", "one",
    "Entity and Physical",           "Ünïcode 漢字 🙂",       "two words",
    "The concept of Entity is"};
static const char *const concepts[] = {"Physical", "Entity", NULL,    "Physical",
                                       NULL,       NULL,     "Entity"};
enum { N_TEXTS = VA_COUNT(texts), MAX_SITES = 8 };

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    char path[VA_TEST_PATH];
    f->arena = va_arena_create();
    assert_ok(env.ctx, va_model_open(env.ctx, va_test_fixture(path, "gemma3-bf16"), &f->model));
    assert_ok(env.ctx, va_model_attach(f->model, env.gpu));
    assert_ok(env.ctx, va_safetensors_open(
                           env.ctx, va_test_fixture(path, "gemma3-bf16/expected.safetensors"),
                           &f->expected));
    f->d = va_model_config(f->model)->d_model;
    f->L = va_model_config(f->model)->n_layer;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    va_safetensors_close(&f->expected);
    va_model_close(&f->model);
    va_arena_destroy(&f->arena);
    free(f);
    return 0;
}

static int64_t parse_sites(fixture *f, const char *const *names, va_site *sites) {
    int64_t n = 0;
    for (; names[n]; n++)
        assert_ok(env.ctx, va_site_parse(env.ctx, names[n], f->L, &sites[n]));
    assert_in_range(n, 1, MAX_SITES);
    return n;
}

static int64_t width_of(const fixture *f, const va_site *site) {
    return site->kind == VA_SITE_LOGITS ? va_model_config(f->model)->vocab_size : f->d;
}

static void make_out(fixture *f, const va_site *sites, int64_t n_sites, int64_t n_texts,
                     float **out) {
    for (int64_t s = 0; s < n_sites; s++)
        out[s] = VA_NEW_ARRAY(f->arena, float, n_texts *width_of(f, &sites[s]));
}

// One text at one site through a prompt of its own, read at all positions; concept: its mean.
static float *alone(fixture *f, const char *text, const char *concept_name, va_site site) {
    const int64_t width = width_of(f, &site);
    int32_t *ids;
    int64_t T, first, count, rows, got_width;
    va_prompt *prompt;
    assert_ok(env.ctx,
              va_model_tokenize(f->model, f->arena, text, concept_name, &ids, &T, &first, &count));
    const va_position position = site.position;
    if (position == VA_POS_LAST)
        first = T - 1, count = 1;
    else if (position == VA_POS_MEAN)
        first = 0, count = T;
    else if (position == VA_POS_INDEX)
        first = site.index < 0 ? T + site.index : site.index, count = 1;
    site.position = VA_POS_ALL;
    const va_prompt_params params = {.ids = ids, .seq_len = T, .sites = &site, .n_sites = 1};
    assert_ok(env.ctx, va_prompt_create(f->model, &params, &prompt));
    va_prompt_site_shape(prompt, 0, &rows, &got_width);
    assert_int_equal(rows, T);
    assert_int_equal(got_width, width);
    float *all = VA_NEW_ARRAY(f->arena, float, T *width), *x = VA_NEW_ARRAY(f->arena, float, width);
    assert_ok(env.ctx, va_prompt_read(prompt, 0, all));
    for (int64_t c = 0; c < width; c++) {
        double sum = 0;
        for (int64_t t = first; t < first + count; t++)
            sum += all[t * width + c];
        x[c] = (float)(sum / (double)count);
    }
    va_prompt_destroy(&prompt);
    return x;
}

typedef struct ticks {
    int64_t calls, last;
} ticks;

static void count_tick(void *user, int64_t n_done) {
    ticks *t = user;
    assert_true(n_done > t->last);
    t->calls++;
    t->last = n_done;
}

// Batching changes neither values nor their order, whatever the batch.
static void equals_single_prompts(void **state) {
    fixture *f = *state;
    const char *const names[] = {"resid:2@last", "norm:4@mean", "resid:1@1",  "attn:1@-2",
                                 "mlp:3@mean",   "logits@last", "embed@last", NULL};
    const int64_t batches[] = {0, 1, 2};
    va_site sites[MAX_SITES];
    const int64_t n_sites = parse_sites(f, names, sites);
    for (int64_t b = 0; b < VA_COUNT(batches); b++) {
        float *out[MAX_SITES];
        ticks seen = {0};
        make_out(f, sites, n_sites, N_TEXTS, out);
        const va_capture_params params = {.texts = texts,
                                          .n_texts = N_TEXTS,
                                          .sites = sites,
                                          .n_sites = n_sites,
                                          .batch = batches[b]};
        assert_ok(env.ctx, va_capture(f->model, &params, count_tick, &seen, out));
        assert_int_equal(seen.last, N_TEXTS);
        assert_true(batches[b] == 1 ? seen.calls == N_TEXTS : seen.calls < N_TEXTS);
        for (int64_t s = 0; s < n_sites; s++) {
            const int64_t width = width_of(f, &sites[s]);
            for (int64_t i = 0; i < N_TEXTS; i++) {
                // f32 sums of some hundred terms, in another order where tiles differ
                const float *expected = alone(f, texts[i], NULL, sites[s]);
                const double error = va_test_max_error_f32(out[s] + i * width, expected, width);
                if (!(error < 1e-5))
                    fail_msg("batch %lld, %s, text %lld: error %g", (long long)batches[b], names[s],
                             (long long)i, error);
            }
        }
    }
}

static const float *fixture_rows(fixture *f, const char *name, int64_t *T) {
    const va_file_tensor *t = va_safetensors_find(f->expected, name);
    assert_non_null(t);
    assert_int_equal(t->shape[1], f->d);
    *T = t->shape[0];
    float *x = VA_NEW_ARRAY(f->arena, float, t->n_elem);
    va_convert_to_f32(x, t->data, t->dtype, t->n_elem);
    return x;
}

static void equals_transformers(void **state) {
    fixture *f = *state;
    const char *const names[] = {"resid:2@last", "norm:4@mean", NULL};
    const int64_t in_fixture[] = {0, 1, 4};
    va_site sites[MAX_SITES];
    float *out[MAX_SITES];
    const int64_t n_sites = parse_sites(f, names, sites);
    make_out(f, sites, n_sites, N_TEXTS, out);
    const va_capture_params params = {
        .texts = texts, .n_texts = N_TEXTS, .sites = sites, .n_sites = n_sites};
    assert_ok(env.ctx, va_capture(f->model, &params, NULL, NULL, out));
    for (int p = 0; p < 3; p++) {
        char name[32];
        int64_t T, i = in_fixture[p];
        snprintf(name, sizeof name, "p%d.resid.2", p);
        const float *resid = fixture_rows(f, name, &T);
        assert_true(va_test_max_error_f32(out[0] + i * f->d, resid + (T - 1) * f->d, f->d) < 1e-4);
        snprintf(name, sizeof name, "p%d.norm.4", p);
        const float *norm = fixture_rows(f, name, &T);
        double *mean = VA_NEW_ARRAY(f->arena, double, f->d);
        for (int64_t e = 0; e < T * f->d; e++)
            mean[e % f->d] += (double)norm[e] / (double)T;
        assert_true(va_test_max_error(out[1] + i * f->d, mean, f->d) < 1e-4);
    }
}

// Texts of equal length whose concepts stand at different places or have different lengths.
static void averages_the_concept(void **state) {
    fixture *f = *state;
    const char *const names[] = {"resid:3@concept", "norm:2@last", NULL};
    const int64_t with[] = {0, 1, 3, 6};
    enum { N = VA_COUNT(with) };
    const char *some[N], *some_concepts[N];
    va_site sites[MAX_SITES];
    float *out[MAX_SITES];
    const int64_t n_sites = parse_sites(f, names, sites);
    for (int i = 0; i < N; i++)
        some[i] = texts[with[i]], some_concepts[i] = concepts[with[i]];
    make_out(f, sites, n_sites, N, out);
    const va_capture_params params = {
        .texts = some, .concepts = some_concepts, .n_texts = N, .sites = sites, .n_sites = n_sites};
    assert_ok(env.ctx, va_capture(f->model, &params, NULL, NULL, out));
    for (int64_t s = 0; s < n_sites; s++)
        for (int64_t i = 0; i < N; i++)
            assert_true(va_test_max_error_f32(out[s] + i * f->d,
                                              alone(f, some[i], some_concepts[i], sites[s]),
                                              f->d) < 1e-5);
    // "Physical" is two tokens of seven, so its mean is none of the rows.
    int64_t T;
    const float *resid = fixture_rows(f, "p0.resid.3", &T);
    double mean[64];
    assert_in_range(f->d, 1, 64);
    for (int64_t c = 0; c < f->d; c++)
        mean[c] = ((double)resid[4 * f->d + c] + resid[5 * f->d + c]) / 2;
    assert_true(va_test_max_error(out[0], mean, f->d) < 1e-4);
}

static void refuses(void **state) {
    fixture *f = *state;
    va_site sites[MAX_SITES];
    float *out[MAX_SITES];
    const char *const all[] = {"resid:1@all", NULL}, *const at[] = {"resid:1@concept", NULL},
                      *const far[] = {"resid:1@5", NULL}, *const last[] = {"resid:1@last", NULL};
    va_capture_params params = {.texts = texts, .n_texts = N_TEXTS, .sites = sites, .n_sites = 1};
    parse_sites(f, all, sites);
    make_out(f, sites, 1, N_TEXTS, out);
    assert_error(env.ctx, VA_ERR_USAGE, "got resid:1@all",
                 va_capture(f->model, &params, NULL, NULL, out));
    parse_sites(f, at, sites);
    assert_error(env.ctx, VA_ERR_USAGE, "text 0: @concept",
                 va_capture(f->model, &params, NULL, NULL, out));
    params.concepts = concepts;
    assert_error(env.ctx, VA_ERR_USAGE, "text 2: @concept: expected a concept's name in the text",
                 va_capture(f->model, &params, NULL, NULL, out));
    parse_sites(f, far, sites);
    assert_error(env.ctx, VA_ERR_USAGE, "\"one\": site resid:1@5 is outside",
                 va_capture(f->model, &params, NULL, NULL, out));
    parse_sites(f, last, sites);
    params.n_texts = 0;
    assert_error(env.ctx, VA_ERR_USAGE, "at least one text",
                 va_capture(f->model, &params, NULL, NULL, out));
}

static void interrupt_at(void *user, int64_t n_done) {
    (void)n_done;
    va_interrupt(user);
}

// On a context of its own: an interrupt stays.
static void stops_between_batches(void **state) {
    (void)state;
    char path[VA_TEST_PATH];
    va_ctx *ctx = va_test_ctx();
    va_gpu *gpu = va_test_gpu(ctx);
    va_model *model;
    va_site site;
    float out[N_TEXTS * 64], *outs[] = {out};
    assert_ok(ctx, va_model_open(ctx, va_test_fixture(path, "gemma3-bf16"), &model));
    assert_ok(ctx, va_model_attach(model, gpu));
    assert_ok(ctx, va_site_parse(ctx, "resid:1@last", 4, &site));
    const va_capture_params params = {
        .texts = texts, .n_texts = N_TEXTS, .sites = &site, .n_sites = 1, .batch = 2};
    assert_int_equal(va_capture(model, &params, interrupt_at, ctx, outs), VA_ERR_INTERRUPTED);
    va_model_close(&model);
    va_test_gpu_close(&gpu);
    va_ctx_destroy(&ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(equals_single_prompts),
        TEST(equals_transformers),
        TEST(averages_the_concept),
        TEST(refuses),
        cmocka_unit_test(stops_between_batches),
    };
    env.ctx = va_test_ctx();
    env.gpu = va_test_gpu(env.ctx);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += va_gpu_validation_count(env.gpu) > 0;
    va_gpu_close(&env.gpu);
    va_ctx_destroy(&env.ctx);
    return failed;
}
